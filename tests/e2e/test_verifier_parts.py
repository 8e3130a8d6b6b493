"""Defends: the pure parts of the Python verifier agree with the published vectors of what they implement: RFC 8785,
RFC 6962, C2SP notes, cosignatures and proofs, AES and HKDF; and refuse what these forbid."""
import base64
import io
import json
import pathlib
import random
import struct
import subprocess
import sys
import tarfile

import zstandard

import harness

sys.path.insert(0, str(harness.ROOT / "tools"))
sys.path.insert(0, str(harness.ROOT / "tests" / "verify"))
import writer  # noqa: E402
from vestige_verify import canonical, catalogue, cipher, directory, entry, merkle, note, reader, segment, vault, wal  # noqa: E402

NUMBERS = [  # RFC 8785, appendix B
    ("0000000000000000", "0"), ("8000000000000000", "0"), ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"), ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"), ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"), ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"), ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"), ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"), ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"), ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"), ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"), ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"), ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2")]

LEAVES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")]
ROOTS = ["6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
         "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
         "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
         "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
         "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
         "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
         "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
         "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"]

MESSAGE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
MESSAGE = ("This is an example message.\n\n\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1"
           "ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n").encode()

LOG_KEY = "example.com/audit+29b87bfc+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
WITNESS_KEY = "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X"
CHECKPOINT = (
    "example.com/audit\n3\nrra8/idLcKFPsGel5VeCZNsPqbUa9eC6FZFY8yngbnc=\n\n"
    "\u2014 example.com/audit Kbh7/Pg3Vkrg6tLd7QUiQBvr//gpZnT2VB1yTC9eTv13bB7w2hajmqX3zifntXY6mCM8tijFFTrqa5cz/9wH2KKOzgY=\n"
    "\u2014 witness.example/w1 IDJKvgAAAABlU/EAJxs5VAN8NbZsAXvgBU3O/oRo8o4LZ/XuHByq6cjIdM4dzfZ60DxD3Mb1R1q41RAev5V47nrCA7jDM"
    "xHAUIfXAQ==\n").encode()


def refused(exception, function, *arguments):
    try:
        result = function(*arguments)
    except exception as error:
        return error
    raise AssertionError(f"{arguments} was accepted: {result!r}")


def archive(context, path):
    data = zstandard.ZstdDecompressor().decompressobj().decompress(context.shared_data(path).read_bytes())
    with tarfile.open(fileobj=io.BytesIO(data)) as files:
        return {member.name: files.extractfile(member).read() for member in files if member.isfile()}


def test_numbers_are_spelled_as_rfc_8785_says(context):
    for bits, expected in NUMBERS:
        found = canonical.number(struct.unpack(">d", bytes.fromhex(bits))[0])
        assert found == expected, (bits, found, expected)
    for bits in ("7fffffffffffffff", "7ff0000000000000", "fff0000000000000"):
        refused(canonical.NotJson, canonical.number, struct.unpack(">d", bytes.fromhex(bits))[0])
    assert canonical.canonical(canonical.parse(b"[9007199254740993,1.0]")) == b"[9007199254740992,1]"
    refused(canonical.NotJson, lambda: canonical.canonical(canonical.parse(b"1e400")))
    refused(canonical.NotJson, lambda: canonical.canonical(canonical.parse(b"1" + b"0" * 400)))


def test_numbers_keep_their_value(context):
    seed = 8785
    randomly = random.Random(seed)
    for _ in range(20_000):
        value = struct.unpack(">d", randomly.randbytes(8))[0]
        if value - value == 0:  # finite
            spelled = canonical.number(value)
            assert float(spelled) == value, (seed, value, spelled)
            assert canonical.number(json.loads(spelled)) == spelled, (seed, value, spelled)


def test_names_are_sorted_by_utf_16(context):
    data = '{"\\u20ac":"Euro Sign","\\r":"Carriage Return","\\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One",' \
           '"\\ud83d\\ude00":"Emoji: Grinning Face","\\u0080":"Control","\\u00f6":"Latin Small Letter O With Diaeresis"}'
    spelled = canonical.canonical(canonical.parse(data.encode())).decode()
    places = [spelled.index(word) for word in ("Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew")]
    assert places == sorted(places), spelled


