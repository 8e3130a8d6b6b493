"""Rounds of chaos: a server and what it captures from are killed and stopped at random moments under random load, one or all at
once, while they start too; afterwards the trail has to be, to the byte, what witnesses of the changes noted.

A round has parts, one for each kind of source: what the part captures from is a victim beside the server, writes under a load of
its own, and has a witness that knows nothing of the server. test_capture_chaos.py runs some rounds; `./dev chaos` runs many:

  tests/e2e/chaos.py [ROUNDS] [SEED]    50 rounds; without SEED the log goes into docs/chaos.md

A round is repeated with `./dev chaos 1 SEED`, as far as the moments of a real machine can be: what is done is the same, when it
meets what is not."""
import argparse
import collections
import contextlib
import datetime
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import harness
import postgresql
import verifiers
from capture_load import Contacts, Large, Load
from capture_parts import cluster_with_contacts, contacts_source, digest_of, line_of, serve_together

sys.path.insert(0, str(harness.ROOT / "bench"))
import machine  # noqa: E402
import report  # noqa: E402

DOCUMENT = harness.ROOT / "docs" / "chaos.md"
ROUNDS = 50
STRIKES_AT_FIRST_MAX = 3  # while the rows that are there are read
STRIKES_MIN, STRIKES_MAX = 3, 7
TRANSACTIONS_AT_LAST = 30  # of each part, when nobody is killed any more
SNAPSHOT_SECONDS_MAX = 120
# PostgreSQL 15 that is told to stop just when it begins anew, since one of its processes was killed, may do neither. Whoever waits
# for it loses patience.
STOP_SECONDS_MAX = 10
# Before a strike: in the middle of a start, soon after it, and when there was time to catch up.
PAUSES_SECONDS_MAX = (0.05, 0.4, 1.2)
ROWS_AT_FIRST_MAX = 6000
# How commits wait for the disk: as they do by default, or not, so that a crash takes some back that others have seen.
COMMITS = ({}, {}, {"synchronous_commit": "off", "wal_writer_delay": "1s"})
LAST_WORDS_MAX = 4000


class Vestige:
    """The victim in the middle."""

    name = "Vestige"

    def __init__(self, server):
        self.server = server

    def strike(self, randomly):
        """Begins to end it; gives how."""
        assert self.server.running(), f"the server ended by itself with status {self.server.process.returncode}"
        how = randomly.choice(("killed", "killed", "stopped"))
        self.server.process.send_signal(signal.SIGKILL if how == "killed" else signal.SIGTERM)
        return how

    def wait_until_gone(self):
        status = self.server.wait()
        # What is told to stop before it listens to that is ended by the signal itself.
        assert status in (0, -signal.SIGTERM, -signal.SIGKILL), f"the server ended with status {status}"

    def come_back(self):
        self.server.launch()

    def wait_until_ready(self):
        self.server.wait_until_ready()


class PostgreSQL:
    """kill -9 of all of it or of one of its processes, and both ways to stop it in a hurry."""

    name = "PostgreSQL"

    def __init__(self, cluster):
        self.cluster, self.others = cluster, []

    def strike(self, randomly):
        if not self.cluster.running():
            self.cluster.launch()
        how = randomly.choice((signal.SIGKILL, signal.SIGKILL, "one", signal.SIGINT, signal.SIGQUIT))
        children = self.cluster.processes()[1:]
        if how == "one" and children:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself
                os.kill(randomly.choice(children), signal.SIGKILL)
            return "killed"
        number = signal.SIGKILL if how == "one" else how
        self.others = self.cluster.send(number)
        return "killed" if number == signal.SIGKILL else "stopped"

    def wait_until_gone(self):
        if self.others:
            try:
                self.cluster.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.others += self.cluster.send(signal.SIGKILL)
            self.cluster.wait_until_gone(self.others)
            self.others = []

    def come_back(self):
        if not self.cluster.running():
            self.cluster.launch()

    def wait_until_ready(self):
        """Of one process that is killed the others begin anew by themselves, but where it was recovery: then they give up."""
        try:
            self.cluster.wait_until_ready()
        except postgresql.Failed:
            if self.cluster.running():
                raise
            self.cluster.start()


class Contacted:
    """The part of PostgreSQL: examples/contacts, of which there are some thousand rows to be read at the first start. Large
    transactions are sent while they run, in many pieces."""

    def __init__(self, context, randomly):
        self.cluster = cluster_with_contacts(context, logical_decoding_work_mem="64kB", **randomly.choice(COMMITS))
        self.cluster.psql("INSERT INTO contacts (name, phone, language_id, organization_id) SELECT 'first', '7' || lpad(g::text, 9, '0'), "
                          f"1, 7 FROM generate_series(1, {randomly.randrange(1, ROWS_AT_FIRST_MAX)}) g", "contacts")
        self.source = contacts_source(context, self.cluster, alone=False)
        self.victim = PostgreSQL(self.cluster)

    def load(self, randomly):
        """While it is entered, changes are made."""
        return Load(self.cluster, "contacts", lambda number, rng: (Large if number == 0 else Contacts)(number, rng), randomly)

    def wait_until_followed(self):
        """The rows that were there are on record; what comes is a change."""
        deadline = time.monotonic() + SNAPSHOT_SECONDS_MAX
        while not self.source.about_itself("SNAPSHOT_TAKEN"):
            assert time.monotonic() < deadline, "the rows that were there are not on record"
            time.sleep(0.05)

    def check(self):
        """Number and digest of the changes, which are the witness's and the trail's. That they come in order and with who made them,
        and what they amount to, is looked at after that."""
        self.source.catch_up()
        taken = self.source.snapshot_taken()
        noted = self.source.witnesses.lines(taken["snapshot"])
        events = self.source.events()
        recorded = [line_of(event) for event in events if event["action"] != "SNAPSHOT"]
        lost, invented = collections.Counter(noted), collections.Counter(recorded)
        lost, invented = lost - invented, invented - lost
        assert digest_of(recorded) == digest_of(noted), (len(noted), len(recorded), str(list(lost)[:3])[:LAST_WORDS_MAX],
                                                         str(list(invented)[:3])[:LAST_WORDS_MAX])
        self.source.check_events(events)
        self.source.check_covered()
        assert recorded, "there was nothing to lose"
        return len(recorded), digest_of(recorded)


