#include "access/sessions.h"

#include <fmt/format.h>

#include <algorithm>

#include "access/internal/errors.h"
#include "access/internal/facts.h"
#include "access/internal/session_memory.h"
#include "access/internal/sessions_store.h"
#include "access/internal/token.h"
#include "base/check.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "crypto/digest.h"

namespace vestige::access {
namespace {

constexpr std::string_view token_prefix = "vss_";
constexpr std::string_view sealed_as = "session.person";
constexpr std::string_view owner_purpose = "session.subject";
constexpr std::size_t ended_at_once_max = 1'000;  // in one transaction, so that logins do not wait long

constexpr std::pair<std::string_view, Method> methods[] = {
    {"password", Method::password}, {"mfa", Method::mfa}, {"sso", Method::sso}, {"link", Method::link}};

std::optional<Method> parse_method(std::string_view name) {
  for (const auto& [known, method] : methods)
    if (known == name) return method;
  return std::nullopt;
}

// What is personal of a session, for one sealed column.
std::string person_bytes(const Session& session) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.sized(session.name);
  writer.sized(session.subject.value_or(""));
  writer.sized(session.client.address ? format_address(*session.client.address) : "");
  writer.sized(session.client.user_agent);
  return std::string(text(bytes));
}

bool read_person(std::string_view bytes, Session& session) {
  ByteReader reader(view(bytes));
  session.name = reader.sized_text();
  if (const auto subject = reader.sized_text(); !subject.empty()) session.subject = subject;
  session.client.address = parse_address(reader.sized_text());
  session.client.user_agent = reader.sized_text();
  return reader.at_end();
}

// Whose session a fact is about, as records know people.
std::string person_of(const Session& session) {
  return session.subject ? *session.subject : format_uuid(session.account);
}

std::unexpected<Error> no_such_session(const Uuid& id) {
  return fail(ErrorKind::not_found, fmt::format("there is no session {}", format_uuid(id)));
}

}  // namespace

Principal Session::principal() const {
  return {.kind = kind,
          .id = kind == PrincipalKind::customer ? id : account,
          .name = name,
          .tenant = tenant,
          .roles = restricted ? std::vector<std::string>() : roles,
          .subject = subject,
          .method = method,
          .session = id};
}

// Everything but the database and the lock that write() takes.
struct Sessions::Memory {
  state::Outbox& outbox;
  state::Fields& fields;
  platform::Clock& clock;
  platform::Entropy& entropy;
  crypto::HmacKey csrf_key;
  SessionOptions options;
  mutable Mutex mutex;
  SessionIndex index GUARDED_BY(mutex);

  bool is_over(const StoredSession& stored) const;
  UnixMs end_of(const Session& session) const;
  Status record(state::Transaction& transaction, std::string_view action, const Session& session,
                const Doer& by, const Client* client, std::vector<Detail> detail);
  Status end(state::Transaction& transaction, Changes& changes, const Session& session, const Doer& by,
             const Client* client, std::string_view how);
  Result<StoredSession> read(const store::SessionRow& row) const;
  // Ends the sessions that `concerns` says yes to; gives how many.
  template <typename Concerns>
  Result<std::size_t> end_each(state::Transaction& transaction, Changes& changes, std::string_view how,
                               const Concerns& concerns);
  // With `over`, those that are over and not swept yet too: a clock that is set back must not bring them
  // back.
  std::vector<Session> list(const std::string& owner, bool over) const;
};

// Each clock for itself: a wall clock that is set back keeps nobody in.
bool Sessions::Memory::is_over(const StoredSession& stored) const {
  const auto now = clock.now();
  const auto at = clock.monotonic();
  return now - stored.session.created >= options.absolute.count() ||
         now - stored.session.seen >= options.idle.count() || at - stored.created_at >= options.absolute ||
         at - stored.seen_at >= options.idle || (stored.session.until && stored.session.until->passed(clock));
}

UnixMs Sessions::expires(const Session& session) const { return memory_->end_of(session); }

UnixMs Sessions::Memory::end_of(const Session& session) const {
  const auto end = std::min(session.created + options.absolute.count(), session.seen + options.idle.count());
  return session.until ? std::min(end, session.until->at) : end;
}

