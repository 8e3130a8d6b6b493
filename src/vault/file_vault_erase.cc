// Destroying and renewing keys: docs/formats/vault.md, "How a key is destroyed". The order is: the journal's
// record, the key out of memory, the page without it under a new page key, the top table. Every step may be
// the last before a crash: from the record on, opening the vault finishes the rest.
#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "vault/internal/container.h"
#include "vault/internal/file_vault.h"

namespace vestige::vault {

namespace {

// Records between two commits of a replay: each may hold a page of 64 KiB in memory until then.
constexpr std::uint64_t replayed_between_commits = 1'024;

void take_key_out(Slot& slot, const ErasureRecord& record) {
  slot.state = SubjectState::erased;
  slot.epoch = record.epoch;
  slot.ref = {};
  slot.key = {};
  slot.erased_by = record.entry;
}

Erasure erasure_of(const ErasureRecord& record, std::uint64_t number) {
  return {.number = number,
          .tenant = record.tenant,
          .entry = record.entry,
          .epoch = record.epoch,
          .time = record.time};
}

std::unexpected<Error> too_old(const ErasureRecord& record, const Slot& slot, std::uint64_t number) {
  return damaged(journal_path, journal_header_bytes + number * journal_record_bytes + 72,
                 fmt::format("record {} destroys a key of epoch {}, and the subject has reached epoch {}",
                             number, record.epoch, slot.epoch));
}

}  // namespace

Hash FileVault::subject_hash(std::string_view tenant, std::string_view subject) const {
  return vault::subject_hash(subject_mac_, tenant, subject);
}

void FileVault::bar(const Hash& subject) {
  const Lock lock(mutex_);
  barred_.insert(subject);
}

std::uint64_t FileVault::erasures() const {
  const Lock lock(mutex_);
  return erasures_.size();
}

std::vector<Erasure> FileVault::erasures_of(std::string_view tenant) const {
  const auto hash = tenant_hash(subject_mac_, tenant);
  std::vector<Erasure> found;
  const Lock lock(mutex_);
  std::ranges::copy_if(erasures_, std::back_inserter(found),
                       [&](const auto& erasure) { return erasure.tenant == hash; });
  return found;
}

Result<Erasure> FileVault::erase(std::string_view tenant, const Hash& subject, std::uint64_t entry) {
  const Lock erasing(erasing_);
  VESTIGE_CHECKED(catch_up());
  VESTIGE_TRY(const auto search, this->search({By::subject, tag_of(subject), subject}));
  ErasureRecord record{
      .tenant = tenant_hash(subject_mac_, tenant), .subject = subject, .epoch = 0, .entry = entry};
  if (search.found) record.epoch = search.found->epoch;
  const bool erased = search.found && !search.found->has_key();
  if (erased && search.found->erased_by != entry)
    return fail(ErrorKind::conflict,
                fmt::format("The person was erased by entry {} already; there is no key left to "
                            "destroy.",
                            search.found->erased_by));
  if (!erased) {
    record.time = clock_.now();
    VESTIGE_CHECKED(append_to_journal(record));
    VESTIGE_CHECKED(catch_up());
  }
  const Lock lock(mutex_);
  barred_.erase(subject);
  VESTIGE_CHECKED(reach(changes_made_));
  // Each tenant's entries are numbered from 0.
  const auto found = std::find_if(erasures_.rbegin(), erasures_.rend(), [&](const Erasure& erasure) {
    return erasure.entry == entry && erasure.tenant == record.tenant;
  });
  if (found == erasures_.rend())
    return damaged(journal_path, journal_header_bytes,
                   fmt::format("it has no record of the erasure by entry {}", entry));
  return *found;
}

Status FileVault::stop_writing(const Error& error) {
  const Lock lock(mutex_);
  broken_ = Error{
      .kind = ErrorKind::io,
      .message = fmt::format("The vault's erasure journal could not be written: {}. The vault gives and "
                             "destroys no keys until the server is restarted; look at the disk first.",
                             error.message)};
  return std::unexpected(*broken_);
}

Status FileVault::append_to_journal(const ErasureRecord& record) {
  {
    const Lock lock(mutex_);
    if (broken_) return std::unexpected(*broken_);
  }
  if (journal_records_ >= limits::journal_records_max)
    return std::unexpected(
        Error{.kind = ErrorKind::exhausted,
              .message = fmt::format("The vault's erasure journal {} holds {} erasures, as many as it may.",
                                     files_.describe(journal_path), journal_records_),
              .limit = fmt::format("journal_records_max = {}", limits::journal_records_max)});
  const auto header = encode_journal_header(vault_id_);
  const auto previous =
      journal_records_ == 0 ? load_le<Hash>(header.data() + header.size() - digest_bytes) : journal_digest_;
  const auto key = SecretKey(derive_journal_key(purpose_secret_.bytes));
  const auto bytes = encode_erasure(record, journal_records_, vault_id_, previous, key.bytes);
  if (auto written = write_record(bytes); !written) {
    // What a full disk took of the record is written over the next time.
    if (written.error().kind == ErrorKind::unavailable) return written;
    return stop_writing(written.error());
  }
  ++journal_records_;
  journal_digest_ = load_le<Hash>(bytes.data() + bytes.size() - digest_bytes);
  journal_last_ = record;
  return {};
}

Status FileVault::write_record(ByteView record) {
  if (journal_records_ == 0) {
    auto bytes = encode_journal_header(vault_id_);
    bytes.insert(bytes.end(), record.begin(), record.end());
    return platform::replace_file(files_, journal_path, bytes, platform::FileMode::secret);
  }
  VESTIGE_TRY(const auto file, files_.open(journal_path));
  VESTIGE_CHECKED(file->write(journal_header_bytes + journal_records_ * journal_record_bytes, record));
  return file->sync();
}

// A page that could not be read may have left the journal one record ahead.
Status FileVault::catch_up() {
  return erasures() == journal_records_ ? Status{} : apply_next(*journal_last_, journal_digest_);
}

Status FileVault::apply_next(const ErasureRecord& record, const Hash& digest) {
  VESTIGE_TRY(const auto search, this->search({By::subject, tag_of(record.subject), record.subject}));
  std::uint64_t number = 0;
  {
    const Lock lock(mutex_);
    number = erasures_.size();
    if (search.found && search.found->epoch > record.epoch) return too_old(record, *search.found, number);
    if (!search.found) {
      if (subjects_ >= limits::subjects_max)
        return fail(ErrorKind::exhausted,
                    fmt::format("The vault holds {} subjects, as many as it may.", subjects_));
      Slot slot{.subject = record.subject, .key = {}, .created = record.time};
      take_key_out(slot, record);
      add_slot(slot);
    }
  }
  if (search.found)
    VESTIGE_CHECKED(change_slot(search.number, [&record](Slot& slot) { take_key_out(slot, record); }));
  const Lock lock(mutex_);
  if (search.found && search.found->has_key()) ++subjects_erased_;
  erasures_.push_back(erasure_of(record, number));
  erasures_digest_ = digest;
  ++changes_made_;  // a commit may have written the page before the record was counted
  return {};
}

Status FileVault::open_page(std::uint32_t number) {
  for (;;) {
    PageEntry entry;
    {
      const Lock lock(mutex_);
      if (open_pages_.contains(number)) return {};
      entry = top_.pages[number];
    }
    VESTIGE_TRY(auto slots, read_page(number, entry));
    const Lock lock(mutex_);
    if (top_.pages[number].generation != entry.generation) continue;
    open_pages_.try_emplace(number, OpenPage{.slots = std::move(slots)});
    return {};
  }
}

Status FileVault::change_slot(SlotNumber number, const std::function<void(Slot&)>& change) {
  const auto page = static_cast<std::uint32_t>(number / limits::page_slots_max);
  for (;;) {
    VESTIGE_CHECKED(open_page(page));
    const Lock lock(mutex_);
    // A commit may have closed a full page since.
    const auto found = open_pages_.find(page);
    if (found == open_pages_.end()) continue;
    change(found->second.slots[number % limits::page_slots_max]);
    found->second.changed = true;
    cache_.remove(number);
    ++changes_made_;
    return {};
  }
}

// Beyond what the top table counts: an erasure that was interrupted, or those of a newer vault whose journal
// was put beside this one.
Status FileVault::replay(const Journal& journal) {
  journal_records_ = journal.records.size();
  if (!journal.records.empty()) {
    journal_digest_ = journal.digests.back();
    journal_last_ = journal.records.back();
  }
  std::uint64_t known = 0;
  {
    const Lock lock(mutex_);
    known = top_.erasures;
    erasures_digest_ = top_.journal_digest;
    for (std::uint64_t number = 0; number < known; ++number)
      erasures_.push_back(erasure_of(journal.records[number], number));
  }
  for (auto number = known; number < journal.records.size(); ++number) {
    VESTIGE_CHECKED(apply_next(journal.records[number], journal.digests[number + 1]));
    const Lock lock(mutex_);
    if ((number + 1) % replayed_between_commits == 0) VESTIGE_CHECKED(reach(changes_made_));
  }
  const Lock lock(mutex_);
  return reach(changes_made_);
}

Result<SubjectView> FileVault::reauthorise(std::string_view tenant, std::string_view subject) {
  const Lock erasing(erasing_);
  VESTIGE_CHECKED(catch_up());
  const auto hash = subject_hash(tenant, subject);
  VESTIGE_TRY(const auto search, this->search({By::subject, tag_of(hash), hash}));
  if (!search.found || search.found->has_key())
    return fail(
        ErrorKind::conflict,
        "The person is not erased, so there is nothing to re-authorise: their data is recorded as it comes.");
  if (search.found->epoch == ~std::uint32_t{0})
    return fail(ErrorKind::exhausted, "The person was re-authorised as often as the vault can count.");
  Block16 ref{};
  SecretKey key;
  entropy_.fill(key.bytes);
  {
    const Lock lock(mutex_);
    if (broken_) return std::unexpected(*broken_);
    VESTIGE_TRY(ref, fresh_ref());
    by_ref_.add(tag_of(ref), search.number);
  }
  VESTIGE_CHECKED(change_slot(search.number, [&](Slot& slot) {
    slot.state = SubjectState::reauthorised;
    ++slot.epoch;
    slot.ref = ref;
    slot.key = key;
  }));
  {
    const Lock lock(mutex_);
    --subjects_erased_;
    VESTIGE_CHECKED(reach(changes_made_));
  }
  return look_up(tenant, subject);
}

}  // namespace vestige::vault
