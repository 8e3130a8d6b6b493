// A small identity provider on the loopback, which a test can make lie, dawdle and fall over.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "access/oidc/login.h"
#include "access/oidc/testing/tokens.h"
#include "base/mutex.h"
#include "crypto/digest.h"
#include "http/server.h"
#include "http/testing/fixture.h"
#include "http/url.h"
#include "platform/event_loop.h"
#include "platform/sim/sim_clock.h"

namespace vestige::access::oidc::testing {

// "a=b&c=d" decoded.
inline std::map<std::string, std::string> form_values(std::string_view text) {
  std::map<std::string, std::string> values;
  while (!text.empty()) {
    const auto pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    const auto equals = pair.find('=');
    std::string value;
    for (std::size_t i = equals + 1; equals != std::string_view::npos && i < pair.size(); ++i) {
      const auto byte = pair[i] == '%'
                            ? from_hex(fmt::format("{:c}{:c}", pair[i + 1] | 0x20, pair[i + 2] | 0x20))
                            : std::nullopt;
      value += byte ? static_cast<char>(byte->front()) : pair[i];
      if (byte) i += 2;
    }
    values[std::string(pair.substr(0, equals))] = value;
  }
  return values;
}

// What a test may bend. Set between logins, not during one.
struct Behaviour {
  std::vector<SigningKey> published;       // what /keys lists
  std::optional<SigningKey> signing{};     // with which tokens are signed; the first published one without
  std::string groups = R"(["auditors"])";  // of the person, as JSON
  std::string more_claims{};               // ,"x":1
  std::string userinfo_subject = "alice";
  bool authorization_iss = true;
  // Of the path: an answer instead of the usual one.
  std::map<std::string, http::Response> answers{};
  // Changes the discovery document, the claims, or the whole token.
  std::function<std::string(std::string)> edit_discovery{}, edit_claims{}, edit_token{};
};

class FakeProvider {
 public:
  explicit FakeProvider(platform::Clock& clock) : clock_(clock), loop_(2) {
    behaviour.published = {key_for(Algorithm::es256)};
    add("GET", "/.well-known/openid-configuration", [this](const http::Request&) { return discovery(); });
    add("GET", "/keys", [this](const http::Request&) { return json(key_set(behaviour.published)); });
    add("POST", "/token", [this](const http::Request& request) { return redeem(request); });
    add("GET", "/userinfo", [this](const http::Request& request) {
      if (request.header("authorization") != "Bearer access-token") return http::problem(401, "no token");
      return json(fmt::format(R"({{"sub":"{}","email":"alice@example.com","groups":["helpdesk"]}})",
                              behaviour.userinfo_subject));
    });
    add("GET", "/redirect", [this](const http::Request&) { return json(key_set(behaviour.published)); });
    start(0);
    loop_.start();
  }
  ~FakeProvider() { stop(); }
  FakeProvider(const FakeProvider&) = delete;
  FakeProvider& operator=(const FakeProvider&) = delete;

  void stop() {
    if (server_) server_->stop();
    server_.reset();
  }
  void start(std::uint16_t port) {
    server_ = std::make_unique<http::Server>(loop_, http::ServerOptions{.port = port}, router_, nullptr);
    const auto started = server_->start();
    ASSERT_TRUE(started.has_value()) << started.error().message;
    port_ = server_->port();
  }

  std::uint16_t port() const { return port_; }
  std::string issuer() const { return fmt::format("http://127.0.0.1:{}", port_); }
  int asked(const std::string& path) {
    Lock lock(mutex_);
    return asked_[path];
  }

  Configuration configuration() const {
    return {.name = "fake",
            .tenant = "example",
            .issuer = issuer(),
            .client_id = "vestige client",
            .client_secret_environment = "VESTIGE_TEST_OIDC_SECRET",
            .redirect_url = "https://audit.example/api/sign-in/fake/callback",
            .roles = {{"auditors", {"auditor", "legal"}}, {"helpdesk", {"customer_service"}}}};
  }

  // The person signs in and agrees: what the browser brings back.
  Callback authorize(const Begun& begun) {
    const auto url = http::parse_url(begun.location);
    auto asked_for = form_values(url ? url->query : "");
    Lock lock(mutex_);
    const auto code = fmt::format("code-{}", ++codes_given_);
    codes_[code] = asked_for;
    return {.state = asked_for["state"],
            .code = code,
            .error = {},
            .error_description = {},
            .issuer = behaviour.authorization_iss ? issuer() : "",
            .cookie_value = begun.cookie_value};
  }

