"""Rounds of chaos: a server and what it captures from are killed and stopped at random moments under random load, one or all at
once, while they start too; afterwards the trail has to be, to the byte, what witnesses of the changes noted.

A round has parts (chaos_parts.py), one for each kind of source: what the part captures from is a victim beside the server,
writes under a load of its own, and has a witness that knows nothing of the server. One server captures from all parts of a round.
Tests run some rounds, test_capture_chaos.py with PostgreSQL and tests/kafka/test_chaos.py with Kafka beside it; `./dev chaos` runs
many:

  tests/e2e/chaos.py [--without-kafka] [ROUNDS] [SEED]    50 rounds; without SEED the log goes into docs/chaos.md

Kafka is left out where it cannot be had. A round is repeated with `./dev chaos 1 SEED`, as far as the moments of a real machine
can be: what is done is the same, when it meets what is not. With Kafka and without it a seed makes two rounds."""
import argparse
import collections
import contextlib
import datetime
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback

import harness
import run
import verifiers
from capture_parts import serve_together
from chaos_parts import Contacted, Vestige

sys.path.insert(0, str(harness.ROOT / "bench"))
import machine  # noqa: E402
import report  # noqa: E402

DOCUMENT = harness.ROOT / "docs" / "chaos.md"
ROUNDS = 50
SOON_SECONDS_MAX = (0.05, 0.4)  # before a strike: in the middle of a start, and soon after it
TRANSACTIONS_AT_LAST = 30       # of each part, when nobody is killed any more
KAFKA = harness.ROOT / "tests" / "kafka"
OF_POSTGRESQL = (Contacted,)


class Round:
    """Of each part it takes `source` with its configuration(), whom to strike as `victim`, load(), wait_until_followed() and
    check(); of its class VICTIM, what it COUNTED and its PACE."""

    def __init__(self, context, seed, parts):
        self.random = random.Random(seed)
        self.pace = min((part.PACE for part in parts), key=lambda pace: pace.strikes_max)
        self.parts = [part(context, self.random) for part in parts]
        self.server = serve_together(context, [part.source for part in self.parts])
        self.victims = [Vestige(self.server), *(part.victim for part in self.parts)]
        self.struck = collections.Counter()  # (victim, how) -> times

    def run(self):
        """Of each part the number of what it compared, and the digest."""
        self.server.launch()
        with contextlib.ExitStack() as stack:
            loads = [stack.enter_context(part.load(self.random, self.pace)) for part in self.parts]
            self.strikes(self.random.randint(0, self.pace.strikes_at_first_max))
            for part in self.parts:
                part.wait_until_followed()
            self.strikes(self.random.randint(self.pace.strikes_min, self.pace.strikes_max))
            for load in loads:
                load.wait_for(load.done() + TRANSACTIONS_AT_LAST)
        found = [part.check() for part in self.parts]
        assert self.server.stop() == 0
        left = [file.name for file in self.server.data.glob("capture-*.tmp")]
        assert not left, left
        verified = verifiers.vestige_verify(self.server.data)
        assert verified["ok"], verified
        return found

    def strikes(self, count):
        """All is up again after them."""
        for _ in range(count):
            self.pause()
            self.strike()
        for victim in self.victims:
            victim.wait_until_ready()

    def pause(self):
        time.sleep(self.random.uniform(0, self.random.choice((*SOON_SECONDS_MAX, self.pace.catch_up_seconds_max))))

    def strike(self):
        """One of them or several at once; they come back in any order, and are not always waited for before the next time."""
        chosen = self.random.sample(self.victims, self.random.randint(1, len(self.victims)))
        for victim in chosen:
            how = victim.strike(self.random)
            self.struck[victim.name, how] += 1
        self.random.shuffle(chosen)
        for victim in chosen:
            victim.wait_until_gone()
            if self.random.random() < 0.5:
                self.pause()
            victim.come_back()
        if self.random.random() < 0.6:
            for victim in chosen:
                victim.wait_until_ready()


def strikes_of(parts):
    """What may be done to whom, in the order of the log's columns."""
    return [(victim.name, how) for victim in (Vestige, *(part.VICTIM for part in parts)) for how in ("killed", "stopped")]


def columns(parts):
    return ("seed", *(f"{name} {how}" for name, how in strikes_of(parts)),
            *(column for part in parts for column in (part.COUNTED, f"SHA-256 of {part.COUNTED}")), "seconds", "result")


