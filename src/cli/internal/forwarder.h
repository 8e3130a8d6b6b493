// Follows a trail and hands its entries to a topic (`vestige forward kafka`).
//
// One thread does it all: while the server's stream is waited for, acknowledgements are taken, the cursor is
// saved and stop signals are looked for (pump()). Not thread-safe.
//
// 1. The saved cursor is never beyond an entry that the brokers have not acknowledged.
// 2. Entries are handed over in the trail's order, none is left out; one that is too large for the topic ends
//    it, or a message that names it stands in.
// 3. Entries that wait for an acknowledgement are bounded (sources/kafka/limits.h); past that the stream is
//    not read.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cli/internal/event_stream.h"
#include "cli/internal/forward.h"
#include "cli/internal/loop_guard.h"
#include "cli/internal/progress.h"
#include "sources/kafka/sender.h"

namespace vestige::cli {

class Forwarder {
 public:
  // What is handed in outlives it.
  Forwarder(const ForwardArguments& arguments, Surroundings& surroundings,
            const std::function<Ending()>& ending);

  // Until it is told to end, or cannot go on.
  Status run();
  // What became of it, on standard output.
  void tell() const;

 private:
  Status prepare();
  Status find_server();
  Status find_beginning();
  Status look_for_loops(const std::string& cluster);
  Status follow_until_over();
  Status follow();
  Status take(const StreamEvent& event);
  Result<sources::kafka::Outgoing> message_of(std::uint64_t index, const StreamEvent& event,
                                              const json::Value& root);
  Result<std::string> origin_of(const std::string& tenant);
  Result<sources::kafka::Outgoing> too_large(std::uint64_t index, const sources::kafka::Outgoing& message);
  Status serve(std::chrono::milliseconds patience);
  bool pump(std::chrono::milliseconds patience);
  bool rest(std::chrono::milliseconds duration);
  bool over();
  void drain();
  Status save_cursor();
  Status save_at_end();
  std::uint64_t done_up_to() const { return sender_->first_held().value_or(next_); }
  std::string cursor_path() const { return "/api/cursors/" + encoded(cursor_); }
  void say(const std::string& text);

  const ForwardArguments& arguments_;
  Surroundings& surroundings_;
  const std::function<Ending()>& ending_;
  Progress progress_;
  std::string cursor_;
  std::optional<Connection> connection_;  // that the stream occupies
  std::optional<Connection> beside_;      // for everything else
  std::unique_ptr<sources::kafka::Sender> sender_;
  std::optional<LoopGuard> guard_;
  json::Document document_;
  std::string tenant_, origin_;  // of the entries
  std::uint64_t next_ = 0;       // the entry that comes next
  std::optional<std::uint64_t> saved_{};
  std::chrono::nanoseconds looked_at_cursor_{};
  std::uint64_t taken_ = 0;
  std::uint64_t skipped_ = 0;
  Status outcome_{};         // of what pump() does
  bool heard_ = false;       // in this connection
  bool heard_ever_ = false;  // the first connection of all has to work
};

}  // namespace vestige::cli
