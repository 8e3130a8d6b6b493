#include "cli/internal/local_file.h"

#include <fmt/format.h>

#include "platform/files.h"

namespace vestige::cli {
namespace {

struct Place {
  std::string directory;
  std::string name;
};

Place split(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

// A full disk here is not a server that cannot be reached.
std::unexpected<Error> local(Error error) {
  if (error.kind == ErrorKind::unavailable) error.kind = ErrorKind::io;
  return std::unexpected(std::move(error));
}

}  // namespace

Result<std::string> read_local(const std::string& path, std::uint64_t size_max) {
  const auto place = split(path);
  auto files = platform::open_directory(place.directory, false);
  if (!files) return local(std::move(files).error());
  auto bytes = platform::read_file(**files, place.name, size_max);
  if (!bytes) return local(std::move(bytes).error());
  return std::string(text(*bytes));
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  return text;
}

Result<std::string> named_file(const std::string& path, std::uint64_t size_max) {
  auto content = read_local(path, size_max);
  if (!content) content.error().kind = ErrorKind::invalid;
  return content;
}

Result<std::string> read_verifier_key(const std::string& given) {
  // A name holds no plus sign; the base64 may.
  const auto start = given.find('+');
  if (start != std::string::npos && given.find('+', start + 1) == start + 9) return given;
  VESTIGE_TRY(auto content, named_file(given, verifier_key_bytes_max));
  return trimmed(std::move(content));
}

Status write_local(const std::string& path, std::string_view content) {
  const auto place = split(path);
  if (place.name.empty() || place.name == "." || place.name == "..")
    return fail(ErrorKind::invalid, fmt::format("\"{}\" is no name for a file.", path));
  auto files = platform::open_directory(place.directory, false);
  if (!files) return local(std::move(files).error());
  auto written = platform::replace_file(**files, place.name, view(content), platform::FileMode::shared_read);
  if (!written) return local(std::move(written).error());
  return {};
}

Result<std::unique_ptr<LocalWriter>> LocalWriter::create(const std::string& path) {
  auto place = split(path);
  if (place.name.empty() || place.name == "." || place.name == "..")
    return fail(ErrorKind::invalid, fmt::format("\"{}\" is no name for a file.", path));
  auto files = platform::open_directory(place.directory, false);
  if (!files) return local(std::move(files).error());
  const auto part = place.name + ".part";
  if ((*files)->exists(part))
    if (auto removed = (*files)->remove(part); !removed) return local(std::move(removed).error());
  auto file = (*files)->create(part, platform::FileMode::shared_read);
  if (!file) return local(std::move(file).error());
  return std::unique_ptr<LocalWriter>(
      new LocalWriter(path, std::move(place.name), *std::move(files), *std::move(file)));
}

LocalWriter::LocalWriter(std::string path, std::string name, std::unique_ptr<platform::FileSystem> files,
                         std::unique_ptr<platform::File> file)
    : path_(std::move(path)), name_(std::move(name)), files_(std::move(files)), file_(std::move(file)) {}

Status LocalWriter::write(std::string_view bytes) {
  if (auto written = file_->write(size_, view(bytes)); !written) return local(std::move(written).error());
  size_ += bytes.size();
  return {};
}

Status LocalWriter::finish() {
  auto done = file_->sync();
  if (done) done = files_->rename(name_ + ".part", name_);
  if (done) done = files_->sync_directory("");
  if (!done) return local(std::move(done).error());
  return {};
}

}  // namespace vestige::cli
