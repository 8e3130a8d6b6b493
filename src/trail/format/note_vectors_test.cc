// Property: notes and logs made by other implementations (Go's sumdb, transparency-dev's tessera) verify, and
// every root that such a log signed is recomputed from its tiles and from its entry bundles.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "base/encoding.h"
#include "base/testing/shared_data.h"
#include "json/json.h"
#include "trail/format/note.h"
#include "trail/merkle/merkle.h"

namespace vestige::trail {
namespace {

using vestige::testing::shared_bytes;
using vestige::testing::tar_files;

constexpr std::string_view tessera_key =
    "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx";

using Files = std::map<std::string, std::string>;

std::vector<Hash> leaves_of_tiles(const Files& files, std::uint64_t size) {
  std::vector<Hash> leaves;
  const TileName name{0, 0, static_cast<unsigned>(size)};
  const auto found = files.find("log/tile/" + format_tile_path(name));
  if (found == files.end() || found->second.size() != size * sizeof(Hash)) return leaves;
  leaves.resize(size);
  std::memcpy(leaves.data(), found->second.data(), found->second.size());
  return leaves;
}

// Big-endian u16 length and that many bytes, one entry after the other.
std::vector<Hash> leaves_of_bundles(const Files& files, std::uint64_t size) {
  std::vector<Hash> leaves;
  const auto tile = format_tile_path({0, 0, static_cast<unsigned>(size)});
  const auto found = files.find("log/tile/entries/" + tile.substr(2));
  if (found == files.end()) return leaves;
  auto rest = view(found->second);
  while (rest.size() >= 2) {
    const std::size_t length = std::size_t{rest[0]} << 8 | rest[1];
    if (length > rest.size() - 2) return {};
    leaves.push_back(leaf_hash(rest.subspan(2, length)));
    rest = rest.subspan(2 + length);
  }
  return leaves;
}

TEST(TesseraLog, EverySignedRootIsThatOfItsTilesAndEntries) {
  const auto tar = shared_bytes("vectors/tlog-tessera-log.tar.zst");
  if (!tar) GTEST_SKIP();  // named by shared_bytes: the folder is not beside this clone
  Files files;
  for (auto& [name, content] : tar_files(*tar)) files[name] = content;
  const auto key = parse_verifier_key(tessera_key);
  ASSERT_TRUE(key);
  std::size_t checkpoints = 0;
  std::size_t tiles = 0;
  for (const auto& [name, content] : files) {
    if (name.starts_with("log/tile/0/")) {
      const auto tile = parse_tile_path(std::string_view(name).substr(9));
      ASSERT_TRUE(tile) << name;
      EXPECT_EQ(content.size(), tile->width * sizeof(Hash));
      EXPECT_EQ("log/tile/" + format_tile_path(*tile), name);
      ++tiles;
    }
    if (!name.starts_with("log/checkpoint")) continue;
    const auto checkpoint = verify_checkpoint(content, *key);
    ASSERT_TRUE(checkpoint) << name << ": " << checkpoint.error().message;
    ++checkpoints;
    if (checkpoint->size == 0) {
      EXPECT_EQ(checkpoint->root, empty_root());
      continue;
    }
    const auto leaves = leaves_of_tiles(files, checkpoint->size);
    ASSERT_EQ(leaves.size(), checkpoint->size) << name;
    EXPECT_EQ(root_of(leaves), checkpoint->root) << name;
    EXPECT_EQ(leaves_of_bundles(files, checkpoint->size), leaves) << name;
  }
  EXPECT_EQ(checkpoints, 17U);
  EXPECT_EQ(tiles, 15U);
}

// The string literals of Go's sumdb tests; what each means is told by the test that it comes from.
class SumdbStrings {
 public:
  static std::optional<SumdbStrings> load() {
    const auto bytes = shared_bytes("vectors/sumdb-note-strings.json");
    if (!bytes) return std::nullopt;
    SumdbStrings out;
    json::Parser parser;
    json::Document document;
    if (!parser.parse(*bytes, document)) return std::nullopt;
    const auto root = document.root();
    for (std::size_t i = 0; i < root.size(); ++i)
      for (std::size_t j = 0; j < root.at(i).size(); ++j) {
        const auto item = root.at(i).at(j);
        out.texts_[fmt::format("{}:{}", root.key_at(i), item.find("line").number())].emplace_back(
            item.find("value").string());
      }
    return out;
  }
  const std::string& at(const std::string& file, int line) const {
    return texts_.at(fmt::format("sumdb/{}:{}", file, line)).front();
  }
  const std::map<std::string, std::vector<std::string>>& all() const { return texts_; }

