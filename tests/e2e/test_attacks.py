"""Defends: what somebody who is let in, or is not, tries next. Another's cursor, another's ids, another's role, a path or a
header that is read in two ways, a secret in the wrong place: each is refused, and says nothing about what is there.

More attacks stand beside what they attack: on sign-in, sessions and accounts in test_sign_in.py (fixation, CSRF, replay, mass
assignment, names that nobody has), on ID tokens in test_oidc.py and src/access/oidc/jwt_test.cc (algorithms and keys), on
approvals in test_approvals.py (replay, another request, one's own yes), on masked values in test_access.py and
src/audit/reader_visibility_test.cc (oracles), on keys in test_api_keys.py and test_policy.py, on every cell of the matrix in
test_matrix.py."""
import http.client
import json
import re
import socket
import time

from api_parts import DESCRIPTION, ask, event
from people import COOKIE, PASSWORD, Browser, facts, make_account, person, with_end

SEARCH = "/auditlog/events/v2"


def send(server, *events):
    answer = ask(server, "POST", "/api/events", list(events))
    assert answer.status == 201, answer
    return [each["id"] for each in answer.json()["events"]]


def customer(server, subject):
    token = ask(server, "POST", "/api/customer-links", {"subject": subject, "validSeconds": 600}).json()["token"]
    browser = Browser(server)
    assert browser.ask("POST", "/api/sign-in/link", {"token": token}).status == 200
    return browser


def about(subject, number, **fields):
    return event(kind="communication.call", targetType="CALL", targetId=f"call-{number}", subject=subject,
                 detail={"call_purpose": "support", "customer_phone": f"+2782000{number:04}"}, **fields)


def test_the_cursor_of_another_serves_nobody(context):
    server = context.server()
    send(server, *[event(targetType="A", targetId=f"a-{number}") for number in range(5)])
    ada, bea = person(server, "ada", "auditor"), person(server, "bea", "auditor")
    first = ada.ask("POST", SEARCH, {"limit": 2}).json()
    assert ada.ask("POST", SEARCH, {"limit": 2, "cursor": first["cursor"]}).status == 200
    for other in (bea, customer(server, "p-1")):
        refused = other.ask("POST", SEARCH, {"limit": 2, "cursor": first["cursor"]})
        assert refused.status in (400, 403) and b"a-" not in refused.body, refused
    key = ask(server, "POST", "/api/keys", {"name": "x", "role": "auditor", **with_end("auditor")}).json()["key"]
    assert ask(server, "POST", SEARCH, {"limit": 2, "cursor": first["cursor"]}, key=key).status == 400
    # Saved ones as well: each has their own under the same name, and a program's are no person's.
    for browser, value in ((ada, 1), (bea, 2)):
        assert browser.ask("PUT", "/api/cursors/mine", {"next": value}).status == 200
    assert ask(server, "PUT", "/api/cursors/mine", {"next": 3}, key=key).status == 200
    for browser, value in ((ada, 1), (bea, 2)):
        assert browser.ask("GET", "/api/cursors/mine").json()["next"] == value
        assert browser.ask("GET", "/api/cursors").json()["cursors"] == [{"name": "mine", "next": value}]
    whose = next(each["id"] for each in ask(server, "GET", "/api/accounts").json()["accounts"] if each["loginName"] == "ada")
    for name in (f"{whose}%2Fmine", f"..%2F{whose}%2Fmine", "mine%00"):
        assert bea.ask("GET", f"/api/cursors/{name}").status in (400, 404), name


