// The history of a git repository, one event a commit of HEAD, oldest first, merges included.
//
// An event stays below 1 MiB whatever the commit holds: names, the message and the list of changed files have
// bounds, and where one was met, detail says so (`cut` names the texts, filesTotal and filesListed differ).

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/time_text.h"
#include "cli/import/internal/event_text.h"
#include "cli/import/internal/git_log.h"
#include "cli/import/internal/readers.h"

namespace vestige::cli::importing {
namespace {

// Bounds of what an event holds, in bytes of JSON.
constexpr std::size_t name_bytes_max = 4 << 10;
constexpr std::size_t path_bytes_max = 16 << 10;
constexpr std::size_t subject_bytes_max = 16 << 10;
constexpr std::size_t message_bytes_max = 256 << 10;
constexpr std::size_t changes_bytes_max = 600 << 10;
constexpr std::size_t parents_listed_max = 500;
constexpr std::string_view rename_candidates_max = "-l1000";

using Arguments = std::vector<std::string>;

// Variables that would make git look elsewhere, or show a history that is not the one of the repository.
const Arguments& variables_that_redirect_git() {
  static const Arguments names = {"GIT_DIR",
                                  "GIT_WORK_TREE",
                                  "GIT_COMMON_DIR",
                                  "GIT_INDEX_FILE",
                                  "GIT_OBJECT_DIRECTORY",
                                  "GIT_ALTERNATE_OBJECT_DIRECTORIES",
                                  "GIT_NAMESPACE",
                                  "GIT_SHALLOW_FILE",
                                  "GIT_GRAFT_FILE",
                                  "GIT_REPLACE_REF_BASE",
                                  "GIT_EXTERNAL_DIFF",
                                  "GIT_DIFF_OPTS"};
  return names;
}

// git with the settings of the user that could change what the log says set to known values.
Arguments git_in(const std::string& directory, std::initializer_list<std::string_view> rest) {
  Arguments argv{"git", "--no-pager", "--no-replace-objects", "-C", directory};
  for (const auto* const setting :
       {"core.quotePath=false", "log.showSignature=false", "log.follow=false", "diff.renames=true",
        "diff.orderFile=/dev/null", "advice.graftFileDeprecated=false"}) {
    argv.emplace_back("-c");
    argv.emplace_back(setting);
  }
  argv.insert(argv.end(), rest.begin(), rest.end());
  return argv;
}

Arguments log_command(const std::string& directory, const std::string& head) {
  return git_in(directory, {"log",
                            "--reverse",
                            "--topo-order",
                            "--raw",
                            "-z",
                            "--no-abbrev",
                            "-M",
                            rename_candidates_max,
                            "--diff-merges=first-parent",
                            "--root",
                            "--encoding=UTF-8",
                            "--no-mailmap",
                            "--no-color",
                            "--no-decorate",
                            "--no-notes",
                            "--no-show-signature",
                            "--no-ext-diff",
                            "--no-textconv",
                            "--no-relative",
                            "--ignore-submodules=none",
                            "-O/dev/null",
                            log_format,
                            head,
                            "--"});
}

struct Answer {
  int status;
  std::string text;  // without the last line end
};
Result<Answer> ask(const Arguments& argv, bool with_errors) {
  Answer answer{};
  const auto collect = [&answer](std::string_view piece) -> Status {
    constexpr std::size_t answer_bytes_max = 64 << 10;
    if (answer.text.size() + piece.size() > answer_bytes_max)
      return fail(ErrorKind::io, "git gave a longer answer than its question can have");
    answer.text += piece;
    return {};
  };
  VESTIGE_TRY(answer.status, platform::run_program(argv, collect,
                                                   {.without_environment = variables_that_redirect_git(),
                                                    .errors_to_output = with_errors}));
  if (answer.text.ends_with('\n')) answer.text.pop_back();
  return answer;
}
Result<std::string> ask_for(const std::string& directory, std::initializer_list<std::string_view> rest) {
  VESTIGE_TRY(auto answer, ask(git_in(directory, rest), false));
  if (answer.status == 0) return std::move(answer.text);
  return fail(ErrorKind::io,
              fmt::format("git {} failed in {} with exit status {}; its own message stands above",
                          fmt::join(rest, " "), directory, answer.status));
}

// The last name of the path of the top directory; for a bare repository of its own, less ".git".
Result<std::string> repository_name(const std::string& directory) {
  VESTIGE_TRY(const auto bare, ask_for(directory, {"rev-parse", "--is-bare-repository"}));
  VESTIGE_TRY(auto top,
              ask_for(directory, {"rev-parse", bare == "true" ? "--absolute-git-dir" : "--show-toplevel"}));
  auto name = top.substr(top.rfind('/') + 1);
  if (bare == "true" && name.ends_with(".git") && name.size() > 4) name.resize(name.size() - 4);
  return name;
}

std::string reason_of(const ChangedFile& file, std::string_view old_path) {
  switch (file.status) {
    case 'A':
      return "added";
    case 'D':
      return "deleted";
    case 'R':
      return fmt::format("renamed from {}", old_path);
    case 'C':
      return fmt::format("copied from {}", old_path);
    case 'T':
      return "type changed";
    default:
      return file.old_blob == file.new_blob ? "mode changed" : "modified";
  }
}

// Builds the event of one commit.
class CommitEvent {
 public:
  CommitEvent(const CommitHeader& header, const std::string& repository)
      : header_(header), repository_(repository) {}

