"""Defends: recording. Every example of the description is taken; one object, a list and lines mean the same,
plain or compressed; repeats add nothing, conflicts and refusals store nothing; every limit is met to the byte,
and said."""
import base64
import gzip
import hashlib
import json
import random
import socket
import uuid

from api_parts import (BATCH_EVENTS_MAX, BODY_BYTES_MAX, DEPTH_MAX, DESCRIPTION, EVENT_BYTES_MAX, JSON_TYPE,
                       NDJSON_TYPE, ask, canonical, event, refused, size_of, zstd)

ADDED = ("index", "leaf", "receivedAt", "tenant", "sealed")


def new_id():
    return str(uuid.uuid4())


def read_back(server, receipt):
    return ask(server, "GET", f"/api/events/{receipt['id']}").json()


def check_same(server, sent, receipt):
    """What is read is what was sent, with what the server adds."""
    read = read_back(server, receipt)
    for name, value in sent.items():
        if name == "id":
            assert read["id"] == value.lower()
        elif name == "context":
            assert {**read["context"], **value} == read["context"], (sent, read)
        elif value is not None and name != "time":
            assert read[name] == value, (name, value, read.get(name))
    assert not set(read) - set(sent) - set(ADDED) - {"id", "time", "context"}, (sent, read)
    assert (read["index"], read["leaf"]) == (receipt["index"], receipt["leaf"])
    sealed = ask(server, "GET", f"/api/events/{receipt['id']}/sealed").body
    assert canonical(json.loads(sealed)).encode() == sealed, sealed
    assert base64.b64encode(hashlib.sha256(b"\0" + sealed).digest()).decode() == receipt["leaf"]