def test_ids_of_other_customers_are_ids_of_nothing(context):
    server = context.server()
    own, others, both = send(server, about("p-1", 1), about("p-2", 2), about(["p-1", "p-2"], 3))
    browser = customer(server, "p-1")
    assert browser.ask("GET", f"/api/events/{own}").status == 200
    shared = browser.ask("GET", f"/api/events/{both}")
    assert shared.status == 200 and b"p-2" not in shared.body, shared
    nobody = "01930000-0000-7000-8000-000000000001"
    for path in ("/api/events/{}", "/api/events/{}/proof"):
        answers = [browser.ask("GET", path.format(which)) for which in (others, nobody)]
        assert [answer.status for answer in answers] == [404, 404], answers
        assert answers[0].body.replace(others.encode(), b"") == answers[1].body.replace(nobody.encode(), b""), answers
    absent, hidden = (browser.ask("GET", f"/api/records/call/call-{number}") for number in (9, 2))
    assert (absent.status, hidden.status) == (404, 404) and absent.body == hidden.body, (absent, hidden)
    # No header makes them somebody else, and no member of a search does.
    for headers in ({"X-Vestige-Subject": "p-2"}, {"X-Vestige-Role": "legal"}, {"X-Vestige-Role": "service"}, {"X-Vestige-Reason": "r"},
                    {"X-Vestige-Tenant": "other"}):
        answer = browser.ask("GET", f"/api/events/{others}", headers=headers)
        assert answer.status in (403, 404) and b"+27820000002" not in answer.body, (headers, answer)
    for body in ({"subject": "p-2"}, {"subject": ["p-1", "p-2"]}, {"targetId": "call-2"}, {"id": others},
                 {"filter": {"not": {"field": "subject", "equals": "p-1"}}}):
        answer = browser.ask("POST", SEARCH, {**body, "total": True})
        shown = [] if answer.status >= 400 else [each["id"] for each in answer.json()["events"]]
        assert others not in shown and b"+27820000002" not in answer.body, (body, answer)


def test_a_role_that_one_does_not_have_is_not_had(context):
    server = context.server()
    both = person(server, "kim", "auditor", "administrator")
    for role, status in (("auditor", 403), ("administrator", 200), ("legal", 403), ("service", 403), ("", 200), ("Auditor", 403)):
        assert both.ask("GET", "/api/keys", headers={"X-Vestige-Role": role}).status == status, role
    # One role at a time: the rows of one with the rights of another are nobody's.
    assert both.ask("POST", SEARCH, {}, headers={"X-Vestige-Role": "administrator"}).status == 403
    assert both.ask("POST", SEARCH, {}).status == 200


def test_paths_are_read_in_one_way(context):
    server = context.server()
    agent = person(server, "lee", "operator")
    for path in ("/api/keys/", "//api/keys", "/api//keys", "/api/./keys", "/api/x/../keys", "/docs/../api/keys", "/api/keys;x=/docs",
                 "/API/KEYS", "/api/keys%2f", "/api%2fkeys", "/docs%2f..%2fapi%2fkeys", "/api/keys%00", "/%61pi/keys%20", "/sign-in/../api/keys",
                 "/api/sign-in/../keys", "/tlog/../api/keys", "/tlog/%2e%2e/api/keys", "/healthz/../api/keys", "/api/keys.css"):
        for asker in (lambda where: server.request("GET", where, key=None),
                      lambda where: server.request("GET", where, key=None, headers={"Cookie": f"{COOKIE}={agent.cookie}"})):
            answer = asker(path)
            assert answer.status in (400, 401, 403, 404) and b'"keys"' not in answer.body, (path, answer)
    for headers in ({"X-Original-URL": "/api/keys"}, {"X-Rewrite-URL": "/api/keys"}, {"X-HTTP-Method-Override": "DELETE"},
                    {"X-Forwarded-For": "127.0.0.1"}, {"X-Forwarded-User": "admin"}, {"Remote-User": "admin"}, {"X-Vestige-Role": "service"}):
        assert server.request("GET", "/api/keys", key=None, headers=headers).status == 401, headers
        assert agent.ask("GET", "/api/keys", headers=headers).status == 403, headers
        assert b'"keys"' not in server.request("GET", "/docs", key=None, headers=headers).body, headers


