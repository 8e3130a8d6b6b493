"""Defends: searching, as requirements/audit-log-service.md asks for it. Every field of the filter works alone and
together, null and missing fields do not filter, times are from inclusive to exclusive, pages neither repeat nor
miss anything while events arrive, and cursors are of use to their owner only."""
import json
import random
import threading
import uuid

from api_parts import DESCRIPTION, ask, event, judge

EXAMPLE = {
    "id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "sourceId": "string", "sourceType": "CUSTOMER_USER",
    "sourceEntityMeta": {"additionalProp1": {}}, "action": "COMMUNICATED", "targetId": "string",
    "targetType": ["CUSTOMER"], "targetEntityMeta": {"additionalProp1": {}},
    "timeFrom": "2022-11-24T13:26:35.213Z", "timeTo": "2022-11-24T13:26:35.213Z",
    "detail": {"additionalProp1": "string", "additionalProp2": "string", "additionalProp3": "string"}}
SENT = {
    "id": EXAMPLE["id"], "kind": "data.change", "action": "COMMUNICATED", "sourceId": "string",
    "sourceType": "CUSTOMER_USER", "sourceEntityMeta": {"additionalProp1": {"more": 1}}, "targetId": "string",
    "targetType": "CUSTOMER", "targetEntityMeta": {"additionalProp1": {}}, "time": "2022-11-24T13:26:35.213Z",
    "detail": {"additionalProp1": "string", "additionalProp2": "string", "additionalProp3": "string", "n": 5}}
PATH = "/auditlog/events/v2"


def found(server, **body):
    return [entry["id"] for entry in server.search_all(**body)]


def test_the_example_body_of_the_requirement(context):
    server = context.server()
    for personal in (False, True):
        sent = {**SENT, **({"id": str(uuid.uuid4()), "subject": ["string", "other"]} if personal else {})}
        assert ask(server, "POST", "/api/events", sent).status == 201
        example = {**EXAMPLE, "id": sent["id"]}
        # Its time range is empty: timeTo is exclusive.
        assert ask(server, "POST", PATH, example).json()["events"] == []
        wide = {**example, "timeTo": "2022-11-24T13:26:35.214Z"}
        assert found(server, **wide) == [sent["id"]]
        assert found(server, **{**wide, "timeFrom": "2022-11-24T13:26:35.214Z", "timeTo": None}) == []
        assert found(server, **{**wide, "timeFrom": "2022-11-24T14:26:35.213+01:00"}) == [sent["id"]]
        others = {"id": str(uuid.uuid4()), "sourceId": "x", "sourceType": "x", "sourceEntityMeta": {"x": {}},
                  "action": "x", "targetId": "x", "targetType": ["x"], "targetEntityMeta": {"additionalProp1": "x"},
                  "timeFrom": "2022-11-24T13:26:35.214Z", "timeTo": "2022-11-24T13:26:35.213Z",
                  "detail": {"additionalProp1": "other"}}
        for name, other in others.items():
            assert sent["id"] in found(server, **{name: wide[name]}), name
            assert found(server, **{**wide, name: other}) == [], name
            ids = found(server, **{**wide, name: None})
            assert ids[:1] == [sent["id"]] and (name == "id" or len(ids) == 1), name
            assert ids == found(server, **{each: value for each, value in wide.items() if each != name}), name
        assert found(server, **{**wide, "targetType": ["x", "CUSTOMER", "y"]}) == [sent["id"]]
        assert found(server, **{**wide, "targetType": []}) == [sent["id"]]
        assert found(server, **{**wide, "detail": {"n": "5"}}) == [sent["id"]]
        assert found(server, **{**wide, "detail": {"n": 5.0}}) == [sent["id"]]
        assert found(server, **{**wide, "detail": {}}) == [sent["id"]]
        assert found(server, **{**wide, "detail": {"additionalProp1": {}}}) == []
        assert found(server, **{**wide, "kind": "data.change", "text": "STRING customer_user 5"}) == [sent["id"]]
        assert found(server, **{**wide, "text": "strin"}) == []


def test_every_kind_is_found_newest_first_by_default(context):
    server = context.server()
    sent = [event(targetId=str(number), time=f"20{20 - number}-01-01T00:00:00Z") for number in range(10)]
    ids = [each["id"] for each in ask(server, "POST", "/api/events", sent).json()["events"]]
    everything = server.search_all()
    indexes = [entry["index"] for entry in everything]
    assert indexes == sorted(indexes, reverse=True) and len(indexes) == server.search()["tree"]["size"]
    assert {entry["kind"] for entry in everything} >= {"data.change", "system.server", "system.key"}
    assert found(server, kind="data.change") == ids[::-1]
    assert found(server, kind="data.change", order="asc") == ids
    assert found(server, kind="system.server", action="STARTED")
    assert ask(server, "POST", PATH, b"", headers={"Content-Type": "application/json"}).json()["events"] == everything


