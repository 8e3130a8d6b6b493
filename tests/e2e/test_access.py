"""Defends: what may be read of an event, and that every look is on record. Personal values are masked for a key without a
reason, and neither search, count nor facet tells them; every look is an entry of the stream `access` before its answer,
with who, what, why and whose values were in it, and without the values themselves; the matrix of the server is that of the
files; erasing a person takes the reasons of looks at them too, and both verifiers still agree."""
import http.client
import json
import re
import subprocess
import threading

import harness
import verifiers
from api_parts import DESCRIPTION, ask, event
from people import facts, person, with_end

MASK = "•••"
SOURCES = harness.ROOT / "src" / "access" / "assets"
SEARCH, LOOKS = "/auditlog/events/v2", "/api/access/search"


def make_key(server, *scopes, name="a reader"):
    answer = ask(server, "POST", "/api/keys", {"name": name, "scopes": list(scopes)})
    assert answer.status == 201, answer
    return answer.json()


def looks(server, **search):
    return ask(server, "POST", LOOKS, {"order": "asc", "limit": 1000, **search}).json()["events"]


def looks_of(server, key, **search):
    return looks(server, sourceId=key["id"], **search)


def send(server, *events):
    answer = ask(server, "POST", "/api/events", list(events))
    assert answer.status == 201, answer
    return [each["id"] for each in answer.json()["events"]]


def call(person, number, **fields):
    return event(kind="communication.call", targetType="CALL", targetId=f"call-{number}", subject=person, detail={
        "call_purpose": "support", "call_summary": f"asked about invoice{number}", "customer_phone": f"+2782000{number:04}",
        "recording_reference": f"recording{number}"}, **fields)


def with_reason(reason, **more):
    return {"headers": {"X-Vestige-Reason": reason, **more}}


def test_personal_values_are_masked_until_there_is_a_reason(context):
    server = context.server()
    ids = send(server, call("p-1", 1), call("p-2", 2), event(targetType="ACCOUNT", targetId="A-1"))
    reader = make_key(server, "read")
    asks = {"key": reader["key"]}
    whole = ask(server, "GET", f"/api/events/{ids[0]}").json()
    assert whole["detail"]["customer_phone"] == "+27820000001" and whole["subject"] == "p-1", whole
    masked = ask(server, "GET", f"/api/events/{ids[0]}", **asks).json()
    assert masked["detail"] == {"call_purpose": "support", "call_summary": MASK, "customer_phone": MASK,
                                "recording_reference": MASK}, masked
    assert masked["subject"] == MASK and masked["sealed"][0]["state"] == "closed", masked
    told = ask(server, "GET", f"/api/events/{ids[0]}", **asks, **with_reason("complaint T-1")).json()
    # A sensitive value takes a second person, whatever the reason.
    assert told["detail"] == {**whole["detail"], "recording_reference": MASK}, told
    assert told["subject"] == "p-1"
    # What is masked is neither found nor counted; that it cannot be asked for is said, not answered by nothing.
    for found, body in ((0, {"text": "invoice1"}), (2, {"kind": "communication.call"}), (2, {"text": "support"}),
                        (0, {"text": "-support"})):
        answer = ask(server, "POST", SEARCH, {**body, "filter": {"field": "kind", "equals": "communication.call"},
                                              "total": True}, **asks).json()
        assert (len(answer["events"]), answer["total"]) == (found, found), (body, answer)
    for body in ({"subject": "p-1"}, {"facets": ["detail.customer_phone"]},
                 {"filter": {"field": "detail.call_summary", "prefix": "asked"}},
                 {"query": "detail.customer_phone:+27820000001"}):
        refusal = ask(server, "POST", SEARCH, body, **asks)
        assert refusal.status == 403 and "X-Vestige-Reason" in refusal.json()["detail"], (body, refusal)
        assert ask(server, "POST", SEARCH, body, **asks, **with_reason("complaint T-1")).status == 200, body
    sensitive = {"filter": {"field": "detail.recording_reference", "equals": "recording1"}}
    assert ask(server, "POST", SEARCH, sensitive, **asks, **with_reason("complaint T-1")).status == 403
    assert len(ask(server, "POST", SEARCH, sensitive).json()["events"]) == 1
    found = ask(server, "POST", SEARCH, {"text": "invoice1"}, **asks, **with_reason("complaint T-1")).json()["events"]
    assert [each["id"] for each in found] == [ids[0]]
    # Histories and records as well; what needs no mask has none.
    for path in ("/api/records/call/call-1", "/api/entities/CALL/call-1/history"):
        text = ask(server, "GET", path, **asks).body.decode()
        assert MASK in text and "invoice1" not in text and "recording1" not in text, text
    assert MASK not in ask(server, "GET", f"/api/events/{ids[2]}", **asks).body.decode()


