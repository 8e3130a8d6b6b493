// Properties:
// 1. Roots, inclusion and consistency proofs are those of RFC 6962 §2.1, which a naive recursive model
//    transcribes; for every size up to 70, every leaf and every pair of sizes, and for random bigger trees.
// 2. The verifiers accept exactly these: a proof with a flipped bit, a hash more or less, two swapped, or
//    given for another leaf, index, size or root is refused.
// 3. Published vectors (CT reference tree; transparency-dev/merkle) come out as they say.
#include "trail/merkle/merkle.h"

#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <sstream>

#include "base/encoding.h"
#include "base/testing/shared_data.h"
#include "json/json.h"
#include "trail/testing/random_entries.h"

namespace vestige::trail {
namespace {

using testing::Random;
using vestige::testing::scaled;
using vestige::testing::seed;
using vestige::testing::shared_bytes;

constexpr std::uint64_t small_sizes = 70;

// RFC 6962 §2.1 word for word, over D[first : first + size].
class Model {
 public:
  explicit Model(std::vector<Hash> leaves) : leaves_(std::move(leaves)) {}
  std::uint64_t size() const { return leaves_.size(); }
  const Hash& leaf(std::uint64_t i) const { return leaves_[i]; }
  const std::vector<Hash>& leaves() const { return leaves_; }

  Hash tree_hash(std::uint64_t first, std::uint64_t size) {
    if (size == 0) return empty_root();
    if (size == 1) return leaves_[first];
    const auto [place, fresh] = memory_.try_emplace({first, size});
    if (!fresh) return place->second;
    const auto k = split(size);
    const auto left = tree_hash(first, k);
    const auto right = tree_hash(first + k, size - k);
    return memory_[{first, size}] = node_hash(left, right);
  }
  std::vector<Hash> path(std::uint64_t m, std::uint64_t first, std::uint64_t size) {
    if (size == 1) return {};
    const auto k = split(size);
    auto out = m < k ? path(m, first, k) : path(m - k, first + k, size - k);
    out.push_back(m < k ? tree_hash(first + k, size - k) : tree_hash(first, k));
    return out;
  }
  std::vector<Hash> subproof(std::uint64_t m, std::uint64_t first, std::uint64_t size, bool whole) {
    if (m == size) return whole ? std::vector<Hash>{} : std::vector<Hash>{tree_hash(first, size)};
    const auto k = split(size);
    auto out = m <= k ? subproof(m, first, k, whole) : subproof(m - k, first + k, size - k, false);
    out.push_back(m <= k ? tree_hash(first + k, size - k) : tree_hash(first, k));
    return out;
  }
  NodeSource nodes() {
    return
        [this](unsigned level, std::uint64_t i) { return tree_hash(i << level, std::uint64_t{1} << level); };
  }

