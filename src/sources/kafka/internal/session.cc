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

// The command is none that the trail would ever take.
bool is_refusal(const Error& error) {
  return error.kind == ErrorKind::invalid || error.kind == ErrorKind::conflict;
}

std::size_t bytes_of(const Message& message) {
  return (message.key ? message.key->size() : 0) + (message.value ? message.value->size() : 0);
}

std::string list_of(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const auto& text : texts) {
    if (out.size() > 1) out.push_back(',');
    json::append_quoted(out, text);
  }
  return out + "]";
}

}  // namespace

Session::Session(const Configuration& configuration, CaptureParts& parts, Control& control, Tally& tally)
    : configuration_(configuration),
      parts_(parts),
      control_(control),
      tally_(tally),
      progress_(parts.log, parts.trail, configuration.name) {}

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
    VESTIGE_CHECKED(progress_.record("GAP", detail().text("cause", "other_system"), {}));
    ++tally_.gaps;
    parts_.warn(
        fmt::format("capture {}: this is another cluster than before. What the other one has is not on "
                    "record from where it was read up to",
                    configuration_.name));
  }
  VESTIGE_CHECKED(progress_.record(
      "STARTED",
      detail().text("group", configuration_.group_name()).raw("topics", list_of(configuration_.topics)), {}));
  VESTIGE_CHECKED(consumer_->subscribe(configuration_.topics));
  parts_.say(
      fmt::format("capture {}: reading as the group {}", configuration_.name, configuration_.group_name()));
  looked_ = told_ = committed_ = parts_.clock.monotonic();
  tally_.connected = true;
  served_ = true;
  return {};
}

Status Session::follow() {
  while (!control_.stopped()) {
    // While commands wait nothing is waited for: what has come is put together to one group.
    const bool gathering = waiting_ > 0 && !pushed_back_ && !holding_;
    VESTIGE_TRY(auto received,
                consumer_->receive(gathering ? std::chrono::milliseconds(0) : limits::receive_patience));
    if (beyond_us_) return std::unexpected(*std::move(beyond_us_));
    if (auto* message = std::get_if<Message>(&received)) take(std::move(*message));
    if (const auto* out = std::get_if<OutOfRange>(&received))
      if (const auto found = partitions_.find(out->place); found != partitions_.end())
        found->second.lost = true;
    const bool full = waiting_ >= limits::batch_commands_max || waiting_bytes_ >= limits::batch_bytes_max;
    if (!full && !std::holds_alternative<std::monostate>(received)) continue;
    VESTIGE_CHECKED(flush());
    VESTIGE_CHECKED(look_around());
  }
  return {};
}

// Best effort: what is not on record now is read again by the next.
void Session::finish() {
  const auto flushed = flush();
  const auto covered = flushed ? record_covered() : flushed;
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
    partition.recorded = partition.covered = progress_.next_of(place);
    starts.push_back({place, partition.recorded});
  }
  return starts;
}

// What of it waits comes again, to us or to another.
void Session::give_back() {
  partitions_.clear();
  holding_ = false;
  waiting_ = waiting_bytes_ = 0;
}

void Session::tell_trouble(int code, const std::string& text) {
  if (troubles_.insert(code).second)
    parts_.warn(fmt::format("capture {}: Kafka: {}", configuration_.name, text));
}

void Session::take(Message message) {
  const auto found = partitions_.find(message.place);
  if (found == partitions_.end()) return;
  auto& partition = found->second;
  if (const auto next = partition.next(); next && message.offset < *next) return;
  ++waiting_;
  waiting_bytes_ += bytes_of(message);
  auto event = read_command(message, configuration_.name, progress_.cluster(), configuration_.headers);
  partition.waiting.push_back({std::move(message), std::move(event)});
}