  Behaviour behaviour;

 private:
  static http::Response json(std::string body) { return {.status = 200, .body = std::move(body)}; }
  static http::Response refusal(const char* error) {
    return {.status = 400, .body = fmt::format(R"({{"error":"{}","error_description":"no"}})", error)};
  }

  void add(const char* method, const char* path, std::function<http::Response(const http::Request&)> answer) {
    router_.add(method, path,
                [this, path = std::string(path), answer](http::Request request, http::Responder responder) {
                  {
                    Lock lock(mutex_);
                    ++asked_[path];
                  }
                  const auto instead = behaviour.answers.find(path);
                  responder.respond(instead != behaviour.answers.end() ? instead->second : answer(request));
                });
  }

  http::Response discovery() const {
    const auto text = fmt::format(
        R"({{"issuer":"{0}","authorization_endpoint":"{0}/authorize?ui=1","token_endpoint":"{0}/token",)"
        R"("jwks_uri":"{0}/keys","userinfo_endpoint":"{0}/userinfo","response_types_supported":["code"],)"
        R"("authorization_response_iss_parameter_supported":{1},"code_challenge_methods_supported":["S256"]}})",
        issuer(), behaviour.authorization_iss);
    return json(behaviour.edit_discovery ? behaviour.edit_discovery(text) : text);
  }

  http::Response redeem(const http::Request& request) {
    const auto pair = "Basic " + to_base64(view("vestige%20client:s%3Acret%2B"));
    if (request.header("authorization") != pair) return refusal("invalid_client");
    auto sent = form_values(request.body);
    std::map<std::string, std::string> login;
    {
      Lock lock(mutex_);
      const auto found = codes_.extract(sent["code"]);
      if (!found) return refusal("invalid_grant");
      login = found.mapped();
    }
    if (sent["grant_type"] != "authorization_code" || sent["redirect_uri"] != login["redirect_uri"] ||
        login["code_challenge_method"] != "S256" ||
        to_base64url(crypto::sha256(view(sent["code_verifier"]))) != login["code_challenge"])
      return refusal("invalid_grant");
    return json(fmt::format(R"({{"token_type":"Bearer","access_token":"access-token","id_token":"{}"}})",
                            id_token(login["client_id"], login["nonce"])));
  }

  std::string id_token(const std::string& client, const std::string& nonce) const {
    const auto seconds = clock_.now().value / 1000;
    auto claims =
        fmt::format(R"({{"iss":"{}","aud":"{}","sub":"alice","iat":{},"exp":{},"nonce":"{}","name":"Alice",)"
                    R"("groups":{}{}}})",
                    issuer(), client, seconds, seconds + 300, nonce, behaviour.groups, behaviour.more_claims);
    if (behaviour.edit_claims) claims = behaviour.edit_claims(claims);
    const auto token =
        signed_token(behaviour.signing ? *behaviour.signing : behaviour.published.front(), claims);
    return behaviour.edit_token ? behaviour.edit_token(token) : token;
  }

  platform::Clock& clock_;
  platform::EventLoop loop_;
  http::Router router_;
  std::unique_ptr<http::Server> server_;
  std::uint16_t port_ = 0;
  Mutex mutex_;
  std::map<std::string, int> asked_ GUARDED_BY(mutex_);
  std::map<std::string, std::map<std::string, std::string>> codes_ GUARDED_BY(mutex_);
  int codes_given_ GUARDED_BY(mutex_) = 0;
};

// A provider and one who signs in with it.
struct World {
  platform::sim::SimClock clock;
  platform::sim::SimEntropy entropy{1};
  FakeProvider provider{clock};

  std::unique_ptr<Logins> logins(Configuration configuration, std::size_t pending_max = limits::pending_max) {
    ::setenv("VESTIGE_TEST_OIDC_SECRET", "s:cret+", 1);
    auto opened = Logins::open({std::move(configuration)}, clock, entropy, pending_max);
    EXPECT_TRUE(opened.has_value()) << opened.error().message;
    return *std::move(opened);
  }
  std::unique_ptr<Logins> logins() { return logins(provider.configuration()); }
  // Begins a login, agrees at the provider, completes it.
  Result<SignedIn> sign_in(Logins& with, std::string_view return_to = "/") {
    VESTIGE_TRY(const auto begun, with.begin("fake", return_to));
    return with.complete("fake", provider.authorize(begun));
  }
};

}  // namespace vestige::access::oidc::testing
