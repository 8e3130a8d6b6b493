// The events and questions of the benchmark as text, for stores that are reached by a client program of their
// own. Run by bench/run.py, which gives the output to psql.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "bench/support/questions.h"
#include "bench/support/report.h"
#include "json/json.h"

namespace vestige::bench {
namespace {

constexpr const char* members[] = {"id",         "time",     "kind",       "action",
                                   "sourceType", "sourceId", "targetType", "targetId"};

// A transaction for each batch. Of `parts` loaders, each takes every parts-th batch.
void print_copy(std::uint64_t events, std::uint64_t part, std::uint64_t parts) {
  json::Parser parser;
  json::Document document;
  std::string out, line;
  for (std::uint64_t first = part * batch_events; first < events; first += parts * batch_events) {
    out =
        "COPY event(id, time, kind, action, source_type, source_id, target_type, target_id, content) FROM "
        "STDIN;\n";
    for (auto number = first; number < std::min<std::uint64_t>(events, first + batch_events); ++number) {
      line.clear();
      append_event(line, {}, number);
      if (!parser.parse(line, document)) give_up("an event does not parse");
      for (const auto* member : members) {
        out += document.root().find(member).string();
        out += '\t';
      }
      out += line;
      out += '\n';
    }
    out += "\\.\n";
    if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size()) give_up("the reader went away");
  }
}

// Each followed by a line that says how many rows it gave; psql itself says how long it took.
void print_questions(std::uint64_t events) {
  const auto probes = make_probes({}, events, lookups_asked);
  for (const auto question : questions)
    for (std::size_t i = 0; i < asked(question); ++i)
      fmt::print("{};\n\\echo Rows: {} :ROW_COUNT\n", sql_of(question, probes[i], Dialect::postgres),
                 name_of(question));
}

}  // namespace
}  // namespace vestige::bench

int main(int argc, char** argv) {
  CLI::App app("The events of the benchmark as COPY statements, or its questions as SQL, for psql.");
  std::string what;
  std::uint64_t events = 100'000, part = 0, parts = 1;
  app.add_option("what", what, "copy or questions")->required()->check(CLI::IsMember({"copy", "questions"}));
  app.add_option("--events", events, "how many");
  app.add_option("--part", part, "copy: which of the parts");
  app.add_option("--parts", parts, "copy: how many loaders share the events");
  CLI11_PARSE(app, argc, argv);
  if (what == "copy")
    vestige::bench::print_copy(events, part, parts);
  else
    vestige::bench::print_questions(events);
  return 0;
}
