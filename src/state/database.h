// Mutable operational state in SQL: accounts, sessions, approvals, what waits to be relayed into the trail.
// It says what holds now; what happened is in the trail.
//
// Owner: app, one per server, over SQLite (docs/decisions/0080). Owns its connections and the tables of this
// module; every other table belongs to the module whose *_store.cc speaks SQL about it (and includes
// <soci/soci.h>, which stays out of headers). Thread-safe. Durable when write() returns success.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/result.h"
#include "platform/clock.h"
#include "state/limits.h"

namespace soci {
class session;
}

namespace vestige::state {

// One step in the life of a module's tables. The steps of a module are numbered from 1 without gaps, applied
// in order, each once and in a transaction of its own. A step that was released is never changed: a database
// that has another text under the same number is refused, and so is one that is ahead of this program.
struct Migration {
  std::string_view module;
  std::uint32_t number = 0;
  std::string_view sql;  // portable statements, each ended by ';' at the end of a line
};

struct DatabaseOptions {
  std::string path;         // of the file; its directory exists
  std::size_t readers = 2;  // connections that only read, 1 to limits::readers_max
  std::uint64_t bytes_max = limits::database_bytes_max;
  std::chrono::milliseconds busy_wait = limits::busy_wait;
  std::uint64_t purge_in_memory_bytes_max = limits::purge_in_memory_bytes_max;
};

// What a unit of work speaks SQL through; lives as long as the work runs. SOCI's exceptions may leave the
// work: the database rolls back and makes errors of them.
//
// What is handed to soci::use() and soci::into() is a named variable: a statement runs when its whole
// expression ends, and then a temporary is gone. Integers are `long long` and stand in BIGINT columns
// (INTEGER has 32 bits).
class Transaction {
 public:
  explicit Transaction(soci::session& session) : session_(session) {}
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  soci::session& sql() { return session_; }
  // Runs `act` once the transaction is durable, after its locks are gone; never where it is rolled back.
  void after_commit(std::function<void()> act) { after_commit_.push_back(std::move(act)); }
  std::vector<std::function<void()>> take_after_commit() { return std::move(after_commit_); }

 private:
  soci::session& session_;
  std::vector<std::function<void()>> after_commit_;
};

class Database {
 public:
  // Applies what is missing of this module's migrations, then of `migrations`. conflict where the file is
  // ahead of this program or a step was changed; corrupt where it is no database any more.
  static Result<std::unique_ptr<Database>> open(const DatabaseOptions& options,
                                                std::span<const Migration> migrations,
                                                platform::Clock& clock);
  virtual ~Database() = default;

  // Runs `work(Transaction&)`, which gives a Status or a Result<T>. All of it is kept and durable, or none:
  // none where the work gives an error, and none where the database fails (unavailable where it is full or
  // locked for too long, conflict where a constraint forbids it, corrupt, io). One write runs at a time. The
  // work must not wait for anything else, nor begin another read or write.
  //
  // After a failed write or sync of the machine nothing more is written until the next start: only then is it
  // known whether that last transaction was kept.
  template <typename Work>
  auto write(Work&& work) {
    return run(Mode::write, std::forward<Work>(work));
  }
  // The same for work that changes nothing; it sees one state throughout, and waits for no writer.
  template <typename Work>
  auto read(Work&& work) {
    return run(Mode::read, std::forward<Work>(work));
  }

  // Deleted rows are overwritten at once where they stood; older copies of their pages wait in the
  // write-ahead log, and copies of rows that were moved between pages may be left. After success there are
  // none: nothing that was deleted before is left in any file. Rewrites the whole database, and lets nobody
  // read or write meanwhile: for erasures. unavailable where there is no room for a second copy, or another
  // program reads for too long.
  virtual Status purge() = 0;

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
