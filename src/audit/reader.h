// The one way out: events by id, searches, pages for live readers, proofs.
//
// Owner: app, one per stream. Thread-safe. Damage met while reading is an error, never a missing event.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audit/entry_view.h"
#include "audit/filter.h"
#include "crypto/digest.h"
#include "trail/log/log.h"
#include "trail/log/signer.h"

namespace vestige::audit {

struct SearchAnswer {
  std::vector<std::string> events;  // JSON objects
  std::string tally;                // `,"total":...`, what the search counts; empty where it counts nothing
  std::optional<std::string> cursor;
  std::uint64_t size = 0;  // the tree at which the search was answered
  Hash root{};
};

// Events from an index on, for readers that follow the stream.
struct FollowAnswer {
  struct Item {
    std::uint64_t index;
    std::string event;
  };
  std::vector<Item> items;
  std::uint64_t next = 0;  // where to go on
};

class Reader {
 public:
  Reader(trail::Stream& stream, vault::Vault& vault, trail::Signer& signer,
         const ErasureIndex* erasures = nullptr);

  // not_found where there is no such event, or none that the reader may see.
  Result<std::string> event(const Uuid& id, const Visibility& visibility);
  Result<std::string> sealed_bytes(const Uuid& id);  // canonical, as the leaf hashes them
  // A C2SP tlog-proof under a checkpoint that covers the entry; signs one where none does.
  Result<std::string> proof(const Uuid& id);

  // `caller` names who may use the cursor: the API key's id. denied where the search looks at what is hidden.
  Result<SearchAnswer> search(const Search& search, const Visibility& visibility, std::string_view caller);
  // At most `count` events that match, and about a megabyte; looks at no more than follow_rows_max entries.
  Result<FollowAnswer> follow(std::uint64_t from, std::uint32_t count, const Search& search,
                              const Visibility& visibility);

  std::uint64_t size() const { return stream_.size(); }
  // The last checkpoint; signs the first.
  Result<std::string> checkpoint();

 private:
  struct Found {
    std::uint64_t index = 0;
    trail::Record record;
  };
  Result<Found> find(const trail::Snapshot& snapshot, const Uuid& id);
  struct Position {
    std::uint64_t size;
    std::uint64_t next;  // ascending: the first index not yet seen; descending: one past it
  };
  Result<Position> open_cursor(const Search& search, std::string_view caller, std::uint64_t size) const;
  std::string make_cursor(const Search& search, std::string_view caller, Position position) const;
  class Matching;
  Status fill_page(const Search& search, Matching& matching, Position start, std::string_view caller,
                   SearchAnswer& answer);
  Status count_all(const Search& search, Matching& matching, std::uint64_t size, SearchAnswer& answer);
  Result<SearchAnswer> search_by_id(const Search& search, const trail::Snapshot& snapshot,
                                    Matching& matching);

  trail::Stream& stream_;
  vault::Vault& vault_;
  trail::Signer& signer_;
  Unsealer unsealer_;
  const crypto::HmacKey cursor_key_;
};

}  // namespace vestige::audit
