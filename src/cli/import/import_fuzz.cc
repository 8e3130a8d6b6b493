// Property: whatever bytes an input file holds, plain or posing as compressed, as an archive or as any
// format, reading it ends, in bounded memory, with events and canonical records or with an error; and how the
// bytes are cut into pieces makes no difference.

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/bytes.h"
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

const Catalogue& catalogue() {
  static const auto loaded = Catalogue::load();
  require(loaded.has_value(), "the shipped mappings do not compile");
  return *loaded;
}

// Everything that reading gives, the error included.
std::vector<std::string> read_in_pieces(ByteView content, std::size_t piece_bytes, std::string_view format) {
  auto source = std::make_unique<MemorySource>(content, piece_bytes);
  Coverage coverage;
  const auto reader = make_file_reader(std::move(source), "input", format,
                                       {.catalogue = &catalogue(), .coverage = &coverage});
  if (!reader) return {reader.error().message};
  std::vector<std::string> given;
  json::Parser parser;
  json::Document document;
  while ((*reader)->records() < records_max) {
    auto event = (*reader)->next();
    if (!event) given.push_back(event.error().message);
    if (!event || !*event) break;
    const auto& [json, record, lossless, where] = **event;
    require(json.empty() || parser.parse(json, document).has_value(), "an event is no JSON");
    require(json.empty() || document.root().find("action").is_string(), "an event has no action");
    require(parser.parse(record, document, {.depth_max = 128}).has_value(), "a record is no JSON");
    require(json::canonical(document.root()) == record, "a record is not canonical");
    require(lossless.empty() || parser.parse(lossless, document).has_value(), "a list of paths is no JSON");
    given.push_back(record + json + lossless + where);
  }
  return given;
}

}  // namespace
}  // namespace vestige::cli::importing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vestige::cli::importing;
  constexpr std::string_view formats[] = {"auto", "json", "csv", "ndjson", "dpkg", "o365", "auto", "exaudit"};
  if (size < 2) return 0;
  const auto format = formats[data[1] % std::size(formats)];
  const vestige::ByteView content(data + 2, size - 2);
  const auto whole = read_in_pieces(content, size, format);
  const auto pieces = read_in_pieces(content, 1U + data[0], format);
  // Where a damaged stream is noticed may differ; what was given before may not.
  const auto common = std::min(whole.size(), pieces.size());
  for (std::size_t i = 0; i + 1 < common; ++i) require(whole[i] == pieces[i], "pieces make a difference");
  return 0;
}
