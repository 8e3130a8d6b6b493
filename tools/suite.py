#!/usr/bin/env python3
"""Runs test binaries, end-to-end tests, fuzzers and checks, and counts what came of them.

Called by ./test, ./dev and .ci/run after they have built what is needed:

  suite.py [--units DIR] [--e2e [FOLDER]] [--check NAME=COMMAND ...] [--fuzz DIR --seconds N] [--filter TEXT]

--units also replays the corpora of the fuzzers (x_replay beside the test binaries). FOLDER has the end-to-end tests to run;
tests/e2e where none is named.

One line for each binary, end-to-end test and check; the whole output of what failed; the names of skipped
tests; and a last line "N passed, N failed, N skipped". With VESTIGE_RESULTS set to a folder, the counts go
into a file there as well, so that a caller of several steps can add them up (--add-up FOLDER).
Exit status: 0 if nothing failed, 1 otherwise, 2 if the filter matched nothing.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY_SECONDS_MAX = 900  # of one unit test binary at VESTIGE_TEST_SCALE 1
E2E_SECONDS_MAX = 900     # of one end-to-end file
CHECK_SECONDS_MAX = 3000
FAILURE_LINES_MAX = 120
PARALLEL = 3              # one more than the cores of a small machine: many tests wait most of their time
live_groups = set()  # process groups that run() started and that still run


class Tally:
    """What came of the tests so far. Thread-safe."""

    def __init__(self):
        self.lock = threading.Lock()
        self.passed = 0
        self.failed = []   # names
        self.skipped = []  # (name, reason)

    def add(self, passed, failed, skipped):
        with self.lock:
            self.passed += passed
            self.failed += failed
            self.skipped += skipped

    def report(self, line, details=""):
        with self.lock:
            print(line, flush=True)
            if details:
                print(indent(details), flush=True)

    def total(self):
        return self.passed + len(self.failed) + len(self.skipped)


def stop_everything(number, _frame):
    """Ctrl-C reaches us alone, since every child has a group of its own."""
    for group in list(live_groups):
        try:
            os.killpg(group, signal.SIGTERM)
        except ProcessLookupError:
            pass
    print("\nStopped before the end; nothing is known about the rest.", flush=True)
    os._exit(128 + number)


def indent(text):
    return "\n".join("    " + line for line in text.rstrip("\n").split("\n"))


def tail(text):
    lines = text.rstrip("\n").split("\n")
    if len(lines) <= FAILURE_LINES_MAX:
        return text
    return "\n".join([f"... {len(lines) - FAILURE_LINES_MAX} lines left out"] + lines[-FAILURE_LINES_MAX:])


def scale():
    try:
        return max(1.0, float(os.environ.get("VESTIGE_TEST_SCALE", "1")))
    except ValueError:
        return 1.0


def end_group(child):
    """Ends a child that is out of time: asked first, so that it can end what it started itself."""
    os.killpg(child.pid, signal.SIGTERM)
    try:
        output, _ = child.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        output, _ = child.communicate()
    return output


def run(command, seconds_max, environment=None):
    """Runs a command in a process group of its own; (status, output, seconds). Status None: out of time."""
    began = time.monotonic()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             cwd=ROOT, env=environment, start_new_session=True)
    live_groups.add(child.pid)
    try:
        output, _ = child.communicate(timeout=seconds_max)
        status = child.returncode
    except subprocess.TimeoutExpired:
        output = end_group(child)
        status = None
    except BaseException:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        raise
    finally:
        live_groups.discard(child.pid)
    return status, output.decode("utf-8", "replace"), time.monotonic() - began


def ending(status, seconds_max):
    if status is None:
        return f"did not end within {seconds_max:.0f} s and was stopped"
    if status < 0:
        return f"was ended by signal {-status}"
    return f"ended with status {status}"


def sanitizer_environment(extra=None):
    environment = dict(os.environ)
    symbolizer = "/usr/bin/llvm-symbolizer-19"
    common = f"external_symbolizer_path={symbolizer}" if os.path.exists(symbolizer) else ""
    for name, options in (("ASAN_OPTIONS", ""), ("UBSAN_OPTIONS", "print_stacktrace=1"), ("TSAN_OPTIONS", "halt_on_error=1")):
        environment.setdefault(name, ":".join(part for part in (common, options) if part))
    environment.update(extra or {})
    return environment


def skipped_while_running(output):
    """The tests that said why they were skipped: by a line "skipped: ...", or as GoogleTest prints it (a line
    "file:line: Skipped", the reason below). A "skipped: ..." outside of any test counts by itself."""
    skipped, loose, current, reason_follows = {}, [], None, False
    for line in output.split("\n"):
        started = re.match(r"\[ RUN      \] (\S+)", line)
        said = re.match(r"\s*skipped: (.+)", line)
        if started:
            current = started.group(1)
        elif re.match(r"\[ +(OK|FAILED|SKIPPED) +\] ", line):
            current = None
        elif said and current:
            skipped[current] = said.group(1).removeprefix(f"{current}: ")
        elif said:
            loose.append(said.group(1))
        elif reason_follows and current:
            skipped.setdefault(current, line.strip())
        reason_follows = line.endswith(": Skipped")
    return skipped, loose


def read_cases(report, output):
    """From the report of GoogleTest: names that passed, that failed, and (name, reason) skipped."""
    passed, failed, skipped = [], [], []
    said, loose = skipped_while_running(output)
    for suite in report.get("testsuites", []):
        for case in suite.get("testsuite", []):
            name = f"{suite['name']}.{case['name']}"
            if case.get("status") == "NOTRUN":
                if "DISABLED_" in name:
                    skipped.append((name, "disabled"))
            elif case.get("failures"):
                failed.append(name)
            elif case.get("result") == "SKIPPED":
                skipped.append((name, said.get(name) or "no reason given"))
            elif name in said:
                skipped.append((name, said[name]))
            else:
                passed.append(name)
    skipped += [(text.split(":")[0], text) for text in loose]
    return passed, failed, skipped


def run_unit(binary, gtest_filter, tally):
    name = binary.name.removesuffix("_test")
    # The same tests under another sanitizer are other tests.
    origin = name if binary.parent.name == "dev" else f"{binary.parent.name}/{name}"
    label = f"unit {origin}"
    logs = binary.parent / "logs"
    logs.mkdir(exist_ok=True)
    report_file = logs / f"{name}.json"
    report_file.unlink(missing_ok=True)
    command = [str(binary), f"--gtest_output=json:{report_file}", "--gtest_color=no"]
    if gtest_filter:
        command.append(f"--gtest_filter={gtest_filter}")
    seconds_max = BINARY_SECONDS_MAX * scale()
    status, output, seconds = run(command, seconds_max, sanitizer_environment())
    (logs / f"{name}.log").write_text(output)
    report = json.loads(report_file.read_text()) if report_file.exists() else None
    passed, failed, skipped = read_cases(report or {}, output)
    if gtest_filter and not (passed or failed or skipped) and status == 0:
        return
    if status != 0 and not failed:
        # It died in the test that began last, or outside of any; there is no report of those before.
        started = re.findall(r"^\[ RUN      \] (\S+)", output, re.M)
        failed = sorted({*re.findall(r"^\[  FAILED  \] (\S+) \(\d+ ms\)", output, re.M),
                         started[-1] if started else binary.name})
    elif status == 0 and not (passed or failed or skipped):
        failed = [f"{binary.name} (contains no test)"]
    tally.add(len(passed), [f"{origin}: {case}" for case in failed], [(f"{origin}: {case}", why) for case, why in skipped])
    line = f"{'FAIL ' if failed else 'ok   '} {label:<28} {len(passed)} of {len(passed) + len(failed) + len(skipped)} cases, {seconds:.1f} s"
    if failed:
        tally.report(f"{line}; {binary.name} {ending(status, seconds_max)}", tail(failing_part(output)))
    else:
        tally.report(line)


def failing_part(output):
    """The output of the failed cases, and of one that never ended; all of it where there is no such case."""
    pieces, piece = [], None
    for line in output.split("\n"):
        if line.startswith("[ RUN      ]"):
            piece = []
        if piece is not None:
            piece.append(line)
        if line.startswith("[  FAILED  ]") and piece:
            pieces += piece
        if re.match(r"\[ +(OK|FAILED|SKIPPED) +\] ", line):
            piece = None
    pieces += piece or []
    return "\n".join(pieces) if pieces else output


def run_replay(binary, tally):
    name = binary.name.removesuffix("_replay")
    origin = name if binary.parent.name == "dev" else f"{binary.parent.name}/{name}"
    corpus = ROOT / "tests" / "corpus" / name
    if not corpus.is_dir():
        tally.add(0, [f"replay {origin}"], [])
        tally.report(f"FAIL  replay {origin}: there is no {corpus.relative_to(ROOT)}; give the fuzzer inputs to begin with")
        return
    status, output, seconds = run([str(binary), str(corpus)], BINARY_SECONDS_MAX, sanitizer_environment())
    if status == 0:
        tally.add(1, [], [])
        tally.report(f"ok    replay {origin:<26} {output.strip()}, {seconds:.1f} s")
    else:
        tally.add(0, [f"replay {origin}"], [])
        tally.report(f"FAIL  replay {origin}; {binary.name} {ending(status, BINARY_SECONDS_MAX)}", tail(output))


def replays(directory, text, tally):
    """The properties of the fuzzers over the corpora of the repository."""
    binaries = sorted((ROOT / directory).resolve().glob("*_replay"))
    return [lambda binary=binary: run_replay(binary, tally) for binary in binaries if not text or text in binary.name]


def units(directory, text, tally):
    directory = (ROOT / directory).resolve()
    binaries = sorted(directory.glob("*_test"))
    gtest_filter = None
    if text:
        named = [binary for binary in binaries if binary.name == f"{text}_test"]
        if named:
            binaries = named
        else:
            gtest_filter = text if "*" in text else f"*{text}*"
    elif not binaries:
        tally.add(0, [f"no unit test binary in {directory}"], [])
    return [lambda binary=binary: run_unit(binary, gtest_filter, tally) for binary in binaries]


def end_to_end(folder, text, tally):
    sys.path.insert(0, str(ROOT / "tests" / "e2e"))
    import run as e2e  # tests/e2e/run.py, which also runs by itself

    try:
        reason = e2e.why_not(ROOT / folder)
    except SystemExit as failed:
        tally.add(0, [f"{folder}/prepare.py"], [])
        tally.report(f"FAIL  {folder}/prepare.py", tail(str(failed)))
        return []
    if reason:
        tally.add(0, [], [(folder, reason)])
        tally.report(f"skip  e2e  {folder}")
        return []
    return [lambda file=file: run_file(e2e, file, text, tally) for file in e2e.files(text, ROOT / folder)]


def run_file(e2e, file, text, tally):
    status, output, _ = run(e2e.command(file, text), E2E_SECONDS_MAX * scale())
    for outcome in e2e.outcomes(file, status, output, ending(status, E2E_SECONDS_MAX * scale())):
        label = f"e2e  {outcome['name']}"
        if outcome["result"] == "passed":
            tally.add(1, [], [])
            tally.report(f"ok    {label:<56} {outcome['seconds']:.1f} s")
        elif outcome["result"] == "skipped":
            tally.add(0, [], [(outcome["name"], outcome["text"])])
            tally.report(f"skip  {label}")
        else:
            tally.add(0, [outcome["name"]], [])
            tally.report(f"FAIL  {label:<56} {outcome['seconds']:.1f} s", tail(outcome["text"]))


def run_check(name, command, text, tally):
    if text and text not in name:
        return
    status, output, seconds = run(command, CHECK_SECONDS_MAX)
    if status == 0:
        tally.add(1, [], [])
        tally.report(f"ok    check {name:<50} {seconds:.1f} s")
    else:
        tally.add(0, [f"check {name}"], [])
        tally.report(f"FAIL  check {name}: {shlex.join(command)} {ending(status, CHECK_SECONDS_MAX)}", tail(output))


def run_fuzzer(binary, seconds, tally):
    findings = binary.parent / "findings" / binary.name
    corpus_grown = binary.parent / "corpus" / binary.name
    for directory in (findings, corpus_grown):
        directory.mkdir(parents=True, exist_ok=True)
    name = binary.name.removesuffix("_fuzz")
    shipped = ROOT / "tests" / "corpus" / name
    command = [str(binary), f"-max_total_time={seconds}", f"-artifact_prefix={findings}/", "-rss_limit_mb=2048",
               "-timeout=25", "-print_final_stats=1", str(corpus_grown)]
    command += [str(shipped)] if shipped.is_dir() else []
    seconds_max = seconds + 120
    status, output, spent = run(command, seconds_max, sanitizer_environment())
    units = re.search(r"stat::number_of_executed_units: *(\d+)", output)
    if status == 0:
        tally.add(1, [], [])
        tally.report(f"ok    fuzz {binary.name:<30} {int(units.group(1)) if units else 0} inputs, {spent:.0f} s")
    else:
        tally.add(0, [f"fuzz {binary.name}"], [])
        tally.report(f"FAIL  fuzz {binary.name} {ending(status, seconds_max)}; the input is in {findings.relative_to(ROOT)}",
                     tail(output))


def fuzzers(directory, seconds, text, tally):
    binaries = [file for file in sorted((ROOT / directory).glob("*_fuzz")) if os.access(file, os.X_OK)]
    if not binaries:
        tally.add(0, [f"no fuzzer in {directory}"], [])
    return [lambda binary=binary: run_fuzzer(binary, seconds, tally)
            for binary in binaries if not text or text in binary.name]


def run_together(jobs):
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()


def summary(tally):
    if tally.skipped:
        print("\nSkipped:")
        for name, reason in tally.skipped:
            print(f"  skipped: {name}: {reason}")
    if tally.failed:
        print("\nFailed:")
        for name in tally.failed:
            print(f"  {name}")
    print(f"\n{tally.passed} passed, {len(tally.failed)} failed, {len(tally.skipped)} skipped", flush=True)
    return 1 if tally.failed else 0


def add_up(folder):
    tally = Tally()
    for file in sorted(pathlib.Path(folder).glob("*.json")):
        counts = json.loads(file.read_text())
        tally.add(counts["passed"], counts["failed"], [tuple(entry) for entry in counts["skipped"]])
    return summary(tally)


def self_test():
    """Planted reports: each kind of outcome has to be counted as what it is."""
    report = {"testsuites": [{"name": "Log", "testsuite": [
        {"name": "Keeps", "status": "RUN", "result": "COMPLETED"},
        {"name": "Loses", "status": "RUN", "result": "COMPLETED", "failures": [{"failure": "x"}]},
        {"name": "Needs", "status": "RUN", "result": "SKIPPED"},
        {"name": "Says", "status": "RUN", "result": "COMPLETED"},
        {"name": "Other", "status": "NOTRUN", "result": "SUPPRESSED"},
        {"name": "DISABLED_Off", "status": "NOTRUN", "result": "SUPPRESSED"}]}]}
    output = ("[ RUN      ] Log.Needs\nfile.cc:1: Skipped\nno data\n\n[  SKIPPED ] Log.Needs (0 ms)\n"
              "[ RUN      ] Log.Says\nskipped: Log.Says: no folder\n[       OK ] Log.Says (0 ms)\nskipped: outside: of a test\n")
    passed, failed, skipped = read_cases(report, output)
    assert passed == ["Log.Keeps"], passed
    assert failed == ["Log.Loses"], failed
    assert skipped == [("Log.Needs", "no data"), ("Log.Says", "no folder"), ("Log.DISABLED_Off", "disabled"),
                       ("outside", "outside: of a test")], skipped
    assert run(["sh", "-c", "exit 3"], 5)[0] == 3
    assert run(["sh", "-c", "sleep 30 & wait"], 0.2)[0] is None
    part = failing_part("[ RUN      ] A.b\nfine\n[       OK ] A.b\n[ RUN      ] A.c\nbad\n[  FAILED  ] A.c\nend")
    assert "bad" in part and "fine" not in part, part
    print("suite.py: self-test passed")
    return 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", action="append", default=[], metavar="DIR")
    parser.add_argument("--e2e", action="append", nargs="?", const="tests/e2e", default=[], metavar="FOLDER")
    parser.add_argument("--check", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--fuzz", metavar="DIR")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--filter", default="", metavar="TEXT")
    parser.add_argument("--add-up", metavar="FOLDER")
    parser.add_argument("--self-test", action="store_true")
    return parser.parse_args()


def main():
    arguments = parse()
    if arguments.self_test:
        return self_test()
    if arguments.add_up:
        return add_up(arguments.add_up)
    signal.signal(signal.SIGINT, stop_everything)
    signal.signal(signal.SIGTERM, stop_everything)
    tally, text = Tally(), arguments.filter
    for check in arguments.check:
        name, _, command = check.partition("=")
        run_check(name, shlex.split(command), text, tally)
    jobs = []
    for directory in arguments.units:
        jobs += units(directory, text, tally) + replays(directory, text, tally)
    for folder in arguments.e2e:
        jobs += end_to_end(folder, text, tally)
    if arguments.fuzz:
        jobs += fuzzers(arguments.fuzz, arguments.seconds, text, tally)
    run_together(jobs)
    if text and not tally.total():
        print(f'No test, test binary or check has "{text}" in its name.', file=sys.stderr)
        return 2
    if os.environ.get("VESTIGE_RESULTS"):
        file = pathlib.Path(os.environ["VESTIGE_RESULTS"]) / f"{time.time_ns()}.json"
        file.write_text(json.dumps({"passed": tally.passed, "failed": tally.failed, "skipped": tally.skipped}))
    return summary(tally)


if __name__ == "__main__":
    sys.exit(main())
