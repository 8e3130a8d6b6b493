#include "api/internal/impl.h"

namespace vestige::api {
namespace {

std::string cursor_json(const audit::Cursor& cursor) {
  return fmt::format("{{\"name\":{},\"next\":{}}}", quoted(cursor.name), cursor.next);
}

std::unexpected<Error> refuse(std::string path, std::string message) {
  Error error{.kind = ErrorKind::invalid, .message = std::move(message)};
  error.path = std::move(path);
  return std::unexpected(std::move(error));
}

// {"next": index}
Result<std::uint64_t> parse_next(std::string_view body) {
  json::Parser parser;
  json::Document document;
  VESTIGE_CHECKED(parser.parse(body, document));
  const auto root = document.root();
  const auto next = root.find("next");
  if (!root.is_object() || root.size() != 1 || !next.exists())
    return refuse("", "a cursor is saved by an object with \"next\", the index to go on with");
  const double number = next.is_number() ? next.number_value() : -1;
  constexpr double exact_max = 9'007'199'254'740'992;  // beyond it a double is no index
  if (number < 0 || number > exact_max || number != static_cast<double>(static_cast<std::uint64_t>(number)))
    return refuse("/next", "must be an index, a whole number from 0 on");
  return static_cast<std::uint64_t>(number);
}

// Programs share theirs, so that the next key goes on where a rotated one was; people have their own.
audit::CursorOwner owner_of(const Caller& caller) {
  return caller.principal.kind == access::PrincipalKind::service ? std::string()
                                                                 : format_uuid(caller.principal.id);
}

}  // namespace

std::optional<audit::Cursor> Api::Impl::saved_cursor(const Caller& caller, std::string_view name) const {
  return caller.trail->cursors().find(owner_of(caller), name);
}

void Api::Impl::get_cursors(const Caller& caller, http::Request, http::Responder responder) {
  std::string out = "{\"cursors\":[";
  for (const auto& cursor : caller.trail->cursors().list(owner_of(caller)))
    out += fmt::format("{}{}", out.back() == '[' ? "" : ",", cursor_json(cursor));
  responder.respond(json_response(200, out + "]}"));
}

void Api::Impl::get_cursor(const Caller& caller, http::Request request, http::Responder responder) {
  const auto cursor = saved_cursor(caller, request.captures.at("name"));
  responder.respond(cursor ? json_response(200, cursor_json(*cursor)) : no_such("cursor"));
}

void Api::Impl::put_cursor(const Caller& caller, http::Request request, http::Responder responder) {
  const auto next = parse_next(request.body);
  if (!next) return responder.respond(http::problem(next.error()));
  audit::Cursor cursor{request.captures.at("name"), *next};
  auto answer = cursor_json(cursor);
  auto shared = std::make_shared<http::Responder>(std::move(responder));
  caller.trail->cursors().save(
      owner_of(caller), std::move(cursor), [shared, answer = std::move(answer)](const Status& outcome) {
        shared->respond(outcome ? json_response(200, answer) : http::problem(outcome.error()));
      });
}

}  // namespace vestige::api
