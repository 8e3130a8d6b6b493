// Taking gzip and zstd off a stream. Both decoders hold bounded memory whatever the input says: gzip by its
// format, zstd by the window limit below.

#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "cli/import/internal/input.h"

namespace vestige::cli::importing {
namespace {

constexpr std::size_t chunk_bytes = 128 << 10;
constexpr int zstd_window_log_max = 27;  // 128 MiB, what `zstd` itself accepts without being asked
constexpr std::size_t magic_bytes = 4;

// The compressed bytes, a chunk at a time.
class Chunks {
 public:
  Chunks(platform::ByteStream& stream, std::string name)
      : stream_(stream), name_(std::move(name)), buffer_(chunk_bytes) {}

  // At least `count` bytes where the stream has them; fewer only at its end.
  Result<ByteView> peek(std::size_t count) {
    CHECK(count <= buffer_.size());
    while (end_ - start_ < count && !ended_) {
      std::copy(buffer_.begin() + at(start_), buffer_.begin() + at(end_), buffer_.begin());
      end_ -= std::exchange(start_, 0);
      VESTIGE_TRY(const auto got, stream_.read(std::span(buffer_).subspan(end_)));
      ended_ = got == 0;
      end_ += got;
    }
    return ByteView(buffer_).subspan(start_, end_ - start_);
  }
  void consume(std::size_t count) {
    CHECK(count <= end_ - start_);
    start_ += count;
    consumed_ += count;
  }
  const std::string& name() const { return name_; }

  std::unexpected<Error> damaged(std::string_view format, std::string_view why) const {
    return fail(ErrorKind::invalid,
                fmt::format("{} holds damaged {} data near byte {}: {}. Get a good copy of the file", name_,
                            format, consumed_, why));
  }
  std::unexpected<Error> cut_off(std::string_view format) const {
    return fail(ErrorKind::invalid,
                fmt::format("{} is truncated: its {} data ends in the middle, after {} bytes. Get the "
                            "whole file",
                            name_, format, consumed_));
  }

 private:
  static std::ptrdiff_t at(std::size_t offset) { return static_cast<std::ptrdiff_t>(offset); }
  platform::ByteStream& stream_;
  std::string name_;
  Bytes buffer_;
  std::size_t start_ = 0;
  std::size_t end_ = 0;
  bool ended_ = false;
  std::uint64_t consumed_ = 0;
};

class PlainStream final : public platform::ByteStream {
 public:
  explicit PlainStream(std::unique_ptr<Chunks> chunks) : chunks_(std::move(chunks)) {}
  Result<std::size_t> read(std::span<std::uint8_t> out) override {
    VESTIGE_TRY(const auto input, chunks_->peek(1));
    const auto count = std::min(out.size(), input.size());
    std::copy_n(input.begin(), count, out.begin());
    chunks_->consume(count);
    return count;
  }

 private:
  std::unique_ptr<Chunks> chunks_;
};

class GzipStream final : public platform::ByteStream {
 public:
  explicit GzipStream(std::unique_ptr<Chunks> chunks) : chunks_(std::move(chunks)) {
    constexpr int gzip_only = 16;
    CHECK(::inflateInit2(&state_, MAX_WBITS + gzip_only) == Z_OK);
  }
  ~GzipStream() override { ::inflateEnd(&state_); }
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;

  Result<std::size_t> read(std::span<std::uint8_t> out) override {
    for (;;) {
      if (between_members_) {
        VESTIGE_TRY(const bool more, start_member());
        if (!more) return 0;
      }
      VESTIGE_TRY(const auto input, chunks_->peek(1));
      if (input.empty()) return chunks_->cut_off("gzip");
      VESTIGE_TRY(const auto got, inflate_some(input, out));
      if (got > 0) return got;
    }
  }

 private:
  // Zeros may follow the last member (tapes pad so); anything else must be another member.
  Result<bool> start_member() {
    for (;;) {
      VESTIGE_TRY(const auto input, chunks_->peek(1));
      if (input.empty()) return false;
      if (input[0] != 0) break;
      chunks_->consume(1);
    }
    if (::inflateReset(&state_) != Z_OK) return chunks_->damaged("gzip", "the decoder cannot start again");
    between_members_ = false;
    return true;
  }
  Result<std::size_t> inflate_some(ByteView input, std::span<std::uint8_t> out) {
    state_.next_in = const_cast<Bytef*>(input.data());  // zlib does not write to it
    state_.avail_in = static_cast<uInt>(input.size());
    state_.next_out = out.data();
    state_.avail_out = static_cast<uInt>(std::min<std::size_t>(out.size(), chunk_bytes));
    const auto room = state_.avail_out;
    const int code = ::inflate(&state_, Z_NO_FLUSH);
    chunks_->consume(input.size() - state_.avail_in);
    if (code == Z_STREAM_END)
      between_members_ = true;
    else if (code != Z_OK && code != Z_BUF_ERROR)
      return chunks_->damaged("gzip", state_.msg == nullptr ? "it does not decode" : state_.msg);
    return room - state_.avail_out;
  }

  std::unique_ptr<Chunks> chunks_;
  z_stream state_{};
  bool between_members_ = false;
};

class ZstdStream final : public platform::ByteStream {
 public:
  explicit ZstdStream(std::unique_ptr<Chunks> chunks)
      : chunks_(std::move(chunks)), context_(::ZSTD_createDCtx()) {
    CHECK(context_ != nullptr);
    CHECK(!::ZSTD_isError(::ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, zstd_window_log_max)));
  }
  ~ZstdStream() override { ::ZSTD_freeDCtx(context_); }
  ZstdStream(const ZstdStream&) = delete;
  ZstdStream& operator=(const ZstdStream&) = delete;

  Result<std::size_t> read(std::span<std::uint8_t> out) override {
    for (;;) {
      VESTIGE_TRY(const auto stored, chunks_->peek(1));
      if (stored.empty() && between_frames_) return 0;
      ZSTD_inBuffer input{stored.data(), stored.size(), 0};
      ZSTD_outBuffer output{out.data(), out.size(), 0};
      const auto left = ::ZSTD_decompressStream(context_, &output, &input);
      if (::ZSTD_isError(left)) return chunks_->damaged("zstd", ::ZSTD_getErrorName(left));
      chunks_->consume(input.pos);
      between_frames_ = left == 0;
      if (output.pos > 0) return output.pos;
      if (stored.empty() && !between_frames_) return chunks_->cut_off("zstd");
    }
  }

 private:
  std::unique_ptr<Chunks> chunks_;
  ZSTD_DCtx* context_;
  bool between_frames_ = true;
};

bool is_gzip(ByteView start) { return start.size() >= 2 && start[0] == 0x1f && start[1] == 0x8b; }
bool is_zstd(ByteView start) {
  if (start.size() < magic_bytes) return false;
  const auto magic = load_le<std::uint32_t>(start.data());
  return magic == ZSTD_MAGICNUMBER || (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

}  // namespace

Result<std::unique_ptr<platform::ByteStream>> decompressed(platform::ByteStream& source,
                                                           const std::string& name) {
  auto chunks = std::make_unique<Chunks>(source, name);
  VESTIGE_TRY(const auto start, chunks->peek(magic_bytes));
  if (is_gzip(start)) return std::make_unique<GzipStream>(std::move(chunks));
  if (is_zstd(start)) return std::make_unique<ZstdStream>(std::move(chunks));
  return std::make_unique<PlainStream>(std::move(chunks));
}

}  // namespace vestige::cli::importing
