// Sources of events for tests: files and git repositories in a directory that goes with the object, and what
// a reader makes of them.
#pragma once

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
  std::string error;  // empty at a good end
  std::vector<std::string> notices;
};

inline Reading read_all(Format format, const std::string& path, const ReaderOptions& options = {}) {
  Reading reading;
  const auto reader = open_reader(format, path, options);
  if (!reader) return {.events = {}, .error = reader.error().message, .notices = {}};
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
  return reading;
}

inline std::vector<std::string> texts_of(const Reading& reading) {
  std::vector<std::string> texts;
  for (const auto& event : reading.events) texts.push_back(event.json);
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

}  // namespace vestige::cli::importing::testing
