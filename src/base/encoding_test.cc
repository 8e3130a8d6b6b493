// Property: bytes have one text in each form. What is decoded is encoded to the same text again, so a text
// that was changed in any character stands for other bytes or for none.
#include "base/encoding.h"

#include <gtest/gtest.h>

#include <random>

namespace vestige {
namespace {

TEST(Base64url, KnownTexts) {
  // RFC 4648 §10, without padding; and the two characters in which the alphabets differ.
  EXPECT_EQ(to_base64url({}), "");
  EXPECT_EQ(to_base64url(view("f")), "Zg");
  EXPECT_EQ(to_base64url(view("fo")), "Zm8");
  EXPECT_EQ(to_base64url(view("foobar")), "Zm9vYmFy");
  EXPECT_EQ(to_base64url(Bytes{0xfb, 0xff, 0xfe}), "-__-");
}

TEST(Base64url, EveryTextHasOneMeaning) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 2000; ++round) {
    Bytes bytes(random() % 70);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    auto text = to_base64url(bytes);
    ASSERT_EQ(from_base64url(text), bytes);
    if (text.empty()) continue;
    text[random() % text.size()] = static_cast<char>(random());
    if (const auto other = from_base64url(text)) {
      ASSERT_EQ(to_base64url(*other), text);
    }
  }
}

TEST(Base64url, RefusesOtherSpellings) {
  // Padding, the other alphabet, blanks, a lone character, unused bits that are set.
  for (const char* text : {"Zg==", "Zm8=", "+//+", "Zm9v YmFy", "Zm9v\n", "Z", "Zm9vY", "Zh", "Zm9", "_____"})
    EXPECT_EQ(from_base64url(text), std::nullopt) << text;
}

}  // namespace
}  // namespace vestige
