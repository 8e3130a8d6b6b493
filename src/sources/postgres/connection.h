// One session with a PostgreSQL server, over libpq. Its settings are such that a value's text is the same
// whatever the server, the database and the role have set (docs/formats/capture.md, "Values").
//
// Not thread-safe. Errors: unavailable where the server cannot be reached or has gone (connect again), denied
// where it does not let us in or do something, invalid where it does not understand, not_found where what is
// named is not there. Messages are PostgreSQL's, without the password.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace vestige::sources::postgres {

// A result whole, each value as text; nothing where it is null.
using Table = std::vector<std::vector<std::optional<std::string>>>;
// A value of it that is a number; 0 where it is none.
std::uint64_t number_in(const std::optional<std::string>& value);

class Connection {
 public:
  // A session for replication takes the commands of the replication protocol beside SQL.
  enum class Use { queries, replication };
  // `dsn`: a connection URI or "name=value" pairs as libpq takes them; what it leaves out is taken from where
  // libpq takes it (PGPASSFILE, service files).
  static Result<std::unique_ptr<Connection>> open(const std::string& dsn, Use use);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Blocks until the server has answered.
  Result<Table> query(const std::string& sql);

  // From here on the session is one of copying: receive() and send() alone.
  Status start_replication(const std::string& command);
  // One message of the stream; nothing where none came within `patience`. unavailable where the stream ended.
  Result<std::optional<Bytes>> receive(std::chrono::milliseconds patience);
  Status send(std::string_view message);

 private:
  struct Session;
  explicit Connection(std::unique_ptr<Session> session);
  std::unique_ptr<Session> session_;
};

std::string quoted_name(std::string_view name);     // "a""b"
std::string quoted_literal(std::string_view text);  // 'a''b', for standard_conforming_strings

}  // namespace vestige::sources::postgres
