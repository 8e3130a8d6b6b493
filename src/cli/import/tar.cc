#include "cli/import/internal/tar.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace vestige::cli::importing {
namespace {

constexpr std::size_t block_bytes = 512;
constexpr std::uint64_t extended_bytes_max = 1 << 20;  // of a pax header or a long name
constexpr std::size_t checksum_at = 148, checksum_bytes = 8;

using Block = std::array<std::uint8_t, block_bytes>;

std::string_view field(const Block& block, std::size_t at, std::size_t size) {
  const std::string_view whole(reinterpret_cast<const char*>(block.data()) + at, size);
  return whole.substr(0, whole.find('\0'));
}

// Octal digits, or a big-endian number where the first bit is set.
std::optional<std::uint64_t> number(const Block& block, std::size_t at, std::size_t size) {
  if ((block[at] & 0x80) != 0) {
    std::uint64_t value = block[at] & 0x7f;
    for (std::size_t i = 1; i < size; ++i) {
      if (value >> 55 != 0) return std::nullopt;
      value = value << 8 | block[at + i];
    }
    return value;
  }
  auto text = field(block, at, size);
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (!text.empty() && (error != std::errc{} || end != text.data() + text.size())) return std::nullopt;
  return value;
}

bool has_good_checksum(const Block& block) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < block_bytes; ++i)
    sum += i >= checksum_at && i < checksum_at + checksum_bytes ? std::uint64_t{' '} : block[i];
  return number(block, checksum_at, checksum_bytes) == sum;
}

bool is_empty(const Block& block) {
  return std::ranges::all_of(block, [](auto byte) { return byte == 0; });
}

std::string name_in(const Block& block) {
  const auto name = field(block, 0, 100);
  const auto prefix = field(block, 345, 155);
  return field(block, 257, 5) == "ustar" && !prefix.empty() && field(block, 257, 8) != "ustar  "
             ? fmt::format("{}/{}", prefix, name)
             : std::string(name);
}

// What a pax header may say of the next member: "<length> <key>=<value>\n", one after the other.
struct Extended {
  std::optional<std::string> name;
  std::optional<std::uint64_t> size;
};

bool read_pax(std::string_view text, Extended& into) {
  while (!text.empty()) {
    std::size_t length = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
    const auto digits = static_cast<std::size_t>(end - text.data());
    if (error != std::errc{} || length <= digits + 1 || length > text.size() || *end != ' ' ||
        text[length - 1] != '\n')
      return false;
    const auto record = text.substr(digits + 1, length - digits - 2);
    const auto equals = record.find('=');
    if (equals == std::string_view::npos) return false;
    const auto value = record.substr(equals + 1);
    if (record.substr(0, equals) == "path") into.name = std::string(value);
    if (record.substr(0, equals) == "size") {
      std::uint64_t size = 0;
      const auto parsed = std::from_chars(value.data(), value.data() + value.size(), size);
      if (parsed.ec != std::errc{} || parsed.ptr != value.data() + value.size()) return false;
      into.size = size;
    }
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace

// Shared with the content of the member that is being read.
struct TarReader::State {
  platform::ByteStream& stream;
  std::string name;
  std::uint64_t content_left = 0;
  std::uint64_t padding_left = 0;
  std::uint64_t member = 0;
  std::uint64_t skipped = 0;
  std::uint64_t offset = 0;

  std::unexpected<Error> truncated() const {
    return fail(ErrorKind::invalid,
                fmt::format("{} is truncated: the tar archive ends in the middle, after {} bytes. Get the "
                            "whole file",
                            name, offset));
  }
  std::unexpected<Error> damaged(std::string_view what) const {
    return fail(ErrorKind::invalid, fmt::format("{} is a damaged tar archive: {} before byte {}. Get a good "
                                                "copy of the file",
                                                name, what, offset));
  }
  Result<std::size_t> read(std::span<std::uint8_t> out) {
    VESTIGE_TRY(const auto got, stream.read(out));
    offset += got;
    return got;
  }
  // False where the stream ends before the first byte.
  Result<bool> fill(std::span<std::uint8_t> out) {
    std::size_t filled = 0;
    while (filled < out.size()) {
      VESTIGE_TRY(const auto got, read(out.subspan(filled)));
      if (got == 0 && filled == 0) return false;
      if (got == 0) return truncated();
      filled += got;
    }
    return true;
  }
  Status skip_rest() {
    Block scratch;
    for (auto left = content_left + padding_left; left > 0;) {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left, scratch.size()));
      VESTIGE_TRY(const bool there, fill(std::span(scratch).first(count)));
      if (!there) return truncated();
      left -= count;
    }
    content_left = padding_left = 0;
    return {};
  }
  void begin(std::uint64_t size) {
    content_left = size;
    padding_left = (block_bytes - size % block_bytes) % block_bytes;
    ++member;
  }
  Result<std::string> read_extended(std::uint64_t size) {
    if (size > extended_bytes_max) return damaged("a header of more than a MiB");
    std::string text(static_cast<std::size_t>(size), '\0');
    if (!text.empty()) {
      VESTIGE_TRY(const bool there, fill({reinterpret_cast<std::uint8_t*>(text.data()), text.size()}));
      if (!there) return truncated();
    }
    begin(size);
    content_left = 0;
    VESTIGE_CHECKED(skip_rest());
    return text;
  }
};

