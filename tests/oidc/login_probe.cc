// Signs in by OpenID Connect as the server will, so that tests/e2e/test_oidc.py can let it meet a provider
// that is not ours. One command a line on standard input, words between tabs; one JSON object a line for an
// answer:
//
//   provider NAME ISSUER CLIENT_ID SECRET_VARIABLE AUDIENCE USERINFO    describes one; SECRET_VARIABLE may be
//   empty,
//                                                                       AUDIENCE is staff or customers,
//                                                                       USERINFO yes or no
//   open                                                                with those described
//   begin NAME RETURN_TO                                                {"location", "cookie"}
//   complete NAME STATE CODE ISSUER ERROR COOKIE                        {"tenant", "issuer", "subject", ...}
//   advance SECONDS                                                     the monotonic clock, not the wall's
//
// What fails is answered with {"kind", "message"}.
#include <fmt/format.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "access/oidc/login.h"
#include "json/json.h"

namespace vestige::access::oidc {
namespace {

class SteeredClock final : public platform::Clock {
 public:
  UnixMs now() override { return platform::system_clock().now(); }
  std::chrono::nanoseconds monotonic() override { return platform::system_clock().monotonic() + ahead_; }
  void advance(std::chrono::seconds by) { ahead_ += by; }

 private:
  std::chrono::nanoseconds ahead_{0};
};

std::string quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

std::string failure(const Error& error) {
  return fmt::format(R"({{"kind":"{}","message":{}}})", name_of(error.kind), quoted(error.message));
}

std::string described(const SignedIn& person) {
  std::string roles;
  for (const auto& role : person.roles) roles += (roles.empty() ? "" : ",") + quoted(role);
  return fmt::format(
      R"({{"provider":{},"tenant":{},"issuer":{},"subject":{},"displayName":{},"email":{},"roles":[{}],)"
      R"("customer":{},"returnTo":{}}})",
      quoted(person.provider), quoted(person.tenant), quoted(person.issuer), quoted(person.subject),
      quoted(person.display_name), quoted(person.email.value_or("")), roles,
      quoted(person.customer.value_or("")), quoted(person.return_to));
}

class Probe {
 public:
  std::string answer(const std::vector<std::string>& words) {
    const auto& command = words[0];
    if (command == "provider" && words.size() == 7) return add(words);
    if (command == "open" && words.size() == 1) return open();
    if (command == "begin" && words.size() == 3 && logins_) return begin(words);
    if (command == "complete" && words.size() == 7 && logins_) return complete(words);
    if (command == "advance" && words.size() == 2) {
      clock_.advance(std::chrono::seconds(std::atoi(words[1].c_str())));
      return "{}";
    }
    return R"({"kind":"usage","message":"no such command"})";
  }

 private:
  std::string add(const std::vector<std::string>& words) {
    Configuration configuration{.name = words[1],
                                .tenant = "example",
                                .issuer = words[2],
                                .client_id = words[3],
                                .client_secret_environment = words[4],
                                .redirect_url = "https://audit.example/api/sign-in/test/callback"};
    if (words[5] == "customers") {
      configuration.audience = Audience::customers;
      configuration.subject_claim = "customer_number";
    } else {
      configuration.roles = {{"auditors", {"auditor"}}, {"helpdesk", {"customer_service"}}};
    }
    configuration.userinfo = words[6] == "yes";
    providers_.push_back(std::move(configuration));
    return "{}";
  }
  std::string open() {
    auto opened = Logins::open(providers_, clock_, platform::system_entropy());
    if (!opened) return failure(opened.error());
    logins_ = *std::move(opened);
    return "{}";
  }
  std::string begin(const std::vector<std::string>& words) {
    const auto begun = logins_->begin(words[1], words[2]);
    if (!begun) return failure(begun.error());
    return fmt::format(R"({{"location":{},"cookie":{}}})", quoted(begun->location),
                       quoted(begun->cookie_value));
  }
  std::string complete(const std::vector<std::string>& words) {
    const auto person = logins_->complete(words[1], {.state = words[2],
                                                     .code = words[3],
                                                     .error = words[5],
                                                     .issuer = words[4],
                                                     .cookie_value = words[6]});
    return person ? described(*person) : failure(person.error());
  }

  SteeredClock clock_;
  std::vector<Configuration> providers_;
  std::unique_ptr<Logins> logins_;
};

std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  for (std::size_t at = 0;;) {
    const auto tab = line.find('\t', at);
    words.push_back(line.substr(at, tab - at));
    if (tab == std::string::npos) return words;
    at = tab + 1;
  }
}

}  // namespace
}  // namespace vestige::access::oidc

int main() {
  vestige::access::oidc::Probe probe;
  for (std::string line; std::getline(std::cin, line);)
    std::cout << probe.answer(vestige::access::oidc::words_of(line)) << std::endl;
  return 0;
}
