#include "access/policy.h"

#include <fmt/format.h>
#include <generated/access_assets.h>

#include <algorithm>
#include <set>

#include "access/accounts.h"
#include "access/customer_links.h"
#include "access/limits.h"
#include "base/check.h"
#include "json/json.h"

namespace vestige::access {
namespace {

constexpr std::string_view format_name = "vestige policy v1";
constexpr std::pair<std::string_view, Rows> rows_names[] = {
    {"counted", Rows::counted}, {"own", Rows::own}, {"person", Rows::person}, {"all", Rows::all}};
constexpr std::pair<std::string_view, Shown> shown_names[] = {{"masked", Shown::masked},
                                                              {"approval", Shown::approval},
                                                              {"reason", Shown::reason},
                                                              {"shown", Shown::always}};

std::unexpected<Error> refuse(std::string path, std::string what) {
  return std::unexpected(
      Error{.kind = ErrorKind::invalid, .message = std::move(what), .path = std::move(path)});
}

std::string below(const std::string& path, std::string_view name) {
  std::string out = path;
  json::append_pointer(out, name);
  return out;
}
std::string below(const std::string& path, std::size_t number) { return fmt::format("{}/{}", path, number); }

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= limits::role_bytes_max && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// The name is of the table's second column, or the message lists those that are.
template <typename Word, std::size_t N>
Result<Word> read_word(const std::pair<std::string_view, Word> (&names)[N], const json::Value& value,
                       const std::string& path) {
  std::string known;
  for (const auto& [name, word] : names) {
    if (value.is_string() && value.string() == name) return word;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", name);
  }
  return refuse(path, fmt::format("must be one of {}", known));
}

Status only_members(const json::Value& object, std::initializer_list<std::string_view> known,
                    const std::string& path) {
  if (!object.is_object()) return refuse(path, "must be an object");
  for (std::size_t i = 0; i < object.size(); ++i)
    if (std::ranges::find(known, object.key_at(i)) == known.end())
      return refuse(below(path, object.key_at(i)),
                    "there is no such member here; docs/formats/policy.md has all");
  return {};
}

Result<std::string> read_text(const json::Value& object, std::string_view member, const std::string& path) {
  const auto value = object.find(member);
  if (!value.is_string() || value.string().empty() || value.string().size() > limits::policy_text_bytes_max)
    return refuse(below(path, member),
                  fmt::format("must be a text of 1 to {} bytes", limits::policy_text_bytes_max));
  return std::string(value.string());
}

Result<bool> read_flag(const json::Value& object, std::string_view member, const std::string& path) {
  const auto value = object.find(member);
  if (!value.exists()) return false;
  if (!value.is_boolean()) return refuse(below(path, member), "must be true or false");
  return value.boolean();
}

Result<std::uint64_t> read_count(const json::Value& object, std::string_view member, const std::string& path,
                                 std::uint64_t most) {
  const auto value = object.find(member);
  const auto number = value.is_number() ? value.number_value() : -1;
  if (number < 1 || number > static_cast<double>(most) ||
      number != static_cast<double>(static_cast<std::uint64_t>(number)))
    return refuse(below(path, member), fmt::format("must be a whole number from 1 to {}", most));
  return static_cast<std::uint64_t>(number);
}

// A pattern that matches nothing would protect nothing.
bool is_kind_pattern(std::string_view text) {
  const auto star = text.find('*');
  return star == std::string_view::npos || (star > 1 && star == text.size() - 1 && text[star - 1] == '.');
}

// Texts of one byte to `bytes_max`, at least one of them, and none twice.
Result<std::vector<std::string>> read_list(const json::Value& object, std::string_view member,
                                           const std::string& path, std::size_t bytes_max) {
  const auto value = object.find(member);
  if (!value.is_array() || value.size() == 0 ||
      value.size() > std::max(limits::policy_roles_max, operations().size()))
    return refuse(below(path, member), "must be a list of names");
  std::vector<std::string> names;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const auto at = below(below(path, member), i);
    if (!value.at(i).is_string() || value.at(i).string().empty() || value.at(i).string().size() > bytes_max)
      return refuse(at, fmt::format("must be a name of 1 to {} bytes", bytes_max));
    if (std::ranges::find(names, value.at(i).string()) != names.end()) return refuse(at, "stands here twice");
    names.emplace_back(value.at(i).string());
  }
  return names;
}
Result<std::vector<std::string>> read_names(const json::Value& object, std::string_view member,
                                            const std::string& path) {
  return read_list(object, member, path, limits::role_bytes_max);
}
// Of events: kinds, fields, types.
Result<std::vector<std::string>> read_words(const json::Value& object, std::string_view member,
                                            const std::string& path) {
  return read_list(object, member, path, limits::policy_text_bytes_max);
}

}  // namespace

