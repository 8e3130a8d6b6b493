// Bytes of the manifest and of the signer's state. Formats: docs/formats/manifest.md, signer.md.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/strong.h"
#include "trail/format/wal_format.h"

namespace vestige::trail {

inline constexpr std::string_view manifest_name = "manifest";

struct FileDigest {
  std::uint64_t bytes = 0;
  Hash digest{};
  bool operator==(const FileDigest&) const = default;
};

struct SegmentRecord {
  std::uint64_t first = 0;
  std::uint64_t end = 0;
  FileDigest segment;
  FileDigest hashes;
  FileDigest ids;
  bool operator==(const SegmentRecord&) const = default;
};

struct StreamRecord {
  std::uint8_t number = 0;
  std::string tenant;
  std::string name;
  bool proofs = true;
  std::uint64_t sealed_size = 0;
  std::vector<Hash> frontier;
  std::vector<SegmentRecord> segments;
  std::string full_name() const { return tenant + "/" + name; }
};

struct Manifest {
  std::uint64_t sequence = 0;
  Block16 data_id{};
  UnixMs created{};
  std::uint64_t wal_root = 0;
  std::vector<StreamRecord> streams;
  std::vector<Mark> marks;
};

Bytes encode_manifest(const Manifest& manifest);
// corrupt with offset; the file's name is filled in by the caller.
Result<Manifest> decode_manifest(ByteView bytes);

struct SignerState {
  std::uint64_t counter = 0;
  std::uint64_t size = 0;
  Hash root{};
  std::array<std::uint8_t, 32> public_key{};
  UnixMs signed_at{};
  Block16 data_id{};
  std::string origin;
};

Bytes encode_signer_state(const SignerState& state);
Result<SignerState> decode_signer_state(ByteView bytes);

// A tenant or stream name: 1-64 of a-z 0-9 - _ (they become directory names and URL segments).
bool is_stream_name(std::string_view name);

}  // namespace vestige::trail
