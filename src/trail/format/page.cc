#include "trail/format/page.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "base/check.h"
#include "base/encoding.h"
#include "base/time_text.h"
#include "base/uuid.h"
#include "crypto/aead.h"
#include "trail/format/members.h"

namespace vestige::trail {
namespace {

constexpr std::uint8_t rest_run = 0xff;
constexpr int compression_level = 1;
constexpr std::size_t columns_raw_max = std::size_t{page_rows} * entry_bytes_max;
constexpr std::size_t base64_of_16_size = 24;
// RFC 8878 §3.1.1.2: what a block takes at least, and gives at most.
constexpr std::size_t zstd_block_bytes_min = 4;
constexpr std::size_t zstd_block_raw_max = 128 << 10;

// The salt input of an index: u64 index || u64 0.
Block16 salt_input(std::uint64_t index) {
  Block16 input{};
  store_le(input.data(), index);
  return input;
}

std::unexpected<Error> damaged(std::string what) { return corrupt("", 0, "page: " + what); }

}  // namespace

Block16 derive_salt(const Block16& seed, std::uint64_t index) {
  crypto::BlockPrf prf(seed);
  return prf(salt_input(index));
}

void derive_salts(const Block16& seed, std::uint64_t first, std::span<Block16> out) {
  std::array<std::uint8_t, std::size_t{page_rows} * 16> inputs;
  crypto::BlockPrf prf(seed);
  for (std::size_t done = 0; done < out.size();) {
    const std::size_t count = std::min<std::size_t>(page_rows, out.size() - done);
    for (std::size_t i = 0; i < count; ++i) {
      const auto input = salt_input(first + done + i);
      std::memcpy(inputs.data() + i * 16, input.data(), 16);
    }
    prf.many(ByteView(inputs).first(count * 16), {out[done].data(), count * 16});
    done += count;
  }
}

// ---------------------------------------------------------------------------------------- encoding

struct PageEncoder::State {
  explicit State(const Schema& columns)
      : schema(columns), values(columns.size()), compressor(ZSTD_createCCtx()) {
    CHECK(compressor != nullptr);
    CHECK(schema.size() <= columns_max);
  }
  ~State() { ZSTD_freeCCtx(compressor); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Status add_row(std::uint64_t index, ByteView entry, const Block16* salt);
  bool has_form(const Column& column, std::string_view value, const Block16* salt) const;
  void write_columns(std::size_t rows);
  void write_column(std::size_t number, ByteWriter& to);
  void write_uuids(const std::vector<std::string_view>& texts, ByteWriter& to);
  void write_texts(const std::vector<std::string_view>& texts, ByteWriter& to);
  void write_salts(ByteWriter& to);
  void pack(ByteView raw);

  const Schema& schema;
  std::vector<std::vector<std::string_view>> values;  // per column, between the quotes, rows that have it
  std::vector<std::string> shapes;
  std::vector<std::uint32_t> shape_of_row;
  std::vector<std::uint32_t> run_lengths;
  std::vector<Block16> salts;
  std::vector<SeedRun> salt_runs;  // of the rows whose salt went into the column
  const Block16* seed_of_row = nullptr;
  std::string shape;
  Bytes rest;
  Bytes columns;
  Bytes out;
  ZSTD_CCtx* compressor;
};

PageEncoder::PageEncoder(const Schema& schema) : state_(std::make_unique<State>(schema)) {}
PageEncoder::~PageEncoder() = default;
PageEncoder::PageEncoder(PageEncoder&&) noexcept = default;

// Whether a value stands in exactly the form that decoding would write.
bool PageEncoder::State::has_form(const Column& column, std::string_view value, const Block16* salt) const {
  if (value.size() < 2 || value.front() != '"') return false;
  const auto inner = value.substr(1, value.size() - 2);
  switch (column.type) {
    case ColumnType::text:
      return true;
    case ColumnType::uuid: {
      const auto uuid = parse_uuid(inner);
      if (!uuid) return false;
      char again[uuid_text_size];
      write_uuid(*uuid, again);
      return inner == std::string_view(again, sizeof again);
    }
    case ColumnType::time: {
      const auto time = inner.size() == time_text_size ? parse_time(inner) : std::nullopt;
      if (!time) return false;
      char again[time_text_size];
      write_time(*time, again);
      return inner == std::string_view(again, sizeof again);
    }
    case ColumnType::salt: {
      if (salt == nullptr || inner.size() != base64_of_16_size) return false;
      const auto bytes = array_from_base64<16>(inner);
      return bytes && *bytes == *salt;
    }
    case ColumnType::bytes: {
      const auto bytes = from_base64(inner);
      return bytes && bytes->size() == column.size;
    }
  }
  return false;
}

Status PageEncoder::State::add_row(std::uint64_t index, ByteView entry, const Block16* salt) {
  MemberScanner members(text(entry));
  shape.clear();
  std::size_t column = 0;
  std::size_t run_start = 0;
  bool in_run = false;
  std::size_t run_end = 0;
  const auto end_run = [&] {
    if (!in_run) return;
    shape.push_back(static_cast<char>(rest_run));
    const auto run = entry.subspan(run_start, run_end - run_start);
    rest.insert(rest.end(), run.begin(), run.end());
    run_lengths.push_back(static_cast<std::uint32_t>(run.size()));
    in_run = false;
  };
  while (auto member = members.next()) {
    // Both are in canonical order, so one pass over the schema serves all members. That order is the one of
    // the bytes but for keys with escapes, which name no column.
    if (member->key.find('\\') == std::string_view::npos)
      while (column < schema.size() && schema[column].name < member->key) ++column;
    const bool known = column < schema.size() && schema[column].name == member->key;
    if (known && has_form(schema[column], member->value, salt)) {
      end_run();
      shape.push_back(static_cast<char>(column));
      values[column].push_back(member->value.substr(1, member->value.size() - 2));
      if (schema[column].type == ColumnType::salt) {
        if (salt_runs.empty() || salt_runs.back().seed != *seed_of_row)
          salt_runs.push_back({0, *seed_of_row});
        ++salt_runs.back().count;
      }
      ++column;  // a row has a column once, even where an entry repeats a key
    } else {
      if (!in_run) run_start = member->start;
      in_run = true;
      run_end = member->end;
    }
  }
  if (!members.ok())
    return fail(ErrorKind::invalid, fmt::format("entry {} is no canonical JSON object", index));
  end_run();
  std::uint32_t number = 0;
  while (number < shapes.size() && shapes[number] != shape) ++number;
  if (number == shapes.size()) shapes.push_back(shape);
  shape_of_row.push_back(number);
  return {};
}

void PageEncoder::State::write_uuids(const std::vector<std::string_view>& texts, ByteWriter& to) {
  const std::size_t start = columns.size();
  to.zeros(texts.size() * 16);
  for (std::size_t row = 0; row < texts.size(); ++row) {
    const auto uuid = parse_uuid(texts[row]);
    CHECK(uuid.has_value());
    for (std::size_t plane = 0; plane < 16; ++plane)
      columns[start + plane * texts.size() + row] = uuid->bytes[plane];
  }
}

void PageEncoder::State::write_texts(const std::vector<std::string_view>& texts, ByteWriter& to) {
  std::unordered_map<std::string_view, std::uint32_t> numbers;
  std::vector<std::string_view> dictionary;
  std::vector<std::uint32_t> rows;
  rows.reserve(texts.size());
  for (const auto text : texts) {
    // Runs of one value are common; they skip the map.
    if (!rows.empty() && dictionary[rows.back()] == text) {
      rows.push_back(rows.back());
      continue;
    }
    const auto [found, added] = numbers.try_emplace(text, static_cast<std::uint32_t>(dictionary.size()));
    if (added) dictionary.push_back(text);
    rows.push_back(found->second);
  }
  to.varint(dictionary.size());
  for (const auto text : dictionary) to.sized(text);
  if (dictionary.size() > 1)
    for (const auto row : rows) to.varint(row);
}

void PageEncoder::State::write_salts(ByteWriter& to) {
  to.varint(salt_runs.size());
  for (const auto& run : salt_runs) {
    to.varint(run.count);
    to.bytes(run.seed);
  }
}

void PageEncoder::State::write_column(std::size_t number, ByteWriter& to) {
  const auto& texts = values[number];
  switch (schema[number].type) {
    case ColumnType::uuid:
      return write_uuids(texts, to);
    case ColumnType::text:
      return write_texts(texts, to);
    case ColumnType::salt:
      return write_salts(to);
    case ColumnType::time: {
      std::int64_t before = 0;
      for (const auto text : texts) {
        const auto time = parse_time(text);
        CHECK(time.has_value());
        to.varint(zigzag(time->value - before));
        before = time->value;
      }
      return;
    }
    case ColumnType::bytes:
      for (const auto text : texts) {
        const auto bytes = from_base64(text);
        CHECK(bytes.has_value());
        to.bytes(*bytes);
      }
      return;
  }
}

void PageEncoder::State::write_columns(std::size_t rows) {
  ByteWriter to(columns);
  to.varint(rows);
  to.varint(shapes.size());
  for (const auto& one : shapes) to.sized(std::string_view(one));
  if (shapes.size() > 1)
    for (const auto number : shape_of_row) to.varint(number);
  for (const auto length : run_lengths) to.varint(length);
  for (std::size_t number = 0; number < schema.size(); ++number) write_column(number, to);
}

// Appends u32 raw length, u32 compressed length, zstd frame.
void PageEncoder::State::pack(ByteView raw) {
  const std::size_t start = out.size();
  out.resize(start + 8 + ZSTD_compressBound(raw.size()));
  const std::size_t size = ZSTD_compressCCtx(compressor, out.data() + start + 8, out.size() - start - 8,
                                             raw.data(), raw.size(), compression_level);
  CHECK(!ZSTD_isError(size));
  store_le(out.data() + start, static_cast<std::uint32_t>(raw.size()));
  store_le(out.data() + start + 4, static_cast<std::uint32_t>(size));
  out.resize(start + 8 + size);
}

Result<ByteView> PageEncoder::encode(std::uint64_t first, std::span<const ByteView> entries,
                                     std::span<const SeedRun> seeds) {
  State& s = *state_;
  CHECK(!entries.empty() && entries.size() <= page_rows);
  for (auto& column : s.values) column.clear();
  s.shapes.clear();
  s.shape_of_row.clear();
  s.run_lengths.clear();
  s.salt_runs.clear();
  s.rest.clear();
  s.columns.clear();
  s.out.clear();
  s.salts.resize(entries.size());

  std::size_t row = 0;
  for (const auto& run : seeds) {
    CHECK(row + run.count <= entries.size());
    derive_salts(run.seed, first + row, std::span(s.salts).subspan(row, run.count));
    s.seed_of_row = &run.seed;
    for (std::uint32_t i = 0; i < run.count; ++i, ++row)
      VESTIGE_CHECKED(s.add_row(first + row, entries[row], &s.salts[row]));
  }
  CHECK(row == entries.size());
  s.write_columns(entries.size());
  s.pack(s.columns);
  s.pack(s.rest);
  return ByteView(s.out);
}

// ---------------------------------------------------------------------------------------- decoding

struct Page::State {
  std::uint64_t first = 0;
  std::uint32_t rows = 0;
  const Schema* schema = nullptr;
  Bytes plain;           // the chunk
  ByteView rest_packed;  // zstd frame inside plain
  std::uint32_t rest_raw = 0;
  Bytes columns;  // decompressed
  Bytes rest;     // decompressed when loaded
  bool rest_loaded = false;
  std::vector<std::string_view> shapes;
  std::vector<std::uint32_t> shape_of_row;
  std::vector<std::uint32_t> run_start;  // per row, index into run_ends
  std::vector<std::uint64_t> run_ends;   // running ends of the runs in rest
  // Per column: row -> ordinal among the rows that have it, or absent.
  std::vector<std::vector<std::uint32_t>> ordinal;
  std::vector<TextColumn> texts;
  std::vector<std::vector<std::int64_t>> times;
  std::vector<ByteView> raw;           // uuid planes, bytes
  std::vector<std::uint32_t> present;  // rows that have the column
  struct Salts {
    std::vector<SeedRun> runs;
    std::vector<Block16>
        values;  // per row that has one; derived with the rest, columns alone do not need them
  };
  std::vector<Salts> salts;

