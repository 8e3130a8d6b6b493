// Properties:
// 1. Decoding a page gives the exact bytes of every entry, whatever is in columns and whatever is not; its
//    text and time columns say of a row what the entry says.
// 2. Only what can be rebuilt goes into a column: a page of plain entries keeps neither salts nor names.
// 3. No change of a page's plain content crashes a reader or makes it read outside of the page (ASan).
// 4. Sections come back as they were; what does not parse is refused.
#include "trail/format/page.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/testing/shared_data.h"
#include "base/time_text.h"
#include "json/json.h"
#include "trail/testing/random_entries.h"

namespace vestige::trail {
namespace {

using testing::Random;
using vestige::testing::scaled;
using vestige::testing::seed;

// Entries of one page, and the seeds their salts come from.
struct Content {
  std::uint64_t first = 0;
  std::vector<std::string> entries;
  std::vector<SeedRun> seeds;

  std::vector<ByteView> views() const {
    std::vector<ByteView> out;
    for (const auto& entry : entries) out.push_back(view(entry));
    return out;
  }
};

Content random_content(Random& random, std::uint32_t rows) {
  Content content;
  content.first = random.chance(50) ? random.below(100'000) : random.next() >> 20;
  while (content.entries.size() < rows) {
    const auto left = rows - content.entries.size();
    const auto count = random.chance(60) ? left : 1 + random.below(left);
    content.seeds.push_back({static_cast<std::uint32_t>(count), random.array<16>()});
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto salt = derive_salt(content.seeds.back().seed, content.first + content.entries.size());
      content.entries.push_back(testing::random_entry(random, salt));
    }
  }
  return content;
}

Bytes encode(PageEncoder& encoder, const Content& content) {
  const auto plain = encoder.encode(content.first, content.views(), content.seeds);
  EXPECT_TRUE(plain);
  return plain ? Bytes(plain->begin(), plain->end()) : Bytes{};
}

void expect_columns(const Schema& schema, const Content& content, const Page& page) {
  json::Parser parser;
  json::Document document;
  for (std::uint32_t row = 0; row < page.rows(); ++row) {
    ASSERT_TRUE(parser.parse(content.entries[row], document));
    for (std::size_t column = 0; column < schema.size(); ++column) {
      const auto value = document.root().find(schema[column].name);
      if (schema[column].type == ColumnType::text) {
        const auto& texts = page.text(column);
        const auto number = texts.rows[row];
        ASSERT_EQ(number == TextColumn::absent, !value.is_string());
        if (value.is_string()) ASSERT_EQ("\"" + std::string(texts.values[number]) + "\"", canonical(value));
      } else if (schema[column].type == ColumnType::time) {
        const auto time = page.times(column)[row];
        const auto canonical_time = value.is_string() && value.string().size() == time_text_size
                                        ? parse_time(value.string())
                                        : std::nullopt;
        const bool kept = canonical_time && format_time(*canonical_time) == value.string();
        ASSERT_EQ(time, kept ? canonical_time->value : INT64_MIN) << content.entries[row];
      }
    }
  }
}

void expect_round_trip(const Schema& schema, const Content& content, Bytes plain) {
  auto page = Page::decode(schema, content.first, std::move(plain));
  ASSERT_TRUE(page) << page.error().message;
  ASSERT_EQ(page->rows(), content.entries.size());
  ASSERT_EQ(page->first(), content.first);
  expect_columns(schema, content, *page);
  ASSERT_TRUE(page->load_rest());
  for (std::uint32_t row = 0; row < page->rows(); ++row) {
    std::string entry;
    page->append_entry(row, entry);
    ASSERT_EQ(entry, content.entries[row]) << "row " << row;
  }
}

TEST(Page, DecodingGivesTheExactBytes) {
  const auto schema = testing::test_schema();
  PageEncoder encoder(schema);
  for (std::size_t round = 0; round < scaled(150); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed() + round));
    Random random(seed() + round);
    const std::uint32_t rows = random.chance(20)   ? page_rows
                               : random.chance(20) ? 1
                                                   : static_cast<std::uint32_t>(1 + random.below(page_rows));
    const auto content = random_content(random, rows);
    expect_round_trip(schema, content, encode(encoder, content));
    if (HasFatalFailure()) return;
  }
}

TEST(Page, AnySchemaGivesTheExactBytes) {
  const auto all = testing::test_schema();
  for (std::size_t round = 0; round < scaled(60); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed() + round));
    Random random(seed() + round);
    Schema schema;
    for (const auto& column : all)
      if (random.chance(40)) schema.push_back(column);
    PageEncoder encoder(schema);
    const auto content = random_content(random, static_cast<std::uint32_t>(1 + random.below(40)));
    expect_round_trip(schema, content, encode(encoder, content));
    if (HasFatalFailure()) return;
  }
}

