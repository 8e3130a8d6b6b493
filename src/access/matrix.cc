// The policy as a table: role x operation x class of values.
#include <fmt/format.h>

#include <algorithm>

#include "access/policy.h"
#include "json/json.h"

namespace vestige::access {
namespace {

constexpr std::string_view denied = "-";

std::string quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

std::string acts(const Grant& grant) {
  std::string out = grant.reason ? "reason" : "yes";
  // Of a proof too, rows say whose.
  if (grant.rows != Rows::all)
    out = fmt::format("{}{}", name_of(grant.rows), grant.reason ? " + reason" : "");
  if (!grant.approval.empty()) out += fmt::format(" + {}", grant.approval);
  return out;
}

std::string clear_cell(const Policy& policy, const Operation& operation, const Grant& grant) {
  std::string out(name_of(grant.rows));
  if (!grant.kinds.empty()) out += fmt::format(" of {}", fmt::join(grant.kinds, ", "));
  if (grant.reason || grant.rows == Rows::person) out += " + reason";
  if (!grant.approval.empty()) out += fmt::format(" + {}", grant.approval);
  if (operation.look == Look::export_ &&
      policy.waits_for_bulk(grant, grant.approval, policy.export_entries() + 1))
    out += fmt::format(" + {} over {}", bulk_export_rule, policy.export_entries());
  return out;
}

}  // namespace

std::string matrix_cell(const Policy& policy, const Role& role, const Operation& operation,
                        ValueClass value_class) {
  const auto found = role.grants.find(operation.name);
  if (found == role.grants.end()) return std::string(denied);
  const auto& grant = found->second;
  if (!operation.reads_events()) return acts(grant);
  if (value_class == ValueClass::clear) return clear_cell(policy, operation, grant);
  if (!operation.reads_class(value_class) || grant.rows == Rows::counted) return std::string(denied);
  return std::string(name_of(value_class == ValueClass::personal ? grant.personal : grant.sensitive));
}

std::string matrix_json(const Policy& policy) {
  std::string out = "{\"operations\":[";
  bool first = true;
  for (const auto& operation : operations()) {
    out += fmt::format(R"({}{{"about":{},"cells":[)", first ? "" : ",", quoted(operation.about));
    first = false;
    bool first_cell = true;
    for (const auto& role : policy.roles())
      for (const auto value_class : value_classes) {
        if (value_class != ValueClass::clear && !operation.reads_class(value_class)) continue;
        out += fmt::format(R"({}{{"class":"{}","role":{},"value":{}}})", first_cell ? "" : ",",
                           name_of(value_class), quoted(role.name),
                           quoted(matrix_cell(policy, role, operation, value_class)));
        first_cell = false;
      }
    out += fmt::format(R"(],"operation":{},"scope":{}}})", quoted(operation.name),
                       quoted(operation.scope ? name_of(*operation.scope) : "session"));
  }
  out += "],\"roles\":[";
  first = true;
  for (const auto& role : policy.roles()) {
    const auto days = role.terms.ends_within_days;
    out += fmt::format(R"({}{{"about":{},{}"name":{},"title":{}}})", first ? "" : ",", quoted(role.about),
                       days ? fmt::format(R"("endsWithinDays":{},)", *days) : "", quoted(role.name),
                       quoted(role.title));
    first = false;
  }
  return out + "]}";
}

std::string matrix_table(const Policy& policy) {
  std::string out;
  for (const auto& role : policy.roles()) {
    out += fmt::format("{} ({})\n  {}\n", role.title, role.name, role.about);
    if (const auto days = role.terms.ends_within_days)
      out += fmt::format("  Accounts and keys that have it end within {} days.\n", *days);
    for (const auto& operation : operations()) {
      if (!role.grants.contains(operation.name)) continue;
      out +=
          fmt::format("  {:<20} {}", operation.name, matrix_cell(policy, role, operation, ValueClass::clear));
      for (const auto value_class : {ValueClass::personal, ValueClass::sensitive})
        if (operation.reads_class(value_class))
          out +=
              fmt::format("; {} {}", name_of(value_class), matrix_cell(policy, role, operation, value_class));
      out += '\n';
    }
    out += '\n';
  }
  out += "What is not listed is denied.\n";
  return out;
}

}  // namespace vestige::access
