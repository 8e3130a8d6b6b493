// Links by which customers see what is about them. Whoever opens one is that customer, so making one is as
// much as reading everything about them (docs/decisions/0096).
#include "api/internal/impl.h"
#include "base/time_text.h"

namespace vestige::api {
namespace {

constexpr std::uint64_t valid_seconds_max = 1'000'000'000;  // what is too long, the library says

Result<access::CustomerLinks::Wanted> parse_link(const Body& body) {
  access::CustomerLinks::Wanted wanted;
  VESTIGE_TRY(wanted.subject, body.text("subject"));
  VESTIGE_TRY(const auto seconds, body.number("validSeconds", valid_seconds_max));
  wanted.valid = std::chrono::seconds(seconds);
  VESTIGE_TRY(wanted.reusable, body.flag("reusable"));
  return wanted;
}

}  // namespace

void Api::Impl::post_customer_links(const Caller& caller, http::Request request, http::Responder responder) {
  const auto body = Body::read(request, {"subject", "validSeconds", "reusable"});
  if (!body) return responder.respond(body.error());
  const auto wanted = parse_link(*body);
  if (!wanted) return responder.respond(http::problem(wanted.error()));
  write_state(std::move(responder), [self = shared_from_this(), caller, wanted = *wanted] {
    const auto made = self->parts_.identity.customer_links().make(caller.principal, caller.client, wanted);
    if (!made) return http::problem(made.error());
    json::ObjectWriter out;
    out.text("token", made->token);
    out.text("link", self->link_to(fmt::format("mine#{}", made->token), caller.principal.tenant));
    out.text("expiresAt", format_time(made->expires));
    return json_response(201, out.str());
  });
}

}  // namespace vestige::api
