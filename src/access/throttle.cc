#include "access/throttle.h"

#include "access/limits.h"

namespace vestige::access {
namespace {

// Of a text of any length, so that no two lists of texts have one form.
Hash digest_of(std::string_view text) { return crypto::sha256(view(text)); }

constexpr FailureTable::Rules pair_rules{limits::pair_failures_max, limits::first_lock, limits::lock_max,
                                         limits::account_failures_kept, limits::tracked_pairs_max};
constexpr FailureTable::Rules address_rules{limits::address_failures_max, limits::first_lock,
                                            limits::lock_max, limits::address_failures_kept,
                                            limits::tracked_addresses_max};
constexpr FailureTable::Rules account_rules{limits::account_failures_max, limits::first_account_lock,
                                            limits::lock_max, limits::account_failures_kept,
                                            limits::tracked_accounts_max};
// Names that nobody has behave like accounts, and cannot push an account's count out.
constexpr FailureTable::Rules unknown_rules{limits::account_failures_max, limits::first_account_lock,
                                            limits::lock_max, limits::account_failures_kept,
                                            limits::tracked_pairs_max};

}  // namespace

bool FailureTable::locked(const Hash& key, std::chrono::nanoseconds now) const {
  const auto place = places_.find(key);
  return place != places_.end() && now < place->second->locked_until;
}

std::optional<std::chrono::milliseconds> FailureTable::count(const Hash& key, std::chrono::nanoseconds now) {
  while (!entries_.empty() && entries_.front().last + rules_.kept <= now) forget(Hash(entries_.front().key));
  auto place = places_.find(key);
  if (place == places_.end()) {
    if (entries_.size() >= rules_.keys_max) forget(Hash(entries_.front().key));
    entries_.push_back({.key = key});
    place = places_.emplace(key, std::prev(entries_.end())).first;
  } else {
    entries_.splice(entries_.end(), entries_, place->second);
  }
  auto& entry = *place->second;
  ++entry.failures;
  entry.last = now;
  if (entry.failures < rules_.free) return std::nullopt;
  auto lock = rules_.first_lock;
  for (auto more = entry.failures - rules_.free; more > 0 && lock < rules_.lock_max; --more) lock *= 2;
  lock = std::min(lock, rules_.lock_max);
  entry.locked_until = now + lock;
  return lock;
}

void FailureTable::forget(const Hash& key) {
  const auto place = places_.find(key);
  if (place == places_.end()) return;
  entries_.erase(place->second);
  places_.erase(place);
}

Throttle::Throttle(platform::Clock& clock, const Key& secret)
    : clock_(clock),
      secret_(secret),
      pairs_(pair_rules),
      addresses_(address_rules),
      accounts_(account_rules),
      unknown_names_(unknown_rules) {}

Hash Throttle::account_key(const Attempt& attempt) const {
  return secret_.mac({view("account"), digest_of(attempt.tenant), digest_of(attempt.login_name)});
}

Hash Throttle::address_key(const Attempt& attempt) const {
  return secret_.mac({view("address"), attempt.address.value_or(Address{}).network().bytes});
}

Hash Throttle::pair_key(const Attempt& attempt) {
  const auto account = account_key(attempt);
  const auto unlocks = unlocks_.find(account);
  std::array<std::uint8_t, 8> round{};
  if (unlocks != unlocks_.end()) store_le(round.data(), unlocks->second);
  return secret_.mac({view("pair"), account, attempt.address.value_or(Address{}).network().bytes, round});
}

Throttle::Standing Throttle::standing(const Attempt& attempt) {
  Lock lock(mutex_);
  const auto now = clock_.monotonic();
  const auto& accounts = attempt.known_account ? accounts_ : unknown_names_;
  if (addresses_.locked(address_key(attempt), now)) return Standing::address_locked;
  const bool pair = pairs_.locked(pair_key(attempt), now);
  const bool account = accounts.locked(account_key(attempt), now);
  return pair || (account && !attempt.known_address) ? Standing::locked : Standing::free;
}

Throttle::Locked Throttle::count_failure(const Attempt& attempt) {
  Lock lock(mutex_);
  const auto now = clock_.monotonic();
  auto& accounts = attempt.known_account ? accounts_ : unknown_names_;
  return {.pair = pairs_.count(pair_key(attempt), now),
          .address = addresses_.count(address_key(attempt), now),
          .account = accounts.count(account_key(attempt), now)};
}

void Throttle::succeeded(const Attempt& attempt) {
  Lock lock(mutex_);
  pairs_.forget(pair_key(attempt));
}

void Throttle::unlock(std::string_view tenant, std::string_view login_name) {
  Lock lock(mutex_);
  const auto account =
      account_key({.tenant = std::string(tenant), .login_name = std::string(login_name), .address = {}});
  accounts_.forget(account);
  ++unlocks_[account];
}

}  // namespace vestige::access
