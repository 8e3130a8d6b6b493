// Properties:
// 1. Notes, checkpoints and proofs are the texts of their C2SP specifications: published vectors verify, and
//    the same keys and times give the same bytes again.
// 2. What is formatted parses to the same value, and every accepted text is the one spelling of its value.
// 3. No change of a single byte of a signed checkpoint or a proof verifies.
// 4. Malformed notes, checkpoints, keys, proofs and tile paths are refused.
#include "trail/format/note.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/testing/shared_data.h"
#include "trail/merkle/merkle.h"
#include "trail/testing/random_entries.h"

namespace vestige::trail {
namespace {

using testing::Random;
using vestige::testing::scaled;
using vestige::testing::seed;

constexpr std::string_view dash = "\xe2\x80\x94 ";

Key counting_seed(std::uint8_t first) {
  Key key;
  for (auto& byte : key) byte = first++;
  return key;
}

VerifierKey key_of(std::string name, SignatureType type, const crypto::SigningKey& key) {
  return {.name = std::move(name), .type = type, .key = key.public_key()};
}

void cosign(Note& note, const std::string& name, const crypto::SigningKey& key, std::uint64_t time) {
  Bytes bytes;
  for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(time >> shift));
  const auto signature = key.sign(view(fmt::format("cosignature/v1\ntime {}\n{}", time, note.text)));
  bytes.insert(bytes.end(), signature.begin(), signature.end());
  note.signatures.push_back({name, key_of(name, SignatureType::cosignature, key).id(), bytes});
}

// The vector of c2sp.org/signed-note.
TEST(Note, SignedNoteVector) {
  const auto key =
      parse_verifier_key("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k");
  ASSERT_TRUE(key);
  EXPECT_EQ(key->text(), "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k");
  const auto bytes = fmt::format(
      "This is an example message.\n\n{}example.com/foo "
      "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n",
      dash);
  const auto note = parse_note(bytes);
  ASSERT_TRUE(note);
  EXPECT_EQ(note->text, "This is an example message.\n");
  EXPECT_EQ(format_note(*note), bytes);
  const auto signers = verify_note(*note, std::span(&*key, 1));
  ASSERT_TRUE(signers);
  EXPECT_EQ(*signers, std::vector<std::string>{"example.com/foo"});
}

constexpr std::string_view cosigned_checkpoint =
    "example.com/audit\n3\nrra8/idLcKFPsGel5VeCZNsPqbUa9eC6FZFY8yngbnc=\n\n"
    "\xe2\x80\x94 example.com/audit "
    "Kbh7/Pg3Vkrg6tLd7QUiQBvr//gpZnT2VB1yTC9eTv13bB7w2hajmqX3zifntXY6mCM8tijFFTrqa5cz/9wH2KKOzgY=\n"
    "\xe2\x80\x94 witness.example/w1 "
    "IDJKvgAAAABlU/"
    "EAJxs5VAN8NbZsAXvgBU3O/oRo8o4LZ/XuHByq6cjIdM4dzfZ60DxD3Mb1R1q41RAev5V47nrCA7jDMxHAUIfXAQ==\n";

// Log seed 00..1f, witness seed 20..3f, the first three leaves of the CT reference tree, time 1700000000.
TEST(Note, CosignedCheckpointVectorComesOutAgain) {
  const crypto::SigningKey log(counting_seed(0));
  const crypto::SigningKey witness(counting_seed(0x20));
  const auto log_key = key_of("example.com/audit", SignatureType::ed25519, log);
  const auto witness_key = key_of("witness.example/w1", SignatureType::cosignature, witness);
  EXPECT_EQ(log_key.text(), "example.com/audit+29b87bfc+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4");
  EXPECT_EQ(witness_key.text(), "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X");

  const Hash leaves[] = {leaf_hash({}), leaf_hash(Bytes{0x00}), leaf_hash(Bytes{0x10})};
  Note note{checkpoint_text({"example.com/audit", 3, root_of(leaves)}), {}};
  sign_note(note, "example.com/audit", log);
  cosign(note, "witness.example/w1", witness, 1'700'000'000);
  EXPECT_EQ(format_note(note), cosigned_checkpoint);

  const auto parsed = parse_note(cosigned_checkpoint);
  ASSERT_TRUE(parsed);
  const VerifierKey both[] = {log_key, witness_key};
  const auto signers = verify_note(*parsed, both);
  ASSERT_TRUE(signers);
  EXPECT_EQ(*signers, (std::vector<std::string>{"example.com/audit", "witness.example/w1"}));
  const auto checkpoint = verify_checkpoint(cosigned_checkpoint, log_key);
  ASSERT_TRUE(checkpoint);
  EXPECT_EQ(checkpoint->size, 3U);
  EXPECT_EQ(checkpoint->root, root_of(leaves));
  // The witness's name is not the log's.
  EXPECT_FALSE(verify_checkpoint(cosigned_checkpoint, witness_key));
}

TEST(Note, OneWrongSignatureOfAKnownKeySpoilsTheNote) {
  const crypto::SigningKey log(counting_seed(0));
  const crypto::SigningKey witness(counting_seed(0x20));
  const VerifierKey keys[] = {key_of("a", SignatureType::ed25519, log),
                              key_of("w", SignatureType::cosignature, witness)};
  Note note{"text\n", {}};
  EXPECT_FALSE(verify_note(note, keys));
  sign_note(note, "a", log);
  EXPECT_TRUE(verify_note(note, keys));
  sign_note(note, "unknown", witness);
  EXPECT_TRUE(verify_note(note, keys));
  EXPECT_FALSE(verify_note(note, std::span(keys).subspan(1)));
  cosign(note, "w", witness, 1);
  EXPECT_TRUE(verify_note(note, keys));
  note.signatures.back().bytes[7] ^= 1;  // the time
  EXPECT_FALSE(verify_note(note, keys));
  note.signatures.back().bytes.resize(3);
  EXPECT_FALSE(verify_note(note, keys));
}

TEST(Note, AcceptsAsManySignaturesAsTheLimitAndNoMore) {
  const crypto::SigningKey key(counting_seed(7));
  Note note{"text\n", {}};
  for (std::size_t i = 0; i < note_signatures_max; ++i) sign_note(note, fmt::format("k{}", i), key);
  EXPECT_TRUE(parse_note(format_note(note)));
  sign_note(note, "more", key);
  EXPECT_FALSE(parse_note(format_note(note)));
  EXPECT_FALSE(parse_note(std::string(note_bytes_max + 1, 'x')));
}

TEST(Note, TheLastBlankLineParts) {
  const crypto::SigningKey key(counting_seed(7));
  for (const std::string text : {"a\n", "a\n\nb\n", "\n", "\n\n\n", "a\n\n\xe2\x80\x94 x AAAAAAAA\n"}) {
    Note note{text, {}};
    sign_note(note, "k", key);
    const auto again = parse_note(format_note(note));
    ASSERT_TRUE(again) << text;
    EXPECT_EQ(again->text, text);
    EXPECT_EQ(again->signatures.size(), 1U);
  }
}

TEST(Note, MalformedOnesAreRefused) {
  const std::string good =
      "Kbh7/Pg3Vkrg6tLd7QUiQBvr//gpZnT2VB1yTC9eTv13bB7w2hajmqX3zifntXY6mCM8tijFFTrqa5cz/9wH2KKOzgY=";
  const std::string line = std::string(dash) + "k " + good + "\n";
  ASSERT_TRUE(parse_note("t\n\n" + line));
  const std::pair<const char*, std::string> wrong[] = {
      {"nothing", ""},
      {"a blank line only", "\n\n"},
      {"no blank line", "t\n" + line},
      {"no signature", "t\n\n"},
      {"no newline at the end", "t\n\n" + line.substr(0, line.size() - 1)},
      {"a hyphen for the dash", "t\n\n- k " + good + "\n"},
      {"no space after the dash", "t\n\n\xe2\x80\x94k " + good + "\n"},
      {"two spaces", "t\n\n" + std::string(dash) + "k  " + good + "\n"},
      {"no name", "t\n\n" + std::string(dash) + " " + good + "\n"},
      {"a plus in the name", "t\n\n" + std::string(dash) + "a+b " + good + "\n"},
      {"a no-break space in the name", "t\n\n" + std::string(dash) +
                                           "a\xc2\xa0"
                                           "b " +
                                           good + "\n"},
      {"an en space in the name", "t\n\n" + std::string(dash) +
                                      "a\xe2\x80\x82"
                                      "b " +
                                      good + "\n"},
      {"an ideographic space in the name", "t\n\n" + std::string(dash) + "a\xe3\x80\x80 " + good + "\n"},
      {"base64 without padding", "t\n\n" + std::string(dash) + "k " + good.substr(0, good.size() - 1) + "\n"},
      {"base64 with stray bits", "t\n\n" + std::string(dash) + "k AAAAAAB=\n"},
      {"base64 for URLs", "t\n\n" + std::string(dash) + "k Kbh7_Pg3Vkrg\n"},
      {"a key id alone", "t\n\n" + std::string(dash) + "k AAAAAA==\n"},
      {"something behind", "t\n\n" + line + "x\n"},
      {"a carriage return", "t\r\n\n" + line},
      {"a tab", "t\t\n\n" + line},
      {"a zero byte", std::string("t\0\n\n", 4) + line},
      {"broken UTF-8", "t\xff\n\n" + line},
  };
  for (const auto& [what, bytes] : wrong) EXPECT_FALSE(parse_note(bytes)) << what;
}

TEST(Note, MalformedVerifierKeysAreRefused) {
  const std::string good = "example.com/audit+29b87bfc+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
  ASSERT_TRUE(parse_verifier_key(good));
  for (std::size_t i = 0; i < good.size(); ++i)
    for (unsigned bit = 0; bit < 8; ++bit) {
      auto wrong = good;
      wrong[i] = static_cast<char>(wrong[i] ^ (1 << bit));
      EXPECT_FALSE(parse_verifier_key(wrong)) << wrong;
    }
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(parse_verifier_key(good.substr(0, size)));
  EXPECT_FALSE(parse_verifier_key(good + "A"));
  EXPECT_FALSE(parse_verifier_key("example.com/audit+29B87BFC+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"));
}

TEST(Checkpoint, RoundTripAndExtensionLines) {
  Random random(seed());
  for (int i = 0; i < 200; ++i) {
    const auto bits = static_cast<unsigned>(random.below(63));
    const Checkpoint checkpoint{"log.example/x", random.next() >> (1 + bits), random.array<32>()};
    const auto text = checkpoint_text(checkpoint);
    for (const auto& more : {std::string(), std::string("extension\n"), std::string("a\nb\n")}) {
      const auto again = parse_checkpoint(text + more);
      ASSERT_TRUE(again);
      EXPECT_EQ(checkpoint_text(*again), text);
    }
  }
}

TEST(Checkpoint, MalformedOnesAreRefused) {
  const std::string root = "rra8/idLcKFPsGel5VeCZNsPqbUa9eC6FZFY8yngbnc=";
  ASSERT_TRUE(parse_checkpoint("o\n0\n" + root + "\n"));
  for (const std::string& wrong :
       {std::string(), "o\n3\n" + root, "\n3\n" + root + "\n", "o\n\n" + root + "\n", "o\n03\n" + root + "\n",
        "o\n-1\n" + root + "\n", "o\n+1\n" + root + "\n", "o\n0x3\n" + root + "\n", "o\n3 \n" + root + "\n",
        "o\n18446744073709551616\n" + root + "\n", "o\n3\n" + root.substr(0, 43) + "\n",
        std::string("o\n3\nrra8\n"), "o\n3\n" + root + "\n\n", "o\n3\n" + root + "\nx\n\n",
        "o\n3\n" + root + "\nx"})
    EXPECT_FALSE(parse_checkpoint(wrong)) << wrong;
}

struct ProvenLeaf {
  Hash leaf;
  std::string proof;
  VerifierKey key;
};

ProvenLeaf make_proof(std::uint64_t index, std::uint64_t size) {
  std::vector<Hash> leaves;
  for (std::uint64_t i = 0; i < size; ++i) leaves.push_back(leaf_hash(view(std::to_string(i))));
  const NodeSource nodes = [&](unsigned level, std::uint64_t i) {
    return combine(std::span(leaves).subspan(i << level, std::size_t{1} << level));
  };
  const crypto::SigningKey key(counting_seed(3));
  Note note{checkpoint_text({"log.example/t/s", size, root_at(size, nodes)}), {}};
  sign_note(note, "log.example/t/s", key);
  return {leaves[index], format_proof({index, inclusion_path(index, size, nodes), format_note(note)}),
          key_of("log.example/t/s", SignatureType::ed25519, key)};
}

bool proof_holds(const ProvenLeaf& proven, std::string_view text) {
  const auto proof = parse_proof(text);
  if (!proof) return false;
  const auto checkpoint = verify_checkpoint(proof->checkpoint, proven.key);
  return checkpoint &&
         verify_inclusion(proven.leaf, proof->index, checkpoint->size, proof->path, checkpoint->root);
}

TEST(Proof, NoChangeOfOneByteVerifies) {
  for (const auto& [index, size] :
       {std::pair<std::uint64_t, std::uint64_t>{0, 1}, {4, 7}, {6, 7}, {12, 100}}) {
    const auto proven = make_proof(index, size);
    ASSERT_TRUE(proof_holds(proven, proven.proof));
    Random random(seed());
    for (std::size_t i = 0; i < proven.proof.size(); ++i) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        auto wrong = proven.proof;
        wrong[i] = static_cast<char>(wrong[i] ^ (1 << bit));
        ASSERT_FALSE(proof_holds(proven, wrong)) << "byte " << i << ", bit " << bit << "\n" << wrong;
      }
      auto longer = proven.proof;
      longer.insert(i, 1, proven.proof[i]);
      ASSERT_FALSE(proof_holds(proven, longer)) << "byte " << i << " twice";
      auto shorter = proven.proof;
      shorter.erase(i, 1);
      ASSERT_FALSE(proof_holds(proven, shorter)) << "without byte " << i;
      ASSERT_FALSE(proof_holds(proven, proven.proof.substr(0, i)));
    }
    for (std::size_t round = 0; round < scaled(300); ++round) {
      auto wrong = proven.proof;
      auto& byte = wrong[random.below(wrong.size())];
      byte = static_cast<char>(static_cast<std::uint8_t>(byte) + 1 + random.below(255));
      ASSERT_FALSE(proof_holds(proven, wrong)) << wrong;
    }
  }
}