def test_every_example_of_the_description_is_taken(context):
    server = context.server()
    content = DESCRIPTION["paths"]["/api/events"]["post"]["requestBody"]["content"]
    for name, example in content["application/json"]["examples"].items():
        value = example["value"]
        answer = ask(server, "POST", "/api/events", value)
        assert answer.status == 201, (name, answer)
        for sent, receipt in zip(value if isinstance(value, list) else [value], answer.json()["events"]):
            check_same(server, sent, receipt)
        again = ask(server, "POST", "/api/events", value)
        has_ids = name != "minimal"
        assert again.status == (200 if has_ids else 201), (name, again)
    lines = content["application/x-ndjson"]["example"]
    answer = ask(server, "POST", "/api/events", lines.encode(), headers=NDJSON_TYPE)
    assert answer.status == 201 and answer.json()["accepted"] == len(lines.splitlines()), answer
    for schema in ("Event", "Search", "KeyRequest"):
        assert DESCRIPTION["components"]["schemas"][schema]["examples"], schema
    for number, example in enumerate(DESCRIPTION["components"]["schemas"]["Event"]["examples"]):
        answer = ask(server, "POST", "/api/events", {**example, "id": new_id()})
        assert answer.status == 201, (number, answer)
    for example in DESCRIPTION["paths"]["/auditlog/events/v2"]["post"]["requestBody"]["content"][
            "application/json"]["examples"].values():
        assert ask(server, "POST", "/auditlog/events/v2", example["value"]).status == 200, example
    keys = DESCRIPTION["paths"]["/api/keys"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert ask(server, "POST", "/api/keys", keys).status == 201


def test_object_list_and_lines_mean_the_same_plain_or_compressed(context):
    server = context.server()
    encodings = {None: lambda data: data, "gzip": gzip.compress, "zstd": zstd, "identity": lambda data: data}
    for encoding, encode in encodings.items():
        for form in ("object", "list", "lines", "lines with blanks"):
            events = [event(id=new_id(), targetId=form, subject="p", detail={"n": number})
                      for number in range(1 if form == "object" else 5)]
            if form == "object":
                body, head = json.dumps(events[0]), JSON_TYPE
            elif form == "list":
                body, head = json.dumps(events), {"Content-Type": "Application/JSON; charset=utf-8"}
            else:
                between = "\n" if form == "lines" else "\r\n\n  \n"
                body, head = between.join(map(json.dumps, events)) + between, NDJSON_TYPE
            if encoding:
                head = {**head, "Content-Encoding": encoding}
            for status in (201, 200):
                answer = ask(server, "POST", "/api/events", encode(body.encode()), headers=head)
                assert answer.status == status, (encoding, form, answer)
                assert [each["id"] for each in answer.json()["events"]] == [each["id"] for each in events]
            for sent, receipt in zip(events, answer.json()["events"]):
                check_same(server, sent, {name: receipt[name] for name in ("id", "index", "leaf")})


def test_bodies_in_pieces_are_whole(context):
    server = context.server()
    sent = [event(id=new_id(), detail={"n": number}) for number in range(300)]
    body = json.dumps(sent).encode()
    pieces = random.Random(1)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as link:
        link.sendall(f"POST /api/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\nConnection: close\r\n"
                     "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        at = 0
        while at < len(body):
            length = pieces.randint(1, 3000)
            piece = body[at:at + length]
            link.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            at += length
        link.sendall(b"0\r\n\r\n")
        answer = b""
        while piece := link.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 201 "), answer[:300]
    assert len(server.search_all(kind="data.change")) == 300


def test_repeats_add_nothing_and_conflicts_store_nothing(context):
    server = context.server()
    known = event(id=new_id(), subject="p", detail={"n": 1.5, "m": [1, {"a": None}]})
    first = ask(server, "POST", "/api/events", known)
    assert first.status == 201
    receipt = first.json()["events"][0]
    # The same content in another spelling, in another place, in upper case.
    respelled = json.dumps({**known, "id": known["id"].upper()}, indent=3).replace("1.5", "15e-1").encode()
    for body, head in ((respelled, JSON_TYPE), (b"[" + respelled + b"]", JSON_TYPE)):
        answer = ask(server, "POST", "/api/events", body, headers=head)
        assert answer.status == 200, answer
        assert answer.json()["events"] == [{**receipt, "duplicate": True}], answer
    # Some new, some known, one twice in the batch.
    fresh = event(id=new_id(), detail={"n": 2})
    answer = ask(server, "POST", "/api/events", [fresh, known, fresh, event()])
    assert answer.status == 201, answer
    told = answer.json()
    assert (told["accepted"], told["duplicates"]) == (2, 2), told
    assert [each.get("duplicate", False) for each in told["events"]] == [False, True, True, False], told
    assert told["events"][2]["index"] == told["events"][0]["index"] and told["events"][1]["index"] == receipt["index"]
    # Any other content, in the log, in the batch, or in both.
    for changed in ({**known, "action": "OTHER"}, {**known, "detail": {"n": 1.5, "m": [1, {"a": 0}]}},
                    {**known, "subject": "q"}, {name: known[name] for name in ("id", "kind", "action")}):
        refused(server, 409, changed, path="/id")
        refused(server, 409, [event(), changed], path="/1/id")
        refused(server, 409, "\n".join(map(json.dumps, [event(), known, changed])).encode(), path="/2/id",
                headers=NDJSON_TYPE)
    one = new_id()
    refused(server, 409, [event(id=one), event(), event(id=one, targetId="x")], path="/2/id")
    assert ask(server, "GET", f"/api/events/{one}").status == 404
    # Long after, in a segment of its own, and after a restart.
    for _ in range(3):
        assert ask(server, "POST", "/api/events", [event() for _ in range(4000)]).status == 201
    server.stop()
    server.start()
    assert ask(server, "POST", "/api/events", known).json()["events"] == [{**receipt, "duplicate": True}]
    refused(server, 409, {**known, "action": "OTHER"}, path="/id")


def test_what_is_wrong_is_named_with_path_and_position(context):
    server = context.server()
    good = json.dumps(event())
    for text, path, at in (
            ('{"kind":"data.change","action":7}', "/action", "7"), ('{"kind":"data.change"}', "/action", None),
            ('{"action":"x"}', "/kind", None), ('{"kind":"no.such","action":"x"}', "/kind", '"no.such"'),
            ('{"kind":"system.server","action":"STARTED"}', "/kind", '"system.server"'),
            ('{"kind":"data.change","action":"x","id":"17"}', "/id", '"17"'),
            ('{"kind":"data.change","action":"x","time":"noon"}', "/time", '"noon"'),
            ('{"kind":"data.change","action":"x","tenant":"other"}', "/tenant", '"other"'),
            ('{"kind":"data.change","action":"x","detail":[8]}', "/detail", "[8]"),
            ('{"kind":"data.change","action":"x","changes":[{"field":"f"},{"was":1}]}', "/changes/1", None),
            ('{"kind":"data.change","action":"x","what~/ever":1}', "/what~0~1ever", "1"),
            ('{"kind":"data.change","action":"x","detail":{"a":[1,9007199254740993]}}', "/detail/a/1", "9007199254740993"),
            ('{"kind":"data.change","action":"x","detail":{"a":1,"b":2,"a":3}}', "/detail/a", None)):
        position = text.index(at) if at else None
        refused(server, 400, text.encode(), path=path, position=position, headers=JSON_TYPE)
        if position is not None:
            position += len(good) + 2
        refused(server, 400, f"[{good},{text}]".encode(), path="/1" + path, position=position, headers=JSON_TYPE)
        if position is not None:
            position -= 1
        refused(server, 400, f"{good}\n{text}\n".encode(), path="/1" + path, position=position, headers=NDJSON_TYPE)
    for nothing in (b"", b" ", b"[]", b"\n\n"):
        for head in (JSON_TYPE, NDJSON_TYPE):
            refused(server, 400, nothing, headers=head)
    for scalar in (b"1", b"null", b'"x"', b"[1]", b"[[]]", b"[null]"):
        refused(server, 400, scalar, headers=JSON_TYPE)


def test_names_and_ids_have_limits(context):
    server = context.server()
    for name, limit in (("kind", 256), ("action", 256), ("sourceType", 256), ("targetType", 256), ("sourceId", 1024),
                        ("targetId", 1024), ("subject", 1024)):
        if name != "kind":
            assert ask(server, "POST", "/api/events", {**event(), name: "\u00e9" * (limit // 2)}).status == 201, name
        refused(server, 400, {**event(), name: "x" * (limit + 1)}, path=f"/{name}", limit=str(limit))
    assert ask(server, "POST", "/api/events", event(subject=[f"s{number}" for number in range(16)])).status == 201
    refused(server, 400, event(subject=[f"s{number}" for number in range(17)]), path="/subject", limit="16")
    refused(server, 400, event(lossless=["/a"] * 1001), path="/lossless", limit="1000")


def test_what_the_description_says_of_an_event_is_so(context):
    """Every bound of the event's schema, from both sides."""
    server = context.server()
    schema = DESCRIPTION["components"]["schemas"]["Event"]
    bounds = 0
    for name, described in schema["properties"].items():
        for rule in described.get("oneOf", [described]):
            if rule.get("type") == "string" and "maxLength" in rule and name != "kind":
                bounds += 1
                for length, status in ((rule.get("minLength", 0), 201), (rule.get("minLength", 0) - 1, 400),
                                       (rule["maxLength"], 201), (rule["maxLength"] + 1, 400)):
                    if length >= 0:
                        answer = ask(server, "POST", "/api/events", {**event(), name: "x" * length})
                        assert answer.status == status, (name, length, answer)
            if rule.get("type") == "array" and "maxItems" in rule:
                bounds += 1
                for length, status in ((rule.get("minItems", 0), 201), (rule["maxItems"], 201), (rule["maxItems"] + 1, 400)):
                    answer = ask(server, "POST", "/api/events", {**event(), name: [f"/{n}" for n in range(length)]})
                    assert answer.status == status, (name, length, answer)
        for other in ("text", 1, True, [1], {"a": 1}):
            fits = any(isinstance(other, {"string": str, "array": list, "object": dict}[rule["type"]])
                       for rule in described.get("oneOf", [described]) if rule.get("type"))
            if not fits and "$ref" not in described:
                refused(server, 400, {**event(), name: other}, path=f"/{name}")
    assert bounds >= 7, bounds
    for name in schema["required"]:
        refused(server, 400, {each: value for each, value in event().items() if each != name}, path=f"/{name}")
    assert schema["additionalProperties"] is False
    refused(server, 400, {**event(), "anything": 1}, path="/anything")


def sized(total, **fields):
    """A canonical event of so many bytes."""
    bare = canonical(event(detail={"x": ""}, **fields))
    return canonical(event(detail={"x": "y" * (total - len(bare))}, **fields)).encode()


def test_an_event_of_one_mebibyte_and_one_byte_more(context):
    server = context.server()
    for fields in ({}, {"id": new_id()}, {"subject": "p"}):
        for head in (JSON_TYPE, NDJSON_TYPE):
            answer = ask(server, "POST", "/api/events", sized(EVENT_BYTES_MAX, **fields), headers=head)
            assert answer.status in (200, 201), answer
        receipt = answer.json()["events"][0]
        assert len(read_back(server, receipt)["detail"]["x"]) > EVENT_BYTES_MAX - 300
        more = sized(EVENT_BYTES_MAX + 1, **fields)
        refused(server, 413, more, limit=f"event_bytes_max = {EVENT_BYTES_MAX}", headers=JSON_TYPE)
        refused(server, 413, b"[" + sized(200) + b"," + more + b"]", path="/1", headers=JSON_TYPE)
        refused(server, 413, sized(200) + b"\n" + more, path="/1", headers=NDJSON_TYPE)


def test_a_body_of_sixteen_mebibytes_and_one_byte_more(context):
    server = context.server()
    full = b"\n".join([sized(EVENT_BYTES_MAX - 1)] * 16)
    full += b" " * (BODY_BYTES_MAX - len(full))
    assert len(full) == BODY_BYTES_MAX
    for encoding, encode in ((None, bytes), ("gzip", lambda data: gzip.compress(data, 1)), ("zstd", zstd)):
        head = {**NDJSON_TYPE, **({"Content-Encoding": encoding} if encoding else {})}
        answer = ask(server, "POST", "/api/events", encode(full), headers=head)
        assert answer.status == 201 and answer.json()["accepted"] == 16, (encoding, answer)
        problem = refused(server, 413, encode(full + b" "), headers=head, limit=str(BODY_BYTES_MAX))
        assert problem["detail"], problem
    bomb = gzip.compress(b" " * (200 << 20), 9)
    refused(server, 413, bomb, headers={**JSON_TYPE, "Content-Encoding": "gzip"})


def test_a_batch_of_ten_thousand_and_one_more(context):
    server = context.server()
    answer = ask(server, "POST", "/api/events", [event()] * BATCH_EVENTS_MAX)
    assert answer.status == 201 and answer.json()["accepted"] == BATCH_EVENTS_MAX
    refused(server, 413, [event()] * (BATCH_EVENTS_MAX + 1), limit=str(BATCH_EVENTS_MAX))
    lines = (json.dumps(event()) + "\n").encode()
    answer = ask(server, "POST", "/api/events", lines * BATCH_EVENTS_MAX, headers=NDJSON_TYPE)
    assert answer.status == 201, answer
    refused(server, 413, lines * (BATCH_EVENTS_MAX + 1), limit=str(BATCH_EVENTS_MAX), headers=NDJSON_TYPE)


def nested(levels, **fields):
    frame = json.dumps(event(detail={"x": "here"}, **fields))
    return frame.replace('"here"', "[" * (levels - 2) + "]" * (levels - 2)).encode()


def test_sixty_four_levels_and_one_more(context):
    server = context.server()
    for fields in ({}, {"subject": "p"}):
        for body, head in ((nested(DEPTH_MAX, **fields), JSON_TYPE), (b"[" + nested(DEPTH_MAX, **fields) + b"]", JSON_TYPE),
                           (nested(DEPTH_MAX, **fields), NDJSON_TYPE)):
            answer = ask(server, "POST", "/api/events", body, headers=head)
            assert answer.status == 201, answer
            read_back(server, answer.json()["events"][0])
        more = nested(DEPTH_MAX + 1, **fields)
        for body, head in ((more, JSON_TYPE), (b"[" + more + b"]", JSON_TYPE), (more, NDJSON_TYPE)):
            problem = refused(server, 400, body, headers=head)
            assert "depth" in problem["limit"], problem
    refused(server, 400, b"[" * 1_000_000, headers=JSON_TYPE)
    refused(server, 400, b'{"a":' * 1_000_000, headers=JSON_TYPE)


def test_small_events_cannot_fill_the_memory(context):
    """Every personal value is sealed with its path: few bytes could make many."""
    server = context.server()
    refused(server, 413, event(subject="p", detail={"a": [0] * 70_000}))
    refused(server, 413, event(subject="p", detail={"k" * 300_000: {str(number): 0 for number in range(20_000)}}))
    kept = ask(server, "POST", "/api/events", event(subject="p", detail={"a": [0] * 60_000}))
    assert kept.status == 201, kept
    assert read_back(server, kept.json()["events"][0])["detail"] == {"a": [0] * 60_000}
    grown = event(detail={"a": "here"})
    numbers = ",".join(["1e20"] * 60_000)  # five times as long in canonical form
    refused(server, 413, json.dumps(grown).replace('"here"', f"[{numbers}]").encode(), headers=JSON_TYPE)
    peak = int(next(line for line in open(f"/proc/{server.process.pid}/status") if line.startswith("VmHWM")).split()[1])
    assert peak < 700_000, f"{peak} kB"


def test_types_and_encodings_that_are_not_known(context):
    server = context.server()
    body = json.dumps(event()).encode()
    for kind in ("text/html", "application/xml", "multipart/form-data", "application/vnd.api+json", "image/png"):
        refused(server, 415, body, headers={"Content-Type": kind})
    for encoding in ("br", "deflate, gzip", "compress", "x"):
        refused(server, 415, body, headers={**JSON_TYPE, "Content-Encoding": encoding})
    for encoding, wrong in (("gzip", b"not gzip"), ("gzip", gzip.compress(body)[:-9]), ("zstd", b"not zstd"),
                            ("zstd", zstd(body)[:-3]), ("gzip", gzip.compress(body) + b"more")):
        refused(server, 400, wrong, headers={**JSON_TYPE, "Content-Encoding": encoding})
    # What tools send unasked.
    for kind in ("application/x-www-form-urlencoded", "text/plain", "application/octet-stream"):
        assert ask(server, "POST", "/api/events", body, headers={"Content-Type": kind}).status == 201, kind
        lines = ask(server, "POST", "/api/events", body + b"\n" + body, headers={"Content-Type": kind})
        assert lines.json()["accepted"] == 2, (kind, lines)
    assert ask(server, "POST", "/api/events", body).status == 201
    before = size_of(server)
    search = server.request("POST", "/auditlog/events/v2", b"{}", headers={"Content-Type": "text/html"})
    assert search.status == 415 and size_of(server) == before, search
