"""Defends: who signs in over HTTP is who they say, and nobody else gets in on their account. A token of the client's choice
is never taken over and one that was signed out opens nothing; a request that another site began changes nothing; whatever
is wrong with a login, the words are the same; a customer sees what is about themselves and nothing else; nobody gives
a role that they may not give; and each of these acts is an entry of the stream `access`."""
import http.client
import re
import time

from api_parts import JSON_TYPE, ask, event, tls_server
from people import (COOKIE, DAYS, PASSWORD, SECURE_COOKIE, Browser, administrator_token, facts, in_seconds, make_account, person,
                    set_password, totp, with_end)

OTHER_PASSWORD = "loud herons audit rivers"
PAGES = ("/sign-in", "/welcome", "/mine")
ROLES_OF_NO_PERSON = ("service", "key", "customer")


def cookie_lines(answer):
    return answer.headers.get_all("Set-Cookie") or []


def test_the_first_administrator_comes_in_by_the_link_that_the_server_prints(context):
    server = context.server()
    first = administrator_token(server)
    server.stop()
    server.start()
    token = administrator_token(server)
    assert first and token and token != first
    path, body = "/api/sign-in/first-administrator", {"loginName": "Ada", "password": PASSWORD}
    for wrong in (first, token[:-1], token + "x", "", "vsi_" + "A" * 43):
        refused = ask(server, "POST", path, {**body, "token": wrong}, key=None)
        assert refused.status == 401 and "not valid" in refused.json()["detail"], refused
    for weak, where in (({"password": "short"}, "/password"), ({"loginName": "a b"}, "/loginName")):
        refused = ask(server, "POST", path, {**body, "token": token, **weak}, key=None)
        assert refused.status == 400 and refused.json()["path"] == where, refused
    made = ask(server, "POST", path, {**body, "token": token}, key=None)
    assert made.status == 201 and made.json()["loginName"] == "ada" and made.json()["roles"] == ["administrator"], made
    assert ask(server, "POST", path, {**body, "token": token, "loginName": "eve"}, key=None).status == 401
    ada = Browser(server).signed_in("ADA")
    assert ada.ask("GET", "/api/accounts").status == 200
    # There is one now, so that nobody is offered to become another.
    server.stop()
    server.start()
    assert administrator_token(server) == token
    assert [each["detail"]["event_type"] for each in facts(server, kind="access.security", action="CREATED")] == [
        "first_administrator_created"]


def test_the_life_of_an_account(context):
    server = context.server()
    boss = person(server, "boss", "administrator")
    made = boss.ask("POST", "/api/accounts", {"loginName": "Bea.Baker", "displayName": "Bea Baker", "email": "Bea@Example.com",
                                              "phone": "+27 82 123 4567", "roles": ["auditor"], **with_end("auditor")})
    assert made.status == 201, made
    account, invited = made.json()["account"], made.json()
    assert account["loginName"] == "bea.baker" and not account["hasPassword"] and invited["link"] == (
        f"/welcome#invitation={invited['token']}"), invited
    path = f"/api/accounts/{account['id']}"
    assert boss.ask("POST", "/api/accounts", {"loginName": "bea.baker"}).status == 409
    assert Browser(server).sign_in("bea.baker").status == 401
    set_password(server, invited["token"])
    assert ask(server, "POST", "/api/sign-in/invitation", {"token": invited["token"], "password": OTHER_PASSWORD},
               key=None).status == 401
    bea = Browser(server).signed_in("bea.baker")
    own = bea.ask("GET", "/api/session").json()
    assert (own["name"], own["roles"], own["method"], own["restricted"], own["account"]) == (
        "Bea Baker", ["auditor"], "password", False, account["id"]), own
    assert bea.ask("GET", "/api/access/matrix").status == 200
    assert bea.ask("GET", "/api/accounts").status == 403
    assert [each["loginName"] for each in boss.ask("GET", "/api/accounts").json()["accounts"]] == ["bea.baker", "boss"]
    page = boss.ask("GET", "/api/accounts?limit=1").json()
    assert page["after"] == "bea.baker"
    assert [each["loginName"] for each in boss.ask("GET", "/api/accounts?limit=1&after=bea.baker").json()["accounts"]] == ["boss"]
    # Roles: what was granted before ends with the session.
    changed = boss.ask("PUT", f"{path}/roles", {"roles": ["operator"]})
    assert changed.status == 200 and changed.json()["roles"] == ["operator"], changed
    assert bea.ask("GET", "/api/session").status == 401
    bea = Browser(server).signed_in("bea.baker")
    # Disabled and enabled.
    assert boss.ask("POST", f"{path}/disable").json()["state"] == "disabled"
    assert bea.ask("GET", "/api/session").status == 401 and Browser(server).sign_in("bea.baker").status == 401
    assert boss.ask("POST", f"{path}/enable").json()["state"] == "active"
    # A link for another password; the one of before is good until then.
    reset = boss.ask("POST", f"{path}/reset-password")
    assert reset.status == 201, reset
    bea = Browser(server).signed_in("bea.baker")
    set_password(server, reset.json()["token"], OTHER_PASSWORD)
    assert bea.ask("GET", "/api/session").status == 401
    assert Browser(server).sign_in("bea.baker").status == 401
    bea = Browser(server).signed_in("bea.baker", OTHER_PASSWORD)
    # Ending sessions.
    assert boss.ask("DELETE", f"{path}/sessions").json() == {"ended": 1}
    assert bea.ask("GET", "/api/session").status == 401
    assert boss.ask("POST", f"{path}/unlock").status == 200
    for wrong in (f"/api/accounts/{own['id']}", "/api/accounts/x"):
        assert boss.ask("GET", wrong).status == 404, wrong
        assert boss.ask("POST", f"{wrong}/disable").status == 404, wrong
    # The last administrator stays.
    mine = boss.ask("GET", "/api/session").json()["account"]
    assert boss.ask("POST", f"/api/accounts/{mine}/disable").status == 409
    assert boss.ask("GET", "/api/session").status == 200
    types = [each["detail"].get("event_type") for each in facts(server, 8, kind="access.security", targetId=account["id"])]
    assert types == ["account_created", "failed_login", "password_changed", "roles_changed", "account_disabled", "failed_login",
                     "account_enabled", "password_reset_offered", "password_changed", "failed_login", "account_unlocked"], types


