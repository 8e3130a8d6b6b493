// Every bound of the trail, in one place. Formats name the same numbers (docs/formats/).
#pragma once

#include <cstddef>
#include <cstdint>

namespace vestige::trail {

inline constexpr std::uint32_t page_rows = 256;
inline constexpr std::uint32_t block_rows = 4'096;
inline constexpr std::uint32_t segment_rows_limit = 524'288;
inline constexpr std::size_t entry_bytes_max = 2 << 20;
inline constexpr std::size_t blob_bytes_max = 4 << 20;
inline constexpr std::size_t blobs_max = 64;  // of one entry
inline constexpr std::size_t frame_payload_bytes_max = 64 << 20;
inline constexpr std::size_t group_bytes_target = 4 << 20;  // a group stops taking submissions past it
inline constexpr std::size_t streams_max = 255;             // numbers are one byte, from 1
inline constexpr std::size_t columns_max = 64;
inline constexpr std::size_t page_tokens_max = 32'768;  // a page with more is always read
inline constexpr std::uint32_t filter_buckets_max =
    4'096;  // of a group of pages: twice what such pages ask for
inline constexpr std::size_t sidecar_facts_bytes_max = 64 << 20;
inline constexpr std::size_t manifest_bytes_max = 64 << 20;
inline constexpr std::size_t marks_max = 65'536;  // of a log, and of a group
inline constexpr std::size_t mark_name_bytes_max = 256;
inline constexpr std::size_t queue_submissions_max = 16'384;
inline constexpr std::size_t queue_bytes_max = 128 << 20;

static_assert(block_rows % page_rows == 0);
static_assert(segment_rows_limit % block_rows == 0);

}  // namespace vestige::trail
