// Numbered messages onto one topic: each is held until the brokers acknowledged it, and sent again until they
// do.
//
// Not thread-safe; waits in serve() alone. Errors say that it cannot go on: what was not acknowledged by then
// has to be sent by the next one, from first_held() on.
//
// 1. Numbers grow. What is not held any more is acknowledged by all replicas that are in step.
// 2. In each partition the first occurrences of numbers are in their order; one may be there several times.
// 3. Nothing is left out: a message that the topic does not take ends the sender, or another one stands in.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "platform/clock.h"
#include "sources/control.h"
#include "sources/kafka/broker.h"

namespace vestige::sources::kafka {

class Sender {
 public:
  struct Parts {
    platform::Clock& clock;
    // What an operator has to know, once and not at each try.
    std::function<void(const std::string&)> say;
    // A message that is larger than the topic takes: what is sent in its place, or why it ends here.
    std::function<Result<Outgoing>(std::uint64_t number, const Outgoing& message)> too_large;
  };

  Sender(Cluster cluster, std::string topic, Parts parts);

  // Whether brokers answer and have the topic, and which cluster it is. Before anything is sent.
  Result<std::string> connect();

  bool has_room() const;
  // Takes one more message; there is room, and `number` is larger than those before.
  void add(std::uint64_t number, Outgoing message);
  // Goes on, waiting up to `patience` for something to happen.
  Status serve(std::chrono::milliseconds patience);

  // The first that is not acknowledged.
  std::optional<std::uint64_t> first_held() const;
  std::size_t held() const { return held_.size(); }
  std::uint64_t acknowledged() const { return acknowledged_; }

 private:
  struct Held {
    std::uint64_t number = 0;
    Outgoing message{};
    std::int32_t partition = 0;
    bool acknowledged = false;
    bool stands_in = false;
  };
  struct Failure {
    std::uint64_t number = 0;
    Error error;
  };

  Status begin();
  Status open();
  void hand_over();
  void take(std::uint64_t number, Status outcome);
  void settle();
  Status recover(Failure failure);
  Status replace(Held& held, const Error& why);
  void tell_stall();
  Held* find(std::uint64_t number);

  const Cluster cluster_;
  const std::string topic_;
  const Parts parts_;
  Control control_;  // to wait by; nobody stops it
  std::unique_ptr<Producer> producer_;
  std::int32_t partitions_ = 0;  // of the topic, as connect() found it
  std::deque<Held> held_;
  std::size_t handed_over_ = 0;  // so many of these the producer has, or has had
  // Of each partition in which the producer has put anything: whether the first of it is acknowledged.
  std::map<std::int32_t, bool> begun_;
  std::size_t held_bytes_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::optional<Failure> failure_{};  // the first of this producer
  // Requests of one message each, until all that is held is acknowledged: a request was too large.
  bool one_by_one_ = false;
  bool too_large_seen_ = false;  // of a message by itself, since one_by_one_
  bool batches_told_ = false;
  bool stall_told_ = false;
  std::string trouble_;  // the last that librdkafka told
  std::chrono::nanoseconds moved_{}, try_again_{};
  std::chrono::milliseconds pause_;
};

}  // namespace vestige::sources::kafka
