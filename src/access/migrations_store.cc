#include "access/migrations.h"

namespace vestige::access {
namespace {

// Times are milliseconds since 1970. Columns named sealed_* are encrypted (state/fields.h), bound to the
// row's id; columns named *_index are blind indexes, '' where there is nothing. Digests are lower-case hex.
constexpr std::string_view accounts = R"sql(
CREATE TABLE access_accounts (
  id VARCHAR(36) PRIMARY KEY,
  tenant VARCHAR(255) NOT NULL,
  login_name VARCHAR(128) NOT NULL,
  display_name VARCHAR(256) NOT NULL,
  sealed_email TEXT NOT NULL,
  email_index VARCHAR(64) NOT NULL,
  sealed_phone TEXT NOT NULL,
  phone_index VARCHAR(64) NOT NULL,
  roles TEXT NOT NULL,
  state VARCHAR(8) NOT NULL,
  created BIGINT NOT NULL,
  sealed_password TEXT NOT NULL,
  must_change_password INTEGER NOT NULL,
  sealed_totp TEXT NOT NULL,
  sealed_totp_offered TEXT NOT NULL,
  totp_step BIGINT NOT NULL,
  locked_until BIGINT NOT NULL
);
CREATE UNIQUE INDEX access_accounts_by_name ON access_accounts (tenant, login_name);
CREATE UNIQUE INDEX access_accounts_by_email ON access_accounts (tenant, email_index) WHERE email_index <> '';
CREATE TABLE access_recovery_codes (
  account VARCHAR(36) NOT NULL,
  digest VARCHAR(64) NOT NULL,
  PRIMARY KEY (account, digest)
);
CREATE TABLE access_known_addresses (
  account VARCHAR(36) NOT NULL,
  address_index VARCHAR(64) NOT NULL,
  seen BIGINT NOT NULL,
  PRIMARY KEY (account, address_index)
);
CREATE TABLE access_one_time_links (
  digest VARCHAR(64) PRIMARY KEY,
  purpose VARCHAR(32) NOT NULL,
  tenant VARCHAR(255) NOT NULL,
  account VARCHAR(36) NOT NULL,
  expires BIGINT NOT NULL
);
)sql";

constexpr std::string_view sessions = R"sql(
CREATE TABLE access_sessions (
  id VARCHAR(36) PRIMARY KEY,
  digest VARCHAR(64) NOT NULL,
  tenant VARCHAR(255) NOT NULL,
  kind VARCHAR(8) NOT NULL,
  owner VARCHAR(64) NOT NULL,
  roles TEXT NOT NULL,
  method VARCHAR(8) NOT NULL,
  restricted INTEGER NOT NULL,
  created BIGINT NOT NULL,
  seen BIGINT NOT NULL,
  sealed_person TEXT NOT NULL
);
CREATE UNIQUE INDEX access_sessions_by_digest ON access_sessions (digest);
CREATE TABLE access_used_links (
  digest VARCHAR(64) PRIMARY KEY,
  expires BIGINT NOT NULL
);
)sql";

constexpr std::string_view keys = R"sql(
CREATE TABLE access_api_keys (
  id VARCHAR(36) PRIMARY KEY,
  tenant VARCHAR(255) NOT NULL,
  name VARCHAR(256) NOT NULL,
  service VARCHAR(256) NOT NULL,
  scopes VARCHAR(32) NOT NULL,
  role VARCHAR(64) NOT NULL,
  digest VARCHAR(64) NOT NULL,
  created BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  ranges TEXT NOT NULL,
  used BIGINT NOT NULL
);
CREATE UNIQUE INDEX access_api_keys_by_digest ON access_api_keys (digest);
)sql";

constexpr std::string_view policies = R"sql(
CREATE TABLE access_policies (
  tenant VARCHAR(255) PRIMARY KEY,
  version BIGINT NOT NULL,
  changed BIGINT NOT NULL,
  policy TEXT NOT NULL
);
)sql";

