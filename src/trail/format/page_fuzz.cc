// Property: no plain content of a page or of its sections makes a reader crash or read outside of it; every
// entry that the encoder takes comes back byte for byte. The first byte chooses: the content as it is; its
// columns and rest, packed (a u16 tells where the rest begins); entries to encode, one a line; sections.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "trail/format/page.h"

namespace vestige::trail {
namespace {

const Schema& schema() {
  static const Schema columns{{"at", ColumnType::time},   {"id", ColumnType::uuid},
                              {"kind", ColumnType::text}, {"mac", ColumnType::bytes, 4},
                              {"salt", ColumnType::salt}, {"tenant", ColumnType::text}};
  return columns;
}

// A zstd frame of one raw block (RFC 8878): magic, header with a 4-byte size, block header, bytes.
void pack(ByteView raw, Bytes& out) {
  ByteWriter to(out);
  to.u32(static_cast<std::uint32_t>(raw.size()));
  to.u32(static_cast<std::uint32_t>(raw.size() + 12));
  to.u32(0xfd2fb528);
  to.u8(0xa0);
  to.u32(static_cast<std::uint32_t>(raw.size()));
  const auto block = static_cast<std::uint32_t>(raw.size() << 3 | 1);
  to.u16(static_cast<std::uint16_t>(block));
  to.u8(static_cast<std::uint8_t>(block >> 16));
  to.bytes(raw);
}

void read_page(Bytes plain) {
  auto page = Page::decode(schema(), 1'000, std::move(plain));
  if (!page) return;
  CHECK(page->rows() > 0 && page->rows() <= page_rows);
  for (std::size_t column = 0; column < schema().size(); ++column) {
    if (schema()[column].type == ColumnType::text)
      for (const auto row : page->text(column).rows)
        CHECK(row == TextColumn::absent || row < page->text(column).values.size());
    if (schema()[column].type == ColumnType::time) CHECK(page->times(column).size() == page->rows());
  }
  if (!page->load_rest()) return;
  std::string entry;
  for (std::uint32_t row = 0; row < page->rows(); ++row) {
    entry.clear();
    page->append_entry(row, entry);
    CHECK(entry.front() == '{' && entry.back() == '}');
  }
}

void read_packed(ByteView bytes) {
  if (bytes.size() < 2) return;
  const auto at = std::min<std::size_t>(load_le<std::uint16_t>(bytes.data()), bytes.size() - 2);
  if (bytes.size() > 100'000) return;  // one raw block holds no more than 128 KiB
  Bytes plain;
  pack(bytes.subspan(2, at), plain);
  pack(bytes.subspan(2 + at), plain);
  read_page(std::move(plain));
}

void write_page(ByteView bytes) {
  std::vector<ByteView> entries;
  while (!bytes.empty() && entries.size() < page_rows) {
    const auto end = std::min(vestige::text(bytes).find('\n'), bytes.size());
    entries.push_back(bytes.first(end));
    bytes = bytes.subspan(std::min(end + 1, bytes.size()));
  }
  if (entries.empty()) return;
  static PageEncoder encoder(schema());
  const SeedRun run{static_cast<std::uint32_t>(entries.size()), Block16{}};
  const auto plain = encoder.encode(1'000, entries, std::span(&run, 1));
  if (!plain) return;
  auto page = Page::decode(schema(), 1'000, Bytes(plain->begin(), plain->end()));
  CHECK(page && page->rows() == entries.size() && page->load_rest());
  for (std::uint32_t row = 0; row < page->rows(); ++row) {
    std::string entry;
    page->append_entry(row, entry);
    CHECK(entry == vestige::text(entries[row]));
  }
}

void read_sections(ByteView bytes) {
  if (bytes.empty()) return;
  const auto sections = decode_sections(bytes.subspan(1), bytes[0]);
  if (!sections) return;
  std::vector<std::vector<ByteView>> views;
  for (const auto& row : *sections) views.emplace_back(row.begin(), row.end());
  Bytes again;
  encode_sections(views, again);
  CHECK(std::ranges::equal(again, bytes.subspan(1)));
}

}  // namespace
}  // namespace vestige::trail

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const vestige::ByteView rest(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      vestige::trail::read_page(vestige::Bytes(rest.begin(), rest.end()));
      break;
    case 1:
      vestige::trail::read_packed(rest);
      break;
    case 2:
      vestige::trail::write_page(rest);
      break;
    default:
      vestige::trail::read_sections(rest);
      break;
  }
  return 0;
}
