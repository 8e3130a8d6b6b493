"""One log: what its segments and the WAL hold, the tree over it, and what the signer signed of it."""
import os

from .catalogue import SignerState
from .cipher import BlockCipher
from .entry import check_entry, check_salt
from .merkle import EMPTY_ROOT, Tree, leaf_hash
from .note import parse_checkpoint, parse_note, to_base64, verify_note
from .reader import Damage, sha256, unreadable
from .sidecar import Sidecar
from .tokens import pair_tokens
from .segment import PAGE_ROWS, HashFile, IdRun, Segment

HASH_BYTES = 32
COUNTER_AFTER_FIRST_SIGNATURE = 2  # a crash may come between it and the first checkpoint, and not later


class Stream:
    """`shared` has keys, sections, report(file, damage, stream), witness, progress, folder, signer_folder, vkeys, note(), and of
    the log that was read: log_whole, last_log_file, stopped_in_order."""

    def __init__(self, listed, data_id, shared):
        self.listed, self.data_id, self.shared = listed, data_id, shared
        self.name, self.tenant, self.sealed = listed.name, listed.tenant, listed.sealed_size
        self.folder = f"streams/{self.name}"
        self.tree, self.complete, self.tile_sound = Tree(), True, True  # complete: every leaf so far was found
        self.entries, self.state, self.checkpoint, self.note, self.checkpoint_absent = 0, None, None, None, False
        self.roots = {0: EMPTY_ROOT}  # at the sizes that somebody signed
        self.next, self.end_mark, self.wanted = None, None, set()
        self.tail_leaves, self.overlap, self.overlap_start = bytearray(), bytearray(), 0
        self.overlap_places = []  # (first index, file, offset) of appends that begin below the sealed size
        self.border = None  # (file, offset) of the append with the first entry that no segment holds
        self.received, self.log_received, self.log_received_first = "", "", None
        self.fingerprints = None
        if shared.keys:
            self.fingerprints = BlockCipher(shared.keys.purpose_key("id-fingerprint", self.tenant)[:16])

    def report(self, file, damage):
        self.shared.report(file, damage, self.name)

    # What was signed. Read before the log, so that beside a running server the log is never behind it.

    def read_signed(self):
        if not self.listed.proofs:
            return
        self.read_checkpoint()
        self.read_state()
        if self.checkpoint and self.state:
            self.check_checkpoint()
        elif self.checkpoint and self.shared.vkeys:
            self.check_signature(self.shared.vkeys)

    def read_checkpoint(self):
        path = f"{self.folder}/checkpoint"
        try:
            self.note = parse_note(self.shared.read(path))
            self.checkpoint = parse_checkpoint(self.note.text)
        except FileNotFoundError:
            self.checkpoint_absent = True
        except Damage as damage:
            self.report(path, damage)

    def read_state(self):
        path = f"{self.shared.signer_name}/{self.name}/state"
        try:
            with open(os.path.join(self.shared.signer_folder, self.name, "state"), "rb") as file:
                self.state = SignerState(file.read())
        except FileNotFoundError:
            if self.shared.vkeys:
                self.shared.note(f"{self.name}: no signer state; the checkpoint is held against --vkey alone")
            elif not os.path.isdir(self.shared.signer_folder):
                self.shared.note(f"{self.name}: there is no signer's directory, so the checkpoint's signature was not checked "
                                 "(give --signer DIR or --vkey KEY)")
            elif self.sealed or self.checkpoint:
                self.report(path, Damage("the signer's state is missing: expected it here (or give --signer DIR, or the "
                                         "log's --vkey)"))
            return
        except Damage as damage:
            self.report(path, damage)
            return
        if self.state.data_id != self.data_id:
            self.report(path, Damage(f"signer state: data id {self.state.data_id.hex()}, the manifest has "
                                     f"{self.data_id.hex()}", 104))
        if not self.state.origin.endswith(f"/{self.name}"):
            self.report(path, Damage(f"signer state: the origin is {self.state.origin!r}, expected one that ends in "
                                     f"{'/' + self.name!r}", 124))
        if self.checkpoint_absent and self.state.counter > COUNTER_AFTER_FIRST_SIGNATURE:
            self.report(f"{self.folder}/checkpoint", Damage(
                f"the checkpoint is missing: the signer's state says that size {self.state.size} was signed"))

    def check_checkpoint(self):
        path, origin = f"{self.folder}/checkpoint", self.state.origin
        if self.checkpoint.origin != origin:
            self.report(path, Damage(f"checkpoint: of {self.checkpoint.origin!r}, the signer's state has {origin!r}", 0))
        self.check_signature([self.state.verifier_key()])
        if self.checkpoint is None:
            return
        if self.checkpoint.size > self.state.size:
            self.report(f"{self.shared.signer_name}/{self.name}/state", Damage(
                f"signer state: {self.state.size} entries were signed, and there is a checkpoint of "
                f"{self.checkpoint.size}: an older state was put back", 24))
        elif self.checkpoint.size == self.state.size and self.checkpoint.root != self.state.root:
            self.report(path, Damage(f"checkpoint: root {to_base64(self.checkpoint.root)}, the signer's state has "
                                     f"{to_base64(self.state.root)} for size {self.state.size}"))
        for key in self.shared.vkeys:
            if key.name == origin and key.public_key != self.state.public_key:
                self.report(path, Damage(f"checkpoint: signed by {self.state.verifier_key()}, expected {key}"))

    def check_signature(self, keys):
        """What nobody signed says nothing about the entries, so it is held against them no more."""
        keys = [key for key in keys if key.name == self.checkpoint.origin]
        try:
            if not keys:
                raise Damage(f"checkpoint: of {self.checkpoint.origin!r}, for which no verifier key was given", 0)
            verify_note(self.note, keys)
        except Damage as damage:
            self.report(f"{self.folder}/checkpoint", damage)
            self.checkpoint = None

    def signed_sizes(self):
        return {signed.size for signed in (self.state, self.checkpoint) if signed}

    # What the WAL holds.

    def take_append(self, append, file, offset):
        if self.next is None:
            if append.first > self.sealed:
                raise Damage(f"WAL: {self.name} begins with entry {append.first}, the segments end before entry "
                             f"{self.sealed}", index=self.sealed)
            self.overlap_start = append.first
        expected = append.first if self.next is None else self.next
        if append.first != expected:
            raise Damage(f"WAL: an append to {self.name} begins with entry {append.first}, expected {expected}", index=expected)
        ciphers = [BlockCipher(seed) for _, seed in append.runs]
        if append.first <= self.sealed:
            self.border = file, offset
        if append.first < self.sealed:
            self.overlap_places.append((append.first, file, offset))
        which = [cipher for cipher, (count, _) in zip(ciphers, append.runs) for _ in range(count)]
        for place, (fingerprint, data, blobs) in enumerate(append.records):
            index = append.first + place
            try:
                self.take_record(index, fingerprint, data, blobs, which[place], file)
            except Damage as damage:
                self.report(file, Damage(damage.reason, offset, index))
        self.next = append.first + len(append.records)

    def take_record(self, index, fingerprint, data, blobs, cipher, file):
        leaf = leaf_hash(data)
        if index < self.sealed:
            self.overlap += leaf + blobs_digest(blobs)
        else:
            self.tail_leaves += leaf
        entry = check_entry(data, self.tenant)
        check_salt(entry, cipher, index)
        own = self.fingerprint(entry)
        if own != fingerprint:
            raise Damage(f"WAL: the fingerprint of the entry is {fingerprint:016x}, its id gives {own:016x}")
        if entry["receivedAt"] < self.log_received:
            raise Damage(f"receivedAt is {entry['receivedAt']}, the entry before has {self.log_received}: it never decreases")
        self.log_received = entry["receivedAt"]
        if index == self.sealed:
            self.log_received_first = entry["receivedAt"]
        if index >= self.sealed:
            self.take_sections(entry, blobs, index, file)
            self.entries += 1
            self.shared.witness.take(self.name, index, entry)

    def take_end(self, size):
        self.end_mark = size
        if self.next is not None and size != self.next:
            raise Damage(f"WAL: the end mark says that {self.name} has {size} entries, the frames before it give {self.next}",
                         index=min(size, self.next))

    # What the segments hold.

    def walk(self):
        self.wanted = self.signed_sizes() | self.shared.witness.sizes(self.name)
        for listed in self.listed.segments:
            self.walk_segment(listed)
        self.check_frontier()
        if self.complete and self.tail_leaves:
            self.check_border()
            for at in range(0, len(self.tail_leaves), HASH_BYTES):
                self.push(bytes(self.tail_leaves[at:at + HASH_BYTES]))
        size = self.size()
        if self.shared.log_whole:
            self.check_reach(size)
        if self.listed.proofs:
            self.check_signed(size)

    def size(self):
        return max(self.sealed, self.next or 0)

    def check_reach(self, size):
        """The log may not end before what it is known to have held."""
        if self.end_mark is not None and size < self.end_mark:
            self.report(self.shared.last_log_file, Damage(
                f"WAL: {self.name} has {size} entries, the last end mark says {self.end_mark}", index=size))
        if self.next is not None and self.next < self.sealed:
            self.report(self.shared.last_log_file, Damage(
                f"WAL: it ends before entry {self.next} of {self.name}, and segments hold entries up to {self.sealed}, "
                "which were in it before", index=self.next))

    def push(self, leaf):
        self.tree.append(leaf)
        if self.tree.size in self.wanted:
            self.roots[self.tree.size] = self.tree.root()

    def load(self, listed, suffix, make):
        path = f"{self.folder}/{listed.name(suffix)}"
        try:
            return make(self.shared.path(path))
        except FileNotFoundError:
            self.report(path, Damage(f"{listed.name(suffix)} is missing: the manifest lists it"))
        except OSError as error:
            self.report(path, unreadable(error))
        except Damage as damage:
            self.report(path, damage)
        return None

    def load_sidecar(self, listed, kind):
        """None where there is none that can be used."""
        path = f"{self.folder}/{listed.name(kind)}"
        try:
            sidecar = Sidecar(self.shared.read(path), kind, listed, self.data_id, self.shared.keys)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.report(path, unreadable(error))
            return None
        except Damage as damage:
            self.report(path, damage)
            return None
        if self.shared.keys and not sidecar.key:
            self.shared.note(f"{path}: nobody has its key any more; the server builds it anew")
        return sidecar

    def check_sealed_sidecar(self, sidecar, listed, page, chunk, segment, entries_before):
        """Holds a personal sidecar against a page that was just read."""
        opened, self.shared.sections.opened = self.shared.sections.opened, None
        if self.entries - entries_before != chunk.rows:
            return  # some of it could not be read
        tokens = {token for pairs in opened for token in pair_tokens(pairs)}
        try:
            sidecar.check_page(page, chunk.first_row in segment.sections, tokens)
        except Damage as damage:
            self.report(f"{self.folder}/{listed.name('per')}", damage)

    def walk_segment(self, listed):
        segment = self.load(listed, "seg", lambda path: self.open_segment(path, listed))
        hashes = self.load(listed, "hashes", lambda path: HashFile(read_whole(path), listed))
        if hashes and hashes.fault:
            self.report(f"{self.folder}/{listed.name('hashes')}", hashes.fault)
        run = self.load(listed, "ids", lambda path: IdRun(read_whole(path), listed))
        if run and run.fault:
            self.report(f"{self.folder}/{listed.name('ids')}", run.fault)
        self.load_sidecar(listed, "pub")
        sealed = self.load_sidecar(listed, "per")
        fingerprints = {}  # by row, of the entries that could be read
        for page, chunk in enumerate(segment.pages if segment else []):
            entries_before = self.entries
            if sealed and sealed.key:
                self.shared.sections.opened = []
            self.join_page(listed, hashes, chunk, self.read_rows(segment, chunk, fingerprints))
            if sealed and sealed.key:
                self.check_sealed_sidecar(sealed, listed, page, chunk, segment, entries_before)
            self.shared.progress.step(chunk.rows)
        if segment is None:
            self.join_page(listed, hashes, AllRows(listed), None)
        if run:
            self.compare_run(listed, run, fingerprints)

    def open_segment(self, path, listed):
        segment = Segment(path, listed, self.name, self.data_id)
        if self.shared.keys:
            segment.open_key(self.shared.keys)
        return segment

    def read_rows(self, segment, chunk, fingerprints):
        """Leaf hashes of a page, from its entries; None where they could not be read."""
        sections = segment.sections.get(chunk.first_row)
        path = f"{self.folder}/{segment.listed.name('seg')}"
        try:
            with open(segment.path, "rb") as file:
                page_data = segment.read_chunk(file, chunk)
                section_data = segment.read_chunk(file, sections) if sections else None
            if not self.shared.keys:
                return None
            entries, salted = segment.read_page(segment.open_chunk(chunk, page_data), chunk)
            blobs = [[]] * chunk.rows
            if sections:
                blobs = segment.read_sections(segment.open_chunk(sections, section_data), chunk.rows)
        except OSError as error:
            self.report(path, Damage(unreadable(error).reason, chunk.offset, segment.listed.first + chunk.first_row))
            return None
        except Damage as damage:
            if damage.index is None:
                damage = Damage(damage.reason, chunk.offset, segment.listed.first + chunk.first_row)
            self.report(path, damage)
            return None
        leaves = []
        for row, data in enumerate(entries):
            index = segment.listed.first + chunk.first_row + row
            leaves.append(leaf_hash(data))
            self.compare_overlap(index, leaves[-1], blobs[row])
            try:
                fingerprints[chunk.first_row + row] = self.check_row(index, data, blobs[row], row in salted, path)
                self.entries += 1
            except Damage as damage:
                self.report(path, Damage(damage.reason, chunk.offset, index))
        return leaves

    def check_row(self, index, data, blobs, salted, path):
        """Gives the fingerprint."""
        entry = check_entry(data, self.tenant)
        if not salted:
            raise Damage("the entry's salt is not kept as the derived one, so it was not derived from a seed")
        if entry["receivedAt"] < self.received:
            raise Damage(f"receivedAt is {entry['receivedAt']}, the entry before has {self.received}: it never decreases")
        self.received = entry["receivedAt"]
        self.take_sections(entry, blobs, index, path)
        self.shared.witness.take(self.name, index, entry)
        return self.fingerprint(entry)

    def take_sections(self, entry, blobs, index, file):
        self.shared.sections.check(entry, blobs, self.name, index, file)

    def fingerprint(self, entry):
        return int.from_bytes(self.fingerprints.encrypt(bytes.fromhex(entry["id"].replace("-", "")))[:8], "little")

    def compare_overlap(self, index, leaf, blobs):
        if self.next is None or not self.overlap_start <= index < self.next:
            return
        place = (index - self.overlap_start) * 2 * HASH_BYTES
        mine = bytes(self.overlap[place:place + 2 * HASH_BYTES])
        if mine and mine != leaf + blobs_digest(blobs):
            _, file, offset = max(place for place in self.overlap_places if place[0] <= index)
            self.report(file, Damage("the segment and the WAL hold different bytes for this entry", offset, index))

    def join_page(self, listed, hashes, chunk, leaves):
        """Compares the leaves of a page with the hash file, and the tile roots; grows the tree."""
        path, first_row = f"{self.folder}/{listed.name('hashes')}", chunk.first_row
        if leaves is None and (hashes is None or hashes.fault):
            self.complete = False
        if not self.complete:
            return
        for row in range(first_row, first_row + chunk.rows):
            leaf = leaves[row - first_row] if leaves else hashes.leaf(row)
            if hashes and leaf != hashes.leaf(row):
                self.tile_sound = False
                file, offset = path, HashFile.leaf_offset(row)
                if not hashes.fault:  # it is the one that the manifest lists, so the segment is wrong
                    file, offset = f"{self.folder}/{listed.name('seg')}", chunk.offset
                self.report(file, Damage(f"the hash file has the leaf hash {hashes.leaf(row).hex()}, the entry gives "
                                         f"{leaf.hex()}", offset, listed.first + row))
            self.push(leaf)
            if self.tree.size % PAGE_ROWS == 0:
                self.check_tile(path, listed, hashes)

    def check_tile(self, path, listed, hashes):
        """A tile that holds a wrong leaf has a wrong root as well, which says nothing new."""
        sound, self.tile_sound = self.tile_sound, True
        if hashes is None or hashes.fault or not sound:
            return
        place = HASH_BYTES * (self.tree.size // PAGE_ROWS - listed.first // PAGE_ROWS - 1)
        found = hashes.tiles[place:place + HASH_BYTES]
        if found != self.tree.tile:
            self.report(path, Damage(f"hash file: the root of the tile that ends at {self.tree.size} is {found.hex()}, its "
                                     f"leaves give {self.tree.tile.hex()}", hashes.tiles_offset + place))

    def compare_run(self, listed, run, fingerprints):
        """The first entry for which the run has another fingerprint."""
        for row, expected in fingerprints.items():
            if run.fingerprints[row] != expected:
                self.report(f"{self.folder}/{listed.name('ids')}", Damage(
                    f"id run: fingerprint {run.fingerprints[row]:016x} of row {row}, the entry gives {expected:016x}", 64,
                    listed.first + row))
                return

    def check_frontier(self):
        if self.complete and self.tree.frontier != self.listed.frontier:
            self.report("manifest", Damage(f"manifest: the frontier of {self.name} is not that of its {self.sealed} sealed entries"))

    def check_border(self):
        first = self.log_received_first
        if first is not None and first < self.received:
            file, offset = self.border
            self.report(file, Damage(f"receivedAt is {first}, the entry before has {self.received}: it never decreases",
                                     offset, self.sealed))

    # Both against what was signed.

    def check_signed(self, size):
        self.check_older_checkpoint()
        signed = []
        if self.state:
            signed.append((f"{self.shared.signer_name}/{self.name}/state", "signer state", self.state))
        if self.checkpoint:
            signed.append((f"{self.folder}/checkpoint", "checkpoint", self.checkpoint))
        for path, what, head in signed:
            if head.size > size and self.shared.keys and self.shared.log_whole:
                self.report(self.shared.last_log_file, Damage(
                    f"{what}: {head.size} entries of {self.name} were signed, and {size} are there", index=size))
            elif head.size > self.tree.size or not self.complete:
                if head.size not in self.roots:
                    self.shared.note(f"{self.name}: the root at the signed size {head.size} was not recomputed: "
                                     f"{self.tree.size} leaf hashes could be read")
            if head.size in self.roots and self.roots[head.size] != head.root:
                self.report(path, Damage(f"{what}: root {to_base64(head.root)} for size {head.size}, the entries give "
                                         f"{to_base64(self.roots[head.size])}"))

    def check_older_checkpoint(self):
        """A crash may come between a signature and its checkpoint, a stop in order may not."""
        if not self.state or not self.checkpoint or self.checkpoint.size >= self.state.size:
            return
        older = (f"the checkpoint of size {self.checkpoint.size} is older than the last signing, of size "
                 f"{self.state.size}")
        if self.shared.stopped_in_order:
            self.report(f"{self.folder}/checkpoint", Damage(
                f"checkpoint: {older}, and the server was stopped in order: an older one was put in its place (or the disk "
                "was full then; the server writes the newest one when it starts)", len(self.checkpoint.origin.encode()) + 1))
        else:
            self.shared.note(f"{self.name}: {older}")

    def summary(self):
        signed = self.checkpoint or self.state
        return {"size": self.size(), "root": to_base64(self.tree.root()) if self.complete else None,
                "sealedSize": self.sealed, "signedSize": signed.size if signed else None,
                "signedRoot": to_base64(signed.root) if signed else None,
                "vkey": str(self.state.verifier_key()) if self.state else None, "entries": self.entries}


class AllRows:
    """Stands for the pages of a segment that cannot be read."""

    def __init__(self, listed):
        self.first_row, self.rows, self.offset = 0, listed.end - listed.first, 0


def blobs_digest(blobs):
    return sha256(*[piece for blob in blobs for piece in (len(blob).to_bytes(8, "little"), blob)])


def read_whole(path):
    with open(path, "rb") as file:
        return file.read()
