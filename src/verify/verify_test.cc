// Properties: a directory that the server wrote verifies, with the sizes and roots that the log itself gave,
// also after a crash; any single changed byte of any file that counts is found and its file is named; what
// needs no key is found without one.
#include "verify/verify.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <set>

#include "trail/format/wal_format.h"
#include "verify/internal/api_keys.h"
#include "verify/testing/forger.h"
#include "verify/testing/report_text.h"
#include "verify/testing/world.h"

namespace vestige::verify {
namespace {

using testing::in_words;
using testing::World;

std::size_t scaled(std::size_t rounds) {
  const char* scale = std::getenv("VESTIGE_TEST_SCALE");
  return rounds * (scale == nullptr ? 1 : std::max(1UL, std::strtoul(scale, nullptr, 10)));
}

bool is_outside(const std::string& path) {
  return path == "LOCK" || path.ends_with(".key") || path.starts_with("wal/spare-");
}

// How many bytes of a file count: behind the last frame of a write-ahead file stands what its former life
// left.
std::uint64_t counted_bytes(const std::string& path, ByteView content) {
  if (!path.ends_with(".wal")) return content.size();
  std::uint64_t at = trail::wal_header_bytes;
  while (at + trail::frame_header_bytes <= content.size()) {
    const auto header = trail::decode_frame_header(content.subspan(at, trail::frame_header_bytes));
    if (!header) break;
    at += trail::align_frame(trail::frame_header_bytes + header->payload_bytes);
  }
  return at;
}

TEST(Verify, WhatTheServerWroteHasTheLogsOwnSizesAndRoots) {
  World world(1);
  world.build();
  world.open();
  std::vector<std::pair<std::uint64_t, Hash>> wanted;
  for (auto* stream : world.log().streams()) wanted.emplace_back(stream->size(), stream->snapshot().root());
  world.stop();
  const auto report = world.verify();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->ok) << in_words(*report);
  EXPECT_FALSE(report->first_bad);
  ASSERT_EQ(report->streams.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto& stream = report->streams[i];
    EXPECT_EQ(stream.size, wanted[i].first);
    EXPECT_EQ(stream.root, wanted[i].second);
    EXPECT_EQ(stream.signed_size, stream.size);
    EXPECT_EQ(stream.entries_checked, stream.size);
    EXPECT_EQ(stream.sections.matches, stream.size / 5);
    EXPECT_EQ(stream.sections.present + stream.sections.erased + stream.sections.missing, 0U);
  }
  EXPECT_EQ(report->streams[0].name, "default/audit");
  EXPECT_EQ(report->streams[0].size, 990U);
  EXPECT_EQ(report->streams[1].size, 60U);
}

TEST(Verify, StreamsThatWereAddedLateVerifyLikeTheOthers) {
  World world(3);
  world.build();
  world.open();
  const auto audit = world.add_stream("late", "audit");
  world.append_some(audit, 30);
  const auto access = world.add_stream("late", "access");
  world.append_some(1, 20);
  world.append_some(access, 10);
  world.sign();
  world.seal();
  world.append_some(audit, 7);
  world.add_stream("late-and-empty", "audit");
  world.sign();
  world.stop(false);
  const auto report = world.verify();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->ok) << in_words(*report);
  ASSERT_EQ(report->streams.size(), 5U);
  EXPECT_EQ(report->streams[2].name, "late/audit");
  EXPECT_EQ(report->streams[2].size, 37U);
  EXPECT_EQ(report->streams[2].entries_checked, 37U);
  EXPECT_EQ(report->streams[3].size, 10U);
  EXPECT_EQ(report->streams[4].size, 0U);
  world.open();
  world.stop();
  EXPECT_TRUE(world.verify()->ok) << in_words(*world.verify());
}

