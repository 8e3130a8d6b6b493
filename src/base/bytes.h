// Bytes, and reading and writing them with a fixed layout: little-endian integers, LEB128 varints,
// length-prefixed strings. The reader never reads past its end: it fails and stays failed.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vestige {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using Hash = std::array<std::uint8_t, 32>;     // SHA-256
using Block16 = std::array<std::uint8_t, 16>;  // ids, salts, seeds, references
using Key = std::array<std::uint8_t, 32>;      // AES-256, HMAC-SHA-256

inline ByteView view(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

static_assert(
    std::endian::native == std::endian::little,
    "formats are little-endian and are written by copying; a big-endian port needs byte swaps here");

template <typename Integer>
Integer load_le(const std::uint8_t* from) {
  Integer value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <typename Integer>
void store_le(std::uint8_t* to, Integer value) {
  std::memcpy(to, &value, sizeof value);
}

inline std::uint64_t zigzag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
inline std::int64_t unzigzag(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

// Appends to a buffer that the caller owns.
class ByteWriter {
 public:
  explicit ByteWriter(Bytes& out) : out_(out) {}

  void u8(std::uint8_t value) { out_.push_back(value); }
  void u16(std::uint16_t value) { integer(value); }
  void u32(std::uint32_t value) { integer(value); }
  void u64(std::uint64_t value) { integer(value); }
  void varint(std::uint64_t value) {
    while (value >= 0x80) {
      out_.push_back(static_cast<std::uint8_t>(value | 0x80));
      value >>= 7;
    }
    out_.push_back(static_cast<std::uint8_t>(value));
  }
  void bytes(ByteView value) { out_.insert(out_.end(), value.begin(), value.end()); }
  void sized(ByteView value) {
    varint(value.size());
    bytes(value);
  }
  void sized(std::string_view value) { sized(view(value)); }
  void zeros(std::size_t count) { out_.resize(out_.size() + count); }
  std::size_t size() const { return out_.size(); }

 private:
  template <typename Integer>
  void integer(Integer value) {
    std::uint8_t raw[sizeof value];
    store_le(raw, value);
    out_.insert(out_.end(), raw, raw + sizeof value);
  }

  Bytes& out_;
};

// Reads from bytes that outlive it. After the first failure every read gives zero or empty and ok() is
// false, so a parser may read a whole structure and check once.
class ByteReader {
 public:
  explicit ByteReader(ByteView in) : in_(in) {}

  std::uint8_t u8() { return integer<std::uint8_t>(); }
  std::uint16_t u16() { return integer<std::uint16_t>(); }
  std::uint32_t u32() { return integer<std::uint32_t>(); }
  std::uint64_t u64() { return integer<std::uint64_t>(); }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ >= in_.size()) return failed();
      const std::uint8_t byte = in_[at_++];
      if (shift == 63 && byte > 1) return failed();
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) {
        // The shortest form only, so that every value has one spelling.
        if (byte == 0 && shift != 0) return failed();
        return value;
      }
    }
    return failed();
  }
  ByteView bytes(std::uint64_t count) {
    if (!ok_ || count > in_.size() - at_) {
      failed();
      return {};
    }
    const auto piece = in_.subspan(at_, static_cast<std::size_t>(count));
    at_ += static_cast<std::size_t>(count);
    return piece;
  }
  ByteView sized() { return bytes(varint()); }
  std::string_view sized_text() { return text(sized()); }
  template <std::size_t N>
  std::array<std::uint8_t, N> array() {
    std::array<std::uint8_t, N> value{};
    const auto piece = bytes(N);
    if (piece.size() == N) std::memcpy(value.data(), piece.data(), N);
    return value;
  }
  // True when `count` zero bytes follow; reserved bytes are verified, not skipped.
  bool zeros(std::size_t count) {
    bool all_zero = true;
    for (const auto byte : bytes(count)) all_zero = all_zero && byte == 0;
    if (!all_zero) failed();
    return ok_;
  }

  bool ok() const { return ok_; }
  bool at_end() const { return ok_ && at_ == in_.size(); }
  std::size_t offset() const { return at_; }
  std::size_t left() const { return ok_ ? in_.size() - at_ : 0; }

 private:
  std::uint8_t failed() {
    ok_ = false;
    at_ = in_.size();
    return 0;
  }
  template <typename Integer>
  Integer integer() {
    if (!ok_ || sizeof(Integer) > in_.size() - at_) return failed();
    const auto value = load_le<Integer>(in_.data() + at_);
    at_ += sizeof(Integer);
    return value;
  }

  ByteView in_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace vestige
