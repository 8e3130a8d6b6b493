#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>

#include "base/uuid.h"
#include "cli/cli.h"
#include "cli/internal/commands.h"
#include "cli/internal/display.h"
#include "cli/internal/import.h"
#include "cli/internal/json_text.h"
#include "cli/internal/progress.h"
#include "cli/internal/rotation.h"
#include "crypto/digest.h"

namespace vestige::cli {
namespace {

const std::string events_path = "/api/events";
const std::string ndjson_type = "application/x-ndjson";
constexpr std::string_view id_domain = "vestige import line v1\n";

struct FileResult {
  std::string path;
  importing::Format format = importing::Format::auto_detect;
  std::uint64_t records = 0;
  std::uint64_t accepted = 0;
  std::uint64_t duplicates = 0;
};

std::string_view name_of(importing::Format format) {
  switch (format) {
    case importing::Format::ndjson:
      return "ndjson";
    case importing::Format::git:
      return "git";
    case importing::Format::dpkg:
      return "dpkg";
    case importing::Format::auto_detect:
      break;
  }
  return "auto";
}

struct Batch {
  std::string body;
  std::vector<std::string> wheres;

  bool has_room_for(std::size_t bytes) const {
    return wheres.empty() || (wheres.size() < batch_events_max && body.size() + bytes + 1 <= batch_bytes_max);
  }
  void clear() {
    body.clear();
    wheres.clear();
  }
};

// What Retry-After asks for, where it is a number of seconds.
std::optional<std::chrono::milliseconds> retry_after(const http::ClientResponse& response) {
  for (const auto& [name, value] : response.headers) {
    if (name != "retry-after") continue;
    std::uint32_t seconds = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (error == std::errc{} && end == value.data() + value.size())
      return std::min(std::chrono::seconds(seconds), retry_after_max);
  }
  return std::nullopt;
}

class Importer {
 public:
  Importer(const ImportArguments& arguments, Connection& connection, Surroundings& surroundings)
      : arguments_(arguments),
        format_(importing::parse_format(arguments.format).value_or(importing::Format::auto_detect)),
        connection_(connection),
        surroundings_(surroundings),
        progress_(surroundings),
        paths_(oldest_first(arguments.paths)) {}

  Status run() {
    for (const auto& path : paths_) VESTIGE_CHECKED(import_path(path));
    return {};
  }
  const std::vector<FileResult>& results() const { return results_; }

 private:
  Status import_path(const std::string& path) {
    auto reader = importing::open_reader(format_, path,
                                         {.occurrences = &log_lines_, .repository = arguments_.repository});
    if (!reader) {
      // A path that is not there is a wrong command line.
      if (reader.error().kind == ErrorKind::not_found) reader.error().kind = ErrorKind::invalid;
      return std::unexpected(std::move(reader).error());
    }
    results_.push_back({.path = path, .format = (*reader)->format()});
    for (;;) {
      auto event = (*reader)->next();
      if (!event) {
        // What was read before the bad place is good, and is kept.
        VESTIGE_CHECKED(send_batch());
        return fail(ErrorKind::corrupt, std::move(event).error().message);
      }
      if (!*event) break;
      VESTIGE_CHECKED(add(*std::move(*event)));
      progress_.update(path, overall((*reader)->progress()), events_);
    }
    VESTIGE_CHECKED(send_batch());
    progress_.clear();
    for (const auto& notice : (*reader)->notices())
      surroundings_.say(fmt::format("vestige: {}: {}\n", escaped(path), escaped(notice)));
    return {};
  }

  std::optional<double> overall(std::optional<double> share) const {
    const auto done = static_cast<double>(results_.size() - 1);
    const auto all = static_cast<double>(paths_.size());
    if (!share) return all > 1 ? std::optional(done / all) : std::nullopt;
    return (done + *share) / all;
  }

  Status add(importing::ImportedEvent event) {
    auto json = results_.back().format == importing::Format::ndjson
                    ? with_id(std::move(event.json), plain_lines_)
                    : std::move(event.json);
    if (!batch_.has_room_for(json.size())) VESTIGE_CHECKED(send_batch());
    batch_.body += json;
    batch_.body += '\n';
    batch_.wheres.push_back(std::move(event.where));
    ++results_.back().records;
    ++events_;
    return {};
  }

