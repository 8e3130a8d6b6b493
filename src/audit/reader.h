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

// What a reader gets of one entry. Views live during the visit.
struct MatchedEntry {
  std::uint64_t index = 0;
  const Hash& leaf;
  std::string_view entry;  // the sealed bytes
  std::string_view event;  // as the reader sees it
  const OpenedSections& sections;
  json::Value value;  // the event, parsed
};
// False ends the visits.
using OnMatch = std::function<Result<bool>(const MatchedEntry&)>;

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
  // Canonical, as the leaf hashes them: clear members only, whatever `visibility` tells.
  Result<std::string> sealed_bytes(const Uuid& id, const Visibility& visibility);
  // A C2SP tlog-proof under a checkpoint that covers the entry; signs one where none does.
  Result<std::string> proof(const Uuid& id, const Visibility& visibility);

  // `caller` names who may use the cursor: the API key's id. denied where the search looks at what is hidden.
  Result<SearchAnswer> search(const Search& asked, const Visibility& visibility, std::string_view caller);
  // Visits the event, or gives not_found where there is none that the reader may see: an absent one and one
  // that is not for them are told alike.
  Status visit_one(const Uuid& id, const Visibility& visibility,
                   const std::function<Status(const MatchedEntry&)>& on_event);
  // Visits what matches among entries [from, to), the oldest first. denied as search().
  Status visit(std::uint64_t from, std::uint64_t to, const Search& asked, const Visibility& visibility,
               const OnMatch& on_match);
  // At most `count` events that match, and about a megabyte; looks at no more than follow_rows_max entries.
  Result<FollowAnswer> follow(std::uint64_t from, std::uint32_t count, const Search& search,
                              const Visibility& visibility);

  std::uint64_t size() const { return stream_.size(); }
  // The last checkpoint; signs the first.
  Result<std::string> checkpoint();
  // A checkpoint of everything that is acknowledged.
  struct Pinned {
    std::string note;
    std::string origin;
    std::uint64_t size = 0;
  };
  Result<Pinned> pin();
  // See trail::Snapshot.
  Result<std::vector<Hash>> subtree_roots(std::uint64_t from, std::uint64_t to) const {
    return stream_.snapshot().subtree_roots(from, to);
  }
  // By the log's key; see trail::Signer.
  Result<std::string> sign_statement(std::string_view text) const { return signer_.sign_statement(text); }
  const trail::Stream& stream() const { return stream_; }

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
