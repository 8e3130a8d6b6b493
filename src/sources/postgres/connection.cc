#include "sources/postgres/connection.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>
#include <charconv>

#include "base/encoding.h"
#include "platform/wait.h"
#include "sources/postgres/limits.h"

namespace vestige::sources::postgres {
namespace {

// How a value's text is written depends on these; the server's, the database's and the role's do not count.
constexpr const char* session_options =
    "-c datestyle=ISO -c intervalstyle=iso_8601 -c timezone=UTC -c extra_float_digits=3 "
    "-c bytea_output=hex -c lc_monetary=C -c standard_conforming_strings=on -c statement_timeout=0 "
    "-c idle_in_transaction_session_timeout=0";

std::string one_line(const char* message) {
  std::string line(message == nullptr ? "" : message);
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  std::ranges::replace(line, '\n', ' ');
  return line;
}

// SQLSTATE classes: PostgreSQL's manual, appendix A.
ErrorKind kind_of(std::string_view state) {
  if (state == "42501" || state.starts_with("28")) return ErrorKind::denied;
  if (state == "42704" || state == "42P01" || state == "3D000" || state == "42703")
    return ErrorKind::not_found;
  if (state == "42710" || state == "55006") return ErrorKind::conflict;  // there already, in use
  if (state.starts_with("42") || state.starts_with("22")) return ErrorKind::invalid;
  return ErrorKind::unavailable;
}

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Answer = std::unique_ptr<PGresult, ClearResult>;

std::unexpected<Error> error_of(const PGresult* result, PGconn* connection) {
  const char* state = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* said = result == nullptr ? PQerrorMessage(connection) : PQresultErrorMessage(result);
  return fail(state == nullptr ? ErrorKind::unavailable : kind_of(state), one_line(said));
}

// libpq quotes what it cannot read, which may be a password.
Status check_dsn(const std::string& dsn) {
  char* said = nullptr;
  auto* const options = PQconninfoParse(dsn.c_str(), &said);
  PQfreemem(said);
  if (options == nullptr)
    return fail(ErrorKind::invalid,
                "what says how the database is reached (dsn) cannot be read: write "
                "postgresql://USER@HOST:PORT/DATABASE, "
                "or \"host=... dbname=... user=...\"");
  PQconninfoFree(options);
  return {};
}

}  // namespace

struct Connection::Session {
  ~Session() { PQfinish(connection); }
  PGconn* connection = nullptr;
};

Connection::Connection(std::unique_ptr<Session> session) : session_(std::move(session)) {}
Connection::~Connection() = default;

Result<std::unique_ptr<Connection>> Connection::open(const std::string& dsn, Use use) {
  VESTIGE_CHECKED(check_dsn(dsn));
  // The first sets what later ones outrank; `dbname` may be a whole connection string, and is expanded.
  const char* names[] = {"connect_timeout", "keepalives_idle",  "dbname",      "options",
                         "client_encoding", "application_name", "replication", nullptr};
  const char* values[] = {"10",
                          "30",
                          dsn.c_str(),
                          session_options,
                          "UTF8",
                          "vestige",
                          use == Use::replication ? "database" : nullptr,
                          nullptr};
  auto session = std::make_unique<Session>();
  session->connection = PQconnectdbParams(names, values, 1);
  if (session->connection == nullptr)
    return fail(ErrorKind::unavailable, "there is no memory for a connection");
  if (PQstatus(session->connection) != CONNECTION_OK)
    return fail(ErrorKind::unavailable, one_line(PQerrorMessage(session->connection)));
  return std::unique_ptr<Connection>(new Connection(std::move(session)));
}

Result<Table> Connection::query(const std::string& sql) {
  const Answer answer(PQexec(session_->connection, sql.c_str()));
  const auto status = PQresultStatus(answer.get());
  if (status == PGRES_COMMAND_OK) return Table{};
  if (status != PGRES_TUPLES_OK) return error_of(answer.get(), session_->connection);
  Table table(static_cast<std::size_t>(PQntuples(answer.get())));
  const int columns = PQnfields(answer.get());
  for (int row = 0; row < PQntuples(answer.get()); ++row) {
    auto& values = table[static_cast<std::size_t>(row)];
    for (int column = 0; column < columns; ++column) {
      if (PQgetisnull(answer.get(), row, column) != 0) {
        values.emplace_back(std::nullopt);
      } else {
        values.emplace_back(std::in_place, PQgetvalue(answer.get(), row, column),
                            static_cast<std::size_t>(PQgetlength(answer.get(), row, column)));
      }
    }
  }
  return table;
}

Status Connection::start_replication(const std::string& command) {
  const Answer answer(PQexec(session_->connection, command.c_str()));
  if (PQresultStatus(answer.get()) != PGRES_COPY_BOTH) return error_of(answer.get(), session_->connection);
  return {};
}

Result<std::optional<Bytes>> Connection::receive(std::chrono::milliseconds patience) {
  auto* const connection = session_->connection;
  for (bool waited = false;; waited = true) {
    char* data = nullptr;
    const int size = PQgetCopyData(connection, &data, 1);
    if (size > 0) {
      const std::unique_ptr<char, void (*)(void*)> owned(data, PQfreemem);
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(data);
      return Bytes(bytes, bytes + size);
    }
    if (size == -2) return fail(ErrorKind::unavailable, one_line(PQerrorMessage(connection)));
    if (size == -1) {
      const Answer answer(PQgetResult(connection));
      if (PQresultStatus(answer.get()) == PGRES_FATAL_ERROR) return error_of(answer.get(), connection);
      return fail(ErrorKind::unavailable, "the server ended the replication stream");
    }
    if (waited) return std::optional<Bytes>{};
    if (!platform::wait_until_readable(PQsocket(connection), patience)) return std::optional<Bytes>{};
    if (PQconsumeInput(connection) == 0)
      return fail(ErrorKind::unavailable, one_line(PQerrorMessage(connection)));
  }
}

Status Connection::send(std::string_view message) {
  auto* const connection = session_->connection;
  const int put = PQputCopyData(connection, message.data(), static_cast<int>(message.size()));
  if (put != 1 || PQflush(connection) < 0)
    return fail(ErrorKind::unavailable, one_line(PQerrorMessage(connection)));
  return {};
}

std::uint64_t number_in(const std::optional<std::string>& value) {
  std::uint64_t number = 0;
  if (value) std::from_chars(value->data(), value->data() + value->size(), number);
  return number;
}

std::string quoted_name(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) out.append(c == '"' ? 2 : 1, c);
  return out + '"';
}

std::string quoted_literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out.append(c == '\'' ? 2 : 1, c);
  return out + '\'';
}

}  // namespace vestige::sources::postgres
