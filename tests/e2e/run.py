#!/usr/bin/env python3
"""Runs end-to-end tests: every function test_* of every test_*.py in a folder, in the order of the file.

  tests/e2e/run.py [--in FOLDER] [TEXT]   those whose file or function name contains TEXT, all without; of tests/e2e without --in
  VESTIGE_BINARY=FILE                     the server to test; build/e2e/vestige by default

A folder may have a prepare.py, which runs first: where it ends with status 77, what the tests need cannot be had here; they are
skipped, and it has said why.

Each file runs in a Python process of its own, so that one which hangs or dies takes nothing with it. A test
takes one argument, a harness.Context. It passes by returning, is skipped by context.skip(reason) and fails by
any exception. Servers that it started are ended and its folder is removed after it; the folder of a failed
test stays, and its name is printed.
"""
import importlib
import inspect
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
SECONDS_MAX = 900
CANNOT_PREPARE = 77
MARK = "\x1eoutcome "  # begins a line that reports a test; nothing that a test prints begins so


def files(text="", folder=HERE):
    found = []
    for file in sorted(pathlib.Path(folder).glob("test_*.py")):
        if not text or text in file.stem or any(text in name for name in functions_in(file)):
            found.append(file)
    return found


def functions_in(file):
    return [line.split("(")[0][len("def "):] for line in file.read_text().split("\n") if line.startswith("def test_")]


def command(file, text=""):
    return [sys.executable, str(HERE / "run.py"), "--file", str(file), text]


def why_not(folder):
    """Prepares the tests of a folder; gives the line that says why they cannot run here, or nothing."""
    script = pathlib.Path(folder) / "prepare.py"
    if not script.exists():
        return ""
    done = subprocess.run([sys.executable, str(script)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=SECONDS_MAX, check=False)
    said = done.stdout.decode("utf-8", "replace").strip()
    if done.returncode not in (0, CANNOT_PREPARE):
        raise SystemExit(f"{script} ended with status {done.returncode}\n{said}")
    return said.split("\n")[-1] if done.returncode else ""


def outcomes(file, status, output, ending):
    """What a run of command() reported; a test that began and did not report is a failure."""
    found, begun, said = [], None, []
    for line in output.split("\n"):
        if not line.startswith(MARK):
            said.append(line)
            continue
        report = json.loads(line[len(MARK):])
        if report["result"] == "begun":
            begun, said = report["name"], []
            continue
        if report["result"] == "failed":
            report["text"] = "\n".join(said + [report["text"]])
        found.append(report)
        begun, said = None, []
    if begun or status != 0:
        found.append({"name": begun or file.stem, "result": "failed", "seconds": 0.0,
                      "text": "\n".join(said + [f"{file.name} {ending}"])})
    return found


def report(**fields):
    print(MARK + json.dumps(fields), flush=True)


def run_test(name, function):
    import harness

    report(name=name, result="begun")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="vestige-e2e-"))
    context = harness.Context(name, folder)
    began = time.monotonic()
    result, text = "passed", ""
    try:
        function(context)
    except harness.Skipped as skipped:
        result, text = "skipped", str(skipped)
        print(f"skipped: {name}: {text}")
    except Exception:  # whatever went wrong in a test is that test's failure
        result, text = "failed", traceback.format_exc()
    finally:
        context.end_all()
    if result == "failed":
        text += context.last_words() + f"\nThe files of this test are kept in {folder}"
    else:
        shutil.rmtree(folder, ignore_errors=True)
    report(name=name, result=result, seconds=time.monotonic() - began, text=text)


def run_one_file(file, text):
    sys.path[:0] = [str(pathlib.Path(file).parent), str(HERE)]
    # A stop from outside unwinds through end_all of the test at hand.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    module = importlib.import_module(pathlib.Path(file).stem)
    whole = not text or text in module.__name__
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if name.startswith("test_") and function.__module__ != module.__name__:
            raise SystemExit(f"{name} comes from {function.__module__}; a test stands in its own file")
    ordered = [name for name in vars(module) if name.startswith("test_") and callable(vars(module)[name])]
    for name in ordered:
        if whole or text in name:
            run_test(f"{module.__name__.removeprefix('test_')}.{name.removeprefix('test_')}", vars(module)[name])


def main():
    if sys.argv[1:2] == ["--file"]:
        run_one_file(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "")
        return 0
    arguments, folder = sys.argv[1:], HERE
    if arguments[:1] == ["--in"]:
        folder, arguments = pathlib.Path(arguments[1]), arguments[2:]
    text = arguments[0] if arguments else ""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    reason = why_not(folder)
    if reason:
        counts["skipped"] += 1
        print(f"skipped {folder}: {reason}")
    for file in [] if reason else files(text, folder):
        child = subprocess.run(command(file, text), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, timeout=SECONDS_MAX, check=False)
        for outcome in outcomes(file, child.returncode, child.stdout.decode("utf-8", "replace"),
                                f"ended with status {child.returncode}"):
            counts[outcome["result"]] += 1
            print(f"{outcome['result']:<8}{outcome['name']} ({outcome['seconds']:.1f} s)", flush=True)
            if outcome["text"]:
                print("    " + outcome["text"].rstrip().replace("\n", "\n    "), flush=True)
    print(f"\n{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
