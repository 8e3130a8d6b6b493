// Defends: what the policy says that nobody records alone, nobody does. An event is one of the modifications
// by its kind, its target's type and its fields, however these are spelled; what they say otherwise than they
// seem to is refused, naming where.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "access/policy.h"

namespace vestige::access {
namespace {

// A policy with these modifications beside what is shipped.
Result<std::shared_ptr<const Policy>> with_modifications(std::string_view list) {
  return Policy::parse(fmt::format("{{\"modifications\":{},{}", list, Policy::shipped()->text().substr(1)));
}

TEST(Modifications, TheFirstThatAnEventIsSaysTheRule) {
  const auto parsed = with_modifications(
      R"([{"rule":"erasure","kinds":["data.change"],"fields":["bank.iban","email"],"target_types":["CONTACT"],)"
      R"("except":["service"]},)"
      R"({"rule":"reveal","kinds":["communication.*","template"]},)"
      R"({"rule":"regulatory","kinds":["data.*"],"fields":["email"]}])");
  ASSERT_TRUE(parsed) << parsed.error().path;
  struct Case {
    ChangedThing thing;
    std::string_view role;
    std::string_view rule;
  };
  const Case cases[] = {
      {{"data.change", "CONTACT", {"email"}}, "key", "erasure"},
      {{"data.change", "CONTACT", {"name", "email"}}, "key", "erasure"},
      {{"data.change", "CONTACT", {"name"}}, "key", ""},
      {{"data.change", "CONTACT", {}}, "key", ""},
      {{"data.change", "ORDER", {"email"}}, "key", "regulatory"},
      {{"data.change", "CONTACT", {"email"}}, "service", "regulatory"},
      {{"data.change", "CONTACT", {"bank.iban"}}, "service", ""},
      {{"data.changes", "CONTACT", {"bank.iban"}}, "key", ""},
      {{"template", "", {}}, "key", "reveal"},
      {{"communication.email", "X", {}}, "service", "reveal"},
      {{"communication", "X", {}}, "key", ""},
      {{"templates", "", {}}, "key", ""},
      // What it is a part of, what is a part of it, and other spellings of its path.
      {{"data.change", "CONTACT", {"bank"}}, "key", "erasure"},
      {{"data.change", "CONTACT", {"bank.iban.country"}}, "key", "erasure"},
      {{"data.change", "CONTACT", {"/bank.iban"}}, "key", "erasure"},
      {{"data.change", "CONTACT", {"email/0"}}, "key", "erasure"},
      {{"data.change", "CONTACT", {""}}, "key", "erasure"},
      {{"data.change", "CONTACT", {"/"}}, "key", "erasure"},
      {{"data.change", "CONTACT", {"bank.ibans"}}, "key", ""},
      {{"data.change", "CONTACT", {"emails"}}, "key", ""},
      {{"data.change", "CONTACT", {"e"}}, "key", ""},
      {{"data.change", "CONTACT", {"ban"}}, "key", ""},
  };
  for (const auto& one : cases) {
    const auto* rule = (*parsed)->rule_of_modification(one.thing, one.role);
    EXPECT_EQ(rule == nullptr ? "" : *rule, one.rule)
        << one.thing.kind << " " << one.thing.target_type << " "
        << (one.thing.fields.empty() ? "" : one.thing.fields.back()) << " " << one.role;
  }
  EXPECT_EQ(Policy::shipped()->rule_of_modification(cases[0].thing, "key"), nullptr);
}

TEST(Modifications, WhatIsNotUnderstoodIsRefusedWithItsPath) {
  struct Case {
    std::string_view list, path;
  };
  constexpr Case cases[] = {
      {R"({})", "/modifications"},
      {R"("data.change")", "/modifications"},
      {R"(["data.change"])", "/modifications/0"},
      {R"([{"rule":"reveal"}])", "/modifications/0/kinds"},
      {R"([{"rule":"reveal","kinds":[]}])", "/modifications/0/kinds"},
      {R"([{"rule":"reveal","kinds":"data.change"}])", "/modifications/0/kinds"},
      {R"([{"rule":"reveal","kinds":["*"]}])", "/modifications/0/kinds/0"},
      {R"([{"rule":"reveal","kinds":[".*"]}])", "/modifications/0/kinds/0"},
      {R"([{"rule":"reveal","kinds":["data*"]}])", "/modifications/0/kinds/0"},
      {R"([{"rule":"reveal","kinds":["data.*.x"]}])", "/modifications/0/kinds/0"},
      {R"([{"rule":"reveal","kinds":["a","a"]}])", "/modifications/0/kinds/1"},
      {R"([{"rule":"reveal","kinds":["a",1]}])", "/modifications/0/kinds/1"},
      {R"([{"kinds":["a"]}])", "/modifications/0/rule"},
      {R"([{"rule":"nobody","kinds":["a"]}])", "/modifications/0/rule"},
      {R"([{"rule":["reveal"],"kinds":["a"]}])", "/modifications/0/rule"},
      {R"([{"rule":"reveal","kinds":["a"],"fields":[]}])", "/modifications/0/fields"},
      {R"([{"rule":"reveal","kinds":["a"],"fields":null}])", "/modifications/0/fields"},
      {R"([{"rule":"reveal","kinds":["a"],"fields":[""]}])", "/modifications/0/fields/0"},
      {R"([{"rule":"reveal","kinds":["a"],"target_types":"X"}])", "/modifications/0/target_types"},
      {R"([{"rule":"reveal","kinds":["a"],"targetTypes":["X"]}])", "/modifications/0/targetTypes"},
      {R"([{"rule":"reveal","kinds":["a"],"except":["nobody"]}])", "/modifications/0/except/0"},
      {R"([{"rule":"reveal","kinds":["a"],"except":true}])", "/modifications/0/except"},
      {R"([{"rule":"reveal","kinds":["a"],"except":[]}])", "/modifications/0/except"},
  };
  for (const auto& one : cases) {
    const auto parsed = with_modifications(one.list);
    ASSERT_FALSE(parsed) << one.list;
    EXPECT_EQ(parsed.error().path, one.path) << one.list << " " << parsed.error().message;
  }
  std::string many = "[";
  for (int i = 0; i < 65; ++i)
    many += fmt::format("{}{{\"rule\":\"reveal\",\"kinds\":[\"k{}\"]}}", i ? "," : "", i);
  EXPECT_FALSE(with_modifications(many + "]"));
  EXPECT_TRUE(with_modifications("[]"));
}

}  // namespace
}  // namespace vestige::access
