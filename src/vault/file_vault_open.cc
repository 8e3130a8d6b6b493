// Making and opening a vault.
#include <fmt/format.h>

#include "base/check.h"
#include "vault/internal/container.h"
#include "vault/internal/file_vault.h"

namespace vestige::vault {

namespace {

Status make_vault(platform::FileSystem& files, platform::Entropy& entropy, const Key& root) {
  VESTIGE_CHECKED(files.make_directories(pages_directory));
  VESTIGE_TRY(const auto pages, files.list(pages_directory));
  if (!pages.empty() || files.exists(journal_path))
    return corrupt(
        top_path, 0,
        fmt::format("The vault's top table {} is missing, while its pages or its erasure journal are "
                    "there. Restore the vault directory from its backup.",
                    files.describe(top_path)));
  Top top;
  top.sequence = 1;
  entropy.fill(top.vault_id);
  entropy.fill(top.wrap_key.bytes);
  entropy.fill(top.purpose_secret.bytes);
  entropy.fill(top.subject_secret.bytes);
  const auto bytes = encode_top(top, entropy.bytes<sizeof(TopSalt)>(), root);
  return platform::replace_file(files, top_path, bytes, platform::FileMode::secret);
}

Status remove_left_overs(platform::FileSystem& files, const Top& top) {
  VESTIGE_TRY(const auto stray, find_stray_files(files, top.pages));
  for (const auto& path : stray.left_overs) VESTIGE_CHECKED(files.remove(path));
  if (stray.left_overs.empty()) return {};
  VESTIGE_CHECKED(files.sync_directory(""));
  return files.sync_directory(pages_directory);
}

}  // namespace

Status FileVault::load(const Journal& journal) {
  const Lock erasing(erasing_);
  VESTIGE_CHECKED(load_pages());
  return replay(journal);
}

Status FileVault::load_pages() {
  const Lock lock(mutex_);
  // The youngest subjects are the likeliest to come again.
  const auto cached_pages = options_.cached_keys_max / limits::page_slots_max;
  for (std::uint32_t number = 0; number < top_.pages.size(); ++number) {
    const bool cached = number + cached_pages >= top_.pages.size();
    VESTIGE_TRY(auto slots, read_page(number, top_.pages[number]));
    for (const auto& slot : slots) {
      const auto slot_number = static_cast<SlotNumber>(subjects_++);
      by_subject_.add(tag_of(slot.subject), slot_number);
      if (slot.has_key()) by_ref_.add(tag_of(slot.ref), slot_number);
      if (!slot.has_key()) ++subjects_erased_;
      if (cached && slots.size() == limits::page_slots_max) cache_.put(slot_number, slot);
    }
    if (slots.size() < limits::page_slots_max) open_pages_[number].slots = std::move(slots);
  }
  return {};
}

Result<std::unique_ptr<Vault>> Vault::open(platform::FileSystem& files, platform::Entropy& entropy,
                                           platform::Clock& clock, const Key& root, bool create,
                                           VaultOptions options) {
  if (!files.exists(top_path)) {
    if (!create)
      return fail(
          ErrorKind::not_found,
          fmt::format("There is no vault in {}. Name the directory of the vault that belongs to this data; "
                      "without it the data cannot be read.",
                      files.describe("")));
    VESTIGE_CHECKED(make_vault(files, entropy, root));
  }
  VESTIGE_TRY(auto top, read_top(files, root));
  VESTIGE_TRY(const auto journal, read_journal(files, top));
  VESTIGE_CHECKED(remove_left_overs(files, top));
  auto vault = std::make_unique<FileVault>(files, entropy, clock, root, options, std::move(top));
  VESTIGE_CHECKED(vault->load(journal));
  return vault;
}

}  // namespace vestige::vault
