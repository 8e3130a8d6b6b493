// The one file that knows SQLite. SQLite opens, locks and syncs its files by itself, outside of platform
// (docs/decisions/0080); the file is made by platform before, so that nobody else may read it at any moment.
#include <fmt/format.h>
#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include "base/check.h"
#include "base/mutex.h"
#include "platform/files.h"
#include "state/database.h"
#include "state/internal/migrations.h"

namespace vestige::state {
namespace {

constexpr std::uint64_t page_bytes = 4'096;

// Write-ahead logging: readers see one state and wait for no writer. FULL: each commit is synced.
// secure_delete: what is deleted is overwritten. cell_size_check: damage is found before it is followed.
constexpr const char* connection_settings =
    "PRAGMA synchronous = FULL;"
    "PRAGMA foreign_keys = ON;"
    "PRAGMA secure_delete = ON;"
    "PRAGMA cell_size_check = ON;"
    "PRAGMA trusted_schema = OFF;"
    "PRAGMA temp_store = MEMORY;";

sqlite_api::sqlite3* connection_of(soci::session& session) {
  return static_cast<soci::sqlite3_session_backend*>(session.get_backend())->conn_;
}

// `message` is SQLite's own, which names tables and columns but no values; what SOCI adds to it in what() are
// the values, so that is never used.
Error error_of(int code, const std::string& message, const std::string& path) {
  switch (code & 0xff) {  // the low byte is the class, the rest says more
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return {.kind = ErrorKind::unavailable,
              .message = fmt::format("The state database {} is in use by another program ({}). Try again.",
                                     path, message)};
    case SQLITE_FULL:
      return {.kind = ErrorKind::unavailable,
              .message =
                  fmt::format("The state database {} cannot grow ({}): its disk is full or its own limit is "
                              "reached. Make room; nothing of this change was kept.",
                              path, message)};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {.kind = ErrorKind::corrupt,
              .message =
                  fmt::format("The state database {} is damaged ({}). Put back a backup of it; the trail is "
                              "not concerned.",
                              path, message),
              .where = Location{.file = path, .offset = 0, .index = {}}};
    case SQLITE_CONSTRAINT:
      return {.kind = ErrorKind::conflict,
              .message = fmt::format("The state database refused a change: {}.", message)};
    default:
      return {
          .kind = ErrorKind::io,
          .message = fmt::format("The state database {} failed: {} (SQLite code {}).", path, message, code)};
  }
}

// After these nothing is known of what the disk holds.
bool ends_writing(int code) {
  const int kind = code & 0xff;
  return kind == SQLITE_IOERR || kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB;
}

// Undoes what is not committed when the scope is left, by an exception too.
class RollBack {
 public:
  explicit RollBack(sqlite_api::sqlite3* connection) : connection_(connection) {}
  ~RollBack() {
    if (sqlite_api::sqlite3_get_autocommit(connection_) == 0)
      sqlite_api::sqlite3_exec(connection_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
  RollBack(const RollBack&) = delete;
  RollBack& operator=(const RollBack&) = delete;

 private:
  sqlite_api::sqlite3* connection_;
};

// A read or write inside of another would wait for itself, or see an older state than the work that began it.
thread_local bool in_transaction = false;

class OneAtATime {
 public:
  OneAtATime() {
    CHECK(!in_transaction);
    in_transaction = true;
  }
  ~OneAtATime() { in_transaction = false; }
  OneAtATime(const OneAtATime&) = delete;
  OneAtATime& operator=(const OneAtATime&) = delete;
};

using Session = std::unique_ptr<soci::session>;
using Work = std::function<Status(Transaction&)>;
using Acts = std::vector<std::function<void()>>;

class SqliteDatabase final : public Database {
 public:
  explicit SqliteDatabase(DatabaseOptions options) : options_(std::move(options)) {}

  Status start() EXCLUDES(writer_mutex_, readers_mutex_);
  Status purge() override EXCLUDES(writer_mutex_, readers_mutex_);

 protected:
  Status run_in(Mode mode, const Work& work) override {
    return mode == Mode::write ? write_in(work) : read_in(work);
  }

 private:
  class Reader;

  Status make_file() const;
  Result<Session> connect() const;
  Status prepare_writer(soci::session& writer) const;
  Status write_in(const Work& work) EXCLUDES(writer_mutex_);
  Status write_locked(const Work& work, Acts& acts) REQUIRES(writer_mutex_);
  Status rewrite(soci::session& writer) REQUIRES(writer_mutex_);
  void end_writing(const Error& error) REQUIRES(writer_mutex_);
  Status read_in(const Work& work) EXCLUDES(readers_mutex_);
  Status settings(sqlite_api::sqlite3* connection, const char* sql) const;
  // Runs `call`, with SOCI's exceptions as errors; `code` gets SQLite's code of one.
  template <typename Call>
  Status guarded(int& code, Call&& call) const;

  const DatabaseOptions options_;
  Mutex writer_mutex_;
  Session writer_ GUARDED_BY(writer_mutex_);
  std::optional<Error> ended_ GUARDED_BY(writer_mutex_);  // why nothing more is written
  Mutex readers_mutex_;
  Condition reader_is_free_;
  std::vector<Session> free_readers_ GUARDED_BY(readers_mutex_);
};

template <typename Call>
Status SqliteDatabase::guarded(int& code, Call&& call) const {
  code = SQLITE_OK;
  try {
    return call();
  } catch (const soci::sqlite3_soci_error& error) {
    code = error.result();
    return std::unexpected(error_of(code, error.get_error_message(), options_.path));
  } catch (const soci::soci_error& error) {
    code = SQLITE_ERROR;
    return std::unexpected(error_of(code, error.get_error_message(), options_.path));
  }
}

Status SqliteDatabase::settings(sqlite_api::sqlite3* connection, const char* sql) const {
  const int code = sqlite_api::sqlite3_exec(connection, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK)
    return std::unexpected(error_of(code, sqlite_api::sqlite3_errmsg(connection), options_.path));
  return {};
}

// SQLite gives its log and index the mode of the file that they belong to.
Status SqliteDatabase::make_file() const {
  const auto directory = platform::parent_of(options_.path);
  const auto name = directory.empty() ? options_.path : options_.path.substr(directory.size() + 1);
  VESTIGE_TRY(const auto files, platform::open_directory(directory.empty() ? "." : directory, false));
  if (files->exists(name)) return {};
  VESTIGE_TRY(const auto file, files->create(name, platform::FileMode::secret));
  VESTIGE_CHECKED(file->sync());
  return files->sync_directory("");
}

Result<Session> SqliteDatabase::connect() const {
  Session session;
  int code = SQLITE_OK;
  VESTIGE_CHECKED(guarded(code, [&]() -> Status {
    session = std::make_unique<soci::session>(soci::sqlite3, fmt::format("dbname=\"{}\"", options_.path));
    return {};
  }));
  auto* const connection = connection_of(*session);
  sqlite_api::sqlite3_extended_result_codes(connection, 1);
  sqlite_api::sqlite3_busy_timeout(connection, static_cast<int>(options_.busy_wait.count()));
  VESTIGE_CHECKED(settings(connection, connection_settings));
  return session;
}

Status SqliteDatabase::prepare_writer(soci::session& writer) const {
  const auto pages_max = std::max<std::uint64_t>(options_.bytes_max / page_bytes, 1);
  VESTIGE_CHECKED(settings(connection_of(writer), fmt::format("PRAGMA page_size = {};"
                                                              "PRAGMA max_page_count = {};"
                                                              "PRAGMA journal_size_limit = {};",
                                                              page_bytes, pages_max, limits::log_bytes_kept)
                                                      .c_str()));
  int code = SQLITE_OK;
  return guarded(code, [&]() -> Status {
    std::string found;
    writer << "PRAGMA journal_mode = WAL", soci::into(found);
    if (found != "wal")
      return fail(ErrorKind::io,
                  fmt::format("The state database {} cannot use a write-ahead log here (SQLite "
                              "chose \"{}\"): put it on a local file system.",
                              options_.path, found));
    writer << "PRAGMA quick_check(1)", soci::into(found);
    if (found != "ok") return std::unexpected(error_of(SQLITE_CORRUPT, found, options_.path));
    return {};
  });
}

Status SqliteDatabase::start() {
  if (options_.readers == 0 || options_.readers > limits::readers_max)
    return std::unexpected(Error{.kind = ErrorKind::invalid,
                                 .message = "The state database needs at least one connection that reads.",
                                 .limit = fmt::format("readers_max {}", limits::readers_max)});
  if (options_.path.find('"') != std::string::npos)
    return fail(ErrorKind::invalid,
                fmt::format("The path of the state database must not contain '\"': {}", options_.path));
  VESTIGE_CHECKED(make_file());
  VESTIGE_TRY(auto writer, connect());
  VESTIGE_CHECKED(prepare_writer(*writer));
  {
    Lock lock(writer_mutex_);
    writer_ = std::move(writer);
  }
  Lock lock(readers_mutex_);
  while (free_readers_.size() < options_.readers) {
    VESTIGE_TRY(auto reader, connect());
    VESTIGE_CHECKED(settings(connection_of(*reader), "PRAGMA query_only = ON"));
    free_readers_.push_back(std::move(reader));
  }
  return {};
}

Status SqliteDatabase::write_in(const Work& work) {
  Acts acts;
  {
    Lock lock(writer_mutex_);
    VESTIGE_CHECKED(write_locked(work, acts));
  }
  for (const auto& act : acts) act();
  return {};
}

Status SqliteDatabase::write_locked(const Work& work, Acts& acts) {
  const OneAtATime one;
  if (ended_) return std::unexpected(*ended_);
  auto& writer = *writer_;
  const RollBack roll_back(connection_of(writer));
  int code = SQLITE_OK;
  auto written = guarded(code, [&]() -> Status {
    // IMMEDIATE takes the lock at once, so that what the work reads is what it changes.
    writer << "BEGIN IMMEDIATE";
    Transaction transaction(writer);
    VESTIGE_CHECKED(work(transaction));
    writer << "COMMIT";
    acts = transaction.take_after_commit();
    return {};
  });
  if (!written && ends_writing(code)) end_writing(written.error());
  return written;
}

void SqliteDatabase::end_writing(const Error& error) {
  ended_ = error;
  ended_->message += " Nothing more is written to it until the server is started again.";
}

// One of the pool, for as long as it lives.
class SqliteDatabase::Reader {
 public:
  explicit Reader(SqliteDatabase& database) : database_(database) {
    Lock lock(database_.readers_mutex_);
    while (database_.free_readers_.empty()) database_.reader_is_free_.wait(database_.readers_mutex_);
    session_ = std::move(database_.free_readers_.back());
    database_.free_readers_.pop_back();
  }
  ~Reader() {
    Lock lock(database_.readers_mutex_);
    database_.free_readers_.push_back(std::move(session_));
    database_.reader_is_free_.notify_one();
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  soci::session& operator*() { return *session_; }

 private:
  SqliteDatabase& database_;
  Session session_;
};

Status SqliteDatabase::read_in(const Work& work) {
  const OneAtATime one;
  Reader reader(*this);
  const RollBack roll_back(connection_of(*reader));
  int code = SQLITE_OK;
  return guarded(code, [&]() -> Status {
    *reader << "BEGIN";
    Transaction transaction(*reader);
    return work(transaction);
  });
}

// secure_delete alone is not enough: where SQLite spreads the rows of a page over its neighbours, copies of
// rows that have moved stay in the gap between the others, and deleting such a row later does not reach them.
Status SqliteDatabase::rewrite(soci::session& writer) {
  int code = SQLITE_OK;
  auto rewritten = guarded(code, [&]() -> Status {
    long long pages = 0;
    long long unused = 0;
    writer << "PRAGMA page_count", soci::into(pages);
    writer << "PRAGMA freelist_count", soci::into(unused);
    const auto bytes = static_cast<std::uint64_t>(pages - unused) * page_bytes;
    if (bytes > options_.purge_in_memory_bytes_max) writer << "PRAGMA temp_store = FILE";
    writer << "VACUUM";
    return {};
  });
  VESTIGE_CHECKED(settings(connection_of(writer), "PRAGMA temp_store = MEMORY"));
  if (!rewritten && ends_writing(code)) end_writing(rewritten.error());
  return rewritten;
}

Status SqliteDatabase::purge() {
  const OneAtATime one;
  Lock lock(writer_mutex_);
  if (ended_) return std::unexpected(*ended_);
  // A read that begins now would keep the log from being emptied.
  std::vector<std::unique_ptr<Reader>> all;
  while (all.size() < options_.readers) all.push_back(std::make_unique<Reader>(*this));
  if (auto rewritten = rewrite(*writer_); !rewritten) return rewritten;
  auto* const connection = connection_of(*writer_);
  const int code = sqlite_api::sqlite3_wal_checkpoint_v2(connection, nullptr, SQLITE_CHECKPOINT_TRUNCATE,
                                                         nullptr, nullptr);
  if (code == SQLITE_OK) return {};
  auto error = error_of(code, sqlite_api::sqlite3_errmsg(connection), options_.path);
  if (ends_writing(code)) end_writing(error);
  return std::unexpected(std::move(error));
}

}  // namespace

Result<std::unique_ptr<Database>> Database::open(const DatabaseOptions& options,
                                                 std::span<const Migration> migrations,
                                                 platform::Clock& clock) {
  auto database = std::make_unique<SqliteDatabase>(options);
  VESTIGE_CHECKED(database->start());
  std::vector<Migration> all(own_migrations().begin(), own_migrations().end());
  all.insert(all.end(), migrations.begin(), migrations.end());
  VESTIGE_CHECKED(migrate(*database, all, clock, options.path));
  return database;
}

}  // namespace vestige::state
