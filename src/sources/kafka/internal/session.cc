#include "sources/kafka/internal/session.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "sources/kafka/command.h"
#include "sources/kafka/limits.h"

namespace vestige::sources::kafka::internal {
namespace {

// The trail takes nothing now, which is nobody's fault.
bool is_push_back(const Error& error) {
  return error.kind == ErrorKind::unavailable || error.kind == ErrorKind::exhausted;
}

std::size_t bytes_of(const Message& message) {
  return (message.key ? message.key->size() : 0) + (message.value ? message.value->size() : 0);
}

std::string reason_of(const Error& why) {
  return bounded_text(why.path.empty() ? why.message : why.path + ": " + why.message,
                      limits::reason_bytes_max);
}

}  // namespace

void Amount::add(const Message& message) {
  ++commands;
  bytes += bytes_of(message);
}

void Amount::remove(const Message& message) {
  --commands;
  bytes -= bytes_of(message);
}

Session::Session(const Configuration& configuration, CaptureParts& parts, Control& control, Tally& tally,
                 std::set<int>& troubles)
    : configuration_(configuration),
      parts_(parts),
      control_(control),
      tally_(tally),
      progress_(parts.log, parts.trail, configuration.name),
      troubles_(troubles) {}

// Leaving the group calls back.
Session::~Session() { consumer_.reset(); }

Status Session::run() {
  VESTIGE_CHECKED(join());
  auto followed = follow();
  finish();
  return followed;
}

json::ObjectWriter Session::detail() const {
  json::ObjectWriter writer;
  writer.text("capture", configuration_.name).text("cluster", progress_.cluster());
  return writer;
}

Status Session::join() {
  VESTIGE_TRY(
      consumer_,
      Consumer::open(configuration_,
                     {.assigned = [this](const std::vector<Place>& places) { return take_over(places); },
                      .revoked = [this] { give_back(); },
                      .trouble = [this](int code, const std::string& text) { tell_trouble(code, text); }}));
  VESTIGE_TRY(auto cluster, consumer_->cluster());
  progress_.set_cluster(std::move(cluster));
  if (progress_.moved()) {
    VESTIGE_CHECKED(progress_.record("GAP", detail().text("cause", "other_system")));
    ++tally_.gaps;
    parts_.warn(
        fmt::format("capture {}: this is another cluster than before. What the other one has is not on "
                    "record from where it was read up to",
                    configuration_.name));
  }
  VESTIGE_CHECKED(progress_.record("STARTED", detail()
                                                  .text("group", configuration_.group_name())
                                                  .raw("topics", json::quoted_list(configuration_.topics))));
  VESTIGE_CHECKED(consumer_->subscribe(configuration_.topics));
  parts_.say(
      fmt::format("capture {}: reading as the group {}", configuration_.name, configuration_.group_name()));
  looked_ = told_ = committed_ = given_ = parts_.clock.monotonic();
  tally_.connected = true;
  served_ = true;
  return {};
}

Status Session::follow() {
  while (!control_.stopped()) {
    // While commands wait nothing is waited for: what has come is put together to one group.
    const bool gathering = on_its_way_ || (waiting_.commands > held_.commands && !pushed_back_);
    VESTIGE_TRY(auto received,
                consumer_->receive(gathering ? std::chrono::milliseconds(0) : limits::receive_patience));
    if (beyond_us_) return std::unexpected(*std::move(beyond_us_));
    if (auto* message = std::get_if<Message>(&received)) take(std::move(*message));
    if (const auto* out = std::get_if<OutOfRange>(&received)) miss(*out);
    if (const auto* end = std::get_if<EndOfPartition>(&received)) reach(*end);
    // What is on its way may be of a partition that is held behind it, and counts twice then.
    const auto busy = on_its_way_ ? on_its_way_->amount : Amount{};
    const bool full = waiting_.commands >= held_.commands + busy.commands + limits::batch_commands_max ||
                      waiting_.bytes >= held_.bytes + busy.bytes + limits::batch_bytes_max;
    if (!full && !std::holds_alternative<std::monostate>(received)) continue;
    VESTIGE_CHECKED(flush());
    VESTIGE_CHECKED(look_around());
  }
  return {};
}

// Best effort: what is not on record now is read again by the next.
void Session::finish() {
  const auto flushed = flush();
  const auto covered = flushed ? record_covered(Heartbeat::none) : flushed;
  if (!covered) parts_.warn(fmt::format("capture {}: {}", configuration_.name, covered.error().message));
  commit();
  consumer_.reset();
}

std::vector<Start> Session::take_over(const std::vector<Place>& places) {
  ++tally_.rebalances;
  give_back();
  if (places.size() > limits::partitions_max) {
    beyond_us_ = Error{.kind = ErrorKind::exhausted,
                       .message = fmt::format("{} partitions are more than the {} that one source reads",
                                              places.size(), limits::partitions_max)};
    return {};
  }
  if (auto room = progress_.check_room(places); !room) {
    beyond_us_ = std::move(room).error();
    return {};
  }
  std::vector<Start> starts;
  for (const auto& place : places) {
    auto& partition = partitions_[place];
    partition.recorded = progress_.next_of(place);
    partition.expected = progress_.last_of(place);
    partition.covered = progress_.covered_of(place);
    partition.begun = partition.covered.has_value();
    starts.push_back({place, partition.from()});
  }
  return starts;
}

// What of it waits comes again, to us or to another.
void Session::give_back() {
  if (auto settled = settle(); !settled) beyond_us_ = std::move(settled).error();
  partitions_.clear();
  waiting_ = held_ = {};
  // With nothing that waits nothing would find out that the trail takes something again.
  pushed_back_ = false;
  pause_ = {};
}

void Session::tell_trouble(int code, const std::string& text) {
  if (troubles_.insert(code).second)
    parts_.warn(fmt::format("capture {}: Kafka: {}", configuration_.name, text));
}

void Session::take(Message message) {
  const auto found = partitions_.find(message.place);
  if (found == partitions_.end()) return;
  auto& partition = found->second;
  const auto expected = std::exchange(partition.expected, std::nullopt);
  // Nothing else stood between it and what is new.
  if (expected && message.offset < *partition.recorded)
    partition.moved = partition.lost = progress_.seen(message) != *expected;
  // What is lost is looked for first: it comes again.
  if (partition.lost) return;
  if (const auto next = partition.next(); next && message.offset < *next) return;
  // What Kafka had removed before it was first read is none that is covered.
  if (!partition.covered) partition.covered = message.offset;
  waiting_.add(message);
  auto event = read_command(message, configuration_, progress_.cluster());
  partition.waiting.push_back({std::move(message), std::move(event)});
}

void Session::miss(const OutOfRange& out) {
  if (const auto found = partitions_.find(out.place); found != partitions_.end()) found->second.lost = true;
}

void Session::reach(const EndOfPartition& end) {
  const auto found = partitions_.find(end.place);
  if (found == partitions_.end()) return;
  auto& partition = found->second;
  // What came before it was not taken; it comes again.
  if (partition.lost) return;
  // It is shorter than it was, if only by the one that is expected.
  if (partition.expected && end.offset < *partition.recorded) {
    partition.lost = true;
    return;
  }
  partition.expected.reset();
  partition.read_to = end.offset;
  if (partition.waiting.empty() && partition.recorded)
    partition.recorded = std::max(*partition.recorded, end.offset);
}

Session::Group Session::gather(bool again) {
  Group group;
  for (auto& ours : partitions_) {
    if (ours.second.held && !again) continue;
    ours.second.held = false;
    for (auto& waiting : ours.second.waiting) group.emplace_back(&ours, &waiting);
  }
  return group;
}

Status Session::flush() {
  VESTIGE_CHECKED(settle());
  const bool again = parts_.clock.monotonic() - tried_ >= pause_;
  if (waiting_.commands == 0 || (pushed_back_ && !again)) return {};
  auto group = gather(again);
  if (group.empty()) return {};
  if (const auto done = put(std::move(group)); !done) return heed(done);
  count_held();
  if (held_.commands > 0 && again) wait_longer();
  regulate();
  return {};
}

// As often as it takes to learn of all that are refused: what was taken out may have hidden others.
Status Session::put(Group group) {
  for (;;) {
    auto next = std::make_unique<OnItsWay>();
    next->group = send_letters(group);
    if (next->group.empty()) return {};
    std::vector<audit::CapturedEvent> events;
    events.reserve(next->group.size());
    auto& step = next->adding.step;
    for (std::size_t i = 0; i < next->group.size(); ++i) {
      const auto& [ours, waiting] = next->group[i];
      events.push_back(waiting->event ? *waiting->event : refusal(*waiting));
      ++(waiting->event ? step.more.commands : step.more.refused);
      next->amount.add(waiting->message);
      // Those of a partition stand together, so its last one says where its marks come to stand.
      if (i + 1 < next->group.size() && next->group[i + 1].first == ours) continue;
      const auto& [place, partition] = *ours;
      step.next[place] = partition.after(*waiting);
      step.last[place] = progress_.seen(waiting->message);
      if (!partition.begun) step.covered[place] = *partition.covered;
    }
    auto adding = progress_.add(events, next->adding);
    if (adding) {
      on_its_way_ = std::move(next);
      return {};
    }
    if (!learn(next->group, next->adding.refused)) return adding;
    group = std::move(next->group);
  }
}

Status Session::settle() { return on_its_way_ ? heed(wait_for_outcome()) : Status{}; }

Status Session::wait_for_outcome() {
  while (on_its_way_) {
    const auto outcome = on_its_way_->adding.outcome.get();
    const auto done = std::move(on_its_way_);
    if (outcome) {
      passed(done->group, done->adding.step);
    } else {
      if (!learn(done->group, done->adding.refused)) return std::unexpected(outcome.error());
      VESTIGE_CHECKED(put(std::move(done->group)));
    }
  }
  return {};
}

Status Session::heed(const Status& said) {
  const bool pushed_back = !said && is_push_back(said.error());
  if (pushed_back && !pushed_back_)
    parts_.warn(fmt::format("capture {}: the trail takes nothing now, Kafka keeps what comes: {}",
                            configuration_.name, said.error().message));
  count_held();
  if (pushed_back) wait_longer();
  if (said && held_.commands == 0) pause_ = {};
  pushed_back_ = pushed_back;
  regulate();
  return pushed_back ? Status{} : said;
}

void Session::count_held() {
  held_ = {};
  for (const auto& [place, partition] : partitions_)
    if (partition.held)
      for (const auto& waiting : partition.waiting) held_.add(waiting.message);
}

void Session::wait_longer() {
  tried_ = parts_.clock.monotonic();
  pause_ = std::clamp(pause_ * 2, limits::retry_first, limits::retry_last);
}

bool Session::learn(const Group& group, std::vector<audit::Refused>& refused) {
  bool learned = false;
  for (auto& [number, error] : refused) {
    auto& event = group[number].second->event;
    learned = learned || event;
    event = std::unexpected(std::move(error));
  }
  return learned;
}

// The dead letters are there before the marks pass the commands: after a crash between them they are sent
// again. Gives the group without those that could not be sent, and without what is behind these in their
// partitions.
Session::Group Session::send_letters(const Group& group) {
  std::map<std::string_view, Group> refused;
  for (const auto& [ours, waiting] : group)
    if (!waiting->event && !waiting->letter_sent) refused[ours->first.topic].emplace_back(ours, waiting);
  std::map<std::string_view, Error> failures;
  for (const auto& [topic, letters] : refused) {
    // Whoever stops does not wait for what may take seconds: the next one reads these again.
    if (control_.stopped()) break;
    if (auto sent = send_letters_of_topic(letters); !sent) failures.emplace(topic, std::move(sent).error());
  }
  Group ready;
  ready.reserve(group.size());
  for (const auto& [ours, waiting] : group) {
    auto& [place, partition] = *ours;
    if (partition.held) continue;
    if (waiting->event || waiting->letter_sent) {
      ready.emplace_back(ours, waiting);
      continue;
    }
    partition.held = true;
    const auto failure = failures.find(place.topic);
    if (failure != failures.end() && !std::exchange(partition.held_told, true))
      parts_.warn(
          fmt::format("capture {}: {}/{} waits at {}, which is no command ({}) and cannot be sent away: {}. "
                      "It is tried again "
                      "until it works.",
                      configuration_.name, place.topic, place.partition, waiting->message.offset,
                      reason_of(waiting->event.error()), failure->second.message));
  }
  return ready;
}

// An error is that of one that cannot be sent. A topic takes requests up to a size: what is refused as too
// large among others is sent by itself, and what is too large by itself is sent bare.
Status Session::send_letters_of_topic(const Group& refused) {
  bool one_by_one = false;
  for (;;) {
    std::vector<Letter> letters;
    Group sending;
    for (const auto& [ours, waiting] : refused) {
      if (waiting->letter_sent) continue;
      letters.push_back({&waiting->message, reason_of(waiting->event.error()), waiting->letter_bare});
      sending.emplace_back(ours, waiting);
    }
    if (letters.empty()) return {};
    if (!dead_letters_) {
      VESTIGE_TRY(dead_letters_, DeadLetters::open(configuration_, one_by_one));
    }
    const auto outcomes = dead_letters_->send(letters);
    Status sent;
    bool too_large = false;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      auto& waiting = *sending[i].second;
      waiting.letter_sent = outcomes[i].has_value();
      if (waiting.letter_sent) continue;
      if (outcomes[i].error().kind == ErrorKind::exhausted && !waiting.letter_bare) {
        too_large = true;
        waiting.letter_bare = one_by_one;
      } else if (sent) {
        sent = outcomes[i];
      }
    }
    // One that failed is of no further use; the next one sends many in a request again.
    if (!sent || too_large || one_by_one) dead_letters_.reset();
    if (!too_large) return sent;
    one_by_one = true;
  }
}

