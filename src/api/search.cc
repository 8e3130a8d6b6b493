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

namespace {

// An answer without its events, for those who may count only.
void keep_figures(audit::SearchAnswer& answer) {
  answer.events.clear();
  answer.cursor.reset();
}

}  // namespace

void Api::Impl::search_in(audit::Reader& reader, const Caller& caller, http::Request request,
                          http::Responder responder) {
  if (auto refused = wrong_type(request, "a search")) return responder.respond(*std::move(refused));
  look(caller, std::move(responder),
       [self = shared_from_this(), &reader, caller, body = std::move(request.body)](
           const audit::Visibility& visibility, LookedAt& at) -> http::Response {
         // An empty body asks for everything.
         const auto parsed = self->parse_search(body.empty() ? "{}" : std::string_view(body));
         if (!parsed) return http::problem(parsed.error());
         auto search = (*parsed)->search;
         at.query = caller.trail->digests().recorded(search);
         at.counted = audit::counted_form(search.tally);
         const bool figures = caller.decision.grant.rows == access::Rows::counted;
         if (figures && search.tally.empty())
           return http::problem(
               403, "your role sees figures only: ask for total, facets or a histogram (docs: /docs)");
         auto answer = reader.search(search, visibility, format_uuid(caller.principal.id));
         if (!answer) return refusal(caller, answer.error());
         if (figures) {
           keep_figures(*answer);
           *visibility.given_out = {};
         }
         return json_response(200, answer_json(*answer));
       });
}

void Api::Impl::post_search(const Caller& caller, http::Request request, http::Responder responder) {
  search_in(caller.trail->reader(), caller, std::move(request), std::move(responder));
}

void Api::Impl::post_search_looks(const Caller& caller, http::Request request, http::Responder responder) {
  search_in(caller.trail->looks_reader(), caller, std::move(request), std::move(responder));
}

}  // namespace vestige::api
