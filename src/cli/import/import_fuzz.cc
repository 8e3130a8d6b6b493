// Property: whatever bytes an input file holds, plain or posing as compressed, reading it ends, in bounded
// memory, with events that are JSON or with an error; and how the bytes are cut into pieces makes no
// difference.

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "cli/import/internal/readers.h"
#include "json/json.h"

namespace vestige::cli::importing {
namespace {

// A small input that inflates to gigabytes is legal; a fuzzer need not wait for it.
constexpr std::uint64_t records_max = 10'000;

class MemorySource final : public Source {
 public:
  MemorySource(ByteView content, std::size_t piece_bytes) : content_(content), piece_bytes_(piece_bytes) {}
  Result<std::size_t> read(std::span<std::uint8_t> out) override {
    const auto count = std::min({out.size(), content_.size(), piece_bytes_});
    std::copy_n(content_.begin(), count, out.begin());
    content_ = content_.subspan(count);
    return count;
  }
  std::optional<double> progress() const override { return std::nullopt; }

 private:
  ByteView content_;
  std::size_t piece_bytes_;
};

void require(bool condition, const char* what) {
  if (condition) return;
  std::fputs(what, stderr);
  std::abort();
}

// Everything that reading gives, the error included.
std::vector<std::string> read_in_pieces(ByteView content, std::size_t piece_bytes) {
  LineInput input{.name = "input",
                  .source = std::make_unique<MemorySource>(content, piece_bytes),
                  .stream = {},
                  .lines = {}};
  auto stream = decompressed(*input.source, input.name);
  if (!stream) return {stream.error().message};
  input.stream = *std::move(stream);
  input.lines = std::make_unique<LineReader>(*input.stream, input.name);
  const auto reader = make_dpkg_reader(std::move(input), nullptr);
  std::vector<std::string> given;
  json::Parser parser;
  json::Document document;
  while (reader->records() < records_max) {
    auto event = reader->next();
    if (!event) given.push_back(event.error().message);
    if (!event || !*event) break;
    require(parser.parse((*event)->json, document).has_value(), "an event is no JSON");
    given.push_back(std::move((*event)->json));
  }
  return given;
}

}  // namespace
}  // namespace vestige::cli::importing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vestige::cli::importing;
  if (size == 0) return 0;
  const vestige::ByteView content(data + 1, size - 1);
  const auto whole = read_in_pieces(content, size);
  const auto pieces = read_in_pieces(content, 1U + data[0]);
  // Where a damaged stream is noticed may differ; what was given before may not.
  const auto common = std::min(whole.size(), pieces.size());
  for (std::size_t i = 0; i + 1 < common; ++i) require(whole[i] == pieces[i], "pieces make a difference");
  return 0;
}
