// Property: with the log's own threads running, whatever many submitters and readers do at once: every
// submission is settled exactly once; what was settled with success is readable from then on at the place it
// was told; every snapshot is a prefix of the final log with the root of that prefix; ids are found. Streams
// that are added meanwhile take entries at once, and every list of streams is a prefix of the final one. Run
// under ThreadSanitizer by ./dev check.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/mutex.h"
#include "base/testing/shared_data.h"
#include "trail/testing/sim_trail.h"

namespace vestige::trail {
namespace {

using testing::events_stream;
using testing::Random;
using testing::system_stream;
using vestige::testing::scaled;
using vestige::testing::seed;

constexpr std::size_t submitters = 3;
constexpr std::size_t readers = 2;

// Settled on the committer, awaited by the submitter.
class Outcome {
 public:
  void settle(Status status) {
    Lock lock(mutex_);
    EXPECT_FALSE(status_) << "settled twice";
    status_ = std::move(status);
    settled_.notify_all();
  }
  Status wait() {
    Lock lock(mutex_);
    while (!status_) settled_.wait(mutex_);
    return *status_;
  }

 private:
  Mutex mutex_;
  Condition settled_;
  std::optional<Status> status_ GUARDED_BY(mutex_);
};

class OneEvent final : public Submission {
 public:
  OneEvent(std::uint8_t stream, std::uint64_t id, std::shared_ptr<Outcome> outcome,
           std::shared_ptr<std::atomic<std::uint64_t>> index)
      : stream_(stream), id_(id), outcome_(std::move(outcome)), index_(std::move(index)) {}
  std::uint8_t stream() const override { return stream_; }
  std::size_t bytes_max() const override { return 400; }
  Status place(Placement& placement) override {
    index_->store(placement.next_index().value);
    const Bytes blob(20, static_cast<std::uint8_t>(id_));
    const ByteView blobs[] = {blob};
    const auto entry = testing::entry_of({.id = id_, .padding = 10, .blobs = {}}, placement.next_salt());
    placement.add(testing::fingerprint_of(id_), view(entry), std::span(blobs).first(id_ % 2), nullptr);
    placement.set_mark("last", id_);
    return {};
  }
  void settled(Status status) override { outcome_->settle(std::move(status)); }

