"""Defends: three real databases (Chinook, Northwind, world), captured side by side by one server under changes of every kind and
of all their types, can be built again from the trail alone, row for row: as they are at the end, and as they were at any
position of the log where PostgreSQL itself was asked. What foreign keys, keys that change, truncates with all that hangs on
them, savepoints and tables without a key make of it is in the changes.

The databases come from the test data beside the project; without it the test is skipped."""
import os
import subprocess
import sys

import harness
import postgresql
import type_values
from capture_load import Load, Script, seeded
from capture_parts import Source, serve_together
from capture_rebuild import Rebuilt, check_moment, quoted, quoted_name, take_moment

sys.path.insert(0, str(harness.ROOT / "tools"))
import postgres_cluster  # noqa: E402

SCALE = float(os.environ.get("VESTIGE_TEST_SCALE", "1"))
TRANSACTIONS = max(60, round(250 * SCALE))  # of each database, while it is captured
MOMENTS = max(2, round(3 * SCALE))          # of each database, beside the end
APART_MIN = 20                              # transactions between two of them: not all are rolled back
FILES = {"chinook": "chinook-postgresql.sql.zst", "northwind": "northwind.sql.zst", "world": "world.sql.zst"}
# One real table loses its key, so that there is one without.
KEYLESS = "public.countrylanguage"
KEYLESS_CHANGES = {"bpchar": "CASE WHEN {0} = 'AAA' THEN 'BBB' ELSE 'AAA' END", "text": "{0} || 'x'", "bool": "NOT {0}",
                   "float4": "0.5 - {0}"}
TEXT_CHARACTERS_MAX = 200


def load(context, cluster, database):
    """The script as it is published, but for the two things in it that depend on where it is run."""
    done = subprocess.run(["zstd", "-dcq", context.shared_data(f"tables/{FILES[database]}")], capture_output=True, check=True)
    script = done.stdout.decode("latin-1" if database == "world" else "utf-8")
    if database != "chinook":  # whose script makes its database
        cluster.create_database(database)
    cluster.psql(script.replace("'LATIN1'", "'UTF8'"), "postgres" if database == "chinook" else database)
    if database == "world":
        cluster.psql(f"ALTER TABLE {KEYLESS} DROP CONSTRAINT countrylanguage_pkey", database)


def definitions_of(cluster, database):
    done = subprocess.run(
        cluster.as_server([postgres_cluster.BINARIES / "pg_dump", "--schema-only", "-h", cluster.socket, "-p", str(cluster.port),
                           "-U", postgres_cluster.USER, database]), capture_output=True, check=True, cwd="/")
    return done.stdout.decode()


class Column:
    def __init__(self, name, kind, length, nullable, checked):
        self.name, self.kind, self.length, self.nullable, self.checked = quoted_name(name), kind, length, nullable, checked

    def literal(self, rng):
        if self.nullable and rng.random() < 0.15:
            return "NULL"
        if self.kind in ("varchar", "bpchar", "text"):
            return quoted(type_values.text(rng)[:self.length if self.length > 0 else TEXT_CHARACTERS_MAX])
        if self.kind == "numeric":
            return f"{rng.randint(-10**9, 10**9) / 100:.2f}"
        if self.kind == "bytea" and rng.random() < 0.2:
            return quoted("\\x" + rng.randbytes(rng.randrange(20000)).hex())  # kept out of line
        return quoted(type_values.MAKERS[self.kind](rng))


def columns_of(psql, table):
    return [Column(name, kind, int(length), nullable == "t", checked == "t") for name, kind, length, nullable, checked in psql(f"""
      SELECT attname, typname, atttypmod - 4, NOT attnotnull, EXISTS(
          SELECT FROM pg_constraint WHERE conrelid = attrelid AND contype = 'c' AND attnum = ANY(conkey))
        FROM pg_attribute JOIN pg_type t ON t.oid = atttypid
        WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum""")]


class Table:
    """`first` is how many rows it had; a copy of them in the schema `first` brings back what was truncated."""

    def __init__(self, psql, name):
        self.name, self.copy = name, name.replace("public.", "first.")
        self.columns = columns_of(psql, name)
        self.key = [quoted_name(column) for column, in psql(f"""SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid
          AND attnum = ANY(indkey) WHERE indrelid = '{name}'::regclass AND indisprimary""")]
        psql(f"CREATE SCHEMA IF NOT EXISTS first; CREATE TABLE {self.copy} AS TABLE {name}")
        self.first = int(psql(f"SELECT count(*) FROM {self.copy}")[0][0])


