// Property: what a location database knows of an address is said, and nothing else ever is: an address that
// it does not have, a text that is no address, and a file that is no database give no place.
//
// The database is written here, byte by byte, after the MaxMind DB file format specification, version 2.0:
// one node of two 24-bit records, so that addresses below 128.0.0.0 have the one record and all others have
// none.

#include "audit/location.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace vestige::audit {
namespace {

std::string text(std::string_view value) {
  return std::string(1, static_cast<char>(2 << 5 | value.size())) + std::string(value);
}
std::string map(std::size_t pairs) { return std::string(1, static_cast<char>(7 << 5 | pairs)); }
std::string number16(unsigned value) {
  return {static_cast<char>(5 << 5 | 2), static_cast<char>(value >> 8), static_cast<char>(value)};
}
// Types past 7 stand in a byte of their own, less 7.
std::string list(std::size_t elements) { return {static_cast<char>(elements), '\4'}; }
std::string number64(unsigned value) {
  return {'\4',
          '\2',
          static_cast<char>(value >> 24),
          static_cast<char>(value >> 16),
          static_cast<char>(value >> 8),
          static_cast<char>(value)};
}
std::string number32(unsigned value) {
  return std::string(1, static_cast<char>(6 << 5 | 1)) + static_cast<char>(value);
}

std::string make_database() {
  constexpr unsigned node_count = 1;
  constexpr unsigned data_separator = 16;
  const auto record = [](unsigned value) {
    return std::string{static_cast<char>(value >> 16), static_cast<char>(value >> 8),
                       static_cast<char>(value)};
  };
  // A record above the node count points into the data section; one equal to it says "not found".
  std::string out = record(node_count + data_separator) + record(node_count);
  out += std::string(data_separator, '\0');
  out += map(2) + text("city") + map(1) + text("names") + map(1) + text("en") + text("Cape Town");
  out += text("country") + map(1) + text("iso_code") + text("ZA");
  out += "\xab\xcd\xefMaxMind.com";
  out += map(9) + text("node_count") + number32(node_count) + text("record_size") + number16(24) +
         text("ip_version") + number16(4) + text("database_type") + text("Test") +
         text("binary_format_major_version") + number16(2) + text("binary_format_minor_version") +
         number16(0) + text("build_epoch") + number64(1'700'000'000) + text("languages") + list(1) +
         text("en") + text("description") + map(1) + text("en") + text("Test");
  return out;
}

class LocationTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "/location-test.mmdb";
    std::ofstream(path_, std::ios::binary) << make_database();
  }
  void TearDown() override { std::filesystem::remove(path_); }
  std::string path_;
};

TEST_F(LocationTest, SaysWhatTheDatabaseHas) {
  const auto database = LocationDatabase::open(path_);
  ASSERT_TRUE(database.has_value()) << database.error().message;
  EXPECT_EQ((*database)->locate("10.1.2.3"), R"({"city":"Cape Town","country":"ZA"})");
}

TEST_F(LocationTest, NeverGuesses) {
  const auto database = LocationDatabase::open(path_);
  ASSERT_TRUE(database.has_value()) << database.error().message;
  for (const auto* address : {"200.1.2.3", "", "not an address", "10.1.2", "10.1.2.3.4", "10", "0x0a.1.2.3",
                              "167837955", "::1", "localhost"})
    EXPECT_EQ((*database)->locate(address), std::nullopt) << address;
  EXPECT_EQ((*database)->locate(std::string(1'000, '1')), std::nullopt);
}

TEST_F(LocationTest, RefusesWhatIsNoDatabase) {
  std::ofstream(path_, std::ios::binary | std::ios::trunc) << "not a database";
  const auto database = LocationDatabase::open(path_);
  ASSERT_FALSE(database.has_value());
  EXPECT_EQ(database.error().kind, ErrorKind::invalid);
  EXPECT_NE(database.error().message.find(path_), std::string::npos);
  EXPECT_FALSE(LocationDatabase::open("/nowhere/at/all.mmdb").has_value());
}

}  // namespace
}  // namespace vestige::audit
