"""Defends: what ExAudit recorded in a table of PostgreSQL, with patches that ExAudit itself made, becomes one history with what is
captured afterwards: each version is one event like that of a captured row, the state of a contact at any time is what it
was, and importing again adds nothing, even where a user is gone meanwhile. Who is erased is erased from all of it.

The commands are those of docs/operating/import.md."""
import json
import re
import shlex
import subprocess

import harness
import postgresql
from capture_parts import cluster_with_contacts, contacts_source

PAGE = (harness.ROOT / "docs" / "operating" / "import.md").read_text()
VECTORS = json.loads((harness.ROOT / "tests" / "vectors" / "exaudit.json").read_text())
PATCHES = {vector["name"]: vector for vector in VECTORS["patches"]}
# As Glific's migration makes it.
VERSIONS = """
CREATE TABLE users(id bigserial PRIMARY KEY);
CREATE TABLE versions(
  id bigserial PRIMARY KEY, patch bytea NOT NULL, entity_id integer NOT NULL, entity_schema varchar(255) NOT NULL,
  action varchar(255) NOT NULL, recorded_at timestamp(0) NOT NULL, rollback boolean NOT NULL DEFAULT false,
  user_id bigint REFERENCES users ON UPDATE CASCADE ON DELETE SET NULL, organization_id bigint);
INSERT INTO users SELECT generate_series(41, 43);
"""
# Time, vector, entity, table, user, is it a rollback.
STORY = [
    ("2025-10-20 05:30:00", "contact created", 4, "contacts", 42, False),
    ("2025-10-20 05:30:00", "trigger created", 9, "triggers", 42, False),
    ("2025-10-25 12:00:00", "a field's value again", 1, "contacts", None, False),  # of somebody who was there before ExAudit was
    ("2025-11-01 08:00:00", "first value of a field", 4, "contacts", None, False),
    ("2025-11-02 09:00:00", "a field's value again", 4, "contacts", 43, False),
    ("2025-11-02 09:30:00", "lists grow", 9, "triggers", 41, False),
    ("2025-11-03 10:00:00", "contact blocked", 4, "contacts", 41, True),
]
VILLAGE = {"inserted_at": "2025-11-01T08:00:00.123456Z", "label": "Village", "type": "string"}
SATARA, WAI = ({"village": {**VILLAGE, "value": value}} for value in ("Satara", "Wai"))
ROW = f"""UPDATE contacts SET phone = '919876500001', fields = '{json.dumps(WAI)}' WHERE id = 1;
  INSERT INTO contacts (id, name, phone, status, bsp_status, language_id, organization_id, optin_time, optout_time, fields,
    inserted_at, updated_at) VALUES (4, 'Deepak Shah', '919876500004', 'blocked', 'session', 1, 7, '2025-10-20 05:30:00',
    '2025-11-03 10:00:00', '{json.dumps(WAI)}', '2025-10-20 05:30:00', '2025-11-03 10:00:00');"""


def story_in(cluster):
    cluster.psql(VERSIONS + ROW, "contacts")
    for time, name, entity, table, user, rollback in STORY:
        vector = PATCHES[name]
        cluster.psql(f"INSERT INTO versions(patch, entity_id, entity_schema, action, recorded_at, rollback, user_id, organization_id) "
                     f"VALUES ('\\x{vector['patch']}', {entity}, '{table}', '{vector['action']}', '{time}', {rollback}, "
                     f"{user or 'NULL'}, 7)", "contacts")


def captured_story(context):
    """What ExAudit recorded, in a database that is captured by now."""
    cluster = cluster_with_contacts(context)
    story_in(cluster)
    source = contacts_source(context, cluster)
    source.server.start()
    source.catch_up()
    return source


def blocks(kind):
    """Of the page's section on ExAudit."""
    section = PAGE.split("\n## ExAudit")[1].split("\n## ")[0]
    return re.findall(rf"^```{kind}\n(.*?)^```$", section, re.M | re.S)


def export(context, cluster, condition=""):
    """By the page's own command, less where its database is."""
    (command,) = [line for block in blocks("") for line in block.splitlines() if line.startswith("psql ")]
    words = shlex.split(command)
    assert words[:2] == ["psql", "$database"] and words[2] == "-c" and words[3].count(" ORDER BY id)") == 1, words
    words[3] = words[3].replace(" ORDER BY id)", f" {condition} ORDER BY id)")
    subprocess.run([postgresql.postgres_cluster.BINARIES / "psql", cluster.dsn("contacts"), *words[2:]], check=True, cwd=context.folder,
                   stdout=subprocess.DEVNULL)
    return context.folder / "versions.csv"


def imported(context, server, file):
    (mapping,) = blocks("toml glific.toml")
    (context.folder / "glific.toml").write_text(mapping)
    done = context.vestige("import", "--mapping", str(context.folder / "glific.toml"), str(file), data=server.data)
    assert done.status == 0, done
    return done.json()


