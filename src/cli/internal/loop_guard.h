// Keeps a forward from a topic that a capture of the same trail reads: each entry would come back as a
// command, and be forwarded again, for ever.
//
// What is known is what captures say of themselves in the trail (kind system.capture). A capture into another
// trail, or of another server, says nothing here.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "cli/internal/connection.h"
#include "json/json.h"

namespace vestige::cli {

class LoopGuard {
 public:
  LoopGuard(std::string topic, std::string cluster)
      : topic_(std::move(topic)), cluster_(std::move(cluster)) {}

  // What captures said when they last began. conflict: one reads the topic.
  Status look_back(Connection& connection);
  // An entry that is about to be forwarded. conflict: its coming tells that a capture reads the topic.
  Status check(std::uint64_t index, const json::Value& event);

 private:
  Status note(std::uint64_t index, const json::Value& event, bool newest);
  std::unexpected<Error> refusal(std::uint64_t index, std::string_view capture) const;

  const std::string topic_;
  const std::string cluster_;
  std::map<std::string, std::string> clusters_;  // by the name of a capture of Kafka: which it said last
  std::uint64_t looked_back_to_ = 0;             // the size of the trail at that time
};

}  // namespace vestige::cli
