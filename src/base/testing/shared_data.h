// For tests: real data and published vectors that stand beside the repository and are not part of it.
// They are looked for in $VESTIGE_SHARED_DATA, else in ../shared/data beside the source folder.
//
// A clone without that folder still tests the vectors that stand in the test sources; it says what it left
// out. A folder that is there but lacks the file is a failure, so that a renamed file cannot quietly turn a
// test off.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace vestige::testing {

inline std::filesystem::path shared_folder() {
  if (const char* folder = std::getenv("VESTIGE_SHARED_DATA"); folder != nullptr) return folder;
  return std::filesystem::path(VESTIGE_SOURCE_DIR) / ".." / "shared" / "data";
}

inline std::optional<std::string> shared_file(const std::string& name) {
  if (!std::filesystem::is_directory(shared_folder())) {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    std::printf("skipped: %s.%s: ../shared/data is not here\n",
                test == nullptr ? "?" : test->test_suite_name(),
                test == nullptr ? name.c_str() : test->name());
    return std::nullopt;
  }
  auto path = shared_folder() / name;
  if (!std::filesystem::is_regular_file(path)) {
    ADD_FAILURE() << path << " is missing, but the folder is there: restore the file or correct the name";
    return std::nullopt;
  }
  return path.string();
}

// The file's bytes; those of a .zst file decompressed. Nothing where shared_file() gives nothing.
inline std::optional<std::string> shared_bytes(const std::string& name) {
  const auto path = shared_file(name);
  if (!path) return std::nullopt;
  if (!name.ends_with(".zst")) {
    std::ifstream file(*path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  std::FILE* const pipe = ::popen(("zstd -dcq '" + *path + "'").c_str(), "r");
  if (pipe == nullptr) {
    ADD_FAILURE() << "zstd cannot be started; install the package zstd";
    return std::nullopt;
  }
  std::string bytes;
  char piece[65536];
  for (std::size_t size; (size = std::fread(piece, 1, sizeof piece, pipe)) > 0;) bytes.append(piece, size);
  if (::pclose(pipe) != 0) {
    ADD_FAILURE() << "zstd -dc failed on " << *path;
    return std::nullopt;
  }
  return bytes;
}

// The regular files of a tar archive, in its order.
inline std::vector<std::pair<std::string, std::string>> tar_files(const std::string& tar) {
  constexpr std::size_t block = 512;
  std::vector<std::pair<std::string, std::string>> files;
  for (std::size_t at = 0; at + block <= tar.size() && tar[at] != '\0';) {
    const std::string name(tar.c_str() + at, ::strnlen(tar.c_str() + at, 100));
    const auto size = std::strtoul(tar.substr(at + 124, 12).c_str(), nullptr, 8);
    const char kind = tar[at + 156];
    at += block;
    if (kind == '0' || kind == '\0') files.emplace_back(name, tar.substr(at, size));
    at += (size + block - 1) / block * block;
  }
  return files;
}

// How many rounds a random test runs: `rounds`, times $VESTIGE_TEST_SCALE.
inline std::size_t scaled(std::size_t rounds) {
  const char* scale = std::getenv("VESTIGE_TEST_SCALE");
  const auto factor = scale == nullptr ? 1 : std::strtoul(scale, nullptr, 10);
  return rounds * (factor == 0 ? 1 : factor);
}

// Where random tests start: $VESTIGE_TEST_SEED, or the same for every run.
inline std::uint64_t seed() {
  const char* text = std::getenv("VESTIGE_TEST_SEED");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

}  // namespace vestige::testing
