"""Defends: records. Every example of docs/records.md is what the server answers, whatever the order in which the steps
come and whether they are still in memory, sealed by a restart, or partly erased; a record says what it was folded
from; ids and types are taken as they are; what is not there is 404."""
import json
import random
import re
import urllib.parse
import uuid

import harness
from api_parts import ask, size_of

DOCUMENT = harness.ROOT / "docs" / "records.md"
KINDS = ("breach", "call", "chat", "consent", "data", "email", "note", "order", "push", "request", "security", "session",
         "sms", "template", "ticket")


def examples():
    """(path, steps, record) of every example of the document."""
    found = []
    for section in re.split(r"^## ", DOCUMENT.read_text(), flags=re.M)[1:]:
        blocks = re.findall(r"```json\n(.*?)```", section, re.S)
        path = re.search(r"`GET (/api/records/\S+)`", section)
        if blocks:
            assert len(blocks) == 2 and path, section[:60]
            found.append((path.group(1), json.loads(blocks[0]), json.loads(blocks[1])))
    return found


def test_every_example_of_the_documentation(context):
    server = context.server()
    shown = examples()
    assert sorted(path.split("/")[3] for path, _, _ in shown) == sorted(KINDS)
    rng = random.Random(11)
    everything = [step for _, steps, _ in shown for step in steps]
    rng.shuffle(everything)
    half = len(everything) // 2
    assert ask(server, "POST", "/api/events", everything[:half]).status == 201
    server.stop()
    server.start()
    for step in everything[half:]:
        assert ask(server, "POST", "/api/events", step).status == 201
    for path, steps, record in shown:
        answer = ask(server, "GET", path).json()
        assert answer["record"] == record, (path, answer["record"])
        assert answer["complete"] is True and "limit" not in answer and answer["tree"]["size"] == size_of(server)
        in_time = sorted(steps, key=lambda step: step["time"])
        assert [(entry["time"], entry["action"]) for entry in answer["entries"]] == [
            (step["time"], step["action"]) for step in in_time], path
        for entry in answer["entries"]:
            event = ask(server, "GET", f"/api/events/{entry['id']}").json()
            assert {**event, **entry} == event and "erased" not in entry


def test_what_is_not_there(context):
    server = context.server()
    assert ask(server, "POST", "/api/events", {"kind": "ticket", "action": "OPENED", "targetId": "T-1"}).status == 201
    for path in ("ticket/T-2", "order/T-1", "tickets/T-1", "TICKET/T-1", "ticket/t-1", "x/y"):
        answer = ask(server, "GET", f"/api/records/{path}")
        assert answer.status == 404, (path, answer)
    assert all(kind in ask(server, "GET", "/api/records/tickets/T-1").json()["detail"] for kind in KINDS)
    assert ask(server, "GET", "/api/records/ticket/T-1?targetType=TICKET").status == 404


def test_ids_are_taken_as_they_are(context):
    server = context.server()
    for number, name in enumerate(("a/b", "a b+c", "..%2f", "é\u4e16", "\"\\", "?q=1#x", "a&b=c", " ")):
        for kind in ("ORDER", "PARCEL"):
            step = {"kind": "order", "action": "PLACED", "targetType": kind, "targetId": name,
                    "detail": {"order_source": f"{kind} {number}"}}
            assert ask(server, "POST", "/api/events", step).status == 201
        path = "/api/records/order/" + urllib.parse.quote(name, safe="")
        answer = ask(server, "GET", path).json()
        assert (answer["id"], len(answer["entries"]), answer["targetTypes"]) == (name, 2, ["ORDER", "PARCEL"]), answer
        for kind in ("ORDER", "PARCEL"):
            answer = ask(server, "GET", f"{path}?targetType={kind}").json()
            assert answer["record"]["order_source"] == f"{kind} {number}" and answer["targetTypes"] == [kind]


def test_closed_sets_are_enforced_and_open_ones_are_not(context):
    server = context.server()
    for kind, detail, path in (
            ("ticket", {"priority_level": "urgent"}, "/detail/priority_level"),
            ("ticket", {"communication": {"direction": "sideways"}}, "/detail/communication/direction"),
            ("order", {"payment_audit": {"payment_status": "paid"}}, "/detail/payment_audit/payment_status"),
            ("privacy.consent", {"consent_status": "given"}, "/detail/consent_status"),
            ("data.change", {"approval_status": "maybe"}, "/detail/approval_status"),
            ("communication.call", {"call_duration": -1}, "/detail/call_duration"),
            ("communication.email", {"message_content": "text"}, "/detail/message_content"),
            ("order", {"order_timestamp": "yesterday"}, "/detail/order_timestamp")):
        answer = ask(server, "POST", "/api/events", {"kind": kind, "action": "DID", "targetId": "x", "detail": detail})
        assert answer.status == 400 and answer.json()["path"] == path, answer
    for kind, detail in (("ticket", {"issue_category": "something else", "status_change": {"new_status": "on the moon"}}),
                         ("communication.email", {"event_type": "read aloud", "unknown": [1]}),
                         ("order", {"original": {"order_event": 5}}), ("access.session", {})):
        answer = ask(server, "POST", "/api/events", {"kind": kind, "action": "DID", "targetId": "x", "detail": detail})
        assert answer.status == 201, answer


def test_late_steps_and_repeated_ones(context):
    """A step that comes again changes nothing; one that comes late takes its place."""
    server = context.server()
    steps = [{"id": str(uuid.uuid4()), "kind": "ticket", "action": "STATUS_CHANGED", "targetId": "T-1",
              "time": f"2026-01-{day:02}T00:00:00Z", "detail": {"status_change": {"new_status": str(day)}}} for day in range(1, 21)]
    rng = random.Random(3)
    sent = steps * 2
    rng.shuffle(sent)
    for step in sent:
        assert ask(server, "POST", "/api/events", step).status in (200, 201)
    record = ask(server, "GET", "/api/records/ticket/T-1").json()["record"]
    assert [each["new_status"] for each in record["status_history"]] == [str(day) for day in range(1, 21)]
    assert record["status"] == "20" and record["creation_timestamp"] == "2026-01-01T00:00:00.000Z"


def test_the_command_shows_what_the_server_answers(context):
    server = context.server()
    _, steps, record = next(example for example in examples() if "/ticket/" in example[0])
    assert ask(server, "POST", "/api/events", steps).status == 201
    done = context.vestige("record", "ticket", "T-1", data=server.data)
    assert done.status == 0 and done.json() == ask(server, "GET", "/api/records/ticket/T-1").json(), done
    assert done.json()["record"] == record
    for arguments in (("ticket", "T-2"), ("tickets", "T-1"), ("ticket", "T-1", "--target-type", "X")):
        done = context.vestige("record", *arguments, data=server.data)
        assert done.status == 1 and done.errors and not done.output, done
    assert context.vestige("record", "ticket", data=server.data).status == 2
