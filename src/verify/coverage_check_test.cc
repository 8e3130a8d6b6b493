// Defends: a report on captures holds exactly as it was signed; whatever byte of it is altered, left out or
// put in, it does not, and no worse is done by any input. That it cannot contradict itself under a good
// signature is tests/e2e/test_coverage.py's, for both verifiers.
#include "verify/coverage_check.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

namespace vestige::verify {
namespace {

struct Example {
  std::string report, key;
};

// The one of docs/formats/coverage.md.
Example example() {
  std::ifstream file(std::filesystem::path(VESTIGE_SOURCE_DIR) / "docs" / "formats" / "coverage.md");
  std::stringstream page;
  page << file.rdbuf();
  const auto text = page.str();
  const auto between = [&](std::string_view before, std::string_view after) {
    const auto start = text.find(before) + before.size();
    return text.substr(start, text.find(after, start) - start);
  };
  return {between("```coverage\n", "\n```"), between("verifier key `", "`")};
}

ErrorKind refused(const std::string& report, const std::string& key) {
  const auto checked = check_coverage(report, key);
  EXPECT_FALSE(checked) << report;
  return checked ? ErrorKind::not_found : checked.error().kind;
}

TEST(CoverageCheck, HoldsAsItWasSigned) {
  const auto [report, key] = example();
  for (const auto& text : {report, report + "\n"}) {
    const auto checked = check_coverage(text, key);
    ASSERT_TRUE(checked) << checked.error().message;
    EXPECT_EQ(checked->gaps, 1U);
    EXPECT_EQ(checked->checkpoint.size, 19U);
    EXPECT_EQ(checked->checkpoint.origin, "shop.example/default/audit");
    EXPECT_EQ(report.find(checked->report), std::string_view(R"({"report":)").size());
  }
}

TEST(CoverageCheck, NoByteCanBeAltered) {
  const auto [report, key] = example();
  std::mt19937 random(7);
  for (std::size_t at = 0; at < report.size(); ++at) {
    auto altered = report;
    altered[at] = static_cast<char>(altered[at] ^ (1 << random() % 8));
    EXPECT_EQ(refused(altered, key), ErrorKind::corrupt);
    EXPECT_EQ(refused(report.substr(0, at), key), ErrorKind::corrupt);
    altered = report;
    altered.insert(at, 1, " \n0,]}a\"\\"[random() % 9]);
    EXPECT_EQ(refused(altered, key), ErrorKind::corrupt);
  }
}

TEST(CoverageCheck, ItIsHeldAgainstTheKeyThatIsGiven) {
  const auto [report, key] = example();
  EXPECT_EQ(refused(report, "no key"), ErrorKind::invalid);
  // The worked example of docs/formats/export.md.
  EXPECT_EQ(
      refused(report, "corpus.example/default/audit+6cd380a9+AVB7exA43enmlf02nald4KQKnzXMgO3rKs4nvU+3tAye"),
      ErrorKind::corrupt);
}

}  // namespace
}  // namespace vestige::verify
