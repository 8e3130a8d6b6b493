// Properties:
// 1. After a clean stop every changed byte in the WAL, the manifest, a segment, a hash file or an id run is
//    found: by the next start, or by whoever reads the entries; and the report names the file.
// 2. So is a file that is missing, cut, longer, of another time or in another's place.
// 3. A damaged frame with whole ones behind it is never taken for a torn tail.
// 4. A start that finds damage changes nothing on the disk.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/testing/shared_data.h"
#include "trail/log/log_state.h"
#include "trail/testing/sim_trail.h"

namespace vestige::trail {
namespace {

using testing::events_stream;
using testing::Random;
using testing::SimTrail;
using testing::system_stream;
using vestige::testing::scaled;
using vestige::testing::seed;

using Files = std::map<std::string, Bytes>;

// Two streams, a sealed segment of each and one under construction, frames in two files of the WAL.
void fill(SimTrail& trail) {
  for (int round = 0; round < 2; ++round) {
    trail.submit_new(events_stream, 30);
    trail.submit(system_stream, {{.id = trail.next_id++, .padding = 3, .blobs = {Bytes(40, 7)}}},
                 {{"mark", 5}});
    ASSERT_TRUE(trail.commit());
    if (round == 0) ASSERT_TRUE(trail.seal(true));
    trail.submit_new(events_stream, 3);
    ASSERT_TRUE(trail.commit());
  }
  for (int bulky = 0; bulky < 3; ++bulky) {
    trail.submit(events_stream, {{.id = trail.next_id++, .padding = 3, .blobs = {Bytes(25'000, 7)}}}, {});
    ASSERT_TRUE(trail.commit());
  }
}

// What a start and whoever reads everything find.
Status find_damage(SimTrail& trail, Random& random, bool* started = nullptr) {
  auto files = trail.disk().open(std::string(testing::data_root));
  platform::sim::SimClock clock;
  platform::sim::SimEntropy entropy(random.next());
  testing::TestWrapper wrapper;
  testing::NoBarrier barrier;
  auto log = Log::open({.files = *files,
                        .clock = clock,
                        .entropy = entropy,
                        .wrapper = wrapper,
                        .barrier = barrier,
                        .schema = testing::test_schema()},
                       testing::small_options(), {});
  if (started != nullptr) *started = log.has_value();
  if (!log) return std::unexpected(log.error());
  for (auto* stream : (*log)->streams()) {
    const auto snapshot = stream->snapshot();
    VESTIGE_CHECKED(snapshot.scan(0, UINT64_MAX, Snapshot::Order::ascending, {},
                                  [&](const ScannedRow& row) -> Result<bool> {
                                    VESTIGE_CHECKED(row.blobs());
                                    return true;
                                  }));
  }
  return {};
}

std::string relative(const std::string& path) { return path.substr(testing::data_root.size() + 1); }

void expect_found_in(const Status& found, const std::string& path) {
  ASSERT_FALSE(found) << "the damage of " << path << " was not found";
  EXPECT_EQ(found.error().kind, ErrorKind::corrupt) << found.error().message;
  ASSERT_TRUE(found.error().where) << found.error().message;
  EXPECT_EQ(found.error().where->file, relative(path)) << found.error().message;
}

class LogDamage : public ::testing::Test {
 protected:
  LogDamage() : random_(seed()), trail_(seed()) {}
  void SetUp() override {
    ASSERT_TRUE(trail_.open());
    fill(trail_);
    before_stop_ = trail_.disk().snapshot();
    ASSERT_TRUE(trail_.stop());
    files_ = trail_.disk().snapshot();
    ASSERT_GE(paths("/wal/").size(), 2u);
    ASSERT_TRUE(find_damage(trail_, random_));
  }

  // Starts from the files after the stop, changed.
  Status with(const std::function<void(Files&)>& change) {
    auto files = files_;
    change(files);
    trail_.disk().restore(files);
    bool started = false;
    auto found = find_damage(trail_, random_, &started);
    if (!started) EXPECT_TRUE(trail_.disk().snapshot() == files) << "a start that fails changed something";
    return found;
  }
  std::vector<std::string> paths(std::string_view part) const {
    std::vector<std::string> out;
    for (const auto& [path, content] : files_)
      if (path.find(part) != std::string::npos) out.push_back(path);
    return out;
  }

  Random random_;
  SimTrail trail_;
  Files before_stop_;
  Files files_;
};

TEST_F(LogDamage, EveryChangedByteIsFound) {
  const std::size_t places = scaled(90);
  for (const auto& [path, content] : files_) {
    const std::size_t step = std::max<std::size_t>(1, content.size() / places);
    for (auto at = static_cast<std::size_t>(random_.below(step)); at < content.size(); at += step) {
      SCOPED_TRACE(fmt::format("{}, byte {}", path, at));
      const auto found =
          with([&](Files& files) { files[path][at] ^= static_cast<std::uint8_t>(1 << random_.below(8)); });
      expect_found_in(found, path);
      if (HasFailure()) return;
    }
  }
}

TEST_F(LogDamage, MissingCutAndLongerFilesAreFound) {
  for (const auto& [path, content] : files_) {
    SCOPED_TRACE(path);
    const auto missing = with([&](Files& files) { files.erase(path); });
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().kind, ErrorKind::corrupt) << missing.error().message;
    for (const std::size_t size :
         {std::size_t{0}, content.size() / 2, content.size() - 1, content.size() - 32}) {
      const auto cut = with([&](Files& files) { files[path].resize(size); });
      expect_found_in(cut, path);
    }
    const auto longer = with([&](Files& files) { files[path].push_back(0); });
    expect_found_in(longer, path);
    if (HasFailure()) return;
  }
}

TEST_F(LogDamage, AWalCutAtAnySectorIsFound) {
  for (const auto& path : paths("/wal/"))
    for (std::size_t size = 0; size < files_[path].size(); size += wal_alignment) {
      SCOPED_TRACE(size);
      expect_found_in(with([&](Files& files) { files[path].resize(size); }), path);
    }
}

TEST_F(LogDamage, FilesOfAnotherTimeAreFound) {
  // A manifest from before the last start.
  const auto older = files_.at("data/manifest");
  ASSERT_TRUE(trail_.open());
  fill(trail_);
  ASSERT_TRUE(trail_.seal(true));
  ASSERT_TRUE(trail_.stop());
  files_ = trail_.disk().snapshot();
  EXPECT_EQ(with([&](Files& files) { files["data/manifest"] = older; }).error().kind, ErrorKind::corrupt);
  // And one from before a segment was sealed in this run, whose WAL is gone since.
  trail_.disk().restore(files_);
  ASSERT_TRUE(trail_.open());
  const auto of_this_run = trail_.disk().snapshot().at("data/manifest");
  for (int i = 0; i < 3; ++i) {
    trail_.submit_new(events_stream, 60, 700);
    ASSERT_TRUE(trail_.commit());
  }
  ASSERT_TRUE(trail_.seal(true));
  ASSERT_TRUE(trail_.stop());
  files_ = trail_.disk().snapshot();
  EXPECT_EQ(with([&](Files& files) { files["data/manifest"] = of_this_run; }).error().kind,
            ErrorKind::corrupt);
}

TEST_F(LogDamage, FilesInEachOthersPlaceAreFound) {
  for (const std::string_view ending : {segment_ending, hashes_ending, ids_ending}) {
    const auto found = paths(ending);
    ASSERT_GE(found.size(), 2U);
    for (std::size_t i = 1; i < found.size(); ++i) {
      const auto swapped = with([&](Files& files) { std::swap(files[found[0]], files[found[i]]); });
      ASSERT_FALSE(swapped) << found[0] << ", " << found[i];
      EXPECT_EQ(swapped.error().kind, ErrorKind::corrupt) << swapped.error().message;
    }
  }
}

TEST_F(LogDamage, AnotherKeyOpensNothing) {
  trail_.disk().restore(files_);
  auto files = trail_.disk().open(std::string(testing::data_root));
  platform::sim::SimClock clock;
  platform::sim::SimEntropy entropy(1);
  testing::TestWrapper other(0x43);
  testing::NoBarrier barrier;
  const auto log = Log::open({.files = *files,
                              .clock = clock,
                              .entropy = entropy,
                              .wrapper = other,
                              .barrier = barrier,
                              .schema = testing::test_schema()},
                             testing::small_options(), {});
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().kind, ErrorKind::corrupt);
}

// Offsets of the frames in a WAL file.
std::vector<std::size_t> frames_of(const Bytes& file) {
  std::vector<std::size_t> out;
  for (std::size_t at = wal_header_bytes; at + frame_header_bytes <= file.size();) {
    const auto header = decode_frame_header(ByteView(file).subspan(at));
    if (!header) break;
    out.push_back(at);
    at += align_frame(frame_header_bytes + header->payload_bytes);
  }
  return out;
}

// Not stopped cleanly: the last frame may be torn, none before it.
TEST(WalDamage, OnlyTheLastFrameCanBeTorn) {
  SimTrail trail(seed());
  Random random(seed());
  ASSERT_TRUE(trail.open());
  for (int i = 0; i < 5; ++i) {
    trail.submit_new(events_stream, 1 + random.below(6));
    ASSERT_TRUE(trail.commit());
  }
  const auto model = trail.model(events_stream);
  trail.kill();
  const auto files = trail.disk().snapshot();
  const std::string path = "data/wal/0000000000000001.wal";
  const auto frames = frames_of(files.at(path));
  ASSERT_EQ(frames.size(), 5U);
  std::size_t torn = 0;
  for (std::size_t i = 0; i < scaled(200); ++i) {
    auto changed = files;
    const auto last = decode_frame_header(ByteView(files.at(path)).subspan(frames.back()));
    const auto end = frames.back() + align_frame(frame_header_bytes + last->payload_bytes);
    const auto at = frames.front() + random.below(end - frames.front());
    changed[path][at] ^= static_cast<std::uint8_t>(1 << random.below(8));
    trail.disk().restore(changed);
    const auto found = find_damage(trail, random);
    SCOPED_TRACE(at);
    if (at >= frames.back()) {
      EXPECT_TRUE(found) << "a torn tail is none";
      ++torn;
    } else {
      expect_found_in(found, path);
    }
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(torn, 0U);
}

// Frames that only a holder of the keys could have written, and no server would.
TEST(WalDamage, FramesOfUnknownStreamsAreRefused) {
  for (const bool end_mark : {false, true}) {
    SimTrail trail(seed());
    ASSERT_TRUE(trail.open());
    ASSERT_TRUE(trail.stop());
    const auto files = trail.disk().open(std::string(testing::data_root));
    Catalogue catalogue(*files);
    auto manifest = catalogue.read();
    ASSERT_TRUE(manifest);
    testing::TestWrapper wrapper;
    platform::sim::SimEntropy entropy(5);
    WalWriter writer(*files, wrapper, entropy, manifest->data_id, testing::small_options());
    manifest->wal_root = 77;
    ASSERT_TRUE(writer.start_root(77, 1));
    Bytes plain = encode_end_mark({.sizes = {{9, 1}}, .clean = false});
    if (!end_mark) {
      Bytes record;
      encode_record(1, view("{}"), {}, record);
      plain = {1};
      encode_append(9, 0, 1, std::vector<SeedRun>{{1, {}}}, record, plain);
      encode_marks({}, plain);
    }
    const auto kind = end_mark ? FrameKind::end_mark : FrameKind::group;
    ASSERT_TRUE(writer.append(kind, plain, {}, WalWriter::Sync::yes));
    ASSERT_TRUE(catalogue.write(*manifest));
    const auto opened = trail.open();
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, ErrorKind::corrupt) << opened.error().message;
  }
}

// What the log alone cannot know, the signer does: an acknowledged and signed tail that is gone.
TEST(WalDamage, TheSignerMissesASignedTail) {
  SimTrail trail(seed());
  ASSERT_TRUE(trail.open());
  ASSERT_TRUE(trail.open_signer());
  for (int i = 0; i < 3; ++i) {
    trail.submit_new(events_stream, 2);
    ASSERT_TRUE(trail.commit());
    ASSERT_TRUE(trail.sign());
  }
  trail.kill();
  auto files = trail.disk().snapshot();
  auto& wal = files.at("data/wal/0000000000000001.wal");
  wal[frames_of(wal).back() + 100] ^= 1;
  trail.disk().restore(files);
  auto fresh = trail.disk().open(std::string(testing::data_root));
  platform::sim::SimClock clock;
  platform::sim::SimEntropy entropy(9);
  testing::TestWrapper wrapper;
  testing::NoBarrier barrier;
  const auto log = Log::open({.files = *fresh,
                              .clock = clock,
                              .entropy = entropy,
                              .wrapper = wrapper,
                              .barrier = barrier,
                              .schema = testing::test_schema()},
                             testing::small_options(), {});
  ASSERT_TRUE(log);
  const auto checked = trail.signer()->check((*log)->stream(events_stream).snapshot());
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::corrupt);
  EXPECT_NE(checked.error().message.find("2 entries are missing"), std::string::npos)
      << checked.error().message;
}

TEST(WalDamage, StartsThatFailDoNotFillTheDisk) {
  SimTrail trail(seed());
  Random random(seed());
  ASSERT_TRUE(trail.open());
  for (int i = 0; i < 5; ++i) {
    trail.submit_new(events_stream, 3);
    ASSERT_TRUE(trail.commit());
  }
  trail.kill();
  auto files = trail.disk().snapshot();
  auto& wal = files.at("data/wal/0000000000000001.wal");
  wal[frames_of(wal)[2] + 100] ^= 1;
  trail.disk().restore(files);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(find_damage(trail, random));
  EXPECT_TRUE(trail.disk().snapshot() == files);
}

}  // namespace
}  // namespace vestige::trail
