#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/encoding.h"
#include "base/time_text.h"
#include "cli/cli.h"
#include "cli/import/internal/input.h"
#include "cli/internal/commands.h"
#include "cli/internal/display.h"
#include "cli/internal/export.h"
#include "cli/internal/json_text.h"
#include "cli/internal/local_file.h"
#include "cli/internal/progress.h"
#include "verify/export_check.h"

namespace vestige::cli {
namespace {

constexpr std::size_t filter_bytes_max = 4 << 20;
constexpr std::size_t read_bytes = 256 << 10;

Result<trail::VerifierKey> parse_key(const std::string& text) {
  auto key = trail::parse_verifier_key(text);
  if (!key)
    return fail(ErrorKind::invalid, fmt::format("The verifier key does not parse: {}.", key.error().message));
  return key;
}

Status for_each_piece(const std::string& file, const std::function<bool(std::string_view)>& on_piece) {
  auto source = importing::open_source(file);
  if (!source) {
    // That a named file is not there is a wrong command line.
    source.error().kind = ErrorKind::invalid;
    return std::unexpected(std::move(source).error());
  }
  Bytes room(read_bytes);
  for (;;) {
    VESTIGE_TRY(const auto count, (*source)->read(room));
    if (count == 0 || !on_piece(text(ByteView(room).first(count)))) return {};
  }
}

Result<std::string> read_filter(const std::string& file) {
  std::string text;
  VESTIGE_CHECKED(for_each_piece(file, [&](std::string_view piece) {
    text += piece;
    return text.size() <= filter_bytes_max;
  }));
  json::Parser parser;
  json::Document document;
  if (text.size() > filter_bytes_max)
    return fail(ErrorKind::invalid, fmt::format("The filter is longer than {} bytes.", filter_bytes_max));
  if (const auto parsed = parser.parse(text, document); !parsed || !document.root().is_object())
    return fail(ErrorKind::invalid,
                fmt::format("{} holds no filter, which is a JSON object (docs/query.md){}{}", escaped(file),
                            parsed ? "." : ": ", parsed ? "" : parsed.error().message));
  return json::canonical(document.root());
}

Result<std::string> body_of(const ExportArguments& arguments) {
  if (!is_utf8(arguments.query))
    return fail(ErrorKind::invalid, "The query is not valid UTF-8; check the locale of this terminal.");
  JsonObject body;
  if (!arguments.query.empty()) body.text("query", arguments.query);
  for (const auto& [option, name, value] :
       {std::tuple("--from", "timeFrom", arguments.from), std::tuple("--to", "timeTo", arguments.to)}) {
    if (value.empty()) continue;
    if (!parse_time(value))
      return fail(ErrorKind::invalid,
                  fmt::format("{} takes an RFC 3339 time, such as 2026-11-25T14:40:11Z, not \"{}\".", option,
                              escaped(value)));
    body.text(name, value);
  }
  if (!arguments.filter_file.empty()) {
    VESTIGE_TRY(const auto filter, read_filter(arguments.filter_file));
    body.raw("filter", filter);
  }
  return body.str();
}

std::string sections_json(const verify::ExportFacts& facts) {
  return JsonObject()
      .number("closed", facts.closed)
      .number("erased", facts.erased)
      .number("present", facts.present)
      .number("unknown", facts.unknown)
      .str();
}

JsonObject as_json(const verify::ExportVerdict& verdict) {
  const auto& facts = verdict.facts;
  JsonObject object;
  object.boolean("ok", !verdict.bad)
      .raw("firstBad",
           verdict.bad
               ? JsonObject().number("line", verdict.bad->line).text("reason", verdict.bad->reason).str()
               : "null")
      .number("events", facts.events)
      .number("size", facts.size)
      .boolean("wholeTree", verdict.whole_tree())
      .boolean("signatureChecked", verdict.signature_checked);
  if (!verdict.bad)
    object.text("origin", facts.origin)
        .text("root", to_base64(facts.root))
        .raw("asked", facts.asked)
        .raw("search", facts.search)
        .text("exportedAt", facts.exported_at)
        .raw("exporter", JsonObject().text("id", facts.exporter_id).text("name", facts.exporter_name).str())
        .raw("sections", sections_json(facts));
  return object;
}

std::string in_words(const verify::ExportVerdict& verdict, std::string_view file) {
  const auto& facts = verdict.facts;
  if (verdict.bad)
    return fmt::format("WRONG: {}, line {}: {}.\n", escaped(file), verdict.bad->line,
                       escaped(verdict.bad->reason));
  std::string out =
      fmt::format("OK: {} event{} of the {} entries of the log {}{}.\n", with_separators(facts.events),
                  facts.events == 1 ? "" : "s", with_separators(facts.size), escaped(facts.origin),
                  verdict.signature_checked ? ", signed by its key" : "");
  out += fmt::format("  search    {}\n  exported  {} by \"{}\" ({})\n", escaped(facts.search),
                     escaped(facts.exported_at), escaped(facts.exporter_name), escaped(facts.exporter_id));
  if (facts.events > 0)
    out += fmt::format("  events    from {} to {}\n", escaped(facts.time_first), escaped(facts.time_last));
  if (facts.present + facts.erased + facts.closed + facts.unknown > 0)
    out += fmt::format("  sections  {} open, {} erased, {} closed to the exporter, {} without a key\n",
                       with_separators(facts.present), with_separators(facts.erased),
                       with_separators(facts.closed), with_separators(facts.unknown));
  out += verdict.whole_tree() ? "Every entry of that tree is here: that nothing is missing is proven.\n"
                              : "Each event is an entry of that tree, unaltered and in its place. That the "
                                "search left nothing out is the server's word.\n";
  if (!verdict.signature_checked)
    out +=
        "No key was given (--vkey): the file is of one piece, and nothing says who made it. Anybody could "
        "have.\n";
  return out;
}

int unusable(Surroundings& surroundings, const Error& error) {
  surroundings.say(fmt::format("vestige: {}\n", escaped(error.message)));
  return error.kind == ErrorKind::invalid ? exit_usage : exit_found_wrong;
}

// Where an export goes while it comes.
class Receiver {
 public:
  Receiver(const trail::VerifierKey& key, Surroundings& surroundings)
      : check_(key), surroundings_(surroundings) {}

