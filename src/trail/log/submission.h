// How records come into the trail. The committer calls place() in log order, so whether a record is accepted
// depends on the log before it and on nothing else.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/strong.h"

namespace vestige::trail {

// Entry and blobs, owned.
struct Record {
  std::string entry;
  std::vector<Bytes> blobs;
};

// What an entry's blobs are found by (section_tokens.h), from whoever had their content in hand; so they need
// not be opened again when their page is indexed.
struct KnownTokens {
  std::uint64_t generation = 0;  // of SectionTokens, before the blobs were made
  std::vector<std::uint64_t> tokens;
};

// What a submission sees while it is placed: the log up to here, records of the running group included.
class Placement {
 public:
  virtual ~Placement() = default;
  virtual Index next_index() const = 0;
  // The salt that belongs to next_index().
  virtual Block16 next_salt() = 0;
  // Earlier entries with this fingerprint, ascending.
  virtual Result<std::vector<std::uint64_t>> seen(std::uint64_t fingerprint) = 0;
  virtual Result<Record> read(Index index) = 0;
  virtual Result<Hash> leaf(Index index) = 0;
  // Appends one record; gives its leaf hash. The bytes are copied; `tokens` may be null.
  virtual Hash add(std::uint64_t fingerprint, ByteView entry, std::span<const ByteView> blobs,
                   std::shared_ptr<const KnownTokens> tokens) = 0;
  // Commits with the group; readable by Log::mark() when durable. Where the log has no room for it
  // (marks_max) the whole submission is refused once it is placed.
  virtual void set_mark(std::string_view name, std::uint64_t value) = 0;
};

class Submission {
 public:
  virtual ~Submission() = default;
  virtual std::uint8_t stream() const = 0;
  // An upper bound of the bytes that place() will add.
  virtual std::size_t bytes_max() const = 0;
  // Decides, then adds all or nothing: after an error nothing may have been added. Runs on the committer;
  // must not block.
  virtual Status place(Placement& placement) = 0;
  // Exactly once, on the committer: success when everything placed is durable, searchable and provable.
  // Must not block.
  virtual void settled(Status outcome) = 0;
};

}  // namespace vestige::trail
