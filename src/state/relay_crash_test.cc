// Property: a process that is killed at any moment, by the kernel and without a chance to tidy up, leaves a
// database in which a change is kept exactly where its event is; after the next relay every event of a kept
// change is in the trail once, and none of another.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <soci/soci.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <set>

#include "base/testing/shared_data.h"
#include "platform/sim/sim_clock.h"
#include "state/relay.h"
#include "state/testing/temporary_database.h"

namespace vestige::state {
namespace {

using testing::TemporaryDatabase;

constexpr Migration accounts[] = {
    {"accounts", 1, "CREATE TABLE account (event TEXT PRIMARY KEY, number BIGINT NOT NULL);\n"}};

// A file that keeps a line for each event, and each event once, as the trail does.
class FileTrail {
 public:
  explicit FileTrail(const std::filesystem::path& path) : path_(path) {
    // A line that the kill cut short was never acknowledged.
    auto text = content();
    text.resize(text.size() - text.size() % line_size);
    for (std::size_t at = 0; at < text.size(); at += line_size) has_.insert(text.substr(at, line_size));
    if (std::filesystem::exists(path_)) std::filesystem::resize_file(path_, text.size());
    file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }
  ~FileTrail() { ::close(file_); }
  FileTrail(const FileTrail&) = delete;
  FileTrail& operator=(const FileTrail&) = delete;

  Status take(std::span<const OutboxEvent> events) {
    for (const auto& event : events) {
      const auto line = format_uuid(event.id) + "\n";
      if (!has_.insert(line).second) continue;
      if (::write(file_, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
        return fail(ErrorKind::io, "write");
    }
    return ::fdatasync(file_) == 0 ? Status{} : fail(ErrorKind::io, "sync");
  }

  std::vector<std::string> ids() const {
    std::vector<std::string> found;
    std::ifstream file(path_);
    for (std::string line; std::getline(file, line);) found.push_back(line);
    return found;
  }

 private:
  static constexpr std::size_t line_size = uuid_text_size + 1;

  std::string content() const {
    std::ifstream file(path_, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  std::filesystem::path path_;
  std::set<std::string> has_;
  int file_ = -1;
};

// One life of the server: changes with their events, and relays between them, as they come.
class Life {
 public:
  enum class Mortal { yes, no };

  Life(const DatabaseOptions& options, const std::filesystem::path& trail, std::uint64_t seed, Mortal mortal)
      : mortal_(mortal == Mortal::yes),
        entropy_(seed),
        random_(seed),
        trail_(trail),
        database_(Database::open(options, accounts, clock_).value()),
        relay_(outbox_, lease_, [this](std::span<const OutboxEvent> events) { return take(events); }, {},
               clock_, {.batch_events_max = 3}) {}

  void relay_all() { ASSERT_TRUE(relay_.run_once()); }

  // Gives the ids of the events whose changes were acknowledged.
  std::vector<std::string> change() {
    std::vector<std::string> ids;
    const bool kept = random_() % 5 != 0;
    const auto outcome = database_->write([&](Transaction& transaction) -> Status {
      for (auto left = 1 + random_() % 3; left > 0; --left) {
        VESTIGE_TRY(const auto id, outbox_.add(transaction, "acme", "audit", "{}"));
        const auto event = format_uuid(id);
        const long long number = 1;
        transaction.sql() << "INSERT INTO account (event, number) VALUES (:event, :number)", soci::use(event),
            soci::use(number);
        ids.push_back(event);
      }
      return kept ? Status{} : fail(ErrorKind::denied, "undone");
    });
    return outcome ? ids : std::vector<std::string>{};
  }

  std::vector<std::string> changes() {
    std::vector<std::string> ids;
    EXPECT_TRUE(database_->read([&](Transaction& transaction) -> Status {
      std::string event;
      soci::statement rows =
          (transaction.sql().prepare << "SELECT event FROM account ORDER BY event", soci::into(event));
      rows.execute();
      while (rows.fetch()) ids.push_back(event);
      return {};
    }));
    return ids;
  }

  std::uint64_t random() { return random_(); }
  void perhaps_die() {
    if (mortal_ && random_() % 16 == 0) ::kill(::getpid(), SIGKILL);
  }

 private:
  Status take(std::span<const OutboxEvent> events) {
    perhaps_die();
    const auto half = events.size() / 2;
    VESTIGE_CHECKED(trail_.take(events.first(half)));
    perhaps_die();
    VESTIGE_CHECKED(trail_.take(events.subspan(half)));
    perhaps_die();
    return {};
  }

  const bool mortal_;
  platform::sim::SimClock clock_;
  platform::sim::SimEntropy entropy_;
  std::mt19937_64 random_;
  FileTrail trail_;
  std::unique_ptr<Database> database_;
  Fields fields_{Key{7}, entropy_};
  Outbox outbox_{*database_, fields_, clock_, entropy_};
  Lease lease_{*database_, clock_, "relay", "node", std::chrono::milliseconds{30'000}};
  Relay relay_;
};

// Never returns: writes the ids of acknowledged changes into `pipe` until it is killed.
[[noreturn]] void live(const DatabaseOptions& options, const std::filesystem::path& trail, std::uint64_t seed,
                       int pipe) {
  Life life(options, trail, seed, Life::Mortal::yes);
  for (;;) {
    const auto ids = life.change();
    life.perhaps_die();
    for (const auto& id : ids)
      if (::write(pipe, id.data(), id.size()) != static_cast<ssize_t>(id.size())) ::_exit(1);
    if (life.random() % 3 == 0) life.relay_all();
  }
}

TEST(RelayCrash, AKilledProcessLeavesNoChangeWithoutItsEventAndNoEventWithoutItsChange) {
  TemporaryDatabase files(accounts);
  const auto trail = files.folder() / "trail";
  std::mt19937_64 random(vestige::testing::seed());
  std::set<std::string> acknowledged;
  std::size_t relayed_late = 0;
  std::size_t from_outside = 0;
  const auto rounds = vestige::testing::scaled(50);
  for (std::size_t round = 0; round < rounds; ++round) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const auto child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(pipe[0]);
      live(files.options, trail, vestige::testing::seed() + round, pipe[1]);
    }
    ::close(pipe[1]);
    std::string id(uuid_text_size, ' ');
    const auto next = [&] {
      const bool more = ::read(pipe[0], id.data(), id.size()) == static_cast<ssize_t>(id.size());
      if (more) acknowledged.insert(id);
      return more;
    };
    // After some acknowledgements, while the child does whatever comes next; unless it has killed itself
    // before.
    auto left = 1 + random() % 12;
    while (left > 0 && next()) --left;
    from_outside += left == 0;
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        << "round " << round << ": the child failed";
    while (next()) {
    }
    ::close(pipe[0]);

    const auto before = FileTrail(trail).ids();
    Life life(files.options, trail, vestige::testing::seed() + rounds + round, Life::Mortal::no);
    life.relay_all();
    auto ids = FileTrail(trail).ids();
    relayed_late += ids.size() - before.size();
    std::ranges::sort(ids);
    ASSERT_EQ(ids, life.changes()) << "round " << round;
    for (const auto& known : acknowledged)
      ASSERT_TRUE(std::ranges::binary_search(ids, known)) << "round " << round;
  }
  EXPECT_GT(relayed_late, rounds / 2);  // what this is about: killed between the commit and the relay
  EXPECT_GT(from_outside, rounds / 10);
  EXPECT_LT(from_outside, rounds * 9 / 10);
}

}  // namespace
}  // namespace vestige::state
