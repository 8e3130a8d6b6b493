"""One sealed entry: its canonical bytes, its envelope, its sealed sections."""
import struct

from .canonical import NotJson, canonical, parse
from .catalogue import TIME, UUID
from .cipher import ZERO_NONCE, BlockCipher, derived_salts, hkdf, open_sealed, unpack_zstd
from .erasure import Erasures
from .merkle import leaf_hash, root_of
from .note import from_base64, to_base64
from .reader import Damage, Reader

REF_BYTES = 16
PLAIN_BYTES_MAX = 64 * 1024 * 1024
BLOB_VERSION = 1
ONE, ANY, ALL = 0, 1, 2
FORMS = {"ref": ONE, "any": ANY, "all": ALL}
REFS_MAX = 255
TEXTS = ("action", "kind", "tenant")
MEMBERS = {"action", "changes", "context", "detail", "discarded", "id", "kind", "lossless", "mac", "receivedAt", "salt",
           "schema", "sealed", "sourceEntityMeta", "sourceId", "sourceType", "subject", "targetEntityMeta", "targetId",
           "targetType", "tenant", "time", "v"}


def read_canonical(data, what):
    """The value of bytes that are exactly RFC 8785."""
    try:
        value = parse(data)
        spelled = canonical(value)
    except NotJson as error:
        raise Damage(f"{what} is not JSON: {error}") from error
    if spelled != data:
        at = next((place for place, (mine, theirs) in enumerate(zip(spelled, data)) if mine != theirs),
                  min(len(spelled), len(data)))
        raise Damage(f"{what} is not in RFC 8785 form: it differs at byte {at}, expected {spelled[at:at + 24]!r}, "
                     f"found {data[at:at + 24]!r}")
    return value


def check_entry(data, tenant):
    """The members of an entry; raises Damage."""
    entry = read_canonical(data, "the entry")
    if not isinstance(entry, dict):
        raise Damage("the entry is no JSON object")
    if entry.get("v") != 1 or isinstance(entry["v"], bool):
        raise Damage(f"the entry has v {entry.get('v')!r}, expected 1")
    unknown = entry.keys() - MEMBERS
    if unknown:
        raise Damage(f"the entry has a member {min(unknown)!r}, which version 1 does not know")
    for name in TEXTS:
        if not isinstance(entry.get(name), str):
            raise Damage(f"the entry has no string {name!r}")
    if entry["tenant"] != tenant:
        raise Damage(f"the entry is of tenant {entry['tenant']!r}, expected {tenant!r}")
    for name, form in (("id", UUID), ("receivedAt", TIME), ("time", TIME)):
        if not isinstance(entry.get(name), str) or not form.fullmatch(entry[name]):
            raise Damage(f"the entry's {name!r} is {entry.get(name)!r}, expected the form of format entry.md")
    if not isinstance(entry.get("schema"), int) or isinstance(entry["schema"], bool):
        raise Damage(f"the entry's 'schema' is {entry.get('schema')!r}, expected an integer")
    if not isinstance(entry.get("salt"), str):
        raise Damage("the entry has no 'salt'")
    if "mac" in entry:
        from_base64(str(entry["mac"]), "the entry's 'mac'", 16)
    if bool(entry.get("sealed")) == ("mac" in entry):
        raise Damage("the entry has " + ("both a sealed section and a mac" if "mac" in entry else
                                         "neither a sealed section nor a mac") + ", expected one of them")
    return entry


def check_salt(entry, seed_cipher, index):
    expected = to_base64(derived_salts(seed_cipher, [index]))
    if entry["salt"] != expected:
        raise Damage(f"the entry's 'salt' is {entry['salt']!r}, the seed gives {expected!r}", index=index)


class Reference:
    """One element of `sealed`."""

    def __init__(self, value, place):
        what = f"section {place} of the entry"
        if not isinstance(value, dict) or len(value) != 2 or "root" not in value or not FORMS.keys() & value.keys():
            raise Damage(f"{what} is none of ref, any, all with a root")
        name = next(iter(value.keys() & FORMS.keys()))
        self.form = FORMS[name]
        texts = [value["ref"]] if self.form == ONE else value[name]
        if not isinstance(texts, list) or not 1 <= len(texts) <= REFS_MAX or not all(isinstance(text, str) for text in texts):
            raise Damage(f"{what} has no list of refs")
        self.refs = [from_base64(text, f"a ref of {what}", REF_BYTES) for text in texts]
        if self.form != ONE and (len(texts) < 2 or self.refs != sorted(set(self.refs))):
            raise Damage(f"{what} has refs that are not two or more, different and in order")
        self.root = from_base64(str(value["root"]), f"the root of {what}", 32)


class Blob:
    """A section in its stored form."""

    def __init__(self, data, what):
        reader = Reader(data, what=what)
        version = reader.u8()
        if version != BLOB_VERSION:
            raise Damage(f"{what}: version {version}, this reader knows {BLOB_VERSION}")
        self.retention = reader.u8(), reader.u16()
        self.plain_length, self.fresh = reader.u32(), reader.take(16)
        self.form, count = reader.u8(), reader.u8()
        self.head = data[:26]
        self.wrapped = [reader.take(60, "a wrapped content key") for _ in range(count)]
        self.sealed = reader.take(reader.left())