  Status send_batch() {
    if (batch_.wheres.empty()) return {};
    VESTIGE_TRY(const auto response, post());
    json::Document document;
    VESTIGE_CHECKED(parse_answer(response.body, document));
    const auto accepted = number_of(document.root(), "accepted", UINT64_MAX);
    const auto duplicates = number_of(document.root(), "duplicates", UINT64_MAX);
    if (accepted > batch_.wheres.size() || duplicates != batch_.wheres.size() - accepted)
      return fail(
          ErrorKind::corrupt,
          fmt::format("The server acknowledged something else than the {} events that it was sent: {}",
                      batch_.wheres.size(), escaped(std::string_view(response.body).substr(0, 200))));
    results_.back().accepted += accepted;
    results_.back().duplicates += duplicates;
    batch_.clear();
    return {};
  }

  // Every event has an id, so a batch whose answer was lost may be sent again.
  Result<http::ClientResponse> post() {
    auto pause = retry_pause_min;
    for (unsigned attempt = 1;; ++attempt) {
      auto response = connection_.client().send("POST", events_path, batch_.body, ndjson_type);
      if (!response && response.error().kind != ErrorKind::unavailable) return response;
      const bool busy = response && (response->status == 503 || response->status == 429);
      if (response && !busy) {
        if (response->status < 300) return response;
        return std::unexpected(refused(*response));
      }
      // A server that never answered is more likely not there than lost.
      const bool give_up = attempt == batch_attempts_max || (!response && !reached_);
      reached_ = reached_ || response;
      const auto why = response ? describe_refusal(*response) : response.error().message;
      if (give_up)
        return fail(ErrorKind::unavailable,
                    fmt::format("{}\n  {}", why,
                                attempt == 1 ? fmt::format("The address comes from {}.",
                                                           connection_.target().url_source)
                                             : fmt::format("Given up after {} attempts.", attempt)));
      const auto wait = std::max(pause, response ? retry_after(*response).value_or(pause) : pause);
      if (attempt == 1) {
        progress_.clear();
        surroundings_.say(fmt::format("vestige: {}\n  Waiting {} ms and trying again, up to {} times.\n", why,
                                      wait.count(), batch_attempts_max - 1));
      }
      surroundings_.pause(wait);
      pause = std::min(pause * 2, retry_pause_max);
    }
  }

  Error refused(const http::ClientResponse& response) const {
    auto error = refusal(response);
    error.kind = ErrorKind::denied;
    const auto& path = results_.back().path;
    if (const auto event = event_of_problem(response.body, batch_.body);
        event && *event < batch_.wheres.size())
      error.message += fmt::format("\n  The record is {} of {}.", batch_.wheres[*event], escaped(path));
    else
      error.message += fmt::format("\n  The batch holds {} to {} of {}.", batch_.wheres.front(),
                                   batch_.wheres.back(), escaped(path));
    error.message += fmt::format(
        "\n  Nothing of this batch ({} events) was kept. What was accepted before stays; importing again "
        "adds only "
        "what is missing.",
        batch_.wheres.size());
    return error;
  }