  Status open(const std::string& path) {
    VESTIGE_TRY(file_, LocalWriter::create(path));
    return {};
  }
  // False where it makes no sense to receive more.
  bool take(std::string_view piece) {
    const bool good = check_.feed(piece);
    if (file_) {
      written_ = file_->write(piece);
    } else {
      surroundings_.print(piece);
      if (!surroundings_.flush())
        written_ = fail(ErrorKind::io, "Standard output does not take what is written to it.");
    }
    return good && written_;
  }
  // Of an export that has come; what is wrong with it is corrupt.
  Result<verify::ExportVerdict> finish() {
    VESTIGE_CHECKED(written_);
    auto verdict = check_.finish();
    if (verdict.bad)
      return fail(ErrorKind::corrupt, fmt::format("The export is not whole: line {}: {}.{}",
                                                  verdict.bad->line, verdict.bad->reason, left_behind()));
    if (file_) VESTIGE_CHECKED(file_->finish());
    return verdict;
  }
  std::string left_behind() const {
    return file_ ? fmt::format(" What came is in {}.", file_->part_path()) : std::string();
  }

 private:
  verify::ExportCheck check_;
  Surroundings& surroundings_;
  std::unique_ptr<LocalWriter> file_;
  Status written_;
};

Result<verify::ExportVerdict> receive(const ExportArguments& arguments, Surroundings& surroundings) {
  VESTIGE_TRY(const auto body, body_of(arguments));
  VESTIGE_TRY(auto connection, connect(arguments.connection, surroundings, KeyNeed::required));
  VESTIGE_TRY(const auto key_text, verifier_key_of(connection, arguments.verifier_key));
  VESTIGE_TRY(const auto key, parse_key(key_text));
  Receiver receiver(key, surroundings);
  if (!arguments.out.empty()) VESTIGE_CHECKED(receiver.open(arguments.out));
  auto response =
      connection.client().post_for_stream("/api/export?format=" + arguments.format, body, "application/json",
                                          [&](std::string_view piece) { return receiver.take(piece); });
  if (!response) {
    response.error().message += receiver.left_behind();
    return std::unexpected(std::move(response).error());
  }
  if (response->status != 200) return std::unexpected(refusal(*response));
  return receiver.finish();
}

}  // namespace

int run_export(const ExportArguments& arguments, Surroundings& surroundings) {
  const auto verdict = receive(arguments, surroundings);
  if (!verdict) return report(surroundings, verdict.error());
  if (arguments.out.empty()) {
    if (surroundings.errors_are_terminal()) surroundings.say(in_words(*verdict, ""));
    return exit_ok;
  }
  if (wants_json(arguments.connection, surroundings)) {
    surroundings.print(as_json(*verdict).text("file", arguments.out).str() + "\n");
    return exit_ok;
  }
  surroundings.print(in_words(*verdict, arguments.out));
  surroundings.print(fmt::format(
      "Written: {}. Anyone can check it without the server:\n  vestige verify-export {} --vkey KEY\n",
      escaped(arguments.out), escaped(arguments.out)));
  return exit_ok;
}

int run_verify_export(const VerifyExportArguments& arguments, Surroundings& surroundings) {
  std::optional<trail::VerifierKey> key;
  if (!arguments.verifier_key.empty()) {
    const auto text = read_verifier_key(arguments.verifier_key);
    if (!text) return unusable(surroundings, text.error());
    auto parsed = parse_key(*text);
    if (!parsed) return unusable(surroundings, parsed.error());
    key = *std::move(parsed);
  }
  verify::ExportCheck check(std::move(key));
  const auto read = for_each_piece(arguments.file, [&](std::string_view piece) { return check.feed(piece); });
  if (!read) return unusable(surroundings, read.error());
  const auto verdict = check.finish();
  const bool json = arguments.json || !surroundings.output_is_terminal();
  surroundings.print(json ? as_json(verdict).str() + "\n" : in_words(verdict, arguments.file));
  return verdict.bad ? exit_found_wrong : exit_ok;
}

void declare_export(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<ExportArguments>();
  auto* command = app.add_subcommand("export", "Write what a search finds to one file that proves itself");
  command
      ->add_option("query", arguments->query, "what to find, in the search language; everything without it")
      ->type_name("QUERY");
  command
      ->add_option("--filter", arguments->filter_file,
                   "a file that holds a filter tree (docs/query.md); - for standard input")
      ->type_name("FILE");
  command->add_option("--from", arguments->from, "at this time or later (RFC 3339)")->type_name("TIME");
  command->add_option("--to", arguments->to, "before this time (RFC 3339)")->type_name("TIME");
  command->add_option("--format", arguments->format, "ndjson (the default) or csv")
      ->check(CLI::IsMember({"ndjson", "csv"}).description(""))
      ->type_name("FORMAT");
  command->add_option("--out", arguments->out, "the file (standard output)")->type_name("FILE");
  command->add_option("--vkey", arguments->verifier_key, "the log's verifier key, or a file that holds it")
      ->type_name("KEY");
  add_connection_options(*command, arguments->connection, KeyNeed::required);
  add_tenant_option(*command, arguments->connection);
  add_look_options(*command, arguments->connection);
  add_subject_option(*command, arguments->connection);
  command->footer(
      "The oldest event comes first, each with its sealed entry; proof and signature are in the same file "
      "and "
      "are checked\n"
      "while it comes. A file that is not whole is left as FILE.part. Exit code 1 where that happens.\n\n"
      "Examples:\n"
      "  vestige export 'target:A-1 since:30d' --out a-1.ndjson\n"
      "  vestige export --format csv --out everything.csv\n");
  run_with(*command, arguments, invocation, run_export);
}

void declare_verify_export(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<VerifyExportArguments>();
  auto* command = app.add_subcommand("verify-export", "Check an export, without a server");
  command->add_option("file", arguments->file, "the export, NDJSON or CSV; - for standard input")
      ->type_name("FILE")
      ->required();
  command
      ->add_option("--vkey", arguments->verifier_key,
                   "the log's verifier key, from somebody you trust, or a file that holds it")
      ->type_name("KEY");
  command->add_flag("--json", arguments->json, "one JSON object, also on a terminal");
  command->footer(
      "Says what the file proves, or names the first line that is wrong and why. Exit code 0 where it holds, "
      "1 "
      "where it\n"
      "does not, 2 where the file or the key cannot be read.\n\n"
      "Examples:\n"
      "  vestige verify-export a-1.ndjson --vkey log.vkey\n");
  run_with(*command, arguments, invocation, run_verify_export);
}

}  // namespace vestige::cli
