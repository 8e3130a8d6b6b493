"""Defends: every record of a foreign audit trail becomes one entry that holds it whole and is found by actor, action,
target and word; importing again, under another name, in another package or in another order of keys adds nothing; the
examples of docs/operating/import.md do what the page says."""
import csv
import gzip
import io
import json
import random
import re
import shlex
import tarfile
import tomllib

import zstandard

import harness
from api_parts import NDJSON_TYPE, ask

AUDIT_FILES = {  # name: format and number of records
    "cloudtrail-invictus-part1.jsonl.zst": ("cloudtrail", 1448), "cloudtrail-stratus.jsonl.zst": ("cloudtrail", 142),
    "gws-admin.jsonl.zst": ("gws", 206), "gws-login.jsonl.zst": ("gws", 71), "k8s-audit2rbac-demo.jsonl": ("k8s-audit", 37),
    "k8s-falco.jsonl.zst": ("k8s-audit", 24), "m365-copilot-export.csv.zst": ("m365-export", 177),
    "o365-ual-part1.jsonl.zst": ("o365", 2686), "otrf-s3-honeybucket.csv.zst": ("csv", 301),
    "saas-panther.jsonl.zst": ("json", 1157)}
ARCHIVE = "cloudtrail-invictus-part1-files.tar.zst"
SAMPLES = 6
FOUND_BY = (("targetId", "targetId"), ("sourceId", "sourceId"), ("action", "action"))


def unpacked(file):
    data = file.read_bytes()
    return zstandard.ZstdDecompressor().decompressobj().decompress(data) if file.suffix == ".zst" else data


def records_of(file):
    """The records as another program reads them."""
    text = unpacked(file).decode("utf-8-sig")
    if ".csv" in file.name:
        return list(csv.DictReader(io.StringIO(text, newline="")))
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def whole(value):
    """One text for each value, whatever the order of its keys and the spelling of its numbers."""
    def plain(part):
        if isinstance(part, dict):
            return {key: plain(each) for key, each in part.items()}
        if isinstance(part, list):
            return [plain(each) for each in part]
        return int(part) if isinstance(part, float) and part.is_integer() else part
    return json.dumps(plain(value), sort_keys=True)


def imported(context, server, *arguments):
    done = context.vestige("import", *arguments, data=server.data)
    assert done.status == 0, done
    return done.json()


def a_word(record):
    """A long word of the record's values, to be found by."""
    def texts(part):
        if isinstance(part, (dict, list)):
            return [text for each in (part.values() if isinstance(part, dict) else part) for text in texts(each)]
        return [part] if isinstance(part, str) else []
    words = [word for text in texts(record) for word in re.findall(r"(?<!\S)[A-Za-z]{4,30}(?!\S)", text)]
    return max(words, key=len) if words else None


def test_every_file_of_the_test_data_is_imported_whole(context):
    files = {name: context.shared_data(f"audit/{name}") for name in (*AUDIT_FILES, ARCHIVE)}
    server = context.server()
    randomly = random.Random(7)
    total = 0
    for name, (form, count) in AUDIT_FILES.items():
        records = records_of(files[name])
        assert len(records) == count, (name, len(records))
        done = imported(context, server, files[name])
        assert (done["records"], done["accepted"], done["complete"]) == (count, count, True), (name, done)
        assert done["files"][0]["format"] == form, (name, done)
        stored = server.search_all(order="asc")[-count:] if total else server.search_all(order="asc", kind=None)
        stored = [event for event in stored if "original" in event.get("detail", {})][-count:]
        assert [whole(event["detail"]["original"]) for event in stored] == [whole(record) for record in records], name
        for event in randomly.sample(stored, min(SAMPLES, count)):
            check_found(server, event)
        check_mapped(name, stored)
        total += count
    again = imported(context, server, *(files[name] for name in AUDIT_FILES))
    assert (again["accepted"], again["duplicates"]) == (0, total), again
    # The archive holds the records of the first file as they were delivered, in 20 objects around them.
    packed = imported(context, server, files[ARCHIVE])
    assert (packed["records"], packed["accepted"], packed["files"][0]["format"]) == (1448, 0, "cloudtrail"), packed


def check_found(server, event):
    """By actor, action, target and a word of the original, as far as the record has them."""
    for member, field in FOUND_BY:
        if event.get(member):
            found = server.search(**{field: event[member], "limit": 1000, "timeFrom": event["time"]})["events"]
            assert any(each["id"] == event["id"] for each in found) or len(found) == 1000, (member, event)
    word = a_word(event["detail"]["original"])
    if word:
        found = server.search(text=word, limit=1000, **({"targetId": event["targetId"]} if "targetId" in event else {}))["events"]
        assert any(each["id"] == event["id"] for each in found) or len(found) == 1000, (word, event)


