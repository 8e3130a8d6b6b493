"""Sessions that change a captured database at random, as many as there are writers, for as long as a test likes. What they do
is made up by a script, of which each writer has one: Contacts for examples/contacts."""
import json
import os
import random
import subprocess
import threading
import time

import harness
from capture_parts import TOOK_BACK

WRITERS = 3
PAUSE_SECONDS_MAX = 0.01  # of a writer, between transactions where nobody says otherwise: they meet in changing order
AGAIN_SECONDS = 0.1       # until a session is tried again that PostgreSQL took down with it
PROGRESS_SECONDS_MAX = 240
DONE = "this transaction is over"


def seeded():
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    return random.Random(seed)


class Session:
    """A psql in which one statement is done after the other, for as long as PostgreSQL is there."""

    def __init__(self, cluster, database):
        self.process = subprocess.Popen([*cluster.line(database), "-v", "ON_ERROR_STOP=0", "-o", "/dev/null"], cwd="/",
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8")

    def do(self, sql):
        """Whether it is done, or refused; false where the session is over."""
        try:
            self.begin(f"{sql}\n\\echo {DONE}")
            return self.process.stdout.readline() != ""
        except OSError:
            return False

    def begin(self, sql):
        """Does not wait for it."""
        self.process.stdin.write(sql + "\n")
        self.process.stdin.flush()

    def end(self):
        try:
            self.process.stdin.close()
        except OSError:
            pass  # it ended first
        self.process.wait(harness.END_SECONDS_MAX)
        self.process.stdout.close()


class Writer(threading.Thread):
    """Does the transactions of its script, one after the other, in a session of its own, until it is told to stop. A session that
    is cut off with its database is begun again. What fails because of another writer (a deadlock, a key that is taken) is a
    rollback like any other."""

    def __init__(self, cluster, database, script, pause_seconds_max):
        super().__init__(daemon=True)
        self.cluster, self.database, self.script, self.pause_seconds_max = cluster, database, script, pause_seconds_max
        self.enough, self.done = threading.Event(), 0

    def run(self):
        while not self.enough.is_set():
            session = Session(self.cluster, self.database)
            while not self.enough.is_set() and session.do(self.script.transaction()):
                self.done += 1
                self.enough.wait(self.script.random.uniform(0, self.pause_seconds_max))
            session.end()
            self.enough.wait(AGAIN_SECONDS)


class Load:
    """Writers that write while the block runs; `scripts` makes one of a number and of a source of randomness. They have ended
    after it."""

    def __init__(self, cluster, database, scripts, randomly, writers=WRITERS, pause_seconds_max=PAUSE_SECONDS_MAX):
        made = [scripts(number, random.Random(randomly.getrandbits(64))) for number in range(writers)]
        self.writers = [Writer(cluster, database, script, pause_seconds_max) for script in made]

    def __enter__(self):
        for writer in self.writers:
            writer.start()
        return self

    def __exit__(self, wrong, *_):
        for writer in self.writers:
            writer.enough.set()
        for writer in self.writers:
            writer.join(harness.END_SECONDS_MAX * 2)
            assert not writer.is_alive(), "a writer does not end"
            assert wrong or writer.done > 0, "a writer did nothing"

    def done(self):
        return sum(writer.done for writer in self.writers)

    def wait_for(self, count):
        """Until so many transactions are over."""
        deadline = time.monotonic() + PROGRESS_SECONDS_MAX
        while self.done() < count:
            assert time.monotonic() < deadline, f"{self.done()} transactions of {count}"
            time.sleep(0.01)


class Script:
    """Transactions at random, of changes that a subclass makes up."""

    def __init__(self, number, randomly):
        self.number, self.random, self.count = number, randomly, 0

    def transaction(self):
        self.count += 1
        pick = self.random
        if pick.random() < 0.2:
            return self.change()  # without BEGIN, as somebody types it
        lines = ["BEGIN;", *self.settings()]
        for _ in range(pick.randint(1, 5)):
            if pick.random() < 0.4:
                lines.append(self.message())
            if pick.random() < 0.2:
                lines += ["SAVEPOINT s;", self.change(), self.message(), pick.choice([f"ROLLBACK TO s; {TOOK_BACK}", "RELEASE s;"])]
            lines.append(self.change())
        lines.append("ROLLBACK;" if pick.random() < 0.15 else "COMMIT;")
        return "\n".join(lines)

    def settings(self):
        """Statements at the beginning of a transaction."""
        return []

    def message(self):
        who = {"actor": {"id": str(self.random.randrange(50)), "type": self.random.choice(["STAFF", "JOB"])},
               "requestId": f"r-{self.number}-{self.count}"}
        text = json.dumps(who) if self.random.random() < 0.9 else "nobody's JSON"
        return "SELECT pg_logical_emit_message(true, 'vestige', '{}');".format(text.replace("'", "''"))

    def change(self):
        raise NotImplementedError


class Contacts(Script):
    def change(self):
        pick = self.random
        phone, other = f"9{pick.randrange(10**7):07}", pick.randrange(1, 10**6)
        into = "INSERT INTO contacts (name, phone, language_id, organization_id)"
        insert = f"{into} VALUES ('n {other}', '{phone}', {pick.randrange(5)}, 7)"
        some = (f"id IN (SELECT id FROM contacts ORDER BY id DESC OFFSET {pick.randrange(20)} "
                f"LIMIT {pick.choice([1, 1, 1, 3, 20])})")
        return pick.choice([
            insert + ";", insert + ";",
            insert + " ON CONFLICT (phone, organization_id) DO UPDATE SET name = excluded.name;",
            f"{into} SELECT 'many', '8{self.number}' || lpad(({other} + g)::text, 8, '0'), 1, 7 "
            f"FROM generate_series(1, {pick.randrange(1, 30)}) g;",
            f"UPDATE contacts SET name = 'n {other}', updated_at = '2026-01-01 00:00:00' WHERE {some};",
            f"UPDATE contacts SET fields = fields || '{{\"n{pick.randrange(4)}\": {other}}}', status = 'processing' WHERE {some};",
            f"UPDATE contacts SET settings = jsonb_build_object('long', (SELECT string_agg(md5((g + {other})::text), '') "
            f"FROM generate_series(1, 400) g)) WHERE {some};",
            f"UPDATE contacts SET id = id + 10000000 WHERE {some} AND id < 10000000;",
            f"DELETE FROM contacts WHERE {some};",
            f"INSERT INTO contacts_tags SELECT id, 't {pick.randrange(5)}' FROM contacts WHERE {some} ON CONFLICT DO NOTHING;",
            f"DELETE FROM contacts_tags WHERE tag = 't {pick.randrange(5)}';",
            "TRUNCATE contacts_tags;" if pick.random() < 0.2 else "UPDATE contacts_tags SET tag = tag || 'x' WHERE length(tag) < 6;",
        ])


class Large(Contacts):
    """Transactions of hundreds of rows and some megabytes, in many statements, of which some are taken back. Others, where not all are
    to be `large`."""

    def __init__(self, number, randomly, large=1.0):
        super().__init__(number, randomly)
        self.large = large

    def transaction(self):
        if self.random.random() >= self.large:
            return super().transaction()
        self.count += 1
        lines = ["BEGIN;"]
        for step in range(self.random.randint(2, 16)):
            lines.append(f"SAVEPOINT s{step};")
            if self.random.random() < 0.3:
                lines.append(self.message())
            lines.append("INSERT INTO contacts (name, phone, language_id, organization_id, settings) "
                         f"SELECT 'large', '6{self.number}{self.count:06}{step:02}' || lpad(g::text, 4, '0'), 2, 7, "
                         "jsonb_build_object('long', (SELECT string_agg(md5((g * 100 + part)::text), '') "
                         f"FROM generate_series(1, 96) part)) FROM generate_series(1, {self.random.randint(20, 150)}) g;")
            if self.random.random() < 0.2:
                lines.append(f"ROLLBACK TO s{step}; {TOOK_BACK}")
        lines.append(self.change())
        if self.random.random() < 0.5:
            lines.append("DELETE FROM contacts WHERE name = 'large' AND id % 2 = 0;")
        lines.append("ROLLBACK;" if self.random.random() < 0.2 else "COMMIT;")
        return "\n".join(lines)