// What is left when adding a stream was cut short before the manifest named it.
TEST(Verify, AnEmptyDirectoryOfNoStreamIsALeftOverAndOneWithAFileIsNot) {
  World world(4);
  world.build();
  const auto notes = world.verify()->notes.size();
  const auto data = world.disk().open("data");
  ASSERT_TRUE(data->make_directories("streams/late/audit"));
  ASSERT_TRUE(data->make_directories("streams/default/late"));
  world.reconnect();
  auto report = world.verify();
  EXPECT_TRUE(report->ok) << in_words(*report);
  EXPECT_GT(report->notes.size(), notes);
  EXPECT_TRUE(world.verify({.while_running = true})->ok);
  ASSERT_TRUE(data->make_directories("streams/late/audit/deeper"));
  EXPECT_FALSE(world.verify()->ok);
  world.put("streams/default/late/checkpoint", view("x"));
  report = world.verify();
  ASSERT_FALSE(report->ok);
  EXPECT_EQ(report->all_bad.size(), 2U);
}

TEST(Verify, ThreadsAndProgressChangeNothing) {
  World world(2);
  world.build();
  double last = 0;
  std::uint64_t seen = 0;
  const auto report =
      world.verify({.threads = 4, .progress = [&](double share, std::uint64_t entries, std::string_view) {
                      seen = entries;
                      EXPECT_GE(share, last);
                      EXPECT_LE(share, 1.0);
                      last = share;
                    }});
  EXPECT_TRUE(report->ok) << in_words(*report);
  EXPECT_EQ(last, 1.0);
  EXPECT_EQ(seen, 940U);  // of both streams, in segments
}

TEST(Verify, AnEmptyTrailIsOk) {
  World world(3);
  world.open();
  world.stop();
  const auto report = world.verify();
  EXPECT_TRUE(report->ok) << in_words(*report);
  EXPECT_EQ(report->streams[0].size, 0U);
  EXPECT_EQ(report->streams[0].signed_size, 0U);
}

TEST(Verify, NoDataDirectoryAndTheWrongKeyAreErrors) {
  platform::sim::SimDisk disk;
  const auto empty = disk.open("empty");
  const auto report = verify_data({.data = *empty}, {});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, ErrorKind::not_found);

  World world(4);
  world.build();
  auto inputs = world.inputs();
  Key other{};
  inputs.root_key = &other;
  const auto denied = verify_data(inputs, {});
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().kind, ErrorKind::denied);
}

TEST(Verify, WithoutKeysSealedEntriesAreCountedAndSigned) {
  World world(5);
  world.build();
  auto report = world.verify({}, false);
  EXPECT_TRUE(report->ok) << in_words(*report);
  EXPECT_EQ(report->streams[0].size, 900U);
  EXPECT_EQ(report->streams[0].signed_size, 990U);
  EXPECT_EQ(report->streams[0].entries_checked, 0U);
  // Signed at the very size that is sealed: then the root is checked without keys, too.
  World sealed(6);
  sealed.open();
  sealed.append_some(1, 300);
  sealed.sign();
  sealed.seal();
  sealed.stop();
  report = sealed.verify({}, false);
  EXPECT_TRUE(report->ok) << in_words(*report);
  testing::Forger(sealed).change_entry(100, "UPDATED", "DELETED");
  report = sealed.verify({}, false);
  EXPECT_FALSE(report->ok);
  EXPECT_EQ(report->first_bad->file, "signer/default/audit/state");
}

TEST(Verify, WithoutTheSignersDirectoryItSaysSo) {
  World world(7);
  world.build();
  auto inputs = world.inputs();
  inputs.signer = nullptr;
  const auto report = verify_data(inputs, {});
  EXPECT_TRUE(report->ok) << in_words(*report);
  EXPECT_EQ(report->streams[0].signed_size, 990U);
  EXPECT_TRUE(std::ranges::any_of(report->notes,
                                  [](const auto& note) { return note.contains("signer's directory"); }));
}

// A crash tears what was not synced; recovery would cope, so the verifier must not call it damage.
TEST(Verify, AfterACrashNothingIsWrong) {
  for (std::uint64_t seed = 0; seed < scaled(12); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    World world(100 + seed);
    world.open();
    world.append_some(1, 200 + seed * 7);
    world.sign();
    if (seed % 3 != 0) world.seal();
    world.append_some(1, seed);
    if (seed % 2 == 0) world.sign();
    world.disk().crash({.seed = seed, .keep_unsynced = seed % 4 != 3});
    world.stop(false);
    world.reconnect();
    const auto report = world.verify();
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->ok) << in_words(*report);
    EXPECT_EQ(report->streams[0].size, 200 + seed * 8);
  }
}