def check_mapped(name, stored):
    """What share of the records an analyst finds by what. These are floors, not wishes."""
    floors = {"saas-panther.jsonl.zst": {"sourceId": 0.74, "targetId": 0.8, "ip": 0.5},
              "m365-copilot-export.csv.zst": {"sourceId": 1, "targetId": 1, "ip": 0},
              "otrf-s3-honeybucket.csv.zst": {"sourceId": 1, "targetId": 0, "ip": 0.9}}
    floor = floors.get(name, {"sourceId": 0.99, "targetId": 0.99, "ip": 0.2})
    for member in ("sourceId", "targetId"):
        share = sum(member in event for event in stored) / len(stored)
        assert share >= floor[member], (name, member, share)
    share = sum("ip" in event.get("context", {}) for event in stored) / len(stored)
    assert share >= floor["ip"], (name, "ip", share)
    unrecognised = sum(event["action"] == "UNRECOGNISED" for event in stored)
    assert unrecognised <= len(stored) * 0.05, (name, unrecognised)


def test_a_record_is_one_record_however_it_is_packed(context):
    server = context.server()
    records = [{"eventSource": "s3.amazonaws.com", "eventName": "PutObject", "userIdentity": {"arn": f"arn:{number % 3}"},
                "requestParameters": {"bucketName": "b"}, "n": number % 40} for number in range(60)]
    forms = {"lines": "".join(json.dumps(record) + "\n" for record in records),
             "array": json.dumps(records, indent=2),
             "envelope": json.dumps({"Records": [dict(reversed(record.items())) for record in records]})}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for number in range(0, 60, 20):
            content = gzip.compress(json.dumps({"Records": records[number:number + 20]}).encode())
            member = tarfile.TarInfo(f"folder/{'long-name-' * 15}{number}.json.gz")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    for number, (name, text) in enumerate(forms.items()):
        (context.folder / name).write_text(text)
        done = imported(context, server, context.folder / name)
        assert (done["accepted"], done["duplicates"]) == ((0, 60) if number else (60, 0)), (name, done)
    (context.folder / "packed").write_bytes(packed.getvalue())
    done = imported(context, server, context.folder / "packed")
    assert (done["files"][0]["format"], done["records"], done["accepted"]) == ("cloudtrail", 60, 0), done
    # Once more each record in one run is once more each record.
    done = imported(context, server, context.folder / "lines", context.folder / "array")
    assert (done["accepted"], done["duplicates"]) == (60, 60), done


def test_another_mapping_later_changes_nothing(context):
    server = context.server()
    (context.folder / "in.csv").write_text("who,what\nana,x\nben,y\n")
    (context.folder / "m.toml").write_text('action = "/what"\nsource.id = "/who"\nsubject = "/who"\n')
    assert imported(context, server, "in.csv", "--mapping", "m.toml")["accepted"] == 2
    assert imported(context, server, "in.csv")["duplicates"] == 2
    events = server.search(sourceId="ana")["events"]
    assert [(event["action"], event["subject"], event["detail"]["original"]) for event in events] == [
        ("x", "ana", {"who": "ana", "what": "x"})], events


def test_numbers_that_a_double_cannot_hold_become_strings_that_are_named(context):
    server = context.server()
    (context.folder / "in.json").write_text('{"action":"a","size":9007199254740993,"list":[1,1e400]}')
    assert imported(context, server, "in.json")["accepted"] == 1
    event, = server.search(action="a")["events"]
    assert event["detail"]["original"] == {"action": "a", "size": "9007199254740993", "list": [1, "1e400"]}, event
    assert event["lossless"] == ["/detail/original/list/1", "/detail/original/size"], event
    assert imported(context, server, "in.json")["duplicates"] == 1


def test_every_kind_that_a_shipped_mapping_names_is_shipped(context):
    shipped = {file.name.split(".v")[0] for file in (harness.ROOT / "schemas").glob("*.json")}
    mappings = list((harness.ROOT / "src" / "cli" / "import" / "mappings").glob("*.toml"))
    assert len(mappings) >= 15, mappings
    for file in mappings:
        named = set(tomllib.loads(file.read_text()).get("kinds", {}).values())
        assert named and named <= shipped, (file.name, named - shipped)


NAMES = ("action", "eventName", "user", "actor", "userId", "target", "resource", "ip", "sourceIPAddress", "time", "timestamp",
         "userAgent", "requestId", "session", "service", "detail", "event", "log", "message", "type", "id", "email", "kind")
TEXTS = ("", "x", "\u0000", "\u202e \ud83d\ude00", "é" * 700, "x" * 3000, "192.0.2.1:80", "2026-01-01", "{\"action\":", "null", "/~1", " ")


def odd_value(randomly, depth):
    choice = randomly.randrange(8)
    if choice < 3 or depth == 0:
        return randomly.choice(TEXTS)
    if choice == 3:
        return randomly.choice((0, -1.5, 1764081611213, True, False, None))
    if choice == 4:
        return [odd_value(randomly, depth - 1) for _ in range(randomly.randrange(4))]
    return odd_record(randomly, depth - 1)