def raw(server, text):
    """What the server answers to these very bytes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(text.encode())
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


def test_secrets_in_the_wrong_place_open_nothing(context):
    server = context.server()
    admin = person(server, "max", "administrator")
    assert admin.ask("GET", "/api/keys").status == 200
    token, key = admin.cookie, server.key
    for headers in ({"Authorization": f"Bearer {token}"}, {"Cookie": f"{COOKIE}={key}"}, {"Cookie": f"__Host-{COOKIE}={token}"},
                    {"Cookie": f"{COOKIE}={token}; {COOKIE}={token}"}, {"Cookie": f"{COOKIE}={token}; {COOKIE}=x"}, {"Cookie": f'{COOKIE}="{token}"'},
                    {"Cookie": f"{COOKIE}={token}x"}, {"Cookie": f"{COOKIE.upper()}={token}"}, {"X-Api-Key": key}, {"Proxy-Authorization": f"Bearer {key}"},
                    # A key that is wrong is not made good by a cookie that is right.
                    {"Authorization": "Bearer vst_x", "Cookie": f"{COOKIE}={token}"}, {"Authorization": "", "Cookie": f"{COOKIE}={token}"}):
        assert server.request("GET", "/api/keys", key=None, headers=headers).status == 401, headers
    for query in (f"?key={key}", f"?token={token}", f"?{COOKIE}={token}", f"?access_token={key}"):
        assert server.request("GET", f"/api/keys{query}", key=None).status == 401, query
    line = "GET /api/keys HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    for headers in (f"Authorization: Bearer {key}\r\nAuthorization: Bearer vst_x\r\n", f"Authorization: Bearer vst_x\r\nAuthorization: Bearer {key}\r\n",
                    f"Cookie: {COOKIE}={token}\r\nCookie: {COOKIE}={token}\r\n", f"Authorization : Bearer {key}\r\n", f"X: y\n Authorization: Bearer {key}\r\n"):
        answer = raw(server, f"{line}{headers}\r\n")
        assert b" 200 " not in answer.split(b"\r\n")[0] and b'"keys"' not in answer, (headers, answer)
    # What a header says twice, or a body smuggles behind another, is no second request.
    smuggled = raw(server, f"POST /api/sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n"
                           f"Connection: close\r\n\r\n0\r\n\r\nGET /api/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n")
    assert b'"keys"' not in smuggled and smuggled.count(b"HTTP/1.1 ") <= 1, smuggled


def test_how_long_a_login_takes_tells_nothing(context):
    """What takes its time is the hash, and each login that is refused computes one, whatever is wrong with it."""
    server = context.server()
    for name in ("ada", "off", "kept-out"):
        make_account(server, name, "auditor")
    ask(server, "POST", "/api/accounts", {"loginName": "invited"})
    off = next(each["id"] for each in ask(server, "GET", "/api/accounts").json()["accounts"] if each["loginName"] == "off")
    assert ask(server, "POST", f"/api/accounts/{off}/disable").status == 200
    for tenant in ("acme", "closed"):
        assert ask(server, "POST", "/api/tenants", {"id": tenant}).status == 201
    assert ask(server, "POST", "/api/tenants/closed/suspend").status == 200

    def hashes():
        figures = ask(server, "GET", "/metrics").body.decode()
        return int(re.search(r"^vestige_password_hashes_total (\d+)$", figures, re.M)[1])

    answers = set()
    for body in ({"loginName": "ada"}, {"loginName": "nobody"}, {"loginName": "off"}, {"loginName": "off", "password": PASSWORD},
                 {"loginName": "invited"}, {"loginName": "no/name"}, {"loginName": "n" * 300}, {"loginName": "ada", "tenant": "acme"},
                 {"loginName": "ada", "tenant": "closed"}, {"loginName": "ada", "tenant": "ghost"}, {"loginName": "ada", "tenant": ""},
                 *[{"loginName": "kept-out"}] * 6, {"loginName": "kept-out", "password": PASSWORD}):
        before = hashes()
        answer = Browser(server).ask("POST", "/api/sign-in", {"password": "a wrong password", **body})
        assert answer.status == 401 and hashes() == before + 1, (body, answer)
        answers.add(answer.body)
    assert len(answers) == 1, answers


def test_ended_is_ended(context):
    server = context.server()
    leaver, admin = person(server, "sam", "auditor"), person(server, "root", "administrator")
    token, csrf = leaver.cookie, leaver.csrf
    account = next(each["id"] for each in ask(server, "GET", "/api/accounts").json()["accounts"] if each["loginName"] == "sam")
    assert leaver.ask("GET", "/api/access/policy").status == 200
    assert admin.ask("POST", f"/api/accounts/{account}/disable").status == 200
    for _ in range(2):
        for method, path, body in (("GET", "/api/access/policy", None), ("GET", "/api/session", None), ("POST", SEARCH, {}),
                                   ("DELETE", "/api/session", None)):
            answer = server.request(method, path, body, key=None, headers={"Cookie": f"{COOKIE}={token}", "X-Vestige-CSRF": csrf})
            assert answer.status == 401, (method, path, answer)
        assert Browser(server).sign_in("sam").status == 401
        server.kill()
        server.start()
    # The CSRF token of one session is none of another.
    one, other = Browser(server).signed_in("root"), Browser(server).signed_in("root")
    assert other.ask("POST", "/api/keys", {"name": "x", "scopes": ["read"]}, headers={"X-Vestige-CSRF": one.csrf}).status == 403
    assert other.ask("POST", "/api/keys", {"name": "x", "scopes": ["read"]}).status == 201


def test_no_body_of_whatever_shape_ends_the_server(context):
    """Every operation that takes a body, by the server's own key and by an administrator who signed in."""
    server = context.server()
    admin = person(server, "root", "administrator", "compliance_officer")
    shapes = (b"", b"null", b"1", b'"x"', b"[]", b"[[]]", b"{}", b'{"a":1}', b"[1]", b'{"":{}}', b"{", b"\xff", b"true", b"-0",
              b'{"subject":1,"name":[],"scopes":{},"roles":1,"version":{},"policy":[],"month":[],"size":"x","fields":1,"decision":[],"next":{}}')
    some = {"id": "01930000-0000-7000-8000-000000000001", "format": "json", "name": "x", "type": "call", "index": "0", "provider": "x"}
    for path, methods in DESCRIPTION["paths"].items():
        for method, operation in methods.items():
            if method not in ("post", "put") or "requestBody" not in operation:
                continue
            where = path
            for name, value in some.items():
                where = where.replace("{" + name + "}", value)
            for body in shapes:
                for headers in ({"Authorization": f"Bearer {server.key}"}, {"Cookie": f"{COOKIE}={admin.cookie}", "X-Vestige-CSRF": admin.csrf}):
                    answer = server.request(method.upper(), where, body, key=None, headers={
                        **headers, "Content-Type": "application/json", "X-Vestige-Reason": "shapes"})
                    assert answer.status != 500 and server.running(), (method, where, body, answer)
    assert ask(server, "GET", "/healthz", key=None).status == 200


