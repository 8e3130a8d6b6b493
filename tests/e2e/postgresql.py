"""A PostgreSQL of a test's own, as a source of captured changes: wal_level is logical, it may be stopped, killed and started
again, and it is gone after the test. Asked through psql."""
import csv
import io
import pathlib
import shutil
import sys
import tempfile

import harness

sys.path.insert(0, str(harness.ROOT / "tools"))
import postgres_cluster  # noqa: E402

Failed = postgres_cluster.Failed
NULL = "\x01null"  # how psql writes it here; nothing that a test stores is that
# fsync stays on: a test that kills PostgreSQL has to find what was acknowledged. WAL files are small and few, so that what a
# slot keeps is kept by that slot and not by habit.
SETTINGS = {"listen_addresses": "", "wal_level": "logical", "max_connections": "40", "shared_buffers": "32MB",
            "max_wal_size": "128MB", "fsync": "on", "synchronous_commit": "on", "logging_collector": "off"}


class Cluster(postgres_cluster.Cluster):
    def __init__(self, context, **settings):
        reason = postgres_cluster.missing()
        if reason:
            context.skip(f"needs PostgreSQL: {reason}")
        # Of its own, and not in the test's folder: its user has to reach it, and the name has to be short.
        folder = pathlib.Path(tempfile.mkdtemp(prefix="vestige-pg-"))
        super().__init__(folder, folder, {**SETTINGS, **settings}, harness.free_port())
        self.context = context
        context.at_end(self.end)
        if not self.create():
            context.skip(f"the user {postgres_cluster.USER} cannot reach {folder}")
        self.start()

    def end(self):
        self.stop()
        if self.log.exists():
            shutil.copy(self.log, self.context.folder / f"{self.folder.name}.log")
        shutil.rmtree(self.folder, ignore_errors=True)

    def restart(self):
        self.stop()
        return self.start()

    def psql(self, sql, database="postgres"):
        """The rows of the last statement that has some: lists of texts, None for null."""
        done = self.run(sql, "--csv", "-P", f"null={NULL}", database=database)
        if done.returncode != 0:
            raise Failed(f"{sql[:500]}\n{done.stderr.strip()[-1000:]}")
        csv.field_size_limit(sys.maxsize)
        return [[None if field == NULL else field for field in row] for row in csv.reader(io.StringIO(done.stdout, newline=""))]

    def value(self, sql, database="postgres"):
        """The one value of the one row."""
        (row,) = self.psql(sql, database)
        (value,) = row
        return value

    def file(self, path, database="postgres"):
        """Runs a script with psql, as somebody would who has it open in an editor."""
        return self.psql(pathlib.Path(path).read_text(), database)

    def create_database(self, name):
        self.psql(f'CREATE DATABASE "{name}"')

    def dsn(self, database="postgres"):
        return f"host={self.socket} port={self.port} dbname={database} user={postgres_cluster.USER}"
