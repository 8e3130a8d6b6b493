// Defends: the kinds of records as they are shipped. Whatever fits a schema is taken; where a value outside
// of a closed set would be a mistake it is refused by its path; whose a person's data is stays with that
// person, and what reports and proofs need after an erasure stays clear.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "audit/event.h"
#include "audit/testing/record_steps.h"

namespace vestige::audit {
namespace {

using testing::Random;
using testing::Tree;
using testing::ValueMaker;

Status read(const KindRegistry& kinds, const Tree& event) {
  json::Parser parser;
  json::Document document;
  const auto text = event.json();
  VESTIGE_CHECKED(parser.parse(text, document));
  VESTIGE_TRY(const auto read, read_event(document.root(), kinds, false));
  EXPECT_NE(read.schema, nullptr);
  return {};
}

using Visit = std::function<void(const std::string& path, const SchemaNode& node, Whose inherited)>;

void walk(const SchemaNode& node, const std::string& path, Whose inherited, const Visit& visit) {
  const auto whose = inherited != Whose::nobody ? inherited : node.whose;
  visit(path, node, whose);
  for (const auto& [name, property] : node.properties) walk(*property, path + "/" + name, whose, visit);
}

// An event of the kind whose detail has this value at this path, and nothing else.
Tree with_value(const std::string& kind, const std::string& path, const Tree& value) {
  auto event = Tree::object();
  event.members.emplace("kind", Tree::text(kind));
  event.members.emplace("action", Tree::text("DID"));
  Tree* at = &event;
  for (std::size_t start = 1; start <= path.size();) {
    const auto end = std::min(path.find('/', start), path.size());
    at->form = Tree::Form::object;
    at = &at->members[path.substr(start, end - start)];
    start = end + 1;
  }
  *at = value;
  return event;
}

template <typename Each>
void for_each_kind(const KindRegistry& kinds, const Each& each) {
  for (const auto& name : kinds.names())
    if (!is_system_kind(name)) each(name, *kinds.find(name)->root.properties.at("detail"));
}

TEST(ShippedKinds, WhateverFitsASchemaIsTaken) {
  Random random(testing::seed_of_test());
  const auto kinds = *KindRegistry::with_shipped_kinds();
  for (std::size_t round = 0; round < testing::rounds(100); ++round)
    for (const auto& type : record_types()) {
      ValueMaker maker(random);
      const auto step = testing::random_step(random, type, *kinds, "R-1", UnixMs{0}, maker);
      const auto taken = read(*kinds, step);
      ASSERT_TRUE(taken) << taken.error().path << " " << taken.error().message << "\n" << step.json();
    }
}

TEST(ShippedKinds, AClosedSetTakesItsValuesAndNoOther) {
  const auto kinds = *KindRegistry::with_shipped_kinds();
  std::size_t sets = 0;
  for_each_kind(*kinds, [&](const std::string& kind, const SchemaNode& detail) {
    walk(detail, "/detail", Whose::nobody, [&](const std::string& path, const SchemaNode& node, Whose) {
      if (node.allowed.empty()) return;
      ++sets;
      for (const auto& value : node.allowed)
        EXPECT_TRUE(read(*kinds, with_value(kind, path, Tree::raw(value)))) << kind << path << value;
      for (const char* wrong : {"\"\"", "\"Somewhat\"", "true", "null", "[]"}) {
        const auto refused = read(*kinds, with_value(kind, path, Tree::raw(wrong)));
        ASSERT_FALSE(refused) << kind << path << wrong;
        EXPECT_EQ(refused.error().path, path);
      }
    });
  });
  EXPECT_EQ(sets, 22u);
}

TEST(ShippedKinds, EveryKindKeepsARecordOfAnotherSystemWholeAndAsAPersonalValue) {
  const auto kinds = *KindRegistry::with_shipped_kinds();
  for_each_kind(*kinds, [&](const std::string& kind, const SchemaNode& detail) {
    for (const char* original : {"1", "\"text\"", "null", "[{\"a\":[]}]", "{\"event_type\":{},\"x\":{}}"})
      EXPECT_TRUE(read(*kinds, with_value(kind, "/detail/original", Tree::raw(original))))
          << kind << original;
    const auto found = detail.properties.find("original");
    ASSERT_NE(found, detail.properties.end()) << kind;
    EXPECT_TRUE(detail.whose == Whose::subject || found->second->whose == Whose::subject) << kind;
  });
}

TEST(ShippedKinds, WhatTellsWhoSomebodyIsIsPersonalAndStatesAreNot) {
  constexpr std::string_view personal[] = {"customer_id",
                                           "email",
                                           "name",
                                           "customer_phone",
                                           "sender",
                                           "recipient",
                                           "content",
                                           "subject",
                                           "call_summary",
                                           "content_summary",
                                           "reason",
                                           "notes",
                                           "title",
                                           "text_body",
                                           "html_body",
                                           "shipping_address",
                                           "tracking_number",
                                           "ip_address",
                                           "user_agent",
                                           "details",
                                           "access_reason",
                                           "data_provided",
                                           "actions_taken",
                                           "recording_reference",
                                           "attachments",
                                           "link",
                                           "description",
                                           "resolution_summary",
                                           "geographic_location",
                                           "payment_reference"};
  constexpr std::string_view clear[] = {"event_type",      "delivery_status",  "new_status",
                                        "previous_status", "resolution_type",  "payment_status",
                                        "severity",        "outcome",          "request_type",
                                        "consent_type",    "consent_status",   "verification_status",
                                        "incident_type",   "access_type",      "data_scope",
                                        "priority_level",  "compliance_status"};
  const auto kinds = *KindRegistry::with_shipped_kinds();
  std::map<std::string_view, int> met;
  for_each_kind(*kinds, [&](const std::string& kind, const SchemaNode& detail) {
    if (detail.whose != Whose::nobody) return;  // data.change: all of it is personal
    walk(detail, "/detail", Whose::nobody, [&](const std::string& path, const SchemaNode&, Whose whose) {
      const auto name = std::string_view(path).substr(path.rfind('/') + 1);
      if (const auto found = std::ranges::find(personal, name); found != std::end(personal)) {
        EXPECT_NE(whose, Whose::nobody) << kind << path;
        ++met[*found];
      }
      if (const auto found = std::ranges::find(clear, name); found != std::end(clear)) {
        EXPECT_EQ(whose, Whose::nobody) << kind << path;
        ++met[*found];
      }
    });
  });
  EXPECT_EQ(met.size(), std::size(personal) + std::size(clear));
}

}  // namespace
}  // namespace vestige::audit
