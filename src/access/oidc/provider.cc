#include "access/oidc/provider.h"

#include <fmt/format.h>

#include "access/oidc/internal/ask.h"
#include "access/oidc/internal/foreign_text.h"
#include "access/oidc/limits.h"
#include "base/encoding.h"
#include "http/url.h"

namespace vestige::access::oidc {

namespace {

using internal::shown;

// "https://a/" and "https://a/b" have their documents at "/.well-known/..." and "/b/.well-known/..."
// (Discovery §4.1).
std::string discovery_address(std::string issuer) {
  while (issuer.ends_with('/')) issuer.pop_back();
  return issuer + "/.well-known/openid-configuration";
}

bool lists(const json::Value& list, std::string_view wanted) {
  for (std::size_t i = 0; list.is_array() && i < list.size(); ++i)
    if (list.at(i).is_string() && list.at(i).string() == wanted) return true;
  return false;
}

class DiscoveryReader {
 public:
  DiscoveryReader(const json::Value& root, const Configuration& configuration)
      : root_(root), configuration_(configuration) {}

  Result<Discovery> read() const {
    VESTIGE_CHECKED(check_issuer());
    Discovery discovery;
    VESTIGE_TRY(discovery.authorization_endpoint, endpoint("authorization_endpoint"));
    VESTIGE_TRY(discovery.token_endpoint, endpoint("token_endpoint"));
    VESTIGE_TRY(discovery.jwks_uri, endpoint("jwks_uri"));
    if (configuration_.userinfo) {
      VESTIGE_TRY(discovery.userinfo_endpoint, endpoint("userinfo_endpoint"));
    }
    VESTIGE_CHECKED(check_abilities());
    const auto names = root_.find("authorization_response_iss_parameter_supported");
    discovery.names_issuer = names.is_boolean() && names.boolean();
    return discovery;
  }

 private:
  std::unexpected<Error> wrong(std::string_view why) const {
    return fail(ErrorKind::invalid,
                fmt::format("The discovery document of {} {}.", configuration_.issuer, why));
  }

  // Else another provider could pass itself off as this one (Discovery §4.3).
  Status check_issuer() const {
    const auto issuer = root_.find("issuer");
    if (!issuer.is_string()) return wrong("names no issuer");
    if (issuer.string() != configuration_.issuer)
      return wrong(
          fmt::format("says that its issuer is \"{}\". Configure exactly what it says, if that is the right "
                      "provider",
                      shown(issuer.string(), 200)));
    return {};
  }

  // A provider elsewhere could otherwise have the client secret sent in the clear, or make this server ask
  // its own machine.
  Result<std::string> endpoint(std::string_view name) const {
    const auto value = root_.find(name);
    if (!value.is_string()) return wrong(fmt::format("has no {}", name));
    std::string text(value.string());
    const auto url = http::parse_url(text);
    if (!url || text.size() > limits::address_bytes_max)
      return wrong(fmt::format("has a {} that is no web address: \"{}\"", name, shown(text)));
    const auto issuer = http::parse_url(configuration_.issuer);
    const bool local = issuer && !issuer->encrypted && issuer->is_loopback() && url->is_loopback();
    if (!url->encrypted && !local)
      return wrong(fmt::format("has a {} that does not start with https://: \"{}\"", name, shown(text)));
    return text;
  }

  // A list that is absent says nothing, except where it would have to name what this client relies on.
  Status check_abilities() const {
    if (const auto types = root_.find("response_types_supported"); types.exists() && !lists(types, "code"))
      return wrong("does not offer the authorization code flow");
    const bool is_public =
        configuration_.client_secret_file.empty() && configuration_.client_secret_environment.empty();
    const auto methods = root_.find("token_endpoint_auth_methods_supported");
    const std::string_view method = is_public ? "none" : "client_secret_basic";
    if (methods.exists() && !lists(methods, method))
      return wrong(fmt::format("does not offer the client authentication \"{}\"", method));
    const auto challenges = root_.find("code_challenge_methods_supported");
    if (challenges.exists() ? !lists(challenges, "S256") : is_public)
      return wrong("does not offer PKCE with S256");
    const auto algorithms = root_.find("id_token_signing_alg_values_supported");
    bool common = !algorithms.exists();
    for (const auto algorithm : configuration_.algorithms)
      common = common || lists(algorithms, name_of(algorithm).name);
    if (!common) return wrong("offers none of the signature algorithms that are configured");
    return {};
  }

