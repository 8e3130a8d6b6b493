// Somebody who has every key but the signer's and rewrites a data directory, so that all digests, hashes and
// tags are right again: what a verifier must see through.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "trail/format/manifest.h"
#include "trail/format/segment_format.h"
#include "vault/format.h"
#include "verify/testing/world.h"

namespace vestige::verify::testing {

// A segment taken apart.
struct OpenSegment {
  trail::SegmentHeader header;
  std::vector<std::string> entries;
  std::vector<std::vector<Bytes>> blobs;
  std::vector<Block16> seeds;               // of the salts, by index and not by entry
  std::vector<std::uint64_t> fingerprints;  // of the id run
  std::vector<Hash> leaves;                 // of the hash file
  std::vector<Hash> tile_roots;
};

// What is made to fit the changed entries again; the rest stays as it was.
struct Refit {
  bool leaves = true;
  bool tile_roots = true;
  bool fingerprints = true;
  bool frontier = true;
  bool salts = false;  // those of entries that are at another place
};

class Forger {
 public:
  explicit Forger(World& world);

  trail::Manifest& manifest() { return manifest_; }
  void write_manifest();
  std::string path(std::size_t segment, std::string_view ending) const;

  // Takes segment number `segment` of "audit" apart, lets `change` change it, and writes it and the manifest.
  void change(std::size_t segment, const std::function<void(OpenSegment&)>& change, const Refit& refit = {});
  // The same for one entry's text.
  void change_entry(std::uint64_t index, const std::string& from, const std::string& to,
                    const Refit& refit = {});

  // Rewrites the vault: the person's key goes, with or without an entry in the erasure journal.
  void destroy_key(std::string_view subject, bool with_journal);

 private:
  OpenSegment read(std::size_t segment) const;
  void write(std::size_t segment, const OpenSegment& open);
  void refit(OpenSegment& open, std::uint64_t first, const Refit& refit) const;
  void refit_frontier();
  Key file_key(const trail::SegmentHeader& header) const;

  World& world_;
  trail::Manifest manifest_;
  vault::VaultImage vault_;
};

}  // namespace vestige::verify::testing
