#!/usr/bin/env python3
"""Modules include each other only along src/edges.txt, which has no cycle; `internal/` belongs to its module;
third-party headers stay in .cc files, below internal/, or in platform/asio.h; every module has a README, and
every folder of the root stands in the table of docs/architecture.md."""
import pathlib
import re
import sys

import tree

THIRD_PARTY = ("boost/", "simdjson", "openssl/", "zstd", "zlib.h", "CLI/", "spdlog/", "toml++/", "toml.hpp", "sqlite3.h",
               "rapidcheck", "benchmark/", "date/", "maxminddb", "prometheus/", "soci/", "argon2")
HEADERS_WITH_THIRD_PARTY = {pathlib.Path("src/platform/asio.h")}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)
EDGE = re.compile(r"^([a-z]+):(.*)$")


def read_edges(text):
    edges, offences = {}, []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = EDGE.match(line)
        if not match:
            offences.append(f"src/edges.txt:{number}: not of the form \"module: what it may include\"")
            continue
        name, needs = match.group(1), match.group(2).split()
        if name in edges:
            offences.append(f"src/edges.txt:{number}: {name} is listed twice")
        # Lower modules first, so that an edge can only point at a line above: no cycle can be written.
        for need in needs:
            if need not in edges:
                offences.append(f"src/edges.txt:{number}: {name} may not include {need}, which is not listed above it; "
                                "edges point down only, so that there is no cycle")
        edges[name] = needs
    return edges, offences


def check_include(file, number, quoted, target, edges, root):
    where = f"{file}:{number}"
    module = file.parts[1]
    if not quoted:
        if target.startswith(THIRD_PARTY) and not allowed_third_party(file):
            return [f"{where}: <{target}> is a third-party header; include it in a .cc file (or below internal/), "
                    "so that its change rebuilds one file"]
        return []
    if target.startswith(THIRD_PARTY) and not allowed_third_party(file):
        return [f"{where}: \"{target}\" is a third-party header; include it in a .cc file"]
    other = target.split("/")[0]
    if "/" not in target or not (root / "src" / target).is_file():
        return [f"{where}: \"{target}\" is not a file below src/; includes are written from src/"]
    if other not in edges:
        return [f"{where}: {other} is not listed in src/edges.txt"]
    if other != module and other not in edges.get(module, []):
        return [f"{where}: {module} may not include {other}; src/edges.txt has no such edge"]
    if other != module and "/internal/" in f"/{target}":
        return [f"{where}: {target} is internal to {other}; include a public header of it"]
    return []


def allowed_third_party(file):
    # testing/ reaches test binaries only, which are built from those headers anyway.
    return file.suffix != ".h" or {"internal", "testing"} & set(file.parts) or file in HEADERS_WITH_THIRD_PARTY


def check_folders(root, files, edges):
    offences = []
    for module in sorted({file.parts[1] for file in files if file.parts[0] == "src" and len(file.parts) > 2}):
        if module not in edges:
            offences.append(f"src/{module}: not listed in src/edges.txt")
        if not (root / "src" / module / "README.md").is_file():
            offences.append(f"src/{module}: has no README.md (duty, public headers, invariants, data owned, limits)")
    architecture = root / "docs" / "architecture.md"
    if architecture.is_file():
        rows = [line for line in architecture.read_text().split("\n") if line.lstrip().startswith("|")]
        for folder in sorted({file.parts[0] for file in files if len(file.parts) > 1}):
            if not any(re.search(rf"(?<![\w/.-]){re.escape(folder)}/", row) for row in rows):
                offences.append(f"{folder}/: not listed in the table of docs/architecture.md")
    return offences


def find_offences(root):
    files = tree.files(root)
    edges_file = root / "src" / "edges.txt"
    if not edges_file.is_file():
        return ["src/edges.txt is missing"]
    edges, offences = read_edges(edges_file.read_text())
    for file in files:
        if file.parts[0] != "src" or len(file.parts) < 3 or file.suffix not in (".h", ".cc"):
            continue
        text = tree.text(root, file)
        if text is None:
            offences.append(f"{file}: is not UTF-8 text")
            continue
        for match in INCLUDE.finditer(text):
            number = text.count("\n", 0, match.start()) + 1
            offences += check_include(file, number, match.group(1) == '"', match.group(2), edges, root)
    return offences + check_folders(root, files, edges)


EDGES = "base:\nlow: base\nhigh: base low\n"
READMES = {f"src/{name}/README.md": f"# {name}\n" for name in ("base", "low", "high")}
HEADERS = {"src/base/a.h": "", "src/low/a.h": "", "src/low/internal/b.h": "#include <boost/asio.hpp>\n",
           "src/high/a.h": ""}
GOOD = {"src/edges.txt": EDGES, **READMES, **HEADERS, "src/high/a.cc": '#include "low/a.h"\n#include <zstd.h>\n',
        "src/low/b.cc": '#include "low/internal/b.h"\n', "docs/architecture.md": "| `src/` | x |\n| `docs/` | y |\n"}
PLANTED = [
    ({**GOOD, "src/low/c.cc": '#include "high/a.h"\n'}, "low may not include high"),
    ({**GOOD, "src/low/c.h": "  # include <openssl/evp.h>\n"}, "third-party"),
    ({**GOOD, "src/high/c.cc": '#include "low/internal/b.h"\n'}, "internal to low"),
    ({**GOOD, "src/high/c.cc": '#include "a.h"\n'}, "written from src/"),
    ({**GOOD, "src/edges.txt": "base:\nlow: base high\nhigh: base low\n"}, "no cycle"),
    ({**GOOD, "src/extra/a.h": "", "src/extra/README.md": ""}, "src/extra: not listed"),
    ({name: text for name, text in GOOD.items() if name != "src/low/README.md"}, "src/low: has no README"),
    ({**GOOD, "bench/a.cc": ""}, "bench/: not listed"),
]

if __name__ == "__main__":
    sys.exit(tree.main(find_offences, PLANTED, GOOD))
