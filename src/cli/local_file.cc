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

}  // namespace vestige::cli
