// For the tests of crypto: published vectors as JSON.
#pragma once

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <random>

#include "base/encoding.h"
#include "base/testing/shared_data.h"

namespace vestige::crypto {

inline Bytes hex_in(const boost::json::value& test, const char* name) {
  const auto bytes = from_hex(std::string_view(test.at(name).as_string()));
  if (!bytes) ADD_FAILURE() << name << " is no hex: " << test;
  return bytes.value_or(Bytes{});
}

template <std::size_t N>
std::array<std::uint8_t, N> fixed(const Bytes& bytes) {
  std::array<std::uint8_t, N> out{};
  EXPECT_EQ(bytes.size(), N);
  std::memcpy(out.data(), bytes.data(), std::min(N, bytes.size()));
  return out;
}

// The vectors that are part of the repository; tests/vectors/crypto_vectors.py writes them.
inline boost::json::array own_vectors(const char* group) {
  std::ifstream file(std::string(VESTIGE_SOURCE_DIR) + "/tests/vectors/crypto.json");
  const std::string content(std::istreambuf_iterator<char>(file), {});
  return boost::json::parse(content).at(group).as_array();
}

// Runs `test(group, case)` for every case of a Wycheproof file and gives their number; 0 without the file.
template <typename Test>
std::size_t for_each_wycheproof(const std::string& name, Test test) {
  const auto content = testing::shared_bytes("vectors/wycheproof-" + name + ".json.zst");
  if (!content) return 0;
  std::size_t count = 0;
  const auto document = boost::json::parse(*content);
  for (const auto& group : document.at("testGroups").as_array()) {
    for (const auto& one : group.at("tests").as_array()) {
      SCOPED_TRACE(name + " tcId " + std::to_string(one.at("tcId").as_int64()));
      test(group, one);
      ++count;
    }
  }
  EXPECT_EQ(count, document.at("numberOfTests").to_number<std::size_t>());
  return count;
}

inline bool is_valid(const boost::json::value& test) { return test.at("result").as_string() == "valid"; }

inline Bytes random_bytes(std::mt19937_64& random, std::size_t size) {
  Bytes bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

}  // namespace vestige::crypto
