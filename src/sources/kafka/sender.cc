#include "sources/kafka/sender.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "sources/kafka/limits.h"

namespace vestige::sources::kafka {

Sender::Sender(Cluster cluster, std::string topic, Parts parts)
    : cluster_(std::move(cluster)),
      topic_(std::move(topic)),
      parts_(std::move(parts)),
      pause_(limits::retry_first) {}

Result<std::string> Sender::connect() {
  VESTIGE_CHECKED(open());
  auto cluster = producer_->cluster();
  auto found = cluster ? producer_->look_for(topic_) : std::unexpected(cluster.error());
  if (found) {
    partitions_ = *found;
    return cluster;
  }
  auto error = std::move(found).error();
  static_cast<void>(producer_->serve(std::chrono::milliseconds(0)));  // says what the trouble is
  if (!trouble_.empty()) error.message += fmt::format(" ({})", trouble_);
  return std::unexpected(std::move(error));
}

bool Sender::has_room() const {
  return !one_by_one_ && held_.size() < limits::unacknowledged_max &&
         held_bytes_ < limits::unacknowledged_bytes_max;
}

void Sender::add(std::uint64_t number, Outgoing message) {
  CHECK(partitions_ > 0 && has_room() && (held_.empty() || number > held_.back().number));
  if (held_.empty()) moved_ = parts_.clock.monotonic();
  held_bytes_ += message.bytes();
  const auto partition = partition_of(message, partitions_);
  held_.push_back({.number = number, .message = std::move(message), .partition = partition});
  if (producer_) hand_over();
}

Status Sender::serve(std::chrono::milliseconds patience) {
  if (!producer_) {
    const auto early = std::chrono::ceil<std::chrono::milliseconds>(try_again_ - parts_.clock.monotonic());
    if (early > early.zero()) {
      control_.wait(std::min(early, patience));
      tell_stall();
      return {};
    }
    VESTIGE_CHECKED(begin());
  }
  const auto served = producer_->serve(patience);
  if (!served && !failure_) failure_ = {.number = first_held().value_or(0), .error = served.error()};
  settle();
  tell_stall();
  if (producer_) hand_over();
  if (failure_) return recover(*std::exchange(failure_, std::nullopt));
  return {};
}

std::optional<std::uint64_t> Sender::first_held() const {
  return held_.empty() ? std::nullopt : std::optional(held_.front().number);
}

Status Sender::open() {
  handed_over_ = 0;
  begun_.clear();
  VESTIGE_TRY(producer_,
              Producer::open(cluster_, {.one_by_one = one_by_one_},
                             {.delivered = [this](std::uint64_t number,
                                                  Status outcome) { take(number, std::move(outcome)); },
                              .trouble = [this](const std::string& text) { trouble_ = text; }}));
  return {};
}

// Anew, with all that is not acknowledged.
Status Sender::begin() {
  VESTIGE_CHECKED(open());
  hand_over();
  return {};
}

// In their order, as far as they may be sent now. From a producer of which a partition has nothing yet,
// brokers take any sequence number: until its first message there is acknowledged, what follows could get
// past it. It waits until then.
void Sender::hand_over() {
  for (; handed_over_ < held_.size() && !failure_; ++handed_over_) {
    const auto& held = held_[handed_over_];
    if (held.acknowledged) continue;
    const auto [known, is_first] = begun_.try_emplace(held.partition, false);
    if (!is_first && !known->second) return;
    if (auto sent = producer_->send(topic_, held.message, held.number, held.partition); !sent)
      failure_ = {.number = held.number, .error = std::move(sent).error()};
  }
}

Sender::Held* Sender::find(std::uint64_t number) {
  const auto found = std::ranges::lower_bound(held_, number, {}, &Held::number);
  return found == held_.end() || found->number != number ? nullptr : &*found;
}

void Sender::take(std::uint64_t number, Status outcome) {
  auto* const held = find(number);
  CHECK(held != nullptr);
  if (outcome)
    held->acknowledged = begun_[held->partition] = true;
  else if (!failure_)
    failure_ = {.number = number, .error = std::move(outcome).error()};
}

// Lets go of what is acknowledged, in the order of numbers.
void Sender::settle() {
  if (held_.empty() || !held_.front().acknowledged) return;
  while (!held_.empty() && held_.front().acknowledged) {
    held_bytes_ -= held_.front().message.bytes();
    held_.pop_front();
    // One that failed was not handed what another producer had got acknowledged.
    if (handed_over_ > 0) --handed_over_;
    ++acknowledged_;
  }
  moved_ = parts_.clock.monotonic();
  pause_ = limits::retry_first;
  trouble_.clear();
  if (stall_told_) parts_.say(fmt::format("{}: the brokers acknowledge again", topic_));
  stall_told_ = false;
  if (!one_by_one_ || !held_.empty()) return;
  if (!too_large_seen_ && !batches_told_)
    parts_.say(
        fmt::format("{} takes smaller requests than were sent, and none of their messages is too large by "
                    "itself; this goes faster with the option batch.size at the topic's max.message.bytes",
                    topic_));
  batches_told_ = batches_told_ || !too_large_seen_;
  one_by_one_ = too_large_seen_ = false;
  producer_.reset();
}

// Nothing that was sent after the one that failed got there, so that to send all of it again keeps the order.
Status Sender::recover(Failure failure) {
  producer_.reset();
  auto& error = failure.error;
  if (error.kind == ErrorKind::exhausted) {
    if (auto* const held = find(failure.number); held && one_by_one_) return replace(*held, error);
    one_by_one_ = true;
    return {};
  }
  if (error.kind != ErrorKind::unavailable) {
    error.message += fmt::format(" (message {})", failure.number);
    return std::unexpected(std::move(error));
  }
  trouble_ = error.message;
  try_again_ = parts_.clock.monotonic() + pause_;
  pause_ = std::min(pause_ * 2, limits::retry_last);
  return {};
}

Status Sender::replace(Held& held, const Error& why) {
  too_large_seen_ = true;
  if (held.stands_in)
    return fail(ErrorKind::exhausted,
                fmt::format("{}: even what stands in for message {} is too large", why.message, held.number));
  VESTIGE_TRY(auto other, parts_.too_large(held.number, held.message));
  held_bytes_ -= held.message.bytes();
  held.message = std::move(other);
  held.stands_in = true;
  held_bytes_ += held.message.bytes();
  return {};
}

void Sender::tell_stall() {
  if (held_.empty() || stall_told_ || parts_.clock.monotonic() - moved_ < limits::stall_patience) return;
  stall_told_ = true;
  parts_.say(fmt::format("{}: for {} s nothing was acknowledged; {} messages wait until it is{}{}", topic_,
                         limits::stall_patience.count(), held_.size(), trouble_.empty() ? "" : ": ",
                         trouble_));
}

}  // namespace vestige::sources::kafka
