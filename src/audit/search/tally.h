// Counts over all that a search finds: total, facets, histogram.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "audit/search/condition.h"
#include "trail/log/stream.h"

namespace vestige::audit {

struct FacetWish {
  FieldPath field;
  std::uint32_t top = 0;
};

struct TallyWish {
  bool total = false;
  std::vector<FacetWish> facets;
  std::optional<std::int64_t> interval_ms;  // of the histogram over `time`
  std::string interval;                     // as it was asked for
  bool empty() const { return !total && facets.empty() && !interval_ms; }
};

// Members "total", "facets" and "histogram" of a search. invalid with the path of what is wrong.
Result<TallyWish> parse_tally(const json::Value& search);

class Tally {
 public:
  explicit Tally(const TallyWish& wish);
  // invalid where the histogram gets more buckets than histogram_buckets_max.
  Status add(const json::Value& event);
  // Counts the rows of a page as add() would count their events; false, and counts nothing, where the columns
  // do not tell enough.
  Result<bool> add(const trail::ScannedPage& page);
  // Appends `,"total":..,"facets":[..],"histogram":{..}`, what was wished for. A count below `small_count`,
  // but for 0, is written as null, and a facet's value with such a count is left out.
  void write(std::string& to, std::uint64_t small_count = 0) const;

 private:
  struct Facet {
    std::unordered_map<std::string, std::uint64_t> counts;  // by canonical value
    std::uint64_t missing = 0;                              // events without a value
    std::uint64_t uncounted = 0;                            // values past a limit
  };
  void add_to(Facet& facet, const FieldPath& field, const json::Value& event);
  static void count(Facet& facet, std::string value, std::uint64_t times);
  static void add_to(Facet& facet, const trail::ScannedPage& page, std::size_t column);
  Status add_to_histogram(std::int64_t time);

  const TallyWish& wish_;
  std::uint64_t total_ = 0;
  std::vector<Facet> facets_;
  std::map<std::int64_t, std::uint64_t> buckets_;
  std::vector<std::string> values_;  // of one event
};

}  // namespace vestige::audit
