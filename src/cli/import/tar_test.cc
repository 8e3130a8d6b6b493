// Defends: the files of an archive come out with their names and bytes, in order, in each of the three forms
// of archive; links and folders are told apart; an archive that is cut off or damaged is an error wherever it
// is, and never looks like a shorter one.
#include "cli/import/internal/tar.h"

#include <fmt/format.h>

#include <random>

#include "cli/import/testing/sources.h"

namespace vestige::cli::importing {
namespace {

using testing::PiecesStream;
using testing::tar_end;
using testing::tar_member;

struct Read {
  std::vector<std::pair<std::string, std::string>> files;
  std::string error;
  std::uint64_t skipped = 0;
};

// Reads each member whole, or only its beginning.
Read read(std::string_view archive, std::size_t piece = 700, std::size_t bytes_max = SIZE_MAX) {
  PiecesStream stream(archive, piece);
  TarReader reader(stream, "in.tar");
  Read all;
  for (;;) {
    auto member = reader.next();
    if (!member) all.error = member.error().message;
    if (!member || !*member) break;
    auto& [name, content] = all.files.emplace_back((*member)->name, "");
    std::array<std::uint8_t, 300> room;
    while (content.size() < bytes_max) {
      const auto got = (*member)->content->read(room);
      if (!got) all.error = got.error().message;
      if (!got || *got == 0) break;
      content.append(reinterpret_cast<const char*>(room.data()), *got);
    }
  }
  all.skipped = reader.skipped();
  return all;
}

std::string random_bytes(std::mt19937_64& random, std::size_t size) {
  std::string text;
  while (text.size() < size) text += static_cast<char>(random());
  return text;
}

std::string pax(std::string_view key, std::string_view value) {
  const auto rest = fmt::format(" {}={}\n", key, value);
  auto size = rest.size() + 1;
  while (fmt::format("{}", size).size() + rest.size() != size) ++size;
  return fmt::format("{}{}", size, rest);
}

TEST(Tar, RandomFilesInEachForm) {
  const auto seed = std::random_device()();
  std::mt19937_64 random(seed);
  for (int round = 0; round < 60 * testing::test_scale(); ++round) {
    std::vector<std::pair<std::string, std::string>> expected;
    std::string archive;
    std::uint64_t links = 0;
    for (auto count = random() % 6; count > 0; --count) {
      const auto content = random_bytes(random, random() % 3 == 0 ? 512 * (random() % 3) : random() % 2'000);
      const bool is_long = random() % 3 == 0;
      const std::string name =
          is_long ? "folder/" + std::string(120, 'n') : fmt::format("file{}", random() % 100);
      if (is_long) {
        const bool gnu = random() % 2 == 0;
        archive += tar_member(gnu ? "././@LongLink" : "header", gnu ? name + '\0' : pax("path", name),
                              gnu ? 'L' : 'x');
      }
      archive += tar_member(is_long ? "cut" : name, content, '0');
      expected.emplace_back(name, content);
      if (random() % 3 == 0) archive += tar_member("folder/", "", '5');
      if (random() % 3 == 0) {
        archive += tar_member("link", "", '2');
        ++links;
      }
    }
    archive += tar_end();
    const auto got = read(archive, 1 + random() % 1'000);
    ASSERT_EQ(got.error, "") << "seed " << seed;
    ASSERT_EQ(got.files, expected) << "seed " << seed;
    ASSERT_EQ(got.skipped, links);
    // Members that are not read to their end are skipped.
    ASSERT_EQ(read(archive, 512, 1).files.size(), expected.size());
  }
}

TEST(Tar, ACutOrDamagedArchiveIsAnError) {
  const auto archive = tar_member("a", std::string(700, 'x'), '0') + tar_member("b", "y", '0');
  ASSERT_EQ(read(archive + tar_end()).error, "");
  ASSERT_TRUE(looks_like_tar(archive));
  for (std::size_t size = 0; size <= archive.size(); size += 1 + size % 37)
    EXPECT_NE(read(archive.substr(0, size)).error.find("truncated"), std::string::npos) << size;
  for (const std::size_t at : {std::size_t{0}, std::size_t{130}, std::size_t{150}}) {
    auto damaged = archive + tar_end();
    damaged[at] ^= 1;
    EXPECT_NE(read(damaged).error.find("checksum"), std::string::npos) << at;
  }
  for (const std::string header : {"5 path=x\n", "x", "11 path=abc", "9 pathabc\n", "12 size=1x3\n"})
    EXPECT_NE(read(tar_member("h", header, 'x') + archive + tar_end()).error, "") << header;
}

TEST(Tar, APaxSizeCounts) {
  auto member = tar_member("big", std::string(600, 'z'), '0');
  // The header says nothing of the size, as it does of one that its field cannot hold.
  member = tar_member("big", "", '0') + member.substr(512);
  const auto got = read(tar_member("h", pax("size", "600"), 'x') + member + tar_end());
  ASSERT_EQ(got.error, "");
  EXPECT_EQ(got.files[0].second, std::string(600, 'z'));
}

}  // namespace
}  // namespace vestige::cli::importing
