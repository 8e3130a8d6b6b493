"""Defends: every change of a captured table that was committed is on record, once, in the order of commits, with the values that
it had and got and with who made it, where somebody said so; what was rolled back is not. Neither a restart nor `kill -9` of
the server or of PostgreSQL loses or doubles one. What is on record is enough to build the tables again, whatever types they
have. What happened is told by triggers and by PostgreSQL's own decoder (capture_parts.Witnesses), not by the server.

The page docs/capture/postgres.md is run from top to bottom."""
import json
import os
import re
import threading
import time

import harness
import page_parts
import postgresql
import type_values
from api_parts import ask
from capture_load import Contacts, Load, seeded
from capture_parts import (CONTACTS, EXAMPLE, TOOK_BACK, Source, Witnesses, cluster_with_contacts, contacts_source, fold, lsn_number, read_message,
                           sides)
from capture_rebuild import Rebuilt, check_moment, quoted, take_moment, text_of
from test_tenants import SEARCH, key_by, make_tenant

SCALE = float(os.environ.get("VESTIGE_TEST_SCALE", "1"))
KILLS = max(3, round(8 * SCALE))
NEVER = ("Never happened", "Never happened either", "Nobody")


# ------------------------------------------------------------------------------------------------ the example

def test_witnesses_agree_about_the_example(context):
    """What all other tests compare with: what the triggers noted is what PostgreSQL decodes, and has in it what the example
    promises."""
    cluster = cluster_with_contacts(context)
    witnesses = Witnesses(cluster, "contacts", CONTACTS)
    cluster.file(EXAMPLE / "change.sql", "contacts")
    changes = witnesses.changes()
    count = {action: sum(change.action == action for change in changes) for action in ("CREATED", "UPDATED", "DELETED", "TRUNCATED")}
    assert count == {"CREATED": 204, "UPDATED": 214, "DELETED": 52, "TRUNCATED": 1}, count
    transactions = [change.transaction for change in changes]
    assert len(set(transactions)) == 16 and f"{len(set(transactions))} transactions" in (EXAMPLE / "README.md").read_text()
    who = {(read_message(change.message) or {"actor": {"id": None}})["actor"]["id"] for change in changes}
    assert who == {"42", "43", "44", "45", "gupshup", "import-9", "merge-3", "cleanup", None}, who
    names = {row["name"] for change in changes for row in (change.old, change.new) if row and "name" in row}
    assert "Deepak N. Shah" in names and not names & set(NEVER), names
    longest = max(len(row["fields"]) for change in changes for row in (change.new,) if row and "fields" in row)
    assert longest > 65536, longest


def test_every_change_of_the_example_is_on_record(context):
    cluster = cluster_with_contacts(context)
    source = contacts_source(context, cluster)
    source.server.start()
    source.catch_up()
    moments = [take_moment(source.witnesses.psql, CONTACTS)]
    cluster.file(EXAMPLE / "change.sql", "contacts")
    moments.append(take_moment(source.witnesses.psql, CONTACTS))
    events = source.check()
    assert sum(event["action"] == "SNAPSHOT" for event in events) == 5
    names = {element.get(side) for event in events for element in event.get("changes", ()) for side in ("old", "new")
             if element["field"] == "name"}
    assert "Deepak N. Shah" in names and not names & set(NEVER), names

    # The update beside a text that is kept out of line does not list it; the one that changed nothing lists nothing.
    deepak = [event for event in events if event["targetType"] == "public.contacts" and event["targetId"] == "4"]
    processing = [event for event in deepak if any(element.get("new") == "processing" for element in event["changes"])]
    assert [[element["field"] for element in event["changes"]] for event in processing] == [["status"]], processing
    assert [event["action"] for event in events if event["action"] == "UPDATED" and not event.get("changes")] == ["UPDATED"]
    check_entity(source.server, deepak)

    # Twice the same script on a table that has gone on: nothing is confused with what came before.
    cluster.psql("\\set batch 2\n" + (EXAMPLE / "change.sql").read_text(), "contacts")
    again = source.check()
    assert [event["id"] for event in again[:len(events)]] == [event["id"] for event in events]
    # And what it was at each of these moments can be told, whatever came after.
    moments.append(take_moment(source.witnesses.psql, CONTACTS))
    check_moments(source, again, moments)