  Status read_shapes(ByteReader& in);
  Status read_column(std::size_t number, ByteReader& in);
  Status read_texts(TextColumn& column, std::size_t number, ByteReader& in);
  Status read_salts(std::size_t number, ByteReader& in);
  void derive(std::size_t number);
  void append_value(std::size_t column, std::uint32_t row, std::string& to) const;
};

Page::Page() = default;
Page::~Page() = default;
Page::Page(Page&&) noexcept = default;
Page& Page::operator=(Page&&) noexcept = default;
std::uint32_t Page::rows() const { return state_->rows; }
std::uint64_t Page::first() const { return state_->first; }
const TextColumn& Page::text(std::size_t column) const { return state_->texts[column]; }
const std::vector<std::int64_t>& Page::times(std::size_t column) const { return state_->times[column]; }

namespace {

struct Packed {
  std::uint32_t raw;
  ByteView frame;
};

std::optional<Packed> read_packed(ByteReader& in) {
  Packed packed{in.u32(), {}};
  const auto length = in.u32();
  packed.frame = in.bytes(length);
  if (!in.ok() || packed.raw > columns_raw_max) return std::nullopt;
  return packed;
}

// Columns stand in canonical order, each once; members beside them form one run between two columns.
bool is_shape(std::string_view shape, std::size_t columns) {
  std::size_t next_column = 0;
  bool after_run = false;
  for (const char mark : shape) {
    const auto column = static_cast<std::uint8_t>(mark);
    const bool run = column == rest_run;
    if (run ? after_run : column < next_column || column >= columns) return false;
    if (!run) next_column = std::size_t{column} + 1;
    after_run = run;
  }
  return true;
}

Status unpack(ByteView frame, std::uint32_t raw, Bytes& out) {
  // Before memory is taken: no frame of this size gives more.
  if (raw > (frame.size() / zstd_block_bytes_min + 1) * zstd_block_raw_max)
    return damaged("a zstd frame is too short for its stated length");
  out.resize(raw);
  // A context a thread: making one costs more than decompressing a page.
  thread_local const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(),
                                                                                  &ZSTD_freeDCtx);
  const std::size_t size =
      ZSTD_decompressDCtx(context.get(), out.data(), out.size(), frame.data(), frame.size());
  if (ZSTD_isError(size) || size != raw)
    return damaged("a zstd frame does not decompress to its stated length");
  return {};
}

}  // namespace

Status Page::State::read_shapes(ByteReader& in) {
  const auto count = in.varint();
  if (count == 0 || count > rows) return damaged("wrong number of shapes");
  for (std::uint64_t i = 0; i < count; ++i) {
    shapes.push_back(in.sized_text());
    if (!is_shape(shapes.back(), schema->size())) return damaged("a shape is none");
  }
  shape_of_row.assign(rows, 0);
  if (count > 1)
    for (auto& number : shape_of_row) {
      number = static_cast<std::uint32_t>(in.varint());
      if (number >= count) return damaged("a shape number is out of range");
    }
  ordinal.assign(schema->size(), std::vector<std::uint32_t>(rows, TextColumn::absent));
  present.assign(schema->size(), 0);
  run_start.reserve(rows + 1);
  std::uint64_t end = 0;
  for (std::uint32_t row = 0; row < rows; ++row) {
    run_start.push_back(static_cast<std::uint32_t>(run_ends.size()));
    for (const char mark : shapes[shape_of_row[row]]) {
      const auto column = static_cast<std::uint8_t>(mark);
      if (column == rest_run) {
        const auto length = in.varint();
        if (length == 0 || length > rest_raw - end) return damaged("the rest is shorter than its runs");
        end += length;
        run_ends.push_back(end);
      } else {
        ordinal[column][row] = present[column]++;
      }
    }
  }
  if (!in.ok() || end != rest_raw) return damaged("shapes and rest do not agree");
  return {};
}

Status Page::State::read_texts(TextColumn& column, std::size_t number, ByteReader& in) {
  const auto count = in.varint();
  if (count > present[number] || (count == 0) != (present[number] == 0))
    return damaged("wrong dictionary size");
  column.values.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) column.values.push_back(in.sized_text());
  column.rows.assign(rows, TextColumn::absent);
  for (std::uint32_t row = 0; row < rows; ++row) {
    if (ordinal[number][row] == TextColumn::absent) continue;
    const auto value = count > 1 ? in.varint() : 0;
    if (value >= count) return damaged("a dictionary number is out of range");
    column.rows[row] = static_cast<std::uint32_t>(value);
  }
  return {};
}

