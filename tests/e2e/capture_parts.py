"""What the tests of captured changes share: what really happened in the database, by two witnesses that have nothing to do
with the server, and the comparison of the trail with that.

Triggers note the operation, the old and the new row of each change, in a table of the same database, so that what is
rolled back is gone there too. A second slot with PostgreSQL's own plugin test_decoding says in which order transactions were
committed, which messages stood in them, and before which rows. They have to agree on what both tell of.
"""
import collections
import hashlib
import json
import re
import time

import harness
import postgresql
from api_parts import canonical

CATCH_UP_SECONDS_MAX = 180
CONTACTS = ["public.contacts", "public.contacts_tags"]
EXAMPLE = harness.ROOT / "examples" / "contacts"
DIGEST_OVER_BYTES = 65536
LAST_WORDS_MAX = 4000
ACTIONS = {"INSERT": "CREATED", "UPDATE": "UPDATED", "DELETE": "DELETED", "TRUNCATE": "TRUNCATED"}
NUMBERS = ("smallint", "integer", "bigint", "real", "double precision", "numeric", "oid")
WITNESSES = """
CREATE SCHEMA witness;
CREATE TABLE witness.change(
  position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
  relation text NOT NULL, operation text NOT NULL, old jsonb, new jsonb);
-- What each column's type writes, in the settings that the trail promises. (A cast to text is something else: it gives an
-- address a mask, and takes the blanks off a char.)
CREATE FUNCTION witness.texts(relation oid, entry record) RETURNS jsonb LANGUAGE plpgsql
  SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'iso_8601' SET extra_float_digits = 3 AS $$
DECLARE query text; result jsonb;
BEGIN
  SELECT format('SELECT jsonb_object(ARRAY[%s]::text[], ARRAY[%s]::text[])', string_agg(quote_literal(attname), ', ' ORDER BY attnum),
      string_agg(format('CASE WHEN num_nulls(($1).%1$I) = 0 THEN format(''%%s'', ($1).%1$I) END', attname), ', ' ORDER BY attnum))
    INTO query FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped;
  EXECUTE query INTO result USING entry;
  RETURN result;
END $$;
CREATE FUNCTION witness.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO witness.change(relation, operation, old, new) VALUES (
    TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME, TG_OP,
    CASE WHEN TG_OP IN ('UPDATE', 'DELETE') THEN witness.texts(TG_RELID, OLD) END,
    CASE WHEN TG_OP IN ('INSERT', 'UPDATE') THEN witness.texts(TG_RELID, NEW) END);
  RETURN NULL;
END $$;
CREATE TABLE witness.taken_back(transaction xid8 NOT NULL);
CREATE TABLE public.beacon(id bigint PRIMARY KEY);
"""
SLOT = "SELECT pg_create_logical_replication_slot('{0}', 'test_decoding');"  # its name is the cluster's, not the database's
# Always: also where a session does not look at foreign keys (session_replication_role).
# To be said behind each ROLLBACK TO.
TOOK_BACK = "INSERT INTO witness.taken_back VALUES (pg_current_xact_id());"
TRIGGERS = """
CREATE TRIGGER witness_row AFTER INSERT OR UPDATE OR DELETE ON {0} FOR EACH ROW EXECUTE FUNCTION witness.note();
CREATE TRIGGER witness_all AFTER TRUNCATE ON {0} FOR EACH STATEMENT EXECUTE FUNCTION witness.note();
ALTER TABLE {0} ENABLE ALWAYS TRIGGER witness_row, ENABLE ALWAYS TRIGGER witness_all;
"""


class Change:
    """A row that changed, as the witnesses tell it. `message` is who they heard of, None for nobody; where `taken_back`, a
    savepoint of the transaction was rolled back, and the trail may not know."""

    def __init__(self, transaction, row, relation, action, old, new, message, bounds, taken_back):
        self.transaction, self.row, self.relation, self.action = transaction, row, relation, action
        self.old, self.new, self.message, self.bounds, self.taken_back = old, new, message, bounds, taken_back

    def __repr__(self):
        return f"{self.action} {self.relation} row {self.row} of transaction {self.transaction}: {self.old} -> {self.new}"[:1500]


class Table:
    """Columns with their types, in order, and the names of the key's columns, in its order."""

    def __init__(self, columns, key):
        self.columns, self.key = columns, key

    def key_of(self, texts):
        if not self.key:
            return None
        values = [texts[name] for name in self.key]
        return values[0] if len(values) == 1 else canonical(values)


def lsn_number(text):
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


