#include <fmt/format.h>
#include <soci/soci.h>

#include "base/check.h"
#include "base/encoding.h"
#include "crypto/digest.h"
#include "state/internal/migrations.h"

namespace vestige::state {
namespace {

constexpr Migration own[] = {
    {"state", 1,
     "CREATE TABLE state_sequences (\n"
     "  name TEXT PRIMARY KEY,\n"
     "  last_number BIGINT NOT NULL);\n"
     "CREATE TABLE state_leases (\n"
     "  name TEXT PRIMARY KEY,\n"
     "  holder TEXT NOT NULL,\n"
     "  expires_at BIGINT NOT NULL);\n"
     "CREATE TABLE state_keys (\n"
     "  name TEXT PRIMARY KEY,\n"
     "  sealed TEXT NOT NULL);\n"
     "CREATE TABLE outbox_streams (\n"
     "  tenant TEXT NOT NULL,\n"
     "  stream TEXT NOT NULL,\n"
     "  waiting BIGINT NOT NULL,\n"
     "  PRIMARY KEY (tenant, stream));\n"
     "CREATE TABLE outbox (\n"
     "  position BIGINT PRIMARY KEY,\n"
     "  id TEXT NOT NULL UNIQUE,\n"
     "  tenant TEXT NOT NULL,\n"
     "  stream TEXT NOT NULL,\n"
     "  added_at BIGINT NOT NULL,\n"
     "  event TEXT NOT NULL);\n"
     "CREATE INDEX outbox_by_stream ON outbox (tenant, stream, position);\n"
     "CREATE TABLE outbox_refused (\n"
     "  position BIGINT PRIMARY KEY,\n"
     "  id TEXT NOT NULL UNIQUE,\n"
     "  tenant TEXT NOT NULL,\n"
     "  stream TEXT NOT NULL,\n"
     "  added_at BIGINT NOT NULL,\n"
     "  refused_at BIGINT NOT NULL,\n"
     "  reason TEXT NOT NULL,\n"
     "  event TEXT NOT NULL);\n"},
};

std::string digest_of(const Migration& step) { return to_hex(crypto::sha256(view(step.sql))); }

// Drivers prepare one statement at a time.
std::vector<std::string> statements_of(std::string_view sql) {
  std::vector<std::string> statements;
  for (std::size_t end; (end = sql.find(";\n")) != std::string_view::npos; sql.remove_prefix(end + 2))
    statements.emplace_back(sql.substr(0, end));
  CHECK(sql.find_first_not_of(" \n") == std::string_view::npos);  // the last statement ends with ";\n" too
  return statements;
}

std::optional<std::string> applied_digest(soci::session& sql, const Migration& step) {
  const std::string module(step.module);
  const auto number = static_cast<long long>(step.number);
  std::string digest;
  soci::indicator found = soci::i_null;
  sql << "SELECT sha256 FROM state_migrations WHERE module = :module AND number = :number", soci::use(module),
      soci::use(number), soci::into(digest, found);
  return sql.got_data() && found == soci::i_ok ? std::optional(digest) : std::nullopt;
}

// In a write, so that of two programs one applies the step and the other finds it applied.
Status apply(Transaction& transaction, const Migration& step, UnixMs now, const std::string& file) {
  auto& sql = transaction.sql();
  const auto digest = digest_of(step);
  if (const auto applied = applied_digest(sql, step)) {
    if (*applied == digest) return {};
    return fail(
        ErrorKind::conflict,
        fmt::format("The state database {} was built by another version of step {} of \"{}\" than this "
                    "program has. Run the version of Vestige that built it; an official release never "
                    "changes a step.",
                    file, step.number, step.module));
  }
  for (const auto& statement : statements_of(step.sql)) sql << statement;
  const std::string module(step.module);
  const auto number = static_cast<long long>(step.number);
  const auto at = static_cast<long long>(now.value);
  sql << "INSERT INTO state_migrations (module, number, sha256, applied_at) "
         "VALUES (:module, :number, :sha256, :at)",
      soci::use(module), soci::use(number), soci::use(digest), soci::use(at);
  return {};
}

Status refuse_unknown(Transaction& transaction, std::span<const Migration> known, const std::string& file) {
  std::string module;
  long long number = 0;
  soci::statement rows = (transaction.sql().prepare << "SELECT module, number FROM state_migrations "
                                                       "ORDER BY module, number",
                          soci::into(module), soci::into(number));
  rows.execute();
  while (rows.fetch()) {
    const auto same = [&](const Migration& step) { return step.module == module && step.number == number; };
    if (std::ranges::none_of(known, same))
      return fail(
          ErrorKind::conflict,
          fmt::format("The state database {} is ahead of this program: it has step {} of \"{}\", which "
                      "this version of Vestige does not know. Run the newer version, or put back the "
                      "backup that was made before it was installed.",
                      file, number, module));
  }
  return {};
}

void check_numbers(std::span<const Migration> migrations) {
  std::map<std::string_view, std::uint32_t> last;
  for (const auto& step : migrations) CHECK(step.number == ++last[step.module]);
}

}  // namespace

std::span<const Migration> own_migrations() { return own; }

Status migrate(Database& database, std::span<const Migration> migrations, platform::Clock& clock,
               const std::string& file) {
  check_numbers(migrations);
  // All is refused before anything is changed.
  VESTIGE_CHECKED(database.write([&](Transaction& transaction) -> Status {
    transaction.sql() << "CREATE TABLE IF NOT EXISTS state_migrations ("
                         "module TEXT NOT NULL, number INTEGER NOT NULL, sha256 TEXT NOT NULL, "
                         "applied_at BIGINT NOT NULL, PRIMARY KEY (module, number))";
    return refuse_unknown(transaction, migrations, file);
  }));
  for (const auto& step : migrations)
    VESTIGE_CHECKED(database.write(
        [&](Transaction& transaction) { return apply(transaction, step, clock.now(), file); }));
  return {};
}

}  // namespace vestige::state
