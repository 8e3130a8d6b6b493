#include "access/internal/approvals_store.h"

#include <soci/soci.h>

namespace vestige::access::store {
namespace {

using soci::into;
using soci::use;

constexpr const char* columns =
    "SELECT id, tenant, number, rule, operation, role, digest, asker_kind, asker_id, asker_name, "
    "asker_person, "
    "state, asked, expires, ended, subject_index, sealed_subject, sealed_request, sealed_words, "
    "sealed_reason, "
    "sealed_comment, decider_kind, decider_id, decider_name, decider_role, decided FROM access_approvals ";

// Runs a statement that begins with `columns` and binds what `bind` adds to it; hands over a row at a time,
// as long as `take` says true.
template <typename Bind, typename Take>
void visit(state::Transaction& transaction, const char* rest, Bind&& bind, Take&& take) {
  ApprovalRow row;
  long long number = 0, asked = 0, expires = 0, ended = 0, decided = 0;
  auto preparing = (transaction.sql().prepare << columns << rest, into(row.id), into(row.tenant),
                    into(number), into(row.rule), into(row.operation), into(row.role), into(row.digest),
                    into(row.asker_kind), into(row.asker_id), into(row.asker_name), into(row.asker_person),
                    into(row.state), into(asked), into(expires), into(ended), into(row.subject_index),
                    into(row.sealed_subject), into(row.sealed_request), into(row.sealed_words),
                    into(row.sealed_reason), into(row.sealed_comment), into(row.decider_kind),
                    into(row.decider_id), into(row.decider_name), into(row.decider_role), into(decided));
  bind(preparing);
  soci::statement statement(preparing);
  statement.execute();
  while (statement.fetch()) {
    row.number = number;
    row.asked = UnixMs{asked};
    row.expires = UnixMs{expires};
    row.ended = UnixMs{ended};
    row.decided = UnixMs{decided};
    if (!take(row)) return;
  }
}

template <typename Bind>
std::vector<ApprovalRow> select(state::Transaction& transaction, const char* rest, Bind&& bind) {
  std::vector<ApprovalRow> rows;
  visit(transaction, rest, bind, [&](const ApprovalRow& row) {
    rows.push_back(row);
    return true;
  });
  return rows;
}

std::optional<ApprovalRow> first(std::vector<ApprovalRow> rows) {
  if (rows.empty()) return std::nullopt;
  return std::move(rows.front());
}

}  // namespace

std::optional<ApprovalRow> find_approval(state::Transaction& transaction, const std::string& tenant,
                                         const std::string& id) {
  return first(select(transaction, "WHERE tenant = :tenant AND id = :id",
                      [&](auto& preparing) { preparing, use(tenant), use(id); }));
}

std::optional<ApprovalRow> find_open_approval(state::Transaction& transaction, const std::string& tenant,
                                              const std::string& digest) {
  return first(select(transaction, "WHERE tenant = :tenant AND digest = :digest AND ended = 0",
                      [&](auto& preparing) { preparing, use(tenant), use(digest); }));
}

std::vector<ApprovalRow> approvals_of(state::Transaction& transaction, const std::string& tenant,
                                      const std::string& asker_kind, const std::string& asker_id,
                                      std::int64_t before, std::size_t limit) {
  const long long below = before;
  const auto rows = static_cast<int>(limit);
  return select(transaction,
                "WHERE tenant = :tenant AND asker_kind = :kind AND asker_id = :id AND number < :before "
                "ORDER BY number DESC LIMIT :rows",
                [&](auto& preparing) {
                  preparing, use(tenant), use(asker_kind), use(asker_id), use(below), use(rows);
                });
}

std::vector<ApprovalRow> asked_approvals(state::Transaction& transaction, const std::string& tenant,
                                         std::int64_t before,
                                         const std::function<bool(const ApprovalRow&)>& wanted,
                                         std::size_t limit) {
  std::vector<ApprovalRow> rows;
  const long long below = before;
  visit(
      transaction,
      "WHERE tenant = :tenant AND ended = 0 AND state = 'asked' AND number < :before ORDER BY number DESC",
      [&](auto& preparing) { preparing, use(tenant), use(below); },
      [&](const ApprovalRow& row) {
        if (wanted(row)) rows.push_back(row);
        return rows.size() < limit;
      });
  return rows;
}

std::vector<ApprovalRow> approvals_due(state::Transaction& transaction, UnixMs now, std::size_t limit) {
  const long long time = now.value, again = now.value;
  const auto rows = static_cast<int>(limit);
  return select(transaction,
                "WHERE ended = 0 AND (expires <= :time OR asked > :again) ORDER BY number LIMIT :rows",
                [&](auto& preparing) { preparing, use(time), use(again), use(rows); });
}

std::vector<ApprovalRow> approvals_about(state::Transaction& transaction, const std::string& tenant,
                                         const std::string& subject_index) {
  return select(transaction, "WHERE tenant = :tenant AND subject_index = :subject ORDER BY number",
                [&](auto& preparing) { preparing, use(tenant), use(subject_index); });
}

std::size_t count_approvals(state::Transaction& transaction, const std::string& tenant) {
  long long count = 0;
  transaction.sql() << "SELECT COUNT(*) FROM access_approvals WHERE tenant = :tenant", use(tenant),
      into(count);
  return static_cast<std::size_t>(count);
}

std::size_t count_open_approvals(state::Transaction& transaction, const std::string& tenant) {
  long long count = 0;
  transaction.sql() << "SELECT COUNT(*) FROM access_approvals WHERE tenant = :tenant AND ended = 0",
      use(tenant), into(count);
  return static_cast<std::size_t>(count);
}

std::size_t count_open_approvals_of(state::Transaction& transaction, const std::string& tenant,
                                    const std::string& asker_kind, const std::string& asker_id) {
  long long count = 0;
  transaction.sql() << "SELECT COUNT(*) FROM access_approvals WHERE tenant = :tenant AND asker_kind = :kind "
                       "AND asker_id = :id AND ended = 0",
      use(tenant), use(asker_kind), use(asker_id), into(count);
  return static_cast<std::size_t>(count);
}

void insert_approval(state::Transaction& transaction, const ApprovalRow& row) {
  const long long number = row.number, asked = row.asked.value, expires = row.expires.value,
                  ended = row.ended.value, decided = row.decided.value;
  transaction.sql()
      << "INSERT INTO access_approvals (id, tenant, number, rule, operation, role, digest, asker_kind, "
         "asker_id, asker_name, asker_person, state, asked, expires, ended, subject_index, sealed_subject, "
         "sealed_request, sealed_words, sealed_reason, sealed_comment, decider_kind, decider_id, "
         "decider_name, decider_role, decided) VALUES (:id, :tenant, :number, :rule, :operation, :role, "
         ":digest, :asker_kind, :asker_id, :asker_name, :asker_person, :state, :asked, :expires, :ended, "
         ":subject_index, :subject, :request, :words, :reason, :comment, :decider_kind, :decider_id, "
         ":decider_name, :decider_role, :decided)",
      use(row.id), use(row.tenant), use(number), use(row.rule), use(row.operation), use(row.role),
      use(row.digest), use(row.asker_kind), use(row.asker_id), use(row.asker_name), use(row.asker_person),
      use(row.state), use(asked), use(expires), use(ended), use(row.subject_index), use(row.sealed_subject),
      use(row.sealed_request), use(row.sealed_words), use(row.sealed_reason), use(row.sealed_comment),
      use(row.decider_kind), use(row.decider_id), use(row.decider_name), use(row.decider_role), use(decided);
}

void update_approval(state::Transaction& transaction, const ApprovalRow& row) {
  const long long ended = row.ended.value, decided = row.decided.value;
  transaction.sql()
      << "UPDATE access_approvals SET state = :state, ended = :ended, subject_index = :subject_index, "
         "sealed_subject = :subject, sealed_request = :request, sealed_words = :words, sealed_reason = "
         ":reason, sealed_comment = :comment, decider_kind = :decider_kind, decider_id = :decider_id, "
         "decider_name = :decider_name, decider_role = :decider_role, decided = :decided WHERE id = :id",
      use(row.state), use(ended), use(row.subject_index), use(row.sealed_subject), use(row.sealed_request),
      use(row.sealed_words), use(row.sealed_reason), use(row.sealed_comment), use(row.decider_kind),
      use(row.decider_id), use(row.decider_name), use(row.decider_role), use(decided), use(row.id);
}

bool drop_oldest_ended_approval(state::Transaction& transaction, const std::string& tenant) {
  std::string id;
  soci::statement statement =
      (transaction.sql().prepare
           << "SELECT id FROM access_approvals WHERE tenant = :tenant AND ended > 0 ORDER BY ended, number "
              "LIMIT 1",
       use(tenant), into(id));
  statement.execute();
  if (!statement.fetch()) return false;
  transaction.sql() << "DELETE FROM access_approvals WHERE id = :id", use(id);
  return true;
}

void drop_approvals_ended(state::Transaction& transaction, UnixMs before) {
  const long long time = before.value;
  transaction.sql() << "DELETE FROM access_approvals WHERE ended > 0 AND ended <= :time", use(time);
}

}  // namespace vestige::access::store
