"""Writes a small data directory from docs/formats, for the tests of the Python verifier: every structure, with a
log that overlaps the segments, two log files, all three forms of sections, an erased owner and a second stream
without proofs. Bytes are a function of the seed."""
import base64
import datetime
import hashlib
import hmac
import json
import pathlib
import random
import struct

import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TENANT = "default"
COLUMNS = [("action", 3, 0), ("id", 1, 0), ("kind", 3, 0), ("mac", 5, 16), ("receivedAt", 2, 0), ("salt", 4, 0),
           ("tenant", 3, 0), ("time", 2, 0)]
PREALLOCATED = 64 * 1024
EPOCH_MS = 1_700_000_000_000
CLASS, MONTH = 1, 646


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def text64(data):
    return base64.b64encode(data).decode()


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def sized(data):
    data = data.encode() if isinstance(data, str) else data
    return varint(len(data)) + data


def sized32(data):
    return struct.pack("<I", len(data)) + data


def gcm(key, nonce, aad, plain):
    return AESGCM(key).encrypt(nonce, plain, aad)


def hkdf(key, salt, info, size=32):
    return HKDF(SHA256(), size, salt, info).derive(key)


def aes(key, block):
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)


def salt_of(seed, index):
    return aes(seed, struct.pack("<QQ", index, 0))


def tree_root(leaves):
    if len(leaves) < 2:
        return leaves[0] if leaves else sha(b"")
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha(b"\1", tree_root(leaves[:split]), tree_root(leaves[split:]))


def frontier(leaves):
    found, at = [], 0
    for bit in reversed(range(len(leaves).bit_length())):
        if len(leaves) >> bit & 1:
            found.append(tree_root(leaves[at:at + (1 << bit)]))
            at += 1 << bit
    return found