Status Session::flush() {
  const auto now = parts_.clock.monotonic();
  const bool again = now - tried_ >= limits::retry_first;
  if (waiting_ == 0 || (pushed_back_ && !again)) return {};
  std::vector<std::pair<Ours*, Waiting*>> group;
  for (auto& ours : partitions_) {
    if (ours.second.held && !again) continue;
    ours.second.held = false;
    for (auto& waiting : ours.second.waiting) group.emplace_back(&ours, &waiting);
  }
  if (group.empty()) return {};
  auto done = put(group);
  holding_ = std::ranges::any_of(partitions_, [](const auto& ours) { return ours.second.held; });
  const bool pushed_back = !done && is_push_back(done.error());
  if (holding_ || pushed_back) tried_ = parts_.clock.monotonic();
  if (pushed_back && !pushed_back_)
    parts_.warn(fmt::format("capture {}: the trail takes nothing now, Kafka keeps what comes: {}",
                            configuration_.name, done.error().message));
  pushed_back_ = pushed_back;
  regulate();
  return pushed_back ? Status{} : done;
}

// Halves what is refused until it is one command; those before it are on record by then, as their order
// demands.
Status Session::put(Group group) {
  std::vector<std::pair<Ours*, Waiting*>> free;
  std::ranges::copy_if(group, std::back_inserter(free),
                       [](const auto& one) { return !one.first->second.held; });
  if (free.empty()) return {};
  const Group whole(free);
  auto done = put_whole(whole);
  if (done) return passed(whole), done;
  if (!is_refusal(done.error())) return done;
  if (whole.size() == 1) return refuse(*whole.front().first, done.error());
  VESTIGE_CHECKED(put(whole.first(whole.size() / 2)));
  return put(whole.subspan(whole.size() / 2));
}

Status Session::put_whole(Group group) {
  std::vector<audit::CapturedEvent> events;
  events.reserve(group.size());
  Offsets next;
  for (const auto& [ours, waiting] : group) {
    if (!waiting->event) return std::unexpected(waiting->event.error());
    events.push_back(*waiting->event);
    next[ours->first] = waiting->message.offset + 1;
  }
  return progress_.add(events, next);
}

void Session::passed(Group group) {
  for (const auto& [ours, waiting] : group) {
    auto& partition = ours->second;
    CHECK(&partition.waiting.front() == waiting);
    partition.recorded = waiting->message.offset + 1;
    --waiting_;
    waiting_bytes_ -= bytes_of(waiting->message);
    partition.waiting.pop_front();
  }
  tally_.commands += group.size();
  commands_covered_ += group.size();
}

// The dead letter is there before the mark passes the command: after a crash between them it is sent again.
Status Session::refuse(Ours& ours, const Error& why) {
  auto& [place, partition] = ours;
  const auto& message = partition.waiting.front().message;
  const auto reason =
      bounded_text(why.path.empty() ? why.message : why.path + ": " + why.message, limits::reason_bytes_max);
  Status sent;
  if (!dead_letters_) {
    auto opened = DeadLetters::open(configuration_);
    if (opened)
      dead_letters_ = *std::move(opened);
    else
      sent = std::unexpected(opened.error());
  }
  if (dead_letters_) sent = dead_letters_->send(message, reason);
  if (!sent) {
    // A producer that failed once may have given up for good.
    dead_letters_.reset();
    partition.held = true;
    parts_.warn(fmt::format(
        "capture {}: {}/{} waits at {}, which is no command ({}) and cannot be sent away: {}",
        configuration_.name, place.topic, place.partition, message.offset, reason, sent.error().message));
    return {};
  }
  VESTIGE_CHECKED(progress_.record("REFUSED",
                                   detail()
                                       .text("topic", place.topic)
                                       .raw("partition", std::to_string(place.partition))
                                       .text("offset", std::to_string(message.offset))
                                       .text("reason", reason)
                                       .text("deadLetters", place.topic + std::string(dead_letter_ending)),
                                   {{place, message.offset + 1}}));
  ++tally_.refused;
  ++refused_covered_;
  partition.recorded = message.offset + 1;
  --waiting_;
  waiting_bytes_ -= bytes_of(message);
  partition.waiting.pop_front();
  return {};
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
  if (is_due(committed_, limits::commit_period)) commit();
  if (is_due(looked_, limits::look_period)) look_at_cluster();
  if (pushed_back_ || !is_due(told_, limits::covered_period)) return {};
  const auto covered = record_covered();
  return covered || !is_push_back(covered.error()) ? covered : Status{};
}

