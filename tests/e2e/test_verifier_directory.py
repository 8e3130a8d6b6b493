"""Defends: the Python verifier accepts what the documents say and notices every change of it: each byte of each file,
with and without keys, and each broken rule although all digests and tags are right, naming entry, file and reason.
The directories are written by tests/verify/writer.py, from the documents as well."""
import json
import os
import random
import shutil
import subprocess
import sys

import harness

sys.path.insert(0, str(harness.ROOT / "tools"))
sys.path.insert(0, str(harness.ROOT / "tests" / "verify"))
import writer  # noqa: E402
from vestige_verify.directory import Directory, Progress, check_directory  # noqa: E402

SCALE = max(1.0, float(os.environ.get("VESTIGE_TEST_SCALE", "1")))


def check(written, root_key="own", vkeys=()):
    folder = str(written.folder)
    key = written.root_key if root_key == "own" else root_key
    return check_directory(folder, folder + "/vault", folder + "/signer", key, list(vkeys))


def result(directory):
    return directory.result("audit")


def describe(directory):
    return [(finding.index, finding.file, finding.offset, finding.reason) for finding in directory.report.kept]


def expect_first(directory, index, file, words):
    first = directory.report.first
    assert first is not None, "all was found well"
    assert (first.index, first.file.endswith(file), words in first.reason) == (index, True, True), describe(directory)


def test_a_sound_directory_is_found_sound(context):
    written = writer.Writer(context.folder / "data").write()
    found = result(check(written))
    assert found["ok"] and not found["notes"], found
    assert (found["size"], found["entries"]) == (380, 400), found
    assert found["root"] == writer.text64(writer.tree_root([record.leaf for record in written.audit]))
    assert found["streams"]["default/audit"]["signedSize"] == 375, found
    blobs = sum(len(record.blobs) for record in written.audit)
    assert found["sections"] == {"matches": blobs - 2, "present": 0, "erased": 2, "missing": 0}, found
    keyless = result(check(written, None))
    assert keyless["ok"] and keyless["size"] == 345 and keyless["notes"], keyless


def test_a_stream_that_was_added_late(context):
    """End marks and frames of before do not know it. Without the manifest that names it, its entries are nobody's."""
    written = writer.Writer(context.folder / "data", late=12).write()
    found = result(check(written))
    assert found["ok"] and found["streams"]["default/late"]["size"] == 12, found
    (written.folder / "streams" / "other" / "late").mkdir(parents=True)
    (written.folder / "streams" / "default" / "next").mkdir(parents=True)
    found = result(check(written))
    assert found["ok"] and len(found["notes"]) == 2, found
    early = writer.Writer(context.folder / "early").write()
    (written.folder / "manifest").write_bytes((early.folder / "manifest").read_bytes())
    expect_first(check(written), None, f"wal/{8:016x}.wal", "stream number 3")


def test_the_command_line(context):
    written = writer.Writer(context.folder / "data").write()
    program = [sys.executable, str(harness.ROOT / "tools" / "vestige_verify.py")]

    def run(*arguments, **environment):
        return subprocess.run([*program, *arguments], capture_output=True, check=False, text=True, env={**os.environ, **environment})

    data = str(written.folder)
    assert run(data).returncode == 0
    text = (written.folder / "vault" / "root.key").read_text()
    (written.folder / "vault" / "root.key").unlink()
    without = run(data, "--json")
    assert without.returncode == 0 and json.loads(without.stdout)["keys"] is False, without
    with_key = run(data, "--json", "--root-key-env", "ROOT_KEY", ROOT_KEY=text)
    assert with_key.returncode == 0 and json.loads(with_key.stdout)["entries"] == 400, with_key
    vkey = json.loads(with_key.stdout)["streams"]["default/audit"]["vkey"]
    assert run(data, "--vkey", vkey).returncode == 0
    shutil.move(written.folder / "signer", context.folder / "signer")
    shutil.move(written.folder / "vault", context.folder / "vault")
    alone = run(data, "--json")
    assert alone.returncode == 0 and len(json.loads(alone.stdout)["notes"]) == 4, alone
    apart = ["--signer", str(context.folder / "signer"), "--vault", str(context.folder / "vault")]
    assert run(data, *apart).returncode == 0
    assert run(data, *apart[2:], "--vkey", vkey).returncode == 0
    (written.folder / "manifest").write_bytes(b"")
    wrong = run(data, *apart, "--json")
    assert wrong.returncode == 1 and json.loads(wrong.stdout)["firstBad"]["file"] == "manifest", wrong
    for arguments in ((), (data + "x",), (data, "--root-key", data + "x"), (data, "--root-key-env", "ABSENT"), (data, "--x")):
        assert run(*arguments).returncode == 2, arguments