def test_an_auditors_account_ends_while_they_are_signed_in(context):
    server = context.server()
    boss = person(server, "boss", "administrator")
    account = make_account(server, "ada", "auditor")
    ada = Browser(server).signed_in("ada")
    path, end = f"/api/accounts/{account['id']}", in_seconds(4)
    changed = boss.ask("PUT", f"{path}/end", {"expiresAt": end})
    assert changed.status == 200 and (changed.json()["expiresAt"], changed.json()["state"]) == (end, "active"), changed
    late = Browser(server).signed_in("ada")
    for browser in (ada, late):
        assert browser.ask("GET", "/api/session").json()["expiresAt"] == end
    deadline = time.monotonic() + 30
    while ada.ask("POST", "/auditlog/events/v2", {"limit": 1}).status == 200:
        assert time.monotonic() < deadline, "the session did not end with the account"
        time.sleep(0.05)
    assert in_seconds(0) >= end
    for browser in (ada, late):
        assert browser.ask("GET", "/api/session").status == 401
    # The very words of a wrong password.
    answers = {Browser(server).sign_in("ada", password).body for password in (PASSWORD, "a password of nobody")}
    assert len(answers) == 1 and Browser(server).sign_in("ada").status == 401, answers
    assert boss.ask("GET", path).json()["state"] == "ended"
    assert boss.ask("POST", f"{path}/reset-password").status == 409
    # A clean stop sweeps as the server does each minute; what is told then is told once.
    for stop in (server.stop, server.kill, server.stop):
        stop()
        server.start()
        told = facts(server, kind="access.security", action="ENDED")
        assert [(each["targetId"], each["detail"]["event_type"]) for each in told] == [(account["id"], "account_ended")], told
    out = facts(server, 2, kind="access.session", action="LOGGED_OUT")
    assert [each["detail"]["logout_timestamp"] for each in out] == [end, end], out
    assert sorted(each["detail"]["details"] for each in facts(server, kind="access.security", action="FAILED")) == [
        "ended", "ended", "wrong_password"]
    # Until an administrator, and nobody for themselves, gives another end.
    assert Browser(server).sign_in("ada").status == 401
    assert boss.ask("PUT", f"{path}/end", {"expiresAt": in_seconds(30 * DAYS)}).json()["state"] == "active"
    assert ada.ask("GET", "/api/session").status == 401
    Browser(server).signed_in("ada")
    mine = boss.ask("GET", "/api/session").json()["account"]
    refused = boss.ask("PUT", f"/api/accounts/{mine}/end", {"expiresAt": in_seconds(30 * DAYS)})
    assert refused.status == 403 and "their own" in refused.json()["detail"], refused
    last = ask(server, "PUT", f"/api/accounts/{mine}/end", {"expiresAt": in_seconds(30 * DAYS)})
    assert last.status == 409, last


def test_a_second_factor_and_recovery_codes(context):
    server = context.server()
    make_account(server, "ada", "auditor")
    ada, elsewhere = Browser(server).signed_in("ada"), Browser(server).signed_in("ada")
    assert ada.ask("POST", "/api/account/second-factor", {"password": "wrong"}).status == 403
    offer = ada.ask("POST", "/api/account/second-factor", {"password": PASSWORD}).json()
    assert offer["uri"].startswith("otpauth://totp/") and offer["secret"] in offer["uri"], offer
    # It counts for nothing before it is confirmed.
    assert Browser(server).sign_in("ada").status == 200
    assert ada.ask("POST", "/api/account/second-factor/confirm", {"code": "000000"}).status == 400
    before, code = ada.cookie, totp(offer["secret"])
    confirmed = ada.ask("POST", "/api/account/second-factor/confirm", {"code": code})
    assert confirmed.status == 200 and len(confirmed.json()["recoveryCodes"]) == 10, confirmed
    assert ada.cookie != before and elsewhere.ask("GET", "/api/session").status == 401
    assert ada.ask("GET", "/api/session").status == 200
    needed = Browser(server).sign_in("ada")
    assert needed.status == 202 and not cookie_lines(needed), needed
    # A code is good once, whoever sends it.
    assert Browser(server).sign_in("ada", code=code).status == 401
    assert Browser(server).sign_in("ada", "wrong but long enough", code=code).status == 401
    recovery = confirmed.json()["recoveryCodes"][0]
    back = Browser(server).signed_in("ada", code=recovery)
    assert back.ask("GET", "/api/session").json()["method"] == "mfa"
    assert Browser(server).sign_in("ada", code=recovery).status == 401
    renewed = back.ask("POST", "/api/account/recovery-codes", {"password": PASSWORD, "code": confirmed.json()["recoveryCodes"][1]})
    assert renewed.status == 200 and len(renewed.json()["recoveryCodes"]) == 10, renewed
    assert Browser(server).sign_in("ada", code=confirmed.json()["recoveryCodes"][2]).status == 401
    Browser(server).signed_in("ada", code=renewed.json()["recoveryCodes"][2])
    # Somebody who lost it is let in by an administrator, who does not learn it.
    account = ask(server, "GET", "/api/accounts").json()["accounts"][0]
    assert account["hasSecondFactor"] and offer["secret"] not in str(account)
    assert ask(server, "POST", f"/api/accounts/{account['id']}/remove-second-factor").status == 200
    Browser(server).signed_in("ada")


