#include "trail/format/sidecar_format.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "crypto/digest.h"
#include "trail/limits.h"

namespace vestige::trail {
namespace {

constexpr std::string_view magic_of[] = {"VSTGPUB1", "VSTGPER1"};
constexpr std::size_t magic_bytes = 8;
constexpr std::uint16_t version = 1;
constexpr std::size_t digest_at = 480;
constexpr std::uint64_t bits_a_token_and_page = 16;
constexpr std::uint8_t flag_sections = 1;
constexpr std::uint8_t flag_unfiltered = 2;
constexpr std::size_t pages_max = segment_rows_limit;  // pages of one row each

std::unexpected<Error> damaged(std::uint64_t offset, std::string what) {
  return corrupt("", offset, std::move(what));
}

// A well-mixed second hash of the token (the finaliser of MurmurHash3, public domain).
std::uint64_t mixed(std::uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33);
}

}  // namespace

std::string_view sidecar_ending(SidecarKind kind) { return kind == SidecarKind::clear ? ".pub" : ".per"; }

Bytes encode_sidecar_header(const SidecarHeader& header) {
  Bytes out;
  ByteWriter to(out);
  to.bytes(view(magic_of[static_cast<std::size_t>(header.kind)]));
  to.u16(version);
  to.zeros(6);
  to.bytes(header.file_id);
  to.bytes(header.data_id);
  to.u64(header.first);
  to.u64(header.end);
  to.bytes(header.wrapped_key);
  to.u32(0);
  to.bytes(header.segment);
  to.u64(header.facts_bytes);
  to.zeros(digest_at - out.size());
  to.bytes(crypto::sha256(out));
  return out;
}

Result<SidecarHeader> decode_sidecar_header(ByteView block) {
  if (block.size() != sidecar_header_bytes) return damaged(block.size(), "the sidecar's header is cut short");
  const auto magic = std::ranges::find(magic_of, text(block.first(magic_bytes)));
  if (magic == std::end(magic_of)) return damaged(0, "this is no sidecar");
  if (!std::ranges::equal(crypto::sha256(block.first(digest_at)), block.subspan(digest_at)))
    return damaged(0, "the sidecar's header does not match its digest");
  ByteReader in(block.first(digest_at));
  in.bytes(magic_bytes);
  if (const auto found = in.u16(); found != version)
    return damaged(
        8, fmt::format("sidecar version {} is not known; this build reads version {}", found, version));
  in.zeros(6);
  SidecarHeader header;
  header.kind = sidecar_kinds[magic - std::begin(magic_of)];
  header.file_id = in.array<16>();
  header.data_id = in.array<16>();
  header.first = in.u64();
  header.end = in.u64();
  header.wrapped_key = in.array<60>();
  in.zeros(4);
  header.segment = in.array<32>();
  header.facts_bytes = in.u64();
  const bool key_fits = header.kind == SidecarKind::clear ||
                        std::ranges::all_of(header.wrapped_key, [](std::uint8_t byte) { return byte == 0; });
  if (!in.zeros(in.left()) || header.first >= header.end || !key_fits)
    return damaged(16, "the sidecar's header does not parse to its end");
  return header;
}

std::string sidecar_key_context(const Block16& file_id) { return "sidecar " + std::string(text(file_id)); }

Bytes encode_sidecar_facts(const SidecarFacts& facts) {
  Bytes out;
  ByteWriter to(out);
  to.u32(static_cast<std::uint32_t>(facts.pages.size()));
  for (const auto& page : facts.pages) {
    to.u64(static_cast<std::uint64_t>(page.least));
    to.u64(static_cast<std::uint64_t>(page.greatest));
    to.u8(static_cast<std::uint8_t>((page.has_sections ? flag_sections : 0) |
                                    (page.filtered ? 0 : flag_unfiltered)));
  }
  to.u32(static_cast<std::uint32_t>(facts.groups.size()));
  for (const auto& group : facts.groups) {
    to.u32(group.pages);
    to.u32(group.buckets);
  }
  return out;
}