def places_that_count(written):
    """(file, offset) of every byte; behind the last frame of a log file nothing counts."""
    for name, content in written.files.items():
        size = len(content.rstrip(b"\0")) if name.endswith("7.wal") else len(content)
        if name != "vault/root.key":
            yield from ((name, offset) for offset in range(size))


def test_every_byte_counts(context):
    seed = 6962
    randomly = random.Random(seed)
    written = writer.Writer(context.folder / "data", segments=(40, 45), log_from=42, size=60)
    written.erased_by = 30
    written.write()
    assert result(check(written))["ok"], describe(check(written))
    places = list(places_that_count(written))
    for key, rounds in (("own", 600), (None, 400)):
        for name, offset in randomly.sample(places, min(len(places), int(rounds * SCALE))):
            path, content = written.folder / name, written.files[name]
            changed = bytearray(content)
            changed[offset] ^= 1 << randomly.randrange(8)
            path.write_bytes(changed)
            directory = check(written, key)
            assert directory.report.count, (seed, name, offset, key)
            assert any(finding.file.startswith(name) or name.split("/")[0] in ("vault", "wal", "manifest")
                       for finding in directory.report.kept), (seed, name, offset, describe(directory))
            path.write_bytes(content)


def test_every_file_counts(context):
    written = writer.Writer(context.folder / "data").write()
    for name, content in written.files.items():
        if name in ("vault/root.key", "api-keys"):
            continue
        (written.folder / name).unlink()
        assert check(written).report.count, name
        for size in (0, 1, len(content) // 2, len(content) - 1, len(content) + 1):
            if (name, size) == ("vault/erased", len(content) + 1) or name.endswith("7.wal") and size >= len(content) // 2:
                continue  # lawful: an interrupted append; and whatever stands behind the last frame of a log file
            (written.folder / name).write_bytes((content + b"x")[:size])
            assert check(written).report.count, (name, size)
        (written.folder / name).write_bytes(content)
    assert result(check(written))["ok"]


class Changed(writer.Writer):
    """Changes the record `index` of the audit stream before anything is written from it. `change` changes members, or
    gives other bytes than those of the members."""

    def __init__(self, folder, index, change, **options):
        super().__init__(folder, **options)
        self.index, self.change = index, change

    def records(self, stream, count):
        found = super().records(stream, count)
        if stream == "audit":
            record = found[self.index]
            record.data = self.change(record, found) or writer.spell(record.members)
            record.leaf = writer.sha(b"\0", record.data)
        return found


def member(name, value):
    def change(record, _):
        record.members[name] = value
    return change


def without(name):
    def change(record, _):
        del record.members[name]
    return change


def earlier(record, _):
    record.received -= 50
    record.members["receivedAt"] = writer.time_text(record.received)


def other_fingerprint(record, _):
    record.fingerprint ^= 1


def blobs_of_another(record, found):
    other = next(one for one in found if one is not record and len(one.blobs) == len(record.blobs))
    record.blobs = other.blobs


def no_blobs(record, _):
    record.blobs = []


def spaced(record, _):
    return record.data.replace(b'":', b'": ', 1)


SEGMENT_0, SEGMENT_1, LOG = "000000000000-000000000300.", "000000000300-000000000345.", ".wal"
BROKEN_RULES = [  # (entry that is changed, how, first bad index, file, words)
    (20, member("salt", writer.text64(bytes(16))), 20, SEGMENT_0 + "seg", "leaf hash"),
    (360, member("salt", writer.text64(bytes(16))), 360, LOG, "salt"),
    (50, earlier, 50, SEGMENT_0 + "seg", "never decreases"),
    (345, earlier, 345, LOG, "never decreases"),
    (365, earlier, 365, LOG, "never decreases"),
    (60, other_fingerprint, 60, SEGMENT_0 + "ids", "id run"),
    (366, other_fingerprint, 366, LOG, "fingerprint"),
    (70, member("tenant", "other"), 70, SEGMENT_0 + "seg", "tenant"),
    (71, member("v", 2), 71, SEGMENT_0 + "seg", "v 2"),
    (72, without("time"), 72, SEGMENT_0 + "seg", "time"),
    (74, without("mac"), 74, SEGMENT_0 + "seg", "neither"),
    (75, member("extra", 1), 75, SEGMENT_0 + "seg", "extra"),
    (13, blobs_of_another, 13, SEGMENT_0 + "seg", "tag does not verify"),
    (57, blobs_of_another, 57, SEGMENT_0 + "seg", "tag does not verify"),
    (353, blobs_of_another, 353, LOG, "tag does not verify"),
    (313, no_blobs, 313, SEGMENT_1 + "seg", "0 are stored"),
    (352, spaced, 352, LOG, "RFC 8785"),
]


def test_broken_rules_are_named(context):
    for number, (index, change, expected, file, words) in enumerate(BROKEN_RULES):
        written = Changed(context.folder / str(number), index, change).write()
        expect_first(check(written), expected, file, words)
        assert check(written, None).report.count == 0  # all digests are right, so only the keys tell


class OtherLog(writer.Writer):
    """The log repeats an entry of the segments with other bytes, or leaves entries out."""

    def __init__(self, folder, altered=None, left_out=None, **options):
        super().__init__(folder, **options)
        self.altered, self.left_out = altered, left_out

    def group(self, parts):
        for _, records in parts:
            for record in records:
                if record.index == self.altered and len(records) == 10:
                    record.data = record.data.replace(b'"n":', b'"n":1')
            if self.left_out in [record.index for record in records] and len(records) == 10:
                del records[[record.index for record in records].index(self.left_out):]
        return super().group(parts)


def test_the_log_continues_the_segments(context):
    expect_first(check(OtherLog(context.folder / "a", altered=335).write()), 335, LOG, "different bytes")
    expect_first(check(OtherLog(context.folder / "b", left_out=355).write()), 355, LOG, "expected 355")
    expect_first(check(writer.Writer(context.folder / "c", log_from=350).write()), 345, LOG, "begins with entry 350")


def test_a_key_that_nothing_destroyed_is_missing(context):
    written = writer.Writer(context.folder / "a")
    written.erasure_on_record = False
    directory = check(written.write())
    expect_first(directory, 100, SEGMENT_0 + "seg", "missing without authority")
    assert result(directory)["sections"]["missing"] == 2
    written = writer.Writer(context.folder / "b")
    written.owners = dict(list(written.owners.items())[:2])
    kept, vault = dict(written.owners), written.vault
    written.vault = lambda: (written.owners.pop(max(kept)), vault())
    directory = check(written.write())
    expect_first(directory, 7, SEGMENT_0 + "seg", "missing without authority")
    found = result(directory)
    assert found["sections"]["erased"] == 2 and found["erasedBy"] == [{"entry": written.erased_by + 1, "sections": 2}], found


class SignsMore(writer.Writer):
    def sign(self, records, size):
        super().sign(records + records[-20:], self.size + 20)


class SignsOther(writer.Writer):
    def sign(self, records, size):
        super().sign(records[1:], size)


def test_what_was_signed_is_there(context):
    expect_first(check(SignsMore(context.folder / "a").write()), 380, LOG, "400 entries of default/audit were signed")
    expect_first(check(SignsOther(context.folder / "b").write()), None, "signer/default/audit/state", "the entries give")
    written, other = writer.Writer(context.folder / "c").write(), writer.Writer(context.folder / "d", seed=2)
    other.write()
    name = "streams/default/audit/checkpoint"
    (written.folder / name).write_bytes(other.files[name])
    assert check(written).report.count
    torn = writer.Writer(context.folder / "e").write()
    (torn.folder / "wal" / f"{8:016x}.wal").unlink()
    expect_first(check(torn), None, LOG, "clean end mark")
    left = torn.folder / "wal" / f"{7:016x}.wal"
    left.write_bytes(left.read_bytes().ljust(writer.PREALLOCATED, b"\0"))
    directory = check(torn)  # the chain ends lawfully, but entries that were signed are gone
    expect_first(directory, 350, LOG, "were signed")


def test_a_torn_tail_and_left_overs_are_no_damage(context):
    written = writer.Writer(context.folder / "data").write()
    name = f"wal/{8:016x}.wal"
    last = written.files[name].rfind(b"VWF1")
    torn = bytearray(written.files[name][:last + 200].ljust(writer.PREALLOCATED, b"\0"))
    (written.folder / name).write_bytes(torn)
    for left_over in ("LOCK", "admin.key", "manifest.tmp", "wal/spare-3.wal", "streams/default/audit/000000000345.open",
                      "streams/default/audit/000000000345-000000000350.seg", "wal/0000000000000002.wal", "vault/top.tmp",
                      "server.log", "state.db", "signer/default/audit/log.key"):
        (written.folder / left_over).write_bytes(b"left over")
    found = result(check(written))
    assert found["ok"] and found["size"] == 380, found
    assert len(found["notes"]) == 3, found["notes"]


def test_a_log_that_moves_on_is_no_damage(context):
    """A running server names another root in the manifest and removes the files that are being read."""
    written = writer.Writer(context.folder / "data").write()
    (written.folder / "wal" / f"{8:016x}.wal").unlink()
    folder = str(written.folder)
    for root, count in ((9, 0), (7, 1), (0, 1)):
        directory = Directory(folder, folder + "/vault", folder + "/signer", written.root_key, [], Progress())
        directory.root_now = lambda root=root: root
        directory.check()
        assert bool(directory.report.count) == bool(count), (root, describe(directory))
        assert any("moved on" in note for note in directory.report.notes) != bool(count)
    directory.root_now = Directory.root_now.__get__(directory)
    assert directory.root_now() == 0  # the manifest is the one that was read
    directory.manifest.sequence -= 1
    assert directory.root_now() == 7


def test_files_of_nobody_are_named(context):
    for number, name in enumerate(("x", "streams/default/audit/000000000000-000000000007.seg", "streams/other/audit/checkpoint",
                                   "streams/default/log/checkpoint", "wal/x", "vault/x", "vault/pages/x", "signer/x", "a/b/c")):
        written = writer.Writer(context.folder / str(number)).write()
        (written.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (written.folder / name).write_bytes(b"")
        shown = {"streams/other/audit/checkpoint": "streams/other", "a/b/c": "a"}.get(name, name)
        expect_first(check(written), None, shown, "unknown name")


def test_keys_that_do_not_fit(context):
    written = writer.Writer(context.folder / "data").write()
    expect_first(check(written, bytes(32)), None, "vault/top", "another root key")
    other = writer.Writer(context.folder / "other", seed=9).write()
    shutil.rmtree(written.folder / "vault")
    shutil.copytree(other.folder / "vault", written.folder / "vault")
    assert "does not open" in check(written, other.root_key).report.first.reason
    page = other.folder / "vault/pages/00000000-0000000000000003.page"
    page.write_bytes(page.read_bytes()[:-1] + b"x")
    directory = check(other)
    expect_first(directory, None, page.name, "digest")
    assert result(directory)["sections"]["missing"] == 0 and result(directory)["sections"]["present"] > 2


def test_a_broken_frame_is_told_from_a_torn_one(context):
    written = writer.Writer(context.folder / "data").write()
    name = f"wal/{8:016x}.wal"
    content = written.files[name]
    frames = [at for at in range(512, len(content), 512) if content[at:at + 4] == b"VWF1"]
    for at in frames:
        changed = bytearray(content.ljust(writer.PREALLOCATED, b"\0"))
        changed[at + 100] ^= 1
        (written.folder / name).write_bytes(changed)
        directory = check(written)
        if at == frames[-1]:  # the end mark: after it nothing was promised
            assert not directory.report.count, describe(directory)
        else:
            assert any(finding.offset == at and finding.file == name for finding in directory.report.kept), describe(directory)
    assert len(frames) == 4, frames


def test_a_disk_that_cannot_be_read_is_a_finding(context):
    """A folder in place of a file gives an error that is none of ours."""
    for name in ("streams/default/audit/000000000000-000000000300.seg", "streams/default/audit/000000000000-000000000300.ids",
                 f"wal/{7:016x}.wal"):
        written = writer.Writer(context.folder / name.replace("/", "-")).write()
        (written.folder / name).unlink()
        (written.folder / name).mkdir()
        directory = check(written)
        assert any(finding.file == name and "cannot be read" in finding.reason for finding in directory.report.kept), \
            describe(directory)
