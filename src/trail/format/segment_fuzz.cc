// Property: no header, table or trailer of a segment makes its reader crash or read outside of it; what is
// accepted is the one encoding of what it says, and its chunks fill the file without gaps. The first byte
// chooses: a header; table and trailer, whose digest is put right.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "crypto/digest.h"
#include "trail/format/segment_format.h"

namespace vestige::trail {
namespace {

void read_header(ByteView bytes) {
  Bytes block(bytes.begin(), bytes.end());
  block.resize(segment_header_bytes);
  if (const auto header = decode_segment_header(block)) CHECK(encode_segment_header(*header) == block);
}

void read_end(ByteView bytes) {
  if (bytes.size() < segment_trailer_bytes) return;
  Bytes whole(bytes.begin(), bytes.end());
  const auto hash = crypto::sha256(ByteView(whole).first(whole.size() - sizeof(Hash)));
  std::ranges::copy(hash, whole.end() - sizeof(Hash));
  const auto trailer = ByteView(whole).last(segment_trailer_bytes);
  const auto table = ByteView(whole).first(whole.size() - segment_trailer_bytes);
  // The size of a file in which the table stands where the trailer says.
  const auto file_bytes = load_le<std::uint64_t>(trailer.data()) + whole.size();
  if (!decode_segment_trailer(trailer, file_bytes)) return;
  const auto end = decode_segment_end(table, trailer, file_bytes);
  if (!end) return;
  std::uint64_t offset = segment_header_bytes;
  for (const auto& chunk : end->chunks) {
    CHECK(chunk.offset == offset && chunk.length >= crypto::tag_bytes);
    offset += chunk.length;
  }
  CHECK(offset == end->table_offset);
  Hash digest;
  CHECK(encode_segment_end(end->chunks, end->table_offset, end->rows, end->header_hash, digest) == whole);
}

}  // namespace
}  // namespace vestige::trail

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const vestige::ByteView rest(data + 1, size - 1);
  if (data[0] % 2 == 0)
    vestige::trail::read_header(rest);
  else
    vestige::trail::read_end(rest);
  return 0;
}
