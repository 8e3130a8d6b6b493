// Who may do what: a policy is data (docs/formats/policy.md), and this decides by it. What is not granted is
// denied.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/operations.h"
#include "access/role_terms.h"
#include "base/result.h"

namespace vestige::access {

// Which entries a grant is about.
enum class Rows : std::uint8_t { counted, own, person, all };
std::string_view name_of(Rows rows);
// On what personal or sensitive values are shown.
enum class Shown : std::uint8_t { masked, approval, reason, always };
std::string_view name_of(Shown shown);

struct Grant {
  Rows rows = Rows::all;
  std::vector<std::string> kinds;  // empty: all; "communication.*"
  Shown personal = Shown::masked;
  Shown sensitive = Shown::masked;
  bool reason = false;
  std::string approval;  // a rule; empty: none
  bool bulk = false;     // exports of any size, without the rule bulk_export
};

struct Role {
  std::string name;
  std::string title;
  std::string about;
  std::map<std::string, Grant, std::less<>> grants;  // by operation
  std::vector<std::string> given_by;                 // roles; empty: whoever may make accounts or keys
  RoleTerms terms;                                   // of whoever is given it
};

// Events that nobody records alone.
struct Modification {
  std::string rule;
  std::vector<std::string> kinds;         // exact, or "communication.*"
  std::vector<std::string> fields;        // of `changes`; empty: whatever changes
  std::vector<std::string> target_types;  // empty: all
  std::vector<std::string> except;        // roles that need no yes
};

// An event, as far as modifications look at it.
struct ChangedThing {
  std::string_view kind;
  std::string_view target_type{};
  std::vector<std::string_view> fields{};
};

struct ApprovalRule {
  std::string name;
  std::string about;
  std::vector<std::string> deciders;
  std::uint32_t minutes = 0;
};

inline constexpr std::string_view bulk_export_rule = "bulk_export";
inline constexpr std::string_view reveal_rule = "reveal";
inline constexpr std::string_view regulatory_rule = "regulatory";  // which a policy may have
inline constexpr std::string_view key_role = "key";                // of API keys without one
inline constexpr std::string_view service_role = "service";        // of admin.key
// Whether an account may have it: it is neither of keys nor of customers, who are that by how they came in.
bool is_for_people(std::string_view role);

// What a request brings with it that a decision may turn on.
struct Claim {
  std::string_view operation;
  std::vector<std::string> roles;      // of the caller
  std::string_view wanted_role;        // X-Vestige-Role; empty: none
  bool has_reason = false;             // X-Vestige-Reason
  std::string_view approved_by{};      // rule of an approval that is good for this very request; empty: none
  bool is_customer = false;            // the caller is a person whose data this is
  bool names_person = false;           // the request is about one person
  bool wants_approved_values = false;  // it asks for values that only an approval shows
  bool regulatory = false;             // an authority asks for it: X-Vestige-Purpose
};

struct Decision {
  enum class Kind : std::uint8_t { granted, refused, needs_approval } kind = Kind::refused;
  std::string why;         // of a refusal, for the caller: what is missing and what to do
  std::string rule;        // of the approval that is missing
  std::string role;        // in which the caller acts
  Grant grant;             // granted: by what; `approval` is the rule of the request
  bool personal = false;   // shown
  bool sensitive = false;  // shown
};

// Immutable, thread-safe.
class Policy {
 public:
  // invalid, with the path of what is wrong: an unknown operation, role or word, a grant that stands twice.
  static Result<std::shared_ptr<const Policy>> parse(std::string_view text);
  static std::shared_ptr<const Policy> shipped();

  Decision decide(const Claim& claim) const;
  const Role* find_role(std::string_view name) const;
  // Whether somebody who acts in the role `by` may give `role` to an account or a key.
  bool may_give(std::string_view by, std::string_view role) const;
  const ApprovalRule* find_rule(std::string_view name) const;
  const std::vector<Role>& roles() const { return roles_; }  // as the policy has them
  const std::vector<ApprovalRule>& rules() const { return rules_; }
  std::uint64_t small_count() const { return small_count_; }
  std::uint64_t export_entries() const { return export_entries_; }
  const std::vector<Modification>& modifications() const { return modifications_; }
  // The rule by which somebody in `role` needs a yes to record this, by the first modification that it is;
  // null where none.
  const std::string* rule_of_modification(const ChangedThing& thing, std::string_view role) const;
  // Whether an export of so many entries waits for the rule bulk_export.
  bool waits_for_bulk(const Grant& grant, std::string_view approved_by, std::uint64_t entries) const;
  const std::string& text() const { return text_; }  // canonical

 private:
  class Reading;
  Policy() = default;

  std::vector<Role> roles_;
  std::vector<ApprovalRule> rules_;
  std::vector<Modification> modifications_;
  std::uint64_t small_count_ = 0;
  std::uint64_t export_entries_ = 0;
  std::string text_;
};

// The rule by which a grant shows values that it shows to nobody without an approval; empty where it has none
// such.
std::string_view values_rule(const Grant& grant);
// Whether a yes by the rule `approved_by` is one that `rule` asks for: whoever decides by the grant's own
// rule sees the whole request.
bool covers(const Grant& grant, std::string_view approved_by, std::string_view rule);
// Whether a grant's kinds have this one.
bool has_kind(const std::vector<std::string>& kinds, std::string_view kind);

// The matrix role x operation x class of values, for people: a table, one line an operation.
std::string matrix_table(const Policy& policy);
// The same for programs:
// {"roles":[...],"operations":[{"operation","about","scope","cells":[{"role","class","value"}]}]}.
std::string matrix_json(const Policy& policy);
// What one cell says: "-" denied, else as the grant has it ("all", "masked", "reason", ...).
std::string matrix_cell(const Policy& policy, const Role& role, const Operation& operation,
                        ValueClass value_class);

}  // namespace vestige::access
