#include "audit/review.h"

#include "api/internal/impl.h"

namespace vestige::api {
namespace {

struct SignOffRequest {
  audit::Month month;
  std::uint64_t size = 0;
  std::string comment;
};

Result<SignOffRequest> parse_sign_off(std::string_view body, std::uint64_t size_now) {
  json::Parser parser;
  json::Document document;
  VESTIGE_CHECKED(parser.parse(body, document));
  const auto root = document.root();
  VESTIGE_CHECKED(only_members(root, {"month", "size", "comment"}));
  const auto month = root.find("month");
  const auto parsed = month.is_string() ? audit::Month::parse(month.string()) : std::nullopt;
  if (!parsed) return refuse_at("/month", "must be a month like 2026-11");
  const auto size = root.find("size");
  const auto number = size.is_number() ? size.number_value() : -1;
  if (number < 0 || number > static_cast<double>(size_now) ||
      number != static_cast<double>(static_cast<std::uint64_t>(number)))
    return refuse_at("/size",
                     fmt::format("must be the size of the tree that was reviewed, at most {}", size_now));
  const auto comment = root.find("comment");
  if (comment.exists() && !comment.is_string()) return refuse_at("/comment", "must be a string");
  return SignOffRequest{.month = *parsed,
                        .size = static_cast<std::uint64_t>(number),
                        .comment = comment.exists() ? std::string(comment.string()) : ""};
}

}  // namespace

void Api::Impl::get_review(const Caller& caller, http::Request request, http::Responder responder) {
  const auto month = audit::Month::parse(request.query_value("month").value_or(""));
  if (!month)
    return responder.respond(http::problem(400, "the parameter month must be a month like 2026-11"));
  look(caller, std::move(responder),
       [trail = caller.trail, month = *month](const audit::Visibility& visibility,
                                              LookedAt& at) -> http::Response {
         at = {.query = {}, .target_type = "MONTH", .target_id = month.text()};
         auto review = audit::review_access(trail->looks_reader(), visibility, month);
         *visibility.given_out = {};  // figures, and no entries
         return review ? json_response(200, *std::move(review)) : http::problem(review.error());
       });
}

void Api::Impl::post_review(const Caller& caller, http::Request request, http::Responder responder) {
  if (auto refused = wrong_type(request, "a sign-off")) return responder.respond(*std::move(refused));
  const auto wanted = parse_sign_off(request.body, caller.trail->looks_reader().size());
  if (!wanted) return responder.respond(http::problem(wanted.error()));
  const auto event = audit::sign_off_event({.month = wanted->month,
                                            .size = wanted->size,
                                            .comment = wanted->comment,
                                            .source_type = std::string(access::actor_type(caller.principal)),
                                            .source_id = access::actor_id(caller.principal),
                                            .source_name = caller.principal.name,
                                            .role = caller.decision.role});
  if (!event) return responder.respond(http::problem(event.error()));
  auto batch = caller.trail->looks().prepare_system(*event);
  if (!batch) return responder.respond(http::problem(batch.error()));
  submit(caller.trail->looks(), *std::move(batch), std::move(responder));
}

}  // namespace vestige::api
