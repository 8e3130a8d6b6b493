"""Segments, their pages, hash files and id runs."""
import os
import struct

from .canonical import string
from .cipher import BlockCipher, derived_salts, nonce, open_sealed, unpack_zstd
from .note import to_base64
from .reader import Damage, Reader, check_digest, check_length, sha256

HEADER_BYTES, TRAILER_BYTES, TABLE_ROW_BYTES = 512, 96, 64
PAGE_ROWS = 256
ROWS_MAX = 524_288
PAGE, SECTIONS = 1, 2
UUID, TIME, TEXT, SALT, BYTES = 1, 2, 3, 4, 5
REST = 0xFF
RAW_BYTES_MAX = 256 * 2 * 1024 * 1024
VERSION = 1
MS_PER_DAY = 86_400_000


class Column:
    def __init__(self, name, kind, size):
        self.name, self.kind, self.size = name, kind, size
        self.prefix = string(name).encode() + b':"'


class Chunk:
    def __init__(self, number, row):
        self.number = number
        self.kind, self.first_row, self.rows, reserved, self.offset, self.length = struct.unpack_from("<IIIIQQ", row)
        self.digest = row[32:]
        self.reserved = reserved


class Segment:
    """One .seg file. The constructor checks all but the chunks; read_chunk() checks one of them."""

    def __init__(self, path, listed, stream, data_id):
        self.path, self.listed = path, listed
        self.rows = listed.end - listed.first
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != listed.files["seg"].size:
                raise Damage(f"segment: {size} bytes, the manifest says {listed.files['seg'].size}", size)
            if size < HEADER_BYTES + TRAILER_BYTES:
                raise Damage(f"segment: {size} bytes, fewer than header and trailer have", size)
            header = file.read(HEADER_BYTES)
            file.seek(size - TRAILER_BYTES)
            trailer = file.read(TRAILER_BYTES)
            table_offset, count, rows = struct.unpack_from("<QII", trailer)
            if count > 2 * ROWS_MAX or table_offset + count * TABLE_ROW_BYTES + TRAILER_BYTES != size:
                raise Damage(f"segment: a table of {count} rows at {table_offset} does not end at the trailer", size - TRAILER_BYTES)
            file.seek(table_offset)
            table = file.read(count * TABLE_ROW_BYTES)
        self.check_trailer(header, table, trailer, size - TRAILER_BYTES, rows)
        self.read_header(header, stream, data_id)
        self.read_table(table, table_offset)

    def check_trailer(self, header, table, trailer, offset, rows):
        if trailer[48:56] != b"VSTGSEGE":
            raise Damage("segment: no VSTGSEGE in the trailer", offset + 48)
        expected = sha256(table, trailer[:64])
        if trailer[64:] != expected:
            raise Damage(f"segment: its digest is {trailer[64:].hex()}, table and trailer give {expected.hex()}", offset + 64)
        if expected != self.listed.files["seg"].digest:
            raise Damage(f"segment: its digest is {expected.hex()}, the manifest says "
                         f"{self.listed.files['seg'].digest.hex()}", offset + 64)
        if any(trailer[56:64]):
            raise Damage("segment: reserved bytes are not zero", offset + 56)
        if sha256(header) != trailer[16:48]:
            raise Damage(f"segment: the header gives SHA-256 {sha256(header).hex()}, the trailer says "
                         f"{trailer[16:48].hex()}", 0)
        if rows != self.rows or rows > ROWS_MAX:
            raise Damage(f"segment: {rows} rows, the manifest says {self.rows}", offset + 12)

    def read_header(self, header, stream, data_id):
        reader = Reader(header, 0, "segment")
        reader.expect(b"VSTGSEG1", "the magic")
        if reader.u16() != VERSION:
            raise Damage("segment: a version that this reader does not know", 8)
        reader.reserved(6)
        self.file_id = reader.take(16)
        reader.expect(data_id, "the data id")
        first = reader.u64("the first index")
        if first != self.listed.first:
            raise Damage(f"segment: first index {first}, the manifest says {self.listed.first}", 48)
        self.wrapped_key = reader.take(60)
        length = reader.u32("the length of name and schema")
        inner = Reader(reader.take(length, "name and schema"), 120, "segment")
        name = inner.text("the stream name")
        if name != stream:
            raise Damage(f"segment: of stream {name!r}, expected {stream!r}", 120)
        self.columns = []
        count = inner.varint("the number of columns")
        if not 1 <= count <= 64:
            raise inner.damage(f"{count} columns, expected 1 to 64")
        for _ in range(count):
            column = Column(inner.text("a column's name"), inner.u8("a column's type"), inner.u8("a column's size"))
            fits = 1 <= column.size <= 64 if column.kind == BYTES else column.size == 0
            if not 1 <= column.kind <= BYTES or not fits:
                raise inner.damage(f"column {column.name!r} has type {column.kind} and size {column.size}")
            self.columns.append(column)
        inner.end()
        reader.reserved(reader.left())

    def read_table(self, table, table_offset):
        self.pages, self.sections, at, rows = [], {}, HEADER_BYTES, 0
        for number in range(len(table) // TABLE_ROW_BYTES):
            place = table_offset + number * TABLE_ROW_BYTES
            chunk = Chunk(number, table[number * TABLE_ROW_BYTES:(number + 1) * TABLE_ROW_BYTES])
            if chunk.reserved:
                raise Damage("segment: reserved bytes are not zero", place + 12)
            if chunk.offset != at:
                raise Damage(f"segment: chunk {number} is at {chunk.offset}, the one before ends at {at}", place + 16)
            at += chunk.length
            if chunk.kind == PAGE:
                if chunk.first_row != rows or not 1 <= chunk.rows <= PAGE_ROWS:
                    raise Damage(f"segment: page {len(self.pages)} has {chunk.rows} rows from {chunk.first_row}, expected 1 "
                                 f"to {PAGE_ROWS} from {rows}", place + 4)
                self.pages.append(chunk)
                rows += chunk.rows
            elif chunk.kind == SECTIONS and self.pages and chunk.first_row not in self.sections and (
                    chunk.first_row, chunk.rows) == (self.pages[-1].first_row, self.pages[-1].rows):
                self.sections[chunk.first_row] = chunk
            else:
                raise Damage(f"segment: chunk {number} of type {chunk.kind} from row {chunk.first_row} is neither a page nor "
                             "the sections of the page before it", place)
        if at != table_offset:
            raise Damage(f"segment: the chunks end at {at}, the table begins at {table_offset}", at)
        if rows != self.rows:
            raise Damage(f"segment: its pages hold {rows} rows, expected {self.rows}", table_offset)

    def open_key(self, keys):
        self.key = keys.unwrap(self.wrapped_key, b"segment " + self.file_id)
        if self.key is None:
            raise Damage("segment: its key does not open under the vault's wrap key", 56)

    def read_chunk(self, file, chunk):
        """The bytes of a chunk after its hash was compared."""
        index = self.listed.first + chunk.first_row
        file.seek(chunk.offset)
        data = file.read(chunk.length)
        if sha256(data) != chunk.digest:
            raise Damage(f"segment: chunk {chunk.number} gives SHA-256 {sha256(data).hex()}, the table says "
                         f"{chunk.digest.hex()}", chunk.offset, index)
        return data

    def open_chunk(self, chunk, data):
        associated = self.file_id + struct.pack("<III", chunk.kind, chunk.number, chunk.first_row)
        plain = open_sealed(self.key, nonce(chunk.kind, chunk.number), associated, data)
        if plain is None:
            raise Damage(f"segment: the tag of chunk {chunk.number} does not verify", chunk.offset,
                         self.listed.first + chunk.first_row)
        return plain

    def read_sections(self, plain, rows):
        """Per row a list of blobs."""
        reader = Reader(plain, what="sections chunk")
        found = [[reader.sized("a blob") for _ in range(reader.varint("blobs"))] for _ in range(rows)]
        reader.end()
        return found

    @staticmethod
    def unpack(reader, what):
        raw_length = reader.u32("raw length")
        if raw_length > RAW_BYTES_MAX:
            raise reader.damage(f"a raw length of {raw_length} bytes, at most {RAW_BYTES_MAX}")
        return unpack_zstd(reader.take(reader.u32("compressed length")), raw_length, what)

    def read_page(self, plain, chunk):
        """The entries of a page, and the rows whose salt is the derived one."""
        reader = Reader(plain, what="page chunk")
        columns, rest = self.unpack(reader, "columns of the page"), self.unpack(reader, "rest of the page")
        reader.end()
        page = Page(Reader(columns, what="columns of the page"), self.columns, self.listed.first + chunk.first_row)
        if page.rows != chunk.rows:
            raise Damage(f"columns of the page: {page.rows} rows, the table says {chunk.rows}")
        return page.entries(Reader(rest, what="rest of the page")), page.salted


class Page:
    """The columns of one page, taken apart."""

    def __init__(self, reader, columns, first_index):
        self.reader, self.columns = reader, columns
        self.rows = reader.varint("rows")
        if not 1 <= self.rows <= PAGE_ROWS:
            raise reader.damage(f"{self.rows} rows, expected 1 to {PAGE_ROWS}")
        shapes = [reader.sized("a shape") for _ in range(self.count(self.rows, "shapes"))]
        if not shapes or len(set(shapes)) != len(shapes):
            raise reader.damage("its shapes are not one or more different ones")
        numbers = [self.choice(len(shapes), "shape") for _ in range(self.rows)] if len(shapes) > 1 else [0] * self.rows
        self.shapes = [shapes[number] for number in numbers]
        for shape in shapes:
            own = [number for number in shape if number != REST]
            if any(number >= len(columns) for number in own) or own != sorted(set(own)) or bytes([REST, REST]) in shape:
                raise reader.damage(f"the shape {shape.hex()} is not columns of the schema in order, with single runs between")
        self.runs = [[reader.varint("the length of a run") for _ in range(shape.count(REST))] for shape in self.shapes]
        self.salted = set()  # rows whose salt is the derived one
        self.values = []  # per column: row -> the characters between the quotes
        for number, column in enumerate(columns):
            rows = [row for row, shape in enumerate(self.shapes) if number in shape]
            self.values.append(dict(zip(rows, self.decode(column, rows, first_index))))
        reader.end()

    def count(self, most, what):
        found = self.reader.varint(f"the number of {what}")
        if found > most:
            raise self.reader.damage(f"{found} {what}, at most {most} are possible")
        return found

    def choice(self, count, what):
        number = self.reader.varint(f"the number of a {what}")
        if number >= count:
            raise self.reader.damage(f"{what} {number} of {count}")
        return number

    def decode(self, column, rows, first_index):
        reader, amount = self.reader, len(rows)
        if column.kind == UUID:
            planes = reader.take(16 * amount, column.name)
            return [uuid_text(planes[row::amount]) for row in range(amount)] if amount else []
        if column.kind == TIME:
            return self.decode_times(amount)
        if column.kind == TEXT:
            texts = [reader.sized(column.name) for _ in range(self.count(amount, f"values of {column.name}"))]
            if amount and not texts:
                raise reader.damage(f"column {column.name} has rows and no value")
            if len(texts) <= 1:
                return texts * amount
            return [texts[self.choice(len(texts), f"value of {column.name}")] for _ in range(amount)]
        if column.kind == SALT:
            return self.decode_salts(rows, first_index)
        data = reader.take(column.size * amount, column.name)
        return [to_base64(data[at:at + column.size]).encode() for at in range(0, len(data), column.size)]

    def decode_times(self, amount):
        time, found = 0, []
        for _ in range(amount):
            time += self.reader.zigzag("a time")
            text = time_text(time)
            if text is None:
                raise self.reader.damage(f"the time {time} ms has no form of 24 characters")
            found.append(text)
        return found

    def decode_salts(self, rows, first_index):
        found = []
        for count, seed in read_seed_runs(self.reader, len(rows)):
            own = rows[len(found):len(found) + count]
            salts = derived_salts(BlockCipher(seed), [first_index + row for row in own])
            found += [to_base64(salts[at:at + 16]).encode() for at in range(0, len(salts), 16)]
            self.salted.update(own)
        return found

    def entries(self, rest):
        found = []
        for row, shape in enumerate(self.shapes):
            members, runs = [], iter(self.runs[row])
            for number in shape:
                if number == REST:
                    members.append(rest.take(next(runs), "a run"))
                else:
                    members.append(self.columns[number].prefix + self.values[number][row] + b'"')
            found.append(b"{" + b",".join(members) + b"}")
        rest.end()
        return found


def read_seed_runs(reader, total):
    """Pairs (count, seed) whose counts sum to `total`."""
    runs, sum_of_counts = [], 0
    for _ in range(reader.varint("the number of seed runs")):
        count = reader.varint("the count of a seed run")
        sum_of_counts += count
        if count < 1 or sum_of_counts > total:
            raise reader.damage(f"seed runs for more than {total} rows, or for none")
        runs.append((count, reader.take(16, "a seed")))
    if sum_of_counts != total:
        raise reader.damage(f"seed runs for {sum_of_counts} rows, expected {total}")
    return runs


def uuid_text(data):
    digits = data.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}".encode()


