// `vestige history`: the entries about one entity, or what they amount to: its fields at a time, what differs
// between two times, who set what.
#pragma once

#include <string>
#include <vector>

#include "cli/internal/connection.h"
#include "cli/internal/query.h"

namespace vestige::cli {

struct HistoryArguments {
  std::string type{};
  QueryArguments entries{};  // whose target id is the entity's
  bool state = false;
  std::string state_at{};
  std::vector<std::string> diff{};  // two times, or none
  bool blame = false;
};

// At most one of state, diff and blame; times that are times. invalid otherwise, before anything is sent.
Status check_history(const HistoryArguments& arguments);
// Where the answer is asked for; empty where the entries themselves are.
std::string history_path(const HistoryArguments& arguments);
// Tables for a terminal.
std::string history_text(const HistoryArguments& arguments, const json::Value& answer, unsigned columns);

int run_history(const HistoryArguments& arguments, Surroundings& surroundings);

}  // namespace vestige::cli
