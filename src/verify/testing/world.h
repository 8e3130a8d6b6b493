// A data directory with vault and signer, written by the real log on a simulated disk, for tests of the
// verifier.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/uuid.h"
#include "platform/sim/sim_clock.h"
#include "platform/sim/sim_files.h"
#include "trail/log/log.h"
#include "trail/log/signer.h"
#include "vault/vault.h"
#include "verify/verify.h"

namespace vestige::verify::testing {

inline constexpr std::string_view tenant = "default";

// One entry as a test wants it; the rest is made up.
struct EntryWish {
  std::vector<std::string> subjects{};  // sealed for them: one, or several in the form `any`
  std::uint64_t number = 0;             // goes into the values
  // A step of an erasure instead (docs/formats/erasure.md): its action, and its detail as canonical JSON.
  std::string erasure_action{};
  std::string erasure_detail{};
};

// How far an erasure comes.
enum class ErasureStep { intended, destroyed, on_record };

// The canonical bytes of an entry (docs/formats/entry.md). `sealed` is the member's value, or empty.
std::string entry_text(const EntryWish& wish, const Uuid& id, UnixMs received_at, const Block16& salt,
                       const std::string& sealed, std::string_view of_tenant = tenant);

class World {
 public:
  explicit World(std::uint64_t seed);
  ~World();

  // Opens vault, log and signers; what the server does at its start.
  void open();
  // Adds a stream to the running log, with a signer of its own; gives its number.
  std::uint8_t add_stream(const std::string& of_tenant, const std::string& name);
  // Appends entries to "audit" (1), "access" (2) or an added stream in one group.
  void append(std::uint8_t stream, const std::vector<EntryWish>& wishes);
  // `count` entries, every fifth sealed for one of a few persons, in groups of `group`.
  void append_some(std::uint8_t stream, std::size_t count, std::size_t group = 10);
  // What a server does to erase a person, up to this step; gives the index of the last entry that it wrote.
  std::uint64_t erase_person(const std::string& subject, ErasureStep last);
  // Blocks into pages into segments, also those that are not full.
  void seal();
  void sign();
  // What a server does when it stops, without the last word of a clean one if `clean` is not set.
  void stop(bool clean = true);

  // Opens the file systems anew, after a crash or restore() of the disk.
  void reconnect();
  // seal(), sign() and a clean stop; false where the disk fails meanwhile.
  bool try_seal_and_stop();

  // Two segments of "audit", one of "access", and entries of both in the write-ahead log only; stopped.
  void build();

  trail::Log& log() { return *log_; }
  vault::Vault& vault() { return *vault_; }
  platform::sim::SimDisk& disk() { return disk_; }
  const Key& root_key() const { return root_; }

  Inputs inputs(bool keys = true) const {
    return {*data_, signer_files_.get(), vault_files_.get(), keys ? &root_ : nullptr};
  }
  Result<Report> verify(Options options = {}, bool keys = true) const;

  // Raw files of the disk, by path in the data directory.
  Bytes read(const std::string& path) const;
  void put(const std::string& path, ByteView content);
  void erase(const std::string& path);
  std::vector<std::string> files() const;
  std::map<std::string, Bytes> save() const { return disk_.snapshot(); }
  void restore(const std::map<std::string, Bytes>& files) { disk_.restore(files); }

 private:
  void open_signer(const trail::Stream& stream);

  class Wrapper;
  class Barrier;

  platform::sim::SimDisk disk_;
  platform::sim::SimClock clock_;
  platform::sim::SimEntropy entropy_;
  Key root_{};
  std::unique_ptr<platform::FileSystem> data_, vault_files_, signer_files_;
  std::unique_ptr<vault::Vault> vault_;
  std::unique_ptr<Wrapper> wrapper_;
  std::unique_ptr<Barrier> barrier_;
  std::unique_ptr<trail::Log> log_;
  std::vector<std::unique_ptr<trail::Signer>> signers_;
  std::uint64_t appended_ = 0;
  std::uint64_t erased_ = 0;
};

}  // namespace vestige::verify::testing
