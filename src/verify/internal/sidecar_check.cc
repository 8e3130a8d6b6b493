#include "verify/internal/sidecar_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "crypto/digest.h"
#include "trail/format/segment_format.h"
#include "verify/limits.h"

namespace vestige::verify {
namespace {

using trail::SidecarKind;

// Container, without keys.
Result<trail::SidecarHeader> check_container(const Scope& scope, ByteView bytes, SidecarKind kind,
                                             const trail::SegmentRecord& record) {
  if (bytes.size() < trail::sidecar_header_bytes + sizeof(Hash))
    return corrupt("", bytes.size(), "the file is shorter than its header");
  VESTIGE_TRY(const auto header, trail::decode_sidecar_header(bytes.first(trail::sidecar_header_bytes)));
  if (header.kind != kind)
    return corrupt("", 0, "the file is a sidecar of the other kind than its name says");
  if (header.data_id != scope.manifest.data_id)
    return corrupt("", 32, "the file belongs to another data directory");
  if (header.first != record.first || header.end != record.end || header.segment != record.segment.digest)
    return corrupt("", 48, "the file is the sidecar of another segment");
  const auto content = bytes.first(bytes.size() - sizeof(Hash));
  if (header.facts_bytes > content.size() - trail::sidecar_header_bytes)
    return corrupt("", trail::sidecar_header_bytes, "its facts reach behind its end");
  if (!std::ranges::equal(crypto::sha256(content), bytes.last(sizeof(Hash))))
    return corrupt("", 0, "the file does not match its digest; it can be removed, the server builds it anew");
  return header;
}

struct OpenSidecar {
  trail::SidecarFacts facts;
  std::vector<Bytes> groups;
  std::vector<std::uint64_t> offsets;
};

// Decrypts all of it; the first place where that fails.
Result<OpenSidecar> open_chunks(const Key& key, const trail::SidecarHeader& header, ByteView bytes) {
  crypto::Aead aead(key);
  trail::ChunkRow row{.type = trail::ChunkType::facts,
                      .first_row = 0,
                      .rows = 0,
                      .offset = trail::sidecar_header_bytes,
                      .length = header.facts_bytes,
                      .hash = {}};
  VESTIGE_TRY(const auto plain,
              trail::open_chunk(aead, header.file_id, row, 0, bytes.subspan(row.offset, row.length)));
  OpenSidecar open;
  VESTIGE_TRY(open.facts, trail::decode_sidecar_facts(plain));
  if (trail::sidecar_bytes(header, open.facts) != bytes.size())
    return corrupt("", bytes.size(), "the file has another length than its facts give");
  row.type = trail::ChunkType::filter;
  row.offset += row.length;
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < open.facts.groups.size(); ++i) {
    row.first_row = static_cast<std::uint32_t>(i);
    row.length = open.facts.groups[i].bucket_bytes();
    open.offsets.push_back(row.offset);
    auto& buckets = open.groups.emplace_back();
    for (std::uint32_t bucket = 0; bucket < open.facts.groups[i].buckets;
         ++bucket, row.offset += row.length) {
      VESTIGE_TRY(const auto part, trail::open_chunk(aead, header.file_id, row, number++,
                                                     bytes.subspan(row.offset, row.length)));
      buckets.insert(buckets.end(), part.begin(), part.end());
    }
  }
  return open;
}

// Empty where there is no file, or no way to read it.
std::optional<Bytes> read(const Scope& scope, const std::string& path, Problems& problems) {
  auto bytes = platform::read_file(scope.data, path, limits::sidecar_bytes_max);
  if (!bytes) {
    if (bytes.error().kind != ErrorKind::not_found) problems.add_error(Part::sidecar, path, bytes.error());
    return std::nullopt;
  }
  scope.progress.add(bytes->size(), path);
  return *std::move(bytes);
}

Status check_clear(const Scope& scope, ByteView bytes, const trail::SegmentRecord& record) {
  VESTIGE_TRY(const auto header, check_container(scope, bytes, SidecarKind::clear, record));
  if (scope.keys == nullptr) return {};
  const auto key = scope.keys->unwrap(header.wrapped_key, trail::sidecar_key_context(header.file_id));
  if (!key) return corrupt("", 64, "the file's key does not unwrap: " + key.error().message);
  VESTIGE_CHECKED(open_chunks(*key, header, bytes));
  return {};
}

}  // namespace

