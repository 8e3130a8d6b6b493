#include "trail/log/sidecar_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "crypto/digest.h"
#include "trail/format/segment_format.h"
#include "trail/format/sidecar_format.h"
#include "trail/limits.h"
#include "trail/log/stream.h"

namespace vestige::trail {
namespace {

std::string sidecar_path(const std::string& directory, const SegmentRecord& record) {
  return platform::join(directory, range_file_name(record.first, record.end, sidecar_ending));
}

class Sidecar final : public PageIndex {
 public:
  Sidecar(std::unique_ptr<platform::File> file, const SidecarHeader& header, const Key& key,
          SidecarFacts facts)
      : file_(std::move(file)), file_id_(header.file_id), key_(key), facts_(std::move(facts)) {
    std::uint64_t offset = sidecar_header_bytes + header.facts_bytes;
    std::uint32_t number = 0;
    for (const auto& group : facts_.groups) {
      places_.push_back({offset, number});
      offset += std::uint64_t{group.buckets} * group.bucket_bytes();
      number += group.buckets;
    }
  }

  Status mark(const RowTest& test, std::vector<bool>& keep) const override {
    CHECK(keep.size() == facts_.pages.size());
    for (std::size_t i = 0; i < keep.size(); ++i)
      if (keep[i])
        keep[i] = facts_.pages[i].greatest >= test.time_from && facts_.pages[i].least < test.time_to;
    if (test.tokens.empty()) return {};
    for (std::size_t i = 0; i < facts_.groups.size(); ++i) VESTIGE_CHECKED(mark_group(i, test, keep));
    return {};
  }

 private:
  struct Place {
    std::uint64_t offset;  // of the group's first bucket
    std::uint32_t number;
  };

  Status mark_group(std::size_t number, const RowTest& test, std::vector<bool>& keep) const {
    const auto& group = facts_.groups[number];
    const auto first = number * filter_group_pages;
    const auto begin = keep.begin() + static_cast<std::ptrdiff_t>(first);
    if (std::none_of(begin, begin + group.pages, [](bool kept) { return kept; })) return {};
    std::vector<std::uint8_t> one(group.row_bytes());
    std::vector<std::uint8_t> any(group.row_bytes());
    for (const auto& wanted : test.tokens) {
      std::ranges::fill(any, std::uint8_t{0});
      for (const auto token : wanted.any_of) {
        const auto place = filter_place(token, group.buckets);
        VESTIGE_TRY(const auto bucket, read_bucket(number, place.bucket));
        match_bucket(group, bucket, place, one);
        for (std::size_t i = 0; i < any.size(); ++i) any[i] |= one[i];
      }
      for (std::size_t i = 0; i < group.pages; ++i) {
        const auto& page = facts_.pages[first + i];
        if (!page.filtered || (wanted.may_be_sealed && page.has_sections)) continue;
        if ((any[i / 8] >> (i % 8) & 1) == 0) keep[first + i] = false;
      }
    }
    return {};
  }

  Result<Bytes> read_bucket(std::size_t group, std::uint32_t bucket) const {
    const auto bytes = facts_.groups[group].bucket_bytes();
    const auto offset = places_[group].offset + std::uint64_t{bucket} * bytes;
    Bytes sealed(bytes);
    VESTIGE_CHECKED(file_->read(offset, sealed));
    crypto::Aead aead(key_);
    const ChunkRow row{.type = ChunkType::filter,
                       .first_row = static_cast<std::uint32_t>(group),
                       .rows = 0,
                       .offset = offset,
                       .length = bytes,
                       .hash = {}};
    auto plain = open_chunk(aead, file_id_, row, places_[group].number + bucket, sealed);
    if (!plain)
      return corrupt(
          file_->path(), offset,
          fmt::format("{} was changed. It can be removed: the server builds it anew when it starts",
                      file_->path()));
    return plain;
  }