def test_changing_the_password_and_having_to(context):
    server = context.server()
    account = make_account(server, "ada", "auditor")
    ada, elsewhere = Browser(server).signed_in("ada"), Browser(server).signed_in("ada")
    for body, status in (({"password": "wrong but long enough", "newPassword": OTHER_PASSWORD}, 403),
                         ({"password": PASSWORD, "newPassword": "short"}, 400), ({"newPassword": OTHER_PASSWORD}, 400)):
        assert ada.ask("POST", "/api/account/password", body).status == status, body
    before = ada.cookie
    assert ada.ask("POST", "/api/account/password", {"password": PASSWORD, "newPassword": OTHER_PASSWORD}).status == 200
    assert ada.cookie != before and ada.ask("GET", "/api/session").status == 200
    assert elsewhere.ask("GET", "/api/session").status == 401
    stale = Browser(server)
    stale.cookie = before
    assert stale.ask("GET", "/api/session").status == 401
    # One that has to be changed opens nothing else.
    assert ask(server, "POST", f"/api/accounts/{account['id']}/require-password-change").status == 200
    assert ada.ask("GET", "/api/session").status == 401
    ada = Browser(server).signed_in("ada", OTHER_PASSWORD)
    assert ada.ask("GET", "/api/session").json()["restricted"] is True
    for method, path, body in (("GET", "/api/access/matrix", None), ("POST", "/auditlog/events/v2", {}), ("GET", "/api/sessions", None),
                               ("POST", "/api/account/second-factor", {"password": OTHER_PASSWORD}),
                               ("POST", "/api/account/recovery-codes", {"password": OTHER_PASSWORD})):
        assert ada.ask(method, path, body).status == 403, path
    assert ada.ask("POST", "/api/account/password", {"password": OTHER_PASSWORD, "newPassword": PASSWORD}).status == 200
    assert ada.ask("GET", "/api/access/matrix").status == 200


def test_cookies_and_tokens(context):
    server = context.server()
    make_account(server, "ada", "auditor")
    # A token of the client's choice is never taken over, in whatever form it comes.
    planted = "vss_" + "A" * 43
    for form in (f"{COOKIE}={planted}", f"{COOKIE}={planted}; {COOKIE}={planted}", f"{SECURE_COOKIE}={planted}", f"{COOKIE}="):
        browser = Browser(server)
        answer = browser.sign_in("ada", headers={"Cookie": form})
        assert answer.status == 200 and browser.cookie != planted, form
        (line,) = cookie_lines(answer)
        assert re.fullmatch(rf"{COOKIE}=vss_[\w-]{{43}}; Path=/; HttpOnly; SameSite=Strict", line), line
        assert browser.cookie not in answer.body.decode(), "the token stands in the body, where scripts can read it"
    # Signing in again ends what the browser had.
    first = browser.cookie
    browser.signed_in("ada")
    assert browser.cookie != first
    old = Browser(server)
    old.cookie = first
    assert old.ask("GET", "/api/session").status == 401
    # Two of a name: nobody can say which is whose.
    mine = f"{COOKIE}={browser.cookie}"
    assert browser.ask("GET", "/api/session", headers={"Cookie": f"{COOKIE}={planted}; {mine}"}).status == 401
    assert browser.ask("GET", "/api/session", headers={"Cookie": f"theme=dark; {mine}; a=b"}).status == 200
    # A token is worth nothing as a key, in the path, or with an Authorization that is wrong.
    for head in ({"Authorization": f"Bearer {browser.cookie}", "Cookie": ""}, {"Authorization": "Bearer x", "Cookie": mine},
                 {"X-Vestige-Session": browser.cookie, "Cookie": ""}):
        assert ask(server, "GET", "/api/session", key=None, headers=head).status == 401, head
    assert ask(server, "GET", f"/api/session?{COOKIE}={browser.cookie}", key=None).status == 401
    assert ask(server, "GET", "/api/session").status == 403  # a key is no person
    # What was signed out opens nothing, after a kill either.
    used, csrf = browser.cookie, browser.csrf
    out = browser.ask("DELETE", "/api/session")
    assert out.status == 204 and "Max-Age=0" in cookie_lines(out)[0], out
    replayed = Browser(server)
    for _ in range(2):
        replayed.cookie, replayed.csrf = used, csrf
        assert replayed.ask("GET", "/api/session").status == 401
        assert replayed.ask("DELETE", "/api/session").status == 401
        server.kill()
        server.start()