Status Page::State::read_salts(std::size_t number, ByteReader& in) {
  const auto runs = in.varint();
  if (runs > present[number]) return damaged("too many salt runs");
  std::uint64_t covered = 0;
  for (std::uint64_t i = 0; i < runs; ++i) {
    const auto count = in.varint();
    const auto seed = in.array<16>();
    if (!in.ok() || count > present[number] - covered) return damaged("salt runs do not fit");
    salts[number].runs.push_back({static_cast<std::uint32_t>(count), seed});
    covered += count;
  }
  if (covered != present[number]) return damaged("salt runs do not fit");
  return {};
}

void Page::State::derive(std::size_t number) {
  // The rows of a run need not be consecutive: a salt belongs to the row's own index.
  Bytes inputs;
  inputs.reserve(present[number] * sizeof(Block16));
  for (std::uint32_t row = 0; row < rows; ++row) {
    if (ordinal[number][row] == TextColumn::absent) continue;
    const auto input = salt_input(first + row);
    inputs.insert(inputs.end(), input.begin(), input.end());
  }
  auto& values = salts[number].values;
  values.resize(present[number]);
  std::size_t done = 0;
  for (const auto& run : salts[number].runs) {
    crypto::BlockPrf prf(run.seed);
    const auto bytes = run.count * sizeof(Block16);
    prf.many(ByteView(inputs).subspan(done * sizeof(Block16), bytes),
             {values.data()->data() + done * sizeof(Block16), bytes});
    done += run.count;
  }
}