audit::CapturedEvent Session::refusal(const Waiting& waiting) const {
  const auto& message = waiting.message;
  auto about = detail()
                   .text("topic", message.place.topic)
                   .raw("partition", std::to_string(message.place.partition))
                   .text("offset", std::to_string(message.offset))
                   .text("reason", reason_of(waiting.event.error()))
                   .text("deadLetters", message.place.topic + std::string(dead_letter_ending));
  return {.position = "refused/" + position_of(message, progress_.cluster()),
          .event = progress_.entry("REFUSED", about),
          .system = true};
}

void Session::passed(const Group& group, const Step& step) {
  for (const auto& [ours, waiting] : group) {
    auto& partition = ours->second;
    CHECK(&partition.waiting.front() == waiting);
    partition.held_told = false;
    partition.begun = true;
    waiting_.remove(waiting->message);
    partition.waiting.pop_front();
  }
  for (const auto& [place, offset] : step.next) partitions_.at(place).recorded = offset;
  tally_.commands += step.more.commands;
  tally_.refused += step.more.refused;
}

void Session::regulate() {
  for (auto& [place, partition] : partitions_) {
    const bool wanted = pushed_back_ || partition.held;
    if (wanted == partition.paused) continue;
    if (const auto done = wanted ? consumer_->pause(place) : consumer_->resume(place); done)
      partition.paused = wanted;
  }
}

