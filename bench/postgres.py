"""PostgreSQL beside Vestige: a cluster of its own in the bench's folder, on a Unix socket, ended with the run.

Everything goes through psql: COPY statements and questions come as text, \\timing says how long each question took.
Nothing of PostgreSQL is linked, so that the benchmarks build where it is not there.
"""
import contextlib
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time

VERSION = 15
BINARIES = pathlib.Path(f"/usr/lib/postgresql/{VERSION}/bin")
USER = "postgres"  # where we are root: PostgreSQL refuses to run as root
READY_SECONDS_MAX = 30
END_SECONDS_MAX = 120
LOOK_AGAIN_SECONDS = 0.1  # while it is loaded, which takes many seconds
# As somebody sets it up who means it: memory in proportion, a write-ahead log that is not the bottleneck. Durability
# is as it comes, and named so that nobody has to know: each commit is on the disk before it is acknowledged.
SETTINGS = {"listen_addresses": "", "shared_buffers": "1GB", "maintenance_work_mem": "256MB", "work_mem": "32MB",
            "max_wal_size": "8GB", "checkpoint_timeout": "15min", "fsync": "on", "synchronous_commit": "on",
            "full_page_writes": "on", "max_connections": "10"}
# The words are those of the values that Vestige searches as text; names of JSON members are none.
TABLE = """
CREATE TABLE event(
  position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id uuid NOT NULL UNIQUE, time timestamptz, kind text, action text, source_type text, source_id text,
  target_type text, target_id text, content text,
  words tsvector GENERATED ALWAYS AS (jsonb_to_tsvector(
    'simple', content::jsonb - '{id,time,kind,action}'::text[], '["string", "numeric"]')) STORED);
CREATE INDEX ON event(time);
CREATE INDEX ON event(action);
CREATE INDEX ON event(source_id);
CREATE INDEX ON event(target_id);
CREATE INDEX ON event USING gin(words);
"""


class Cluster:
    def __init__(self, folder):
        self.folder, self.process = folder, None
        self.user = USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.log = folder / "log"
        # The path of a socket may have some hundred characters, so it does not go into the bench's folder.
        self.socket = pathlib.Path(tempfile.mkdtemp(prefix="vestige-bench-"))

    def as_user(self, line):
        """PostgreSQL's own programs run as somebody who is not root."""
        return ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups", *line] \
            if os.geteuid() == 0 else line

    def start(self):
        """False where its user cannot reach the folder."""
        self.folder.mkdir(parents=True)
        if os.geteuid() == 0:
            for folder in (self.folder, self.socket):
                shutil.chown(folder, self.user, self.user)
        if subprocess.run(self.as_user(["test", "-w", self.folder]), check=False, cwd="/").returncode != 0:
            return False
        data = self.folder / "cluster"
        subprocess.run(self.as_user([BINARIES / "initdb", "-D", data, "-U", self.user, "-A", "peer", "-E", "UTF8",
                                     "--locale=C"]), check=True, capture_output=True, cwd="/")
        settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self.as_user([BINARIES / "postgres", "-D", data, "-k", self.socket, *settings]),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        deadline = time.monotonic() + READY_SECONDS_MAX
        while self.psql("SELECT 1", check=False).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"bench: PostgreSQL did not start:\n{self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        return True

    def psql_line(self):
        return self.as_user([BINARIES / "psql", "-h", self.socket, "-U", self.user, "-d", "postgres", "-q", "-X", "-A", "-t",
                             "-v", "ON_ERROR_STOP=1"])

    def psql(self, text, check=True):
        done = subprocess.run(self.psql_line(), input=text, capture_output=True, text=True, check=False, cwd="/")
        if check and done.returncode != 0:
            raise SystemExit(f"bench: psql: {done.stderr.strip()[-500:]}")
        return done

    def stop(self):
        """By its process id; SIGINT is PostgreSQL's fast shutdown."""
        shutil.rmtree(self.socket, ignore_errors=True)
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def processes(self):
        """The postmaster and its children."""
        found = [self.process.pid]
        with contextlib.suppress(OSError):
            text = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
            found += [int(pid) for pid in text.split()]
        return found

    def cpu_seconds(self):
        """Of all processes of the cluster, also of those that ended."""
        ticks = 0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                ticks += sum(int(field) for field in fields[11:15 if pid == self.process.pid else 13])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_bytes(self):
        """What they have together; what they share counts once."""
        total = 0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += int(re.search(r"^Pss: +(\d+) kB", text, re.M)[1]) << 10
        return total


