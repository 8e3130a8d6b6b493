"""A person planted in every kind of field, and a search for her in everything that a server keeps or answers.

What is searched: every file as it lies on disk, and everything that the Python verifier decrypts or decompresses of it
with all the keys that the vault still has, in every spelling that a planted text may take. What nobody has a key for is
tried with every key that is there. Log files that wait to be used again are read as well: their old frames are in
them until they are written over. Of personal sidecars it is asked whether they know her words.
"""
import base64
import contextlib
import json
import sys

import harness
import verifiers

sys.path.insert(0, str(harness.ROOT / "tools"))
from vestige_verify import cipher, entry, segment, sidecar, vault, wal  # noqa: E402
from vestige_verify.note import from_base64  # noqa: E402
from vestige_verify.reader import Damage  # noqa: E402
from vestige_verify.tokens import value_tokens  # noqa: E402

OPENING = ("open_sealed", "unpack_zstd")
MODULES = (cipher, entry, segment, vault, wal)


class Person:
    """`name` makes all her values her own. Which of them stand in an event, and where, is the test's business: events()."""

    def __init__(self, name):
        self.id = f"canary:{name}-Ünïcødé-客户-7f3a91"
        self.number = 4_000_000_000_000 + sum(map(ord, name)) * 1_000_003
        self.words = {part: f"{part}of{name}xq9" for part in (
            "old", "new", "detail", "nested", "deep", "key", "agent", "session", "place", "sourcemeta", "targetmeta")}
        self.text = f"Frau {name} Őszinteségi, wohnhaft Straße 17 «Пётр», rief an:\n\"{name}xq9\" \U0001f600"
        self.address = f"2001:db8::{sum(map(ord, name)):x}:beef:77"

    def searched(self):
        """Words that stand in values; one is a name."""
        return [word for part, word in self.words.items() if part != "key"]

    def values(self):
        return [self.id, str(self.number), *self.words.values(), self.text, self.address]

    def event(self, number, **more):
        words = self.words
        return {
            "id": f"{sum(map(ord, self.id)) % 10**8:08d}-0000-4000-8000-{number:012d}", "kind": "data.change",
            "action": "UPDATED", "subject": self.id, "sourceType": "CUSTOMER", "sourceId": self.id,
            "targetType": "CUSTOMER", "targetId": self.id,
            "sourceEntityMeta": {"name": words["sourcemeta"], "ids": [self.id]},
            "targetEntityMeta": {"about": [[words["targetmeta"]]]},
            "detail": {"note": words["detail"], "free": self.text, "phone": self.number, words["key"]: 1,
                       "list": [[words["nested"]], {"a": {"b": [None, words["deep"]]}}]},
            "changes": [{"field": "phone", "old": words["old"], "new": {"value": words["new"]}}],
            "context": {"ip": self.address, "userAgent": words["agent"], "sessionId": words["session"],
                        "location": {"city": words["place"]}, "requestId": f"r-{number}"}, **more}


def spellings(text):
    """Bytes that are this text in some form."""
    raw = text.encode()
    found = {raw, json.dumps(text)[1:-1].encode(), json.dumps(text, ensure_ascii=False)[1:-1].encode(),
             text.encode("utf-16-le"), text.encode("utf-16-be"), raw.hex().encode()}
    for shift in range(3):
        # What stands in base64 wherever it begins: without the letters that its neighbours have a part in.
        coded = base64.b64encode(b"\0" * shift + raw).rstrip(b"=")
        found.add(coded[(0, 2, 3)[shift]:len(coded) - 1])
    return found


class Needles:
    def __init__(self, values):
        self.spelled = [(value, form) for value in values for form in spellings(value)]

    def found_in(self, data):
        return {value for value, form in self.spelled if form in data}