bool Session::is_due(std::chrono::nanoseconds& last, std::chrono::nanoseconds period) {
  const auto now = parts_.clock.monotonic();
  if (now - last < period) return false;
  last = now;
  return true;
}

Status Session::look_around() {
  regulate();
  VESTIGE_CHECKED(recover());
  VESTIGE_CHECKED(begin_partitions());
  if (is_due(committed_, limits::commit_period)) commit();
  if (is_due(looked_, limits::look_period)) look_at_cluster();
  if (pushed_back_ || !is_due(told_, limits::covered_period)) return {};
  // Nobody who is cut off, or has no partition, knows that nothing comes.
  const bool listening = tally_.connected && !partitions_.empty();
  const auto covered = record_covered(listening ? Heartbeat::wanted : Heartbeat::none);
  return covered || !is_push_back(covered.error()) ? covered : Status{};
}

void Session::commit() {
  std::vector<Start> next;
  for (const auto& [place, partition] : partitions_)
    if (partition.recorded) next.push_back({place, partition.recorded});
  // With nobody to tell it the consumer would not close before its session is over.
  if (consumer_->reachable()) consumer_->commit(next);
  for (auto& [place, partition] : partitions_)
    if (const auto end = consumer_->end_of(place)) partition.high = std::max(partition.high, *end);
  tally_.lag_messages = lag();
}