def check_moments(source, events, moments):
    rebuilt = Rebuilt(source.cluster, "rebuilt", (EXAMPLE / "schema.sql").read_text())
    rows = [check_moment(rebuilt, source.witnesses.tables, events, moment) for moment in moments]
    assert all(before.rows != after.rows for before, after in zip(moments, moments[1:])), "nothing changed between two moments"
    print(f"{rows} rows at {len(moments)} moments")


def check_entity(server, events):
    """History and state of one contact are those of its events."""
    path = "/api/entities/public.contacts/4"
    history = server.request("GET", f"{path}/history?order=asc&limit=1000").json()["events"]
    assert [event["id"] for event in history] == [event["id"] for event in events]
    row = {}
    for number, event in enumerate(events):
        row.update(sides(event)[1])
        if number + 1 < len(events) and events[number + 1]["time"] == event["time"]:
            continue
        answer = server.request("GET", f"{path}/state?at={event['time']}")
        fields = {name: field["value"] for name, field in answer.json()["fields"].items() if "value" in field}
        assert {name: value for name, (value, _) in row.items() if value is not None} == {
            name: value for name, value in fields.items() if value is not None}, (event, answer)


# ------------------------------------------------------------------------------------- restarts, kills, load

def test_a_snapshot_under_load_misses_and_doubles_nothing(context):
    """Transactions commit before, while and after the rows that are there are read: each is in the snapshot or after it."""
    randomly = seeded()
    cluster = cluster_with_contacts(context)
    cluster.psql("INSERT INTO contacts (name, phone, language_id, organization_id) "
                 "SELECT 'first', '7' || lpad(g::text, 9, '0'), 1, 7 FROM generate_series(1, 20000) g", "contacts")
    source = contacts_source(context, cluster)
    with Load(cluster, "contacts", Contacts, randomly):
        time.sleep(1)
        source.server.start()
        time.sleep(3)
    events = source.check()
    assert sum(event["action"] == "SNAPSHOT" for event in events) > 19000 and events[-1]["action"] != "SNAPSHOT"


def test_a_killed_snapshot_is_taken_again(context):
    """A kill while the rows that are there are put on record: the next start has each of them once."""
    cluster = cluster_with_contacts(context)
    cluster.psql("INSERT INTO contacts (name, phone, language_id, organization_id) "
                 "SELECT 'first', '7' || lpad(g::text, 9, '0'), 1, 7 FROM generate_series(1, 20000) g", "contacts")
    source, randomly = contacts_source(context, cluster), seeded()
    for _ in range(3):
        source.server.start()
        time.sleep(randomly.uniform(0, 0.5))
        source.server.kill()
        cluster.psql("UPDATE contacts SET name = name || '.' WHERE id % 100 = 0; DELETE FROM contacts WHERE id % 1000 = 1", "contacts")
    source.server.start()
    source.catch_up()
    source.snapshot_taken()
    source.check_since_snapshot()


def test_what_changed_while_the_server_was_down_is_there(context):
    cluster = cluster_with_contacts(context)
    source = contacts_source(context, cluster)
    source.server.start()
    source.catch_up()
    assert source.server.stop() == 0
    cluster.psql("UPDATE contacts SET name = 'While it was down' WHERE id = 1; DELETE FROM contacts WHERE id = 2", "contacts")
    cluster.restart()
    source.server.start()
    events = source.check()
    assert [(event["action"], event["targetId"]) for event in events[-2:]] == [("UPDATED", "1"), ("DELETED", "2")], events[-2:]
    # While PostgreSQL is down the server serves, says that it is cut off, and goes on by itself afterwards.
    cluster.stop()
    wait_for_metric(source.server, "vestige_capture_connected", 0)
    assert source.server.search(targetType=CONTACTS)["events"]
    cluster.start()
    wait_for_metric(source.server, "vestige_capture_connected", 1)
    cluster.psql("UPDATE contacts SET name = 'After it was down' WHERE id = 3", "contacts")
    source.check()
    rows = metric(source.server, "vestige_capture_rows_total")
    assert rows >= 1, rows


