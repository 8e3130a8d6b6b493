// From what the disk holds to a log that serves. Rules: docs/formats/wal.md ("Recovery"), manifest.md.

#include <fmt/format.h>

#include "base/check.h"
#include "trail/format/sidecar_format.h"
#include "trail/log/log_state.h"
#include "trail/log/wal_reader.h"

namespace vestige::trail {
namespace {

constexpr std::string_view spare_prefix = "spare-";
// While replaying, blocks are turned into pages as soon as the head holds this much.
constexpr std::uint64_t replay_head_bytes = 32 << 20;

class Recovery {
 public:
  Recovery(LogState& state, Sealer& sealer, const std::vector<StreamSpec>& specs)
      : state_(state),
        sealer_(sealer),
        specs_(specs),
        files_(state.parts.files),
        writer_options_(state.options) {
    // The tail must find room even on a full disk: that is what the reserve is for.
    writer_options_.disk_reserve_bytes = 0;
    writer_options_.wal_bytes_max = UINT64_MAX;
  }

  Status run();

 private:
  Status create();
  Status refuse_remains() const;
  Status open_existing(const Manifest& manifest);
  Result<WalEnd> prepare(const Manifest& manifest);
  Status load_streams(const Manifest& manifest);
  Status remove_unfinished(const std::string& directory);
  Status remove_unlisted(const Stream& stream);
  void discard_attempt();
  Status check_end_mark(const WalEnd& end);
  Status replay(const WalFrame& frame, Bytes plain);
  Status replay_append(const AppendView& append, const std::shared_ptr<const Bytes>& owner, Bytes& copy,
                       std::uint64_t& copied);
  Status begin_chain(std::uint64_t sequence);
  Status seal_while_large();
  Status remove_wal_files(const WalEnd& end);
  Status destroy_stray_keys();
  Status add_missing_streams();

