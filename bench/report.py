#!/usr/bin/env python3
"""Makes the tables of docs/benchmarks.md from the lines of a run.

  bench/report.py FILE             prints them
  bench/report.py FILE DOCUMENT    puts them into the document, in place of what stands between the marks of the trail or of
                                   capture; where only one of the two was measured the other stays
"""
import json
import pathlib
import re
import sys

QUESTIONS = {"target": "a target (sealed: a person), newest 100", "word": "a word that occurs once",
             "hour": "1 hour and action, newest 100", "count": "count of 1 hour and action",
             "facet": "facet over 1 hour"}
STEPS = {"parse": "parse", "hash": "hash", "encrypt": "encrypt", "compress": "compress", "tokenise": "tokenise",
         "write": "write"}
MIB = 1 << 20
BUSY_LOAD = 1.0  # before the run, when nothing of it runs yet


def number(value, digits=0):
    return "" if value is None else f"{value:,.{digits}f}"


def table(head, rows):
    """Markdown whose columns are as wide as they have to be; all but the first to the right."""
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    def line(row):
        return "| " + " | ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                                 for i, (cell, width) in enumerate(zip(row, widths))) + " |"
    rule = "|" + "|".join("-" * (width + 2) if i == 0 else "-" * (width + 1) + ":" for i, width in enumerate(widths)) + "|"
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:])])


class Run:
    """The lines of one run, by what they are about."""

    def __init__(self, lines):
        self.lines = lines

    def all(self, measure, **wanted):
        return [line for line in self.lines
                if line["measure"] == measure and all(line.get(name) == value for name, value in wanted.items())]

    def first(self, measure, **wanted):
        found = self.all(measure, **wanted)
        return found[0] if found else None

    def subjects(self):
        """Stores with their numbers of events, in the order of the run."""
        return [{name: line[name] for name in ("store", "events", "sealed")} for line in self.all("ingest")]

    def vestige(self, sealed):
        """Vestige's runs, the smaller first."""
        found = [each for each in self.subjects() if each["store"] == "Vestige" and each["sealed"] == sealed]
        return sorted(found, key=lambda each: each["events"])


def per_second(line):
    return line["events"] / line["seconds"]


def millions(events):
    return f"{events / 1e6:g} M"


def label(subject):
    return subject["store"] + (", each event sealed" if subject["sealed"] else "") + f", {millions(subject['events'])}"


def head(run):
    machine = run.first("machine")
    text = (f"Measured on {machine['time']} at commit {machine['commit']}: {machine['cores']} cores of {machine['cpu']}, "
            f"{machine['memoryBytes'] / (1 << 30):.0f} GiB of memory, {machine['fileSystem']}, Linux {machine['kernel']}; "
            f"load before {machine['loadBefore']:.1f}")
    end = run.first("end")
    if end:
        text += f", the run took {end['seconds'] / 60:.0f} minutes"
    # At the end the run's own load is in it as well.
    busy = "" if machine["loadBefore"] < BUSY_LOAD else (
        "\n\n**Other work was going on on this machine.** Events a second are too few and times too long; CPU times are up to "
        "twice what they are alone. Compare within a table only.")
    left_out = "".join(f" {line['store']} is left out: {line['why']}." for line in run.all("leftOut"))
    return text + "." + (" With --quick: fewer events." if machine["quick"] else "") + left_out + busy


def ingest(run):
    rows = []
    for subject in run.subjects():
        line, disk = run.first("ingest", **subject), run.first("disk", **subject)
        memory = run.first("memory", **subject)
        rows.append([label(subject), number(per_second(line)), number(line["cpuSeconds"] * 1e6 / line["events"], 1),
                     number(disk["bytes"] / disk["events"]) if disk else "",
                     number(memory["peakBytes"] / MIB) if memory else ""])
    return table(["durable ingest", "events/s", "CPU µs an event", "bytes an event", "memory, MiB"], rows)


def http(run):
    rows = []
    for line in run.all("http"):
        times = line["latency"] or line["service"]
        rows.append([line["load"], number(line["eventsPerSecond"]), number(times["p50ms"], 1), number(times["p90ms"], 1),
                     number(times["p99ms"], 1), number(times["p999ms"], 1), number(times["maxMs"], 1),
                     number(line["busy"]), number(line["serverCpuSeconds"] * 1e6 / line["events"], 1)])
    return table(["Vestige over HTTP", "events/s", "p50, ms", "p90", "p99", "p99.9", "max", "refused", "CPU µs an event"],
                 rows)


