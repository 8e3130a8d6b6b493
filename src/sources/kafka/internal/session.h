// One membership in the consumer group: join, read, put on record, leave. Part of Capture.
#pragma once

#include <algorithm>
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
  Result<audit::CapturedEvent> event;  // or why it is none
  bool letter_sent = false;            // among dead letters
  bool letter_bare = false;            // with all that it had it is larger than they may be
};

// How much waits.
struct Amount {
  std::size_t commands = 0, bytes = 0;
  void add(const Message& message);
  void remove(const Message& message);
};

// A partition that is ours.
struct Partition {
  std::deque<Waiting> waiting{};
  std::optional<std::int64_t> recorded{};  // the mark: everything before it is on record
  // Read again before anything that is new: what stands there now, if anything, has to be what stood there.
  std::optional<Seen> expected{};
  std::optional<std::int64_t> covered{};  // the last entry COVERED told up to here, or the first of it
  bool begun = false;                     // there is a mark of that
  // Its next command can be neither recorded nor sent to dead letters; it waits, and its partition with it.
  bool held = false;
  bool held_told = false;
  bool lost = false;    // what comes next is not where we look for it
  bool moved = false;   // and what was expected is another
  bool paused = false;  // librdkafka was told so

  std::optional<std::int64_t> read_to{};  // all that came before it was handed to us
  std::int64_t high = 0;                  // its end, as last heard

  // The mark behind one of those that wait. Behind the last of them may be offsets that nobody gets.
  std::int64_t after(const Waiting& one) const {
    const auto next = one.message.offset + 1;
    return &one == &waiting.back() ? std::max(next, read_to.value_or(0)) : next;
  }
  // The first that is new.
  std::optional<std::int64_t> next() const {
    return waiting.empty() ? recorded : std::optional(waiting.back().message.offset + 1);
  }
  // Where reading goes on.
  std::optional<std::int64_t> from() const { return expected ? expected->offset : next(); }
};

class Session {
 public:
  // `troubles` are those that were told since all was well, also by sessions before this one.
  Session(const Configuration& configuration, CaptureParts& parts, Control& control, Tally& tally,
          std::set<int>& troubles);
  ~Session();

  // Until stopped (success), or something fails.
  Status run();
  // Whether it got as far as the group.
  bool served() const { return served_; }

 private:
  using Ours = std::map<Place, Partition>::value_type;
  // Commands of partitions, each with its own, in the order in which they are recorded; those of a partition
  // stand together.
  using Group = std::vector<std::pair<Ours*, Waiting*>>;
  // The one group that is on its way to the disk, while more is read. Its commands still wait.
  struct OnItsWay {
    Group group{};
    Adding adding{};
    Amount amount{};
  };

  Status join();
  Status follow();
  void finish();
  std::vector<Start> take_over(const std::vector<Place>& places);
  void give_back();
  void tell_trouble(int code, const std::string& text);

  void take(Message message);
  void miss(const OutOfRange& out);
  void reach(const EndOfPartition& end);
  // What is on its way is waited for, then what waits goes on its way.
  Status flush();
  Group gather(bool again);
  Status put(Group group);
  Status settle();
  Status wait_for_outcome();
  // What the trail says; an error that is none of its pushing back is given on.
  Status heed(const Status& said);
  void count_held();
  void wait_longer();
  Group send_letters(const Group& group);
  Status send_letters_of_topic(const Group& refused);
  audit::CapturedEvent refusal(const Waiting& waiting) const;
  // Gives whether any is refused that was taken for good before.
  static bool learn(const Group& group, std::vector<audit::Refused>& refused);
  void passed(const Group& group, const Step& step);
  // Tells librdkafka which partitions to read now.
  void regulate();

  Status look_around();
  Status recover();
  Status recover(Ours& partition);
  Status restart();
  // Whether an entry COVERED is written where no partition moved.
  enum class Heartbeat { none, wanted };
  Status record_covered(Heartbeat heartbeat);
  void commit();
  void look_at_cluster();
  void tell_idleness();
  Status begin_partitions();
  std::uint64_t lag() const;
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
  Amount waiting_, held_;     // of all partitions; of those that are held
  bool pushed_back_ = false;  // the trail takes nothing now
  std::unique_ptr<OnItsWay> on_its_way_;

  std::optional<Error> beyond_us_{};  // found in a callback; ends the session
  std::set<int>& troubles_;

  std::chrono::milliseconds pause_{};  // before what was not taken is tried again
  std::chrono::nanoseconds tried_{}, committed_{}, looked_{}, told_{}, recovered_{};
  std::chrono::nanoseconds given_{};  // when there were partitions, or the group was joined
  bool idle_told_ = false;            // that there are none
};

}  // namespace vestige::sources::kafka::internal
