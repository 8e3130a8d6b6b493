#include "bench/support/questions.h"

#include <fmt/format.h>

namespace vestige::bench {

std::string_view name_of(Question question) {
  switch (question) {
    case Question::target:
      return "target";
    case Question::word:
      return "word";
    case Question::hour:
      return "hour";
    case Question::count:
      return "count";
    case Question::facet:
      return "facet";
  }
  return {};
}

std::size_t asked(Question question) {
  return question == Question::count || question == Question::facet ? counts_asked : lookups_asked;
}

std::string sql_of(Question question, const Probe& probe, Dialect dialect) {
  const auto hour = fmt::format("time >= '{}' AND time < '{}'", probe.from, probe.to);
  switch (question) {
    case Question::target:
      return fmt::format("SELECT content FROM event WHERE target_id = '{}' ORDER BY position DESC LIMIT 100",
                         probe.target);
    case Question::word:
      if (dialect == Dialect::sqlite)
        return fmt::format(
            "SELECT e.content FROM event_words w JOIN event e ON e.position = w.rowid WHERE event_words "
            "MATCH "
            "'\"{}\"' ORDER BY w.rowid DESC LIMIT 100",
            probe.rare);
      // Materialised: its planner would rather walk all rows backwards than look into the index.
      return fmt::format(
          "WITH found AS MATERIALIZED (SELECT position, content FROM event WHERE words @@ "
          "plainto_tsquery('simple', '{}')) SELECT content FROM found ORDER BY position DESC LIMIT 100",
          probe.rare);
    case Question::hour:
      return fmt::format("SELECT content FROM event WHERE {} AND action = '{}' ORDER BY time DESC LIMIT 100",
                         hour, probe.action);
    case Question::count:
      return fmt::format("SELECT count(*) FROM event WHERE {} AND action = '{}'", hour, probe.action);
    case Question::facet:
      return fmt::format("SELECT action, count(*) FROM event WHERE {} GROUP BY action", hour);
  }
  return {};
}

}  // namespace vestige::bench