def lookups(run):
    subjects = [each for each in run.subjects() if run.all("lookup", **each)]
    rows = []
    for question, words in QUESTIONS.items():
        row = [words]
        for subject in subjects:
            line = run.first("lookup", question=question, **subject)
            more = "> " if line and line.get("unfinished") else ""
            row.append(f"{more}{line['p50ms']:,.2f} / {more}{line['p99ms']:,.2f}" if line else "")
        rows.append(row)
    return table(["p50 / p99 in ms", *map(label, subjects)], rows)


def bare(run):
    rows = [[words, number(line["microseconds"], 2), number(line["wallMicroseconds"], 2), number(line["bytesPerEvent"])]
            for step, words in STEPS.items() if (line := run.first("bare", step=step))]
    return table(["necessary step", "CPU µs an event", "µs by the clock", "bytes it works on"], rows)


def checks(run):
    rows = []
    for sealed in (False, True):
        for subject in run.vestige(sealed):
            verify, new_id = run.first("verify", **subject), run.first("newId", **subject)
            rows.append([label(subject), number(verify["entries"] / verify["cpuSeconds"]) if verify else "",
                         number(verify["entries"] / verify["seconds"]) if verify else "",
                         number(new_id["microseconds"], 2) if new_id else ""])
    return table(["", "verified entries a CPU second", "a second, 2 threads", "new id told, µs"], rows)


def capture_rows(run):
    rows = [[line["who"], number(line["rows"] / line["seconds"]),
             number(line["cpuSeconds"] and line["cpuSeconds"] * 1e6 / line["rows"], 1)] for line in run.all("captureRows")]
    return table(["row changes of PostgreSQL", "rows/s", "CPU µs a row"], rows)


def capture_commands(run):
    rows = [[line["who"], number(line["commands"] / line["seconds"]),
             number(line["cpuSeconds"] and line["cpuSeconds"] * 1e6 / line["commands"], 1)] for line in run.all("captureCommands")]
    return table(["commands of Kafka", "commands/s", "CPU µs a command"], rows)


def capture_lag(run):
    rows = [[f"{number(line['rowsPerSecond'])} rows/s for {line['seconds']} s", number(line["p50ms"], 1), number(line["p90ms"], 1),
             number(line["p99ms"], 1), number(line["maxMs"], 1)] for line in run.all("captureLag")]
    return table(["from commit to a reader of the trail, ms", "p50", "p90", "p99", "max"], rows)


def capture_transactions(run):
    lines = run.all("captureTransactions")
    alone = lines[0]["tps"]
    rows = [[line["who"], number(line["tps"]), number(100 * line["tps"] / alone, 1), number(min(line["rounds"])),
             number(max(line["rounds"]))] for line in lines]
    return table(["pgbench while its changes are taken by", "transactions/s", "% of alone", "lowest", "highest"], rows)


# ---------------------------------------------------------------------------------------------- targets

def share(run):
    """How much of what an event costs is the necessary; None where either was not measured."""
    steps = [run.first("bare", step=step) for step in STEPS]
    subjects = run.vestige(False)
    if not all(steps) or not subjects:
        return None
    line = run.first("ingest", **subjects[0])
    return 100 * sum(step["microseconds"] for step in steps) / (line["cpuSeconds"] * 1e6 / line["events"])


def ratio(run, prefix, exactly=False):
    """Events a second of Vestige to those of the fastest run of a peer, over the same events."""
    for subject in run.vestige(False):
        peers = [line for line in run.all("ingest", events=subject["events"])
                 if (line["store"] == prefix if exactly else line["store"].startswith(prefix))]
        if peers:
            return per_second(run.first("ingest", **subject)) / max(map(per_second, peers))
    return None


class Targets:
    """What was wanted, and what was reached."""

    def __init__(self):
        self.rows = []

    def add(self, what, value, wanted, least=True, digits=0):
        if value is not None:
            met = value >= wanted if least else value <= wanted
            self.rows.append([what, f"{'≥' if least else '≤'} {wanted:,}", number(value, digits), "yes" if met else "no"])

    def tables(self):
        return [table(["target", "wanted", "reached", "met"], self.rows)] if self.rows else []


