// The log of dpkg (/var/log/dpkg.log), one event a line. A line that fits none of the forms below is kept as
// an event with the action UNRECOGNISED, so that the number of events is the number of lines.
//
//   DATE TIME startup TYPE COMMAND
//   DATE TIME status STATE PACKAGE VERSION
//   DATE TIME install|upgrade|configure|trigproc|disappear|remove|purge PACKAGE INSTALLED AVAILABLE
//   DATE TIME conffile FILENAME DECISION

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/time_text.h"
#include "cli/import/internal/event_text.h"
#include "cli/import/internal/readers.h"
#include "json/json.h"
#include "platform/process.h"

namespace vestige::cli::importing {
namespace {

constexpr std::size_t stamp_bytes = 19;  // "2025-06-24 14:36:25"

struct Verb {
  std::string_view name;
  std::string_view action;
  std::size_t words;     // after the verb
  bool changes_version;  // from the installed version to the available one
};
constexpr Verb verbs[] = {
    {"startup", "STARTED", 2, false},    {"status", "STATUS_CHANGED", 3, false},
    {"install", "CREATED", 3, true},     {"upgrade", "UPDATED", 3, true},
    {"remove", "DELETED", 3, true},      {"purge", "DELETED", 3, true},
    {"disappear", "DELETED", 3, true},   {"configure", "CONFIGURED", 3, false},
    {"trigproc", "TRIGGERED", 3, false}, {"conffile", "CONFFILE_DECIDED", 2, false},
};

// What a line says. Views into the line.
struct Record {
  std::optional<UnixMs> time;
  const Verb* verb = nullptr;  // null: the line fits no form
  std::vector<std::string_view> words;
};

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> words;
  for (std::size_t start = 0; start <= text.size();) {
    const auto end = std::min(text.find(' ', start), text.size());
    words.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return words;
}

Record parse(std::string_view line) {
  Record record;
  if (line.size() < stamp_bytes + 2 || line[stamp_bytes] != ' ') return record;
  record.time = platform::local_time(line.substr(0, stamp_bytes));
  if (!record.time) return record;
  auto words = split(line.substr(stamp_bytes + 1));
  const auto verb = std::ranges::find(verbs, words[0], &Verb::name);
  if (verb == std::end(verbs)) return record;
  words.erase(words.begin());
  if (verb->name == "conffile" && words.size() > 2) {
    // File names may have spaces; the decision is the last word.
    const char* const start = words.front().data();
    const auto last = words.back();
    words = {std::string_view(start, static_cast<std::size_t>(last.data() - start) - 1), last};
  }
  const bool has_empty = std::ranges::any_of(words, [](auto word) { return word.empty(); });
  if (words.size() != verb->words || has_empty) return record;
  record.verb = &*verb;
  record.words = std::move(words);
  return record;
}

void write_version(EventWriter& event, std::string_view key, std::string_view version) {
  if (version == "<none>")
    event.null(key);
  else
    event.text(key, version);
}

void write_target(EventWriter& event, const Record& record) {
  const auto& words = record.words;
  if (record.verb->name == "startup") {
    event.text("targetType", "DPKG_RUN").text("targetId", fmt::format("{} {}", words[0], words[1]));
  } else if (record.verb->name == "conffile") {
    event.text("targetType", "FILE").text("targetId", words[0]);
  } else {
    event.text("targetType", "PACKAGE").text("targetId", record.verb->name == "status" ? words[1] : words[0]);
  }
}

void write_changes(EventWriter& event, const Record& record) {
  if (record.verb->changes_version) {
    event.begin_array("changes").begin_object().text("field", "version");
    write_version(event, "old", record.words[1]);
    write_version(event, "new", record.words[2]);
    event.end_object().end_array();
  } else if (record.verb->name == "status") {
    event.begin_array("changes").begin_object().text("field", "status").text("new", record.words[0]);
    event.end_object().end_array();
  }
}

class DpkgReader final : public MemberReader {
 public:
  DpkgReader(platform::ByteStream& stream, std::string name)
      : name_(std::move(name)), lines_(stream, name_) {}

  Result<std::optional<ImportedEvent>> next() override {
    for (;;) {
      VESTIGE_TRY(const auto line, lines_.next());
      if (!line) return std::nullopt;
      if (line->empty()) continue;
      ++records_;
      return event_of(*line);
    }
  }

  std::vector<std::string> notices() const override {
    if (unrecognised_ == 0) return {};
    return {fmt::format(
        "{} of the {} lines of {} have a form that dpkg does not write (the first is line {}); they are "
        "imported with the action UNRECOGNISED and their whole text",
        unrecognised_, records_, name_, first_unrecognised_)};
  }

 private:
  // The record is the line as a JSON string.
  ImportedEvent event_of(std::string_view line) {
    // No cut: a line of line_bytes_max bytes has at most six times as many when quoted.
    const auto cleaned = clean(line, 8 * line_bytes_max);
    const auto record = parse(cleaned.text);
    EventWriter event;
    event.begin_object();
    if (record.time) event.text("time", format_time(*record.time));
    event.text("kind", "data.change")
        .text("action", record.verb != nullptr ? record.verb->action : unrecognised_action);
    event.text("sourceType", "SYSTEM").text("sourceId", "dpkg");
    if (record.verb != nullptr) {
      write_target(event, record);
      write_changes(event, record);
    } else if (unrecognised_++ == 0) {
      first_unrecognised_ = lines_.line_number();
    }
    event.begin_object("detail");
    if (record.verb != nullptr) event.text("verb", record.verb->name);
    if (cleaned.replaced) event.truth("notUtf8", true);
    event.end_object().end_object();
    ImportedEvent made{
        .json = event.take(), .record = {}, .where = fmt::format("line {}", lines_.line_number())};
    json::append_quoted(made.record, cleaned.text);
    return made;
  }

  const std::string name_;
  LineReader lines_;
  std::uint64_t records_ = 0;
  std::uint64_t unrecognised_ = 0;
  std::uint64_t first_unrecognised_ = 0;
};

}  // namespace

bool looks_like_dpkg(std::string_view line) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return line.size() > stamp_bytes + 1 && platform::local_time(line.substr(0, stamp_bytes)) &&
         line[stamp_bytes] == ' ' && letter(line[stamp_bytes + 1]);
}

std::unique_ptr<MemberReader> make_dpkg_reader(platform::ByteStream& stream, std::string name) {
  return std::make_unique<DpkgReader>(stream, std::move(name));
}

}  // namespace vestige::cli::importing
