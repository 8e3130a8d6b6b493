// Properties:
// 1. The files of every released version are read for ever: tests/golden/trail/v<version>/ opens, gives the
//    entries that stand beside it, and its checkpoint verifies.
// 2. This build writes version 1 exactly so (segments aside, whose bytes depend on the version of zstd).
// 3. The worked examples of docs/formats/ are these bytes.
//
// VESTIGE_WRITE_GOLDEN=1 writes the files anew: only before the version that they belong to is released.
// The wrap key is 32 bytes of 0x42; random bytes are splitmix64 of 1, the high half of each number's low
// byte.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>

#include "base/encoding.h"
#include "base/time_text.h"
#include "crypto/aead.h"
#include "platform/sim/sim_clock.h"
#include "platform/sim/sim_files.h"
#include "trail/format/segment_format.h"
#include "trail/log/log.h"
#include "trail/log/signer.h"
#include "trail/testing/test_keys.h"

namespace vestige::trail {
namespace {

namespace fs = std::filesystem;
using platform::sim::SimDisk;

using Files = std::map<std::string, Bytes>;

const fs::path source = VESTIGE_SOURCE_DIR;
const fs::path golden = source / "tests/golden/trail/v1";
constexpr std::string_view entries_name = "entries.jsonl";
constexpr std::string_view checkpoint_name = "checkpoint";

Bytes read_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path << " cannot be read";
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

Files read_golden() {
  Files files;
  for (const auto& item : fs::recursive_directory_iterator(golden))
    if (item.is_regular_file())
      files[fs::relative(item.path(), golden).generic_string()] = read_bytes(item.path());
  return files;
}

Schema golden_schema() {
  return {{"id", ColumnType::uuid},
          {"kind", ColumnType::text},
          {"receivedAt", ColumnType::time},
          {"salt", ColumnType::salt}};
}

Options golden_options() {
  Options options;
  options.wal_file_bytes = 64 << 10;
  options.wal_bytes_max = 1 << 20;
  options.disk_reserve_bytes = 0;
  options.threads = false;
  return options;
}

// One event; the second one has a section.
class GoldenEvent final : public Submission {
 public:
  explicit GoldenEvent(std::uint64_t number) : number_(number) {}
  std::uint8_t stream() const override { return 1; }
  std::size_t bytes_max() const override { return 400; }
  Status place(Placement& placement) override {
    const auto entry = fmt::format(
        R"({{"id":"00000000-0000-7000-8000-00000000000{}","kind":"note","n":{},"receivedAt":"{}","salt":"{}"}})",
        number_, number_, format_time(UnixMs{1'700'000'000'000 + static_cast<std::int64_t>(number_)}),
        to_base64(placement.next_salt()));
    const Bytes blob{'s', 'e', 'a', 'l', 'e', 'd'};
    const ByteView blobs[] = {blob};
    placement.add(0x1000 + number_, view(entry), std::span(blobs).first(number_ == 2 ? 1 : 0), nullptr);
    if (number_ == 2) placement.set_mark("seen", 7);
    return {};
  }
  void settled(Status outcome) override { EXPECT_TRUE(outcome); }

