// Defends: of all that a client may write into Cookie headers, one value is taken where exactly one has the
// name, and none where several have: nobody plants a second one before or behind it. What is set says that no
// script and no other site gets at it.
#include "api/internal/cookies.h"

#include <gtest/gtest.h>

#include <random>

namespace vestige::api {
namespace {

TEST(Cookies, OneOfTheNameIsFoundAndSeveralAreNone) {
  constexpr std::string_view names[] = {"session", "session2", "Session", "xsession", "", "theme"};
  constexpr std::string_view values[] = {"a", "", "a=b", "session", "\"a\"", "session=x"};
  constexpr std::string_view separators[] = {"; ", ";", ";  ", ";;"};
  std::mt19937_64 random(95);
  const auto one_of = [&](const auto& range) { return range[random() % std::size(range)]; };
  int found = 0;
  for (int round = 0; round < 20'000; ++round) {
    http::Request request;
    std::vector<std::string_view> of_the_name;
    for (auto headers = random() % 3; headers > 0; --headers) {
      std::string line;
      for (auto pairs = random() % 4; pairs > 0; --pairs) {
        const auto name = one_of(names);
        const auto value = one_of(values);
        if (name == "session") of_the_name.push_back(value);
        line += std::string(name) + "=" + std::string(value);
        if (pairs > 1) line += one_of(separators);
      }
      request.headers.emplace_back("cookie", line);
    }
    request.headers.emplace_back("x-cookie", "session=other");
    const auto cookie = cookie_of(request, "session");
    ASSERT_EQ(cookie.has_value(), of_the_name.size() == 1);
    if (!cookie) continue;
    ASSERT_EQ(*cookie, of_the_name.front());
    ++found;
  }
  EXPECT_GT(found, 1'000);
}

TEST(Cookies, WhatIsSetIsOutOfReach) {
  EXPECT_EQ(session_cookie(true, "vss_x"),
            "__Host-vestige_session=vss_x; Path=/; HttpOnly; SameSite=Strict; Secure");
  EXPECT_EQ(session_cookie(false, "vss_x"), "vestige_session=vss_x; Path=/; HttpOnly; SameSite=Strict");
  EXPECT_EQ(no_session_cookie(true),
            "__Host-vestige_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0; Secure");
  EXPECT_EQ(login_cookie(true, "n", "v", "/p", std::chrono::minutes(10)),
            "n=v; Path=/p; HttpOnly; SameSite=Lax; Max-Age=600; Secure");
}

}  // namespace
}  // namespace vestige::api
