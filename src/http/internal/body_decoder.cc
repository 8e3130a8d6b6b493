#include "http/internal/body_decoder.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "http/limits.h"

namespace vestige::http::internal {

// One compressed format. `step` decodes some of `in` (which it shortens) to `room` and says how much came.
struct BodyDecoder::Inflater {
  virtual ~Inflater() = default;
  // Nothing where the bytes are damaged.
  virtual std::optional<std::size_t> step(std::string_view& in, std::span<char> room) = 0;
  virtual bool at_frame_end() const = 0;
};

namespace {

class GzipInflater final : public BodyDecoder::Inflater {
 public:
  // 16: gzip framing only, so that a zlib or raw stream under the wrong name is refused.
  GzipInflater() { usable_ = inflateInit2(&stream_, 16 + MAX_WBITS) == Z_OK; }
  ~GzipInflater() override { inflateEnd(&stream_); }
  GzipInflater(const GzipInflater&) = delete;
  GzipInflater& operator=(const GzipInflater&) = delete;

  std::optional<std::size_t> step(std::string_view& in, std::span<char> room) override {
    if (!usable_) return std::nullopt;
    // A gzip body may be several members in a row (RFC 1952 §2.2).
    if (at_end_ && !in.empty()) {
      if (inflateReset(&stream_) != Z_OK) return std::nullopt;
      at_end_ = false;
    }
    // Its interface wants a mutable pointer and does not write through it.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(room.data());
    stream_.avail_out = static_cast<uInt>(room.size());
    const int code = inflate(&stream_, Z_NO_FLUSH);
    in.remove_prefix(in.size() - stream_.avail_in);
    at_end_ = code == Z_STREAM_END;
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) return std::nullopt;
    return room.size() - stream_.avail_out;
  }
  bool at_frame_end() const override { return at_end_; }

 private:
  z_stream stream_{};
  bool usable_ = false;
  bool at_end_ = false;
};

class ZstdInflater final : public BodyDecoder::Inflater {
 public:
  ZstdInflater() : stream_(ZSTD_createDStream()) {
    usable_ = stream_ != nullptr && !ZSTD_isError(ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax,
                                                                         limits::zstd_window_log_max));
  }
  ~ZstdInflater() override { ZSTD_freeDStream(stream_); }
  ZstdInflater(const ZstdInflater&) = delete;
  ZstdInflater& operator=(const ZstdInflater&) = delete;

  std::optional<std::size_t> step(std::string_view& in, std::span<char> room) override {
    if (!usable_) return std::nullopt;
    ZSTD_inBuffer input{in.data(), in.size(), 0};
    ZSTD_outBuffer output{room.data(), room.size(), 0};
    const auto hint = ZSTD_decompressStream(stream_, &output, &input);
    if (ZSTD_isError(hint)) return std::nullopt;
    in.remove_prefix(input.pos);
    // A call that moves nothing says nothing about the frame.
    if (input.pos != 0 || output.pos != 0) at_end_ = hint == 0;
    return output.pos;
  }
  bool at_frame_end() const override { return at_end_; }

 private:
  ZSTD_DStream* stream_;
  bool usable_ = false;
  bool at_end_ = false;
};

std::unique_ptr<BodyDecoder::Inflater> inflater_for(Encoding encoding) {
  switch (encoding) {
    case Encoding::identity:
      return nullptr;
    case Encoding::gzip:
      return std::make_unique<GzipInflater>();
    case Encoding::zstd:
      return std::make_unique<ZstdInflater>();
  }
  return nullptr;
}

}  // namespace

std::optional<Encoding> encoding_of(std::string_view value) {
  std::string lower;
  for (const char c : value)
    if (c != ' ' && c != '\t') lower.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  if (lower.empty() || lower == "identity") return Encoding::identity;
  if (lower == "gzip" || lower == "x-gzip") return Encoding::gzip;
  if (lower == "zstd") return Encoding::zstd;
  return std::nullopt;
}

BodyDecoder::BodyDecoder(Encoding encoding, std::size_t bytes_max)
    : inflater_(inflater_for(encoding)), bytes_max_(bytes_max) {}
BodyDecoder::~BodyDecoder() = default;
BodyDecoder::BodyDecoder(BodyDecoder&&) noexcept = default;
BodyDecoder& BodyDecoder::operator=(BodyDecoder&&) noexcept = default;

BodyDecoder::Outcome BodyDecoder::feed(std::string_view piece, std::string& out) {
  CHECK(out.size() <= bytes_max_);
  if (!inflater_) {
    if (piece.size() > bytes_max_ - out.size()) return Outcome::too_large;
    out.append(piece);
    return Outcome::good;
  }
  std::array<char, limits::inflate_step_bytes> room;
  for (;;) {
    const auto before = piece.size();
    const auto produced = inflater_->step(piece, room);
    if (!produced) return Outcome::damaged;
    if (*produced > bytes_max_ - out.size()) return Outcome::too_large;
    out.append(room.data(), *produced);
    // A full room may hide more output behind it, also when all input is taken.
    const bool stuck = *produced == 0 && piece.size() == before;
    if (stuck || (piece.empty() && *produced < room.size())) break;
  }
  return piece.empty() ? Outcome::good : Outcome::damaged;
}

bool BodyDecoder::may_end() const { return !inflater_ || inflater_->at_frame_end(); }

}  // namespace vestige::http::internal