def metric(server, name, capture="crm"):
    text = server.request("GET", "/metrics").body.decode()
    found = re.search(rf'^{name}{{capture="{capture}"}} (\S+)$', text, re.M)
    assert found, text
    return float(found[1])


def wait_for_metric(server, name, value):
    deadline = time.monotonic() + 60
    while metric(server, name) != value:
        assert time.monotonic() < deadline, (name, metric(server, name))
        time.sleep(0.1)


def test_restarts_and_kills_of_the_server_lose_and_double_nothing(context):
    randomly = seeded()
    cluster = cluster_with_contacts(context)
    source = contacts_source(context, cluster)
    source.server.start()
    source.catch_up()
    moments = []
    with Load(cluster, "contacts", Contacts, randomly) as load:
        for number in range(KILLS):
            load.wait_for(load.done() + 20)
            time.sleep(randomly.uniform(0.05, 1.0))
            moments.append(take_moment(source.witnesses.psql, CONTACTS))
            if number % 3 == 2:
                assert source.server.stop() == 0
            else:
                source.server.kill()
            time.sleep(randomly.uniform(0, 0.3))
            source.server.start()
    moments.append(take_moment(source.witnesses.psql, CONTACTS))
    events = source.check()
    check_moments(source, events, moments)
    print(f"{load.done()} transactions done, {len(events)} events")
    assert len(events) > KILLS * 10 and {event["context"]["attribution"] for event in events[10:]} == {"message", "none"}
    # The last words of a stop cover all of it: intervals follow one upon the other.
    assert source.server.stop() == 0
    source.server.start()
    assert source.check_covered()


