"""Defends: whatever is done to a data directory at rest, both verifiers notice it and point at the same place: the
entry where it shows in one, otherwise the file. Also against somebody who holds the root key and writes every container
again so that it fits: then the signed tree tells. The trail is a real one: the history of this repository, the log of
the machine's packages, and events of persons."""
import json
import os
import random
import shutil
import struct
import sys

import forging
import harness
import verifiers
from trails import MANY_EVENTS, PACKAGE_LINES_MAX, SEGMENTS, Trails

sys.path.insert(0, str(harness.ROOT / "tools"))
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: E402
from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: E402
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: E402
from vestige_verify.catalogue import SignerState  # noqa: E402
from vestige_verify.cipher import nonce, open_sealed  # noqa: E402
from vestige_verify.note import ED25519, VerifierKey, key_id, to_base64  # noqa: E402
from vestige_verify.sidecar import BUCKET_ROWS, FACTS, FILTER, HEADER, read_facts  # noqa: E402
from vestige_verify.wal import SECTOR, file_name, frame_at  # noqa: E402

SCALE = float(os.environ.get("VESTIGE_TEST_SCALE", "1"))
FLIPS = max(10, round(40 * SCALE))
AUDIT = forging.FOLDER
STATE = "signer/default/audit/state"
CHECKPOINT = f"{AUDIT}/checkpoint"
KEYLESS = ("--no-keys",)
MADE = {}


def trails(context):
    """The same for all tests of this file."""
    if not MADE:
        MADE["trails"] = Trails(context)
    return MADE["trails"]


class Copy:
    """A copy of the sound directory that a tampering may change."""

    def __init__(self, made, folder):
        self.made, self.folder = made, folder
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(made.sound, folder)

    def path(self, name):
        return self.folder / name

    def names(self, suffix):
        return sorted(str(path.relative_to(self.folder)) for path in (self.folder / AUDIT).glob(f"*.{suffix}"))

    def log(self):
        return sorted(str(path.relative_to(self.folder)) for path in (self.folder / "wal").glob("0*.wal"))[-1]

    def page(self):
        return sorted(str(path.relative_to(self.folder)) for path in (self.folder / "vault" / "pages").iterdir())[0]

    def flip(self, name, offset, bit=0):
        data = bytearray(self.path(name).read_bytes())
        data[offset] ^= 1 << bit
        self.path(name).write_bytes(data)
        return name

    def cut(self, name, size):
        data = self.path(name).read_bytes()
        self.path(name).write_bytes(data[:size])
        return name

    def remove(self, name):
        self.path(name).unlink()
        return name

    def add(self, name, data=b"something"):
        self.path(name).write_bytes(data)
        return name

    def replace(self, name, other):
        assert self.path(name).read_bytes() != (other / name).read_bytes(), name
        shutil.copyfile(other / name, self.path(name))
        return name

    def frames(self):
        """Offsets of the frames of the last log file, and its end."""
        path, found = self.path(self.log()), []
        generation, size, at = int(path.stem, 16), path.stat().st_size, SECTOR
        with open(path, "rb") as file:
            while not isinstance(frame := frame_at(file, at, size, generation), str):
                found.append(at)
                at = frame.end
        return found, at


class Found:
    """Where both verifiers must point: the file, and the entry where one is known. `index` None: none may be named.
    `keyless`: where they point without the root key; None where it takes that key."""

    def __init__(self, file, index=None, keyless="same"):
        self.file, self.index = file, index
        self.keyless = self if keyless == "same" else keyless


def check(copy, name, found, options, faults):
    for verifier, result in verifiers.both(copy.folder, *options).items():
        where = f"{name}, {verifier} {' '.join(options)}"
        if result["ok"]:
            faults.append(f"{where}: found nothing, expected {found.file}, entry {found.index}")
            continue
        bad = result["firstBad"]
        if (bad["file"], bad["index"]) != (found.file, found.index):
            faults.append(f"{where}: expected {found.file}, entry {found.index}; it says {json.dumps(bad)}")


def run_table(context, table):
    made, faults = trails(context), []
    for name, tamper in table:
        copy = Copy(made, context.folder / "copy")
        found = tamper(copy)
        found = found if isinstance(found, Found) else Found(found)
        check(copy, name, found, (), faults)
        if found.keyless:
            check(copy, name, found.keyless, KEYLESS, faults)
    assert not faults, f"{len(faults)} of {len(table)} tamperings:\n" + "\n".join(faults)


