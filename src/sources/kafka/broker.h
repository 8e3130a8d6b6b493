// A Kafka cluster as a capture needs it, over librdkafka: messages of the partitions that the group gives us,
// from where we say, and dead letters. librdkafka's threads and sockets are its own (decision 112).
//
// Each is one thread's: callbacks run in receive() and close(). Errors: unavailable where no broker answers
// (later it may), invalid where the settings are wrong. No message has the value of an option in it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/strong.h"
#include "sources/kafka/configuration.h"

namespace vestige::sources::kafka {

// One partition of a topic.
struct Place {
  std::string topic;
  std::int32_t partition = 0;
  auto operator<=>(const Place&) const = default;
};

struct Message {
  Place place;
  std::int64_t offset = 0;
  std::optional<UnixMs> time{};  // that its producer or broker gave it
  std::optional<std::string> key{}, value{};
  std::vector<std::pair<std::string, std::optional<std::string>>> headers{};
};

// Where reading of a partition begins: an offset, or where its log begins.
struct Start {
  Place place;
  std::optional<std::int64_t> offset{};
};

// The offset from which we wanted to read is not there.
struct OutOfRange {
  Place place;
};

struct Watermarks {
  std::int64_t low = 0, high = 0;  // the first that is there, and the next that will be
};

// Whether librdkafka takes the options, and none is unknown to it.
Status check_options(const Configuration& configuration);

class Consumer {
 public:
  struct Handlers {
    // Partitions are ours from now on: where to begin with each.
    std::function<std::vector<Start>(const std::vector<Place>&)> assigned;
    // None is ours any more.
    std::function<void()> revoked;
    // Something that librdkafka goes on trying; `code` is the same for the same trouble.
    std::function<void(int code, const std::string& text)> trouble;
  };
  static Result<std::unique_ptr<Consumer>> open(const Configuration& configuration, Handlers handlers);
  ~Consumer();  // leaves the group
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;

  // Which cluster it is.
  Result<std::string> cluster();
  Status subscribe(const std::vector<std::string>& topics);
  using Received = std::variant<std::monostate, Message, OutOfRange>;
  Result<Received> receive(std::chrono::milliseconds patience);
  // The partitions that are ours, begun anew; each is read, paused or not.
  Status restart(const std::vector<Start>& starts);
  Status pause(const Place& place);
  Status resume(const Place& place);
  Result<Watermarks> watermarks(const Place& place);
  // The end as last heard; nothing where nothing was.
  std::optional<std::int64_t> end_of(const Place& place);
  bool reachable();
  // What Kafka shows as the group's place. Does not wait.
  void commit(const std::vector<Start>& next);

  struct Session;

 private:
  explicit Consumer(std::unique_ptr<Session> session);
  std::unique_ptr<Session> session_;
};

class DeadLetters {
 public:
  static Result<std::unique_ptr<DeadLetters>> open(const Configuration& configuration);
  ~DeadLetters();
  DeadLetters(const DeadLetters&) = delete;
  DeadLetters& operator=(const DeadLetters&) = delete;

  // The message as it came, behind its topic's name the ending, with the reason and where it stood in
  // headers. Waits until all replicas have it.
  Status send(const Message& message, std::string_view reason);

  struct Session;

 private:
  explicit DeadLetters(std::unique_ptr<Session> session);
  std::unique_ptr<Session> session_;
};

}  // namespace vestige::sources::kafka
