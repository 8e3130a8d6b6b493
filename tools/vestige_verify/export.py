"""An export: what a search found, in one file (docs/formats/export.md)."""
import hashlib
import re

from .canonical import NotJson, canonical, parse
from .cipher import BlockCipher, derived_salts
from .entry import REF_BYTES
from .merkle import EMPTY_ROOT, leaf_hash, node_hash, root_of
from .note import ED25519, from_base64, parse_checkpoint, parse_note, to_base64, verify_note
from .reader import Damage, sha256

FORMAT = "vestige export v1"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
ROW_BYTES_MAX = 128 << 20
DEPTH_MAX = 256
HEADER = {"asked", "checkpoint", "exportedAt", "exporter", "format", "origin", "search", "stream", "tenant", "timeFrom",
          "timeTo"}
COLUMNS = ("index", "time", "receivedAt", "kind", "action", "sourceType", "sourceId", "targetType", "targetId", "subject",
           "detail", "changes", "context", "sourceEntityMeta", "targetEntityMeta", "id")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")
BOOKKEEPING = {"mac", "salt", "schema", "sealed", "v"}
STATES = ("closed", "erased", "present", "unknown")
CELL = re.compile(rb'"((?:[^"]|"")*)"|([^",\r\n]*)')


class Range:
    """The tree so far: roots of the perfect subtrees of its size, the largest first."""

    def __init__(self):
        self.size, self.roots = 0, []

    def append(self, level, root):
        size = self.size >> level
        while size & 1:
            root = node_hash(self.roots.pop(), root)
            size >>= 1
        self.roots.append(root)
        self.size += 1 << level

    def next_level(self, end):
        """Of the largest perfect subtree that begins here and does not go past `end`."""
        level = (end - self.size).bit_length() - 1
        return level if self.size == 0 else min(level, (self.size & -self.size).bit_length() - 1)

    def root(self):
        if not self.roots:
            return EMPTY_ROOT
        root = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            root = node_hash(left, root)
        return root


def whole(condition, reason):
    if not condition:
        raise Damage(reason)


def is_object(value, required, optional=()):
    return isinstance(value, dict) and set(required) <= value.keys() <= set(required) | set(optional)


def is_number(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def rows(file):
    """(cells in front, line) of each row; cells is None in NDJSON."""
    start = file.read(len(BYTE_ORDER_MARK))
    csv = start == BYTE_ORDER_MARK
    row, at_quote = (b"" if csv else start), False
    if not csv and b"\n" in start:
        raise Damage("it is no JSON")
    while True:
        piece = file.readline(ROW_BYTES_MAX)
        if not piece:
            break
        row += piece
        whole(len(row) <= ROW_BYTES_MAX, f"it is longer than {ROW_BYTES_MAX} bytes")
        at_quote ^= csv and piece.count(b'"') % 2 == 1
        if piece.endswith(b"\n") and not at_quote:
            yield split_row(row) if csv else (None, row[:-1])
            row = b""
    whole(not row, "the file ends within it: it was cut off in transit")


def split_row(row):
    row = row[:-2] if row.endswith(b"\r\n") else row[:-1]
    cells, at = [], 0
    while True:
        found = CELL.match(row, at)
        cells.append(found[2] if found[1] is None else found[1].replace(b'""', b'"'))
        at = found.end()
        if at == len(row):
            return cells[:-1], cells[-1]
        whole(row[at:at + 1] == b",", "it is no row of CSV")
        at += 1


def cell_of(event, name):
    value = event.get(name)
    if not isinstance(value, str):
        return canonical(value) if name in event else b""
    return (("'" if value.startswith(FORMULA_STARTS) else "") + value).encode()


def put(event, path, value):
    """A sealed value in its place; parents that are missing are made."""
    tokens = path.split("/")
    whole(len(tokens) > 1 and tokens[0] == "" and len(tokens) <= DEPTH_MAX + 1, "a sealed value has no place in its entry")
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in tokens[1:]]
    at = event
    for number, token in enumerate(tokens):
        last = number == len(tokens) - 1
        if isinstance(at, list):
            whole(token.isascii() and token.isdigit() and len(token) <= 9 and int(token) <= len(at),
                  "a sealed value has no place in its entry")
            token = int(token)
            if token == len(at):
                at.append(None)
            missing = at[token]
        else:
            missing = at.get(token)
        if last:
            at[token] = value
        else:
            if not isinstance(missing, (dict, list)):
                at[token] = {}
            at = at[token]


def pair_leaf(salt, path, value):
    path = path.encode()
    return sha256(b"\0", salt, len(path).to_bytes(4, "little"), path, canonical(value))