Status Sessions::Memory::record(state::Transaction& transaction, std::string_view action,
                                const Session& session, const Doer& by, const Client* client,
                                std::vector<Detail> detail) {
  // Where somebody else ends it, the record of the session still says whose it was.
  if (const auto person = person_of(session); by.id != person)
    detail.push_back({.name = "user_id", .value = person});
  const auto added = outbox.add(transaction, session.tenant, access_stream,
                                to_json({.kind = "access.session",
                                         .action = action,
                                         .time = clock.now(),
                                         .source = by,
                                         .target_id = format_uuid(session.id),
                                         .target_type = "SESSION",
                                         .subject = person_of(session),
                                         .client = client,
                                         .detail = std::move(detail)}));
  if (!added) return std::unexpected(added.error());
  return {};
}

Status Sessions::Memory::end(state::Transaction& transaction, Changes& changes, const Session& session,
                             const Doer& by, const Client* client, std::string_view how) {
  std::vector<Detail> detail;
  if (how == "expire")
    detail.push_back(
        {.name = "logout_timestamp", .value = format_time(std::min(end_of(session), clock.now()))});
  detail.push_back(
      {.name = "activity",
       .value = fmt::format(R"({{"action":"{}","outcome":"success","resource":"session"}})", how),
       .raw = true});
  store::delete_session(transaction, format_uuid(session.id));
  changes.ended.push_back(session.id);
  return record(transaction, "LOGGED_OUT", session, by, client, std::move(detail));
}

Result<StoredSession> Sessions::Memory::read(const store::SessionRow& row) const {
  const auto damaged = [&] {
    return corrupt("access_sessions", 0, fmt::format("the session {} in the database does not read", row.id));
  };
  const auto id = parse_uuid(row.id);
  const auto digest = from_hex(row.digest);
  const auto method = parse_method(row.method);
  const bool customer = row.kind == "customer";
  const auto account = customer ? Uuid{} : parse_uuid(row.owner).value_or(Uuid{});
  if (!id || !digest || digest->size() != sizeof(Hash) || !method) return damaged();
  VESTIGE_TRY(const auto person, fields.open(sealed_as, row.id, row.sealed_person));
  StoredSession stored{.session = {.id = *id,
                                   .tenant = row.tenant,
                                   .kind = customer ? PrincipalKind::customer : PrincipalKind::account,
                                   .account = account,
                                   .name = {},
                                   .roles = split(row.roles, ','),
                                   .method = *method,
                                   .restricted = row.restricted,
                                   .created = row.created,
                                   .seen = row.seen},
                       .seen_written = row.seen};
  std::ranges::copy(*digest, stored.digest.begin());
  if (!read_person(person, stored.session) || customer != stored.session.subject.has_value())
    return damaged();
  const auto since = [&](UnixMs time) {
    return clock.monotonic() - std::chrono::milliseconds(std::max<std::int64_t>(0, clock.now() - time));
  };
  stored.created_at = since(row.created);
  stored.seen_at = since(row.seen);
  if (row.until.value != 0) stored.session.until = Deadline::of(row.until, clock);
  return stored;
}

std::vector<Session> Sessions::Memory::list(const std::string& owner, bool over) const {
  std::vector<Session> found;
  Lock lock(mutex);
  for (const auto* stored : index.of(owner))
    if (over || !is_over(*stored)) found.push_back(stored->session);
  std::ranges::sort(found, [](const Session& a, const Session& b) {
    return std::pair(a.created, a.id) > std::pair(b.created, b.id);
  });
  return found;
}

Sessions::Sessions(state::Database& database, state::Outbox& outbox, state::Fields& fields,
                   platform::Clock& clock, platform::Entropy& entropy, const Key& csrf_key,
                   SessionOptions options)
    : database_(database),
      memory_(new Memory{outbox, fields, clock, entropy, crypto::HmacKey(csrf_key), options, {}, {}}) {}

Sessions::~Sessions() = default;

void Sessions::ChangesDeleter::operator()(Changes* changes) const { delete changes; }

std::unique_ptr<Sessions::Changes, Sessions::ChangesDeleter> Sessions::make_changes() const {
  return std::unique_ptr<Changes, ChangesDeleter>(new Changes);
}