void check_clear_sidecar(const Scope& scope, const std::string& path, const trail::SegmentRecord& record,
                         Problems& problems) {
  const auto bytes = read(scope, path, problems);
  if (!bytes) return;
  if (const auto checked = check_clear(scope, *bytes, record); !checked)
    problems.add_error(Part::sidecar, path, checked.error());
}

// ------------------------------------------------------------------------------------------ personal

SealedSidecarCheck::SealedSidecarCheck(const Scope& scope, std::string path,
                                       const trail::SegmentRecord& record, Problems& problems,
                                       std::vector<std::string>& notes)
    : path_(std::move(path)), problems_(problems) {
  const auto bytes = read(scope, path_, problems);
  if (!bytes) return;
  const auto header = check_container(scope, *bytes, SidecarKind::sealed, record);
  const auto status = !header                 ? Status(std::unexpected(header.error()))
                      : scope.keys == nullptr ? Status{}
                                              : open(scope, *bytes, *header, notes);
  if (!status) problems.add_error(Part::sidecar, path_, status.error());
}

Status SealedSidecarCheck::open(const Scope& scope, ByteView bytes, const trail::SidecarHeader& header,
                                std::vector<std::string>& notes) {
  const auto& image = scope.keys->image();
  const auto kept = std::ranges::find(image.top.kept_keys, header.file_id, &vault::KeptEntry::file);
  if (kept == image.top.kept_keys.end()) {
    if (!scope.while_running)
      notes.push_back(fmt::format(
          "The key of {} is in the vault no more, so nobody can read it; the server builds it anew.", path_));
    return {};
  }
  settled_ = !scope.while_running && kept->erasures == image.journal.records.size();
  VESTIGE_TRY(auto opened, open_chunks(kept->key.bytes, header, bytes));
  facts_ = std::move(opened.facts);
  groups_ = std::move(opened.groups);
  offsets_ = std::move(opened.offsets);
  expected_.assign(groups_.size(), 0);
  return {};
}

void SealedSidecarCheck::wrong(std::uint64_t offset, std::string reason) {
  if (!wrong_) problems_.add(Part::sidecar, path_, offset, std::move(reason));
  wrong_ = true;
}

bool SealedSidecarCheck::has_all(std::size_t page, const std::vector<seal::Token>& tokens) {
  const auto number = page / trail::filter_group_pages;
  const auto in_group = page % trail::filter_group_pages;
  const auto& group = facts_.groups[number];
  const auto row_bytes = group.row_bytes();
  needed_.assign(std::size_t{group.buckets} * trail::filter_bucket_rows, false);
  for (const auto token : tokens) {
    const auto place = trail::filter_place(token, group.buckets);
    for (const auto row : place.rows) {
      const auto at = std::size_t{place.bucket} * trail::filter_bucket_rows + row;
      if (needed_[at]) continue;
      if ((groups_[number][at * row_bytes + in_group / 8] >> (in_group % 8) & 1) == 0) return false;
      needed_[at] = true;
      ++expected_[number];
    }
  }
  return true;
}

void SealedSidecarCheck::take_page(bool has_sections, const std::vector<seal::Token>* tokens) {
  if (!is_open()) return;
  const auto page = page_++;
  if (page >= facts_.pages.size()) return;
  const auto& facts = facts_.pages[page];
  const auto offset = offsets_[page / trail::filter_group_pages];
  if (facts.has_sections != has_sections)
    return wrong(trail::sidecar_header_bytes,
                 fmt::format("it is wrong about whether page {} has sealed values", page));
  if (tokens == nullptr) complete_ = false;
  if (tokens != nullptr && facts.filtered && !has_all(page, *tokens))
    wrong(offset, fmt::format("it lacks something that a sealed value of page {} is found by, so searches "
                              "would pass the page over",
                              page));
}

void SealedSidecarCheck::finish() {
  if (!is_open()) return;
  if (page_ != facts_.pages.size())
    return wrong(trail::sidecar_header_bytes,
                 fmt::format("it tells of {} pages, and the segment has {}", facts_.pages.size(), page_));
  if (!complete_ || !settled_) return;
  for (std::size_t number = 0; number < groups_.size(); ++number) {
    std::uint64_t bits = 0;
    for (const auto byte : groups_[number]) bits += static_cast<std::uint64_t>(std::popcount(byte));
    if (bits != expected_[number])
      wrong(offsets_[number],
            "it tells of something that no sealed value of its pages that can be read has: it was added, or "
            "should have been forgotten with a person");
  }
}

}  // namespace vestige::verify