def test_disclosing_a_sensitive_value_waits_for_somebody(context):
    server = context.server()
    ids = send(server, call("p-1", 1))
    reader = make_key(server, "read")
    path = f"/api/events/{ids[0]}/disclose"
    for fields, headers, status in ((["detail.call_purpose"], {}, 403), (["detail.call_purpose"], {"X-Vestige-Reason": "r"}, 200),
                                    (["detail.recording_reference"], {"X-Vestige-Reason": "r"}, 202)):
        answer = ask(server, "POST", path, {"fields": fields}, key=reader["key"], headers=headers)
        assert answer.status == status, (fields, headers, answer)
        assert b"recording1" not in answer.body, answer
    assert ask(server, "POST", path, {"fields": ["detail.recording_reference"]}).status == 200
    exported = server.request("POST", "/api/export", {}, key=reader["key"], headers={"X-Vestige-Reason": "r"})
    assert exported.status == 200 and b"recording1" not in exported.body and b"invoice1" not in exported.body, exported
    assert b"recording1" in server.request("POST", "/api/export", {}).body


def test_every_look_is_on_record_before_its_answer(context):
    server = context.server()
    ids = send(server, call("p-1", 1), call("p-2", 2))
    reader = make_key(server, "read", name="support desk")
    refs = [ask(server, "GET", f"/api/subjects/{person}/keys").json()["ref"] for person in ("p-1", "p-2")]
    requests = [
        ("POST", SEARCH, {"kind": "communication.call"}, "SEARCHED", "view", 2, refs),
        ("GET", f"/api/events/{ids[0]}", None, "VIEWED", "view", 1, refs[:1]),
        ("GET", f"/api/events/{ids[0]}/sealed", None, "PROVED", "view", 0, []),
        ("GET", f"/api/events/{ids[0]}/proof", None, "PROVED", "view", 0, []),
        ("GET", "/api/records/call/call-2", None, "VIEWED", "view", 1, refs[1:]),
        ("GET", "/api/entities/CALL/call-2/history", None, "VIEWED", "view", 1, refs[1:]),
        ("GET", "/api/entities/CALL/call-2/state", None, "VIEWED", "view", 1, refs[1:]),
        ("GET", "/api/entities/CALL/call-2/blame", None, "VIEWED", "view", 1, refs[1:]),
        ("GET", "/api/subjects/p-1/timeline", None, "VIEWED", "view", 1, refs[:1]),
    ]
    for number, (method, path, body, action, access_type, count, subjects) in enumerate(requests):
        reason = f"complaint {number}"
        answer = ask(server, method, path, body, key=reader["key"],
                     headers={"X-Vestige-Reason": reason, "User-Agent": f"desk/{number}"})
        assert answer.status == 200, answer
        found = looks_of(server, reader)
        assert len(found) == number + 1, (path, found)
        look, detail = found[-1], found[-1]["detail"]
        assert (look["action"], look["sourceType"], look["sourceEntityMeta"]) == (
            action, "API_KEY", {"name": "support desk"}), look
        assert (detail["access_type"], detail["access_reason"], detail["role"], detail["outcome"], detail["status"]) == (
            access_type, reason, "key", "success", 200), look
        if action != "PROVED":
            assert (detail["count"], sorted(detail.get("subjects", []))) == (count, sorted(subjects)), look
        assert look["context"]["ip"] == "127.0.0.1" and look["context"]["userAgent"] == f"desk/{number}", look
    # What was refused, and what was not there.
    for status, outcome, method, path, body in ((403, "unauthorized", "POST", SEARCH, {"subject": "p-1"}),
                                                (404, "failure", "GET", f"/api/events/{reader['id']}", None),
                                                (400, "failure", "POST", SEARCH, {"limit": -1})):
        assert ask(server, method, path, body, key=reader["key"]).status == status
        detail = looks_of(server, reader)[-1]["detail"]
        assert (detail["outcome"], detail["status"], detail["count"]) == (outcome, status, 0), detail
    other = make_key(server, "ingest")
    assert ask(server, "POST", SEARCH, {}, key=other["key"]).status == 403
    assert looks_of(server, other)[-1]["detail"]["outcome"] == "unauthorized"
    ask(server, "GET", f"/api/events/{ids[0]}", key=reader["key"], headers={"X-Vestige-Access": "print"})
    assert looks_of(server, reader)[-1]["detail"]["access_type"] == "print"
    # The server's own key too, and looks at looks.
    before = len(looks(server))
    assert len(looks(server)) == before + 1
    own = looks(server)[-1]
    assert (own["detail"]["operation"], own["detail"]["role"], own["detail"]["shown"]) == (
        "searchLooks", "service", ["clear", "personal", "sensitive"]), own
    assert not [each for each in server.search_all() if each["kind"] == "data.access"]