 private:
  std::map<std::string, std::vector<std::string>> texts_;
};

TEST(SumdbNotes, KeysAndNotesVerify) {
  const auto strings = SumdbStrings::load();
  if (!strings) GTEST_SKIP();  // named by shared_bytes: the folder is not beside this clone
  const auto neumann = parse_verifier_key(strings->at("note/note_test.go", 249));
  const auto enoch = parse_verifier_key(strings->at("note/note_test.go", 255));
  ASSERT_TRUE(neumann);
  ASSERT_TRUE(enoch);
  // A key of the wrong length, and a signature type that is not known.
  EXPECT_FALSE(parse_verifier_key(strings->at("note/note_test.go", 45)));
  EXPECT_FALSE(parse_verifier_key(strings->at("note/note_test.go", 46)));

  const auto note = parse_note(strings->at("note/note_test.go", 203));
  ASSERT_TRUE(note);
  EXPECT_TRUE(verify_note(*note, std::span(&*neumann, 1)));
  EXPECT_FALSE(verify_note(*note, std::span(&*enoch, 1)));

  const auto& text = strings->at("note/note_test.go", 318);
  const auto& first = strings->at("note/note_test.go", 321);
  const auto& second = strings->at("note/note_test.go", 322);
  const auto both = parse_note(text + "\n" + first + second);
  ASSERT_TRUE(both);
  const VerifierKey keys[] = {*neumann, *enoch};
  const auto signers = verify_note(*both, keys);
  ASSERT_TRUE(signers);
  EXPECT_EQ(*signers, (std::vector<std::string>{"PeterNeumann", "EnochRoot"}));
  // The private key of the tests gives the signature of the tests (Go prints type || seed).
  const auto typed = from_base64(strings->at("note/note_test.go", 50).substr(34));
  ASSERT_TRUE(typed && typed->size() == 33);
  Key seed;
  std::memcpy(seed.data(), typed->data() + 1, seed.size());
  Note own{text, {}};
  sign_note(own, "PeterNeumann", crypto::SigningKey(seed));
  EXPECT_EQ(format_note(own), text + "\n" + first);
  // "Bad Name" holds a space.
  EXPECT_FALSE(parse_note(text + "\n" + strings->at("note/note_test.go", 426) + "\n"));
}

TEST(SumdbNotes, TreeHeadsAndTilePaths) {
  const auto strings = SumdbStrings::load();
  if (!strings) GTEST_SKIP();  // named by shared_bytes: the folder is not beside this clone
  const auto& head = strings->at("tlog/note_test.go", 23);
  const auto checkpoint = parse_checkpoint(head);
  ASSERT_TRUE(checkpoint);
  EXPECT_EQ(checkpoint->size, 123'456'789'012U);
  EXPECT_EQ(checkpoint_text(*checkpoint), head);
  EXPECT_FALSE(parse_checkpoint(strings->at("tlog/note_test.go", 34)));
  EXPECT_FALSE(parse_checkpoint(strings->at("tlog/note_test.go", 35)));
  // Go's paths begin with a tile height; the rest follows the same rules.
  const auto path = [&](int line) { return strings->at("tlog/tile_test.go", line).substr(7); };
  EXPECT_EQ(parse_tile_path(path(16)), (TileName{5, 123'456'078, 256}));
  EXPECT_EQ(parse_tile_path(path(17)), (TileName{5, 123'456'078, 2}));
  EXPECT_EQ(parse_tile_path(path(18)), (TileName{0, 3'057'500, 256}));
  EXPECT_FALSE(parse_tile_path(path(19)));
  EXPECT_FALSE(parse_tile_path(path(20)));
  EXPECT_FALSE(parse_tile_path(path(21)));
}

}  // namespace
}  // namespace vestige::trail
