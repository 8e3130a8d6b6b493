"""The vault directory: top, pages, erasure journal. Reads keys into memory and nothing back out."""
import os
import re
import struct

from .cipher import WRAPPED_BYTES, ZERO_NONCE, hkdf, hmac_sha256, open_sealed
from .reader import Damage, Reader, check_length, sha256

PAGE_NAME = re.compile(r"([0-9a-f]{8})-([0-9a-f]{16})\.page")
LEFTOVERS = {"top.tmp", "root.key.tmp", "erased.tmp"}
PAGE_SLOTS = 512
SLOT_BYTES = 128
TAG_BYTES = 16
RECORD_BYTES = 160
JOURNAL_HEADER_BYTES = 64
NONE = 2 ** 64 - 1
ACTIVE, ERASED, AUTHORISED_AGAIN = 1, 2, 3
VERSION, TOP_VERSION = 1, 2


class Top:
    def __init__(self, vault_id, sequence):
        self.vault_id, self.sequence = vault_id, sequence
        self.opened = False


def check_container(data, magic, what, newest=VERSION):
    """Length, magic, digest, version; a Reader that stands behind the version."""
    if len(data) < 44:
        raise Damage(f"{what}: {len(data)} bytes, a container has 44 at least", len(data))
    reader = Reader(data[:-32], 0, what)
    reader.expect(magic, "the magic")
    if data[-32:] != sha256(data[:-32]):
        raise Damage(f"{what}: the digest at its end is {data[-32:].hex()}, the bytes before give "
                     f"{sha256(data[:-32]).hex()}", len(data) - 32)
    version = reader.u32("the version")
    if not 1 <= version <= newest:
        raise Damage(f"{what}: version {version}, this reader knows 1 to {newest}", 8)
    return reader


def read_top(data, root_key):
    """`root_key` None: the container alone."""
    reader = check_container(data, b"VSTGVTOP", "top", TOP_VERSION)
    version = int.from_bytes(data[8:12], "little")
    reader.reserved(4)
    sequence, vault_id, salt = reader.u64(), reader.take(16), reader.take(32)
    length = reader.u32("the payload length")
    reader.reserved(4)
    check_length(data, 112 + length, "top")
    if sequence < 1:
        raise Damage("top: sequence 0, the first is 1", 16)
    top = Top(vault_id, sequence)
    if root_key is None:
        return top
    plain = open_sealed(hkdf(root_key, vault_id + salt, b"vestige vault top v1", 32), ZERO_NONCE, data[:80],
                        reader.take(length, "the payload"))
    if plain is None:
        raise Damage("top: its digest is right and its tag does not verify: another root key than the one given, or "
                     "somebody altered the file together with its digest", 80)
    read_top_payload(top, Reader(plain, what="top, payload"), version)
    return top


def read_top_payload(top, reader, version):
    top.wrap_key, top.purpose_secret, top.hash_secret = reader.take(32), reader.take(32), reader.take(32)
    top.erasures, top.journal_digest = reader.u64(), reader.take(32)
    retention_count, page_count = reader.u32(), reader.u32()
    kept_count = reader.u32() if version > 1 else 0
    if version > 1:
        reader.reserved(4)
    if max(retention_count, page_count, kept_count) > 65536:
        raise reader.damage(f"{retention_count} retention keys, {page_count} pages and {kept_count} kept keys, at most "
                            "65536 each")
    top.retention, before = {}, None
    for _ in range(retention_count):
        place = (reader.u8(), reader.u16())
        if before is not None and place <= before:
            raise reader.damage(f"retention keys do not ascend at class {place[0]}, month {place[1]}")
        before = place
        top.retention[place] = reader.take(32, "a retention key")
    top.pages = []
    for expected in range(page_count):
        number, generation, slots, key = reader.u32(), reader.u64(), reader.u16(), reader.take(32, "a page key")
        if number != expected:
            raise reader.damage(f"page {number} where {expected} is expected")
        if not 1 <= generation <= top.sequence:
            raise reader.damage(f"page {number} has generation {generation}, expected 1 to {top.sequence}")
        if not 1 <= slots <= PAGE_SLOTS or (expected + 1 < page_count and slots != PAGE_SLOTS):
            raise reader.damage(f"page {number} has {slots} slots, expected {PAGE_SLOTS} (1 or more in the last)")
        top.pages.append((number, generation, slots, key))
    top.kept = read_kept(reader, kept_count, top.erasures)
    reader.end()
    if top.erasures == 0 and any(top.journal_digest):
        raise Damage("top, payload: no erasures but a journal digest that is not zeros")
    top.opened = True


