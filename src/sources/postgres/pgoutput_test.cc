// Property: what PostgreSQL sent is read as another decoder reads it (tests/golden/postgres, recorded from
// PostgreSQL 15); a message that is cut short, has more behind it, or comes out of turn is refused.
#include "sources/postgres/pgoutput.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/encoding.h"

namespace vestige::sources::postgres {
namespace {

std::string golden(const std::string& name) {
  return std::string(VESTIGE_SOURCE_DIR) + "/tests/golden/postgres/" + name;
}

std::vector<Bytes> recorded(const std::string& name) {
  std::vector<Bytes> messages;
  std::ifstream file(golden(name + ".hex"));
  for (std::string line; std::getline(file, line);) messages.push_back(from_hex(line).value());
  EXPECT_FALSE(messages.empty()) << name;
  return messages;
}

std::string rendered(const Row& row) {
  std::string out;
  for (const auto& value : row) {
    if (!out.empty()) out += ' ';
    if (value.state == Value::State::null)
      out += '-';
    else if (value.state == Value::State::unchanged)
      out += '?';
    else if (value.text.size() <= 40)
      out += fmt::format("'{}'", value.text);
    else
      out += fmt::format("'{}...{}'", value.text.substr(0, 10), value.text.size());
  }
  return fmt::format("({})", out);
}

// One line a message, as the golden files have it.
struct Renderer {
  std::string operator()(const Begin& begin) const {
    return fmt::format("begin {} {} {}", format_lsn(begin.final_lsn), begin.committed.value,
                       begin.transaction.value);
  }
  std::string operator()(const Commit& commit) const {
    return fmt::format("commit {} {} {}", format_lsn(commit.lsn), format_lsn(commit.end),
                       commit.committed.value);
  }
  std::string operator()(const Origin& origin) const {
    return fmt::format("origin {} {}", format_lsn(origin.lsn), origin.name);
  }
  std::string operator()(const Relation& relation) const {
    auto out = fmt::format("relation {} {}.{} {} ", relation.id.value, relation.schema, relation.name,
                           static_cast<char>(relation.identity));
    std::string columns;
    for (const auto& column : relation.columns)
      columns += fmt::format("{}{}{}:{}:{}", columns.empty() ? "" : " ", column.key ? "*" : "", column.name,
                             column.type.value, column.modifier);
    return out + columns;
  }
  std::string operator()(const Type& type) const {
    return fmt::format("type {} {}.{}", type.id.value, type.schema, type.name);
  }
  std::string operator()(const Insert& insert) const {
    return fmt::format("insert {} new{}", insert.relation.value, rendered(insert.row));
  }
  std::string operator()(const Update& update) const {
    std::string old;
    if (update.key) old = " key" + rendered(*update.key);
    if (update.old) old = " old" + rendered(*update.old);
    return fmt::format("update {}{} new{}", update.relation.value, old, rendered(update.row));
  }
  std::string operator()(const Delete& gone) const {
    return fmt::format("delete {} {}", gone.relation.value,
                       gone.key ? "key" + rendered(*gone.key) : "old" + rendered(gone.old.value()));
  }
  std::string operator()(const Truncate& truncate) const {
    auto out = fmt::format("truncate {}", (truncate.cascade ? 1 : 0) + (truncate.restart_identity ? 2 : 0));
    for (const auto relation : truncate.relations) out += fmt::format(" {}", relation.value);
    return out;
  }
  std::string operator()(const LogicalMessage& message) const {
    return fmt::format("message {} {} {} {}", message.transactional ? 1 : 0, format_lsn(message.lsn),
                       message.prefix, text(message.content));
  }
  std::string operator()(const StreamStart& start) const {
    return fmt::format("start {} {}", start.transaction.value, start.first ? 1 : 0);
  }
  std::string operator()(const StreamStop&) const { return "stop"; }
  std::string operator()(const StreamCommit& commit) const {
    return fmt::format("stream-{}", (*this)(commit.commit))
        .insert(13, fmt::format(" {}", commit.transaction.value));
  }
  std::string operator()(const StreamAbort& abort) const {
    return fmt::format("abort {} {}", abort.transaction.value, abort.part.value);
  }
};

std::string rendered(const Decoded& decoded) {
  const auto part = decoded.part ? fmt::format("[{}] ", decoded.part->value) : "";
  return part + std::visit(Renderer{}, decoded.message);
}

TEST(Pgoutput, WhatPostgresSentIsReadAsAnotherDecoderReadsIt) {
  for (const std::string name : {"messages", "streamed"}) {
    Decoder decoder;
    std::ifstream expected(golden(name + ".txt"));
    for (const auto& message : recorded(name)) {
      const auto decoded = decoder.decode(message);
      ASSERT_TRUE(decoded) << decoded.error().message;
      std::string line;
      ASSERT_TRUE(std::getline(expected, line));
      EXPECT_EQ(rendered(*decoded), line);
    }
    std::string line;
    EXPECT_FALSE(std::getline(expected, line)) << line;
  }
}

TEST(Pgoutput, AMessageThatIsNotWholeIsRefused) {
  for (const std::string name : {"messages", "streamed"}) {
    Decoder decoder;
    for (const auto& message : recorded(name)) {
      for (std::size_t length = 0; length < message.size(); ++length) {
        auto copy = decoder;  // what went before decides the form
        const auto cut = copy.decode(ByteView(message).first(length));
        ASSERT_FALSE(cut) << to_hex(message) << " cut to " << length;
        EXPECT_EQ(cut.error().kind, ErrorKind::corrupt);
      }
      auto longer = message;
      longer.push_back(0);
      auto copy = decoder;
      EXPECT_FALSE(copy.decode(longer)) << to_hex(message);
      ASSERT_TRUE(decoder.decode(message));
    }
  }
}

TEST(Pgoutput, PiecesOfTransactionsDoNotNest) {
  const auto start = from_hex("53000002ea01").value(), stop = from_hex("45").value();
  Decoder decoder;
  EXPECT_FALSE(decoder.decode(stop));
  ASSERT_TRUE(decoder.decode(start));
  EXPECT_FALSE(decoder.decode(start));
  ASSERT_TRUE(decoder.decode(stop));
  EXPECT_FALSE(decoder.decode(stop));
}

TEST(Pgoutput, PacketsOfTheStream) {
  const auto packet = from_hex("7700000000000000100000000000000020000304721a3e6d5745").value();
  const auto wal = decode_copy_data(packet);
  ASSERT_TRUE(wal);
  const auto& data = std::get<WalData>(*wal);
  EXPECT_EQ(data.start, Lsn{16});
  EXPECT_EQ(data.server_end, Lsn{32});
  EXPECT_EQ(to_hex(data.message), "45");
  const auto alive = decode_copy_data(from_hex("6b0000000000000020000304721a3e6d5701").value());
  ASSERT_TRUE(alive);
  EXPECT_TRUE(std::get<Keepalive>(*alive).reply_wanted);
  for (const auto* none : {"", "77", "6b", "7a00", "6b0000000000000020000304721a3e6d570100"})
    EXPECT_FALSE(decode_copy_data(from_hex(none).value())) << none;
  EXPECT_EQ(to_hex(view(status_update(Lsn{0x1'0000'0002}, UnixMs{946'684'800'001}, true))),
            "72000000010000000200000001000000020000000100000002"
            "00000000000003e8"
            "01");
}

TEST(Pgoutput, PlacesAsText) {
  EXPECT_EQ(format_lsn(Lsn{0x16'b374'd848}), "16/B374D848");
  for (const std::uint64_t place : {std::uint64_t{0}, std::uint64_t{1} << 32, ~std::uint64_t{0}})
    EXPECT_EQ(parse_lsn(format_lsn(Lsn{place})), Lsn{place});
  for (const auto* none : {"", "/", "1/", "/1", "1", "1/2/3", "x/1", "1/100000000", "-1/1", " 1/1"})
    EXPECT_FALSE(parse_lsn(none)) << none;
}

}  // namespace
}  // namespace vestige::sources::postgres