def test_what_is_not_i_json_is_refused(context):
    for data in (b'{"a":1,"a":2}', b'"\\ud800"', b'{"\\udc00":1}', b"NaN", b"-Infinity", b"[1,]", b"", b"1 2", b'"\xff"', b'"\n"',
                 b"[" * 100_000):
        refused(canonical.NotJson, lambda text: canonical.canonical(canonical.parse(text)), data)


def test_published_canonical_files(context):
    files = archive(context, "vectors/jcs-rfc8785.tar.zst")
    names = [name for name in files if name.startswith("input/")]
    assert len(names) == 4, names
    for name in names:
        expected = files[name.replace("input/", "output/")]
        assert canonical.canonical(canonical.parse(files[name])) == expected, name
        assert canonical.canonical(canonical.parse(expected)) == expected, name


def test_json_parsing_suite(context):
    files = archive(context, "vectors/jsontestsuite.tar.zst")
    for name, data in files.items():
        kind = pathlib.PurePath(name).name[:2]
        if kind == "n_":
            refused(canonical.NotJson, canonical.parse, data)
        elif kind == "y_" and "duplicated_key" not in name:
            once = canonical.canonical(canonical.parse(data))
            assert canonical.canonical(canonical.parse(once)) == once, name


def naive_root(leaves):
    if len(leaves) < 2:
        return leaves[0] if leaves else merkle.EMPTY_ROOT
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return merkle.node_hash(naive_root(leaves[:split]), naive_root(leaves[split:]))


def naive_path(index, leaves):
    if len(leaves) < 2:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return naive_path(index, leaves[:split]) + [naive_root(leaves[split:])]
    return naive_path(index - split, leaves[split:]) + [naive_root(leaves[:split])]


def test_tree_roots(context):
    assert merkle.Tree().root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    tree = merkle.Tree()
    for data, expected in zip(LEAVES, ROOTS):
        tree.append(merkle.leaf_hash(data))
        assert tree.root().hex() == expected, tree.size


def test_trees_agree_with_the_definition(context):
    leaves = [merkle.leaf_hash(struct.pack("<I", number)) for number in range(520)]
    tree = merkle.Tree()
    for size in range(1, len(leaves) + 1):
        tree.append(leaves[size - 1])
        if size < 70 or size % 256 < 2:
            assert tree.root() == naive_root(leaves[:size]), size
        if size % 256 == 0:
            assert tree.tile == naive_root(leaves[size - 256:size]), size
    for size in range(1, 34):
        root = naive_root(leaves[:size])
        for index in range(size):
            path = naive_path(index, leaves[:size])
            assert merkle.root_from_path(leaves[index], index, size, path) == root, (index, size)
            assert merkle.root_from_path(leaves[index], index, size, path + [root]) is None
            assert not path or merkle.root_from_path(leaves[index], index, size, path[:-1]) is None
            for other in range(size):
                if other != index:
                    assert merkle.root_from_path(leaves[other], index, size, path) != root


def test_published_inclusion_proofs(context):
    count = 0
    for line in context.shared_data("vectors/merkle-rfc6962.jsonl").read_text().split("\n"):
        case = json.loads(line) if line else {}
        if not case.get("file", "").startswith("inclusion/"):
            continue
        count += 1
        leaf, root = base64.b64decode(case["leafHash"]), base64.b64decode(case["root"])
        path = [base64.b64decode(text) for text in case["proof"] or []]
        good = all(len(piece) == 32 for piece in [leaf, root, *path]) \
            and merkle.root_from_path(leaf, case["leafIdx"], case["treeSize"], path) == root
        assert good != case["wantErr"], case
    assert count == 49, count


def test_signed_notes(context):
    key = note.parse_vkey(MESSAGE_KEY)
    assert str(key) == MESSAGE_KEY
    note.verify_note(note.parse_note(MESSAGE), [key])
    for at in range(len(MESSAGE)):
        changed = bytearray(MESSAGE)
        changed[at] ^= 1
        refused(reader.Damage, lambda data: note.verify_note(note.parse_note(data), [key]), bytes(changed))
    for text in (MESSAGE_KEY.replace("530d903a", "530d903b"), MESSAGE_KEY.replace("+", " "), MESSAGE_KEY[:-1], "a+b", ""):
        refused(reader.Damage, note.parse_vkey, text)


