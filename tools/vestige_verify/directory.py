"""A whole data directory. The first bad thing is one that names an entry: of the first stream of the manifest, the
lowest index. Where none names an entry, the order is that of PARTS, then of paths and offsets."""
import os
import re
import sys
import time

from . import vault
from .catalogue import Manifest, check_api_keys
from .entry import Sections
from .reader import Damage
from .stream import Stream
from .wal import NAME as WAL_NAME
from .wal import Log, file_name

ATTEMPTS_MAX = 5
FINDINGS_KEPT_MAX = 1000
OUTSIDE = re.compile(r"LOCK|api-keys\.imported|.*\.(tmp|open|key|log|db|db-wal|db-shm|db-journal)")
SPARE = re.compile(r"spare-\d+\.wal")
SEGMENT_FILE = re.compile(r"(\d{12})-(\d{12})\.(seg|hashes|ids|pub|per)")
PROGRESS_SECONDS = 0.5
WITHOUT_KEYS = ("without keys: entries, id fingerprints and sealed sections were not checked, nor the entries that only "
                "the WAL holds")
PARTS = [re.compile(form) for form in (
    r"manifest$", r"signer/.*/state$", r"streams/.*/checkpoint$", r"streams/.*\.seg$", r"streams/.*\.hashes$",
    r"streams/.*\.ids$", r"streams/.*\.(pub|per)$", r"wal\b", r"vault\b", r"api-keys$", r"")]


class Finding:
    def __init__(self, file, damage, stream):
        self.file, self.stream = file, stream
        self.reason, self.offset, self.index = damage.reason, damage.offset, damage.index

    def as_json(self):
        found = {"index": self.index, "file": self.file, "offset": self.offset, "reason": self.reason}
        return {**found, "stream": self.stream} if self.stream else found


class Findings:
    """Keeps the first bad thing for certain and the others up to a bound. `streams`: names in the manifest's order."""

    def __init__(self):
        self.kept, self.count, self.first, self.notes, self.streams = [], 0, None, [], []

    def __call__(self, file, damage, stream=None):
        finding = Finding(file, damage, stream)
        self.count += 1
        if len(self.kept) < FINDINGS_KEPT_MAX:
            self.kept.append(finding)
        if self.first is None or self.rank(finding) < self.rank(self.first):
            self.first = finding

    def rank(self, finding):
        stream = self.streams.index(finding.stream) if finding.index is not None and finding.stream in self.streams else 0
        part = next(number for number, form in enumerate(PARTS) if form.match(finding.file))
        return finding.index is None, stream, finding.index or 0, part, finding.file, finding.offset or 0

    def note(self, text):
        if text not in self.notes and len(self.notes) < FINDINGS_KEPT_MAX:
            self.notes.append(text)


class Progress:
    """One line on a terminal, rewritten now and then; nothing elsewhere."""

    def __init__(self, stream=sys.stderr):
        self.stream = stream if stream.isatty() else None
        self.what, self.unit, self.total, self.done, self.shown = "", "", None, 0, 0.0

    def phase(self, what, unit, total=None):
        self.what, self.unit, self.total, self.done = what, unit, total, 0

    def step(self, amount):
        self.done += amount
        if self.stream and time.monotonic() - self.shown > PROGRESS_SECONDS:
            self.shown = time.monotonic()
            of = f" of {self.total:,}" if self.total else ""
            self.stream.write(f"\r\x1b[K{self.what}: {self.done:,}{of} {self.unit}")
            self.stream.flush()

    def clear(self):
        if self.stream:
            self.stream.write("\r\x1b[K")
            self.stream.flush()


class VaultReport:
    """Findings of the vault under the names that its files have below the data directory."""

    def __init__(self, findings):
        self.findings, self.note = findings, findings.note

    def __call__(self, name, damage):
        self.findings(f"vault/{name}", damage)


class Witness:
    """Whom a reading shows what it finds; this one looks at nothing."""

    def take(self, stream, index, entry):
        """Every entry that could be read, in no order."""

    def sizes(self, stream):
        """At which the root of the tree is to be kept."""
        return set()


