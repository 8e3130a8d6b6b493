// Property: decoding what was encoded gives the text back, whatever bytes were encoded or left alone; and
// nothing that is not a well-formed target is accepted.
#include "http/internal/target.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "http/message.h"
#include "http/testing/fixture.h"

namespace vestige::http::internal {
namespace {

TEST(Target, DecodesWhatWasEncoded) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const std::vector<std::string> letters{"a", "Z", "0", "-", "/",  "%", "?", "#",
                                         "&", "=", "+", " ", "\n", "ä", "€", "😀"};
  for (std::size_t round = 0; round < testing::scaled(2000); ++round) {
    std::string plain;
    std::string encoded;
    const auto length = random() % 12;
    for (std::size_t i = 0; i < length; ++i) {
      const auto& letter = letters[random() % letters.size()];
      plain += letter;
      const bool may_stay = letter == "a" || letter == "Z" || letter == "0" || letter == "-";
      for (const char c : letter)
        encoded += may_stay && random() % 2 ? std::string(1, c)
                                            : fmt::format(fmt::runtime(random() % 2 ? "%{:02X}" : "%{:02x}"),
                                                          static_cast<unsigned char>(c));
    }
    const auto target = parse_target("/p/" + encoded + "?" + encoded + "=" + encoded);
    ASSERT_TRUE(target.has_value()) << encoded;
    ASSERT_EQ(target->path, "/p/" + plain);
    ASSERT_EQ(target->encoded_path, encoded.find('%') == std::string::npos ? "" : "/p/" + encoded);
    ASSERT_EQ(target->query.size(), 1u);
    ASSERT_EQ(target->query[0], std::make_pair(plain, plain));
  }
}

TEST(Target, KeepsThePathAsItIs) {
  EXPECT_EQ(parse_target("//a/../b//")->path, "//a/../b//");
  EXPECT_EQ(parse_target("*")->path, "*");
  EXPECT_EQ(parse_target("http://host:1/a?b=c")->path, "/a");
  EXPECT_EQ(parse_target("http://host")->path, "/");
  EXPECT_EQ(parse_target("/a+b?c+d=e+f")->path, "/a+b");
}

TEST(Target, ReadsQueriesAsFormsDo) {
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(parse_target("/?a=1&b&&=c&a=2=3&d+e=f+g%2B")->query,
            (Pairs{{"a", "1"}, {"b", ""}, {"", "c"}, {"a", "2=3"}, {"d e", "f g+"}}));
  EXPECT_TRUE(parse_target("/?")->query.empty());
}

TEST(Target, IsPutIntoARequestThatHadAnother) {
  Request request;
  for (const char* target : {"/a/%2fb?c=d%20e", "/x"}) {
    ASSERT_TRUE(set_target(request, target));
    const auto parsed = parse_target(target);
    EXPECT_EQ(request.path, parsed->path);
    EXPECT_EQ(request.encoded_path, parsed->encoded_path);
    EXPECT_EQ(request.query, parsed->query);
  }
  EXPECT_EQ(set_target(request, "/%").error().kind, ErrorKind::invalid);
  EXPECT_EQ(request.path, "/x");
}

TEST(Target, RefusesWhatIsBroken) {
  for (const char* target : {"", "a", "%2f", "/%", "/%4", "/%zz", "/%4g", "/%00", "/a?b=%00", "/?%", "/a#b",
                             "/%ff", "/%c0%af", "/?x=%ed%a0%80", "ftp://a/", "host:80", "?a"})
    EXPECT_FALSE(parse_target(target).has_value()) << target;
  EXPECT_EQ(parse_target("/a%4").error().kind, ErrorKind::invalid);
}

}  // namespace
}  // namespace vestige::http::internal