def state(server, entity, at=""):
    answer = server.request("GET", f"/api/entities/{entity}/state" + (f"?at={at.replace(' ', 'T')}Z" if at else ""))
    assert answer.status == 200, answer
    assert not any("removed" in field for field in answer.json()["fields"].values()), answer
    return {name: field["value"] for name, field in answer.json()["fields"].items()}


def told(server, entity):
    """Of each entry about it, in the order in which things happened."""
    events = server.request("GET", f"/api/entities/{entity}/history?order=asc&limit=1000").json()["events"]
    return sorted(events, key=lambda event: event["time"])


def test_one_history_of_what_was_recorded_and_what_is_captured(context):
    source = captured_story(context)
    cluster = source.cluster
    server, file = source.server, export(context, cluster)
    before = server.search_all(order="asc")
    done = imported(context, server, file)
    assert (done["records"], done["accepted"], done["duplicates"], done["complete"]) == (len(STORY), len(STORY), 0, True), done
    assert done["files"][0]["format"] == "exaudit" and done["mapped"][0]["onlyInOriginal"] == [], done
    check_versions(server.search_all(order="asc")[len(before):])
    check_states(server)

    # Again, though a user is gone: nothing is new.
    cluster.psql("DELETE FROM users WHERE id = 42", "contacts")
    again = export(context, cluster)
    assert ",42,7" not in again.read_text()
    done = imported(context, server, again)
    assert (done["accepted"], done["duplicates"]) == (0, len(STORY)), done
    check_capture_goes_on(source)
    source.check()
    check_one_erasure_is_of_all(server)


def check_versions(events):
    """Each version as one event, in order, by whom, when and with what came with it."""
    assert len(events) == len(STORY), events
    for number, (event, (time, name, entity, table, user, rollback)) in enumerate(zip(events, STORY)):
        vector = PATCHES[name]
        assert (event["kind"], event["action"], event["targetType"], event["targetId"]) == (
            "data.change", vector["action"].upper(), f"public.{table}", str(entity)), event
        assert event["time"] == f"{time.replace(' ', 'T')}.000Z", event
        assert (event.get("sourceType"), event.get("sourceId")) == (("STAFF", str(user)) if user else (None, None)), event
        assert event.get("subject") == (str(entity) if table == "contacts" else None), event
        expected = {"organization": "7", **({} if user else {"attribution": "none"}), **({"rollback": True} if rollback else {})}
        assert {name: event["context"].get(name) for name in expected} == expected, event
        assert "rollback" in event["context"] or not rollback, event
        original = event["detail"]["original"]
        assert original["patch"] == "\\x" + vector["patch"] and original["id"] == str(number + 1) and "user_id" not in original, event
        assert event["detail"]["columns"] == {"organization_id": "7", "user_id": str(user or "")}, event


def check_states(server):
    contact, trigger, other = "public.contacts/4", "public.triggers/9", "public.contacts/1"
    assert state(server, contact, "2025-10-20 05:29:59") == {}
    created = state(server, contact, "2025-10-20 05:30:00")
    assert created == {
        "id": 4, "name": "Deepak Shah", "phone": "919876500004", "masked_phone": None, "contact_type": "WABA", "status": "valid",
        "bsp_status": "session", "is_org_read": True, "optin_time": "2025-10-20 05:30:00", "optout_time": None, "first_message_number": 1,
        "last_message_number": 0, "settings": {}, "fields": {}, "language_id": 1, "organization_id": 7,
        "inserted_at": "2025-10-20 05:30:00.25", "updated_at": "2025-10-20 05:30:00"}
    assert state(server, contact, "2025-11-02 08:59:59") == {**created, "fields": SATARA, "updated_at": "2025-11-01 08:00:00.13"}
    moved = {**created, "fields": WAI, "updated_at": "2025-11-02 09:00:00"}
    assert state(server, contact, "2025-11-02 09:00:00") == moved
    blocked = {**moved, "status": "blocked", "optout_time": "2025-11-03 10:00:00", "updated_at": "2025-11-03 10:00:00"}
    assert state(server, contact, "2025-11-04 00:00:00") == blocked
    # And now what the snapshot of the table says: the columns that it has are the same, but for the zeros that its times lack.
    now = state(server, contact)
    assert {name: now[name] for name in blocked if name != "inserted_at"} == {
        name: value for name, value in blocked.items() if name != "inserted_at"}, now
    assert state(server, trigger) == {"id": 9, "days": [1, 4, 5, 6], "end_date": "2025-12-01", "frequency": ["daily", "weekly"],
                                      "hours": [300], "rate": "1.50"}
    # Of whom ExAudit told no whole value: what is known of it, and from the snapshot on the whole alone.
    assert state(server, other, "2025-10-24 00:00:00") == {"fields#/village/value": "Satara", "updated_at": "2025-11-01 08:00:00.13"}
    assert state(server, other, "2025-10-26 00:00:00") == {"fields#/village/value": "Wai", "updated_at": "2025-11-02 09:00:00"}
    now = state(server, other)
    assert now["fields"] == WAI and now["name"] == "Asha Rao" and not [name for name in now if "#" in name], now
    blame = server.request("GET", f"/api/entities/{contact}/blame").json()["fields"]
    assert blame["status"]["setBy"]["action"] == "SNAPSHOT" and blame["status"]["changes"] == 3, blame["status"]