  void add(const ChangedFile& file) {
    ++files_total_;
    if (files_listed_ >= git_changes_listed_max) return;
    const auto path = cleaned(file.path, path_bytes_max, "path");
    const auto old_path = cleaned(file.old_path, path_bytes_max, "path");
    EventWriter change;
    change.begin_object().text("field", path);
    write_blob(change, "old", file.old_blob);
    write_blob(change, "new", file.new_blob);
    change.text("reason", reason_of(file, old_path)).end_object();
    if (changes_.size() + change.json().size() > changes_bytes_max) return;
    changes_ += files_listed_++ == 0 ? "" : ",";
    changes_ += change.json();
  }

  std::string finish() {
    const auto author_email = cleaned(header_.author_email, name_bytes_max, "author");
    const auto author_name = cleaned(header_.author_name, name_bytes_max, "author");
    const auto& hash = header_.hash.text;
    const auto committed = parse_time(header_.committed_at.text);
    EventWriter event;
    event.begin_object().text("id", id_from({view("vestige-import git\n"), view(hash)}));
    if (committed) event.text("time", format_time(*committed));
    event.text("kind", "data.change").text("action", parents().size() > 1 ? "MERGED" : "COMMITTED");
    event.text("sourceType", "GIT_AUTHOR").text("sourceId", author_email);
    event.begin_object("sourceEntityMeta").text("name", author_name).end_object();
    event.text("targetType", "COMMIT").text("targetId", hash);
    event.begin_object("targetEntityMeta").text("repository", repository_).end_object();
    write_detail(event);
    event.raw("changes", fmt::format("[{}]", changes_));
    event.end_object();
    return event.take();
  }

 private:
  std::string cleaned(const LogToken& token, std::size_t bytes_max, std::string_view name) {
    auto result = clean(token.text, bytes_max);
    not_utf8_ = not_utf8_ || result.replaced;
    if ((result.cut || token.cut()) && std::ranges::find(cut_, name) == cut_.end()) cut_.push_back(name);
    return std::move(result.text);
  }

  static void write_blob(EventWriter& change, std::string_view key, std::string_view blob) {
    if (blob.find_first_not_of('0') == std::string_view::npos)
      change.null(key);
    else
      change.text(key, clean(blob, name_bytes_max).text);
  }

  std::vector<std::string_view> parents() const {
    std::vector<std::string_view> hashes;
    const std::string_view all = header_.parents.text;
    for (std::size_t start = 0; start < all.size();) {
      const auto end = std::min(all.find(' ', start), all.size());
      hashes.push_back(all.substr(start, end - start));
      start = end + 1;
    }
    return hashes;
  }

  void write_detail(EventWriter& event) {
    event.begin_object("detail");
    event.text("subject", cleaned(header_.subject, subject_bytes_max, "subject"));
    event.text("message", cleaned(header_.message, message_bytes_max, "message"));
    event.begin_array("parents");
    const auto hashes = parents();
    for (std::size_t i = 0; i < std::min(hashes.size(), parents_listed_max); ++i) event.element(hashes[i]);
    event.end_array();
    if (hashes.size() > parents_listed_max) event.number("parentsTotal", hashes.size());
    event.begin_object("committer");
    event.text("name", cleaned(header_.committer_name, name_bytes_max, "committer"));
    event.text("email", cleaned(header_.committer_email, name_bytes_max, "committer")).end_object();
    if (parse_time(header_.authored_at.text)) event.text("authoredAt", header_.authored_at.text);
    event.number("filesTotal", files_total_).number("filesListed", files_listed_);
    if (not_utf8_) event.truth("notUtf8", true);
    if (!cut_.empty()) {
      event.begin_array("cut");
      for (const auto name : cut_) event.element(name);
      event.end_array().number("messageBytes", header_.message.bytes);
    }
    event.end_object();
  }