Status Page::State::read_column(std::size_t number, ByteReader& in) {
  switch ((*schema)[number].type) {
    case ColumnType::uuid:
      raw[number] = in.bytes(std::uint64_t{present[number]} * 16);
      return {};
    case ColumnType::bytes:
      raw[number] = in.bytes(std::uint64_t{present[number]} * (*schema)[number].size);
      return {};
    case ColumnType::text:
      return read_texts(texts[number], number, in);
    case ColumnType::salt:
      return read_salts(number, in);
    case ColumnType::time: {
      auto& column = times[number];
      column.assign(rows, std::numeric_limits<std::int64_t>::min());
      std::int64_t value = 0;
      for (std::uint32_t row = 0; row < rows; ++row) {
        if (ordinal[number][row] == TextColumn::absent) continue;
        value = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) +
                                          static_cast<std::uint64_t>(unzigzag(in.varint())));
        if (value < time_min.value || value > time_max.value) return damaged("a time is out of range");
        column[row] = value;
      }
      return {};
    }
  }
  return damaged("a column of unknown type");
}

Result<Page> Page::decode(const Schema& schema, std::uint64_t first, Bytes plain) {
  Page page;
  page.state_ = std::make_unique<State>();
  State& s = *page.state_;
  s.first = first;
  s.schema = &schema;
  s.plain = std::move(plain);
  ByteReader outer(s.plain);
  const auto columns = read_packed(outer);
  const auto rest = read_packed(outer);
  if (!columns || !rest || !outer.at_end()) return damaged("its two parts do not fill it");
  s.rest_packed = rest->frame;
  s.rest_raw = rest->raw;
  VESTIGE_CHECKED(unpack(columns->frame, columns->raw, s.columns));

  ByteReader in(s.columns);
  const auto rows = in.varint();
  if (rows == 0 || rows > page_rows) return damaged("wrong number of rows");
  s.rows = static_cast<std::uint32_t>(rows);
  VESTIGE_CHECKED(s.read_shapes(in));
  s.texts.resize(schema.size());
  s.times.resize(schema.size());
  s.raw.resize(schema.size());
  s.salts.resize(schema.size());
  for (std::size_t number = 0; number < schema.size(); ++number) VESTIGE_CHECKED(s.read_column(number, in));
  if (!in.at_end()) return damaged("bytes are left over after the columns");
  return page;
}

