"""Defends: what is not on record is said to be missing, and what is on record is never less than it says. A slot that was moved
or given up and a database that was put back from a copy are a GAP, after which a new snapshot makes the record whole again. A
snapshot has all rows that it says it has read, whatever else goes on in the database, and none that PostgreSQL lost in a crash."""
import shutil
import subprocess
import time

import postgresql
from capture_load import Session
from capture_parts import Source, cluster_with_contacts, contacts_source

WAIT_SECONDS_MAX = 90
MIB = 1 << 20


def wait_until(holds, what):
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def check_gap(source, cause):
    """What the trail says of the one hole, and that it is whole after it."""
    source.catch_up()
    (gap,) = source.about_itself("GAP")
    assert gap["detail"]["cause"] == cause and gap["detail"]["from"] != gap["detail"]["to"], gap
    taken = source.about_itself("SNAPSHOT_TAKEN")
    assert len(taken) == 2 and taken[0]["index"] < gap["index"] < taken[1]["index"], (gap, taken)
    return source.check_since_snapshot()


def names(events):
    """Those that contacts got in these events."""
    return {element["new"] for event in events for element in event.get("changes", ())
            if element["field"] == "name" and element.get("new")}


def test_a_slot_that_was_moved_is_a_gap(context):
    cluster = cluster_with_contacts(context)
    source = contacts_source(context, cluster)
    source.server.start()
    source.check()
    assert source.server.stop() == 0
    cluster.psql("UPDATE contacts SET name = 'In the hole' WHERE id = 1", "contacts")
    cluster.psql("SELECT pg_replication_slot_advance('vestige_crm', pg_current_wal_lsn())", "contacts")
    source.server.start()
    assert not [event for event in check_gap(source, "slot_moved") if event["action"] != "SNAPSHOT"]


def test_a_slot_that_keeps_too_much_is_given_up(context):
    """An open transaction holds it back: first there is a warning, past the limit the slot is gone, and PostgreSQL's disk is free.
    With a new slot the trail says what is missing."""
    cluster = cluster_with_contacts(context, wal_init_zero="off")
    source = contacts_source(context, cluster, lag_bytes_max=1300 * MIB)
    source.server.start()
    source.check()
    slot = "SELECT 1 FROM pg_replication_slots WHERE slot_name = 'vestige_crm'"
    held = Session(cluster, "contacts")
    assert held.do("BEGIN; UPDATE contacts SET name = 'Held' WHERE id = 1;")
    # Each of them ends a file of 16 MiB.
    switch = "SELECT pg_logical_emit_message(false, 'test', 'x'); SELECT pg_switch_wal();"
    cluster.psql(switch * 70, "contacts")
    log = source.server.log
    wait_until(lambda: "MiB of log for it; past 1300 MiB (lag_bytes_max) the slot is given up" in log.read_text(), "no warning")
    cluster.psql("UPDATE contacts SET name = 'Before it was given up' WHERE id = 2", "contacts")
    source.catch_up()
    assert cluster.psql(slot) == [["1"]]
    cluster.psql(switch * 20, "contacts")
    wait_until(lambda: not cluster.psql(slot), "the slot is still there")
    wait_until(lambda: "the slot was given up" in log.read_text(), "nothing is said of it")
    wait_until(lambda: "vestige capture postgres init" in log.read_text(), "what to do about it is not said")
    assert held.do("COMMIT;")
    held.end()
    cluster.psql("UPDATE contacts SET name = 'In the hole' WHERE id = 3", "contacts")
    assert source.init().json()["ready"] is True
    events = check_gap(source, "slot_moved")
    assert {"Held", "Before it was given up", "In the hole"} <= names(events), names(events)
    updates = names(event for event in source.events() if event["action"] == "UPDATED")
    assert "Before it was given up" in updates and "In the hole" not in updates, updates


def test_a_database_that_was_put_back_from_a_copy_is_a_gap(context):
    """Its log goes on from an older place: other changes come at positions that the trail has passed already, and at the very
    positions of some that are on record."""
    cluster = cluster_with_contacts(context)
    source = contacts_source(context, cluster)
    source.server.start()
    source.catch_up()
    assert source.server.stop() == 0
    cluster.stop()
    copy = cluster.folder / "copy"
    subprocess.run(["cp", "-a", cluster.data, copy], check=True)
    cluster.start()
    source.server.start()
    for number in range(20):
        cluster.psql(f"UPDATE contacts SET name = 'Lost {number}' WHERE id = 1", "contacts")
    source.catch_up()
    assert source.server.stop() == 0
    cluster.stop()
    shutil.rmtree(cluster.data)
    copy.rename(cluster.data)
    cluster.start()
    source.server.start()
    for number in range(20):
        cluster.psql(f"UPDATE contacts SET name = 'Kept {number}' WHERE id = 1", "contacts")
    events = check_gap(source, "slot_moved")
    assert "Kept 19" in names(events) and not any(name.startswith("Lost") for name in names(events)), names(events)