def test_the_sound_trail_is_found_sound(context):
    made = trails(context)
    size, root = verifiers.expect_sound(made.sound)
    verifiers.expect_sound(made.sound, *KEYLESS)
    files = Copy(made, context.folder / "copy")
    print(f"{size} entries, {len(files.names('seg'))} segments, root {root}")
    assert len(files.names("seg")) >= SEGMENTS and size > PACKAGE_LINES_MAX + MANY_EVENTS, size
    for other in (made.older, made.foreign):
        assert verifiers.expect_sound(other) != (size, root)


def test_writing_again_without_a_change_is_sound(context):
    """Otherwise the forgeries below would be found for the wrong reason."""
    made = trails(context)
    copy = Copy(made, context.folder / "copy")
    forging.Forger(copy.folder).write()
    assert verifiers.expect_sound(copy.folder) == verifiers.expect_sound(made.sound)


# Bytes, files, and files of others.

def in_segment(place):
    """A changed byte at place(bytes of the file) of the second segment."""
    def tamper(copy):
        name = copy.names("seg")[1]
        return copy.flip(name, place(copy.path(name).read_bytes()))
    return tamper


def chunk_row(data, number):
    """(first row, offset) of a chunk."""
    at = int.from_bytes(data[-96:-88], "little") + 64 * number
    return int.from_bytes(data[at + 4:at + 8], "little"), int.from_bytes(data[at + 16:at + 24], "little")


def chunk_byte(number):
    def tamper(copy):
        name = copy.names("seg")[1]
        data = copy.path(name).read_bytes()
        first_row, offset = chunk_row(data, number)
        copy.flip(name, offset + 40)
        return Found(name, first_of(name) + first_row)
    return tamper


def first_of(name):
    return int(name.rpartition("/")[2].split("-")[0])


def leaf_byte(copy):
    name = copy.names("hashes")[0]
    copy.flip(name, 64 + 32 * 1000 + 5)
    return Found(name, 1000, keyless=Found(name))


def byte_of(choose, offset):
    return lambda copy: copy.flip(choose(copy), offset)


def named(name):
    return lambda _: name


def of_kind(suffix, place=0):
    return lambda copy: copy.names(suffix)[place]


def log_frame_byte(copy):
    return copy.flip(copy.log(), copy.frames()[0][2] + 150)


def end_mark_byte(copy):
    return copy.flip(copy.log(), copy.frames()[0][-1] + 100)


