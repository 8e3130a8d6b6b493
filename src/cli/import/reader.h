// Readers of audit trails that exist already, for `vestige import`: each gives the events of one source, in
// its order, as texts for POST /api/events. Nothing is left out silently: every record of the source becomes
// one event, or reading stops with an error that says where and why.
//
// Reading the same source again gives the same bytes and, for dpkg and git, the same ids, so a second import
// adds nothing. What the bytes depend on besides the source:
// - dpkg: the time zone of this machine (the log has local times without an offset), and, for lines that
//   occur more than once, how often the line was read before through the same LineOccurrences;
// - git: the repository's name (ReaderOptions::repository) and what git takes for a rename.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace vestige::cli::importing {

inline constexpr std::size_t line_bytes_max = 1 << 20;
inline constexpr std::uint64_t git_changes_listed_max = 5'000;

enum class Format { auto_detect, ndjson, git, dpkg };
std::optional<Format> parse_format(std::string_view name);  // "auto", "ndjson", "git", "dpkg"

// How often each line was read in one import run. A log that was rotated is read through one object, oldest
// file first, so that equal lines of different files are told apart. Uses some 64 bytes a distinct line.
class LineOccurrences {
 public:
  // From 1 on.
  std::uint64_t count(std::string_view line);

 private:
  struct FirstBytes {
    std::size_t operator()(const Block16& digest) const { return load_le<std::size_t>(digest.data()); }
  };
  std::unordered_map<Block16, std::uint64_t, FirstBytes> counts_;
};

struct ReaderOptions {
  LineOccurrences* occurrences = nullptr;  // outlives the reader; null: the reader has its own
  std::string repository{};                // git: empty means the last name of the top directory's path
};

struct ImportedEvent {
  std::string json;   // one event object, without a line end
  std::string where;  // "line 12", "commit 1f0c…", for messages
};

// Not thread-safe. After an error or the end it gives nothing more.
class Reader {
 public:
  virtual ~Reader() = default;
  // Empty at the end of the source.
  virtual Result<std::optional<ImportedEvent>> next() = 0;
  // The part that is read, 0 to 1: of the bytes of a file, or of the commits. Empty where the size is
  // unknown.
  virtual std::optional<double> progress() const = 0;
  virtual Format format() const = 0;  // what is read; never auto_detect
  // How many events next() has given.
  virtual std::uint64_t records() const = 0;
  // What the operator should know after the end, one sentence each.
  virtual std::vector<std::string> notices() const { return {}; }
};

// `path` is a file, plain or compressed with gzip or zstd; "-" for standard input; for git a directory inside
// a repository.
Result<std::unique_ptr<Reader>> open_reader(Format format, const std::string& path,
                                            const ReaderOptions& options = {});

}  // namespace vestige::cli::importing
