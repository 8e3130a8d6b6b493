#!/usr/bin/env python3
"""Documents are true where a script can tell: relative links and anchors resolve, decision records carry status and
date, commands and paths that README names exist; and no file carries a leftover reminder, the host of a package
registry, or the path of the machine that it was written on."""
import os
import pathlib
import re
import sys

import tree

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)|!\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)
# Put together from parts, so that this file passes its own check.
REMINDERS = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME")) + r")\b")
REGISTRIES = [".".join(parts) for parts in (
    ("registry", "npmjs", "org"), ("pypi", "org"), ("files", "pythonhosted", "org"), ("crates", "io"),
    ("proxy", "golang", "org"), ("rubygems", "org"), ("deb", "debian", "org"), ("repo1", "maven", "org"),
    ("hub", "docker", "com"))]
ROOT_COMMANDS = re.compile(r"^\s*(?:\$ )?(?:sudo )?(\./[\w./-]+)(?: +([a-z]+))?", re.M)
PATHS = re.compile(r"`((?:docs|src|tools|tests|bench|schemas|examples)/[\w./-]*)`")
COMMAND_OF_BINARY = re.compile(r"(?<![\w/.])(?:[\w./$]*/)?vestige ([a-z]+)\b")


def anchors(text):
    found = set()
    for heading in re.findall(r"^#+ +(.+?) *#*$", CODE.sub("", text), re.M):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(slug)
    return found


def check_links(root, file, text):
    offences = []
    for match in LINK.finditer(re.sub(r"`[^`\n]*`", "", CODE.sub("", text))):
        link = match.group(1) or match.group(2)
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (root / file.parent / path).resolve() if path else (root / file)
        if not target.exists():
            offences.append(f"{file}: the link {link} leads nowhere")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text()):
            offences.append(f"{file}: {link}: that document has no such heading")
    return offences


def check_decision(file, text):
    offences = []
    for field, form in (("Status", r"(proposed|accepted|superseded|rejected)"), ("Date", r"\d{4}-\d{2}-\d{2}")):
        if not re.search(rf"^\W*{field}\W+{form}", text, re.M | re.I):
            offences.append(f"{file}: has no line \"{field}: ...\" ({form})")
    return offences


def binary_commands(root):
    """The subcommands that the command line of the binary defines; empty while it has none."""
    found = set()
    for folder in ("src/cli", "src/app"):
        for source in sorted((root / folder).glob("**/*.cc")):
            found.update(re.findall(r'add_subcommand\(\s*"([a-z]+)"', source.read_text()))
    return found


def check_commands(root, file, text):
    offences = []
    code = "\n".join(match.group(0) for match in CODE.finditer(text))
    spans = "\n".join(re.findall(r"`([^`\n]+)`", CODE.sub("", text)))
    for command, word in ROOT_COMMANDS.findall(code + "\n" + spans):
        target = root / command
        if not target.exists() and not command.startswith(("./build", "./var")):
            offences.append(f"{file}: {command} does not exist")
        elif command == "./dev" and word and not re.search(rf"^\./dev {word}\b", target.read_text(), re.M):
            offences.append(f"{file}: ./dev {word} is not a command that ./dev --help names")
        elif target.is_file() and not os.access(target, os.X_OK):
            offences.append(f"{file}: {command} cannot be executed")
    known = binary_commands(root)
    for word in sorted(set(COMMAND_OF_BINARY.findall(code + "\n" + spans))):
        if known and word not in known:
            offences.append(f"{file}: there is no command \"vestige {word}\"")
    for path in PATHS.findall(CODE.sub("", text)):
        if not (root / path).exists():
            offences.append(f"{file}: {path} does not exist")
    return offences


def check_leftovers(root, file, text):
    offences = []
    here = str(pathlib.Path(root).resolve())
    for number, line in enumerate(text.split("\n"), 1):
        if REMINDERS.search(line):
            offences.append(f"{file}:{number}: a leftover reminder: do it, or open an issue and remove it")
        for host in REGISTRIES:
            if re.search(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", line):
                offences.append(f"{file}:{number}: names a package registry; packages come from the system's own sources")
        if len(here) > 4 and here in line:
            offences.append(f"{file}:{number}: names the folder that it was written in, which nobody else has")
    return offences


def find_offences(root):
    offences = []
    for file in tree.files(root):
        text = tree.text(root, file)
        if text is None or file == pathlib.Path("LICENSE"):
            continue
        offences += check_leftovers(root, file, text)
        if file.suffix != ".md":
            continue
        offences += check_links(root, file, text)
        if file.parts[:2] == ("docs", "decisions") and file.name != "README.md":
            offences += check_decision(file, text)
        if len(file.parts) == 1 and file.name != "CHANGELOG.md":
            offences += check_commands(root, file, text)
    return offences


DECISION = "# 1. Why\n\n- Status: accepted\n- Date: 2026-01-31\n"
GOOD = {"README.md": "# A\n\n[b](docs/b.md#its-part) [web](https://example.org) `tools/x.py`\n\n```\n./dev build\n```\n",
        "docs/b.md": "# Its part\n", "docs/decisions/0001-why.md": DECISION, "tools/x.py": "",
        "dev": "#!/bin/sh\ncat <<TEXT\n./dev build   builds\nTEXT\n"}
PLANTED = [
    ({**GOOD, "docs/c.md": "[x](missing.md)\n"}, "leads nowhere"),
    ({**GOOD, "docs/c.md": "[x](b.md#other)\n"}, "no such heading"),
    ({**GOOD, "docs/decisions/0002-x.md": "# x\n\nStatus: accepted\n"}, "\"Date: ...\""),
    ({**GOOD, "docs/decisions/0002-x.md": "# x\n\nDate: 2026-01-31\n"}, "\"Status: ...\""),
    ({**GOOD, "README.md": "```\n./absent\n```\n"}, "./absent does not exist"),
    ({**GOOD, "README.md": "```\n./dev fly\n```\n"}, "./dev fly"),
    ({**GOOD, "README.md": "`tools/absent.py`\n"}, "tools/absent.py does not exist"),
    ({**GOOD, "README.md": "`vestige fly`\n", "src/cli/a.cc": 'app.add_subcommand("serve", "x");\n'}, "vestige fly"),
    ({**GOOD, "src/a.cc": "// TO" + "DO later\n"}, "leftover"),
    ({**GOOD, "src/a.cc": "// see https://" + REGISTRIES[1] + "/x\n"}, "registry"),
]


if __name__ == "__main__":
    sys.exit(tree.main(find_offences, PLANTED, GOOD))
