"""The write-ahead log: its chain of frames, and what they hold for those who have the keys."""
import os
import re
import struct

from .cipher import nonce, open_sealed
from .reader import Damage, Reader, check_digest, sha256, unreadable
from .segment import read_seed_runs

NAME = re.compile(r"([0-9a-f]{16})\.wal")
SECTOR = 512
FRAME_HEADER_BYTES = 96
PAYLOAD_BYTES_MAX = 64 * 1024 * 1024
TAG_BYTES = 16
GROUP, END = 1, 2
CONTINUES, ROOT = 0, 1
VERSION = 1
ENTRY_BYTES_MAX = 2 * 1024 * 1024
BLOBS_MAX = 64
SCAN_BYTES = 1024 * 1024


def file_name(generation):
    return f"{generation:016x}.wal"


class Header:
    def __init__(self, data, generation, data_id):
        if len(data) < SECTOR:
            raise Damage(f"WAL: {len(data)} bytes, fewer than its header of {SECTOR}", len(data))
        reader = Reader(check_digest(data[:SECTOR], "WAL header"), 0, "WAL header")
        reader.expect(b"VSTGWAL1", "the magic")
        version = reader.u16()
        if version != VERSION:
            raise Damage(f"WAL header: version {version}, this reader knows {VERSION}", 8)
        self.kind = reader.u8()
        if self.kind not in (CONTINUES, ROOT):
            raise Damage(f"WAL header: kind {self.kind}, expected 0 or 1", 10)
        reader.reserved(5)
        found = reader.u64("the generation")
        if found != generation:
            raise Damage(f"WAL header: generation {found}, the name says {generation}", 16)
        self.generation, self.sequence, self.preallocated = generation, reader.u64(), reader.u64()
        reader.expect(data_id, "the data id")
        reader.reserved(8)
        self.previous = reader.take(32)
        if self.kind == ROOT and any(self.previous):
            raise Damage("WAL header: a root has a hash of a frame before", 64)
        self.wrapped_key = reader.take(60)
        reader.reserved(324)


