// Defends: what is not granted is denied, whatever else a claim brings; a decision shows no more than its
// grant says; two roles never give together what neither gives alone; and a policy that says something else
// than it seems to say (unknown words, things that stand twice) is refused as a whole, naming where.
#include "access/policy.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "json/json.h"

namespace vestige::access {
namespace {

using Kind = Decision::Kind;

class Choices {
 public:
  bool coin() { return below(2) == 0; }
  std::size_t below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_);
  }
  template <typename Range>
  const auto& one_of(const Range& range) {
    return range[below(std::size(range))];
  }

 private:
  std::mt19937_64 random_{20261129};
};

Claim claim_of(std::string_view operation, std::vector<std::string> roles) {
  Claim claim;
  claim.operation = operation;
  claim.roles = std::move(roles);
  return claim;
}

Claim random_claim(Choices& choices, const Policy& policy) {
  auto claim = claim_of(choices.one_of(operations()).name, {});
  for (std::size_t i = choices.below(4); i > 0; --i)
    claim.roles.push_back(choices.below(8) == 0 ? "nobody" : choices.one_of(policy.roles()).name);
  if (choices.below(4) == 0) claim.wanted_role = choices.one_of(policy.roles()).name;
  claim.has_reason = choices.coin();
  constexpr std::string_view rules[] = {"", "", "bulk_export", "reveal", "erasure", "regulatory"};
  claim.approved_by = rules[choices.below(6)];
  claim.names_person = choices.coin();
  claim.is_customer = choices.coin();
  claim.wants_approved_values = choices.coin();
  claim.regulatory = choices.below(4) == 0;
  return claim;
}

// The shipped policy with one text in the place of another, which must be there.
std::string changed(std::string_view old, std::string_view by) {
  auto text = Policy::shipped()->text();
  const auto at = text.find(old);
  EXPECT_NE(at, std::string::npos) << old;
  return at == std::string::npos ? text : text.replace(at, old.size(), by);
}

// ------------------------------------------------------------------------------------------ deciding

TEST(Policy, ADecisionNeverGoesBeyondTheGrantOfOneRole) {
  Choices choices;
  const auto policy = Policy::shipped();
  int granted = 0;
  int refused = 0;
  int waiting = 0;
  for (int i = 0; i < 100'000; ++i) {
    const auto claim = random_claim(choices, *policy);
    const auto decision = policy->decide(claim);
    const auto* role = policy->find_role(decision.role);
    if (decision.kind == Kind::refused) {
      ++refused;
      EXPECT_FALSE(decision.why.empty());
      EXPECT_FALSE(decision.personal || decision.sensitive);
      continue;
    }
    ASSERT_NE(role, nullptr);
    ASSERT_TRUE(std::ranges::find(claim.roles, role->name) != claim.roles.end());
    if (!claim.wanted_role.empty()) ASSERT_EQ(role->name, claim.wanted_role);
    const auto grant = role->grants.find(claim.operation);
    ASSERT_NE(grant, role->grants.end()) << claim.operation << " " << role->name;
    EXPECT_EQ(decision.grant.rows, grant->second.rows);
    if (grant->second.reason) EXPECT_TRUE(claim.has_reason);
    if (grant->second.rows == Rows::own) EXPECT_TRUE(claim.is_customer);
    if (decision.kind == Kind::needs_approval) {
      ++waiting;
      EXPECT_NE(claim.approved_by, decision.rule);
      EXPECT_NE(policy->find_rule(decision.rule), nullptr);
      EXPECT_FALSE(decision.personal || decision.sensitive);
      continue;
    }
    ++granted;
    if (!grant->second.approval.empty()) EXPECT_EQ(claim.approved_by, grant->second.approval);
    if (claim.regulatory && grant->second.approval.empty()) EXPECT_EQ(claim.approved_by, regulatory_rule);
    const auto& rule = !grant->second.approval.empty()
                           ? grant->second.approval
                           : std::string(claim.regulatory ? regulatory_rule : reveal_rule);
    const auto may_show = [&](Shown shown) {
      return shown == Shown::always || (shown == Shown::reason && claim.has_reason) ||
             (shown == Shown::approval && claim.approved_by == rule);
    };
    EXPECT_EQ(decision.personal, may_show(grant->second.personal));
    EXPECT_EQ(decision.sensitive, decision.personal && may_show(grant->second.sensitive));
    if (grant->second.rows == Rows::person && find_operation(claim.operation)->reads_events())
      EXPECT_TRUE(claim.has_reason && claim.names_person);
  }
  EXPECT_GT(granted, 1000);
  EXPECT_GT(refused, 1000);
  EXPECT_GT(waiting, 100);
}