def spell(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def time_text(ms):
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds") + "Z"


class Record:
    def __init__(self, index, seed, members, received, fingerprint, blobs):
        self.index, self.seed, self.members, self.received = index, seed, members, received
        self.fingerprint, self.blobs = fingerprint, blobs
        self.data = spell(members)
        self.leaf = sha(b"\0", self.data)


class Writer:
    """`folder` becomes a data directory. Sizes are numbers of entries of the audit stream; `late` of them stand in a stream
    that was added when the log had begun."""

    def __init__(self, folder, seed=1, segments=(300, 345), log_from=330, size=380, late=0):
        self.folder, self.random = pathlib.Path(folder), random.Random(seed)
        self.segments, self.log_from, self.size, self.late = segments, log_from, size, late
        self.root_key, self.wrap, self.purpose, self.hash_secret = (self.random.randbytes(32) for _ in range(4))
        self.data_id, self.retention = self.random.randbytes(16), self.random.randbytes(32)
        self.owners = {self.random.randbytes(16): self.random.randbytes(32) for _ in range(3)}
        self.lost = self.random.randbytes(16), self.random.randbytes(32)
        self.erased_by, self.erasure_on_record = 200, True
        self.files = {}

    def wrapped(self, key, context):
        nonce = self.random.randbytes(12)
        return nonce + gcm(self.wrap, nonce, b"vestige wrapped key v1" + context, key)

    def purpose_key(self, purpose):
        return hkdf(self.purpose, b"", b"vestige purpose v1" + struct.pack("<I", len(purpose)) + purpose + TENANT.encode())

    def section(self, form, refs, keys, entry_id, pairs):
        fresh, content = self.random.randbytes(16), self.random.randbytes(32)
        material = content if form == 2 else b"".join(keys)
        derived = hkdf(material + self.retention, fresh, b"vestige section v1", 48)
        leaves = [sha(b"\0", salt_of(derived[32:], number), struct.pack("<I", len(path.encode())), path.encode(), spell(value))
                  for number, (path, value) in enumerate(pairs)]
        root, plain = tree_root(leaves), spell([list(pair) for pair in pairs])
        head = struct.pack("<BBHI", 1, CLASS, MONTH, len(plain)) + fresh + bytes([form, len(refs) if form == 2 else 0])
        wrapped = b""
        for ref, key in zip(refs, keys) if form == 2 else ():
            nonce = self.random.randbytes(12)
            wrapped += nonce + gcm(key, nonce, b"vestige content key v1" + ref, content)
        aad = b"vestige section v1" + sized(f"{TENANT}/audit") + entry_id + head + b"".join(refs) + root
        name = {0: "ref", 1: "any", 2: "all"}[form]
        texts = [text64(ref) for ref in refs]
        blob = head + wrapped + gcm(derived[:32], bytes(12), aad, zstandard.ZstdCompressor().compress(plain))
        return {name: texts[0] if form == 0 else texts, "root": text64(root)}, blob

    def sections(self, index, entry_id, mac):
        """References and blobs of some entries; none for most."""
        owned = sorted(self.owners.items())
        pairs = [("/detail/name", f"Zoë {index}"), ("/changes", []), ("/changes/0", {}), ("mac", text64(mac))]
        if index % 10 == 3:
            return [self.section(0, [owned[0][0]], [owned[0][1]], entry_id, pairs)]
        if index % 50 == 7:
            both = [ref for ref, _ in owned[:2]], [key for _, key in owned[:2]]
            return [self.section(1, *both, entry_id, pairs), self.section(2, *both, entry_id, pairs[:2])]
        if index in (100, 350):  # one in a segment, one in the log
            return [self.section(0, [self.lost[0]], [self.lost[1]], entry_id, pairs)]
        return []

    def erasure(self, index):
        """Members of the order to erase the lost owner, and of its outcome."""
        ref = text64(self.lost[0])
        if index == self.erased_by:
            return {"kind": "system.erasure", "action": "INTENDED",
                    "detail": {"epoch": 0, "ref": ref, "subjectHash": text64(bytes(32))}}
        if index == self.erased_by + 1:
            return {"kind": "system.erasure", "action": "ERASED",
                    "detail": {"epoch": 0, "erasedAt": time_text(EPOCH_MS), "erasure": 1, "intent": self.erased_by,
                               "refs": [ref]}}
        return {}

    def records(self, stream, count):
        found, key = [], self.purpose_key(b"id-fingerprint")[:16]
        for index in range(count):
            if index % 256 == 0 or index == self.log_from:
                seed = self.random.randbytes(16)
            entry_id, mac = self.random.randbytes(16), self.random.randbytes(16)
            received = EPOCH_MS + index * 7
            digits = entry_id.hex()
            members = {"v": 1, "id": f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}",
                       "action": self.random.choice(["CREATED", 'ODD "ONE"\n']), "kind": "data.change", "schema": 1,
                       "tenant": TENANT, "time": time_text(received - 5), "receivedAt": time_text(received),
                       "salt": text64(salt_of(seed, index)), "context": {"n": index}}
            if index % 3 == 0:
                members["sourceId"] = f"user-{index}"
            sealed = self.sections(index, entry_id, mac) if stream == "audit" else []
            if stream == "audit" and self.erasure_on_record:
                members.update(self.erasure(index))
            if sealed:
                members["sealed"] = [reference for reference, _ in sealed]
            else:
                members["mac"] = text64(mac)
            fingerprint = struct.unpack("<Q", aes(key, entry_id)[:8])[0]
            found.append(Record(index, seed, members, received, fingerprint, [blob for _, blob in sealed]))
        return found

    def page(self, records):
        names = [name for name, _, _ in COLUMNS]
        shapes, numbers, lengths, rest = [], [], b"", b""
        for record in records:
            shape, run = b"", []
            for name in [*sorted(record.members), None]:
                if name is not None and name not in names:
                    run.append(spell(name) + b":" + spell(record.members[name]))
                    continue
                if run:
                    shape += b"\xff"
                    rest += b",".join(run)
                    lengths += varint(len(b",".join(run)))
                    run = []
                if name is not None:
                    shape += bytes([names.index(name)])
            if shape not in shapes:
                shapes.append(shape)
            numbers.append(shapes.index(shape))
        out = varint(len(records)) + varint(len(shapes)) + b"".join(map(sized, shapes))
        if len(shapes) > 1:
            out += b"".join(map(varint, numbers))
        out += lengths
        for name, kind, _ in COLUMNS:
            out += self.column(name, kind, [record for record in records if name in record.members])
        return out, rest

    def column(self, name, kind, rows):
        values = [record.members[name] for record in rows]
        if kind == 1:
            raw = [bytes.fromhex(value.replace("-", "")) for value in values]
            return b"".join(bytes(value[plane] for value in raw) for plane in range(16))
        if kind == 2:
            out, before = b"", 0
            for record in rows:
                ms = record.received - (5 if name == "time" else 0)
                out += varint((ms - before) << 1 ^ (ms - before) >> 63)
                before = ms
            return out
        if kind == 3:
            quoted = [spell(value)[1:-1] for value in values]
            different = sorted(set(quoted))
            out = varint(len(different)) + b"".join(map(sized, different))
            return out + (b"".join(varint(different.index(value)) for value in quoted) if len(different) > 1 else b"")
        if kind == 4:
            return seed_runs(rows)
        return b"".join(base64.b64decode(value) for value in values)

    def segment(self, stream, records):
        file_id, key, first = self.random.randbytes(16), self.random.randbytes(32), records[0].index
        schema = sized(f"{TENANT}/{stream}") + varint(len(COLUMNS)) + b"".join(
            sized(name) + bytes([kind, size]) for name, kind, size in COLUMNS)
        header = (b"VSTGSEG1" + struct.pack("<H6x", 1) + file_id + self.data_id + struct.pack("<Q", first)
                  + self.wrapped(key, b"segment " + file_id) + struct.pack("<I", len(schema)) + schema).ljust(512, b"\0")
        body, table, number = header, b"", 0
        for row in range(0, len(records), 256):
            page = records[row:row + 256]
            columns, rest = self.page(page)
            packed = zstandard.ZstdCompressor().compress(columns)
            plains = [(1, struct.pack("<II", len(columns), len(packed)) + packed + struct.pack("<I", len(rest))
                       + sized32(zstandard.ZstdCompressor().compress(rest)))]
            if any(record.blobs for record in page):
                plains.append((2, b"".join(varint(len(r.blobs)) + b"".join(map(sized, r.blobs)) for r in page)))
            for kind, plain in plains:
                chunk = gcm(key, struct.pack("<IQ", kind, number), file_id + struct.pack("<III", kind, number, row), plain)
                table += struct.pack("<IIIIQQ", kind, row, len(page), 0, len(body), len(chunk)) + sha(chunk)
                body += chunk
                number += 1
        trailer = struct.pack("<QII", len(body), number, len(records)) + sha(header) + b"VSTGSEGE" + bytes(8)
        return body + table + trailer + sha(table, trailer)

    def stream(self, name, number, proofs, records, ends):
        """Writes the segments; gives the stream's part of the manifest."""
        listed, first, leaves = [], 0, [record.leaf for record in records]
        for end in ends:
            part, base = records[first:end], f"streams/{TENANT}/{name}/{first:012d}-{end:012d}"
            tiles = [tree_root(leaves[at - 256:at]) for at in range(256, end + 1, 256) if first < at <= end]
            hashes = (b"VSTGHSH1" + struct.pack("<H6xQQQ24x", 1, first, end, len(tiles)) + b"".join(leaves[first:end])
                      + b"".join(tiles))
            run = b"VSTGIDS1" + struct.pack("<H6xQQ32x", 1, first, end) + b"".join(
                struct.pack("<QI", *pair) for pair in sorted((record.fingerprint, record.index - first) for record in part))
            contents = {"seg": self.segment(name, part), "hashes": hashes + sha(hashes), "ids": run + sha(run)}
            entry = struct.pack("<QQ", first, end)
            for suffix, content in contents.items():
                self.files[f"{base}.{suffix}"] = content
                entry += struct.pack("<Q", len(content)) + content[-32:]
            listed.append(entry)
            first = end
        roots = frontier(leaves[:first])
        return (bytes([number]) + sized(TENANT) + sized(name) + bytes([proofs]) + struct.pack("<Q", first)
                + varint(len(roots)) + b"".join(roots) + varint(len(listed)) + b"".join(listed))

    def log_file(self, generation, kind, sequence, previous, plains, cut):
        """`plains`: (frame kind, bytes). Gives (next sequence, hash of the last frame)."""
        key = self.random.randbytes(32)
        head = (b"VSTGWAL1" + struct.pack("<HB5xQQQ", 1, kind, generation, sequence, PREALLOCATED) + self.data_id + bytes(8)
                + previous + self.wrapped(key, b"wal " + self.data_id + struct.pack("<Q", generation))).ljust(480, b"\0")
        data = head + sha(head)
        for frame_kind, plain in plains:
            front = b"VWF1" + struct.pack("<B3xQQI4x", frame_kind, generation, sequence, len(plain) + 16) + previous
            payload = gcm(key, struct.pack("<IQ", 1, sequence), front, plain)
            previous, sequence = sha(front, payload), sequence + 1
            data += front + previous + payload
            data += bytes(-len(data) % 512)
        self.files[f"wal/{generation:016x}.wal"] = data if cut else data.ljust(PREALLOCATED, b"\0")
        return sequence, previous

    def group(self, parts):
        """`parts`: (stream number, records)."""
        out = varint(len(parts))
        for number, records in parts:
            out += bytes([number]) + struct.pack("<Q", records[0].index) + varint(len(records)) + seed_runs(records)
            for record in records:
                out += struct.pack("<Q", record.fingerprint) + sized(record.data) + varint(len(record.blobs))
                out += b"".join(map(sized, record.blobs))
        return out + varint(1) + bytes([1]) + sized("offset") + struct.pack("<Q", 5)

    def vault(self):
        vault_id, salt, page_key = self.random.randbytes(16), self.random.randbytes(32), self.random.randbytes(32)
        hashes = [self.random.randbytes(32) for _ in range(len(self.owners) + 1)]
        slots = [struct.pack("<B3xI", 1, 0) + ref + digest + key + struct.pack("<qQ24x", EPOCH_MS, 2 ** 64 - 1)
                 for (ref, key), digest in zip(self.owners.items(), hashes)]
        slots.append(struct.pack("<B3xI", 2, 0) + bytes(16) + hashes[-1] + bytes(32)
                     + struct.pack("<qQ24x", EPOCH_MS, self.erased_by))
        head = b"VSTGVPAG" + struct.pack("<IIQ", 1, 0, 3) + vault_id + struct.pack("<H6x", len(slots))
        body = head + gcm(page_key, bytes(12), head, b"".join(slots))
        self.files["vault/pages/00000000-0000000000000003.page"] = body + sha(body)
        head = b"VSTGVERA" + struct.pack("<I4x", 1) + vault_id
        tenant = hmac.digest(self.hash_secret, sized32(TENANT.encode()), "sha256")
        record = struct.pack("<Q", 0) + tenant + hashes[-1] + struct.pack("<I4xQq", 0, self.erased_by, EPOCH_MS)
        mac = hmac.digest(hkdf(self.purpose, b"", b"vestige erasure journal v1"), vault_id + sha(head) + record, "sha256")
        digest = sha(sha(head), record, mac)
        self.files["vault/erased"] = head + sha(head) + record + mac + digest
        payload = (self.wrap + self.purpose + self.hash_secret + struct.pack("<Q", 1) + digest
                   + struct.pack("<IIII", 1, 1, 1, 0)
                   + struct.pack("<BH", CLASS, MONTH) + self.retention + struct.pack("<IQH", 0, 3, len(slots)) + page_key
                   + bytes(range(16)) + bytes(range(32)) + struct.pack("<Q", 1))
        self.top_payload = payload
        head = b"VSTGVTOP" + struct.pack("<I4xQ", 2, 4) + vault_id + salt + struct.pack("<I4x", len(payload) + 16)
        body = head + gcm(hkdf(self.root_key, vault_id + salt, b"vestige vault top v1"), bytes(12), head, payload)
        self.files["vault/top"] = body + sha(body)
        self.files["vault/root.key"] = text64(self.root_key).encode() + b"\n"

    def sign(self, records, size):
        key = Ed25519PrivateKey.from_private_bytes(self.random.randbytes(32))
        public, origin = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), f"example.org/{TENANT}/audit"
        root = tree_root([record.leaf for record in records[:size]])
        text = f"{origin}\n{size}\n{text64(root)}\n"
        identity = sha(origin.encode(), b"\n\1", public)[:4]
        line = f"\u2014 {origin} {text64(identity + key.sign(text.encode()))}\n"
        self.files[f"streams/{TENANT}/audit/checkpoint"] = f"{text}\n{line}".encode()
        state = (b"VSTGSIG1" + struct.pack("<H6xQQ", 1, 9, size) + root + public + struct.pack("<q", EPOCH_MS) + self.data_id
                 + struct.pack("<I", len(origin)) + origin.encode())
        self.files[f"signer/{TENANT}/audit/state"] = state + sha(state)

    def write(self):
        audit, log = self.records("audit", self.size), self.records("log", 20)
        listed = [self.stream("audit", 1, 1, audit, self.segments), self.stream("log", 2, 0, log, [])]
        groups = [[(1, audit[at:at + 10])] for at in range(self.log_from, self.size, 10)]
        groups[1].append((2, log[:5]))
        groups[-1].append((2, log[5:]))
        half = len(groups) // 2
        if self.late:
            late = self.records("late", self.late)
            listed.append(self.stream("late", 3, 1, late, []))
            groups[-1].append((3, late))
        mark = varint(2) + bytes([1]) + struct.pack("<Q", self.log_from) + bytes([2]) + struct.pack("<Q", 0) + b"\0"
        ends = [self.size, len(log)] + [self.late] * (self.late > 0)
        end = varint(len(ends)) + b"".join(bytes([number]) + struct.pack("<Q", size) for number, size in enumerate(ends, 1)) + b"\1"
        place = self.log_file(7, 1, 40, bytes(32), [(2, mark)] + [(1, self.group(g)) for g in groups[:half]], True)
        self.log_file(8, 0, *place, [(1, self.group(g)) for g in groups[half:]] + [(2, end)], True)
        payload = struct.pack("<qQ", EPOCH_MS, 7) + varint(len(listed)) + b"".join(listed) + varint(1) + bytes([1]) + sized("offset") \
            + struct.pack("<Q", 4)
        head = b"VSTGMAN1" + struct.pack("<H2xIQ", 1, len(payload), 12) + self.data_id + payload
        self.files["manifest"] = head + sha(head)
        lines = (f"vestige-api-keys 1\n01234567-89ab-7def-8123-456789abcdef ingest,admin {time_text(EPOCH_MS)} {TENANT} "
                 f"{text64(sha(b'key'))} first%20key\n").encode()
        self.files["api-keys"] = lines + b"sha256 " + sha(lines).hex().encode() + b"\n"
        self.sign(audit, self.size - 5)
        self.vault()
        self.audit = audit
        for name, content in self.files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return self


def seed_runs(records):
    runs = []
    for record in records:
        if runs and runs[-1][1] == record.seed:
            runs[-1][0] += 1
        else:
            runs.append([1, record.seed])
    return varint(len(runs)) + b"".join(varint(count) + seed for count, seed in runs)