std::string_view name_of(Rows rows) {
  return std::ranges::find(rows_names, rows, [](const auto& pair) { return pair.second; })->first;
}
std::string_view name_of(Shown shown) {
  return std::ranges::find(shown_names, shown, [](const auto& pair) { return pair.second; })->first;
}

// ------------------------------------------------------------------------------------------ reading

class Policy::Reading {
 public:
  explicit Reading(Policy& policy) : policy_(policy) {}

  Status read(const json::Value& root) {
    VESTIGE_CHECKED(only_members(
        root, {"format", "small_count", "export_entries", "roles", "approvals", "modifications"}, ""));
    const auto format = root.find("format");
    if (!format.is_string() || format.string() != format_name)
      return refuse("/format", fmt::format("must be \"{}\"", format_name));
    VESTIGE_TRY(policy_.small_count_, read_count(root, "small_count", "", 1'000'000));
    VESTIGE_TRY(policy_.export_entries_, read_count(root, "export_entries", "", 1'000'000'000'000));
    // Rules first: grants name them.
    VESTIGE_CHECKED(read_rules(root.find("approvals")));
    VESTIGE_CHECKED(read_roles(root.find("roles")));
    if (const auto modifications = root.find("modifications"); modifications.exists())
      VESTIGE_CHECKED(read_modifications(modifications));
    return check_references();
  }

 private:
  Status read_rules(const json::Value& rules) {
    if (!rules.is_object() || rules.size() > limits::approval_rules_max)
      return refuse("/approvals",
                    fmt::format("must be an object of at most {} rules", limits::approval_rules_max));
    for (std::size_t i = 0; i < rules.size(); ++i) {
      const auto path = below("/approvals", rules.key_at(i));
      if (!is_name(rules.key_at(i))) return refuse(path, "must have a name of a to z, 0 to 9 and _");
      VESTIGE_CHECKED(only_members(rules.at(i), {"about", "deciders", "minutes"}, path));
      ApprovalRule rule;
      rule.name = rules.key_at(i);
      VESTIGE_TRY(rule.about, read_text(rules.at(i), "about", path));
      VESTIGE_TRY(rule.deciders, read_names(rules.at(i), "deciders", path));
      VESTIGE_TRY(const auto minutes, read_count(rules.at(i), "minutes", path, limits::approval_minutes_max));
      rule.minutes = static_cast<std::uint32_t>(minutes);
      policy_.rules_.push_back(std::move(rule));
    }
    return {};
  }

  Status read_roles(const json::Value& roles) {
    if (!roles.is_object() || roles.size() > limits::policy_roles_max)
      return refuse("/roles", fmt::format("must be an object of at most {} roles", limits::policy_roles_max));
    for (std::size_t i = 0; i < roles.size(); ++i) {
      const auto path = below("/roles", roles.key_at(i));
      if (!is_name(roles.key_at(i))) return refuse(path, "must have a name of a to z, 0 to 9 and _");
      VESTIGE_CHECKED(
          only_members(roles.at(i), {"title", "about", "grants", "given_by", "ends_within_days"}, path));
      Role role;
      role.name = roles.key_at(i);
      VESTIGE_TRY(role.title, read_text(roles.at(i), "title", path));
      VESTIGE_TRY(role.about, read_text(roles.at(i), "about", path));
      if (roles.at(i).find("given_by").exists()) {
        VESTIGE_TRY(role.given_by, read_names(roles.at(i), "given_by", path));
      }
      if (roles.at(i).find("ends_within_days").exists()) {
        VESTIGE_TRY(role.terms, read_terms(roles.at(i), role.name, path));
      }
      const auto grants = roles.at(i).find("grants");
      if (!grants.is_array()) return refuse(below(path, "grants"), "must be a list of grants");
      for (std::size_t j = 0; j < grants.size(); ++j)
        VESTIGE_CHECKED(read_grant(grants.at(j), below(below(path, "grants"), j), role));
      policy_.roles_.push_back(std::move(role));
    }
    return {};
  }