def test_what_was_searched_for_is_kept_as_a_digest(context):
    server = context.server()
    send(server, call("p-1", 1))
    secret = "verysecretname"
    for body in ({"text": secret}, {"filter": {"field": "detail.x", "equals": secret}}, {"sourceId": secret},
                 {"targetId": secret}, {"subject": secret}, {"detail": {"deep": {"er": secret}}}, {"query": f"*{secret}*"},
                 {"filter": {"field": "detail.x", "range": {"gte": secret}}}):
        for _ in range(2):
            assert ask(server, "POST", SEARCH, {**body, "kind": "data.change"}).status == 200
        searches = {"field": "detail.operation", "equals": "searchEvents"}
        first, second = looks(server, filter=searches)[-2:]
        assert first["detail"]["query"] == second["detail"]["query"], (first, second)
        text = json.dumps(first["detail"]["query"])
        assert secret not in text and re.search(r"#[0-9a-f]{16}", text), text
        assert "data.change" in text, text
    ask(server, "GET", f"/api/entities/CALL/{secret}/history")
    ask(server, "GET", "/api/entities/PERSON/p-1/history")
    first, second = [each["targetId"] for each in looks(server, action="VIEWED")]
    assert first == secret and re.fullmatch("#[0-9a-f]{16}", second), (first, second)
    assert "p-1" not in json.dumps(looks(server)), "a person's id stands in a look"


def test_exports_and_streams_tell_how_they_began_and_ended(context):
    server = context.server()
    send(server, *(call("p-1", number) for number in range(3)))
    reader = make_key(server, "read")
    assert server.request("POST", "/api/export", {"kind": "communication.call"}, key=reader["key"],
                          headers={"X-Vestige-Reason": "audit"}).status == 200
    for _ in range(100):
        found = [each for each in looks_of(server, reader)]
        if len(found) == 2:
            break
        threading.Event().wait(0.05)
    assert [(each["action"], each["detail"]["count"], each["detail"]["access_type"]) for each in found] == [
        ("EXPORT_BEGUN", 0, "export"), ("EXPORTED", 3, "export")], found
    assert found[0]["detail"]["query"] == {"and": [{"field": "kind", "equals": "communication.call"}]}, found
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/api/events/stream?from=0", headers={"Authorization": f"Bearer {reader['key']}"})
    stream = connection.getresponse()
    assert stream.status == 200
    text = b""
    while text.count(b"event: entry") < 3:
        text += stream.read1()
    assert b"invoice" not in text, text
    assert [each["action"] for each in looks_of(server, reader)][2:] == ["WATCH_BEGUN"]
    stream.close()
    connection.close()
    for _ in range(200):
        send(server, event())  # a closed receiver is noticed when something is sent
        if len(looks_of(server, reader)) == 4:
            break
        threading.Event().wait(0.05)
    ended = looks_of(server, reader)[-1]
    assert ended["action"] == "WATCHED" and ended["detail"]["count"] >= 3, ended


def test_an_answered_look_outlives_kill(context):
    server = context.server()
    ids = send(server, call("p-1", 1))
    for number in range(5):
        answer = ask(server, "GET", f"/api/events/{ids[0]}", **with_reason(f"look {number}"))
        assert answer.status == 200
        server.kill()
        server.start()
        reasons = [each["detail"].get("access_reason") for each in looks(server)]
        assert f"look {number}" in reasons, (number, reasons)


