#include "cli/import/internal/peek.h"

#include <algorithm>

namespace vestige::cli::importing {
namespace {

constexpr std::size_t chunk_bytes = 128 << 10;

}  // namespace

Result<std::string_view> PeekStream::peek(std::size_t count) {
  while (ahead_.size() - start_ < count && !ended_) {
    const auto before = ahead_.size();
    ahead_.resize(before + chunk_bytes);
    auto got = stream_->read({reinterpret_cast<std::uint8_t*>(ahead_.data()) + before, chunk_bytes});
    ahead_.resize(before + got.value_or(0));
    if (!got) return std::unexpected(std::move(got).error());
    ended_ = *got == 0;
  }
  return std::string_view(ahead_).substr(start_);
}

Result<std::size_t> PeekStream::read(std::span<std::uint8_t> out) {
  if (start_ == ahead_.size()) {
    ahead_ = {};
    start_ = 0;
    return ended_ ? Result<std::size_t>(0) : stream_->read(out);
  }
  const auto count = std::min(out.size(), ahead_.size() - start_);
  std::copy_n(ahead_.begin() + static_cast<std::ptrdiff_t>(start_), count, out.begin());
  start_ += count;
  return count;
}

}  // namespace vestige::cli::importing
