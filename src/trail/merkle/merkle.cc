#include "trail/merkle/merkle.h"

#include <bit>

#include "base/check.h"
#include "crypto/digest.h"

namespace vestige::trail {

Hash leaf_hash(ByteView entry) {
  const std::uint8_t prefix = 0x00;
  return crypto::sha256({ByteView(&prefix, 1), entry});
}

Hash node_hash(const Hash& left, const Hash& right) {
  std::array<std::uint8_t, 65> input;
  input[0] = 0x01;
  std::memcpy(input.data() + 1, left.data(), left.size());
  std::memcpy(input.data() + 33, right.data(), right.size());
  return crypto::sha256(input);
}

Hash empty_root() { return crypto::sha256(ByteView{}); }

bool Frontier::fits() const { return nodes_.size() == static_cast<std::size_t>(std::popcount(size_)); }

Hash Frontier::root() const {
  CHECK(fits());
  if (nodes_.empty()) return empty_root();
  Hash root = nodes_.back();
  for (std::size_t i = nodes_.size() - 1; i-- > 0;) root = node_hash(nodes_[i], root);
  return root;
}

void Frontier::append_subtree(unsigned level, const Hash& root) {
  const auto leaves = std::uint64_t{1} << level;
  CHECK(size_ % leaves == 0);
  Hash node = root;
  for (auto size = size_ >> level; size & 1; size >>= 1) {
    node = node_hash(nodes_.back(), node);
    nodes_.pop_back();
  }
  nodes_.push_back(node);
  size_ += leaves;
}

unsigned subtree_level(std::uint64_t from, std::uint64_t to) {
  CHECK(from < to);
  const auto fits = static_cast<unsigned>(std::bit_width(to - from) - 1);
  return from == 0 ? fits : std::min(fits, static_cast<unsigned>(std::countr_zero(from)));
}

void GrowingTree::append(const Hash& leaf) {
  frontier_.append(leaf, [this](unsigned level, const Hash& node) {
    if (level == 0 || level % tile_height != 0) return;
    const std::size_t k = level / tile_height - 1;
    if (levels_.size() <= k) levels_.resize(k + 1);
    levels_[k].push_back(node);
  });
}

Hash GrowingTree::node(unsigned level, std::uint64_t i) const {
  CHECK(level >= tile_height);
  const std::size_t k = level / tile_height - 1;
  const unsigned above = level % tile_height;
  CHECK(k < levels_.size() && ((i + 1) << above) <= levels_[k].size());
  return combine(std::span(levels_[k]).subspan(i << above, std::size_t{1} << above));
}

Hash combine(std::span<const Hash> nodes) {
  CHECK(std::has_single_bit(nodes.size()));
  if (nodes.size() == 1) return nodes.front();
  std::vector<Hash> level(nodes.size() / 2);
  for (std::size_t i = 0; i < level.size(); ++i) level[i] = node_hash(nodes[2 * i], nodes[2 * i + 1]);
  return combine(level);
}

Hash root_of(std::span<const Hash> leaves) {
  Frontier frontier;
  for (const auto& leaf : leaves) frontier.append(leaf);
  return frontier.root();
}

namespace {

// Root of leaves [first, first + size), first being a multiple of the largest power of two in size.
Hash range_root(std::uint64_t first, std::uint64_t size, const NodeSource& nodes) {
  CHECK(size > 0);
  if (std::has_single_bit(size)) {
    const auto level = static_cast<unsigned>(std::countr_zero(size));
    return nodes(level, first >> level);
  }
  const std::uint64_t left = std::bit_floor(size);
  return node_hash(range_root(first, left, nodes), range_root(first + left, size - left, nodes));
}

// The largest power of two smaller than size; size > 1.
std::uint64_t split_of(std::uint64_t size) { return std::bit_floor(size - 1); }

}  // namespace

Hash root_at(std::uint64_t size, const NodeSource& nodes) {
  return size == 0 ? empty_root() : range_root(0, size, nodes);
}

std::vector<Hash> subtree_roots(std::uint64_t from, std::uint64_t to, const NodeSource& nodes) {
  std::vector<Hash> roots;
  while (from < to) {
    const auto level = subtree_level(from, to);
    roots.push_back(nodes(level, from >> level));
    from += std::uint64_t{1} << level;
  }
  return roots;
}

std::vector<Hash> inclusion_path(std::uint64_t index, std::uint64_t size, const NodeSource& nodes) {
  CHECK(index < size);
  std::vector<Hash> path;
  // From the root down, so the path is gathered in reverse.
  std::uint64_t first = 0;
  while (size > 1) {
    const auto left = split_of(size);
    if (index - first < left) {
      path.push_back(range_root(first + left, size - left, nodes));
      size = left;
    } else {
      path.push_back(range_root(first, left, nodes));
      first += left;
      size -= left;
    }
  }
  std::ranges::reverse(path);
  return path;
}

std::vector<Hash> consistency_path(std::uint64_t from, std::uint64_t to, const NodeSource& nodes) {
  CHECK(from <= to);
  std::vector<Hash> path;
  if (from == 0 || from == to) return path;
  std::uint64_t first = 0;
  std::uint64_t size = to;
  bool whole = true;  // the old tree is the leftmost part of what is left
  while (from != size) {
    const auto left = split_of(size);
    if (from <= left) {
      path.push_back(range_root(first + left, size - left, nodes));
      size = left;
    } else {
      path.push_back(range_root(first, left, nodes));
      first += left;
      from -= left;
      size -= left;
      whole = false;
    }
  }
  if (!whole) path.push_back(range_root(first, size, nodes));
  std::ranges::reverse(path);
  return path;
}

bool verify_inclusion(const Hash& leaf, std::uint64_t index, std::uint64_t size, std::span<const Hash> path,
                      const Hash& root) {
  if (index >= size) return false;
  std::uint64_t node = index;
  std::uint64_t last = size - 1;
  Hash hash = leaf;
  for (const auto& sibling : path) {
    if (last == 0) return false;
    if ((node & 1) == 1 || node == last) {
      hash = node_hash(sibling, hash);
      while ((node & 1) == 0 && node != 0) {
        node >>= 1;
        last >>= 1;
      }
    } else {
      hash = node_hash(hash, sibling);
    }
    node >>= 1;
    last >>= 1;
  }
  return last == 0 && hash == root;
}

bool verify_consistency(std::uint64_t from, const Hash& from_root, std::uint64_t to, const Hash& to_root,
                        std::span<const Hash> path) {
  if (from > to) return false;
  if (from == to) return path.empty() && from_root == to_root;
  if (from == 0) return path.empty() && from_root == empty_root();
  if (path.empty()) return false;
  std::uint64_t node = from - 1;
  std::uint64_t last = to - 1;
  while ((node & 1) == 1) {
    node >>= 1;
    last >>= 1;
  }
  std::size_t at = 0;
  // A power of two is its own first hash, which the proof leaves out.
  Hash old_hash = std::has_single_bit(from) ? from_root : path[at++];
  Hash new_hash = old_hash;
  for (; at < path.size(); ++at) {
    if (last == 0) return false;
    if ((node & 1) == 1 || node == last) {
      old_hash = node_hash(path[at], old_hash);
      new_hash = node_hash(path[at], new_hash);
      while ((node & 1) == 0 && node != 0) {
        node >>= 1;
        last >>= 1;
      }
    } else {
      new_hash = node_hash(new_hash, path[at]);
    }
    node >>= 1;
    last >>= 1;
  }
  return last == 0 && old_hash == from_root && new_hash == to_root;
}

}  // namespace vestige::trail
