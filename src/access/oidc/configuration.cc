#include "access/oidc/configuration.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "access/oidc/internal/foreign_text.h"
#include "access/oidc/limits.h"
#include "http/url.h"
#include "platform/files.h"
#include "platform/process.h"

namespace vestige::access::oidc {

namespace {

// Claims that people can often change themselves, or that pass on to the next person (Core §5.7): whoever
// can set one could read somebody else's data.
constexpr std::string_view no_identifiers[] = {
    "name",    "given_name", "family_name", "middle_name", "nickname",     "preferred_username",
    "profile", "picture",    "website",     "email",       "phone_number", "birthdate"};

// Names the table and the key in every message.
class Table {
 public:
  explicit Table(const Configuration& configuration) : configuration_(configuration) {}

  Status check() const {
    VESTIGE_CHECKED(check_name());
    VESTIGE_CHECKED(check_addresses());
    VESTIGE_CHECKED(check_client());
    VESTIGE_CHECKED(check_scopes());
    return configuration_.audience == Audience::staff ? check_staff() : check_customers();
  }

 private:
  std::unexpected<Error> wrong(std::string_view key, std::string_view why) const {
    return fail(ErrorKind::invalid, fmt::format("Sign-in provider \"{}\": {} {}.",
                                                internal::shown(configuration_.name), key, why));
  }

  Status check_name() const {
    const auto& name = configuration_.name;
    const bool fits = !name.empty() && name.size() <= limits::provider_name_max && name.front() != '-' &&
                      std::ranges::all_of(name, [](char c) {
                        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
                      });
    if (!fits)
      return wrong("name",
                   fmt::format("has to be 1 to {} characters of a-z, 0-9 and \"-\", the first no \"-\"; it "
                               "stands in addresses",
                               limits::provider_name_max));
    if (configuration_.label.size() > limits::text_bytes_max || !internal::is_plain(configuration_.label))
      return wrong("label", "has to be a short text on one line");
    if (configuration_.tenant.empty())
      return wrong("tenant", "is missing: who signs in here needs one to belong to");
    return {};
  }

  Result<http::Url> address(std::string_view key, const std::string& text) const {
    if (text.empty()) return wrong(key, "is missing");
    if (text.size() > limits::address_bytes_max) return wrong(key, "is too long for an address");
    auto url = http::parse_url(text);
    if (!url) return wrong(key, fmt::format("is wrong: {}", without_stop(url.error().message)));
    if (!url->encrypted && !url->is_loopback())
      return wrong(key, "has to start with https://; http:// will do on this machine only");
    return url;
  }

  static std::string without_stop(std::string text) {
    while (text.ends_with('.')) text.pop_back();
    return text;
  }

  Status check_addresses() const {
    VESTIGE_TRY(const auto issuer, address("issuer", configuration_.issuer));
    if (!issuer.query.empty() || configuration_.issuer.ends_with('?'))
      return wrong("issuer", "cannot have a \"?\" part (OpenID Connect Discovery §3)");
    VESTIGE_TRY([[maybe_unused]] const auto redirect, address("redirect_url", configuration_.redirect_url));
    return {};
  }

  Status check_client() const {
    const auto& id = configuration_.client_id;
    if (id.empty() || id.size() > limits::client_id_bytes_max || !internal::is_printable(id))
      return wrong("client_id",
                   "is missing or is no printable text; the provider gives it when the client is registered");
    if (!configuration_.client_secret_file.empty() && !configuration_.client_secret_environment.empty())
      return wrong("client_secret_file",
                   "and client_secret_environment are both set; one place holds the secret");
    if (configuration_.algorithms.empty())
      return wrong("algorithms", "names none, so no ID token could be accepted");
    return {};
  }

  Status check_scopes() const {
    const auto& scopes = configuration_.scopes;
    if (std::ranges::find(scopes, "openid") == scopes.end())
      return wrong("scopes", "lacks \"openid\", without which no ID token is given");
    const auto is_scope = [](const std::string& scope) {  // RFC 6749 §3.3
      return !scope.empty() && internal::is_printable(scope) &&
             scope.find_first_of(" \"\\") == std::string::npos;
    };
    if (scopes.size() > limits::scopes_max || !std::ranges::all_of(scopes, is_scope))
      return wrong("scopes", fmt::format("has to be a list of at most {} words", limits::scopes_max));
    return {};
  }

