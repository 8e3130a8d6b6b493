// How often each record was read in one import run.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"

namespace vestige::cli::importing {

// Keeps 64 bits of a digest for each different record: 11 to 21 bytes a record. Should two records share
// them, the second one counts as a repetition, which still gives it a name of its own, the same in every run.
class Occurrences {
 public:
  struct Count {
    std::uint64_t occurrence = 1;
    Hash digest{};  // of the record
  };
  // From 1 on. Equal records of different files are told apart by their order.
  Count count(std::string_view format, std::string_view record, std::string_view lossless);

 private:
  void grow();
  static void insert(std::vector<std::uint64_t>& slots, std::uint64_t digest);
  bool contains(std::uint64_t digest) const;

  std::vector<std::uint64_t> slots_;  // 0 is an empty one
  std::size_t used_ = 0;
  std::unordered_map<std::uint64_t, std::uint64_t> repeated_;
};

}  // namespace vestige::cli::importing