constexpr std::string_view tenants = R"sql(
CREATE TABLE access_tenants (
  id VARCHAR(63) PRIMARY KEY,
  name VARCHAR(256) NOT NULL,
  tier VARCHAR(16) NOT NULL,
  state VARCHAR(16) NOT NULL,
  created BIGINT NOT NULL,
  changed BIGINT NOT NULL
);
)sql";

constexpr std::string_view approvals = R"sql(
CREATE TABLE access_approvals (
  id VARCHAR(36) PRIMARY KEY,
  tenant VARCHAR(255) NOT NULL,
  number BIGINT NOT NULL,
  rule VARCHAR(64) NOT NULL,
  operation VARCHAR(64) NOT NULL,
  role VARCHAR(64) NOT NULL,
  digest VARCHAR(64) NOT NULL,
  asker_kind VARCHAR(8) NOT NULL,
  asker_id VARCHAR(36) NOT NULL,
  asker_name TEXT NOT NULL,
  asker_person VARCHAR(36) NOT NULL,
  state VARCHAR(9) NOT NULL,
  asked BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  ended BIGINT NOT NULL,
  subject_index VARCHAR(64) NOT NULL,
  sealed_subject TEXT NOT NULL,
  sealed_request TEXT NOT NULL,
  sealed_words TEXT NOT NULL,
  sealed_reason TEXT NOT NULL,
  sealed_comment TEXT NOT NULL,
  decider_kind VARCHAR(8) NOT NULL,
  decider_id VARCHAR(36) NOT NULL,
  decider_name TEXT NOT NULL,
  decider_role VARCHAR(64) NOT NULL,
  decided BIGINT NOT NULL
);
CREATE UNIQUE INDEX access_approvals_by_number ON access_approvals (tenant, number);
CREATE INDEX access_approvals_by_asker ON access_approvals (tenant, asker_kind, asker_id, number);
CREATE UNIQUE INDEX access_approvals_open_by_request ON access_approvals (tenant, digest) WHERE ended = 0;
CREATE INDEX access_approvals_by_end ON access_approvals (ended, expires);
CREATE INDEX access_approvals_by_subject ON access_approvals (tenant, subject_index) WHERE subject_index <> '';
)sql";

// Of keys that were made before, nobody is known.
constexpr std::string_view makers_of_keys = R"sql(
ALTER TABLE access_api_keys ADD COLUMN maker VARCHAR(36) NOT NULL DEFAULT '';
)sql";

// 0: without an end; not ended; with nothing but its own limits. What there was before has no end.
constexpr std::string_view ends_of_accounts = R"sql(
ALTER TABLE access_accounts ADD COLUMN expires BIGINT NOT NULL DEFAULT 0;
ALTER TABLE access_accounts ADD COLUMN ended BIGINT NOT NULL DEFAULT 0;
CREATE INDEX access_accounts_by_end ON access_accounts (expires) WHERE expires <> 0 AND ended = 0;
ALTER TABLE access_sessions ADD COLUMN until BIGINT NOT NULL DEFAULT 0;
)sql";

// Of links that were used before, the tenant is not known; they are kept a day at most.
constexpr std::string_view tenants_of_links = R"sql(
ALTER TABLE access_used_links ADD COLUMN tenant VARCHAR(255) NOT NULL DEFAULT '';
CREATE INDEX access_used_links_by_tenant ON access_used_links (tenant);
CREATE INDEX access_api_keys_by_tenant ON access_api_keys (tenant);
CREATE INDEX access_approvals_open_by_tenant ON access_approvals (tenant) WHERE ended = 0;
)sql";

constexpr state::Migration all[] = {
    {.module = "access", .number = 1, .sql = accounts},
    {.module = "access", .number = 2, .sql = sessions},
    {.module = "access", .number = 3, .sql = keys},
    {.module = "access", .number = 4, .sql = policies},
    {.module = "access", .number = 5, .sql = tenants},
    {.module = "access", .number = 6, .sql = approvals},
    {.module = "access", .number = 7, .sql = makers_of_keys},
    {.module = "access", .number = 8, .sql = ends_of_accounts},
    {.module = "access", .number = 9, .sql = tenants_of_links},
};

}  // namespace

std::span<const state::Migration> migrations() { return all; }

}  // namespace vestige::access
