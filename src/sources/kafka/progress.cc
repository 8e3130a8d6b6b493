#include "sources/kafka/progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "sources/kafka/limits.h"
#include "trail/limits.h"

namespace vestige::sources::kafka {
namespace {

// "capture." NAME "." 32 hex digits "." PARTITION
static_assert(8 + limits::name_bytes_max + 1 + 32 + 1 + 10 <= trail::mark_name_bytes_max);

}  // namespace

Progress::Progress(trail::Log& log, audit::TenantTrail& trail, std::string source)
    : log_(log), trail_(trail), source_(std::move(source)) {}

void Progress::set_cluster(std::string cluster) { cluster_ = std::move(cluster); }

std::string Progress::mark_of(const Place& place) const {
  const auto digest = crypto::sha256({view(cluster_), view("/"), view(place.topic)});
  return fmt::format("capture.{}.{}.{}", source_, to_hex(ByteView(digest).first(16)), place.partition);
}

std::string Progress::cluster_mark() const { return fmt::format("capture.{}.cluster", source_); }

std::uint64_t Progress::cluster_number() const {
  const auto digest = crypto::sha256(view(cluster_));
  return load_le<std::uint64_t>(digest.data());
}

bool Progress::moved() const {
  const auto last = log_.mark(trail_.stream().number(), cluster_mark());
  return last && *last != cluster_number();
}

std::optional<std::int64_t> Progress::next_of(const Place& place) const {
  const auto mark = log_.mark(trail_.stream().number(), mark_of(place));
  if (!mark) return std::nullopt;
  return static_cast<std::int64_t>(*mark);
}

Status Progress::check_room(std::span<const Place> places) const {
  const auto stream = trail_.stream().number();
  const auto known = log_.marks(stream, fmt::format("capture.{}.", source_)).size();
  const auto fresh =
      std::ranges::count_if(places, [&](const Place& place) { return !log_.mark(stream, mark_of(place)); });
  if (known + static_cast<std::size_t>(fresh) <= limits::marks_max) return {};
  Error error{.kind = ErrorKind::exhausted,
              .message = fmt::format("the source has read {} partitions so far, and may read no more: name "
                                     "fewer topics, or capture under another name",
                                     known)};
  error.limit = fmt::format("marks_max = {}", limits::marks_max);
  return std::unexpected(std::move(error));
}

Status Progress::append(audit::Batch batch, const Offsets& next) {
  batch.placed = [this, &next](trail::Placement& placement, const audit::BatchOutcome&) {
    placement.set_mark(cluster_mark(), cluster_number());
    for (const auto& [place, offset] : next)
      placement.set_mark(mark_of(place), static_cast<std::uint64_t>(offset));
  };
  const auto outcome = trail_.append(trail_.ingest(), std::move(batch));
  return outcome ? Status{} : std::unexpected(outcome.error());
}

Status Progress::add(std::span<const audit::CapturedEvent> events, const Offsets& next) {
  auto batch = trail_.ingest().prepare_captured(source_, events);
  if (!batch) {
    auto error = std::move(batch).error();
    // Too large is for ever, too much for now only where the trail says so.
    if (error.kind == ErrorKind::exhausted) error.kind = ErrorKind::invalid;
    return std::unexpected(std::move(error));
  }
  return append(*std::move(batch), next);
}

Status Progress::record(std::string_view action, const json::ObjectWriter& detail, const Offsets& next) {
  json::ObjectWriter event;
  event.text("kind", "system.capture")
      .text("action", action)
      .text("sourceType", "SERVER")
      .text("targetType", "CAPTURE")
      .text("targetId", source_)
      .raw("detail", detail.str());
  VESTIGE_TRY(auto batch, trail_.ingest().prepare_system(event.str()));
  return append(std::move(batch), next);
}

}  // namespace vestige::sources::kafka
