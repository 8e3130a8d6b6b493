#include "verify/internal/keys.h"

#include "base/check.h"
#include "verify/limits.h"

namespace vestige::verify {

Result<std::unique_ptr<VaultKeys>> VaultKeys::read(platform::FileSystem& files, const Key& root,
                                                   bool while_running) {
  VESTIGE_TRY(auto image, vault::read_vault(files, root));
  return std::unique_ptr<VaultKeys>(new VaultKeys(files, root, while_running, std::move(image)));
}

Bytes VaultKeys::wrap(const Key& /*key*/, std::string_view /*context*/) {
  check_failed("the verifier wraps no key", __FILE__, __LINE__);
}

Result<Key> VaultKeys::unwrap(ByteView wrapped, std::string_view context) const {
  return vault::unwrap_key(image_.top.wrap_key.bytes, wrapped, context);
}

Block16 VaultKeys::fingerprint_key(std::string_view tenant) const {
  const auto key = vault::derive_purpose_key(image_.top.purpose_secret.bytes, "id-fingerprint", tenant);
  return load_le<Block16>(key.data());
}

std::optional<Key> VaultKeys::owner(const Block16& ref) const {
  const auto found = image_.owners.find(ref);
  if (found == image_.owners.end()) return std::nullopt;
  return found->second.key.bytes;
}

std::optional<Key> VaultKeys::retention_key(std::uint8_t retention_class, std::uint16_t month) const {
  const auto found =
      image_.retention_keys.find({vault::RetentionClass{retention_class}, vault::Month{month}});
  if (found == image_.retention_keys.end()) return std::nullopt;
  return found->second.bytes;
}

std::optional<Key> VaultKeys::owner_or_read_again(const Block16& ref, Certainty& certainty) {
  certainty = Certainty::known;
  if (auto key = owner(ref)) return key;
  if (!while_running_ || gone_.contains(ref)) return std::nullopt;
  if (readings_ == limits::vault_readings_max) {
    certainty = Certainty::unsure;
    return std::nullopt;
  }
  ++readings_;
  auto newer = vault::read_vault(files_, root_);
  if (!newer) {
    certainty = Certainty::unsure;
    return std::nullopt;
  }
  // Keys of before stay usable: who is erased meanwhile had a key when this entry was written.
  for (auto& [old_ref, owned] : image_.owners) newer->owners.try_emplace(old_ref, owned);
  image_ = *std::move(newer);
  auto key = owner(ref);
  if (!key) gone_.insert(ref);
  return key;
}

}  // namespace vestige::verify
