#include "api/internal/impl.h"
#include "audit/coverage_report.h"
#include "base/time_text.h"

namespace vestige::api {
namespace {

Result<std::optional<UnixMs>> time_of(std::string_view name, std::string_view text) {
  const auto time = parse_time(text);
  if (!time)
    return refuse_at(fmt::format("/{}", name), "must be an RFC 3339 time, such as 2026-11-25T14:40:11Z");
  return time;
}

// What is not known is refused: it might have been meant to leave something out.
Result<audit::CoverageOrder> order_of(const http::Request& request, UnixMs now) {
  audit::CoverageOrder order{.source = {}, .span = {}, .now = now};
  for (const auto& [name, value] : request.query) {
    if (name == "source") {
      if (value.empty() || value.size() > audit::coverage_name_bytes_max)
        return refuse_at("/source", "must be the name of a source in the configuration");
      order.source = value;
    } else if (name == "from") {
      VESTIGE_TRY(order.span.from, time_of(name, value));
    } else if (name == "to") {
      VESTIGE_TRY(order.span.to, time_of(name, value));
    } else {
      return refuse_at("/" + name, fmt::format("a report on captures takes no parameter \"{}\"", name));
    }
  }
  if (order.span.from && order.span.to && *order.span.to <= *order.span.from)
    return refuse_at("/to", "must be later than \"from\"");
  return order;
}

}  // namespace

void Api::Impl::get_coverage(const Caller& caller, http::Request request, http::Responder responder) {
  auto order = order_of(request, parts_.clock.now());
  if (!order) return responder.respond(http::problem(order.error()));
  look(caller, std::move(responder),
       [trail = caller.trail, order = *std::move(order)](const audit::Visibility& visibility,
                                                         LookedAt& at) -> http::Response {
         at = {.query = {},
               .target_type = "CAPTURE",
               .target_id = order.source.empty() ? "" : trail->digests().recorded_id(order.source)};
         auto report = audit::coverage_report(trail->reader(), order);
         *visibility.given_out = {};  // where entries are, and not what they say
         return report ? json_response(200, *std::move(report)) : http::problem(report.error());
       });
}

}  // namespace vestige::api