def check_capture_goes_on(source):
    """What the application writes from now on is in the same history."""
    server, contact = source.server, "public.contacts/4"
    who = json.dumps({"actor": {"type": "STAFF", "id": "43"}, "organization": "7"})
    source.cluster.psql(f"""BEGIN; SELECT pg_logical_emit_message(true, 'vestige', '{who}');
      UPDATE contacts SET status = 'valid', fields = jsonb_set(fields, '{{village,value}}', '"Panchgani"') WHERE id = 4; COMMIT""", "contacts")
    source.catch_up()
    history = told(server, contact)
    assert [event["action"] for event in history] == ["CREATED", "UPDATED", "UPDATED", "UPDATED", "SNAPSHOT", "UPDATED"], history
    assert [event.get("sourceId") for event in history] == ["42", None, "43", "41", None, "43"], history
    now = state(server, contact)
    assert now["status"] == "valid" and now["fields"] == {"village": {**VILLAGE, "value": "Panchgani"}}, now
    assert not [name for name in now if "#" in name], now
    by_meera = server.search(sourceId="43", sourceType="STAFF", targetType=["public.contacts"])["events"]
    assert [event["targetId"] for event in by_meera] == ["4", "4"], by_meera
    shown = source.context.vestige("history", "public.contacts", "4", data=server.data)
    assert shown.status == 0 and "fields#/village/value" in shown.output and "Panchgani" in shown.output, shown


def check_one_erasure_is_of_all(server):
    """Whether it was recorded or captured: no word and no patch of the contact's is left, and those of another one are."""
    words = ("Deepak", "Satara", "Panchgani", "919876500004", PATCHES["contact created"]["patch"][:400])
    assert all(word in json.dumps(server.search_all()) for word in words)
    answer = server.request("POST", "/api/subjects/erase", {"subject": "4", "reason": "asked for it"})
    assert answer.status == 200, answer
    left = server.search_all()
    others = [event for event in left if event.get("subject") == "1"]
    assert not any(word in json.dumps([event for event in left if event not in others]) for word in words), left
    assert "Satara" in json.dumps(others), others


def test_what_was_before_capture_began_is_all_that_is_imported(context):
    """With the condition of the page: what the application recorded since, and capture too, is there once."""
    source = captured_story(context)
    cluster = source.cluster
    (condition,) = re.findall(r"`(WHERE recorded_at < '\.\.\.')`", PAGE)
    (query,) = re.findall(r"`vestige (query 'kind:system\.capture action:SNAPSHOT_TAKEN')\s+--data var`", PAGE)
    (taken,) = [event["time"] for event in context.vestige(*shlex.split(query), data=source.server.data).json()["events"]]
    cluster.psql("UPDATE contacts SET status = 'valid' WHERE id = 4", "contacts")
    cluster.psql(f"""INSERT INTO versions(patch, entity_id, entity_schema, action, recorded_at, user_id, organization_id)
      VALUES ('\\x{PATCHES["contact blocked"]["patch"]}', 4, 'contacts', 'updated', timestamp '{taken}' + interval '1 second', 43, 7)""",
                 "contacts")
    source.catch_up()
    done = imported(context, source.server, export(context, cluster, condition.replace("...", taken)))
    assert (done["records"], done["accepted"]) == (len(STORY), len(STORY)), done
    history = told(source.server, "public.contacts/4")
    assert [event["action"] for event in history] == ["CREATED", "UPDATED", "UPDATED", "UPDATED", "SNAPSHOT", "UPDATED"], history
    assert "transaction" in history[-1]["context"] and "sourceId" not in history[-1], history[-1]
    source.check()


def test_a_version_that_cannot_be_read_ends_the_import_and_is_named(context):
    """What was before it stays; nothing after it is sent."""
    cluster = cluster_with_contacts(context)
    story_in(cluster)
    cluster.psql("UPDATE versions SET patch = substr(patch, 1, 100) WHERE id = 5", "contacts")
    file = export(context, cluster)
    server = context.server()
    done = context.vestige("import", str(file), data=server.data)
    assert done.status == 1 and "line 6 of" in done.errors and "its patch cannot be read: it ends in the middle of the term" in done.errors, done
    found = server.search_all(targetType=["public.contacts", "public.triggers"], order="asc")
    assert [event["targetId"] for event in found] == ["4", "9", "1", "4"], found
