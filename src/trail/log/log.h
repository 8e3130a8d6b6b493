// The trail of one server: all streams over one write-ahead log and one committer.
//
// Owner: app. submit(), streams' snapshots and figures are thread-safe. Two threads of its own: the
// committer (group commit, end marks) and the sealer (blocks to pages, pages to segments).
//
// Durable when: an entry is durable, searchable and provable when its submission is settled with success.
// After a failed write or sync every later submission is settled with unavailable until a restart; reads
// go on. A full disk refuses submissions until there is space.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "platform/clock.h"
#include "platform/entropy.h"
#include "platform/files.h"
#include "trail/key_wrapper.h"
#include "trail/log/options.h"
#include "trail/log/stream.h"
#include "trail/log/submission.h"
#include "trail/section_tokens.h"

namespace vestige::trail {

// Makes durable what the records of the coming group depend on (the vault's new keys), before the WAL.
class CommitBarrier {
 public:
  virtual ~CommitBarrier() = default;
  virtual Status before_commit() = 0;
};

struct StreamSpec {
  std::string tenant;
  std::string name;
  bool proofs = true;
};

struct LogParts {
  platform::FileSystem& files;  // the data directory, locked by the caller
  platform::Clock& clock;
  platform::Entropy& entropy;
  KeyWrapper& wrapper;
  CommitBarrier& barrier;
  Schema schema;                         // of new segments
  const Tokeniser* tokeniser = nullptr;  // null: pages are not indexed, and searches read them all
  // Both or none; none: pages with sections are read whenever a search may mean what is in these.
  SectionTokens* section_tokens = nullptr;
  SidecarKeys* sidecar_keys = nullptr;
};

// Sealed content that lost its keys between two generations. Every page that has some of it has one of these
// among its clear tokens.
struct Forgotten {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  std::vector<Token> tokens;
};

struct RecoveryReport {
  bool created = false;  // the directory was empty
  bool clean = true;     // the log ended with a clean end mark
  std::uint64_t entries_replayed = 0;
  std::uint64_t bytes_copied = 0;
};

struct LogFigures {
  std::uint64_t groups = 0;
  std::uint64_t records = 0;
  std::uint64_t refused = 0;  // submissions settled with an error
  std::uint64_t wal_bytes = 0;
  std::uint64_t head_bytes = 0;
  std::uint64_t segments_sealed = 0;
  std::uint64_t queued = 0;
  bool writing_stopped = false;  // by a failed write or sync
  std::string sealing_problem;   // empty when well
};

class Log {
 public:
  // Opens or creates the trail and recovers it completely: on return every acknowledged entry is in its
  // stream again and durable in files of this process. corrupt where stored bytes are damaged.
  static Result<std::unique_ptr<Log>> open(LogParts parts, const Options& options,
                                           const std::vector<StreamSpec>& specs);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  const RecoveryReport& recovery() const;
  const Block16& data_id() const;
  UnixMs created() const;

  // Null where there is no such stream. Streams live as long as the log.
  Stream* stream(std::string_view tenant, std::string_view name);
  Stream& stream(std::uint8_t number);
  std::vector<Stream*> streams();
  // Adds a stream while the log runs, or gives the one of this name, as it was made. When it returns, the
  // stream is durable, empty, and there for everybody; after a crash or an error before that, it is there and
  // empty, or not there. exhausted where streams_max is reached, unavailable once the log is stopping.
  // Thread-safe; writes files in the calling thread. Not after stop() has returned.
  Result<Stream*> add_stream(const StreamSpec& spec);

  // Starts the threads (Options::threads).
  void start();
  // Takes the submission, or refuses it at once (exhausted: the queue is full; unavailable: stopping or
  // writing has stopped). A submission that was taken is settled exactly once.
  Status submit(std::unique_ptr<Submission> submission);
  // The mark's durable value.
  std::optional<std::uint64_t> mark(std::uint8_t stream, const std::string& name) const;
  // Those whose names begin so, with their durable values, by name.
  std::vector<std::pair<std::string, std::uint64_t>> marks(std::uint8_t stream,
                                                           std::string_view prefix) const;

  // Makes every index of sealed content, in memory and on disk, tell of nothing that was lost up to
  // `forgotten.to`: pages that are concerned are described anew, and keys of the sidecars that they replace
  // are destroyed when this returns. A sidecar of before `forgotten.from` is given up whole, and built anew
  // later. In the calling thread, a segment at a time; repeated after an error, it goes on.
  Status forget(const Forgotten& forgotten);
  // The generation that the sidecar which is furthest behind stands at; empty where there is none.
  std::optional<std::uint64_t> oldest_sealed_generation() const;

  // Settles what was taken and ends the WAL. In order: with the clean end mark, every file cut behind its
  // last frame, spare files removed. Cut short (what should have been written before could not be): with an
  // end mark as of an idle log, so that the next start and a verifier expect less.
  enum class Ending { in_order, cut_short };
  Status stop(Ending ending = Ending::in_order);

  // Without threads: one group (false: nothing was queued), one end mark, one step of sealing (false:
  // nothing to do). `everything` also seals blocks and segments that are not full.
  Result<bool> commit_once();
  Status write_end_mark();
  Result<bool> seal_once(bool everything);

  LogFigures figures() const;

 private:
  class Impl;
  explicit Log(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vestige::trail
