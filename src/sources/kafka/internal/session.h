// One membership in the consumer group: join, read, put on record, leave. Part of Capture.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sources/control.h"
#include "sources/kafka/capture.h"
#include "sources/kafka/progress.h"

namespace vestige::sources::kafka::internal {

// For figures; written by the capture's thread.
struct Tally {
  std::atomic<bool> connected{false};
  std::atomic<std::uint64_t> lag_messages{0}, commands{0}, refused{0}, gaps{0}, rebalances{0};
};

// A command that was read and is not on record yet.
struct Waiting {
  Message message;
  Result<audit::CapturedEvent> event;
};

// A partition that is ours.
struct Partition {
  std::deque<Waiting> waiting{};
  std::optional<std::int64_t> recorded{};  // the mark: everything before it is on record
  std::optional<std::int64_t> covered{};   // the last entry COVERED told up to here
  // Its next command can be neither recorded nor sent to dead letters; it waits, and its partition with it.
  bool held = false;
  bool lost = false;    // what comes next is not where we look for it
  bool paused = false;  // librdkafka was told so

  // Where reading goes on.
  std::optional<std::int64_t> next() const {
    return waiting.empty() ? recorded : std::optional(waiting.back().message.offset + 1);
  }
};

class Session {
 public:
  Session(const Configuration& configuration, CaptureParts& parts, Control& control, Tally& tally);
  ~Session();

  // Until stopped (success), or something fails.
  Status run();
  // Whether it got as far as the group.
  bool served() const { return served_; }

 private:
  using Ours = std::map<Place, Partition>::value_type;
  // Commands of partitions, each with its own, in the order in which they are recorded.
  using Group = std::span<const std::pair<Ours*, Waiting*>>;

  Status join();
  Status follow();
  void finish();
  std::vector<Start> take_over(const std::vector<Place>& places);
  void give_back();
  void tell_trouble(int code, const std::string& text);

  void take(Message message);
  Status flush();
  Status put(Group group);
  Status put_whole(Group group);
  Status refuse(Ours& partition, const Error& why);
  void passed(Group group);
  // Tells librdkafka which partitions to read now.
  void regulate();

  Status look_around();
  Status recover();
  Status recover(Ours& partition);
  Status restart();
  Status record_covered();
  void commit();
  void look_at_cluster();
  bool is_due(std::chrono::nanoseconds& last, std::chrono::nanoseconds period);
  json::ObjectWriter detail() const;

  const Configuration& configuration_;
  CaptureParts& parts_;
  Control& control_;
  Tally& tally_;
  Progress progress_;
  std::unique_ptr<Consumer> consumer_;
  std::unique_ptr<DeadLetters> dead_letters_;  // once there was one
  bool served_ = false;

  std::map<Place, Partition> partitions_;
  std::size_t waiting_ = 0, waiting_bytes_ = 0;  // of all partitions
  bool pushed_back_ = false;                     // the trail takes nothing now
  bool holding_ = false;                         // a partition is held
  std::optional<Error> beyond_us_{};             // found in a callback; ends the session
  std::set<int> troubles_;                       // that were told since all was well
  std::uint64_t commands_covered_ = 0, refused_covered_ = 0;
  std::chrono::nanoseconds tried_{}, committed_{}, looked_{}, told_{}, recovered_{};
};

}  // namespace vestige::sources::kafka::internal