void Sessions::apply(Changes& changes) {
  Lock lock(memory_->mutex);
  for (const auto& id : changes.ended) memory_->index.erase(id);
  for (const auto& renewed : changes.renewed) memory_->index.renew(renewed);
  for (const auto& [id, until] : changes.capped)
    if (auto* stored = memory_->index.find(id); stored != nullptr) stored->session.until = until;
  for (auto& stored : changes.opened) memory_->index.insert(std::move(stored));
}

Result<std::unique_ptr<Sessions>> Sessions::open(state::Database& database, state::Outbox& outbox,
                                                 state::Fields& fields, platform::Clock& clock,
                                                 platform::Entropy& entropy, const Key& csrf_key,
                                                 SessionOptions options) {
  std::unique_ptr<Sessions> sessions(
      new Sessions(database, outbox, fields, clock, entropy, csrf_key, options));
  VESTIGE_TRY(const auto rows,
              database.read([](state::Transaction& transaction) -> Result<std::vector<store::SessionRow>> {
                return store::all_sessions(transaction);
              }));
  auto& memory = *sessions->memory_;
  Lock lock(memory.mutex);
  for (const auto& row : rows) {
    VESTIGE_TRY(auto stored, memory.read(row));
    if (memory.index.find(stored.session.id) != nullptr || memory.index.find(stored.digest) != nullptr)
      return corrupt("access_sessions", 0, fmt::format("the session {} is in the database twice", row.id));
    memory.index.insert(std::move(stored));
  }
  return sessions;
}

Result<Sessions::Opened> Sessions::open_session(const NewSession& wanted, const Client& client) {
  return write([&](state::Transaction& transaction, Changes& changes) {
    return start(transaction, changes, wanted, client);
  });
}

Result<Sessions::Opened> Sessions::start(state::Transaction& transaction, Changes& changes,
                                         const NewSession& wanted, const Client& client) {
  CHECK(wanted.kind != PrincipalKind::service);
  CHECK((wanted.kind == PrincipalKind::customer) == wanted.subject.has_value());
  auto& memory = *memory_;
  const auto now = memory.clock.now();
  const auto at = memory.clock.monotonic();
  Session session{.id = make_uuid_v7(now, memory.entropy.bytes<16>()),
                  .tenant = wanted.tenant,
                  .kind = wanted.kind,
                  .account = wanted.account,
                  .subject = wanted.subject,
                  .name = wanted.name,
                  .roles = wanted.roles,
                  .method = wanted.method,
                  .restricted = wanted.restricted,
                  .created = now,
                  .seen = now,
                  .client = client,
                  .until = wanted.until};
  std::optional<Session> displaced;
  {
    Lock lock(memory.mutex);
    if (memory.index.count_of(session.tenant) >= memory.options.per_tenant_max)
      return exhausted("too many people are signed in; try again later",
                       fmt::format("sessions_max = {}", memory.options.per_tenant_max));
    const auto own = memory.index.of(owner_key(session));
    if (own.size() >= limits::sessions_per_owner_max)
      displaced =
          (*std::ranges::min_element(own, {}, [](const auto* stored) { return stored->seen_at; }))->session;
  }
  if (displaced)
    VESTIGE_CHECKED(memory.end(transaction, changes, *displaced, Doer::system(), nullptr, "displace"));
  auto token = make_token(token_prefix, memory.entropy);
  const auto digest = token_digest(token);
  const auto id = format_uuid(session.id);
  const bool customer = session.kind == PrincipalKind::customer;
  store::insert_session(
      transaction,
      {.id = id,
       .digest = to_hex(digest),
       .tenant = session.tenant,
       .kind = customer ? "customer" : "account",
       .owner = customer ? memory.fields.blind_index(owner_purpose, session.tenant + "\n" + *session.subject)
                         : format_uuid(session.account),
       .roles = joined(session.roles),
       .method = std::string(name_of(session.method)),
       .restricted = session.restricted,
       .created = now,
       .seen = now,
       .until = session.until ? session.until->at : UnixMs{},
       .sealed_person = memory.fields.seal(sealed_as, id, person_bytes(session))});
  VESTIGE_CHECKED(memory.record(transaction, "LOGGED_IN", session, Doer::of(session.principal()), &client,
                                {{.name = "login_method", .value = std::string(name_of(session.method))}}));
  changes.opened.push_back(
      {.session = session, .digest = digest, .created_at = at, .seen_at = at, .seen_written = now});
  auto csrf = csrf_token(token);
  return Opened{std::move(token), std::move(csrf), std::move(session)};
}

