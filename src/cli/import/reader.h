// Readers of audit trails that exist already, for `vestige import`: each gives the records of one source, in
// its order. Nothing is left out silently: every record of the source becomes one event, or reading stops
// with an error that says where and why.
//
// Reading the same source again gives the same bytes. What they depend on besides the source:
// - dpkg: the time zone of this machine (the log has local times without an offset);
// - git: the repository's name (ReaderOptions::repository) and what git takes for a rename;
// - all others: the mapping; the record itself does not depend on it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/import/coverage.h"
#include "cli/import/mapping.h"

namespace vestige::cli::importing {

inline constexpr std::size_t line_bytes_max = 1 << 20;  // and of any other record
inline constexpr std::uint64_t git_changes_listed_max = 5'000;

inline constexpr std::string_view auto_format = "auto";
// What open_reader() takes beside "auto": ndjson, git, dpkg, csv, json, and the names of the shipped
// mappings.
std::vector<std::string> format_names();

struct ReaderOptions {
  std::string repository{};              // git: empty means the last name of the top directory's path
  const Catalogue* catalogue = nullptr;  // outlives the reader; null: the reader has its own
  const Mapping* mapping = nullptr;      // the operator's own; outlives the reader
  char delimiter = '\0';                 // of CSV; '\0': the one that fits
  Coverage* coverage = nullptr;          // outlives the reader; null: nobody asks
};

struct ImportedEvent {
  std::string json;        // one event object, without a line end; empty: the record is an event itself
  std::string record;      // canonical JSON; empty: the event has an id of its own and is sent as it is
  std::string lossless{};  // a JSON array of pointers into the record; empty where no number became a string
  std::string where;       // "line 12", "commit 1f0c…", for messages
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
  // Of the last record given; of the first one before. Never "auto".
  virtual const std::string& format() const = 0;
  // How many events next() has given.
  virtual std::uint64_t records() const = 0;
  // What the operator should know after the end, one sentence each.
  virtual std::vector<std::string> notices() const { return {}; }
};

// `path` is a file, plain or compressed with gzip or zstd, perhaps a tar archive of such files; "-" for
// standard input; for git a directory inside a repository.
Result<std::unique_ptr<Reader>> open_reader(std::string_view format, const std::string& path,
                                            const ReaderOptions& options = {});

}  // namespace vestige::cli::importing
