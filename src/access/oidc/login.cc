#include "access/oidc/login.h"

#include <fmt/format.h>

#include "access/oidc/claims.h"
#include "access/oidc/internal/foreign_text.h"
#include "base/encoding.h"
#include "crypto/digest.h"
#include "http/url.h"

namespace vestige::access::oidc {

namespace {

using internal::shown;

std::unexpected<Error> refused(std::string message) { return fail(ErrorKind::denied, std::move(message)); }

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

std::string authorization_address(const Discovery& discovery, const Configuration& configuration,
                                  std::string_view state, std::string_view nonce,
                                  std::string_view challenge) {
  const auto& endpoint = discovery.authorization_endpoint;
  return fmt::format(
      "{}{}response_type=code&client_id={}&redirect_uri={}&scope={}&state={}&nonce={}&code_challenge={}"
      "&code_challenge_method=S256",
      endpoint, endpoint.find('?') == std::string::npos ? "?" : "&",
      http::percent_encode(configuration.client_id), http::percent_encode(configuration.redirect_url),
      http::percent_encode(joined(configuration.scopes)), state, nonce, challenge);
}

// Before the code is looked at: whether the answer comes from the provider that was asked (RFC 9207 §2.4),
// and whether it is one.
Status check_answer(const Callback& callback, const Discovery& discovery,
                    const Configuration& configuration) {
  if (callback.issuer.empty() ? discovery.names_issuer : callback.issuer != configuration.issuer)
    return refused(fmt::format("The answer to this login does not come from {}.", configuration.issuer));
  if (!callback.error.empty())
    return refused(fmt::format("The provider did not sign you in: \"{}\"{}{}", shown(callback.error),
                               callback.error_description.empty() ? "." : ": ",
                               shown(callback.error_description, 200)));
  if (callback.code.empty() || callback.code.size() > limits::code_bytes_max ||
      !internal::is_printable(callback.code))
    return refused("The answer to this login has no code in it. Begin again.");
  return {};
}

// What a provider says wrongly is no fault of the one who wants to sign in.
Error named(Error error, const Configuration& configuration) {
  if (error.kind == ErrorKind::invalid) error.kind = ErrorKind::unavailable;
  error.message = fmt::format("Signing in by \"{}\" failed. {}", configuration.name, error.message);
  return error;
}

}  // namespace

std::string cookie_name_of(std::string_view state) {
  return "vestige_login_" + to_hex(ByteView(crypto::sha256(view(state))).first(8));
}

std::string local_path(std::string_view wanted) {
  // "//host" and "/\host" lead elsewhere; browsers drop tabs and line ends before they look.
  const bool is_local = wanted.starts_with('/') && !wanted.starts_with("//") &&
                        wanted.find_first_of("\\\" ") == std::string_view::npos &&
                        internal::is_printable(wanted) && wanted.size() <= limits::return_to_bytes_max;
  return std::string(is_local ? wanted : "/");
}

Logins::Logins(std::vector<std::unique_ptr<Provider>> providers, platform::Clock& clock,
               platform::Entropy& entropy, std::size_t pending_max)
    : providers_(std::move(providers)), clock_(clock), pending_(clock, entropy, pending_max) {}

Result<std::unique_ptr<Logins>> Logins::open(std::vector<Configuration> configurations,
                                             platform::Clock& clock, platform::Entropy& entropy,
                                             std::size_t pending_max) {
  VESTIGE_CHECKED(validate(configurations));
  std::vector<std::unique_ptr<Provider>> providers;
  for (auto& configuration : configurations) {
    VESTIGE_TRY(auto secret, read_client_secret(configuration));
    providers.push_back(std::make_unique<Provider>(std::move(configuration), std::move(secret), clock));
  }
  return std::unique_ptr<Logins>(new Logins(std::move(providers), clock, entropy, pending_max));
}

std::vector<const Configuration*> Logins::providers() const {
  std::vector<const Configuration*> all;
  for (const auto& provider : providers_) all.push_back(&provider->configuration());
  return all;
}

Result<Provider*> Logins::find(std::string_view name) const {
  for (const auto& provider : providers_)
    if (provider->configuration().name == name) return provider.get();
  return fail(ErrorKind::not_found, fmt::format("There is no sign-in provider \"{}\".", shown(name, 40)));
}

Result<Begun> Logins::begin(std::string_view name, std::string_view return_to) {
  VESTIGE_TRY(auto* const provider, find(name));
  const auto& configuration = provider->configuration();
  const auto discovery = provider->discovery();
  if (!discovery) return std::unexpected(named(discovery.error(), configuration));
  SecretText verifier(pending_.random_text());
  const auto challenge = to_base64url(crypto::sha256(view(verifier.text())));
  const auto nonce = pending_.random_text();
  auto keys = pending_.put({.provider = configuration.name,
                            .nonce = nonce,
                            .verifier = std::move(verifier),
                            .return_to = local_path(return_to)});
  return Begun{.location = authorization_address(*discovery, configuration, keys.state, nonce, challenge),
               .cookie_name = cookie_name_of(keys.state),
               .cookie_value = std::move(keys.browser)};
}

Result<SignedIn> Logins::complete(std::string_view name, const Callback& callback) {
  VESTIGE_TRY(auto* const provider, find(name));
  auto login = pending_.take(callback.state, callback.cookie_value);
  auto person = login ? redeem(*provider, callback, *login) : std::unexpected(std::move(login).error());
  if (!person) return std::unexpected(named(std::move(person).error(), provider->configuration()));
  return person;
}

Result<SignedIn> Logins::redeem(Provider& provider, const Callback& callback, const PendingLogin& login) {
  const auto& configuration = provider.configuration();
  if (login.provider != configuration.name)
    return refused("This login was begun with another provider. Begin again.");
  VESTIGE_TRY(const auto discovery, provider.discovery());
  VESTIGE_CHECKED(check_answer(callback, discovery, configuration));
  VESTIGE_TRY(const auto tokens, provider.exchange(callback.code, login.verifier));
  VESTIGE_TRY(const auto token, Token::parse(tokens.id_token.text(), configuration.algorithms));
  VESTIGE_TRY(const auto claims, provider.verify(token));
  VESTIGE_CHECKED(check_claims(claims.root(), {.issuer = configuration.issuer,
                                               .client_id = configuration.client_id,
                                               .nonce = login.nonce,
                                               .access_token = tokens.access_token.text(),
                                               .algorithm = token.algorithm(),
                                               .now = clock_.now()}));
  json::Document more;
  if (configuration.userinfo) {
    VESTIGE_TRY(more, provider.userinfo(tokens.access_token, claims.root().find("sub").string()));
  }
  VESTIGE_TRY(auto person, identity_of(configuration, claims.root(),
                                       configuration.userinfo ? more.root() : json::Value()));
  person.return_to = login.return_to;
  return person;
}

}  // namespace vestige::access::oidc