class Directory:
    """One reading of a directory. `root_key`: bytes, or None to check without keys."""

    def __init__(self, folder, vault_folder, signer_folder, root_key, vkeys, progress, witness=Witness()):
        self.folder, self.vault_folder, self.signer_folder = folder, vault_folder, signer_folder
        self.signer_name = "signer"
        self.root_key, self.vkeys, self.progress, self.witness = root_key, vkeys, progress, witness
        self.report = Findings()
        self.note = self.report.note
        self.keys, self.sections, self.manifest, self.streams = None, None, None, []
        self.log_whole, self.log_generations, self.last_log_file = False, set(), "wal"
        self.stopped_in_order = False

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def check(self):
        try:
            self.manifest = Manifest(self.read("manifest"))
        except FileNotFoundError:
            self.report("manifest", Damage("the manifest is missing: is this a data directory?"))
        except Damage as damage:
            self.report("manifest", damage)
        self.check_api_keys()
        self.check_vault()
        if self.manifest:
            self.check_trail()
        self.account_for_files()

    def check_api_keys(self):
        try:
            check_api_keys(self.read("api-keys"))
        except FileNotFoundError:
            pass  # keys are in the state database, since there is one
        except Damage as damage:
            self.report("api-keys", damage)

    def check_vault(self):
        if not os.path.isdir(self.vault_folder):
            self.note("there is no vault's directory, so it was not checked (give --vault DIR)")
            self.note(WITHOUT_KEYS)
            return
        keys = vault.Keys(self.vault_folder, self.root_key)
        keys.load(VaultReport(self.report))
        if keys.available():
            self.keys, self.sections = keys, Sections(keys)
        else:
            self.note(WITHOUT_KEYS)

    def check_trail(self):
        self.report.streams = [listed.name for listed in self.manifest.streams]
        self.streams = [Stream(listed, self.manifest.data_id, self) for listed in self.manifest.streams]
        for stream in self.streams:
            stream.read_signed()
        self.by_number = {stream.listed.number: stream for stream in self.streams}
        self.progress.phase("write-ahead log", "bytes")
        log = Log(self.path("wal"), self.manifest.data_id, self.keys, self.report_wal, self, self.progress)
        self.log_whole = log.walk(self.manifest.wal_generation)
        self.log_generations, self.last_log_file = log.walked, log.last_file
        self.stopped_in_order = self.log_whole and log.ended_in_order()
        if log.moved_on:
            self.note("the write-ahead log moved on while it was read: a server is running, and its newest entries were not "
                      "checked")
        for stream in self.streams:
            self.progress.phase(stream.name, "sealed entries", stream.sealed)
            stream.walk()
        if self.sections:
            self.sections.decide(lambda stream, index, file, reason: self.report(file, Damage(reason, index=index), stream),
                                 lambda file, reason: self.report(file, Damage(reason)), self.note)

    def report_wal(self, name, damage):
        self.report(f"wal/{name}", damage)

    # What the log asks and says, in its order.

    def root_now(self):
        """A manifest that is being replaced, or is damaged by now, says nothing new."""
        try:
            now = Manifest(self.read("manifest"))
        except (OSError, Damage):
            return 0
        return now.wal_generation if now.sequence > self.manifest.sequence else 0

    def stream_numbered(self, number):
        if number not in self.by_number:
            raise Damage(f"WAL: stream number {number}, which the manifest does not list")
        return self.by_number[number]

    def group(self, content, name, offset):
        appends, marks = content
        for append in appends:
            self.stream_numbered(append.stream).take_append(append, f"wal/{name}", offset)
        for number, _, _ in marks:
            self.stream_numbered(number)

    def end(self, sizes, name, offset):
        for number, size in sizes.items():
            self.stream_numbered(number).take_end(size)

    # Files.

    def account_for_files(self):
        apart = {os.path.realpath(self.vault_folder), os.path.realpath(self.signer_folder)}
        tenants = {stream.tenant for stream in self.streams}
        names = {stream.name for stream in self.streams}
        folders = {"wal", "streams", *(f"streams/{name}" for name in tenants | names)}
        if self.manifest:
            for name in files_below(self.folder, apart, folders, self.unknown_folder):
                self.account_for(name)
        for name in files_below(self.vault_folder, set(), {"pages"}, lambda name: self.unknown(f"vault/{name}")):
            folder, _, last = name.rpartition("/")
            known = name in {"top", "erased"} | vault.LEFTOVERS or (folder == "pages" and vault.PAGE_NAME.fullmatch(last))
            if name in vault.LEFTOVERS:
                self.note(f"vault: {name} is a left-over of an interrupted write")
            elif not known and not OUTSIDE.fullmatch(last):
                self.unknown(f"vault/{name}")
        states = {f"{name}/state" for name in names}
        if self.manifest:
            for name in files_below(self.signer_folder, set(), tenants | names, lambda name: self.unknown_folder(f"signer/{name}")):
                if name not in states and not OUTSIDE.fullmatch(name.rpartition("/")[2]):
                    self.unknown(f"signer/{name}")

    def account_for(self, name):
        folder, _, last = name.rpartition("/")
        if name in ("manifest", "api-keys") or OUTSIDE.fullmatch(last):
            return
        if folder == "wal" and (SPARE.fullmatch(last) or WAL_NAME.fullmatch(last)):
            match = WAL_NAME.fullmatch(last)
            if match and int(match[1], 16) not in self.log_generations and self.log_whole:
                self.note(f"{name} belongs to no log that begins with {file_name(self.manifest.wal_generation)}: a left-over, or "
                          "newer than this reading")
            return
        stream = next((stream for stream in self.streams if stream.folder == folder), None)
        if stream and (last == "checkpoint" and stream.listed.proofs or self.is_segment_file(stream, name, last)):
            return
        self.unknown(name)

    def is_segment_file(self, stream, name, last):
        match = SEGMENT_FILE.fullmatch(last)
        if not match:
            return False
        if any(last == segment.name(match[3]) for segment in stream.listed.segments):
            return True
        beyond = self.keys is not None and self.log_whole and int(match[2]) > stream.size()
        if int(match[1]) >= stream.sealed and not beyond:
            self.note(f"{name} is of a segment that the manifest does not list: a left-over, or newer than this reading")
            return True
        return False

    def unknown_folder(self, name):
        """One of a stream that a manifest of now lists is newer than this reading. One below streams/ without any file was
        made for a stream that did not get into the manifest."""
        if name.startswith(("streams/", "signer/")) and name.partition("/")[2] in self.streams_now():
            return
        if name.startswith("streams/") and is_empty(self.path(name), 2 - name.count("/")):
            self.note(f"{name}/ is empty and of no stream that the manifest lists: a left-over, or newer than this reading")
        else:
            self.unknown(name)

    def streams_now(self):
        """"<tenant>" and "<tenant>/<stream>" of each."""
        try:
            listed = Manifest(self.read("manifest")).streams
        except (OSError, Damage):
            return set()
        return {stream.tenant for stream in listed} | {stream.name for stream in listed}

    def unknown(self, name):
        self.report(name, Damage("an unknown name: no format of Vestige puts it here"))

    # Results.

    def result(self, stream_name):
        shown = next((stream for stream in self.streams if stream_name in (stream.name, stream.listed.stream)), None)
        summary = shown.summary() if shown else {"size": 0, "root": None}
        erased_by = self.sections.erased_by if self.sections else {}
        sections = self.sections.counts if self.sections else {"matches": 0, "present": 0, "erased": 0, "missing": 0}
        return {"ok": self.report.count == 0, "size": summary["size"], "root": summary["root"],
                "firstBad": self.report.first.as_json() if self.report.first else None,
                "streams": {stream.name: stream.summary() for stream in self.streams}, "sections": sections,
                "erasedBy": [{"entry": entry, "sections": count} for entry, count in sorted(erased_by.items())],
                "entries": sum(stream.entries for stream in self.streams), "keys": self.keys is not None,
                "findings": self.report.count, "notes": self.report.notes}


