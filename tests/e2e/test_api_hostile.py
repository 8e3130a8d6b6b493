"""Defends: no text brings the server down or changes on its way. Whatever JSON test suites hold is taken and comes
back as it was, or is refused with a reason; nothing gives a 5xx, and nothing of what was refused is stored."""
import io
import json
import random
import struct
import subprocess
import tarfile
import uuid

import verifiers
from api_parts import JSON_TYPE, ask, canonical, event, refused, size_of


def unpacked(file):
    """The bytes of a .zst file."""
    return subprocess.run(["zstd", "-dcq", str(file)], capture_output=True, check=True).stdout


def survives(value):
    """Whether every number is one that a double holds as it is written; Python keeps integers whole."""
    if isinstance(value, dict):
        return all(map(survives, value.values()))
    if isinstance(value, list):
        return all(map(survives, value))
    return not isinstance(value, int) or isinstance(value, bool) or abs(value) <= 2**53


def check_comes_back(server, details, personal):
    """Sends events with these details and reads each again; gives how many."""
    ids = [str(uuid.uuid4()) for _ in details]
    fields = {"subject": "p"} if personal else {}
    for start in range(0, len(details), 200):
        batch = [event(id=each, detail=detail, **fields)
                 for each, detail in zip(ids[start:start + 200], details[start:start + 200])]
        answer = ask(server, "POST", "/api/events", json.dumps(batch).encode(), headers=JSON_TYPE)
        assert answer.status == 201, answer
        again = ask(server, "POST", "/api/events", canonical(batch).encode("utf-8"), headers=JSON_TYPE)
        assert again.status == 200, "canonical bytes are other content"
    for each, detail in zip(ids, details):
        read = ask(server, "GET", f"/api/events/{each}")
        # Python keeps an integer of 20 digits whole; it stands for the double that was sent.
        assert json.loads(read.body, parse_int=float)["detail"] == detail, (detail, read)
        assert canonical(read.json()["detail"]).encode() in read.body, "a reader's event is canonical"
        sealed = ask(server, "GET", f"/api/events/{each}/sealed").body
        assert canonical(json.loads(sealed)).encode() == sealed, sealed
    return len(details)


def test_json_suite(context):
    archive = unpacked(context.shared_data("vectors/jsontestsuite.tar.zst"))
    server = context.server()
    counts = {"y": 0, "n": 0, "i": 0, "taken": 0}
    taken = []
    with tarfile.open(fileobj=io.BytesIO(archive)) as suite:
        for member in suite.getmembers():
            name = member.name.rsplit("/", 1)[-1]
            if not member.isfile() or name[:2] not in ("y_", "n_", "i_"):
                continue
            counts[name[0]] += 1
            text = suite.extractfile(member).read()
            # As it is: most are no events, none may do harm.
            answer = ask(server, "POST", "/api/events", text, headers=JSON_TYPE)
            assert answer.status in (400, 413), (name, answer)
            # As a value of an event.
            body = b'{"kind":"data.change","action":"' + name.encode() + b'","detail":{"v":' + text + b"}}"
            answer = ask(server, "POST", "/api/events", body, headers=JSON_TYPE)
            if name[0] == "n":
                # Two of them are whole where a value may stand inside another.
                if answer.status == 201:
                    json.loads(body)
                else:
                    assert answer.status == 400, (name, answer)
            elif answer.status == 201:
                read = ask(server, "GET", f"/api/events/{answer.json()['events'][0]['id']}").json()
                assert read["detail"]["v"] == json.loads(text), (name, read)
                taken.append({"v": json.loads(text)})
            else:
                assert answer.status == 400, (name, answer)
                # Valid by the letter, and refused on purpose: repeated names, numbers, lone surrogates.
                if name[0] == "y":
                    assert "duplicate" in name or "dupli" in name or "number" in name or not survives(json.loads(text)), (
                        name, text, answer)
    assert counts["y"] > 30 and counts["n"] > 60, counts
    check_comes_back(server, taken, personal=True)


def test_naughty_strings(context):
    strings = json.loads(context.shared_data("vectors/naughty-strings.json").read_text())
    server = context.server()
    details = [{"s": text, text: "as a name", "in": [text, {"deep": text}]} for text in strings]
    assert check_comes_back(server, details, personal=False) > 200
    check_comes_back(server, details, personal=True)
    for number, text in enumerate(strings):
        fields = {"sourceId": text[:200], "targetId": text[:200], "subject": text[:200]}
        sent = {**event(id=str(uuid.uuid4())), **{name: value for name, value in fields.items() if value}}
        answer = ask(server, "POST", "/api/events", sent)
        assert answer.status == 201, (text, answer)
        if not text:
            continue
        receipt = answer.json()["events"][0]
        read = ask(server, "GET", f"/api/events/{receipt['id']}").json()
        assert (read["sourceId"], read["targetId"], read["subject"]) == (text[:200],) * 3, read
        if number % 20 == 0:
            found = server.search(targetId=text[:200])["events"]
            assert receipt["id"] in [each["id"] for each in found], text
            found = server.search_all(detail={"s": text}, limit=1000)
            assert len(found) == 2, (text, len(found))


def test_real_events_of_other_systems(context):
    lines = unpacked(context.shared_data("audit/saas-panther.jsonl.zst")).splitlines()
    values = [json.loads(line) for line in lines if line]
    server = context.server()
    kept = [value if isinstance(value, dict) else {"v": value} for value in values]
    exact = [value for value in kept if survives(value)]
    assert len(exact) > 1000, len(exact)
    check_comes_back(server, exact[:600], personal=False)
    check_comes_back(server, exact[600:], personal=True)
    for value in kept:
        if not survives(value):
            refused(server, 400, event(detail=value))


