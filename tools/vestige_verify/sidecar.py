"""Sidecars (docs/formats/sidecar.md). Derived, so one that is missing is no fault; one that is there has to be whole and
of its segment, and a personal one has to have what the sealed values of its pages are found by."""
import hashlib
import struct

from .cipher import nonce, open_sealed
from .reader import Damage, Reader, check_digest

HEADER = 512
FACTS, FILTER = 16, 17
GROUP_PAGES, BUCKET_ROWS, TAG = 512, 256, 16
MAGIC = {"pub": b"VSTGPUB1", "per": b"VSTGPER1"}
MASK = 2 ** 64 - 1


class Sidecar:
    """Checks one, `kind` "pub" or "per"; `listed`: the segment in the manifest; `keys`: None for what can be checked
    without them. `key` stays None where nobody has the key of a personal one any more."""

    def __init__(self, data, kind, listed, data_id, keys):
        self.kind, self.key, self.pages, self.groups, self.buckets = kind, None, [], [], []
        if len(data) < HEADER + 32:
            raise Damage(f"sidecar: {len(data)} bytes, shorter than its header", len(data))
        if hashlib.sha256(data[:480]).digest() != data[480:HEADER]:
            raise Damage("sidecar: the header does not match its digest", 0)
        reader = Reader(data[:480], 0, "sidecar")
        reader.expect(MAGIC[kind], "the magic")
        if reader.u16() != 1:
            raise Damage("sidecar: a version that this reader does not know", 8)
        reader.reserved(6)
        self.file_id, found = reader.take(16, "the file id"), reader.take(16, "the data id")
        if found != data_id:
            raise Damage(f"sidecar: data id {found.hex()}, the manifest has {data_id.hex()}", 32)
        first, end = reader.u64(), reader.u64()
        wrapped = reader.take(60, "the wrapped key")
        if kind == "per" and any(wrapped):
            raise Damage("sidecar: reserved bytes are not zero", 64)
        reader.reserved(4)
        segment = reader.take(32, "the segment's digest")
        if (first, end, segment) != (listed.first, listed.end, listed.files["seg"].digest):
            raise Damage("sidecar: of another segment", 48)
        facts_bytes = reader.u64()
        reader.reserved(480 - 168)
        reader.end()
        body = check_digest(data, "sidecar")
        if keys is None:
            return
        if kind == "per":
            self.key = keys.top.kept.get(self.file_id, (None, 0))[0]
            if self.key is None:
                return
        else:
            self.key = keys.unwrap(wrapped, b"sidecar " + self.file_id)
        if self.key is None:
            raise Damage("sidecar: the file's key does not open under the vault's wrap key", 64)
        facts = self.chunk(body[HEADER:HEADER + facts_bytes], FACTS, 0, 0, HEADER)
        self.pages, self.groups = read_facts(facts)
        self.read_buckets(body, HEADER + facts_bytes)

    def chunk(self, sealed, kind, number, group, offset):
        plain = open_sealed(self.key, nonce(kind, number), self.file_id + struct.pack("<III", kind, number, group), sealed)
        if plain is None:
            raise Damage(f"sidecar: the tag of chunk {number} of type {kind} does not verify", offset)
        return plain

    def read_buckets(self, body, offset):
        number = 0
        for group, (pages, buckets) in enumerate(self.groups):
            size = BUCKET_ROWS * ((pages + 7) // 8) + TAG
            self.buckets.append([])
            for _ in range(buckets):
                self.buckets[-1].append(self.chunk(body[offset:offset + size], FILTER, number, group, offset))
                number, offset = number + 1, offset + size
        if offset != len(body):
            raise Damage(f"sidecar: {len(body)} bytes before the digest, its facts give {offset}", offset)

    def may_have(self, page, token):
        pages, buckets = self.groups[page // GROUP_PAGES]
        bucket = self.buckets[page // GROUP_PAGES][(token >> 32) * buckets >> 32]
        width, column = (pages + 7) // 8, page % GROUP_PAGES
        return all(bucket[row * width + column // 8] >> column % 8 & 1 for row in mixed(token).to_bytes(8, "little"))

    def check_page(self, page, has_sections, tokens):
        """Of a page of the segment; `tokens` of what its sections hold."""
        if page >= len(self.pages):
            raise Damage(f"sidecar: it tells of {len(self.pages)} pages, and the segment has more")
        flags = self.pages[page]
        if bool(flags & 1) != has_sections:
            raise Damage(f"sidecar: it is wrong about whether page {page} has sealed values")
        if not flags & 2 and not all(self.may_have(page, token) for token in tokens):
            raise Damage(f"sidecar: it lacks something that a sealed value of page {page} is found by")


def mixed(x):
    x = (x ^ x >> 33) * 0xFF51AFD7ED558CCD & MASK
    x = (x ^ x >> 33) * 0xC4CEB9FE1A85EC53 & MASK
    return x ^ x >> 33


def read_facts(facts):
    """Flags of each page, (pages, buckets) of each group."""
    reader = Reader(facts, 0, "sidecar's facts")
    pages, flags = reader.u32(), []
    for _ in range(pages):
        reader.take(16, "the times of a page")
        flags.append(reader.u8())
        if flags[-1] > 3:
            raise Damage("sidecar's facts: a flag that this reader does not know")
    groups = [(reader.u32(), reader.u32()) for _ in range(reader.u32())]
    reader.end()
    left = pages
    for count, buckets in groups:
        if count != min(GROUP_PAGES, left) or not count or not buckets:
            raise Damage("sidecar's facts: the groups do not cover the pages")
        left -= count
    if left:
        raise Damage("sidecar's facts: the groups do not cover the pages")
    return flags, groups
