// Exports for tests of who checks them, made from docs/formats/export.md and plain strings: by somebody who
// has the log's key, or who has not and alters lines and chains them anew.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "crypto/ed25519.h"
#include "trail/format/note.h"

namespace vestige::verify::testing {

struct MadeEntry {
  std::string entry, event, open;  // JSON; `open` is empty without sections
  std::vector<std::string> cells;
  std::uint64_t present = 0, erased = 0;
};

class ExportMaker {
 public:
  // A log of `size` entries, some with sections, some of these erased.
  ExportMaker(std::uint64_t seed, std::size_t size);

  // The lines of an export of these entries, without their `after`: header, events, closing.
  std::vector<std::string> bodies(const std::vector<std::uint64_t>& indexes) const;
  // Chains them. The closing line is signed over what is there, or keeps `statement` where one is given.
  std::vector<std::string> chained(const std::vector<std::string>& bodies,
                                   const std::string& statement = {}) const;
  static std::string ndjson(const std::vector<std::string>& lines);
  // With the cells of the events that the lines have.
  std::string csv(const std::vector<std::string>& lines, const std::vector<std::uint64_t>& indexes) const;
  std::string file(const std::vector<std::uint64_t>& indexes, bool as_csv) const {
    const auto lines = chained(bodies(indexes));
    return as_csv ? csv(lines, indexes) : ndjson(lines);
  }

  // A disclosure of pairs of the first open section of an entry.
  std::string disclosure(std::uint64_t index, const std::vector<std::size_t>& pairs) const;

  const MadeEntry& entry(std::uint64_t index) const { return entries_.at(index); }
  std::string leaf_of(std::string_view entry) const;  // base64
  std::size_t size() const { return entries_.size(); }
  trail::VerifierKey key() const;
  std::string sign(const std::string& text) const;

 private:
  MadeEntry make_entry(std::uint64_t index);
  Hash tree_hash(std::uint64_t first, std::uint64_t leaves) const;
  std::string nodes(std::uint64_t from, std::uint64_t to) const;
  std::string statement(const std::vector<std::string>& bodies, const std::string& after) const;

  std::mt19937_64 random_;
  crypto::SigningKey key_;
  std::vector<MadeEntry> entries_;
  std::vector<Hash> leaves_;
};

}  // namespace vestige::verify::testing