 private:
  const std::uint64_t number_;
};

// Keeps what every part of a log needs alive.
struct Server {
  explicit Server(SimDisk& on) : files(on.open("data")), signer_files(on.open("signer")) {}
  Result<std::unique_ptr<Log>> open() {
    return Log::open({.files = *files,
                      .clock = clock,
                      .entropy = entropy,
                      .wrapper = wrapper,
                      .barrier = barrier,
                      .schema = golden_schema()},
                     golden_options(), {{"acme", "events", true}});
  }
  Result<std::unique_ptr<Signer>> open_signer(Log& log) {
    return Signer::open(*signer_files, entropy, clock, "acme/events", "log.example", log.data_id(),
                        log.stream("acme", "events")->size());
  }
  std::unique_ptr<platform::FileSystem> files;
  std::unique_ptr<platform::FileSystem> signer_files;
  platform::sim::SimClock clock;
  platform::sim::SimEntropy entropy{1};
  testing::TestWrapper wrapper;
  testing::NoBarrier barrier;
};

// Two entries in a segment, a third in the WAL only; stopped cleanly, signed at size 3.
Files make_golden() {
  SimDisk disk;
  Server server(disk);
  auto log = server.open();
  EXPECT_TRUE(log);
  auto signer = server.open_signer(**log);
  EXPECT_TRUE(signer);
  const auto commit = [&](std::uint64_t number) {
    EXPECT_TRUE((*log)->submit(std::make_unique<GoldenEvent>(number)));
    EXPECT_TRUE((*log)->commit_once());
  };
  commit(1);
  commit(2);
  while ((*log)->seal_once(true).value_or(false)) continue;
  commit(3);
  const auto snapshot = (*log)->stream(1).snapshot();
  EXPECT_TRUE((*signer)->sign(snapshot));
  Bytes entries;
  for (std::uint64_t i = 0; i < snapshot.size(); ++i) {
    const auto entry = snapshot.read(i)->entry + "\n";
    entries.insert(entries.end(), entry.begin(), entry.end());
  }
  const auto note = (*signer)->last_note();
  EXPECT_TRUE((*log)->stop());
  auto files = disk.snapshot();
  files[std::string(entries_name)] = entries;
  files[std::string(checkpoint_name)] = Bytes(note.begin(), note.end());
  return files;
}

void write_golden(const Files& files) {
  for (const auto& [path, content] : files) {
    fs::create_directories((golden / path).parent_path());
    std::ofstream(golden / path, std::ios::binary)
        .write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
  }
}

class Golden : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (std::getenv("VESTIGE_WRITE_GOLDEN") != nullptr) write_golden(make_golden());
  }
};

TEST_F(Golden, VersionOneIsRead) {
  const auto files = read_golden();
  SimDisk disk;
  for (const auto& [path, content] : files) disk.put(path, content);
  Server server(disk);
  auto log = server.open();
  ASSERT_TRUE(log) << log.error().message;
  EXPECT_TRUE((*log)->recovery().clean);
  EXPECT_EQ((*log)->recovery().entries_replayed, 1U);
  EXPECT_EQ((*log)->mark(1, "seen"), 7U);
  const auto snapshot = (*log)->stream(1).snapshot();
  ASSERT_EQ(snapshot.size(), 3U);
  std::string entries;
  for (std::uint64_t i = 0; i < snapshot.size(); ++i) {
    const auto record = snapshot.read(i);
    ASSERT_TRUE(record) << record.error().message;
    entries += record->entry + "\n";
    EXPECT_EQ(record->blobs.size(), i == 1 ? 1U : 0U);
    const auto found = (*log)->stream(1).ids().find(0x1001 + i);
    ASSERT_TRUE(found);
    EXPECT_EQ(*found, std::vector<std::uint64_t>{i});
  }
  EXPECT_EQ(entries, text(files.at(std::string(entries_name))));

  auto signer = server.open_signer(**log);
  ASSERT_TRUE(signer) << signer.error().message;
  EXPECT_TRUE((*signer)->check(snapshot));
  const auto checkpoint =
      verify_checkpoint(text(files.at(std::string(checkpoint_name))), (*signer)->verifier_key());
  ASSERT_TRUE(checkpoint) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->size, 3U);
  EXPECT_EQ(checkpoint->root, snapshot.root());
}

TEST_F(Golden, VersionOneIsWrittenTheSameWay) {
  const auto now = make_golden();
  const auto then = read_golden();
  ASSERT_EQ(now.size(), then.size());
  for (const auto& [path, content] : then) {
    const auto found = now.find(path);
    ASSERT_NE(found, now.end()) << path;
    // The manifest holds the segment's digest.
    if (path.ends_with(segment_ending) || path.ends_with(manifest_name)) continue;
    EXPECT_EQ(to_hex(found->second), to_hex(content)) << path;
  }
}

// ------------------------------------------------------------------------------------- worked examples

// What an example may show beside the files themselves: what stands in them encrypted or compressed.
void add_plains_of_wal(Files& files) {
  testing::TestWrapper wrapper;
  const auto& wal = files.at("data/wal/0000000000000001.wal");
  const auto header = decode_wal_header(ByteView(wal).first(wal_header_bytes));
  ASSERT_TRUE(header);
  const auto key = wrapper.unwrap(header->wrapped_key, wal_key_context(header->data_id, header->generation));
  ASSERT_TRUE(key);
  crypto::Aead aead(*key);
  int number = 1;
  for (std::size_t at = wal_header_bytes; at + frame_header_bytes <= wal.size(); ++number) {
    const auto bytes = ByteView(wal).subspan(at);
    const auto frame = decode_frame_header(bytes);
    ASSERT_TRUE(frame);
    const auto plain =
        open_frame(bytes, bytes.subspan(frame_header_bytes, frame->payload_bytes), *frame, aead);
    ASSERT_TRUE(plain);
    files[fmt::format("plain of frame {}", number)] = *plain;
    at += align_frame(frame_header_bytes + frame->payload_bytes);
  }
}