def date_of(day):
    """Year, month, day of a number of days since 1970-01-01 in the proleptic Gregorian calendar."""
    day += 719_468  # days from 0000-03-01, where the leap day ends a year
    era, of_era = divmod(day, 146_097)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    return year + 400 * era + (month >= 10), month + 3 if month < 10 else month - 9, of_year - (153 * month + 2) // 5 + 1


def time_text(ms):
    days, ms = divmod(ms, MS_PER_DAY)
    if abs(days) > 4_000_000:
        return None
    year, month, day = date_of(days)
    if not 0 <= year <= 9999:
        return None
    seconds, ms = divmod(ms, 1000)
    return (f"{year:04d}-{month:02d}-{day:02d}T{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
            f".{ms:03d}Z").encode()


class HashFile:
    """Leaf hashes and tile roots of one segment. `fault`: its digest is wrong, but the rest could be read, so that the
    entries tell which leaf is."""

    def __init__(self, data, listed):
        what = "hash file"
        check_length(data, listed.files["hashes"].size, what)
        self.fault = None
        try:
            check_digest(data, what)
            check_listed_digest(data, listed.files["hashes"], what)
        except Damage as damage:
            self.fault = damage
        reader = Reader(data[:-32], 0, what)
        reader.expect(b"VSTGHSH1", "the magic")
        read_range(reader, listed)
        tiles = reader.u64("the number of tile roots")
        reader.reserved(24)
        expected = listed.end // PAGE_ROWS - listed.first // PAGE_ROWS
        if tiles != expected:
            raise Damage(f"{what}: {tiles} tile roots, expected {expected}", 32)
        count = listed.end - listed.first
        self.leaves = reader.take(32 * count, "the leaf hashes")
        self.tiles_offset = reader.at
        self.tiles = reader.take(32 * tiles, "the tile roots")
        reader.end()

    def leaf(self, row):
        return self.leaves[32 * row:32 * row + 32]

    @staticmethod
    def leaf_offset(row):
        return 64 + 32 * row