def test_paths_and_headers_that_pretend(context):
    server = context.server()
    make_account(server, "ada", "auditor")
    ada = Browser(server).signed_in("ada")
    head = {"Cookie": f"{COOKIE}={ada.cookie}", "X-Vestige-CSRF": ada.csrf}
    # Beside the open paths of signing in nothing is open.
    for path in ("/api/sign-in/../session", "/api/sign-in/%2e%2e/session", "/api/sign-in/..%2fsession", "//api/session", "/api//session",
                 "/api/sign-in%2f..%2faccounts", "/api/sign-in/accounts", "/sign-in/../api/session", "/api/sign-in;/../accounts",
                 "/API/session", "/api/session/", "/api/session%00", "/mine/../api/accounts"):
        for method in ("GET", "POST", "DELETE"):
            answer = server.request(method, path, key=None)
            assert answer.status in (400, 401, 403, 404, 405, 411, 415), (method, path, answer)
    # Nor does a header make one request another, or one person somebody else.
    for name, value in (("X-HTTP-Method-Override", "DELETE"), ("X-Original-URL", "/api/accounts"), ("X-Rewrite-URL", "/api/accounts"),
                        ("X-Vestige-Tenant", "other"), ("X-Forwarded-User", "admin"), ("X-Vestige-Subject", "p-1")):
        answer = ask(server, "GET", "/api/session", key=None, headers={**head, name: value})
        assert answer.status == 200 and answer.json()["name"] == "Ada", (name, answer)
    for role in ("administrator", "service", "key", "compliance_officer"):
        assert ask(server, "GET", "/api/access/matrix", key=None, headers={**head, "X-Vestige-Role": role}).status == 403, role
    assert ask(server, "GET", "/api/access/matrix", key=None, headers={**head, "X-Vestige-Role": "auditor"}).status == 200


def test_a_session_outlives_a_restart_and_ends_where_its_owner_says(context):
    server = context.server()
    make_account(server, "ada", "auditor")
    make_account(server, "bea", "auditor")
    ada, phone, bea = Browser(server, "desk").signed_in("ada"), Browser(server, "phone").signed_in("ada"), Browser(server).signed_in("bea")
    server.kill()
    server.start()
    listed = ada.ask("GET", "/api/sessions").json()["sessions"]
    assert [(each["userAgent"], each["current"], each["ip"]) for each in listed] == [
        ("phone", False, "127.0.0.1"), ("desk", True, "127.0.0.1")], listed
    assert all(cookie.cookie not in str(listed) for cookie in (ada, phone))
    (theirs,) = bea.ask("GET", "/api/sessions").json()["sessions"]
    for wrong in (theirs["id"], "x", listed[0]["account"]):
        assert ada.ask("DELETE", f"/api/sessions/{wrong}").status == 404, wrong
    assert bea.ask("GET", "/api/session").status == 200
    assert ada.ask("DELETE", f"/api/sessions/{listed[0]['id']}").status == 204
    assert phone.ask("GET", "/api/session").status == 401 and ada.ask("GET", "/api/session").status == 200


def test_what_another_site_begins_changes_nothing(context):
    server = context.server()
    make_account(server, "ada", "administrator")
    ada = Browser(server).signed_in("ada")
    body = {"loginName": "eve", "roles": ["administrator"]}
    good = ada.csrf
    other = Browser(server).signed_in("ada").csrf
    for csrf in (False, "x", other, good[:-1], good.upper()):
        for method, path, sent in (("POST", "/api/accounts", body), ("DELETE", "/api/session", None),
                                   ("POST", "/api/keys", {"name": "x", "scopes": ["read"]}),
                                   ("POST", "/api/account/password", {"password": PASSWORD, "newPassword": OTHER_PASSWORD}),
                                   ("POST", "/auditlog/events/v2", {})):
            refused = ada.ask(method, path, sent, csrf=csrf)
            assert refused.status == 403 and "X-Vestige-CSRF" in refused.json()["detail"], (csrf, path, refused)
    assert len(ada.ask("GET", "/api/accounts").json()["accounts"]) == 1
    assert ada.ask("POST", "/api/accounts", body).status == 201
    # Signing in: neither by a form, nor from a page of elsewhere.
    login = {"loginName": "ada", "password": PASSWORD}
    for path in ("/api/sign-in", "/api/sign-in/link", "/api/sign-in/invitation", "/api/sign-in/first-administrator"):
        for head in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
                     {"Sec-Fetch-Site": "same-site"}, {"Origin": server.url + ".evil.example"}):
            refused = ask(server, "POST", path, login, key=None, headers=head)
            assert refused.status == 403 and "another site" in refused.json()["detail"], (path, head, refused)
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
            refused = ask(server, "POST", path, b'{"token":"x"}', key=None, headers={"Content-Type": kind})
            assert refused.status == 415 and not cookie_lines(refused), (path, kind, refused)
    for head in ({"Origin": server.url}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}):
        assert ask(server, "POST", "/api/sign-in", login, key=None, headers=head).status == 200, head


