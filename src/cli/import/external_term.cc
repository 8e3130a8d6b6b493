#include "cli/import/internal/external_term.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/check.h"
#include "base/encoding.h"

namespace vestige::cli::importing {
namespace {

constexpr std::uint8_t version = 131;

// The tags, by the names that Erlang's documentation gives them.
enum Tag : std::uint8_t {
  new_float_ext = 70,
  compressed = 80,
  small_integer_ext = 97,
  integer_ext = 98,
  float_ext = 99,
  atom_ext = 100,
  small_tuple_ext = 104,
  large_tuple_ext = 105,
  nil_ext = 106,
  string_ext = 107,
  list_ext = 108,
  binary_ext = 109,
  small_big_ext = 110,
  large_big_ext = 111,
  small_atom_ext = 115,
  map_ext = 116,
  atom_utf8_ext = 118,
  small_atom_utf8_ext = 119,
};
constexpr std::size_t float_text_bytes = 31;

std::string utf8_of_latin1(ByteView bytes) {
  std::string text;
  for (const auto byte : bytes) {
    if (byte < 0x80) {
      text.push_back(static_cast<char>(byte));
    } else {
      text.push_back(static_cast<char>(0xC0 | (byte >> 6)));
      text.push_back(static_cast<char>(0x80 | (byte & 0x3F)));
    }
  }
  return text;
}

// Decimal digits of a number of little-endian bytes.
std::string digits_of(ByteView magnitude) {
  constexpr std::uint32_t billion = 1'000'000'000;
  std::vector<std::uint32_t> parts;  // of nine digits each, the lowest first
  for (auto byte = magnitude.rbegin(); byte != magnitude.rend(); ++byte) {
    std::uint64_t carry = *byte;
    for (auto& part : parts) {
      carry += static_cast<std::uint64_t>(part) << 8;
      part = static_cast<std::uint32_t>(carry % billion);
      carry /= billion;
    }
    if (carry > 0) parts.push_back(static_cast<std::uint32_t>(carry));
  }
  if (parts.empty()) return "0";
  auto digits = fmt::format("{}", parts.back());
  for (auto part = parts.rbegin() + 1; part != parts.rend(); ++part) digits += fmt::format("{:09}", *part);
  return digits;
}

std::unexpected<Error> too_large(std::string_view what, std::string_view limit, std::uint64_t most) {
  auto error = fail(ErrorKind::exhausted, fmt::format("the term has {} than {}", what, most));
  error.error().limit = fmt::format("{}={}", limit, most);
  return error;
}

class Decoder {
 public:
  explicit Decoder(ByteView in) : in_(in) {}

  Result<Term> whole() {
    VESTIGE_TRY(auto term, next(0));
    if (at_ != in_.size()) return refuse("there is something behind the term");
    return term;
  }

 private:
  std::unexpected<Error> refuse(std::string_view what) const {
    return fail(ErrorKind::invalid, fmt::format("{} (byte {} of {})", what, at_, in_.size()));
  }
  std::unexpected<Error> cut_off() const { return refuse("it ends in the middle of the term"); }

  Result<ByteView> take(std::uint64_t count) {
    if (count > in_.size() - at_) return cut_off();
    const auto piece = in_.subspan(at_, static_cast<std::size_t>(count));
    at_ += piece.size();
    return piece;
  }
  // Big-endian.
  Result<std::uint64_t> number(std::size_t width) {
    VESTIGE_TRY(const auto bytes, take(width));
    std::uint64_t value = 0;
    for (const auto byte : bytes) value = value << 8 | byte;
    return value;
  }

  Result<Term> next(std::uint32_t depth) {
    if (depth > term_depth_max) return too_large("more levels", "term_depth_max", term_depth_max);
    if (++elements_ > term_elements_max)
      return too_large("more elements", "term_elements_max", term_elements_max);
    VESTIGE_TRY(const auto tag, number(1));
    switch (tag) {
      case small_integer_ext:
        return integer(1);
      case integer_ext:
        return integer(4);
      case small_big_ext:
        return big_integer(1);
      case large_big_ext:
        return big_integer(4);
      case new_float_ext:
        return binary_float();
      case float_ext:
        return text_float();
      case atom_ext:
        return atom(2, false);
      case small_atom_ext:
        return atom(1, false);
      case atom_utf8_ext:
        return atom(2, true);
      case small_atom_utf8_ext:
        return atom(1, true);
      case binary_ext:
        return binary();
      case string_ext:
        return bytes_as_list();
      case nil_ext:
        return Term{.kind = Term::Kind::list};
      case list_ext:
        return list(depth);
      case small_tuple_ext:
        return tuple(1, depth);
      case large_tuple_ext:
        return tuple(4, depth);
      case map_ext:
        return map(depth);
      default:
        --at_;
        return refuse(fmt::format("there is a term of type {}, which is no data", tag));
    }
  }

