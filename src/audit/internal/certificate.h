// The text of an erasure certificate, before it is signed. Format: docs/formats/erasure.md.
#pragma once

#include <string>
#include <vector>

#include "audit/internal/erasure_entry.h"

namespace vestige::audit::internal {

// An entry with its place in the tree of the certificate's checkpoint.
struct ProvenEntry {
  std::uint64_t index = 0;
  std::string bytes;  // canonical
  Hash leaf{};
  std::vector<Hash> path;
};

struct CertificateParts {
  std::string tenant;
  std::string stream;
  ErasureOutcome outcome;
  ProvenEntry intent_entry;
  ProvenEntry outcome_entry;
  std::uint64_t entries_concerned = 0;  // of the checkpoint's
  std::string checkpoint;               // a note
  std::uint64_t checkpoint_size = 0;
  UnixMs backups_expire_at{};
  std::vector<std::string> pending;  // what is still being destroyed
};

std::string certificate_text(const CertificateParts& parts);

}  // namespace vestige::audit::internal