 private:
  static std::uint64_t split(std::uint64_t size) {
    std::uint64_t k = 1;
    while (k * 2 < size) k *= 2;
    return k;
  }
  std::vector<Hash> leaves_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, Hash> memory_;
};

Model random_model(Random& random, std::uint64_t size) {
  std::vector<Hash> leaves(size);
  for (auto& leaf : leaves) leaf = leaf_hash(random.array<20>());
  return Model(std::move(leaves));
}

// Every small change of a proof that must not verify.
std::vector<std::vector<Hash>> tampered(Random& random, const std::vector<Hash>& path) {
  std::vector<std::vector<Hash>> out;
  for (std::size_t i = 0; i < path.size(); ++i) {
    out.push_back(path);
    out.back()[i][random.below(32)] ^= static_cast<std::uint8_t>(1 << random.below(8));
    out.push_back(path);
    out.back().erase(out.back().begin() + static_cast<std::ptrdiff_t>(i));
    if (i == 0) continue;
    out.push_back(path);
    std::swap(out.back()[i], out.back()[i - 1]);
  }
  out.push_back(path);
  out.back().push_back(random.array<32>());
  out.push_back(path);
  out.back().insert(out.back().begin(), random.array<32>());
  if (!path.empty()) {
    out.push_back(path);
    out.back().push_back(path.back());
  }
  return out;
}

void expect_inclusion(Random& random, Model& model, std::uint64_t index, std::uint64_t size) {
  const auto root = model.tree_hash(0, size);
  const auto path = inclusion_path(index, size, model.nodes());
  ASSERT_EQ(path, model.path(index, 0, size)) << index << " of " << size;
  ASSERT_TRUE(verify_inclusion(model.leaf(index), index, size, path, root));
  for (const auto& wrong : tampered(random, path))
    ASSERT_FALSE(verify_inclusion(model.leaf(index), index, size, wrong, root)) << index << " of " << size;
  auto other = model.leaf(index);
  other[random.below(32)] ^= 1;
  ASSERT_FALSE(verify_inclusion(other, index, size, path, root));
  auto other_root = root;
  other_root[random.below(32)] ^= 0x80;
  ASSERT_FALSE(verify_inclusion(model.leaf(index), index, size, path, other_root));
  for (std::uint64_t wrong = 0; wrong < size; ++wrong)
    if (wrong != index) ASSERT_FALSE(verify_inclusion(model.leaf(index), wrong, size, path, root));
  ASSERT_FALSE(verify_inclusion(model.leaf(index), size, size, path, root));
}

void expect_consistency(Random& random, Model& model, std::uint64_t from, std::uint64_t to) {
  const auto old_root = model.tree_hash(0, from);
  const auto new_root = model.tree_hash(0, to);
  const auto path = consistency_path(from, to, model.nodes());
  ASSERT_EQ(path, from == 0 ? std::vector<Hash>{} : model.subproof(from, 0, to, true)) << from << ", " << to;
  ASSERT_TRUE(verify_consistency(from, old_root, to, new_root, path));
  for (const auto& wrong : tampered(random, path))
    ASSERT_FALSE(verify_consistency(from, old_root, to, new_root, wrong)) << from << ", " << to;
  auto other = old_root;
  other[random.below(32)] ^= 1;
  ASSERT_FALSE(verify_consistency(from, other, to, new_root, path));
  if (from > 0) {
    other = new_root;
    other[random.below(32)] ^= 1;
    ASSERT_FALSE(verify_consistency(from, old_root, to, other, path));
  }
  if (from < to) ASSERT_FALSE(verify_consistency(to, new_root, from, old_root, path));
}

TEST(Merkle, EverySmallTreeGivesRootsAndProofsOfTheModel) {
  Random random(seed());
  auto model = random_model(random, small_sizes);
  for (std::uint64_t size = 0; size <= small_sizes; ++size) {
    const auto root = model.tree_hash(0, size);
    ASSERT_EQ(root_of(std::span(model.leaves()).first(size)), root) << size;
    ASSERT_EQ(root_at(size, model.nodes()), root) << size;
    for (std::uint64_t index = 0; index < size; ++index) expect_inclusion(random, model, index, size);
    for (std::uint64_t from = 0; from <= size; ++from) expect_consistency(random, model, from, size);
    if (HasFatalFailure()) return;
  }
}

TEST(Merkle, ProofsOfOneSizeDoNotHoldForAnother) {
  Random random(seed());
  auto model = random_model(random, small_sizes);
  for (std::uint64_t size = 1; size <= 40; ++size)
    for (std::uint64_t index = 0; index < size; ++index) {
      const auto path = inclusion_path(index, size, model.nodes());
      // Another size may have the same path and root only when it is this size.
      for (std::uint64_t other = index + 1; other <= 40; ++other)
        if (other != size)
          ASSERT_FALSE(verify_inclusion(model.leaf(index), index, other, path, model.tree_hash(0, other)));
    }
}

TEST(Merkle, RandomBigTreesGiveProofsOfTheModel) {
  for (std::size_t round = 0; round < scaled(3); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed() + round));
    Random random(seed() + round);
    auto model = random_model(random, 1'000 + random.below(4'000));
    for (int i = 0; i < 60; ++i) {
      const auto size = 1 + random.below(model.size());
      const auto index = random.below(size);
      const auto root = root_at(size, model.nodes());
      ASSERT_EQ(root, model.tree_hash(0, size));
      const auto path = inclusion_path(index, size, model.nodes());
      ASSERT_EQ(path, model.path(index, 0, size));
      ASSERT_TRUE(verify_inclusion(model.leaf(index), index, size, path, root));
      expect_consistency(random, model, random.below(size + 1), size);
    }
    if (HasFatalFailure()) return;
  }
}