  const std::unique_ptr<platform::File> file_;
  const Block16 file_id_;
  const Key key_;
  const SidecarFacts facts_;
  std::vector<Place> places_;
};

SidecarFacts facts_of(std::span<const std::shared_ptr<const PageFacts>> pages) {
  SidecarFacts facts;
  for (const auto& page : pages)
    facts.pages.push_back({page->least, page->greatest, page->has_sections, page->filtered});
  for (std::size_t first = 0; first < pages.size(); first += filter_group_pages) {
    const auto count = std::min(filter_group_pages, pages.size() - first);
    std::uint64_t tokens = 0;
    for (std::size_t i = 0; i < count; ++i) tokens += pages[first + i]->tokens.size();
    const auto in_group = static_cast<std::uint32_t>(count);
    facts.groups.push_back({in_group, buckets_for(tokens, in_group)});
  }
  return facts;
}

}  // namespace

Status write_sidecar(const SidecarContext& context, const std::string& directory, const SegmentRecord& record,
                     std::span<const std::shared_ptr<const PageFacts>> pages) {
  CHECK(!pages.empty());
  const Key key = context.entropy.bytes<32>();
  SidecarHeader header{.file_id = context.entropy.bytes<16>(),
                       .data_id = context.data_id,
                       .first = record.first,
                       .end = record.end,
                       .wrapped_key = {},
                       .segment = record.segment.digest,
                       .facts_bytes = 0};
  const auto wrapped = context.wrapper.wrap(key, sidecar_key_context(header.file_id));
  CHECK(wrapped.size() == header.wrapped_key.size());
  std::ranges::copy(wrapped, header.wrapped_key.begin());
  crypto::Aead aead(key);
  const auto facts = facts_of(pages);
  const auto sealed_facts =
      seal_chunk(aead, header.file_id, ChunkType::facts, 0, 0, encode_sidecar_facts(facts));
  header.facts_bytes = sealed_facts.size();
  Bytes file = encode_sidecar_header(header);
  file.reserve(sidecar_bytes(header, facts));
  file.insert(file.end(), sealed_facts.begin(), sealed_facts.end());
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < facts.groups.size(); ++i) {
    const auto& group = facts.groups[i];
    std::vector<std::span<const Token>> tokens;
    for (std::size_t page = 0; page < group.pages; ++page)
      tokens.emplace_back(pages[i * filter_group_pages + page]->tokens);
    const auto plain = fill_buckets(group, tokens);
    const auto bucket_plain = filter_bucket_rows * group.row_bytes();
    for (std::uint32_t bucket = 0; bucket < group.buckets; ++bucket) {
      const auto sealed =
          seal_chunk(aead, header.file_id, ChunkType::filter, number++, static_cast<std::uint32_t>(i),
                     ByteView(plain).subspan(bucket * bucket_plain, bucket_plain));
      file.insert(file.end(), sealed.begin(), sealed.end());
    }
  }
  const auto digest = crypto::sha256(file);
  file.insert(file.end(), digest.begin(), digest.end());
  return platform::replace_file(context.files, sidecar_path(directory, record), file,
                                platform::FileMode::shared_read);
}

Result<std::shared_ptr<const PageIndex>> open_sidecar(platform::FileSystem& files, const KeyWrapper& wrapper,
                                                      const std::string& directory,
                                                      const SegmentRecord& record, std::size_t pages) {
  const auto path = sidecar_path(directory, record);
  const auto damaged = [&](std::string_view what) {
    return corrupt(path, 0, fmt::format("{}: {}", files.describe(path), what));
  };
  VESTIGE_TRY(auto file, files.open_read_only(path));
  VESTIGE_TRY(const auto bytes, file->size());
  if (bytes < sidecar_header_bytes) return damaged("the file is shorter than its header");
  Bytes block(sidecar_header_bytes);
  VESTIGE_CHECKED(file->read(0, block));
  const auto header = decode_sidecar_header(block);
  if (!header) return damaged(header.error().message);
  if (header->first != record.first || header->end != record.end || header->segment != record.segment.digest)
    return damaged("it is the sidecar of another segment");
  if (header->facts_bytes > sidecar_facts_bytes_max || header->facts_bytes > bytes - sidecar_header_bytes)
    return damaged("its facts reach behind its end");
  const auto key = wrapper.unwrap(header->wrapped_key, sidecar_key_context(header->file_id));
  if (!key) return damaged("its key does not unwrap: " + key.error().message);
  Bytes sealed(header->facts_bytes);
  VESTIGE_CHECKED(file->read(sidecar_header_bytes, sealed));
  crypto::Aead aead(*key);
  const ChunkRow row{.type = ChunkType::facts,
                     .first_row = 0,
                     .rows = 0,
                     .offset = sidecar_header_bytes,
                     .length = sealed.size(),
                     .hash = {}};
  const auto plain = open_chunk(aead, header->file_id, row, 0, sealed);
  if (!plain) return damaged(plain.error().message);
  auto facts = decode_sidecar_facts(*plain);
  if (!facts) return damaged(facts.error().message);
  if (facts->pages.size() != pages || sidecar_bytes(*header, *facts) != bytes)
    return damaged("it has another number of pages or bytes than its segment asks for");
  return std::make_shared<const Sidecar>(std::move(file), *header, *key, *std::move(facts));
}

}  // namespace vestige::trail
