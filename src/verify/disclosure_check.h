// Whether disclosed values of an entry hold: docs/formats/disclosure.md. Needs neither server nor data.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "verify/proof_check.h"

namespace vestige::verify {

struct CheckedDisclosure {
  CheckedProof proof;
  std::string entry;  // canonical: what everybody who gets the disclosure sees
  struct Value {
    std::uint64_t section = 0;
    std::string path, value;  // a JSON pointer, and canonical JSON
  };
  std::vector<Value> disclosed;
};

// invalid where the key does not parse, corrupt where the disclosure does not hold; the message says which
// part.
Result<CheckedDisclosure> check_disclosure(std::string_view disclosure, std::string_view verifier_key);

}  // namespace vestige::verify
