#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>

#include "cli/cli.h"
#include "cli/internal/commands.h"
#include "cli/internal/display.h"
#include "cli/internal/event_stream.h"
#include "cli/internal/json_text.h"
#include "cli/internal/query.h"
#include "cli/internal/tail.h"

namespace vestige::cli {
namespace {

std::optional<std::uint64_t> parse_index(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

class Tail {
 public:
  Tail(const TailArguments& arguments, Surroundings& surroundings)
      : arguments_(arguments),
        surroundings_(surroundings),
        as_json_(wants_json(arguments.connection, surroundings)) {}

  Status run() {
    VESTIGE_CHECKED(find_server());
    VESTIGE_CHECKED(find_beginning());
    unsigned failures = 0;
    auto pause = reconnect_pause_min;
    while (!done_) {
      const auto before = next_;
      auto followed = follow();
      if (done_) break;
      if (!followed && followed.error().kind != ErrorKind::unavailable) return followed;
      if (heard_) failures = 0;
      if (next_ != before) pause = reconnect_pause_min;
      // The first connection of all has to work: a wrong address is not a server that was lost.
      if (!followed && (!heard_ever_ || ++failures > reconnects_max)) return followed;
      if (failures <= 1 && pause == reconnect_pause_min)
        surroundings_.say(
            fmt::format("vestige: The connection to {} was lost; going on from entry {} when it is back.\n",
                        described(connection_->target()), next_));
      surroundings_.pause(pause);
      pause = std::min(pause * 2, reconnect_pause_max);
      // A server that was started anew may have another address. One that is down has none just now, and the
      // old one is tried again.
      if (const auto found = find_server(); !found && found.error().kind != ErrorKind::unavailable)
        return found;
    }
    return {};
  }

 private:
  Status find_server() {
    VESTIGE_TRY(auto target, locate(arguments_.connection, surroundings_, KeyNeed::required));
    saving_.emplace(target);
    connection_.emplace(std::move(target));
    return {};
  }

  // Where it begins: at the saved cursor, at --from, or behind the newest few.
  Status find_beginning() {
    if (!arguments_.cursor.empty()) {
      VESTIGE_TRY(const auto saved, saved_cursor());
      if (saved) {
        next_ = *saved;
        saved_ = next_;
        return {};
      }
    }
    if (arguments_.from) {
      next_ = *arguments_.from;
      return {};
    }
    VESTIGE_CHECKED(print_last());
    return save_cursor();
  }

  std::string cursor_path() const { return "/api/cursors/" + encoded(arguments_.cursor); }

  // Nothing where the cursor was never saved.
  Result<std::optional<std::uint64_t>> saved_cursor() {
    VESTIGE_TRY(const auto response, connection_->client().send("GET", cursor_path()));
    if (response.status == 404) return std::optional<std::uint64_t>{};
    if (response.status != 200) return std::unexpected(refusal(response));
    json::Document document;
    VESTIGE_CHECKED(parse_answer(response.body, document));
    const auto next = number_of(document.root(), "next", UINT64_MAX);
    if (next == UINT64_MAX)
      return fail(ErrorKind::corrupt, "The server's answer does not say where the cursor stands.");
    return std::optional(next);
  }

  // What was printed is not sent again after the next start.
  Status save_cursor() {
    if (arguments_.cursor.empty() || next_ == saved_) return {};
    VESTIGE_TRY(const auto response,
                saving_->client().send("PUT", cursor_path(), JsonObject().number("next", next_).str(),
                                       "application/json"));
    if (response.status != 200) return std::unexpected(refusal(response));
    saved_ = next_;
    return {};
  }

  // The newest few, oldest first; the stream goes on right after the tree that they were read from.
  Status print_last() {
    QueryArguments query;
    query.limit = std::max<std::uint64_t>(arguments_.last, 1);
    query.query = arguments_.query;
    std::vector<std::string> newest_first;
    std::optional<std::uint64_t> size;
    VESTIGE_CHECKED(for_each_page(*connection_, query, [&](const json::Value& answer) -> Status {
      if (!size) {
        const auto told = number_of(answer.find("tree"), "size", UINT64_MAX);
        if (told == UINT64_MAX)
          return fail(ErrorKind::corrupt, "The server's answer does not name the size of the trail.");
        size = told;
      }
      const auto events = answer.find("events");
      for (std::size_t i = 0; i < events.size() && newest_first.size() < arguments_.last; ++i)
        newest_first.push_back(json::canonical(events.at(i)));
      return {};
    }));
    next_ = size.value_or(0);
    heard_ever_ = true;
    for (auto event = newest_first.rbegin(); event != newest_first.rend() && !done_; ++event)
      VESTIGE_CHECKED(print(*event));
    return {};
  }

  Status follow() {
    heard_ = false;
    EventStreamParser parser;
    Status outcome;
    const auto response = connection_->client().stream(
        fmt::format("/api/events/stream?from={}{}", next_,
                    arguments_.query.empty() ? "" : "&query=" + encoded(arguments_.query)),
        {}, [&](std::string_view piece) {
          heard_ = heard_ever_ = true;
          const auto fed = parser.feed(piece, [&](const StreamEvent& event) {
            outcome = take(event);
            return outcome.has_value() && !done_;
          });
          if (!fed) outcome = std::unexpected(fed.error());
          if (auto saved = save_cursor(); !saved && outcome) outcome = std::move(saved);
          return outcome.has_value() && fed.value_or(false);
        });
    if (!outcome) return outcome;
    if (!response) return std::unexpected(response.error());
    // A server that is stopping or has no room says 503; that passes.
    if (response->status == 503) return fail(ErrorKind::unavailable, describe_refusal(*response));
    if (response->status != 200) return std::unexpected(refusal(*response));
    heard_ = heard_ever_ = true;
    return {};
  }

  Status take(const StreamEvent& event) {
    if (event.type != "entry") return {};
    const auto index = parse_index(event.id);
    if (!index)
      return fail(ErrorKind::corrupt,
                  fmt::format("The server sent an entry whose id \"{}\" is no index.", escaped(event.id)));
    if (*index < next_) return {};  // printed before the connection was lost
    // Whoever asked for some entries only gets them with gaps.
    if (*index > next_ && arguments_.query.empty())
      return fail(ErrorKind::corrupt,
                  fmt::format("The server left out entries {} to {}: it sent {} instead. Nothing "
                              "after the gap was printed.",
                              next_, *index - 1, *index));
    VESTIGE_CHECKED(print(event.data));
    next_ = *index + 1;
    return {};
  }

  Status print(const std::string& event_json) {
    json::Document document;
    VESTIGE_CHECKED(parse_answer(event_json, document));
    if (as_json_) {
      surroundings_.print(json::canonical(document.root()) + "\n");
    } else {
      const auto cells = event_cells(document.root());
      surroundings_.print(fmt::format("{}  {}  {} {} {}  ({})\n", escaped(cells[0]), escaped(cells[1]),
                                      escaped(cells[2]), escaped(cells[3]), escaped(cells[4]),
                                      escaped(cells[5])));
    }
    ++printed_;
    done_ = arguments_.count != 0 && printed_ >= arguments_.count;
    if (!surroundings_.flush())
      return fail(ErrorKind::io, "Standard output does not take what is written to it.");
    return {};
  }

  const TailArguments& arguments_;
  Surroundings& surroundings_;
  const bool as_json_;
  std::optional<Connection> connection_;
  std::optional<Connection> saving_;  // beside the one that the stream occupies
  std::optional<std::uint64_t> saved_;
  std::uint64_t next_ = 0;
  std::uint64_t printed_ = 0;
  bool done_ = false;
  bool heard_ = false;  // in this connection
  bool heard_ever_ = false;
};

}  // namespace

int run_tail(const TailArguments& arguments, Surroundings& surroundings) {
  const auto followed = Tail(arguments, surroundings).run();
  return followed ? exit_ok : report(surroundings, followed.error());
}

void declare_tail(CLI::App& app, Invocation& invocation) {
  auto arguments = std::make_shared<TailArguments>();
  auto* command = app.add_subcommand("tail", "Show the newest events, and follow what comes");
  auto* last = command->add_option("-n", arguments->last, "begin with so many that are there already (10)")
                   ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{10'000}).description(""))
                   ->type_name("N");
  command->add_option("--from", arguments->from, "begin with the entry of this index instead")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1} << 53).description(""))
      ->excludes(last)
      ->type_name("INDEX");
  command->add_option("--count", arguments->count, "end after so many events; without it, end with Ctrl-C")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40).description(""))
      ->type_name("N");
  command
      ->add_option(
          "--cursor", arguments->cursor,
          "go on where the tail of this name ended, and keep on the server how far this one comes; the "
          "first time begin as without it")
      ->type_name("NAME");
  command
      ->add_option("query", arguments->query,
                   "only what this finds, in the search language of \"vestige query\"")
      ->type_name("QUERY");
  add_connection_options(*command, arguments->connection, KeyNeed::required);
  add_look_options(*command, arguments->connection);
  command->footer(
      "On a terminal: one line an event. Otherwise, or with --json: one JSON object a line (NDJSON).\n"
      "After a lost connection it goes on with the next index: nothing is left out, nothing comes twice. It "
      "gives\n"
      "up (exit code 3) when no server answered for some ten minutes.\n\n"
      "Examples:\n"
      "  vestige tail -n 20\n"
      "  vestige tail 'action:DELETED -actor:batch'\n"
      "  vestige tail --from 0 --json\n"
      "  vestige tail --cursor warehouse --from 0 --json >> events.ndjson\n");
  run_with(*command, arguments, invocation, run_tail);
}

}  // namespace vestige::cli
