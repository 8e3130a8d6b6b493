#include "audit/testing/record_steps.h"

#include <fmt/format.h>

#include "base/time_text.h"

namespace vestige::audit::testing {

Tree ValueMaker::text(const SchemaNode& node, bool personal) {
  if (node.format == TextFormat::date_time)
    return Tree::text(format_time(UnixMs{static_cast<std::int64_t>(random_.below(2'000'000'000'000))}));
  auto made = fmt::format("text-{:016x}", random_.next());
  (personal ? sealed : clear).push_back(made);
  return Tree::text(made);
}

Tree ValueMaker::object(const SchemaNode& node, bool personal) {
  auto tree = Tree::object();
  for (const auto& [name, property] : node.properties)
    if (random_.chance(45)) tree.members.emplace(name, value(*property, personal));
  if (tree.members.empty() || random_.chance(20))
    tree.members.emplace(fmt::format("extra{}", random_.below(3)), text({}, personal));
  return tree;
}

Tree ValueMaker::value(const SchemaNode& node, bool personal) {
  personal = personal || node.whose == Whose::subject;
  if (!node.allowed.empty()) return Tree::raw(random_.pick(node.allowed));
  std::vector<json::Type> types;
  for (unsigned type = 0; type <= static_cast<unsigned>(json::Type::object); ++type)
    if (node.types & (1u << type)) types.push_back(static_cast<json::Type>(type));
  switch (types.empty() ? json::Type::string : random_.pick(types)) {
    case json::Type::object:
      return object(node, personal);
    case json::Type::array: {
      auto list = Tree::array();
      for (auto left = 1 + random_.below(3); left > 0; --left)
        list.elements.push_back(node.items ? value(*node.items, personal) : text({}, personal));
      return list;
    }
    case json::Type::number:
      return Tree::raw(fmt::format("{}", random_.below(1'000)));
    case json::Type::boolean:
      return Tree::raw(random_.chance(50) ? "true" : "false");
    case json::Type::null:
    case json::Type::string:
      break;
  }
  return text(node, personal);
}

Tree random_step(Random& random, const RecordType& type, const KindRegistry& kinds, const std::string& id,
                 UnixMs time, ValueMaker& maker) {
  const auto kind = std::string(type.kinds[random.below(type.kinds.size())]);
  auto event = Tree::object();
  const auto put = [&](const char* name, Tree value) { event.members.emplace(name, std::move(value)); };
  put("id", Tree::text(random_uuid(random)));
  put("kind", Tree::text(kind));
  put("time", Tree::text(format_time(time)));
  put("action", Tree::text(random.pick<std::string>({"CREATED", "UPDATED", "DELETED", "LOGGED_OUT", "DID"})));
  put("targetId", Tree::text(id));
  put("targetType", Tree::text("RECORD"));
  if (random.chance(70)) put("sourceId", Tree::text(fmt::format("u-{}", random.below(4))));
  const auto& properties = kinds.find(kind)->root.properties;
  if (random.chance(90)) {
    auto detail = maker.value(*properties.at("detail"));
    // Decisions about a modification name it; most modifications are their own.
    if (auto* key = type.name == "data" ? &detail.members["modification_id"] : nullptr)
      *key = Tree::text(fmt::format("m-{}", random.below(3)));
    if (random.chance(50)) detail.members.erase("modification_id");
    put("detail", std::move(detail));
  }
  // The values that rules look for, more often than chance would have them.
  if (const auto* detail = event.find("detail"); detail != nullptr && random.chance(60)) {
    auto& members = event.members.at("detail").members;
    const auto type_of_event =
        Tree::text(random.pick<std::string>({"sent", "delivered", "opened", "bounced", "failed", "placed"}));
    if (members.contains("event_type")) members["event_type"] = type_of_event;
    if (members.contains("order_event")) members["order_event"].members["event_type"] = type_of_event;
  }
  if (random.chance(50)) put("subject", Tree::text(fmt::format("p-{}", 1 + random.below(2))));
  if (random.chance(20)) event.members["subject"] = Tree::parse(R"(["p-2","p-1"])");
  if (kind == "data.change" && random.chance(60)) {
    auto changes = Tree::array();
    for (auto left = 1 + random.below(2); left > 0; --left)
      changes.elements.push_back(maker.value(*properties.at("changes")->items));
    for (auto& change : changes.elements)
      change.members.erase("extra0"), change.members.erase("extra1"), change.members.erase("extra2"),
          change.members["field"] = Tree::text("phone");
    put("changes", std::move(changes));
  }
  return event;
}

Step step_of(const Tree& event, std::uint64_t index) {
  auto seen = event;
  seen.members["index"] = Tree::raw(fmt::format("{}", index));
  seen.members["leaf"] = Tree::text("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
  return {*parse_time(event.find("time")->value()), index, seen.canonical()};
}

}  // namespace vestige::audit::testing