  LogState& state_;
  Sealer& sealer_;
  const std::vector<StreamSpec>& specs_;
  platform::FileSystem& files_;
  Options writer_options_;
  std::unique_ptr<WalWriter> writer_;
  std::uint64_t new_generation_ = 1;
};

Status Recovery::add_missing_streams() {
  for (const auto& spec : specs_) {
    if (state_.streams.find(spec.tenant, spec.name) != nullptr) continue;
    VESTIGE_TRY(auto record, state_.streams.next(spec.tenant, spec.name, spec.proofs));
    state_.streams.add(std::make_unique<Stream>(std::move(record), state_.page_cache));
  }
  return {};
}

// A new directory, or one whose very first start did not get to its manifest.
Status Recovery::refuse_remains() const {
  const auto missing = [&](const std::string& what) {
    return corrupt(
        std::string(manifest_name), 0,
        fmt::format("{} is missing although {} exists: it was lost or removed. Restore it from a backup",
                    files_.describe(std::string(manifest_name)), files_.describe(what)));
  };
  if (const auto entries = files_.list(std::string(wal_directory)))
    for (const auto& entry : *entries) {
      if (!parse_wal_file_name(entry.name)) continue;
      const auto path = platform::join(wal_directory, entry.name);
      VESTIGE_TRY(const auto file, files_.open_read_only(path));
      Bytes head(frame_header_bytes);
      if (file->read(wal_header_bytes, head) && decode_frame_header(head)) return missing(path);
    }
  const auto tenants = files_.list("streams");
  if (!tenants) return {};
  for (const auto& tenant : *tenants) {
    VESTIGE_TRY(const auto names, files_.list(platform::join("streams", tenant.name)));
    for (const auto& name : names) {
      const auto directory = platform::join(platform::join("streams", tenant.name), name.name);
      VESTIGE_TRY(const auto entries, files_.list(directory));
      for (const auto& entry : entries)
        if (entry.name.ends_with(segment_ending)) return missing(platform::join(directory, entry.name));
    }
  }
  return {};
}

Status Recovery::create() {
  VESTIGE_CHECKED(refuse_remains());
  VESTIGE_CHECKED(files_.make_directories(std::string(wal_directory)));
  VESTIGE_TRY(const auto entries, files_.list(std::string(wal_directory)));
  for (const auto& entry : entries) VESTIGE_CHECKED(files_.remove(platform::join(wal_directory, entry.name)));
  state_.data_id = state_.parts.entropy.bytes<16>();
  state_.created = state_.parts.clock.now();
  state_.recovery.created = true;
  VESTIGE_CHECKED(add_missing_streams());
  for (const auto& stream : state_.streams.all())
    VESTIGE_CHECKED(files_.make_directories(stream->directory()));
  state_.wal = std::make_unique<WalWriter>(files_, state_.parts.wrapper, state_.parts.entropy, state_.data_id,
                                           state_.options);
  VESTIGE_CHECKED(state_.wal->start_root(new_generation_, 1));
  return state_.write_manifest(new_generation_);
}

// What was being written when the last process ended; nothing in such files counts.
Status Recovery::remove_unfinished(const std::string& directory) {
  const auto entries = files_.list(directory);
  if (!entries)
    return entries.error().kind == ErrorKind::not_found ? Status{} : std::unexpected(entries.error());
  for (const auto& entry : *entries) {
    const bool unfinished = entry.name.ends_with(temporary_ending) || is_open_segment_name(entry.name) ||
                            entry.name.starts_with(spare_prefix);
    if (unfinished && !entry.is_directory)
      VESTIGE_CHECKED(files_.remove(platform::join(directory, entry.name)));
  }
  return {};
}

// Segments that no manifest lists: their entries are in the WAL, or the manifest is an old one. So they go
// only when the WAL was read and nothing is missing.
Status Recovery::remove_unlisted(const Stream& stream) {
  const auto record = stream.record();
  VESTIGE_TRY(const auto entries, files_.list(stream.directory()));
  for (const auto& entry : entries)
    for (const auto ending : {segment_ending, hashes_ending, ids_ending, sidecar_ending(SidecarKind::clear),
                              sidecar_ending(SidecarKind::sealed)}) {
      const auto range = parse_range_file_name(entry.name, ending);
      if (!range || std::ranges::any_of(record.segments, [&](const auto& segment) {
            return segment.first == range->first && segment.end == range->end;
          }))
        continue;
      VESTIGE_CHECKED(files_.remove(platform::join(stream.directory(), entry.name)));
    }
  return {};
}

Status Recovery::load_streams(const Manifest& manifest) {
  VESTIGE_CHECKED(remove_unfinished(""));
  VESTIGE_CHECKED(remove_unfinished(std::string(wal_directory)));
  for (const auto& record : manifest.streams) {
    Stream& stream = state_.streams.add(std::make_unique<Stream>(record, state_.page_cache));
    VESTIGE_CHECKED(remove_unfinished(stream.directory()));
    for (const auto& segment : record.segments)
      VESTIGE_CHECKED(stream.load_segment(state_.sidecars(), segment, state_.parts.tokeniser != nullptr));
    VESTIGE_CHECKED(stream.check_frontier(record, std::string(manifest_name)));
  }
  VESTIGE_CHECKED(add_missing_streams());
  for (const auto& stream : state_.streams.all())
    VESTIGE_CHECKED(files_.make_directories(stream->directory()));
  state_.take_marks(manifest.marks);
  return {};
}

Status Recovery::begin_chain(std::uint64_t sequence) {
  if (writer_) return {};
  writer_ = std::make_unique<WalWriter>(files_, state_.parts.wrapper, state_.parts.entropy, state_.data_id,
                                        writer_options_);
  return writer_->start_root(new_generation_, sequence);
}

Status Recovery::seal_while_large() {
  for (;;) {
    std::uint64_t bytes = 0;
    for (const auto& stream : state_.streams.all()) bytes += stream->head_bytes();
    if (bytes < replay_head_bytes) return {};
    VESTIGE_TRY(const bool more, sealer_.step(false));
    if (!more) return {};
  }
}

// Puts the records that no segment holds into their stream, and into `copy` as an append of the new chain.
Status Recovery::replay_append(const AppendView& append, const std::shared_ptr<const Bytes>& owner,
                               Bytes& copy, std::uint64_t& copied) {
  Stream& stream = state_.stream(append.stream);
  const auto size = stream.size();
  const auto end = append.first + append.records.size();
  if (end <= size) return {};
  if (append.first > size)
    return corrupt("", 0,
                   fmt::format("entries {} to {} of {} are missing", size, append.first, stream.full_name()));
  const auto skip = static_cast<std::size_t>(size - append.first);
  std::vector<Stream::NewRow> rows;
  std::vector<SeedRun> seeds;
  Bytes records;
  for (std::size_t i = skip; i < append.records.size(); ++i) {
    const auto& record = append.records[i];
    rows.push_back({record.fingerprint, record.entry, record.blobs, leaf_hash(record.entry)});
    encode_record(record.fingerprint, record.entry, record.blobs, records);
  }
  std::size_t before = 0;
  for (const auto& run : append.seeds) {
    const auto from = std::max(before, skip);
    const auto to = before + run.count;
    if (from < to) seeds.push_back({static_cast<std::uint32_t>(to - from), run.seed});
    before = to;
  }
  stream.append(rows, seeds, owner);
  encode_append(append.stream, size, rows.size(), seeds, records, copy);
  ++copied;
  state_.recovery.entries_replayed += rows.size();
  state_.recovery.bytes_copied += records.size();
  return {};
}

Status Recovery::replay(const WalFrame& frame, Bytes plain) {
  const auto owner = std::make_shared<const Bytes>(std::move(plain));
  auto group = decode_group(*owner);
  const auto located = [&](Error error) {
    error.where = Location{frame.file, frame.offset, std::nullopt};
    error.message = fmt::format("{}: {}", files_.describe(frame.file), error.message);
    return std::unexpected(std::move(error));
  };
  if (!group) return located(std::move(group).error());
  Bytes appends;
  std::uint64_t copied = 0;
  for (const auto& append : group->appends) {
    if (state_.streams.find(append.stream) == nullptr)
      return located(
          {.kind = ErrorKind::corrupt, .message = "a frame names a stream that the manifest does not"});
    if (auto replayed = replay_append(append, owner, appends, copied); !replayed)
      return located(std::move(replayed).error());
  }
  state_.take_marks(group->marks);
  if (copied > 0 || !group->marks.empty()) {
    Bytes payload;
    ByteWriter(payload).varint(copied);
    payload.insert(payload.end(), appends.begin(), appends.end());
    encode_marks(group->marks, payload);
    VESTIGE_CHECKED(begin_chain(frame.header.sequence));
    VESTIGE_CHECKED(writer_->append(FrameKind::group, payload, state_.sizes(), WalWriter::Sync::no));
  }
  return seal_while_large();
}

Status Recovery::remove_wal_files(const WalEnd& end) {
  for (const auto* generations : {&end.stale, &end.chain, &end.attempts})
    for (const auto generation : *generations)
      VESTIGE_CHECKED(files_.remove(platform::join(wal_directory, wal_file_name(generation))));
  return files_.sync_directory(std::string(wal_directory));
}

Status Recovery::check_end_mark(const WalEnd& end) {
  if (!end.last_end_mark) return {};
  const auto path = platform::join(wal_directory, wal_file_name(end.last_generation));
  for (const auto& [number, size] : end.last_end_mark->sizes) {
    const auto* const stream = state_.streams.find(number);
    if (stream == nullptr)
      return corrupt(path, 0,
                     fmt::format("{}: the end mark names a stream {} that the manifest does not",
                                 files_.describe(path), number));
    if (stream->size() < size)
      return corrupt(path, 0,
                     fmt::format("the log of {} has {} entries, its end mark says {}: entries are missing",
                                 stream->full_name(), stream->size(), size));
  }
  return {};
}

// Everything up to the moment at which the manifest names the new chain; until then the old one stands.
Result<WalEnd> Recovery::prepare(const Manifest& manifest) {
  VESTIGE_TRY(auto end, read_wal(files_, &state_.parts.wrapper, state_.data_id, manifest.wal_root, false,
                                 [this](const WalFrame& frame, Bytes plain) {
                                   return replay(frame, std::move(plain));
                                 }));
  VESTIGE_CHECKED(check_end_mark(end));
  VESTIGE_CHECKED(begin_chain(end.next_sequence));
  VESTIGE_CHECKED(writer_->sync_all());
  for (const auto& stream : state_.streams.all()) VESTIGE_CHECKED(remove_unlisted(*stream));
  return end;
}

// A start that fails leaves no attempt behind, so that repeated ones do not fill the disk. Best effort: a
// later start discards what is left.
void Recovery::discard_attempt() {
  const auto entries = files_.list(std::string(wal_directory));
  if (!entries) return;
  for (const auto& entry : *entries)
    if (const auto generation = parse_wal_file_name(entry.name); generation && *generation >= new_generation_)
      if (!files_.remove(platform::join(wal_directory, entry.name))) return;
}

Status Recovery::open_existing(const Manifest& manifest) {
  state_.data_id = manifest.data_id;
  state_.created = manifest.created;
  {
    Lock lock(state_.manifest_mutex);
    state_.manifest_sequence = manifest.sequence;
    state_.wal_root = manifest.wal_root;
  }
  VESTIGE_CHECKED(load_streams(manifest));
  // A directory that is missing altogether is found by the reader.
  if (const auto entries = files_.list(std::string(wal_directory)))
    for (const auto& entry : *entries)
      if (const auto generation = parse_wal_file_name(entry.name))
        new_generation_ = std::max(new_generation_, *generation + 1);

  const auto end = prepare(manifest);
  if (!end) {
    discard_attempt();
    return std::unexpected(end.error());
  }
  // From here on the ordinary limits hold.
  writer_->set_options(state_.options);
  state_.wal = std::move(writer_);
  VESTIGE_CHECKED(state_.write_manifest(new_generation_));
  VESTIGE_CHECKED(remove_wal_files(*end));
  return state_.parts.sidecar_keys == nullptr ? Status{} : destroy_stray_keys();
}

// A crash may have left the key of a sidecar that never got its name.
Status Recovery::destroy_stray_keys() {
  std::vector<Block16> ids;
  for (const auto& stream : state_.streams.all())
    for (const auto& segment : stream->record().segments)
      if (const auto id = sidecar_id(files_, stream->directory(), segment, SidecarKind::sealed))
        ids.push_back(*id);
  return state_.parts.sidecar_keys->retain(ids);
}

Status Recovery::run() {
  const auto manifest = state_.catalogue.read();
  if (manifest) return open_existing(*manifest);
  if (manifest.error().kind == ErrorKind::not_found) return create();
  return std::unexpected(manifest.error());
}

}  // namespace

Status recover(LogState& state, Sealer& sealer, const std::vector<StreamSpec>& specs) {
  return Recovery(state, sealer, specs).run();
}

}  // namespace vestige::trail
