"""What somebody who holds the root key (and not the log's key) can do to a data directory at rest: read all entries of
the audit log, change their number, order and bytes, and write every container again so that digests, tags, tile roots,
id runs, the chain of the write-ahead log, its end marks and the manifest fit. Built on the readers in tools/."""
import pathlib
import re
import struct
import sys

import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import harness

sys.path.insert(0, str(harness.ROOT / "tools"))
from vestige_verify import segment as segments  # noqa: E402
from vestige_verify import vault, wal  # noqa: E402
from vestige_verify.catalogue import Manifest  # noqa: E402
from vestige_verify.cipher import BlockCipher, derived_salts, nonce, open_sealed  # noqa: E402
from vestige_verify.entry import bytes_of_varint as varint  # noqa: E402
from vestige_verify.merkle import Tree, leaf_hash  # noqa: E402
from vestige_verify.note import from_base64, to_base64  # noqa: E402
from vestige_verify.reader import Reader, sha256  # noqa: E402

TENANT, STREAM = "default", "default/audit"
FOLDER = "streams/default/audit"
SALT_MEMBER = re.compile(rb'"salt":"([A-Za-z0-9+/=]{24})"')
ID_MEMBER = re.compile(rb'"id":"([0-9a-f-]{36})","kind"')
STRING_END = re.compile(rb'(?:[^"\\]|\\.)*"')


def sized(data):
    return varint(len(data)) + data


def packed(plain):
    frame = zstandard.ZstdCompressor().compress(plain)
    return struct.pack("<II", len(plain), len(frame)) + frame


def with_digest(data):
    return data + sha256(data)


def members_of(entry):
    """(name, bytes of the value) of a JSON object without spaces, as they stand."""
    found, at = [], 1
    while entry[at:at + 1] == b'"':
        end = STRING_END.match(entry, at + 1).end()
        name, at = entry[at + 1:end - 1].decode(), end + 1
        start, depth = at, 0
        while depth or entry[at:at + 1] not in (b",", b"}"):
            letter = entry[at:at + 1]
            if letter == b'"':
                at = STRING_END.match(entry, at + 1).end()
                continue
            depth += (letter in (b"{", b"[")) - (letter in (b"}", b"]"))
            at += 1
        found.append((name, entry[start:at]))
        at += 1
    return found


class Row:
    """An entry and its sealed sections."""

    def __init__(self, entry, blobs):
        self.entry, self.blobs = entry, blobs

    def copy(self):
        return Row(self.entry, self.blobs)

    @property
    def salt(self):
        return from_base64(SALT_MEMBER.search(self.entry)[1].decode(), "salt")

    def with_salt(self, salt):
        return Row(SALT_MEMBER.sub(b'"salt":"' + to_base64(salt).encode() + b'"', self.entry, count=1), self.blobs)

    def changed(self, old, new):
        assert self.entry.count(old) == 1, (old, self.entry)
        return Row(self.entry.replace(old, new), self.blobs)


class SeedPage(segments.Page):
    """A page that also tells under which seed each row's salt was derived."""

    def decode_salts(self, rows, first_index):
        start = self.reader.at
        runs = segments.read_seed_runs(self.reader, len(rows))
        self.seeds = [seed for count, seed in runs for _ in range(count)]
        self.reader.at = start
        return super().decode_salts(rows, first_index)


class OpenSegment:
    """What stays of a segment file when its rows change: keys, schema, range."""

    def __init__(self, file, listed, data_id, keys):
        inner = segments.Segment(file, listed, STREAM, data_id)
        inner.open_key(keys)
        self.first, self.end, self.columns = listed.first, listed.end, inner.columns
        self.file_id, self.key = inner.file_id, inner.key
        self.header = pathlib.Path(file).read_bytes()[:segments.HEADER_BYTES]
        self.rows, self.seeds = [], []
        with open(file, "rb") as opened:
            for chunk in inner.pages:
                self.take_page(inner, opened, chunk)

    def take_page(self, inner, file, chunk):
        reader = Reader(inner.open_chunk(chunk, inner.read_chunk(file, chunk)))
        columns, rest = inner.unpack(reader, "columns"), inner.unpack(reader, "rest")
        page = SeedPage(Reader(columns), inner.columns, self.first + chunk.first_row)
        blobs = [[]] * chunk.rows
        if chunk.first_row in inner.sections:
            own = inner.sections[chunk.first_row]
            blobs = inner.read_sections(inner.open_chunk(own, inner.read_chunk(file, own)), chunk.rows)
        self.rows += [Row(entry, blobs[row]) for row, entry in enumerate(page.entries(Reader(rest)))]
        self.seeds += page.seeds


