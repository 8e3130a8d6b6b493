// Defends: however a stream is cut into pieces, and whichever line ends and comments it has, the same events
// come out, whole and in order; an endless event is refused and not collected.
#include "cli/internal/event_stream.h"

#include <gtest/gtest.h>

#include <random>

#include "cli/testing/recorder.h"

namespace vestige::cli {
namespace {

std::vector<StreamEvent> read_all(std::string_view text, std::mt19937_64& random) {
  std::vector<StreamEvent> events;
  EventStreamParser parser;
  while (!text.empty()) {
    const auto size = std::min<std::size_t>(1 + random() % 7, text.size());
    const auto fed = parser.feed(text.substr(0, size), [&](const StreamEvent& event) {
      events.push_back(event);
      return true;
    });
    EXPECT_TRUE(fed && *fed);
    text.remove_prefix(size);
  }
  return events;
}

TEST(EventStream, PiecesAndLineEndsDoNotMatter) {
  const auto seed = std::random_device()();
  std::mt19937_64 random(seed);
  for (int round = 0; round < testing::rounds(500); ++round) {
    const std::string ends[] = {"\n", "\r\n", "\r"};
    std::vector<StreamEvent> expected;
    std::string text = random() % 2 ? "\xEF\xBB\xBF" : "";
    std::string last_id;
    for (auto count = random() % 8; count > 0; --count) {
      // One kind of line end an event: "\r" before an empty line of "\n" would be one line end.
      const auto& end = ends[random() % 3];
      const bool with_data = random() % 4 != 0;
      std::string data;
      if (random() % 2) text += ": still here" + end;
      if (random() % 2) {
        last_id = std::to_string(random() % 1'000);
        text += "id: " + last_id + end;
      }
      const bool typed = random() % 2;
      if (typed) text += "event:entry" + end;
      if (with_data) {
        for (auto lines = 1 + random() % 3; lines > 0; --lines) {
          const std::string line(random() % 9, static_cast<char>('a' + random() % 26));
          text += "data: " + line + end;
          data += line + (lines > 1 ? "\n" : "");
        }
        expected.push_back({.id = last_id, .type = typed ? "entry" : "message", .data = data});
      }
      text += "unknown: field" + end + end;
    }
    ASSERT_EQ(read_all(text, random), expected) << "seed " << seed << "\n" << text;
  }
}

TEST(EventStream, StopsWhenAskedTo) {
  EventStreamParser parser;
  int seen = 0;
  const auto fed = parser.feed("data: 1\n\ndata: 2\n\n", [&](const StreamEvent&) { return ++seen < 1; });
  ASSERT_TRUE(fed);
  EXPECT_FALSE(*fed);
  EXPECT_EQ(seen, 1);
}

TEST(EventStream, AnEventThatIsCutOffIsNone) {
  std::mt19937_64 random(1);
  EXPECT_TRUE(read_all("id: 1\ndata: half", random).empty());
  EXPECT_TRUE(read_all("id: 1\ndata: half\n", random).empty());
}

TEST(EventStream, AnEndlessEventIsRefused) {
  EventStreamParser parser;
  const std::string piece(1 << 20, 'x');
  std::size_t fed_bytes = 0;
  for (;;) {
    const auto fed = parser.feed(piece, [](const StreamEvent&) { return true; });
    if (!fed) {
      EXPECT_EQ(fed.error().kind, ErrorKind::exhausted);
      break;
    }
    fed_bytes += piece.size();
    ASSERT_LE(fed_bytes, stream_event_bytes_max);
  }
}

}  // namespace
}  // namespace vestige::cli