  static Result<RoleTerms> read_terms(const json::Value& role, std::string_view name,
                                      const std::string& path) {
    // The first administrator and the server's own key are made without an end, and nobody gives a
    // customer's.
    if (name == administrator_role || name == service_role || name == customer_role)
      return refuse(below(path, "ends_within_days"), fmt::format("the role {} takes no end", name));
    VESTIGE_TRY(const auto days, read_count(role, "ends_within_days", path, limits::ends_within_days_max));
    return RoleTerms{.ends_within_days = static_cast<std::uint32_t>(days)};
  }

  Status read_grant(const json::Value& value, const std::string& path, Role& role) {
    VESTIGE_CHECKED(only_members(
        value, {"operations", "rows", "kinds", "personal", "sensitive", "reason", "approval", "bulk"}, path));
    Grant grant;
    if (const auto rows = value.find("rows"); rows.exists()) {
      VESTIGE_TRY(grant.rows, read_word(rows_names, rows, below(path, "rows")));
    }
    if (const auto personal = value.find("personal"); personal.exists()) {
      VESTIGE_TRY(grant.personal, read_word(shown_names, personal, below(path, "personal")));
    }
    if (const auto sensitive = value.find("sensitive"); sensitive.exists()) {
      VESTIGE_TRY(grant.sensitive, read_word(shown_names, sensitive, below(path, "sensitive")));
    }
    if (value.find("kinds").exists()) {
      VESTIGE_TRY(grant.kinds, read_names(value, "kinds", path));
    }
    VESTIGE_TRY(grant.reason, read_flag(value, "reason", path));
    VESTIGE_TRY(grant.bulk, read_flag(value, "bulk", path));
    if (grant.sensitive > grant.personal)
      return refuse(below(path, "sensitive"), "shows more of sensitive values than of personal ones");
    if (value.find("approval").exists()) {
      VESTIGE_TRY(grant.approval, read_rule(value, "approval", path));
    }
    VESTIGE_TRY(const auto names, read_names(value, "operations", path));
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto at = below(below(path, "operations"), i);
      const auto* operation = find_operation(names[i]);
      if (operation == nullptr)
        return refuse(at,
                      fmt::format("there is no operation {}; `vestige access matrix` lists them", names[i]));
      if (grant.rows == Rows::counted && operation->look != Look::search)
        return refuse(at,
                      fmt::format("{} counts nothing, so it cannot be granted with counted rows", names[i]));
      if (!role.grants.emplace(names[i], grant).second)
        return refuse(at, fmt::format("the role grants {} twice", names[i]));
    }
    return {};
  }

  Status read_modifications(const json::Value& list) {
    if (!list.is_array() || list.size() > limits::policy_modifications_max)
      return refuse("/modifications", fmt::format("must be a list of at most {} modifications",
                                                  limits::policy_modifications_max));
    for (std::size_t i = 0; i < list.size(); ++i) {
      const auto path = below("/modifications", i);
      const auto value = list.at(i);
      VESTIGE_CHECKED(only_members(value, {"rule", "kinds", "fields", "target_types", "except"}, path));
      Modification modification;
      VESTIGE_TRY(modification.rule, read_rule(value, "rule", path));
      VESTIGE_TRY(modification.kinds, read_words(value, "kinds", path));
      for (std::size_t j = 0; j < modification.kinds.size(); ++j)
        if (!is_kind_pattern(modification.kinds[j]))
          return refuse(below(below(path, "kinds"), j), "must be a kind, or all that begin so: data.*");
      for (const auto& [name, words] :
           {std::pair{"fields", &modification.fields}, {"target_types", &modification.target_types}})
        if (value.find(name).exists()) {
          VESTIGE_TRY(*words, read_words(value, name, path));
        }
      if (value.find("except").exists()) {
        VESTIGE_TRY(modification.except, read_names(value, "except", path));
      }
      policy_.modifications_.push_back(std::move(modification));
    }
    return {};
  }

  Result<std::string> read_rule(const json::Value& object, std::string_view member,
                                const std::string& path) const {
    const auto rule = object.find(member);
    if (!rule.is_string() || policy_.find_rule(rule.string()) == nullptr)
      return refuse(below(path, member), "must be a rule of /approvals");
    return std::string(rule.string());
  }

  Status check_references() const {
    for (const auto name : {bulk_export_rule, reveal_rule})
      if (policy_.find_rule(name) == nullptr)
        return refuse("/approvals", fmt::format("must have the rule {}", name));
    for (const auto name : {key_role, service_role})
      if (policy_.find_role(name) == nullptr)
        return refuse("/roles", fmt::format("must have the role {}, for API keys", name));
    for (const auto& rule : policy_.rules_)
      VESTIGE_CHECKED(are_roles(rule.deciders, fmt::format("/approvals/{}/deciders", rule.name)));
    for (const auto& role : policy_.roles_)
      VESTIGE_CHECKED(are_roles(role.given_by, fmt::format("/roles/{}/given_by", role.name)));
    for (std::size_t i = 0; i < policy_.modifications_.size(); ++i)
      VESTIGE_CHECKED(
          are_roles(policy_.modifications_[i].except, fmt::format("/modifications/{}/except", i)));
    return {};
  }

  Status are_roles(const std::vector<std::string>& names, const std::string& path) const {
    for (std::size_t i = 0; i < names.size(); ++i)
      if (policy_.find_role(names[i]) == nullptr) return refuse(below(path, i), "must be a role of /roles");
    return {};
  }

  Policy& policy_;
};

