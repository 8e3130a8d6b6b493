// Everything of this module over a database that goes with the test, with time and entropy that the test
// steers.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "access/accounts.h"
#include "access/api_keys.h"
#include "access/approvals.h"
#include "access/customer_links.h"
#include "access/migrations.h"
#include "access/policies.h"
#include "access/sessions.h"
#include "json/json.h"
#include "platform/sim/sim_files.h"
#include "state/testing/temporary_database.h"

namespace vestige::access::testing {

inline constexpr std::string_view tenant = "default";
inline constexpr std::string_view good_password = "quiet otters count ledgers";
inline constexpr HashCost cheap{.memory_kib = 8, .passes = 1};

// One event of the outbox, taken apart far enough for assertions.
struct Seen {
  std::string kind, action, type, details, response, source, target, subject, text;
};

inline Seen read_event(const std::string& text) {
  json::Parser parser;
  json::Document document;
  Seen seen;
  seen.text = text;
  const auto parsed = parser.parse(text, document);
  EXPECT_TRUE(parsed) << text;
  if (!parsed) return seen;
  const auto root = document.root();
  const auto take = [](const json::Value& value) {
    return value.is_string() ? std::string(value.string()) : std::string();
  };
  seen.kind = take(root.find("kind"));
  seen.action = take(root.find("action"));
  seen.source = take(root.find("sourceId"));
  seen.target = take(root.find("targetId"));
  seen.subject = take(root.find("subject"));
  const auto detail = root.find("detail");
  seen.type = take(detail.find("event_type"));
  seen.details = take(detail.find("details"));
  seen.response = take(detail.find("response"));
  return seen;
}

class World {
 public:
  explicit World(std::uint64_t seed = 1, HashCost cost = cheap)
      : entropy(seed), database(migrations()), files(disk.open("data")), cost_(cost) {
    clock().set(UnixMs{1'795'617'600'000});
    start();
  }

  platform::sim::SimClock& clock() { return database.clock; }

  // What a restart of the server does, and what a kill -9 leaves.
  void restart() {
    stop();
    database.reopen();
    start();
  }

  // What waits in the outbox since the last call.
  std::vector<Seen> events() {
    std::vector<Seen> seen;
    const auto taken = outbox->evict([](const state::OutboxEvent&) { return true; });
    EXPECT_TRUE(taken);
    for (const auto& each : taken->events) {
      EXPECT_EQ(each.stream, each.event.find("\"kind\":\"access.") == std::string::npos ? "audit" : "access");
      seen.push_back(read_event(each.event));
      said += each.event + "\n";
    }
    return seen;
  }
  // "action type" of each, in order.
  std::vector<std::string> acts() {
    std::vector<std::string> out;
    for (const auto& seen : events())
      out.push_back(seen.type.empty() ? seen.action : seen.action + " " + seen.type);
    return out;
  }

  // Notes what an error says, for expect_no_secret_said().
  template <typename Outcome>
  const Outcome& note(const Outcome& outcome) {
    if (!outcome)
      said += outcome.error().message + " " + outcome.error().path + " " + outcome.error().limit + "\n";
    return outcome;
  }
  void keep_secret(const std::string& secret) { secrets.push_back(secret); }
  void expect_no_secret_said() {
    events();
    for (const auto& secret : secrets) EXPECT_EQ(said.find(secret), std::string::npos) << secret;
  }

  Principal administrator() const {
    return {.kind = PrincipalKind::account,
            .id = make_uuid_v8({0xad}),
            .name = "Ada",
            .tenant = std::string(tenant),
            .roles = {std::string(administrator_role)},
            .subject = {},
            .method = Method::mfa,
            .session = {}};
  }
  // An account that can log in; its events are taken away.
  Account make_account(const std::string& login_name,
                       const std::string& password = std::string(good_password),
                       std::vector<std::string> roles = {"legal"}) {
    auto invited =
        accounts->create(administrator(), here(),
                         {.login_name = login_name, .display_name = login_name, .roles = std::move(roles)});
    EXPECT_TRUE(invited) << invited.error().message;
    const auto set = accounts->redeem_invitation(tenant, invited->token, password, here());
    EXPECT_TRUE(set) << set.error().message;
    events();
    return invited->account;
  }
  Result<Login> log_in(const std::string& login_name, const std::string& password, const Client& client,
                       const std::string& code = {}) {
    auto login = accounts->log_in({std::string(tenant), login_name, password, code}, client);
    return note(login);
  }
  Sessions::Opened must_log_in(const std::string& login_name,
                               const std::string& password = std::string(good_password),
                               const std::string& code = {}) {
    auto login = log_in(login_name, password, here(), code);
    EXPECT_TRUE(login) << login.error().message;
    EXPECT_TRUE(login && std::holds_alternative<Sessions::Opened>(*login));
    return login ? std::get<Sessions::Opened>(*login) : Sessions::Opened{};
  }
  static Client here() { return Client::of("203.0.113.9", "Firefox/133"); }
  static Client from(const std::string& address) { return Client::of(address, "curl/8"); }

  platform::sim::SimEntropy entropy;
  state::testing::TemporaryDatabase database;
  platform::sim::SimDisk disk;
  std::unique_ptr<platform::FileSystem> files;
  std::unique_ptr<state::Fields> fields;
  std::unique_ptr<state::Outbox> outbox;
  std::unique_ptr<Sessions> sessions;
  std::unique_ptr<PasswordHasher> hasher;
  std::unique_ptr<Failures> failures;
  std::unique_ptr<Accounts> accounts;
  std::unique_ptr<CustomerLinks> links;
  std::unique_ptr<ApiKeys> keys;
  std::unique_ptr<Approvals> approvals;
  std::vector<std::string> secrets;
  std::string said;

 private:
  void start() {
    const auto terms_of = [](std::string_view, std::string_view name) -> std::optional<RoleTerms> {
      if (name == "auditor") return RoleTerms{.ends_within_days = 90};
      const bool known = name == administrator_role || name == "legal" || name == "management";
      return known ? std::optional(RoleTerms{}) : std::nullopt;
    };
    fields = std::make_unique<state::Fields>(Key{7}, entropy);
    outbox = std::make_unique<state::Outbox>(*database, *fields, clock(), entropy);
    auto opened = Sessions::open(*database, *outbox, *fields, clock(), entropy, Key{8});
    ASSERT_TRUE(opened) << opened.error().message;
    sessions = *std::move(opened);
    hasher = std::make_unique<PasswordHasher>(entropy, cost_);
    failures = std::make_unique<Failures>(*database, *outbox, clock());
    accounts = std::make_unique<Accounts>(
        AccountParts{*database, *outbox, *fields, *sessions, *hasher, *failures, clock(), entropy, terms_of});
    links = std::make_unique<CustomerLinks>(*database, *outbox, *fields, *sessions, *failures, clock(),
                                            entropy, Key{9});
    auto made = ApiKeys::open(*database, *outbox, clock(), entropy, *files, {.terms_of = terms_of});
    ASSERT_TRUE(made) << made.error().message;
    keys = *std::move(made);
    approvals = std::make_unique<Approvals>(*database, *outbox, *fields, clock(), entropy);
  }
  void stop() {
    approvals.reset();
    keys.reset();
    links.reset();
    accounts.reset();
    failures.reset();
    hasher.reset();
    sessions.reset();
    outbox.reset();
    fields.reset();
  }

  HashCost cost_;
};

}  // namespace vestige::access::testing
