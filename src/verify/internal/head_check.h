// Signer's state and checkpoint of a stream: what was signed, to be held against the tree.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "trail/format/note.h"
#include "verify/internal/problems.h"
#include "verify/internal/scope.h"

namespace vestige::verify {

// The two files as they were before the entries were read, so that beside a running server every signed entry
// is among those read after.
struct StoredHead {
  std::optional<Bytes> checkpoint;
  std::optional<Bytes> state;
};
// The checkpoint first: a signer makes its state durable before it releases a checkpoint.
StoredHead read_head(platform::FileSystem& data, platform::FileSystem* signer,
                     const trail::StreamRecord& stream, Problems& problems);

struct SignedRoot {
  Part part;
  std::string file;
  std::uint64_t offset = 0;  // of the root
  std::uint64_t size = 0;
  Hash root{};
};

struct HeadOutcome {
  std::vector<SignedRoot> roots;             // of the files that hold by themselves
  std::optional<std::uint64_t> signed_size;  // of the state, else of the checkpoint
};
struct HeadContext {
  bool signer_is_there = false;
  bool stopped_in_order =
      false;  // the newest checkpoint was written before; an older one was put in its place
  std::span<const trail::VerifierKey> verifier_keys;  // Options::verifier_keys
};
HeadOutcome check_head(const StoredHead& head, const HeadContext& context, const trail::StreamRecord& stream,
                       const Block16& data_id, Problems& problems, std::vector<std::string>& notes);

std::string checkpoint_path(const trail::StreamRecord& stream);
std::string state_path(const trail::StreamRecord& stream);  // with "signer/" in front

}  // namespace vestige::verify