std::optional<Block16> Page::salt_seed(std::uint32_t row) const {
  const State& s = *state_;
  CHECK(row < s.rows);
  const auto& schema = *s.schema;
  const auto column = std::ranges::find(schema, ColumnType::salt, &Column::type);
  if (column == schema.end()) return std::nullopt;
  auto place = s.ordinal[static_cast<std::size_t>(column - schema.begin())][row];
  if (place == TextColumn::absent) return std::nullopt;
  for (const auto& run : s.salts[static_cast<std::size_t>(column - schema.begin())].runs) {
    if (place < run.count) return run.seed;
    place -= run.count;
  }
  return std::nullopt;
}

Status Page::load_rest() {
  State& s = *state_;
  if (s.rest_loaded) return {};
  VESTIGE_CHECKED(unpack(s.rest_packed, s.rest_raw, s.rest));
  for (std::size_t number = 0; number < s.schema->size(); ++number)
    if ((*s.schema)[number].type == ColumnType::salt) s.derive(number);
  s.rest_loaded = true;
  return {};
}

void Page::State::append_value(std::size_t column, std::uint32_t row, std::string& to) const {
  const auto place = ordinal[column][row];
  switch ((*schema)[column].type) {
    case ColumnType::text:
      to.append(texts[column].values[texts[column].rows[row]]);
      return;
    case ColumnType::uuid: {
      Uuid uuid;
      for (std::size_t plane = 0; plane < 16; ++plane)
        uuid.bytes[plane] = raw[column][plane * present[column] + place];
      const auto start = to.size();
      to.resize(start + uuid_text_size);
      write_uuid(uuid, to.data() + start);
      return;
    }
    case ColumnType::time: {
      const auto start = to.size();
      to.resize(start + time_text_size);
      write_time(UnixMs{times[column][row]}, to.data() + start);
      return;
    }
    case ColumnType::salt:
      append_base64(to, salts[column].values[place]);
      return;
    case ColumnType::bytes: {
      const std::size_t size = (*schema)[column].size;
      append_base64(to, raw[column].subspan(place * size, size));
      return;
    }
  }
}

