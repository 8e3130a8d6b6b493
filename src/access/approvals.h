// Approvals: one person's yes to one exact request of another. What it is bound to, its life and what of it
// is on record: docs/formats/approvals.md; why: docs/decisions/0093.
//
// Owner: app. Thread-safe. Durable, and its event waiting in the outbox, when a call returns success; a call
// that gives an error changed nothing. Calls wait for the database.
//
// Whether `by` may ask, or be handed what it asked for, is decided before by the policy; who may decide is
// decided here, by the rule. Every call works in `by`'s tenant only.
//
// Invariants:
//   1. An approval is used at most once, by its asker, for the request that it was asked for.
//   2. Nobody decides for the person that they are (person_of()).
//   3. One that ended stays ended, and its request is not kept.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "access/client.h"
#include "access/policy.h"
#include "access/principal.h"
#include "base/mutex.h"
#include "base/result.h"
#include "base/strong.h"
#include "base/uuid.h"
#include "platform/clock.h"
#include "platform/entropy.h"
#include "state/database.h"
#include "state/fields.h"
#include "state/outbox.h"

namespace vestige::access {

namespace store {
struct ApprovalRow;
}

// A request as an approval is bound to it.
struct ExactRequest {
  std::string operation;  // its operationId
  std::string method;
  std::string path;  // as sent, with its percent-encoding
  std::vector<std::pair<std::string, std::string>> query{};
  std::string body{};
  std::string role{};     // in which the caller acts
  std::string person{};   // whom it names as the one that it is about; empty: nobody in particular
  std::string purpose{};  // X-Vestige-Purpose; empty: none
};
// Canonical JSON. invalid where it is longer than limits::approval_request_bytes_max or no UTF-8.
Result<std::string> canonical_text(const ExactRequest& request);

struct Approval {
  enum class State { asked, approved, refused, used, expired, withdrawn };
  struct Party {
    PrincipalKind kind = PrincipalKind::account;  // or service
    Uuid id{};
    std::string name;
  };
  struct Decision {
    Party by;
    std::string role;
    UnixMs at{};
    std::string comment{};
  };
  Uuid id{};
  std::string rule;
  std::string operation;
  std::string role;  // in which the asker acts
  Party asker;
  State state = State::asked;
  UnixMs asked{};
  UnixMs expires{};
  std::optional<UnixMs> ended{};
  std::string reason;
  std::string words{};                  // what is said of the request besides; empty when it ended
  std::string request{};                // canonical_text(), empty when it ended
  std::optional<std::string> person{};  // whom it is about; nothing once they are erased
  std::optional<Decision> decision{};
};
std::string_view name_of(Approval::State state);

class Approvals {
 public:
  Approvals(state::Database& database, state::Outbox& outbox, const state::Fields& fields,
            platform::Clock& clock, platform::Entropy& entropy);

  struct Wanted {
    ExactRequest request;
    std::string rule;
    std::string reason;
    std::string words{};  // such as how many entries
    std::string about{};  // whom the request is about, where only its content says so
    // Whether the trail knows the person whom the request is about: then the record is theirs too.
    bool knows_person = false;
  };
  // Gives the open one for the same request where there is one. invalid, with path, for a reason that is
  // none, and unavailable where too many are open.
  Result<Approval> ask(const Principal& by, const Client& client, const Policy& policy, const Wanted& wanted);

  // One's own, or one that one's roles may decide; not_found else, as where there is none.
  Result<Approval> find(const Principal& by, const Policy& policy, const Uuid& id);
  enum class Which { own, to_decide };
  // Newest first, those after `after`; `to_decide`: that wait, and that `by` may decide.
  Result<std::vector<Approval>> list(const Principal& by, const Policy& policy, Which which,
                                     const std::optional<Uuid>& after, std::size_t limit);

  struct Verdict {
    bool approve = false;
    std::string comment{};
  };
  // In the first of by's roles that is one of the rule's. denied for one's own, conflict where it was decided
  // or is over.
  Result<Approval> decide(const Principal& by, const Client& client, const Policy& policy, const Uuid& id,
                          const Verdict& verdict);
  // conflict where it is over.
  Result<Approval> withdraw(const Principal& by, const Client& client, const Uuid& id);
  // Uses it up. denied where it is not good for this request and reason (empty: that of the approval), with
  // why.
  Result<Approval> use(const Principal& by, const Client& client, const Policy& policy, const Uuid& id,
                       const ExactRequest& request, std::string_view reason);

  // When a person is erased: ends what is open about them, and forgets what the others say. Give up the bytes
  // by state::Database::purge().
  Status forget_subject(std::string_view tenant, std::string_view subject);
  // To be called about once a minute, on a thread that may wait: ends what is past its time, and drops what
  // ended long ago.
  Status sweep();

 private:
  struct Told;
  // The time by which approvals live: while the server runs, it is not set back.
  UnixMs time() const;
  bool is_over(const store::ApprovalRow& row) const;
  std::string seal(std::string_view column, const store::ApprovalRow& row, std::string_view plain) const;
  Result<std::string> open(std::string_view column, const store::ApprovalRow& row,
                           std::string_view sealed) const;
  Result<Approval> approval_of(const store::ApprovalRow& row) const;
  std::string digest_of(const Principal& by, std::string_view rule, std::string_view text) const;
  std::string subject_index(std::string_view tenant, std::string_view subject) const;
  store::ApprovalRow new_row(const Principal& by, const ApprovalRule& rule, const Wanted& wanted,
                             const std::string& text) const;
  Status make_room(state::Transaction& transaction, const store::ApprovalRow& row) const;
  Status record(state::Transaction& transaction, const store::ApprovalRow& row, const Told& told);
  Status end(state::Transaction& transaction, store::ApprovalRow& row, Approval::State state,
             const Told& told);
  Result<store::ApprovalRow> find_own(state::Transaction& transaction, const Principal& by,
                                      const Uuid& id) const;
  Status check_use(state::Transaction& transaction, const store::ApprovalRow& row, const Policy& policy,
                   std::string_view digest, std::string_view reason) const;
  Status expire(state::Transaction& transaction, store::ApprovalRow& row);
  Status expire_due();

  state::Database& database_;
  state::Outbox& outbox_;
  const state::Fields& fields_;
  platform::Clock& clock_;
  platform::Entropy& entropy_;
  const UnixMs began_;
  const std::chrono::nanoseconds began_at_;
};

}  // namespace vestige::access