void Session::commit() {
  std::vector<Start> next;
  for (const auto& [place, partition] : partitions_)
    if (partition.recorded) next.push_back({place, partition.recorded});
  consumer_->commit(next);
  std::uint64_t lag = 0;
  for (const auto& [place, partition] : partitions_)
    if (const auto end = consumer_->end_of(place); end && partition.recorded && *end > *partition.recorded)
      lag += static_cast<std::uint64_t>(*end - *partition.recorded);
  tally_.lag_messages = lag;
}

void Session::look_at_cluster() {
  tally_.connected = consumer_->reachable();
  if (tally_.connected) troubles_.clear();
}

Status Session::recover() {
  const bool any = std::ranges::any_of(partitions_, [](const auto& ours) { return ours.second.lost; });
  if (!any || pushed_back_ || !is_due(recovered_, limits::retry_first)) return {};
  for (auto& ours : partitions_) {
    // Where something waits, that is put on record first.
    if (!ours.second.lost || !ours.second.waiting.empty()) continue;
    if (auto done = recover(ours); !done) {
      if (!is_push_back(done.error())) return done;
      tell_trouble(0, done.error().message);
    }
  }
  return {};
}

// Where the log of a partition does not have what we want next, that is lost; where it is shorter than we
// have read, it is another log, of which everything is wanted.
Status Session::recover(Ours& ours) {
  auto& [place, partition] = ours;
  VESTIGE_TRY(const auto there, consumer_->watermarks(place));
  const auto next = partition.recorded.value_or(there.low);
  if (next < there.low || next > there.high) {
    const std::string_view cause = next < there.low ? "offsets_gone" : "offsets_moved";
    VESTIGE_CHECKED(progress_.record("GAP",
                                     detail()
                                         .text("topic", place.topic)
                                         .raw("partition", std::to_string(place.partition))
                                         .text("from", std::to_string(next))
                                         .text("to", std::to_string(there.low))
                                         .text("cause", cause),
                                     {{place, there.low}}));
    ++tally_.gaps;
    parts_.warn(fmt::format("capture {}: {}/{}: commands from {} on are not on record ({}); it goes on at {}",
                            configuration_.name, place.topic, place.partition, next, cause, there.low));
    partition.recorded = partition.covered = there.low;
  }
  partition.lost = false;
  return restart();
}

Status Session::restart() {
  std::vector<Start> starts;
  for (auto& [place, partition] : partitions_) {
    starts.push_back({place, partition.next()});
    partition.paused = false;
  }
  VESTIGE_CHECKED(consumer_->restart(starts));
  regulate();
  return {};
}

Status Session::record_covered() {
  for (auto ours = partitions_.begin(); ours != partitions_.end();) {
    std::string told;
    std::vector<Partition*> moved;
    for (; ours != partitions_.end() && moved.size() < limits::covered_partitions_max; ++ours) {
      auto& [place, partition] = *ours;
      if (!partition.recorded || partition.recorded == partition.covered) continue;
      json::ObjectWriter one;
      one.text("topic", place.topic)
          .raw("partition", std::to_string(place.partition))
          .text("from", std::to_string(partition.covered.value_or(0)))
          .text("to", std::to_string(*partition.recorded));
      told += (told.empty() ? "" : ",") + one.str();
      moved.push_back(&partition);
    }
    if (moved.empty()) continue;
    VESTIGE_CHECKED(progress_.record("COVERED",
                                     detail()
                                         .raw("partitions", "[" + told + "]")
                                         .raw("commands", std::to_string(commands_covered_))
                                         .raw("refused", std::to_string(refused_covered_)),
                                     {}));
    for (auto* partition : moved) partition->covered = partition->recorded;
    commands_covered_ = refused_covered_ = 0;
  }
  return {};
}

}  // namespace vestige::sources::kafka::internal
