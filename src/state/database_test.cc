// Property: a write is kept whole and durable, or leaves nothing; a read sees one state throughout, whatever
// is written beside it; what is deleted is in no file after a purge; what goes wrong is told by its kind and
// never with a value of a row in the message.
#include "state/database.h"

#include <gtest/gtest.h>
#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>
#include <sys/stat.h>

#include <fstream>
#include <random>
#include <thread>

#include "base/testing/shared_data.h"
#include "state/sequence.h"
#include "state/testing/temporary_database.h"

namespace vestige::state {
namespace {

using testing::TemporaryDatabase;
using vestige::testing::scaled;

constexpr Migration notes[] = {{"notes", 1,
                                "CREATE TABLE note (id BIGINT PRIMARY KEY, text TEXT NOT NULL UNIQUE);\n"
                                "CREATE TABLE remark (note BIGINT NOT NULL REFERENCES note (id));\n"}};

Status put(Database& database, long long id, const std::string& text) {
  return database.write([&](Transaction& transaction) -> Status {
    transaction.sql() << "INSERT INTO note (id, text) VALUES (:id, :text)", soci::use(id), soci::use(text);
    return {};
  });
}

long long count(Database& database) {
  return database
      .read([](Transaction& transaction) -> Result<long long> {
        long long rows = 0;
        transaction.sql() << "SELECT COUNT(*) FROM note", soci::into(rows);
        return rows;
      })
      .value();
}

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

bool some_file_holds(const TemporaryDatabase& database, const std::string& text) {
  for (const auto& file : std::filesystem::directory_iterator(database.folder()))
    if (bytes_of(file.path()).find(text) != std::string::npos) return true;
  return false;
}

TEST(Database, AWriteIsKeptWholeOrNotAtAll) {
  TemporaryDatabase database(notes);
  ASSERT_TRUE(put(*database, 1, "one"));
  const auto failed = database->write([](Transaction& transaction) -> Result<int> {
    transaction.sql() << "INSERT INTO note (id, text) VALUES (2, 'two')";
    return fail(ErrorKind::denied, "no");
  });
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::denied);
  EXPECT_EQ(count(*database), 1);
  EXPECT_THROW(static_cast<void>(database->write([](Transaction& transaction) -> Status {
                 transaction.sql() << "INSERT INTO note (id, text) VALUES (2, 'two')";
                 throw std::length_error("of a library that is not SOCI");
               })),
               std::length_error);
  EXPECT_EQ(count(*database), 1);
  EXPECT_EQ(count(database.reopen()), 1);
}

TEST(Database, ActsAfterACommitRunOnceItIsDurableAndOnlyThen) {
  TemporaryDatabase database(notes);
  int ran = 0;
  long long seen = 0;
  const auto work = [&](bool good) {
    return database->write([&, good](Transaction& transaction) -> Status {
      transaction.sql() << "INSERT INTO note (id, text) VALUES (1, 'one')";
      transaction.after_commit([&] {
        ++ran;
        seen = count(*database);
      });
      EXPECT_EQ(ran, 0);
      return good ? Status{} : fail(ErrorKind::denied, "no");
    });
  };
  ASSERT_FALSE(work(false));
  EXPECT_EQ(ran, 0);
  ASSERT_TRUE(work(true));
  EXPECT_EQ(ran, 1);
  EXPECT_EQ(seen, 1);
}

TEST(Database, AReadSeesOneStateAndChangesNothing) {
  TemporaryDatabase database(notes);
  ASSERT_TRUE(put(*database, 1, "one"));
  ASSERT_TRUE(database->read([&](Transaction& transaction) -> Status {
    long long before = 0;
    long long after = 0;
    transaction.sql() << "SELECT COUNT(*) FROM note", soci::into(before);
    std::thread writer([&] { EXPECT_TRUE(put(*database, 2, "two")); });
    writer.join();
    transaction.sql() << "SELECT COUNT(*) FROM note", soci::into(after);
    EXPECT_EQ(before, 1);
    EXPECT_EQ(after, 1);
    return {};
  }));
  EXPECT_EQ(count(*database), 2);
  const auto written = database->read([](Transaction& transaction) -> Status {
    transaction.sql() << "DELETE FROM note";
    return {};
  });
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().kind, ErrorKind::io);
  EXPECT_EQ(count(*database), 2);
}

