"""PostgreSQL beside Vestige: a cluster of its own in the bench's folder, on a Unix socket, ended with the run.

Everything goes through psql: COPY statements and questions come as text, \\timing says how long each question took.
Nothing of PostgreSQL is linked, so that the benchmarks build where it is not there.
"""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import postgres_cluster  # noqa: E402

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


class Cluster(postgres_cluster.Cluster):
    """One that tells what it costs."""

    def psql(self, text):
        done = self.run(text)
        if done.returncode != 0:
            raise postgres_cluster.Failed(f"psql: {done.stderr.strip()[-500:]}")
        return done.stdout

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


def load(cluster, events_program, events, loaders):
    """COPY over so many connections. Each gets its share from a program that makes the events. Gives the most memory that
    the cluster had meanwhile."""
    pairs = []
    for part in range(loaders):
        maker = subprocess.Popen([events_program, "copy", "--events", str(events), "--part", str(part), "--parts",
                                  str(loaders)], stdout=subprocess.PIPE)
        taker = subprocess.Popen(cluster.line(), stdin=maker.stdout, stdout=subprocess.DEVNULL, cwd="/")
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
    answer = cluster.psql("\\timing on\n\\o /dev/null\n" + text)
    times = {}
    for ms, question, rows in re.findall(r"^Time: ([\d.]+) ms.*\nRows: (\w+) (\d+)$", answer, re.M):
        times.setdefault(question, []).append((float(ms), int(rows)))
    for question, found in times.items():
        ms = sorted(each[0] for each in found)
        add({"measure": "lookup", **subject, "question": question, "asked": len(ms), "p50ms": ms[len(ms) // 2],
             "p99ms": ms[min(len(ms) - 1, len(ms) * 99 // 100)], "rows": sum(each[1] for each in found) / len(found)})


def measure(folder, events_program, events, loaders, add):
    """Gives why not where PostgreSQL is not there."""
    why = postgres_cluster.missing()
    if why:
        return why
    socket = tempfile.mkdtemp(prefix="vestige-bench-")
    cluster = Cluster(folder, socket, SETTINGS)
    subject = {"store": "PostgreSQL 15" if loaders == 1 else f"PostgreSQL 15, {loaders} connections",
               "events": events, "sealed": False}
    try:
        if not cluster.create():
            return f"the user {postgres_cluster.USER} may not enter {folder}; choose another with --directory"
        cluster.start()
        cluster.psql(TABLE)
        cpu, wall = cluster.cpu_seconds(), time.monotonic()
        peak = load(cluster, events_program, events, loaders)
        seconds = time.monotonic() - wall
        add({"measure": "ingest", **subject, "seconds": seconds, "cpuSeconds": cluster.cpu_seconds() - cpu})
        add({"measure": "memory", **subject, "peakBytes": peak})
        if loaders == 1:
            cluster.psql("VACUUM ANALYZE event; CHECKPOINT;")
            size = cluster.psql("SELECT pg_total_relation_size('event')").strip()
            add({"measure": "disk", **subject, "bytes": int(size)})
            ask(cluster, events_program, events, subject, add)
    except postgres_cluster.Failed as error:
        raise SystemExit(f"bench: {error}") from error
    finally:
        cluster.stop()
        shutil.rmtree(socket, ignore_errors=True)
    return None