Result<Sessions::Opened> Sessions::renew(state::Transaction& transaction, Changes& changes, const Uuid& id,
                                         std::vector<std::string> roles, bool restricted) {
  auto& memory = *memory_;
  std::optional<Session> session;
  {
    Lock lock(memory.mutex);
    const auto* stored = memory.index.find(id);
    if (stored != nullptr && !memory.is_over(*stored)) session = stored->session;
  }
  if (!session) return no_such_session(id);
  auto token = make_token(token_prefix, memory.entropy);
  const auto digest = token_digest(token);
  store::renew_session(transaction, format_uuid(id), to_hex(digest), joined(roles), restricted);
  session->roles = roles;
  session->restricted = restricted;
  changes.renewed.push_back(
      {.id = id, .digest = digest, .roles = std::move(roles), .restricted = restricted});
  auto csrf = csrf_token(token);
  return Opened{std::move(token), std::move(csrf), *std::move(session)};
}

std::optional<Session> Sessions::authenticate(std::string_view token) {
  auto& memory = *memory_;
  const auto digest = token_digest(token);
  Lock lock(memory.mutex);
  auto* const stored = memory.index.find(digest);
  if (stored == nullptr || memory.is_over(*stored)) return std::nullopt;
  stored->session.seen = memory.clock.now();
  stored->seen_at = memory.clock.monotonic();
  return stored->session;
}

std::string Sessions::csrf_token(std::string_view token) const {
  return to_base64url(memory_->csrf_key.mac({view("csrf "), view(token)}));
}

bool Sessions::csrf_matches(std::string_view token, std::string_view presented) const {
  return crypto::constant_time_equal(view(csrf_token(token)), view(presented));
}

std::vector<Session> Sessions::list_of(std::string_view tenant, const Uuid& account) const {
  return memory_->list(owner_key(tenant, account), false);
}
std::vector<Session> Sessions::list_of(std::string_view tenant, std::string_view subject) const {
  return memory_->list(owner_key(tenant, subject), false);
}

std::optional<Session> Sessions::find(std::string_view tenant, const Uuid& id) const {
  Lock lock(memory_->mutex);
  const auto* stored = memory_->index.find(id);
  if (stored == nullptr || stored->session.tenant != tenant || memory_->is_over(*stored)) return std::nullopt;
  return stored->session;
}

Status Sessions::log_out(std::string_view token, const Client& client) {
  const auto digest = token_digest(token);
  return write([&](state::Transaction& transaction, Changes& changes) -> Status {
    std::optional<Session> session;
    {
      Lock lock(memory_->mutex);
      if (const auto* stored = memory_->index.find(digest); stored != nullptr) session = stored->session;
    }
    if (!session) return {};
    return memory_->end(transaction, changes, *session, Doer::of(session->principal()), &client, "logout");
  });
}

Status Sessions::revoke(const Principal& by, const Client& client, const Uuid& id) {
  return write([&](state::Transaction& transaction, Changes& changes) -> Status {
    std::optional<Session> session;
    {
      Lock lock(memory_->mutex);
      if (const auto* stored = memory_->index.find(id);
          stored != nullptr && stored->session.tenant == by.tenant)
        session = stored->session;
    }
    if (!session) return no_such_session(id);
    return memory_->end(transaction, changes, *session, Doer::of(by), &client, "revoke");
  });
}

void Sessions::cap(state::Transaction& transaction, Changes& changes, std::string_view tenant,
                   const Uuid& account, const std::optional<Deadline>& until) {
  // What is over stays so, also where the account goes on.
  for (const auto& session : memory_->list(owner_key(tenant, account), false)) {
    store::set_until(transaction, format_uuid(session.id), until ? until->at : UnixMs{});
    changes.capped.push_back({session.id, until});
  }
}

