// A submission whose whole story the test can see afterwards.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trail/log/submission.h"

namespace vestige::trail::testing {

// What a client wants to append. The same id is the same event: it is appended once.
struct Draft {
  std::uint64_t id = 0;
  std::size_t padding = 0;
  std::vector<Bytes> blobs{};
};

// What was appended.
struct Placed {
  std::uint64_t id = 0;
  std::string entry;
  std::vector<Bytes> blobs;
};

// Outlives the submission.
struct Ticket {
  std::uint8_t stream = 0;
  std::vector<Draft> drafts;
  std::map<std::string, std::uint64_t> marks;
  bool refuse = false;  // place() gives a conflict and adds nothing

  bool placed_called = false;
  std::uint64_t first = 0;
  std::vector<Placed> placed;
  std::vector<std::uint64_t> found;  // per draft, the index of the entry with its id
  Status place_status;
  std::optional<Status> outcome;  // when settled
  unsigned settled_times = 0;
};

// Two neighbouring ids share a fingerprint, so that every look-up has to tell equal ones apart.
std::uint64_t fingerprint_of(std::uint64_t id);
// Column and rest, salt and escapes.
std::string entry_of(const Draft& draft, const Block16& salt);
std::string id_member(std::uint64_t id);

std::unique_ptr<Submission> make_submission(std::shared_ptr<Ticket> ticket);

}  // namespace vestige::trail::testing