def odd_record(randomly, depth=4):
    return {randomly.choice(NAMES): odd_value(randomly, depth) for _ in range(randomly.randrange(7))}


def test_no_record_is_too_odd(context):
    """Whatever a mapping makes of a record, the server takes it."""
    server = context.server()
    seed = random.randrange(1 << 32)
    randomly = random.Random(seed)
    records = [odd_record(randomly) for _ in range(1500)]
    (context.folder / "odd.json").write_text("".join(json.dumps(record) + "\n" for record in records))
    for form in ("json", "okta"):
        done = imported(context, server, "odd.json", "--format", form)
        assert (done["accepted"], done["complete"]) == (1500, True), (seed, done)
    stored = [event for event in server.search_all(order="asc") if "original" in event.get("detail", {})][:1500]
    assert [whole(event["detail"]["original"]) for event in stored] == [whole(record) for record in records], seed


def test_an_unreadable_record_ends_the_import_and_is_named(context):
    server = context.server()
    (context.folder / "in.json").write_text('{"action":"a"}\n{"action":"b","x":"\\ud800"}\n{"action":"c"}\n')
    done = context.vestige("import", "in.json", data=server.data)
    assert done.status == 1 and "line 2" in done.errors and "in.json" in done.errors, done
    assert done.json()["accepted"] == 1 and done.json()["complete"] is False, done
    (context.folder / "in.json").write_text('[{"action":"d"}, {"action":"e"')
    done = context.vestige("import", "in.json", data=server.data)
    assert done.status == 1 and "truncated" in done.errors and done.json()["accepted"] == 1, done


def line(record, **more):
    return json.dumps({"record": record, "event": {"kind": "data.change", "action": "DID"}, **more})


def test_the_interface_answers_as_for_events(context):
    server = context.server()

    def post(form, *lines, head=NDJSON_TYPE):
        return ask(server, "POST", f"/api/imports/{form}", "\n".join(lines).encode(), headers=head)
    first = post("json", line({"a": 1}), line({"a": 1}, occurrence=2), line({"a": 1}))
    assert first.status == 201 and (first.json()["accepted"], first.json()["duplicates"]) == (2, 1), first
    again = post("json", line({"a": 1.0}, event={"kind": "data.change", "action": "OTHER"}))
    assert again.status == 200 and again.json()["events"][0]["id"] == first.json()["events"][0]["id"], again
    assert post("csv", line({"a": 1})).status == 201, "the format is part of the id"
    for lines, path in (([line({"a": 2}), "{"], "/1"), ([line({"a": 2}, extra=1)], "/0/extra"),
                        ([line({"a": 2}, event={"kind": "no.such", "action": "x"})], "/0/event/kind"),
                        ([json.dumps({"record": {"kind": "data.change"}})], "/0/record/action")):
        answer = post("json", *lines)
        assert answer.status == 400 and answer.json()["path"].startswith(path), (lines, answer)
    assert post("No", line(1)).status == 404
    assert ask(server, "POST", "/api/imports/json", {"record": 1}).status == 415
    assert len(server.search_all(kind="data.change")) == 3


PAGE = harness.ROOT / "docs" / "operating" / "import.md"


def blocks():
    """The fenced blocks of the page: what stands behind the fence, and the text."""
    return re.findall(r"^```(\w+) ?([^\n]*)\n(.*?)^```$", PAGE.read_text(), re.M | re.S)


def test_every_example_of_the_page_does_what_it_says(context):
    server = context.server(data=context.folder / "var")
    (context.folder / "cloudtrail.json").write_text(json.dumps({"Records": [
        {"eventSource": "s3.amazonaws.com", "eventName": "GetObject", "userIdentity": {"arn": "arn:ana"}}]}))
    (context.folder / "activities.json").write_text(json.dumps({"items": [
        {"kind": "admin#reports#activity", "id": {"time": "2026-11-25T14:40:11.213Z", "applicationName": "login"},
         "actor": {"email": "ana@example.org"}, "events": [{"name": "login_success"}]}]}))
    (context.folder / "logins.csv").write_text("time,user,event\n2026-11-25 14:40:11,ana,login\n")
    for language, name, text in blocks():
        if name and name != "output":
            (context.folder / name).write_text(text)
    last, commands = None, 0
    for language, name, text in blocks():
        if language == "sh":
            for command in text.strip().split("\n"):
                words = shlex.split(command)
                assert words[0] == "vestige", command
                last = context.vestige(*words[1:])
                assert last.status == 0, (command, last)
                commands += 1
        elif name == "output":
            assert last.output == text, last
    assert commands >= 7, commands
    found = server.search(targetId="O-1001")["events"]
    assert {event["action"] for event in found} == {"PRICE_CHANGED", "SHIPPED"}, found
    assert all(event["subject"] == "c-17" and event["detail"]["original"]["customer"] == "c-17" for event in found), found
    assert server.search(sourceId="ana@example.org")["events"][0]["subject"] == "ana@example.org"