  const ImportArguments& arguments_;
  const importing::Format format_;
  Connection& connection_;
  Surroundings& surroundings_;
  Progress progress_;
  const std::vector<std::string> paths_;
  importing::LineOccurrences log_lines_;
  importing::LineOccurrences plain_lines_;
  std::vector<FileResult> results_;
  Batch batch_;
  std::uint64_t events_ = 0;
  bool reached_ = false;
};

std::string results_json(const std::vector<FileResult>& results, bool complete) {
  std::string files;
  FileResult sum;
  for (const auto& each : results) {
    files += files.empty() ? "" : ",";
    files += JsonObject()
                 .text("path", each.path)
                 .text("format", name_of(each.format))
                 .number("records", each.records)
                 .number("accepted", each.accepted)
                 .number("duplicates", each.duplicates)
                 .str();
    sum.records += each.records;
    sum.accepted += each.accepted;
    sum.duplicates += each.duplicates;
  }
  return JsonObject()
             .raw("files", "[" + files + "]")
             .number("records", sum.records)
             .number("accepted", sum.accepted)
             .number("duplicates", sum.duplicates)
             .boolean("complete", complete)
             .str() +
         "\n";
}

std::string results_text(const std::vector<FileResult>& results) {
  std::string text;
  for (const auto& each : results)
    text += fmt::format("{} ({}): {} records read, {} accepted, {} duplicates\n", escaped(each.path),
                        name_of(each.format), with_separators(each.records), with_separators(each.accepted),
                        with_separators(each.duplicates));
  return text;
}

}  // namespace

std::string with_id(std::string json, importing::LineOccurrences& occurrences) {
  json::Parser parser;
  json::Document document;
  // What does not parse is for the server to refuse, in the same words as for every other client.
  if (!parser.parse(json, document) || !document.root().is_object() || document.root().find("id").exists())
    return json;
  const auto number = fmt::format("\n{}", occurrences.count(json));
  const auto digest = crypto::sha256({view(id_domain), view(json), view(number)});
  Block16 half;
  std::copy_n(digest.begin(), half.size(), half.begin());
  const auto id =
      fmt::format("\"id\":\"{}\"{}", format_uuid(make_uuid_v8(half)), document.root().size() ? "," : "");
  json.insert(static_cast<std::size_t>(document.root().position()) + 1, id);
  return json;
}

std::optional<std::size_t> event_of_problem(std::string_view problem_json, std::string_view body) {
  json::Parser parser;
  json::Document document;
  if (!parser.parse(problem_json, document)) return std::nullopt;
  const auto path = text_of(document.root(), "path");
  if (path.size() > 1 && path[0] == '/') {
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(path.data() + 1, path.data() + path.size(), number);
    if (error == std::errc{} && (end == path.data() + path.size() || *end == '/')) return number;
  }
  const auto position = number_of(document.root(), "position", UINT64_MAX);
  if (position >= body.size()) return std::nullopt;
  return static_cast<std::size_t>(
      std::ranges::count(body.substr(0, static_cast<std::size_t>(position)), '\n'));
}

int run_import(const ImportArguments& arguments, Surroundings& surroundings) {
  auto connection = connect(arguments.connection, surroundings, KeyNeed::required);
  if (!connection) return report(surroundings, connection.error());
  Importer importer(arguments, *connection, surroundings);
  const auto imported = importer.run();
  // Of a path that could not even be opened there is nothing to tell but the error.
  if (imported || !importer.results().empty())
    surroundings.print(wants_json(arguments.connection, surroundings)
                           ? results_json(importer.results(), imported.has_value())
                           : results_text(importer.results()));
  return imported ? exit_ok : report(surroundings, imported.error());
}

void declare_import(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<ImportArguments>();
  auto* command =
      app.add_subcommand("import", "Import an audit trail that exists already, one entry a record");
  command
      ->add_option("paths", arguments->paths,
                   "files (plain, gzip or zstd), repositories, or - for standard input")
      ->required()
      ->type_name("PATH...");
  command->add_option("--format", arguments->format, "auto (the default), ndjson, git or dpkg")
      ->check(CLI::IsMember({"auto", "ndjson", "git", "dpkg"}).description(""))
      ->type_name("FORMAT");
  command
      ->add_option("--repository", arguments->repository,
                   "git: the repository's name in the entries; its folder's name without this")
      ->type_name("NAME");
  add_connection_options(*command, arguments->connection, KeyNeed::required);
  command->footer(
      "Formats: ndjson is one event object a line; git the commits of a repository; dpkg the package log of "
      "Debian,\n"
      "whose rotated files are read oldest first, in whatever order they are named.\n"
      "Importing the same again adds nothing, so an import that was cut short is repeated as a whole. An "
      "NDJSON event\n"
      "without an id gets one made of its text (and of how often the text occurs), for the same reason.\n"
      "A record that the server refuses ends the import (exit code 1) and is named.\n\n"
      "Examples:\n"
      "  vestige import --format git .\n"
      "  vestige import --format dpkg /var/log/dpkg.log*\n"
      "  zcat events.ndjson.gz | vestige import --format ndjson -\n");
  command->callback([arguments, &invocation] {
    invocation.action = [arguments, &invocation] { return run_import(*arguments, invocation.surroundings); };
  });
}

}  // namespace vestige::cli