class IdRun:
    """`fingerprints`: by row. `fault`: it is whole, but not the one that the manifest lists."""

    def __init__(self, data, listed):
        what = "id run"
        check_length(data, listed.files["ids"].size, what)
        body, self.fault = check_digest(data, what), None
        try:
            check_listed_digest(data, listed.files["ids"], what)
        except Damage as damage:
            self.fault = damage
        reader = Reader(body, 0, what)
        reader.expect(b"VSTGIDS1", "the magic")
        read_range(reader, listed)
        reader.reserved(32)
        count = listed.end - listed.first
        check_length(body, 64 + 12 * count, what)
        self.fingerprints, before = [None] * count, None
        for place, pair in enumerate(struct.iter_unpack("<QI", body[64:])):
            fingerprint, row = pair
            if row >= count or self.fingerprints[row] is not None:
                raise Damage(f"{what}: row {row} is there twice or not below {count}", 64 + 12 * place)
            self.fingerprints[row] = fingerprint
            if before is not None and pair <= before:
                raise Damage(f"{what}: its entries do not ascend", 64 + 12 * place)
            before = pair


def read_range(reader, listed):
    if reader.u16() != VERSION:
        raise Damage(f"{reader.what}: a version that this reader does not know", 8)
    reader.reserved(6)
    first, end = reader.u64(), reader.u64()
    if (first, end) != (listed.first, listed.end):
        raise Damage(f"{reader.what}: of entries {first} to {end}, the manifest says {listed.first} to {listed.end}", 16)


def check_listed_digest(data, file, what):
    if data[-32:] != file.digest:
        raise Damage(f"{what}: its digest is {data[-32:].hex()}, the manifest says {file.digest.hex()}", len(data) - 32)
