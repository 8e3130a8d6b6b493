// Property: what is derived from the vault's secrets depends on every one of its inputs and on nothing else,
// and two inputs that read the same when put together are still told apart.
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/time_text.h"
#include "crypto/digest.h"
#include "vault/format.h"

namespace vestige::vault {
namespace {

Key filled(std::uint8_t byte) {
  Key key;
  key.fill(byte);
  return key;
}

TEST(Derived, AHashTellsWhereTenantEndsAndSubjectBegins) {
  const crypto::HmacKey secret(filled(1));
  EXPECT_NE(subject_hash(secret, "ab", "c"), subject_hash(secret, "a", "bc"));
  EXPECT_NE(subject_hash(secret, "ab", ""), subject_hash(secret, "", "ab"));
  EXPECT_NE(subject_hash(secret, "ab", ""), tenant_hash(secret, "ab"));
  EXPECT_NE(subject_hash(secret, "a", "b"), subject_hash(crypto::HmacKey(filled(2)), "a", "b"));
}

TEST(Derived, APurposeKeyTellsPurposeFromTenant) {
  const auto secret = filled(1);
  EXPECT_EQ(derive_purpose_key(secret, "mac", "acme"), derive_purpose_key(secret, "mac", "acme"));
  EXPECT_NE(derive_purpose_key(secret, "mac", "acme"), derive_purpose_key(secret, "maca", "cme"));
  EXPECT_NE(derive_purpose_key(secret, "mac", "acme"), derive_purpose_key(filled(2), "mac", "acme"));
  EXPECT_NE(derive_purpose_key(secret, "", ""), derive_journal_key(secret));
}

TEST(Derived, AWrappedKeyOpensOnlyWhole) {
  const auto wrapping = filled(3);
  const auto key = filled(4);
  const auto wrapped = wrap_key(wrapping, key, "segment 7", {9, 9, 9});
  ASSERT_EQ(wrapped.size(), wrapped_key_bytes);
  EXPECT_EQ(unwrap_key(wrapping, wrapped, "segment 7").value(), key);
  EXPECT_EQ(unwrap_key(wrapping, wrapped, "segment 8").error().kind, ErrorKind::corrupt);
  EXPECT_EQ(unwrap_key(filled(5), wrapped, "segment 7").error().kind, ErrorKind::corrupt);
  EXPECT_EQ(unwrap_key(wrapping, ByteView(wrapped).first(59), "segment 7").error().kind, ErrorKind::corrupt);
  for (std::size_t bit = 0; bit < wrapped.size() * 8; ++bit) {
    auto damaged = wrapped;
    damaged[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    EXPECT_FALSE(unwrap_key(wrapping, damaged, "segment 7")) << "bit " << bit;
  }
}

// The values of the worked example in docs/formats/vault.md, computed there by another implementation.
TEST(Derived, GivesTheDocumentedValues) {
  EXPECT_EQ(to_hex(derive_purpose_key(filled(0x22), "content-mac", "acme")),
            "cfb1153e529ef209a8f7b94592e97fca2b9f257975f116d592b972cf4493067e");
  EXPECT_EQ(to_hex(derive_journal_key(filled(0x22))),
            "e2676197b9d08044e55f020d948354863d5d387485828ac9cffa0fcc9bbb8407");
  EXPECT_EQ(to_hex(subject_hash(crypto::HmacKey(filled(0x23)), "acme", "user:1")),
            "89705ef8c510d37f5e908b44099b4d7b1e83d6a13bc1bf0e47f476c435381412");
  EXPECT_EQ(to_hex(tenant_hash(crypto::HmacKey(filled(0x23)), "acme")),
            "ace03ef8b9d364a83929f439cdb929f4280284fe76fb704678efc94ea2f64076");
  EXPECT_EQ(
      to_hex(wrap_key(filled(0x21), filled(0x55), "segment 1", {})).substr(24),
      "d63fcf3f45b2b518d482db36264ad16cbf7575e1464272f39314b32cb640040e104c52aa92eb23f417c5c411ef850e22");
}

TEST(Derived, MonthsCountFrom1970AndAreClamped) {
  const auto month = [](std::string_view time) { return month_of(*parse_time(time)).value; };
  EXPECT_EQ(month("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(month("1970-01-31T23:59:59.999Z"), 0);
  EXPECT_EQ(month("1970-02-01T00:00:00Z"), 1);
  EXPECT_EQ(month("2024-02-29T12:00:00Z"), 649);
  EXPECT_EQ(month("2026-11-25T14:40:11Z"), 682);
  EXPECT_EQ(month("1969-12-31T23:59:59Z"), 0);
  EXPECT_EQ(month("7431-03-31T23:59:59.999Z"), 65'534);
  EXPECT_EQ(month("7431-04-01T00:00:00Z"), 65'535);
  EXPECT_EQ(month("9999-12-31T00:00:00Z"), 65'535);
  EXPECT_EQ(month_of(UnixMs{std::numeric_limits<std::int64_t>::max()}).value, 65'535);
  EXPECT_EQ(month_of(UnixMs{std::numeric_limits<std::int64_t>::min()}).value, 0);
}

}  // namespace
}  // namespace vestige::vault
