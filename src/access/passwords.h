// Passwords: which are taken, and how they are kept (argon2id, docs/decisions/0083).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/mutex.h"
#include "base/result.h"
#include "platform/entropy.h"

namespace vestige::access {

// Why a password is not taken: too short or long, no UTF-8, one of the commonest, or made of the person's own
// names. invalid, with path "/password"; the message does not repeat it.
Status check_password(std::string_view password, std::string_view login_name, std::string_view email);

struct HashCost {
  std::uint32_t memory_kib = 19 * 1024;
  std::uint32_t passes = 2;
  bool operator==(const HashCost&) const = default;
};

// Hashes and compares, at most limits::hashes_at_once_max at a time, since each takes its memory; whoever
// comes then gets unavailable. Thread-safe.
class PasswordHasher {
 public:
  explicit PasswordHasher(platform::Entropy& entropy, HashCost cost = {});

  // The encoded form: $argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>
  Result<std::string> hash(std::string_view password);
  // Whether `encoded` is of this password. Without one it takes the same time and is false, so that an
  // account that does not exist, or has no password, answers like a wrong password.
  Result<bool> matches(const std::optional<std::string>& encoded, std::string_view password);
  // Whether what was hashed with other costs should be hashed anew.
  bool is_outdated(std::string_view encoded) const;
  // How many hashes were computed. A login takes as long as these take, so one that is refused computes one,
  // whatever is wrong with it.
  std::uint64_t computed() const;

 private:
  class Turn;
  HashCost cost_;
  platform::Entropy& entropy_;
  std::string stand_in_;  // a well-formed hash that no password gives
  mutable Mutex mutex_;
  std::size_t running_ GUARDED_BY(mutex_) = 0;
  std::uint64_t computed_ GUARDED_BY(mutex_) = 0;
};

}  // namespace vestige::access
