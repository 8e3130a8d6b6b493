// Property: a sealed value opens under the purpose and owner that it was sealed for, with the same key,
// whole, and in no other way; two seals of one value have nothing in common; a blind index is equal exactly
// where purpose, key and normal form are. Normal forms are fixed points, and hold nothing that cannot be
// seen.
#include "state/fields.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/encoding.h"
#include "platform/sim/sim_clock.h"
#include "state/testing/temporary_database.h"

namespace vestige::state {
namespace {

Key key_of(std::uint8_t byte) {
  Key key;
  key.fill(byte);
  return key;
}

RC_GTEST_PROP(Fields, OpensOnlyWhatWasSealedThere, (const std::string& plain)) {
  platform::sim::SimEntropy entropy(1);
  const Fields fields(key_of(1), entropy);
  const auto sealed = fields.seal("account.email", "row 1", plain);
  RC_ASSERT(fields.open("account.email", "row 1", sealed).value() == plain);
  RC_ASSERT(fields.seal("account.email", "row 1", plain) != sealed);
  for (const auto& [purpose, owner] : {std::pair("account.phone", "row 1"),
                                       {"account.email", "row 2"},
                                       {"account.emailr", "ow 1"},
                                       {"", ""}}) {
    const auto moved = fields.open(purpose, owner, sealed);
    RC_ASSERT(!moved);
    RC_ASSERT(moved.error().kind == ErrorKind::corrupt);
  }
  RC_ASSERT(!Fields(key_of(2), entropy).open("account.email", "row 1", sealed));

  auto bytes = from_base64(sealed).value();
  const auto bit = *rc::gen::inRange<std::size_t>(0, bytes.size() * 8);
  bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
  RC_ASSERT(!fields.open("account.email", "row 1", to_base64(bytes)));
  RC_ASSERT(!fields.open("account.email", "row 1",
                         sealed.substr(0, *rc::gen::inRange<std::size_t>(0, sealed.size()))));
}

TEST(Fields, SealedValuesHaveTheDocumentedForm) {
  platform::sim::SimEntropy entropy(1);
  const Fields fields(key_of(1), entropy);
  const auto bytes = from_base64(fields.seal("account.email", "row 1", "thandi@example.org")).value();
  EXPECT_EQ(bytes.size(), 1 + 12 + 18 + 16u);
  EXPECT_EQ(bytes.front(), 1);
  // Sealed by version 1 for ever.
  EXPECT_EQ(fields.seal("account.email", "row 1", "thandi@example.org"),
            "AYrWrhem2pY3aDwOY7k3FnaEF2pnNNfXr80lMtIYFVic2nY5IcrmepM5JyI7Ieo=");
  EXPECT_EQ(fields.blind_index("account.email", "thandi@example.org"),
            "0a3679356051d060ee130773bf04e3d5f7eba889e17fbcbdcd18615ef2021bb4");
}

TEST(Fields, ABlindIndexDependsOnPurposeKeyAndValue) {
  platform::sim::SimEntropy entropy(1);
  const Fields fields(key_of(1), entropy);
  const auto index = fields.blind_index("account.email", "a@example.org");
  EXPECT_EQ(index.size(), 64u);
  EXPECT_EQ(index, Fields(key_of(1), entropy).blind_index("account.email", "a@example.org"));
  EXPECT_NE(index, fields.blind_index("account.email", "b@example.org"));
  EXPECT_NE(index, fields.blind_index("account.phone", "a@example.org"));
  EXPECT_NE(index, Fields(key_of(2), entropy).blind_index("account.email", "a@example.org"));
}

TEST(Fields, ADatabaseKeepsToTheKeyThatItSawFirst) {
  testing::TemporaryDatabase database;
  platform::sim::SimEntropy entropy(1);
  EXPECT_TRUE(Fields(key_of(1), entropy).hold_against(*database));
  EXPECT_TRUE(Fields(key_of(1), entropy).hold_against(database.reopen()));
  const auto other = Fields(key_of(2), entropy).hold_against(*database);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::denied);
  EXPECT_TRUE(Fields(key_of(1), entropy).hold_against(*database));
}

TEST(NormalForms, OfEmailAddresses) {
  EXPECT_EQ(normal_email("  Thandi.Nkosi+x@Example.ORG\r\n"), "thandi.nkosi+x@example.org");
  EXPECT_EQ(normal_email("J\xc3\xa4ger@b\xc3\xbc"
                         "cher.example"),
            "j\xc3\xa4ger@b\xc3\xbc"
            "cher.example");
  EXPECT_EQ(normal_email("a@localhost"), "a@localhost");
  const auto local = std::string(64, 'a');
  const auto domain = std::string(185, 'b') + ".org";
  EXPECT_TRUE(normal_email(local + "@" + domain));      // 254
  EXPECT_FALSE(normal_email(local + "@b" + domain));    // 255
  EXPECT_FALSE(normal_email(local + "a@example.org"));  // 65 before the @
  for (const char* wrong : {"",
                            " ",
                            "a",
                            "a@",
                            "@b",
                            "a@b@c",
                            "a b@c",
                            "a@b c",
                            "a@.b",
                            "a@b.",
                            "a@b..c",
                            "a@b\x01",
                            "a\tb@c",
                            "a\nb@c",
                            "a@b,c@d",
                            "a@b;c@d",
                            "<a@b>",
                            "A <a@b>",
                            "\"a\"@b",
                            "a@[127.0.0.1]",
                            "a@b\x7f",
                            "a\xff@b",
                            "a\xc0\x80@b",
                            "a\xe2\x80\x8b@b" /* zero width */,
                            "a\xe2\x80\xae@b" /* right to left */,
                            "a\xc2\xa0@b" /* no-break */,
                            "a\xc2\xad@b" /* soft hyphen */,
                            "a\xe3\x80\x80@b" /* wide space */,
                            "a\xf3\xa0\x81\x81@b" /* tag */,
                            "a@b\r\nBcc: c@d"})
    EXPECT_FALSE(normal_email(wrong)) << wrong;
}

TEST(NormalForms, OfPhoneNumbers) {
  EXPECT_EQ(normal_phone("+27821234567"), "+27821234567");
  EXPECT_EQ(normal_phone(" +27 (0)82 123-4567 "), "+27821234567");
  EXPECT_EQ(normal_phone("0027 82.123/4567"), "+27821234567");
  EXPECT_EQ(normal_phone("+1 (212) 555 0100"), "+12125550100");
  EXPECT_EQ(normal_phone("+123456789012345"), "+123456789012345");
  for (const char* wrong :
       {"", "+", "+1", "+123456", "+1234567890123456", "0821234567", "+0821234567", "+27a2123456",
        "++27821234567", "+27821234567x1", "+27\n821234567", "00", "(+27)821234567"})
    EXPECT_FALSE(normal_phone(wrong)) << wrong;
}

RC_GTEST_PROP(NormalForms, AreFixedPoints, ()) {
  const auto text =
      *rc::gen::container<std::string>(rc::gen::elementOf(std::string("aZ@.+0123( )-\xc3\xa4\n,")));
  if (const auto email = normal_email(text)) RC_ASSERT(normal_email(*email) == email);
  if (const auto phone = normal_phone(text)) RC_ASSERT(normal_phone(*phone) == phone);
  const auto number =
      "+" + *rc::gen::container<std::string>(rc::gen::elementOf(std::string("0123456789 (0)")));
  if (const auto phone = normal_phone(number)) RC_ASSERT(normal_phone(*phone) == phone);
}

}  // namespace
}  // namespace vestige::state
