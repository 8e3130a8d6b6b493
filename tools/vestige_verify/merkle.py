"""RFC 6962 trees over SHA-256."""
import hashlib

TILE_HEIGHT = 8  # a C2SP tile is a perfect subtree of 256 leaves
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data):
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """Grows leaf by leaf and holds only the roots of the perfect subtrees of its size, largest first.
    `tile` is the root of the last whole tile."""

    def __init__(self):
        self.size, self.frontier, self.tile = 0, [], None

    def append(self, leaf):
        node, position, height = leaf, self.size, 0
        frontier, sha256 = self.frontier, hashlib.sha256
        while position & 1:
            node = sha256(b"\1" + frontier.pop() + node).digest()
            position >>= 1
            height += 1
            if height == TILE_HEIGHT:
                self.tile = node
        frontier.append(node)
        self.size += 1

    def root(self):
        if not self.frontier:
            return EMPTY_ROOT
        node = self.frontier[-1]
        for left in reversed(self.frontier[:-1]):
            node = node_hash(left, node)
        return node


def root_of(leaves):
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def root_from_path(leaf, index, size, path):
    """The root to which an inclusion path (sibling of the leaf first) leads; None if no path of this length
    belongs to this index and size."""
    if index >= size:
        return None
    node, last, remaining = leaf, size - 1, list(path)
    while last:
        if index & 1 or index < last:
            if not remaining:
                return None
            sibling = remaining.pop(0)
            node = node_hash(sibling, node) if index & 1 else node_hash(node, sibling)
        index, last = index >> 1, last >> 1
    return None if remaining else node
