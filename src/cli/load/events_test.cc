// Defends: an event is a function of its seed and number, is valid JSON, says that it is made up, and has the
// size that measurements speak of.
#include "cli/load/events.h"

#include <gtest/gtest.h>

#include <set>

#include "json/json.h"

namespace vestige::cli::load {
namespace {

std::string made(const EventShape& shape, std::uint64_t number) {
  std::string text;
  append_event(text, shape, number, UnixMs{1'772'323'200'000});
  return text;
}

TEST(Events, AreRepeatableDistinctAndValid) {
  json::Parser parser;
  json::Document document;
  std::set<std::string> ids;
  std::size_t bytes = 0;
  constexpr std::uint64_t count = 2'000;
  for (std::uint64_t number = 0; number < count; ++number) {
    const EventShape shape{.seed = 7, .with_subject = number % 2 == 1};
    const auto text = made(shape, number);
    ASSERT_EQ(text, made(shape, number));
    bytes += text.size();
    ASSERT_TRUE(parser.parse(text, document)) << text;
    const auto root = document.root();
    ids.insert(std::string(root.find("id").string()));
    EXPECT_EQ(root.find("sourceType").string(), source_type);
    EXPECT_EQ(root.find("time").string(), "2026-03-01T00:00:00.000Z");
    EXPECT_EQ(root.find("subject").exists(), shape.with_subject);
    if (shape.with_subject) EXPECT_EQ(root.find("subject").string(), root.find("targetId").string());
  }
  EXPECT_EQ(ids.size(), count);
  EXPECT_NE(made({.seed = 7}, 1), made({.seed = 8}, 1));
  EXPECT_GT(bytes / count, 450U);
  EXPECT_LT(bytes / count, 550U);
}

}  // namespace
}  // namespace vestige::cli::load
