"""Defends: an export is what the search answers, in every state of the trail, in both forms, and both verifiers say so; however
one is altered, both find it, at the same line. A disclosure shows what was chosen and holds; what is erased is in neither.
A receiver that breaks off or lags costs nobody anything. Every example of docs/operating/export.md works."""
import contextlib
import csv
import io
import json
import random
import socket
import subprocess
import sys
import time
import urllib.parse

import harness
import verifiers
from api_parts import ask, event

sys.path.insert(0, str(harness.ROOT / "tools"))
from vestige_verify import command  # noqa: E402

SEGMENTS = {"VESTIGE_SEGMENT_ROWS_MAX": "4096", "VESTIGE_ORIGIN": "export.test"}
PERSONS = ("anna-4711", "bert-0815", "cora-1")


def python_says(*arguments):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        status = command.main([*map(str, arguments), "--json"], "")
    result = json.loads(output.getvalue())
    assert status == (0 if result["ok"] else 1), (status, result)
    return result


def vestige_says(context, *arguments):
    done = context.vestige(*arguments, "--json")
    assert done.status in (0, 1), done
    result = done.json()
    assert done.status == (0 if result["ok"] else 1), done
    return result


def check_export(context, content, key, name="export"):
    """What both say, who must agree."""
    file = context.folder / name
    file.write_bytes(content)
    options = ["--vkey", key] if key else []
    mine, other = vestige_says(context, "verify-export", file, *options), python_says("--export", file, *options)
    assert mine["ok"] == other["ok"], (mine, other)
    if mine["ok"]:
        for name in ("events", "size", "wholeTree", "signatureChecked", "sections", "search"):
            assert mine[name] == other[name], (name, mine, other)
    else:
        assert mine["firstBad"]["line"] == other["firstBad"]["line"], (mine, other)
    return mine


def check_disclosure(context, content, key):
    file = context.folder / "disclosure"
    file.write_bytes(content)
    mine = vestige_says(context, "verify", "--disclosure", file, "--vkey", key)
    other = python_says("--disclosure", file, "--vkey", key)
    assert mine["ok"] == other["ok"], (mine, other)
    if mine["ok"]:
        assert (mine["index"], mine["disclosed"], mine["entry"]) == (other["index"], other["disclosed"], other["entry"])
    return mine


def fill(server, draw, count):
    events = []
    for number in range(count):
        sent = event(action=draw.choice(("CREATED", "UPDATED", "VIEWED")), targetId=f"=t{draw.randrange(5)}",
                     targetType=draw.choice(("ORDER", "ACCOUNT")), sourceId=f"u-{draw.randrange(3)}",
                     detail={"n": number, "note": draw.choice(("gift", "Größe, \"XL\"\nrot", "x" * 300))})
        if draw.random() < 0.5:
            sent["subject"] = draw.choice(PERSONS)
            sent["detail"]["phone"] = f"phone of {sent['subject']}"
            sent["changes"] = [{"field": "phone", "old": None, "new": [1, {"a": []}]}]
        events.append(sent)
    assert ask(server, "POST", "/api/events", events).status == 201


SEARCHES = ({}, {"query": "action:UPDATED type:ORDER"}, {"query": "gift -actor:u-1 since:1h"}, {"subject": PERSONS[0]},
            {"filter": {"or": [{"field": "detail.n", "range": {"gte": 3, "lt": 9}}, {"text": "rot"}]}},
            {"query": "nothingofthekind"}, {"filter": {"field": "detail.phone", "exists": True}, "action": "VIEWED"},
            {"timeTo": "2001-01-01T00:00:00Z"}, {"sourceId": "u-2", "targetType": ["ACCOUNT"]})


def export(server, search, form="ndjson"):
    answer = ask(server, "POST", f"/api/export?format={form}", search)
    assert answer.status == 200, answer
    return answer.body


