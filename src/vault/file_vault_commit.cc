// How changes of a FileVault become durable: docs/formats/vault.md, "How it is written".
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "vault/internal/file_vault.h"

namespace vestige::vault {

Status FileVault::sync() {
  const Lock lock(mutex_);
  return reach(changes_made_);
}

Status FileVault::reach(std::uint64_t change) {
  while (changes_durable_ < change) {
    if (broken_) return std::unexpected(*broken_);
    if (committing_) {
      const auto attempt = attempts_;
      while (attempts_ == attempt) committed_.wait(mutex_);
    } else {
      commit();
    }
    // A failure that was about this change too is this caller's failure; trying again is his decision.
    const bool failed = attempt_error_.has_value() && attempt_covered_ >= change;
    if (failed && changes_durable_ < change) return std::unexpected(*attempt_error_);
  }
  return {};
}

void FileVault::commit() {
  CHECK(!committing_);
  committing_ = true;
  auto plan = plan_commit();
  mutex_.unlock();
  const auto outcome = carry_out(plan);
  mutex_.lock();
  auto removable = outcome.status ? commit_succeeded(plan) : commit_failed(plan, outcome);
  mutex_.unlock();
  auto kept = remove_files(std::move(removable));
  mutex_.lock();
  std::ranges::move(kept, std::back_inserter(obsolete_));
  committing_ = false;
  ++attempts_;
  committed_.notify_all();
}

FileVault::Plan FileVault::plan_commit() {
  Plan plan{.covers = changes_made_, .top = top_, .pages = {}, .created = {}, .obsolete = {}};
  plan.top.sequence = ++sequence_;
  plan.top.erasures = erasures_.size();
  plan.top.journal_digest = erasures_digest_;
  for (const auto& [place, entry] : retention_)
    plan.top.retention_keys.push_back(
        {.retention_class = place.first, .month = place.second, .key = entry.key});
  for (const auto& [file, kept] : kept_)
    plan.top.kept_keys.push_back({.file = file, .key = kept.key, .erasures = kept.erasures});
  for (auto& [number, page] : open_pages_) {
    if (!page.changed) continue;
    page.changed = false;
    PageEntry entry{
        .generation = sequence_, .slots = static_cast<std::uint16_t>(page.slots.size()), .key = {}};
    entropy_.fill(entry.key.bytes);
    if (number < top_.pages.size()) {
      plan.obsolete.push_back(page_path({number, top_.pages[number].generation}));
      plan.top.pages[number] = entry;
    } else {
      CHECK(number == plan.top.pages.size());
      plan.top.pages.push_back(entry);
    }
    plan.created.push_back(page_path({number, sequence_}));
    plan.pages.emplace(number, page.slots);
  }
  return plan;
}

Status FileVault::write_pages(const Plan& plan) {
  for (const auto& [number, slots] : plan.pages) {
    const auto& entry = plan.top.pages[number];
    const PageName name{number, entry.generation};
    const auto bytes = encode_page(name, vault_id_, slots, entry.key.bytes);
    VESTIGE_TRY(auto file, files_.create(page_path(name), platform::FileMode::secret));
    VESTIGE_CHECKED(file->write(0, bytes));
    VESTIGE_CHECKED(file->sync());
  }
  if (!plan.pages.empty()) VESTIGE_CHECKED(files_.sync_directory(pages_directory));
  return {};
}

FileVault::Outcome FileVault::carry_out(const Plan& plan) {
  if (auto written = write_pages(plan); !written) return {.status = std::move(written), .top_begun = false};
  const auto bytes = encode_top(plan.top, entropy_.bytes<sizeof(TopSalt)>(), root_.bytes);
  return {.status = platform::replace_file(files_, top_path, bytes, platform::FileMode::secret),
          .top_begun = true};
}

std::vector<std::string> FileVault::commit_succeeded(Plan& plan) {
  CHECK(plan.covers >= changes_durable_);
  top_ = std::move(plan.top);
  top_.retention_keys.clear();
  top_.kept_keys.clear();
  changes_durable_ = plan.covers;
  attempt_covered_ = plan.covers;
  attempt_error_.reset();
  ++syncs_;
  for (const auto& [number, slots] : plan.pages) {
    const auto page = open_pages_.find(number);
    if (page->second.changed || page->second.slots.size() < limits::page_slots_max) continue;
    const auto first = static_cast<SlotNumber>(number * limits::page_slots_max);
    for (SlotNumber at = 0; at < limits::page_slots_max; ++at) cache_.put(first + at, page->second.slots[at]);
    open_pages_.erase(page);
  }
  std::ranges::move(obsolete_, std::back_inserter(plan.obsolete));
  obsolete_.clear();
  return std::move(plan.obsolete);
}

// Every attempt writes files of its own, so that after a full disk the next one trusts nothing that this one
// wrote. Any other failure of the disk leaves no ground to go on: what a sync failed on may be gone unseen.
std::vector<std::string> FileVault::commit_failed(const Plan& plan, const Outcome& outcome) {
  const auto& error = outcome.status.error();
  for (const auto& [number, slots] : plan.pages) open_pages_.at(number).changed = true;
  attempt_covered_ = plan.covers;
  attempt_error_ = error;
  if (error.kind != ErrorKind::unavailable) {
    broken_ =
        Error{.kind = ErrorKind::io,
              .message = fmt::format("The vault could not be written: {}. It gives no new keys until the "
                                     "server is restarted; look at the disk first.",
                                     error.message)};
    attempt_error_ = broken_;
  }
  if (!outcome.top_begun) return plan.created;
  // The top table on disk may be the old or the new one, so the pages of both must stay.
  obsolete_.insert(obsolete_.end(), plan.created.begin(), plan.created.end());
  return {};
}

std::vector<std::string> FileVault::remove_files(std::vector<std::string> paths) {
  std::erase_if(paths, [this](const std::string& path) {
    const auto removed = files_.remove(path);
    return removed || removed.error().kind == ErrorKind::not_found;
  });
  return paths;
}

}  // namespace vestige::vault
