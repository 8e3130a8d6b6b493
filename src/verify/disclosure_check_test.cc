// Defends: a disclosure holds for the values, the entry and the log that it was made of. What is accepted
// after any change says the same as before; what was not disclosed is not in it.
#include "verify/disclosure_check.h"

#include <gtest/gtest.h>

#include "verify/testing/export_maker.h"

namespace vestige::verify {
namespace {

using testing::ExportMaker;

std::uint64_t open_entry(const ExportMaker& maker) {
  for (std::uint64_t i = 0; i < maker.size(); ++i)
    if (maker.entry(i).present > 0) return i;
  ADD_FAILURE() << "no entry has an open section";
  return 0;
}

TEST(DisclosureCheck, HoldsForWhatWasDisclosed) {
  const ExportMaker maker(1, 20);
  const auto index = open_entry(maker);
  for (const std::vector<std::size_t>& chosen :
       std::vector<std::vector<std::size_t>>{{}, {0}, {2}, {0, 1}, {1, 2, 3}}) {
    const auto text = maker.disclosure(index, chosen);
    const auto checked = check_disclosure(text, maker.key().text());
    ASSERT_TRUE(checked) << checked.error().message;
    EXPECT_EQ(checked->proof.index, index);
    EXPECT_EQ(checked->disclosed.size(), chosen.size());
    EXPECT_EQ(checked->entry, maker.entry(index).entry);
    const auto secret = std::ranges::find(chosen, 2U) != chosen.end();
    EXPECT_EQ(text.find("\"secret " + std::to_string(index)) != std::string::npos, secret);
  }
  const ExportMaker other(2, 1);
  EXPECT_FALSE(check_disclosure(maker.disclosure(index, {2}), other.key().text()));
  const auto no_key = check_disclosure(maker.disclosure(index, {2}), "nonsense");
  ASSERT_FALSE(no_key);
  EXPECT_EQ(no_key.error().kind, ErrorKind::invalid);
}

TEST(DisclosureCheck, WhatIsAlteredIsRefusedOrSaysTheSame) {
  const ExportMaker maker(3, 11);
  const auto index = open_entry(maker);
  const auto text = maker.disclosure(index, {1, 2});
  const auto before = check_disclosure(text, maker.key().text());
  ASSERT_TRUE(before);
  std::size_t refused = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    auto altered = text;
    altered[at] = static_cast<char>(altered[at] ^ (1 << at % 3));
    const auto after = check_disclosure(altered, maker.key().text());
    if (!after) {
      ASSERT_EQ(after.error().kind, ErrorKind::corrupt);
      ++refused;
      continue;
    }
    ASSERT_EQ(after->entry, before->entry) << at;
    ASSERT_EQ(after->proof.index, before->proof.index) << at;
    ASSERT_EQ(after->disclosed.size(), before->disclosed.size()) << at;
    for (std::size_t i = 0; i < after->disclosed.size(); ++i) {
      ASSERT_EQ(after->disclosed[i].path, before->disclosed[i].path) << at;
      ASSERT_EQ(after->disclosed[i].value, before->disclosed[i].value) << at;
    }
  }
  // All but the number of pairs, which the root does not bind.
  EXPECT_GE(refused + 2, text.size());
}

TEST(DisclosureCheck, AValueTwiceOrOfNoSectionIsRefused) {
  const ExportMaker maker(4, 11);
  const auto index = open_entry(maker);
  EXPECT_FALSE(check_disclosure(maker.disclosure(index, {2, 2}), maker.key().text()));
  EXPECT_FALSE(check_disclosure(maker.disclosure(index, {3, 1}), maker.key().text()));
  auto text = maker.disclosure(index, {2});
  const auto at = text.find("\"section\":0");
  EXPECT_FALSE(check_disclosure(text.replace(at, 11, "\"section\":1"), maker.key().text()));
}

}  // namespace
}  // namespace vestige::verify