class Witnesses:
    def __init__(self, cluster, database, tables):
        self.cluster, self.database, self.beacons, self.slot = cluster, database, 0, f"witness_{database}"
        cluster.psql(WITNESSES + SLOT.format(self.slot) + "".join(TRIGGERS.format(table) for table in tables), database)
        self.tables = {table: self.describe(table) for table in tables}

    def psql(self, sql):
        return self.cluster.psql(sql, self.database)

    def describe(self, table):
        columns = self.psql(f"""SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
          WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum""")
        key = self.psql(f"""SELECT attname FROM pg_index, unnest(indkey::int2[]) WITH ORDINALITY AS part(number, place), pg_attribute
          WHERE indrelid = '{table}'::regclass AND indisprimary AND attrelid = indrelid AND attnum = number ORDER BY place""")
        return Table({name: kind for name, kind in columns}, [name for name, in key])

    def rows(self, table):
        """Each row's texts, in no order."""
        return [json.loads(row) for row, in self.psql(f"SELECT witness.texts('{table}'::regclass, entry) FROM ONLY {table} entry")]

    def noted(self, snapshot):
        """By transaction: what the triggers noted, less what a snapshot has seen already."""
        unseen = f"WHERE NOT pg_visible_in_snapshot(transaction, '{snapshot}'::pg_snapshot)" if snapshot else ""
        found = {}
        for transaction, relation, operation, old, new in self.psql(
                f"SELECT transaction::text::numeric % 4294967296, relation, operation, old, new FROM witness.change {unseen} "
                "ORDER BY position"):
            found.setdefault(int(transaction), []).append(
                (relation, ACTIONS[operation], json.loads(old or "null"), json.loads(new or "null")))
        return found

    def lines(self, snapshot):
        """Each change as the line that line_of() makes of its event, sorted."""
        found = []
        for transaction, rows in self.noted(snapshot).items():
            for number, (relation, action, old, new) in enumerate(rows):
                columns = self.tables[relation].columns
                names = [name for name in columns if (old or new) and (not old or not new or old[name] != new[name])]
                changes = [[name, *(recorded(columns[name], side[name]) if side else None for side in (old, new))] for name in names]
                found.append(canonical([transaction, number, relation, action, changes]))
        return sorted(found)

    def decoded(self):
        """(transaction, steps, where it ended) in the order of commits; a step is (table, action) or a message's text."""
        transactions, steps, places = [], [], []
        for lsn, transaction, data in self.psql(
                f"SELECT lsn, xid, data FROM pg_logical_slot_peek_changes('{self.slot}', NULL, NULL)"):
            if data.startswith("BEGIN"):
                steps, places = [], []
            elif data.startswith("COMMIT"):
                transactions.append((int(transaction), steps, lsn_number(lsn)))
            elif data.startswith("message: transactional: 1 prefix: vestige, "):
                # Its position is where its record ends. A row that begins there was made after it, and may come first where
                # another subtransaction made it.
                place = len(steps)
                while place and places[place - 1] == lsn and isinstance(steps[place - 1], tuple):
                    place -= 1
                steps.insert(place, data.split(" content:", 1)[1])
                places.insert(place, lsn)
            elif data.startswith("table "):
                names, operation = re.match(r"table (.+?): ([A-Z]+):", data).groups()
                steps += [(name, ACTIONS[operation]) for name in names.split(", ") if name in self.tables]
                places += [lsn] * (len(steps) - len(places))
        return transactions

    def changes(self, snapshot=None):
        """What has to be on record, in order. Says so where the witnesses contradict each other."""
        noted, found, before = self.noted(snapshot), [], 0
        taken_back = {int(number) for number, in self.psql("SELECT transaction::text::numeric % 4294967296 FROM witness.taken_back")}
        for transaction, steps, end in self.decoded():
            rows = noted.pop(transaction, None)
            if rows:
                told = [step for step in steps if isinstance(step, tuple)]
                assert told == [row[:2] for row in rows], ("the witnesses disagree", transaction, told[:10], rows[:10])
                who = self.who(steps)
                found += [Change(transaction, number, *row, who[number], (before, end), transaction in taken_back)
                          for number, row in enumerate(rows)]
            before = end
        assert not noted, ("noted, and not decoded", list(noted)[:10])
        return found

    @staticmethod
    def who(steps):
        """Of each row the message that holds for it: the last one before it, else the first one of the transaction."""
        current, found = next((step for step in steps if isinstance(step, str)), None), []
        for step in steps:
            if isinstance(step, str):
                current = step
            else:
                found.append(current)
        return found

    def light_beacon(self):
        """A change that comes after all others; gives its key."""
        self.beacons += 1
        self.psql(f"INSERT INTO public.beacon VALUES ({self.beacons})")
        return str(self.beacons)


