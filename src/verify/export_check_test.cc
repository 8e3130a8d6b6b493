// Defends: an export holds exactly as it was written. Whatever is altered, moved, left out, put in or cut off
// is found, at the line where it was done or, where somebody chained everything anew, at the closing one; by
// no input is worse done than that.
#include "verify/export_check.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/encoding.h"
#include "json/json.h"
#include "verify/testing/export_maker.h"

namespace vestige::verify {
namespace {

using testing::ExportMaker;
using Indexes = std::vector<std::uint64_t>;

int rounds(int base) {
  const char* scale = std::getenv("VESTIGE_TEST_SCALE");
  const int factor = scale ? std::atoi(scale) : 1;
  return base * (factor < 1 ? 1 : factor);
}

ExportVerdict check(const std::string& file, std::optional<trail::VerifierKey> key,
                    std::size_t piece = std::string::npos) {
  ExportCheck checking(std::move(key));
  for (std::size_t at = 0; at < file.size(); at += std::min(piece, file.size() - at))
    if (!checking.feed(std::string_view(file).substr(at, piece))) break;
  return checking.finish();
}

std::string all_lines(const std::vector<std::string>& lines) { return ExportMaker::ndjson(lines); }

void replace(std::string& text, std::string_view what, std::string_view with) {
  const auto at = text.find(what);
  ASSERT_NE(at, std::string::npos) << what;
  text.replace(at, what.size(), with);
}

TEST(ExportCheck, HoldsForWhatWasExportedHoweverItComes) {
  std::mt19937_64 random(std::random_device{}());
  for (int round = 0; round < rounds(120); ++round) {
    const ExportMaker maker(random(), random() % 40);
    Indexes indexes;
    const auto percent = random() % 120;
    std::uint64_t present = 0, erased = 0;
    for (std::uint64_t i = 0; i < maker.size(); ++i)
      if (random() % 100 < percent) {
        indexes.push_back(i);
        present += maker.entry(i).present;
        erased += maker.entry(i).erased;
      }
    for (const bool csv : {false, true}) {
      const auto verdict = check(maker.file(indexes, csv), maker.key(), 1 + random() % 300);
      ASSERT_FALSE(verdict.bad) << verdict.bad->line << ": " << verdict.bad->reason;
      ASSERT_TRUE(verdict.signature_checked);
      ASSERT_EQ(verdict.facts.events, indexes.size());
      ASSERT_EQ(verdict.facts.size, maker.size());
      ASSERT_EQ(verdict.facts.present, present);
      ASSERT_EQ(verdict.facts.erased, erased);
      ASSERT_EQ(verdict.whole_tree(), indexes.size() == maker.size());
    }
    const auto keyless = check(maker.file(indexes, false), std::nullopt);
    ASSERT_FALSE(keyless.bad);
    ASSERT_FALSE(keyless.signature_checked);
    const ExportMaker other(random(), 1);
    ASSERT_TRUE(check(maker.file(indexes, false), other.key()).bad);
  }
}

TEST(ExportCheck, EveryAlteredByteAndEveryCutIsFound) {
  const ExportMaker maker(5, 5);
  std::uint64_t present = 0, erased = 0;
  for (const std::uint64_t i : {1, 3}) {
    present += maker.entry(i).present;
    erased += maker.entry(i).erased;
  }
  ASSERT_EQ(present + erased, 2U) << "another seed, so that there are sections of both kinds";
  for (const bool csv : {false, true}) {
    const auto file = maker.file({1, 3}, csv);
    for (std::size_t at = 0; at < file.size(); ++at) {
      auto altered = file;
      altered[at] = static_cast<char>(altered[at] ^ (1 << at % 8));
      ASSERT_TRUE(check(altered, maker.key()).bad) << (csv ? "CSV" : "NDJSON") << ", byte " << at;
      if (at % 7 == 0 || at + 3 > file.size())
        ASSERT_TRUE(check(file.substr(0, at), maker.key()).bad) << "cut at " << at;
    }
    ASSERT_FALSE(check(file, maker.key()).bad);
    ASSERT_TRUE(check(file + "\n", maker.key()).bad);
    ASSERT_TRUE(check(file + file, maker.key()).bad);
  }
}

TEST(ExportCheck, TheLineIsNamedWhereSomethingWasDone) {
  const ExportMaker maker(6, 30);
  const Indexes indexes = {2, 3, 8, 9, 20};  // lines 2 to 6; the closing one is 7
  const auto lines = maker.chained(maker.bodies(indexes));
  const auto line_of = [&](const std::vector<std::string>& altered) {
    const auto verdict = check(all_lines(altered), maker.key());
    return verdict.bad ? verdict.bad->line : 0;
  };
  ASSERT_EQ(line_of(lines), 0U);
  for (std::size_t i = 1; i < lines.size(); ++i) {
    auto removed = lines;
    removed.erase(removed.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_EQ(line_of(removed), i + 1) << "removed";
    auto doubled = lines;
    doubled.insert(doubled.begin() + static_cast<std::ptrdiff_t>(i), lines[i]);
    EXPECT_EQ(line_of(doubled), i + 2) << "doubled";
    if (i + 1 < lines.size()) {
      auto swapped = lines;
      std::swap(swapped[i], swapped[i + 1]);
      EXPECT_EQ(line_of(swapped), i + 1) << "swapped";
      auto altered = lines;
      replace(altered[i], "\"n\":", "\"m\":");
      EXPECT_EQ(line_of(altered), i + 1) << "altered";
      auto told = lines;
      told[i].replace(told[i].find("\"n\":", told[i].find("\"event\"")), 4, "\"m\":");
      EXPECT_EQ(line_of(told), i + 1) << "altered where people read";
    }
    EXPECT_EQ(line_of({lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(i)}), i + 1) << "cut";
  }
  auto hash = lines;
  auto& letter = hash[3][hash[3].find("\"nodes\":[\"") + 12];
  letter = letter == 'A' ? 'B' : 'A';
  EXPECT_EQ(line_of(hash), 5U) << "an altered hash breaks the chain behind its line";
  auto header = lines;
  replace(header[0], "\"asked\":{}", "\"asked\":{\"a\":1}");
  EXPECT_EQ(line_of(header), 2U);
}

// Who alters lines and chains everything anew has no signature over it; who leaves the signature out of
// account is caught by the tree.
TEST(ExportCheck, AChainMadeAnewIsFoundAtTheClosingLine) {
  const ExportMaker maker(7, 30);
  const Indexes indexes = {2, 3, 8, 9, 20};
  const auto bodies = maker.bodies(indexes);
  const auto lines = maker.chained(bodies);
  const auto closing = lines.back();
  const auto note_at = closing.find("\"statement\":") + 12;
  json::Parser parser;
  json::Document document;
  ASSERT_TRUE(parser.parse(closing.substr(note_at, closing.size() - note_at - 1), document));
  const std::string statement(document.root().string());
  const auto expect_bad_closing = [&](const std::vector<std::string>& forged,
                                      std::optional<trail::VerifierKey> key, const char* what) {
    const auto verdict = check(all_lines(maker.chained(forged, key ? statement : "")), key);
    ASSERT_TRUE(verdict.bad) << what;
    EXPECT_EQ(verdict.bad->line, forged.size()) << what << ": " << verdict.bad->reason;
  };
  // An entry with everything that hangs on it, its leaf included.
  auto altered = bodies;
  auto entry = maker.entry(8).entry;
  const auto before = entry;
  replace(entry, "\"DID\"", "\"DONE\"");
  replace(altered[3], before, entry);
  altered[3].replace(altered[3].find("\"DID\""), 5, "\"DONE\"");
  replace(altered[3], maker.leaf_of(before), maker.leaf_of(entry));
  expect_bad_closing(altered, maker.key(), "an entry was altered");
  expect_bad_closing(altered, std::nullopt, "an entry was altered");
  // An event left out for the hash that stands for it.
  auto left_out = maker.bodies({2, 3, 9, 20});
  expect_bad_closing(left_out, maker.key(), "an event was left out");
  // The question.
  auto question = bodies;
  replace(question[0], "\"asked\":{}", "\"asked\":{\"a\":1}");
  expect_bad_closing(question, maker.key(), "another question");
  // A hash.
  auto hash = bodies;
  auto& letter = hash[3][hash[3].find("\"nodes\":[\"") + 12];
  letter = letter == 'A' ? 'B' : 'A';
  expect_bad_closing(hash, std::nullopt, "a hash was altered");
}

TEST(ExportCheck, CellsAreHeldAgainstTheEvent) {
  const ExportMaker maker(8, 10);
  const Indexes indexes = {1, 2, 3};
  const auto lines = maker.chained(maker.bodies(indexes));
  const auto file = maker.csv(lines, indexes);
  for (const auto& [what, with] :
       {std::pair("\r\n2,", "\r\n5,"), std::pair(",DID,", ",DONE,"), std::pair("index,time", "time,index")}) {
    auto altered = file;
    replace(altered, what, with);
    EXPECT_TRUE(check(altered, maker.key()).bad) << what;
  }
  auto filled = file;
  replace(filled, "\r\n,", "\r\nx,");
  EXPECT_EQ(check(filled, maker.key()).bad->line, 5U);
}

TEST(ExportCheck, OneThatCouldNotBeFinishedSaysWhy) {
  const ExportMaker maker(9, 10);
  auto lines = maker.chained(maker.bodies({1, 2}));
  lines.back() = lines.back().substr(0, lines.back().find(',', 0)) + R"(,"incomplete":"the disk gave up"})";
  const auto verdict = check(all_lines(lines), maker.key());
  ASSERT_TRUE(verdict.bad);
  EXPECT_EQ(verdict.bad->line, 4U);
  EXPECT_NE(verdict.bad->reason.find("the disk gave up"), std::string::npos);
}

TEST(ExportCheck, TheCorpusIsReadAsItAlwaysWas) {
  std::size_t read = 0;
  for (const auto& file : std::filesystem::directory_iterator(VESTIGE_SOURCE_DIR "/tests/corpus/export")) {
    std::ifstream input(file.path(), std::ios::binary);
    std::stringstream content;
    content << input.rdbuf();
    // The first byte chooses, as in export_fuzz.cc.
    const auto whole = content.str().substr(1);
    const auto name = file.path().filename().string();
    const bool holds = name.starts_with("ndjson") || name.starts_with("csv");
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::string::npos})
      EXPECT_EQ(!check(whole, std::nullopt, piece).bad, holds) << name;
    ++read;
  }
  EXPECT_GE(read, 5U);
}

}  // namespace
}  // namespace vestige::verify
