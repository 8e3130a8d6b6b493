"""Erasures: the entries that tell of them, which sections they account for, and the certificate."""
from .merkle import leaf_hash, root_from_path
from .note import from_base64, parse_checkpoint, parse_note, to_base64, verify_note
from .reader import Damage

KIND = "system.erasure"
TITLE = "vestige erasure certificate v1"
MEMBERS = {"backupsExpireAt", "checkpoint", "concerned", "destroyed", "erasedAt", "intent", "outcome", "pending", "stream",
           "tenant", "v"}


class Erasures:
    """What the trail says, by tenant."""

    def __init__(self):
        self.intents = {}  # tenant -> ref -> index
        self.outcomes = {}  # tenant -> list of (index, intent, refs)

    def note(self, entry, index):
        if entry["kind"] != KIND or entry["action"] not in ("INTENDED", "ERASED"):
            return
        detail = entry.get("detail")
        try:
            if entry["action"] == "INTENDED":
                ref = from_base64(detail["ref"], "its ref", 16)
                self.intents.setdefault(entry["tenant"], {})[ref] = index
                return
            refs = [from_base64(ref, "one of its refs", 16) for ref in detail["refs"]]
            intent = detail["intent"]
            if not refs or not isinstance(intent, int):
                raise TypeError
        except (TypeError, KeyError, AttributeError) as error:
            raise Damage("the entry is an erasure, and its detail is not what the format says") from error
        self.outcomes.setdefault(entry["tenant"], []).append((index, intent, refs))

    def authorities(self, tenant, keys):
        """By ref the entry that accounts for its missing key."""
        found = {}
        for index, _, refs in self.outcomes.get(tenant, []):
            for ref in refs:
                found[ref] = min(index, found.get(ref, index))
        ordered = keys.ordered_by(tenant)
        for ref, index in self.intents.get(tenant, {}).items():
            if ref not in found and index in ordered:
                found[ref] = index
        return found

    def check_vault(self, keys, report, note):
        """Whether the vault did what the trail says. report(file, reason)."""
        for tenant, outcomes in self.outcomes.items():
            ordered = keys.ordered_by(tenant)
            for index, intent, refs in outcomes:
                if intent not in ordered:
                    report("vault/erased", f"entry {index} says that what entry {intent} ordered was carried out, and the "
                                           "journal has no such erasure: an older vault was put back, or another one")
                for ref in refs:
                    if keys.key_of(ref) is not None:
                        report("vault/top", f"entry {index} says that the key of {to_base64(ref)} was destroyed, and the "
                                            "vault has it: an older vault was put back")
        for tenant, intents in self.intents.items():
            finished = {intent for _, intent, _ in self.outcomes.get(tenant, [])}
            for index in sorted(set(intents.values()) - finished):
                note(f"the erasure that entry {index} ordered is not finished: the server finishes it when it starts")


def check_certificate(data, keys):
    """The content of a certificate that holds; raises Damage."""
    note = parse_note(data)
    verify_note(note, keys)
    title, _, rest = note.text.partition("\n")
    if title != TITLE or not rest.endswith("\n") or rest.count("\n") != 1:
        raise Damage(f"certificate: its text is not {TITLE!r} and one line of JSON")
    content = read_object(rest[:-1].encode(), "certificate")
    if set(content) != MEMBERS or content["v"] != 1:
        raise Damage("certificate: its members are not those of version 1")
    try:
        check_content(content, keys)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise Damage(f"certificate: a member is not what the format says ({error!r})") from error
    return content


def read_object(data, what):
    from .entry import read_canonical
    value = read_canonical(data, what)
    if not isinstance(value, dict):
        raise Damage(f"{what} is no JSON object")
    return value


def check_content(content, keys):
    signed = parse_note(content["checkpoint"].encode())
    verify_note(signed, keys)
    checkpoint = parse_checkpoint(signed.text)
    if content["concerned"]["of"] != checkpoint.size:
        raise Damage("certificate: it counts the entries of another tree than its checkpoint's")
    intent, outcome = (check_placed(content, name, checkpoint) for name in ("intent", "outcome"))
    first, second = intent["detail"], outcome["detail"]
    destroyed = [each["ref"] for each in content["destroyed"]]
    expect(intent["action"] == "INTENDED" and outcome["action"] == "ERASED", "its entries are not an order and its outcome")
    expect(second["intent"] == content["intent"]["index"] < content["outcome"]["index"], "the outcome is of another order")
    expect(second["refs"] == destroyed and first["ref"] in destroyed, "the entries name other refs")
    expect(all(each["epoch"] == second["epoch"] for each in content["destroyed"]), "the entries name another epoch")
    expect(second["erasedAt"] == content["erasedAt"], "the outcome names another time")


def expect(holds, what):
    if not holds:
        raise Damage(f"certificate: {what}")


def check_placed(content, name, checkpoint):
    placed = content[name]
    data = placed["entry"].encode()
    entry = read_object(data, f"certificate, {name}")
    expect(leaf_hash(data) == from_base64(placed["leaf"], "a leaf", 32), f"the leaf of the {name} is not that of its entry")
    path = [from_base64(step, "a step of a path", 32) for step in placed["path"]]
    expect(0 <= placed["index"] < checkpoint.size and
           root_from_path(leaf_hash(data), placed["index"], checkpoint.size, path) == checkpoint.root,
           f"the path of the {name} does not lead to the checkpoint's root")
    expect(entry["kind"] == KIND and entry["tenant"] == content["tenant"], f"the {name} is no entry of an erasure")
    expect(entry["receivedAt"] == placed["time"], f"the {name} was received at another time")
    return entry