std::uint64_t Session::lag() const {
  std::uint64_t lag = 0;
  for (const auto& [place, partition] : partitions_) {
    auto from = partition.recorded;
    if (!from && !partition.waiting.empty()) from = partition.waiting.front().message.offset;
    if (from && partition.high > *from) lag += static_cast<std::uint64_t>(partition.high - *from);
  }
  return lag;
}

// Of one that was read to its end and had nothing, so that what comes and is removed before we see it is
// missed.
Status Session::begin_partitions() {
  if (pushed_back_) return {};
  Step step;
  for (const auto& [place, partition] : partitions_)
    if (!partition.recorded && partition.waiting.empty() && partition.read_to)
      step.next[place] = step.covered[place] = *partition.read_to;
  if (step.next.empty()) return {};
  VESTIGE_CHECKED(settle());
  if (pushed_back_) return {};
  if (auto moved = progress_.move(step); !moved) return is_push_back(moved.error()) ? Status{} : moved;
  for (const auto& [place, offset] : step.next) {
    auto& partition = partitions_.at(place);
    partition.recorded = partition.covered = offset;
    partition.begun = true;
  }
  return {};
}

void Session::look_at_cluster() {
  tally_.connected = consumer_->reachable();
  if (!tally_.connected) return;
  troubles_.clear();
  tell_idleness();
  // Of what is paused nothing is fetched, so nothing is heard of its end.
  std::vector<Place> places;
  for (const auto& [place, partition] : partitions_)
    if (partition.paused) places.push_back(place);
  if (places.empty()) return;
  const auto ends = consumer_->ends(places);
  if (!ends) return;
  for (std::size_t i = 0; i < places.size(); ++i) partitions_.at(places[i]).high = ends->at(i);
}

