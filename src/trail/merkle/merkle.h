// RFC 6962 §2.1 Merkle trees over SHA-256: hashes, compact ranges, and the verification of proofs.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/bytes.h"

namespace vestige::trail {

Hash leaf_hash(ByteView entry);                       // SHA-256(0x00 || entry)
Hash node_hash(const Hash& left, const Hash& right);  // SHA-256(0x01 || left || right)
Hash empty_root();                                    // SHA-256("")

// Roots of the perfect subtrees of a tree, largest (leftmost) first: as many as the size has one bits.
// Enough to append leaves and to give the root.
class Frontier {
 public:
  Frontier() = default;
  // `nodes` fits `size`, or the frontier is not valid (see fits()).
  Frontier(std::uint64_t size, std::vector<Hash> nodes) : size_(size), nodes_(std::move(nodes)) {}
  bool fits() const;
  std::uint64_t size() const { return size_; }
  const std::vector<Hash>& nodes() const { return nodes_; }
  // Calls `completed(level, root)` for every perfect subtree of 2^level leaves that this leaf completes,
  // level 0 (the leaf) first.
  template <typename Completed>
  void append(const Hash& leaf, Completed&& completed) {
    Hash node = leaf;
    unsigned level = 0;
    completed(level, node);
    for (std::uint64_t size = size_; size & 1; size >>= 1) {
      node = node_hash(nodes_.back(), node);
      nodes_.pop_back();
      completed(++level, node);
    }
    nodes_.push_back(node);
    ++size_;
  }
  void append(const Hash& leaf) {
    append(leaf, [](unsigned, const Hash&) {});
  }
  // All leaves of a perfect subtree of 2^level at once. The size is a multiple of that.
  void append_subtree(unsigned level, const Hash& root);
  Hash root() const;

 private:
  std::uint64_t size_ = 0;
  std::vector<Hash> nodes_;
};

inline constexpr unsigned tile_height = 8;  // levels of the tree in one C2SP tile
inline constexpr std::uint64_t tile_leaves = std::uint64_t{1} << tile_height;

// A growing tree that remembers the nodes above its level-0 tiles: 32 bytes for every 256 leaves. Leaves and
// what is inside a tile are the caller's to keep.
class GrowingTree {
 public:
  void append(const Hash& leaf);
  std::uint64_t size() const { return frontier_.size(); }
  const Frontier& frontier() const { return frontier_; }
  // Level is tile_height or more, and the node lies inside the tree.
  Hash node(unsigned level, std::uint64_t i) const;

 private:
  Frontier frontier_;
  std::vector<std::vector<Hash>> levels_;  // [k]: roots of 256^(k+1) aligned leaves
};

// The largest perfect subtree that begins at `from` and does not go past `to`: its level; from < to.
unsigned subtree_level(std::uint64_t from, std::uint64_t to);

// Root of a power of two of neighbouring nodes.
Hash combine(std::span<const Hash> nodes);

// Root of a whole list of leaves.
Hash root_of(std::span<const Hash> leaves);

// What gives node (level, i): the root of leaves i * 2^level .. (i + 1) * 2^level - 1, all inside the tree.
using NodeSource = std::function<Hash(unsigned level, std::uint64_t i)>;

Hash root_at(std::uint64_t size, const NodeSource& nodes);
// Roots of the largest perfect subtrees that leaves [from, to) make up, from left to right.
std::vector<Hash> subtree_roots(std::uint64_t from, std::uint64_t to, const NodeSource& nodes);
// RFC 6962 §2.1.1, leaf sibling first; index < size.
std::vector<Hash> inclusion_path(std::uint64_t index, std::uint64_t size, const NodeSource& nodes);
// RFC 6962 §2.1.2; from <= to.
std::vector<Hash> consistency_path(std::uint64_t from, std::uint64_t to, const NodeSource& nodes);

// RFC 9162 §2.1.3.2 and §2.1.4.2. Any input is allowed; false where the proof does not hold.
[[nodiscard]] bool verify_inclusion(const Hash& leaf, std::uint64_t index, std::uint64_t size,
                                    std::span<const Hash> path, const Hash& root);
[[nodiscard]] bool verify_consistency(std::uint64_t from, const Hash& from_root, std::uint64_t to,
                                      const Hash& to_root, std::span<const Hash> path);

}  // namespace vestige::trail
