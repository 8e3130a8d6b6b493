// A stream whose beginning can be looked at before it is read.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "platform/process.h"

namespace vestige::cli::importing {

class PeekStream final : public platform::ByteStream {
 public:
  explicit PeekStream(std::unique_ptr<platform::ByteStream> stream) : stream_(std::move(stream)) {}

  // At least `count` bytes where the stream has them. Valid until the next call of anything.
  Result<std::string_view> peek(std::size_t count);
  Result<std::size_t> read(std::span<std::uint8_t> out) override;

 private:
  std::unique_ptr<platform::ByteStream> stream_;
  std::string ahead_;
  std::size_t start_ = 0;
  bool ended_ = false;
};

}  // namespace vestige::cli::importing
