// How often somebody may be wrong. Failures are counted for an address, for an account, and for an account
// from an address; from a number on each further one locks for twice as long as the one before
// (docs/decisions/0085).
#pragma once

#include <chrono>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "access/client.h"
#include "base/bytes.h"
#include "base/mutex.h"
#include "crypto/digest.h"
#include "platform/clock.h"

namespace vestige::access {

// Counts failures by key, in bounded memory: where it is full, what failed longest ago is forgotten. Not
// thread-safe.
class FailureTable {
 public:
  struct Rules {
    std::uint32_t free =
        0;  // failures that lock nothing, less one: the one with this number is the first that locks
    std::chrono::milliseconds first_lock{};
    std::chrono::milliseconds lock_max{};
    std::chrono::milliseconds kept{};  // after the last failure, and longer than lock_max
    std::size_t keys_max = 0;
  };
  // Of keys that are hashes under a secret already.
  struct ByPrefix {
    std::size_t operator()(const Hash& key) const { return load_le<std::size_t>(key.data()); }
  };
  explicit FailureTable(const Rules& rules) : rules_(rules) {}

  bool locked(const Hash& key, std::chrono::nanoseconds now) const;
  // Counts one. Gives for how long the key is locked from now on, where it is.
  std::optional<std::chrono::milliseconds> count(const Hash& key, std::chrono::nanoseconds now);
  void forget(const Hash& key);
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Hash key{};
    std::uint32_t failures = 0;
    std::chrono::nanoseconds last{};
    std::chrono::nanoseconds locked_until{};
  };
  Rules rules_;
  std::list<Entry> entries_;  // the one that failed longest ago first
  std::unordered_map<Hash, std::list<Entry>::iterator, ByPrefix> places_;
};

// The three tables. Keys are hashed with a secret of this process, so that nobody can choose where one lands.
// Thread-safe. In memory: a restart forgets, save for the locks of accounts, which their rows keep.
class Throttle {
 public:
  Throttle(platform::Clock& clock, const Key& secret);

  struct Attempt {
    std::string tenant;
    std::string login_name;  // normal form, or whatever was typed
    std::optional<Address> address;
    bool known_account = false;
    bool known_address = false;  // the account logged in from there before
  };
  // address_locked is about the network alone, whatever the account: it may be told so, before any work is
  // done for it.
  enum class Standing { free, locked, address_locked };
  Standing standing(const Attempt& attempt);
  struct Locked {
    std::optional<std::chrono::milliseconds> pair, address, account;
    bool any() const { return pair || address || account; }
  };
  Locked count_failure(const Attempt& attempt);
  // The right password: what the account failed from there before is forgotten, what failed elsewhere is not.
  void succeeded(const Attempt& attempt);
  // An administrator's word: everything about the account is forgotten.
  void unlock(std::string_view tenant, std::string_view login_name);

 private:
  Hash account_key(const Attempt& attempt) const;
  Hash address_key(const Attempt& attempt) const;
  Hash pair_key(const Attempt& attempt) REQUIRES(mutex_);

  platform::Clock& clock_;
  crypto::HmacKey secret_;
  Mutex mutex_;
  FailureTable pairs_ GUARDED_BY(mutex_);
  FailureTable addresses_ GUARDED_BY(mutex_);
  FailureTable accounts_ GUARDED_BY(mutex_);
  FailureTable unknown_names_ GUARDED_BY(mutex_);
  // An account's pairs start anew when this rises, without being searched for.
  std::unordered_map<Hash, std::uint64_t, FailureTable::ByPrefix> unlocks_ GUARDED_BY(mutex_);
};

}  // namespace vestige::access