class Sections:
    """Decrypts sealed sections and counts their verdicts. Sections whose owner has no key wait until all entries were
    seen: they are erased if an entry says so of their refs."""

    def __init__(self, keys):
        self.keys = keys
        self.opened = None  # a list gets the pairs of every section that opens
        self.counts = {"matches": 0, "present": 0, "erased": 0, "missing": 0}
        self.waiting = {}  # tenant -> list of (stream, index, file, place, refs without a key)
        self.erasures, self.erased_by = Erasures(), {}  # entry -> number of sections that it took

    def check(self, entry, blobs, stream, index, file):
        self.erasures.note(entry, index)
        references = entry.get("sealed", [])
        if not isinstance(references, list):
            raise Damage("the entry's 'sealed' is no list")
        if len(blobs) != len(references):
            raise Damage(f"the entry names {len(references)} sealed sections and {len(blobs)} are stored")
        for place, (value, data) in enumerate(zip(references, blobs)):
            reference = Reference(value, place)
            if not self.check_one(entry, reference, data, stream, place):
                gone = [ref for ref in reference.refs if self.keys.key_of(ref) is None]
                self.waiting.setdefault(entry["tenant"], []).append((stream, index, file, place, gone))

    def check_one(self, entry, reference, data, stream, place):
        """Whether the section matches; False if no key of its owners is there."""
        what = f"section {place} of the entry"
        blob = Blob(data, what)
        if blob.form != reference.form or len(blob.wrapped) != (len(reference.refs) if blob.form == ALL else 0):
            raise Damage(f"{what}: the stored form {blob.form} with {len(blob.wrapped)} content keys is not that of the "
                         f"entry, {reference.form} with {len(reference.refs)} refs")
        material = self.owner_material(reference, blob, what)
        if material is None:
            return False
        retention = self.keys.retention_key(*blob.retention)
        if retention is None:
            self.counts["missing"] += 1
            raise Damage(f"{what} is missing without authority: the key of class {blob.retention[0]} and month "
                         f"{blob.retention[1]} is not in the vault")
        derived = hkdf(material + retention, blob.fresh, b"vestige section v1", 48)
        name = stream.encode()
        associated = (b"vestige section v1" + bytes_of_varint(len(name)) + name + bytes.fromhex(entry["id"].replace("-", ""))
                      + blob.head + b"".join(reference.refs) + reference.root)
        plain = open_sealed(derived[:32], ZERO_NONCE, associated, blob.sealed)
        if plain is None:
            raise Damage(f"{what}: its tag does not verify under the key of its owner")
        if blob.plain_length > PLAIN_BYTES_MAX:
            raise Damage(f"{what}: a plain length of {blob.plain_length} bytes")
        pairs = read_canonical(unpack_zstd(plain, blob.plain_length, what), what)
        root = section_root(pairs, derived[32:], what)
        if root != reference.root:
            raise Damage(f"{what}: its content gives the root {to_base64(root)}, the entry has "
                         f"{to_base64(reference.root)}")
        if place == 0 and pairs[-1][0] != "mac":
            raise Damage(f"{what}: its last pair is {pairs[-1][0]!r}, expected the content MAC 'mac'")
        self.counts["matches"] += 1
        if self.opened is not None:
            self.opened.append(pairs)
        return True

    def owner_material(self, reference, blob, what):
        keys = [self.keys.key_of(ref) for ref in reference.refs]
        if reference.form in (ONE, ANY):
            return None if None in keys else b"".join(keys)
        for ref, key, wrapped in zip(reference.refs, keys, blob.wrapped):
            if key is not None:
                content = open_sealed(key, wrapped[:12], b"vestige content key v1" + ref, wrapped[12:])
                if content is None or len(content) != 32:
                    raise Damage(f"{what}: the content key for {to_base64(ref)} does not open under the owner's key")
                return content
        return None

    def decide(self, report, report_vault, note):
        """The verdict of every section that waits. report(stream, index, file, reason) takes the first of each tenant that is
        wrong, report_vault(file, reason) what the vault has not done."""
        for tenant, waiting in self.waiting.items():
            authorities, missing = self.erasures.authorities(tenant, self.keys), []
            for section in waiting:
                entries = [authorities.get(ref) for ref in section[4]]
                if not self.keys.complete:
                    self.counts["present"] += 1
                elif None in entries:
                    missing.append(section)
                else:
                    self.counts["erased"] += 1
                    self.erased_by[min(entries)] = self.erased_by.get(min(entries), 0) + 1
            self.counts["missing"] += len(missing)
            if missing:
                stream, index, file, place, _ = min(missing)
                report(stream, index, file, f"section {place} of the entry is missing without authority: its key is not in the "
                                            "vault, and no entry says that it was destroyed")
        self.waiting = {}
        if self.keys.complete:
            self.keys.read_again_if_changed()
            self.erasures.check_vault(self.keys, report_vault, note)


def bytes_of_varint(value):
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(encoded + bytes([value]))


def section_root(pairs, seed, what):
    if not isinstance(pairs, list) or not pairs:
        raise Damage(f"{what}: its content is no list of pairs")
    salts, leaves = derived_salts(BlockCipher(seed), range(len(pairs))), []
    for number, pair in enumerate(pairs):
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
            raise Damage(f"{what}: its element {number} is no pair of path and value")
        if isinstance(pair[1], (dict, list)) and pair[1]:
            raise Damage(f"{what}: the value at {pair[0]!r} is neither a scalar nor empty")
        path, salt = pair[0].encode(), salts[16 * number:16 * number + 16]
        leaves.append(leaf_hash(salt + struct.pack("<I", len(path)) + path + canonical(pair[1])))
    return root_of(leaves)