TEST(Proof, RoundTripAndTheOptionalExtraLine) {
  Random random(seed());
  for (int i = 0; i < 200; ++i) {
    Proof proof{random.next() >> (1 + random.below(62)), {}, std::string(cosigned_checkpoint)};
    for (auto left = random.below(65); left > 0; --left) proof.path.push_back(random.array<32>());
    const auto text = format_proof(proof);
    const auto again = parse_proof(text);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->index, proof.index);
    EXPECT_EQ(again->path, proof.path);
    EXPECT_EQ(again->checkpoint, proof.checkpoint);
    auto extra = text;
    extra.insert(text.find('\n') + 1, "extra AAAA\n");
    EXPECT_TRUE(parse_proof(extra));
    extra.insert(text.find('\n') + 1, "extra AAAA\n");
    EXPECT_FALSE(parse_proof(extra));
  }
}

TEST(Proof, MalformedOnesAreRefused) {
  const std::string head = "c2sp.org/tlog-proof@v1\n";
  const std::string hash = "rra8/idLcKFPsGel5VeCZNsPqbUa9eC6FZFY8yngbnc=\n";
  ASSERT_TRUE(parse_proof(head + "index 0\n\n"));
  std::string long_path;
  for (int i = 0; i < 65; ++i) long_path += hash;
  for (const std::string& wrong : {std::string(), head, head + "index 0\n", head + "index\n\n",
                                   head + "index 00\n\n", head + "index -1\n\n", head + "index 0 \n\n",
                                   head + "index 0\nrra8\n\n", head + "extra x\nindex 0\n\n",
                                   head + "extra AAAA\n", std::string("c2sp.org/tlog-proof@v2\nindex 0\n\n"),
                                   head + "index 0\n" + hash, head + "index 0\n" + long_path + "\n"})
    EXPECT_FALSE(parse_proof(wrong)) << wrong;
}