// Each write adds two rows at once, so no reader may ever see an odd number of them, nor fewer than it saw
// before.
TEST(Database, ReadersBesideAWriterSeeWholeWrites) {
  TemporaryDatabase database(notes);
  const auto writes = static_cast<long long>(scaled(60));
  static_cast<void>(database.reopen());
  std::atomic<bool> done = false;
  const auto read = [&] {
    long long last = 0;
    while (!done) {
      const auto rows = count(*database);
      EXPECT_EQ(rows % 2, 0);
      EXPECT_GE(rows, last);
      last = rows;
    }
  };
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) readers.emplace_back(read);  // one more than there are connections
  for (long long i = 0; i < writes; ++i)
    EXPECT_TRUE(database->write([&](Transaction& transaction) -> Status {
      for (const long long id : {2 * i, 2 * i + 1}) {
        const auto text = std::to_string(id);
        transaction.sql() << "INSERT INTO note (id, text) VALUES (:id, :text)", soci::use(id),
            soci::use(text);
      }
      return {};
    }));
  done = true;
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(count(*database), 2 * writes);
}

TEST(Database, WhatAConstraintForbidsIsAConflictAndNamesNoValue) {
  TemporaryDatabase database(notes);
  ASSERT_TRUE(put(*database, 1, "thandi@example.org"));
  const auto twice = put(*database, 2, "thandi@example.org");
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().kind, ErrorKind::conflict);
  EXPECT_EQ(twice.error().message.find("thandi"), std::string::npos) << twice.error().message;
  const auto dangling = database->write([](Transaction& transaction) -> Status {
    transaction.sql() << "INSERT INTO remark (note) VALUES (77)";
    return {};
  });
  ASSERT_FALSE(dangling);
  EXPECT_EQ(dangling.error().kind, ErrorKind::conflict);
  const auto wrong = database->write([](Transaction& transaction) -> Status {
    const std::string secret = "thandi@example.org";
    transaction.sql() << "SELECT text FROM nowhere WHERE text = :text", soci::use(secret);
    return {};
  });
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind, ErrorKind::io);
  EXPECT_EQ(wrong.error().message.find("thandi"), std::string::npos) << wrong.error().message;
}

