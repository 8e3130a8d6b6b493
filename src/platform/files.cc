#include "platform/files.h"

#include <fmt/format.h>

namespace vestige::platform {

Result<Bytes> read_file(FileSystem& files, const std::string& path, std::uint64_t size_max) {
  VESTIGE_TRY(auto file, files.open_read_only(path));
  VESTIGE_TRY(const auto size, file->size());
  if (size > size_max)
    return corrupt(path, size_max,
                   fmt::format("{} has {} bytes, more than the {} that such a file can have",
                               files.describe(path), size, size_max));
  Bytes content(static_cast<std::size_t>(size));
  VESTIGE_CHECKED(file->read(0, content));
  return content;
}

Status replace_file(FileSystem& files, const std::string& path, ByteView content, FileMode mode) {
  const auto temporary = path + ".tmp";
  if (files.exists(temporary)) VESTIGE_CHECKED(files.remove(temporary));
  {
    VESTIGE_TRY(auto file, files.create(temporary, mode));
    VESTIGE_CHECKED(file->write(0, content));
    VESTIGE_CHECKED(file->sync());
  }
  VESTIGE_CHECKED(files.rename(temporary, path));
  return files.sync_directory(parent_of(path));
}

std::string parent_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string() : std::string(path.substr(0, slash));
}

std::string join(std::string_view directory, std::string_view name) {
  if (directory.empty()) return std::string(name);
  return fmt::format("{}/{}", directory, name);
}

}  // namespace vestige::platform