 private:
  const std::uint8_t stream_;
  const std::uint64_t id_;
  std::shared_ptr<Outcome> outcome_;
  std::shared_ptr<std::atomic<std::uint64_t>> index_;
};

void expect_there(Log& log, std::uint8_t stream, std::uint64_t id, std::uint64_t index) {
  const auto snapshot = log.stream(stream).snapshot();
  ASSERT_GT(snapshot.size(), index);
  const auto record = snapshot.read(index);
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_NE(record->entry.find(testing::id_member(id)), std::string::npos);
  EXPECT_EQ(record->blobs.size(), id % 2);
  const auto found = log.stream(stream).ids().find(testing::fingerprint_of(id));
  ASSERT_TRUE(found);
  EXPECT_TRUE(std::ranges::find(*found, index) != found->end());
}

// Where the WAL is full because sealing is behind, it tries again, as a client would.
template <typename StreamOf>
void submit_events(Log& log, std::uint64_t first_id, std::uint64_t count, const StreamOf& stream_of) {
  for (auto id = first_id; id < first_id + count;) {
    const std::uint8_t stream = stream_of(id);
    auto outcome = std::make_shared<Outcome>();
    auto index = std::make_shared<std::atomic<std::uint64_t>>(0);
    const auto taken = log.submit(std::make_unique<OneEvent>(stream, id, outcome, index));
    ASSERT_TRUE(taken) << taken.error().message;
    if (const auto settled = outcome->wait(); !settled) {
      ASSERT_EQ(settled.error().kind, ErrorKind::unavailable) << settled.error().message;
      ASSERT_FALSE(log.figures().writing_stopped);
      std::this_thread::yield();
      continue;
    }
    expect_there(log, stream, id, index->load());
    ++id;
  }
}

std::uint8_t one_of_two(std::uint64_t id) { return id % 3 == 0 ? system_stream : events_stream; }

// Some names are added by several threads at once; all of them get the same stream.
std::string added_name(std::uint64_t id) { return "added-" + std::to_string(id % 20); }

std::uint8_t added_for(Log& log, std::uint64_t id) {
  const auto added = log.add_stream({"late", added_name(id), true});
  EXPECT_TRUE(added) << added.error().message;
  return added ? (*added)->number() : events_stream;
}

// As a list of all tenants would, and a search by name.
void list_streams(Log& log, const std::atomic<bool>& stop, std::vector<Stream*>& last) {
  while (!stop.load()) {
    const auto now = log.streams();
    ASSERT_GE(now.size(), last.size());
    ASSERT_TRUE(std::equal(last.begin(), last.end(), now.begin())) << "a stream went or moved";
    for (auto* const stream : now) {
      ASSERT_EQ(log.stream(stream->tenant(), stream->name()), stream);
      ASSERT_EQ(&log.stream(stream->number()), stream);
    }
    last = now;
    (void)log.figures();
  }
}

struct Seen {
  std::uint64_t size;
  Hash root;
};

// Scans snapshots, whatever the sealer does beneath; the bytes must give the root.
void read_snapshots(Log& log, const std::atomic<bool>& stop, std::uint64_t reader, std::vector<Seen>& seen) {
  Random random(seed() + reader);
  while (!stop.load()) {
    const auto snapshot = log.stream(events_stream).snapshot();
    seen.push_back({snapshot.size(), snapshot.root()});
    if (snapshot.size() == 0) continue;
    Frontier frontier;
    const auto scanned = snapshot.scan(0, UINT64_MAX, Snapshot::Order::ascending, {},
                                       [&](const ScannedRow& row) -> Result<bool> {
                                         frontier.append(leaf_hash(view(row.entry)));
                                         return true;
                                       });
    ASSERT_TRUE(scanned) << scanned.error().message;
    ASSERT_EQ(frontier.size(), snapshot.size());
    ASSERT_EQ(frontier.root(), snapshot.root());
    const auto index = random.below(snapshot.size());
    const auto leaf = snapshot.leaf(index);
    const auto path = snapshot.inclusion(index, snapshot.size());
    ASSERT_TRUE(leaf && path);
    ASSERT_TRUE(verify_inclusion(*leaf, index, snapshot.size(), *path, snapshot.root()));
    (void)log.figures();
    (void)log.mark(events_stream, "last");
  }
}

// What a log needs, with so small a WAL that the sealer has work.
class LogThreads : public ::testing::Test {
 protected:
  static Options threaded() {
    auto options = testing::small_options();
    options.threads = true;
    options.end_mark_after = std::chrono::milliseconds(1);
    options.wal_bytes_max = 256 << 10;
    return options;
  }

