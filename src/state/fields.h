// Values that are kept unreadable at rest: email addresses, phone numbers, secrets of accounts, events that
// wait. Each is encrypted under a key for its purpose; what has to be looked up gets a blind index beside it,
// a keyed hash of its normal form. Format: docs/formats/state.md.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "platform/entropy.h"

namespace vestige::state {

class Database;

// Thread-safe.
class Fields {
 public:
  // `master` is the vault's purpose key "state-fields".
  Fields(const Key& master, platform::Entropy& entropy);
  ~Fields();
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;

  // Whether this key is the one that `database` was written with, before anything is read by it: with another
  // no value opens and no blind index is found. The first key that a database sees is its own for ever;
  // denied for every other.
  Status hold_against(Database& database) const;

  // Base64 of a version, nonce, ciphertext and tag (AES-256-GCM), bound to `purpose` ("account.email") and to
  // `owner`, the id of the row that it stands in, so that a value moved to another row or column does not
  // open.
  std::string seal(std::string_view purpose, std::string_view owner, std::string_view plain) const;
  // corrupt where it is not what was sealed there.
  Result<std::string> open(std::string_view purpose, std::string_view owner, std::string_view sealed) const;
  // Lower-case hex of HMAC-SHA-256: equal values have equal indexes, and the index tells nothing without the
  // key. Put the tenant into `normal_form` where nobody may see that two tenants have the same value.
  std::string blind_index(std::string_view purpose, std::string_view normal_form) const;

 private:
  struct Keys;
  std::unique_ptr<Keys> keys_;
  platform::Entropy& entropy_;
};

// What the spellings of one address have in common: blanks around it gone, ASCII letters in lower case. An
// internationalised domain stays as it is written. nullopt where it is no single address, or holds what
// cannot be seen.
std::optional<std::string> normal_email(std::string_view text);
// E.164 ("+27821234567") of a number with country code ("+27 (0)82 123-4567", "0027..."); nullopt where it is
// none.
std::optional<std::string> normal_phone(std::string_view text);

}  // namespace vestige::state
