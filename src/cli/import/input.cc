#include "cli/import/internal/input.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "platform/files.h"

namespace vestige::cli::importing {
namespace {

constexpr std::size_t chunk_bytes = 128 << 10;

class FileSource final : public Source {
 public:
  FileSource(std::unique_ptr<platform::FileSystem> directory, std::unique_ptr<platform::File> file,
             std::uint64_t size)
      : directory_(std::move(directory)), file_(std::move(file)), size_(size) {}

  Result<std::size_t> read(std::span<std::uint8_t> out) override {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), size_ - offset_));
    if (count == 0) return 0;
    VESTIGE_CHECKED(file_->read(offset_, out.first(count)));
    offset_ += count;
    return count;
  }
  std::optional<double> progress() const override {
    return size_ == 0 ? 1.0 : static_cast<double>(offset_) / static_cast<double>(size_);
  }

 private:
  std::unique_ptr<platform::FileSystem> directory_;
  std::unique_ptr<platform::File> file_;
  const std::uint64_t size_;  // when it was opened: what is appended meanwhile belongs to the next import
  std::uint64_t offset_ = 0;
};

class StandardInputSource final : public Source {
 public:
  Result<std::size_t> read(std::span<std::uint8_t> out) override { return input_->read(out); }
  std::optional<double> progress() const override { return std::nullopt; }

 private:
  std::unique_ptr<platform::ByteStream> input_ = platform::standard_input();
};

}  // namespace

std::string shown_name(const std::string& path) { return path == "-" ? "standard input" : path; }

Result<std::unique_ptr<Source>> open_source(const std::string& path) {
  if (path == "-") return std::make_unique<StandardInputSource>();
  const auto slash = path.rfind('/');
  const auto parent = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const auto name = slash == std::string::npos ? path : path.substr(slash + 1);
  VESTIGE_TRY(auto directory, platform::open_directory(parent, false));
  VESTIGE_TRY(auto file, directory->open_read_only(name));
  VESTIGE_TRY(const auto size, file->size());
  // A pipe has no size either, but unlike an empty file it cannot be read at a position at all.
  std::uint8_t probe = 0;
  if (const auto status = file->read(0, {&probe, 1}); !status && status.error().kind != ErrorKind::corrupt)
    return fail(
        ErrorKind::invalid,
        fmt::format("{} cannot be read as a file ({}): give the name of a file, or pipe the content and give "
                    "\"-\" as the name",
                    path, status.error().message));
  return std::make_unique<FileSource>(std::move(directory), std::move(file), size);
}

LineReader::LineReader(platform::ByteStream& stream, std::string name)
    : stream_(stream), name_(std::move(name)) {}

// Adds the next piece of the stream to the buffer; false at its end.
Result<bool> LineReader::fill() {
  buffer_.erase(0, start_);
  start_ = 0;
  const auto before = buffer_.size();
  buffer_.resize(before + chunk_bytes);
  auto got = stream_.read({reinterpret_cast<std::uint8_t*>(buffer_.data()) + before, chunk_bytes});
  buffer_.resize(before + got.value_or(0));
  if (!got) return std::unexpected(std::move(got).error());
  return *got > 0;
}

Result<std::optional<std::string_view>> LineReader::next() {
  std::size_t searched = 0;
  for (;;) {
    const auto unread = std::string_view(buffer_).substr(start_);
    const auto end = unread.find('\n', searched);
    const bool complete = end != std::string_view::npos;
    const auto size = complete ? end : unread.size();
    if (size > line_bytes_max) {
      auto refused =
          fail(ErrorKind::invalid, fmt::format("line {} of {} is longer than {} bytes, the most that a line "
                                               "may have: split it, or leave it out",
                                               line_number_ + 1, name_, line_bytes_max));
      refused.error().limit = fmt::format("line_bytes_max={}", line_bytes_max);
      return refused;
    }
    if (complete || (ended_ && !unread.empty())) {
      start_ += std::min(size + 1, unread.size());
      ++line_number_;
      return unread.substr(0, size);
    }
    if (ended_) return std::nullopt;
    searched = unread.size();
    VESTIGE_TRY(const bool more, fill());
    ended_ = !more;
  }
}

}  // namespace vestige::cli::importing
