// Property: no payload of a WAL frame makes its reader crash or read outside of it; what is accepted is the
// one encoding of what it says. The first byte chooses: a group, an end mark, a frame header or a file header
// (whose hash is put right).
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "crypto/digest.h"
#include "trail/format/wal_format.h"

namespace vestige::trail {
namespace {

void read_group(ByteView plain) {
  const auto group = decode_group(plain);
  if (!group) return;
  Bytes again;
  ByteWriter(again).varint(group->appends.size());
  for (const auto& append : group->appends) {
    Bytes records;
    for (const auto& record : append.records)
      encode_record(record.fingerprint, record.entry, record.blobs, records);
    encode_append(append.stream, append.first, append.records.size(), append.seeds, records, again);
  }
  encode_marks(group->marks, again);
  CHECK(std::ranges::equal(again, plain));
}

void read_end_mark(ByteView plain) {
  if (const auto mark = decode_end_mark(plain)) CHECK(std::ranges::equal(encode_end_mark(*mark), plain));
}

void read_header(ByteView bytes) {
  Bytes block(bytes.begin(), bytes.end());
  block.resize(wal_header_bytes);
  const auto hash = crypto::sha256(ByteView(block).first(block.size() - sizeof(Hash)));
  std::ranges::copy(hash, block.end() - sizeof(Hash));
  if (const auto header = decode_wal_header(block)) CHECK(encode_wal_header(*header) == block);
}

void read_frame(ByteView bytes) {
  const auto header = decode_frame_header(bytes);
  if (!header) return;
  CHECK(header->payload_bytes <= frame_payload_bytes_max);
  CHECK(!frame_hash_matches(bytes, bytes.subspan(frame_header_bytes), *header) ||
        bytes.size() > frame_header_bytes);
}

}  // namespace
}  // namespace vestige::trail

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const vestige::ByteView rest(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      vestige::trail::read_group(rest);
      break;
    case 1:
      vestige::trail::read_end_mark(rest);
      break;
    case 2:
      vestige::trail::read_header(rest);
      break;
    default:
      vestige::trail::read_frame(rest);
      break;
  }
  return 0;
}