// The power goes at the n-th write of sealing and stopping, for every n.
TEST(Verify, APowerLossAtAnyCallLeavesNoDamage) {
  World world(8);
  world.open();
  world.append_some(1, 300);
  world.sign();
  world.stop();
  const auto before = world.save();
  const auto stride = std::max<std::uint64_t>(1, 3 / scaled(1));
  std::uint64_t reached = 0;
  for (std::uint64_t call = 1;; call += stride) {
    SCOPED_TRACE(fmt::format("call {}", call));
    world.restore(before);
    world.reconnect();
    world.open();
    world.disk().fail_call(call, platform::sim::SimDisk::Fault::power_loss);
    const bool done = world.try_seal_and_stop();
    world.disk().crash({.seed = call});
    world.stop(false);
    world.reconnect();
    const auto report = world.verify();
    ASSERT_TRUE(report);
    ASSERT_TRUE(report->ok) << in_words(*report);
    ASSERT_EQ(report->streams[0].size, 300U);
    if (done) break;
    ++reached;
  }
  EXPECT_GT(reached, 5U);
}

TEST(Verify, AnyFlippedByteIsFoundAndItsFileNamed) {
  const std::uint64_t seed = 20'261'126;
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937_64 random(seed);
  World world(9);
  world.build();
  testing::Forger(world).destroy_key("nobody", true);  // so that there is an erasure journal
  ASSERT_TRUE(world.verify()->ok);
  const auto intact = world.save();
  std::set<std::string> endings;
  for (const auto& path : world.files()) {
    if (is_outside(path)) continue;
    const auto content = world.read(path);
    const auto size = counted_bytes(path, content);
    std::set<std::uint64_t> offsets = {0, size - 1};
    for (std::size_t i = 0; i < scaled(10); ++i) offsets.insert(random() % size);
    for (const auto offset : offsets) {
      SCOPED_TRACE(fmt::format("{} byte {}", path, offset));
      world.disk().flip_bit("data/" + path, offset, static_cast<unsigned>(random() % 8));
      const auto report = world.verify();
      ASSERT_TRUE(report);
      ASSERT_FALSE(report->ok);
      EXPECT_EQ(report->first_bad->file, path) << in_words(*report);
      world.restore(intact);
      world.reconnect();
    }
    endings.insert(path.substr(path.find_last_of("./") + 1));
  }
  for (const auto* const wanted : {"seg", "hashes", "ids", "wal", "manifest", "checkpoint", "state", "top",
                                   "page", "erased", "api-keys"})
    EXPECT_TRUE(endings.contains(wanted)) << wanted;
}

TEST(Verify, WithoutKeysFlippedBytesAreFoundToo) {
  const std::uint64_t seed = 20'261'127;
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937_64 random(seed);
  World world(10);
  world.build();
  const auto intact = world.save();
  for (const auto& path : world.files()) {
    if (is_outside(path)) continue;
    const auto size = counted_bytes(path, world.read(path));
    for (std::size_t i = 0; i < scaled(5); ++i) {
      const auto offset = random() % size;
      SCOPED_TRACE(fmt::format("{} byte {}", path, offset));
      world.disk().flip_bit("data/" + path, offset, static_cast<unsigned>(random() % 8));
      const auto report = world.verify({}, false);
      ASSERT_TRUE(report);
      ASSERT_FALSE(report->ok);
      EXPECT_EQ(report->first_bad->file, path) << in_words(*report);
      world.restore(intact);
      world.reconnect();
    }
  }
}

TEST(Verify, AFileOfApiKeysParsesOrSaysWhere) {
  World world(12);
  world.open();
  const auto content = std::string(text(world.read("api-keys")));
  EXPECT_TRUE(check_api_keys(view(content)));
  EXPECT_FALSE(check_api_keys({}));
  EXPECT_FALSE(check_api_keys(view(content + "x")));
  EXPECT_FALSE(check_api_keys(view(content.substr(0, content.size() - 1))));
}

}  // namespace
}  // namespace vestige::verify