// Any leaves may stand in the tree by themselves, and roots of whole subtrees for all that is between them.
TEST(Merkle, SubtreesStandForTheLeavesThatAreLeftOut) {
  Random random(seed());
  for (int round = 0; round < 60; ++round) {
    auto model = random_model(random, random.below(3'000));
    Frontier tree;
    const auto leave_out = [&](std::uint64_t end) {
      const auto roots = subtree_roots(tree.size(), end, model.nodes());
      ASSERT_LE(roots.size(), 2U * 64);
      for (const auto& root : roots) tree.append_subtree(subtree_level(tree.size(), end), root);
      ASSERT_EQ(tree.size(), end);
    };
    while (tree.size() < model.size()) {
      const auto next = tree.size() + random.below(random.below(4) == 0 ? 1'000 : 3);
      if (next >= model.size()) break;
      ASSERT_NO_FATAL_FAILURE(leave_out(next));
      tree.append(model.leaf(next));
    }
    ASSERT_NO_FATAL_FAILURE(leave_out(model.size()));
    ASSERT_TRUE(tree.fits());
    ASSERT_EQ(tree.root(), model.tree_hash(0, model.size()));
  }
}

TEST(Merkle, VerifiersTakeAnyNumbers) {
  const Hash hash{};
  const std::vector<Hash> path(200);
  for (const std::uint64_t number : {std::uint64_t{0}, std::uint64_t{1}, UINT64_MAX - 1, UINT64_MAX})
    for (const std::uint64_t other : {std::uint64_t{0}, std::uint64_t{1}, UINT64_MAX - 1, UINT64_MAX}) {
      EXPECT_FALSE(verify_inclusion(hash, number, other, path, hash));
      EXPECT_FALSE(verify_consistency(number, hash, other, hash, path));
    }
}

TEST(GrowingTree, FrontierAndUpperNodesAreThoseOfTheModel) {
  Random random(seed());
  auto model = random_model(random, 70'000);
  GrowingTree tree;
  Frontier frontier;
  for (std::uint64_t size = 0;; ++size) {
    if (size < 600 || size % 4'096 <= 1 || size == model.size()) {
      ASSERT_EQ(tree.size(), size);
      ASSERT_EQ(tree.frontier().root(), model.tree_hash(0, size)) << size;
      ASSERT_EQ(frontier.root(), model.tree_hash(0, size)) << size;
      ASSERT_TRUE(Frontier(size, frontier.nodes()).fits());
      auto one_more = frontier.nodes();
      one_more.push_back(Hash{});
      ASSERT_FALSE(Frontier(size, one_more).fits());
    }
    if (size == model.size()) break;
    tree.append(model.leaf(size));
    frontier.append(model.leaf(size));
  }
  for (unsigned level = tile_height; level <= 16; ++level)
    for (std::uint64_t i = 0; (i + 1) << level <= model.size(); ++i)
      ASSERT_EQ(tree.node(level, i), model.tree_hash(i << level, std::uint64_t{1} << level))
          << level << ", " << i;
}

TEST(GrowingTree, TellsEverySubtreeThatALeafCompletes) {
  Random random(seed());
  auto model = random_model(random, 300);
  Frontier frontier;
  for (std::uint64_t size = 0; size < model.size(); ++size) {
    unsigned expected_level = 0;
    frontier.append(model.leaf(size), [&](unsigned level, const Hash& node) {
      ASSERT_EQ(level, expected_level++);
      const auto count = std::uint64_t{1} << level;
      ASSERT_EQ(node, model.tree_hash(size + 1 - count, count));
    });
    EXPECT_EQ(expected_level, static_cast<unsigned>(std::countr_zero(size + 1)) + 1);
  }
}

// The leaves and roots of the Certificate Transparency reference tree.
TEST(Merkle, CertificateTransparencyReferenceTree) {
  constexpr std::string_view leaves[] = {
      "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"};
  constexpr std::string_view roots[] = {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                                        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                                        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
                                        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
                                        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                                        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
                                        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
                                        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
                                        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
  std::vector<Hash> hashes;
  EXPECT_EQ(to_hex(empty_root()), roots[0]);
  for (std::size_t i = 0; i < std::size(leaves); ++i) {
    hashes.push_back(leaf_hash(*from_hex(leaves[i])));
    EXPECT_EQ(to_hex(root_of(hashes)), roots[i + 1]);
  }
}

// Some vectors name leaf numbers that no double holds, which the JSON parser refuses; as strings they pass.
std::string with_numbers_quoted(const std::string& line) {
  static const std::regex number(":(-?[0-9]+)([,}])");
  return std::regex_replace(line, number, ":\"$1\"$2");
}
std::uint64_t number_of(const json::Value& value) {
  return std::strtoull(std::string(value.string()).c_str(), nullptr, 10);
}

// Empty where a text is no base64 of 32 bytes, which a proof then cannot hold.
std::optional<std::vector<Hash>> hashes_of(const json::Value& list) {
  std::vector<Hash> out;
  if (!list.is_array()) return out;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto hash = array_from_base64<32>(list.at(i).string());
    if (!hash) return std::nullopt;
    out.push_back(*hash);
  }
  return out;
}

bool verify_vector(const json::Value& vector, bool inclusion) {
  const auto path = hashes_of(vector.find("proof"));
  if (!path) return false;
  const auto hash = [&](std::string_view name) { return array_from_base64<32>(vector.find(name).string()); };
  if (inclusion) {
    const auto root = hash("root");
    const auto leaf = hash("leafHash");
    return root && leaf &&
           verify_inclusion(*leaf, number_of(vector.find("leafIdx")), number_of(vector.find("treeSize")),
                            *path, *root);
  }
  const auto root1 = hash("root1");
  const auto root2 = hash("root2");
  return root1 && root2 &&
         verify_consistency(number_of(vector.find("size1")), *root1, number_of(vector.find("size2")), *root2,
                            *path);
}

TEST(Merkle, TransparencyDevVectors) {
  const auto bytes = shared_bytes("vectors/merkle-rfc6962.jsonl");
  if (!bytes) GTEST_SKIP();  // named by shared_bytes: the folder is not beside this clone
  json::Parser parser;
  json::Document document;
  std::size_t checked = 0;
  std::size_t subtree = 0;
  std::istringstream lines(*bytes);
  for (std::string line; std::getline(lines, line);) {
    ASSERT_TRUE(parser.parse(with_numbers_quoted(line), document));
    const auto vector = document.root();
    const std::string name(vector.find("file").string());
    if (name.starts_with("subtree")) {
      ++subtree;
      continue;
    }
    ++checked;
    EXPECT_EQ(verify_vector(vector, name.starts_with("inclusion")), !vector.find("wantErr").boolean())
        << name;
  }
  std::printf("%zu vectors checked; %zu of proofs within subtrees, which the trail does not make\n", checked,
              subtree);
  EXPECT_EQ(checked, 92U);
  EXPECT_EQ(subtree, 143U);
}

}  // namespace
}  // namespace vestige::trail
