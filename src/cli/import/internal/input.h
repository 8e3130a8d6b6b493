// An input file, decompressed and cut into lines, in bounded memory.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/import/reader.h"
#include "platform/process.h"

namespace vestige::cli::importing {

// The bytes of an input as they are stored, with how far reading has come.
class Source : public platform::ByteStream {
 public:
  virtual std::optional<double> progress() const = 0;
};

// A file of this machine or, for "-", standard input.
Result<std::unique_ptr<Source>> open_source(const std::string& path);
// "standard input" for "-".
std::string shown_name(const std::string& path);

// What `source` holds, gzip and zstd taken off; both formats are known by their first bytes, and several
// members or frames may follow each other. `source` outlives the result. `name` is for messages.
Result<std::unique_ptr<platform::ByteStream>> decompressed(platform::ByteStream& source,
                                                           const std::string& name);

// Lines without their line feed; the last one may lack it. Not thread-safe.
class LineReader {
 public:
  LineReader(platform::ByteStream& stream, std::string name);
  // Empty at the end. Valid until the next call.
  Result<std::optional<std::string_view>> next();
  std::uint64_t line_number() const { return line_number_; }  // of the last line given, from 1 on

 private:
  Result<bool> fill();

  platform::ByteStream& stream_;
  std::string name_;
  std::string buffer_;
  std::size_t start_ = 0;  // where the bytes that were not given yet begin in buffer_
  bool ended_ = false;
  std::uint64_t line_number_ = 0;
};

}  // namespace vestige::cli::importing