def test_whatever_is_wrong_the_words_are_the_same(context):
    server = context.server()
    make_account(server, "ada", "auditor")
    gone = make_account(server, "gone", "auditor")
    ask(server, "POST", f"/api/accounts/{gone['id']}/disable")
    ask(server, "POST", "/api/accounts", {"loginName": "new"})
    wrong = "a password of nobody"
    answers = {Browser(server).sign_in(name, password).body for name, password in (
        ("ada", wrong), ("nobody", wrong), ("nobody", PASSWORD), ("gone", PASSWORD), ("gone", wrong), ("new", wrong),
        ("a b c", wrong), ("", wrong), ("x" * 300, wrong))}
    assert len(answers) == 1, answers
    told = facts(server, 9, kind="access.security", action="FAILED")
    assert sorted(each["detail"]["details"] for each in told) == sorted(
        ["wrong_password", "unknown_name", "unknown_name", "disabled", "wrong_password", "wrong_password",
         "unknown_name", "unknown_name", "unknown_name"]), told
    text = str(told)
    assert wrong not in text and "nobody" not in text and PASSWORD not in text, text


def test_too_many_failures_lock_and_are_forgotten_by_an_administrator(context):
    server = context.server()
    account = make_account(server, "ada", "auditor")
    # Where somebody says that they come from is not where they come from.
    refusals = [Browser(server).sign_in("ada", "a password of nobody", headers={
        "X-Forwarded-For": f"203.0.113.{number}", "X-Real-IP": f"203.0.113.{number}", "Forwarded": f"for=203.0.113.{number}"})
                for number in range(5)]
    locked = Browser(server).sign_in("ada")
    assert locked.status == 401 and {each.body for each in refusals} == {locked.body}, locked
    (fact,) = facts(server, kind="access.security", action="LOCKED")
    assert fact["targetId"] == account["id"] and "Locked" in fact["detail"]["response"], fact
    assert ask(server, "POST", f"/api/accounts/{account['id']}/unlock").status == 200
    Browser(server).signed_in("ada")
    # The network as a whole, after more of them, is told so.
    for number in range(16):
        answer = Browser(server).sign_in(f"nobody{number}")
    for _ in range(2):
        answer = Browser(server).sign_in("ada")
    assert answer.status == 503 and int(answer.headers["Retry-After"]) > 0, answer


def test_bodies_are_strict_and_small(context):
    server = context.server()
    made = make_account(server, "ada", "auditor")
    boss = person(server, "boss", "administrator")
    own, path = boss.ask("GET", "/api/session").json()["account"], f"/api/accounts/{made['id']}"
    asks = (("POST", "/api/sign-in", {"loginName": "ada", "password": PASSWORD}),
            ("POST", "/api/sign-in/link", {"token": "x"}), ("POST", "/api/sign-in/invitation", {"token": "x", "password": PASSWORD}),
            ("POST", "/api/accounts", {"loginName": "x"}), ("PUT", f"{path}/roles", {"roles": []}),
            ("POST", "/api/account/password", {"password": PASSWORD, "newPassword": OTHER_PASSWORD}))
    for method, where, body in asks:
        # Which tenant, only somebody says who is not known yet.
        unknown = () if where.startswith("/api/sign-in") else (("tenant", "other"),)
        for name, value in (*unknown, ("id", own), ("roles2", ["service"]), ("state", "active"), ("restricted", False),
                            ("a/b", 1), ("__proto__", {})):
            refused = boss.ask(method, where, {**body, name: value})
            assert refused.status == 400 and refused.json()["path"] == "/" + name.replace("/", "~1"), (where, name, refused)
        for wrong in ([], "x", None, {name: 1 for name in body}, {name: None for name in body}, {}):
            assert boss.ask(method, where, wrong if wrong is not None else b"null", headers=JSON_TYPE).status == 400, (where, wrong)
        for wrong in (b"", b"{", b'{"token":"x","token":"y"}', b"\xff", b"[" * 100):
            assert boss.ask(method, where, wrong, headers=JSON_TYPE).status == 400, (where, wrong)
        assert boss.ask(method, where, {**body, "token": "x" * (16 << 10)}).status == 413, where
    login = b'{"loginName":"ada","password":"x"}'
    packed = ask(server, "POST", "/api/sign-in", login, key=None, headers={**JSON_TYPE, "Content-Encoding": "gzip"})
    assert packed.status == 415, packed
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("POST", "/api/sign-in", iter([login]), JSON_TYPE, encode_chunked=True)
    assert connection.getresponse().status == 411
    connection.close()
    assert ask(server, "GET", path).json() == {**made, "hasPassword": True}


