// `vestige access review`: a month of looks for people, and its sign-off.
#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/cli.h"
#include "cli/internal/access.h"
#include "cli/internal/display.h"
#include "cli/internal/json_text.h"

namespace vestige::cli {
namespace {

constexpr std::string_view path = "/api/access/review";

std::string who_of(const json::Value& row) {
  const auto name = text_of(row, "name");
  return name.empty() ? text_of(row, "sourceId") : name;
}

void print_people(const json::Value& people, Surroundings& surroundings) {
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; people.is_array() && i < people.size(); ++i) {
    const auto row = people.at(i);
    const auto cell = [&](std::string_view member) { return text_of(row, member); };
    rows.push_back({who_of(row), cell("role"), cell("looks"), cell("usual"), cell("persons"),
                    cell("exported"), cell("refused"), cell("offHours"), cell("withoutReason")});
  }
  if (rows.empty()) return surroundings.print("Nobody looked at anything.\n");
  surroundings.print(render_table({{"WHO"},
                                   {"ROLE"},
                                   {"LOOKS", false},
                                   {"USUAL", false},
                                   {"PERSONS", false},
                                   {"EXPORTED", false},
                                   {"REFUSED", false},
                                   {"OFF HOURS", false},
                                   {"NO REASON", false}},
                                  rows, surroundings.columns()));
}

void print_unusual(const json::Value& findings, Surroundings& surroundings) {
  if (!findings.is_array() || findings.size() == 0)
    return surroundings.print("\nNothing unusual by the rules.\n");
  surroundings.print("\nUnusual:\n");
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < findings.size(); ++i) {
    const auto finding = findings.at(i);
    const auto day = text_of(finding, "day");
    const auto looks = finding.find("looks");
    rows.push_back({text_of(finding, "rule"), who_of(finding), text_of(finding, "role"),
                    fmt::format("{} (unusual from {})", text_of(finding, "count"), text_of(finding, "limit")),
                    day.empty() ? text_of(finding, "person") : day,
                    !looks.is_array() || looks.size() == 0 ? "" : std::string(looks.at(0).number())});
  }
  surroundings.print(render_table(
      {{"RULE", false}, {"WHO"}, {"ROLE"}, {"HOW MANY", false}, {"DAY OR PERSON"}, {"FIRST LOOK", false}},
      rows, surroundings.columns()));
}

void print_sign_offs(const json::Value& review, Surroundings& surroundings) {
  const auto sign_offs = review.find("signOffs");
  surroundings.print("\n");
  const std::size_t count = sign_offs.is_array() ? sign_offs.size() : 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto one = sign_offs.at(i);
    surroundings.print(fmt::format("Signed off by {} on {}, at {} entries: {}\n", escaped(who_of(one)),
                                   escaped(text_of(one, "time")), text_of(one, "size"),
                                   escaped(text_of(one, "comment"))));
  }
  const auto month = text_of(review, "month");
  if (count == 0)
    surroundings.print(fmt::format(
        "{0} is not signed off. When you have read it: vestige access review {0} --sign-off \"COMMENT\"\n",
        escaped(month)));
}

int sign_off(const AccessArguments& arguments, const json::Value& review, Connection& connection,
             Surroundings& surroundings) {
  const auto body = JsonObject()
                        .text("month", arguments.month)
                        .raw("size", text_of(review.find("tree"), "size"))
                        .text("comment", arguments.comment)
                        .str();
  const auto answer = connection.send("POST", std::string(path), body, "application/json");
  if (!answer) return report(surroundings, answer.error());
  if (wants_json(arguments.connection, surroundings))
    surroundings.print(answer->body + "\n");
  else
    surroundings.print(fmt::format("\nSigned off: {} is on record as reviewed.\n", escaped(arguments.month)));
  return exit_ok;
}

}  // namespace

int run_access_review(const AccessArguments& arguments, Surroundings& surroundings) {
  if (!is_utf8(arguments.month) || !is_utf8(arguments.comment))
    return report(surroundings,
                  {.kind = ErrorKind::invalid, .message = "The month or comment is not valid UTF-8."});
  const bool signs = !arguments.comment.empty();
  auto connection = connect(arguments.connection, surroundings, KeyNeed::required);
  if (!connection) return report(surroundings, connection.error());
  const auto answer = connection->get(fmt::format("{}?month={}", path, encoded(arguments.month)));
  if (!answer) return report(surroundings, answer.error());
  json::Document document;
  if (const auto parsed = parse_answer(answer->body, document); !parsed)
    return report(surroundings, parsed.error());
  const auto review = document.root();
  if (wants_json(arguments.connection, surroundings)) {
    if (!signs) surroundings.print(json::canonical(review) + "\n");
  } else {
    print_people(review.find("people"), surroundings);
    print_unusual(review.find("unusual"), surroundings);
    if (!signs) print_sign_offs(review, surroundings);
  }
  return signs ? sign_off(arguments, review, *connection, surroundings) : int{exit_ok};
}

}  // namespace vestige::cli
