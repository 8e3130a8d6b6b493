"""What the trail tells about a database, put back into PostgreSQL and compared with it row for row.

A moment is what PostgreSQL itself holds at one position of its log: all writers are held while it is taken, so that what
committed before that position is in it and nothing else is. The trail up to the same position has to amount to the same
rows. Each row is compared as the text that PostgreSQL writes of it."""
import collections
import json
import time

from capture_parts import DIGEST_OVER_BYTES, fold_all, lsn_number
from postgresql import Failed

ROWS_SHOWN = 3
HOLD_SECONDS_MAX = 60
LONG = "a row with a value of which the trail has the digest"


class Moment:
    def __init__(self, lsn, rows):
        self.lsn, self.rows = lsn, rows  # rows: by table the texts of its rows, sorted


def take_moment(psql, tables):
    """Writers that have begun are waited for, and then wait. Where one and we wait for each other it is we who give up, and try it
    again. Locks come first, since the snapshot is taken with what is asked first."""
    deadline = time.monotonic() + HOLD_SECONDS_MAX
    while True:
        try:
            (_, lsn), *rows = psql(f"SET lock_timeout = '500ms'; BEGIN ISOLATION LEVEL REPEATABLE READ; "
                                   f"LOCK TABLE {', '.join(tables)} IN SHARE MODE; SELECT 'lsn', pg_current_wal_insert_lsn(); "
                                   f"{rows_of(tables)}; COMMIT")
            return Moment(lsn_number(lsn), by_table(tables, rows))
        except Failed as failed:
            if "lock timeout" not in str(failed) or time.monotonic() > deadline:
                raise


def by_table(tables, rows):
    found = {table: [] for table in tables}
    for table, text in rows:
        found[table].append(text)
    return {table: sorted(texts) for table, texts in found.items()}


def rows_of(tables):
    return "; ".join(f"SELECT '{table}', CASE WHEN octet_length(entry::text) > {DIGEST_OVER_BYTES} THEN '{LONG}' ELSE entry::text END "
                     f"FROM {table} entry" for table in tables)


class Rebuilt:
    """A database with the same definitions, without triggers or anything else of the original's."""

    def __init__(self, cluster, database, definitions):
        self.psql = lambda sql: cluster.psql(sql, database)
        cluster.create_database(database)
        self.psql(definitions)

    def rows(self, tables, state):
        """What its tables hold when they got what fold_all() gives, by the types' own input functions. As in a replica, nothing is
        looked at beyond that."""
        texts = ["BEGIN; SET LOCAL session_replication_role = replica;", f"TRUNCATE {', '.join(tables)};"]
        long = []
        for table, rows in state.items():
            columns = tables[table].columns
            texts.append(f"COPY {table} ({', '.join(map(quoted_name, columns))}) FROM STDIN;")
            for row in rows.values():
                if any(isinstance(value, dict) and set(value) == {"bytes", "sha256"} for value, _ in row.values()):
                    long.append((table, LONG))
                else:
                    texts.append("\t".join(copied(text_of(kind, *row[name])) for name, kind in columns.items()))
            texts.append("\\.")
        return by_table(tables, self.psql("\n".join([*texts, "COMMIT;", rows_of(tables)])) + long)


def check_moment(rebuilt, tables, events, moment):
    """The trail up to that position is what the database held at it. Gives the number of rows."""
    # A commit lies before the position that is read after it; a snapshot is at the one at which it was taken, which may be the same.
    upto = [event for event in events
            if lsn_number(event["context"]["lsn"]) < moment.lsn + (event["action"] == "SNAPSHOT")]
    found = rebuilt.rows(tables, fold_all(upto, tables))
    for table in tables:
        assert found[table] == moment.rows[table], (table, moment.lsn, *differing(moment.rows[table], found[table]))
    return sum(map(len, found.values()))


def differing(rows, found):
    """Some of the rows that are lost, and some that are invented."""
    one, other = collections.Counter(rows), collections.Counter(found)
    return {"lost": list((one - other).elements())[:ROWS_SHOWN], "invented": list((other - one).elements())[:ROWS_SHOWN]}.items()


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def quoted_name(name):
    return '"' + name.replace('"', '""') + '"'


def copied(text):
    """As COPY takes it."""
    if text is None:
        return "\\N"
    for character, escaped in (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        text = text.replace(character, escaped)
    return text


def text_of(kind, value, lossless):
    """What to give PostgreSQL for a value of the trail."""
    if value is None:
        return None
    if kind == "jsonb" and not lossless:
        return json.dumps(value)
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else json.dumps(value)
