#include "audit/records.h"

#include "api/internal/impl.h"

namespace vestige::api {
namespace {

http::Response no_such_type(std::string_view type) {
  std::string names;
  for (const auto& known : audit::record_types()) names.append(names.empty() ? "" : ", ").append(known.name);
  return http::problem(
      Error{.kind = ErrorKind::not_found,
            .message = fmt::format("there is no record type \"{}\"; there are {}", type, names)});
}

}  // namespace

void Api::Impl::get_record(const Caller& caller, http::Request request, http::Responder responder) {
  const auto& type_name = request.captures["type"];
  const auto* type = audit::find_record_type(type_name);
  if (type == nullptr) return responder.respond(no_such_type(type_name));
  audit::Wanted wanted;
  wanted.text("targetId", request.captures["id"]);
  if (type->kinds.size() == 1) wanted.text("kind", type->kinds.front());
  if (const auto target_type = request.query_value("targetType"))
    wanted.raw("targetType", fmt::format("[{}]", quoted(*target_type)));
  look(caller, std::move(responder),
       [trail = caller.trail, type, wanted, id = request.captures["id"],
        caller = format_uuid(caller.principal.id)](const audit::Visibility& visibility,
                                                   LookedAt& at) -> http::Response {
         at.target_type = type->name;
         at.target_id = trail->digests().recorded_id(id);
         const auto gathered = audit::gather(trail->reader(), {visibility, caller}, wanted, type->kinds);
         if (!gathered) return http::problem(gathered.error());
         if (gathered->steps.empty()) return no_such(type->name);
         auto record = audit::fold_record(*type, id, *gathered);
         return record ? json_response(200, *std::move(record)) : http::problem(record.error());
       });
}

void Api::Impl::get_session_record(const Caller& caller, http::Request request, http::Responder responder) {
  const auto id = captured_id(request);
  if (!id) return responder.respond(no_such("session"));
  look(caller, std::move(responder),
       [trail = caller.trail, id = format_uuid(*id), caller = format_uuid(caller.principal.id)](
           const audit::Visibility& visibility, LookedAt& at) -> http::Response {
         const auto& type = audit::signed_in_session();
         at = {.query = {}, .target_type = "SESSION", .target_id = id};
         audit::Wanted wanted;
         // What was done in it, and what tells of it; a look at its record is neither.
         wanted.raw("filter", fmt::format(R"({{"or":[{{"field":"context.sessionId","equals":"{0}"}},)"
                                          R"({{"and":[{{"field":"kind","prefix":"access."}},)"
                                          R"({{"field":"targetId","equals":"{0}"}}]}}]}})",
                                          id));
         const auto gathered = audit::gather(trail->looks_reader(), {visibility, caller}, wanted, type.kinds);
         if (!gathered) return http::problem(gathered.error());
         if (gathered->steps.empty()) return no_such("session");
         auto record = audit::fold_record(type, id, *gathered);
         return record ? json_response(200, *std::move(record)) : http::problem(record.error());
       });
}

}  // namespace vestige::api
