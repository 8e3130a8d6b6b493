// What committer, sealer and recovery share. Internal to trail/log.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "trail/format/manifest.h"
#include "trail/log/group.h"
#include "trail/log/log.h"
#include "trail/log/page_describer.h"
#include "trail/log/sidecar_file.h"
#include "trail/log/stream_list.h"
#include "trail/log/wal_writer.h"

namespace vestige::trail {

// The catalogue: where the list of segments is kept. One implementation here (a file beside the data);
// a database row later. Durable when write() returns.
class Catalogue {
 public:
  explicit Catalogue(platform::FileSystem& files) : files_(files) {}
  // not_found in a new directory.
  Result<Manifest> read() const;
  Status write(const Manifest& manifest);

 private:
  platform::FileSystem& files_;
};

struct LogState {
  LogState(LogParts given, const Options& opts)
      : parts(std::move(given)),
        options(opts),
        catalogue(parts.files),
        page_cache(opts.page_cache_bytes_max) {}

  LogParts parts;
  const Options options;
  std::shared_ptr<const Schema> schema;
  Catalogue catalogue;
  Block16 data_id{};
  UnixMs created{};
  PageCache page_cache;  // outlives the streams, which read through it
  StreamList streams;
  std::unique_ptr<WalWriter> wal;
  RecoveryReport recovery;

  Mutex manifest_mutex;
  std::uint64_t manifest_sequence GUARDED_BY(manifest_mutex) = 0;
  std::uint64_t wal_root GUARDED_BY(manifest_mutex) = 0;

  mutable Mutex marks_mutex;
  std::map<std::pair<std::uint8_t, std::string>, std::uint64_t> marks GUARDED_BY(marks_mutex);

  Stream& stream(std::uint8_t number);
  // See Log::add_stream. Writes files: not for a thread that must not wait.
  Result<Stream*> add_stream(const StreamSpec& spec) EXCLUDES(manifest_mutex);
  SidecarContext sidecars() const {
    return {parts.files, parts.wrapper, parts.sidecar_keys, parts.entropy, data_id};
  }
  std::map<std::uint8_t, std::uint64_t> sizes() const;
  std::map<std::uint8_t, std::uint64_t> sealed_sizes() const;
  void take_marks(std::span<const Mark> marks);
  KnownMarks known_marks() const;
  std::uint64_t root() EXCLUDES(manifest_mutex);
  // Writes a manifest of how things stand, naming `root` as the start of the WAL.
  Status write_manifest(std::uint64_t root) EXCLUDES(manifest_mutex);
  // The same, with a stream that is not among them yet.
  Status write_manifest_locked(std::uint64_t root, const StreamRecord* added) REQUIRES(manifest_mutex);
};

// Turns blocks into pages and pages into segments, and keeps the indexes of pages. Calls of several threads
// wait for each other.
//
// Invariant: no index in memory or on disk tells of sealed content that was lost before `forgotten_`, but for
// sidecars whose kept key says that they are behind.
class Sealer {
 public:
  explicit Sealer(LogState& state);
  // One block, one segment to close, or a part of an index that is missing. False: nothing to do. After an
  // error the same step is tried again by the next call.
  Result<bool> step(bool everything) EXCLUDES(mutex_);
  Status forget(const Forgotten& forgotten) EXCLUDES(mutex_);
  std::optional<std::uint64_t> oldest_sealed_generation() const;
  std::uint64_t segments_sealed() const { return segments_sealed_.load(); }

 private:
  struct Open {
    std::unique_ptr<SegmentWriter> writer;
    FactsOfPages facts;     // of its pages, where they are indexed
    std::size_t taken = 0;  // pages whose run is in the stream
  };
  // What is sealed in a closed segment without a sidecar of it, as far as it was described.
  struct Building {
    Stream* stream;
    Stream::ClosedSegment segment;
    FactsOfPages facts;
  };
  Status encode_block(Stream& stream, const HeadBlock& block) REQUIRES(mutex_);
  PageFacts describe(const HeadBlock& block, std::size_t row, std::span<const ByteView> entries,
                     bool any_blob) REQUIRES(mutex_);
  std::shared_ptr<const PageRun> take_run(Open& open) REQUIRES(mutex_);
  Status close_segment(Stream& stream, Open& open) REQUIRES(mutex_);
  Status catch_up_manifest() REQUIRES(mutex_);
  bool wants_closing(const SegmentWriter& writer) const;

  // The sidecars' index; what is in memory of clear content where the file could not be written.
  std::shared_ptr<const PageIndex> index_segment(const Stream& stream, const SegmentRecord& record,
                                                 const FactsOfPages& facts) REQUIRES(mutex_);
  // Each builds a part of what is missing. False: there is none.
  Result<bool> build_clear_sidecar() REQUIRES(mutex_);
  Result<bool> describe_open_pages() REQUIRES(mutex_);
  Result<bool> build_sealed_sidecar() REQUIRES(mutex_);
  std::optional<Building> next_to_build() REQUIRES(mutex_);
  // Puts the facts of the segment under construction into the view, pages `from` to `to`.
  void show_facts(Stream& stream, const Open& open, std::size_t from, std::size_t to) REQUIRES(mutex_);
  void forget_open(const Forgotten& forgotten) REQUIRES(mutex_);
  std::optional<TokenSet> describe_again(const Stream& stream, const PageRun& run, std::size_t page)
      REQUIRES(mutex_);
  Status forget_closed(Stream& stream, const Stream::ClosedSegment& segment, const Forgotten& forgotten)
      REQUIRES(mutex_);
  // Of the sealed sidecar that is used, or of one that is there and cannot be.
  std::optional<Block16> sealed_id(const Stream& stream, const Stream::ClosedSegment& segment) const;
  Status rewrite(Stream& stream, const Stream::ClosedSegment& segment, const std::vector<bool>& pages,
                 std::uint64_t generation) REQUIRES(mutex_);

  LogState& state_;
  std::atomic<std::uint64_t> segments_sealed_{0};
  Mutex mutex_;
  PageEncoder encoder_ GUARDED_BY(mutex_);
  std::optional<PageDescriber> describer_ GUARDED_BY(mutex_);
  std::map<std::uint8_t, Open> open_ GUARDED_BY(mutex_);
  std::optional<Building> building_ GUARDED_BY(mutex_);
  std::uint64_t forgotten_ GUARDED_BY(mutex_) = 0;  // the generation of the last forget()
  bool manifest_behind_ GUARDED_BY(mutex_) = false;
};

// Builds or recovers everything below `state`; see Log::open.
Status recover(LogState& state, Sealer& sealer, const std::vector<StreamSpec>& specs);

}  // namespace vestige::trail