void Page::append_entry(std::uint32_t row, std::string& to) const {
  const State& s = *state_;
  CHECK(row < s.rows && s.rest_loaded);
  std::size_t run = s.run_start[row];
  char before = '{';
  for (const char mark : s.shapes[s.shape_of_row[row]]) {
    to.push_back(before);
    before = ',';
    const auto column = static_cast<std::uint8_t>(mark);
    if (column == rest_run) {
      const auto start = run == 0 ? 0 : s.run_ends[run - 1];
      to.append(vestige::text(ByteView(s.rest).subspan(start, s.run_ends[run] - start)));
      ++run;
    } else {
      to.push_back('"');
      to.append((*s.schema)[column].name);
      to.append("\":\"");
      s.append_value(column, row, to);
      to.push_back('"');
    }
  }
  if (before == '{') to.push_back('{');
  to.push_back('}');
}

// ---------------------------------------------------------------------------------------- sections

void encode_sections(std::span<const std::vector<ByteView>> rows, Bytes& out) {
  ByteWriter to(out);
  for (const auto& blobs : rows) {
    to.varint(blobs.size());
    for (const auto blob : blobs) to.sized(blob);
  }
}

Result<std::vector<std::vector<Bytes>>> decode_sections(ByteView plain, std::uint32_t rows) {
  ByteReader in(plain);
  std::vector<std::vector<Bytes>> out(rows);
  for (auto& blobs : out) {
    const auto count = in.varint();
    if (count > blobs_max) return damaged("an entry has too many sections");
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto blob = in.sized();
      blobs.emplace_back(blob.begin(), blob.end());
    }
  }
  if (!in.at_end()) return damaged("sections do not fill their chunk");
  return out;
}

}  // namespace vestige::trail