def missing():
    for program in ("initdb", "postgres", "psql"):
        if not (BINARIES / program).exists():
            return f"{BINARIES / program} is not there (Debian's package postgresql-{VERSION})"
    if os.geteuid() != 0:
        return None
    if USER not in {entry.pw_name for entry in pwd.getpwall()}:
        return f"it does not run as root, and there is no user {USER}"
    if shutil.which("setpriv") is None:
        return "setpriv is not there, without which root cannot start it as somebody else"
    return None


def load(cluster, events_program, events, loaders):
    """COPY over so many connections. Each gets its share from a program that makes the events. Gives the most memory that
    the cluster had meanwhile."""
    pairs = []
    for part in range(loaders):
        maker = subprocess.Popen([events_program, "copy", "--events", str(events), "--part", str(part), "--parts",
                                  str(loaders)], stdout=subprocess.PIPE)
        taker = subprocess.Popen(cluster.psql_line(), stdin=maker.stdout, stdout=subprocess.DEVNULL, cwd="/")
        maker.stdout.close()
        pairs += [maker, taker]
    peak = 0
    while any([process.poll() is None for process in pairs]):
        peak = max(peak, cluster.memory_bytes())
        time.sleep(LOOK_AGAIN_SECONDS)
    if any(process.returncode for process in pairs):
        raise SystemExit("bench: loading PostgreSQL failed; the lines above say why")
    return peak


def ask(cluster, events_program, events, subject, add):
    text = subprocess.run([events_program, "questions", "--events", str(events)], stdout=subprocess.PIPE, text=True,
                          check=True).stdout
    answer = cluster.psql("\\timing on\n\\o /dev/null\n" + text).stdout
    times = {}
    for ms, question, rows in re.findall(r"^Time: ([\d.]+) ms.*\nRows: (\w+) (\d+)$", answer, re.M):
        times.setdefault(question, []).append((float(ms), int(rows)))
    for question, found in times.items():
        ms = sorted(each[0] for each in found)
        add({"measure": "lookup", **subject, "question": question, "asked": len(ms), "p50ms": ms[len(ms) // 2],
             "p99ms": ms[min(len(ms) - 1, len(ms) * 99 // 100)], "rows": sum(each[1] for each in found) / len(found)})


def measure(folder, events_program, events, loaders, add):
    """Gives why not where PostgreSQL is not there."""
    why = missing()
    if why:
        return why
    cluster = Cluster(folder)
    subject = {"store": "PostgreSQL 15" if loaders == 1 else f"PostgreSQL 15, {loaders} connections",
               "events": events, "sealed": False}
    try:
        if not cluster.start():
            return f"the user {cluster.user} may not enter {folder}; choose another with --directory"
        cluster.psql(TABLE)
        cpu, wall = cluster.cpu_seconds(), time.monotonic()
        peak = load(cluster, events_program, events, loaders)
        seconds = time.monotonic() - wall
        add({"measure": "ingest", **subject, "seconds": seconds, "cpuSeconds": cluster.cpu_seconds() - cpu})
        add({"measure": "memory", **subject, "peakBytes": peak})
        if loaders == 1:
            cluster.psql("VACUUM ANALYZE event; CHECKPOINT;")
            size = cluster.psql("SELECT pg_total_relation_size('event')").stdout.strip()
            add({"measure": "disk", **subject, "bytes": int(size)})
            ask(cluster, events_program, events, subject, add)
    finally:
        cluster.stop()
    return None