namespace {

class MemberStream final : public platform::ByteStream {
 public:
  explicit MemberStream(std::shared_ptr<TarReader::State> state)
      : state_(std::move(state)), member_(state_->member) {}
  Result<std::size_t> read(std::span<std::uint8_t> out) override {
    if (state_->member != member_ || state_->content_left == 0) return 0;
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), state_->content_left));
    VESTIGE_TRY(const auto got, state_->read(out.first(count)));
    if (got == 0) return state_->truncated();
    state_->content_left -= got;
    return got;
  }

 private:
  std::shared_ptr<TarReader::State> state_;
  std::uint64_t member_;
};

}  // namespace

bool looks_like_tar(std::string_view start) {
  return start.size() >= block_bytes && start.substr(257, 5) == "ustar";
}

TarReader::TarReader(platform::ByteStream& stream, std::string name)
    : state_(std::make_shared<State>(State{.stream = stream, .name = std::move(name)})) {}
TarReader::~TarReader() = default;
std::uint64_t TarReader::skipped() const { return state_->skipped; }

Result<std::optional<TarMember>> TarReader::next() {
  VESTIGE_CHECKED(state_->skip_rest());
  Extended extended;
  for (;;) {
    Block block;
    VESTIGE_TRY(const bool there, state_->fill(block));
    // Without the empty blocks that end an archive it may lack members.
    if (!there) return state_->truncated();
    if (is_empty(block)) return std::nullopt;
    if (!has_good_checksum(block)) return state_->damaged("a header with a wrong checksum");
    const auto size = number(block, 124, 12);
    if (!size) return state_->damaged("a header without a size");
    const char type = static_cast<char>(block[156]);
    if (type == 'x' || type == 'g' || type == 'L' || type == 'K') {
      VESTIGE_TRY(const auto text, state_->read_extended(*size));
      if (type == 'L') extended.name = text.substr(0, text.find('\0'));
      if (type == 'x' && !read_pax(text, extended)) return state_->damaged("a malformed pax header");
      continue;
    }
    const auto content = extended.size.value_or(*size);
    if (content > UINT64_MAX - block_bytes) return state_->damaged("an impossible size");
    state_->begin(content);
    if (type == '0' || type == '\0' || type == '7')
      return TarMember{.name = extended.name.value_or(name_in(block)),
                       .content = std::make_unique<MemberStream>(state_)};
    if (type != '5') ++state_->skipped;
    VESTIGE_CHECKED(state_->skip_rest());
    extended = {};
  }
}

}  // namespace vestige::cli::importing
