// Runs a fuzzer's property over a corpus without libFuzzer, so that ./test defends what fuzzing once reached:
// every input as it is, cut short, and with single bits flipped.
//
//   x_replay DIRECTORY...
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Input = std::vector<std::uint8_t>;

constexpr std::size_t places_max = 100;  // of one input, at which it is cut and changed

// On the heap and exactly as long, so that a read behind the end is seen.
void run(const std::uint8_t* data, std::size_t size) {
  const Input copy(data, data + size);
  LLVMFuzzerTestOneInput(copy.data(), copy.size());
}

void run_around(Input input) {
  run(input.data(), input.size());
  const auto step = std::max<std::size_t>(1, input.size() / places_max);
  for (std::size_t at = 0; at < input.size(); at += step) {
    run(input.data(), at);
    const auto bit = static_cast<std::uint8_t>(1U << (at / step % 8));
    input[at] ^= bit;
    run(input.data(), input.size());
    input[at] ^= bit;
  }
}

}  // namespace

int main(int count, char** arguments) {
  std::size_t inputs = 0;
  for (int i = 1; i < count; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(arguments[i])) {
      std::ifstream file(entry.path(), std::ios::binary);
      run_around(Input(std::istreambuf_iterator<char>(file), {}));
      ++inputs;
    }
  }
  std::printf("%zu inputs\n", inputs);
  return inputs > 0 ? 0 : 1;
}