def test_erasing_a_person_takes_the_reasons_of_looks_at_them(context):
    server = context.server()
    ids = send(server, call("p-1", 1), call("p-2", 2))
    for person, reason in (("p-1", "Mrs Prune called"), ("p-2", "Mr Plum wrote")):
        assert ask(server, "GET", f"/api/subjects/{person}/timeline", **with_reason(reason)).status == 200
    assert [each["detail"].get("access_reason") for each in looks(server, action="VIEWED")] == [
        "Mrs Prune called", "Mr Plum wrote"]
    assert ask(server, "POST", "/api/subjects/erase", {"subject": "p-1"}).status == 200
    found = looks(server, action="VIEWED")
    assert [each["detail"].get("access_reason") for each in found] == [None, "Mr Plum wrote"], found
    assert found[0]["sealed"][0]["state"] == "erased" and found[0]["detail"]["count"] == 1, found
    assert ask(server, "GET", f"/api/events/{ids[0]}", **with_reason("again")).status == 200
    server.stop()
    verifiers.expect_well(server.data)
    context.vestige("reindex", "--data", server.data)
    server.start()
    assert [each["detail"].get("access_reason") for each in looks(server, action="VIEWED")][:2] == [None, "Mr Plum wrote"]


def test_headers_that_go_on_record_are_checked(context):
    server = context.server()
    ids = send(server, event())
    for name in ("X-Vestige-Reason", "X-Vestige-Subject"):
        for value in ("", "x" * 1025, "a\tb", "\xff"):
            answer = ask(server, "GET", f"/api/events/{ids[0]}", headers={name: value})
            assert answer.status == 400, (name, value, answer)
    assert ask(server, "GET", f"/api/events/{ids[0]}", headers={"X-Vestige-Reason": "x" * 1024}).status == 200
    assert ask(server, "GET", f"/api/events/{ids[0]}", headers={"X-Vestige-Access": "steal"}).status == 400
    for role in ("compliance_officer", "nobody", "key"):
        assert ask(server, "GET", f"/api/events/{ids[0]}", headers={"X-Vestige-Role": role}).status == 403, role
    assert ask(server, "GET", f"/api/events/{ids[0]}", headers={"X-Vestige-Role": "service"}).status == 200


def test_the_matrix_is_that_of_the_policy(context):
    server = context.server()
    matrix = ask(server, "GET", "/api/access/matrix").json()
    policy = json.loads((SOURCES / "policy.json").read_text())
    rows = json.loads((SOURCES / "operations.json").read_text())
    described = {operation["operationId"] for methods in DESCRIPTION["paths"].values() for operation in methods.values()
                 if operation["security"]}
    assert described == set(rows) == {each["operation"] for each in matrix["operations"]}
    assert {each["name"] for each in matrix["roles"]} == set(policy["roles"])
    for row in matrix["operations"]:
        for role, about in policy["roles"].items():
            granted = any(row["operation"] in grant["operations"] for grant in about["grants"])
            cell = next(each for each in row["cells"] if each["role"] == role and each["class"] == "clear")
            assert (cell["value"] != "-") == granted, (row, role)
    shown = context.vestige("access", "matrix", "--role", "auditor", "--json", data=server.data).json()
    assert shown == matrix
    assert context.vestige("access", "matrix", "--role", "nobody", data=server.data).status in (0, 1)


def test_the_command_line_gives_reasons_and_shows_looks(context):
    server = context.server()
    send(server, call("p-1", 1))
    reader = make_key(server, "read")
    masked = context.vestige("query", "--key", reader["key"], data=server.data)
    assert masked.status == 0 and "invoice1" not in masked.output and MASK in masked.output, masked
    told = context.vestige("query", "--key", reader["key"], "--reason", "complaint", data=server.data)
    assert told.status == 0 and "invoice1" in told.output, told
    found = context.vestige("access", "looks", "detail.access_reason:complaint", "--json", data=server.data).json()
    assert [each["detail"]["access_reason"] for each in found["events"]] == ["complaint"], found
    bad = context.vestige("query", "--reason", "two\nlines", data=server.data)
    assert bad.status == 2 and "--reason" in bad.errors, bad


