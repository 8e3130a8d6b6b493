#include "access/api_keys.h"

#include <fmt/format.h>

#include <algorithm>

#include "access/internal/errors.h"
#include "access/internal/facts.h"
#include "access/internal/keys_file.h"
#include "access/internal/keys_store.h"
#include "access/internal/token.h"
#include "access/policy.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "crypto/digest.h"
#include "json/object_writer.h"

namespace vestige::access {
namespace {

constexpr std::string_view key_prefix = "vst_";

std::string joined_scopes(const Scopes& scopes) { return fmt::format("{}", fmt::join(scopes.names(), ",")); }

std::string joined_ranges(const std::vector<AddressRange>& ranges) {
  std::vector<std::string> texts;
  for (const auto& range : ranges) texts.push_back(range.text());
  return joined(texts);
}

std::unexpected<Error> too_many_keys() {
  return exhausted("there are too many API keys; revoke some that are not used",
                   fmt::format("keys_max = {}", limits::keys_max));
}

std::unexpected<Error> no_such_key(const Uuid& id) {
  return fail(ErrorKind::not_found, fmt::format("there is no API key {}", format_uuid(id)));
}

store::KeyRow row_of(const ApiKey& about, const Hash& digest) {
  return {.id = format_uuid(about.id),
          .tenant = about.tenant,
          .name = about.name,
          .service = about.service,
          .scopes = joined_scopes(about.scopes),
          .role = about.role.value_or(""),
          .digest = to_hex(digest),
          .created = about.created,
          .expires = about.expires.value_or(UnixMs{}),
          .ranges = joined_ranges(about.ranges),
          .maker = about.maker ? format_uuid(*about.maker) : std::string()};
}

bool is_text(std::string_view text) { return text.size() <= limits::key_name_bytes_max && is_utf8(text); }

}  // namespace

std::string_view role_of(const Scopes& scopes) { return scopes == Scopes::all() ? service_role : key_role; }

Principal ApiKey::principal() const {
  return {.kind = PrincipalKind::service,
          .id = id,
          .name = service.empty() ? name : service,
          .tenant = tenant,
          .roles = role ? std::vector<std::string>{*role} : std::vector<std::string>(),
          .method = Method::api_key,
          .maker = maker};
}

Result<std::unique_ptr<ApiKeys>> ApiKeys::open(state::Database& database, state::Outbox& outbox,
                                               platform::Clock& clock, platform::Entropy& entropy,
                                               platform::FileSystem& files, Options options) {
  std::unique_ptr<ApiKeys> keys(new ApiKeys(database, outbox, clock, entropy, std::move(options)));
  Lock lock(keys->writing_);
  VESTIGE_CHECKED(keys->import_file(files));
  VESTIGE_CHECKED(keys->load());
  return keys;
}

Status ApiKeys::import_file(platform::FileSystem& files) {
  const std::string path(keys_file_name), done(imported_keys_file_name);
  if (!files.exists(path)) return {};
  const auto put_back = [&] {
    return fail(
        ErrorKind::conflict,
        fmt::format("{} was taken over before, and keys were made or revoked since. Remove it: importing it "
                    "again would bring back keys that were revoked",
                    files.describe(path)));
  };
  if (files.exists(done)) return put_back();
  VESTIGE_TRY(const auto rows, read_keys_file(files));
  if (rows.size() > limits::keys_max) return too_many_keys();
  VESTIGE_CHECKED(database_.write([&](state::Transaction& transaction) -> Status {
    const auto present = store::all_keys(transaction);
    if (present.empty()) {
      for (const auto& row : rows) store::insert_key(transaction, row);
      return {};
    }
    // A start that was cut off before the file was renamed, else it is another file.
    const bool same = present.size() == rows.size() && std::ranges::all_of(rows, [&](const auto& row) {
                        return std::ranges::count(present, row.id, &store::KeyRow::id) == 1;
                      });
    return same ? Status{} : put_back();
  }));
  VESTIGE_CHECKED(files.rename(path, done));
  return files.sync_directory("");
}

Status ApiKeys::load() {
  VESTIGE_TRY(const auto rows,
              database_.read([](state::Transaction& transaction) -> Result<std::vector<store::KeyRow>> {
                return store::all_keys(transaction);
              }));
  Lock lock(mutex_);
  for (const auto& row : rows) {
    const auto damaged = [&] {
      return corrupt("access_api_keys", 0,
                     fmt::format("the API key {} in the database does not read", row.id));
    };
    const auto id = parse_uuid(row.id);
    const auto digest = from_hex(row.digest);
    if (!id || !digest || digest->size() != sizeof(Hash)) return damaged();
    Stored stored{.about = {.id = *id,
                            .name = row.name,
                            .tenant = row.tenant,
                            .created = row.created,
                            .service = row.service},
                  .digest = {}};
    for (const auto& name : split(row.scopes, ',')) {
      const auto scope = parse_scope(name);
      if (!scope) return damaged();
      stored.about.scopes.add(*scope);
    }
    for (const auto& text : split(row.ranges, ',')) {
      auto range = AddressRange::parse(text);
      if (!range) return damaged();
      stored.about.ranges.push_back(*std::move(range));
    }
    if (!row.role.empty()) stored.about.role = row.role;
    if (!row.maker.empty()) {
      stored.about.maker = parse_uuid(row.maker);
      if (!stored.about.maker) return damaged();
    }
    if (row.expires.value != 0) stored.about.expires = row.expires;
    if (row.used.value != 0) stored.about.used = stored.used_written = row.used;
    std::ranges::copy(*digest, stored.digest.begin());
    by_digest_.emplace(stored.digest, *id);
    keys_.emplace(*id, std::move(stored));
  }
  return {};
}

Result<ApiKeys::Created> ApiKeys::make(const Wanted& wanted) {
  const auto now = clock_.now();
  if (wanted.name.empty() || !is_text(wanted.name))
    return invalid_at("/name", fmt::format("a key's name has 1 to {} bytes", limits::key_name_bytes_max));
  if (!is_text(wanted.service))
    return invalid_at("/service",
                      fmt::format("a service's name has at most {} bytes", limits::key_name_bytes_max));
  const auto role = wanted.role.value_or(std::string(role_of(wanted.scopes)));
  const auto terms = options_.terms_of(wanted.tenant, role);
  if (wanted.role && !terms) return invalid_at("/role", "the policy has no role of this name");
  if (wanted.scopes.empty() && !wanted.role)
    return invalid_at("/scopes", "a key needs at least one of the scopes ingest, read, admin");
  if (!wanted.scopes.empty() && wanted.role)
    return invalid_at("/role", "a key has either scopes or a role, which says more exactly what it may");
  if (wanted.expires && *wanted.expires <= now) return invalid_at("/expiresAt", "this time is past");
  VESTIGE_CHECKED(
      check_end(role, terms.value_or(RoleTerms{}), wanted.expires, now, "/expiresAt", "give expiresAt"));
  if (wanted.ranges.size() > limits::key_ranges_max)
    return invalid_at("/ranges",
                      fmt::format("a key has at most {} ranges of addresses", limits::key_ranges_max),
                      fmt::format("key_ranges_max = {}", limits::key_ranges_max));
  Created created{.about = {.id = make_uuid_v7(now, entropy_.bytes<16>()),
                            .name = wanted.name,
                            .tenant = wanted.tenant,
                            .scopes = wanted.scopes,
                            .created = now,
                            .service = wanted.service,
                            .role = wanted.role,
                            .expires = wanted.expires},
                  .key = make_token(key_prefix, entropy_)};
  for (std::size_t i = 0; i < wanted.ranges.size(); ++i) {
    auto range = AddressRange::parse(wanted.ranges[i]);
    if (!range) return invalid_at(fmt::format("/ranges/{}", i), range.error().message);
    created.about.ranges.push_back(*std::move(range));
  }
  return created;
}

Status ApiKeys::record(state::Transaction& transaction, std::string_view action, const ApiKey& about,
                       const Principal* by) {
  const auto id = format_uuid(about.id);
  std::vector<Detail> detail{
      {.name = "keyId", .value = id},
      {.name = "name", .value = about.name},
      {.name = "scopes", .value = json::quoted_list(about.scopes.names()), .raw = true},
      {.name = "service", .value = about.service},
      {.name = "role", .value = about.role.value_or("")}};
  if (about.expires) detail.push_back({.name = "expiresAt", .value = format_time(*about.expires)});
  if (!about.ranges.empty()) {
    std::vector<std::string> texts;
    for (const auto& range : about.ranges) texts.push_back(range.text());
    detail.push_back({.name = "ranges", .value = json::quoted_list(texts), .raw = true});
  }
  // The first key of a server makes itself. No circumstances: a key is nobody's, so there is nobody under
  // whose key an address could be sealed.
  const auto added = outbox_.add(
      transaction, about.tenant, acts_stream,
      to_json({.kind = "system.key",
               .action = action,
               .time = clock_.now(),
               .source = by != nullptr ? Doer::of(*by) : Doer{.id = id, .type = "API_KEY", .name = {}},
               .target_id = id,
               .target_type = "API_KEY",
               .detail = std::move(detail)}));
  if (!added) return std::unexpected(added.error());
  return {};
}

// Whose second person a key can never be: the account that it leads back to, else the key that made it, or
// that one's maker. The server's own key is nobody's in particular, and decides about nothing.
std::optional<Uuid> ApiKeys::maker_of(const Principal& by) {
  if (by.kind == PrincipalKind::account) return by.id;
  if (by.maker) return by.maker;
  const bool servers_own = std::ranges::find(by.roles, service_role) != by.roles.end();
  return servers_own ? std::nullopt : std::optional(by.id);
}

Status ApiKeys::add(const Created& created, const Principal* by) {
  const auto digest = token_digest(created.key);
  auto about = created.about;
  if (by != nullptr) about.maker = maker_of(*by);
  Lock writing(writing_);
  VESTIGE_CHECKED(database_.write([&](state::Transaction& transaction) -> Status {
    if (store::count_keys(transaction, about.tenant) >= limits::keys_max) return too_many_keys();
    store::insert_key(transaction, row_of(about, digest));
    return record(transaction, "CREATED", about, by);
  }));
  Lock lock(mutex_);
  by_digest_.emplace(digest, about.id);
  keys_.emplace(about.id, Stored{.about = about, .digest = digest});
  return {};
}

Status ApiKeys::revoke(const Uuid& id, const Principal& by) {
  Lock writing(writing_);
  const auto about = find(id);
  if (!about || about->tenant != by.tenant) return no_such_key(id);
  VESTIGE_CHECKED(database_.write([&](state::Transaction& transaction) -> Status {
    store::delete_key(transaction, format_uuid(id));
    return record(transaction, "REVOKED", *about, &by);
  }));
  Lock lock(mutex_);
  const auto place = keys_.find(id);
  by_digest_.erase(place->second.digest);
  keys_.erase(place);
  return {};
}

bool ApiKeys::is_in_force(const Uuid& id) const {
  const auto key = find(id);
  return key && !(key->expires && *key->expires <= clock_.now());
}

std::optional<ApiKey> ApiKeys::find(const Uuid& id) const {
  Lock lock(mutex_);
  const auto place = keys_.find(id);
  return place == keys_.end() ? std::nullopt : std::optional(place->second.about);
}

std::vector<ApiKey> ApiKeys::list() const {
  std::vector<ApiKey> out;
  {
    Lock lock(mutex_);
    for (const auto& [id, stored] : keys_) out.push_back(stored.about);
  }
  std::ranges::sort(out, {}, [](const ApiKey& key) { return std::pair(key.created, key.id); });
  return out;
}

std::optional<ApiKey> ApiKeys::authenticate(std::string_view presented, const Client& client) {
  const auto digest = token_digest(presented);
  const auto now = clock_.now();
  Lock lock(mutex_);
  const auto refused = [&](std::string tenant, std::string key, std::string why) REQUIRES(mutex_) {
    ++refused_[{std::move(tenant), std::move(key), std::move(why)}];
    return std::nullopt;
  };
  // Where a digest stands in the index says nothing about a key of 256 random bits; the whole digest is
  // compared.
  const auto place = by_digest_.find(digest);
  if (place == by_digest_.end()) return refused(options_.home_tenant, "", "unknown_key");
  auto& about = keys_.at(place->second).about;
  if (about.expires && *about.expires <= now)
    return refused(about.tenant, format_uuid(about.id), "expired_key");
  const bool here =
      about.ranges.empty() || (client.address && std::ranges::any_of(about.ranges, [&](const auto& range) {
                                 return range.contains(*client.address);
                               }));
  if (!here) return refused(about.tenant, format_uuid(about.id), "key_used_from_elsewhere");
  about.used = now;
  return about;
}

Status ApiKeys::sweep() {
  VESTIGE_CHECKED(tell_refused());
  return write_used();
}

Status ApiKeys::write_used() {
  std::vector<std::pair<Uuid, UnixMs>> used;
  {
    Lock lock(mutex_);
    for (const auto& [id, stored] : keys_) {
      if (!stored.about.used || stored.about.used == stored.used_written) continue;
      const auto since = *stored.about.used - stored.used_written.value_or(UnixMs{});
      if (since < 0 || since >= limits::seen_written_every.count()) used.emplace_back(id, *stored.about.used);
    }
  }
  if (used.empty()) return {};
  VESTIGE_CHECKED(database_.write([&](state::Transaction& transaction) -> Status {
    for (const auto& [id, time] : used) store::set_used(transaction, format_uuid(id), time);
    return {};
  }));
  Lock lock(mutex_);
  for (const auto& [id, time] : used)
    if (const auto place = keys_.find(id); place != keys_.end()) place->second.used_written = time;
  return {};
}

Status ApiKeys::tell_refused() {
  std::map<Refused, std::uint64_t> sums;
  {
    Lock lock(mutex_);
    sums = refused_;
  }
  if (sums.empty()) return {};
  VESTIGE_CHECKED(database_.write([&](state::Transaction& transaction) -> Status {
    for (const auto& [refused, count] : sums) {
      const auto added = outbox_.add(
          transaction, refused.tenant, access_stream,
          to_json(
              {.kind = "access.security",
               .action = "COUNTED",
               .time = clock_.now(),
               .target_id = refused.key.empty() ? refused.tenant : refused.key,
               .target_type = refused.key.empty() ? "TENANT" : "API_KEY",
               .detail = {{.name = "event_type", .value = "failed_login"},
                          {.name = "severity", .value = refused.key.empty() ? "low" : "medium"},
                          {.name = "details", .value = fmt::format("{}: {} times", refused.why, count)}}}));
      if (!added) return std::unexpected(added.error());
    }
    return {};
  }));
  Lock lock(mutex_);
  for (const auto& [refused, count] : sums) {
    const auto place = refused_.find(refused);
    if ((place->second -= count) == 0) refused_.erase(place);
  }
  return {};
}

}  // namespace vestige::access
