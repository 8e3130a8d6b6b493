// Defends: an address has one form whichever way it was written, a range holds exactly the addresses that
// share its first bits, and what a client sends as its name can harm neither log nor record.
#include "access/client.h"

#include <gtest/gtest.h>

#include <random>

#include "access/limits.h"
#include "base/encoding.h"
#include "base/testing/shared_data.h"

namespace vestige::access {
namespace {

// The naive model: addresses and ranges as strings of '0' and '1', apart by family.
std::string bits_of(const Address& address) {
  std::string bits;
  for (std::size_t i = address.is_v4() ? 12 : 0; i < address.bytes.size(); ++i)
    for (int bit = 7; bit >= 0; --bit) bits.push_back((address.bytes[i] >> bit & 1) != 0 ? '1' : '0');
  return bits;
}

Address random_address(std::mt19937_64& random) {
  Address address;
  // Few different bytes, so that ranges are hit.
  for (auto& byte : address.bytes) byte = random() % 3 == 0 ? static_cast<std::uint8_t>(random() % 2) : 0xff;
  if (random() % 2 == 0) {
    std::fill_n(address.bytes.begin(), 10, std::uint8_t{0});
    address.bytes[10] = address.bytes[11] = 0xff;
  }
  return address;
}

Address masked(Address address, std::size_t bits) {
  const std::size_t first = address.is_v4() ? 96 : 0;
  for (std::size_t at = first + bits; at < 128; ++at)
    address.bytes[at / 8] &= static_cast<std::uint8_t>(~(0x80 >> at % 8));
  return address;
}

TEST(AddressRange, HoldsWhatSharesItsFirstBits) {
  std::mt19937_64 random(vestige::testing::seed());
  std::size_t inside = 0;
  for (std::size_t round = 0; round < vestige::testing::scaled(20'000); ++round) {
    const auto base = random_address(random);
    const auto length = random() % ((base.is_v4() ? 32 : 128) + 1);
    const auto first = masked(base, length);
    if (first.is_v4() != base.is_v4()) continue;  // ::ffff:0:0 itself, cut shorter
    const auto range = AddressRange::parse(format_address(first) + "/" + std::to_string(length));
    ASSERT_TRUE(range) << range.error().message;
    const auto address = random() % 4 == 0 ? base : random_address(random);
    const bool expected = address.is_v4() == first.is_v4() &&
                          bits_of(address).substr(0, length) == bits_of(first).substr(0, length);
    EXPECT_EQ(range->contains(address), expected) << range->text() << " " << format_address(address);
    inside += expected ? 1 : 0;
    EXPECT_EQ(*AddressRange::parse(range->text()), *range);
    EXPECT_EQ(parse_address(format_address(address)), address);
  }
  EXPECT_GT(inside, 1'000u);
}

TEST(AddressRange, MappedAddressesAreIpv4) {
  const auto plain = AddressRange::parse("10.0.0.0/8");
  ASSERT_TRUE(plain);
  EXPECT_EQ(*AddressRange::parse("::ffff:10.0.0.0/104"), *plain);
  EXPECT_TRUE(plain->contains(*parse_address("::ffff:10.1.2.3")));
  EXPECT_TRUE(plain->contains(*parse_address("10.1.2.3")));
  EXPECT_FALSE(AddressRange::parse("::/0")->contains(*parse_address("10.1.2.3")));
  EXPECT_FALSE(AddressRange::parse("0.0.0.0/0")->contains(*parse_address("2001:db8::1")));
  EXPECT_EQ(plain->text(), "10.0.0.0/8");
  EXPECT_EQ(AddressRange::parse("192.0.2.7")->text(), "192.0.2.7");
}

TEST(AddressRange, RefusesWhatIsNone) {
  for (const auto* text : {"", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/-1", "10.0.0.0/8 ",
                           " 10.0.0.0", "10.0.0/8", "010.0.0.1/8x", "::/129", "fe80::1%eth0/64", "10.0.0.1/8",
                           "2001:db8::1/32", "::ffff:0:0/95", "example.org", "\xff", "1.2.3.4/1.2.3.4"})
    EXPECT_FALSE(AddressRange::parse(text)) << text;
  EXPECT_NE(AddressRange::parse("10.1.2.3/8").error().message.find("10.0.0.0/8"), std::string::npos);
}

TEST(ClientAddress, OnlyTrustedProxiesAreBelieved) {
  const auto trusted = *parse_ranges("127.0.0.1, 10.0.0.0/8 ,2001:db8::/32");
  ASSERT_EQ(trusted.size(), 3U);
  const auto from = [&](std::string_view peer, std::string_view forwarded) {
    return client_address(peer, forwarded, trusted);
  };
  EXPECT_EQ(from("127.0.0.1", "203.0.113.9"), "203.0.113.9");
  EXPECT_EQ(from("127.0.0.1", "203.0.113.9, 10.1.2.3"), "203.0.113.9");
  EXPECT_EQ(from("127.0.0.1", " 203.0.113.9:4711 ,[2001:db8::1]:80"), "203.0.113.9");
  EXPECT_EQ(from("::ffff:127.0.0.1", "203.0.113.9"), "203.0.113.9");
  // What the client wrote itself stands to the left of what the proxy saw.
  EXPECT_EQ(from("127.0.0.1", "192.0.2.1, 203.0.113.9"), "203.0.113.9");
  EXPECT_EQ(from("127.0.0.1", "10.9.9.9, 203.0.113.9, 10.1.2.3"), "203.0.113.9");
  // Nobody who is not trusted is believed, and what is no address is nobody's.
  EXPECT_EQ(from("203.0.113.9", "192.0.2.1"), "203.0.113.9");
  EXPECT_EQ(from("127.0.0.1", ""), "127.0.0.1");
  for (const auto* none : {"unknown", ",", " ", "203.0.113.9,", "203.0.113.9, unknown", "a:b", "[", "[]", ":",
                           "\xff", "1.2.3.4.5"})
    EXPECT_EQ(from("127.0.0.1", none), "127.0.0.1") << none;
  EXPECT_EQ(from("127.0.0.1", "unknown, 10.1.2.3"), "10.1.2.3");
  EXPECT_EQ(client_address("127.0.0.1", "203.0.113.9", {}), "127.0.0.1");
  EXPECT_TRUE(parse_ranges(" ")->empty());
  for (const auto* bad : {"10.0.0.1/8", "127.0.0.1,", ",127.0.0.1", "localhost", "127.0.0.1;::1"})
    EXPECT_FALSE(parse_ranges(bad)) << bad;
}

TEST(Client, NetworksAndHostileText) {
  EXPECT_EQ(parse_address("2001:db8:1:2:3:4:5:6")->network(), parse_address("2001:db8:1:2::")->network());
  EXPECT_NE(parse_address("2001:db8:1:2::")->network(), parse_address("2001:db8:1:3::")->network());
  EXPECT_NE(parse_address("192.0.2.1")->network(), parse_address("192.0.2.2")->network());
  EXPECT_FALSE(Client::of("no address", "x").address);
  EXPECT_EQ(Client::of("", "bad \xff utf-8").user_agent, "");
  // A character that does not fit is cut whole.
  const std::string longer = std::string(limits::user_agent_bytes_max - 1, 'a') + "\xc3\xa9";
  EXPECT_EQ(Client::of("", longer).user_agent, std::string(limits::user_agent_bytes_max - 1, 'a'));
  EXPECT_TRUE(is_utf8(Client::of("", std::string(600, '\x80')).user_agent));
}

}  // namespace
}  // namespace vestige::access