  Result<Term> integer(std::size_t width) {
    VESTIGE_TRY(const auto value, number(width));
    const auto text = width == 1
                          ? fmt::format("{}", value)
                          : fmt::format("{}", static_cast<std::int32_t>(static_cast<std::uint32_t>(value)));
    return Term{.kind = Term::Kind::integer, .text = text};
  }
  Result<Term> big_integer(std::size_t width) {
    VESTIGE_TRY(const auto size, number(width));
    VESTIGE_TRY(const auto sign, number(1));
    if (size > term_integer_bytes_max)
      return too_large("a longer integer", "term_integer_bytes_max", term_integer_bytes_max);
    VESTIGE_TRY(const auto magnitude, take(size));
    if (sign > 1) return refuse("the sign of an integer is neither 0 nor 1");
    auto digits = digits_of(magnitude);
    return Term{.kind = Term::Kind::integer, .text = sign == 1 && digits != "0" ? "-" + digits : digits};
  }
  Result<Term> real(double value) {
    if (!std::isfinite(value)) return refuse("a float is no number");
    return Term{.kind = Term::Kind::real, .real = value};
  }
  Result<Term> binary_float() {
    VESTIGE_TRY(const auto bits, number(8));
    return real(std::bit_cast<double>(bits));
  }
  // As OTP wrote floats until 2011: digits, and zero bytes behind them.
  Result<Term> text_float() {
    VESTIGE_TRY(const auto bytes, take(float_text_bytes));
    const auto digits = text(bytes).substr(0, text(bytes).find('\0'));
    double value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size()) return refuse("a float is no number");
    return real(value);
  }
  Result<Term> atom(std::size_t width, bool is_utf8_already) {
    VESTIGE_TRY(const auto size, number(width));
    VESTIGE_TRY(const auto bytes, take(size));
    if (is_utf8_already && !is_utf8(text(bytes))) return refuse("an atom is not UTF-8");
    return Term{.kind = Term::Kind::atom,
                .text = is_utf8_already ? std::string(text(bytes)) : utf8_of_latin1(bytes)};
  }
  Result<Term> binary() {
    VESTIGE_TRY(const auto size, number(4));
    VESTIGE_TRY(const auto bytes, take(size));
    return Term{.kind = Term::Kind::binary, .text = std::string(text(bytes))};
  }

  // A list of integers below 256, written as their bytes.
  Result<Term> bytes_as_list() {
    VESTIGE_TRY(const auto size, number(2));
    VESTIGE_TRY(const auto bytes, take(size));
    elements_ += bytes.size();
    if (elements_ > term_elements_max)
      return too_large("more elements", "term_elements_max", term_elements_max);
    Term list{.kind = Term::Kind::list};
    for (const auto byte : bytes)
      list.items.push_back({.kind = Term::Kind::integer, .text = fmt::format("{}", byte)});
    return list;
  }
  Status items(std::uint64_t count, std::uint32_t depth, std::vector<Term>& into) {
    // Each takes a byte at least, so what is only announced costs no memory.
    if (count > in_.size() - at_) return cut_off();
    for (std::uint64_t i = 0; i < count; ++i) {
      VESTIGE_TRY(auto item, next(depth + 1));
      into.push_back(std::move(item));
    }
    return {};
  }
  Result<Term> list(std::uint32_t depth) {
    VESTIGE_TRY(const auto count, number(4));
    Term list{.kind = Term::Kind::list};
    VESTIGE_CHECKED(items(count, depth, list.items));
    VESTIGE_TRY(const auto tail, number(1));
    if (tail != nil_ext) return refuse("a list does not end as a list");
    return list;
  }
  Result<Term> tuple(std::size_t width, std::uint32_t depth) {
    VESTIGE_TRY(const auto count, number(width));
    Term tuple{.kind = Term::Kind::tuple};
    VESTIGE_CHECKED(items(count, depth, tuple.items));
    return tuple;
  }
  Result<Term> map(std::uint32_t depth) {
    VESTIGE_TRY(const auto count, number(4));
    Term map{.kind = Term::Kind::map};
    VESTIGE_CHECKED(items(2 * count, depth, map.items));
    return map;
  }

  ByteView in_;
  std::size_t at_ = 0;
  std::size_t elements_ = 0;
};

// Behind the tag: the size of what was compressed, and a zlib stream of it.
Result<Bytes> inflated(ByteView in) {
  constexpr std::size_t size_bytes = 4;
  if (in.size() < size_bytes) return fail(ErrorKind::invalid, "it ends in the middle of the term");
  std::size_t size = 0;
  for (const auto byte : in.first(size_bytes)) size = size << 8 | byte;
  if (size > term_bytes_max) return too_large("more bytes", "term_bytes_max", term_bytes_max);
  const auto stream = in.subspan(size_bytes);
  Bytes out(size);
  uLongf got = size;
  uLong used = stream.size();
  const auto status = ::uncompress2(out.data(), &got, stream.data(), &used);
  if (status != Z_OK || got != size || used != stream.size())
    return fail(ErrorKind::invalid, "what is compressed in it is damaged");
  return out;
}

}  // namespace

const Term* Term::find(std::string_view atom) const {
  if (kind != Kind::map) return nullptr;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2)
    if (items[i].is_atom(atom)) return &items[i + 1];
  return nullptr;
}

Result<Term> decode_term(ByteView bytes) {
  if (bytes.size() > term_bytes_max) return too_large("more bytes", "term_bytes_max", term_bytes_max);
  if (bytes.empty() || bytes[0] != version)
    return fail(ErrorKind::invalid,
                fmt::format("it does not begin with the byte {}, as a term of Erlang does", version));
  const auto term = bytes.subspan(1);
  if (term.empty() || term[0] != compressed) return Decoder(term).whole();
  VESTIGE_TRY(const auto plain, inflated(term.subspan(1)));
  return Decoder(plain).whole();
}

}  // namespace vestige::cli::importing