def test_pages_while_events_arrive(context):
    server = context.server()
    rng = random.Random(5)
    ids = []
    for _ in range(4):
        sent = [event(action=rng.choice(("WANTED", "OTHER")), **({"subject": "p"} if rng.random() < 0.3 else {}))
                for _ in range(1500)]
        answer = ask(server, "POST", "/api/events", sent)
        ids += [each["id"] for each, what in zip(answer.json()["events"], sent) if what["action"] == "WANTED"]
    stop, wrong = threading.Event(), []

    def write():
        while not stop.is_set():
            if server.post_events([event(action="WANTED")] * 20).status != 201:
                wrong.append(1)

    writers = [threading.Thread(target=write) for _ in range(2)]
    began = server.search(limit=1)["tree"]
    for writer in writers:
        writer.start()
    try:
        for order in ("desc", "asc"):
            for limit in (1000, 313):
                body, events, tree = {"action": "WANTED", "order": order, "limit": limit}, [], None
                while True:
                    page = ask(server, "POST", PATH, body).json()
                    assert tree in (None, page["tree"]), "a later page was answered at another tree"
                    assert len(page["events"]) <= limit
                    tree, events = page["tree"], events + page["events"]
                    if page["cursor"] is None:
                        break
                    body["cursor"] = page["cursor"]
                indexes = [entry["index"] for entry in events]
                assert indexes == sorted(set(indexes), reverse=order == "desc")
                assert max(indexes) < tree["size"] and tree["size"] >= began["size"]
                told = [entry["id"] for entry in events][::1 if order == "asc" else -1]
                assert told[:len(ids)] == ids
                # Everything that was there when the search began, to the last.
                assert len(told) == len(set(told)) == sum(
                    1 for entry in server.search_all(action="WANTED", limit=1000) if entry["index"] < tree["size"])
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert not wrong


def test_limits_and_cursors(context):
    server = context.server()
    assert ask(server, "POST", "/api/events", [event() for _ in range(1200)]).status == 201
    for limit, count in ((1, 1), (1000, 1000), (None, 100), (7.0, 7)):
        page = ask(server, "POST", PATH, {"limit": limit}).json()
        assert len(page["events"]) == count and page["cursor"], limit
    for limit in (0, 1001, -1, 1.5, "5", True, [], 10**30, {}):
        answer = ask(server, "POST", PATH, {"limit": limit})
        assert answer.status == 400 and answer.json()["path"] == "/limit" and answer.json()["limit"], (limit, answer)
    cursor = server.search(limit=3, kind="data.change")["cursor"]
    other = ask(server, "POST", "/api/keys", {"name": "other", "scopes": ["read"]}).json()["key"]
    assert ask(server, "POST", PATH, {"kind": "data.change", "limit": 50, "cursor": cursor}).status == 200
    for body, key in (({"kind": "data.change", "cursor": cursor}, other), ({"cursor": cursor}, "admin"),
                      ({"kind": "data.change", "order": "asc", "cursor": cursor}, "admin"),
                      ({"kind": "data.change", "cursor": cursor[:-2]}, "admin"),
                      ({"kind": "data.change", "cursor": "zz" + cursor[2:]}, "admin"),
                      ({"kind": "data.change", "cursor": ("1" if cursor[0] == "0" else "0") + cursor[1:]}, "admin"),
                      ({"kind": "data.change", "cursor": "x"}, "admin"), ({"kind": "data.change", "cursor": ""}, "admin")):
        answer = ask(server, "POST", PATH, body, key=key)
        assert answer.status == 400 and answer.json()["path"] == "/cursor", (body, answer)
    # A cursor outlives a restart: it is bound to the trail and not to the process.
    server.stop()
    server.start()
    assert ask(server, "POST", PATH, {"kind": "data.change", "cursor": cursor}).status == 200


def test_what_is_no_search(context):
    server = context.server()
    for body, path in (({"what": 1}, "/what"), ({"id": "x"}, "/id"), ({"sourceId": 1}, "/sourceId"), ({"targetType": 1}, "/targetType"),
                       ({"targetType": ["a", 1]}, "/targetType/1"), ({"targetType": ["a"] * 101}, "/targetType"),
                       ({"detail": []}, "/detail"), ({"sourceEntityMeta": "x"}, "/sourceEntityMeta"), ({"timeFrom": "now"}, "/timeFrom"),
                       ({"timeTo": 1}, "/timeTo"), ({"order": "up"}, "/order"), ({"text": ["a"]}, "/text"),
                       ({"text": " ".join(f"w{n}" for n in range(33))}, "/text"), ({"tenant": "other"}, "/tenant")):
        answer = ask(server, "POST", PATH, body)
        assert answer.status == 400 and answer.json()["path"] == path, (body, answer)
    for body in (b"[]", b"1", b"null", b"{", b'{"kind":"a","kind":"b"}', b'{"text":"\xff"}', b"[" * 100000):
        assert ask(server, "POST", PATH, body, headers={"Content-Type": "application/json"}).status == 400, body[:50]
    answer = ask(server, "POST", PATH, json.dumps({"text": "x" * (16 << 20)}).encode())
    assert answer.status == 413, answer


def test_answers_are_what_the_description_says(context):
    server = context.server()
    full = DESCRIPTION["paths"]["/api/events"]["post"]["requestBody"]["content"]["application/json"]["examples"]["full"]["value"]
    assert ask(server, "POST", "/api/events", full).status == 201
    stored = ask(server, "GET", f"/api/events/{full['id']}").json()
    assert ask(server, "POST", PATH, {"id": full["id"]}).json()["events"] == [stored]
    assert [section["state"] for section in stored["sealed"]] == ["present"], stored
    for path in (f"/api/events/{uuid.uuid4()}", "/api/events/no-id"):
        for part in ("", "/sealed", "/proof"):
            assert judge("GET", path + part, server.request("GET", path + part)).status == 404
