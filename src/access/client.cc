#include "access/client.h"

#include <fmt/format.h>

#include <boost/asio/ip/address.hpp>
#include <charconv>

#include "access/limits.h"
#include "base/encoding.h"

namespace vestige::access {
namespace {

constexpr std::array<std::uint8_t, 12> v4_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr unsigned v4_prefix_bits = 96;
constexpr std::size_t address_text_max = 64;

Address masked(Address address, unsigned bits) {
  for (unsigned at = 0; at < address.bytes.size(); ++at) {
    const unsigned kept = bits <= at * 8 ? 0 : std::min(8U, bits - at * 8);
    address.bytes[at] &= static_cast<std::uint8_t>(0xff00U >> kept);
  }
  return address;
}

std::unexpected<Error> no_range(std::string_view text, std::string_view why) {
  return fail(ErrorKind::invalid, fmt::format("\"{}\" is no range of addresses: {}", text, why));
}

// A length as decimal digits without leading zeros.
std::optional<unsigned> parse_bits(std::string_view text) {
  unsigned bits = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits);
  if (error != std::errc() || end != text.data() + text.size() || text.size() > 3) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return bits;
}

}  // namespace

bool Address::is_v4() const { return std::equal(v4_prefix.begin(), v4_prefix.end(), bytes.begin()); }

Address Address::network() const { return is_v4() ? *this : masked(*this, 64); }

std::optional<Address> parse_address(std::string_view text) {
  if (text.size() > address_text_max || text.find('%') != std::string_view::npos) return std::nullopt;
  boost::system::error_code error;
  const auto parsed = boost::asio::ip::make_address(std::string(text), error);
  if (error) return std::nullopt;
  Address address;
  if (parsed.is_v6()) {
    const auto bytes = parsed.to_v6().to_bytes();
    std::copy(bytes.begin(), bytes.end(), address.bytes.begin());
  } else {
    const auto bytes = parsed.to_v4().to_bytes();
    std::copy(v4_prefix.begin(), v4_prefix.end(), address.bytes.begin());
    std::copy(bytes.begin(), bytes.end(), address.bytes.begin() + v4_prefix.size());
  }
  return address;
}

std::string format_address(const Address& address) {
  if (address.is_v4()) {
    const auto& b = address.bytes;
    return fmt::format("{}.{}.{}.{}", b[12], b[13], b[14], b[15]);
  }
  boost::asio::ip::address_v6::bytes_type bytes;
  std::copy(address.bytes.begin(), address.bytes.end(), bytes.begin());
  return boost::asio::ip::address_v6(bytes).to_string();
}

Result<AddressRange> AddressRange::parse(std::string_view text) {
  const auto shown = is_utf8(text) ? text.substr(0, address_text_max) : std::string_view("(not UTF-8)");
  const auto slash = text.find('/');
  const auto address = parse_address(text.substr(0, slash));
  if (!address) return no_range(shown, "it begins with no IPv4 or IPv6 address");
  AddressRange range;
  if (slash != std::string_view::npos) {
    const bool dotted = text.substr(0, slash).find(':') == std::string_view::npos;
    const auto bits = parse_bits(text.substr(slash + 1));
    if (!bits || *bits > (dotted ? 32 : 128))
      return no_range(shown, "its length has to be 0 to 32 for IPv4, 0 to 128 for IPv6");
    range.bits_ = *bits + (dotted ? v4_prefix_bits : 0);
    if (address->is_v4() && range.bits_ < v4_prefix_bits)
      return no_range(shown, "it begins inside of the IPv4-mapped addresses and is larger than these");
  }
  range.first_ = masked(*address, range.bits_);
  if (range.first_ != *address)
    return no_range(shown,
                    fmt::format("it has bits set past its length; {} is the range around it", range.text()));
  return range;
}

bool AddressRange::contains(const Address& address) const {
  return address.is_v4() == first_.is_v4() && masked(address, bits_) == first_;
}

std::string AddressRange::text() const {
  const bool v4 = first_.is_v4();
  if (bits_ == 128) return format_address(first_);
  return fmt::format("{}/{}", format_address(first_), bits_ - (v4 ? v4_prefix_bits : 0));
}

namespace {

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  return first == std::string_view::npos ? std::string_view()
                                         : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// "192.0.2.1:4711" and "[2001:db8::1]:4711" without what is not the address.
std::string_view without_port(std::string_view text) {
  if (text.starts_with('[')) return text.substr(1, text.find(']') - 1);
  const auto colon = text.find(':');
  return colon == text.rfind(':') ? text.substr(0, colon) : text;
}

}  // namespace

Result<std::vector<AddressRange>> parse_ranges(std::string_view list) {
  std::vector<AddressRange> ranges;
  if (trimmed(list).empty()) return ranges;
  for (std::size_t at = 0; at <= list.size();) {
    const auto end = std::min(list.find(',', at), list.size());
    VESTIGE_TRY(auto range, AddressRange::parse(trimmed(list.substr(at, end - at))));
    ranges.push_back(range);
    at = end + 1;
  }
  return ranges;
}

std::string client_address(std::string_view peer, std::string_view forwarded,
                           std::span<const AddressRange> trusted) {
  std::string_view from = peer;
  for (;;) {
    const auto address = parse_address(from);
    const bool vouched =
        address && std::ranges::any_of(trusted, [&](const auto& range) { return range.contains(*address); });
    if (!vouched || forwarded.empty()) return std::string(from);
    const auto comma = forwarded.rfind(',');
    const auto last = comma == std::string_view::npos ? forwarded : forwarded.substr(comma + 1);
    forwarded = comma == std::string_view::npos ? std::string_view() : forwarded.substr(0, comma);
    const auto next = without_port(trimmed(last));
    if (!parse_address(next)) return std::string(from);  // "unknown": nobody to go on to
    from = next;
  }
}

Client Client::of(std::string_view address, std::string_view user_agent) {
  Client client{.address = parse_address(address)};
  auto agent = user_agent.substr(0, limits::user_agent_bytes_max);
  // A character that the limit cuts in two goes whole.
  for (int cut = 0; cut < 3 && agent.size() < user_agent.size() && !is_utf8(agent); ++cut)
    agent.remove_suffix(1);
  if (is_utf8(agent)) client.user_agent = agent;
  return client;
}

}  // namespace vestige::access
