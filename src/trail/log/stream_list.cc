#include "trail/log/stream_list.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace vestige::trail {

std::span<const std::unique_ptr<Stream>> StreamList::all() const {
  return {slots_.data(), count_.load(std::memory_order_acquire)};
}

Stream* StreamList::find(std::uint8_t number) const {
  return by_number_[number].load(std::memory_order_acquire);
}

Stream* StreamList::find(std::string_view tenant, std::string_view name) const {
  const auto now = all();
  const auto found = std::ranges::find_if(
      now, [&](const auto& stream) { return stream->tenant() == tenant && stream->name() == name; });
  return found == now.end() ? nullptr : found->get();
}

Result<StreamRecord> StreamList::next(const std::string& tenant, const std::string& name, bool proofs) const {
  const auto now = all();
  // Numbers are never given back, so the next one is behind all of them.
  std::size_t last = 0;
  for (const auto& stream : now) last = std::max<std::size_t>(last, stream->number());
  if (now.size() == streams_max || last == UINT8_MAX) {
    Error error{
        .kind = ErrorKind::exhausted,
        .message = fmt::format("there is no room for the stream {}/{}: one trail has at most {} streams. "
                               "Start another server with a data directory of its own for more",
                               tenant, name, streams_max)};
    error.limit = fmt::format("streams_max = {}", streams_max);
    return std::unexpected(std::move(error));
  }
  StreamRecord record;
  record.number = static_cast<std::uint8_t>(last + 1);
  record.tenant = tenant;
  record.name = name;
  record.proofs = proofs;
  return record;
}

Stream& StreamList::add(std::unique_ptr<Stream> stream) {
  const auto count = count_.load(std::memory_order_relaxed);
  CHECK(count < streams_max && find(stream->number()) == nullptr);
  Stream& added = *stream;
  slots_[count] = std::move(stream);
  count_.store(count + 1, std::memory_order_release);
  by_number_[added.number()].store(&added, std::memory_order_release);
  return added;
}

}  // namespace vestige::trail
