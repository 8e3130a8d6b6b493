// A text in memory as a stream, for readers that look at the beginning of a source.
#pragma once

#include <algorithm>
#include <span>
#include <string_view>

#include "platform/process.h"

namespace vestige::cli::importing {

// The text outlives the stream.
class TextStream final : public platform::ByteStream {
 public:
  explicit TextStream(std::string_view text) : text_(text) {}
  Result<std::size_t> read(std::span<std::uint8_t> out) override {
    const auto count = std::min(out.size(), text_.size());
    std::copy_n(text_.begin(), count, out.begin());
    text_.remove_prefix(count);
    return count;
  }

 private:
  std::string_view text_;
};

}  // namespace vestige::cli::importing
