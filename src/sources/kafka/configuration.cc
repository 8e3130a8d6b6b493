#include "sources/kafka/configuration.h"

#include <fmt/format.h>
#include <regex.h>

#include <algorithm>

#include "sources/kafka/broker.h"
#include "sources/kafka/limits.h"

namespace vestige::sources::kafka {
namespace {

// On these it depends that nothing is lost and nothing comes twice.
constexpr std::string_view reserved[] = {"bootstrap.servers",
                                         "metadata.broker.list",
                                         "group.id",
                                         "enable.auto.commit",
                                         "enable.auto.offset.store",
                                         "auto.offset.reset",
                                         "enable.partition.eof",
                                         "partition.assignment.strategy",
                                         "topic.blacklist",
                                         "isolation.level",
                                         "acks",
                                         "request.required.acks",
                                         "enable.idempotence",
                                         "transactional.id"};

// The same of what is sent, and that no more is held than there is room for.
constexpr std::string_view reserved_of_target[] = {"bootstrap.servers",
                                                   "metadata.broker.list",
                                                   "acks",
                                                   "request.required.acks",
                                                   "enable.idempotence",
                                                   "enable.gapless.guarantee",
                                                   "transactional.id",
                                                   "max.in.flight",
                                                   "max.in.flight.requests.per.connection",
                                                   "delivery.report.only.error",
                                                   "message.timeout.ms",
                                                   "delivery.timeout.ms",
                                                   "retries",
                                                   "message.send.max.retries",
                                                   "message.max.bytes",
                                                   "queue.buffering.max.messages",
                                                   "queue.buffering.max.kbytes",
                                                   "batch.num.messages",
                                                   "partitioner"};

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= limits::name_bytes_max && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

bool is_topic(std::string_view topic, std::size_t bytes_max) {
  return !topic.empty() && topic.size() <= bytes_max && topic != "." && topic != ".." &&
         std::ranges::all_of(topic, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                  c == '.' || c == '-';
         });
}

}  // namespace

const Mapping* Configuration::mapping_of(std::string_view topic) const {
  auto found = mappings.find(topic);
  if (found == mappings.end()) found = mappings.find(topic.substr(topic.rfind('.') + 1));
  return found == mappings.end() ? nullptr : &found->second;
}

Status check(const Configuration& configuration) {
  const auto wrong = [&](std::string_view what) {
    return fail(ErrorKind::invalid, fmt::format("source \"{}\": {}", configuration.name, what));
  };
  if (!is_name(configuration.name))
    return wrong(
        fmt::format("a name has 1 to {} lower-case letters, digits and underscores", limits::name_bytes_max));
  if (configuration.brokers.empty()) return wrong("brokers says where Kafka is (HOST:PORT), and is missing");
  if (configuration.topics.empty() || configuration.topics.size() > limits::topics_max)
    return wrong(fmt::format("topics has 1 to {} names", limits::topics_max));
  for (const auto& topic : configuration.topics) {
    if (topic.starts_with('^')) {
      if (configuration.topics.size() > 1)
        return wrong("topics is one regular expression, or a list of names");
    } else if (!is_topic(topic, limits::topic_bytes_max - dead_letter_ending.size())) {
      return wrong(fmt::format("\"{}\" is no name of a topic; a regular expression begins with ^", topic));
    } else if (topic.ends_with(dead_letter_ending)) {
      return wrong(fmt::format("{} takes what could not be recorded, and is not read", topic));
    }
  }
  if (configuration.headers.size() > limits::header_names_max)
    return wrong(fmt::format("headers has at most {} names", limits::header_names_max));
  for (const auto& header : configuration.headers)
    if (header.empty() || header.size() > limits::header_name_bytes_max)
      return wrong(fmt::format("the name of a header has 1 to {} bytes", limits::header_name_bytes_max));
  if (configuration.mappings.size() > limits::topics_max)
    return wrong(fmt::format("mappings has at most {} files", limits::topics_max));
  for (const auto& [option, value] : configuration.options)
    if (std::ranges::find(reserved, option) != std::end(reserved))
      return wrong(fmt::format("the option {} is set by the server", option));
  if (const auto taken = check_options(configuration); !taken) return wrong(taken.error().message);
  return {};
}

Status check_target(const Cluster& cluster, std::string_view topic) {
  const auto wrong = [](std::string what) { return fail(ErrorKind::invalid, std::move(what)); };
  if (cluster.brokers.empty()) return wrong("brokers says where Kafka is (HOST:PORT), and is missing");
  if (!is_topic(topic, limits::topic_bytes_max))
    return wrong(fmt::format("\"{}\" is no name of a topic", topic));
  for (const auto& [option, value] : cluster.options)
    if (std::ranges::find(reserved_of_target, option) != std::end(reserved_of_target))
      return wrong(
          fmt::format("the option {} is not yours to set: on it depends that nothing is lost, or held "
                      "without bound",
                      option));
  return check_options(cluster);
}

bool reads(const std::vector<std::string>& topics, const std::string& topic) {
  if (topic.ends_with(dead_letter_ending)) return false;
  return std::ranges::any_of(topics, [&](const std::string& wanted) {
    if (!wanted.starts_with('^')) return wanted == topic;
    regex_t pattern;
    // One that is none here was one where the capture ran: better too careful.
    if (::regcomp(&pattern, wanted.c_str(), REG_EXTENDED | REG_NOSUB) != 0) return true;
    const bool matches = ::regexec(&pattern, topic.c_str(), 0, nullptr, 0) == 0;
    ::regfree(&pattern);
    return matches;
  });
}

}  // namespace vestige::sources::kafka
