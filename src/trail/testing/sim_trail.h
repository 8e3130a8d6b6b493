// A trail and its signer on simulated disks, beside a naive model of what they must hold: lists of entries
// and their roots. Every operation is checked against the model, whose rules are these:
//
// - what was settled with success is there, at the place that was told, for ever;
// - a group that failed in the middle of writing is there wholly or not at all, and which of the two is
//   decided by the first start that succeeds;
// - nothing else is there;
// - every tree head that was ever handed out, signed or not, is one of the model's;
// - a stream that was added is there with its number for ever; one whose adding failed is there and empty, or
//   not there, which the first start that succeeds decides.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "platform/sim/sim_clock.h"
#include "platform/sim/sim_files.h"
#include "trail/log/log.h"
#include "trail/log/signer.h"
#include "trail/testing/random_entries.h"
#include "trail/testing/test_keys.h"
#include "trail/testing/test_submission.h"

namespace vestige::trail::testing {

inline constexpr std::string_view data_root = "data";
inline constexpr std::uint8_t events_stream = 1;
inline constexpr std::uint8_t system_stream = 2;

// Files so small that a few groups roll the WAL, and no threads.
Options small_options();

struct StreamModel {
  std::string name;  // "<tenant>/<stream>"
  std::vector<Placed> entries;
  std::vector<Hash> leaves;
  std::vector<Hash> roots{empty_root()};  // [n]: of the first n entries
  Frontier frontier;
  std::map<std::uint64_t, std::uint64_t> index_of;  // by id

  void append(const Placed& placed);
};

class SimTrail {
 public:
  explicit SimTrail(std::uint64_t seed, const Options& options = small_options());
  ~SimTrail();

  // Opens the log and, on success, compares everything with the model.
  Status open();
  // Opens the signer of the first stream and checks it against the log.
  Status open_signer();
  bool is_open() const { return log_ != nullptr; }
  Log& log() { return *log_; }
  Signer* signer() { return signer_.get(); }
  platform::sim::SimDisk& disk() { return disk_; }
  platform::sim::SimDisk& signer_disk() { return signer_disk_; }
  platform::FileSystem& files() { return *files_; }
  const KeyWrapper& wrapper() const { return wrapper_; }
  StreamModel& model(std::uint8_t stream) { return models_[stream]; }

  // Adds a stream of the tenant "late", or gives the one that is there; empty where that failed.
  std::optional<std::uint8_t> add_stream(const std::string& name);
  // Of all streams, in order.
  std::vector<std::uint8_t> streams() const;

  // Queues a submission; false where the log refused it at once.
  bool submit(std::uint8_t stream, std::vector<Draft> drafts, std::map<std::string, std::uint64_t> marks = {},
              bool refuse = false);
  // `rows` new events of this size, or what the caller wants.
  bool submit_new(std::uint8_t stream, std::size_t rows, std::size_t padding = 20);
  // Commits all that is queued and compares what was placed with the model. False: a group failed.
  bool commit();
  // Steps of sealing until nothing is left to do.
  Status seal(bool everything);
  // Signs the newest tree head of the first stream.
  Status sign();
  Status stop();

  // Power fails. The handles are dead; what was not synced survives as the policy says.
  void crash(const platform::sim::CrashPolicy& policy);
  // The process is killed; what it wrote stays.
  void kill();
  void crash_signer(const platform::sim::CrashPolicy& policy);

  // Compares all that can be read with the model.
  void verify();
  // A few proofs and tiles at random, against the model's roots.
  void verify_proofs(Random& random);
  void verify_released_notes();

  std::uint64_t next_id = 1;

 private:
  struct Maybe {
    std::map<std::uint8_t, std::vector<Placed>> placed;
    std::map<std::pair<std::uint8_t, std::string>, std::uint64_t> marks;
  };

  bool settle(const std::vector<std::shared_ptr<Ticket>>& tickets);
  void expect_placed(const Ticket& ticket, std::map<std::uint8_t, std::uint64_t>& sizes,
                     std::map<std::pair<std::uint8_t, std::uint64_t>, std::uint64_t>& ids) const;
  void resolve_maybe();
  void resolve_streams();
  void verify_stream(std::uint8_t number);
  void verify_marks();

  const Options options_;
  platform::sim::SimDisk disk_;
  platform::sim::SimDisk signer_disk_;
  platform::sim::SimClock clock_;
  platform::sim::SimEntropy entropy_;
  TestWrapper wrapper_;
  NoBarrier barrier_;
  std::unique_ptr<platform::FileSystem> files_;
  std::unique_ptr<platform::FileSystem> signer_files_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Signer> signer_;

  std::map<std::uint8_t, StreamModel> models_;
  std::map<std::pair<std::uint8_t, std::string>, std::uint64_t> marks_;
  std::vector<std::shared_ptr<Ticket>> queued_;
  std::optional<Maybe> maybe_;
  std::set<std::string> maybe_streams_;     // whose adding failed
  std::map<std::uint64_t, Hash> released_;  // roots of signed notes by size
  std::optional<VerifierKey> released_key_;
};

}  // namespace vestige::trail::testing
