#include <errno.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "platform/entropy.h"

namespace vestige::platform {
namespace {

void ask_kernel(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const auto got = ::getrandom(out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    CHECK(got > 0);
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

// Small requests come from a piece that this thread asked for at once: a system call for 16 bytes costs more
// than sealing them does. Bytes are handed out once and wiped as they go. The process never forks without
// exec, so no two processes share a piece.
class Piece {
 public:
  ~Piece() { std::ranges::fill(bytes_, std::uint8_t{0}); }
  void take(std::span<std::uint8_t> out) {
    if (left_ < out.size()) {
      ask_kernel(bytes_);
      left_ = bytes_.size();
    }
    auto* from = bytes_.data() + (bytes_.size() - left_);
    std::memcpy(out.data(), from, out.size());
    std::memset(from, 0, out.size());
    left_ -= out.size();
  }
  static constexpr std::size_t small_bytes_max = 64;

 private:
  std::array<std::uint8_t, 2048> bytes_{};
  std::size_t left_ = 0;
};

class SystemEntropy final : public Entropy {
 public:
  void fill(std::span<std::uint8_t> out) override {
    if (out.size() > Piece::small_bytes_max) return ask_kernel(out);
    thread_local Piece piece;
    piece.take(out);
  }
};

}  // namespace

Entropy& system_entropy() {
  static SystemEntropy entropy;
  return entropy;
}

}  // namespace vestige::platform
