// Sources of events for tests: files and git repositories in a directory that goes with the object, and what
// a reader makes of them.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "cli/import/reader.h"
#include "json/json.h"
#include "platform/process.h"

namespace vestige::cli::importing::testing {

inline int test_scale() {
  const char* scale = ::getenv("VESTIGE_TEST_SCALE");
  return scale == nullptr ? 1 : std::max(1, ::atoi(scale));
}

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string path = (std::filesystem::temp_directory_path() / "vestige-import-XXXXXX").string();
    path_ = ::mkdtemp(path.data());
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::string path(const std::string& name) const { return path_ + "/" + name; }
  std::string put(const std::string& name, std::string_view content) const {
    std::ofstream(path(name), std::ios::binary) << content;
    return path(name);
  }

 private:
  std::string path_;
};

struct Reading {
  std::vector<ImportedEvent> events;
  std::string format{};
  std::string error;  // empty at a good end
  std::vector<std::string> notices;
};

// Gives the text in pieces of at most so many bytes.
class PiecesStream final : public platform::ByteStream {
 public:
  PiecesStream(std::string_view text, std::size_t piece_bytes) : text_(text), piece_bytes_(piece_bytes) {}
  Result<std::size_t> read(std::span<std::uint8_t> out) override {
    const auto count = std::min({out.size(), text_.size(), piece_bytes_});
    std::copy_n(text_.begin(), count, out.begin());
    text_.remove_prefix(count);
    return count;
  }

 private:
  std::string_view text_;
  std::size_t piece_bytes_;
};

// One member of a ustar archive, padded.
inline std::string tar_member(std::string_view name, std::string_view content, char type) {
  std::string header(512, '\0');
  const auto put = [&](std::size_t offset, std::string_view text) {
    header.replace(offset, text.size(), text);
  };
  put(0, name.substr(0, 100));
  put(100, "0000644");
  put(124, fmt::format("{:011o}", content.size()));
  put(136, "00000000000");
  header[156] = type;
  put(257, "ustar");
  put(263, "00");
  put(148, "        ");
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum));
  header[154] = '\0';
  std::string member = header + std::string(content);
  member.resize((member.size() + 511) / 512 * 512);
  return member;
}
inline std::string tar_end() { return std::string(1'024, '\0'); }

inline Reading read_all(std::string_view format, const std::string& path, const ReaderOptions& options = {}) {
  Reading reading;
  const auto reader = open_reader(format, path, options);
  if (!reader) return {.events = {}, .format = {}, .error = reader.error().message, .notices = {}};
  double progress = 0;
  for (;;) {
    auto event = (*reader)->next();
    const double now = (*reader)->progress().value_or(progress);
    EXPECT_GE(now, progress);
    EXPECT_LE(now, 1.0);
    progress = now;
    if (!event) {
      reading.error = event.error().message;
      break;
    }
    if (!*event) {
      EXPECT_EQ((*reader)->progress().value_or(1.0), 1.0);
      break;
    }
    reading.events.push_back(std::move(**event));
    EXPECT_EQ((*reader)->records(), reading.events.size());
  }
  reading.notices = (*reader)->notices();
  reading.format = (*reader)->format();
  return reading;
}

inline std::vector<std::string> texts_of(const Reading& reading) {
  std::vector<std::string> texts;
  for (const auto& event : reading.events) texts.push_back(event.json);
  return texts;
}
inline std::vector<std::string> records_of(const Reading& reading) {
  std::vector<std::string> texts;
  for (const auto& event : reading.events) texts.push_back(event.record);
  return texts;
}

// A member of an event as canonical JSON; its path is given as "detail/verb".
inline std::string at(const std::string& event, std::string_view path) {
  json::Parser parser;
  json::Document document;
  const auto status = parser.parse(event, document);
  if (!status) return "no JSON: " + status.error().message;
  auto value = document.root();
  while (!path.empty()) {
    const auto slash = std::min(path.find('/'), path.size());
    const auto key = path.substr(0, slash);
    if (value.is_array())
      value = value.at(static_cast<std::size_t>(std::stoul(std::string(key))));
    else
      value = value.find(key);
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return value.exists() ? json::canonical(value) : "absent";
}

// What Elixir and ExAudit themselves wrote (tests/vectors/exaudit.json).
inline json::Document vectors() {
  std::ifstream file(VESTIGE_SOURCE_DIR "/tests/vectors/exaudit.json");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  json::Parser parser;
  json::Document document;
  const auto parsed = parser.parse(text, document);
  EXPECT_TRUE(parsed) << parsed.error().message;
  return document;
}

}  // namespace vestige::cli::importing::testing
