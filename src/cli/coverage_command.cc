#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/encoding.h"
#include "base/time_text.h"
#include "cli/cli.h"
#include "cli/internal/commands.h"
#include "cli/internal/coverage.h"
#include "cli/internal/display.h"
#include "cli/internal/json_text.h"
#include "cli/internal/local_file.h"
#include "cli/internal/progress.h"
#include "verify/coverage_check.h"
#include "verify/limits.h"

namespace vestige::cli {
namespace {

constexpr std::pair<std::string_view, std::string_view> causes[] = {
    {"slot_moved", "the replication slot was lost, given up, made anew or moved by somebody"},
    {"other_system", "it is another cluster than before"},
    {"offsets_gone", "Kafka had removed them before they were read"},
    {"offsets_moved", "the partition is another one than was read: made anew, or without its end"},
    {"unexplained", "NO ENTRY TELLS WHY; keep the data directory as it is, and run vestige verify on it"}};

std::string_view words_of(std::string_view cause) {
  for (const auto& [name, words] : causes)
    if (name == cause) return words;
  return cause;
}

std::string counted(std::uint64_t count, std::string_view one, std::string_view several) {
  return fmt::format("{} {}", with_separators(count), count == 1 ? one : several);
}

// How long before the report was made; "never".
std::string age_of(const json::Value& heartbeat, UnixMs made) {
  const auto time = parse_time(text_of(heartbeat, "time"));
  if (!time) return "never";
  const auto seconds = std::max<std::int64_t>(0, made.value - time->value) / 1'000;
  if (seconds < 120) return fmt::format("{} s before", seconds);
  if (seconds < 7'200) return fmt::format("{} min before", seconds / 60);
  if (seconds < 172'800) return fmt::format("{} h before", seconds / 3'600);
  return fmt::format("{} days before", seconds / 86'400);
}

std::string what_of(const json::Value& run) {
  if (run.find("topic").exists())
    return fmt::format("{}/{}", text_of(run, "topic"), text_of(run, "partition"));
  return text_of(run, "database");
}

template <typename Each>
void for_each(const json::Value& list, Each each) {
  for (std::size_t i = 0; list.is_array() && i < list.size(); ++i) each(list.at(i));
}

std::string table_of(const json::Value& report, UnixMs made, unsigned columns) {
  std::vector<std::vector<std::string>> rows;
  for_each(report.find("sources"), [&](const json::Value& source) {
    const auto heard = age_of(source.find("heartbeat"), made);
    const auto capture = text_of(source, "capture");
    for_each(source.find("runs"), [&](const json::Value& run) {
      std::size_t gaps = 0;
      for_each(run.find("steps"), [&](const json::Value& step) { gaps += step.find("cause").exists(); });
      rows.push_back({capture, text_of(source, "kind"), what_of(run), text_of(run, "from"),
                      text_of(run, "to"), fmt::format("{}", gaps), heard});
    });
    if (source.find("runs").size() == 0)
      rows.push_back({capture, text_of(source, "kind"), "", "", "", "0", heard});
  });
  if (rows.empty()) return "No capture told anything of itself.\n";
  return render_table({{"SOURCE", false},
                       {"KIND", false},
                       {"OF"},
                       {"FROM", false},
                       {"TOLD UP TO", false},
                       {"GAPS", false},
                       {"LAST HEARD OF", false}},
                      rows, columns);
}

std::string gaps_in_words(const json::Value& source) {
  std::string out;
  const auto capture = escaped(text_of(source, "capture"));
  const auto told = [](const json::Value& gap) {
    return fmt::format("{} (entry {}, {})", words_of(text_of(gap, "cause")), text_of(gap, "index"),
                       escaped(text_of(gap, "time")));
  };
  for_each(source.find("runs"), [&](const json::Value& run) {
    for_each(run.find("steps"), [&](const json::Value& step) {
      if (step.find("cause").exists())
        out += fmt::format("  {} {}: from {} to {}: {}\n", capture, escaped(what_of(run)),
                           escaped(text_of(step, "from")), escaped(text_of(step, "to")), told(step));
    });
  });
  for_each(source.find("moves"), [&](const json::Value& move) {
    out += fmt::format("  {}: from the cluster {} to {}: {}\n", capture, escaped(text_of(move, "before")),
                       escaped(text_of(move, "after")), told(move));
  });
  return out;
}

std::string totals_in_words(const json::Value& source) {
  const auto totals = source.find("totals");
  const auto count = [&](std::string_view name) { return number_of(totals, name, 0); };
  auto out = fmt::format("  {}: ", escaped(text_of(source, "capture")));
  if (text_of(source, "kind") == "kafka")
    out += fmt::format("{}, and {} refused", counted(count("commands"), "command", "commands"),
                       with_separators(count("refused")));
  else
    out += fmt::format("{} with {}, {} of them unattributed",
                       counted(count("transactions"), "transaction", "transactions"),
                       counted(count("rows"), "row", "rows"), with_separators(count("unattributed")));
  for_each(source.find("snapshots"), [&](const json::Value& snapshot) {
    out += fmt::format("; a snapshot of {} at {}", counted(number_of(snapshot, "rows", 0), "row", "rows"),
                       escaped(text_of(snapshot, "at")));
  });
  return out + "\n";
}

std::string listing_in_words(const json::Value& listing, std::string_view one, std::string_view several,
                             std::string_view search) {
  const auto count = number_of(listing, "count", 0);
  if (count == 0) return {};
  const bool whole = text_of(listing, "whole") == "true";
  return fmt::format("{}{}: vestige query '{}'\n", whole ? "" : "At least ", counted(count, one, several),
                     search);
}

std::string unattributed_table(const json::Value& listing, unsigned columns) {
  std::vector<std::vector<std::string>> rows;
  for_each(listing.find("listed"), [&](const json::Value& change) {
    std::vector<std::string> row;
    for (const auto* name : {"index", "time", "action", "targetType", "capture", "transaction", "lsn"})
      row.push_back(text_of(change, name));
    rows.push_back(std::move(row));
  });
  if (rows.empty()) return {};
  return "\n" + render_table({{"INDEX", false},
                              {"TIME", false},
                              {"ACTION", false},
                              {"TABLE", false},
                              {"SOURCE", false},
                              {"TRANSACTION", false},
                              {"LSN", false}},
                             rows, columns);
}

std::string in_words(const verify::CheckedCoverage& checked, bool with_unattributed, unsigned columns) {
  json::Parser parser;
  json::Document document;
  if (!parser.parse(
          checked.report, document,
          {.depth_max = verify::limits::export_depth_max, .bytes_max = verify::limits::coverage_bytes_max}))
    return {};
  const auto report = document.root();
  const auto made = parse_time(text_of(report, "madeAt")).value_or(UnixMs{});
  auto out = fmt::format(
      "Captures as the log {} tells of them with {}, at {}:\n", escaped(checked.checkpoint.origin),
      counted(checked.checkpoint.size, "entry", "entries"), escaped(text_of(report, "madeAt")));
  out += table_of(report, made, columns);
  std::string gaps, totals;
  for_each(report.find("sources"), [&](const json::Value& source) {
    gaps += gaps_in_words(source);
    totals += totals_in_words(source);
  });
  if (!totals.empty()) out += "\nOn record, up to the last time that something was heard:\n" + totals;
  if (!gaps.empty()) out += "\nNot on record:\n" + gaps;
  const auto unattributed = report.find("unattributed");
  const auto listings = listing_in_words(unattributed, "change of which nobody said who made it",
                                         "changes of which nobody said who made them",
                                         "context.attribution:none -action:SNAPSHOT") +
                        listing_in_words(report.find("refused"), "command was refused",
                                         "commands were refused", "kind:system.capture action:REFUSED");
  if (!listings.empty()) out += "\n" + listings;
  if (with_unattributed) out += unattributed_table(unattributed, columns);
  if (checked.gaps > 0) return out + fmt::format("\n{}.\n", counted(checked.gaps, "GAP", "GAPS"));
  return out + "\nNo gap.\n";
}

JsonObject as_json(const verify::CheckedCoverage& checked) {
  JsonObject object;
  object.boolean("ok", true)
      .text("origin", checked.checkpoint.origin)
      .number("size", checked.checkpoint.size)
      .text("root", to_base64(checked.checkpoint.root))
      .number("gaps", checked.gaps);
  return object;
}

struct Report {
  std::string text;
  verify::CheckedCoverage checked;
};

Result<Report> fetch(const CoverageArguments& arguments, const Surroundings& surroundings) {
  std::string path = "/api/capture/coverage";
  const auto add = [&](std::string_view name, const std::string& value) {
    path += fmt::format("{}{}={}", path.find('?') == std::string::npos ? '?' : '&', name, encoded(value));
  };
  if (!is_utf8(arguments.source)) return fail(ErrorKind::invalid, "--source is not valid UTF-8.");
  if (!arguments.source.empty()) add("source", arguments.source);
  for (const auto& [name, value] : {std::pair("from", arguments.from), std::pair("to", arguments.to)}) {
    if (value.empty()) continue;
    if (!parse_time(value))
      return fail(ErrorKind::invalid,
                  fmt::format("--{} takes an RFC 3339 time, such as 2026-11-25T14:40:11Z, not \"{}\".", name,
                              escaped(value)));
    add(name, value);
  }
  VESTIGE_TRY(auto connection, connect(arguments.connection, surroundings, KeyNeed::required));
  VESTIGE_TRY(auto response, connection.get(path));
  VESTIGE_TRY(const auto key, verifier_key_of(connection, arguments.verifier_key));
  auto checked = verify::check_coverage(response.body, key);
  if (!checked)
    return fail(ErrorKind::corrupt, fmt::format("Nothing was handed on. {}", checked.error().message));
  return Report{std::move(response.body), *std::move(checked)};
}

}  // namespace

int run_coverage(const CoverageArguments& arguments, Surroundings& surroundings) {
  const auto report = fetch(arguments, surroundings);
  if (!report) return cli::report(surroundings, report.error());
  const auto& checked = report->checked;
  const bool json = wants_json(arguments.connection, surroundings);
  if (!arguments.out.empty())
    if (const auto written = write_local(arguments.out, report->text + "\n"); !written)
      return cli::report(surroundings, written.error());
  if (!json) {
    surroundings.print(in_words(checked, arguments.unattributed, surroundings.columns()));
    if (!arguments.out.empty())
      surroundings.print(fmt::format(
          "Written: {}. Anyone can check it without the server:\n  vestige verify --coverage {} --vkey KEY\n",
          escaped(arguments.out), escaped(arguments.out)));
  } else if (arguments.out.empty()) {
    surroundings.print(report->text + "\n");
  } else {
    surroundings.print(as_json(checked).text("file", arguments.out).str() + "\n");
  }
  return checked.gaps == 0 ? exit_ok : exit_found_wrong;
}

int run_check_coverage(const std::string& file, const std::vector<std::string>& verifier_keys, bool json,
                       Surroundings& surroundings) {
  const auto checked = [&]() -> Result<verify::CheckedCoverage> {
    if (verifier_keys.size() != 1)
      return fail(ErrorKind::invalid,
                  "--coverage needs --vkey, once: the log's verifier key, from somebody you trust and not "
                  "from whoever gave you the report.");
    VESTIGE_TRY(const auto text, named_file(file, verify::limits::coverage_bytes_max));
    VESTIGE_TRY(const auto key, read_verifier_key(verifier_keys.front()));
    return verify::check_coverage(text, key);
  }();
  json = json || !surroundings.output_is_terminal();
  if (checked) {
    surroundings.print(json ? as_json(*checked).raw("report", checked->report).str() + "\n"
                            : in_words(*checked, true, surroundings.columns()) +
                                  "OK: the report is as the log's key signed it.\n");
    return exit_ok;
  }
  if (json && checked.error().kind == ErrorKind::corrupt)
    surroundings.print(JsonObject().boolean("ok", false).text("reason", checked.error().message).str() +
                       "\n");
  return report(surroundings, checked.error());
}

void declare_coverage(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<CoverageArguments>();
  auto* command = app.add_subcommand(
      "coverage", "What captures have on record, every gap of them, and changes that nobody signed for");
  command->add_option("--source", arguments->source, "only this source, by its name in the configuration")
      ->type_name("NAME");
  command->add_option("--from", arguments->from, "what was told at this time or later (RFC 3339)")
      ->type_name("TIME");
  command->add_option("--to", arguments->to, "what was told before this time (RFC 3339)")->type_name("TIME");
  command->add_flag("--unattributed", arguments->unattributed,
                    "list the changes of which nobody said who made them");
  command->add_option("--out", arguments->out, "a file for the signed report, which anyone can check")
      ->type_name("FILE");
  command->add_option("--vkey", arguments->verifier_key, "the log's verifier key, or a file that holds it")
      ->type_name("KEY");
  add_connection_options(*command, arguments->connection, KeyNeed::required);
  add_tenant_option(*command, arguments->connection);
  add_look_options(*command, arguments->connection);
  command->footer(
      "Nothing is said of what came after the last time that a source was heard of: about every ten "
      "minutes.\n"
      "With --json, or where nobody looks at a terminal, the signed report itself. Exit code 1 where there "
      "is\n"
      "a gap, so that a job can watch it.\n\n"
      "Examples:\n"
      "  vestige coverage\n"
      "  vestige coverage --source crm --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z --unattributed\n"
      "  vestige coverage --out november.coverage\n"
      "  vestige verify --coverage november.coverage --vkey log.vkey\n");
  run_with(*command, arguments, invocation, run_coverage);
}

}  // namespace vestige::cli
