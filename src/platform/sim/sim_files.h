// A disk that lies, for tests: it keeps in memory what was written and what was synced, apart, and on
// crash() keeps of the unsynced part only what the seed says, byte by byte and name by name.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "platform/files.h"

namespace vestige::platform::sim {

// What a crash keeps of writes that were not synced.
struct CrashPolicy {
  std::uint64_t seed = 0;
  // Each unsynced write survives wholly, not at all, or torn at a byte that the seed chooses; several
  // writes of one file survive independently (a disk may reorder them). The same for directory entries:
  // an unsynced create, rename or remove may or may not have happened, in any combination that keeps each
  // directory's own order of operations as a prefix.
  bool keep_unsynced = true;  // false: nothing unsynced survives
};

// Counters that tests assert on, so that a rare state is known to have been reached.
struct Probes {
  std::uint64_t crashes = 0;
  std::uint64_t writes_lost = 0;
  std::uint64_t writes_torn = 0;
  std::uint64_t writes_kept = 0;
  std::uint64_t names_lost = 0;  // an unsynced directory operation that did not happen
  std::uint64_t names_kept = 0;
  std::uint64_t failures_injected = 0;
};

// Thread-safe. Outlives the FileSystem objects that look at it.
class SimDisk {
 public:
  explicit SimDisk(std::uint64_t capacity_bytes = std::uint64_t{1} << 40);
  ~SimDisk();

  // A view of the directory `root` of this disk (created if absent); any number may exist.
  std::unique_ptr<FileSystem> open(const std::string& root);

  // Loses power: every open file and file system turns dead (all calls fail with io), locks are released,
  // and the disk holds what the policy leaves. Open again to go on.
  void crash(const CrashPolicy& policy);

  // Every mutating call (write, sync, create, rename, remove, truncate, preallocate, sync_directory,
  // make_directories) has a number, from 1 on since the last reset_calls().
  std::uint64_t calls() const;
  void reset_calls();
  enum class Fault { io_error, disk_full, power_loss };
  // The n-th mutating call from now on fails so; with power_loss the call does not happen and every later
  // call fails until crash() is called. 0 clears. A write that fails otherwise has written its first half,
  // and after a failed sync no later sync makes durable what that one should have (fsyncgate).
  void fail_call(std::uint64_t n, Fault fault);
  // Every sync of a file whose path contains `part` fails until cleared with "".
  void fail_syncs_of(const std::string& part);
  void set_capacity(std::uint64_t bytes);
  std::uint64_t used_bytes() const;

  // Damage, for tests of detection. Paths are from the disk's root.
  std::map<std::string, Bytes> snapshot() const;      // every file as a reader would see it now
  void restore(const std::map<std::string, Bytes>&);  // replaces everything, durable
  void flip_bit(const std::string& path, std::uint64_t offset, unsigned bit);
  void put(const std::string& path, ByteView content);  // durable
  void erase(const std::string& path);

  Probes probes() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace vestige::platform::sim
