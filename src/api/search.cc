#include "api/internal/impl.h"
#include "base/encoding.h"

namespace vestige::api {

std::string answer_json(const audit::SearchAnswer& answer) {
  std::size_t bytes = 256;
  for (const auto& event : answer.events) bytes += event.size() + 1;
  std::string out;
  out.reserve(bytes);
  out.append("{\"events\":[");
  for (std::size_t i = 0; i < answer.events.size(); ++i) {
    if (i > 0) out.push_back(',');
    out.append(answer.events[i]);
  }
  out.append("],\"cursor\":");
  out.append(answer.cursor ? fmt::format("\"{}\"", *answer.cursor) : "null");
  out.append(answer.tally);
  out.append(fmt::format(",\"tree\":{{\"size\":{},\"root\":\"{}\"}}}}", answer.size, to_base64(answer.root)));
  return out;
}

void Api::Impl::post_search(const ApiKey& caller, http::Request request, http::Responder responder) {
  const auto type = request.content_type();
  // curl -d names a form unless told otherwise; what follows is read as JSON all the same.
  if (!type.empty() && type != "application/json" && type != "application/x-www-form-urlencoded")
    return responder.respond(
        http::problem(415, fmt::format("a search comes as application/json, not as {}", type)));
  query(std::move(responder),
        [self = shared_from_this(), caller = format_uuid(caller.id),
         body = std::move(request.body)]() -> http::Response {
          json::Parser parser;
          json::Document document;
          // An empty body asks for everything.
          if (auto parsed = parser.parse(body.empty() ? "{}" : std::string_view(body), document); !parsed)
            return http::problem(parsed.error());
          const auto search = audit::parse_search(document, self->parts_.clock.now());
          if (!search) return http::problem(search.error());
          const auto answer = self->parts_.reader.search(*search, everything, caller);
          if (!answer) return http::problem(answer.error());
          return json_response(200, answer_json(*answer));
        });
}

}  // namespace vestige::api