def trail_targets(run):
    """Times are those of the largest run."""
    targets = Targets()
    add = targets.add
    clear, sealed = run.vestige(False), run.vestige(True)
    if clear:
        add("events/s in process", per_second(run.first("ingest", **clear[0])), 250_000)
    if sealed:
        add("events/s in process, each sealed", per_second(run.first("ingest", **sealed[0])), 120_000)
    add("share of the necessary in the CPU time, %", share(run), 60)
    add("times SQLite FTS5", ratio(run, "SQLite"), 10, digits=1)
    add("times PostgreSQL 15, one connection", ratio(run, "PostgreSQL 15", exactly=True), 8, digits=1)
    add("times PostgreSQL 15, however many connections", ratio(run, "PostgreSQL"), 8, digits=1)
    loads = run.all("http")
    for line in loads:
        if line["load"] == "batches of 100 on 16 connections":
            add("events/s over HTTP, batches of 100", line["eventsPerSecond"], 100_000)
        if line["load"].startswith("single"):
            add("events/s over HTTP, single events", line["eventsPerSecond"], 20_000)
        if line["latency"]:
            add(f"p99 of a batch at {line['rate']:,} events/s, ms", line["latency"]["p99ms"], 10, least=False, digits=1)
    for question in ("target", "word", "hour"):
        found = [run.first("lookup", question=question, **subject) for subject in clear]
        if not found or not all(found):
            continue
        large = found[-1]
        where = millions(large["events"])
        add(f"{QUESTIONS[question]}, {where}, p50 ms", large["p50ms"], 10, least=False, digits=1)
        add(f"{QUESTIONS[question]}, {where}, p99 ms", large["p99ms"], 100, least=False, digits=1)
        if len(found) > 1:
            add(f"{QUESTIONS[question]}, {where} to {millions(found[0]['events'])}", large["p50ms"] / found[0]["p50ms"], 2,
                least=False, digits=1)
    for subjects, wanted, words in ((clear, 180, ""), (sealed, 320, ", each sealed")):
        if subjects and (disk := run.first("disk", **subjects[-1])):
            add("bytes an event" + words, disk["bytes"] / disk["events"], wanted, least=False)
    if clear:
        large = clear[-1]
        if new_id := run.first("newId", **large):
            add(f"a new id is told, {millions(large['events'])}, µs", new_id["microseconds"], 1, least=False, digits=2)
        if verify := run.first("verify", **large):
            add("entries verified a CPU second", verify["entries"] / verify["cpuSeconds"], 1_000_000)
        if memory := run.first("memory", **large):
            add(f"memory while {millions(large['events'])} come in, MiB", memory["peakBytes"] / MIB, 512, least=False)
    return targets.tables()


def capture_targets(run):
    targets = Targets()
    add = targets.add
    if captured := run.all("captureRows"):
        add("row changes captured a second", captured[0]["rows"] / captured[0]["seconds"], 20_000)
    for line in run.all("captureLag"):
        add(f"capture's lag at {number(line['rowsPerSecond'])} rows/s, p50 ms", line["p50ms"], 100, least=False, digits=1)
        add(f"capture's lag at {number(line['rowsPerSecond'])} rows/s, p99 ms", line["p99ms"], 1_000, least=False, digits=1)
    followed = {line["who"].split(",")[0]: line["tps"] for line in run.all("captureTransactions")}
    if followed:
        add("pgbench with capture, % of pg_recvlogical", 100 * followed["Vestige"] / followed["pg_recvlogical"], 95, digits=1)
    if taken := run.all("captureCommands"):
        add("commands captured a second", taken[0]["commands"] / taken[0]["seconds"], 80_000)
    return targets.tables()


PARTS = {
    "trail": ((("ingest", ingest), ("http", http), ("lookup", lookups), ("bare", bare), ("verify", checks)), trail_targets),
    "capture": ((("captureRows", capture_rows), ("captureLag", capture_lag), ("captureTransactions", capture_transactions),
                 ("captureCommands", capture_commands)), capture_targets)}


def tables(lines):
    """By part, of those that were measured."""
    run = Run(lines)
    found = {}
    for part, (measures, targets) in PARTS.items():
        measured = [make(run) for measure, make in measures if run.all(measure)]
        if measured:
            found[part] = "\n\n".join([head(run), *measured, *targets(run)])
    return found


def put_into(document, parts):
    """Each part's text between its marks."""
    text = document.read_text()
    for part, measured in parts.items():
        begin, end = f"<!-- measured of {part}: -->", f"<!-- :measured of {part} -->"
        text, times = re.subn(rf"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n{measured}\n{end}", text, flags=re.S)
        if times != 1:
            raise SystemExit(f"{document} has no \"{begin}\" with an \"{end}\" behind it, or more than one.")
    document.write_text(text)


def main(arguments):
    if len(arguments) not in (1, 2) or arguments[0] in ("-h", "--help"):
        raise SystemExit(__doc__)
    parts = tables([json.loads(line) for line in pathlib.Path(arguments[0]).read_text().split("\n") if line])
    if len(arguments) == 2:
        put_into(pathlib.Path(arguments[1]), parts)
    else:
        print("\n\n".join(parts.values()))


if __name__ == "__main__":
    main(sys.argv[1:])
