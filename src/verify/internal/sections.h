// Gives each sealed section its verdict.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/uuid.h"
#include "seal/section.h"
#include "seal/tokens.h"
#include "verify/internal/entry_check.h"
#include "verify/internal/erasures.h"
#include "verify/internal/keys.h"
#include "verify/internal/problems.h"

namespace vestige::verify {

// Sections that wait for the last word: owners have no key, which is erased or missing (verify.h).
struct WaitingSections {
  std::uint64_t count = 0;
  Problem first;  // the problem that the first of them would be
};

// What was seen of a stream's sections and of its erasures; merged over its segments.
struct SectionTally {
  SectionCounts counts;
  std::map<std::vector<Block16>, WaitingSections> waiting;  // by the refs without a key
  ErasuresSeen erasures;

  void merge(const SectionTally& other);
};

// Where the entry stands, for problems.
struct EntryPlace {
  Part part;
  std::uint8_t stream;
  std::uint64_t index;
  const std::string& file;
  std::uint64_t offset;
};

enum class VaultReading { once, again };

// Not thread-safe: one per thread.
class SectionChecker {
 public:
  SectionChecker(VaultKeys& keys, std::string stream, VaultReading reading)
      : keys_(keys), stream_(std::move(stream)), reading_(reading) {}

  // Gives what is wrong, or nothing.
  template <typename Blobs>
  std::optional<std::string> check(const EntryFacts& facts, const Blobs& blobs, const EntryPlace& place) {
    if (facts.kind == quoted_erasure_kind)
      if (auto wrong = note_erasure(facts, place.index, tally_.erasures)) return wrong;
    if (facts.sealed.empty() && blobs.empty()) return std::nullopt;
    const auto references = parse(facts.sealed);
    if (!references) return references.error().message;
    if (references->size() != blobs.size()) return wrong_number(references->size(), blobs.size());
    std::optional<std::string> wrong;
    for (std::size_t i = 0; i < blobs.size(); ++i)
      if (auto reason = check_one((*references)[i], blobs[i], facts.id, place); reason && !wrong)
        wrong = reason;
    return wrong;
  }
  const SectionTally& tally() const { return tally_; }
  // Where given, gets what the values of every section that opens are found by.
  void collect_tokens(std::vector<seal::Token>* to) { tokens_ = to; }

 private:
  static Result<std::vector<seal::Reference>> parse(std::string_view sealed);
  static std::string wrong_number(std::size_t references, std::size_t blobs);
  std::optional<std::string> check_one(const seal::Reference& reference, ByteView blob, const Uuid& entry,
                                       const EntryPlace& place);
  std::optional<Key> owner(const Block16& ref, VaultKeys::Certainty& certainty);
  void wait(const seal::Reference& reference, const EntryPlace& place);

  VaultKeys& keys_;
  const std::string stream_;
  const VaultReading reading_;
  SectionTally tally_;
  std::vector<std::optional<Key>> owners_;
  std::vector<seal::Token>* tokens_ = nullptr;
};

}  // namespace vestige::verify
