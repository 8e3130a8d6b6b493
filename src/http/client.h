// A blocking HTTP/1.1 client, for the command line and for worker threads that ask another server: one
// connection, kept alive, http and https. A redirect is an answer like any other and is not followed.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace vestige::http {

using Fields = std::vector<std::pair<std::string, std::string>>;

struct ClientOptions {
  std::string url;             // http://host:port or https://host:port, an optional path prefix
  std::string bearer_token{};  // sent as Authorization: Bearer where not empty
  std::string ca_file{};       // trust this PEM instead of the system's
  Fields headers{};            // sent with every request
  int timeout_seconds = 60;    // without progress
  int total_seconds = 0;  // of one exchange, progress or not; 0: no limit. Looking up a name is not counted
  std::size_t body_bytes_max = 256 << 20;
  // Called every `waiting_period` while an answer is waited for; false gives the exchange up (unavailable).
  std::function<bool()> while_waiting{};
};

inline constexpr std::chrono::milliseconds waiting_period{100};

struct ClientResponse {
  unsigned status = 0;
  std::string content_type;
  std::string body;
  Fields headers;  // names in lower case
};

// Not thread-safe.
class Client {
 public:
  explicit Client(ClientOptions options);
  ~Client();
  Client(Client&&) noexcept;

  // unavailable where the server cannot be reached (the message names the address), invalid where the URL
  // is wrong. Any status is a success here. A connection that the server closed while idle is opened anew
  // once.
  Result<ClientResponse> send(const std::string& method, const std::string& target,
                              const std::string& body = {}, const std::string& content_type = {},
                              const Fields& headers = {});
  // GETs an event stream and hands over each piece as it comes until `on_piece` returns false or the
  // server closes. A status other than 200 is returned with its body.
  Result<ClientResponse> stream(const std::string& target, const Fields& headers,
                                const std::function<bool(std::string_view)>& on_piece);
  // The same for what is asked for with a POST.
  Result<ClientResponse> post_for_stream(const std::string& target, const std::string& body,
                                         const std::string& content_type,
                                         const std::function<bool(std::string_view)>& on_piece);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vestige::http
