// What an operator says about one Kafka source: a table [[capture.kafka]] of the configuration file.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/json.h"

namespace vestige::sources::kafka {

// Behind a topic's name: where commands go that cannot be recorded.
inline constexpr std::string_view dead_letter_ending = ".dlq";

// What a command of another shape becomes: an event without id, as JSON. The command is always an object.
using Mapping = std::function<std::string(const json::Value& command)>;

using Options = std::map<std::string, std::string>;

// Where Kafka is, and how it is reached.
struct Cluster {
  std::string brokers{};  // HOST:PORT,...
  Options options{};      // librdkafka's own, such as security.protocol; may be secret
};

struct Configuration {
  std::string name;
  std::string tenant = "default";
  std::string brokers{};  // HOST:PORT,...
  // Names, or a regular expression that begins with ^.
  std::vector<std::string> topics = {R"(^backoffice\.create-audit-log\.command\.[^.]+$)"};
  std::string group{};  // vestige.NAME where empty
  // Whose values are recorded: they stay clear, and may be anything, so nothing is recorded unnamed.
  std::vector<std::string> headers = {"traceparent",  "trace-id",     "trace_id", "traceId",
                                      "X-B3-TraceId", "X-Request-Id", "producer"};
  // By a topic's name, or by what stands in one behind its last dot: its version.
  std::map<std::string, Mapping, std::less<>> mappings{};
  Options options{};  // librdkafka's own, such as security.protocol; may be secret

  Cluster cluster() const { return {brokers, options}; }
  // nullptr where commands of the topic are events as they are.
  const Mapping* mapping_of(std::string_view topic) const;
  std::string group_name() const { return group.empty() ? "vestige." + name : group; }
};

// invalid where a member is no such thing, or an option is not known or not the operator's to set. Values of
// options are never in the message.
Status check(const Configuration& configuration);

// The same of a topic that we write to, and of the cluster that has it.
Status check_target(const Cluster& cluster, std::string_view topic);

// Whether a capture of these topics reads this one.
bool reads(const std::vector<std::string>& topics, const std::string& topic);

}  // namespace vestige::sources::kafka
