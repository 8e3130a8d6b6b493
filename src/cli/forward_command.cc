#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/cli.h"
#include "cli/internal/commands.h"
#include "cli/internal/forward.h"
#include "cli/internal/local_file.h"
#include "platform/process.h"

namespace vestige::cli {
namespace {

// NAME=VALUE. What it is may be secret, so a wrong one is named by its place.
Status add_option(sources::kafka::Options& options, std::string_view text, const std::string& place) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0)
    return fail(ErrorKind::invalid, fmt::format("{} is no option of librdkafka: write NAME=VALUE, such as "
                                                "security.protocol=SASL_SSL.",
                                                place));
  options[trimmed(std::string(text.substr(0, equals)))] = text.substr(equals + 1);
  return {};
}

// One a line; empty lines and those that begin with # say nothing.
Status add_file(sources::kafka::Options& options, const std::string& path) {
  VESTIGE_TRY(const auto content, named_file(path, options_file_bytes_max));
  std::size_t number = 0;
  for (std::size_t at = 0; at < content.size();) {
    const auto end = std::min(content.find('\n', at), content.size());
    auto line = content.substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || line.starts_with('#')) continue;
    VESTIGE_CHECKED(add_option(options, line, fmt::format("line {} of {}", number, path)));
  }
  return {};
}

}  // namespace

Result<sources::kafka::Cluster> cluster_of(const ForwardArguments& arguments) {
  sources::kafka::Cluster cluster{.brokers = arguments.brokers};
  if (!arguments.options_file.empty()) VESTIGE_CHECKED(add_file(cluster.options, arguments.options_file));
  for (std::size_t i = 0; i < arguments.options.size(); ++i)
    VESTIGE_CHECKED(
        add_option(cluster.options, arguments.options[i], fmt::format("--option number {}", i + 1)));
  if (auto checked = sources::kafka::check_target(cluster, arguments.topic); !checked)
    return fail(ErrorKind::invalid, fmt::format("Kafka: {}.", checked.error().message));
  return cluster;
}

Result<std::string> cursor_of(const ForwardArguments& arguments) {
  auto name = arguments.cursor.empty() ? "forward." + arguments.topic : arguments.cursor;
  if (name.size() <= cursor_name_bytes_max) return name;
  return fail(
      ErrorKind::invalid,
      fmt::format("A cursor's name has at most {} characters, and \"{}\" has more: name one with --cursor.",
                  cursor_name_bytes_max, name));
}

int run_forward_kafka(const ForwardArguments& arguments, Surroundings& surroundings) {
  platform::block_stop_signals();
  unsigned signals = 0;
  return forward(arguments, surroundings, [&] {
    if (signals < 2 && platform::stop_signal_came()) ++signals;
    return signals == 0 ? Ending::not_yet : signals == 1 ? Ending::in_order : Ending::at_once;
  });
}

void declare_forward(CLI::App& app, Invocation& invocation) {
  auto* command = app.add_subcommand("forward", "Hand the entries of a trail to other systems, as they come");
  command->require_subcommand(1);
  auto* kafka = command->add_subcommand("kafka", "Onto a topic of Kafka");
  auto arguments = std::make_shared<ForwardArguments>();
  kafka->add_option("--brokers", arguments->brokers, "where Kafka is: HOST:PORT, with commas between them")
      ->required()
      ->type_name("BROKERS");
  kafka->add_option("--topic", arguments->topic, "the topic that gets the entries")
      ->required()
      ->type_name("TOPIC");
  kafka
      ->add_option("--cursor", arguments->cursor,
                   "the name under which the server keeps how far it came (forward.TOPIC)")
      ->type_name("NAME");
  kafka
      ->add_option("--option", arguments->options,
                   "an option of librdkafka, as often as needed; not for secrets, which process lists show")
      ->type_name("NAME=VALUE");
  kafka
      ->add_option("--options-file", arguments->options_file,
                   "a file with such options, one a line, that only its user may read: for secrets")
      ->type_name("FILE");
  kafka->add_option("--from", arguments->from, "where to begin as long as the cursor was never saved (0)")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1} << 53).description(""))
      ->type_name("INDEX");
  kafka->add_option("--count", arguments->count, "end after so many; without it, end with Ctrl-C or SIGTERM")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40).description(""))
      ->type_name("N");
  kafka->add_flag(
      "--skip-too-large", arguments->skip_too_large,
      "in the place of an entry that is too large for the topic send its id and index; without it, "
      "end there");
  kafka
      ->add_option("query", arguments->query,
                   "only what this finds, in the search language of \"vestige query\"")
      ->type_name("QUERY");
  add_connection_options(*kafka, arguments->connection, KeyNeed::required);
  add_look_options(*kafka, arguments->connection);
  kafka->footer(
      "Each entry is a message, as the server shows it to your key: personal values are masked where it "
      "masks "
      "them. Every\nentry gets there at least once; the header vestige.index says which one it is. The "
      "cursor is "
      "saved behind what all\nreplicas in step have acknowledged. A server or broker that is away is waited "
      "for.\n\n"
      "Examples:\n"
      "  vestige forward kafka --brokers kafka:9092 --topic audit.entries\n"
      "  vestige forward kafka --brokers kafka:9093 --topic audit.entries --options-file kafka.properties\n"
      "  vestige forward kafka --brokers kafka:9092 --topic deletions --cursor deletions 'action:DELETED'\n");
  run_with(*kafka, arguments, invocation, run_forward_kafka);
}

}  // namespace vestige::cli