TEST(Policy, WhoeverHasNoRoleMayDoNothing) {
  for (const auto& operation : operations()) {
    auto claim = claim_of(operation.name, {});
    claim.has_reason = claim.names_person = true;
    claim.approved_by = reveal_rule;
    EXPECT_EQ(Policy::shipped()->decide(claim).kind, Kind::refused) << operation.name;
    claim.roles = {"nobody", "Compliance_officer", ""};
    EXPECT_EQ(Policy::shipped()->decide(claim).kind, Kind::refused) << operation.name;
  }
}

TEST(Policy, AnExportThatIsLargeWaitsForItsOwnRule) {
  const auto policy = Policy::shipped();
  const auto limit = policy->export_entries();
  Grant grant;
  EXPECT_FALSE(policy->waits_for_bulk(grant, "", limit));
  EXPECT_TRUE(policy->waits_for_bulk(grant, "", limit + 1));
  EXPECT_TRUE(policy->waits_for_bulk(grant, "reveal", limit + 1));
  EXPECT_FALSE(policy->waits_for_bulk(grant, "bulk_export", limit + 1));
  // Who decides about each such request sees how large it is.
  grant.approval = "regulatory";
  EXPECT_FALSE(policy->waits_for_bulk(grant, "regulatory", limit + 1));
  grant = {};
  grant.bulk = true;
  EXPECT_FALSE(policy->waits_for_bulk(grant, "", limit + 1));
}

TEST(Policy, WhatAnAuthorityAsksForWaitsForLegalAlone) {
  const auto policy = Policy::shipped();
  auto claim = claim_of("exportSearch", {"compliance_officer"});
  claim.has_reason = true;
  EXPECT_EQ(policy->decide(claim).kind, Kind::granted);
  claim.regulatory = true;
  for (const auto* other : {"", "bulk_export", "reveal", "erasure"}) {
    claim.approved_by = other;
    const auto decision = policy->decide(claim);
    EXPECT_EQ(decision.kind, Kind::needs_approval) << other;
    EXPECT_EQ(decision.rule, "regulatory");
  }
  claim.approved_by = "regulatory";
  const auto decision = policy->decide(claim);
  EXPECT_EQ(decision.kind, Kind::granted);
  EXPECT_TRUE(decision.personal);
  // Whoever decided saw how much it is.
  EXPECT_FALSE(policy->waits_for_bulk(decision.grant, claim.approved_by, policy->export_entries() + 1));
  // The yes is of no use where the request does not say so.
  claim.regulatory = false;
  EXPECT_TRUE(
      policy->waits_for_bulk(policy->decide(claim).grant, "regulatory", policy->export_entries() + 1));
  auto values = claim_of("discloseFields", {"legal"});
  values.has_reason = values.regulatory = true;
  values.approved_by = "regulatory";
  EXPECT_TRUE(policy->decide(values).sensitive);
  values.regulatory = false;
  EXPECT_FALSE(policy->decide(values).sensitive);
  // Nobody gets anything by it that the role does not have.
  auto agent = claim_of("exportSearch", {"customer_service"});
  agent.has_reason = agent.regulatory = true;
  agent.approved_by = "regulatory";
  EXPECT_EQ(policy->decide(agent).kind, Kind::refused);
}

