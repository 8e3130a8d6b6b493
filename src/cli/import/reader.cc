#include "cli/import/reader.h"

#include <fmt/format.h>

#include "cli/import/internal/readers.h"
#include "platform/files.h"

namespace vestige::cli::importing {
namespace {

class NdjsonReader final : public Reader {
 public:
  explicit NdjsonReader(LineInput input) : input_(std::move(input)) {}

  Result<std::optional<ImportedEvent>> next() override {
    for (;;) {
      VESTIGE_TRY(auto line, input_.lines->next());
      if (!line) return std::nullopt;
      if (input_.lines->line_number() == 1 && line->starts_with(byte_order_mark))
        line->remove_prefix(byte_order_mark.size());
      if (line->find_first_not_of(" \t\r") == std::string_view::npos) continue;
      ++records_;
      return ImportedEvent{.json = std::string(*line),
                           .where = fmt::format("line {}", input_.lines->line_number())};
    }
  }
  std::optional<double> progress() const override { return input_.source->progress(); }
  Format format() const override { return Format::ndjson; }
  std::uint64_t records() const override { return records_; }

 private:
  LineInput input_;
  std::uint64_t records_ = 0;
};

bool is_directory(const std::string& path) {
  return path != "-" && platform::open_directory(path, false).has_value();
}

Result<Format> detect(LineInput& input) {
  VESTIGE_TRY(auto line, input.lines->peek_content());
  if (!line) return Format::ndjson;  // nothing to read in any format
  if (line->starts_with(byte_order_mark)) line->remove_prefix(byte_order_mark.size());
  const auto content = line->substr(std::min(line->find_first_not_of(" \t"), line->size()));
  if (content.starts_with('{')) return Format::ndjson;
  if (looks_like_dpkg(*line)) return Format::dpkg;
  const std::string_view hint =
      content.starts_with('[') ? " It begins like a JSON array: write its elements one a line (jq -c '.[]')."
                               : "";
  return fail(
      ErrorKind::invalid,
      fmt::format(
          "{} is in no format that can be told from its first line.{} Known formats: ndjson (one event "
          "object a line), dpkg (/var/log/dpkg.log), git (a directory inside a repository). If it is one "
          "of them, name the format.",
          input.name, hint));
}

}  // namespace

std::optional<Format> parse_format(std::string_view name) {
  if (name == "auto") return Format::auto_detect;
  if (name == "ndjson") return Format::ndjson;
  if (name == "git") return Format::git;
  if (name == "dpkg") return Format::dpkg;
  return std::nullopt;
}

std::unique_ptr<Reader> make_ndjson_reader(LineInput input) {
  return std::make_unique<NdjsonReader>(std::move(input));
}

Result<std::unique_ptr<Reader>> open_reader(Format format, const std::string& path,
                                            const ReaderOptions& options) {
  if (format == Format::git || (format == Format::auto_detect && is_directory(path)))
    return open_git_reader(path, options.repository);
  if (is_directory(path))
    return fail(ErrorKind::invalid, fmt::format("{} is a directory: give a file, or import it as git", path));
  VESTIGE_TRY(auto input, open_lines(path));
  if (format == Format::auto_detect) {
    VESTIGE_TRY(format, detect(input));
  }
  if (format == Format::dpkg) return make_dpkg_reader(std::move(input), options.occurrences);
  return make_ndjson_reader(std::move(input));
}

}  // namespace vestige::cli::importing
