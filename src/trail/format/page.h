// Pages: 256 entries as columns and rest. Format: docs/formats/segment.md.
//
// An entry is a canonical JSON object; its top-level members that the schema names and whose values have
// the column's form go into columns, everything else stays verbatim. Decoding gives back the exact bytes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "trail/limits.h"

namespace vestige::trail {

enum class ColumnType : std::uint8_t { uuid = 1, time = 2, text = 3, salt = 4, bytes = 5 };

struct Column {
  std::string name;
  ColumnType type;
  std::uint8_t size = 0;  // of `bytes` values
  bool operator==(const Column&) const = default;
};

// Columns in canonical order of their names, at most columns_max.
using Schema = std::vector<Column>;

// What was used to derive the salts of consecutive rows.
struct SeedRun {
  std::uint32_t count = 0;
  Block16 seed{};
};

// The salt of one index under one seed: AES-128(seed, u64 index || u64 0).
Block16 derive_salt(const Block16& seed, std::uint64_t index);
// Of `count` consecutive indexes.
void derive_salts(const Block16& seed, std::uint64_t first, std::span<Block16> out);

// Encodes 1 to page_rows entries, the first of which has index `first`. `seeds` covers them in order;
// an entry whose salt is not the derived one keeps it in the rest. Not thread-safe; reuses its memory.
class PageEncoder {
 public:
  explicit PageEncoder(const Schema& schema);
  ~PageEncoder();
  PageEncoder(PageEncoder&&) noexcept;
  // The plain of a chunk of type 1. invalid where an entry is no canonical object.
  Result<ByteView> encode(std::uint64_t first, std::span<const ByteView> entries,
                          std::span<const SeedRun> seeds);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Values of one text column of a page: a dictionary and a number per row.
struct TextColumn {
  static constexpr std::uint32_t absent = 0xffff'ffff;
  std::vector<std::string_view> values;  // as they stand between the quotes, escapes included
  std::vector<std::uint32_t> rows;       // index into values, or absent
};

// A decoded page; owns its bytes. The rest is decompressed when first needed.
class Page {
 public:
  Page();
  ~Page();
  Page(Page&&) noexcept;
  Page& operator=(Page&&) noexcept;

  // `plain` is a chunk's plain content; `first` the index of its first row.
  static Result<Page> decode(const Schema& schema, std::uint64_t first, Bytes plain);

  std::uint32_t rows() const;
  std::uint64_t first() const;
  // Of a column of type text. Cheap after the first call.
  const TextColumn& text(std::size_t column) const;
  // Of a column of type time, in ms; INT64_MIN where a row has none.
  const std::vector<std::int64_t>& times(std::size_t column) const;
  // The seed that gives the row's salt for its index; nothing where the row has another salt, or none.
  std::optional<Block16> salt_seed(std::uint32_t row) const;
  // Makes the rest available, needed before entry().
  Status load_rest();
  // Appends the canonical bytes of one row.
  void append_entry(std::uint32_t row, std::string& to) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Blobs of a page (chunk type 2).
void encode_sections(std::span<const std::vector<ByteView>> rows, Bytes& out);
Result<std::vector<std::vector<Bytes>>> decode_sections(ByteView plain, std::uint32_t rows);

}  // namespace vestige::trail