def run_round(folder, seed, parts):
    """A line of the log, and what went wrong: None for nothing. The folder is the caller's."""
    context, began, current, wrong = harness.Context("chaos", folder), time.monotonic(), None, None
    found = [(None, "")] * len(parts)
    try:
        current = Round(context, seed, parts)
        found = current.run()
    except (harness.Skipped, KeyboardInterrupt, SystemExit):
        raise
    except Exception:  # whatever it is, it is this round's result
        wrong = traceback.format_exc()
    finally:
        context.end_all()
    struck = current.struck if current else {}
    line = [seed, *(struck.get(strike, 0) for strike in strikes_of(parts)),
            *(cell for count, digest in found for cell in ("" if count is None else f"{count:,}", digest[:16])),
            f"{time.monotonic() - began:.0f}", "failed" if wrong else "equal"]
    return line, wrong and wrong + context.last_words()


def run_some(context, parts, count, again):
    """For a test: rounds with seeds of their own. `again` is how one of them is repeated, but for its seed."""
    first, lines = int.from_bytes(os.urandom(4), "big"), []
    for seed in range(first, first + count):
        folder = context.folder / str(seed)
        folder.mkdir()
        line, wrong = run_round(folder, seed, parts)
        print(*line)
        assert not wrong, f"{again} {seed} repeats it\n{wrong}"
        lines.append(line)
    # What writes the log after fifty rounds has to work after five.
    log = context.folder / DOCUMENT.name
    shutil.copy(DOCUMENT, log)
    write_log(log, parts, "", lines, datetime.datetime.now(datetime.timezone.utc), 0)
    assert log.read_text().count(" equal |") == count, log.read_text()


# ------------------------------------------------------------------------------------------------- command line

def parts_here(without_kafka):
    """Of which parts a round is here, and why Kafka is not one of them."""
    why_not = "it was not asked for" if without_kafka else run.why_not(KAFKA)
    if why_not:
        return OF_POSTGRESQL, why_not
    sys.path.insert(0, str(KAFKA))
    from commanded import Commanded
    return (*OF_POSTGRESQL, Commanded), ""


def text_of(parts, why_not, lines, now, seconds):
    failed = sum(line[-1] == "failed" for line in lines)
    totals = [sum(int(line[columns(parts).index(part.COUNTED)].replace(",", "") or 0) for line in lines) for part in parts]
    counted = ", ".join(f"{total:,} {part.COUNTED}" for total, part in zip(totals, parts))
    left_out = f" Kafka is left out: {why_not}." if why_not else ""
    return (f"Run on {now:%Y-%m-%d} at commit {machine.commit(harness.ROOT)}: {len(lines)} rounds, {failed} of them failed, "
            f"{counted}, {seconds / 60:.0f} minutes.{left_out}\n\n" + report.table(columns(parts), lines))


def rounds(parts, count, first, lines):
    """Adds a line for each; says it as well."""
    print(" | ".join(columns(parts)), flush=True)
    for seed in range(first, first + count):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="vestige-chaos-"))
        line, wrong = run_round(folder, seed, parts)
        lines.append(line)
        print(" | ".join(map(str, line)), flush=True)
        if wrong:
            print(f"{wrong}\nThe files of this round are kept in {folder}", file=sys.stderr, flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def write_log(document, parts, why_not, lines, now, seconds):
    report.put_into(document, {"chaos": text_of(parts, why_not, lines, now, seconds)})


def main(argv):
    parser = argparse.ArgumentParser(prog="./dev chaos")
    parser.add_argument("rounds", type=int, nargs="?", default=ROUNDS)
    parser.add_argument("seed", type=int, nargs="?")
    parser.add_argument("--without-kafka", action="store_true", help="strike the server and PostgreSQL alone")
    arguments = parser.parse_args(argv)
    # As Ctrl-C: what was started is ended, and the rounds until then are put into the log.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    first = int.from_bytes(os.urandom(4), "big") if arguments.seed is None else arguments.seed
    parts, why_not = parts_here(arguments.without_kafka)
    if why_not:
        print(f"Kafka is left out: {why_not}", flush=True)
    now, began, lines = datetime.datetime.now(datetime.timezone.utc), time.monotonic(), []
    try:
        rounds(parts, arguments.rounds, first, lines)
    except harness.Skipped as skipped:
        raise SystemExit(f"./dev chaos: {skipped}") from skipped
    finally:
        if arguments.seed is None and lines:
            write_log(DOCUMENT, parts, why_not, lines, now, time.monotonic() - began)
    return 1 if any(line[-1] == "failed" for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