def refilled_sidecar(copy, filling):
    """By somebody with the root key: every bit of the filter is set to that of `filling`, and all fits again."""
    name = copy.names("per")[0]
    data = copy.path(name).read_bytes()
    key, _ = forging.Forger(copy.folder).keys.top.kept[data[16:32]]
    facts = int.from_bytes(data[160:168], "little")
    plain = open_sealed(key, nonce(FACTS, 0), data[16:32] + struct.pack("<III", FACTS, 0, 0), data[HEADER:HEADER + facts])
    made, number = data[:HEADER + facts], 0
    for group, (pages, buckets) in enumerate(read_facts(plain)[1]):
        for _ in range(buckets):
            head = data[16:32] + struct.pack("<III", FILTER, number, group)
            plain = filling * (BUCKET_ROWS * ((pages + 7) // 8))
            made += AESGCM(key).encrypt(nonce(FILTER, number), plain, head)
            number += 1
    copy.path(name).write_bytes(forging.with_digest(made))
    return Found(name, keyless=None)


BYTES = [
    ("a byte of the manifest's head", byte_of(named("manifest"), 17)),
    ("a byte of the manifest's payload", byte_of(named("manifest"), 90)),
    ("a byte of the log file's header", byte_of(lambda copy: copy.log(), 100)),
    ("a byte of a frame of the log", log_frame_byte),
    ("a byte of the end mark", end_mark_byte),
    ("a byte of a segment's header", in_segment(lambda data: 60)),
    ("a byte of a page", chunk_byte(0)),
    ("a byte of the sealed sections of a page", chunk_byte(1)),
    ("a byte of a segment's table", in_segment(lambda data: int.from_bytes(data[-96:-88], "little") + 40)),
    ("a byte of a segment's trailer", in_segment(lambda data: len(data) - 90)),
    ("a byte of a segment's digest", in_segment(lambda data: len(data) - 5)),
    ("a byte of a hash file's header", byte_of(of_kind("hashes"), 18)),
    ("a leaf hash", leaf_byte),
    ("a tile root", byte_of(of_kind("hashes"), 64 + 32 * 4096 + 7)),
    ("a hash file's digest", byte_of(of_kind("hashes"), -3)),
    ("a byte of a sidecar's header", byte_of(of_kind("pub"), 130)),
    ("a byte of a sidecar's facts", byte_of(of_kind("pub"), 530)),
    ("a byte of a sidecar's filter", byte_of(of_kind("pub"), -2000)),
    ("a byte of a personal sidecar's header", byte_of(of_kind("per"), 130)),
    ("a byte of a personal sidecar's facts", byte_of(of_kind("per"), 530)),
    ("a byte of a personal sidecar's filter", byte_of(of_kind("per"), -2000)),
    ("a personal sidecar that hides sealed values", lambda copy: refilled_sidecar(copy, b"\0")),
    ("a byte of an id run", byte_of(of_kind("ids"), 64 + 12 * 77 + 3)),
    ("a byte of the checkpoint's text", byte_of(named(CHECKPOINT), 33)),
    ("a byte of the checkpoint's signature", byte_of(named(CHECKPOINT), -20)),
    ("a byte of the signer's state", byte_of(named(STATE), 40)),
    ("a byte of the vault's top", byte_of(named("vault/top"), 120)),
    ("a byte of a page of the vault", byte_of(Copy.page, 300)),
]


def cut_in_half(choose):
    def tamper(copy):
        name = choose(copy)
        return copy.cut(name, copy.path(name).stat().st_size // 2)
    return tamper


def cut_at_a_frame(copy):
    offsets, _ = copy.frames()
    return copy.cut(copy.log(), offsets[-2])


def cut_at_a_frame_and_filled(copy):
    """As a torn write would leave it. The end mark that stood there is gone, but more was signed than is there."""
    name, (offsets, _) = copy.log(), copy.frames()
    data = copy.path(name).read_bytes()
    preallocated = int.from_bytes(data[32:40], "little")
    copy.path(name).write_bytes(data[:offsets[-3]].ljust(preallocated, b"\0"))
    size = SignerState(copy.path(STATE).read_bytes()).size
    left = forging.Forger(copy.folder)
    assert len(left.rows) < size
    return Found(name, len(left.rows), keyless=None)


FILES = [
    *[(f"{what}, cut in half", cut_in_half(choose)) for what, choose in (
        ("the manifest", named("manifest")), ("the log", Copy.log), ("a segment", of_kind("seg", 1)),
        ("a hash file", of_kind("hashes")), ("an id run", of_kind("ids")), ("the checkpoint", named(CHECKPOINT)),
        ("the signer's state", named(STATE)), ("the vault's top", named("vault/top")), ("a page of the vault", Copy.page))],
    ("the log, cut at a frame", cut_at_a_frame),
    ("the log, cut at a frame and filled with zeros", cut_at_a_frame_and_filled),
    *[(f"{what}, removed", lambda copy, choose=choose: copy.remove(choose(copy))) for what, choose in (
        ("the manifest", named("manifest")), ("the log", Copy.log), ("a segment", of_kind("seg")),
        ("a hash file", of_kind("hashes")), ("an id run", of_kind("ids")), ("the checkpoint", named(CHECKPOINT)),
        ("the signer's state", named(STATE)), ("the vault's top", named("vault/top")))],
    ("a page of the vault, removed", lambda copy: Found(copy.remove(copy.page()), keyless=None)),
    ("a file in the data directory", lambda copy: copy.add("notes.txt")),
    ("a file in a stream", lambda copy: copy.add(f"{AUDIT}/checkpoint.old")),
    ("a segment that nobody lists", lambda copy: Found(copy.add(f"{AUDIT}/000000900000-000000900100.seg"),
                                                         keyless=None)),
    ("a segment within others", lambda copy: copy.add(f"{AUDIT}/000000000000-000000000100.seg")),
    ("a file in the log's folder", lambda copy: copy.add("wal/0001.wal")),
    ("a file in the vault", lambda copy: copy.add("vault/pages/copy.page")),
    ("a file beside the signer's state", lambda copy: copy.add("signer/default/audit/state.old")),
]


def foreign(choose, index=None):
    def tamper(copy):
        name = copy.replace(choose(copy), copy.made.foreign)
        return Found(name, index, keyless=Found(name))
    return tamper


def older(name):
    return lambda copy: copy.replace(name, copy.made.older)


def foreign_manifest(copy):
    """Nothing here is of the data directory that it speaks of; the signer's states come first."""
    copy.replace("manifest", copy.made.foreign)
    return "signer/default/access/state"


def older_manifest(copy):
    copy.replace("manifest", copy.made.older)
    return f"wal/{file_name(1)}"


def older_state(copy):
    return copy.replace(STATE, copy.made.older)


def older_vault(copy):
    """The persons that were met since have no key, and nobody erased them."""
    rows = forging.Forger(copy.folder).rows
    copy.replace("vault/top", copy.made.older)
    first = next(index for index, row in enumerate(rows) if row.blobs)
    segment = next(name for name in copy.names("seg") if first < int(name[-16:-4]))
    return Found(segment, first, keyless=None)


REPLACED = [
    *[(f"{what} of another trail", foreign(*choice)) for what, *choice in (
        ("a segment", of_kind("seg")), ("a hash file", of_kind("hashes"), 0), ("an id run", of_kind("ids"), 0),
        ("a sidecar", of_kind("pub")), ("a personal sidecar", of_kind("per")), ("the checkpoint", named(CHECKPOINT)), ("the signer's state", named(STATE)),
        ("the log", Copy.log))],
    ("the manifest of another trail", foreign_manifest),
    ("an older manifest", older_manifest),
    ("an older checkpoint", older(CHECKPOINT)),
    ("an older signer's state", older_state),
    ("an older vault's top", older_vault),
]


def test_changed_bytes(context):
    run_table(context, BYTES)


def test_a_personal_sidecar_that_tells_too_much(context):
    """As one that was not rewritten after an erasure would. The second verifier leaves this to the first: it does not
    know every word."""
    copy = Copy(trails(context), context.folder / "copy")
    found = refilled_sidecar(copy, b"\xff")
    result = verifiers.vestige_verify(copy.folder)
    assert not result["ok"] and result["firstBad"]["file"] == found.file, result
    assert "should have been forgotten" in result["firstBad"]["reason"], result


def test_changed_files(context):
    run_table(context, FILES)


def test_files_of_others(context):
    run_table(context, REPLACED)


# By somebody who holds the root key. Without it nobody can tell an entry from another, but tree and signature do.

def forged(change, again, expect):
    """`again`: salts are made to fit their new place."""
    def tamper(copy):
        forger = forging.Forger(copy.folder)
        found = expect(forger, *change(forger))
        if again:
            forger.salt_again()
        forger.write()
        return found
    return tamper


def in_the_segment(_):
    return 700


def in_the_log(forger):
    return forger.sealed + 30


def swap(place):
    def change(forger):
        at = place(forger)
        # That a time goes back would be told first.
        while moment_of(forger.rows[at]) != moment_of(forger.rows[at + 3]):
            at += 1
        forger.swap(at, at + 3)
        return at, 0
    return change


def moment_of(row):
    return json.loads(row.entry)["receivedAt"]


def remove(place):
    def change(forger):
        forger.remove(place(forger))
        return place(forger), -1
    return change


def insert(place):
    def change(forger):
        at = place(forger)
        # A section belongs to its entry's id, so a copy of one under another id would be found by that.
        while b'"mac"' not in forger.rows[at].entry:
            at += 1
        row = forger.rows[at].copy()
        digit = b"f" if row.entry.count(b'"id":"0') else b"0"
        row.entry = forging.re.sub(rb'"id":"[0-9a-f]', b'"id":"' + digit, row.entry, count=1)
        forger.insert(at, row)
        return at + 1, 1
    return change


def duplicate(place):
    def change(forger):
        forger.insert(place(forger) + 1, forger.rows[place(forger)].copy())
        return place(forger) + 1, 1
    return change


def truncate(forger):
    for _ in range(5):
        forger.remove(len(forger.rows) - 1)
    return len(forger.rows), -5


def alter(place):
    def change(forger):
        at = place(forger)
        while forger.rows[at].entry.count(b'"action":"') != 1 or b'"mac"' not in forger.rows[at].entry:
            at += 1
        action = json.loads(forger.rows[at].entry)["action"].encode()
        forger.rows[at] = forger.rows[at].changed(b'"action":"' + action + b'"', b'"action":"forged"')
        return at, 0
    return change


def at_the_signed_tree(forger, _, by):
    """Everything fits but the root. Where there are fewer entries than were signed, that is said first."""
    log = f"wal/{file_name(forger.log[-1].generation)}"
    return Found(log, len(forger.rows), keyless=None) if by < 0 else Found(STATE, keyless=None)


def at_the_entry(forger, index, _):
    """The first whose salt is that of another index."""
    name = next((f"{AUDIT}/{segment.first:012d}-{segment.end:012d}.seg" for segment in forger.segments
                 if segment.first <= index < segment.end), f"wal/{file_name(forger.log[-1].generation)}")
    return Found(name, index, None)


PLACES = (("a segment", in_the_segment), ("the log", in_the_log))
FORGED = [
    *[(f"an entry altered in {where}", forged(alter(place), True, at_the_signed_tree)) for where, place in PLACES],
    *[(f"{what} in {where}{', salts made to fit' if again else ''}", forged(change(place), again, expect))
      for where, place in PLACES for again, expect in ((False, at_the_entry), (True, at_the_signed_tree))
      for what, change in (("entries swapped", swap), ("an entry removed", remove), ("an entry inserted", insert),
                           ("an entry duplicated", duplicate))],
    ("the last entries truncated", forged(truncate, True, at_the_signed_tree)),
]


def test_entries_forged_with_the_root_key(context):
    run_table(context, FORGED)


def state_that_fits(copy):
    """The state is not signed; the checkpoint is."""
    forger = forging.Forger(copy.folder)
    alter(in_the_segment)(forger)
    forger.write()
    put_state(copy, lambda state: state[:32] + forger.root() + state[64:])
    return Found(CHECKPOINT, keyless=Found(CHECKPOINT))


def put_state(copy, change):
    state = copy.path(STATE).read_bytes()[:-32]
    copy.path(STATE).write_bytes(forging.with_digest(change(state)))


def sign_again(copy, private):
    """The checkpoint as it is, signed with another key under the same name."""
    note = copy.path(CHECKPOINT).read_bytes()
    text = note[:note.rindex(b"\n\n") + 1]
    origin = text.split(b"\n")[0].decode()
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    blob = key_id(origin, ED25519, public) + private.sign(text)
    copy.path(CHECKPOINT).write_bytes(text + f"\n\u2014 {origin} {to_base64(blob)}\n".encode())
    return public


def signed_with_another_key(copy):
    sign_again(copy, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    return CHECKPOINT


SIGNED = [
    ("the checkpoint signed with another key", signed_with_another_key),
    ("an entry altered, and the signer's state made to fit", state_that_fits),
]


def test_trees_signed_by_others(context):
    run_table(context, SIGNED)


def test_a_key_known_from_elsewhere_tells_another_signer(context):
    """Who holds all folders can begin a log of his own; only who wrote down the verifier key can tell."""
    copy = Copy(trails(context), context.folder / "copy")
    state = SignerState(copy.path(STATE).read_bytes())
    public = sign_again(copy, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    put_state(copy, lambda bytes_of_state: bytes_of_state[:64] + public + bytes_of_state[96:])
    known = str(VerifierKey(state.origin, ED25519, state.public_key))
    found = verifiers.python_verify(copy.folder, "--vkey", known)
    assert not found["ok"] and found["firstBad"]["file"] == CHECKPOINT, found
    assert verifiers.python_verify(copy.made.sound, "--vkey", known)["ok"]


def test_random_bytes(context):
    """Any byte of any file but those that no digest covers."""
    made, faults = trails(context), []
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}, {FLIPS} bytes")
    randomly = random.Random(seed)
    copy = Copy(made, context.folder / "copy")
    names = sorted(str(path.relative_to(made.sound)) for path in made.sound.rglob("*")
                   if path.is_file() and path.suffix not in (".key", ".log") and path.name != "LOCK"
                   and not path.name.startswith("state.db"))
    for _ in range(FLIPS):
        name = randomly.choice(names)
        offset, bit = randomly.randrange(copy.path(name).stat().st_size), randomly.randrange(8)
        options = KEYLESS if randomly.random() < 0.3 else ()
        copy.flip(name, offset, bit)
        places = set()
        for verifier, result in verifiers.both(copy.folder, *options).items():
            bad = result["firstBad"] or {"file": None, "index": None}
            places.add((bad["file"], bad["index"]))
            if bad["file"] != name:
                faults.append(f"bit {bit} of byte {offset} of {name}, {verifier} {options}: {bad}")
        if len(places) > 1:
            faults.append(f"bit {bit} of byte {offset} of {name} {options}: {places}")
        copy.flip(name, offset, bit)
    assert not faults, "\n".join(faults)
