// The quick ways must say what the obvious ones say, wherever in a text something stands: at its ends, across
// the strides that are looked at in one go, and beside bytes that differ from a letter in the bit of its case
// alone.
#include "audit/search/byte_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

namespace vestige::audit {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool naive_contains(std::string bytes, std::string_view part) {
  std::ranges::transform(bytes, bytes.begin(), lower);
  return bytes.find(part) != std::string::npos;
}

class ByteSearch : public testing::Test {
 protected:
  std::size_t below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_);
  }
  std::string text(std::string_view alphabet, std::size_t size) {
    std::string out(size, ' ');
    for (auto& c : out) c = alphabet[below(alphabet.size())];
    return out;
  }

  std::mt19937_64 random_{20261129};
};

TEST_F(ByteSearch, FindsWhatTheNaiveSearchFinds) {
  // '\x01' is 'a' and '[' is '{' but for bits of the letter's case, and '\x10' is '0'.
  constexpr std::string_view bytes = "aAbB0\x01\x02\x10[{";
  std::size_t found = 0;
  constexpr int rounds = 20'000;
  for (int i = 0; i < rounds; ++i) {
    const auto entry = text(bytes, below(200));
    const auto part = text("ab0", 1 + below(6));
    const bool expected = naive_contains(entry, part);
    found += expected ? 1 : 0;
    ASSERT_EQ(contains_ignoring_case(entry, part), expected)
        << "'" << part << "' in a text of " << entry.size();
  }
  EXPECT_GT(found, rounds / 10);
  EXPECT_LT(found, rounds * 9 / 10);
}

TEST_F(ByteSearch, FindsAWordAtEveryPlace) {
  constexpr std::string_view word = "Needle9";
  for (std::size_t size = word.size(); size < 300; ++size)
    for (const std::size_t at : {std::size_t{0}, below(size - word.size() + 1), size - word.size()}) {
      std::string entry(size, 'n');
      entry.replace(at, word.size(), word);
      EXPECT_TRUE(contains_ignoring_case(entry, "needle9")) << at << " of " << size;
      EXPECT_FALSE(contains_ignoring_case(entry, "needle8")) << at << " of " << size;
    }
}

TEST_F(ByteSearch, AShortTextHasNoLongWord) {
  EXPECT_FALSE(contains_ignoring_case("", "a"));
  EXPECT_FALSE(contains_ignoring_case("need", "needle"));
  EXPECT_TRUE(contains_ignoring_case("NEEDLE", "needle"));
}

TEST_F(ByteSearch, SeesAHighByteAtEveryPlace) {
  for (std::size_t size = 0; size < 200; ++size) {
    std::string entry(size, '\x7f');
    EXPECT_FALSE(has_high_bytes(entry)) << size;
    for (std::size_t at = 0; at < size; ++at) {
      entry[at] = '\x80';
      EXPECT_TRUE(has_high_bytes(entry)) << at << " of " << size;
      entry[at] = '\x7f';
    }
  }
}

}  // namespace
}  // namespace vestige::audit
