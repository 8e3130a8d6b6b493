#include "cli/import/reader.h"

#include <fmt/format.h>

#include "cli/import/internal/readers.h"
#include "cli/import/internal/tar.h"
#include "platform/files.h"

namespace vestige::cli::importing {
namespace {

constexpr std::size_t tar_header_bytes = 512;

// A file, plain or an archive: its members one after the other.
class FileReader final : public Reader {
 public:
  FileReader(std::unique_ptr<Source> source, std::string name, std::string_view format, ReaderOptions options)
      : source_(std::move(source)),
        name_(std::move(name)),
        asked_format_(format),
        options_(std::move(options)) {}

  Status open() {
    if (options_.catalogue == nullptr) {
      VESTIGE_TRY(own_catalogue_, Catalogue::load());
      options_.catalogue = &own_catalogue_;
    }
    VESTIGE_TRY(auto plain, decompressed(*source_, name_));
    stream_ = std::make_unique<PeekStream>(std::move(plain));
    VESTIGE_TRY(const auto start, stream_->peek(tar_header_bytes));
    if (looks_like_tar(start)) {
      archive_ = std::make_unique<TarReader>(*stream_, name_);
      VESTIGE_TRY(const bool any, open_member());
      if (!any) format_ = asked_format_ == auto_format ? "json" : asked_format_;
      return {};
    }
    return open_content(*stream_, name_);
  }

  Result<std::optional<ImportedEvent>> next() override {
    while (reader_ != nullptr) {
      VESTIGE_TRY(auto event, reader_->next());
      if (event) {
        ++records_;
        if (archive_ != nullptr) event->where = fmt::format("{} of {}", event->where, member_name_);
        return event;
      }
      end_member();
      if (archive_ == nullptr) break;
      VESTIGE_CHECKED(open_member());
    }
    return std::nullopt;
  }
  std::optional<double> progress() const override { return source_->progress(); }
  const std::string& format() const override { return format_; }
  std::uint64_t records() const override { return records_; }
  std::vector<std::string> notices() const override {
    auto all = notices_;
    if (archive_ != nullptr && archive_->skipped() > 0)
      all.push_back(fmt::format("{} members of {} are no regular files (links, devices) and were left out",
                                archive_->skipped(), name_));
    return all;
  }

 private:
  static constexpr std::size_t notices_max = 100;

  Status open_content(PeekStream& stream, const std::string& name) {
    VESTIGE_TRY(const auto content, detect(stream, name, asked_format_, *options_.catalogue, options_));
    format_ = content.format;
    reader_ = content.container == Content::Container::dpkg
                  ? make_dpkg_reader(stream, name)
                  : make_record_reader(stream, name, content, *options_.catalogue, options_);
    return {};
  }
  // False at the end of the archive.
  Result<bool> open_member() {
    VESTIGE_TRY(auto member, archive_->next());
    if (!member) return false;
    member_name_ = member->name;
    member_source_ = std::move(member->content);
    const auto name = fmt::format("{} in {}", member_name_, name_);
    VESTIGE_TRY(auto plain, decompressed(*member_source_, name));
    member_stream_ = std::make_unique<PeekStream>(std::move(plain));
    VESTIGE_CHECKED(open_content(*member_stream_, name));
    return true;
  }
  void end_member() {
    for (auto& notice : reader_->notices())
      if (notices_.size() < notices_max) notices_.push_back(std::move(notice));
    reader_.reset();
  }

  std::unique_ptr<Source> source_;
  const std::string name_;
  const std::string asked_format_;
  ReaderOptions options_;
  Catalogue own_catalogue_;
  std::unique_ptr<PeekStream> stream_;
  std::unique_ptr<TarReader> archive_;
  std::string member_name_;
  std::unique_ptr<platform::ByteStream> member_source_;
  std::unique_ptr<PeekStream> member_stream_;
  std::unique_ptr<MemberReader> reader_;
  std::string format_;
  std::uint64_t records_ = 0;
  std::vector<std::string> notices_;
};

bool is_directory(const std::string& path) {
  return path != "-" && platform::open_directory(path, false).has_value();
}

}  // namespace

std::vector<std::string> format_names() {
  std::vector<std::string> names = {"ndjson", "git", "dpkg", "csv", "json"};
  for (auto& name : Catalogue::names()) names.push_back(std::move(name));
  return names;
}

Result<std::unique_ptr<Reader>> make_file_reader(std::unique_ptr<Source> source, std::string name,
                                                 std::string_view format, const ReaderOptions& options) {
  auto reader = std::make_unique<FileReader>(std::move(source), std::move(name), format, options);
  VESTIGE_CHECKED(reader->open());
  return reader;
}

Result<std::unique_ptr<Reader>> open_reader(std::string_view format, const std::string& path,
                                            const ReaderOptions& options) {
  if (format == "git" || (format == auto_format && is_directory(path)))
    return open_git_reader(path, options.repository);
  if (is_directory(path))
    return fail(ErrorKind::invalid, fmt::format("{} is a directory: give a file, or import it as git", path));
  VESTIGE_TRY(auto source, open_source(path));
  return make_file_reader(std::move(source), shown_name(path), format, options);
}

}  // namespace vestige::cli::importing