def test_no_question_ends_the_server(context):
    """Times and numbers at the ends of what can be written."""
    server = context.server()
    send(server, event())
    for query in ("since:1000000w", "until:1000000w", "since:1000000d", "since:0s", "since:0000-01-01", "until:9999-12-31",
                  "since:9999-12-31T23:59:59.999Z", "since:0000-01-01T00:00:00+23:59", "until:9999-12-31T23:59:59-23:59", "time>9999", "index>1e400"):
        for path, body in ((SEARCH, {"query": query}), ("/api/access/search", {"query": query}), ("/api/export", {"query": query})):
            answer = ask(server, "POST", path, body)
            assert answer.status in (200, 400) and server.running(), (path, query, answer)
    for body in ({"histogram": {"interval": "1000000w"}}, {"histogram": {"interval": "1s"}}, {"limit": 1000, "facets": [{"field": "time", "top": 1000}]},
                 {"filter": {"field": "time", "range": {"gte": "0000-01-01T00:00:00Z", "lt": "9999-12-31T23:59:59Z"}}},
                 {"filter": {"field": "detail.x", "wildcard": "*" * 1025}}, {"filter": {"field": "detail.x", "contains": "x" * 100_000}}):
        assert ask(server, "POST", SEARCH, body).status in (200, 400) and server.running(), body
    for month in ("9999-12", "9999-01", "9998-12", "1970-01", "0000-01", "2026-13", "2026-00", "-001-01", "99999-1"):
        assert ask(server, "GET", f"/api/access/review?month={month}").status in (200, 400) and server.running(), month
    for when in ("0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59-23:59"):
        at = when.replace("+", "%2B")
        for path in (f"/api/entities/A/b/state?at={at}", f"/api/entities/A/b/diff?from={at}&to={at}"):
            assert server.request("GET", path).status in (200, 400, 404) and server.running(), path
        ask(server, "POST", "/api/keys", {"name": "x", "scopes": ["read"], "expiresAt": when})
        assert server.running(), when
    assert ask(server, "GET", "/healthz", key=None).status == 200


class Watching:
    """A live view that is open, and whether it still is."""

    def __init__(self, server, headers, path="/api/events/stream"):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        self.connection.request("GET", path, headers=headers)
        self.answer = self.connection.getresponse()

    def ended(self):
        """Whether the server ended it; reads what it was sent."""
        try:
            while self.answer.readline():
                pass
            return True
        except TimeoutError:
            return False
        finally:
            self.connection.close()


