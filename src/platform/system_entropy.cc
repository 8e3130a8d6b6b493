#include <errno.h>
#include <sys/random.h>

#include "base/check.h"
#include "platform/entropy.h"

namespace vestige::platform {
namespace {

class SystemEntropy final : public Entropy {
 public:
  void fill(std::span<std::uint8_t> out) override {
    while (!out.empty()) {
      const auto got = ::getrandom(out.data(), out.size(), 0);
      if (got < 0 && errno == EINTR) continue;
      CHECK(got > 0);
      out = out.subspan(static_cast<std::size_t>(got));
    }
  }
};

}  // namespace

Entropy& system_entropy() {
  static SystemEntropy entropy;
  return entropy;
}

}  // namespace vestige::platform
