// Property: however PostgreSQL sends transactions (whole, or in pieces while several run, with
// subtransactions that are rolled back), what comes out is what a naive model keeps: each committed one once,
// in the order of the commits, its rows in order, without those that were rolled back; of what was said while
// it ran nothing counts that a rolled back subtransaction may have said.
#include "sources/postgres/transactions.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "base/encoding.h"
#include "platform/sim/sim_clock.h"
#include "platform/sim/sim_files.h"

namespace vestige::sources::postgres {
namespace {

struct World {
  platform::sim::SimDisk disk;
  platform::sim::SimEntropy entropy{7};
  std::unique_ptr<platform::FileSystem> files = disk.open("data");
  Transactions transactions{*files, entropy, "capture-crm-"};
  std::uint64_t at = 0;

  // Each at a position of its own.
  Result<std::unique_ptr<Transaction>> feed(ByteView message) {
    return transactions.feed(message, Lsn{++at});
  }
};

// Messages as PostgreSQL writes them.
class Writer {
 public:
  explicit Writer(char type) { bytes_.push_back(static_cast<std::uint8_t>(type)); }
  template <typename Number>
  Writer& number(Number value) {
    for (int shift = static_cast<int>(sizeof(Number)) * 8 - 8; shift >= 0; shift -= 8)
      bytes_.push_back(static_cast<std::uint8_t>(value >> shift));
    return *this;
  }
  Writer& text(const std::string& value) {
    bytes_.insert(bytes_.end(), value.begin(), value.end());
    return number<std::uint8_t>(0);
  }
  // One row of one text.
  Writer& row(const std::string& value) {
    number<std::uint8_t>('N').number<std::uint16_t>(1).number<std::uint8_t>('t');
    number(static_cast<std::uint32_t>(value.size()));
    bytes_.insert(bytes_.end(), value.begin(), value.end());
    return *this;
  }
  // In a piece, whose it is stands behind the type.
  Writer& part(std::uint32_t id) { return id == 0 ? *this : number(id); }
  const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

Bytes relation(std::uint32_t part, const std::string& column) {
  return Writer('R')
      .part(part)
      .number<std::uint32_t>(16400)
      .text("public")
      .text("t")
      .number<std::uint8_t>('f')
      .number<std::uint16_t>(1)
      .number<std::uint8_t>(1)
      .text(column)
      .number<std::uint32_t>(25)
      .number<std::uint32_t>(0xffff'ffff)
      .bytes();
}
Bytes insert(std::uint32_t part, const std::string& value) {
  return Writer('I').part(part).number<std::uint32_t>(16400).row(value).bytes();
}
// PostgreSQL names the whole transaction in it, whichever subtransaction sent it.
Bytes said(std::uint32_t part, const std::string& content) {
  auto bytes = Writer('M')
                   .part(part)
                   .number<std::uint8_t>(1)
                   .number<std::uint64_t>(7)
                   .text("vestige")
                   .number(static_cast<std::uint32_t>(content.size()))
                   .bytes();
  bytes.insert(bytes.end(), content.begin(), content.end());
  return bytes;
}
Bytes begin(std::uint32_t id) {
  return Writer('B').number<std::uint64_t>(1).number<std::uint64_t>(0).number(id).bytes();
}
Bytes commit(std::uint64_t lsn) {
  return Writer('C').number<std::uint8_t>(0).number(lsn).number(lsn + 1).number<std::uint64_t>(0).bytes();
}
Bytes stream_start(std::uint32_t id, bool first) {
  return Writer('S').number(id).number<std::uint8_t>(first ? 1 : 0).bytes();
}
Bytes stream_stop() { return Writer('E').bytes(); }
Bytes stream_commit(std::uint32_t id, std::uint64_t lsn) {
  return Writer('c')
      .number(id)
      .number<std::uint8_t>(0)
      .number(lsn)
      .number(lsn + 1)
      .number<std::uint64_t>(0)
      .bytes();
}
Bytes stream_abort(std::uint32_t id, std::uint32_t part) {
  return Writer('A').number(id).number(part).bytes();
}

// "column=value" of each row, and what was said.
std::vector<std::string> rows_of(Transaction& transaction) {
  std::vector<std::string> rows;
  const auto read = transaction.read([&](const Message& message, const auto& relations) -> Status {
    if (const auto* heard = std::get_if<LogicalMessage>(&message)) {
      rows.emplace_back(text(heard->content));
      return {};
    }
    const auto& inserted = std::get<Insert>(message);
    rows.push_back(fmt::format("{}={}", relations.at(0)->columns.at(0).name, inserted.row.at(0).text));
    return {};
  });
  EXPECT_TRUE(read) << read.error().message;
  return rows;
}

struct Done {
  std::uint32_t id;
  std::vector<std::string> rows;
  bool operator==(const Done&) const = default;
};

TEST(Transactions, WhatCommittedComesOutOnceInOrderWithoutWhatWasRolledBack) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 50; ++round) {
    World world;
    std::vector<Done> expected, seen;
    struct Row {
      std::uint32_t part;
      std::string text;
    };
    std::map<std::uint32_t, std::vector<Row>> running;  // streamed ones
    std::map<std::uint32_t, std::vector<std::uint32_t>> parts;
    std::uint32_t next_id = 100;
    std::uint64_t lsn = 1;
    int shape = 0, value = 0;
    const auto feed = [&](const Bytes& message) {
      auto fed = world.feed(message);
      ASSERT_TRUE(fed) << fed.error().message;
      if (*fed == nullptr) return;
      EXPECT_EQ((*fed)->commit.lsn, Lsn{lsn});
      seen.push_back({(*fed)->id.value, rows_of(**fed)});
    };
    feed(begin(1));
    feed(relation(0, "c0"));
    feed(commit(lsn));
    expected.push_back({1, {}});
    for (int step = 0; step < 120; ++step) {
      ++lsn;
      const auto row = [&] { return fmt::format("c{}=v{}", shape, value); };
      switch (random() % 6) {
        case 0: {  // a whole one
          Done done{next_id, {}};
          feed(begin(next_id++));
          for (auto count = random() % 4; count > 0; --count, ++value) {
            done.rows.push_back(row());
            feed(insert(0, fmt::format("v{}", value)));
          }
          EXPECT_FALSE(world.transactions.between_transactions());
          feed(commit(lsn));
          EXPECT_TRUE(world.transactions.between_transactions());
          expected.push_back(std::move(done));
          break;
        }
        case 1:
        case 2:
        case 3: {  // a piece of a new one, or of one that runs
          const bool first = running.size() < 3 && (running.empty() || random() % 3 == 0);
          auto id = next_id;
          if (first)
            next_id += 10;
          else
            id = std::next(running.begin(), static_cast<std::ptrdiff_t>(random() % running.size()))->first;
          feed(stream_start(id, first));
          if (random() % 4 == 0) feed(relation(id, fmt::format("c{}", ++shape)));
          running[id];
          for (auto count = random() % 4; count > 0; --count, ++value) {
            if (random() % 4 == 0) {
              running[id].push_back({0, fmt::format("said {}", value)});
              feed(said(id, fmt::format("said {}", value)));
              continue;
            }
            const auto part = id + static_cast<std::uint32_t>(random() % 3);
            running[id].push_back({part, row()});
            parts[id].push_back(part);
            feed(insert(part, fmt::format("v{}", value)));
          }
          feed(stream_stop());
          break;
        }
        case 4: {  // a subtransaction, or all of it, is rolled back
          if (running.empty()) break;
          const auto id = running.begin()->first;
          const auto part = id + static_cast<std::uint32_t>(random() % 3);
          feed(stream_abort(id, part));
          if (part == id)
            running.erase(id);
          else
            std::erase_if(running[id], [&](const Row& each) { return each.part == part || each.part == 0; });
          // PostgreSQL gives a number once: nothing more comes of one that ended.
          if (part != id && running.contains(id)) {
            if (random() % 2 == 0) {
              running[id].push_back({0, fmt::format("said {}", value)});
              feed(stream_start(id, false));
              feed(said(id, fmt::format("said {}", value)));
              feed(stream_stop());
            }
            Done done{id, {}};
            for (const auto& each : running[id]) done.rows.push_back(each.text);
            feed(stream_commit(id, lsn));
            expected.push_back(std::move(done));
            running.erase(id);
          }
          break;
        }
        default: {
          if (running.empty()) break;
          const auto id = running.rbegin()->first;
          Done done{id, {}};
          for (const auto& each : running[id]) done.rows.push_back(each.text);
          feed(stream_commit(id, lsn));
          expected.push_back(std::move(done));
          running.erase(id);
        }
      }
    }
    ASSERT_EQ(seen, expected);
  }
}

TEST(Transactions, WhatPostgresSent) {
  for (const auto& [file, expected] : std::map<std::string, std::string>{
           {"messages", "732:3 734:1 735:1 736:1 737:1 738:1 739:1 741:1 742:1 743:1 744:1 "},
           {"streamed", "746:4 "}}) {
    World world;
    std::string seen;
    std::ifstream lines(std::string(VESTIGE_SOURCE_DIR) + "/tests/golden/postgres/" + file + ".hex");
    for (std::string line; std::getline(lines, line);) {
      auto fed = world.feed(from_hex(line).value());
      ASSERT_TRUE(fed) << fed.error().message;
      if (*fed == nullptr) continue;
      int count = 0;
      const auto read = (*fed)->read([&](const Message&, const auto&) -> Status {
        ++count;
        return {};
      });
      EXPECT_TRUE(read);
      seen += fmt::format("{}:{} ", (*fed)->id.value, count);
    }
    EXPECT_EQ(seen, expected);
  }
}

// PostgreSQL orders by positions what several subtransactions did. That of a message is where its record
// ends, and so the one of the row behind it, which may come first.
TEST(Transactions, WhatIsSaidBeforeARowComesBeforeIt) {
  World world;
  const auto feed = [&](const Bytes& message, std::uint64_t at) {
    auto fed = world.transactions.feed(message, Lsn{at});
    EXPECT_TRUE(fed) << fed.error().message;
    return fed ? std::move(*fed) : nullptr;
  };
  feed(stream_start(5, true), 0);
  feed(relation(5, "c"), 0);
  feed(said(5, "first"), 10);
  feed(insert(6, "a"), 20);
  feed(insert(7, "b"), 30);
  feed(insert(7, "c"), 30);  // of one record
  feed(said(5, "second"), 30);
  feed(insert(7, "d"), 30);
  feed(said(5, "third"), 41);
  feed(insert(5, "e"), 41);
  feed(stream_stop(), 0);
  const auto done = feed(stream_commit(5, 90), 90);
  ASSERT_TRUE(done);
  EXPECT_EQ(rows_of(*done),
            (std::vector<std::string>{"first", "c=a", "second", "c=b", "c=c", "c=d", "third", "c=e"}));
}

TEST(Transactions, WhatComesOutOfTurnIsRefused) {
  const std::vector<std::vector<Bytes>> cases{
      {insert(0, "v")},         {begin(1), insert(0, "v")},  // of a table that was not described
      {begin(1), begin(2)},     {commit(1)},
      {stream_start(5, false)}, {stream_commit(5, 1)},
      {stream_abort(5, 5)},     {begin(1), relation(0, "c"), commit(1), insert(0, "v")},
  };
  for (const auto& messages : cases) {
    World world;
    for (std::size_t i = 0; i < messages.size(); ++i) {
      const auto fed = world.feed(messages[i]);
      EXPECT_EQ(fed.has_value(), i + 1 < messages.size()) << i;
      if (!fed) EXPECT_EQ(fed.error().kind, ErrorKind::invalid);
    }
  }
}

}  // namespace
}  // namespace vestige::sources::postgres