Status Sessions::end_with_account(state::Transaction& transaction, Changes& changes, std::string_view tenant,
                                  const Uuid& account) {
  for (const auto& session : memory_->list(owner_key(tenant, account), true))
    VESTIGE_CHECKED(memory_->end(transaction, changes, session, Doer::system(), nullptr, "expire"));
  return {};
}

Result<std::size_t> Sessions::end_all(state::Transaction& transaction, Changes& changes,
                                      std::string_view tenant, const Uuid& account,
                                      const std::optional<Uuid>& except, const Principal& by,
                                      const Client& client) {
  std::size_t ended = 0;
  for (const auto& session : memory_->list(owner_key(tenant, account), true)) {
    if (session.id == except) continue;
    VESTIGE_CHECKED(memory_->end(transaction, changes, session, Doer::of(by), &client, "revoke"));
    ++ended;
  }
  return ended;
}

Result<std::size_t> Sessions::revoke_all(const Principal& by, const Client& client, const Uuid& account) {
  return write([&](state::Transaction& transaction, Changes& changes) {
    return end_all(transaction, changes, by.tenant, account, std::nullopt, by, client);
  });
}

Result<std::size_t> Sessions::revoke_subject(std::string_view tenant, std::string_view subject) {
  return write([&](state::Transaction& transaction, Changes& changes) -> Result<std::size_t> {
    const auto sessions = memory_->list(owner_key(tenant, subject), true);
    for (const auto& session : sessions)
      VESTIGE_CHECKED(memory_->end(transaction, changes, session, Doer::system(), nullptr, "revoke"));
    return sessions.size();
  });
}

// At most ended_at_once_max of them.
template <typename Concerns>
Result<std::size_t> Sessions::Memory::end_each(state::Transaction& transaction, Changes& changes,
                                               std::string_view how, const Concerns& concerns) {
  std::vector<Session> found;
  {
    Lock lock(mutex);
    index.for_each([&](const StoredSession& stored) {
      if (found.size() < ended_at_once_max && concerns(stored)) found.push_back(stored.session);
    });
  }
  for (const auto& session : found)
    VESTIGE_CHECKED(end(transaction, changes, session, Doer::system(), nullptr, how));
  return found.size();
}

Result<std::size_t> Sessions::revoke_tenant(std::string_view tenant) {
  std::size_t all = 0;
  for (std::size_t ended = ended_at_once_max; ended == ended_at_once_max; all += ended) {
    VESTIGE_TRY(ended, write([&](state::Transaction& transaction, Changes& changes) {
                  return memory_->end_each(transaction, changes, "revoke", [&](const StoredSession& stored) {
                    return stored.session.tenant == tenant;
                  });
                }));
  }
  return all;
}

Status Sessions::sweep() {
  for (std::size_t ended = ended_at_once_max; ended == ended_at_once_max;) {
    VESTIGE_TRY(ended, write([&](state::Transaction& transaction, Changes& changes) {
                  return memory_->end_each(transaction, changes, "expire", [&](const StoredSession& stored) {
                    return memory_->is_over(stored);
                  });
                }));
  }
  std::vector<std::pair<Uuid, UnixMs>> seen;
  {
    Lock lock(memory_->mutex);
    memory_->index.for_each([&](StoredSession& stored) {
      const auto since = stored.session.seen - stored.seen_written;
      if (since == 0 || (since > 0 && since < limits::seen_written_every.count())) return;
      seen.emplace_back(stored.session.id, stored.session.seen);
    });
  }
  if (seen.empty()) return {};
  VESTIGE_CHECKED(database_.write([&](state::Transaction& transaction) -> Status {
    for (const auto& [id, time] : seen) store::set_seen(transaction, format_uuid(id), time);
    return {};
  }));
  Lock lock(memory_->mutex);
  for (const auto& [id, time] : seen)
    if (auto* stored = memory_->index.find(id); stored != nullptr) stored->seen_written = time;
  return {};
}

std::size_t Sessions::size() const {
  Lock lock(memory_->mutex);
  return memory_->index.size();
}

}  // namespace vestige::access
