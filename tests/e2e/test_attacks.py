"""Defends: what somebody who is let in, or is not, tries next. Another's cursor, another's ids, another's role, a path or a
header that is read in two ways, a secret in the wrong place: each is refused, and says nothing about what is there.

More attacks stand beside what they attack: on sign-in, sessions and accounts in test_sign_in.py (fixation, CSRF, replay, mass
assignment, names that nobody has), on ID tokens in test_oidc.py and src/access/oidc/jwt_test.cc (algorithms and keys), on
approvals in test_approvals.py (replay, another request, one's own yes), on masked values in test_access.py and
src/audit/reader_visibility_test.cc (oracles), on keys in test_api_keys.py and test_policy.py, on every cell of the matrix in
test_matrix.py."""
import re
import socket

from api_parts import DESCRIPTION, ask, event
from people import COOKIE, PASSWORD, Browser, make_account, person

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
    key = ask(server, "POST", "/api/keys", {"name": "x", "role": "auditor"}).json()["key"]
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
