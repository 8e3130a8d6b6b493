// All entries about one thing, gathered from the trail so that they can be folded in the order in which
// things happened: by event time, then by index. Bounded by fold_entries_max and fold_bytes_max; a limit that
// was hit is said, never silent.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "audit/reader.h"
#include "json/object_writer.h"

namespace vestige::audit {

struct Step {
  UnixMs time;
  std::uint64_t index = 0;
  std::string event;  // JSON, as readers see it
};

struct Gathered {
  std::vector<Step> steps;  // in any order
  std::string limit;        // "fold_entries_max = 10000" where it was hit; then some entries are left out
  std::uint64_t size = 0;   // the tree at which it was gathered
  Hash root{};
  bool partial = false;  // the asker may not read all of it: what an event lacks may be there
};

// Who asks: what they may see, and whose the cursors are (as for Reader::search).
struct Asker {
  const Visibility& visibility;
  std::string_view caller;
};

// A search's members that say what is wanted, such as {"targetId":"T-1"}.
using Wanted = json::ObjectWriter;

// One page, oldest arrival first unless `wanted` says otherwise.
Result<SearchAnswer> search_page(Reader& reader, const Asker& asker, const Wanted& wanted);

// `kinds`: only entries of these; empty: of any.
Result<Gathered> gather(Reader& reader, const Asker& asker, const Wanted& wanted,
                        std::span<const std::string_view> kinds);

// A step, parsed. Not thread-safe; the value lives until the next call.
class StepParser {
 public:
  Result<json::Value> parse(std::string_view event);

 private:
  json::Parser parser_;
  json::Document document_;
};

// The steps by event time, then by index.
std::vector<const Step*> in_order(const std::vector<Step>& steps);

// Whether a section cannot be opened by anybody. One that the asker may not read is another thing.
bool has_erased_section(const json::Value& event);
// Whether a part of the event is gone: a section erased or out of retention, or values discarded on arrival.
bool is_erased(const json::Value& event);

// Appends {"id","index","leaf","time","kind","action","sourceType","sourceId","approval","erased"} of an
// event, which says where a folded value comes from. "approval" stands there only where it was recorded under
// one, "erased" only where something is.
void append_origin(std::string& to, const json::Value& event);

// Appends ,"complete":...,"tree":{...}, with "limit" where one was hit.
void append_completeness(std::string& to, const Gathered& gathered);

// A value below, by names with '/' between them; absent where there is none.
json::Value value_at(json::Value from, std::string_view path);

}  // namespace vestige::audit
