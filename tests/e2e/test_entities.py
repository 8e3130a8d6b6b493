"""Defends: the history of an entity. Pages give every entry about it once, and nothing else; state, diff and blame say
of each field what the changes that were sent amount to, at any time, however late they come; what is no time, no page
or no entity is refused by name."""
import random
import urllib.parse

from api_parts import ask, event, size_of


def path_of(kind, name, part):
    return f"/api/entities/{urllib.parse.quote(kind, safe='')}/{urllib.parse.quote(name, safe='')}/{part}"


def change(day, fields, who="u-1", **more):
    return event(action="UPDATED", time=f"2026-01-{day:02}T00:00:00Z", sourceId=who, sourceType="USER", targetType="CONTACT",
                 targetId="c/1", changes=[{"field": name, **values} for name, values in fields.items()], **more)


def test_history_gives_every_entry_once(context):
    server = context.server()
    rng = random.Random(4)
    ids = []
    for _ in range(6):
        batch = [event(targetType=rng.choice(("CONTACT", "OTHER")), targetId=rng.choice(("c/1", "c/2")),
                       **({"subject": rng.choice(("c/1", "p"))} if rng.random() < 0.5 else {})) for _ in range(150)]
        answer = ask(server, "POST", "/api/events", batch).json()
        ids += [receipt["id"] for receipt, sent in zip(answer["events"], batch)
                if (sent["targetType"], sent["targetId"]) == ("CONTACT", "c/1")]
        if rng.random() < 0.4:
            server.stop()
            server.start()
    for order, expected in (("", ids), ("asc", ids), ("desc", ids[::-1])):
        for limit in (7, 100, 1000):
            found, cursor = [], None
            while True:
                query = {"limit": limit, **({"order": order} if order else {}), **({"cursor": cursor} if cursor else {})}
                page = ask(server, "GET", path_of("CONTACT", "c/1", "history?") + urllib.parse.urlencode(query)).json()
                assert len(page["events"]) <= limit
                found += [entry["id"] for entry in page["events"]]
                cursor = page["cursor"]
                if cursor is None:
                    break
            assert found == expected, (order, limit)
    assert ask(server, "GET", path_of("CONTACT", "nobody", "history")).json()["events"] == []


def test_timeline_is_everything_about_one_person(context):
    """Of every kind, in pages, with the person alone or among others; nothing of anybody else."""
    server = context.server()
    rng = random.Random(6)
    kinds = ("data.change", "ticket", "order", "communication.email", "privacy.consent", "access.session")
    expected = []
    for _ in range(5):
        batch = []
        for _ in range(60):
            people = rng.choice((None, "c/1 \u00e9", ["c/1 \u00e9"], ["p", "c/1 \u00e9"], "c/1", ["p", "q"]))
            target = rng.choice(("c/1 \u00e9", "x"))  # being the target is not being the subject
            batch.append({"kind": rng.choice(kinds), "action": "DID", "targetId": target, **({"subject": people} if people else {})})
        answer = ask(server, "POST", "/api/events", batch).json()
        expected += [receipt["id"] for receipt, sent in zip(answer["events"], batch) if "c/1 \u00e9" in sent.get("subject", []) and (
            isinstance(sent["subject"], list) or sent["subject"] == "c/1 \u00e9")]
        if rng.random() < 0.4:
            server.stop()
            server.start()
    path = f"/api/subjects/{urllib.parse.quote('c/1 ' + chr(0xe9), safe='')}/timeline"
    for order in ("asc", "desc"):
        found, cursor = [], None
        while True:
            query = {"limit": 13, "order": order, **({"cursor": cursor} if cursor else {})}
            page = ask(server, "GET", path + "?" + urllib.parse.urlencode(query)).json()
            found += page["events"]
            cursor = page["cursor"]
            if cursor is None:
                break
        assert [entry["id"] for entry in found] == expected[::1 if order == "asc" else -1]
        assert {entry["kind"] for entry in found} == set(kinds)
    assert ask(server, "GET", "/api/subjects/nobody/timeline").json()["events"] == []
    assert ask(server, "GET", path + "?limit=0").status == 400