def read_kept(reader, count, erasures):
    """Keys that are nowhere else, by file id: (key, erasures that the file has nothing of)."""
    kept, before = {}, b""
    for _ in range(count):
        file_id, key, settled = reader.take(16, "a file id"), reader.take(32, "a kept key"), reader.u64()
        if file_id <= before:
            raise reader.damage(f"kept keys do not ascend at file {file_id.hex()}")
        if settled > erasures:
            raise reader.damage(f"the kept key of file {file_id.hex()} tells of erasure {settled}, there are {erasures}")
        before = file_id
        kept[file_id] = key, settled
    return kept


def page_name(number, generation):
    return f"{number:08x}-{generation:016x}.page"


def read_page_container(data, name, vault_id):
    """Checks without keys; gives the number of slots."""
    what = f"page {name}"
    number, generation = (int(part, 16) for part in PAGE_NAME.fullmatch(name).groups())
    reader = check_container(data, b"VSTGVPAG", what)
    for expected, size, field in ((number, 4, "page number"), (generation, 8, "generation")):
        found = int.from_bytes(reader.take(size, field), "little")
        if found != expected:
            raise Damage(f"{what}: the {field} inside is {found}, the name says {expected}", reader.at - size)
    if vault_id is not None:
        reader.expect(vault_id, "the vault id")
    else:
        reader.take(16, "the vault id")
    slots = reader.u16("the slot count")
    reader.reserved(6)
    if not 1 <= slots <= PAGE_SLOTS:
        raise Damage(f"{what}: {slots} slots, expected 1 to {PAGE_SLOTS}", 40)
    check_length(data, 96 + SLOT_BYTES * slots, what)
    return slots


class Slot:
    def __init__(self, reader):
        self.state = reader.u8()
        reader.reserved(3)
        self.epoch, self.ref, self.subject_hash, self.key = reader.u32(), reader.take(16), reader.take(32), reader.take(32)
        self.created, self.erased_by = reader.i64(), reader.u64()
        reader.reserved(24)

    def fault(self):
        """What the table of states forbids; None where all is well."""
        present = any(self.ref), any(self.key)
        if self.state not in (ACTIVE, ERASED, AUTHORISED_AGAIN):
            return f"state {self.state}"
        if self.state == ERASED:
            return "a ref or a key though erased" if any(present) else (
                "no erasure though erased" if self.erased_by == NONE else None)
        if not all(present):
            return "no ref or no key though not erased"
        if self.state == ACTIVE:
            return None if self.epoch == 0 and self.erased_by == NONE else "an epoch or an erasure though active"
        return None if self.epoch >= 1 and self.erased_by != NONE else "no epoch or no erasure though re-authorised"


def read_page(data, vault_id, entry):
    number, generation, slots, key = entry
    name = page_name(number, generation)
    if read_page_container(data, name, vault_id) != slots:
        raise Damage(f"page {name}: its slot count is not the {slots} of top", 40)
    plain = open_sealed(key, ZERO_NONCE, data[:48], data[48:-32])
    if plain is None:
        raise Damage(f"page {name}: its tag does not verify under the key that top has for it", 48)
    reader = Reader(plain, what=f"page {name}")
    found = []
    for place in range(slots):
        slot = Slot(reader)
        if slot.fault():
            raise Damage(f"page {name}, slot {place}: {slot.fault()}", 48 + SLOT_BYTES * place)
        found.append(slot)
    return found