TEST(Policy, ARuleOfTheGrantIsNotExchangedForAnother) {
  const auto policy = *Policy::parse(changed(
      R"({"operations":["exportEvents","exportSearch"],"personal":"reason","reason":true})",
      R"({"operations":["exportEvents","exportSearch"],"personal":"reason","reason":true,"approval":"erasure"})"));
  auto claim = claim_of("exportSearch", {"compliance_officer"});
  claim.has_reason = claim.regulatory = true;
  claim.approved_by = "regulatory";
  EXPECT_EQ(policy->decide(claim).rule, "erasure");
  EXPECT_EQ(policy->decide(claim).kind, Kind::needs_approval);
}

TEST(Policy, ARoleThatOneDoesNotHaveCannotBeActedIn) {
  auto claim = claim_of("searchEvents", {"management"});
  claim.wanted_role = "compliance_officer";
  claim.has_reason = true;
  EXPECT_EQ(Policy::shipped()->decide(claim).kind, Kind::refused);
}

// ------------------------------------------------------------------------------ the shipped policy

TEST(ShippedPolicy, EveryOperationIsGrantedToSomeRoleAndDeniedToAnother) {
  for (const auto& operation : operations()) {
    const auto& roles = Policy::shipped()->roles();
    const auto grants = [&](const Role& role) { return role.grants.contains(operation.name); };
    // What people do for themselves is nobody's to grant.
    EXPECT_EQ(std::ranges::any_of(roles, grants), operation.scope.has_value()) << operation.name;
    EXPECT_FALSE(std::ranges::all_of(roles, grants)) << operation.name;
  }
}

TEST(ShippedPolicy, OnlyTheServersOwnKeyAndCustomersSeePersonalValuesUnasked) {
  for (const auto& role : Policy::shipped()->roles())
    for (const auto& [operation, grant] : role.grants) {
      if (role.name == "service") continue;
      if (role.name == "customer")
        EXPECT_EQ(grant.rows, Rows::own) << operation;
      else
        EXPECT_NE(grant.personal, Shown::always) << role.name << " " << operation;
    }
}

TEST(ShippedPolicy, RolesSeeWhatTheRequirementGivesThem) {
  const auto policy = Policy::shipped();
  auto search = claim_of("searchEvents", {"compliance_officer"});
  EXPECT_FALSE(policy->decide(search).personal);
  search.has_reason = true;
  EXPECT_TRUE(policy->decide(search).personal);
  EXPECT_FALSE(policy->decide(search).sensitive);

  const auto figures = policy->decide(claim_of("searchEvents", {"management"}));
  EXPECT_EQ(figures.grant.rows, Rows::counted);
  EXPECT_EQ(policy->decide(claim_of("getEvent", {"management"})).kind, Kind::refused);

  auto agent = claim_of("searchEvents", {"customer_service"});
  EXPECT_EQ(policy->decide(agent).kind, Kind::refused);
  agent.has_reason = true;
  EXPECT_EQ(policy->decide(agent).kind, Kind::refused);
  agent.names_person = true;
  EXPECT_EQ(policy->decide(agent).kind, Kind::granted);
  EXPECT_FALSE(policy->decide(agent).personal);
  EXPECT_TRUE(has_kind(policy->decide(agent).grant.kinds, "communication.email"));
  EXPECT_FALSE(has_kind(policy->decide(agent).grant.kinds, "communications"));
  EXPECT_FALSE(has_kind(policy->decide(agent).grant.kinds, "data.change"));

  auto customer = claim_of("searchEvents", {"customer"});
  customer.has_reason = customer.names_person = true;
  EXPECT_EQ(policy->decide(customer).kind, Kind::refused);
  customer.is_customer = true;
  EXPECT_EQ(policy->decide(customer).grant.rows, Rows::own);
  for (const auto* role : {"operator", "administrator"})
    EXPECT_EQ(policy->decide(claim_of("exportSearch", {role})).kind, Kind::refused) << role;
  auto erase = claim_of("erasePerson", {"compliance_officer"});
  erase.has_reason = true;
  EXPECT_EQ(policy->decide(erase).rule, "erasure");
}

// ------------------------------------------------------------------------------------------ reading

