// Random canonical JSON objects for tests of the formats: every column type present, absent or in another
// form, members out of the schema, escapes, and keys whose canonical order is not their byte order.
#pragma once

#include <cstdint>
#include <string>

#include "trail/format/page.h"

namespace vestige::trail::testing {

// splitmix64: the same choices for the same seed on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  bool chance(unsigned percent) { return below(100) < percent; }
  template <std::size_t N>
  std::array<std::uint8_t, N> array() {
    std::array<std::uint8_t, N> out;
    for (auto& byte : out) byte = static_cast<std::uint8_t>(next());
    return out;
  }
  Bytes bytes(std::size_t size);

 private:
  std::uint64_t state_;
};

// One column of every type, several of type text.
Schema test_schema();

// A canonical value, nested at most `depth` deep.
std::string random_value(Random& random, unsigned depth);
std::string random_text(Random& random);

// A canonical object. `salt` is the one that its index derives; the entry carries it, another one, or none.
std::string random_entry(Random& random, const Block16& salt);

}  // namespace vestige::trail::testing
