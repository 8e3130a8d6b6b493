// Where a request comes from, cleaned of what a client can write there, and ranges of addresses.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace vestige::access {

// An IPv4 or IPv6 address. IPv4 is kept as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2), so that an address has one
// form whichever way the socket gave it.
struct Address {
  Block16 bytes{};
  bool is_v4() const;
  // What belongs to one customer of a network: the address itself for IPv4, the first 64 bits for IPv6.
  Address network() const;
  auto operator<=>(const Address&) const = default;
};
// nullopt where the text is none; a zone ("%eth0") makes it none.
std::optional<Address> parse_address(std::string_view text);
std::string format_address(const Address& address);

// "10.0.0.0/8", "2001:db8::/32"; an address alone is a range of one. A range of IPv6 holds no IPv4 address.
class AddressRange {
 public:
  // invalid, with what is wrong, where the text is none or has bits set past its length.
  static Result<AddressRange> parse(std::string_view text);
  bool contains(const Address& address) const;
  std::string text() const;  // the form that parse() takes, shortest
  bool operator==(const AddressRange&) const = default;

 private:
  Address first_{};
  unsigned bits_ = 128;  // of the mapped form
};

// Who is at the other end, for the record and for throttling.
struct Client {
  std::optional<Address> address{};
  std::string user_agent{};  // valid UTF-8, at most limits::user_agent_bytes_max

  // Takes what the edge has: text of any kind. What is no address or no UTF-8 is left out.
  static Client of(std::string_view address, std::string_view user_agent);
};

}  // namespace vestige::access
