// The vault's keys as the verifier uses them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "trail/key_wrapper.h"
#include "vault/format.h"

namespace vestige::verify {

// Owner: one verification. Everything is thread-safe but owner_or_read_again(), which changes what the others
// read: it is called while the write-ahead log is read, before there are other threads.
class VaultKeys final : public trail::KeyWrapper {
 public:
  static Result<std::unique_ptr<VaultKeys>> read(platform::FileSystem& files, const Key& root,
                                                 bool while_running);

  Bytes wrap(const Key& key, std::string_view context) override;  // never called: a verifier writes nothing
  Result<Key> unwrap(ByteView wrapped, std::string_view context) const override;

  Block16 fingerprint_key(std::string_view tenant) const;
  std::optional<Key> owner(const Block16& ref) const;
  std::optional<Key> retention_key(std::uint8_t retention_class, std::uint16_t month) const;
  const vault::VaultImage& image() const { return image_; }
  bool while_running() const { return while_running_; }

  enum class Certainty { known, unsure };
  // As owner(). Beside a running server an absent ref may be newer than our reading of the vault, so it is
  // read again; `unsure` where that was done too often.
  std::optional<Key> owner_or_read_again(const Block16& ref, Certainty& certainty);

 private:
  VaultKeys(platform::FileSystem& files, const Key& root, bool while_running, vault::VaultImage image)
      : files_(files), root_(root), while_running_(while_running), image_(std::move(image)) {}

  platform::FileSystem& files_;
  const Key& root_;
  const bool while_running_;
  vault::VaultImage image_;
  int readings_ = 1;
  std::unordered_set<Block16, vault::RefHash> gone_;  // that a reading after the entry did not have
};

}  // namespace vestige::verify
