#!/usr/bin/env python3
"""No source file grows past 700 lines: split it before. (Functions: at most 70 lines, see .clang-tidy.)"""
import sys

import tree

LINES_MAX = 700
SUFFIXES = {".h", ".cc", ".py", ".sh", ".cmake"}


def find_offences(root):
    offences = []
    for file in tree.files(root):
        text = tree.text(root, file) if file.suffix in SUFFIXES else None
        lines = text.count("\n") if text else 0
        if lines > LINES_MAX:
            offences.append(f"{file}: {lines} lines; at most {LINES_MAX} (and 400 is where to begin to split)")
    return offences


GOOD = {"src/base/a.cc": "int x;\n" * LINES_MAX, "docs/long.md": "x\n" * 900}
PLANTED = [({"src/base/a.cc": "int x;\n" * (LINES_MAX + 1)}, "701 lines")]

if __name__ == "__main__":
    sys.exit(tree.main(find_offences, PLANTED, GOOD))
