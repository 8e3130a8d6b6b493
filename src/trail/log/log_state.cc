#include "trail/log/log_state.h"

#include <fmt/format.h>

#include "base/check.h"

namespace vestige::trail {

Status Options::check() const {
  const auto wrong = [](std::string what) { return fail(ErrorKind::invalid, std::move(what)); };
  if (segment_rows_max < block_rows || segment_rows_max > segment_rows_limit)
    return wrong(fmt::format("segment_rows_max must lie between {} and {}", block_rows, segment_rows_limit));
  if (wal_file_bytes < 64 << 10) return wrong("wal_file_bytes must be at least 65536");
  if (wal_bytes_max < 2 * wal_file_bytes) return wrong("wal_bytes_max must be at least twice wal_file_bytes");
  if (head_bytes_max < 1 << 20) return wrong("head_bytes_max must be at least 1048576");
  return {};
}

Result<Manifest> Catalogue::read() const {
  const std::string name(manifest_name);
  VESTIGE_TRY(const auto bytes, platform::read_file(files_, name, manifest_bytes_max));
  auto manifest = decode_manifest(bytes);
  if (!manifest)
    return corrupt(name, manifest.error().where ? manifest.error().where->offset : 0,
                   fmt::format("{}: {}", files_.describe(name), manifest.error().message));
  return manifest;
}

Status Catalogue::write(const Manifest& manifest) {
  return platform::replace_file(files_, std::string(manifest_name), encode_manifest(manifest),
                                platform::FileMode::shared_read);
}

Stream& LogState::stream(std::uint8_t number) {
  auto* const found = streams.find(number);
  CHECK(found != nullptr);
  return *found;
}

Result<Stream*> LogState::add_stream(const StreamSpec& spec) {
  if (!is_stream_name(spec.tenant) || !is_stream_name(spec.name))
    return fail(ErrorKind::invalid,
                "a tenant and a stream are each named by 1 to 64 of the characters a-z 0-9 - _");
  const Lock lock(manifest_mutex);
  if (auto* const there = streams.find(spec.tenant, spec.name)) return there;
  VESTIGE_TRY(const auto record, streams.next(spec.tenant, spec.name, spec.proofs));
  // The manifest is what counts, so it comes last. Until it is durable nobody knows the stream and no frame
  // names it; where this fails the next manifest names one stream less again, and an empty directory is left.
  auto stream = std::make_unique<Stream>(record, page_cache);
  VESTIGE_CHECKED(parts.files.make_directories(stream->directory()));
  VESTIGE_CHECKED(write_manifest_locked(wal_root, &record));
  return &streams.add(std::move(stream));
}

std::map<std::uint8_t, std::uint64_t> LogState::sizes() const {
  std::map<std::uint8_t, std::uint64_t> out;
  for (const auto& stream : streams.all()) out[stream->number()] = stream->size();
  return out;
}

std::map<std::uint8_t, std::uint64_t> LogState::sealed_sizes() const {
  std::map<std::uint8_t, std::uint64_t> out;
  for (const auto& stream : streams.all()) out[stream->number()] = stream->sealed_size();
  return out;
}

void LogState::take_marks(std::span<const Mark> new_marks) {
  Lock lock(marks_mutex);
  for (const auto& mark : new_marks) marks[{mark.stream, mark.name}] = mark.value;
}

KnownMarks LogState::known_marks() const {
  Lock lock(marks_mutex);
  return {.count = marks.size(), .has = [this](const Mark& mark) {
            Lock again(marks_mutex);
            return marks.contains({mark.stream, mark.name});
          }};
}

std::uint64_t LogState::root() {
  Lock lock(manifest_mutex);
  return wal_root;
}

Status LogState::write_manifest(std::uint64_t root) {
  const Lock lock(manifest_mutex);
  return write_manifest_locked(root, nullptr);
}

Status LogState::write_manifest_locked(std::uint64_t root, const StreamRecord* added) {
  Manifest manifest{.sequence = manifest_sequence + 1,
                    .data_id = data_id,
                    .created = created,
                    .wal_root = root,
                    .streams = {},
                    .marks = {}};
  for (const auto& stream : streams.all()) manifest.streams.push_back(stream->record());
  if (added != nullptr) manifest.streams.push_back(*added);
  {
    Lock marks_lock(marks_mutex);
    for (const auto& [key, value] : marks) manifest.marks.push_back({key.first, key.second, value});
  }
  VESTIGE_CHECKED(catalogue.write(manifest));
  manifest_sequence = manifest.sequence;
  wal_root = root;
  return {};
}

}  // namespace vestige::trail
