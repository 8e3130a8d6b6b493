#include "trail/log/sidecar_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "crypto/digest.h"
#include "trail/format/segment_format.h"
#include "trail/limits.h"
#include "trail/log/segment_file.h"

namespace vestige::trail {
namespace {

std::string sidecar_path(const std::string& directory, const SegmentRecord& record, SidecarKind kind) {
  return platform::join(directory, range_file_name(record.first, record.end, sidecar_ending(kind)));
}

ChunkRow chunk_row(ChunkType type, std::size_t group, std::uint64_t offset, std::uint64_t length) {
  return {.type = type,
          .first_row = static_cast<std::uint32_t>(group),
          .rows = 0,
          .offset = offset,
          .length = length,
          .hash = {}};
}

const TokenSet& set_of(SidecarKind kind, const PageFacts& page) {
  return kind == SidecarKind::clear ? page.clear : *page.sealed;
}

Bytes encode_sidecar(SidecarHeader header, const Key& key, const SidecarContent& content) {
  crypto::Aead aead(key);
  const auto sealed_facts =
      seal_chunk(aead, header.file_id, ChunkType::facts, 0, 0, encode_sidecar_facts(content.facts));
  header.facts_bytes = sealed_facts.size();
  Bytes file = encode_sidecar_header(header);
  file.reserve(sidecar_bytes(header, content.facts));
  file.insert(file.end(), sealed_facts.begin(), sealed_facts.end());
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < content.facts.groups.size(); ++i) {
    const auto& group = content.facts.groups[i];
    const auto bucket_plain = filter_bucket_rows * group.row_bytes();
    for (std::uint32_t bucket = 0; bucket < group.buckets; ++bucket) {
      const auto sealed =
          seal_chunk(aead, header.file_id, ChunkType::filter, number++, static_cast<std::uint32_t>(i),
                     ByteView(content.groups[i]).subspan(bucket * bucket_plain, bucket_plain));
      file.insert(file.end(), sealed.begin(), sealed.end());
    }
  }
  const auto digest = crypto::sha256(file);
  file.insert(file.end(), digest.begin(), digest.end());
  return file;
}

SidecarHeader new_header(const SidecarContext& context, SidecarKind kind, const SegmentRecord& record) {
  return {.kind = kind,
          .file_id = context.entropy.bytes<16>(),
          .data_id = context.data_id,
          .first = record.first,
          .end = record.end,
          .wrapped_key = {},
          .segment = record.segment.digest,
          .facts_bytes = 0};
}

Result<SidecarHeader> read_header(platform::File& file) {
  Bytes block(sidecar_header_bytes);
  VESTIGE_CHECKED(file.read(0, block));
  return decode_sidecar_header(block);
}

Result<Key> key_of(const SidecarContext& context, const SidecarHeader& header) {
  if (header.kind == SidecarKind::clear)
    return context.wrapper.unwrap(header.wrapped_key, sidecar_key_context(header.file_id));
  const auto kept = context.keys != nullptr ? context.keys->find(header.file_id) : std::nullopt;
  if (kept) return kept->key;
  return fail(ErrorKind::not_found, "there is no key of it any more");
}

}  // namespace

// ------------------------------------------------------------------------------------------ content

SidecarContent sidecar_content(SidecarKind kind, std::span<const std::shared_ptr<const PageFacts>> pages) {
  CHECK(!pages.empty());
  SidecarContent content;
  for (const auto& page : pages) {
    const auto& set = set_of(kind, *page);
    if (kind == SidecarKind::clear)
      content.facts.pages.push_back({page->least, page->greatest, page->has_sections, set.filtered});
    else
      content.facts.pages.push_back({INT64_MIN, INT64_MAX, page->has_sections, set.filtered});
  }
  for (std::size_t first = 0; first < pages.size(); first += filter_group_pages) {
    const auto count = std::min(filter_group_pages, pages.size() - first);
    std::uint64_t all = 0;
    std::vector<std::span<const Token>> tokens;
    for (std::size_t i = 0; i < count; ++i) {
      tokens.emplace_back(set_of(kind, *pages[first + i]).tokens);
      all += tokens.back().size();
    }
    const auto in_group = static_cast<std::uint32_t>(count);
    content.facts.groups.push_back({in_group, buckets_for(all, in_group)});
    content.groups.push_back(fill_buckets(content.facts.groups.back(), tokens));
  }
  return content;
}

