// Defends: codes are those of RFC 6238, so that every authenticator application gives them, and a code is
// good for its own step and one on either side, never again.
#include "access/totp.h"

#include <gtest/gtest.h>

namespace vestige::access {
namespace {

constexpr std::string_view rfc_secret = "12345678901234567890";

TEST(Totp, VectorsOfRfc6238) {
  const std::pair<std::int64_t, std::string> vectors[] = {{59, "94287082"},
                                                          {1'111'111'109, "07081804"},
                                                          {1'111'111'111, "14050471"},
                                                          {1'234'567'890, "89005924"},
                                                          {2'000'000'000, "69279037"},
                                                          {20'000'000'000, "65353130"}};
  for (const auto& [seconds, code] : vectors) {
    const auto step = totp_step(UnixMs{seconds * 1000});
    EXPECT_EQ(totp_code(view(rfc_secret), step, 8), code);
    EXPECT_EQ(totp_code(view(rfc_secret), step), code.substr(2));
  }
}

TEST(Totp, VectorsOfRfc4226) {
  const std::string codes[] = {"755224", "287082", "359152", "969429", "338314",
                               "254676", "287922", "162583", "399871", "520489"};
  for (std::int64_t count = 0; count < 10; ++count)
    EXPECT_EQ(totp_code(view(rfc_secret), count), codes[count]);
}

TEST(Totp, AStepOnEitherSideAndNoneBefore) {
  const UnixMs now{1'795'617'600'000};
  const auto step = totp_step(now);
  for (std::int64_t off = -3; off <= 3; ++off) {
    const auto code = totp_code(view(rfc_secret), step + off);
    const auto found = match_totp(view(rfc_secret), code, now, 0);
    EXPECT_EQ(found.has_value(), off >= -1 && off <= 1) << off;
    if (found) EXPECT_EQ(*found, step + off);
    EXPECT_FALSE(match_totp(view(rfc_secret), code, now, step + 1)) << off;
  }
  for (const auto* wrong : {"", "1", "0000000", "abcdef", " 287082"})
    EXPECT_FALSE(match_totp(view(rfc_secret), wrong, now, 0)) << wrong;
}

TEST(Totp, Base32OfRfc4648AndTheUri) {
  const std::pair<std::string, std::string> vectors[] = {{"", ""},
                                                         {"f", "MY"},
                                                         {"fo", "MZXQ"},
                                                         {"foo", "MZXW6"},
                                                         {"foob", "MZXW6YQ"},
                                                         {"fooba", "MZXW6YTB"},
                                                         {"foobar", "MZXW6YTBOI"}};
  for (const auto& [plain, encoded] : vectors) EXPECT_EQ(to_base32(view(plain)), encoded);
  EXPECT_EQ(totp_uri("Vestige & co", "ada@example.org", view("foobar")),
            "otpauth://totp/Vestige%20%26%20co:ada%40example.org?secret=MZXW6YTBOI&issuer=Vestige%20%26%20co&"
            "algorithm=SHA1&digits=6&period=30");
}

}  // namespace
}  // namespace vestige::access