  platform::sim::SimDisk disk_;
  const std::unique_ptr<platform::FileSystem> files_ = disk_.open("data");
  platform::sim::SimClock clock_;
  platform::sim::SimEntropy entropy_{seed()};
  testing::TestWrapper wrapper_;
  testing::NoBarrier barrier_;
  const std::vector<StreamSpec> specs_{{"acme", "events", true}, {"acme", "system", false}};
  const LogParts parts_{.files = *files_,
                        .clock = clock_,
                        .entropy = entropy_,
                        .wrapper = wrapper_,
                        .barrier = barrier_,
                        .schema = testing::test_schema()};
};

TEST_F(LogThreads, SubmittersReadersAndTheSealerTogether) {
  auto options = threaded();
  // So little that the sealer has to seal blocks that are not full.
  options.wal_file_bytes = 64 << 10;
  auto log = Log::open(parts_, options, specs_);
  ASSERT_TRUE(log);
  (*log)->start();
  const auto each = scaled(600);
  std::atomic<bool> stop = false;
  std::vector<std::vector<Seen>> seen(readers);
  std::vector<std::thread> reading;
  for (std::size_t i = 0; i < readers; ++i)
    reading.emplace_back([&, i] { read_snapshots(**log, stop, i, seen[i]); });
  std::vector<std::thread> writing;
  for (std::size_t i = 0; i < submitters; ++i)
    writing.emplace_back([&, i] { submit_events(**log, 1 + i * each, each, one_of_two); });
  for (auto& thread : writing) thread.join();
  stop = true;
  for (auto& thread : reading) thread.join();
  // What was written is more than the WAL may hold, so segments were sealed beneath the readers.
  EXPECT_GT((*log)->figures().segments_sealed, 0U);
  const auto stopped = (*log)->stop();
  ASSERT_TRUE(stopped) << stopped.error().message;
  EXPECT_FALSE((*log)->submit(
      std::make_unique<OneEvent>(events_stream, 9'999'999, std::make_shared<Outcome>(), nullptr)));

  auto again = Log::open(parts_, options, specs_);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE((*again)->recovery().clean);
  const auto final_log = (*again)->stream(events_stream).snapshot();
  EXPECT_EQ(final_log.size() + (*again)->stream(system_stream).size(), submitters * each);
  for (const auto& of_reader : seen)
    for (const auto& [size, root] : of_reader) {
      const auto then = final_log.root_at(size);
      ASSERT_TRUE(then);
      ASSERT_EQ(*then, root) << "a snapshot of " << size << " was no prefix";
    }
}

TEST_F(LogThreads, StreamsAreAddedWhileOthersAreWrittenAndRead) {
  auto opened = Log::open(parts_, threaded(), specs_);
  ASSERT_TRUE(opened);
  Log& log = **opened;
  log.start();
  const auto each = scaled(200);
  std::atomic<bool> stop = false;
  std::vector<std::vector<Stream*>> lists(readers);
  std::vector<Seen> seen;
  std::vector<std::thread> reading;
  for (auto& list : lists) reading.emplace_back([&] { list_streams(log, stop, list); });
  reading.emplace_back([&] { read_snapshots(log, stop, 0, seen); });
  std::vector<std::thread> writing;
  writing.emplace_back([&] { submit_events(log, 1, each, one_of_two); });
  for (std::size_t i = 1; i < submitters; ++i)
    writing.emplace_back([&, i] {
      submit_events(log, 1 + i * each, each, [&](std::uint64_t id) { return added_for(log, id); });
    });
  for (auto& thread : writing) thread.join();
  stop = true;
  for (auto& thread : reading) thread.join();

  const auto all = log.streams();
  ASSERT_EQ(all.size(), 22U);
  for (const auto& list : lists) EXPECT_TRUE(std::equal(list.begin(), list.end(), all.begin()));
  std::map<std::string, std::pair<std::uint64_t, Hash>> expected;
  std::uint64_t entries = 0;
  for (auto* const stream : all) {
    const auto snapshot = stream->snapshot();
    expected[stream->full_name()] = {snapshot.size(), snapshot.root()};
    entries += snapshot.size();
  }
  EXPECT_EQ(entries, submitters * each);
  ASSERT_TRUE(log.stop());
  const auto late = log.add_stream({"late", "too-late", true});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ErrorKind::unavailable);

  // By what the disk has alone: nobody tells the log which streams there were.
  auto again = Log::open(parts_, threaded(), {});
  ASSERT_TRUE(again) << again.error().message;
  ASSERT_EQ((*again)->streams().size(), all.size());
  for (auto* const stream : (*again)->streams()) {
    const auto snapshot = stream->snapshot();
    EXPECT_EQ(expected.at(stream->full_name()), std::pair(snapshot.size(), snapshot.root()));
  }
}

}  // namespace
}  // namespace vestige::trail
