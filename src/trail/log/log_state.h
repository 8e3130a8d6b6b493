// What committer, sealer and recovery share. Internal to trail/log.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "trail/format/manifest.h"
#include "trail/log/log.h"
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
      : parts(std::move(given)), options(opts), catalogue(parts.files) {}

  LogParts parts;
  const Options options;
  std::shared_ptr<const Schema> schema;
  Catalogue catalogue;
  Block16 data_id{};
  UnixMs created{};
  std::vector<std::unique_ptr<Stream>> streams;  // fixed once opened
  std::unique_ptr<WalWriter> wal;
  RecoveryReport recovery;

  Mutex manifest_mutex;
  std::uint64_t manifest_sequence GUARDED_BY(manifest_mutex) = 0;
  std::uint64_t wal_root GUARDED_BY(manifest_mutex) = 0;

  mutable Mutex marks_mutex;
  std::map<std::pair<std::uint8_t, std::string>, std::uint64_t> marks GUARDED_BY(marks_mutex);

  Stream& stream(std::uint8_t number);
  std::map<std::uint8_t, std::uint64_t> sizes() const;
  std::map<std::uint8_t, std::uint64_t> sealed_sizes() const;
  void take_marks(std::span<const Mark> marks);
  std::uint64_t root() EXCLUDES(manifest_mutex);
  // Writes a manifest of how things stand, naming `root` as the start of the WAL.
  Status write_manifest(std::uint64_t root) EXCLUDES(manifest_mutex);
};

// Turns blocks into pages and pages into segments. One thread at a time.
class Sealer {
 public:
  explicit Sealer(LogState& state);
  // One block, or one segment to close. False: nothing to do. After an error the same step is tried again
  // by the next call.
  Result<bool> step(bool everything);
  std::uint64_t segments_sealed() const { return segments_sealed_.load(); }

 private:
  struct Open {
    std::unique_ptr<SegmentWriter> writer;
    std::vector<std::shared_ptr<const PageFacts>> facts;  // of its pages, where they are indexed
    std::size_t taken = 0;                                // pages whose run is in the stream
  };
  Status encode_block(Stream& stream, const HeadBlock& block);
  std::shared_ptr<const PageRun> take_run(Open& open);
  Status close_segment(Stream& stream, Open& open);
  // The sidecar's index; the facts themselves where it could not be written.
  std::shared_ptr<const PageIndex> index_segment(const Stream& stream, const SegmentRecord& record,
                                                 std::span<const std::shared_ptr<const PageFacts>> facts);
  // Builds one sidecar that is missing. False: there is none.
  Result<bool> build_missing_sidecar();
  Status catch_up_manifest();
  bool wants_closing(const SegmentWriter& writer) const;

  LogState& state_;
  PageEncoder encoder_;
  std::optional<PageFactsBuilder> facts_;
  std::map<std::uint8_t, Open> open_;
  bool manifest_behind_ = false;
  std::atomic<std::uint64_t> segments_sealed_{0};
};

// Builds or recovers everything below `state`; see Log::open.
Status recover(LogState& state, Sealer& sealer, const std::vector<StreamSpec>& specs);

}  // namespace vestige::trail