def test_texts_that_are_no_json(context):
    server = context.server()
    wrap = b'{"kind":"data.change","action":"X","detail":{"v":%s}}'
    for value in (b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\xe2\x82"', b'"\xc3"',
                  b'"\\ud800"', b'"\\udc00"', b'"\\ud800\\ud800"', b'"\\ud800x"', b'"\\u12"', b'"\\x41"', b'"\n"',
                  b'"\x00"', b"'a'", b"NaN", b"Infinity", b"-Infinity", b"01", b"1.", b".5", b"+1", b"1e", b"0x10",
                  b"9007199254740993", b"-9007199254740993", b"1e400", b"-1e400", b"0.10000000000000000001",
                  b"123456789012345678901234567890", b"1e-400", b"[1,]", b"[,1]", b'{"a":1,}', b'{"a"}', b"{1:2}",
                  b'{"a":1,"a":1}', b'{"a":1,"\\u0061":2}', b"true false", b"tru", b"/* */ 1", b"", b"undefined"):
        problem = refused(server, 400, wrap % value, headers=JSON_TYPE)
        assert problem["detail"] and "position" in problem, (value, problem)
    assert ask(server, "POST", "/api/events", b"\xef\xbb\xbf" + wrap % b"1", headers=JSON_TYPE).status in (201, 400)


def test_numbers_and_names_that_are_kept(context):
    server = context.server()
    texts = [b"-0", b"0.0", b"1.50", b"1E2", b"9007199254740992", b"-9007199254740992", b"1e308", b"5e-324", b"1e21", b"1e-7",
             b"123456789.123", b"1.7976931348623157e308", b"0.1", b"100000000000000000000", b"4.35", b"2.2250738585072014e-308"]
    details = [{"n": json.loads(text)} for text in texts]
    details += [{"\u0000": 1}, {"": {"": ""}}, {"a/b": {"m~n": [{"~1": 1}]}}, {"\U0001f600": 1, "\ufb33": 2, "\u20ac": 3},
                {"0": [[], {}, [[]], [{}]]}, {"__proto__": 1, "constructor": None}, {"s": "\u2028\u2029\x7f\u0085"},
                {"mac": "x", "salt": 1, "sealed": [{"ref": "x"}]}, {"x": "\U0001f600" * 1000}]
    rng = random.Random(4)
    doubles = []
    while len(doubles) < 3000:
        value = struct.unpack("<d", rng.randbytes(8))[0]
        if value == value and abs(value) != float("inf"):
            doubles.append(value)
    details.append({"doubles": doubles})
    for personal in (False, True):
        check_comes_back(server, details, personal)
    # What was taken can be verified, by code that reads it anew.
    server.stop()
    verifiers.expect_well(server.data)


def test_random_damage_never_gives_a_server_error(context):
    server = context.server()
    rng = random.Random(7)
    before, stored, counts = size_of(server), 0, {}
    for _ in range(600):
        text = bytearray(json.dumps([event(), event(
            id=str(uuid.UUID(int=rng.getrandbits(128))), subject=["p", "q"], detail={"a": [1, "x", None, {"b": 1.5}]},
            changes=[{"field": "f", "old": 1, "new": "\u00e9"}], context={"ip": "1.2.3.4"})]).encode())
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(text))
            how = rng.randrange(8)
            if how == 0:
                text[at] = rng.randrange(256)
            elif how == 1:
                del text[at:at + rng.randint(1, 20)]
            elif how == 2:
                text[at:at] = text[rng.randrange(len(text)):][:rng.randint(1, 20)]
            elif how > 3:
                text[at] = rng.choice(b"abcdef0123456789")
            else:
                text[at:at] = rng.choice((b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\u", b"null", b"-1e5"))
        answer = ask(server, "POST", "/api/events", bytes(text), headers=JSON_TYPE)
        counts[answer.status] = counts.get(answer.status, 0) + 1
        assert answer.status in (200, 201, 400, 409), (bytes(text), answer)
        if answer.status == 201:
            stored += answer.json()["accepted"]
        search = server.request("POST", "/auditlog/events/v2", bytes(text), headers=JSON_TYPE)
        assert search.status == 400, search
    assert size_of(server) == before + stored
    assert counts[400] > 100 and counts.get(201, 0) > 20, counts


def test_paths_that_are_none(context):
    server = context.server()
    for path in ("/api/events/%00", "/%ff", "/api/events/%c3"):
        assert server.request("GET", path).status == 400, path
    for path in ("/api/events/x", "/api/events/../keys", "/api/events/%2e%2e/keys", "/api/events/", "/api//events",
                 "/api/events/" + "a" * 4000, "/nothing", "/api", "/api/keys/x/y", "/tlog", "/tlog/default",
                 "/api/events/01930000-0000-7000-8000-000000000001/other", "/api/events/stream/x",
                 "/api/events/{01930000-0000-7000-8000-000000000001}"):
        answer = server.request("GET", path)
        assert answer.status == 404, (path, answer)
        assert answer.headers["Content-Type"].startswith("application/problem+json"), path
    for method, path, allowed in (("PUT", "/api/events", "POST"), ("GET", "/api/events", "POST"), ("DELETE", "/api/keys", "GET"),
                                  ("POST", "/healthz", "GET"), ("GET", "/auditlog/events/v2", "POST"), ("PATCH", "/api/keys", "POST"),
                                  ("DELETE", "/tlog/default/audit/checkpoint", "GET"), ("POST", "/api/keys/x", "DELETE")):
        answer = server.request(method, path)
        assert answer.status == 405, (method, path, answer)
        assert allowed in [each.strip() for each in answer.headers["Allow"].split(",")], answer.headers.items()
        assert answer.json()["status"] == 405