def is_empty(folder, depth_max):
    """No file in it, nor in a folder below it."""
    with os.scandir(folder) as entries:
        return all(entry.is_dir(follow_symlinks=False) and depth_max > 0 and is_empty(entry.path, depth_max - 1)
                   for entry in entries)


def files_below(folder, apart, known, unknown):
    """Paths of files relative to `folder`, sorted. Folders are those in `known`; unknown(path) is told the others, but
    for those in `apart` (real paths)."""
    found = []
    for path, folders, names in os.walk(folder):
        entered = []
        for name in sorted(folders):
            relative = os.path.relpath(os.path.join(path, name), folder)
            if relative in known:
                entered.append(name)
            elif os.path.realpath(os.path.join(path, name)) not in apart:
                unknown(relative)
        folders[:] = entered
        found += [os.path.relpath(os.path.join(path, name), folder) for name in names]
    return sorted(found)


def check_directory(folder, vault_folder, signer_folder, root_key, vkeys, witness=Witness()):
    """A Directory after check(). Beside a running server files may be replaced while they are read: what looks
    bad is looked at again when the manifest is another one by then."""
    for _ in range(ATTEMPTS_MAX):
        before = manifest_bytes(folder)
        directory = Directory(folder, vault_folder, signer_folder, root_key, vkeys, Progress(), witness)
        directory.check()
        directory.progress.clear()
        if not directory.report.count or manifest_bytes(folder) == before:
            break
    return directory


def manifest_bytes(folder):
    try:
        with open(os.path.join(folder, "manifest"), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