  const CommitHeader& header_;
  const std::string& repository_;
  std::string changes_;
  std::uint64_t files_total_ = 0;
  std::uint64_t files_listed_ = 0;
  bool not_utf8_ = false;
  std::vector<std::string_view> cut_;
};

class GitReader final : public Reader {
 public:
  // Without a log: a repository that has no commit yet.
  GitReader(std::optional<GitLog> log, std::string repository, std::uint64_t commits, bool shallow)
      : log_(std::move(log)), repository_(std::move(repository)), commits_(commits), shallow_(shallow) {}

  Result<std::optional<ImportedEvent>> next() override {
    if (!log_) return std::nullopt;
    VESTIGE_TRY(const auto header, log_->next_commit());
    if (!header) {
      log_.reset();
      if (records_ == commits_) return std::nullopt;
      return fail(ErrorKind::io,
                  fmt::format("git log gave {} commits where git rev-list counted {}: the repository {} "
                              "changed or is damaged; run `git fsck` and import again",
                              records_, commits_, repository_));
    }
    CommitEvent event(*header, repository_);
    for (;;) {
      VESTIGE_TRY(const auto* const file, log_->next_file());
      if (file == nullptr) break;
      event.add(*file);
    }
    ++records_;
    return ImportedEvent{
        .json = event.finish(), .record = {}, .where = fmt::format("commit {}", header->hash.text)};
  }
  std::optional<double> progress() const override {
    return commits_ == 0 ? 1.0 : static_cast<double>(records_) / static_cast<double>(commits_);
  }
  const std::string& format() const override { return format_; }
  std::uint64_t records() const override { return records_; }
  std::vector<std::string> notices() const override {
    if (!shallow_) return {};
    return {
        fmt::format("{} is a shallow clone: commits before its boundary are not in it and were not imported "
                    "(`git fetch --unshallow` gets them)",
                    repository_)};
  }

 private:
  std::optional<GitLog> log_;
  const std::string format_ = "git";
  std::string repository_;
  std::uint64_t commits_;
  bool shallow_;
  std::uint64_t records_ = 0;
};

// Says in git's own words why a directory is no repository for us: there may be none, or one that belongs to
// somebody else.
Status check_repository(const std::string& directory) {
  VESTIGE_TRY(const auto answer, ask(git_in(directory, {"rev-parse", "--git-dir"}), true));
  if (answer.status == 0) return {};
  return fail(ErrorKind::invalid,
              fmt::format("{} cannot be imported as a git repository: {}. Give a directory inside a "
                          "repository, or a file",
                          directory, clean(answer.text, name_bytes_max).text));
}

}  // namespace

Result<std::unique_ptr<Reader>> open_git_reader(const std::string& directory, const std::string& repository) {
  VESTIGE_CHECKED(check_repository(directory));
  auto name = repository;
  if (name.empty()) {
    VESTIGE_TRY(name, repository_name(directory));
  }
  name = clean(name, name_bytes_max).text;
  VESTIGE_TRY(const auto head,
              ask(git_in(directory, {"rev-parse", "--verify", "--quiet", "HEAD^{commit}"}), false));
  if (head.status == 1) return std::make_unique<GitReader>(std::nullopt, std::move(name), 0, false);
  if (head.status != 0)
    return fail(ErrorKind::io,
                fmt::format("git cannot read HEAD of {}; its own message stands above", directory));
  // The commit is named from here on, so that a commit made meanwhile cannot make count and log differ.
  VESTIGE_TRY(const auto count, ask_for(directory, {"rev-list", "--count", head.text, "--"}));
  std::uint64_t commits = 0;
  std::from_chars(count.data(), count.data() + count.size(), commits);
  VESTIGE_TRY(const auto shallow, ask_for(directory, {"rev-parse", "--is-shallow-repository"}));
  VESTIGE_TRY(auto program, platform::start_program(log_command(directory, head.text),
                                                    {.without_environment = variables_that_redirect_git(),
                                                     .errors_to_output = false}));
  return std::make_unique<GitReader>(GitLog(std::move(program)), std::move(name), commits, shallow == "true");
}

}  // namespace vestige::cli::importing
