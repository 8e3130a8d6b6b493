#!/usr/bin/env python3
"""Vestige, PostgreSQL and SQLite FTS5 over the same events in one run: ingest, look-ups, disk, memory, verifying, and
what the necessary steps cost by themselves; and row changes of PostgreSQL and commands of Kafka, captured and otherwise
taken. Each store runs in a process of its own, one after the other.

Figures go to build/bench/ as JSON lines while they come, and at the end as tables to standard output (Markdown, as
docs/benchmarks.md has them). bench/report.py FILE makes the tables of such a file again.
"""
import argparse
import contextlib
import datetime
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time

import capture
import commands
import machine
import postgres
import report

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "build" / "e2e"
SERVER_READY_SECONDS_MAX = 60
SERVER_END_SECONDS_MAX = 120

# Events: for all stores; for Vestige again, where the size matters; over HTTP in batches and one by one.
FULL = {"peers": 1_000_000, "large": 10_000_000, "batches": 1_500_000, "singles": 150_000,
        "captureTransactions": 5_000, "captureSeconds": 30, "captureRounds": 5, "captureCommands": 1_000_000}
QUICK = {"peers": 100_000, "large": 500_000, "batches": 200_000, "singles": 30_000,
         "captureTransactions": 1_000, "captureSeconds": 10, "captureRounds": 1, "captureCommands": 200_000}


class Bench:
    """One run: where its data goes, and the lines that it found."""

    def __init__(self, directory, results):
        self.directory, self.results, self.lines = directory, results, []

    def add(self, line):
        self.lines.append(line)
        self.results.write(json.dumps(line) + "\n")
        self.results.flush()

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def part(self, title):
        self.say(f"  {title} ...")
        began = time.monotonic()
        folder = self.directory / "data"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            self.say(f"    {time.monotonic() - began:.0f} s")

    def program(self, name, folder, *arguments):
        """Runs a program of bench/ and takes its lines."""
        line = [str(PROGRAMS / name), "--directory", str(folder), *map(str, arguments)]
        with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as child:
            for text in child.stdout:
                self.add(json.loads(text))
        if child.returncode != 0:
            raise SystemExit(f"bench: {name} ended with status {child.returncode}")


def run_stores(bench, sizes, wanted):
    peers = sizes["peers"]
    if "bare" in wanted:
        with bench.part("the necessary steps by themselves") as folder:
            bench.program("bench_bare", folder)
    if "vestige" in wanted:
        for events in (peers, sizes["large"]):
            for sealed in (False, True):
                with bench.part(f"Vestige, {events:,} events{', sealed' if sealed else ''}") as folder:
                    bench.program("bench_vestige", folder, "--events", events, *(["--sealed"] if sealed else []))
    if "sqlite" in wanted:
        with bench.part(f"SQLite FTS5, {peers:,} events") as folder:
            bench.program("bench_sqlite", folder, "--events", peers)
    if "postgres" in wanted:
        for loaders in (1, 2):
            with bench.part(f"PostgreSQL, {peers:,} events by {loaders} connection{'s' if loaders > 1 else ''}") as folder:
                missing = postgres.measure(folder, PROGRAMS / "bench_events", peers, loaders, bench.add)
            if missing:
                bench.say(f"  PostgreSQL is left out: {missing}")
                bench.add({"measure": "leftOut", "store": "PostgreSQL", "why": missing})
                break


def run_capture(bench, sizes):
    for source, what, measure in (("PostgreSQL", "row changes", capture.measure), ("Kafka", "commands", commands.measure)):
        with bench.part(f"{what} captured from {source}") as folder:
            missing = measure(folder, PROGRAMS, sizes, bench.add)
        if missing:
            bench.say(f"  Capture from {source} is left out: {missing}")
            bench.add({"measure": "leftOut", "store": f"Capture from {source}", "why": missing})


# ------------------------------------------------------------------------------------------------- HTTP