void expect_round_trip(const TileName& name) {
  const auto path = format_tile_path(name);
  const auto again = parse_tile_path(path);
  ASSERT_TRUE(again) << path;
  ASSERT_EQ(*again, name) << path;
}

TEST(TilePath, RoundTrip) {
  for (std::uint64_t number = 0; number < 30'000; ++number) expect_round_trip({0, number, 256});
  for (unsigned level = 0; level < 64; ++level)
    for (unsigned width = 1; width <= 256; ++width) expect_round_trip({level, width * 7'919ULL, width});
  Random random(seed());
  for (std::size_t i = 0; i < scaled(20'000); ++i)
    expect_round_trip({static_cast<unsigned>(random.below(64)), random.next() >> (11 + random.below(50)),
                       static_cast<unsigned>(1 + random.below(256))});
  EXPECT_EQ(format_tile_path({0, 1'234'067, 256}), "0/x001/x234/067");
  EXPECT_EQ(format_tile_path({3, 5, 256}), "3/005");
}

TEST(TilePath, EveryAcceptedTextIsTheOneSpelling) {
  Random random(seed());
  std::size_t accepted = 0;
  for (std::size_t i = 0; i < scaled(50'000); ++i) {
    auto path = format_tile_path({static_cast<unsigned>(random.below(64)), random.next() >> random.below(64),
                                  static_cast<unsigned>(1 + random.below(256))});
    constexpr std::string_view letters = "0123456789x/.p -+";
    for (auto changes = 1 + random.below(2); changes > 0; --changes)
      path[random.below(path.size())] = letters[random.below(letters.size())];
    const auto name = parse_tile_path(path);
    if (!name) continue;
    ++accepted;
    ASSERT_EQ(format_tile_path(*name), path);
  }
  EXPECT_GT(accepted, 1'000U);
}

TEST(TilePath, MalformedOnesAreRefused) {
  for (const std::string_view wrong : {"",
                                       "0",
                                       "0/",
                                       "/000",
                                       "0/00",
                                       "0/0000",
                                       "64/000",
                                       "00/000",
                                       "-1/000",
                                       "0/x000/000",
                                       "0/x001/x000",
                                       "0/001/000",
                                       "0/X001/000",
                                       "0/000.p/0",
                                       "0/000.p/256",
                                       "0/000.p/01",
                                       "0/000.p/",
                                       "0/000.p",
                                       "0/000p/1",
                                       "0/000.p/1/",
                                       "0/000/",
                                       "0//000",
                                       "0/x/000",
                                       "entries/000",
                                       "0/000.p/1.p/1",
                                       "0/x001/x234/x067",
                                       "1/0/x003/x057/500"})
    EXPECT_FALSE(parse_tile_path(wrong)) << wrong;
}

// A log of 70,000 entries has 273 full tiles and one of 112 at level 0, 1 and 17 at level 1, one node at 2.
TEST(TilePath, TilesOfSeventyThousandEntries) {
  std::vector<std::string> last;
  for (unsigned level = 0; level < 3; ++level) {
    const auto nodes = std::uint64_t{70'000} >> (level * tile_height);
    last.push_back(
        format_tile_path({level, nodes / tile_leaves, static_cast<unsigned>(nodes % tile_leaves)}));
  }
  EXPECT_EQ(last, (std::vector<std::string>{"0/273.p/112", "1/001.p/17", "2/000.p/1"}));
}

}  // namespace
}  // namespace vestige::trail
