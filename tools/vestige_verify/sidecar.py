"""Sidecars (docs/formats/sidecar.md). Derived, so one that is missing is no fault; one that is there has to be whole and
of its segment."""
import hashlib
import struct

from .cipher import nonce, open_sealed
from .reader import Damage, Reader, check_digest

HEADER = 512
FACTS, FILTER = 16, 17
GROUP_PAGES, BUCKET_ROWS, TAG = 512, 256, 16


class Sidecar:
    """Checks one; `listed`: the segment in the manifest; `keys`: None for what can be checked without them."""

    def __init__(self, data, listed, data_id, keys):
        if len(data) < HEADER + 32:
            raise Damage(f"sidecar: {len(data)} bytes, shorter than its header", len(data))
        if hashlib.sha256(data[:480]).digest() != data[480:HEADER]:
            raise Damage("sidecar: the header does not match its digest", 0)
        reader = Reader(data[:480], 0, "sidecar")
        reader.expect(b"VSTGPUB1", "the magic")
        if reader.u16() != 1:
            raise Damage("sidecar: a version that this reader does not know", 8)
        reader.reserved(6)
        self.file_id, found = reader.take(16, "the file id"), reader.take(16, "the data id")
        if found != data_id:
            raise Damage(f"sidecar: data id {found.hex()}, the manifest has {data_id.hex()}", 32)
        first, end = reader.u64(), reader.u64()
        wrapped = reader.take(60, "the wrapped key")
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
        self.key = keys.unwrap(wrapped, b"sidecar " + self.file_id)
        if self.key is None:
            raise Damage("sidecar: the file's key does not open under the vault's wrap key", 64)
        facts = self.chunk(body[HEADER:HEADER + facts_bytes], FACTS, 0, 0, HEADER)
        self.read_buckets(body, HEADER + facts_bytes, groups_of(facts))

    def chunk(self, sealed, kind, number, group, offset):
        plain = open_sealed(self.key, nonce(kind, number), self.file_id + struct.pack("<III", kind, number, group), sealed)
        if plain is None:
            raise Damage(f"sidecar: the tag of chunk {number} of type {kind} does not verify", offset)
        return plain

    def read_buckets(self, body, offset, groups):
        number = 0
        for group, (pages, buckets) in enumerate(groups):
            size = BUCKET_ROWS * ((pages + 7) // 8) + TAG
            for _ in range(buckets):
                self.chunk(body[offset:offset + size], FILTER, number, group, offset)
                number, offset = number + 1, offset + size
        if offset != len(body):
            raise Damage(f"sidecar: {len(body)} bytes before the digest, its facts give {offset}", offset)


def groups_of(facts):
    reader = Reader(facts, 0, "sidecar's facts")
    pages = reader.u32()
    for _ in range(pages):
        reader.take(16, "the times of a page")
        if reader.u8() > 3:
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
    return groups