TEST(Database, AFullOneSaysSoKeepsWhatItHasAndGoesOnWhenThereIsRoom) {
  TemporaryDatabase database(notes);
  database.options.bytes_max = 200'000;
  long long kept = 0;
  Status last;
  for (; kept < 1000 && last; ++kept)
    last = put(*database, kept, std::string(2'000, 'x') + std::to_string(kept));
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().kind, ErrorKind::unavailable);
  EXPECT_EQ(count(*database), kept - 1);
  ASSERT_TRUE(database->write([](Transaction& transaction) -> Status {
    transaction.sql() << "DELETE FROM note WHERE id < 10";
    return {};
  }));
  EXPECT_TRUE(put(*database, kept, "room"));
  EXPECT_EQ(count(database.reopen()), kept - 10);
}

TEST(Database, NothingDeletedIsLeftInAnyFileAfterAPurge) {
  TemporaryDatabase database(notes);
  // Short values, and long ones that have pages of their own.
  for (long long i = 0; i < 40; ++i)
    ASSERT_TRUE(put(*database, i, "secret-" + std::to_string(i) + std::string(i % 4 == 0 ? 9'000 : 10, 's')));
  ASSERT_TRUE(some_file_holds(database, "secret-"));
  for (long long i = 0; i < 40; ++i)
    ASSERT_TRUE(database->write([&](Transaction& transaction) -> Status {
      const auto text = "changed " + std::to_string(i);
      if (i % 2 == 0)
        transaction.sql() << "UPDATE note SET text = :text WHERE id = :id", soci::use(text), soci::use(i);
      if (i % 2 == 1) transaction.sql() << "DELETE FROM note WHERE id = :id", soci::use(i);
      return {};
    }));
  EXPECT_TRUE(some_file_holds(database, "secret-"));  // in the log, or this test could not fail
  ASSERT_TRUE(database->purge());
  EXPECT_FALSE(some_file_holds(database, "secret-"));
  EXPECT_TRUE(some_file_holds(database, "changed 2"));
}

// Rows of all sizes that come and go move others between pages, and leave copies of them there.
TEST(Database, NoCopyOfARowThatWasMovedIsLeftEither) {
  for (std::size_t round = 0; round < scaled(3); ++round) {
    TemporaryDatabase database(notes);
    if (round % 2 == 1) database.options.purge_in_memory_bytes_max = 0;
    std::mt19937_64 random(vestige::testing::seed() + round);
    std::vector<std::pair<long long, std::string>> live;
    std::vector<std::string> gone;
    for (int step = 0; step < 60; ++step) {
      ASSERT_TRUE(database->write([&](Transaction& transaction) -> Status {
        for (int i = 0; i < 60; ++i) {
          if (live.empty() || random() % 100 < (step < 30 ? 70u : 30u)) {
            const long long id = static_cast<long long>(random() >> 1);
            const auto mark = "m" + std::to_string(random()) + "k";
            const auto text = mark + std::string(random() % (random() % 8 == 0 ? 6'000 : 300), 'x');
            transaction.sql() << "INSERT INTO note (id, text) VALUES (:id, :text)", soci::use(id),
                soci::use(text);
            live.emplace_back(id, mark);
          } else {
            std::swap(live[random() % live.size()], live.back());
            const auto [id, mark] = live.back();
            const long long named = id;
            transaction.sql() << "DELETE FROM note WHERE id = :id", soci::use(named);
            gone.push_back(mark);
            live.pop_back();
          }
        }
        return {};
      }));
    }
    ASSERT_TRUE(database->purge());
    std::string all;
    for (const auto& file : std::filesystem::directory_iterator(database.folder()))
      all += bytes_of(file.path());
    for (const auto& mark : gone) ASSERT_EQ(all.find(mark), std::string::npos) << "round " << round;
    for (const auto& [id, mark] : live) ASSERT_NE(all.find(mark), std::string::npos);
    EXPECT_EQ(count(*database), static_cast<long long>(live.size()));
  }
}

TEST(Database, APurgeWaitsForReadsUnderWayAndForNoneAfterThem) {
  TemporaryDatabase database(notes);
  database.options.busy_wait = std::chrono::milliseconds{0};
  ASSERT_TRUE(put(*database, 1, "one"));
  std::atomic<bool> done = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i)
    readers.emplace_back([&] {
      while (!done) EXPECT_GE(count(*database), 1);
    });
  for (long long i = 2; i < 20; ++i) {
    EXPECT_TRUE(put(*database, i, std::to_string(i)));
    const auto purged = database->purge();
    EXPECT_TRUE(purged) << purged.error().message;
    EXPECT_EQ(std::filesystem::file_size(database.options.path + "-wal"), 0u);
  }
  done = true;
  for (auto& reader : readers) reader.join();
}

TEST(Database, AnotherProgramThatHoldsItMakesItUnavailable) {
  TemporaryDatabase database(notes);
  database.options.busy_wait = std::chrono::milliseconds{1};
  ASSERT_TRUE(put(*database, 1, "one"));
  soci::session other(soci::sqlite3, database.options.path);
  other << "BEGIN";
  long long rows = 0;
  other << "SELECT COUNT(*) FROM note", soci::into(rows);
  EXPECT_TRUE(put(*database, 2, "two"));  // a reader holds up no writer
  EXPECT_EQ(database->purge().error().kind, ErrorKind::unavailable);
  other << "COMMIT";
  EXPECT_TRUE(database->purge());
  other << "BEGIN IMMEDIATE";
  const auto held = put(*database, 3, "three");
  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().kind, ErrorKind::unavailable);
  EXPECT_EQ(count(*database), 2);
  other << "ROLLBACK";
  EXPECT_TRUE(put(*database, 3, "three"));
}

TEST(Database, NobodyElseMayReadItsFiles) {
  TemporaryDatabase database(notes);
  const auto before = ::umask(0);
  static_cast<void>(put(*database, 1, "one"));
  ::umask(before);
  std::size_t files = 0;
  for (const auto& file : std::filesystem::directory_iterator(database.folder())) {
    struct stat about{};
    ASSERT_EQ(::stat(file.path().c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777, 0600u) << file.path();
    ++files;
  }
  EXPECT_EQ(files, 3u);  // database, log, index of the log
}

TEST(Database, AnyPathWillDo) {
  for (const std::string name : {"a b=c.db", "two  blanks.db", "=.db", "plain"}) {
    TemporaryDatabase database(notes);
    database.options.path = (database.folder() / name).string();
    ASSERT_TRUE(put(*database, 1, "one"));
    EXPECT_TRUE(std::filesystem::exists(database.options.path)) << name;
    EXPECT_EQ(count(database.reopen()), 1);
  }
  TemporaryDatabase database;
  database.options.path = (database.folder() / "a\"b").string();
  const auto opened = Database::open(database.options, {}, database.clock);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::invalid);
}

TEST(Database, DamageIsToldWithTheFile) {
  for (const bool header : {true, false}) {
    TemporaryDatabase database(notes);
    for (long long i = 0; i < 200; ++i)
      ASSERT_TRUE(put(*database, i, std::string(100, 'x') + std::to_string(i)));
    ASSERT_TRUE(database->purge());
    database.close();
    {
      std::fstream file(database.options.path, std::ios::binary | std::ios::in | std::ios::out);
      const auto size = std::filesystem::file_size(database.options.path);
      for (auto at = header ? 0u : 4096u; at < (header ? 100u : size); at += header ? 1 : 512)
        file.seekp(at), file.write("\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    }
    const auto opened = Database::open(database.options, notes, database.clock);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, ErrorKind::corrupt) << opened.error().message;
    ASSERT_TRUE(opened.error().where);
    EXPECT_EQ(opened.error().where->file, database.options.path);
  }
}

TEST(Database, NumbersOf64BitsAndTextsOfAnyBytesComeBack) {
  TemporaryDatabase database(notes);
  const std::string odd = std::string("zero ") + '\0' + " inside, \xc3\xa9, 'quoted', :named";
  const std::vector<std::pair<long long, std::string>> rows = {
      {std::numeric_limits<long long>::min(), ""},
      {-1, odd},
      {std::numeric_limits<long long>::max(), "last"}};
  for (const auto& [id, text] : rows) ASSERT_TRUE(put(*database, id, text));
  std::vector<std::pair<long long, std::string>> found;
  ASSERT_TRUE(database.reopen().read([&](Transaction& transaction) -> Status {
    std::pair<long long, std::string> row;
    soci::statement all = (transaction.sql().prepare << "SELECT id, text FROM note ORDER BY id",
                           soci::into(row.first), soci::into(row.second));
    all.execute();
    while (all.fetch()) found.push_back(row);
    return {};
  }));
  EXPECT_EQ(found, rows);
}

TEST(Sequence, GivesEachNumberOnceInOrder) {
  TemporaryDatabase database;
  std::int64_t last = 0;
  for (int i = 0; i < 20; ++i) {
    const bool kept = i % 3 != 0;
    std::int64_t number = 0;
    const auto written = database->write([&](Transaction& transaction) -> Status {
      number = next_in_sequence(transaction, "a");
      EXPECT_EQ(next_in_sequence(transaction, "b"), number);
      return kept ? Status{} : fail(ErrorKind::denied, "no");
    });
    EXPECT_EQ(written.has_value(), kept);
    EXPECT_EQ(number, last + 1);
    if (kept) last = number;
    if (i % 7 == 0) database.reopen();
  }
}

}  // namespace
}  // namespace vestige::state
