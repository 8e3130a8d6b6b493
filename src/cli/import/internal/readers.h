// The readers behind open_reader().
#pragma once

#include "cli/import/internal/input.h"
#include "cli/import/internal/peek.h"
#include "cli/import/reader.h"

namespace vestige::cli::importing {

// Reads one file, or one member of an archive.
class MemberReader {
 public:
  virtual ~MemberReader() = default;
  virtual Result<std::optional<ImportedEvent>> next() = 0;
  virtual std::vector<std::string> notices() const { return {}; }
};

// What a text holds, as far as its beginning tells.
struct Content {
  enum class Container { json, csv, dpkg } container = Container::json;
  std::string format;  // never "auto"
  char delimiter = ',';
};

// `format` as the operator gave it. `catalogue` outlives the call.
Result<Content> detect(PeekStream& stream, const std::string& name, std::string_view format,
                       const Catalogue& catalogue, const ReaderOptions& options);

// Each takes the stream, which outlives it.
std::unique_ptr<MemberReader> make_dpkg_reader(platform::ByteStream& stream, std::string name);
std::unique_ptr<MemberReader> make_record_reader(platform::ByteStream& stream, std::string name,
                                                 const Content& content, const Catalogue& catalogue,
                                                 const ReaderOptions& options);
Result<std::unique_ptr<Reader>> open_git_reader(const std::string& directory, const std::string& repository);
// Of a source that is open already.
Result<std::unique_ptr<Reader>> make_file_reader(std::unique_ptr<Source> source, std::string name,
                                                 std::string_view format, const ReaderOptions& options);

// "2025-06-24 14:36:25 word": what every line of a dpkg log begins with.
bool looks_like_dpkg(std::string_view line);
// A byte order mark that some editors put before UTF-8.
inline constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

}  // namespace vestige::cli::importing