def test_nobody_gives_more_than_the_policy_says(context):
    server = context.server()
    boss = person(server, "boss", "administrator")
    mine = boss.ask("GET", "/api/session").json()["account"]
    for role in ROLES_OF_NO_PERSON:
        for refused in (boss.ask("POST", "/api/accounts", {"loginName": f"with-{role}".replace("_", "-"), "roles": ["auditor", role]}),
                        ask(server, "POST", "/api/accounts", {"loginName": "x", "roles": ["auditor", role]})):
            assert refused.status == 400 and refused.json()["path"] == "/roles/1", (role, refused)
    assert boss.ask("POST", "/api/accounts", {"loginName": "x", "roles": ["nobody"]}).status == 400
    for roles in (["administrator", "compliance_officer"], [], ["compliance_officer"]):
        refused = boss.ask("PUT", f"/api/accounts/{mine}/roles", {"roles": roles})
        assert refused.status == 403 and "their own" in refused.json()["detail"], refused
    for wanted in ({"name": "x", "scopes": ["ingest", "read", "admin"]}, {"name": "x", "role": "service"}):
        assert boss.ask("POST", "/api/keys", wanted).status == 403, wanted
    other = make_account(server, "other")
    for role in ("auditor", "customer_service", "operator", "management", "forms_administrator", "legal", "compliance_officer"):
        someone = person(server, role.replace("_", "."), role)
        for method, path, body in (("POST", "/api/accounts", {"loginName": "x"}), ("GET", "/api/accounts", None),
                                   ("PUT", f"/api/accounts/{other['id']}/roles", {"roles": [role]}),
                                   ("PUT", f"/api/accounts/{other['id']}/end", {"expiresAt": None}),
                                   ("POST", f"/api/accounts/{other['id']}/reset-password", None),
                                   ("DELETE", f"/api/accounts/{other['id']}/sessions", None),
                                   ("POST", "/api/customer-links", {"subject": "p-1", "validSeconds": 60})):
            assert someone.ask(method, path, body).status == 403, (role, path)
    assert boss.ask("POST", "/api/customer-links", {"subject": "p-1", "validSeconds": 60}).status == 403
    assert boss.ask("POST", "/auditlog/events/v2", {}).status == 403
    assert boss.ask("GET", f"/api/accounts/{mine}").json()["roles"] == ["administrator"]


def call(subject, number):
    return event(kind="communication.call", targetType="CALL", targetId=f"call-{number}", subject=subject,
                 detail={"call_purpose": "support", "call_summary": f"asked about invoice{number}", "customer_phone": "+27820000001"})


def link_for(server, subject, **wanted):
    made = ask(server, "POST", "/api/customer-links", {"subject": subject, "validSeconds": 600, **wanted})
    assert made.status == 201, made
    return made.json()


def test_a_customer_sees_what_is_about_them_and_nothing_else(context):
    server = context.server()
    sent = ask(server, "POST", "/api/events", [call("p-1", 1), call("p-2", 2), event(targetType="ACCOUNT", targetId="A-1")]).json()
    ids = [each["id"] for each in sent["events"]]
    link = link_for(server, "p-1")
    assert link["link"] == f"/mine#{link['token']}" and "p-1" not in link["token"], link
    # Whoever only looks at the link does not use it up.
    for _ in range(3):
        assert ask(server, "GET", "/mine", key=None).status == 200
    customer = Browser(server)
    answer = customer.ask("POST", "/api/sign-in/link", {"token": link["token"]})
    assert answer.status == 200, answer
    own = answer.json()
    assert (own["kind"], own["subject"], own["roles"], own["method"]) == ("customer", "p-1", ["customer"], "link"), own
    found = customer.ask("POST", "/auditlog/events/v2", {"total": True}).json()
    assert [each["id"] for each in found["events"]] == [ids[0]] and found["total"] == 1, found
    assert found["events"][0]["detail"]["call_summary"] == "asked about invoice1", found
    assert customer.ask("GET", f"/api/events/{ids[0]}").status == 200
    assert customer.ask("GET", "/api/subjects/p-1/timeline").status == 200
    for body in ({"subject": "p-2"}, {"targetId": "call-2"}, {"text": "invoice2"}, {"targetType": ["ACCOUNT"]},
                 {"query": "invoice2"}, {"filter": {"not": {"field": "targetId", "equals": "call-1"}}}):
        found = customer.ask("POST", "/auditlog/events/v2", {**body, "total": True})
        assert found.status in (200, 403), (body, found)
        if found.status == 200:
            assert (found.json()["events"], found.json()["total"]) == ([], 0), (body, found)
    for head in ({"X-Vestige-Subject": "p-2"}, {"X-Vestige-Subject": "p-2", "X-Vestige-Reason": "curious"}):
        found = customer.ask("POST", "/auditlog/events/v2", {}, headers=head).json()["events"]
        assert [each["id"] for each in found] == [ids[0]], (head, found)
    for head in ({"X-Vestige-Role": "service"}, {"X-Vestige-Role": "compliance_officer"}):
        assert customer.ask("POST", "/auditlog/events/v2", {}, headers=head).status == 403, head
    answers = set()
    for each in (ids[1], ids[2], "01930000-0000-7000-8000-000000000001"):
        other = customer.ask("GET", f"/api/events/{each}")
        answers.add((other.status, other.body.decode().replace(each, "ID")))
    assert len(answers) == 1 and answers.pop()[0] == 404, answers
    assert b"invoice2" not in customer.ask("GET", "/api/subjects/p-2/timeline").body
    assert customer.ask("GET", "/api/records/call/call-2").status == 404
    for method, path, body in (("POST", "/api/access/search", {}), ("GET", "/api/accounts", None), ("GET", "/api/keys", None),
                               ("POST", "/api/export", {}), ("POST", "/api/customer-links", {"subject": "p-2", "validSeconds": 60}),
                               ("POST", "/api/account/password", {"password": PASSWORD, "newPassword": OTHER_PASSWORD}),
                               ("POST", "/api/events", [event()])):
        assert customer.ask(method, path, body).status == 403, path
    # Good once; where it was said, again and again.
    for wrong in (link["token"], link["token"][:-2] + "AA", "vsl_", "", "x" * 5000):
        refused = Browser(server).ask("POST", "/api/sign-in/link", {"token": wrong})
        assert refused.status == 401 and "not valid" in refused.json()["detail"], refused
    again = link_for(server, "p-1", reusable=True)
    for _ in range(2):
        assert Browser(server).ask("POST", "/api/sign-in/link", {"token": again["token"]}).status == 200
    assert len(customer.ask("GET", "/api/sessions").json()["sessions"]) == 3
    for wanted, where in (({"validSeconds": 0}, "/validSeconds"), ({"validSeconds": 3 * 10**6}, "/validSeconds"), ({"subject": ""}, "/subject"),
                          ({"validSeconds": 86400, "reusable": True}, "/validSeconds"), ({"validSeconds": 1.5}, "/validSeconds"),
                          ({"reusable": "yes"}, "/reusable")):
        refused = ask(server, "POST", "/api/customer-links", {"subject": "p-1", "validSeconds": 60, **wanted})
        assert refused.status == 400 and refused.json()["path"] == where, (wanted, refused)