class Source:
    """A captured database, and the trail's word on it. Its server is one of its own, unless it is said that others are beside it:
    then serve_together() gives them one."""

    def __init__(self, context, cluster, database, tables, name="crm", alone=True, **options):
        self.context, self.cluster, self.database, self.name, self.options = context, cluster, database, name, options
        self.witnesses = Witnesses(cluster, database, tables)
        self.tables = [*tables, "public.beacon"]
        self.digests = {}  # of hashed columns: text -> digest
        made = self.init()
        assert made.status == 0 and made.json()["ready"] is True, made
        self.server = serve_together(context, [self]) if alone else None

    def init(self):
        return self.context.vestige("capture", "postgres", "init", "--dsn", self.cluster.dsn(self.database), "--name", self.name,
                                    "--tables", ",".join(self.tables), "--json")

    def configuration(self):
        members = {"name": self.name, "dsn": self.cluster.dsn(self.database), "tables": self.tables, **self.options}
        return "[[capture.postgres]]\n" + "".join(f"{name} = {toml(value)}\n" for name, value in members.items())

    def catch_up(self):
        """Waits until all that was committed so far is on record: what comes last is there."""
        key, deadline = self.witnesses.light_beacon(), time.monotonic() + CATCH_UP_SECONDS_MAX
        while not self.found(["public.beacon"], targetId=key):
            assert time.monotonic() < deadline, "what was committed is not on record"
            time.sleep(0.05)

    def found(self, tables, **more):
        return self.server.search_all(targetType=tables, order="asc", limit=1000,
                                      filter={"field": "context.capture", "equals": self.name}, **more)

    def events(self):
        found = self.found(list(self.witnesses.tables))
        for event in found:
            assert event["kind"] == "data.change" and event["context"]["database"] == self.database, event
        return found

    def about_itself(self, action):
        return self.server.search_all(filter={"and": [{"field": "kind", "equals": "system.capture"},
                                                      {"field": "action", "equals": action},
                                                      {"field": "detail.capture", "equals": self.name}]}, order="asc")

    def check(self):
        """All that happened is on record, in order, once, with what it was, what it became and who did it; nothing else is;
        and what the trail amounts to is what the tables hold. Gives the events, without those of snapshots that a crash
        interrupted."""
        self.catch_up()
        return self.check_events(self.events())

    def check_events(self, events):
        assert len({event["id"] for event in events}) == len(events)
        taken = self.snapshot_taken()
        events = [event for event in events if event["action"] != "SNAPSHOT" or event["context"]["lsn"] == taken["at"]]
        changes = [event for event in events if event["action"] != "SNAPSHOT"]
        assert all(event["action"] == "SNAPSHOT" for event in events[:len(events) - len(changes)]), "a snapshot after a change"
        expected = self.witnesses.changes(taken and taken["snapshot"])
        for event, change in zip(changes, expected):
            self.check_change(event, change)
        assert len(changes) == len(expected), (len(changes), len(expected), (changes + [None])[len(expected):][:1],
                                               expected[len(changes):][:1])
        self.check_state(events)
        assert not self.about_itself("GAP")
        return events

    def snapshot_taken(self):
        """What is said of the one snapshot that is whole; None where none was to be taken."""
        taken = self.about_itself("SNAPSHOT_TAKEN")
        assert len(taken) == (self.options.get("snapshot", True) is not False), taken
        return taken[0]["detail"] if taken else None

    def check_since_snapshot(self):
        """After something that no witness of changes can tell: the last snapshot that is whole, and what is on record after it,
        are what the tables hold. Gives these events."""
        taken, events = self.about_itself("SNAPSHOT_TAKEN")[-1], self.events()
        assert len({event["id"] for event in events}) == len(events)
        events = [event for event in events if (event["context"]["lsn"] == taken["detail"]["at"] if event["action"] == "SNAPSHOT"
                                                else event["index"] > taken["index"])]
        self.check_state(events)
        return events

    def check_covered(self):
        """Intervals that are said to be on record follow one upon the other."""
        covered = [(entry["detail"]["from"], entry["detail"]["to"]) for entry in self.about_itself("COVERED")]
        assert all(before[1] == after[0] for before, after in zip(covered, covered[1:])), covered
        return covered

    # --------------------------------------------------------------------------------------- one event

    def check_change(self, event, change):
        context = event["context"]
        assert (event["targetType"], event["action"], context["transaction"], context["row"]) == (
            change.relation, change.action, change.transaction, change.row), (event, change)
        assert change.bounds[0] <= lsn_number(context["lsn"]) <= change.bounds[1], (event, change)
        table = self.witnesses.tables[change.relation]
        rows = [row for row in (change.new, change.old) if row]
        if rows:
            # The key that the row was found by, and whoever is in it: before and after may differ.
            assert event.get("targetId") == table.key_of(rows[-1]), (event, change)
            column = self.options.get("subject", {}).get(change.relation)
            persons = list(dict.fromkeys(row[column] for row in rows)) if column else [None]
            assert event.get("subject") == (persons if len(persons) > 1 else persons[0]), (event, change)
        self.check_who(event, change)
        self.check_values(event, change, table)

    def check_who(self, event, change):
        context, message = event["context"], change.message
        if change.taken_back and context["attribution"] != "message" and "message" not in event.get("detail", {}):
            message = None
        known = read_message(message)
        if known:
            actor = known["actor"]
            assert context["attribution"] == "message", event
            assert event.get("sourceId") == actor.get("id") and event.get("sourceType") == actor.get("type"), (event, message)
            assert event.get("sourceEntityMeta", {}).get("name") == actor.get("name"), (event, message)
            for name in ("requestId", "organization", "reason"):
                assert context.get(name) == known.get(name), (event, message)
        elif "actor" in self.options:
            actor = self.options["actor"]
            assert context["attribution"] == "configured", event
            assert (event["sourceType"], event["sourceId"]) == (actor["type"], actor["id"]), event
        else:
            assert context["attribution"] == "none" and "sourceId" not in event and "sourceType" not in event, event
        if message and not known:
            assert event["detail"]["message"] == message, event

    def check_values(self, event, change, table):
        """Columns in the table's order, each with the values that the triggers saw."""
        names = [name for name in table.columns if name not in self.options.get("exclude", {}).get(change.relation, ())]
        if change.action == "TRUNCATED":
            names = []
        elif change.action == "UPDATED":
            names = [name for name in names if change.old[name] != change.new[name]]
        elements = event.get("changes", [])
        assert [element["field"] for element in elements] == names, (event, change)
        for number, element in enumerate(elements):
            assert "oldUnknown" not in element, event
            for side, texts in (("old", change.old), ("new", change.new)):
                assert (side in element) <= bool(texts), (event, change)
                if texts:
                    name = element["field"]
                    lossless = f"/changes/{number}/{side}" in event.get("lossless", ())
                    self.check_value(change.relation, name, table.columns[name], element.get(side), texts[name], lossless)

    def check_value(self, relation, name, kind, value, text, lossless):
        if text is not None and name in self.options.get("hash", {}).get(relation, ()):
            assert re.fullmatch("hmac-sha256:[0-9a-f]{64}", value), value
            assert self.digests.setdefault((relation, name, text), value) == value, (name, "two digests of one text")
            same = [key[2] for key, digest in self.digests.items() if digest == value and key[:2] == (relation, name)]
            assert same == [text], (name, "one digest of two texts")
        else:
            assert agrees(kind, value, text, lossless), (relation, name, kind, str(value)[:500], text[:500] if text else text, lossless)

    # --------------------------------------------------------------------------------------- all of them

    def check_state(self, events):
        """Each event begins where the ones before it ended, and the last ones end with what the tables hold."""
        for relation, rows in fold_all(events, self.witnesses.tables).items():
            if self.witnesses.tables[relation].key:
                self.check_rows(relation, rows)

    def check_rows(self, relation, state):
        table = self.witnesses.tables[relation]
        rows = {table.key_of(row): row for row in self.witnesses.rows(relation)}
        assert set(rows) == set(state), (relation, set(rows) ^ set(state))
        for key, row in rows.items():
            for name, (value, lossless) in state[key].items():
                self.check_value(relation, name, table.columns[name], value, row[name], lossless)


