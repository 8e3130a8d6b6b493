// Whether a certificate of erasure holds: docs/formats/erasure.md, "Certificate". Needs neither server nor
// data.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vestige::verify {

struct CheckedCertificate {
  std::string origin;
  std::string tenant, stream;
  std::vector<std::string> refs;  // base64, as they stand in entries
  std::string erased_at, backups_expire_at;
  std::uint64_t intent = 0, outcome = 0;  // indexes of the entries
  std::uint64_t entries = 0;              // that are concerned
  std::uint64_t size = 0;                 // of the checkpoint
  std::vector<std::string> pending;       // what is still being destroyed
};

// invalid where the key does not parse, corrupt where the certificate does not hold; the message says which
// part.
Result<CheckedCertificate> check_certificate(std::string_view certificate, std::string_view verifier_key);

}  // namespace vestige::verify
