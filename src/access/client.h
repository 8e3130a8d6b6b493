// Where a request comes from, cleaned of what a client can write there, and ranges of addresses.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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

// "127.0.0.1, 10.0.0.0/8": ranges between commas, none in an empty text. invalid as AddressRange::parse()
// says.
Result<std::vector<AddressRange>> parse_ranges(std::string_view list);

// From where a request comes that may have passed proxies: `peer` is who connected, `forwarded` what the
// header X-Forwarded-For said, of several such headers all of it in order. Each proxy adds on the right whom
// it saw, so what a trusted one added counts, and nothing to the left of what somebody else did. An address
// may have a port (docs/decisions/0109-trusted-proxies.md).
std::string client_address(std::string_view peer, std::string_view forwarded,
                           std::span<const AddressRange> trusted);

// Who is at the other end, for the record and for throttling.
struct Client {
  std::optional<Address> address{};
  std::string user_agent{};  // valid UTF-8, at most limits::user_agent_bytes_max

  // Takes what the edge has: text of any kind. What is no address or no UTF-8 is left out.
  static Client of(std::string_view address, std::string_view user_agent);
};

}  // namespace vestige::access