void replace_page(SidecarContent& content, std::size_t page, const TokenSet& tokens) {
  content.facts.pages[page].filtered = tokens.filtered;
  const auto group = page / filter_group_pages;
  refill_page(content.facts.groups[group], page % filter_group_pages, tokens.tokens, content.groups[group]);
}

// ------------------------------------------------------------------------------------------ reading

SidecarFile::SidecarFile(std::unique_ptr<platform::File> file, const SidecarHeader& header, const Key& key,
                         SidecarFacts facts)
    : file_(std::move(file)), header_(header), key_(key), facts_(std::move(facts)) {
  std::uint64_t offset = sidecar_header_bytes + header.facts_bytes;
  std::uint32_t number = 0;
  for (const auto& group : facts_.groups) {
    places_.push_back({offset, number});
    offset += std::uint64_t{group.buckets} * group.bucket_bytes();
    number += group.buckets;
  }
}

Status SidecarFile::mark(std::span<const Token> any_of, const std::vector<bool>& asked,
                         std::vector<bool>& found) const {
  CHECK(asked.size() == facts_.pages.size());
  std::vector<std::uint8_t> one;
  for (std::size_t number = 0; number < facts_.groups.size(); ++number) {
    const auto& group = facts_.groups[number];
    const auto first = number * filter_group_pages;
    bool wanted = false;
    for (std::size_t i = first; i < first + group.pages; ++i) {
      if (!asked[i]) continue;
      if (!facts_.pages[i].filtered)
        found[i] = true;
      else
        wanted = true;
    }
    if (!wanted) continue;
    one.resize(group.row_bytes());
    for (const auto token : any_of) {
      const auto place = filter_place(token, group.buckets);
      VESTIGE_TRY(const auto bucket, read_bucket(number, place.bucket));
      match_bucket(group, bucket, place, one);
      for (std::size_t i = 0; i < group.pages; ++i)
        if (asked[first + i] && (one[i / 8] >> (i % 8) & 1) != 0) found[first + i] = true;
    }
  }
  return {};
}

Result<Bytes> SidecarFile::read_bucket(std::size_t group, std::uint32_t bucket) const {
  const auto bytes = facts_.groups[group].bucket_bytes();
  const auto offset = places_[group].offset + std::uint64_t{bucket} * bytes;
  Bytes sealed(bytes);
  VESTIGE_CHECKED(file_->read(offset, sealed));
  crypto::Aead aead(key_);
  auto plain = open_chunk(aead, header_.file_id, chunk_row(ChunkType::filter, group, offset, bytes),
                          places_[group].number + bucket, sealed);
  if (!plain)
    return corrupt(file_->path(), offset,
                   fmt::format("{} was changed. It can be removed: the server builds it anew when it starts",
                               file_->path()));
  return plain;
}

Result<SidecarContent> SidecarFile::read_all() const {
  SidecarContent content{.facts = facts_, .groups = {}};
  for (std::size_t group = 0; group < facts_.groups.size(); ++group) {
    Bytes buckets;
    buckets.reserve(facts_.groups[group].buckets * filter_bucket_rows * facts_.groups[group].row_bytes());
    for (std::uint32_t bucket = 0; bucket < facts_.groups[group].buckets; ++bucket) {
      VESTIGE_TRY(const auto plain, read_bucket(group, bucket));
      buckets.insert(buckets.end(), plain.begin(), plain.end());
    }
    content.groups.push_back(std::move(buckets));
  }
  return content;
}

// ------------------------------------------------------------------------------------------ writing

Status write_clear_sidecar(const SidecarContext& context, const std::string& directory,
                           const SegmentRecord& record, const SidecarContent& content) {
  const Key key = context.entropy.bytes<32>();
  auto header = new_header(context, SidecarKind::clear, record);
  const auto wrapped = context.wrapper.wrap(key, sidecar_key_context(header.file_id));
  CHECK(wrapped.size() == header.wrapped_key.size());
  std::ranges::copy(wrapped, header.wrapped_key.begin());
  return platform::replace_file(context.files, sidecar_path(directory, record, header.kind),
                                encode_sidecar(header, key, content), platform::FileMode::shared_read);
}