def pairs_root(pairs, seed):
    salts = derived_salts(BlockCipher(seed), range(len(pairs)))
    return root_of(pair_leaf(salts[16 * number:16 * number + 16], *pair) for number, pair in enumerate(pairs))


def references(entry):
    """(refs, root) of each section that the entry names."""
    found = []
    whole(isinstance(entry["sealed"], list), "the sections that its entry names cannot be read")
    for reference in entry["sealed"]:
        forms = [name for name in ("ref", "any", "all") if isinstance(reference, dict) and name in reference]
        whole(len(forms) == 1 and set(reference) == {forms[0], "root"}, "the sections that its entry names cannot be read")
        refs = reference[forms[0]]
        refs = [refs] if forms[0] == "ref" else refs
        whole(isinstance(refs, list) and all(isinstance(ref, str) for ref in refs) and isinstance(reference["root"], str),
              "the sections that its entry names cannot be read")
        for ref in refs:
            from_base64(ref, "a ref", REF_BYTES)
        found.append((refs, from_base64(reference["root"], "a root", 32)))
    return found


class Export:
    """Reads one; what it says is in the members afterwards."""

    def __init__(self, keys):
        self.keys, self.tree, self.digest = keys, Range(), sha256(FORMAT.encode(), b"\n")
        self.header, self.checkpoint, self.closed = {}, None, False
        self.lines, self.events, self.times = 0, 0, []
        self.sections = dict.fromkeys(STATES, 0)
        self.csv = False

    def read(self, file):
        """Raises Damage; the line that is bad is the one after `lines`."""
        for cells, line in rows(file):
            self.take(cells, line)
            self.lines += 1
        whole(self.lines > 0, "the file is empty")
        whole(self.closed, "the file ends before its closing line: it was cut off in transit")

    def take(self, cells, data):
        try:
            line = parse(data)
        except NotJson as error:
            raise Damage(f"it is no JSON: {error}") from error
        whole(isinstance(line, dict), "it is no JSON object")
        if self.lines == 0:
            self.take_header(cells, line)
        else:
            whole(not self.closed, "it stands behind the closing line")
            whole(line.get("after") == to_base64(self.digest), "it does not follow the line before it: that one was altered, "
                                                               "or lines were removed, added or moved")
            if is_object(line, ("after", "entry", "event"), ("nodes", "open")):
                self.take_event(cells, line)
            elif is_object(line, ("after", "incomplete")):
                raise Damage(f"the server could not finish the export: {line['incomplete']}")
            else:
                whole(is_object(line, ("after", "statement"), ("nodes",)), "it is neither an event nor the closing line")
                self.take_closing(cells, line)
        self.digest = hashlib.sha256(self.digest + data).digest()

    def take_header(self, cells, line):
        whole(line.get("format") == FORMAT, f'the file is no export of the format "{FORMAT}"')
        whole(is_object(line, HEADER), "the members of the header are not those of version 1")
        times = [line["timeFrom"], line["timeTo"]]
        whole(isinstance(line["asked"], dict) and isinstance(line["search"], dict) and is_object(line["exporter"], ("id", "name"))
              and all(time is None or isinstance(time, str) for time in times),
              "a member of the header is not what the format says")
        self.csv = cells is not None
        whole(not self.csv or [cell.decode("utf-8", "replace") for cell in cells] == list(COLUMNS),
              "its columns are not those of version 1")
        whole(isinstance(line["checkpoint"], str), "its checkpoint cannot be read")
        note = parse_note(line["checkpoint"].encode())
        if self.keys:
            verify_note(note, self.keys)
        self.header, self.checkpoint = line, parse_checkpoint(note.text)
        whole(self.checkpoint.origin == line["origin"] and line["origin"].endswith(f"/{line['tenant']}/{line['stream']}"),
              "its checkpoint is of another log")
        for key in self.keys:
            whole(key.kind != ED25519 or key.name == self.checkpoint.origin,
                  f"its checkpoint is of {self.checkpoint.origin}, the verifier key of {key.name}")

    def take_nodes(self, line, end):
        nodes = line.get("nodes", [])
        whole(isinstance(nodes, list) and ("nodes" not in line or nodes), "its hashes are no list")
        used = 0
        while self.tree.size < end:
            whole(used < len(nodes) and isinstance(nodes[used], str),
                  f"it lacks hashes for the entries from {self.tree.size} to {end - 1} that were left out before it")
            self.tree.append(self.tree.next_level(end), from_base64(nodes[used], "a hash", 32))
            used += 1
        whole(used == len(nodes), "it has hashes for more entries than were left out before it")

    def take_event(self, cells, line):
        entry, event = line["entry"], line["event"]
        whole(isinstance(entry, dict) and isinstance(event, dict), "it has no entry, or no event")
        leaf, index = leaf_hash(canonical(entry)), event.get("index")
        whole(is_number(index) and isinstance(event.get("leaf"), str), "its event has no index, or no leaf")
        whole(event["leaf"] == to_base64(leaf), "its entry does not have the leaf that its event names: one of them was altered")
        sections = self.check_sections(line, entry, event)
        expected = {name: value for name, value in entry.items() if name not in BOOKKEEPING}
        for pairs in sections:
            for path, value in pairs:
                if path != "mac":
                    put(expected, path, value)
        if "sealed" in event:
            expected["sealed"] = event["sealed"]
        expected["index"], expected["leaf"] = index, to_base64(leaf)
        whole(canonical(expected) == canonical(event), "its event is not what its entry and sections say: it was altered")
        whole(isinstance(event.get("time"), str), "its event has no time")
        if self.csv:
            self.check_cells(cells, event)
        whole(self.tree.size <= index < self.checkpoint.size, f"entry {index} does not belong there")
        self.take_nodes(line, index)
        self.tree.append(0, leaf)
        self.events += 1
        self.times = [min(self.times[:1] + [event["time"]]), max(self.times[1:] + [event["time"]])]

    def check_sections(self, line, entry, event):
        if "sealed" not in entry:
            whole("open" not in line and "sealed" not in event, "it has sections that its entry does not name")
            return []
        named, opened, told = references(entry), line.get("open"), event.get("sealed")
        whole(isinstance(opened, list) and isinstance(told, list) and len(opened) == len(told) == len(named),
              "it has another number of sections than its entry names")
        found = []
        for (refs, root), section, state in zip(named, opened, told):
            whole(is_object(state, ("refs", "state"), ("erasedBy",)) and state["refs"] == refs,
                  "its event names other sections than its entry")
            name = state["state"]
            whole(name in STATES, "a section has no state that is known")
            whole("erasedBy" not in state or (name == "erased" and is_number(state["erasedBy"])),
                  "its event says something else of a section than its state")
            whole((section is not None) == (name == "present"), "a section is open and not said to be, or the other way")
            self.sections[name] += 1
            found.append(self.check_open(section, root) if section is not None else [])
        return found

    @staticmethod
    def check_open(section, root):
        whole(is_object(section, ("pairs", "seed")) and isinstance(section["pairs"], list) and section["pairs"]
              and isinstance(section["seed"], str), "a section of it is not what the format says")
        pairs = section["pairs"]
        whole(all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs),
              "a section of it is no list of pairs")
        whole(pairs_root(pairs, from_base64(section["seed"], "a seed", 16)) == root,
              "the values of a section do not give the root in its entry: one was altered")
        return pairs

    @staticmethod
    def check_cells(cells, event):
        whole(len(cells) == len(COLUMNS), f"it has {len(cells) + 1} cells instead of {len(COLUMNS) + 1}")
        for name, cell in zip(COLUMNS, cells):
            whole(cell == cell_of(event, name), f'its cell "{name}" is not what its event says: it was altered')

    def take_closing(self, cells, line):
        whole(not self.csv or (len(cells) == len(COLUMNS) and not any(cells)),
              "the cells in front of the closing line are not empty")
        self.take_nodes(line, self.checkpoint.size)
        whole(self.tree.root() == self.checkpoint.root, "all lines together lead to another root than the checkpoint has: an "
                                                        "entry or a hash before was replaced")
        whole(isinstance(line["statement"], str), "its statement is no text")
        note = parse_note(line["statement"].encode())
        if self.keys:
            verify_note(note, self.keys)
        title, _, rest = note.text.partition("\n")
        whole(title == FORMAT and rest.endswith("\n") and rest.count("\n") == 1, "its statement is another one")
        first, last = self.times or (None, None)
        expected = {"digest": line["after"], "events": self.events, "sections": self.sections, "size": self.checkpoint.size,
                    "timeFirst": first, "timeLast": last}
        whole(rest[:-1].encode() == canonical(expected),
              "its statement is of another file: other lines, or another number of them, were signed")
        self.closed = True


def check_export(file, keys):
    """(Export, None), or (Export, (line, reason))."""
    export = Export(keys)
    try:
        export.read(file)
        return export, None
    except Damage as damage:
        return export, (export.lines + 1, damage.reason)
    except NotJson as error:
        return export, (export.lines + 1, f"it holds something that has no canonical form: {error}")