class AnyTables(Script):
    """Changes of tables of which it knows what the catalogue says."""

    def __init__(self, number, randomly, tables):
        super().__init__(number, randomly)
        self.tables = tables

    def settings(self):
        """Half of the transactions are stopped by foreign keys, the other half makes what these would not let through."""
        return ["SET LOCAL session_replication_role = replica;"] if self.random.random() < 0.5 else []

    def change(self):
        table, pick = self.random.choice(self.tables), self.random.random()
        if pick < 0.02:
            return f"TRUNCATE {table.name} CASCADE; {self.bring_back(table, 1000)}"
        changes = [self.insert, self.bring_back, self.update, self.update, self.delete]
        return self.random.choice([*changes, self.change_key] if table.key else changes)(table)

    def some(self, table):
        """A place among the rows that a table had at first."""
        return f"OFFSET {self.random.randrange(max(1, table.first))} LIMIT {self.random.choice([1, 1, 2, 10])}"

    def where(self, table):
        return f"ctid = ANY(ARRAY(SELECT ctid FROM {table.name} {self.some(table)}))"

    def bring_back(self, table, rows=20):
        place = self.random.randrange(max(1, table.first - rows))
        return f"INSERT INTO {table.name} SELECT * FROM {table.copy} OFFSET {place} LIMIT {rows} ON CONFLICT DO NOTHING;"

    def insert(self, table):
        """Rows like those of the beginning, with other keys and some other values."""
        values = [column.literal(self.random) if column.name in table.key or not table.first or
                  (self.random.random() < 0.4 and not column.checked) else column.name for column in table.columns]
        names = ", ".join(column.name for column in table.columns)
        rows = f" FROM {table.copy} {self.some(table)}" if table.first else ""
        return f"INSERT INTO {table.name} ({names}) SELECT {', '.join(values)}{rows} ON CONFLICT DO NOTHING;"

    def update(self, table):
        """Without a key the trail tells which row it was only where all its values change."""
        if not table.key:
            sets = [f"{column.name} = {KEYLESS_CHANGES[column.kind].format(column.name)}" for column in table.columns]
        else:
            free = [column for column in table.columns if column.name not in table.key and not column.checked]
            chosen = self.random.sample(free, self.random.randint(1, len(free))) if free else []
            sets = [f"{column.name} = {column.literal(self.random)}" for column in chosen] or [f"{table.key[0]} = {table.key[0]}"]
        return f"UPDATE {table.name} SET {', '.join(sets)} WHERE {self.where(table)};"

    def change_key(self, table):
        sets = ", ".join(f"{column.name} = {column.literal(self.random)}" for column in table.columns if column.name in table.key)
        return f"UPDATE {table.name} SET {sets} WHERE ctid = (SELECT ctid FROM {table.name} {self.some(table)[:-2]} 1);"

    def delete(self, table):
        return f"DELETE FROM {table.name} WHERE {self.where(table)};"


class Captured:
    """One of the databases, its source and its load."""

    def __init__(self, context, cluster, database):
        load(context, cluster, database)
        self.psql = lambda sql: cluster.psql(sql, database)
        names = [name for name, in self.psql("SELECT 'public.' || tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")]
        self.rebuilt = Rebuilt(cluster, f"{database}_rebuilt", definitions_of(cluster, database))
        self.psql("".join(f"ALTER TABLE {name} REPLICA IDENTITY FULL; " for name in names))
        self.tables = [Table(self.psql, name) for name in names]
        self.source = Source(context, cluster, database, names, name=database, alone=False)
        self.moments, self.names = [], names
        self.load = lambda randomly: Load(cluster, database, lambda number, rng: AnyTables(number, rng, self.tables), randomly, 2)

    def check(self):
        """The events are what happened, and amount to what was there at each moment."""
        events = self.source.check()
        tables = self.source.witnesses.tables
        rows = [check_moment(self.rebuilt, tables, events, moment) for moment in self.moments]
        # It moved between the moments, and every type of it was written.
        assert all(before.rows != after.rows for before, after in zip(self.moments, self.moments[1:])), self.source.name
        written = {(event["targetType"], element["field"]) for event in events if event["action"] == "UPDATED"
                   for element in event.get("changes", ())}
        kinds = {column.kind for table in self.tables for column in table.columns}
        changed = {column.kind for table in self.tables for column in table.columns if (table.name, column.name.strip('"')) in written}
        assert changed == kinds, kinds - changed
        actions = {event["action"] for event in events}
        assert actions == {"SNAPSHOT", "CREATED", "UPDATED", "DELETED", "TRUNCATED"}, actions
        print(f"{self.source.name}: {len(events)} events, {rows} rows at {len(rows)} moments")


def test_three_databases_are_built_again_from_the_trail(context):
    randomly = seeded()
    cluster = postgresql.Cluster(context)
    captured = [Captured(context, cluster, database) for database in FILES]
    server = serve_together(context, [each.source for each in captured])
    loads = [each.load(randomly) for each in captured]
    with loads[0], loads[1], loads[2]:
        server.start()  # the rows that are there are read while they change
        for each in captured:
            each.source.catch_up()
        for number in range(MOMENTS):
            for each, load_of_it in zip(captured, loads):
                load_of_it.wait_for(load_of_it.done() + randomly.randint(APART_MIN, TRANSACTIONS // MOMENTS))
                each.moments.append(take_moment(each.psql, each.names))
            if number == 0:
                server.kill()
                server.start()
        for load_of_it in loads:
            load_of_it.wait_for(load_of_it.done() + APART_MIN)
    for each in captured:
        each.moments.append(take_moment(each.psql, each.names))
        each.check()
