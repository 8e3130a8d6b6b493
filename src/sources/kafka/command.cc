#include "sources/kafka/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>

#include "base/encoding.h"
#include "base/time_text.h"
#include "crypto/digest.h"
#include "json/json.h"
#include "json/object_writer.h"
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
constexpr std::string_view original_member = "original";

bool is_one_of(std::string_view name, std::span<const std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

std::string quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

// What goes into the event, and whose word its id is.
struct Sorted {
  json::ObjectWriter event{};
  std::optional<Uuid> id{};
  bool mapped = false;  // the whole command is kept beside it
};

// `rest` is kept beside the details.
Status add_detail(json::ObjectWriter& event, const json::Value& detail, std::string_view rest) {
  const bool told = detail.exists() && !detail.is_null();
  if (rest.empty()) {
    if (told) event.raw("detail", json::canonical(detail));
    return {};
  }
  json::ObjectWriter both;
  if (told && !detail.is_object()) return fail(ErrorKind::invalid, "/detail: must be an object");
  for (std::size_t i = 0; told && i < detail.size(); ++i) {
    if (detail.key_at(i) == original_member)
      return fail(
          ErrorKind::invalid,
          "/detail/original: is where members are kept that are none of an event, and there are such");
    both.raw(detail.key_at(i), json::canonical(detail.at(i)));
  }
  event.raw("detail", both.raw(original_member, rest).str());
  return {};
}

// Adds what of the context is kept; what is not goes to the rest.
void sort_context(const json::Value& context, json::ObjectWriter& event, json::ObjectWriter& rest) {
  if (!context.is_object()) {
    event.raw("context", json::canonical(context));
    return;
  }
  json::ObjectWriter kept, moved;
  for (std::size_t i = 0; i < context.size(); ++i)
    (is_one_of(context.key_at(i), own_members) ? moved : kept)
        .raw(context.key_at(i), json::canonical(context.at(i)));
  if (!kept.empty()) event.raw("context", kept.str());
  if (!moved.empty()) rest.raw("context", moved.str());
}

Result<Sorted> sort_members(const json::Value& command) {
  Sorted sorted;
  json::ObjectWriter rest;
  for (std::size_t i = 0; i < command.size(); ++i) {
    const auto name = command.key_at(i);
    const auto value = command.at(i);
    if (name == "id") {
      if (value.is_null()) continue;
      if (value.is_string()) sorted.id = parse_uuid(value.string());
      if (!sorted.id) return fail(ErrorKind::invalid, "/id: must be a UUID (8-4-4-4-12 hex digits)");
    } else if (!is_one_of(name, event_members)) {
      rest.raw(name, json::canonical(value));
    } else if (name == "context" && !value.is_null()) {
      sort_context(value, sorted.event, rest);
    } else if (name != "detail" && !value.is_null()) {
      sorted.event.raw(name, json::canonical(value));
    }
  }
  if (const auto kind = command.find("kind"); !kind.exists() || kind.is_null())
    sorted.event.text("kind", default_kind);
  VESTIGE_CHECKED(add_detail(sorted.event, command.find("detail"), rest.empty() ? "" : rest.str()));
  return sorted;
}

// The mapping's word on it, with the whole command beside it, whose `id` counts where it is one.
Result<Sorted> map_command(const json::Value& command, const Mapping& mapping) {
  json::Parser parser;
  json::Document document;
  VESTIGE_CHECKED(parser.parse(mapping(command), document, {.bytes_max = limits::command_bytes_max}));
  const auto event = document.root();
  Sorted sorted{.mapped = true};
  for (std::size_t i = 0; i < event.size(); ++i)
    if (event.key_at(i) != "detail") sorted.event.raw(event.key_at(i), json::canonical(event.at(i)));
  VESTIGE_CHECKED(add_detail(sorted.event, event.find("detail"), json::canonical(command)));
  if (const auto id = command.find("id"); id.is_string()) sorted.id = parse_uuid(id.string());
  return sorted;
}

// Where a value is now that stood at `pointer` of the command.
std::string moved_pointer(const std::string& pointer, bool mapped) {
  const auto end = pointer.find('/', 1);
  const auto first = json::unescaped_token(std::string_view(pointer).substr(1, end - 1));
  bool moved = mapped || !is_one_of(first, event_members);
  if (!moved && first == "context" && end != std::string::npos) {
    const auto next = pointer.substr(end + 1, pointer.find('/', end + 1) - end - 1);
    moved = is_one_of(json::unescaped_token(next), own_members);
  }
  return moved ? "/detail/original" + pointer : pointer;
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
  json::ObjectWriter writer;
  for (const auto& [name, value] : found) writer.text(name, value);
  return writer.str();
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
  for (auto& pointer : lossless) pointer = moved_pointer(pointer, sorted.mapped);
  if (!lossless.empty()) sorted.event.raw("lossless", json::quoted_list(lossless));
  audit::CapturedEvent captured{
      .position = position_of(message, cluster), .event = sorted.event.str(), .id = sorted.id};
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
