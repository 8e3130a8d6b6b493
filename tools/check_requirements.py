#!/usr/bin/env python3
"""docs/requirements.md is true: in a table with a column "kind and path" every row names at least one place
`KIND:/PATH` that the newest schema of that kind has, and only values that the schema lists there; in a table with a
column for tests every row names a test, and every test named exists."""
import fnmatch
import json
import pathlib
import re
import sys

import tree

DOCUMENT = pathlib.Path("docs/requirements.md")
ENVELOPE = {"id", "time", "kind", "action", "sourceType", "sourceId", "targetType", "targetId", "subject"}
PLACE = re.compile(r"`([a-z.]+):/([\w/]+)`")
SPAN = re.compile(r"`([^`]+)`")
UNIT_TEST = re.compile(r"^TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\)", re.M)
NOT_YET, SAME = "not yet", "the same"


def schemas(root):
    """The newest schema of each kind."""
    found = {}
    for file in (root / "schemas").glob("*.json"):
        schema = json.loads(file.read_text())
        kind, version = schema["x-kind"], schema["x-version"]
        if kind not in found or found[kind]["x-version"] < version:
            found[kind] = schema
    return found


def node_at(schema, path):
    """The part of the schema that describes a path; None where nothing does. Elements of a list need no name."""
    node = schema
    for name in path.split("/"):
        while "items" in node or "$ref" in node:
            node = schema["$defs"][node["$ref"].removeprefix("#/$defs/")] if "$ref" in node else node["items"]
        if name not in node.get("properties", {}):
            return None
        node = node["properties"][name]
    return node


def test_names(root):
    names = set()
    for file in root.glob("src/**/*_test.cc"):
        names.update(f"{suite}.{name}" for suite, name in UNIT_TEST.findall(file.read_text()))
    for file in root.glob("tests/*/test_*.py"):
        module = file.stem.removeprefix("test_")
        names.add(module)
        names.update(f"{module}.{name}" for name in re.findall(r"^def test_(\w+)\(", file.read_text(), re.M))
    return names


def tables(text):
    """(titles, rows) of every table; a row is (number of its line, cells)."""
    titles, rows = None, []
    for number, line in enumerate(text.split("\n") + [""], 1):
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if titles is None:
                titles = cells
            elif not set(line) <= set("|-: "):
                rows.append((number, cells))
        elif titles is not None:
            yield titles, rows
            titles, rows = None, []


def check_places(cells, titles, kinds):
    wrong, nodes = [], []
    places = PLACE.findall(cells[titles.index("kind and path")])
    if not places:
        return ["maps nowhere: name a place as `KIND:/PATH`"]
    for kind, path in places:
        if kind not in kinds:
            wrong.append(f"there is no kind {kind} in schemas/")
            continue
        nodes.append({} if path in ENVELOPE else node_at(kinds[kind], path))
        if nodes[-1] is None:
            wrong.append(f"the schema of {kind} has no /{path}")
    values = SPAN.findall(cells[titles.index("values")]) if "values" in titles else []
    listed = {str(value) for node in nodes if node for name in ("enum", "examples") for value in node.get(name, ())}
    return wrong + [f"the schema does not list the value {value}" for value in values if value not in listed]


def check_tests(cells, titles, known):
    named = [cell for title, cell in zip(titles, cells) if "test" in title or title == "end to end"]
    tests = [test for cell in named for test in SPAN.findall(cell)]
    missing = [test for test in tests if not any(fnmatch.fnmatchcase(name, test) for name in known)]
    wrong = [f"there is no test {test}" for test in missing]
    if not tests and SAME not in " ".join(named) and NOT_YET not in " ".join(cells):
        wrong.append(f"names no test (and does not say \"{NOT_YET}\")")
    return wrong


def find_offences(root):
    file = root / DOCUMENT
    if not file.is_file():
        return [f"{DOCUMENT} is missing"]
    kinds, known, offences, places = schemas(root), test_names(root), [], 0
    for titles, rows in tables(file.read_text()):
        for number, cells in rows:
            wrong = []
            if len(cells) != len(titles):
                wrong.append(f"has {len(cells)} cells, the table {len(titles)} columns")
            else:
                if "kind and path" in titles:
                    places += 1
                    wrong += check_places(cells, titles, kinds)
                if any("test" in title for title in titles):
                    wrong += check_tests(cells, titles, known)
            offences += [f"{DOCUMENT}:{number}: {each}" for each in wrong]
    if not places:
        offences.append(f"{DOCUMENT}: has no table with a column \"kind and path\"")
    return offences


SCHEMA = {"x-kind": "a.b", "x-version": 1, "properties": {
    "detail": {"properties": {"state": {"enum": ["on", "off"]}, "type": {"examples": ["x"]},
                              "rows": {"type": "array", "items": {"$ref": "#/$defs/row"}}}}},
    "$defs": {"row": {"properties": {"name": {}}}}}


def scene(row, version=1, schema=None):
    head = "# R\n\n| field | kind and path | values | test |\n|---|---|---|---|\n"
    return {"docs/requirements.md": head + row + "\n", f"schemas/a.b.v{version}.json": json.dumps(schema or SCHEMA),
            "src/m/a_test.cc": "TEST(Suite, Holds) {}\n", "tests/e2e/test_more.py": "def test_it(context):\n    pass\n"}


GOOD = scene("| `state` | `a.b:/detail/state`, `a.b:/time` | `on` `off` | `Suite.Holds`, `more.it` |\n"
             "| `name` | `a.b:/detail/rows/name` | | `Suite.*`, `more` |\n| `type` | `a.b:/detail/type` | `x` | the same |")
PLANTED = [
    (scene("| `state` | later | | `Suite.Holds` |"), "maps nowhere"),
    (scene("| `state` | `a.c:/detail/state` | | `Suite.Holds` |"), "no kind a.c"),
    (scene("| `state` | `a.b:/detail/stat` | | `Suite.Holds` |"), "no /detail/stat"),
    (scene("| `state` | `a.b:/state` | | `Suite.Holds` |"), "no /state"),
    (scene("| `state` | `a.b:/detail/state` | `on` `of` | `Suite.Holds` |"), "not list the value of"),
    (scene("| `state` | `a.b:/detail/state` | | `Suite.Hold` |"), "no test Suite.Hold"),
    (scene("| `state` | `a.b:/detail/state` | | `more.that` |"), "no test more.that"),
    (scene("| `state` | `a.b:/detail/state` | | |"), "names no test"),
    (scene("| `state` | `a.b:/detail/state` | |"), "3 cells"),
    ({**GOOD, **{"schemas/a.b.v2.json": json.dumps({**SCHEMA, "x-version": 2, "properties": {}})}}, "no /detail/state"),
    ({**GOOD, "docs/requirements.md": "# Nothing\n"}, "has no table"),
]

if __name__ == "__main__":
    sys.exit(tree.main(find_offences, PLANTED, GOOD))
