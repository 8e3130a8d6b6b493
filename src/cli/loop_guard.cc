#include "cli/internal/loop_guard.h"

#include <fmt/format.h>

#include "cli/internal/display.h"
#include "cli/internal/json_text.h"
#include "cli/internal/query.h"
#include "sources/kafka/configuration.h"

namespace vestige::cli {

Status LoopGuard::look_back(Connection& connection) {
  QueryArguments query;
  query.kind = "system.capture";
  query.action = "STARTED";
  query.all = true;
  return for_each_page(connection, query, [&](const json::Value& answer) -> Status {
    looked_back_to_ = std::max(looked_back_to_, number_of(answer.find("tree"), "size", 0));
    const auto events = answer.find("events");
    for (std::size_t i = 0; i < events.size(); ++i)
      VESTIGE_CHECKED(note(number_of(events.at(i), "index", 0), events.at(i), false));
    return {};
  });
}

Status LoopGuard::check(std::uint64_t index, const json::Value& event) {
  if (text_of(event, "kind") == "system.capture")
    return text_of(event, "action") == "STARTED" && index >= looked_back_to_ ? note(index, event, true)
                                                                             : Status{};
  const auto context = event.find("context");
  const auto capture = text_of(context, "capture");
  if (capture.empty() || text_of(context, "topic") != topic_) return {};
  const auto known = clusters_.find(capture);
  // What came from there before is history: what its capture said last has been looked at.
  if (known != clusters_.end() && (index < looked_back_to_ || known->second != cluster_)) return {};
  return refusal(index, capture);
}

// Newest first when looking back, so that the first word of each capture is its last.
Status LoopGuard::note(std::uint64_t index, const json::Value& event, bool newest) {
  const auto detail = event.find("detail");
  const auto topics = detail.find("topics");
  if (!topics.is_array()) return {};  // of PostgreSQL
  const auto capture = text_of(detail, "capture");
  const auto cluster = text_of(detail, "cluster");
  if (!newest && clusters_.contains(capture)) return {};
  clusters_[capture] = cluster;
  if (cluster != cluster_) return {};
  std::vector<std::string> names;
  for (std::size_t i = 0; i < topics.size(); ++i)
    if (topics.at(i).is_string()) names.emplace_back(topics.at(i).string());
  return sources::kafka::reads(names, topic_) ? refusal(index, capture) : Status{};
}

std::unexpected<Error> LoopGuard::refusal(std::uint64_t index, std::string_view capture) const {
  return fail(
      ErrorKind::conflict,
      fmt::format("The capture \"{}\" of this trail reads the topic {} (entry {} says so): whatever was "
                  "forwarded would be captured and forwarded again, for ever. Forward to another topic.",
                  escaped(capture), topic_, index));
}

}  // namespace vestige::cli
