// The table access_approvals.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/strong.h"
#include "state/database.h"

namespace vestige::access::store {

struct ApprovalRow {
  std::string id{}, tenant{};
  std::int64_t number = 0;
  std::string rule{}, operation{}, role{}, digest{};
  std::string asker_kind{}, asker_id{}, asker_name{}, asker_person{};
  std::string state{};
  UnixMs asked{}, expires{};
  UnixMs ended{};  // 0: it is open
  std::string subject_index{}, sealed_subject{};
  std::string sealed_request{}, sealed_words{}, sealed_reason{}, sealed_comment{};
  std::string decider_kind{}, decider_id{}, decider_name{}, decider_role{};
  UnixMs decided{};  // 0: it is not
};

std::optional<ApprovalRow> find_approval(state::Transaction& transaction, const std::string& tenant,
                                         const std::string& id);
// The one that is open for this request.
std::optional<ApprovalRow> find_open_approval(state::Transaction& transaction, const std::string& tenant,
                                              const std::string& digest);
// Newest first, with lower numbers than `before`: those of one asker, and those that wait for a decision and
// that `wanted` says yes to.
std::vector<ApprovalRow> approvals_of(state::Transaction& transaction, const std::string& tenant,
                                      const std::string& asker_kind, const std::string& asker_id,
                                      std::int64_t before, std::size_t limit);
std::vector<ApprovalRow> asked_approvals(state::Transaction& transaction, const std::string& tenant,
                                         std::int64_t before,
                                         const std::function<bool(const ApprovalRow&)>& wanted,
                                         std::size_t limit);
// Of all tenants, open and past their time (or before it, where a clock was set back).
std::vector<ApprovalRow> approvals_due(state::Transaction& transaction, UnixMs now, std::size_t limit);
std::vector<ApprovalRow> approvals_about(state::Transaction& transaction, const std::string& tenant,
                                         const std::string& subject_index);

std::size_t count_approvals(state::Transaction& transaction, const std::string& tenant);
std::size_t count_open_approvals(state::Transaction& transaction, const std::string& tenant);
std::size_t count_open_approvals_of(state::Transaction& transaction, const std::string& tenant,
                                    const std::string& asker_kind, const std::string& asker_id);

void insert_approval(state::Transaction& transaction, const ApprovalRow& row);
// Everything that changes in its life.
void update_approval(state::Transaction& transaction, const ApprovalRow& row);
// The tenant's that ended first; false where none ended.
bool drop_oldest_ended_approval(state::Transaction& transaction, const std::string& tenant);
void drop_approvals_ended(state::Transaction& transaction, UnixMs before);

}  // namespace vestige::access::store