def test_every_act_is_on_record(context):
    server = context.server()
    account = make_account(server, "ada", "auditor")
    ada = Browser(server, "the desk").signed_in("ada")
    session = ada.ask("GET", "/api/session").json()["id"]
    ada.ask("DELETE", "/api/session")
    Browser(server).sign_in("ada", "a password of nobody")
    ask(server, "PUT", f"/api/accounts/{account['id']}/roles", {"roles": ["operator"]})
    customer = Browser(server)
    customer.ask("POST", "/api/sign-in/link", {"token": link_for(server, "p-1")["token"]})
    sessions = facts(server, 3, kind="access.session")
    assert [(each["action"], each["detail"].get("login_method")) for each in sessions] == [
        ("LOGGED_IN", "password"), ("LOGGED_OUT", None), ("LOGGED_IN", "link")], sessions
    assert [each["targetId"] for each in sessions[:2]] == [session, session]
    assert sessions[0]["sourceId"] == account["id"] and sessions[0]["context"]["userAgent"] == "the desk", sessions[0]
    assert sessions[2]["subject"] == "p-1", sessions[2]
    security = facts(server, 5, kind="access.security")
    assert [(each["action"], each["detail"]["event_type"]) for each in security] == [
        ("CREATED", "account_created"), ("UPDATED", "password_changed"), ("FAILED", "failed_login"), ("UPDATED", "roles_changed"),
        ("CREATED", "customer_link_made")], security
    changes = {each["field"]: (each.get("old"), each["new"]) for each in security[3]["changes"]}
    assert changes == {"roles": ("auditor", "operator")}, security[3]
    # No secret is in what the server keeps or says.
    server.stop()
    for file in sorted(server.data.rglob("*")):
        if file.is_file():
            data = file.read_bytes()
            assert PASSWORD.encode() not in data and (ada.cookie or "vss_").encode() not in data, file
    assert PASSWORD not in server.log.read_text()


def test_pages_have_no_script_of_their_own_and_say_nothing_of_anybody(context):
    server = context.server()
    for path in PAGES:
        page = ask(server, "GET", path, key=None)
        text = page.body.decode()
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "frame-ancestors 'none'" in policy, policy
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|javascript:", text), path
        for source in re.findall(r'(?:src|href)="(/[^"#]+)"', text):
            found = server.request("GET", source, key=None)
            assert found.status == 200 and found.body, (path, source)
        for field in re.findall(r'<input id="([\w-]+)"', text):
            assert f'<label for="{field}"' in text, (path, field)
        script = server.request("GET", f"{path}.js", key=None).body.decode()
        for name in set(re.findall(r'(?:byId|show|say|onSubmit)\("([\w-]+)"', script)):
            assert f'id="{name}"' in text, (path, name)
        assert "innerHTML" not in script and "localStorage" not in script, path


def test_over_tls_the_cookie_is_bound_to_the_host(context):
    server, _, _, request = tls_server(context)
    token = administrator_token(server)
    made = request("POST", "/api/sign-in/first-administrator", f'{{"token":"{token}","loginName":"ada","password":"{PASSWORD}"}}')
    assert made.status == 201, made
    answer = request("POST", "/api/sign-in", f'{{"loginName":"ada","password":"{PASSWORD}"}}')
    (line,) = cookie_lines(answer)
    assert re.fullmatch(rf"{SECURE_COOKIE}=vss_[\w-]{{43}}; Path=/; HttpOnly; SameSite=Strict; Secure", line), line
    value = line.partition(";")[0].partition("=")[2]
    assert request("GET", "/api/session", headers={"Cookie": f"{SECURE_COOKIE}={value}"}).status == 200
    # The name without the prefix is what a neighbour could have planted.
    assert request("GET", "/api/session", headers={"Cookie": f"{COOKIE}={value}"}).status == 401