// Without it an operator could not tell a source that waits for the group from one whose topics are silent.
void Session::tell_idleness() {
  const auto now = parts_.clock.monotonic();
  if (!partitions_.empty()) {
    given_ = now;
    idle_told_ = false;
  }
  if (idle_told_ || now - given_ < limits::idle_patience) return;
  idle_told_ = true;
  parts_.say(fmt::format(
      "capture {}: the group {} gives this server no partition: other members read them all, there "
      "is none yet, or the brokers wait for a member that is gone, for as long as its "
      "session.timeout.ms or at worst max.poll.interval.ms",
      configuration_.name, configuration_.group_name()));
}

Status Session::recover() {
  const bool any = std::ranges::any_of(partitions_, [](const auto& ours) { return ours.second.lost; });
  if (!any || pushed_back_ || !is_due(recovered_, limits::retry_first)) return {};
  std::vector<Partition*> found;
  for (auto& ours : partitions_) {
    // Where something waits, that is put on record first.
    if (!ours.second.lost || !ours.second.waiting.empty()) continue;
    if (const auto done = recover(ours); done) {
      found.push_back(&ours.second);
    } else {
      if (!is_push_back(done.error())) return done;
      tell_trouble(0, done.error().message);
    }
    if (control_.stopped()) return {};
  }
  if (found.empty()) return {};
  // Until then nothing of them is taken.
  if (const auto begun = restart(); !begun) {
    if (!is_push_back(begun.error())) return begun;
    tell_trouble(0, begun.error().message);
    return {};
  }
  for (auto* partition : found) partition->lost = false;
  return {};
}

