// Property: every step is applied once, in order, each whole or not at all; a database whose steps are not a
// beginning of this program's is refused before anything of it is changed, and the message says what to do.
#include <gtest/gtest.h>
#include <soci/soci.h>

#include "state/testing/temporary_database.h"

namespace vestige::state {
namespace {

using testing::TemporaryDatabase;

constexpr Migration first = {"notes", 1, "CREATE TABLE note (id BIGINT PRIMARY KEY);\n"};
constexpr Migration second = {"notes", 2,
                              "ALTER TABLE note ADD COLUMN text TEXT NOT NULL DEFAULT '';\n"
                              "INSERT INTO note (id, text) VALUES (1, 'by; the step');\n"};
constexpr Migration other = {"other", 1,
                             "CREATE TABLE remark (note BIGINT NOT NULL REFERENCES note (id));\n"};

Status open(TemporaryDatabase& database, const std::vector<Migration>& migrations) {
  auto opened = Database::open(database.options, migrations, database.clock);
  return opened ? Status{} : std::unexpected(opened.error());
}

std::vector<std::string> applied(TemporaryDatabase& database, const std::vector<Migration>& migrations) {
  auto opened = Database::open(database.options, migrations, database.clock);
  std::vector<std::string> steps;
  EXPECT_TRUE((*opened)->read([&](Transaction& transaction) -> Status {
    std::string module;
    long long number = 0;
    soci::statement rows = (transaction.sql().prepare << "SELECT module, number FROM state_migrations "
                                                         "WHERE module <> 'state' ORDER BY module, number",
                            soci::into(module), soci::into(number));
    rows.execute();
    while (rows.fetch()) steps.push_back(module + std::to_string(number));
    return {};
  }));
  return steps;
}

TEST(Migrations, AreAppliedOnceInOrder) {
  TemporaryDatabase database;
  EXPECT_EQ(applied(database, {first}), std::vector<std::string>{"notes1"});
  EXPECT_EQ(applied(database, {first, second, other}),
            (std::vector<std::string>{"notes1", "notes2", "other1"}));
  // A step that ran twice would fail here, or add its row again.
  EXPECT_EQ(applied(database, {first, second, other}),
            (std::vector<std::string>{"notes1", "notes2", "other1"}));
}

TEST(Migrations, AStepThatFailsLeavesNothingOfItself) {
  TemporaryDatabase database;
  constexpr Migration broken = {"notes", 2,
                                "INSERT INTO note (id) VALUES (1);\nCREATE TABLE kept (id BIGINT);\n"
                                "INSERT INTO nowhere (id) VALUES (1);\n"};
  EXPECT_FALSE(open(database, {first, broken}));
  EXPECT_EQ(applied(database, {first}), std::vector<std::string>{"notes1"});
  EXPECT_TRUE(open(database, {first, second}));  // which inserts the same row
}

TEST(Migrations, AChangedStepIsRefused) {
  TemporaryDatabase database;
  ASSERT_TRUE(open(database, {first, second}));
  constexpr Migration changed = {"notes", 1, "CREATE TABLE note (id BIGINT PRIMARY KEY );\n"};
  const auto opened = open(database, {changed, second});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::conflict);
  EXPECT_NE(opened.error().message.find("step 1 of \"notes\""), std::string::npos) << opened.error().message;
  EXPECT_TRUE(open(database, {first, second}));
}

TEST(Migrations, ADatabaseAheadOfTheProgramIsRefusedBeforeAnythingIsChanged) {
  TemporaryDatabase database;
  ASSERT_TRUE(open(database, {first, second}));
  const auto opened = open(database, {first, other});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::conflict);
  EXPECT_NE(opened.error().message.find("step 2 of \"notes\""), std::string::npos) << opened.error().message;
  EXPECT_EQ(applied(database, {first, second}), (std::vector<std::string>{"notes1", "notes2"}));
}

TEST(Migrations, AnotherProgramsDatabaseIsAheadToo) {
  TemporaryDatabase database;
  ASSERT_TRUE(open(database, {first}));
  EXPECT_FALSE(open(database, {}));
}

}  // namespace
}  // namespace vestige::state