def test_behind_a_proxy_the_public_address_counts(context):
    server = context.server("--public-url", "https://audit.example.com")
    assert "https://audit.example.com/welcome#administrator=vsi_" in server.log.read_text()
    invited = ask(server, "POST", "/api/accounts", {"loginName": "ada"}).json()
    assert invited["link"] == f"https://audit.example.com/welcome#invitation={invited['token']}", invited
    set_password(server, invited["token"])
    login = {"loginName": "ada", "password": PASSWORD}
    answer = ask(server, "POST", "/api/sign-in", login, key=None, headers={"Origin": "https://audit.example.com"})
    assert answer.status == 200 and cookie_lines(answer)[0].startswith(SECURE_COOKIE) and "; Secure" in cookie_lines(answer)[0]
    assert ask(server, "POST", "/api/sign-in", login, key=None, headers={"Origin": "https://audit.example.org"}).status == 403
    for wrong in ("audit.example.com", "https://audit.example.com/", "https://audit.example.com/x", "ftp://x"):
        refused = context.prepare_server("--public-url", wrong, data=context.folder / "other").launch()
        assert refused.wait() == 2 and "public_url" in refused.log.read_text(), wrong


def test_a_trusted_proxy_tells_who_called(context):
    server = context.server("--trusted-proxies", "127.0.0.1, 10.0.0.0/8")
    make_account(server, "ada", "auditor")
    for number, (forwarded, seen) in enumerate((("203.0.113.9", "203.0.113.9"), ("192.0.2.1, 203.0.113.9, 10.1.2.3", "203.0.113.9"),
                                                ("203.0.113.9:4711", "203.0.113.9"), ("2001:db8::9", "2001:db8::9"), ("unknown", "127.0.0.1"))):
        answer = Browser(server).sign_in("ada", headers={"X-Forwarded-For": forwarded})
        assert answer.status == 200, answer
        told = [each for each in facts(server, number + 1, kind="access.session", action="LOGGED_IN")]
        assert told[-1]["context"]["ip"] == seen, (forwarded, told[-1])
    # A key is bound to whom the proxy saw, and failures are counted for them alone.
    key = ask(server, "POST", "/api/keys", {"name": "x", "scopes": ["read"], "ranges": ["203.0.113.0/24"]}).json()["key"]
    for forwarded, status in (("203.0.113.9", 200), ("203.0.113.9, 198.51.100.1", 401), (None, 401)):
        headers = {"X-Forwarded-For": forwarded} if forwarded else {}
        assert ask(server, "GET", "/api/access/matrix", key=key, headers=headers).status == status, forwarded
    guesser = {"X-Forwarded-For": "198.51.100.7"}
    guesses = [Browser(server).sign_in(f"nobody-{number}", "a wrong password", headers=guesser).status for number in range(25)]
    assert guesses[0] == 401 and guesses[-1] == 503, guesses
    assert Browser(server).sign_in("ada", headers=guesser).status == 503
    assert Browser(server).sign_in("ada", headers={"X-Forwarded-For": "198.51.100.8"}).status == 200
    server.stop()
    # Without the setting anybody could be anywhere.
    plain = context.server(data=server.data)
    assert ask(plain, "GET", "/api/access/matrix", key=key, headers={"X-Forwarded-For": "203.0.113.9"}).status == 401
    for wrong in ("localhost", "10.0.0.1/8", "127.0.0.1,"):
        refused = context.prepare_server("--trusted-proxies", wrong, data=context.folder / "other").launch()
        assert refused.wait() == 2 and "trusted_proxies" in refused.log.read_text(), wrong


def test_accounts_from_the_command_line(context):
    server = context.server()

    def vestige(*words):
        done = context.vestige(*words, data=server.data)
        assert done.status == 0, done
        return done

    made = vestige("account", "create", "ada", "--name", "Ada Archer", "--email", "ada@example.com", "--roles", "auditor,operator",
                   "--until", in_seconds(30 * DAYS), "--json").json()
    assert made["account"]["roles"] == ["auditor", "operator"] and made["account"]["displayName"] == "Ada Archer", made
    set_password(server, made["token"])
    Browser(server).signed_in("ada")
    assert [each["loginName"] for each in vestige("account", "list").json()["accounts"]] == ["ada"]
    assert vestige("account", "show", "ada").json() == vestige("account", "show", made["account"]["id"]).json()
    assert vestige("account", "roles", "ada", "--roles", "auditor").json()["roles"] == ["auditor"]
    assert vestige("account", "disable", "ada").json()["state"] == "disabled"
    assert vestige("account", "enable", "ada").json()["state"] == "active"
    assert vestige("account", "unlock", "ada").json()["state"] == "active"
    set_password(server, vestige("account", "reset-password", "ada").json()["token"], OTHER_PASSWORD)
    Browser(server).signed_in("ada", OTHER_PASSWORD)
    link = vestige("customer-link", "customer-4711", "--hours", "2").json()
    assert Browser(server).ask("POST", "/api/sign-in/link", {"token": link["token"]}).status == 200
    for words, status in ((("account", "show", "nobody"), 1), (("account", "create", "a b"), 1), (("account", "create", "x", "--roles", "service"), 1),
                          (("account",), 2), (("customer-link", "x", "--hours", "999"), 2)):
        done = context.vestige(*words, data=server.data)
        assert done.status == status and done.errors.strip(), (words, done)
