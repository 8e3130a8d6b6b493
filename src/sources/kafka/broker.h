// A Kafka cluster as we need it, over librdkafka: messages of the partitions that the group gives us, from
// where we say; messages of ours, and dead letters. librdkafka's threads and sockets are its own (decision
// 112).
//
// Each is one thread's: callbacks run in cluster(), receive() and serve(), and while a consumer is destroyed.
// Errors: unavailable where no broker answers (later it may), invalid where the settings are wrong. No
// message has the value of an option in it.
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

using Headers = std::vector<std::pair<std::string, std::optional<std::string>>>;

struct Message {
  Place place;
  std::int64_t offset = 0;
  std::optional<UnixMs> time{};  // that its producer or broker gave it
  std::optional<std::string> key{}, value{};
  Headers headers{};
};

// What is sent.
struct Outgoing {
  std::optional<std::string> key{}, value{};
  Headers headers{};

  std::size_t bytes() const;  // about as many as it takes in a topic
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

// Everything before the offset was read. Commits of Kafka's own transactions take offsets as well, which
// nobody gets.
struct EndOfPartition {
  Place place;
  std::int64_t offset = 0;
};

struct Watermarks {
  std::int64_t low = 0, high = 0;  // the first that is there, and the next that will be
};

// In which of so many partitions Java's clients put it; what has no key always in the same.
std::int32_t partition_of(const Outgoing& message, std::int32_t partitions);

// Whether librdkafka takes the options, and none is unknown to it.
Status check_options(const Configuration& configuration);
Status check_options(const Cluster& cluster);  // of a producer

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
  ~Consumer();  // leaves the group, where brokers answer within seconds; else the group finds out by itself
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;

  // Which cluster it is.
  Result<std::string> cluster();
  Status subscribe(const std::vector<std::string>& topics);
  using Received = std::variant<std::monostate, Message, OutOfRange, EndOfPartition>;
  Result<Received> receive(std::chrono::milliseconds patience);
  // The partitions that are ours, begun anew; each is read, paused or not.
  Status restart(const std::vector<Start>& starts);
  Status pause(const Place& place);
  Status resume(const Place& place);
  Result<Watermarks> watermarks(const Place& place);
  // Where the partitions end, in their order, asked anew.
  Result<std::vector<std::int64_t>> ends(const std::vector<Place>& places);
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

// Messages for topics, each acknowledged by all replicas that are in step. Those of a partition are there in
// the order in which they were sent. Where one fails, none of its partition that was sent after it gets
// there, and the producer is of no further use: what was not acknowledged may be there, once, or not.
class Producer {
 public:
  struct Terms {
    std::chrono::milliseconds patience{0};  // until a message is acknowledged; 0: as long as it takes
    bool one_by_one = false;                // each message is a request of its own
  };
  struct Handlers {
    // Once for each that was sent, up to the first that failed. exhausted: larger than its topic takes;
    // not_found: there is no such topic; denied: we may not; invalid: the topic takes no such message;
    // unavailable: anything else.
    std::function<void(std::uint64_t number, Status outcome)> delivered;
    // Something that librdkafka goes on trying.
    std::function<void(const std::string& text)> trouble = [](const std::string&) {};
  };
  static Result<std::unique_ptr<Producer>> open(const Cluster& cluster, Terms terms, Handlers handlers);
  ~Producer();  // forgets what is not acknowledged
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  // Which cluster it is.
  Result<std::string> cluster();
  // How many partitions the topic has, where there is one for us. Where brokers make topics by themselves,
  // this does.
  Result<std::int32_t> look_for(const std::string& topic);
  // Does not wait. `number` is told with the outcome. Without a partition the key says which one.
  Status send(const std::string& topic, const Outgoing& message, std::uint64_t number,
              std::optional<std::int32_t> partition = std::nullopt);
  // Tells what became of messages, and waits up to `patience` for the first of it. An error: librdkafka gave
  // up.
  Status serve(std::chrono::milliseconds patience);

  struct Session;

 private:
  explicit Producer(std::unique_ptr<Session> session);
  std::unique_ptr<Session> session_;
};

// A message that is no command, as it goes to the topic of its topic's name and the ending: as it came, or
// bare, without key, value and headers of its own. Why it went there, and where it stood, is in headers.
struct Letter {
  const Message* message = nullptr;
  std::string reason{};
  bool bare = false;
};

class DeadLetters {
 public:
  // With `one_by_one` each is a request of its own.
  static Result<std::unique_ptr<DeadLetters>> open(const Configuration& configuration, bool one_by_one);

  // Waits until all replicas have them, or one fails. What became of each: the kinds are those of a Producer;
  // after a failure nobody knows of some others, which is unavailable, and it is of no further use.
  std::vector<Status> send(const std::vector<Letter>& letters);

 private:
  std::unique_ptr<Producer> producer_;
  std::vector<std::optional<Status>> outcomes_{};  // of those that are being sent
};

}  // namespace vestige::sources::kafka
