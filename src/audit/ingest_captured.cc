// The way in for changes that a source of changes told of.
#include <fmt/format.h>

#include "audit/ingest.h"
#include "audit/limits.h"
#include "base/check.h"

namespace vestige::audit {

Uuid CaptureIds::id_of(std::string_view source, std::string_view position) const {
  Bytes lengths;
  ByteWriter out(lengths);
  out.u32(static_cast<std::uint32_t>(source.size()));
  out.u32(static_cast<std::uint32_t>(position.size()));
  const ByteView both(lengths);
  const auto mac = key_.mac({both.first(4), view(source), both.last(4), view(position)});
  return make_uuid_v8(load_le<Block16>(mac.data()));
}

Result<Batch> Ingest::prepare_captured(std::string_view source, std::span<const CapturedEvent> events,
                                       std::vector<Refused>* refused) {
  json::Parser parser;
  json::Document document;
  Batch batch;
  batch.many = false;  // each is told of by itself
  batch.items.reserve(events.size());
  RequestContext request{stream_.tenant(), {}, clock_.now()};
  const auto now = request.received;
  Status all;
  for (std::size_t number = 0; number < events.size(); ++number) {
    const auto& captured = events[number];
    CHECK(captured.event.size() > 2 && captured.event.starts_with('{'));
    const auto text =
        fmt::format(R"({{"id":"{}",{})",
                    format_uuid(captured.id ? *captured.id : capture_ids_.id_of(source, captured.position)),
                    std::string_view(captured.event).substr(1));
    request.service = captured.system ? system_service : source;
    request.received = captured.time.value_or(now);
    auto taken = parser.parse(text, document, {.depth_max = event_depth_max, .bytes_max = batch_bytes_max});
    if (taken) taken = add_event(document.root(), request, captured.system, batch, captured.context);
    if (taken) {
      batch.items.back().id_from_record = !captured.id;
      continue;
    }
    const bool for_ever = taken.error().kind == ErrorKind::invalid || is_too_large(taken.error());
    if (!refused || !for_ever) {
      auto error = std::move(taken).error();
      error.message = fmt::format("the change at {}: {}", captured.position, error.message);
      return std::unexpected(std::move(error));
    }
    refused->push_back({number, taken.error()});
    if (all) all = std::move(taken);
  }
  if (!all) return std::unexpected(std::move(all).error());
  VESTIGE_CHECKED(find_repeats(batch, refused ? Rivals::kept : Rivals::refused));
  return batch;
}

}  // namespace vestige::audit