def test_a_live_view_ends_with_the_right_to_it(context):
    server = context.server()
    assert ask(server, "POST", "/api/tenants", {"id": "acme"}).status == 201
    send(server, event())

    def by_key(key):
        return {"Authorization": f"Bearer {key['key']}"}

    def make():
        return ask(server, "POST", "/api/keys", {"name": "x", "scopes": ["read"]}).json()

    revoked, kept, short = make(), make(), ask(server, "POST", "/api/keys", {
        "name": "x", "scopes": ["read"], "expiresAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 4))}).json()
    officer, leaver = person(server, "ann", "compliance_officer"), person(server, "len", "compliance_officer")
    views = {name: Watching(server, headers) for name, headers in {
        "revoked": by_key(revoked), "kept": by_key(kept), "expired": by_key(short),
        "signed out": {"Cookie": f"{COOKIE}={officer.cookie}"}, "disabled": {"Cookie": f"{COOKIE}={leaver.cookie}"}}.items()}
    assert all(view.answer.status == 200 for view in views.values()), {name: view.answer.status for name, view in views.items()}
    account = next(each["id"] for each in ask(server, "GET", "/api/accounts").json()["accounts"] if each["loginName"] == "len")
    assert ask(server, "DELETE", f"/api/keys/{revoked['id']}").status == 204
    assert officer.ask("DELETE", "/api/session").status == 204
    assert ask(server, "POST", f"/api/accounts/{account}/disable").status == 200
    for name in ("revoked", "signed out", "disabled", "expired"):
        assert views[name].ended(), name
    secret = send(server, event(targetId="after"))[0]
    line = b""
    while secret.encode() not in line:
        line = views["kept"].answer.readline()
        assert line, "the view that may go on was ended"
    # Another policy, another decision: whoever watches asks again.
    policy = ask(server, "GET", "/api/access/policy").json()
    assert ask(server, "PUT", "/api/access/policy", {"version": policy["version"], "policy": policy["policy"]}).status == 200
    assert views["kept"].ended()
    told = facts(server, 5, kind="data.access", action="WATCHED")
    assert len(told) == 5, told


def test_one_caller_leaves_room_for_others(context):
    server = context.server()
    greedy, other = (ask(server, "POST", "/api/keys", {"name": "x", "scopes": ["read"]}).json()["key"] for _ in range(2))
    views = [Watching(server, {"Authorization": f"Bearer {greedy}"}) for _ in range(33)]
    assert [view.answer.status for view in views] == [200] * 32 + [503], [view.answer.status for view in views]
    one = Watching(server, {"Authorization": f"Bearer {other}"})
    assert one.answer.status == 200
    for view in (*views, one):
        view.connection.close()


def test_what_nobody_known_sends_is_small(context):
    server = context.server()
    for path in ("/healthz", "/metrics", "/tlog/default/audit/checkpoint", "/", "/openapi.json", "/api/sign-in/providers"):
        for head in ("Content-Length: 16777215\r\n", "Transfer-Encoding: chunked\r\n"):
            answer = raw(server, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n")
            assert answer.split(b"\r\n")[0].split()[1] in (b"411", b"413"), (path, head, answer[:200])
    assert server.request("GET", "/healthz", b"x" * 1000, key=None).status == 200


def test_nobody_is_their_own_second_person_by_keys(context):
    server = context.server()
    sent = send(server, event(kind="communication.call", targetType="CALL", targetId="c", subject="p-1",
                              detail={"call_purpose": "x", "recording_reference": "the recording"}))[0]
    first = ask(server, "POST", "/api/keys", {"name": "first", "scopes": ["read", "admin"]}).json()["key"]
    reason = {"X-Vestige-Reason": "a test"}
    fields = {"fields": ["detail.recording_reference"]}
    waiting = ask(server, "POST", f"/api/events/{sent}/disclose", fields, key=first, headers=reason)
    assert waiting.status == 202, waiting
    approval = waiting.json()["approval"]["id"]
    second = ask(server, "POST", "/api/keys", {"name": "second", "role": "legal"}, key=first).json()["key"]
    refused = ask(server, "POST", f"/api/approvals/{approval}/decide", {"decision": "approve"}, key=second)
    assert refused.status in (403, 404), refused
    assert ask(server, "POST", f"/api/events/{sent}/disclose", fields, key=first, headers={**reason, "X-Vestige-Approval": approval}).status == 403
    # And nobody changes their own roles, whatever they hold in their hand.
    boss = person(server, "boss", "administrator")
    own = boss.ask("GET", "/api/session").json()["account"]
    key = boss.ask("POST", "/api/keys", {"name": "mine", "role": "administrator"}).json()["key"]
    for asker in (lambda *what: boss.ask(*what), lambda *what: ask(server, *what, key=key)):
        assert asker("PUT", f"/api/accounts/{own}/roles", {"roles": ["administrator", "legal"]}).status == 403
    assert ask(server, "POST", "/api/accounts", {"loginName": "x", "displayName": "X", "roles": ["administrator"]}, key=first).status == 403


def test_the_record_of_a_look_says_at_whom(context):
    server = context.server()
    send(server, about("p-1", 1), about("p-2", 2), *[about(f"q-{number}", 10 + number) for number in range(30)])
    officer = person(server, "ann", "compliance_officer")
    reason = {"X-Vestige-Reason": "why it was done"}
    # Another name in the header than in the path is no way to look at somebody unseen.
    assert officer.ask("GET", "/api/subjects/p-2/timeline", headers={**reason, "X-Vestige-Subject": "p-1"}).status == 400
    assert officer.ask("POST", SEARCH, {"targetId": "call-2"}, headers={**reason, "X-Vestige-Subject": "p-1"}).status == 200
    # What counts give out is on record as what entries give out.
    assert officer.ask("POST", SEARCH, {"limit": 1, "facets": [{"field": "subject", "top": 1000}]}, headers=reason).status == 200
    told = [each for each in facts(server, 1, kind="data.access", action="SEARCHED") if each["sourceEntityMeta"]["name"] == "Ann"]
    assert told[-1]["detail"]["count"] >= 32 and len(told[-1]["detail"]["subjects"]) == 32, told[-1]
    assert told[-1]["detail"]["counted"] == {"facets": ["subject"]}, told[-1]
    ref = ask(server, "GET", "/api/subjects/p-2/keys").json()["ref"]
    assert told[-2]["detail"]["subjects"] == [ref], told[-2]
    assert [each["targetType"] for each in facts(server, 1, filter={"field": "detail.operation", "equals": "getPersonKeys"})] == ["SUBJECT"]
    # A customer's own looks are theirs: sealed, and gone with them.
    mine = customer(server, "p-1")
    assert mine.ask("POST", SEARCH, {}).status == 200 and mine.ask("GET", "/api/session").status == 200
    seen = ask(server, "POST", "/api/access/search", {"limit": 1000, "filter": {"field": "sourceType", "equals": "CUSTOMER"}}).json()["events"]
    assert seen and any("p-1" in json.dumps(each) for each in seen), seen
    assert ask(server, "POST", "/api/subjects/erase", {"subject": "p-1"}).status == 200
    left = ask(server, "POST", "/api/access/search", {"limit": 1000}).json()["events"]
    assert not any('"p-1"' in json.dumps(each) for each in left), [each for each in left if '"p-1"' in json.dumps(each)]
    # What was refused is on record too, where it is no look.
    assert officer.ask("POST", "/api/keys", {"name": "x", "scopes": ["read"]}).status == 403
    refused = facts(server, 1, kind="access.security", filter={"field": "detail.event_type", "equals": "refused_act"})
    assert refused and refused[-1]["detail"]["details"] == "createKey", refused


def test_a_live_view_is_no_way_around_the_yes_for_exports(context):
    server = context.server()
    policy = ask(server, "GET", "/api/access/policy").json()
    assert ask(server, "PUT", "/api/access/policy", {"version": policy["version"], "policy": {**policy["policy"], "export_entries": 10}}).status == 200
    send(server, *[about("p-1", number) for number in range(30)])
    officer = person(server, "ann", "compliance_officer")
    headers = {"Cookie": f"{COOKIE}={officer.cookie}", "X-Vestige-Reason": "a test"}
    size = server.search(limit=1)["events"][0]["index"] + 1
    for path, more, status in (("?from=0", {}, 202), (f"?from={size}", {}, 200), ("", {}, 200), ("", {"Last-Event-ID": "0"}, 202),
                               (f"?from={size - 5}", {}, 200)):
        view = Watching(server, {**headers, **more}, f"/api/events/stream{path}")
        assert view.answer.status == status, (path, more, view.answer.status)
        view.connection.close()