TEST(PolicyText, WhatIsNotUnderstoodIsRefusedWithItsPath) {
  struct Case {
    std::string_view old, by, path;
  };
  constexpr Case cases[] = {
      {R"("format":"vestige policy v1")", R"("format":"vestige policy v2")", "/format"},
      {R"("small_count":5)", R"("small_count":0)", "/small_count"},
      {R"("small_count":5)", R"("small_count":2.5)", "/small_count"},
      {R"("small_count":5)", R"("small_counts":5)", "/small_counts"},
      {R"("export_entries":1000)", R"("export_entries":"1000")", "/export_entries"},
      {R"("rows":"counted")", R"("rows":"count")", "/roles/management/grants/1/rows"},
      {R"("rows":"counted")", R"("row":"counted")", "/roles/management/grants/1/row"},
      {R"({"operations":["searchEvents"],"rows":"counted"})",
       R"({"operations":["searchEvents","search"],"rows":"counted"})",
       "/roles/management/grants/1/operations/1"},
      {R"({"operations":["searchEvents"],"rows":"counted"})",
       R"({"operations":["searchEvents"],"rows":"counted"},{"operations":["searchEvents"]})",
       "/roles/management/grants/2/operations/0"},
      {R"({"operations":["searchEvents"],"rows":"counted"})",
       R"({"operations":["searchEvents"],"personal":"masked","sensitive":"shown"})",
       "/roles/management/grants/1/sensitive"},
      {R"({"operations":["searchEvents"],"rows":"counted"})",
       R"({"operations":["searchEvents"],"approval":"nobody"})", "/roles/management/grants/1/approval"},
      {R"({"operations":["searchEvents"],"rows":"counted"})",
       R"({"operations":["searchEvents","getEvent"],"rows":"counted"})",
       "/roles/management/grants/1/operations/1"},
      {R"({"operations":["searchEvents"],"rows":"counted"})", R"({"operations":[],"rows":"counted"})",
       "/roles/management/grants/1/operations"},
      {R"("ends_within_days":90)", R"("ends_within_days":0)", "/roles/auditor/ends_within_days"},
      {R"("ends_within_days":90)", R"("ends_within_days":3651)", "/roles/auditor/ends_within_days"},
      {R"("ends_within_days":90)", R"("ends_within_days":null)", "/roles/auditor/ends_within_days"},
      {R"("service":{"about")", R"("service":{"ends_within_days":9,"about")",
       "/roles/service/ends_within_days"},
      {R"("administrator":{"about")", R"("administrator":{"ends_within_days":9,"about")",
       "/roles/administrator/ends_within_days"},
      {R"("customer":{"about")", R"("customer":{"ends_within_days":9,"about")",
       "/roles/customer/ends_within_days"},
      {R"("bulk":true)", R"("bulk":1)", "/roles/service/grants/7/bulk"},
      {R"("deciders":["management"])", R"("deciders":["managers"])", "/approvals/bulk_export/deciders/0"},
      {R"("deciders":["management"])", R"("deciders":["management","management"])",
       "/approvals/bulk_export/deciders/1"},
      {R"("minutes":60)", R"("minutes":1e9)", "/approvals/reveal/minutes"},
      {R"("reveal":{)", R"("unveil":{)", "/roles/compliance_officer/grants/0/approval"},
      {R"("bulk_export":{)", R"("bulk_exports":{)", "/approvals"},
      {R"("key":{"about")", R"("keys":{"about")", "/roles"},
      {R"("service":{"about")", R"("Service":{"about")", "/roles/Service"},
  };
  for (const auto& one : cases) {
    const auto parsed = Policy::parse(changed(one.old, one.by));
    ASSERT_FALSE(parsed) << one.by;
    EXPECT_EQ(parsed.error().kind, ErrorKind::invalid);
    EXPECT_EQ(parsed.error().path, one.path) << parsed.error().message;
  }
}