def test_kills_of_postgresql_lose_and_double_nothing(context):
    """Nothing that PostgreSQL lost in the crash is on record either: it sends what is on its disk only."""
    randomly = seeded()
    cluster = cluster_with_contacts(context)
    source = contacts_source(context, cluster)
    source.server.start()
    source.catch_up()
    with Load(cluster, "contacts", Contacts, randomly):
        for number in range(max(2, KILLS // 2)):
            time.sleep(randomly.uniform(0.2, 1.0))
            cluster.kill()
            if number % 2:
                source.server.kill()
            cluster.start()
            if number % 2:
                source.server.start()
    source.check()


# ------------------------------------------------------------------------------------------------------ types

TYPED_ROWS = 60


class Typed:
    """A table with a column of every type, and an empty one beside it."""

    def __init__(self, cluster, randomly):
        self.psql, self.random = lambda sql: cluster.psql(sql, "typed"), randomly
        cluster.create_database("typed")
        self.psql("CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s \"fine\"'); CREATE DOMAIN percent AS numeric(5, 2) CHECK (value <= 100); "
                  "CREATE TYPE pair AS (first int, second text);")
        self.types = type_values.all_types(self.psql) + [
            ("mood", type_values.of("sad", "ok", "it's \"fine\"")), ("percent", type_values.of("0", "99.5", "12.34")),
            ("pair", type_values.of('(1,"a, b")', '(,)', '(-5,"""")')), ("varchar(9)", type_values.of("", "123456789")),
            ("char(9)", type_values.of("", "abc")), ("bit(5)", lambda rng: type_values.bits(rng, 5)),
            ("numeric(12, 4)", type_values.of("1.5", "-99999999.9999")), ("timestamp(0)", type_values.timestamp)]
        columns = ", ".join(f"c{number} {kind}" for number, (kind, _) in enumerate(self.types))
        self.psql(f"CREATE TABLE typed (id bigserial PRIMARY KEY, {columns}); CREATE TABLE rebuilt (id bigint PRIMARY KEY, {columns}); "
                  "ALTER TABLE typed REPLICA IDENTITY FULL")

    def literal(self, number):
        if self.random.random() < 0.2:
            return "NULL"
        kind, make = self.types[number]
        return quoted(make(self.random)) + f"::{kind}"

    def insert(self, count):
        for _ in range(count):
            self.psql("INSERT INTO typed VALUES (DEFAULT, " + ", ".join(map(self.literal, range(len(self.types)))) + ")")

    def update(self, count):
        for _ in range(count):
            chosen = self.random.sample(range(len(self.types)), self.random.randint(1, 20))
            values = ", ".join(f"c{number} = {self.literal(number)}" for number in chosen)
            self.psql(f"UPDATE typed SET {values} WHERE id = {self.random.randint(1, TYPED_ROWS)}")

    def rebuild(self, rows):
        """Rows of texts, into the empty table, by the types' own input functions."""
        for row in rows:
            self.psql(f"INSERT INTO rebuilt ({', '.join(row)}) VALUES ({', '.join('NULL' if text is None else quoted(text) for text in row.values())})")

    def differing(self):
        return self.psql("(SELECT 'lost', t::text FROM typed t EXCEPT SELECT 'lost', r::text FROM rebuilt r) UNION ALL "
                         "(SELECT 'invented', r::text FROM rebuilt r EXCEPT SELECT 'invented', t::text FROM typed t)")


def test_the_triggers_texts_build_the_table_again(context):
    """What the test below takes for granted: it is possible, and differing() finds what differs."""
    cluster = postgresql.Cluster(context)
    typed = Typed(cluster, seeded())
    typed.insert(5)
    rows = Witnesses(cluster, "typed", ["public.typed"]).rows("public.typed")
    typed.rebuild(rows[:4])
    assert [kind for kind, _ in typed.differing()] == ["lost"]
    typed.rebuild(rows[4:])
    assert not typed.differing(), typed.differing()
    typed.psql("UPDATE rebuilt SET c0 = NULL, c1 = '{}', c2 = NULL WHERE id = 1")
    assert {kind for kind, _ in typed.differing()} == {"lost", "invented"}


def test_a_table_of_every_type_is_built_again_from_the_trail(context):
    cluster = postgresql.Cluster(context)
    typed = Typed(cluster, seeded())
    typed.insert(TYPED_ROWS // 2)
    source = Source(context, cluster, "typed", ["public.typed"])
    source.server.start()
    source.catch_up()
    typed.insert(TYPED_ROWS - TYPED_ROWS // 2)
    typed.update(TYPED_ROWS)
    typed.psql("DELETE FROM typed WHERE id % 7 = 0")
    table, state = source.witnesses.tables["public.typed"], {}
    for event in source.check():
        fold(state, event, table)
    typed.rebuild([{name: text_of(table.columns[name], *value) for name, value in row.items()} for row in state.values()])
    assert not typed.differing(), typed.differing()


# ------------------------------------------------------------------------------------------------ configuration

def test_configured_actor_exclusion_and_hashes(context):
    cluster = cluster_with_contacts(context)
    source = contacts_source(context, cluster, actor={"type": "SERVICE", "id": "crm"}, exclude={"public.contacts": ["settings"]},
                             hash={"public.contacts": ["phone", "name"]}, snapshot=False)
    source.server.start()
    cluster.file(EXAMPLE / "change.sql", "contacts")
    source.catch_up()
    events = source.events()
    # What was there before is not on record here, so there is no whole to compare; each event has to be right.
    expected = source.witnesses.changes()
    assert len(events) == len(expected) and all(event["action"] != "SNAPSHOT" for event in events)
    for event, change in zip(events, expected):
        source.check_change(event, change)
    text = json.dumps(events)
    assert "campaign" not in text and "Deepak" not in text and "hmac-sha256:" in text
    assert {event["context"]["attribution"] for event in events} == {"message", "configured"}
    # The same after a restart: the key is kept.
    assert source.server.stop() == 0
    source.server.start()
    cluster.psql("UPDATE contacts SET name = 'Asha R. Rao' WHERE id = 1; UPDATE contacts SET name = 'Asha Rao' WHERE id = 1", "contacts")
    source.catch_up()
    for event, change in zip(source.events(), source.witnesses.changes()):
        source.check_change(event, change)


def test_what_a_savepoint_took_back_says_nothing(context):
    """Of who it was, also in a transaction that is so large that PostgreSQL sends its parts before it has ended. Then it does
    not tell what was said within the savepoint: the trail knows nobody rather than the wrong one."""
    cluster = cluster_with_contacts(context, logical_decoding_work_mem="64kB")
    source = contacts_source(context, cluster)
    source.server.start()
    source.catch_up()
    said = "SELECT pg_logical_emit_message(true, 'vestige', '{{\"actor\": {{\"type\": \"STAFF\", \"id\": \"{}\"}}}}'); "
    for rows, known in ((10, {"42"}), (3000, {"42", None})):  # the small ones come when they have ended, and all is known of them
        for first in (True, False):  # what holds is a message before it, or else one after it
            many = f"INSERT INTO contacts_tags SELECT n, md5(n::text) || '{rows}{{}}{first}' FROM generate_series(1, {rows}) n; "
            cluster.psql("BEGIN; " + (said.format("42") if first else "") + many.format("a") + "SAVEPOINT s; " + many.format("b") +
                         said.format("nobody") + many.format("c") + f"ROLLBACK TO s; {TOOK_BACK} UPDATE contacts SET name = name || '.'; " +
                         many.format("d") + ("" if first else said.format("42")) + "COMMIT", "contacts")
        events = source.check()
        assert {event.get("sourceId") for event in events if event["action"] != "SNAPSHOT"} == known, rows


def test_rows_go_to_the_tenant_that_they_name(context):
    """And to no other; what names none that there is goes to the source's own. A crash between the two loses and doubles nothing."""
    cluster = postgresql.Cluster(context)
    cluster.create_database("shop")
    cluster.psql("CREATE TABLE item (id int PRIMARY KEY, owner text, name text); ALTER TABLE item REPLICA IDENTITY FULL; "
                 "INSERT INTO item SELECT n, (ARRAY['acme', 'default', 'ghost', NULL])[n % 4 + 1], 'first' FROM generate_series(1, 8) n", "shop")
    bare = context.server()
    acme = key_by(make_tenant(bare, "acme"), "read")
    assert bare.stop() == 0
    source = Source(context, cluster, "shop", ["public.item"], tenant_column="owner")
    source.server.start()
    source.catch_up()
    for number in range(10):
        cluster.psql(f"INSERT INTO item SELECT n, (ARRAY['acme', 'default', 'ghost', NULL])[n % 4 + 1], 'n' "
                     f"FROM generate_series({number * 40 + 10}, {number * 40 + 49}) n; "
                     f"UPDATE item SET name = name || '.' WHERE id % 5 = {number % 5}; DELETE FROM item WHERE id % 40 = {number + 3}; "
                     f"UPDATE item SET owner = (ARRAY['acme', 'ghost'])[id % 2 + 1] WHERE id % 50 = {number}", "shop")
        source.server.kill()
        source.server.start()
    cluster.psql("TRUNCATE item", "shop")
    source.catch_up()
    theirs, ours = ask(source.server, "POST", SEARCH, {"limit": 1000, "order": "asc", "targetType": "public.item"}, key=acme), source.events()
    assert theirs.status == 200 and theirs.json()["cursor"] is None, theirs
    theirs = theirs.json()["events"]
    # The two in the order of commits are what happened; whose a row is says the row as it became, else as it was.
    both = [event for event in theirs + ours if event["action"] != "SNAPSHOT"]
    both.sort(key=lambda event: (lsn_number(event["context"]["lsn"]), event["context"]["row"]))
    changes = source.witnesses.changes(source.snapshot_taken()["snapshot"])
    assert len(both) == len(changes) > 400, (len(both), len(changes))
    for event, change in zip(both, changes):
        source.check_change(event, change)
        owner = (change.new or change.old or {"owner": None})["owner"]
        assert event["tenant"] == ("acme" if owner == "acme" else "default"), (event, change)
    first = [event for event in theirs if event["action"] == "SNAPSHOT" and event["context"]["lsn"] == source.snapshot_taken()["at"]]
    assert sorted(event["targetId"] for event in first) == ["4", "8"], first
    assert source.server.search(kind="system.capture")["events"]
    assert not ask(source.server, "POST", SEARCH, {"kind": "system.capture"}, key=acme).json()["events"]


def test_what_postgresql_does_not_say_is_unknown(context):
    """Without REPLICA IDENTITY FULL, and without a primary key."""
    cluster = postgresql.Cluster(context)
    cluster.create_database("shop")
    cluster.psql("CREATE TABLE item (id int PRIMARY KEY, name text, price numeric); CREATE TABLE note (line text, rank int); "
                 "ALTER TABLE note REPLICA IDENTITY FULL", "shop")
    source = Source(context, cluster, "shop", ["public.item", "public.note"])
    warned = source.init().json()["warnings"]
    assert any("public.item" in warning for warning in warned) and any("public.note" in warning for warning in warned), warned
    source.server.start()
    source.catch_up()
    cluster.psql("INSERT INTO item VALUES (1, 'pen', 1.5), (2, 'ink', 2.50); UPDATE item SET price = 3 WHERE id = 1; "
                 "UPDATE item SET id = 5 WHERE id = 1; DELETE FROM item WHERE id = 2; "
                 "INSERT INTO note VALUES ('a', 1); UPDATE note SET rank = 2; DELETE FROM note", "shop")
    source.catch_up()
    made = [(event["action"], event.get("targetId"), event["changes"]) for event in source.events()]
    created, second, updated, moved, deleted, *notes = made
    assert created == ("CREATED", "1", [{"field": "id", "new": 1}, {"field": "name", "new": "pen"}, {"field": "price", "new": 1.5}])
    assert second == ("CREATED", "2", [{"field": "id", "new": 2}, {"field": "name", "new": "ink"}, {"field": "price", "new": "2.50"}])
    # All columns were sent, and nobody knows which of them changed.
    unknown = [{"field": "name", "new": "pen", "oldUnknown": True}, {"field": "price", "new": 3, "oldUnknown": True}]
    assert updated[:2] == ("UPDATED", "1") and [each for each in updated[2] if each["field"] != "id"] == unknown, updated
    assert moved == ("UPDATED", "1", [{"field": "id", "old": 1, "new": 5}, *unknown]), moved
    assert deleted == ("DELETED", "2", [{"field": "id", "old": 2}, {"field": "name", "oldUnknown": True},
                                        {"field": "price", "oldUnknown": True}]), deleted
    assert notes == [("CREATED", None, [{"field": "line", "new": "a"}, {"field": "rank", "new": 1}]),
                     ("UPDATED", None, [{"field": "line", "old": "a", "new": "a"}, {"field": "rank", "old": 1, "new": 2}]),
                     ("DELETED", None, [{"field": "line", "old": "a"}, {"field": "rank", "old": 2}])], notes


def test_init_says_what_is_missing_and_drop_removes_it(context):
    cluster = cluster_with_contacts(context, wal_level="replica")
    line = ("capture", "postgres", "init", "--dsn", cluster.dsn("contacts"), "--name", "crm", "--tables", ",".join(CONTACTS))
    made = "SELECT (SELECT count(*) FROM pg_publication WHERE pubname = 'vestige_crm'), " \
           "(SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'vestige_crm')"
    refused = context.vestige(*line, "--json")
    assert refused.status == 1 and refused.json()["ready"] is False, refused
    assert any("wal_level" in each for each in refused.json()["missing"]), refused
    cluster.settings["wal_level"] = "logical"
    cluster.restart()
    absent = context.vestige(*line[:-1], "public.contacts,public.absent", "--json")
    assert absent.status == 1 and any("public.absent" in each for each in absent.json()["missing"]), absent
    first = context.vestige(*line, "--json")
    assert first.status == 0 and first.json()["ready"] is True and first.json()["missing"] == [], first
    assert cluster.psql(made, "contacts") == [["1", "1"]]
    place = cluster.value("SELECT confirmed_flush_lsn FROM pg_replication_slots", "contacts")
    second = context.vestige(*line, "--json")
    assert second.status == 0 and second.json()["made"] == [], second
    assert cluster.value("SELECT confirmed_flush_lsn FROM pg_replication_slots", "contacts") == place
    tables = "SELECT schemaname || '.' || tablename FROM pg_publication_tables WHERE pubname = 'vestige_crm' ORDER BY 1"
    assert [row[0] for row in cluster.psql(tables, "contacts")] == CONTACTS
    for _ in range(2):
        dropped = context.vestige("capture", "postgres", "drop", "--dsn", cluster.dsn("contacts"), "--name", "crm")
        assert dropped.status == 0, dropped
        assert cluster.psql(made, "contacts") == [["0", "0"]]
    # A database that is not there is an answer in words, not a crash.
    nowhere = context.vestige(*line[:4], "host=/nowhere dbname=contacts user=postgres", *line[5:])
    assert nowhere.status == 3 and "/nowhere" in nowhere.output + nowhere.errors, nowhere


# ---------------------------------------------------------------------------------------------------- the pages

# A change that comes after all others is on record.
WAITING = """beacons=9000
wait_until_recorded() {
  beacons=$((beacons + 1))
  psql "$server/contacts" -qc "INSERT INTO contacts_tags VALUES ($beacons, 'beacon')"
  for _ in $(seq 600); do
    curl -s http://127.0.0.1:8080/auditlog/events/v2 -H "Authorization: Bearer $(cat var/admin.key)" \
      -H 'Content-Type: application/json' -d "{\\"subject\\": \\"$beacons\\"}" | grep -q '"index"' && return
    sleep 0.1
  done
  return 1
}
"""
PASSWORDS = ("secret-of-the-administrator", "secret-of-vestige")


def stubs(folder):
    """sudo and systemctl as they are here: the one does nothing, the other asks the test to do it and waits."""
    (folder / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    (folder / "systemctl").write_text(f'#!/bin/sh\ntouch {folder}/wanted\nwhile [ -e {folder}/wanted ]; do sleep 0.05; done\n')
    for name in ("sudo", "systemctl"):
        (folder / name).chmod(0o755)
    (folder / "examples").symlink_to(harness.ROOT / "examples")


def restart_when_wanted(folder, cluster, over):
    while not over.is_set():
        if (folder / "wanted").exists():
            # The settings of the page have to do it, not those of the test.
            cluster.settings.pop("wal_level", None)
            cluster.restart()
            (folder / "wanted").unlink()
        time.sleep(0.05)


def script_of(page, url, port):
    """The blocks of the page, in order; the server runs beside them. After each block that changes something, what follows waits
    until it is on record, which somebody who reads does by reading."""
    begin = page_parts.server_in_background(url) + "wait_until_recorded\n"
    script = WAITING
    for kind, block in page_parts.blocks(page):
        if kind in ("serve", "restart"):
            assert block == page_parts.SERVE, block
            script += (page_parts.END_SERVER if kind == "restart" else "") + begin
        elif kind in ("", "stop"):
            script += (page_parts.END_SERVER if kind == "stop" else "") + block
            script += "wait_until_recorded\n" if "UPDATE " in block or "change.sql" in block else ""
            script += f"echo '{page_parts.PARTED}'\n"
    return script.replace("http://127.0.0.1:8080", url).replace("127.0.0.1:5432", f"127.0.0.1:{port}")


def test_every_command_of_the_page_works(context):
    """docs/capture/postgres.md, from top to bottom in one shell, on a cluster whose wal_level is what it comes with."""
    folder, url = context.folder, f"http://127.0.0.1:{harness.free_port()}"
    cluster = postgresql.Cluster(context, listen_addresses="127.0.0.1", wal_level="replica")
    cluster.psql(f"ALTER ROLE postgres PASSWORD '{PASSWORDS[0]}'")
    stubs(folder)
    over = threading.Event()
    watcher = threading.Thread(target=restart_when_wanted, args=(folder, cluster, over), daemon=True)
    watcher.start()
    page = (harness.ROOT / "docs/capture/postgres.md").read_text()
    assert all(word in page for word in PASSWORDS)
    try:
        answers = page_parts.run(context, script_of(page, url, cluster.port), [postgresql.postgres_cluster.BINARIES])
    finally:
        over.set()
        watcher.join()
    check_answers_of_the_page(answers)
    assert cluster.psql("SELECT 1 FROM pg_replication_slots UNION ALL SELECT 1 FROM pg_roles WHERE rolname = 'vestige'") == []
    assert cluster.psql("SELECT 1 FROM pg_publication", "contacts") == []


def check_answers_of_the_page(answers):
    passwords, level, _, _, made, _, _, looked, _, found, _, _, hidden, watched, itself, _, *rest = answers
    assert passwords == "" and level.rstrip().endswith("logical\n(1 row)"), (passwords, level)
    assert "vestige_crm" in made, made
    search, _ = json.JSONDecoder().raw_decode(looked)
    first = search["events"][0]
    assert (first["action"], first["sourceType"], first["sourceId"], first["context"]["requestId"]) == ("CREATED", "STAFF", "42", "r-1")
    second = search["events"][1]
    assert [(element["field"], element["old"], element["new"]) for element in second["changes"]] == [
        ("name", "Deepak Shah", "Deepak N. Shah"), ("language_id", 1, 2)], second
    assert second["context"]["reason"] == "name as on the form", second
    assert "r-100" in found or "Asha R. Rao" in found, found
    assert "hmac-sha256:" in hidden and "919876500099" not in hidden and "secret" not in hidden, hidden
    assert 'vestige_capture_connected{capture="crm"} 1\n' in watched and 'vestige_capture_rows_total{capture="crm"}' in watched, watched
    assert "vestige_crm" in watched and "SNAPSHOT_TAKEN" in itself, (watched, itself)
    assert not "".join(rest).strip(), rest


def test_each_way_of_saying_who_is_understood_by_postgresql(context):
    """The statements of docs/capture/attribution.md, with their placeholders, as a role that may nothing else: each arrives."""
    cluster = cluster_with_contacts(context)
    witnesses = Witnesses(cluster, "contacts", CONTACTS)
    cluster.psql("CREATE ROLE shop; GRANT UPDATE, SELECT ON contacts TO shop; GRANT USAGE ON SCHEMA witness TO shop; "
                 "GRANT INSERT ON witness.change TO shop", "contacts")
    page = (harness.ROOT / "docs/capture/attribution.md").read_text()
    assert page.count("pg_logical_emit_message(true, 'vestige',") == 7
    statements = re.findall(r"SELECT pg_logical_emit_message\(true, 'vestige', (?:\$1|%s|\?)(?:::text)?\)", page)
    assert len(statements) == 6 and len(set(statements)) == 4, statements
    who = json.dumps({"actor": {"type": "STAFF", "id": "42", "name": "O'Neil"}, "requestId": "r-1"})
    for number, statement in enumerate(sorted(set(statements))):
        prepared = re.sub(r"%s|\?", "$1", statement)
        cluster.psql(f"SET ROLE shop; BEGIN; PREPARE say AS {prepared}; EXECUTE say({quoted(who)}); "
                     f"UPDATE contacts SET name = 'said {number}' WHERE id = 1; COMMIT", "contacts")
    example = re.search(r"```sql\n(.*?)```", page, re.S)[1]
    cluster.psql(f"SET ROLE shop; BEGIN; UPDATE contacts SET name = 'said at last' WHERE id = 1; {example} COMMIT", "contacts")
    changes = witnesses.changes()
    assert len(changes) == 5 and [read_message(change.message)["actor"]["id"] for change in changes] == ["42"] * 5, changes
    assert changes[0].message == who and set(read_message(changes[-1].message)) == {"actor", "organization", "requestId", "reason"}