class PageEncoder:
    """Entries as columns and rest. A value that has not its column's form goes to the rest."""

    def __init__(self, columns):
        self.columns = columns

    def encode(self, first, entries, seeds):
        values, shapes, numbers, runs, rest = [[] for _ in self.columns], [], [], b"", b""
        for place, entry in enumerate(entries):
            salt = to_base64(derived_salts(BlockCipher(seeds[place]), [first + place])).encode()
            shape, pending = b"", []
            for name, value in [*members_of(entry), (None, b"")]:
                number = self.column_of(name, value, salt)
                if number is None and name is not None:
                    pending.append(b'"' + name.encode() + b'":' + value)
                    continue
                if pending:
                    shape += b"\xff"
                    rest += b",".join(pending)
                    runs += varint(len(b",".join(pending)))
                    pending = []
                if number is not None:
                    shape += bytes([number])
                    values[number].append((place, value[1:-1]))
            if shape not in shapes:
                shapes.append(shape)
            numbers.append(shapes.index(shape))
        out = varint(len(entries)) + varint(len(shapes)) + b"".join(map(sized, shapes))
        if len(shapes) > 1:
            out += b"".join(map(varint, numbers))
        out += runs + b"".join(self.encode_column(column, own, seeds) for column, own in zip(self.columns, values))
        return out, rest

    def column_of(self, name, value, salt):
        for number, column in enumerate(self.columns):
            if column.name == name:
                fits = value[:1] == b'"' and (column.kind != segments.SALT or value[1:-1] == salt)
                return number if fits else None
        return None

    def encode_column(self, column, own, seeds):
        texts = [text for _, text in own]
        if column.kind == segments.UUID:
            raw = [bytes.fromhex(text.decode().replace("-", "")) for text in texts]
            return b"".join(bytes(value[plane] for value in raw) for plane in range(16))
        if column.kind == segments.TIME:
            out, before = b"", 0
            for ms in map(milliseconds, texts):
                out += varint((ms - before) << 1 if ms >= before else (before - ms << 1) - 1)
                before = ms
            return out
        if column.kind == segments.TEXT:
            different = sorted(set(texts))
            out = varint(len(different)) + b"".join(map(sized, different))
            return out + (b"".join(varint(different.index(text)) for text in texts) if len(different) > 1 else b"")
        if column.kind == segments.SALT:
            return seed_runs([seeds[place] for place, _ in own])
        return b"".join(from_base64(text.decode(), column.name, column.size) for text in texts)


def milliseconds(text):
    """Of 2026-11-25T14:40:11.213Z."""
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    year, month = (year - 1, month + 12) if month < 3 else (year, month)
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 1 - 719_468
    ms = ((days * 24 + int(text[11:13])) * 60 + int(text[14:16])) * 60_000 + int(text[17:19]) * 1000 + int(text[20:23])
    assert segments.time_text(ms) == text, text
    return ms


def seed_runs(seeds):
    runs = []
    for seed in seeds:
        if runs and runs[-1][1] == seed:
            runs[-1][0] += 1
        else:
            runs.append([1, seed])
    return varint(len(runs)) + b"".join(varint(count) + seed for count, seed in runs)


class LogFile:
    """One file of the write-ahead log, its frames opened. A frame is [kind, content]: of a group (appends, marks) with
    appends as [stream, first, end] or, of other streams, as they are; of an end mark (sizes, clean)."""

    def __init__(self, path, data_id, keys, audit):
        data = path.read_bytes()
        self.generation = int(path.stem, 16)
        header = wal.Header(data[:wal.SECTOR], self.generation, data_id)
        self.key = keys.unwrap(header.wrapped_key, b"wal " + data_id + struct.pack("<Q", self.generation))
        self.header, self.preallocated = data[:wal.SECTOR], header.preallocated
        self.was_cut = len(data) < header.preallocated
        self.frames, self.rows, self.seeds = [], {}, {}
        with open(path, "rb") as file:
            at = wal.SECTOR
            while not isinstance(frame := wal.frame_at(file, at, len(data), self.generation), str):
                self.take(frame, audit)
                at = frame.end

    def take(self, frame, audit):
        plain = open_sealed(self.key, nonce(1, frame.sequence), frame.head, frame.payload)
        if frame.kind == wal.END:
            self.frames.append([wal.END, wal.read_end(plain)])
            return
        appends, marks = wal.read_group(plain)
        kept = []
        for append in appends:
            assert append.stream == audit, "this forger knows the audit log only"
            seeds = [seed for count, seed in append.runs for _ in range(count)]
            for place, (_, entry, blobs) in enumerate(append.records):
                self.rows[append.first + place] = Row(entry, blobs)
                self.seeds[append.first + place] = seeds[place]
            kept.append([append.first, append.first + len(append.records)])
        self.frames.append([wal.GROUP, (kept, marks)])