Result<std::shared_ptr<const Policy>> Policy::parse(std::string_view text) {
  json::Parser parser;
  json::Document document;
  VESTIGE_CHECKED(parser.parse(text, document, {.depth_max = 8, .bytes_max = limits::policy_bytes_max}));
  std::shared_ptr<Policy> policy(new Policy());
  VESTIGE_CHECKED(Reading(*policy).read(document.root()));
  policy->text_ = json::canonical(document.root());
  return policy;
}

std::shared_ptr<const Policy> Policy::shipped() {
  static const auto policy = [] {
    auto parsed = parse(assets::policy_json);
    CHECK(parsed);
    return *std::move(parsed);
  }();
  return policy;
}

const Role* Policy::find_role(std::string_view name) const {
  const auto found = std::ranges::find(roles_, name, &Role::name);
  return found == roles_.end() ? nullptr : &*found;
}

bool Policy::may_give(std::string_view by, std::string_view name) const {
  const auto* role = find_role(name);
  if (role == nullptr) return false;
  return role->given_by.empty() || std::ranges::find(role->given_by, by) != role->given_by.end();
}

bool is_for_people(std::string_view role) {
  return role != key_role && role != service_role && role != customer_role;
}

const ApprovalRule* Policy::find_rule(std::string_view name) const {
  const auto found = std::ranges::find(rules_, name, &ApprovalRule::name);
  return found == rules_.end() ? nullptr : &*found;
}

// ----------------------------------------------------------------------------------------- deciding

namespace {

Decision refused(std::string why) {
  Decision decision;
  decision.why = std::move(why);
  return decision;
}

// The rule by which a grant's requests are approved: its own, where it needs one anyway.
std::string_view rule_of(const Grant& grant) {
  return grant.approval.empty() ? reveal_rule : std::string_view(grant.approval);
}

bool is_shown(Shown shown, const Claim& claim, const Grant& grant) {
  switch (shown) {
    case Shown::masked:
      return false;
    case Shown::approval:
      return claim.approved_by == rule_of(grant);
    case Shown::reason:
      return claim.has_reason;
    case Shown::always:
      return true;
  }
  return false;
}

}  // namespace