def cpu_seconds_of(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_bytes_of(process):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().split("\n"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    return 0


@contextlib.contextmanager
def server(folder):
    """A `vestige serve` on a free port."""
    folder.mkdir(parents=True)
    log = folder / "server.log"
    with open(log, "wb") as output:
        process = subprocess.Popen([str(PROGRAMS / "vestige"), "serve", "--data", str(folder / "data"), "--port", "0"],
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + SERVER_READY_SECONDS_MAX
        while "ready: " not in log.read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"bench: the server did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(SERVER_END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run_http(bench, sizes):
    """Each load on a server of its own. The last is sent on a schedule, at half of what the first one reached."""
    batches = ["--connections", "16", "--batch", "100", "--events", sizes["batches"]]
    reached = 0
    loads = [("batches of 100 on 16 connections", batches),
             ("batches of 100, each sealed for a person", [*batches, "--persons", "10000"]),
             ("single events on 64 connections", ["--connections", "64", "--batch", "1", "--events", sizes["singles"]]),
             ("batches of 100 on a schedule, at half of that speed", batches)]
    for name, arguments in loads:
        scheduled = "schedule" in name
        if scheduled:
            arguments = [*arguments, "--rate", max(1_000, int(reached / 2_000) * 1_000)]
        with bench.part(f"Vestige over HTTP, {name}") as folder, server(folder) as process:
            cpu = cpu_seconds_of(process)
            done = subprocess.run([str(PROGRAMS / "vestige"), "bench", "http", "--yes", "--json", "--data",
                                   str(folder / "data"), *map(str, arguments)], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise SystemExit(f"bench: vestige bench http: {done.stderr.strip()}")
            figures = json.loads(done.stdout)
            if not reached:
                reached = figures["eventsPerSecond"]
            bench.add({"measure": "http", "load": name, "serverCpuSeconds": cpu_seconds_of(process) - cpu,
                       "serverPeakBytes": peak_bytes_of(process), **figures})


# ------------------------------------------------------------------------------------------------- command line

PARTS = ("bare", "vestige", "sqlite", "postgres", "http", "capture")


def parse(argv):
    parser = argparse.ArgumentParser(
        prog="./dev bench", formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__,
        epilog="On two cores the whole takes some 20 minutes, --quick 3; both need a machine with nothing else to do "
               "and\nup to 8 GB of disk (--quick 1 GB) where the data goes, which is removed again. Where other "
               "work\ngoes on the tables say so.\n\n"
               "Examples:\n  ./dev bench --quick\n  ./dev bench --only vestige,http\n"
               "  ./dev bench --only postgres,sqlite --peers 10000000\n"
               "  ./dev bench --document docs/benchmarks.md\n")
    parser.add_argument("--quick", action="store_true", help="fewer events: a first impression")
    parser.add_argument("--only", metavar="PARTS", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--peers", type=int, metavar="N", help="events for all stores (1,000,000; --quick 100,000)")
    parser.add_argument("--large", type=int, metavar="N", help="events for Vestige in a second run (10,000,000; 500,000)")
    parser.add_argument("--directory", type=pathlib.Path, metavar="DIR", default=ROOT / "build" / "bench",
                        help="where data and figures go (build/bench)")
    parser.add_argument("--document", type=pathlib.Path, metavar="FILE",
                        help="put the tables into it, in place of those of the same parts (docs/benchmarks.md)")
    parser.add_argument("--json", action="store_true", help="print the lines instead of the tables")
    arguments = parser.parse_args(argv)
    arguments.only = arguments.only.split(",")
    arguments.directory = arguments.directory.resolve()  # PostgreSQL's programs run elsewhere
    if arguments.document and not arguments.document.is_file():
        parser.error(f"--document: there is no file {arguments.document}")
    for part in arguments.only:
        if part not in PARTS:
            parser.error(f"--only: there is no part \"{part}\"; {', '.join(PARTS)} are")
    return arguments


def main(argv):
    arguments = parse(argv)
    # As Ctrl-C: what was started is ended, and data is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sizes = dict(QUICK if arguments.quick else FULL)
    sizes.update({name: getattr(arguments, name) for name in ("peers", "large") if getattr(arguments, name)})
    arguments.directory.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now(datetime.timezone.utc)
    path = arguments.directory / f"{now:%Y-%m-%dT%H%M%SZ}.jsonl"
    began = time.monotonic()
    with open(path, "w", encoding="utf-8") as results:
        bench = Bench(arguments.directory, results)
        bench.add({"measure": "machine", "time": f"{now:%Y-%m-%d %H:%M} UTC", "quick": arguments.quick,
                   **machine.describe(ROOT, arguments.directory)})
        run_stores(bench, sizes, arguments.only)
        if "http" in arguments.only:
            run_http(bench, sizes)
        if "capture" in arguments.only:
            run_capture(bench, sizes)
        own = resource.getrusage(resource.RUSAGE_CHILDREN)
        bench.add({"measure": "end", "seconds": round(time.monotonic() - began), "loadAtEnd": os.getloadavg()[0],
                   "cpuSeconds": round(own.ru_utime + own.ru_stime)})
    bench.say(f"  Figures: {path}")
    if arguments.document:
        report.put_into(arguments.document, report.tables(bench.lines))
    if arguments.json:
        print("\n".join(json.dumps(line) for line in bench.lines))
    else:
        print("\n\n".join(report.tables(bench.lines).values()))


if __name__ == "__main__":
    main(sys.argv[1:])
