#include "audit/entities.h"

#include "api/internal/impl.h"
#include "base/time_text.h"

namespace vestige::api {
namespace {

struct Named {
  std::string type;
  std::string id;
};

Named entity_of(const http::Request& request) {
  return {request.captures.at("type"), request.captures.at("id")};
}

audit::Wanted about(const Named& entity) {
  audit::Wanted wanted;
  wanted.raw("targetType", fmt::format("[{}]", quoted(entity.type))).text("targetId", entity.id);
  return wanted;
}

// A time that a parameter has to name; empty where it is missing.
Result<std::optional<UnixMs>> time_parameter(const http::Request& request, std::string_view name) {
  const auto text = request.query_value(name);
  if (!text) return std::optional<UnixMs>{};
  if (const auto time = parse_time(*text)) return time;
  return fail(ErrorKind::invalid,
              fmt::format("the parameter {} must be an RFC 3339 date-time, such as 2026-11-25T14:40:11.213Z "
                          "(a + in it is sent as %2B)",
                          name));
}

Result<UnixMs> needed_time(const http::Request& request, std::string_view name) {
  VESTIGE_TRY(const auto time, time_parameter(request, name));
  if (time) return *time;
  return fail(ErrorKind::invalid, fmt::format("the parameter {} is missing: the time to compare", name));
}

// order, limit and cursor of a page; what is wrong with them, the search says.
Status take_paging(const http::Request& request, audit::Wanted& wanted) {
  wanted.text("order", request.query_value("order").value_or("asc"));
  if (const auto cursor = request.query_value("cursor")) wanted.text("cursor", *cursor);
  const auto limit = request.query_value("limit");
  if (!limit) return {};
  if (limit->empty() || limit->size() > 9 || limit->find_first_not_of("0123456789") != std::string_view::npos)
    return fail(ErrorKind::invalid, "the parameter limit must be a whole number from 1 on");
  wanted.raw("limit", fmt::format("{}", std::stoul(std::string(*limit))));
  return {};
}

// What a search says of a member of its body, said of the parameter that it was made from.
Error of_parameter(Error error) {
  if (!error.path.empty())
    error.message = fmt::format("the parameter {}: {}", error.path.substr(1), error.message);
  error.path.clear();
  error.position.reset();
  return error;
}

}  // namespace

LookedAt Api::Impl::look_at(const Caller& caller, std::string_view type, std::string_view id) {
  return {
      .query = {}, .target_type = std::string(type), .target_id = caller.trail->digests().recorded_id(id)};
}

void Api::Impl::answer_page(const Caller& caller, LookedAt at, http::Request request, audit::Wanted wanted,
                            http::Responder responder) {
  if (auto paging = take_paging(request, wanted); !paging)
    return responder.respond(http::problem(paging.error()));
  look(caller, std::move(responder),
       [trail = caller.trail, told = std::move(at), wanted = std::move(wanted),
        caller = format_uuid(caller.principal.id)](const audit::Visibility& visibility,
                                                   LookedAt& at) -> http::Response {
         at = told;
         const auto page = audit::search_page(trail->reader(), {visibility, caller}, wanted);
         return page ? json_response(200, answer_json(*page)) : http::problem(of_parameter(page.error()));
       });
}

void Api::Impl::answer_fold(const Caller& caller, LookedAt at, audit::Wanted wanted, Fold fold,
                            http::Responder responder) {
  look(caller, std::move(responder),
       [trail = caller.trail, told = std::move(at), wanted = std::move(wanted), fold = std::move(fold),
        caller = format_uuid(caller.principal.id)](audit::Visibility visibility,
                                                   LookedAt& at) -> http::Response {
         at = told;
         // A fold tells what is hidden from what was removed by its absence.
         visibility.masks = false;
         const auto gathered = audit::gather(trail->reader(), {visibility, caller}, wanted, {});
         if (!gathered) return http::problem(gathered.error());
         if (gathered->steps.empty())
           return no_such("entity: no entry of the trail has this target type and id");
         auto answer = fold(*gathered);
         return answer ? json_response(200, *std::move(answer)) : http::problem(answer.error());
       });
}

void Api::Impl::get_history(const Caller& caller, http::Request request, http::Responder responder) {
  const auto entity = entity_of(request);
  auto wanted = about(entity);
  answer_page(caller, look_at(caller, entity.type, entity.id), std::move(request), std::move(wanted),
              std::move(responder));
}

void Api::Impl::get_timeline(const Caller& caller, http::Request request, http::Responder responder) {
  audit::Wanted wanted;
  wanted.text("subject", request.captures["id"]);
  answer_page(caller, {.query = {}, .target_type = "SUBJECT", .target_id = {}}, std::move(request),
              std::move(wanted), std::move(responder));
}

void Api::Impl::get_state(const Caller& caller, http::Request request, http::Responder responder) {
  const auto at = time_parameter(request, "at");
  if (!at) return responder.respond(http::problem(at.error()));
  const auto entity = entity_of(request);
  answer_fold(
      caller, look_at(caller, entity.type, entity.id), about(entity),
      [entity, at = *at](const audit::Gathered& gathered) {
        return audit::fold_state({entity.type, entity.id}, gathered, at);
      },
      std::move(responder));
}

void Api::Impl::get_diff(const Caller& caller, http::Request request, http::Responder responder) {
  const auto from = needed_time(request, "from");
  if (!from) return responder.respond(http::problem(from.error()));
  const auto to = needed_time(request, "to");
  if (!to) return responder.respond(http::problem(to.error()));
  const auto entity = entity_of(request);
  answer_fold(
      caller, look_at(caller, entity.type, entity.id), about(entity),
      [entity, from = *from, to = *to](const audit::Gathered& gathered) {
        return audit::fold_diff({entity.type, entity.id}, gathered, from, to);
      },
      std::move(responder));
}

void Api::Impl::get_blame(const Caller& caller, http::Request request, http::Responder responder) {
  const auto entity = entity_of(request);
  answer_fold(
      caller, look_at(caller, entity.type, entity.id), about(entity),
      [entity](const audit::Gathered& gathered) {
        return audit::fold_blame({entity.type, entity.id}, gathered);
      },
      std::move(responder));
}

}  // namespace vestige::api