def test_checkpoints_and_cosignatures(context):
    keys = [note.parse_vkey(LOG_KEY), note.parse_vkey(WITNESS_KEY)]
    parsed = note.parse_note(CHECKPOINT)
    note.verify_note(parsed, keys)
    checkpoint = note.parse_checkpoint(parsed.text)
    assert (checkpoint.origin, checkpoint.size, checkpoint.root.hex()) == ("example.com/audit", 3, ROOTS[2])
    note.verify_note(note.parse_note(CHECKPOINT), keys[:1])  # signatures of unknown keys are ignored
    later = CHECKPOINT.replace(b"IDJKvgAAAABlU/EA", b"IDJKvgAAAABlU/EB")  # another time of cosigning
    refused(reader.Damage, lambda: note.verify_note(note.parse_note(later), keys[1:]))
    for text in ("a\n03\nx\n", "a\n3\n", "a\n3\nAAAA\n", "a\n-1\n" + "A" * 43 + "=\n", "\n3\n" + "A" * 43 + "=\n"):
        refused(reader.Damage, note.parse_checkpoint, text)


def test_proofs(context):
    key, leaves = note.parse_vkey(LOG_KEY), [merkle.leaf_hash(data) for data in LEAVES[:3]]
    for index in range(3):
        path = "".join(note.to_base64(piece) + "\n" for piece in naive_path(index, leaves))
        proof = f"c2sp.org/tlog-proof@v1\nindex {index}\n{path}\n".encode() + CHECKPOINT
        assert note.verify_proof(proof, LEAVES[index], [key])[0] == index
        extra = proof.replace(b"v1\n", b"v1\nextra AAAA\n", 1)
        assert note.verify_proof(extra, LEAVES[index], [key])[0] == index
        refused(reader.Damage, note.verify_proof, proof, LEAVES[index] + b" ", [key])
        refused(reader.Damage, note.verify_proof, proof, LEAVES[index], [note.parse_vkey(MESSAGE_KEY)])
        refused(reader.Damage, note.verify_proof, proof.replace(b"index ", b"index 1"), LEAVES[index], [key])
        refused(reader.Damage, note.verify_proof, proof.replace(b"proof@v1", b"proof@v2"), LEAVES[index], [key])


def test_the_proof_command(context):
    leaves = [merkle.leaf_hash(data) for data in LEAVES[:3]]
    path = "".join(note.to_base64(piece) + "\n" for piece in naive_path(1, leaves))
    proof, entry = context.folder / "a.tlog-proof", context.folder / "entry"
    proof.write_bytes(f"c2sp.org/tlog-proof@v1\nindex 1\n{path}\n".encode() + CHECKPOINT)
    entry.write_bytes(LEAVES[1])
    line = [sys.executable, str(harness.ROOT / "tools" / "vestige_verify.py"), "--proof", str(proof), "--entry", str(entry), "--json"]
    output = subprocess.run([*line, "--vkey", LOG_KEY], capture_output=True, check=False)
    # The leaf is in the tree, but the byte 0x00 is no entry of ours.
    assert output.returncode == 1 and "not JSON" in json.loads(output.stdout)["firstBad"]["reason"], output
    assert subprocess.run(line, capture_output=True, check=False).returncode == 2
    assert subprocess.run([*line, "--vkey", "x"], capture_output=True, check=False).returncode == 2


def test_reader_takes_the_shortest_varint_only(context):
    for value in (0, 1, 127, 128, 300, 2 ** 32, 2 ** 64 - 1):
        encoded, rest = b"", value
        while rest > 127:
            encoded, rest = encoded + bytes([rest & 127 | 128]), rest >> 7
        encoded += bytes([rest])
        assert reader.Reader(encoded).varint() == value
        refused(reader.Damage, reader.Reader(encoded[:-1]).varint)
    for data in (b"\x80\x00", b"\x81\x80\x00", b"\xff" * 9 + b"\x02", b"\x80" * 10 + b"\x01"):
        refused(reader.Damage, reader.Reader(data).varint)