def lines_of(content):
    if content.startswith(b"\xef\xbb\xbf"):
        return [row[-1] for row in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))]
    return content.decode().split("\n")[:-1]


def compare(context, server, key):
    for search in SEARCHES:
        for form in ("ndjson", "csv") if search else ("ndjson",):
            content = export(server, search, form)
            lines = [json.loads(line) for line in lines_of(content)]
            result = check_export(context, content, key)

            def find(search, size=result["size"]):
                # Less what the server recorded by itself meanwhile.
                return [each for each in server.search_all(**search, order="asc", limit=1000) if each["index"] < size]

            found = find(search)
            assert [line["event"] for line in lines[1:-1]] == found, search
            assert result["ok"] and result["events"] == len(found) and result["signatureChecked"], (search, result)
            assert result["wholeTree"] == (search == {}), (search, result)
            assert lines[0]["asked"] == search and lines[0]["exporter"]["name"], lines[0]
            # The normal form is a filter that finds the same.
            assert find({"filter": lines[0]["search"]}) == found, (search, lines[0]["search"])


def test_an_export_is_what_the_search_answers(context):
    draw = random.Random(4711)
    server = context.server(environment=SEGMENTS)
    key = verifiers.vestige_vkey(server)
    fill(server, draw, 60)
    compare(context, server, key)
    for _ in range(10):
        ticks = [event(action="TICKED", targetId="tick") for _ in range(420)]
        assert ask(server, "POST", "/api/events", ticks).status == 201
    while not list((server.data / "streams/default/audit").glob("*.seg")):
        time.sleep(0.05)
    fill(server, draw, 30)
    compare(context, server, key)
    server.stop()
    server.start()
    compare(context, server, key)
    assert ask(server, "POST", "/api/subjects/erase", {"subject": PERSONS[0]}).status == 200
    fill(server, draw, 10)
    compare(context, server, key)
    content = export(server, {})
    assert f"phone of {PERSONS[0]}".encode() not in content and f"phone of {PERSONS[1]}".encode() in content
    result = check_export(context, content, key)
    assert result["ok"] and result["sections"]["erased"] > 0 and result["sections"]["present"] > 0, result


def test_a_url_and_the_command_line_ask_for_the_same(context):
    server = context.server()
    fill(server, random.Random(2), 40)
    key = verifiers.vestige_vkey(server)
    (context.folder / "filter.json").write_text('{"field": "action", "equals": "UPDATED"}')
    whole = lines_of(export(server, {"query": "type:ORDER", "filter": {"field": "action", "equals": "UPDATED"}}))
    filter_text = urllib.parse.quote('{"field":"action","equals":"UPDATED"}')
    by_url = ask(server, "GET", f"/api/export?query=type:ORDER&filter={filter_text}")
    assert by_url.headers["Content-Type"] == "application/x-ndjson" and "attachment" in by_url.headers["Content-Disposition"]
    done = context.vestige("export", "type:ORDER", "--filter", "filter.json", "--out", "a.ndjson", data=server.data)
    assert done.status == 0 and done.json()["ok"] and done.json()["file"] == "a.ndjson", done
    piped = context.vestige("export", "type:ORDER", "--filter", "-", data=server.data,
                            stdin=(context.folder / "filter.json").read_bytes())
    assert piped.status == 0, piped
    table = context.vestige("export", "type:ORDER", "--filter", "filter.json", "--format", "csv", "--out", "a.csv",
                            data=server.data)
    assert table.status == 0, table
    for content in (by_url.body, (context.folder / "a.ndjson").read_bytes(), piped.output.encode(),
                    (context.folder / "a.csv").read_bytes()):
        events = [json.loads(line)["event"] for line in lines_of(content)[1:-1]]
        assert events == [json.loads(line)["event"] for line in whole[1:-1]] and events, content[:300]
        assert check_export(context, content, key)["ok"]
    rows = list(csv.reader(io.StringIO((context.folder / "a.csv").read_text("utf-8-sig"), newline="")))
    assert rows[0][:3] == ["index", "time", "receivedAt"] and rows[0][8] == "targetId", rows[0]
    assert all(row[8].startswith("'=t") for row in rows[1:-1]), "a formula for a spreadsheet"
    assert not list(context.folder.glob("*.part"))
    # Pages, and what nobody knows, are refused before anything is sent.
    for method, path, body, status in (("GET", "/api/export?format=xml", None, 400), ("GET", "/api/export?actor=u-1", None, 400),
                                       ("GET", "/api/export?query=(a", None, 400), ("GET", "/api/export?filter=%7B", None, 400),
                                       ("POST", "/api/export", {"limit": 3}, 400), ("POST", "/api/export", {"order": "asc"}, 400),
                                       ("POST", "/api/export", [], 400)):
        assert ask(server, method, path, body).status == status, path
    assert ask(server, "GET", "/api/export", key=None).status == 401
    ingest = ask(server, "POST", "/api/keys", {"name": "in", "scopes": ["ingest"]}).json()["key"]
    assert ask(server, "GET", "/api/export", key=ingest).status == 403
    for arguments, status in ((("export", "(a"), 1), (("export", "--filter", "none.json"), 2), (("export", "--from", "soon"), 2),
                              (("verify-export", "none"), 2), (("verify-export", "a.csv", "--vkey", "nonsense"), 2)):
        online = {"data": server.data} if arguments[0] == "export" else {}
        assert context.vestige(*arguments, **online).status == status, arguments


