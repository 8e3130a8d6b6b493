// Every bound of events, batches and searches, in one place (docs/formats/kinds.md, OpenAPI).
#pragma once

#include <cstddef>
#include <cstdint>

namespace vestige::audit {

inline constexpr std::size_t event_bytes_max = 1 << 20;
inline constexpr std::size_t batch_bytes_max = 16 << 20;
inline constexpr std::size_t batch_events_max = 10'000;
inline constexpr std::uint32_t event_depth_max = 64;
inline constexpr std::size_t identifier_bytes_max = 1'024;  // sourceId, targetId, a subject
inline constexpr std::size_t reason_bytes_max = 1'000;      // of an erasure
inline constexpr std::size_t word_bytes_max = 256;          // kind, action, sourceType, targetType
inline constexpr std::size_t subjects_max = 16;             // of one event
inline constexpr std::size_t lossless_max = 1'000;
inline constexpr std::size_t cursors_max = 4'096;  // of one stream
inline constexpr std::size_t cursor_name_bytes_max = 64;
inline constexpr std::size_t kinds_max = 1'000;
inline constexpr std::size_t schema_depth_max = 32;

inline constexpr std::uint32_t search_limit_default = 100;
inline constexpr std::uint32_t search_limit_max = 1'000;
inline constexpr std::size_t search_types_max = 100;
inline constexpr std::size_t search_words_max = 32;
inline constexpr std::size_t search_conditions_max = 500;  // of a filter tree
inline constexpr std::size_t search_depth_max = 20;
inline constexpr std::size_t search_operands_max = 1'000;  // of an "in"
inline constexpr std::size_t search_path_bytes_max = 1'024;
inline constexpr std::size_t search_pattern_bytes_max = 1'024;  // of a prefix, wildcard or part of a text
inline constexpr std::size_t search_query_bytes_max = 8'192;
inline constexpr std::size_t search_facets_max = 10;
inline constexpr std::size_t facet_values_max = 10'000;      // distinct values that are counted singly
inline constexpr std::size_t facet_value_bytes_max = 1'024;  // longer values are not counted singly
inline constexpr std::uint32_t facet_top_default = 10;
inline constexpr std::uint32_t facet_top_max = 1'000;
inline constexpr std::size_t histogram_buckets_max = 10'000;
inline constexpr std::uint64_t search_rows_max =
    500'000;  // entries read for one page; it ends early past them
inline constexpr std::size_t search_answer_bytes_max = 64 << 20;  // a page ends early past it, with a cursor

// What an export reads and writes at a time; it goes on until it is whole.
inline constexpr std::uint64_t export_slice_rows = 65'536;
inline constexpr std::size_t export_slice_bytes = 1 << 20;

inline constexpr std::size_t disclosed_paths_max = 100;

// What a record, a state, a diff or a blame is folded from; past it the oldest by arrival are folded, and the
// answer says so.
inline constexpr std::size_t fold_entries_max = 10'000;
inline constexpr std::size_t fold_bytes_max = 64 << 20;  // of those entries, as readers see them

// Persons that one entry about a look names; the rest it says there are.
inline constexpr std::size_t given_out_refs_max = 256;
inline constexpr std::size_t look_reason_bytes_max = 1024;

// The monthly review of access (docs/formats/review.md): what it lists, and from how many on a thing is
// unusual.
inline constexpr std::size_t review_people_max = 10'000;
inline constexpr std::size_t review_persons_max = 10'000;  // of one of them, that are told apart
inline constexpr std::size_t review_findings_max = 1'000;
inline constexpr std::size_t review_looks_named_max = 10;  // of one finding
inline constexpr std::size_t review_sign_offs_max = 100;
inline constexpr int review_months_before = 3;
inline constexpr std::uint64_t review_refusals_a_day = 10;
inline constexpr std::uint64_t review_persons_a_day = 100;
inline constexpr std::uint64_t review_looks_on_one_person = 30;
inline constexpr std::uint64_t review_looks_more_than_usual = 200;
inline constexpr std::uint64_t review_times_usual = 3;
inline constexpr std::uint64_t review_off_hours = 20;
inline constexpr std::uint64_t review_large_export = 10'000;
inline constexpr std::uint64_t review_newcomer_looks = 50;

// The report about captures (docs/formats/coverage.md): what it is made from, and what it lists.
inline constexpr std::size_t coverage_entries_max = 500'000;    // of captures, refused commands aside
inline constexpr std::size_t coverage_parts_max = 50'000;       // sources, runs, steps, moves, snapshots
inline constexpr std::size_t coverage_name_bytes_max = 64;      // of a source; those that are have less
inline constexpr std::size_t coverage_listed_max = 1'000;       // unattributed changes, refused commands
inline constexpr std::uint64_t coverage_counted_max = 100'000;  // of each of these two

}  // namespace vestige::audit