Status write_sealed_sidecar(const SidecarContext& context, const std::string& directory,
                            const SegmentRecord& record, const SidecarContent& content,
                            const std::optional<Block16>& old, std::uint64_t generation) {
  const auto header = new_header(context, SidecarKind::sealed, record);
  const Key key = context.entropy.bytes<32>();
  const auto path = sidecar_path(directory, record, header.kind);
  const auto temporary = path + std::string(temporary_ending);
  if (context.files.exists(temporary)) VESTIGE_CHECKED(context.files.remove(temporary));
  {
    VESTIGE_TRY(const auto file, context.files.create(temporary, platform::FileMode::shared_read));
    VESTIGE_CHECKED(file->write(0, encode_sidecar(header, key, content)));
    VESTIGE_CHECKED(file->sync());
  }
  VESTIGE_CHECKED(context.keys->replace(
      old, SidecarKeys::Kept{.file = header.file_id, .key = key, .generation = generation}));
  VESTIGE_CHECKED(context.files.rename(temporary, path));
  return context.files.sync_directory(directory);
}

// ------------------------------------------------------------------------------------------ opening

Result<std::shared_ptr<const SidecarFile>> open_sidecar(const SidecarContext& context, SidecarKind kind,
                                                        const std::string& directory,
                                                        const SegmentRecord& record, std::size_t pages) {
  const auto path = sidecar_path(directory, record, kind);
  const auto damaged = [&](std::string_view what) {
    return corrupt(path, 0, fmt::format("{}: {}", context.files.describe(path), what));
  };
  VESTIGE_TRY(auto file, context.files.open_read_only(path));
  VESTIGE_TRY(const auto bytes, file->size());
  if (bytes < sidecar_header_bytes) return damaged("the file is shorter than its header");
  const auto header = read_header(*file);
  if (!header) return damaged(header.error().message);
  if (header->kind != kind || header->first != record.first || header->end != record.end ||
      header->segment != record.segment.digest)
    return damaged("it is the sidecar of another segment");
  if (header->facts_bytes > sidecar_facts_bytes_max || header->facts_bytes > bytes - sidecar_header_bytes)
    return damaged("its facts reach behind its end");
  const auto key = key_of(context, *header);
  if (!key && key.error().kind == ErrorKind::not_found) return std::unexpected(key.error());
  if (!key) return damaged("its key does not unwrap: " + key.error().message);
  Bytes sealed(header->facts_bytes);
  VESTIGE_CHECKED(file->read(sidecar_header_bytes, sealed));
  crypto::Aead aead(*key);
  const auto plain = open_chunk(
      aead, header->file_id, chunk_row(ChunkType::facts, 0, sidecar_header_bytes, sealed.size()), 0, sealed);
  if (!plain) return damaged(plain.error().message);
  auto facts = decode_sidecar_facts(*plain);
  if (!facts) return damaged(facts.error().message);
  if (facts->pages.size() != pages || sidecar_bytes(*header, *facts) != bytes)
    return damaged("it has another number of pages or bytes than its segment asks for");
  return std::make_shared<const SidecarFile>(std::move(file), *header, *key, *std::move(facts));
}

std::optional<Block16> sidecar_id(platform::FileSystem& files, const std::string& directory,
                                  const SegmentRecord& record, SidecarKind kind) {
  const auto file = files.open_read_only(sidecar_path(directory, record, kind));
  if (!file) return std::nullopt;
  const auto header = read_header(**file);
  if (!header) return std::nullopt;
  return header->file_id;
}

std::shared_ptr<const PageIndex> open_sidecars(const SidecarContext& context, const std::string& directory,
                                               const SegmentRecord& record, std::size_t pages) {
  auto clear = open_sidecar(context, SidecarKind::clear, directory, record, pages);
  if (!clear) return nullptr;
  std::vector<PageBounds> bounds;
  for (const auto& page : (*clear)->facts().pages)
    bounds.push_back({page.least, page.greatest, page.has_sections});
  auto index = std::make_shared<const PageIndex>(std::move(bounds), *std::move(clear), nullptr);
  if (context.keys == nullptr) return index;
  auto sealed = open_sidecar(context, SidecarKind::sealed, directory, record, pages);
  return sealed ? index->with_sidecar(*std::move(sealed)) : index;
}

}  // namespace vestige::trail
