// Defends: a proof holds exactly for the entry, index, log and key that it was made for. Any other entry, any
// flipped bit of a proof, another log's key or another signature is refused, and no input does worse than
// that.
#include "verify/proof_check.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "trail/format/note.h"
#include "trail/merkle/merkle.h"

namespace vestige::verify {
namespace {

int rounds(int base) {
  const char* scale = std::getenv("VESTIGE_TEST_SCALE");
  const int factor = scale ? std::atoi(scale) : 1;
  return base * (factor < 1 ? 1 : factor);
}

// A log of random entries with proofs made by RFC 6962's own recursive definition.
struct Log {
  std::vector<std::string> entries;
  std::string origin = "log.example/default/audit";
  crypto::SigningKey key;
  trail::VerifierKey verifier;

  Log(std::mt19937_64& random, std::size_t size) : key(random_key(random)) {
    for (std::size_t i = 0; i < size; ++i) entries.push_back("{\"n\":" + std::to_string(random()) + "}");
    verifier = {origin, trail::SignatureType::ed25519, key.public_key()};
  }
  static Key random_key(std::mt19937_64& random) {
    Key seed;
    for (auto& byte : seed) byte = static_cast<std::uint8_t>(random());
    return seed;
  }
  Hash root(std::size_t from, std::size_t to) const {
    if (to - from == 1) return trail::leaf_hash(view(entries[from]));
    const auto half = split(to - from);
    return trail::node_hash(root(from, from + half), root(from + half, to));
  }
  static std::size_t split(std::size_t count) {
    std::size_t half = 1;
    while (half * 2 < count) half *= 2;
    return half;
  }
  std::vector<Hash> path(std::size_t index, std::size_t from, std::size_t to) const {
    if (to - from == 1) return {};
    const auto middle = from + split(to - from);
    auto nodes = index < middle ? path(index, from, middle) : path(index, middle, to);
    nodes.push_back(index < middle ? root(middle, to) : root(from, middle));
    return nodes;
  }
  std::string checkpoint(const crypto::SigningKey& signer) const {
    trail::Note note{trail::checkpoint_text({origin, entries.size(), root(0, entries.size())}), {}};
    trail::sign_note(note, origin, signer);
    return trail::format_note(note);
  }
  std::string proof(std::size_t index) const {
    return trail::format_proof({index, path(index, 0, entries.size()), checkpoint(key)});
  }
};

TEST(ProofCheck, HoldsForItsOwnEntryAndForNoOther) {
  const auto seed = std::random_device()();
  std::mt19937_64 random(seed);
  for (std::size_t size = 1; size <= 20; ++size) {
    const Log log(random, size);
    for (std::size_t index = 0; index < size; ++index) {
      const auto checked = check_proof(log.proof(index), log.entries[index], log.verifier.text() + "\n");
      ASSERT_TRUE(checked) << "seed " << seed << ": " << checked.error().message;
      EXPECT_EQ(checked->index, index);
      EXPECT_EQ(checked->checkpoint.size, size);
      EXPECT_EQ(checked->checkpoint.origin, log.origin);
      EXPECT_EQ(checked->checkpoint.root, log.root(0, size));
      EXPECT_EQ(checked->leaf, trail::leaf_hash(view(log.entries[index])));
      for (std::size_t other = 0; other < size; ++other) {
        if (other == index) continue;
        const auto refused = check_proof(log.proof(index), log.entries[other], log.verifier.text());
        ASSERT_FALSE(refused) << "seed " << seed;
        EXPECT_EQ(refused.error().kind, ErrorKind::corrupt);
      }
    }
  }
}

TEST(ProofCheck, AnyFlippedBitIsRefused) {
  const auto seed = std::random_device()();
  std::mt19937_64 random(seed);
  const Log log(random, 7);
  const auto proof = log.proof(4);
  const auto& entry = log.entries[4];
  ASSERT_TRUE(check_proof(proof, entry, log.verifier.text()));
  for (int round = 0; round < rounds(2'000); ++round) {
    auto bad = proof;
    const auto at = random() % bad.size();
    bad[at] = static_cast<char>(bad[at] ^ (1 << random() % 8));
    ASSERT_FALSE(check_proof(bad, entry, log.verifier.text())) << "seed " << seed << ", byte " << at << "\n"
                                                               << bad;
    auto bad_entry = entry;
    bad_entry[random() % bad_entry.size()] ^= 1;
    ASSERT_FALSE(check_proof(proof, bad_entry, log.verifier.text()));
    ASSERT_FALSE(check_proof(proof.substr(0, at), entry, log.verifier.text()));
  }
}

TEST(ProofCheck, AnotherKeyOrLogIsRefused) {
  std::mt19937_64 random(7);
  const Log log(random, 5);
  const Log stranger(random, 5);
  const auto of_stranger = check_proof(log.proof(2), log.entries[2], stranger.verifier.text());
  ASSERT_FALSE(of_stranger);
  EXPECT_EQ(of_stranger.error().kind, ErrorKind::corrupt);
  auto elsewhere = log.verifier;
  elsewhere.name = "other.example/default/audit";
  const auto of_other_log = check_proof(log.proof(2), log.entries[2], elsewhere.text());
  ASSERT_FALSE(of_other_log);
  EXPECT_NE(of_other_log.error().message.find("other.example"), std::string::npos);
  // Signed by somebody else in the log's name.
  EXPECT_FALSE(check_checkpoint(log.checkpoint(stranger.key), log.verifier.text()));
  EXPECT_TRUE(check_checkpoint(log.checkpoint(log.key), log.verifier.text()));
}

TEST(ProofCheck, WhatDoesNotParseIsInvalid) {
  std::mt19937_64 random(7);
  const Log log(random, 3);
  for (const auto& [proof, key] :
       std::vector<std::pair<std::string, std::string>>{{"", log.verifier.text()},
                                                        {"nonsense", log.verifier.text()},
                                                        {log.proof(1), ""},
                                                        {log.proof(1), "a+b+c"}}) {
    const auto refused = check_proof(proof, log.entries[1], key);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::invalid) << refused.error().message;
  }
}

}  // namespace
}  // namespace vestige::verify