TEST(Page, SaltsOfOneSeedCostOneSeed) {
  const auto schema = testing::test_schema();
  PageEncoder encoder(schema);
  Content derived{.first = 512, .entries = {}, .seeds = {{page_rows, Block16{7}}}};
  Content foreign = derived;
  Random random(seed());
  for (std::uint32_t i = 0; i < page_rows; ++i) {
    derived.entries.push_back("{\"salt\":\"" + to_base64(derive_salt(Block16{7}, 512 + i)) + "\"}");
    foreign.entries.push_back("{\"salt\":\"" + to_base64(random.array<16>()) + "\"}");
  }
  EXPECT_LT(encode(encoder, derived).size(), 80U);
  EXPECT_GT(encode(encoder, foreign).size(), page_rows * std::size_t{16});
  expect_round_trip(schema, derived, encode(encoder, derived));
  expect_round_trip(schema, foreign, encode(encoder, foreign));
}

TEST(Page, SaltsAreAesOfTheIndex) {
  const Block16 key{0x2b, 0x7e, 0x15, 0x16};
  std::vector<Block16> many(700);
  derive_salts(key, 1'000, many);
  for (std::size_t i = 0; i < many.size(); ++i) EXPECT_EQ(many[i], derive_salt(key, 1'000 + i));
  // FIPS 197, appendix C.1, has another input; a block of zeros under a zero key is a known answer as well.
  EXPECT_EQ(to_hex(derive_salt(Block16{}, 0)), "66e94bd4ef8a2c3b884cfa59ca342b2e");
}

TEST(Page, EntriesThatAreNoObjectsAreRefused) {
  const auto schema = testing::test_schema();
  PageEncoder encoder(schema);
  for (const std::string_view wrong : {"", "{", "[]", "{\"a\":1", "{\"a\" 1}"}) {
    const Content content{.first = 0, .entries = {"{}", std::string(wrong)}, .seeds = {{2, {}}}};
    const auto plain = encoder.encode(0, content.views(), content.seeds);
    ASSERT_FALSE(plain) << wrong;
    EXPECT_EQ(plain.error().kind, ErrorKind::invalid);
  }
  // The encoder is as good as new.
  Random random(seed());
  const auto content = random_content(random, 20);
  expect_round_trip(schema, content, encode(encoder, content));
}

TEST(Page, KeysWithEscapesDoNotHideAColumn) {
  // The bytes of `source\"` sort behind those of `sourceId`, the key itself before it.
  const Schema schema{{"sourceId", ColumnType::text}};
  PageEncoder encoder(schema);
  const Content content{.first = 0, .entries = {R"({"source\"":1,"sourceId":"a"})"}, .seeds = {{1, {}}}};
  auto page = Page::decode(schema, 0, encode(encoder, content));
  ASSERT_TRUE(page);
  EXPECT_NE(page->text(0).rows[0], TextColumn::absent);
}

// No canonical object repeats a key; should one come, its bytes come back all the same.
TEST(Page, ARepeatedKeyComesBackAsItWas) {
  const Schema schema{{"kind", ColumnType::text}, {"salt", ColumnType::salt}};
  PageEncoder encoder(schema);
  const auto salt = "\"salt\":\"" + to_base64(derive_salt(Block16{}, 0)) + "\"";
  const Content content{
      .first = 0, .entries = {R"({"kind":"a","kind":"b",)" + salt + "," + salt + "}"}, .seeds = {{1, {}}}};
  auto page = Page::decode(schema, 0, encode(encoder, content));
  ASSERT_TRUE(page) << page.error().message;
  ASSERT_TRUE(page->load_rest());
  std::string entry;
  page->append_entry(0, entry);
  EXPECT_EQ(entry, content.entries[0]);
}

// Reads everything that a page offers.
void read_all(const Schema& schema, Page& page) {
  if (!page.load_rest()) return;
  std::string entry;
  for (std::uint32_t row = 0; row < page.rows(); ++row) {
    entry.clear();
    page.append_entry(row, entry);
    ASSERT_GE(entry.size(), 2U);
    for (std::size_t column = 0; column < schema.size(); ++column) {
      if (schema[column].type != ColumnType::text) continue;
      const auto& texts = page.text(column);
      ASSERT_TRUE(texts.rows[row] == TextColumn::absent || texts.rows[row] < texts.values.size());
    }
  }
}

TEST(Page, FlippedBitsNeverCrash) {
  const auto schema = testing::test_schema();
  PageEncoder encoder(schema);
  std::size_t read = 0;
  for (std::size_t round = 0; round < scaled(3'000); ++round) {
    Random random(seed() + round);
    const auto content = random_content(random, static_cast<std::uint32_t>(1 + random.below(20)));
    auto plain = encode(encoder, content);
    for (auto flips = 1 + random.below(3); flips > 0; --flips)
      plain[random.below(plain.size())] ^= static_cast<std::uint8_t>(1 << random.below(8));
    if (random.chance(10)) plain.resize(random.below(plain.size()));
    auto page = Page::decode(schema, content.first, std::move(plain));
    if (!page) {
      ASSERT_EQ(page.error().kind, ErrorKind::corrupt);
      continue;
    }
    ++read;
    read_all(schema, *page);
  }
  EXPECT_GT(read, 100U);
}

// The columns of a page as the format lays them out, for pages that no encoder would write.
Bytes pack_page(const Bytes& columns, const Bytes& rest);

// zstd frames of one raw block: magic, single-segment header with a 4-byte size, block header, bytes.
void pack(const Bytes& raw, ByteWriter& to) {
  Bytes frame;
  ByteWriter writer(frame);
  writer.u32(0xfd2fb528);
  writer.u8(0xa0);
  writer.u32(static_cast<std::uint32_t>(raw.size()));
  const auto block = static_cast<std::uint32_t>(raw.size() << 3 | 1);
  writer.u16(static_cast<std::uint16_t>(block));
  writer.u8(static_cast<std::uint8_t>(block >> 16));
  writer.bytes(raw);
  to.u32(static_cast<std::uint32_t>(raw.size()));
  to.u32(static_cast<std::uint32_t>(frame.size()));
  to.bytes(frame);
}

Bytes pack_page(const Bytes& columns, const Bytes& rest) {
  Bytes out;
  ByteWriter to(out);
  pack(columns, to);
  pack(rest, to);
  return out;
}

TEST(Page, ShapesThatNoObjectHasAreRefused) {
  const Schema schema{{"kind", ColumnType::text}, {"salt", ColumnType::salt}};
  const Bytes seed_bytes(16);
  const auto columns_of = [&](const Bytes& shape, std::size_t salts) {
    Bytes columns;
    ByteWriter to(columns);
    to.varint(1);
    to.varint(1);
    to.sized(ByteView(shape));
    for (const auto mark : shape)
      if (mark == 0xff) to.varint(0);
    const auto kinds = std::ranges::count(shape, 0);
    to.varint(kinds > 0 ? 1 : 0);
    if (kinds > 0) to.sized(std::string_view("k"));
    to.varint(salts > 0 ? 1 : 0);
    if (salts > 0) {
      to.varint(salts);
      to.bytes(seed_bytes);
    }
    return columns;
  };
  EXPECT_TRUE(Page::decode(schema, 0, pack_page(columns_of({0, 1}, 1), {})));
  EXPECT_FALSE(Page::decode(schema, 0, pack_page(columns_of({1, 1}, 2), {}))) << "a column twice";
  EXPECT_FALSE(Page::decode(schema, 0, pack_page(columns_of({1, 1, 1, 1, 1}, 5), {}))) << "and beyond";
  EXPECT_FALSE(Page::decode(schema, 0, pack_page(columns_of({1, 0}, 1), {}))) << "columns out of order";
  EXPECT_FALSE(Page::decode(schema, 0, pack_page(columns_of({0xff, 0xff}, 0), {}))) << "two runs are one";
  EXPECT_FALSE(Page::decode(schema, 0, pack_page(columns_of({2}, 0), {}))) << "a column beyond the schema";
  EXPECT_FALSE(Page::decode(schema, 0, pack_page(columns_of({0xff}, 0), {}))) << "an empty run";
}

TEST(Page, LengthsPastTheLimitAreRefusedBeforeMemoryIsTaken) {
  Bytes plain;
  ByteWriter to(plain);
  to.u32(UINT32_MAX);
  to.u32(4);
  to.u32(0);
  EXPECT_FALSE(Page::decode(testing::test_schema(), 0, plain));
}

TEST(Sections, RoundTripAndRefusal) {
  for (std::size_t round = 0; round < scaled(300); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed() + round));
    Random random(seed() + round);
    const auto rows = static_cast<std::uint32_t>(1 + random.below(40));
    std::vector<std::vector<Bytes>> blobs(rows);
    std::vector<std::vector<ByteView>> views(rows);
    for (std::uint32_t row = 0; row < rows; ++row) {
      for (auto left = random.chance(50) ? random.below(4) : 0; left > 0; --left)
        blobs[row].push_back(random.bytes(random.below(100)));
      views[row].assign(blobs[row].begin(), blobs[row].end());
    }
    Bytes plain;
    encode_sections(views, plain);
    const auto again = decode_sections(plain, rows);
    ASSERT_TRUE(again);
    ASSERT_EQ(*again, blobs);
    EXPECT_FALSE(decode_sections(plain, rows + 1));
    if (plain.size() > 1) EXPECT_FALSE(decode_sections(ByteView(plain).first(plain.size() - 1), rows));
    auto longer = plain;
    longer.push_back(0);
    EXPECT_FALSE(decode_sections(longer, rows));
  }
  Bytes many;
  ByteWriter(many).varint(blobs_max + 1);
  many.resize(200);
  EXPECT_FALSE(decode_sections(many, 1));
}

}  // namespace
}  // namespace vestige::trail
