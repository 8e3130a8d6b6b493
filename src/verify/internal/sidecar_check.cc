#include "verify/internal/sidecar_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/digest.h"
#include "trail/format/segment_format.h"
#include "trail/format/sidecar_format.h"
#include "verify/limits.h"

namespace vestige::verify {
namespace {

// Decrypts all of it; the first place where that fails.
Status open_chunks(const VaultKeys& keys, const trail::SidecarHeader& header, ByteView bytes) {
  const auto key = keys.unwrap(header.wrapped_key, trail::sidecar_key_context(header.file_id));
  if (!key) return corrupt("", 64, "the file's key does not unwrap: " + key.error().message);
  crypto::Aead aead(*key);
  trail::ChunkRow row{.type = trail::ChunkType::facts,
                      .first_row = 0,
                      .rows = 0,
                      .offset = trail::sidecar_header_bytes,
                      .length = header.facts_bytes,
                      .hash = {}};
  VESTIGE_TRY(const auto plain,
              trail::open_chunk(aead, header.file_id, row, 0, bytes.subspan(row.offset, row.length)));
  VESTIGE_TRY(const auto facts, trail::decode_sidecar_facts(plain));
  if (trail::sidecar_bytes(header, facts) != bytes.size())
    return corrupt("", bytes.size(), "the file has another length than its facts give");
  row.type = trail::ChunkType::filter;
  row.offset += row.length;
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < facts.groups.size(); ++i) {
    row.first_row = static_cast<std::uint32_t>(i);
    row.length = facts.groups[i].bucket_bytes();
    for (std::uint32_t bucket = 0; bucket < facts.groups[i].buckets; ++bucket, row.offset += row.length)
      VESTIGE_CHECKED(
          trail::open_chunk(aead, header.file_id, row, number++, bytes.subspan(row.offset, row.length)));
  }
  return {};
}

Status check(const Scope& scope, ByteView bytes, const trail::SegmentRecord& record) {
  if (bytes.size() < trail::sidecar_header_bytes + sizeof(Hash))
    return corrupt("", bytes.size(), "the file is shorter than its header");
  VESTIGE_TRY(const auto header, trail::decode_sidecar_header(bytes.first(trail::sidecar_header_bytes)));
  if (header.data_id != scope.manifest.data_id)
    return corrupt("", 32, "the file belongs to another data directory");
  if (header.first != record.first || header.end != record.end || header.segment != record.segment.digest)
    return corrupt("", 48, "the file is the sidecar of another segment");
  const auto content = bytes.first(bytes.size() - sizeof(Hash));
  if (header.facts_bytes > content.size() - trail::sidecar_header_bytes)
    return corrupt("", trail::sidecar_header_bytes, "its facts reach behind its end");
  if (!std::ranges::equal(crypto::sha256(content), bytes.last(sizeof(Hash))))
    return corrupt("", 0, "the file does not match its digest; it can be removed, the server builds it anew");
  return scope.keys == nullptr ? Status{} : open_chunks(*scope.keys, header, bytes);
}

}  // namespace

void check_sidecar(const Scope& scope, const std::string& path, const trail::SegmentRecord& record,
                   Problems& problems) {
  const auto bytes = platform::read_file(scope.data, path, limits::sidecar_bytes_max);
  if (!bytes) {
    if (bytes.error().kind != ErrorKind::not_found) problems.add_error(Part::sidecar, path, bytes.error());
    return;
  }
  scope.progress.add(bytes->size(), path);
  if (const auto checked = check(scope, *bytes, record); !checked)
    problems.add_error(Part::sidecar, path, checked.error());
}

}  // namespace vestige::verify