def altered_files(lines):
    """(kind, lines) of everything that somebody may do to an export."""
    middle = len(lines) // 2
    letters = "AB"

    def with_line(number, line):
        return [*lines[:number], line, *lines[number + 1:]]

    def swapped_letter(line, mark):
        at = line.index(mark) + len(mark) + 3
        return line[:at] + letters[line[at] == "A"] + line[at + 1:]

    yield "removed", lines[:middle] + lines[middle + 1:]
    yield "the first event removed", lines[:1] + lines[2:]
    yield "the closing line removed", lines[:-1]
    yield "the header removed", lines[1:]
    yield "doubled", lines[:middle] + [lines[middle]] + lines[middle:]
    yield "added at the end", lines + [lines[middle]]
    yield "moved", lines[:1] + lines[2:middle] + [lines[1]] + lines[middle:]
    yield "turned round", [lines[0], *reversed(lines[1:-1]), lines[-1]]
    yield "cut between lines", lines[:middle]
    yield "nothing left", []
    yield "only a header", lines[:1]
    for number in (1, middle, len(lines) - 2):
        line = lines[number]
        yield f"the action of line {number + 1}", with_line(number, line.replace('"action":"', '"action":"X', 1))
        at = line.index('"event":')
        yield f"what people read in line {number + 1}", with_line(
            number, line[:at] + line[at:].replace('"action":"', '"action":"X', 1))
        yield f"the index of line {number + 1}", with_line(number, line.replace('"index":', '"index":1', 1))
        yield f"the leaf of line {number + 1}", with_line(number, swapped_letter(line, '"leaf":"'))
        yield f"a salt of line {number + 1}", with_line(number, swapped_letter(line, '"salt":"'))
        yield f"the chain at line {number + 1}", with_line(number, swapped_letter(line, '"after":"'))
        yield f"more in line {number + 1}", with_line(number, line[:-1] + ',"more":1}')
        yield f"no object in line {number + 1}", with_line(number, "[]")
        yield f"no JSON in line {number + 1}", with_line(number, line[:-1])
        for mark in ('"nodes":["', '"seed":"', '"root":"', '"state":"', '"pairs":[["/'):
            if mark in line:
                at = line.index(mark) + len(mark) + 1
                yield f"{mark} of line {number + 1}", with_line(number, line[:at] + letters[line[at] == "A"] + line[at + 1:])
    for mark in ('"asked":{', '"checkpoint":"', '"exporter":{"id":"', '"search":{', '"tenant":"', '"timeFrom":n', '"origin":"'):
        at = lines[0].index(mark) + len(mark)
        yield f"{mark} of the header", with_line(0, lines[0][:at] + "x" + lines[0][at + 1:])
    for mark in ('"nodes":["', '"statement":"', '\\"events\\":', '\\"digest\\":\\"', "\\n\\n"):
        if mark in lines[-1]:
            at = lines[-1].index(mark) + len(mark)
            yield f"{mark} of the closing line", with_line(len(lines) - 1, lines[-1][:at] + "x" + lines[-1][at + 1:])
    yield "not finished", lines[:-1] + ['{"after":"' + json.loads(lines[-1])["after"] + '","incomplete":"the disk broke"}']


