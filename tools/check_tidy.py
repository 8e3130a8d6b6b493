#!/usr/bin/env python3
"""clang-tidy over the sources of build/dev/compile_commands.json; every finding of .clang-tidy is an error.

  check_tidy.py [--files LIST]   only the sources that the file LIST names, one a line
"""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys

import tree

DATABASE = tree.ROOT / "build" / "dev" / "compile_commands.json"


def examine(file):
    done = subprocess.run(["clang-tidy-19", "-p", str(DATABASE.parent), "--quiet", str(file)], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, check=False, cwd=tree.ROOT)
    noise = re.compile(r"^\d+ warnings? (generated|treated as error)|^Suppressed |^Use -")
    lines = [line for line in (done.stdout + done.stderr).split("\n") if line and not noise.match(line)]
    return done.returncode, "\n".join(lines)


def main():
    wanted = None
    if sys.argv[1:2] == ["--files"]:
        wanted = set(pathlib.Path(sys.argv[2]).read_text().split("\n"))
    known = sorted({pathlib.Path(entry["file"]) for entry in json.loads(DATABASE.read_text())})
    sources = [file for file in known if file.is_relative_to(tree.ROOT / "src")]
    if wanted is not None:
        sources = [file for file in sources if str(file.relative_to(tree.ROOT)) in wanted]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for status, text in pool.map(examine, sources):
            if status:
                failed += 1
                print(text, flush=True)
    print(f"check_tidy.py: {len(sources)} files, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
