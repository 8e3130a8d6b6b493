"""Row changes of PostgreSQL on their way into the trail: how many a second, how late, and what they cost the database, each
beside what else could be done with them: PostgreSQL's own pg_recvlogical that discards them, and an audit table of JSONB
that triggers write.

The database and who drives it have one core, whoever follows it the other, where there are two. Rounds of the
compared follow each other in turn.
"""
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile
import threading
import time

import postgres
from postgres import postgres_cluster

SETTINGS = {"listen_addresses": "", "wal_level": "logical", "shared_buffers": "512MB", "max_wal_size": "8GB",
            "checkpoint_timeout": "15min", "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
            "max_connections": "40"}
DATABASE = "shop"
TABLES = "public.pgbench_accounts,public.pgbench_tellers,public.pgbench_branches,public.pgbench_history,public.beat"
CATCH_UP_SECONDS_MAX = 600
SETTLE_SECONDS = 3
ROWS_A_TRANSACTION = 5
LAG_ROWS_A_SECOND = 5_000
BACKLOG = """
CREATE PROCEDURE change_rows(transactions int) LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..transactions LOOP
    UPDATE pgbench_accounts SET abalance = abalance + i WHERE aid BETWEEN (i % 500) * 200 + 1 AND (i % 500) * 200 + 200;
    COMMIT;
  END LOOP;
END $$;
"""
RATE_SCRIPT = """\\set first random(1, 99995)
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid BETWEEN :first AND :first + 4;
"""
TRIGGERS = """
CREATE TABLE audit_row(
  position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), who text NOT NULL DEFAULT current_user,
  relation text NOT NULL, operation text NOT NULL, old jsonb, new jsonb);
CREATE INDEX ON audit_row(relation, at);
CREATE FUNCTION audit_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO audit_row(relation, operation, old, new) VALUES (TG_RELID::regclass::text, TG_OP,
    CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END, CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END);
  RETURN NULL;
END $$;
"""


def cores():
    """Of the database, and of whoever follows it."""
    available = sorted(os.sched_getaffinity(0))
    return {available[0]}, {available[-1]}