class Forger:
    """`rows` are all entries of the audit log in order and may be changed; insert() and remove() keep the ranges of
    segments and frames with them. write() makes the directory say so."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        root_key = from_base64((self.folder / "vault" / "root.key").read_text().strip(), "root key", 32)
        self.keys = vault.Keys(str(self.folder / "vault"), root_key)
        self.keys.load(Sound())
        self.manifest = Manifest((self.folder / "manifest").read_bytes())
        self.stream = next(stream for stream in self.manifest.streams if stream.name == STREAM)
        self.segments = [OpenSegment(self.folder / FOLDER / listed.name("seg"), listed, self.manifest.data_id, self.keys)
                         for listed in self.stream.segments]
        self.log = [LogFile(path, self.manifest.data_id, self.keys, self.stream.number)
                    for path in sorted((self.folder / "wal").glob("0*.wal"))]
        self.rows = [row for segment in self.segments for row in segment.rows]
        self.seeds = [seed for segment in self.segments for seed in segment.seeds]
        self.sealed = len(self.rows)
        for file in self.log:
            for index, row in sorted(file.rows.items()):
                if index >= len(self.rows):
                    assert index == len(self.rows)
                    self.rows.append(row)
                    self.seeds.append(file.seeds[index])

    # Changes of the number of entries.

    def shift(self, index, by):
        for segment in self.segments:
            segment.first += by * (segment.first > index)
            segment.end += by * (segment.end > index)
        for file in self.log:
            for kind, content in file.frames:
                if kind == wal.GROUP:
                    for append in content[0]:
                        append[:] = [place + by * (place > index) for place in append]
                else:
                    sizes = content[0]
                    number = self.stream.number
                    sizes[number] += by * (sizes.get(number, 0) > index)

    def insert(self, index, row):
        self.rows.insert(index, row)
        self.seeds.append(self.seeds[-1])
        self.shift(index, 1)

    def remove(self, index):
        del self.rows[index], self.seeds[-1]
        self.shift(index, -1)

    def swap(self, one, other):
        self.rows[one], self.rows[other] = self.rows[other], self.rows[one]

    def salt_again(self):
        """Salts are derived from the index: those of entries at another place than before are made to fit."""
        for index, row in enumerate(self.rows):
            salt = derived_salts(BlockCipher(self.seeds[index]), [index])
            if row.salt != salt:
                self.rows[index] = row.with_salt(salt)

    # Writing.

    def write(self):
        for old in [*(self.folder / FOLDER).glob("*-*.*"), *(self.folder / "wal").glob("0*.wal")]:
            old.unlink()
        cipher = BlockCipher(self.keys.purpose_key("id-fingerprint", TENANT)[:16])
        self.fingerprints = [struct.unpack("<Q", cipher.encrypt(bytes.fromhex(id_of(row.entry)))[:8])[0] for row in self.rows]
        self.leaves = [leaf_hash(row.entry) for row in self.rows]
        tree, self.tiles, frontier, self.sealed = Tree(), [], [], self.segments[-1].end
        for leaf in self.leaves:
            tree.append(leaf)
            if tree.size % segments.PAGE_ROWS == 0:
                self.tiles.append(tree.tile)
            if tree.size == self.sealed:
                frontier = list(tree.frontier)
        self.write_manifest([self.write_segment(segment) for segment in self.segments], frontier)
        self.write_log()

    def root(self):
        """Of the entries as they were written last."""
        tree = Tree()
        for leaf in self.leaves:
            tree.append(leaf)
        return tree.root()

    def put(self, name, data):
        (self.folder / name).write_bytes(data)
        return struct.pack("<Q", len(data)) + data[-32:]

    def write_segment(self, segment):
        """Gives its part of the manifest."""
        first, end = segment.first, segment.end
        base = f"{FOLDER}/{first:012d}-{end:012d}"
        rows = range(end - first)
        tiles = self.tiles[first // segments.PAGE_ROWS:end // segments.PAGE_ROWS]
        hashes = (b"VSTGHSH1" + struct.pack("<H6xQQQ24x", 1, first, end, len(tiles)) + b"".join(self.leaves[first:end])
                  + b"".join(tiles))
        pairs = sorted((self.fingerprints[first + row], row) for row in rows)
        run = b"VSTGIDS1" + struct.pack("<H6xQQ32x", 1, first, end) + b"".join(struct.pack("<QI", *pair) for pair in pairs)
        return (struct.pack("<QQ", first, end) + self.put(f"{base}.seg", self.segment_bytes(segment))
                + self.put(f"{base}.hashes", with_digest(hashes)) + self.put(f"{base}.ids", with_digest(run)))

    def segment_bytes(self, segment):
        header = segment.header[:48] + struct.pack("<Q", segment.first) + segment.header[56:]
        encoder, body, table, number = PageEncoder(segment.columns), [header], b"", 0
        for first in range(segment.first, segment.end, segments.PAGE_ROWS):
            rows = self.rows[first:min(first + segments.PAGE_ROWS, segment.end)]
            columns, rest = encoder.encode(first, [row.entry for row in rows], self.seeds[first:first + len(rows)])
            plains = [(segments.PAGE, b"".join(packed(plain) for plain in (columns, rest)))]
            if any(row.blobs for row in rows):
                plains.append((segments.SECTIONS,
                               b"".join(varint(len(row.blobs)) + b"".join(map(sized, row.blobs)) for row in rows)))
            for kind, plain in plains:
                associated = segment.file_id + struct.pack("<III", kind, number, first - segment.first)
                chunk = AESGCM(segment.key).encrypt(nonce(kind, number), plain, associated)
                table += struct.pack("<IIIIQQ", kind, first - segment.first, len(rows), 0, sum(map(len, body)), len(chunk))
                table += sha256(chunk)
                body.append(chunk)
                number += 1
        trailer = struct.pack("<QII", sum(map(len, body)), number, segment.end - segment.first) + sha256(header)
        trailer += b"VSTGSEGE" + bytes(8)
        return b"".join(body) + table + trailer + sha256(table, trailer)

    def write_manifest(self, listed, frontier):
        manifest = self.manifest
        out = struct.pack("<qQ", manifest.created, manifest.wal_generation) + varint(len(manifest.streams))
        for stream in manifest.streams:
            own = stream is self.stream
            roots, parts = (frontier, listed) if own else (stream.frontier, [])
            assert own or not stream.segments, "this forger knows the audit log only"
            out += bytes([stream.number]) + sized(stream.tenant.encode()) + sized(stream.stream.encode())
            out += bytes([stream.proofs]) + struct.pack("<Q", self.sealed if own else stream.sealed_size)
            out += varint(len(roots)) + b"".join(roots) + varint(len(parts)) + b"".join(parts)
        out += varint(len(manifest.marks))
        for number, name, value in manifest.marks:
            out += bytes([number]) + sized(name.encode()) + struct.pack("<Q", value)
        head = b"VSTGMAN1" + struct.pack("<HHIQ", 1, 0, len(out), manifest.sequence) + manifest.data_id
        (self.folder / "manifest").write_bytes(with_digest(head + out))

    def plain_of(self, kind, content):
        if kind == wal.END:
            sizes, clean = content
            return varint(len(sizes)) + b"".join(struct.pack("<BQ", *pair) for pair in sizes.items()) + bytes([clean])
        appends, marks = content
        out = varint(len(appends))
        for first, end in appends:
            out += struct.pack("<BQ", self.stream.number, first) + varint(end - first) + seed_runs(self.seeds[first:end])
            for index in range(first, end):
                row = self.rows[index]
                out += struct.pack("<Q", self.fingerprints[index]) + sized(row.entry) + varint(len(row.blobs))
                out += b"".join(map(sized, row.blobs))
        out += varint(len(marks))
        for number, name, value in marks:
            out += bytes([number]) + sized(name.encode()) + struct.pack("<Q", value)
        return out

    def write_log(self):
        sequence, previous = struct.unpack_from("<Q", self.log[0].header, 24)[0], bytes(32)
        for file in self.log:
            head = file.header[:24] + struct.pack("<Q", sequence) + file.header[32:64] + previous + file.header[96:480]
            data = bytearray(with_digest(head))
            for kind, content in file.frames:
                if kind == wal.GROUP:
                    content = [append for append in content[0] if append[0] < append[1]], content[1]
                    if not content[0] and not content[1]:
                        continue
                plain = self.plain_of(kind, content)
                front = b"VWF1" + struct.pack("<B3xQQI4x", kind, file.generation, sequence, len(plain) + 16) + previous
                payload = AESGCM(file.key).encrypt(nonce(1, sequence), plain, front)
                previous = sha256(front, payload)
                sequence += 1
                data += front + previous + payload
                data += bytes(-len(data) % wal.SECTOR)
            if not file.was_cut:
                data += bytes(file.preallocated - len(data))
            (self.folder / "wal" / wal.file_name(file.generation)).write_bytes(data)


def id_of(entry):
    return ID_MEMBER.search(entry)[1].decode().replace("-", "")


class Sound:
    """Stands where findings are reported: there are none in the directory that is read."""

    def __call__(self, name, damage):
        raise AssertionError(f"{name}: {damage.reason}")

    def note(self, text):
        pass