VICTIMS = (Vestige, PostgreSQL)
PARTS = (Contacted,)
COLUMNS = ("seed", *(f"{victim.name} {how}" for victim in VICTIMS for how in ("killed", "stopped")), "changes", "SHA-256 of them",
           "seconds", "result")


class Round:
    """Of each part it takes `source` with its configuration(), whom to strike as `victim`, load(), wait_until_followed() and check()."""

    def __init__(self, context, seed):
        self.random = random.Random(seed)
        self.parts = [part(context, self.random) for part in PARTS]
        self.server = serve_together(context, [part.source for part in self.parts])
        self.victims = [Vestige(self.server), *(part.victim for part in self.parts)]
        self.struck = collections.Counter()  # (victim, how) -> times

    def run(self):
        """Changes, and their digests."""
        self.server.launch()
        with contextlib.ExitStack() as stack:
            loads = [stack.enter_context(part.load(self.random)) for part in self.parts]
            self.strikes(self.random.randint(0, STRIKES_AT_FIRST_MAX))
            for part in self.parts:
                part.wait_until_followed()
            self.strikes(self.random.randint(STRIKES_MIN, STRIKES_MAX))
            for load in loads:
                load.wait_for(load.done() + TRANSACTIONS_AT_LAST)
        found = [part.check() for part in self.parts]
        assert self.server.stop() == 0
        left = [file.name for file in self.server.data.glob("capture-*.tmp")]
        assert not left, left
        verified = verifiers.vestige_verify(self.server.data)
        assert verified["ok"], verified
        return sum(count for count, _ in found), " ".join(digest for _, digest in found)

    def strikes(self, count):
        """All is up again after them."""
        for _ in range(count):
            self.pause()
            self.strike()
        for victim in self.victims:
            victim.wait_until_ready()

    def pause(self):
        time.sleep(self.random.uniform(0, self.random.choice(PAUSES_SECONDS_MAX)))

    def strike(self):
        """One of them or several at once; they come back in any order, and are not always waited for before the next time."""
        chosen = self.random.sample(self.victims, self.random.choice([1, 1, len(self.victims)]))
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


def run_round(folder, seed):
    """A line of the log, and what went wrong: None for nothing. The folder is the caller's."""
    context, began, current, wrong = harness.Context("chaos", folder), time.monotonic(), None, None
    changes, digest = "", ""
    try:
        current = Round(context, seed)
        changes, digest = current.run()
    except (harness.Skipped, KeyboardInterrupt, SystemExit):
        raise
    except Exception:  # whatever it is, it is this round's result
        wrong = traceback.format_exc()
    finally:
        context.end_all()
    struck = current.struck if current else {}
    line = [seed, *(struck.get((victim.name, how), 0) for victim in VICTIMS for how in ("killed", "stopped")),
            changes and f"{changes:,}", digest[:16], f"{time.monotonic() - began:.0f}", "failed" if wrong else "equal"]
    return line, wrong and wrong + context.last_words()


# ------------------------------------------------------------------------------------------------- command line

def text_of(lines, now, seconds):
    failed = sum(line[-1] == "failed" for line in lines)
    total = sum(int(line[COLUMNS.index("changes")].replace(",", "") or 0) for line in lines)
    return (f"Run on {now:%Y-%m-%d} at commit {machine.commit(harness.ROOT)}: {len(lines)} rounds, {failed} of them failed, "
            f"{total:,} changes, {seconds / 60:.0f} minutes.\n\n" + report.table(COLUMNS, lines))


def rounds(count, first, lines):
    """Adds a line for each; says it as well."""
    print(" | ".join(COLUMNS), flush=True)
    for seed in range(first, first + count):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="vestige-chaos-"))
        line, wrong = run_round(folder, seed)
        lines.append(line)
        print(" | ".join(map(str, line)), flush=True)
        if wrong:
            print(f"{wrong}\nThe files of this round are kept in {folder}", file=sys.stderr, flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def main(argv):
    parser = argparse.ArgumentParser(prog="./dev chaos")
    parser.add_argument("rounds", type=int, nargs="?", default=ROUNDS)
    parser.add_argument("seed", type=int, nargs="?")
    arguments = parser.parse_args(argv)
    # As Ctrl-C: what was started is ended, and the rounds until then are put into the log.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    first = int.from_bytes(os.urandom(4), "big") if arguments.seed is None else arguments.seed
    now, began, lines = datetime.datetime.now(datetime.timezone.utc), time.monotonic(), []
    try:
        rounds(arguments.rounds, first, lines)
    except harness.Skipped as skipped:
        raise SystemExit(f"./dev chaos: {skipped}") from skipped
    finally:
        if arguments.seed is None and lines:
            report.put_into(DOCUMENT, text_of(lines, now, time.monotonic() - began))
    return 1 if any(line[-1] == "failed" for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
