"""C2SP signed notes, checkpoints, cosignatures and proofs."""
import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from .merkle import leaf_hash, root_from_path
from .reader import Damage, sha256

ED25519, COSIGNATURE = 1, 4  # signature types
PROOF_MAGIC = "c2sp.org/tlog-proof@v1"
PATH_LENGTH_MAX = 63


def from_base64(text, what, size=None):
    """Strict standard base64 with padding."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Damage(f"{what} is not base64") from error
    if base64.b64encode(data).decode() != text:
        raise Damage(f"{what} is not canonical base64 with padding")
    if size is not None and len(data) != size:
        raise Damage(f"{what} is base64 of {len(data)} bytes, expected {size}")
    return data


def to_base64(data):
    return base64.b64encode(data).decode()


def key_id(name, kind, public_key):
    return sha256(name.encode(), b"\n", bytes([kind]), public_key)[:4]


class VerifierKey:
    """A key in the form `name+id+base64(type || key)`."""

    def __init__(self, name, kind, public_key):
        self.name, self.kind, self.public_key = name, kind, public_key
        self.id = key_id(name, kind, public_key)

    def __str__(self):
        return f"{self.name}+{self.id.hex()}+{to_base64(bytes([self.kind]) + self.public_key)}"


def valid_name(name):
    return bool(name) and "+" not in name and not any(letter.isspace() for letter in name)


def parse_vkey(text):
    parts = text.split("+", 2)
    if len(parts) != 3 or not valid_name(parts[0]):
        raise Damage("the verifier key is not of the form name+id+base64")
    data = from_base64(parts[2], "the third part of the verifier key")
    if len(data) != 33 or data[0] not in (ED25519, COSIGNATURE):
        raise Damage("the verifier key is none of Ed25519 (type 1 or 4, 32 bytes)")
    key = VerifierKey(parts[0], data[0], data[1:])
    if key.id.hex() != parts[1]:
        raise Damage(f"the id in the verifier key is {parts[1]}, its name and key give {key.id.hex()}")
    return key


class Note:
    """`signatures`: (name, key id, signature bytes) in the order of the lines. `text` ends in a newline."""

    def __init__(self, text, signatures):
        self.text, self.signatures = text, signatures


def parse_note(data):
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Damage("the note is not UTF-8", error.start) from error
    for at, byte in enumerate(data):
        if byte < 0x20 and byte != 0x0A:
            raise Damage("the note holds a control character", at)
    split = whole.rfind("\n\n")
    if split < 0 or not whole.endswith("\n"):
        raise Damage("the note has no blank line before its signatures, or does not end in a newline", len(data))
    text, lines = whole[:split + 1], whole[split + 2:].split("\n")[:-1]
    if not lines:
        raise Damage("the note has no signature line", len(data))
    signatures, at = [], len(whole[:split + 2].encode())
    for line in lines:
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "\u2014" or not valid_name(parts[1]):
            raise Damage('a signature line is not of the form "\u2014 name base64"', at)
        try:
            blob = from_base64(parts[2], "the signature")
        except Damage as error:
            raise Damage(error.reason, at) from error
        if len(blob) < 5:
            raise Damage("a signature is shorter than a key id and one byte", at)
        signatures.append((parts[1], blob[:4], blob[4:]))
        at += len(line.encode()) + 1
    return Note(text, signatures)


def signature_fits(key, text, signature):
    message = text.encode()
    if key.kind == COSIGNATURE:
        if len(signature) != 72:
            return False
        seconds, signature = int.from_bytes(signature[:8], "big"), signature[8:]
        if seconds >> 63:
            return False
        message = f"cosignature/v1\ntime {seconds}\n".encode() + message
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def verify_note(note, keys):
    """Every one of these keys has signed; signatures of other keys are ignored."""
    for key in keys:
        found = [signature for name, identity, signature in note.signatures if (name, identity) == (key.name, key.id)]
        if not found:
            raise Damage(f"the note carries no signature of {key.name} with key id {key.id.hex()}")
        if not all(signature_fits(key, note.text, signature) for signature in found):
            raise Damage(f"the signature of {key.name} does not verify under {key}")


class Checkpoint:
    def __init__(self, origin, size, root):
        self.origin, self.size, self.root = origin, size, root


def decimal(text, what):
    if not (text.isascii() and text.isdigit()) or (text[0] == "0" and text != "0") or int(text) >> 63:
        raise Damage(f"{what} is no decimal number without leading zeros")
    return int(text)


def parse_checkpoint(text):
    lines = text.split("\n")[:-1]
    if len(lines) < 3 or not all(lines):
        raise Damage("the checkpoint has no three non-empty lines: origin, size, root")
    size = decimal(lines[1], "the size in the checkpoint")
    return Checkpoint(lines[0], size, from_base64(lines[2], "the root in the checkpoint", 32))


class Proof:
    def __init__(self, index, path, note):
        self.index, self.path, self.note = index, path, note


def parse_proof(data):
    """A C2SP tlog-proof; `note` are the bytes of the checkpoint in it."""
    head, blank, note = data.partition(b"\n\n")
    if not blank:
        raise Damage("the proof has no blank line before its checkpoint", len(data))
    try:
        lines = head.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise Damage("the proof is not UTF-8", error.start) from error
    if lines.pop(0) != PROOF_MAGIC:
        raise Damage(f'the first line of the proof is not "{PROOF_MAGIC}"', 0)
    if lines and lines[0].startswith("extra "):
        from_base64(lines.pop(0).removeprefix("extra "), "the extra line of the proof")
    if not lines or not lines[0].startswith("index "):
        raise Damage('the proof has no line "index N"')
    index = decimal(lines.pop(0).removeprefix("index "), "the index in the proof")
    if len(lines) > PATH_LENGTH_MAX:
        raise Damage(f"the path in the proof has {len(lines)} hashes, at most {PATH_LENGTH_MAX} are possible")
    path = [from_base64(line, f"hash {number} of the path", 32) for number, line in enumerate(lines)]
    return Proof(index, path, note)


def verify_proof(proof_bytes, entry_bytes, keys):
    """An entry is in a tree that these keys signed. Gives (index, Checkpoint); raises Damage."""
    proof = parse_proof(proof_bytes)
    note = parse_note(proof.note)
    verify_note(note, keys)
    checkpoint = parse_checkpoint(note.text)
    for key in keys:
        if key.kind == ED25519 and key.name != checkpoint.origin:
            raise Damage(f"the checkpoint is of {checkpoint.origin}, the verifier key of {key.name}")
    if proof.index >= checkpoint.size:
        raise Damage(f"the index {proof.index} is not below the size {checkpoint.size} of the checkpoint")
    root = root_from_path(leaf_hash(entry_bytes), proof.index, checkpoint.size, proof.path)
    if root is None:
        raise Damage(f"a path of {len(proof.path)} hashes does not belong to index {proof.index} of {checkpoint.size}",
                     index=proof.index)
    if root != checkpoint.root:
        raise Damage(f"the entry and the path lead to the root {to_base64(root)}, the checkpoint has "
                     f"{to_base64(checkpoint.root)}: another entry, or another place", index=proof.index)
    return proof.index, checkpoint