TEST(ShippedPolicy, ProgramsAndCustomersHaveRolesOfTheirOwn) {
  std::set<std::string> not_for_people;
  for (const auto& role : Policy::shipped()->roles())
    if (!is_for_people(role.name)) not_for_people.insert(role.name);
  EXPECT_EQ(not_for_people, (std::set<std::string>{"customer", "key", "service"}));
  // A link shows everything about a customer to whoever makes it, so it takes what that takes.
  for (const auto& role : Policy::shipped()->roles()) {
    const auto found = role.grants.find("createCustomerLink");
    if (found == role.grants.end() || role.name == service_role) continue;
    EXPECT_TRUE(found->second.reason && !found->second.approval.empty()) << role.name;
  }
}

TEST(ShippedPolicy, AnAuditorIsThereForATime) {
  for (const auto& role : Policy::shipped()->roles())
    EXPECT_EQ(role.terms.ends_within_days,
              role.name == "auditor" ? std::optional<std::uint32_t>(90) : std::nullopt)
        << role.name;
  EXPECT_NE(matrix_table(*Policy::shipped()).find("end within 90 days"), std::string::npos);
  EXPECT_NE(matrix_json(*Policy::shipped()).find(R"("endsWithinDays":90)"), std::string::npos);
}

TEST(PolicyText, IsReadBackFromItsCanonicalText) {
  const auto again = Policy::parse(Policy::shipped()->text());
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->text(), Policy::shipped()->text());
  EXPECT_EQ(matrix_json(**again), matrix_json(*Policy::shipped()));
}

TEST(PolicyText, NoCutOrChangedTextGetsThroughUnseen) {
  Choices choices;
  const auto text = Policy::shipped()->text();
  for (int i = 0; i < 3000; ++i) {
    auto broken = text;
    broken[choices.below(broken.size())] = static_cast<char>(choices.below(256));
    if (choices.coin()) broken.resize(choices.below(broken.size()));
    const auto parsed = Policy::parse(broken);
    // What parses nevertheless says what it says: its canonical text gives the same policy.
    if (parsed) EXPECT_EQ((*Policy::parse((*parsed)->text()))->text(), (*parsed)->text());
  }
}

// ------------------------------------------------------------------------------------------- matrix

TEST(Matrix, EveryCellSaysWhatADecisionDoes) {
  const auto policy = Policy::shipped();
  json::Parser parser;
  json::Document document;
  ASSERT_TRUE(parser.parse(matrix_json(*policy), document));
  const auto rows = document.root().find("operations");
  ASSERT_EQ(rows.size(), operations().size());
  std::size_t cells = 0;
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t j = 0; j < rows.at(i).find("cells").size(); ++j, ++cells) {
      const auto cell = rows.at(i).find("cells").at(j);
      auto claim = claim_of(rows.at(i).find("operation").string(), {std::string(cell.find("role").string())});
      claim.has_reason = claim.names_person = claim.is_customer = true;
      const auto& grants = policy->find_role(claim.roles[0])->grants;
      const auto grant = grants.find(claim.operation);
      claim.approved_by =
          grant == grants.end() || grant->second.approval.empty() ? reveal_rule : grant->second.approval;
      const auto decision = policy->decide(claim);
      const auto value = cell.find("value").string();
      const auto value_class = cell.find("class").string();
      if (value_class == "clear")
        EXPECT_EQ(value == "-", decision.kind == Kind::refused) << claim.operation << " " << decision.why;
      else if (value == "-" || value == "masked")
        EXPECT_FALSE((value_class == "personal" ? decision.personal : decision.sensitive) &&
                     decision.grant.rows != Rows::counted)
            << claim.operation;
      else
        EXPECT_TRUE(value_class == "personal" ? decision.personal : decision.sensitive) << claim.operation;
    }
  EXPECT_GT(cells, operations().size() * policy->roles().size());
}

TEST(Matrix, TheTableNamesEveryRoleAndGrant) {
  const auto table = matrix_table(*Policy::shipped());
  for (const auto& role : Policy::shipped()->roles()) {
    EXPECT_NE(table.find(fmt::format("{} ({})", role.title, role.name)), std::string::npos);
    for (const auto& [operation, grant] : role.grants) EXPECT_NE(table.find(operation), std::string::npos);
  }
}

}  // namespace
}  // namespace vestige::access