void add_plains_of_segment(Files& files) {
  testing::TestWrapper wrapper;
  const auto& segment = files.at("data/streams/acme/events/000000000000-000000000002.seg");
  const auto segment_header = decode_segment_header(ByteView(segment).first(segment_header_bytes));
  ASSERT_TRUE(segment_header);
  const auto segment_key =
      wrapper.unwrap(segment_header->wrapped_key, segment_key_context(segment_header->file_id));
  ASSERT_TRUE(segment_key);
  const auto trailer = ByteView(segment).last(segment_trailer_bytes);
  const auto about = decode_segment_trailer(trailer, segment.size());
  ASSERT_TRUE(about);
  const auto end =
      decode_segment_end(ByteView(segment).subspan(about->table_offset, about->chunks * chunk_row_bytes),
                         trailer, segment.size());
  ASSERT_TRUE(end);
  crypto::Aead segment_aead(*segment_key);
  for (std::uint32_t i = 0; i < end->chunks.size(); ++i) {
    const auto& chunk = end->chunks[i];
    const auto plain = open_chunk(segment_aead, segment_header->file_id, chunk, i,
                                  ByteView(segment).subspan(chunk.offset, chunk.length));
    ASSERT_TRUE(plain);
    files[fmt::format("plain of chunk {}", i)] = *plain;
    if (chunk.type != ChunkType::page) continue;
    ByteReader in(*plain);
    for (const auto* part : {"columns", "rest"}) {
      Bytes raw(in.u32());
      const auto length = in.u32();
      const auto frame = in.bytes(length);
      ASSERT_EQ(ZSTD_decompress(raw.data(), raw.size(), frame.data(), frame.size()), raw.size());
      files[fmt::format("{} of chunk {}", part, i)] = raw;
    }
  }
}

// A block "```hex NAME" has lines "offset  bytes  what it is", in hexadecimal; lines of dots are left out.
void check_document(const fs::path& document, const Files& files, std::size_t& lines) {
  std::ifstream in(document);
  ASSERT_TRUE(in.good()) << document;
  const std::regex row("^([0-9a-f]{4})  ((?:[0-9a-f]{2} ?)+)(?:  .*)?$");
  std::string name;
  std::size_t next = 0;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("```")) {
      name = line.starts_with("```hex ") ? line.substr(7) : "";
      next = 0;
      continue;
    }
    if (name.empty() || line.starts_with("...")) continue;
    SCOPED_TRACE(fmt::format("{}: {}", document.string(), line));
    std::smatch match;
    ASSERT_TRUE(std::regex_match(line, match, row));
    const auto found = files.find(name);
    ASSERT_NE(found, files.end()) << "there are no bytes called " << name;
    std::string hex = match[2];
    std::erase(hex, ' ');
    const auto bytes = from_hex(hex);
    ASSERT_TRUE(bytes);
    const auto offset = std::stoul(match[1], nullptr, 16);
    ASSERT_GE(offset, next) << "lines overlap";
    ASSERT_LE(offset + bytes->size(), found->second.size());
    EXPECT_EQ(to_hex(ByteView(found->second).subspan(offset, bytes->size())), hex);
    next = offset + bytes->size();
    ++lines;
  }
}

TEST_F(Golden, WorkedExamplesAreTheseBytes) {
  auto files = read_golden();
  add_plains_of_wal(files);
  add_plains_of_segment(files);
  if (HasFatalFailure()) return;
  for (const auto* page : {"wal", "segment", "ids", "manifest", "signer", "entry"}) {
    std::size_t lines = 0;
    check_document(source / "docs/formats" / fmt::format("{}.md", page), files, lines);
    EXPECT_GT(lines, 2U) << page << ".md has no worked example";
  }
}

}  // namespace
}  // namespace vestige::trail