class Frame:
    """A frame whose hash is right. `end` is where the next one may begin."""

    def __init__(self, offset, head, payload):
        self.offset, self.head, self.payload = offset, head[:64], payload
        self.kind = head[4]
        self.generation, self.sequence = struct.unpack_from("<QQ", head, 8)
        self.previous, self.hash = head[32:64], head[64:96]
        self.content_end = offset + FRAME_HEADER_BYTES + len(payload)
        self.end = -(-self.content_end // SECTOR) * SECTOR


def frame_at(file, offset, size, generation):
    """A Frame, or the reason why there is none."""
    file.seek(offset)
    head = file.read(FRAME_HEADER_BYTES)
    if len(head) < FRAME_HEADER_BYTES:
        return "the file ends"
    if head[:4] != b"VWF1":
        return "no VWF1"
    if struct.unpack_from("<Q", head, 8)[0] != generation:
        return f"a frame of another generation than {generation}"
    length = struct.unpack_from("<I", head, 24)[0]
    if not TAG_BYTES <= length <= PAYLOAD_BYTES_MAX or offset + FRAME_HEADER_BYTES + length > size:
        return f"a payload of {length} bytes"
    payload = file.read(length)
    frame = Frame(offset, head, payload)
    padding = file.read(frame.end - frame.content_end)
    if sha256(head[:64], payload) != head[64:96]:
        return f"the frame hash is {head[64:96].hex()}, header and payload give {sha256(head[:64], payload).hex()}"
    if len(padding) < frame.end - frame.content_end or any(padding):
        return "the frame is not followed by zeros to a multiple of 512"
    return frame


class Append:
    """`records`: (fingerprint, entry, blobs). `runs`: (count, seed)."""

    def __init__(self, reader):
        self.stream, self.first, count = reader.u8(), reader.u64(), reader.varint("records")
        if count > reader.left():
            raise reader.damage(f"an append of {count} records in {reader.left()} bytes")
        self.runs = read_seed_runs(reader, count)
        self.records = []
        for _ in range(count):
            fingerprint, entry, blobs = reader.u64(), reader.sized("an entry"), reader.varint("blobs")
            if len(entry) > ENTRY_BYTES_MAX or blobs > BLOBS_MAX:
                raise reader.damage(f"an entry of {len(entry)} bytes with {blobs} blobs")
            self.records.append((fingerprint, entry, [reader.sized("a blob") for _ in range(blobs)]))


def read_group(plain):
    """Appends and marks of a group."""
    reader = Reader(plain, what="WAL group")
    appends = [Append(reader) for _ in range(reader.varint("appends"))]
    marks = [(reader.u8(), reader.text("the name of a mark"), reader.u64()) for _ in range(reader.varint("marks"))]
    reader.end()
    return appends, marks


def read_end(plain):
    """Sizes by stream number, and whether the stop was clean."""
    reader = Reader(plain, what="WAL end mark")
    sizes = [(reader.u8(), reader.u64()) for _ in range(reader.varint("streams"))]
    clean = reader.u8("clean")
    reader.end()
    if clean > 1:
        raise Damage(f"WAL end mark: clean is {clean}, expected 0 or 1")
    return dict(sizes), bool(clean)


class Log:
    """Follows the chain from the root. `consumer` has group(appends, file, offset) and end(sizes, file, offset), called
    only where the keys are there, and root_now(), the generation of the root that the manifest names by now;
    report(file, Damage) takes what is wrong."""

    def __init__(self, folder, data_id, keys, report, consumer, progress):
        self.folder, self.data_id, self.keys = folder, data_id, keys
        self.report, self.consumer, self.progress = report, consumer, progress
        self.walked, self.last_file, self.readable = set(), "wal", keys is not None
        self.clean = False  # the last frame is a clean end mark; without keys: may be one
        self.cut = False  # the file that was read last is shorter than it was preallocated: only a clean stop does that
        self.blamed = None  # the generation whose file is wrong, where that is not the one that was read
        self.uncut = None  # generation and end of the first file that has bytes behind its last frame and a successor
        self.moved_on = False  # a running server needed the files no more while they were read

    def path(self, generation):
        return os.path.join(self.folder, file_name(generation))

    def generations(self):
        names = os.listdir(self.folder) if os.path.isdir(self.folder) else []
        return sorted(int(match[1], 16) for match in map(NAME.fullmatch, names) if match)

    def read_header(self, generation):
        with open(self.path(generation), "rb") as file:
            return Header(file.read(SECTOR), generation, self.data_id)

    def walk(self, root):
        """True if the chain was followed to its lawful end."""
        generation, sequence, previous, header = root, None, None, None
        wrong = None
        try:
            header = self.read_header(root)
            sequence, previous = header.sequence, header.previous
            while header is not None:
                generation = header.generation
                sequence, previous, header = self.walk_file(header, sequence, previous)
            if self.uncut and self.cut and self.ended_in_order():
                self.blamed, offset = self.uncut
                raise Damage("WAL: bytes stand behind the last frame, and a clean stop leaves none", offset)
        except FileNotFoundError:
            wrong = Damage(f"WAL: {file_name(generation)} is missing: the manifest names it as the root" if generation == root
                           else f"WAL: {file_name(generation)} is missing")
        except OSError as error:
            wrong = unreadable(error)
        except Damage as damage:
            wrong = damage
        # A server that seals segments or starts again names another root first and then removes files or uses them anew.
        self.moved_on = self.consumer.root_now() > generation
        if wrong is not None and not self.moved_on:
            self.report(file_name(generation if self.blamed is None else self.blamed), wrong)
        return wrong is None and not self.moved_on

    def open_file_key(self, header):
        key = self.keys.unwrap(header.wrapped_key, b"wal " + self.data_id + struct.pack("<Q", header.generation))
        if key is None:
            raise Damage("WAL: the file's key does not open under the vault's wrap key", 96)
        return key

    def walk_file(self, header, sequence, previous):
        """Gives (sequence, previous hash, header of the next file or None at the end of the log)."""
        self.walked.add(header.generation)
        self.last_file = f"wal/{file_name(header.generation)}"
        if os.stat(self.path(header.generation)).st_size > header.preallocated:
            raise Damage(f"WAL: bytes stand behind its end at {header.preallocated}, to which it was preallocated",
                         header.preallocated)
        key = self.open_file_key(header) if self.readable else None
        offset, looked_again = SECTOR, False
        with open(self.path(header.generation), "rb") as file:
            while True:
                size = os.fstat(file.fileno()).st_size
                self.cut = size < header.preallocated
                frame = frame_at(file, offset, size, header.generation)
                fault = frame if isinstance(frame, str) else fault_of(frame, sequence, previous)
                if fault is None:
                    self.take(frame, key)
                    sequence, previous, offset, looked_again = sequence + 1, frame.hash, frame.end, False
                    continue
                following = self.next_header(header.generation, sequence, previous)
                if following is not None:
                    self.check_continued(header, offset, size)
                    return sequence, previous, following
                wrong = self.wrong_ending(file, header, offset, size, sequence, fault)
                if wrong is None:
                    return sequence, previous, None
                if looked_again:
                    raise wrong
                looked_again = True  # beside a running server the frame may have been half written a moment ago

    def check_continued(self, header, offset, size):
        """A file whose successor was found ends behind its last frame once a clean stop has cut it."""
        if size < header.preallocated and offset != size:
            raise Damage(f"WAL: the file has {size} bytes, it was preallocated to {header.preallocated}; it may be shorter "
                         f"only when it ends right behind its last frame", offset)
        if offset != size and self.uncut is None:
            self.uncut = header.generation, offset

    def take(self, frame, key):
        self.progress.step(frame.end - frame.offset)
        self.clean = frame.kind == END
        if not self.readable:
            return
        plain = open_sealed(key, nonce(1, frame.sequence), frame.head, frame.payload)
        name = file_name(frame.generation)
        if plain is None:
            raise Damage(f"WAL: the tag of the frame with sequence {frame.sequence} does not verify", frame.offset)
        try:
            if frame.kind == GROUP:
                self.consumer.group(read_group(plain), name, frame.offset)
            else:
                sizes, self.clean = read_end(plain)
                self.consumer.end(sizes, name, frame.offset)
        except Damage as damage:
            raise Damage(damage.reason, frame.offset, damage.index) from damage

    def ended_in_order(self):
        """The server was stopped and did not crash. Without keys the mark cannot be read, and the cut tells."""
        return self.clean and (self.readable or self.cut)

    def next_header(self, generation, sequence, previous):
        try:
            header = self.read_header(generation + 1)
        except (FileNotFoundError, Damage):
            return None
        fits = header.kind == CONTINUES and header.sequence == sequence and header.previous == previous
        return header if fits else None

    def wrong_ending(self, file, header, offset, size, sequence, fault):
        """Rules 2 and 3 of wal.md: why the log cannot end here; None if it can."""
        if size < header.preallocated and not (self.clean and size == offset):
            return Damage(f"WAL: the file has {size} bytes, it was preallocated to {header.preallocated}; it may be "
                          f"shorter only when it ends right behind a clean end mark; at {offset}: {fault}", offset)
        later = self.later_frame(file, header.generation, offset, size, sequence)
        if later is not None:
            return Damage(f"WAL: expected the frame with sequence {sequence} here ({fault}); a valid frame with "
                          f"sequence {later.sequence} is at {later.offset}", offset)
        for generation in self.generations():
            if generation <= header.generation:
                continue
            try:
                other = self.read_header(generation)
            except FileNotFoundError:
                continue
            except Damage as damage:
                self.blamed = generation
                return damage
            if other.kind == ROOT:
                return None  # a start that did not come as far as naming it in the manifest
            return Damage(f"WAL: the log ends here ({fault}), and {file_name(generation)} does not continue it: it begins "
                          f"with sequence {other.sequence}, expected {sequence} and the hash of the last frame", offset)
        return None

    def later_frame(self, file, generation, offset, size, sequence):
        marker = b"VWF1"
        at = offset
        while at < size:
            file.seek(at)
            block = file.read(SCAN_BYTES)
            place = block.find(marker)
            while place >= 0:
                if place % SECTOR == 0:
                    frame = frame_at(file, at + place, size, generation)
                    if not isinstance(frame, str) and frame.sequence >= sequence:
                        return frame
                place = block.find(marker, place + 1)
            at += SCAN_BYTES
        return None


def fault_of(frame, sequence, previous):
    """Why a frame whose hash is right is not the next one of the chain; None if it is."""
    if frame.kind not in (GROUP, END) or any(frame.head[5:8]) or any(frame.head[28:32]):
        return f"kind {frame.kind} or reserved bytes that this reader does not know"
    if frame.sequence != sequence:
        return f"sequence {frame.sequence}"
    if frame.previous != previous:
        return f"the hash of the frame before is {frame.previous.hex()}, expected {previous.hex()}"
    return None
