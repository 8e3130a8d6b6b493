// Where the keys of personal sidecars are: among the vault's kept keys. A generation is a number of erasures.
#pragma once

#include "trail/section_tokens.h"
#include "vault/vault.h"

namespace vestige::audit {

class VaultSidecarKeys final : public trail::SidecarKeys {
 public:
  explicit VaultSidecarKeys(vault::Vault& vault) : vault_(vault) {}

  std::optional<Kept> find(const Block16& file) const override {
    const auto kept = vault_.kept_key(file);
    if (!kept) return std::nullopt;
    return Kept{.file = kept->file, .key = kept->key, .generation = kept->erasures};
  }
  Status replace(const std::optional<Block16>& destroyed, const std::optional<Kept>& added) override {
    std::optional<vault::KeptKey> taken_in;
    if (added)
      taken_in = vault::KeptKey{.file = added->file, .key = added->key, .erasures = added->generation};
    return vault_.replace_kept_key(destroyed, taken_in);
  }
  void settle(const Block16& file, std::uint64_t generation) override {
    vault_.settle_kept_key(file, generation);
  }
  Status retain(std::span<const Block16> files) override { return vault_.retain_kept_keys(files); }

 private:
  vault::Vault& vault_;
};

}  // namespace vestige::audit