def test_every_example_of_the_page_works(context):
    """docs/operating/access.md, from top to bottom in one shell, on a server that has the person of the page."""
    server, folder = context.server(), context.folder
    send(server, call("customer-4711", 1))
    (folder / "var").symlink_to(server.data)
    (folder / "vestige").symlink_to(harness.BINARY)
    blocks = (harness.ROOT / "docs/operating/access.md").read_text().split("```\n")[1::2]
    assert len(blocks) == 25, blocks
    script = "set -e -o pipefail\n" + "".join(f"{block}\necho '---'\n" for block in blocks)
    script = script.replace("http://127.0.0.1:8080", server.url)
    environment = harness.clean_environment({"VESTIGE_DATA": str(server.data), "PATH": f"{folder}:/usr/bin:/bin"})
    done = subprocess.run(["bash", "-c", script], capture_output=True, cwd=folder, env=environment, check=False, text=True)
    assert done.returncode == 0, done
    answers = done.stdout.split("---\n")
    assert answers[2].count("invoice1") == 2 and "recording1" not in answers[2], answers[2]
    assert answers[3].count('"searchEvents"') >= 2, answers[3]
    assert answers[6].count('"data.access"') >= 3, answers[6]
    # Two looks at the person, and those at what they left.
    assert answers[7].count("complaint T-2210") == 2, answers[7]
    assert "/welcome#invitation=vsi_" in answers[8] and '"loginName":"ada"' in answers[8], answers[8]
    assert answers[10].count('"roles":["auditor","operator"]') == 4, answers[10]
    assert len(set(re.findall(r'"expiresAt":"[^"]+"', answers[10]))) == 2, answers[10]
    assert answers[11].count('"name":"Bea Baker"') == 2 and '"events":[' in answers[11], answers[11]
    assert '"LOGGED_OUT"' in answers[12] and answers[13].strip() == '{"providers":[]}', answers[12:]
    assert answers[14].count("/mine#vsl_") == 2, answers[14]
    # Asked for, decided, given, and all of it on record.
    assert answers[15].count("recording1") == 1 and answers[15].count('"APPROVED"') == 1, answers[15]
    # A key with a role, another policy, and the month's review with its sign-off.
    assert '"role":"auditor"' in answers[4] and re.search(r'"expiresAt":"20\d\d-\d\d-\d\dT00:00:00.000Z"', answers[4]), answers[4]
    assert '"version":1' in answers[5] and '"export_entries":500' in answers[5], answers[5]
    assert '"rule":' in answers[22] or '"unusual":[]' in answers[22], answers[22]
    assert '"session_activities"' in answers[23] and '"login_method":"password"' in answers[23], answers[23]
    assert '"accepted":1' in answers[24], answers[24]
    # Another tenant: its link, its key, its log, and the end of it.
    assert "&tenant=acme" in answers[19] and '"tier":"enterprise"' in answers[19], answers[19]
    assert '"tenant":"acme"' in answers[20] and "/acme/audit\n" in answers[20], answers[20]
    assert '"state":"suspended"' in answers[21] and '"state":"active"' in answers[21], answers[21]
    # For an authority, by legal; and a change that waited.
    assert answers[16].count('"rule":"regulatory"') == 1 and answers[16].count('"purpose":"regulatory"') >= 2, answers[16]
    assert answers[17].count('"four_eyes"') == 2, answers[17]
    assert '"accepted":1' in answers[18] and answers[18].count('"approverRole":"compliance_officer"') >= 2, answers[18]