def test_ciphers(context):
    # RFC 5869, test cases 1 and 3
    secret = bytes([0x0B]) * 22
    assert cipher.hkdf(secret, bytes(range(13)), bytes(range(0xF0, 0xFA)), 42).hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
    assert cipher.hkdf(secret, b"", b"", 42).hex() == (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
    # FIPS 197, appendix B
    block = cipher.BlockCipher(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"))
    assert block.encrypt(bytes.fromhex("3243f6a8885a308d313198a2e0370734")).hex() == "3925841d02dc09fbdc118597196a0b32"
    frame = zstandard.ZstdCompressor().compress(b"abc" * 50)
    assert cipher.unpack_zstd(frame, 150, "x") == b"abc" * 50
    for data, length in ((frame, 149), (frame, 151), (frame + b"\0", 150), (frame[:-1], 150), (b"", 0)):
        refused(reader.Damage, cipher.unpack_zstd, data, length, "x")


def test_times(context):
    for ms, expected in ((0, b"1970-01-01T00:00:00.000Z"), (1_764_081_611_213, b"2025-11-25T14:40:11.213Z"),
                         (951_782_400_000, b"2000-02-29T00:00:00.000Z"), (-1, b"1969-12-31T23:59:59.999Z"),
                         (253_402_300_799_999, b"9999-12-31T23:59:59.999Z"), (253_402_300_800_000, None),
                         (-62_167_219_200_000, b"0000-01-01T00:00:00.000Z"), (-62_167_219_200_001, None), (2 ** 63, None)):
        assert segment.time_text(ms) == expected, (ms, segment.time_text(ms))


def with_digest(data):
    return data[:-32] + reader.sha256(data[:-32])


def read_entry(data):
    members = entry.check_entry(data, writer.TENANT)
    return [entry.Reference(value, place) for place, value in enumerate(members.get("sealed", []))]


def read_proof(data):
    return note.parse_checkpoint(note.parse_note(note.parse_proof(data).note).text)


def decoders(written):
    """(function, sound bytes) of everything that reads what somebody else may have written."""
    records = [record for record in written.audit if record.blobs][:6]
    columns, rest = written.page(written.audit[:40])
    schema = [segment.Column(*column) for column in writer.COLUMNS]
    state = written.files["signer/default/audit/state"]
    yield lambda data: segment.Page(reader.Reader(data), schema, 0).entries(reader.Reader(rest)), columns
    yield lambda data: wal.read_group(data), written.group([(1, records)])
    yield lambda data: catalogue.Manifest(with_digest(data)), written.files["manifest"]
    yield lambda data: catalogue.SignerState(with_digest(data)), state
    yield catalogue.check_api_keys, written.files["api-keys"]
    yield lambda data: entry.Blob(data, "x"), records[0].blobs[0]
    yield read_entry, records[2].data
    yield lambda data: entry.section_root(canonical.parse(data), bytes(16), "x"), b'[["/a",1],["/b",{}],["mac","AA=="]]'
    yield lambda data: vault.read_top_payload(vault.Top(b"", 9), reader.Reader(data), 2), written.top_payload
    yield lambda data: vault.Slot(reader.Reader(data)), bytes(127) + b"\1"
    yield lambda data: wal.Header(data[:480] + reader.sha256(data[:480]), 7, written.data_id), written.files[f"wal/{7:016x}.wal"][:512]
    yield read_proof, b"c2sp.org/tlog-proof@v1\nindex 1\n" + written.files["streams/default/audit/checkpoint"]


def test_altered_bytes_raise_damage_and_nothing_else(context):
    seed = 4180
    randomly = random.Random(seed)
    for place, (function, sound) in enumerate(decoders(writer.Writer(context.folder).write())):
        refusals = 0
        for _ in range(1500):
            data = bytearray(sound)
            for _ in range(randomly.randrange(1, 4)):
                at, kind = randomly.randrange(len(data)), randomly.randrange(4)
                if kind == 0:
                    data[at] = randomly.choice((0, 1, 0x7F, 0x80, 0xFF))
                elif kind == 1:
                    data[at] ^= 1 << randomly.randrange(8)
                elif kind == 2:
                    del data[at:at + randomly.randrange(1, 9)]
                else:
                    data[at:at] = randomly.randbytes(randomly.randrange(1, 9))
                data = data or bytearray(b"\0")
            try:
                function(bytes(data))
            except (reader.Damage, canonical.NotJson):
                refusals += 1
            except Exception as error:
                raise AssertionError((seed, place, bytes(data))) from error
        assert refusals > 20, (seed, place, refusals)


class Wrapping:
    """Keys of the published trail: all are wrapped under one that is known."""

    def __init__(self):
        self.keys = vault.Keys("", None)
        self.keys.top = vault.Top(bytes(16), 1)
        self.keys.top.wrap_key = b"\x42" * 32
        self.unwrap = self.keys.unwrap


class Groups(list):
    """The entries of a log."""

    def group(self, content, name, offset):
        self.extend((append.first + place, *record) for append in content[0] for place, record in enumerate(append.records))

    def end(self, sizes, name, offset):
        self.sizes = sizes

    def root_now(self):
        return 0


def test_the_published_trail_is_read(context):
    folder = harness.ROOT / "tests" / "golden" / "trail" / "v1"
    data, entries = folder / "data", (folder / "entries.jsonl").read_bytes().split(b"\n")[:-1]
    checked = directory.check_directory(str(data), str(data / "vault"), str(folder / "signer"), None, [])
    assert checked.report.count == 0, checked.result("events")
    assert checked.result("events")["size"] == 2
    manifest = catalogue.Manifest((data / "manifest").read_bytes())
    stream, found = manifest.streams[0], []
    listed = stream.segments[0]
    held = segment.Segment(str(data / "streams" / stream.name / listed.name("seg")), listed, stream.name, manifest.data_id)
    held.open_key(Wrapping())
    with open(held.path, "rb") as file:
        for chunk in held.pages:
            rows, salted = held.read_page(held.open_chunk(chunk, held.read_chunk(file, chunk)), chunk)
            assert len(salted) == len(rows)
            found += rows
        sections = held.sections[0]
        assert held.read_sections(held.open_chunk(sections, held.read_chunk(file, sections)), 2) == [[], [b"sealed"]]
    findings, groups = Collected(), Groups()
    log = wal.Log(str(data / "wal"), manifest.data_id, Wrapping(), findings, groups, directory.Progress())
    assert log.walk(manifest.wal_generation) and log.clean and not findings, findings
    assert groups.sizes == {1: 3} and groups[-1][:3] == (2, 0x1003, entries[2]), groups
    assert found + [groups[-1][2]] == entries
    state = catalogue.SignerState((folder / "signer" / stream.name / "state").read_bytes())
    signed = note.parse_note((folder / "checkpoint").read_bytes())
    note.verify_note(signed, [state.verifier_key()])
    checkpoint, root = note.parse_checkpoint(signed.text), merkle.root_of(map(merkle.leaf_hash, entries))
    assert (checkpoint.size, checkpoint.root, checkpoint.origin) == (3, root, state.origin)
    assert (state.size, state.root) == (3, root)


class Collected(list):
    def __call__(self, name, damage):
        self.append((name, damage.reason))

    def note(self, text):
        self.append(("note", text))


def expect_published_vault(folder, kept_keys):
    root_key = base64.b64decode((folder / "root.key").read_text())
    found = Collected()
    keys = vault.Keys(str(folder), root_key)
    keys.load(found)
    assert not found and keys.available() and keys.complete, found
    assert [record.entry_index for record in keys.records] == [41, 41] and len(keys.refs) == 2
    assert keys.purpose_key("content-mac", "acme").hex() == "cfb1153e529ef209a8f7b94592e97fca2b9f257975f116d592b972cf4493067e"
    wrapped = bytes(12) + bytes.fromhex("d63fcf3f45b2b518d482db36264ad16cbf7575e1464272f39314b32cb640040e104c52aa92eb23f417c5"
                                        "c411ef850e22")
    assert keys.unwrap(wrapped, b"segment 1") == b"\x55" * 32
    assert keys.unwrap(wrapped, b"segment 2") is None
    assert keys.top.kept == kept_keys, keys.top.kept
    other = Collected()
    vault.Keys(str(folder), bytes(32)).load(other)
    assert len(other) == 1 and "another root key" in other[0][1], other
    keyless = Collected()
    vault.Keys(str(folder), None).load(keyless)
    assert not keyless, keyless


def test_the_published_vaults_open(context):
    folder = harness.ROOT / "tests" / "golden" / "vault"
    expect_published_vault(folder / "v1", {})
    expect_published_vault(folder / "v2", {b"\x51" * 16: (b"\x61" * 32, 1), b"\x52" * 16: (b"\x62" * 32, 2)})