Decision Policy::decide(const Claim& claim) const {
  if (!claim.wanted_role.empty() && std::ranges::find(claim.roles, claim.wanted_role) == claim.roles.end())
    return refused("you do not have the role that X-Vestige-Role names");
  const Role* role = nullptr;
  for (const auto& name : claim.roles) {
    if (!claim.wanted_role.empty() && name != claim.wanted_role) continue;
    const auto* candidate = find_role(name);
    if (candidate == nullptr || !candidate->grants.contains(claim.operation)) continue;
    role = candidate;
    break;
  }
  if (role == nullptr) return refused("your role does not allow this");
  Decision decision;
  decision.role = role->name;
  decision.grant = role->grants.find(claim.operation)->second;
  auto& grant = decision.grant;
  const auto* operation = find_operation(claim.operation);
  CHECK(operation != nullptr);
  // Whose own it is, follows from who signed in and from nothing that a request says.
  if (grant.rows == Rows::own && !claim.is_customer)
    return refused("your role is for customers, who see what is about themselves");
  const bool of_person = operation->reads_events() && grant.rows == Rows::person;
  if ((grant.reason || of_person) && !claim.has_reason)
    return refused("your role may do this for a reason: say it in the header X-Vestige-Reason");
  if (of_person && !claim.names_person)
    return refused(
        "your role sees one person at a time: name them with the member \"subject\" of a search, or else "
        "in the header X-Vestige-Subject");
  if (claim.regulatory && find_rule(regulatory_rule) == nullptr)
    return refused("the policy has no rule \"regulatory\", so nobody may answer an authority by it");
  // In the place of none, and of no other: what a request says of itself lets nobody choose who decides.
  if (claim.regulatory && grant.approval.empty()) grant.approval = regulatory_rule;
  const bool values_wait = claim.wants_approved_values && !values_rule(grant).empty();
  if (claim.approved_by != rule_of(grant) && (!grant.approval.empty() || values_wait)) {
    decision.kind = Decision::Kind::needs_approval;
    decision.rule = rule_of(grant);
    decision.why = fmt::format("this waits for an approval ({})", find_rule(decision.rule)->about);
    return decision;
  }
  decision.kind = Decision::Kind::granted;
  decision.personal = is_shown(grant.personal, claim, grant);
  decision.sensitive = decision.personal && is_shown(grant.sensitive, claim, grant);
  return decision;
}

bool Policy::waits_for_bulk(const Grant& grant, std::string_view approved_by, std::uint64_t entries) const {
  return entries > export_entries_ && !grant.bulk && !covers(grant, approved_by, bulk_export_rule);
}

bool covers(const Grant& grant, std::string_view approved_by, std::string_view rule) {
  return approved_by == rule || (!grant.approval.empty() && approved_by == grant.approval);
}

namespace {

// Whether a change of the one changes the other as well: it is the same, a part of it, or what it is a part
// of. Names are paths with dots or slashes, and may begin with one.
bool touches(std::string_view one, std::string_view other) {
  const auto bare = [](std::string_view name) { return name.starts_with('/') ? name.substr(1) : name; };
  auto within = bare(one);
  auto whole = bare(other);
  if (within.size() < whole.size()) std::swap(within, whole);
  if (!within.starts_with(whole)) return false;
  return whole.empty() || within.size() == whole.size() || within[whole.size()] == '.' ||
         within[whole.size()] == '/';
}

bool is_one_of(const Modification& modification, const ChangedThing& thing) {
  if (!has_kind(modification.kinds, thing.kind)) return false;
  const auto& types = modification.target_types;
  if (!types.empty() && std::ranges::find(types, thing.target_type) == types.end()) return false;
  return modification.fields.empty() || std::ranges::any_of(thing.fields, [&](std::string_view changed) {
           return std::ranges::any_of(modification.fields,
                                      [&](const std::string& field) { return touches(changed, field); });
         });
}

}  // namespace

const std::string* Policy::rule_of_modification(const ChangedThing& thing, std::string_view role) const {
  for (const auto& modification : modifications_)
    if (std::ranges::find(modification.except, role) == modification.except.end() &&
        is_one_of(modification, thing))
      return &modification.rule;
  return nullptr;
}

std::string_view values_rule(const Grant& grant) {
  const bool some = grant.personal == Shown::approval || grant.sensitive == Shown::approval;
  return some ? rule_of(grant) : std::string_view();
}

bool has_kind(const std::vector<std::string>& kinds, std::string_view kind) {
  return kinds.empty() || std::ranges::any_of(kinds, [&](std::string_view wanted) {
           if (!wanted.ends_with(".*")) return wanted == kind;
           return kind.starts_with(wanted.substr(0, wanted.size() - 1));
         });
}

}  // namespace vestige::access