def test_a_month_of_looks_is_reviewed_and_signed_off(context):
    server = context.server()
    ids = send(server, call("p-1", 1), call("p-2", 2))
    agent = make_key(server, "read", name="support desk")
    for _ in range(3):
        ask(server, "GET", f"/api/events/{ids[0]}", key=agent["key"], **with_reason("complaint T-1"))
    for _ in range(10):
        assert ask(server, "POST", SEARCH, {"subject": "p-1"}, key=agent["key"]).status == 403
    month = looks(server)[0]["time"][:7]
    review = ask(server, "GET", f"/api/access/review?month={month}").json()
    mine = [row for row in review["people"] if row["sourceId"] == agent["id"]]
    assert len(mine) == 1 and mine[0]["name"] == "support desk" and mine[0]["role"] == "key", review
    assert (mine[0]["looks"], mine[0]["refused"], mine[0]["persons"], mine[0]["withoutReason"]) == (13, 10, 1, 0), mine
    unusual = [finding for finding in review["unusual"] if finding["sourceId"] == agent["id"]]
    assert [finding["rule"] for finding in unusual if finding["rule"] != "off_hours"] == ["refusals"], review
    named = looks(server, sourceId=agent["id"], action="SEARCHED")
    assert unusual[0]["looks"] == [look["index"] for look in named], (unusual, named)
    assert review["signOffs"] == []
    officer = ask(server, "POST", "/api/keys", {"name": "officer", "role": "compliance_officer"}).json()
    auditor = ask(server, "POST", "/api/keys", {"name": "auditor", "role": "auditor", **with_end("auditor")}).json()
    wish = {"month": month, "size": review["tree"]["size"], "comment": "refusals: a training, known"}
    assert ask(server, "POST", "/api/access/review", wish, key=auditor["key"]).status == 403
    assert ask(server, "POST", "/api/access/review", wish, key=officer["key"]).status == 201
    for wrong, path in (({**wish, "month": "2026-13"}, "/month"), ({**wish, "size": 10**9}, "/size"), ({**wish, "size": -1}, "/size"),
                        ({**wish, "comment": 1}, "/comment"), ({**wish, "comment": "x" * 1025}, "/comment"), ({**wish, "more": 1}, "/more")):
        answer = ask(server, "POST", "/api/access/review", wrong, key=officer["key"])
        assert answer.status == 400 and answer.json()["path"] == path, (wrong, answer)
    for wrong in ("", "?month=", "?month=2026", "?month=2026-00"):
        assert ask(server, "GET", f"/api/access/review{wrong}").status == 400, wrong
    signed = ask(server, "GET", f"/api/access/review?month={month}", key=auditor["key"]).json()["signOffs"]
    assert [(each["sourceId"], each["size"], each["comment"], each["role"]) for each in signed] == [
        (officer["id"], wish["size"], wish["comment"], "compliance_officer")], signed
    # Reading a review is a look, signing one is an entry; the command line does both.
    assert looks(server, sourceId=auditor["id"])[-1]["targetId"] == month
    done = context.vestige("access", "review", month, "--sign-off", "read once more", data=server.data)
    assert done.status == 0, done
    shown = context.vestige("access", "review", month, data=server.data)
    assert shown.status == 0 and [each["comment"] for each in shown.json()["signOffs"]][-1] == "read once more", shown


def test_the_record_of_a_session_has_all_that_was_done_in_it(context):
    server = context.server()
    ids = send(server, call("p-1", 1), call("p-2", 2))
    officer = person(server, "grace", "compliance_officer")
    reading = {"X-Vestige-Reason": "complaint T-1", "X-Vestige-Subject": "p-1"}
    assert officer.ask("GET", f"/api/events/{ids[0]}", headers=reading).status == 200
    assert officer.ask("POST", "/api/keys", {"name": "x", "scopes": ["read"]}).status == 403
    assert officer.ask("POST", SEARCH, {"subject": "p-2"}).status == 403
    other = person(server, "ada", "auditor")
    assert other.ask("GET", f"/api/events/{ids[1]}").status == 200
    assert officer.ask("DELETE", "/api/session").status == 204
    sessions = [fact["targetId"] for fact in facts(server, kind="access.session", action="LOGGED_IN")]
    answer = ask(server, "GET", f"/api/access/sessions/{sessions[0]}").json()
    record = answer["record"]
    accounts = {each["loginName"]: each["id"] for each in ask(server, "GET", "/api/accounts").json()["accounts"]}
    assert (record["session_id"], record["user_id"]) == (sessions[0], accounts["grace"]), record
    assert record["login_method"] == "password" and record["ip_address"] == "127.0.0.1" and record["user_agent"] == "a browser", record
    assert record["login_timestamp"] < record["logout_timestamp"], record
    done = [(each["action"], each["resource"], each["outcome"], each.get("details")) for each in record["session_activities"]]
    assert done == [("view", "getEvent", "success", "complaint T-1"), ("view", "searchEvents", "unauthorized", None),
                    ("logout", "session", "success", None)], done
    # Whose it is, is personal: without a reason nobody finds what was done in it.
    assert other.ask("GET", f"/api/access/sessions/{sessions[0]}").status == 403
    again = person(server, "kim", "compliance_officer")
    assert again.ask("GET", f"/api/access/sessions/{sessions[0]}").status == 403
    told = again.ask("GET", f"/api/access/sessions/{sessions[0]}", headers={"X-Vestige-Reason": "an audit"})
    assert told.status == 200 and told.json()["record"]["session_activities"] == record["session_activities"], told
    for wrong in ("x", "01930000-0000-7000-8000-000000000001"):
        assert ask(server, "GET", f"/api/access/sessions/{wrong}").status == 404, wrong