def cluster_with_contacts(context, **settings):
    cluster = postgresql.Cluster(context, **settings)
    cluster.create_database("contacts")
    cluster.file(EXAMPLE / "schema.sql", "contacts")
    return cluster


def contacts_source(context, cluster, **options):
    return Source(context, cluster, "contacts", CONTACTS,
                  **{"subject": {"public.contacts": "id", "public.contacts_tags": "contact_id"}, **options})


def serve_together(context, sources):
    """One server, not started yet, with all of them in its configuration file."""
    file = context.folder / "sources.toml"
    file.write_text("\n".join(source.configuration() for source in sources))
    server = context.prepare_server("--config", str(file))
    for source in sources:
        source.server = server
    return server


def toml(value):
    """Enough of it for a source."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(name)} = {toml(member)}" for name, member in value.items()) + " }"
    return json.dumps(value)


def read_message(text):
    """The object of a message that says who; None for any other."""
    try:
        message = json.loads(text or "null")
    except ValueError:
        return None
    actor = message.get("actor") if isinstance(message, dict) else None
    return message if isinstance(actor, dict) and isinstance(actor.get("id"), str) else None


def agrees(kind, value, text, lossless=False):
    """Whether a value of the trail is what PostgreSQL writes as `text`."""
    if text is None or value is None:
        return text is value is None
    if len(text.encode()) > DIGEST_OVER_BYTES:
        return value == {"bytes": len(text.encode()), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    if kind == "boolean":
        return value is (text == "t")
    if kind == "jsonb" and not lossless:
        return canonical(value) == canonical(json.loads(text))
    if kind in NUMBERS and not lossless:
        return isinstance(value, (int, float)) and canonical(value) == text
    return value == text


def recorded(kind, text):
    """What the trail has to hold for a text of PostgreSQL, and whether it has to be marked as such; for types whose JSON is always
    the same, and jsonb without numbers that a double cannot hold."""
    if text is None:
        return [None, False]
    if len(text.encode()) > DIGEST_OVER_BYTES:
        return [{"bytes": len(text.encode()), "sha256": hashlib.sha256(text.encode()).hexdigest()}, False]
    if kind in NUMBERS:
        return [json.loads(text), False] if canonical(json.loads(text)) == text else [text, True]
    return [text == "t" if kind == "boolean" else json.loads(text) if kind == "jsonb" else text, False]


def line_of(event):
    """All that an event says of the change itself, as canonical JSON. Values are not interpreted."""
    lossless, changes = event.get("lossless", ()), []
    for number, element in enumerate(event.get("changes", ())):
        changes.append([element["field"], *([element[side], f"/changes/{number}/{side}" in lossless] if side in element else None
                                            for side in ("old", "new"))])
    context = event["context"]
    return canonical([context["transaction"], context["row"], event["targetType"], event["action"], changes])


def digest_of(lines):
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def same_lines(noted, recorded):
    """The digest of what is the same in both, and not nothing."""
    lost, invented = collections.Counter(noted), collections.Counter(recorded)
    lost, invented = lost - invented, invented - lost
    assert digest_of(recorded) == digest_of(noted), (len(noted), len(recorded), str(list(lost)[:3])[:LAST_WORDS_MAX],
                                                     str(list(invented)[:3])[:LAST_WORDS_MAX])
    assert recorded, "there was nothing to lose"
    return digest_of(recorded)


def fold_all(events, tables):
    """What the events amount to: by table its rows, as fold() leaves them."""
    state = {relation: {} for relation in tables}
    for event in events:
        fold(state[event["targetType"]], event, tables[event["targetType"]])
    return state


def fold(rows, event, table):
    """Does to rows (key -> column -> (value, is it lossless text)) what the event says, and takes nothing that does not fit.
    Rows of a table without a key have numbers as keys."""
    if event["action"] == "TRUNCATED":
        rows.clear()
        return
    old, new = sides(event)
    if event["action"] in ("CREATED", "SNAPSHOT"):
        key = event["targetId"] if table.key else max(rows, default=0) + 1
        assert key not in rows, (key, "is there already", event)
        rows[key] = new
        return
    key = event["targetId"] if table.key else alike(rows, old, event)
    row = rows.pop(key, None)
    assert row is not None, (key, "is not there", event)
    for name, value in old.items():
        assert row[name] == value, (name, row[name], value, event)
    if event["action"] == "UPDATED":
        after = key_after(key, new, table) if table.key else key
        assert after not in rows, (after, "is there already", event)
        rows[after] = {**row, **new}


def alike(rows, old, event):
    """Which row it was, where no key says so: one of those that had these values, which have to be the same in all else."""
    found = [key for key, row in rows.items() if all(row[name] == value for name, value in old.items())]
    assert found and all(rows[key] == rows[found[0]] for key in found), ("it does not say which row", len(found), event)
    return found[-1]


def sides(event):
    """Old and new values of an event: column -> (value, is it lossless text)."""
    lossless = event.get("lossless", ())
    return tuple({element["field"]: (element.get(side), f"/changes/{number}/{side}" in lossless)
                  for number, element in enumerate(event.get("changes", []))} for side in ("old", "new"))


def key_after(key, new, table):
    """An event has the key before; where that changed, its changes have the new one."""
    parts = [key] if len(table.key) == 1 else json.loads(key)
    texts = [as_text(new[name][0]) if name in new else part for name, part in zip(table.key, parts)]
    return texts[0] if len(texts) == 1 else canonical(texts)


def as_text(value):
    return value if isinstance(value, str) else canonical(value)
