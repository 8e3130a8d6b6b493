#include "cli/import/internal/git_log.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace vestige::cli::importing {
namespace {

constexpr std::size_t chunk_bytes = 128 << 10;
constexpr std::size_t short_bytes_max = 64 << 10;  // kept of a name, a path, a subject
constexpr std::size_t long_bytes_max = 1 << 20;    // kept of a message

std::unexpected<Error> unreadable(std::string_view what) {
  return fail(ErrorKind::io,
              fmt::format("git log gave {}: run `git fsck` in the repository, and check that `git log` "
                          "works there",
                          what));
}

// ":100644 100755 <blob> <blob> M", or with a score after the letter.
bool parse_raw(ChangedFile& file) {
  const std::string_view raw = file.raw;
  std::string_view* const fields[] = {&file.old_mode, &file.new_mode, &file.old_blob, &file.new_blob};
  if (!raw.starts_with(':')) return false;
  std::size_t at = 1;
  for (auto* const field : fields) {
    const auto end = raw.find(' ', at);
    if (end == std::string_view::npos) return false;
    *field = raw.substr(at, end - at);
    at = end + 1;
  }
  if (at >= raw.size()) return false;
  file.status = raw[at];
  return true;
}

}  // namespace

Result<std::optional<LogToken>> GitLog::token(std::size_t keep_bytes_max) {
  LogToken result;
  for (;;) {
    const auto unread = std::string_view(buffer_).substr(start_);
    const auto end = std::min(unread.find('\0'), unread.size());
    result.text += unread.substr(0, std::min(end, keep_bytes_max - result.text.size()));
    result.bytes += end;
    if (end < unread.size()) {
      start_ += end + 1;
      return result;
    }
    buffer_.resize(chunk_bytes);
    start_ = 0;
    auto got = program_->read({reinterpret_cast<std::uint8_t*>(buffer_.data()), chunk_bytes});
    buffer_.resize(got.value_or(0));
    if (!got) return std::unexpected(std::move(got).error());
    if (*got > 0) continue;
    if (result.bytes > 0) return unreadable("an output that ends in the middle");
    return std::nullopt;
  }
}

Result<LogToken> GitLog::needed_token(std::size_t keep_bytes_max) {
  VESTIGE_TRY(auto read, token(keep_bytes_max));
  if (!read) return unreadable("an output that ends in the middle of a commit");
  return *std::move(read);
}

Result<std::optional<CommitHeader>> GitLog::next_commit() {
  if (ended_) return std::nullopt;
  auto mark = std::exchange(ahead_, std::nullopt);
  if (!mark) {
    VESTIGE_TRY(mark, token(short_bytes_max));
  }
  if (!mark) {
    ended_ = true;
    VESTIGE_TRY(const int status, program_->wait());
    if (status != 0)
      return unreadable(fmt::format("the exit status {}; its own message stands above", status));
    return std::nullopt;
  }
  if (mark->text != commit_mark) return unreadable("an output that is not what was asked for");
  CommitHeader header;
  for (auto* const field : {&header.hash, &header.parents, &header.author_name, &header.author_email,
                            &header.authored_at, &header.committer_name, &header.committer_email,
                            &header.committed_at, &header.subject, &header.message}) {
    const bool is_long = field == &header.message || field == &header.parents;
    VESTIGE_TRY(*field, needed_token(is_long ? long_bytes_max : short_bytes_max));
  }
  return header;
}

Result<const ChangedFile*> GitLog::next_file() {
  CHECK(!ahead_);
  VESTIGE_TRY(auto read, token(short_bytes_max));
  if (!read) return nullptr;
  // A line feed stands between the message and the first file.
  if (read->text.starts_with('\n')) read->text.erase(0, 1);
  if (read->text == commit_mark) {
    ahead_ = std::move(read);
    return nullptr;
  }
  file_ = ChangedFile();
  file_.raw = std::move(read->text);
  if (!parse_raw(file_)) return unreadable("a changed file in a form that is not known");
  const bool moved = file_.status == 'R' || file_.status == 'C';
  if (moved) {
    VESTIGE_TRY(file_.old_path, needed_token(short_bytes_max));
  }
  VESTIGE_TRY(file_.path, needed_token(short_bytes_max));
  return &file_;
}

}  // namespace vestige::cli::importing
