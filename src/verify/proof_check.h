// Checks one entry's proof (C2SP tlog-proof) without a server: that the entry is a leaf of the tree whose
// head the log's key signed. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace vestige::verify {

struct CheckedCheckpoint {
  std::string origin;
  std::uint64_t size = 0;
  Hash root{};
};

struct CheckedProof {
  CheckedCheckpoint checkpoint;
  std::uint64_t index = 0;
  Hash leaf{};
};

// A signed checkpoint against a verifier key ("<name>+<hash>+<key>", surrounding white space is ignored):
// invalid where one of them does not parse, corrupt where the signature is not by that key over that text.
Result<CheckedCheckpoint> check_checkpoint(std::string_view note, std::string_view verifier_key);

// `entry` is the exact sealed bytes. invalid where something does not parse, corrupt where the proof does not
// hold; the message says which part failed and what that means.
Result<CheckedProof> check_proof(std::string_view proof, std::string_view entry,
                                 std::string_view verifier_key);

}  // namespace vestige::verify