Result<SidecarFacts> decode_sidecar_facts(ByteView plain) {
  ByteReader in(plain);
  SidecarFacts facts;
  const auto pages = in.u32();
  if (pages == 0 || pages > pages_max)
    return damaged(0, "the sidecar's facts name a number of pages that cannot be");
  for (std::uint32_t i = 0; i < pages && in.ok(); ++i) {
    SidecarPage page;
    page.least = static_cast<std::int64_t>(in.u64());
    page.greatest = static_cast<std::int64_t>(in.u64());
    const auto flags = in.u8();
    if (flags > (flag_sections | flag_unfiltered))
      return damaged(in.offset(), "the sidecar's facts have an unknown flag");
    page.has_sections = (flags & flag_sections) != 0;
    page.filtered = (flags & flag_unfiltered) == 0;
    facts.pages.push_back(page);
  }
  const auto groups = in.u32();
  std::uint64_t covered = 0;
  for (std::uint32_t i = 0; i < groups && in.ok(); ++i) {
    const SidecarGroup group{in.u32(), in.u32()};
    const auto expected = std::min<std::uint64_t>(filter_group_pages, pages - covered);
    if (group.pages != expected || expected == 0 || group.buckets == 0 || group.buckets > filter_buckets_max)
      return damaged(in.offset(), "the sidecar's groups do not cover its pages");
    covered += group.pages;
    facts.groups.push_back(group);
  }
  if (!in.at_end() || covered != pages)
    return damaged(in.offset(), "the sidecar's facts do not parse to their end");
  return facts;
}

std::uint64_t sidecar_bytes(const SidecarHeader& header, const SidecarFacts& facts) {
  std::uint64_t bytes = sidecar_header_bytes + header.facts_bytes + sizeof(Hash);
  for (const auto& group : facts.groups) bytes += std::uint64_t{group.buckets} * group.bucket_bytes();
  return bytes;
}

FilterPlace filter_place(std::uint64_t token, std::uint32_t buckets) {
  FilterPlace place;
  place.bucket = static_cast<std::uint32_t>(((token >> 32) * buckets) >> 32);
  const auto rows = mixed(token);
  for (std::size_t i = 0; i < place.rows.size(); ++i)
    place.rows[i] = static_cast<std::uint8_t>(rows >> (8 * i));
  return place;
}

std::uint32_t buckets_for(std::uint64_t tokens_of_all_pages, std::uint32_t pages) {
  CHECK(pages > 0);
  const auto bits = tokens_of_all_pages * bits_a_token_and_page / pages;
  return static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>((bits + filter_bucket_rows - 1) / filter_bucket_rows, 1, filter_buckets_max));
}

Bytes fill_buckets(const SidecarGroup& group, std::span<const std::span<const std::uint64_t>> tokens) {
  CHECK(tokens.size() == group.pages);
  const auto rows = std::size_t{group.buckets} * filter_bucket_rows;
  const auto row_bytes = group.row_bytes();
  Bytes out(rows * row_bytes);
  // Eight pages at a time, so that bits are set in memory that is near.
  Bytes column(rows);
  for (std::size_t start = 0; start < group.pages; start += 8) {
    std::ranges::fill(column, std::uint8_t{0});
    for (std::size_t page = start; page < std::min<std::size_t>(start + 8, group.pages); ++page)
      for (const auto token : tokens[page]) {
        const auto place = filter_place(token, group.buckets);
        for (const auto row : place.rows)
          column[place.bucket * filter_bucket_rows + row] |= static_cast<std::uint8_t>(1U << (page - start));
      }
    for (std::size_t row = 0; row < rows; ++row) out[row * row_bytes + start / 8] = column[row];
  }
  return out;
}

void refill_page(const SidecarGroup& group, std::size_t page, std::span<const std::uint64_t> tokens,
                 std::span<std::uint8_t> buckets) {
  const auto rows = std::size_t{group.buckets} * filter_bucket_rows;
  const auto row_bytes = group.row_bytes();
  CHECK(page < group.pages && buckets.size() == rows * row_bytes);
  const auto bit = static_cast<std::uint8_t>(1U << (page % 8));
  for (std::size_t row = 0; row < rows; ++row)
    buckets[row * row_bytes + page / 8] &= static_cast<std::uint8_t>(~bit);
  for (const auto token : tokens) {
    const auto place = filter_place(token, group.buckets);
    for (const auto row : place.rows)
      buckets[(place.bucket * filter_bucket_rows + row) * row_bytes + page / 8] |= bit;
  }
}

void match_bucket(const SidecarGroup& group, ByteView bucket, const FilterPlace& place,
                  std::span<std::uint8_t> pages) {
  const auto row_bytes = group.row_bytes();
  CHECK(bucket.size() == filter_bucket_rows * row_bytes && pages.size() == row_bytes);
  std::ranges::fill(pages, std::uint8_t{0xFF});
  for (const auto row : place.rows)
    for (std::size_t i = 0; i < row_bytes; ++i) pages[i] &= bucket[row * row_bytes + i];
}

}  // namespace vestige::trail