// Where the log of a partition does not have what we want next, that is lost; where it is shorter than we
// have read, or has another message where we read the last one, it is another log, of which everything is
// wanted.
Status Session::recover(Ours& ours) {
  auto& [place, partition] = ours;
  VESTIGE_TRY(const auto there, consumer_->watermarks(place));
  const auto next = partition.recorded.value_or(there.low);
  const bool moved = partition.moved || next > there.high;
  if (moved || next < there.low) {
    const std::string_view cause = moved ? "offsets_moved" : "offsets_gone";
    VESTIGE_CHECKED(record_covered(Heartbeat::none));
    VESTIGE_CHECKED(progress_.record("GAP",
                                     detail()
                                         .text("topic", place.topic)
                                         .raw("partition", std::to_string(place.partition))
                                         .text("from", std::to_string(next))
                                         .text("to", std::to_string(there.low))
                                         .text("cause", cause),
                                     {.next = {{place, there.low}}, .covered = {{place, there.low}}}));
    ++tally_.gaps;
    parts_.warn(fmt::format("capture {}: {}/{}: commands from {} on are not on record ({}); it goes on at {}",
                            configuration_.name, place.topic, place.partition, next, cause, there.low));
    partition.recorded = partition.covered = there.low;
    partition.read_to.reset();
    partition.begun = true;
    partition.moved = false;
  }
  // Not where it was removed: then nothing can be told. What was missed may be there by now, and another one.
  partition.expected = progress_.last_of(place);
  if (partition.expected && partition.expected->offset < there.low) partition.expected.reset();
  return {};
}

Status Session::restart() {
  std::vector<Start> starts;
  for (auto& [place, partition] : partitions_) {
    starts.push_back({place, partition.from()});
    partition.paused = false;
  }
  VESTIGE_CHECKED(consumer_->restart(starts));
  regulate();
  return {};
}

Status Session::record_covered(Heartbeat heartbeat) {
  VESTIGE_CHECKED(settle());
  if (pushed_back_) return fail(ErrorKind::unavailable, "the trail takes nothing now");
  const auto totals = progress_.totals();
  const auto record = [&](std::string_view partitions, const Step& step) {
    return progress_.record("COVERED",
                            detail()
                                .raw("partitions", fmt::format("[{}]", partitions))
                                .raw("commands", std::to_string(totals.commands))
                                .raw("refused", std::to_string(totals.refused)),
                            step);
  };
  bool silent = true;
  for (auto ours = partitions_.begin(); ours != partitions_.end();) {
    std::string told;
    std::vector<Partition*> moved;
    Step step;
    for (; ours != partitions_.end() && moved.size() < limits::covered_partitions_max; ++ours) {
      auto& [place, partition] = *ours;
      if (!partition.recorded || !partition.covered || partition.recorded == partition.covered) continue;
      json::ObjectWriter one;
      one.text("topic", place.topic)
          .raw("partition", std::to_string(place.partition))
          .text("from", std::to_string(*partition.covered))
          .text("to", std::to_string(*partition.recorded));
      told += (told.empty() ? "" : ",") + one.str();
      moved.push_back(&partition);
      step.next[place] = step.covered[place] = *partition.recorded;
    }
    if (moved.empty()) continue;
    VESTIGE_CHECKED(record(told, step));
    for (auto* partition : moved) partition->covered = partition->recorded;
    silent = false;
  }
  return silent && heartbeat == Heartbeat::wanted ? record("", {}) : Status{};
}

}  // namespace vestige::sources::kafka::internal
