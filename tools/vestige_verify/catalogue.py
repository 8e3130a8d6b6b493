"""Manifest, signer state and API keys."""
import base64
import re

from .note import ED25519, VerifierKey
from .reader import Damage, Reader, check_digest, check_length, sha256

VERSION = 1
NAME = re.compile(r"[^/\x00]+")
ORIGIN_BYTES_MAX = 4096
KEYS_MAX = 10_000
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
SCOPES = ("ingest", "read", "admin")


class FileEntry:
    def __init__(self, reader):
        self.size, self.digest = reader.u64(), reader.take(32, "a digest")


class SegmentEntry:
    """`files`: suffix -> FileEntry."""

    def __init__(self, reader):
        self.first, self.end = reader.u64(), reader.u64()
        self.files = {suffix: FileEntry(reader) for suffix in ("seg", "hashes", "ids")}

    def name(self, suffix):
        return f"{self.first:012d}-{self.end:012d}.{suffix}"


class StreamEntry:
    def __init__(self, reader):
        self.number, self.tenant, self.stream = reader.u8(), reader.text("the tenant"), reader.text("the stream")
        for name in (self.tenant, self.stream):
            if not NAME.fullmatch(name) or name in (".", ".."):
                raise reader.damage(f"{name!r} is no name of a tenant or a stream")
        proofs = reader.u8("proofs")
        if proofs > 1:
            raise reader.damage(f"proofs of {self.name} is {proofs}, expected 0 or 1")
        self.proofs, self.sealed_size = bool(proofs), reader.u64()
        self.frontier = [reader.take(32, "a frontier hash") for _ in range(checked_count(reader, 64, "frontier hashes"))]
        if len(self.frontier) != self.sealed_size.bit_count():
            raise reader.damage(f"{self.name} has a frontier of {len(self.frontier)} hashes, the sealed size "
                                f"{self.sealed_size} has {self.sealed_size.bit_count()} perfect subtrees")
        self.segments, expected = [], 0
        for _ in range(checked_count(reader, reader.left(), "segments")):
            segment = SegmentEntry(reader)
            if segment.first != expected or segment.end <= segment.first:
                raise reader.damage(f"{self.name} lists segment {segment.first} to {segment.end} where one that begins "
                                    f"at {expected} is expected")
            expected = segment.end
            self.segments.append(segment)
        if expected != self.sealed_size:
            raise reader.damage(f"the segments of {self.name} end at {expected}, its sealed size is {self.sealed_size}")

    @property
    def name(self):
        return f"{self.tenant}/{self.stream}"


def checked_count(reader, most, what):
    count = reader.varint(f"the number of {what}")
    if count > most:
        raise reader.damage(f"{count} {what}, at most {most} are possible")
    return count


class Manifest:
    def __init__(self, data):
        reader = Reader(check_digest(data, "manifest"), 0, "manifest")
        reader.expect(b"VSTGMAN1", "the magic")
        version = reader.u16()
        if version != VERSION:
            raise Damage(f"manifest: version {version}, this reader knows {VERSION}", 8)
        reader.reserved(2)
        payload = reader.u32("the payload length")
        self.sequence, self.data_id = reader.u64(), reader.take(16)
        check_length(data, 40 + payload + 32, "manifest")
        self.created, self.wal_generation = reader.i64(), reader.u64()
        self.streams = [StreamEntry(reader) for _ in range(checked_count(reader, 255, "streams"))]
        self.marks = []
        for _ in range(checked_count(reader, reader.left(), "marks")):
            self.marks.append((reader.u8(), reader.text("the name of a mark"), reader.u64()))
        reader.end()
        for values, what in (([stream.number for stream in self.streams], "number"),
                             ([stream.name for stream in self.streams], "name")):
            if len(set(values)) != len(values):
                raise Damage(f"manifest: two streams have one {what}")
        numbers = {stream.number for stream in self.streams}
        for number, name, _ in self.marks:
            if number not in numbers:
                raise Damage(f"manifest: the mark {name!r} is of stream number {number}, which is not listed")


class SignerState:
    def __init__(self, data):
        reader = Reader(check_digest(data, "signer state"), 0, "signer state")
        reader.expect(b"VSTGSIG1", "the magic")
        version = reader.u16()
        if version != VERSION:
            raise Damage(f"signer state: version {version}, this reader knows {VERSION}", 8)
        reader.reserved(6)
        self.counter, self.size, self.root = reader.u64(), reader.u64(), reader.take(32)
        self.public_key, self.signed_at, self.data_id = reader.take(32), reader.i64(), reader.take(16)
        length = reader.u32("the length of the origin")
        if length > ORIGIN_BYTES_MAX:
            raise Damage(f"signer state: an origin of {length} bytes", 120)
        try:
            self.origin = reader.take(length, "the origin").decode("utf-8")
        except UnicodeDecodeError as error:
            raise Damage("signer state: the origin is not UTF-8", 124) from error
        reader.end()

    def verifier_key(self):
        return VerifierKey(self.origin, ED25519, self.public_key)


def check_api_keys(data):
    """Raises Damage; gives the number of keys."""
    if not data.endswith(b"\n") or data.count(b"\n") < 2:
        raise Damage("api-keys: not a text of at least two lines", len(data))
    start = data.rfind(b"\n", 0, -1) + 1
    expected = b"sha256 " + sha256(data[:start]).hex().encode() + b"\n"
    if data[start:] != expected:
        raise Damage(f"api-keys: the last line is {data[start:-1].decode('utf-8', 'replace')!r}, the lines before give "
                     f"{expected[:-1].decode()!r}", start)
    try:
        lines = data[:start].decode("ascii").split("\n")[:-1]
    except UnicodeDecodeError as error:
        raise Damage("api-keys: not ASCII", error.start) from error
    if lines[0] != "vestige-api-keys 1":
        raise Damage(f'api-keys: the first line is {lines[0]!r}, expected "vestige-api-keys 1"', 0)
    if len(lines) - 1 > KEYS_MAX:
        raise Damage(f"api-keys: {len(lines) - 1} keys, at most {KEYS_MAX}", 0)
    offset = len(lines[0]) + 1
    for line in lines[1:]:
        fault = fault_of_key(line)
        if fault:
            raise Damage(f"api-keys: {fault}", offset)
        offset += len(line) + 1
    return len(lines) - 1


def fault_of_key(line):
    fields = line.split(" ")
    if len(fields) != 6:
        return f"a line of {len(fields)} fields, expected 6"
    identity, scopes, created, tenant, digest, _ = fields
    if not UUID.fullmatch(identity):
        return f"the id {identity!r} is no lower-case UUID"
    if not scopes or [scope for scope in SCOPES if scope in scopes.split(",")] != scopes.split(","):
        return f"the scopes {scopes!r} are no subset of {','.join(SCOPES)} in this order"
    if not TIME.fullmatch(created):
        return f"the time {created!r} is not of the form of entries"
    if not tenant:
        return "no tenant"
    try:
        good = len(base64.b64decode(digest, validate=True)) == 32
    except ValueError:
        good = False
    return None if good else f"{digest!r} is not base64 of 32 bytes"
