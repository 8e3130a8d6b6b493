// The only holder of a log's key. Signs what extends its last signature, and makes its state durable before
// it releases a signature. Formats and rules: docs/formats/signer.md.
//
// Owner: app, one per proven stream. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "base/mutex.h"
#include "crypto/ed25519.h"
#include "platform/clock.h"
#include "platform/entropy.h"
#include "platform/files.h"
#include "trail/format/manifest.h"
#include "trail/format/note.h"
#include "trail/log/stream.h"

namespace vestige::trail {

// Where a signer's state is kept; compare-and-set. A file here, a database row later.
class SignerStateStore {
 public:
  virtual ~SignerStateStore() = default;
  virtual Result<SignerState> load() = 0;  // not_found where there is none
  // Durable when it returns. conflict where the stored counter is not `state.counter - 1`.
  virtual Status store(const SignerState& state) = 0;
};

std::unique_ptr<SignerStateStore> make_file_signer_state(platform::FileSystem& files,
                                                         const std::string& directory);

class Signer {
 public:
  // Opens the key and state in `directory` ("<tenant>/<stream>") of the signer's own files, or makes them
  // for a log that is empty (`log_size` 0). `origin_prefix` is used at the first start only; afterwards the
  // origin is fixed. conflict where the state belongs to another data directory, not_found where a log
  // with entries has none: a new key under the old origin would be a fork.
  static Result<std::unique_ptr<Signer>> open(platform::FileSystem& files, platform::Entropy& entropy,
                                              platform::Clock& clock, const std::string& directory,
                                              const std::string& origin_prefix, const Block16& data_id,
                                              std::uint64_t log_size);

  // corrupt where the stream is shorter than what was signed, or has another root at that size.
  Status check(const Snapshot& snapshot) const;
  // A checkpoint of the snapshot's size, newly signed unless the last one has that size already. The
  // stream's entries below that size are durable.
  Result<std::string> sign(const Snapshot& snapshot);

  // The text with the log's signature, as a note. invalid where it could be taken for a checkpoint: those are
  // signed by sign() alone. `text` is a note's text: it ends with a newline.
  Result<std::string> sign_statement(std::string_view text) const;

  // The last note, empty before the first.
  std::string last_note() const;
  std::uint64_t signed_size() const;
  VerifierKey verifier_key() const;
  const std::string& origin() const { return origin_; }

 private:
  Signer(std::unique_ptr<SignerStateStore> store, platform::Clock& clock, crypto::SigningKey key,
         SignerState state);
  std::string make_note(const SignerState& state) const;

  std::unique_ptr<SignerStateStore> store_;
  platform::Clock& clock_;
  const crypto::SigningKey key_;
  const std::string origin_;
  mutable Mutex mutex_;
  SignerState state_ GUARDED_BY(mutex_);
  std::string note_ GUARDED_BY(mutex_);
};

}  // namespace vestige::trail
