// Mutable operational state in SQL: accounts, sessions, approvals, what waits to be relayed into the trail. It says
// what holds now; what happened is in the trail.
//
// Owner: app, one per server, over SQLite (docs/decisions/0080). Owns its connections and the tables of this module;
// every other table belongs to the module whose *_store.cc speaks SQL about it. Thread-safe. Durable when write()
// returns success.
#pragma once

#include <soci/soci.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/result.h"
#include "platform/clock.h"

namespace vestige::state {

// One step in the life of a module's tables. The steps of a module are numbered from 1 without gaps, applied in order,
// each once and in a transaction of its own. A step that was released is never changed: a database that has another
// text under the same number is refused, and so is one that is ahead of this program.
struct Migration {
  std::string_view module;
  std::uint32_t number = 0;
  std::string_view sql;  // portable statements, each ended by ';' at the end of a line
};

struct DatabaseOptions {
  std::string path;          // of the file; its directory exists
  std::size_t readers = 2;   // connections that only read
};

// What a unit of work speaks SQL through; lives as long as the work runs.
class Transaction {
 public:
  explicit Transaction(soci::session& session) : session_(session) {}
  soci::session& sql() { return session_; }

 private:
  soci::session& session_;
};

class Database {
 public:
  // conflict where the file is ahead of this program or a step was changed; corrupt where it is no database any more.
  static Result<std::unique_ptr<Database>> open(const DatabaseOptions& options,
                                                std::span<const Migration> migrations, platform::Clock& clock);
  virtual ~Database() = default;

  // Runs `work(Transaction&)`, which gives a Status or a Result<T>. All of it is kept and durable, or none: none where
  // the work gives an error, and none where the database fails (unavailable where it is full or locked for too long,
  // corrupt, io). One write runs at a time. The work must not wait for anything else.
  template <typename Work>
  auto write(Work&& work) {
    return run(Mode::write, std::forward<Work>(work));
  }
  // The same for work that changes nothing; it sees one state throughout, and waits for no writer.
  template <typename Work>
  auto read(Work&& work) {
    return run(Mode::read, std::forward<Work>(work));
  }

 protected:
  enum class Mode { read, write };
  virtual Status run_in(Mode mode, const std::function<Status(Transaction&)>& work) = 0;

 private:
  template <typename Work>
  std::invoke_result_t<Work, Transaction&> run(Mode mode, Work&& work) {
    using Outcome = std::invoke_result_t<Work, Transaction&>;
    std::optional<Outcome> outcome;
    auto ended = run_in(mode, [&](Transaction& transaction) -> Status {
      outcome.emplace(work(transaction));
      if (!*outcome) return std::unexpected(outcome->error());
      return {};
    });
    if (!ended) return std::unexpected(std::move(ended).error());
    return *std::move(outcome);
  }
};

}  // namespace vestige::state