class Source:
    """A database that is filled as pgbench does, with room for one who follows."""

    def __init__(self, folder, programs):
        self.folder, self.programs = folder, programs
        self.socket = tempfile.mkdtemp(prefix="vestige-bench-")
        self.cluster = postgres.Cluster(folder / "source", self.socket, SETTINGS)
        self.database_cores, self.follower_cores = cores()

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        if not self.cluster.create():
            raise SystemExit(f"bench: the user {postgres_cluster.USER} may not enter {self.folder}; choose another with --directory")
        with pinned(self.database_cores):
            self.cluster.start()
        self.cluster.psql(f"CREATE DATABASE {DATABASE}")
        self.pgbench("-i", "-q", "-s", "10")
        self.psql("ALTER TABLE pgbench_history ADD number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;"
                  "CREATE TABLE beat(number bigint PRIMARY KEY);"
                  "ALTER TABLE pgbench_accounts REPLICA IDENTITY FULL;" + BACKLOG)
        return self

    def __exit__(self, *_):
        self.cluster.stop()
        shutil.rmtree(self.socket, ignore_errors=True)

    def psql(self, text):
        done = self.cluster.run(text, database=DATABASE)
        if done.returncode != 0:
            raise SystemExit(f"bench: psql: {done.stderr.strip()[-500:]}")
        return done.stdout.strip()

    def dsn(self):
        return f"host={self.socket} port={self.cluster.port} dbname={DATABASE} user={postgres_cluster.USER}"

    def line(self, program, *arguments):
        return [str(postgres_cluster.BINARIES / program), "-h", self.socket, "-p", str(self.cluster.port),
                "-U", postgres_cluster.USER, *map(str, arguments)]

    def pgbench(self, *arguments):
        with pinned(self.database_cores):
            done = subprocess.run(self.line("pgbench", *arguments, DATABASE), capture_output=True, text=True, check=False,
                                  cwd="/")
        if done.returncode != 0:
            raise SystemExit(f"bench: pgbench: {done.stderr.strip()[-500:]}")
        return done.stdout

    def end_of_log(self):
        return self.psql("SELECT pg_current_wal_lsn()")

    def confirmed(self, slot, lsn):
        return self.psql(f"SELECT confirmed_flush_lsn >= '{lsn}' FROM pg_replication_slots WHERE slot_name = '{slot}'") == "t"

    # ------------------------------------------------------------------------------------ who follows

    @contextlib.contextmanager
    def vestige(self, slot_is_there=False):
        vestige = str(self.programs / "vestige")
        if not slot_is_there:
            self.make_slot()
        data, log = self.folder / "data", self.folder / "server.log"
        configuration = self.folder / "capture.toml"
        configuration.write_text("[[capture.postgres]]\nname = \"shop\"\nsnapshot = false\n"
                                 f"dsn = \"{self.dsn()}\"\ntables = {json.dumps(TABLES.split(','))}\n")
        with open(log, "wb") as output, pinned(self.follower_cores):
            process = subprocess.Popen([vestige, "serve", "--data", str(data), "--port", "0", "--config", str(configuration)],
                                       stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            wait_for(lambda: "ready: " in log.read_text(errors="replace"), "the server did not start")
            yield process
        finally:
            process.terminate()
            process.wait(CATCH_UP_SECONDS_MAX)
            subprocess.run([vestige, "capture", "postgres", "drop", "--dsn", self.dsn(), "--name", "shop"],
                           capture_output=True, check=False)
            shutil.rmtree(data, ignore_errors=True)

    def make_slot(self):
        done = subprocess.run([str(self.programs / "vestige"), "capture", "postgres", "init", "--dsn", self.dsn(), "--name", "shop",
                               "--tables", TABLES], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"bench: vestige capture postgres init: {done.stdout}{done.stderr}")

    @contextlib.contextmanager
    def recvlogical(self, slot_is_there=False):
        """PostgreSQL's own client writes what comes to nowhere."""
        common = self.line("pg_recvlogical", "-d", DATABASE, "-S", "discard")
        if not slot_is_there:
            self.make_discarding_slot()
        with pinned(self.follower_cores):
            process = subprocess.Popen([*common, "--start", "-f", "/dev/null", "-F", "1", "-s", "1", "-o", "proto_version=2",
                                        "-o", "publication_names=discard", "-o", "streaming=on"], cwd="/",
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(CATCH_UP_SECONDS_MAX)
            subprocess.run([*common, "--drop-slot"], cwd="/", capture_output=True, check=False)
            self.psql("DROP PUBLICATION discard")

    def make_discarding_slot(self):
        self.psql(f"CREATE PUBLICATION discard FOR TABLE {TABLES}")
        self.psql("SELECT pg_create_logical_replication_slot('discard', 'pgoutput')")

    @contextlib.contextmanager
    def triggers(self):
        names = TABLES.split(",")
        self.psql(TRIGGERS + "".join(f"CREATE TRIGGER audit_row AFTER INSERT OR UPDATE OR DELETE ON {name} FOR EACH ROW "
                                     "EXECUTE FUNCTION audit_row();" for name in names))
        try:
            yield None
        finally:
            self.psql("".join(f"DROP TRIGGER audit_row ON {name};" for name in names)
                      + "DROP FUNCTION audit_row; DROP TABLE audit_row;")


@contextlib.contextmanager
def pinned(to):
    """What is started meanwhile may run on these cores alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, to)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def wait_for(holds, otherwise):
    deadline = time.monotonic() + CATCH_UP_SECONDS_MAX
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"bench: {otherwise}")
        time.sleep(0.02)


# ------------------------------------------------------------------------------------------------ figures

def backlog(source, add, transactions):
    """Row changes that are there already, 200 a transaction: how fast each takes them."""
    rows = transactions * 200

    def drained(name, slot, prepare, follow, cpu):
        prepare()
        source.psql(f"CALL change_rows({transactions})")
        end = source.end_of_log()
        began = time.monotonic()
        with follow(slot_is_there=True) as process:
            # Its start is in the time, which is long beside it.
            wait_for(lambda: source.confirmed(slot, end), f"{name} did not catch up")
            seconds = time.monotonic() - began
            add({"measure": "captureRows", "who": name, "rows": rows, "seconds": seconds, "cpuSeconds": cpu(process)})

    drained("Vestige, durable and searchable", "vestige_shop", source.make_slot, source.vestige, cpu_seconds_of)
    drained("pg_recvlogical, discarded", "discard", source.make_discarding_slot, source.recvlogical, cpu_seconds_of)
    with source.triggers():
        began = time.monotonic()
        source.psql(f"CALL change_rows({transactions})")
        with_triggers = time.monotonic() - began
    began = time.monotonic()
    source.psql(f"CALL change_rows({transactions})")
    without = time.monotonic() - began
    add({"measure": "captureRows", "who": "audit table by triggers, beside the changes themselves", "rows": rows,
         "seconds": with_triggers - without, "cpuSeconds": None})


def cpu_seconds_of(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def lag(source, add, seconds):
    """At a steady rate: from a commit until a client of the event stream has the change, which is after it is durable."""
    script = source.folder / "rate.sql"
    script.write_text(RATE_SCRIPT)
    with source.vestige():
        late, stop = [], threading.Event()
        listener = threading.Thread(target=listen, args=(source.folder / "data", late, stop))
        listener.start()
        beats = threading.Thread(target=beat, args=(source, stop))
        beats.start()
        output = source.pgbench("-n", "-c", "4", "-T", seconds, "-R", LAG_ROWS_A_SECOND // ROWS_A_TRANSACTION, "-f", script)
        rate = float(re.search(r"^tps = ([\d.]+)", output, re.M)[1]) * ROWS_A_TRANSACTION
        time.sleep(SETTLE_SECONDS)
        stop.set()
        beats.join()
        listener.join()
    late.sort()
    add({"measure": "captureLag", "rowsPerSecond": rate, "seconds": seconds, "samples": len(late),
         **{f"p{part}ms": late[min(len(late) - 1, len(late) * part // 100)] for part in (50, 90, 99)}, "maxMs": late[-1]})


def beat(source, stop):
    """A row every 50 ms, whose way is timed."""
    with subprocess.Popen(source.cluster.line(DATABASE), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd="/") as psql:
        number = 0
        while not stop.wait(0.05):
            number += 1
            psql.stdin.write(f"INSERT INTO beat VALUES ({number});\n")
            psql.stdin.flush()
        psql.stdin.close()


def listen(data, late, stop):
    """Takes the times at which the stream brings beats. The commit's time is cut to milliseconds, so a half is taken off."""
    address = (data / "LOCK").read_text().strip()
    key = (data / "admin.key").read_text().strip()
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=1)
    connection.request("GET", "/api/events/stream", headers={"Authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    while not stop.is_set():
        try:
            line = answer.readline()
        except TimeoutError:
            continue
        if not line.startswith(b"data: ") or b'"public.beat"' not in line:
            continue
        arrived = time.time()
        committed = datetime.datetime.fromisoformat(json.loads(line[6:])["time"].replace("Z", "+00:00")).timestamp()
        late.append((arrived - committed) * 1000 - 0.5)
    connection.close()


def transactions(source, add, rounds, seconds):
    """pgbench's own transactions with whoever follows; nobody, and triggers, for comparison."""
    who = {"nobody": contextlib.nullcontext, "pg_recvlogical, discarded": source.recvlogical,
           "Vestige, durable and searchable": source.vestige, "audit table by triggers": source.triggers}
    found = {name: [] for name in who}
    for _ in range(rounds):
        for name, follow in who.items():
            with follow():
                output = source.pgbench("-n", "-c", "4", "-T", seconds)
                found[name].append(float(re.search(r"^tps = ([\d.]+)", output, re.M)[1]))
    for name, values in found.items():
        add({"measure": "captureTransactions", "who": name, "tps": statistics.median(values), "rounds": values})


def measure(folder, programs, sizes, add):
    """Gives why not where PostgreSQL is not there."""
    why = postgres_cluster.missing()
    if why:
        return why
    with Source(folder, programs) as source:
        backlog(source, add, sizes["captureTransactions"])
        lag(source, add, sizes["captureSeconds"])
        transactions(source, add, sizes["captureRounds"], sizes["captureSeconds"])
    return None
