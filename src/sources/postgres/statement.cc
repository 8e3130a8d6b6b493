#include "sources/postgres/statement.h"

#include "json/json.h"
#include "json/object_writer.h"
#include "sources/postgres/row_values.h"

namespace vestige::sources::postgres {
namespace {

// Takes a member if it is understood. Programs write ids as numbers too.
bool take(const json::Value& value, std::size_t bytes_max, std::string& to) {
  const auto text = value.is_string()   ? value.string()
                    : value.is_number() ? value.number()
                                        : std::string_view();
  if (text.empty() || text.size() > bytes_max || !is_plain(text)) return false;
  to = text;
  return true;
}

// Gives the JSON of what is left of it.
std::string take_actor(const json::Value& object, std::optional<Actor>& to) {
  Actor actor;
  if (!take(object.find("id"), id_bytes_max, actor.id)) return json::canonical(object);
  json::ObjectWriter left;
  for (std::size_t i = 0; i < object.size(); ++i) {
    const auto name = object.key_at(i);
    const auto value = object.at(i);
    const bool taken = name == "id" || (name == "type" && take(value, word_bytes_max, actor.type)) ||
                       (name == "name" && take(value, word_bytes_max, actor.name));
    if (!taken) left.raw(name, json::canonical(value));
  }
  to = std::move(actor);
  return left.empty() ? std::string() : left.str();
}

std::string take_members(const json::Value& object, Statement& to) {
  json::ObjectWriter left;
  for (std::size_t i = 0; i < object.size(); ++i) {
    const auto name = object.key_at(i);
    const auto value = object.at(i);
    if (name == "actor") {
      left.raw_if_any(name, take_actor(value, to.actor));
      continue;
    }
    const bool taken = (name == "organization" && take(value, id_bytes_max, to.organization)) ||
                       (name == "requestId" && take(value, id_bytes_max, to.request_id)) ||
                       (name == "reason" && take(value, id_bytes_max, to.reason));
    if (!taken) left.raw(name, json::canonical(value));
  }
  return left.empty() ? std::string() : left.str();
}

}  // namespace

Statement parse_statement(ByteView content) {
  Statement statement;
  json::Parser parser;
  json::Document document;
  const json::Limits limits{.depth_max = value_depth_max, .bytes_max = message_bytes_max};
  auto& more = statement.more;
  more.json = parser.parse(text(content), document, limits) && document.root().is_object();
  more.text = more.json ? take_members(document.root(), statement) : std::string(text(content));
  if (more.text.size() > value_bytes_max || !is_plain(more.text)) {
    more.text = digest_of(more.text);
    more.json = true;
  }
  return statement;
}

}  // namespace vestige::sources::postgres
