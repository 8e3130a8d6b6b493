// `vestige query`: one search, over as many pages as it takes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cli/internal/connection.h"

namespace vestige::cli {

// Empty means: does not filter.
struct QueryArguments {
  ConnectionArguments connection{};
  std::string id{};
  std::string source_id{};
  std::string source_type{};
  std::string action{};
  std::string target_id{};
  std::vector<std::string> target_types{};
  std::string source_meta{};  // JSON objects
  std::string target_meta{};
  std::string detail{};
  std::string from{};
  std::string to{};
  std::string kind{};
  std::string text{};
  std::string query{};   // in the search language
  std::string filter{};  // a JSON object
  std::string subject{};
  bool total = false;
  std::vector<std::string> facets{};
  std::string histogram{};
  std::string order{};
  std::string cursor{};
  std::uint64_t limit = 50;
  bool all = false;
};

inline constexpr std::uint64_t page_events_max = 1'000;

// Fields that are no JSON object, no time or no UTF-8 are invalid, before anything is sent.
Status check_query(const QueryArguments& arguments);
// The body of one page's request.
std::string query_body(const QueryArguments& arguments, std::uint64_t page_events, const std::string& cursor);

// One answer, valid during the call.
using OnPage = std::function<Status(const json::Value& answer)>;
// Asks page after page until `limit` events were handed over, or all with `all`.
Status for_each_page(Connection& connection, const QueryArguments& arguments, const OnPage& on_page);

// Cells: index, time, actor, action, target, kind, id.
std::vector<std::string> event_cells(const json::Value& event);

int run_query(const QueryArguments& arguments, Surroundings& surroundings);

}  // namespace vestige::cli
