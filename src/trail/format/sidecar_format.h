// Bytes of a sidecar: what the pages of one segment are found by. Format: docs/formats/sidecar.md.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/aead.h"

namespace vestige::trail {

enum class SidecarKind { clear, sealed };           // public, personal
std::string_view sidecar_ending(SidecarKind kind);  // ".pub", ".per"
inline constexpr SidecarKind sidecar_kinds[] = {SidecarKind::clear, SidecarKind::sealed};
inline constexpr std::size_t sidecar_header_bytes = 512;
inline constexpr std::size_t filter_group_pages = 512;
inline constexpr std::size_t filter_bucket_rows = 256;
inline constexpr std::size_t filter_bits_a_token = 8;

struct SidecarHeader {
  SidecarKind kind = SidecarKind::clear;
  Block16 file_id{};
  Block16 data_id{};
  std::uint64_t first = 0;  // entries of the segment
  std::uint64_t end = 0;
  std::array<std::uint8_t, 60> wrapped_key{};  // zeros where the kind is sealed
  Hash segment{};                              // the segment's digest
  std::uint64_t facts_bytes = 0;               // length of the chunk of facts, tag included
};
Bytes encode_sidecar_header(const SidecarHeader& header);
Result<SidecarHeader> decode_sidecar_header(ByteView block);
std::string sidecar_key_context(const Block16& file_id);

struct SidecarPage {
  std::int64_t least = INT64_MIN;
  std::int64_t greatest = INT64_MAX;
  bool has_sections = false;
  bool filtered = true;
};
struct SidecarGroup {
  std::uint32_t pages = 0;    // 1 to filter_group_pages
  std::uint32_t buckets = 0;  // at least 1
  std::size_t row_bytes() const { return (pages + 7) / 8; }
  std::size_t bucket_bytes() const { return filter_bucket_rows * row_bytes() + crypto::tag_bytes; }
};
struct SidecarFacts {
  std::vector<SidecarPage> pages;
  std::vector<SidecarGroup> groups;  // of filter_group_pages each, the last of what is left
};
Bytes encode_sidecar_facts(const SidecarFacts& facts);
Result<SidecarFacts> decode_sidecar_facts(ByteView plain);
// Of a file with these facts: header, facts, buckets, digest.
std::uint64_t sidecar_bytes(const SidecarHeader& header, const SidecarFacts& facts);

// Where a token's bits are, in a group of so many buckets.
struct FilterPlace {
  std::uint32_t bucket;
  std::array<std::uint8_t, filter_bits_a_token> rows;
};
FilterPlace filter_place(std::uint64_t token, std::uint32_t buckets);

// How many buckets keep false answers rare for pages with these numbers of tokens.
std::uint32_t buckets_for(std::uint64_t tokens_of_all_pages, std::uint32_t pages);
// The plain buckets of a group, one after the other; `tokens` of each page.
Bytes fill_buckets(const SidecarGroup& group, std::span<const std::span<const std::uint64_t>> tokens);
// Sets the bits of one page anew and leaves those of the others.
void refill_page(const SidecarGroup& group, std::size_t page, std::span<const std::uint64_t> tokens,
                 std::span<std::uint8_t> buckets);
// Pages of a group whose row bits of the token are all set, as the group's row of bits.
void match_bucket(const SidecarGroup& group, ByteView bucket, const FilterPlace& place,
                  std::span<std::uint8_t> pages);

}  // namespace vestige::trail
