// Values that are kept unreadable at rest: email addresses, phone numbers, secrets of accounts, events that wait. Each
// is encrypted under a key for its purpose; what has to be looked up gets a blind index beside it, a keyed hash of its
// normal form.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "platform/entropy.h"

namespace vestige::state {

// Thread-safe.
class Fields {
 public:
  // `master` is the vault's purpose key "state-fields".
  Fields(const Key& master, platform::Entropy& entropy);
  ~Fields();

  // Base64 of nonce, ciphertext, tag (AES-256-GCM, RFC 5116), bound to `purpose` ("account.email") and to `owner`, the
  // id of the row that it stands in, so that a value moved to another row or column does not open.
  std::string seal(std::string_view purpose, std::string_view owner, std::string_view plain) const;
  // corrupt where it is not what was sealed there.
  Result<std::string> open(std::string_view purpose, std::string_view owner, std::string_view sealed) const;
  // Lower-case hex of HMAC-SHA-256: equal values have equal indexes, and the index tells nothing without the key.
  std::string blind_index(std::string_view purpose, std::string_view normal_form) const;

 private:
  struct Keys;
  std::unique_ptr<Keys> keys_;
};

// What two spellings of one address have in common; nullopt where it is none.
std::optional<std::string> normal_email(std::string_view text);
// E.164 ("+27821234567") of a number with country code; nullopt where it is none.
std::optional<std::string> normal_phone(std::string_view text);

}  // namespace vestige::state
