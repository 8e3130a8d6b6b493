// Bytes of the write-ahead log. Format: docs/formats/wal.md.
#pragma once

#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/aead.h"
#include "trail/format/page.h"

namespace vestige::trail {

inline constexpr std::size_t wal_alignment = 512;
inline constexpr std::size_t wal_header_bytes = 512;
inline constexpr std::size_t frame_header_bytes = 96;

constexpr std::uint64_t align_frame(std::uint64_t size) {
  return (size + wal_alignment - 1) / wal_alignment * wal_alignment;
}

enum class WalFileKind : std::uint8_t { continues = 0, root = 1 };

struct WalHeader {
  WalFileKind kind = WalFileKind::root;
  std::uint64_t generation = 0;
  std::uint64_t first_sequence = 0;
  std::uint64_t file_bytes = 0;
  Block16 data_id{};
  Hash previous{};
  std::array<std::uint8_t, 60> wrapped_key{};
};

Bytes encode_wal_header(const WalHeader& header);
// corrupt with offset 0 .. 511 (the file's name is filled in by the caller).
Result<WalHeader> decode_wal_header(ByteView block);
std::string wal_key_context(const Block16& data_id, std::uint64_t generation);
std::string wal_file_name(std::uint64_t generation);
std::optional<std::uint64_t> parse_wal_file_name(std::string_view name);

enum class FrameKind : std::uint8_t { group = 1, end_mark = 2 };

struct FrameHeader {
  FrameKind kind = FrameKind::group;
  std::uint64_t generation = 0;
  std::uint64_t sequence = 0;
  std::uint32_t payload_bytes = 0;  // tag included
  Hash previous{};
  Hash hash{};
};

// Encrypts `plain` and writes header, payload and padding to `out` (replaced). Returns the frame hash.
Hash encode_frame(FrameKind kind, std::uint64_t generation, std::uint64_t sequence, const Hash& previous,
                  ByteView plain, crypto::Aead& aead, Bytes& out);
// Reads a header of 96 bytes; empty where these bytes start no frame at all.
std::optional<FrameHeader> decode_frame_header(ByteView bytes);
// Whether header and payload give the frame hash.
bool frame_hash_matches(ByteView header_bytes, ByteView payload, const FrameHeader& header);
// Decrypts; corrupt where the tag does not match.
Result<Bytes> open_frame(ByteView header_bytes, ByteView payload, const FrameHeader& header,
                         crypto::Aead& aead);

// Views into a group's plain payload, which outlives them.
struct RecordView {
  std::uint64_t fingerprint = 0;
  ByteView entry;
  std::vector<ByteView> blobs;
};

struct AppendView {
  std::uint8_t stream = 0;
  std::uint64_t first = 0;
  std::vector<SeedRun> seeds;
  std::vector<RecordView> records;
};

struct Mark {
  std::uint8_t stream = 0;
  std::string name;
  std::uint64_t value = 0;
};

struct GroupView {
  std::vector<AppendView> appends;
  std::vector<Mark> marks;
};

struct EndMark {
  struct StreamSize {
    std::uint8_t stream;
    std::uint64_t size;
  };
  std::vector<StreamSize> sizes;
  bool clean = false;
};

Result<GroupView> decode_group(ByteView plain);
// Writes one record; the group's head and marks are written by the committer, which knows the counts.
void encode_record(std::uint64_t fingerprint, ByteView entry, std::span<const ByteView> blobs, Bytes& out);
// `records` are encoded records one after the other.
void encode_append(std::uint8_t stream, std::uint64_t first, std::uint64_t count,
                   std::span<const SeedRun> seeds, ByteView records, Bytes& out);
void encode_marks(std::span<const Mark> marks, Bytes& out);
Bytes encode_end_mark(const EndMark& mark);
Result<EndMark> decode_end_mark(ByteView plain);

}  // namespace vestige::trail
