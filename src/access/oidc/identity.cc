#include "access/oidc/identity.h"

#include <fmt/format.h>

#include <set>

#include "access/oidc/internal/foreign_text.h"
#include "access/oidc/limits.h"

namespace vestige::access::oidc {

namespace {

class Sources {
 public:
  Sources(const json::Value& claims, const json::Value& userinfo) : claims_(claims), userinfo_(userinfo) {}

  json::Value find(std::string_view name) const {
    const auto found = claims_.find(name);
    return found.exists() && !found.is_null() ? found : userinfo_.find(name);
  }
  // For people to read; what is no short text on one line counts as absent.
  std::optional<std::string> readable(std::string_view name) const {
    const auto value = find(name);
    if (!value.is_string() || value.string().empty() || value.string().size() > limits::text_bytes_max ||
        !internal::is_plain(value.string()))
      return std::nullopt;
    return std::string(value.string());
  }
  // Some providers leave long lists out and say where else to ask for them (Core §5.6.2).
  bool is_elsewhere(std::string_view name) const { return claims_.find("_claim_names").find(name).exists(); }

 private:
  const json::Value claims_;
  const json::Value userinfo_;
};

std::unexpected<Error> refused(std::string message) { return fail(ErrorKind::denied, std::move(message)); }

Result<std::vector<std::string>> roles_of(const Configuration& configuration, const Sources& sources) {
  const auto& claim = configuration.groups_claim;
  const auto groups = sources.find(claim);
  if (!groups.exists() && sources.is_elsewhere(claim))
    return refused(
        fmt::format("The provider left out this person's groups because there are too many. Let it list "
                    "only the groups that are assigned to this client in \"{}\".",
                    claim));
  std::set<std::string> roles;
  const auto add = [&](const json::Value& group) {
    if (!group.is_string()) return;
    const auto mapped = configuration.roles.find(std::string(group.string()));
    if (mapped != configuration.roles.end()) roles.insert(mapped->second.begin(), mapped->second.end());
  };
  if (groups.is_array()) {
    if (groups.size() > limits::groups_max)
      return refused(
          fmt::format("The provider says that this person is in {} groups; at most {} are looked at. Let it "
                      "list only the groups that are assigned to this client.",
                      groups.size(), limits::groups_max));
    for (std::size_t i = 0; i < groups.size(); ++i) add(groups.at(i));
  } else {
    add(groups);
  }
  if (roles.empty())
    return refused(
        fmt::format("No group of this person gives a role here ({}). An administrator adds the person to a "
                    "group at the provider, or "
                    "maps a group in \"roles\" of the sign-in provider \"{}\".",
                    groups.exists() ? fmt::format("none of those in \"{}\" is mapped", claim)
                                    : fmt::format("the provider sent no \"{}\"", claim),
                    configuration.name));
  return std::vector<std::string>(roles.begin(), roles.end());
}

// An id of letters and digits, or a whole number, which some providers write without quotes. Numbers that
// JSON readers disagree on have become strings when the claims were parsed.
Result<std::string> customer_of(const Configuration& configuration, const Sources& sources) {
  const auto value = sources.find(configuration.subject_claim);
  const auto text = value.is_string()   ? value.string()
                    : value.is_number() ? value.number()
                                        : std::string_view();
  const bool is_whole = !value.is_number() || text.find_first_not_of("0123456789") == std::string_view::npos;
  if (text.empty() || text.size() > limits::subject_bytes_max || !internal::is_plain(text) || !is_whole)
    return refused(
        fmt::format("The provider does not say which customer this is: the claim \"{}\" is missing or no "
                    "short text. An administrator lets the provider send it, or names another one in "
                    "\"subject_claim\" of the sign-in provider \"{}\".",
                    configuration.subject_claim, configuration.name));
  return std::string(text);
}

}  // namespace

Result<SignedIn> identity_of(const Configuration& configuration, const json::Value& claims,
                             const json::Value& userinfo) {
  const Sources sources(claims, userinfo);
  SignedIn person{.audience = configuration.audience,
                  .provider = configuration.name,
                  .tenant = configuration.tenant,
                  .issuer = configuration.issuer,
                  .subject = std::string(claims.find("sub").string()),
                  .display_name = {}};
  person.email = sources.readable("email");
  const auto name = sources.readable("name");
  const auto handle = sources.readable("preferred_username");
  person.display_name = name ? *name : handle ? *handle : person.email ? *person.email : person.subject;
  if (configuration.audience == Audience::staff) {
    VESTIGE_TRY(person.roles, roles_of(configuration, sources));
  } else {
    VESTIGE_TRY(person.customer, customer_of(configuration, sources));
  }
  return person;
}

}  // namespace vestige::access::oidc
