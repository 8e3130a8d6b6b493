#include "audit/search/tally.h"

#include <fmt/format.h>

#include <algorithm>

#include "audit/internal/refusal.h"
#include "audit/limits.h"
#include "audit/search/plan.h"
#include "audit/search/time_span.h"
#include "base/time_text.h"

namespace vestige::audit {
namespace {

using internal::refuse;

bool is_set(const json::Value& value) { return value.exists() && !value.is_null(); }

Result<FacetWish> parse_facet(const json::Value& value, const std::string& path) {
  FacetWish facet;
  facet.top = facet_top_default;
  auto field = value;
  if (value.is_object()) {
    field = value.find("field");
    for (std::size_t i = 0; i < value.size(); ++i)
      if (value.key_at(i) != "field" && value.key_at(i) != "top")
        return refuse(value.at(i), path, fmt::format("\"{}\" is no member of a facet", value.key_at(i)));
    if (const auto top = value.find("top"); is_set(top)) {
      const double number = top.is_number() ? top.number_value() : 0;
      if (number < 1 || number > facet_top_max ||
          number != static_cast<double>(static_cast<std::uint32_t>(number)))
        return refuse(top, path + "/top", fmt::format("must be a whole number from 1 to {}", facet_top_max),
                      fmt::format("facet_top_max = {}", facet_top_max));
      facet.top = static_cast<std::uint32_t>(number);
    }
  }
  const auto parsed = field.is_string() ? parse_field_path(field.string()) : std::nullopt;
  if (!parsed)
    return refuse(value, path,
                  "must be a field, such as \"action\" or {\"field\": \"detail.status\", \"top\": 20}");
  facet.field = *parsed;
  return facet;
}

void append_values(const json::Value& event, std::span<const std::string> keys,
                   std::vector<std::string>& to) {
  if (!event.exists()) return;
  if (event.is_array()) {
    for (std::size_t i = 0; i < event.size(); ++i) append_values(event.at(i), keys, to);
  } else if (!keys.empty()) {
    append_values(event.find(keys.front()), keys.subspan(1), to);
  } else if (!event.is_object() && !event.is_null()) {
    to.push_back(json::canonical(event));
  }
}

}  // namespace

Result<TallyWish> parse_tally(const json::Value& search) {
  TallyWish wish;
  if (const auto total = search.find("total"); is_set(total)) {
    if (!total.is_boolean()) return refuse(total, "/total", "must be true or false");
    wish.total = total.boolean();
  }
  if (const auto facets = search.find("facets"); is_set(facets)) {
    if (!facets.is_array()) return refuse(facets, "/facets", "must be a list of fields");
    if (facets.size() > search_facets_max)
      return refuse(facets, "/facets", "has too many elements",
                    fmt::format("search_facets_max = {}", search_facets_max));
    for (std::size_t i = 0; i < facets.size(); ++i) {
      VESTIGE_TRY(auto facet, parse_facet(facets.at(i), fmt::format("/facets/{}", i)));
      wish.facets.push_back(std::move(facet));
    }
  }
  if (const auto histogram = search.find("histogram"); is_set(histogram)) {
    const auto interval = histogram.find("interval");
    wish.interval_ms = interval.is_string() ? parse_time_span(interval.string()) : std::nullopt;
    if (!wish.interval_ms || *wish.interval_ms == 0 || histogram.size() != 1)
      return refuse(histogram, "/histogram", "must be {\"interval\": \"1h\"}; units are s, m, h, d and w");
    wish.interval = std::string(interval.string());
  }
  return wish;
}

Tally::Tally(const TallyWish& wish) : wish_(wish), facets_(wish.facets.size()) {}

void Tally::add_to(Facet& facet, const FieldPath& field, const json::Value& event) {
  values_.clear();
  append_values(event, field.keys, values_);
  if (values_.empty()) ++facet.missing;
  // An event counts once for a value, however often it has it.
  std::ranges::sort(values_);
  const auto repeated = std::ranges::unique(values_);
  values_.erase(repeated.begin(), repeated.end());
  for (auto& value : values_) count(facet, std::move(value), 1);
}

void Tally::count(Facet& facet, std::string value, std::uint64_t times) {
  if (const auto known = facet.counts.find(value); known != facet.counts.end())
    known->second += times;
  else if (facet.counts.size() < facet_values_max && value.size() <= facet_value_bytes_max)
    facet.counts.emplace(std::move(value), times);
  else
    facet.uncounted += times;
}

Status Tally::add_to_histogram(std::int64_t time) {
  auto start = time - time % *wish_.interval_ms;
  if (start > time) start -= *wish_.interval_ms;
  ++buckets_[start];
  if (buckets_.size() > histogram_buckets_max)
    return refuse({}, "/histogram/interval", "gives too many intervals; take a longer one, or limit the time",
                  fmt::format("histogram_buckets_max = {}", histogram_buckets_max));
  return {};
}

Status Tally::add(const json::Value& event) {
  ++total_;
  for (std::size_t i = 0; i < facets_.size(); ++i) add_to(facets_[i], wish_.facets[i].field, event);
  if (!wish_.interval_ms) return {};
  const auto text = event.find("time");
  const auto time = text.is_string() ? parse_time(text.string()) : std::nullopt;
  return time ? add_to_histogram(time->value) : Status{};
}

void Tally::add_to(Facet& facet, const trail::ScannedPage& page, std::size_t column) {
  const auto& text = page.page.text(column);
  std::vector<std::uint64_t> times(text.values.size());
  for (std::uint32_t row = 0; row < page.page.rows(); ++row) {
    if (!page.rows[row]) continue;
    if (text.rows[row] == trail::TextColumn::absent)
      ++facet.missing;
    else
      ++times[text.rows[row]];
  }
  for (std::size_t i = 0; i < times.size(); ++i)
    if (times[i] > 0) count(facet, fmt::format("\"{}\"", text.values[i]), times[i]);
}

Result<bool> Tally::add(const trail::ScannedPage& page) {
  const auto time = page.column("time");
  std::vector<std::size_t> columns;
  for (const auto& facet : wish_.facets) {
    const auto told = by_columns(facet.field);
    const auto column = page.column(facet.field.keys.front());
    if (told == ByColumns::never || (told == ByColumns::pages_without_sections && page.has_sections) ||
        !column)
      return false;
    columns.push_back(*column);
  }
  const auto rows = page.page.rows();
  std::uint64_t counted = 0;
  for (std::uint32_t row = 0; row < rows; ++row) {
    if (!page.rows[row]) continue;
    // A time in another form than the column's stands in the entry.
    if (!time || page.page.times(*time)[row] == INT64_MIN) return false;
    ++counted;
  }
  total_ += counted;
  for (std::size_t i = 0; i < facets_.size(); ++i) add_to(facets_[i], page, columns[i]);
  if (wish_.interval_ms)
    for (std::uint32_t row = 0; row < rows; ++row)
      if (page.rows[row]) VESTIGE_CHECKED(add_to_histogram(page.page.times(*time)[row]));
  return true;
}

void Tally::write(std::string& to, std::uint64_t small_count) const {
  auto out = std::back_inserter(to);
  const auto is_small = [&](std::uint64_t count) { return count != 0 && count < small_count; };
  const auto told = [&](std::uint64_t count) { return is_small(count) ? "null" : fmt::format("{}", count); };
  if (wish_.total) fmt::format_to(out, ",\"total\":{}", told(total_));
  if (!facets_.empty()) {
    to += ",\"facets\":[";
    for (std::size_t i = 0; i < facets_.size(); ++i) {
      const auto& facet = facets_[i];
      using Count = std::pair<std::string_view, std::uint64_t>;
      std::vector<Count> counts(facet.counts.begin(), facet.counts.end());
      std::erase_if(counts, [&](const Count& count) { return is_small(count.second); });
      const auto shown = std::min<std::size_t>(counts.size(), wish_.facets[i].top);
      std::ranges::partial_sort(counts, counts.begin() + static_cast<std::ptrdiff_t>(shown),
                                [](const Count& a, const Count& b) {
                                  return a.second != b.second ? a.second > b.second : a.first < b.first;
                                });
      if (i > 0) to.push_back(',');
      to += "{\"field\":";
      json::append_quoted(to, wish_.facets[i].field.text());
      to += ",\"values\":[";
      for (std::size_t j = 0; j < shown; ++j)
        fmt::format_to(out, "{}{{\"value\":{},\"count\":{}}}", j > 0 ? "," : "", counts[j].first,
                       counts[j].second);
      fmt::format_to(out, "],\"distinct\":{},\"missing\":{},\"uncounted\":{}}}", counts.size(),
                     told(facet.missing), told(facet.uncounted));
    }
    to.push_back(']');
  }
  if (!wish_.interval_ms) return;
  fmt::format_to(out, ",\"histogram\":{{\"interval\":\"{}\",\"counts\":[", wish_.interval);
  bool first = true;
  for (const auto& [start, count] : buckets_) {
    fmt::format_to(out, "{}{{\"from\":\"{}\",\"count\":{}}}", first ? "" : ",",
                   format_time(UnixMs{std::max(start, time_min.value)}), told(count));
    first = false;
  }
  to += "]}";
}

}  // namespace vestige::audit
