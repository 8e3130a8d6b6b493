#include "sources/kafka/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>

#include "base/encoding.h"
#include "base/time_text.h"
#include "crypto/digest.h"
#include "json/json.h"
#include "json/tree_node.h"
#include "sources/kafka/limits.h"

namespace vestige::sources::kafka {
namespace {

constexpr std::string_view event_members[] = {"action",  "changes",          "context",  "detail",
                                              "kind",    "sourceEntityMeta", "sourceId", "sourceType",
                                              "subject", "targetEntityMeta", "targetId", "targetType",
                                              "time"};
// Of the context, which the capture says.
constexpr std::string_view own_members[] = {"capture", "headers", "offset", "partition", "topic"};
constexpr std::string_view default_kind = "data.change";

bool is_one_of(std::string_view name, std::span<const std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

std::string quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

json::TreeNode text_node(std::string_view text) {
  json::TreeNode node;
  node.text = quoted(text);
  return node;
}

// What goes into the event, and what is kept beside it.
struct Sorted {
  json::TreeNode event = json::TreeNode::object();
  json::TreeNode rest = json::TreeNode::object();
  std::optional<Uuid> id{};
  bool mapped = false;  // `rest` is the whole command
};

void sort_context(const json::Value& context, Sorted& sorted) {
  if (!context.is_object()) {
    sorted.event.members.emplace("context", json::TreeNode::of(context));
    return;
  }
  auto kept = json::TreeNode::object();
  auto moved = json::TreeNode::object();
  for (std::size_t i = 0; i < context.size(); ++i)
    (is_one_of(context.key_at(i), own_members) ? moved : kept)
        .members.emplace(context.key_at(i), json::TreeNode::of(context.at(i)));
  if (!kept.members.empty()) sorted.event.members.emplace("context", std::move(kept));
  if (!moved.members.empty()) sorted.rest.members.emplace("context", std::move(moved));
}

Result<Sorted> sort_members(const json::Value& command) {
  Sorted sorted;
  for (std::size_t i = 0; i < command.size(); ++i) {
    const auto name = command.key_at(i);
    const auto value = command.at(i);
    if (name == "id") {
      if (value.is_null()) continue;
      if (value.is_string()) sorted.id = parse_uuid(value.string());
      if (!sorted.id) return fail(ErrorKind::invalid, "/id: must be a UUID (8-4-4-4-12 hex digits)");
    } else if (name == "context" && !value.is_null()) {
      sort_context(value, sorted);
    } else if (is_one_of(name, event_members)) {
      if (!value.is_null()) sorted.event.members.emplace(name, json::TreeNode::of(value));
    } else {
      sorted.rest.members.emplace(name, json::TreeNode::of(value));
    }
  }
  sorted.event.members.try_emplace("kind", text_node(default_kind));
  return sorted;
}

// The mapping's word on it, with the whole command beside it, whose `id` counts where it is one.
Result<Sorted> map_command(const json::Value& command, const Mapping& mapping) {
  json::Parser parser;
  json::Document document;
  VESTIGE_CHECKED(parser.parse(mapping(command), document, {.bytes_max = limits::command_bytes_max}));
  Sorted sorted{
      .event = json::TreeNode::of(document.root()), .rest = json::TreeNode::of(command), .mapped = true};
  if (const auto id = command.find("id"); id.is_string()) sorted.id = parse_uuid(id.string());
  return sorted;
}

// Where a value is now that stood at `pointer`.
std::string moved_pointer(const std::string& pointer, const json::TreeNode& rest) {
  const auto end = pointer.find('/', 1);
  const auto first = json::unescaped_token(std::string_view(pointer).substr(1, end - 1));
  bool moved = rest.members.contains(first);
  if (moved && first == "context") {
    const auto next = pointer.substr(end + 1, pointer.find('/', end + 1) - end - 1);
    moved = is_one_of(json::unescaped_token(next), own_members);
  }
  return moved ? "/detail/original" + pointer : pointer;
}

Status keep_rest(Sorted& sorted) {
  if (sorted.rest.members.empty()) return {};
  auto& detail = sorted.event.members.try_emplace("detail", json::TreeNode::object()).first->second;
  if (detail.form != json::TreeNode::Form::object)
    return fail(ErrorKind::invalid, "/detail: must be an object");
  if (!detail.members.emplace("original", std::move(sorted.rest)).second)
    return fail(ErrorKind::invalid,
                "/detail/original: is where members are kept that are none of an event, and there are such");
  return {};
}

// As text, where it is a short one.
std::string header_text(std::string_view value) {
  if (value.size() <= limits::header_value_bytes_max && is_utf8(value)) return std::string(value);
  return "sha256:" + to_hex(crypto::sha256(view(value)));
}

// Beyond 2^53 JSON's numbers leave some out.
std::string offset_json(std::int64_t offset) {
  constexpr std::int64_t exact_max = std::int64_t{1} << 53;
  const auto text = std::to_string(offset);
  return offset <= exact_max ? text : quoted(text);
}

std::string headers_json(const Message& message, const std::vector<std::string>& wanted) {
  std::map<std::string, std::string, json::CanonicalLess> found;
  for (const auto& [name, value] : message.headers)
    if (value && std::ranges::find(wanted, name) != wanted.end()) found[name] = header_text(*value);
  if (found.empty()) return {};
  auto node = json::TreeNode::object();
  for (const auto& [name, value] : found) node.members.emplace(name, text_node(value));
  std::string out;
  node.write(out);
  return out;
}

}  // namespace

std::string bounded_text(std::string_view text, std::size_t bytes_max) {
  if (!is_utf8(text)) return fmt::format("{} bytes that are no text", text.size());
  if (text.size() > bytes_max) {
    text = text.substr(0, bytes_max);
    while (!is_utf8(text)) text.remove_suffix(1);
  }
  return std::string(text);
}

std::string position_of(const Message& message, std::string_view cluster) {
  Bytes lengths;
  ByteWriter out(lengths);
  out.u64(static_cast<std::uint64_t>(message.time ? message.time->value : -1));
  out.u64(message.key ? message.key->size() + 1 : 0);
  const auto bytes = [](const std::optional<std::string>& text) {
    return view(text ? std::string_view(*text) : std::string_view());
  };
  const auto digest = crypto::sha256({ByteView(lengths), bytes(message.key), bytes(message.value)});
  return fmt::format("{}/{}/{}/{}/{}", cluster, message.place.topic, message.place.partition, message.offset,
                     to_hex(ByteView(digest).first(16)));
}

Result<audit::CapturedEvent> read_command(const Message& message, const Configuration& configuration,
                                          std::string_view cluster) {
  if (!message.value) return fail(ErrorKind::invalid, "the message has no value");
  thread_local json::Parser parser;
  thread_local json::Document document;
  std::vector<std::string> lossless;
  VESTIGE_CHECKED(
      parser.parse_lossless(*message.value, document, lossless, {.bytes_max = limits::command_bytes_max}));
  if (!document.root().is_object()) return fail(ErrorKind::invalid, "a command is a JSON object");
  const auto* mapping = configuration.mapping_of(message.place.topic);
  VESTIGE_TRY(auto sorted, mapping ? map_command(document.root(), *mapping) : sort_members(document.root()));
  for (auto& pointer : lossless)
    pointer = sorted.mapped ? "/detail/original" + pointer : moved_pointer(pointer, sorted.rest);
  VESTIGE_CHECKED(keep_rest(sorted));
  if (!lossless.empty()) {
    auto list = json::TreeNode::array();
    for (const auto& pointer : lossless) list.elements.push_back(text_node(pointer));
    sorted.event.members.emplace("lossless", std::move(list));
  }
  audit::CapturedEvent captured{.position = position_of(message, cluster), .event = {}, .id = sorted.id};
  sorted.event.write(captured.event);
  if (message.time) captured.time = std::clamp(*message.time, time_min, time_max);
  captured.context = {{"capture", quoted(configuration.name)},
                      {"offset", offset_json(message.offset)},
                      {"partition", std::to_string(message.place.partition)},
                      {"topic", quoted(message.place.topic)}};
  if (auto told = headers_json(message, configuration.headers); !told.empty())
    captured.context.push_back({"headers", std::move(told)});
  return captured;
}

}  // namespace vestige::sources::kafka