# ------------------------------------------------------------------------------------------------- snapshots

def test_a_table_that_is_emptied_while_a_snapshot_begins_is_in_it(context):
    """TRUNCATE empties a table also for those who began to read before it was committed. Then the rows that the transaction changed
    before it would be changes of rows that were never there."""
    cluster = cluster_with_contacts(context)
    source = contacts_source(context, cluster)
    truncating = Session(cluster, "contacts")
    assert truncating.do("BEGIN; UPDATE contacts_tags SET tag = 'renamed'; TRUNCATE contacts_tags;")
    source.server.start()
    wait_until(lambda: cluster.psql("SELECT 1 FROM pg_locks WHERE relation = 'contacts_tags'::regclass AND NOT granted", "contacts"),
               "the snapshot does not wait for the table")
    assert truncating.do("COMMIT;")
    truncating.end()
    source.check()


def test_rows_of_tables_that_inherit_are_not_the_tables_own(context):
    """PostgreSQL reads them with the table, but sends their changes as those of their own: what is on record of them would stand
    still for ever."""
    cluster = postgresql.Cluster(context)
    cluster.create_database("shop")
    cluster.psql("CREATE TABLE item (id int PRIMARY KEY, name text); CREATE TABLE book () INHERITS (item); "
                 "ALTER TABLE item REPLICA IDENTITY FULL; ALTER TABLE book REPLICA IDENTITY FULL; "
                 "INSERT INTO item VALUES (1, 'pen'); INSERT INTO book VALUES (2, 'atlas')", "shop")
    source = Source(context, cluster, "shop", ["public.item"])
    source.server.start()
    source.catch_up()
    cluster.psql("UPDATE item SET name = name || '.'; DELETE FROM book", "shop")
    source.check()


def test_a_table_that_is_dropped_or_renamed_keeps_the_others_from_nothing(context):
    """The log says what of the configuration is not there, and what is published and not recorded."""
    cluster = postgresql.Cluster(context)
    cluster.create_database("shop")
    cluster.psql("CREATE TABLE item (id int PRIMARY KEY); CREATE TABLE note (id int PRIMARY KEY); CREATE TABLE line (id int PRIMARY KEY)",
                 "shop")
    source = Source(context, cluster, "shop", ["public.item", "public.note", "public.line"])
    source.server.start()
    source.catch_up()
    cluster.psql("ALTER TABLE note RENAME TO \"Notes\"; INSERT INTO \"Notes\" VALUES (1); DROP TABLE line; INSERT INTO item VALUES (1)", "shop")
    source.catch_up()
    assert [(event["targetType"], event["targetId"]) for event in source.events()] == [("public.item", "1")]
    log = source.server.log.read_text()
    assert log.count("public.Notes is in the publication vestige_crm and not among `tables`") == 1, log
    assert source.server.stop() == 0
    source.server.start()
    cluster.psql("INSERT INTO item VALUES (2)", "shop")
    source.catch_up()
    assert [event["targetId"] for event in source.events()] == ["1", "2"]
    log = source.server.log.read_text()
    for gone in ("public.note", "public.line"):
        assert f"the database shop has no table {gone} any more" in log, log
    assert 'ALTER PUBLICATION vestige_crm DROP TABLE "public"."Notes"' in log, log
    tables = [event["detail"]["tables"] for event in source.about_itself("STARTED")]
    assert tables == [["public.item", "public.note", "public.line", "public.beacon"], ["public.item", "public.beacon"]], tables


def test_a_snapshot_has_nothing_that_postgresql_can_lose(context):
    """Where commits do not wait for the disk, a session sees what a crash takes back. Positions and numbers of transactions are then
    given out again."""
    cluster = cluster_with_contacts(context, synchronous_commit="off", wal_writer_delay="5s", bgwriter_delay="5s")
    source = contacts_source(context, cluster)
    cluster.psql("CHECKPOINT", "contacts")

    def insert(name, phone):
        cluster.psql("INSERT INTO contacts (name, phone, language_id, organization_id) "
                     f"VALUES ('{name}', '{phone}', 1, 7)", "contacts")

    for number in range(20):
        insert("lost", f"70000{number:03}")
    source.server.start()
    wait_until(lambda: source.about_itself("SNAPSHOT_TAKEN"), "no snapshot")
    cluster.kill()
    cluster.start()
    for number in range(5):
        insert("kept", f"80000{number:03}")
    source.catch_up()
    source.check_since_snapshot()
