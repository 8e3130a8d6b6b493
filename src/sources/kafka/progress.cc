#include "sources/kafka/progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "sources/kafka/command.h"
#include "sources/kafka/limits.h"
#include "trail/limits.h"

namespace vestige::sources::kafka {
namespace {

constexpr std::size_t marks_a_partition = 4;
// "capture." NAME "." 32 hex digits "." PARTITION ".covered"
static_assert(8 + limits::name_bytes_max + 1 + 32 + 1 + 10 + 8 <= trail::mark_name_bytes_max);

}  // namespace

Progress::Progress(trail::Log& log, audit::TenantTrail& trail, std::string source)
    : log_(log), trail_(trail), source_(std::move(source)) {}

void Progress::set_cluster(std::string cluster) { cluster_ = std::move(cluster); }

std::string Progress::mark_of(const Place& place) const {
  const auto digest = crypto::sha256({view(cluster_), view("/"), view(place.topic)});
  return fmt::format("capture.{}.{}.{}", source_, to_hex(ByteView(digest).first(16)), place.partition);
}

std::string Progress::mark_of(std::string_view what) const {
  return fmt::format("capture.{}.{}", source_, what);
}

std::uint64_t Progress::cluster_number() const {
  const auto digest = crypto::sha256(view(cluster_));
  return load_le<std::uint64_t>(digest.data());
}

bool Progress::moved() const {
  const auto last = log_.mark(trail_.stream().number(), mark_of("cluster"));
  return last && *last != cluster_number();
}

std::string Progress::covered_mark_of(const Place& place) const { return mark_of(place) + ".covered"; }

std::string Progress::last_mark_of(const Place& place) const { return mark_of(place) + ".last"; }

std::string Progress::digest_mark_of(const Place& place) const { return mark_of(place) + ".digest"; }

std::optional<std::int64_t> Progress::offset_at(const std::string& mark) const {
  const auto value = log_.mark(trail_.stream().number(), mark);
  if (!value) return std::nullopt;
  return static_cast<std::int64_t>(*value);
}

std::optional<std::int64_t> Progress::next_of(const Place& place) const { return offset_at(mark_of(place)); }

std::optional<Seen> Progress::last_of(const Place& place) const {
  const auto next = next_of(place);
  const auto offset = offset_at(last_mark_of(place));
  const auto digest = log_.mark(trail_.stream().number(), digest_mark_of(place));
  if (!next || !offset || !digest || *offset >= *next) return std::nullopt;
  return Seen{*offset, *digest};
}

// Not of the message alone: a digest without a key would tell whoever guesses what stood in one that is
// erased.
Seen Progress::seen(const Message& message) const {
  const auto id = trail_.ingest().captured_id(source_, position_of(message, cluster_));
  return {message.offset, load_le<std::uint64_t>(id.bytes.data())};
}

std::optional<std::int64_t> Progress::covered_of(const Place& place) const {
  return offset_at(covered_mark_of(place));
}

Status Progress::check_room(std::span<const Place> places) const {
  const auto stream = trail_.stream().number();
  const auto marks = log_.marks(stream, fmt::format("capture.{}.", source_));
  const auto known = std::ranges::count_if(marks, [](const auto& mark) {
    return mark.first.find_first_not_of("0123456789", mark.first.rfind('.') + 1) == std::string::npos;
  });
  const auto fresh =
      std::ranges::count_if(places, [&](const Place& place) { return !log_.mark(stream, mark_of(place)); });
  if (static_cast<std::size_t>(known + fresh) * marks_a_partition <= limits::marks_max) return {};
  Error error{.kind = ErrorKind::exhausted,
              .message = fmt::format("the source has read {} partitions so far, and may read no more: name "
                                     "fewer topics, or capture under another name",
                                     known)};
  error.limit = fmt::format("marks_max = {}", limits::marks_max);
  return std::unexpected(std::move(error));
}

Totals Progress::totals() const {
  const auto count = [&](std::string_view what) {
    return log_.mark(trail_.stream().number(), mark_of(what)).value_or(0);
  };
  return {.commands = count("commands"), .refused = count("refused")};
}

std::future<Result<audit::BatchOutcome>> Progress::submit(audit::Batch batch, const Step& step) {
  const auto all = totals() + step.more;
  batch.placed = [this, &step, all](trail::Placement& placement, const audit::BatchOutcome&) {
    placement.set_mark(mark_of("cluster"), cluster_number());
    placement.set_mark(mark_of("commands"), all.commands);
    placement.set_mark(mark_of("refused"), all.refused);
    for (const auto& [place, offset] : step.next)
      placement.set_mark(mark_of(place), static_cast<std::uint64_t>(offset));
    for (const auto& [place, offset] : step.covered)
      placement.set_mark(covered_mark_of(place), static_cast<std::uint64_t>(offset));
    for (const auto& [place, seen] : step.last) {
      placement.set_mark(last_mark_of(place), static_cast<std::uint64_t>(seen.offset));
      placement.set_mark(digest_mark_of(place), seen.digest);
    }
  };
  return trail_.submit(trail_.ingest(), std::move(batch));
}

Status Progress::append(audit::Batch batch, const Step& step) {
  const auto outcome = submit(std::move(batch), step).get();
  return outcome ? Status{} : std::unexpected(outcome.error());
}

Status Progress::add(std::span<const audit::CapturedEvent> events, Adding& adding) {
  VESTIGE_TRY(auto batch, trail_.ingest().prepare_captured(source_, events, &adding.refused));
  batch.conflicting = [&adding](audit::Refused each) { adding.refused.push_back(std::move(each)); };
  adding.outcome = submit(std::move(batch), adding.step);
  return {};
}

std::string Progress::entry(std::string_view action, const json::ObjectWriter& detail) const {
  json::ObjectWriter event;
  event.text("kind", "system.capture")
      .text("action", action)
      .text("sourceType", "SERVER")
      .text("targetType", "CAPTURE")
      .text("targetId", source_)
      .raw("detail", detail.str());
  return event.str();
}

Status Progress::record(std::string_view action, const json::ObjectWriter& detail, const Step& step) {
  VESTIGE_TRY(auto batch, trail_.ingest().prepare_system(entry(action, detail)));
  return append(std::move(batch), step);
}

}  // namespace vestige::sources::kafka
