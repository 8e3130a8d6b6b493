// Small files that the operator names: read whole, or replaced whole.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "platform/files.h"

namespace vestige::cli {

inline constexpr std::uint64_t verifier_key_bytes_max = 16 << 10;

// Without line ends and blanks at its end.
std::string trimmed(std::string text);

// At most `size_max` bytes. Messages carry the path as the operator wrote it.
Result<std::string> read_local(const std::string& path, std::uint64_t size_max);
// The same; a file that is not there is a wrong command line (invalid).
Result<std::string> named_file(const std::string& path, std::uint64_t size_max);
Status write_local(const std::string& path, std::string_view content);

// A file that grows while its content comes: "<path>.part" until it is whole. What is there under that name
// is replaced. Not thread-safe.
class LocalWriter {
 public:
  static Result<std::unique_ptr<LocalWriter>> create(const std::string& path);
  Status write(std::string_view bytes);
  // Durable, under its own name.
  Status finish();
  std::string part_path() const { return path_ + ".part"; }

 private:
  LocalWriter(std::string path, std::string name, std::unique_ptr<platform::FileSystem> files,
              std::unique_ptr<platform::File> file);

  const std::string path_;  // as the operator wrote it
  const std::string name_;
  const std::unique_ptr<platform::FileSystem> files_;
  const std::unique_ptr<platform::File> file_;
  std::uint64_t size_ = 0;
};

// A log's verifier key as an operator gives it: "<name>+<8 hex digits>+<base64>" itself, or a file that holds
// it.
Result<std::string> read_verifier_key(const std::string& given);

}  // namespace vestige::cli
