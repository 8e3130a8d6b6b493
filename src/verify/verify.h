// The offline verifier: reads a data directory and says whether it is what was written and signed. It uses
// the formats (trail/format, trail/merkle, vault/format.h, seal) and none of the running log, so that a fault
// of the log cannot hide itself; it writes nothing and takes no lock.
//
// What is checked. Every file is accounted for by name, and every byte counts but for locks, keys, temporary
// files, spare write-ahead files, and what stands behind the last frame of a write-ahead file. Without keys:
// digests of all containers, chunk by chunk; the chain of the write-ahead log; tile roots, frontier and tree
// root over the leaf hashes; signer's state and checkpoint against that tree; API keys. With the root key
// also: every page is decrypted and decoded, every leaf hash and id fingerprint recomputed, every sealed
// section opened and its root recomputed.
//
// Every entry is held against the whole grammar of canonical JSON and not a sample of them: a leaf hash
// proves that bytes are the signed ones, not that they mean one thing only, and an entry that two readers
// read differently (a key twice, 1.0 for 1) is what somebody with the keys would plant. A scanner without a
// document does that in about a tenth of the time of parsing (internal/canonical.h).
//
// A section whose owner has no key is `erased` where an entry of the tenant says that the ref's key was
// destroyed (kind system.erasure, docs/formats/erasure.md), or where one ordered it and the vault's journal
// has a record of that order: an erasure that was interrupted, or is under way. Otherwise it is `missing`
// without authority, which is damage. So is a ref that is erased by an entry and has its key: an older vault
// was put back. A retention key that is gone is always damage: this release destroys none.
//
// The first bad place. A manifest that does not hold ends the verification and is the only problem. Otherwise
//   1. problems that name an entry come before those that name none; among them the lowest stream number of
//      the manifest, then the lowest index;
//   2. then the order of files: signer state, checkpoint, segment, hash file, id run, sidecar, write-ahead
//      log, vault, API keys, files that are nobody's;
//   3. then path and offset.
// Where a leaf and the hash file disagree, the hash file is named if it is not the one that the manifest
// lists, and the segment otherwise.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "platform/files.h"
#include "trail/format/note.h"

namespace vestige::verify {

struct Options {
  bool while_running = false;  // a server is writing: its newest files and the end of its log are not judged
  unsigned threads = 1;        // for segments; more than limits::threads_max count as that many
  // Checkpoints must be signed by the one among these whose name is their origin. Brought by the auditor,
  // they find a log that was signed anew together with its signer's state. Empty: the signer's state says the
  // key.
  std::vector<trail::VerifierKey> verifier_keys{};
  // The done part (0 to 1), the entries recomputed, and what is being read. One call at a time, from any of
  // the threads.
  std::function<void(double share, std::uint64_t entries, std::string_view what)> progress{};
};

// Null: not available. Each file system is rooted at its own directory, also where that is `data`/signer or
// `data`/vault. All outlive the call.
struct Inputs {
  platform::FileSystem& data;
  platform::FileSystem* signer = nullptr;
  platform::FileSystem* vault = nullptr;
  const Key* root_key = nullptr;  // used only together with `vault`
};

struct FirstBad {
  std::optional<std::uint64_t> index;  // of the entry in its stream
  std::string file;  // relative to the data directory; "signer/..." and "vault/..." wherever
                     // those directories are
  std::uint64_t offset = 0;
  std::string reason;
};

struct SectionCounts {
  std::uint64_t matches = 0;  // decrypted, and the root in the entry recomputed
  std::uint64_t present = 0;  // there, and unchecked: no key
  std::uint64_t erased = 0;
  std::uint64_t missing = 0;  // without authority: damage
};

// Sections of one stream that one erasure took.
struct ErasedBy {
  std::uint64_t entry = 0;  // of the tenant's audit stream; the order's where there is no outcome yet
  std::uint64_t sections = 0;
};

struct StreamReport {
  std::string name;  // "tenant/stream"
  std::uint64_t size = 0;
  Hash root{};
  std::optional<std::uint64_t> signed_size;  // of the signer's state, else of the checkpoint
  std::uint64_t entries_checked = 0;         // whose leaf was recomputed from the entry itself
  SectionCounts sections;
  std::vector<ErasedBy> erased_by;  // by entry; the first limits::erasures_listed_max
};

struct Report {
  bool ok = true;
  std::vector<StreamReport> streams;  // in the manifest's order
  std::optional<FirstBad> first_bad;
  std::vector<FirstBad> all_bad;   // the first limits::problems_max, first_bad in front
  std::vector<std::string> notes;  // sentences for the operator: what was not checked, what was left over
};

// Damage is in the report. An error is returned where there is nothing to judge: not_found (no data
// directory), denied (the root key is not the vault's).
Result<Report> verify_data(const Inputs& inputs, const Options& options);

}  // namespace vestige::verify
