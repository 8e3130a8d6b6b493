// Who is signed in. A session is an opaque token (docs/decisions/0084): the browser has it in a cookie, here
// is only its SHA-256. All sessions are in memory, which alone is asked when a request comes; the database
// follows before a change is acknowledged, so that what was revoked stays revoked through a crash.
//
// Owner: app. Thread-safe. Durable when a call that changes something returns success, except that "last
// seen" is written by sweep(), about once a minute.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/client.h"
#include "access/deadline.h"
#include "access/limits.h"
#include "access/principal.h"
#include "base/bytes.h"
#include "base/mutex.h"
#include "base/strong.h"
#include "platform/clock.h"
#include "platform/entropy.h"
#include "state/database.h"
#include "state/fields.h"
#include "state/outbox.h"

namespace vestige::access {

struct Session {
  Uuid id{};  // public: in the record and in lists
  std::string tenant;
  PrincipalKind kind = PrincipalKind::account;  // or customer
  Uuid account{};                               // of an account
  std::optional<std::string> subject{};         // of a customer
  std::string name;
  std::vector<std::string> roles;
  Method method = Method::password;
  bool restricted = false;  // the password has to be changed first: roles count for nothing until then
  UnixMs created{};
  UnixMs seen{};
  Client client{};                  // as it logged in
  std::optional<Deadline> until{};  // the end of its account, which it does not outlive

  Principal principal() const;
};

struct SessionOptions {
  std::chrono::milliseconds idle = limits::idle_default;
  std::chrono::milliseconds absolute = limits::absolute_default;
  std::size_t per_tenant_max = limits::sessions_max;
};

class Sessions {
 public:
  // `csrf_key` is the vault's purpose key "csrf".
  static Result<std::unique_ptr<Sessions>> open(state::Database& database, state::Outbox& outbox,
                                                state::Fields& fields, platform::Clock& clock,
                                                platform::Entropy& entropy, const Key& csrf_key,
                                                SessionOptions options = {});
  ~Sessions();

  // For the cookie, shown once; and what unsafe requests have to bring beside it.
  struct Opened {
    std::string token;
    std::string csrf;
    Session session;
  };
  struct NewSession {
    std::string tenant;
    PrincipalKind kind = PrincipalKind::account;
    Uuid account{};
    std::optional<std::string> subject{};
    std::string name;
    std::vector<std::string> roles;
    Method method = Method::password;
    bool restricted = false;
    std::optional<Deadline> until{};
  };
  // Signs somebody in whom another part of this module knows; on record as LOGGED_IN.
  Result<Opened> open_session(const NewSession& wanted, const Client& client);

  // The session of a token that is neither revoked nor expired; this counts as being seen. No SQL.
  std::optional<Session> authenticate(std::string_view token);
  // What a page of this session sends with every request that changes something (anything but GET and HEAD)
  // and was authenticated by a cookie. Compared in constant time.
  std::string csrf_token(std::string_view token) const;
  bool csrf_matches(std::string_view token, std::string_view presented) const;

  // Of an account or, with `subject`, a customer; newest first.
  std::vector<Session> list_of(std::string_view tenant, const Uuid& account) const;
  std::vector<Session> list_of(std::string_view tenant, std::string_view subject) const;
  std::optional<Session> find(std::string_view tenant, const Uuid& id) const;
  // When it ends, unless it is seen before.
  UnixMs expires(const Session& session) const;

  // Ends the session of this token; success where there is none.
  Status log_out(std::string_view token, const Client& client);
  // not_found where the caller's tenant has none such. Whether the caller may is decided by the policy.
  Status revoke(const Principal& by, const Client& client, const Uuid& id);
  // Gives how many ended.
  Result<std::size_t> revoke_all(const Principal& by, const Client& client, const Uuid& account);
  // When a person is erased: by the server itself.
  Result<std::size_t> revoke_subject(std::string_view tenant, std::string_view subject);
  // When a tenant is suspended: by the server itself, in several transactions where it has many.
  Result<std::size_t> revoke_tenant(std::string_view tenant);

  // To be called about once a minute, on a thread that may wait: ends what expired, writes when the others
  // were seen.
  Status sweep();
  std::size_t size() const;

  // --- for the other parts of this module, within a transaction of theirs ---

  // What a transaction does to sessions. Memory follows once it is durable, in the order of the transactions.
  struct Changes;
  // Runs work(Transaction&, Changes&) in a transaction of the database.
  template <typename Work>
  auto write(Work&& work) EXCLUDES(writing_) {
    Lock lock(writing_);
    const auto changes = make_changes();
    auto outcome =
        database_.write([&](state::Transaction& transaction) { return work(transaction, *changes); });
    if (outcome) apply(*changes);
    return outcome;
  }
  Result<Opened> start(state::Transaction& transaction, Changes& changes, const NewSession& wanted,
                       const Client& client);
  // Another token for the same session, where what it may do changed; the old one opens nothing any more.
  Result<Opened> renew(state::Transaction& transaction, Changes& changes, const Uuid& id,
                       std::vector<std::string> roles, bool restricted);
  // The end of an account was set or taken away, and that of its sessions with it.
  void cap(state::Transaction& transaction, Changes& changes, std::string_view tenant, const Uuid& account,
           const std::optional<Deadline>& until);
  // Ends all sessions of an account that ended itself: by the server.
  Status end_with_account(state::Transaction& transaction, Changes& changes, std::string_view tenant,
                          const Uuid& account);
  // Ends all sessions of an account but one; each is on record. Gives how many.
  Result<std::size_t> end_all(state::Transaction& transaction, Changes& changes, std::string_view tenant,
                              const Uuid& account, const std::optional<Uuid>& except, const Principal& by,
                              const Client& client);

 private:
  struct Memory;
  struct ChangesDeleter {
    void operator()(Changes* changes) const;
  };
  Sessions(state::Database& database, state::Outbox& outbox, state::Fields& fields, platform::Clock& clock,
           platform::Entropy& entropy, const Key& csrf_key, SessionOptions options);
  std::unique_ptr<Changes, ChangesDeleter> make_changes() const;
  void apply(Changes& changes);

  state::Database& database_;
  Mutex writing_;  // held from before a transaction until memory has followed it
  std::unique_ptr<Memory> memory_;
};

}  // namespace vestige::access
