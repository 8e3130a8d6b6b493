"""Whom a round of chaos (chaos.py) strikes, and the part of PostgreSQL: the database whose changes a server captures."""
import collections
import contextlib
import os
import signal
import subprocess
import time

import postgresql
from capture_load import Contacts, Large, Load
from capture_parts import cluster_with_contacts, contacts_source, line_of, same_lines

SNAPSHOT_SECONDS_MAX = 120
# PostgreSQL 15 that is told to stop just when it begins anew, since one of its processes was killed, may do neither. Whoever waits
# for it loses patience.
STOP_SECONDS_MAX = 10
ROWS_AT_FIRST_MAX = 6000
# How commits wait for the disk: as they do by default, or not, so that a crash takes some back that others have seen.
COMMITS = ({}, {}, {"synchronous_commit": "off", "wal_writer_delay": "1s"})

# How often a round strikes, first while what is there is read, then again; how long it waits at most before a strike that is to meet a
# server which has caught up; writers between two transactions, and which share of those of one of them is large. A round keeps the pace
# of its slowest part: what was written has to be compared, too.
Pace = collections.namedtuple("Pace", "strikes_at_first_max strikes_min strikes_max catch_up_seconds_max write_seconds_max large")


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

    VICTIM, COUNTED = PostgreSQL, "changes"
    PACE = Pace(strikes_at_first_max=3, strikes_min=3, strikes_max=7, catch_up_seconds_max=1.2, write_seconds_max=0.01, large=1.0)

    def __init__(self, context, randomly):
        self.cluster = cluster_with_contacts(context, logical_decoding_work_mem="64kB", **randomly.choice(COMMITS))
        self.cluster.psql("INSERT INTO contacts (name, phone, language_id, organization_id) SELECT 'first', '7' || lpad(g::text, 9, '0'), "
                          f"1, 7 FROM generate_series(1, {randomly.randrange(1, ROWS_AT_FIRST_MAX)}) g", "contacts")
        self.source = contacts_source(context, self.cluster, alone=False)
        self.victim = PostgreSQL(self.cluster)

    def load(self, randomly, pace):
        """While it is entered, changes are made."""
        def script(number, randomly):
            return Contacts(number, randomly) if number else Large(number, randomly, pace.large)
        return Load(self.cluster, "contacts", script, randomly, pause_seconds_max=pace.write_seconds_max)

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
        digest = same_lines(noted, [line_of(event) for event in events if event["action"] != "SNAPSHOT"])
        self.source.check_events(events)
        self.source.check_covered()
        return len(noted), digest
