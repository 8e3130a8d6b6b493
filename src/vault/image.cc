// Reading a vault without writing: for the verifier, and the parts of it that opening shares.
#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "vault/format.h"
#include "vault/internal/container.h"

namespace vestige::vault {

namespace {

constexpr std::array root_names{"root.key", top_path, journal_path};
constexpr std::array root_left_overs{"root.key.tmp", "top.tmp", "erased.tmp"};
constexpr std::uint64_t journal_bytes_max =
    journal_header_bytes + journal_record_bytes * (limits::journal_records_max + 1);

bool is_named(const PageName& name, const std::vector<PageEntry>& pages) {
  return name.number < pages.size() && pages[name.number].generation == name.generation;
}

Status add_page(VaultImage& image, const std::string& path, const std::vector<Slot>& slots) {
  for (std::size_t at = 0; at < slots.size(); ++at) {
    const auto& slot = slots[at];
    if (slot.erased_by != no_entry)
      image.erased.push_back({slot.subject, slot.has_key() ? slot.epoch - 1 : slot.epoch, slot.erased_by});
    if (!slot.has_key()) continue;
    if (!image.owners.try_emplace(slot.ref, VaultImage::Owned{slot.key, slot.state}).second)
      return damaged(path, page_header_bytes + at * slot_bytes, "a ref stands in two slots");
  }
  return {};
}

Result<VaultImage> read_image(platform::FileSystem& files, Top top) {
  VaultImage image;
  VESTIGE_TRY(image.journal, read_journal(files, top));
  for (std::uint32_t number = 0; number < top.pages.size(); ++number) {
    const auto& entry = top.pages[number];
    const PageHeader expected{{number, entry.generation}, top.vault_id, entry.slots};
    const auto path = page_path(expected.name);
    auto bytes = platform::read_file(files, path, page_bytes_max);
    if (!bytes && bytes.error().kind == ErrorKind::not_found) return page_missing(path);
    if (!bytes) return std::unexpected(std::move(bytes).error());
    VESTIGE_TRY(const auto slots, decode_page(*bytes, expected, entry.key.bytes));
    VESTIGE_CHECKED(add_page(image, path, slots));
  }
  for (const auto& entry : top.retention_keys)
    image.retention_keys.emplace(std::pair(entry.retention_class, entry.month), entry.key);
  VESTIGE_TRY(auto stray, find_stray_files(files, top.pages));
  image.left_overs = std::move(stray.left_overs);
  image.foreign = std::move(stray.foreign);
  image.top = std::move(top);
  return image;
}

}  // namespace

Result<Top> read_top(platform::FileSystem& files, const Key& root) {
  VESTIGE_TRY(const auto bytes, platform::read_file(files, top_path, top_bytes_max));
  return decode_top(bytes, root);
}

Result<Journal> read_journal(platform::FileSystem& files, const Top& top) {
  const auto key = SecretKey(derive_journal_key(top.purpose_secret.bytes));
  Journal journal;
  journal.vault_id = top.vault_id;
  if (files.exists(journal_path)) {
    VESTIGE_TRY(const auto bytes, platform::read_file(files, journal_path, journal_bytes_max));
    VESTIGE_TRY(journal, decode_journal(bytes));
    if (journal.vault_id != top.vault_id) return damaged(journal_path, 16, "it belongs to another vault");
    VESTIGE_CHECKED(check_journal_macs(journal, key.bytes));
  }
  if (journal.records.size() < top.erasures)
    return damaged(
        journal_path, journal_header_bytes + journal_record_bytes * journal.records.size(),
        fmt::format("it ends after {} erasures, and the top table counts {}; an older journal was put "
                    "in its place",
                    journal.records.size(), top.erasures));
  if (top.erasures != 0 && journal.digests[top.erasures] != top.journal_digest)
    return damaged(journal_path, journal_header_bytes + journal_record_bytes * top.erasures - digest_bytes,
                   "it is not the journal that the top table was written after");
  return journal;
}

Result<StrayFiles> find_stray_files(platform::FileSystem& files, const std::vector<PageEntry>& named) {
  StrayFiles stray;
  VESTIGE_TRY(const auto top_level, files.list(""));
  for (const auto& entry : top_level) {
    const auto is_entry = [&entry](const char* name) { return entry.name == name; };
    if (entry.is_directory ? is_entry(pages_directory) : std::ranges::any_of(root_names, is_entry)) continue;
    const bool left_over = !entry.is_directory && std::ranges::any_of(root_left_overs, is_entry);
    (left_over ? stray.left_overs : stray.foreign).push_back(entry.name);
  }
  VESTIGE_TRY(const auto pages, files.list(pages_directory));
  for (const auto& entry : pages) {
    auto path = platform::join(pages_directory, entry.name);
    const auto name = entry.is_directory ? std::nullopt : parse_page_path(path);
    if (name && is_named(*name, named)) continue;
    (name ? stray.left_overs : stray.foreign).push_back(std::move(path));
  }
  return stray;
}

Result<VaultImage> read_vault(platform::FileSystem& files, const Key& root) {
  for (int attempt = 1;; ++attempt) {
    VESTIGE_TRY(auto top, read_top(files, root));
    const auto sequence = top.sequence;
    auto image = read_image(files, std::move(top));
    if (image) return image;
    // A server that writes meanwhile replaces the top table and removes the pages that the old one named.
    VESTIGE_TRY(const auto now, read_top(files, root));
    if (now.sequence == sequence || attempt == limits::image_attempts_max) return image;
  }
}

}  // namespace vestige::vault
