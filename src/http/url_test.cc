// Properties: an address comes apart into what a client is sent to, as it was written; anything that is no
// plain web address is refused; only this machine is loopback.
#include "http/url.h"

#include <gtest/gtest.h>

namespace vestige::http {
namespace {

TEST(Url, ComesApart) {
  const auto url = parse_url("https://Login.Example:8443/a%2Fb/c?p=1&q=%20");
  ASSERT_TRUE(url.has_value());
  EXPECT_TRUE(url->encrypted);
  EXPECT_EQ(url->host, "login.example");
  EXPECT_EQ(url->port, "8443");
  EXPECT_EQ(url->origin(), "https://Login.Example:8443");
  EXPECT_EQ(url->target(), "/a%2Fb/c?p=1&q=%20");
  const auto bare = parse_url("http://[::1]");
  ASSERT_TRUE(bare.has_value());
  EXPECT_EQ(bare->host, "::1");
  EXPECT_EQ(bare->port, "80");
  EXPECT_EQ(bare->origin(), "http://[::1]");
  EXPECT_EQ(bare->target(), "/");
}

TEST(Url, RefusesWhatIsNoWebAddress) {
  for (const char* wrong :
       {"", "login.example", "//login.example/", "ftp://a/", "javascript:alert(1)", "https://", "https:///a",
        "https://u:p@a/", "https://a/#b", "https://a:0/", "https://a:99999/", "https://a:65536/",
        "https://a:/", "http://127.0.0.1.example/", "http://1.2.3.4a/x", "https://a b/",
        "https://a/\r\nX: y"})
    EXPECT_FALSE(parse_url(wrong).has_value()) << wrong;
}

TEST(Url, OnlyThisMachineIsLoopback) {
  for (const char* here : {"http://localhost:1/", "http://LOCALHOST/", "http://127.0.0.1/",
                           "http://127.9.9.9/", "http://[::1]:8/"})
    EXPECT_TRUE(parse_url(here)->is_loopback()) << here;
  for (const char* elsewhere : {"http://127.evil.example/", "http://localhost.example/", "http://10.0.0.1/",
                                "http://128.0.0.1/", "http://[::2]/"})
    EXPECT_FALSE(parse_url(elsewhere)->is_loopback()) << elsewhere;
}

TEST(Url, PercentEncodesAllButTheUnreserved) {
  EXPECT_EQ(percent_encode("a/b?c#d%e f\xff~.&=+"), "a%2Fb%3Fc%23d%25e%20f%FF~.%26%3D%2B");
}

}  // namespace
}  // namespace vestige::http