  const json::Value& root_;
  const Configuration& configuration_;
};

// What the provider says why (RFC 6749 §5.2); never the request, which holds secrets.
std::unexpected<Error> refused_exchange(const http::ClientResponse& answer) {
  std::string reason = fmt::format("status {}", answer.status);
  if (const auto document = internal::parse_object(answer.body, ""); document) {
    const auto error = document->root().find("error");
    const auto description = document->root().find("error_description");
    if (error.is_string()) reason += fmt::format(", \"{}\"", shown(error.string()));
    if (description.is_string()) reason += fmt::format(": {}", shown(description.string(), 200));
  }
  if (answer.status >= 500 || answer.status == 429)
    return fail(ErrorKind::unavailable, fmt::format("The provider cannot redeem logins now: {}.", reason));
  return fail(
      ErrorKind::denied,
      fmt::format(
          "The provider refuses to redeem the login: {}. Where it says invalid_client, the client's id, "
          "its secret or the way it authenticates are not what the provider has registered.",
          reason));
}

Result<Tokens> read_tokens(std::string_view text) {
  VESTIGE_TRY(const auto document, internal::parse_object(text, "The provider's answer to a login"));
  const auto wrong = [](std::string_view why) {
    return fail(ErrorKind::invalid, fmt::format("The provider's answer to a login {}.", why));
  };
  const auto type = document.root().find("token_type");
  std::string bearer;
  if (type.is_string())
    for (const char c : type.string()) bearer += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (bearer != "bearer") return wrong("has no token of the type Bearer");
  const auto access = document.root().find("access_token");
  if (!access.is_string() || access.string().empty() ||
      access.string().size() > limits::access_token_bytes_max || !internal::is_printable(access.string()))
    return wrong("has no access token");
  const auto id = document.root().find("id_token");
  if (!id.is_string()) return wrong("has no ID token; the client has to be registered for OpenID Connect");
  if (id.string().size() > limits::token_bytes_max) return wrong("has an ID token that is too long");
  return Tokens{.id_token = SecretText(std::string(id.string())),
                .access_token = SecretText(std::string(access.string()))};
}

}  // namespace

Result<Discovery> read_discovery(std::string_view text, const Configuration& configuration) {
  VESTIGE_TRY(const auto document, internal::parse_object(text, fmt::format("The discovery document of {}",
                                                                            configuration.issuer)));
  const auto root = document.root();
  return DiscoveryReader(root, configuration).read();
}

Provider::Provider(Configuration configuration, SecretText client_secret, platform::Clock& clock)
    : configuration_(std::move(configuration)), client_secret_(std::move(client_secret)), clock_(clock) {}

template <typename T, typename Fetch>
Result<T> Provider::fresh(Cached<T>& cached, std::chrono::nanoseconds lifetime, Fetch fetch) {
  const auto now = clock_.monotonic();
  if (cached.value && now - cached.fetched_at < lifetime) return *cached.value;
  if (cached.failure && now - cached.failed_at < limits::failure_lifetime)
    return std::unexpected(*cached.failure);
  Result<T> fetched = fetch();
  if (!fetched) {
    cached.failure = fetched.error();
    cached.failed_at = clock_.monotonic();
    return fetched;
  }
  cached = {.value = *fetched, .fetched_at = now};
  return fetched;
}

Result<Discovery> Provider::discovery_held() {
  return fresh(discovery_, limits::discovery_lifetime, [this]() -> Result<Discovery> {
    VESTIGE_TRY(const auto text, internal::fetch_document(configuration_, "the provider's discovery document",
                                                          discovery_address(configuration_.issuer)));
    return read_discovery(text, configuration_);
  });
}

Result<Discovery> Provider::discovery() {
  Lock lock(mutex_);
  return discovery_held();
}

Result<Provider::Keys> Provider::fetch_keys() {
  VESTIGE_TRY(const auto known, discovery_held());
  VESTIGE_TRY(const auto text,
              internal::fetch_document(configuration_, "the provider's keys", known.jwks_uri));
  VESTIGE_TRY(auto set, KeySet::parse(text));
  return std::make_shared<const KeySet>(std::move(set));
}

Result<Provider::Keys> Provider::keys() {
  Lock lock(mutex_);
  return fresh(keys_, limits::keys_lifetime, [this]() REQUIRES(mutex_) { return fetch_keys(); });
}

Result<Provider::Keys> Provider::newer_keys(const Keys& known) {
  Lock lock(mutex_);
  if (keys_.value && *keys_.value != known) return *keys_.value;
  return fresh(keys_, limits::keys_refetch_interval, [this]() REQUIRES(mutex_) { return fetch_keys(); });
}

Result<json::Document> Provider::verify(const Token& token) {
  VESTIGE_TRY(const auto known, keys());
  auto claims = token.verify(*known);
  if (claims || claims.error().kind != ErrorKind::not_found) return claims;
  VESTIGE_TRY(const auto newer, newer_keys(known));
  if (newer != known) claims = token.verify(*newer);
  // To the caller it is a login that is refused, not a thing that is missing.
  if (!claims && claims.error().kind == ErrorKind::not_found) claims.error().kind = ErrorKind::denied;
  return claims;
}

Result<Tokens> Provider::exchange(std::string_view code, const SecretText& verifier) {
  VESTIGE_TRY(const auto known, discovery());
  internal::Question question{
      .what = "the tokens of a login", .method = "POST", .address = known.token_endpoint};
  question.form = fmt::format("grant_type=authorization_code&code={}&redirect_uri={}&code_verifier={}",
                              http::percent_encode(code), http::percent_encode(configuration_.redirect_url),
                              verifier.text());
  if (client_secret_.empty()) {
    question.form += "&client_id=" + http::percent_encode(configuration_.client_id);
  } else {
    // Encoded first, joined then (RFC 6749 §2.3.1).
    const SecretText pair(http::percent_encode(configuration_.client_id) + ":" +
                          http::percent_encode(client_secret_.text()));
    question.authorization = "Basic " + to_base64(view(pair.text()));
  }
  auto answer = internal::ask(configuration_, question);
  SecretText::wipe(question.form);
  SecretText::wipe(question.authorization);
  VESTIGE_CHECKED(answer);
  if (answer->status != 200) return refused_exchange(*answer);
  auto tokens = read_tokens(answer->body);
  SecretText::wipe(answer->body);
  return tokens;
}

Result<json::Document> Provider::userinfo(const SecretText& access_token, std::string_view subject) {
  VESTIGE_TRY(const auto known, discovery());
  internal::Question question{.what = "what the provider knows about a person",
                              .address = known.userinfo_endpoint};
  question.authorization = "Bearer " + access_token.text();
  auto answer = internal::ask(configuration_, question);
  SecretText::wipe(question.authorization);
  VESTIGE_CHECKED(answer);
  if (answer->status != 200)
    return fail(ErrorKind::unavailable,
                fmt::format("Asking for what the provider knows about a person failed: {} "
                            "answers with status {} instead of 200.",
                            known.userinfo_endpoint, answer->status));
  VESTIGE_TRY(auto document, internal::parse_object(answer->body, "The provider's userinfo"));
  const auto named = document.root().find("sub");
  // Core §5.3.2: else one person's token could be met with another person's groups.
  if (!named.is_string() || named.string() != subject)
    return fail(ErrorKind::denied, "The provider's userinfo is about somebody else than the ID token.");
  return document;
}

}  // namespace vestige::access::oidc