def as_csv(lines, rows):
    """The lines in the last column of these rows; rows that are missing have empty cells."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    by_line = {row[-1]: row[:-1] for row in rows}
    for number, line in enumerate(lines):
        writer.writerow(by_line.get(line, rows[min(number, len(rows) - 1)][:-1]) + [line])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def test_both_verifiers_find_every_tampering_at_the_same_line(context):
    server = context.server()
    fill(server, random.Random(7), 40)
    key = verifiers.vestige_vkey(server)
    content, table = (export(server, {"query": "type:ORDER"}, form) for form in ("ndjson", "csv"))
    rows = list(csv.reader(io.StringIO(table.decode("utf-8-sig"), newline="")))
    lines = lines_of(content)
    assert check_export(context, content, key)["ok"] and check_export(context, table, key)["ok"]
    assert check_export(context, as_csv([row[-1] for row in rows], rows), key)["ok"]
    kinds = 0
    for kind, altered in altered_files(lines):
        result = check_export(context, "".join(line + "\n" for line in altered).encode(), key)
        assert not result["ok"], kind
        kinds += 1
    for kind, altered in altered_files([row[-1] for row in rows]):
        result = check_export(context, as_csv(altered, rows), key) if altered else {"ok": False}
        assert not result["ok"], kind
        kinds += 1
    assert kinds > 80, kinds
    for whole in (content, table):
        for cut in (1, 2, len(whole) // 3, len(whole) // 2, len(whole) - 1):
            assert not check_export(context, whole[:cut], key)["ok"], cut
    # A cell that people read, and a quote too many.
    for before, after in ((b",ORDER,", b",ACCOUNT,"), (b"'=t", b"=t"), (b"\r\n", b"\n\n"), (b",ORDER,", b',"ORDER"x,')):
        assert not check_export(context, table.replace(before, after, 1), key)["ok"], before
    other = context.server(data=context.folder / "other", environment={"VESTIGE_ORIGIN": key.split("/")[0]})
    assert not check_export(context, content, verifiers.vestige_vkey(other))["ok"]
    unsigned = check_export(context, content, None)
    assert unsigned["ok"] and not unsigned["signatureChecked"], unsigned
    in_words = context.vestige("verify-export", "export", "--vkey", key)
    assert in_words.status == 0, in_words


def big_trail(server):
    for _ in range(10):
        sent = [event(detail={"note": "y" * 200_000}) for _ in range(20)]
        assert ask(server, "POST", "/api/events", sent).status == 201


def begin_and_read_nothing(server, key=None):
    link = socket.create_connection(("127.0.0.1", server.port))
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    link.sendall(f"GET /api/export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key or server.key}\r\n\r\n".encode())
    assert link.recv(12) == b"HTTP/1.1 200"
    return link


def test_receivers_that_lag_or_leave_cost_nobody_anything(context):
    server = context.server()
    big_trail(server)

    def memory():
        figures = ask(server, "GET", "/metrics", key=None).body.decode()
        return int(figures.split("\nvestige_resident_bytes ")[1].split("\n")[0])

    before = memory()
    # One caller takes three places, and all together eight.
    everything = {"name": "x", "scopes": ["ingest", "read", "admin"]}
    keys = [ask(server, "POST", "/api/keys", everything).json()["key"] for _ in range(3)]
    links = [begin_and_read_nothing(server, keys[0]) for _ in range(3)]
    refused = ask(server, "GET", "/api/export", key=keys[0])
    assert refused.status == 503 and "of one caller 3" in refused.json()["limit"], refused
    links += [begin_and_read_nothing(server, keys[1 + number % 2]) for number in range(5)]
    refused = ask(server, "GET", "/api/export")
    assert refused.status == 503 and "exports_max = 8" in refused.json()["limit"], refused
    assert server.search(limit=1)["events"], "searches go on"
    time.sleep(1)
    grown = memory() - before
    assert grown < 8 * (10 << 20), f"{grown} bytes for eight receivers that read nothing"
    for link in links:
        link.close()
    deadline = time.monotonic() + 30
    while ask(server, "GET", "/api/export?id=00000000-0000-4000-8000-000000000000").status != 200:
        assert time.monotonic() < deadline, "those who left still take a place"
        time.sleep(0.1)
    # A server that stops says so to those who still listen, and no file of theirs passes for whole.
    link = begin_and_read_nothing(server)
    server.process.terminate()
    received = b""
    while piece := link.recv(1 << 20):
        received += piece
    server.wait()
    body = received.split(b"\r\n\r\n", 1)[1]
    assert b'"statement"' not in body[-2000:], body[-500:]


def test_disclosures(context):
    server = context.server()
    key = verifiers.vestige_vkey(server)
    sent = event(subject="anna-4711", targetType="ACCOUNT", targetId="A-1", sourceId="anna-4711",
                 detail={"phone": "555-0199", "iban": "DE00secret", "list": [1, {"two": "zwei"}], "a/b": "slash"},
                 changes=[{"field": "phone", "old": "555-0100", "new": "555-0199"}])
    identity = ask(server, "POST", "/api/events", sent).json()["events"][0]["id"]
    path = f"/api/events/{identity}/disclose"

    def disclose(*fields):
        answer = ask(server, "POST", path, {"fields": list(fields)})
        assert answer.status == 200, answer
        return answer.body

    for fields, expected in ((("detail.phone",), {"/detail/phone": "555-0199"}), (("/detail/a~1b",), {"/detail/a~1b": "slash"}),
                             (("detail.list",), {"/detail/list": [], "/detail/list/0": 1, "/detail/list/1/two": "zwei"}),
                             (("/changes/0/old", "sourceId"), {"/changes/0/old": "555-0100", "/sourceId": "anna-4711"}),
                             (("targetId",), {})):
        content = disclose(*fields)
        result = check_disclosure(context, content, key)
        assert result["ok"] and {each["path"]: each["value"] for each in result["disclosed"]} == expected, (fields, result)
        assert result["entry"]["targetId"] == "A-1"
        shown = json.dumps(list(expected.values()))
        for secret in ("555-0199", "555-0100", "DE00secret", "anna-4711", "zwei", "slash"):
            assert secret in shown or secret.encode() not in content, (fields, secret)
        for before in (json.dumps(each).encode() for each in expected.values() if isinstance(each, str)):
            assert not check_disclosure(context, content.replace(before, b'"other"'), key)["ok"]
        assert not check_disclosure(context, content.replace(b'"A-1"', b'"A-2"'), key)["ok"]
    for body, status in (({"fields": ["detail.fax"]}, 400), ({"fields": ["mac"]}, 400), ({"fields": ["/mac"]}, 400),
                         ({"fields": ["salt"]}, 400), ({"fields": []}, 400), ({"fields": [1]}, 400), ({}, 400), ([], 400),
                         ({"fields": ["detail"], "more": 1}, 400), ({"fields": ["detail.phone"] * 101}, 400)):
        assert ask(server, "POST", path, body).status == status, body
    assert ask(server, "POST", "/api/events/00000000-0000-4000-8000-000000000000/disclose", {"fields": ["detail"]}).status == 404
    done = context.vestige("disclose", identity, "--field", "detail.phone", "--field", "detail.iban", "--out", "d.json",
                           data=server.data)
    assert done.status == 0 and len(done.json()["disclosed"]) == 2, done
    assert check_disclosure(context, (context.folder / "d.json").read_bytes(), key)["ok"]
    assert context.vestige("disclose", identity, "--field", "detail.fax", data=server.data).status == 1
    assert context.vestige("verify", "--disclosure", "d.json").status == 2
    outcome = ask(server, "POST", "/api/subjects/erase", {"subject": "anna-4711"}).json()["erasedBy"]
    gone = ask(server, "POST", path, {"fields": ["detail.phone"]})
    assert gone.status == 409 and f"entry {outcome}" in gone.json()["detail"] and gone.json()["path"] == "/fields/0", gone
    assert check_disclosure(context, disclose("targetId"), key)["ok"]
    # What was handed out before still holds: it is proven by the entry, which is as it was.
    assert check_disclosure(context, (context.folder / "d.json").read_bytes(), key)["ok"]


def test_every_example_of_the_page_works(context):
    """docs/operating/export.md, from top to bottom in one shell, on a server that has the account and the person of the page."""
    server, folder = context.server(), context.folder
    sent = [event(targetType="ACCOUNT", targetId="A-1", subject="customer-4711", action=action,
                  detail={"phone": "555-0199"}) for action in ("CREATED", "UPDATED", "VIEWED")]
    assert ask(server, "POST", "/api/events", sent).status == 201
    (folder / "var").symlink_to(server.data)
    (folder / "vestige").symlink_to(harness.BINARY)
    (folder / "tools").symlink_to(harness.ROOT / "tools")
    page = (harness.ROOT / "docs/operating/export.md").read_text()
    blocks = page.split("```\n")[1::2]
    assert len(blocks) >= 8, blocks
    script = "set -e -o pipefail\n" + "".join(f"{block}\necho '---'\n" for block in blocks)
    script = script.replace("http://127.0.0.1:8080", server.url)
    environment = harness.clean_environment({"VESTIGE_DATA": str(server.data), "PATH": f"{folder}:/usr/bin:/bin"})
    done = subprocess.run(["bash", "-c", script], capture_output=True, cwd=folder, env=environment, check=False, text=True)
    assert done.returncode == 0, done
    answers = done.stdout.split("---\n")
    assert len(answers) == len(blocks) + 1, answers
    read = [json.loads(line) for line in answers[-4].splitlines()]
    assert [line[1:] for line in read] == [["CREATED", "A-1"], ["UPDATED", "A-1"], ["VIEWED", "A-1"]], read
    checks = answers[-3].splitlines()
    assert [json.loads(line)["ok"] for line in checks[:2]] == [True, True] and checks[2].startswith("ok: 2 of the"), checks
    assert "555-0199" in answers[-2] and json.loads(answers[-2].splitlines()[1])["ok"], answers[-2]
    for pair in (("a-1.ndjson", "a-1-too.ndjson"), ("accounts.ndjson", "accounts-too.ndjson")):
        events = [[json.loads(line).get("event") for line in (folder / name).read_text().splitlines()] for name in pair]
        assert events[0] == events[1] and len(events[0]) > 3, pair


def test_the_worked_examples_hold(context):
    for name, check in (("export", check_export), ("disclosure", check_disclosure)):
        page = (harness.ROOT / f"docs/formats/{name}.md").read_text()
        key = page.split("verifier key `")[1].split("`")[0]
        content = page.split(f"```{name}\n")[1].split("```")[0].encode()
        assert check(context, content, key)["ok"], name