  Status check_staff() const {
    if (!configuration_.subject_claim.empty())
      return wrong("subject_claim", "is for customers; staff are told apart by the provider's own \"sub\"");
    if (configuration_.groups_claim.empty()) return wrong("groups_claim", "is empty");
    if (configuration_.roles.empty())
      return wrong("roles", "maps no group, so nobody could sign in; map at least one group to a role");
    if (configuration_.roles.size() > limits::mapped_groups_max)
      return wrong("roles", fmt::format("maps more than {} groups", limits::mapped_groups_max));
    for (const auto& [group, roles] : configuration_.roles)
      if (group.empty() || roles.empty() || std::ranges::find(roles, "") != roles.end())
        return wrong("roles", fmt::format("maps the group \"{}\" to no role", internal::shown(group)));
    return {};
  }

  Status check_customers() const {
    const auto& claim = configuration_.subject_claim;
    if (claim.empty())
      return wrong("subject_claim",
                   "is missing: it names the claim that holds the customer's id, such as \"sub\"");
    if (std::ranges::find(no_identifiers, claim) != std::ranges::end(no_identifiers))
      return wrong("subject_claim",
                   fmt::format("cannot be \"{}\": people can change it or pass it on, and would see "
                               "another customer's data. Take one that only the provider sets",
                               claim));
    if (!configuration_.roles.empty())
      return wrong("roles", "are for staff; a customer sees their own data only");
    return {};
  }

  const Configuration& configuration_;
};

Result<std::string> secret_text_of(const Configuration& configuration) {
  const auto missing = [&](const std::string& what) {
    return fail(ErrorKind::not_found,
                fmt::format("Sign-in provider \"{}\": the client secret cannot be read: {}",
                            configuration.name, what));
  };
  if (!configuration.client_secret_environment.empty()) {
    auto value = platform::environment(configuration.client_secret_environment);
    if (!value)
      return missing(fmt::format("the variable {} is not set.", configuration.client_secret_environment));
    return *std::move(value);
  }
  const auto& path = configuration.client_secret_file;
  const auto slash = path.rfind('/');
  const auto directory = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  auto files = platform::open_directory(directory, false);
  if (!files) return missing(files.error().message);
  auto bytes = platform::read_file(**files, slash == std::string::npos ? path : path.substr(slash + 1),
                                   limits::client_secret_bytes_max);
  if (!bytes) return missing(bytes.error().message);
  std::string content(text(*bytes));
  crypto::cleanse(*bytes);
  return content;
}

}  // namespace

Status validate(const std::vector<Configuration>& providers) {
  if (providers.size() > limits::providers_max)
    return fail(ErrorKind::invalid, fmt::format("There are {} sign-in providers; at most {} are supported.",
                                                providers.size(), limits::providers_max));
  std::set<std::string_view> names;
  for (const auto& provider : providers) {
    VESTIGE_CHECKED(Table(provider).check());
    if (!names.insert(provider.name).second)
      return fail(
          ErrorKind::invalid,
          fmt::format("Two sign-in providers have the name \"{}\"; give each its own.", provider.name));
  }
  return {};
}

Result<SecretText> read_client_secret(const Configuration& configuration) {
  if (configuration.client_secret_file.empty() && configuration.client_secret_environment.empty())
    return SecretText();
  VESTIGE_TRY(auto content, secret_text_of(configuration));
  while (content.ends_with('\n') || content.ends_with('\r')) content.pop_back();
  SecretText secret(std::move(content));
  // RFC 6749 appendix A.2.
  if (secret.empty() || secret.text().size() > limits::client_secret_bytes_max ||
      !internal::is_printable(secret.text()))
    return fail(
        ErrorKind::invalid,
        fmt::format(
            "Sign-in provider \"{}\": the client secret in {} is empty or no single line of printable "
            "text.",
            configuration.name,
            configuration.client_secret_environment.empty()
                ? configuration.client_secret_file
                : "the variable " + configuration.client_secret_environment));
  return secret;
}

}  // namespace vestige::access::oidc
