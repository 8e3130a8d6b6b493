// Finding the server and the key, and speaking to it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "cli/internal/surroundings.h"
#include "http/client.h"
#include "json/json.h"

namespace vestige::cli {

// As given on the command line; empty where an option was not given.
struct ConnectionArguments {
  std::string url{};
  std::string key{};
  std::string data{};
  std::string ca_file{};
  std::string reason{};            // of a look at the trail, or of what may wait for an approval
  std::string subject{};           // whom a look is about
  std::string purpose{};           // of a look
  std::string tenant = "default";  // whose log it is
  std::string approval{};          // of this very request
  bool takes_approval = false;     // whether the command is one that may need it
  bool json = false;
};

struct Target {
  std::string url;
  std::string url_source;  // where it was found, for messages
  std::string key;         // empty where none is needed
  std::string ca_file;
  std::string reason{};    // sent with every request where it is not empty
  std::string approval{};  // the same
  std::string subject{};   // the same
  std::string purpose{};   // the same
  std::string tenant{};    // whose log proofs are held against

  // A link of an answer: it begins with the server's public address, or is a path of the server that was
  // asked.
  std::string whole_link(const std::string& link) const { return link.starts_with('/') ? url + link : link; }
};

inline constexpr unsigned waiting_status = 202;  // nothing was done: it waits for an approval

enum class KeyNeed { none, required };

// The server: --url, VESTIGE_URL, or the first line of LOCK in the data directory (--data, VESTIGE_DATA,
// ./var). The key: --key, VESTIGE_KEY, or the first line of admin.key there. The key of a data directory is
// not sent to a server that was named by address, unless the directory was named too: ./var of today may
// belong to another. unavailable where no server is known, invalid where no key is.
Result<Target> locate(const ConnectionArguments& arguments, const Surroundings& surroundings, KeyNeed need);

// Not thread-safe.
class Connection {
 public:
  // `while_waiting` is called every now and then while an answer is waited for; false gives it up.
  explicit Connection(Target target, std::function<bool()> while_waiting = {});
  const Target& target() const { return target_; }
  http::Client& client() { return client_; }

  // A status of 300 or more is an error: denied (and exit code 1) whatever the server did not like. So is
  // 202: what was asked for waits for an approval.
  Result<http::ClientResponse> get(const std::string& path);
  Result<http::ClientResponse> send(const std::string& method, const std::string& path,
                                    const std::string& body, const std::string& content_type);

 private:
  Target target_;
  http::Client client_;
};

Result<Connection> connect(const ConnectionArguments& arguments, const Surroundings& surroundings,
                           KeyNeed need);

std::string described(const Target& target);  // "http://127.0.0.1:8080 (from ./var/LOCK)"

// What a server said instead of doing what was asked: status, reason, path, position, limit; fit for a
// terminal.
std::string describe_refusal(const http::ClientResponse& response);
Error refusal(const http::ClientResponse& response);

// Where the log of the tenant is: "checkpoint", "vkey".
std::string log_path(const Target& target, std::string_view what);

// The log's verifier key: the one that was given (its text, or a file that holds it), else the server's.
Result<std::string> verifier_key_of(Connection& connection, const std::string& given);

// Of an answer that has to be JSON; corrupt where it is not.
Status parse_answer(const std::string& body, json::Document& document);

// One path segment or query value, percent-encoded.
std::string encoded(std::string_view text);

// Says what went wrong and gives the exit code for it.
int report(Surroundings& surroundings, const Error& error);

// Whether to write JSON: it was asked for, or nobody looks at a terminal.
bool wants_json(const ConnectionArguments& arguments, const Surroundings& surroundings);

}  // namespace vestige::cli