class Record:
    def __init__(self, tenant_hash, subject_hash, epoch, entry_index):
        self.tenant_hash, self.subject_hash, self.epoch, self.entry_index = tenant_hash, subject_hash, epoch, entry_index


def read_journal(data, top):
    """(records, bytes left over, digests). `top` None or not opened: digests alone."""
    what = "erasure journal"
    if len(data) < JOURNAL_HEADER_BYTES:
        raise Damage(f"{what}: {len(data)} bytes, its header has {JOURNAL_HEADER_BYTES}", len(data))
    reader = Reader(data, 0, what)
    reader.expect(b"VSTGVERA", "the magic")
    if reader.u32() != VERSION:
        raise Damage(f"{what}: a version that this reader does not know", 8)
    reader.reserved(4)
    if top is not None:
        reader.expect(top.vault_id, "the vault id")
    else:
        reader.take(16)
    previous = sha256(data[:32])
    reader.expect(previous, "the digest of the header")
    key = hkdf(top.purpose_secret, b"", b"vestige erasure journal v1", 32) if top is not None and top.opened else None
    records, digests = [], []
    while reader.left() >= RECORD_BYTES:
        start = reader.at
        body = data[start:start + RECORD_BYTES]
        if sha256(previous, body[:128]) != body[128:]:
            raise Damage(f"{what}, record {len(records)}: its digest does not follow from the one before", start + 128)
        if key and hmac_sha256(key, top.vault_id, previous, body[:96]) != body[96:128]:
            raise Damage(f"{what}, record {len(records)}: its mac does not verify", start + 96)
        number = reader.u64()
        if number != len(records):
            raise Damage(f"{what}: record {number} where {len(records)} is expected", start)
        tenant_hash, subject_hash, epoch = reader.take(32), reader.take(32), reader.u32()
        reader.reserved(4)
        records.append(Record(tenant_hash, subject_hash, epoch, reader.u64()))
        reader.take(8 + 64)
        previous = body[128:]
        digests.append(previous)
    return records, reader.left(), digests


