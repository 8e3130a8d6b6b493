// The output of `git log --raw -z` with the format below, token by token.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "platform/process.h"

namespace vestige::cli::importing {

// Every commit begins with this token; no token of a changed file equals it, because those begin with a colon
// and the paths after them are counted.
inline constexpr std::string_view commit_mark = "commit";
inline constexpr std::string_view log_format =
    "--format=tformat:commit%x00%H%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%s%x00%B";

struct LogToken {
  std::string text;         // at most what was asked to be kept
  std::uint64_t bytes = 0;  // of the whole token
  bool cut() const { return text.size() < bytes; }
};

struct CommitHeader {
  LogToken hash, parents, author_name, author_email, authored_at, committer_name, committer_email,
      committed_at, subject, message;
};

struct ChangedFile {
  std::string_view old_mode, new_mode, old_blob, new_blob;  // views into `raw`
  char status = ' ';
  LogToken path;
  LogToken old_path;  // of a rename or copy
  std::string raw;
};

// Not thread-safe.
class GitLog {
 public:
  explicit GitLog(std::unique_ptr<platform::Program> program) : program_(std::move(program)) {}
  // The next commit, empty at the end of the log. Called when the files of the last one are read.
  Result<std::optional<CommitHeader>> next_commit();
  // The next changed file of that commit, null after the last. Valid until the next call.
  Result<const ChangedFile*> next_file();

 private:
  // Empty where the output ended.
  Result<std::optional<LogToken>> token(std::size_t keep_bytes_max);
  Result<LogToken> needed_token(std::size_t keep_bytes_max);

  std::unique_ptr<platform::Program> program_;
  std::string buffer_;
  std::size_t start_ = 0;
  bool ended_ = false;
  std::optional<LogToken> ahead_;  // read, but it belongs to the next commit
  ChangedFile file_;
};

}  // namespace vestige::cli::importing