@contextlib.contextmanager
def watched(plain, unopened, sidecars):
    """Everything that the verifier opens goes to `plain`; sections that it has no key for to `unopened`; personal sidecars
    that it can read to `sidecars`."""
    kept = [(module, name, getattr(module, name)) for module in MODULES for name in OPENING if hasattr(module, name)]
    check_one, read_buckets = entry.Sections.check_one, sidecar.Sidecar.read_buckets

    def seeing(function):
        def seen(*arguments):
            opened = function(*arguments)
            if opened is not None:
                plain.append(opened)
            return opened
        return seen

    def checked(self, found, reference, data, stream, place):
        matches = check_one(self, found, reference, data, stream, place)
        if not matches:
            unopened.append((self.keys, found, reference, data, stream, place))
        return matches

    def read(self, *arguments):
        read_buckets(self, *arguments)
        if self.kind == "per":
            sidecars.append(self)

    for module, name, function in kept:
        setattr(module, name, seeing(function))
    entry.Sections.check_one, sidecar.Sidecar.read_buckets = checked, read
    try:
        yield
    finally:
        for module, name, function in kept:
            setattr(module, name, function)
        entry.Sections.check_one, sidecar.Sidecar.read_buckets = check_one, read_buckets


def tried_with_every_key(unopened):
    """How many of these sections opened after all, with any of the vault's keys."""
    count = 0
    for keys, found, reference, data, stream, place in unopened:
        top = keys.top
        for key in [*set(keys.refs.values()), top.wrap_key, top.purpose_secret, top.hash_secret, keys.root_key, b"\0" * 32]:
            sections = entry.Sections(AnyRef(keys, key))
            try:
                count += bool(sections.check_one(found, reference, data, stream, place))
            except Damage:
                pass
    return count


class AnyRef:
    """The vault, as if this key belonged to every ref."""

    def __init__(self, keys, key):
        self.keys, self.key = keys, key

    def key_of(self, _):
        return self.key

    def retention_key(self, *place):
        return self.keys.retention_key(*place)


def read_spares(data, keys):
    """Opens every frame of the log files that wait to be used again, and what sections it holds; gives their number."""
    sections, count = entry.Sections(keys), 0
    for path in sorted((data / "wal").glob("spare-*.wal")):
        content = path.read_bytes()
        generation = int.from_bytes(content[16:24], "little")
        try:
            header = wal.Header(content, generation, content[40:56])
        except Damage:
            continue  # made and never used
        key = keys.unwrap(header.wrapped_key, b"wal " + content[40:56] + generation.to_bytes(8, "little"))
        with open(path, "rb") as file:
            offset = 0
            while (offset := content.find(b"VWF1", offset + 1)) >= 0:
                frame = wal.frame_at(file, offset, len(content), generation)
                if offset % wal.SECTOR or isinstance(frame, str) or frame.kind != wal.GROUP:
                    continue
                count += 1
                plain = wal.open_sealed(key, cipher.nonce(1, frame.sequence), frame.head, frame.payload)
                for append in wal.read_group(plain)[0]:
                    for _, stored, blobs in append.records:
                        if blobs:
                            sections.check(entry.read_canonical(stored, "the entry"), blobs, "default/audit", 0, path.name)
    return count


class Search:
    """What a data directory gives to somebody with all keys that are left."""

    def __init__(self, data, *options):
        self.plain, unopened, self.sidecars = [], [], []
        with watched(self.plain, unopened, self.sidecars):
            self.result = verifiers.python_verify(data, *options)
            keys = self.keys_of(data, options)
            self.spare_frames = read_spares(data, keys)
        self.unopened = len(unopened)
        self.opened_after_all = tried_with_every_key(unopened)
        self.raw = {path: path.read_bytes() for path in sorted(data.rglob("*")) if path.is_file()}

    @staticmethod
    def keys_of(data, options):
        folder = options[options.index("--vault") + 1] if "--vault" in options else data / "vault"
        root = from_base64(open(f"{folder}/root.key").read().strip(), "root key", 32)
        keys = vault.Keys(str(folder), root)
        keys.load(vault.Silent())
        return keys

    def known_to_sidecars(self, words):
        """The most of these words that any page of a readable personal sidecar knows. A filter errs once in some hundred
        questions, so one or two of ten say nothing."""
        tokens = [token for word in words for token in value_tokens(word)]
        return max((sum(each.may_have(page, token) for token in tokens)
                    for each in self.sidecars for page in range(len(each.pages))), default=0)

    def found(self, values):
        needles, found = Needles(values), {}
        for path, content in self.raw.items():
            for value in needles.found_in(content):
                found.setdefault(value, set()).add(path.name)
        for content in self.plain:
            for value in needles.found_in(content):
                found.setdefault(value, set()).add("decrypted")
        return found
