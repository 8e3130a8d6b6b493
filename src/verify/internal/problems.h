// Collects what is wrong and keeps the first of it, in the order of verify.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "verify/verify.h"

namespace vestige::verify {

// The order of files where no entry is known.
enum class Part : std::uint8_t {
  manifest,
  signer_state,
  checkpoint,
  segment,
  hashes,
  ids,
  sidecar,
  wal,
  vault,
  api_keys,
  foreign
};

struct Problem {
  Part part = Part::manifest;
  std::optional<std::uint8_t> stream{};  // set where `bad.index` is
  FirstBad bad{};
};

// Not thread-safe: one per thread, merged.
class Problems {
 public:
  void add(Problem problem);
  void add(Part part, std::string file, std::uint64_t offset, std::string reason) {
    add({part, {}, {{}, std::move(file), offset, std::move(reason)}});
  }
  void add_entry(Part part, std::uint8_t stream, std::uint64_t index, std::string file, std::uint64_t offset,
                 std::string reason) {
    add({part, stream, {index, std::move(file), offset, std::move(reason)}});
  }
  // An error met while reading `file`.
  void add_error(Part part, const std::string& file, const Error& error);
  void merge(const Problems& others);
  bool empty() const { return sorted_.empty(); }
  const std::vector<Problem>& sorted() const { return sorted_; }

 private:
  std::vector<Problem> sorted_;  // at most limits::problems_max
};

}  // namespace vestige::verify