def test_state_diff_and_blame(context):
    server = context.server()
    sent = [change(1, {"phone": {"new": "1"}, "name": {"new": "Bo"}}), change(5, {"phone": {"old": "1", "new": "2"}}, "u-2"),
            change(7, {"name": {"old": "Bo"}, "city": {"old": "Oslo", "new": None}}, "u-3"),
            change(9, {"phone": {"old": "2", "new": "1"}}, "u-4", subject="c/1")]
    # Late ones first.
    receipts = {}
    for number in (3, 1, 0, 2):
        receipts[number] = ask(server, "POST", "/api/events", sent[number]).json()["events"][0]
        assert ask(server, "POST", "/api/events", event(targetType="CONTACT", targetId="c/2", changes=[{"field": "phone", "new": "x"}])).status == 201

    def number_of(entry):
        return next(number for number, receipt in receipts.items() if receipt["id"] == entry["id"])

    def told(field):
        if field is None:
            return None
        what = "removed" if field.get("removed") else field["value"]
        return (what, number_of(field["setBy"])) if "setBy" in field else (what, -number_of(field["replacedBy"]))

    def state(at=None):
        query = f"?at={urllib.parse.quote(at)}" if at else ""
        answer = ask(server, "GET", path_of("CONTACT", "c/1", "state") + query).json()
        assert answer["complete"] and answer["tree"]["size"] == size_of(server)
        return {name: told(field) for name, field in answer["fields"].items()}

    assert state("2025-12-31T00:00:00Z") == {"city": ("Oslo", -2)}
    assert state("2026-01-01T00:00:00Z") == {"phone": ("1", 0), "name": ("Bo", 0), "city": ("Oslo", -2)}
    assert state("2026-01-05T01:00:00+01:00") == {"phone": ("2", 1), "name": ("Bo", 0), "city": ("Oslo", -2)}
    assert state("2026-01-04T23:59:59.999Z")["phone"] == ("1", 0)
    now = {"phone": ("1", 3), "name": ("removed", 2), "city": (None, 2)}
    assert state("2026-01-09T00:00:00Z") == now and state() == now

    def diff(start, end):
        answer = ask(server, "GET", path_of("CONTACT", "c/1", "diff") + f"?from=2026-01-{start:02}T00:00:00Z&to=2026-01-{end:02}T00:00:00Z")
        return {name: (told(both["from"]), told(both["to"])) for name, both in answer.json()["fields"].items()}

    assert diff(1, 5) == {"phone": (("1", 0), ("2", 1))}
    assert diff(5, 1) == {"phone": (("2", 1), ("1", 0))}
    # Changed and changed back: nothing differs.
    assert diff(1, 9) == {"name": (("Bo", 0), ("removed", 2)), "city": (("Oslo", -2), (None, 2))}
    assert diff(3, 3) == {}

    blame = ask(server, "GET", path_of("CONTACT", "c/1", "blame")).json()["fields"]
    assert {name: told(field) for name, field in blame.items()} == now
    assert {name: (field["setBy"]["sourceId"], field["previous"].get("value"), field["changes"]) for name, field in blame.items()} == {
        "phone": ("u-4", "2", 3), "name": ("u-3", "Bo", 2), "city": ("u-3", "Oslo", 1)}


def test_what_is_refused(context):
    server = context.server()
    assert ask(server, "POST", "/api/events", change(1, {"a": {"new": 1}})).status == 201
    for query, words in (("state?at=yesterday", "at"), ("state?at=", "at"), ("state?at=2026-01-01T00:00:00+01:00", "%2B"),
                         ("diff", "from"), ("diff?from=2026-01-01T00:00:00Z", "to"), ("diff?to=2026-01-01T00:00:00Z", "from"),
                         ("diff?from=x&to=2026-01-01T00:00:00Z", "from"), ("history?limit=0", "limit"), ("history?limit=1001", "limit"),
                         ("history?limit=x", "limit"), ("history?limit=-1", "limit"), ("history?limit=99999999999999999999", "limit"),
                         ("history?order=up", "asc"), ("history?cursor=00", "cursor"), ("history?cursor=", "cursor")):
        answer = ask(server, "GET", path_of("CONTACT", "c/1", query))
        assert answer.status == 400 and words in answer.json()["detail"], (query, answer)
    for part in ("state", "diff?from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", "blame"):
        assert ask(server, "GET", path_of("CONTACT", "c/2", part)).status == 404
    assert server.request("GET", path_of("CONTACT", "c/1", "other")).status == 404


def test_the_command_shows_what_the_server_answers(context):
    server = context.server()
    sent = [change(day, {"phone": {"old": str(day - 1), "new": str(day)}}) for day in range(1, 5)]
    assert ask(server, "POST", "/api/events", sent).status == 201
    day = "2026-01-02T00:00:00Z"
    for arguments, part in (((), "history?limit=50"), (("--order", "desc"), "history?order=desc&limit=50"), (("--state",), "state"),
                            (("--state-at", day), f"state?at={day}"), (("--blame",), "blame"),
                            (("--diff", day, "2026-01-04T00:00:00Z"), f"diff?from={day}&to=2026-01-04T00:00:00Z")):
        done = context.vestige("history", "CONTACT", "c/1", *arguments, data=server.data)
        assert done.status == 0 and done.json() == ask(server, "GET", path_of("CONTACT", "c/1", part)).json(), (arguments, done)
    lines = context.vestige("history", "CONTACT", "c/1", "--all", data=server.data)
    assert len(lines.output.splitlines()) == 4, lines
    for arguments, status in ((("OTHER", "c/1", "--state"), 1), (("CONTACT", "c/1", "--state", "--blame"), 2),
                              (("CONTACT", "c/1", "--state-at", "noon"), 2), (("CONTACT", "c/1", "--diff", day), 2), (("CONTACT",), 2)):
        done = context.vestige("history", *arguments, data=server.data)
        assert done.status == status and done.errors, (arguments, done)