class Keys:
    """What the rest asks the vault for. `complete`: every page was read, so an unknown ref has no key."""

    def __init__(self, folder, root_key):
        self.folder, self.root_key = folder, root_key
        self.top, self.refs, self.records, self.complete, self.seen = None, {}, [], True, None

    def load(self, report):
        """Everything in the folder; findings go to report(name, Damage), left-overs to report.note."""
        self.refs, self.records, self.complete = {}, [], True
        try:
            data = self.read("top")
        except FileNotFoundError:
            report("top", Damage("top is missing: expected a vault here (or give --vault DIR)"))
            return
        self.seen = data
        try:
            self.top = read_top(data, self.root_key)
        except Damage as damage:
            report("top", damage)
            self.complete, self.top = False, None
        slots = self.load_pages(report)
        self.load_journal(report, slots)

    def read(self, name):
        with open(os.path.join(self.folder, name), "rb") as file:
            return file.read()

    def load_pages(self, report):
        opened = self.top is not None and self.top.opened
        named = {page_name(page[0], page[1]): page for page in self.top.pages} if opened else {}
        folder = os.path.join(self.folder, "pages")
        there = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        slots = []
        for name in sorted(set(there) | set(named)):
            path = f"pages/{name}"
            if not PAGE_NAME.fullmatch(name) or (opened and name not in named):
                if PAGE_NAME.fullmatch(name):
                    report.note(f"vault: {path} is a left-over of an interrupted write")
                continue
            try:
                data = self.read(path)
                if opened:
                    slots += read_page(data, self.top.vault_id, named[name])
                else:
                    read_page_container(data, name, self.top.vault_id if self.top else None)
            except FileNotFoundError:
                self.complete = False
                report(path, Damage(f"page {name} is missing: top names it"))
            except Damage as damage:
                self.complete = False
                report(path, damage)
        for slot in slots:
            if slot.state != ERASED:
                if slot.ref in self.refs:
                    report("pages", Damage(f"two slots have the ref {slot.ref.hex()}"))
                self.refs[slot.ref] = slot.key
        return slots

    def load_journal(self, report, slots):
        """What is wrong with the journal leaves open how many keys were destroyed."""
        opened = self.top is not None and self.top.opened
        try:
            data = self.read("erased")
        except FileNotFoundError:
            if opened and self.top.erasures:
                self.complete = False
                report("erased", Damage(f"the erasure journal is missing: top counts {self.top.erasures} records", 0))
            return
        try:
            records, left, digests = read_journal(data, self.top)
            if opened:
                self.check_count(report, records, digests)
        except Damage as damage:
            self.complete = False
            report("erased", damage)
            return
        self.records = records
        if left:
            report.note(f"vault: {left} bytes after the last record of the erasure journal: an interrupted append")
        if opened:
            self.check_slots(report, slots)

    def check_count(self, report, records, digests):
        count = self.top.erasures
        if len(records) < count:
            raise Damage(f"the erasure journal has {len(records)} records, top counts {count}: an older journal was put back",
                         JOURNAL_HEADER_BYTES + RECORD_BYTES * len(records))
        if count and digests[count - 1] != self.top.journal_digest:
            raise Damage(f"record {count - 1} of the erasure journal has another digest than top expects",
                         JOURNAL_HEADER_BYTES + RECORD_BYTES * (count - 1) + 128)
        if len(records) > count:
            report.note(f"vault: {len(records) - count} erasures in the journal are not carried out yet")

    def check_slots(self, report, slots):
        last = {record.subject_hash: record.entry_index for record in self.records[:self.top.erasures]}
        for slot in slots:
            if slot.erased_by != NONE and last.get(slot.subject_hash) != slot.erased_by:
                report("erased", Damage(f"a subject is erased by entry {slot.erased_by} and the journal's last record "
                                        f"of this subject names {last.get(slot.subject_hash)}"))
                return

    def ordered_by(self, tenant):
        """The tenant's entries that the journal says were carried out."""
        if not self.available():
            return set()
        name = tenant.encode()
        hashed = hmac_sha256(self.top.hash_secret, len(name).to_bytes(4, "little") + name)
        return {record.entry_index for record in self.records if record.tenant_hash == hashed}

    def available(self):
        return self.top is not None and self.top.opened

    def read_again_if_changed(self):
        """Beside a running server an entry may be newer than our copy of the keys."""
        try:
            changed = self.read("top") != self.seen
        except FileNotFoundError:
            changed = False
        if changed:
            self.load(Silent())

    def key_of(self, ref):
        """The key of a ref; None if it has none."""
        if ref not in self.refs:
            self.read_again_if_changed()
        return self.refs.get(ref)

    def retention_key(self, retention_class, month):
        if (retention_class, month) not in self.top.retention:
            self.read_again_if_changed()
        return self.top.retention.get((retention_class, month))

    def unwrap(self, wrapped, context):
        """The key in a wrapped key; None if it does not open."""
        if len(wrapped) != WRAPPED_BYTES:
            return None
        return open_sealed(self.top.wrap_key, wrapped[:12], b"vestige wrapped key v1" + context, wrapped[12:])

    def purpose_key(self, purpose, tenant):
        return hkdf(self.top.purpose_secret, b"", b"vestige purpose v1" + struct.pack("<I", len(purpose))
                    + purpose.encode() + tenant.encode(), 32)


class Silent:
    """Takes findings of a second reading, which the first one had already."""

    def __call__(self, name, damage):
        pass

    def note(self, text):
        pass
