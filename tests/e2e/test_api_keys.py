"""Defends: who may do what. Without a key only the public paths answer; every operation takes its own scope and no
other; a key is shown once and kept nowhere, revoking works at once, and all of it is on record and outlives a
restart."""
import re
import stat
import threading

from api_parts import DESCRIPTION, ask, event, operation_of, read_verifier_key, size_of

SOME_ID = "01930000-0000-7000-8000-000000000001"
NEEDS = {("POST", "/api/events"): "ingest", ("POST", "/api/imports/json"): "ingest",
         ("POST", "/auditlog/events/v2"): "read",
         ("GET", "/api/events/stream"): "read", ("GET", f"/api/events/{SOME_ID}"): "read",
         ("GET", f"/api/events/{SOME_ID}/sealed"): "read", ("GET", f"/api/events/{SOME_ID}/proof"): "read",
         ("GET", "/api/records/ticket/T-1"): "read", ("GET", "/api/entities/CONTACT/c-1/history"): "read",
         ("GET", "/api/entities/CONTACT/c-1/state"): "read", ("GET", "/api/entities/CONTACT/c-1/diff"): "read",
         ("GET", "/api/entities/CONTACT/c-1/blame"): "read", ("GET", "/api/subjects/c-1/timeline"): "read",
         ("GET", "/api/export"): "read", ("POST", "/api/export"): "read",
         ("POST", f"/api/events/{SOME_ID}/disclose"): "read",
         ("GET", "/api/cursors"): "read", ("GET", "/api/cursors/c"): "read", ("PUT", "/api/cursors/c"): "read",
         ("POST", "/api/access/search"): "admin", ("GET", "/api/access/matrix"): "read",
         ("GET", f"/api/access/sessions/{SOME_ID}"): "admin",
         ("GET", "/api/access/review"): "admin", ("POST", "/api/access/review"): "admin",
         ("GET", "/api/capture/coverage"): "read",
         ("GET", "/api/access/policy"): "read", ("PUT", "/api/access/policy"): "admin",
         ("POST", "/api/approvals"): "read", ("GET", "/api/approvals"): "read",
         ("GET", f"/api/approvals/{SOME_ID}"): "read", ("DELETE", f"/api/approvals/{SOME_ID}"): "read",
         ("POST", f"/api/approvals/{SOME_ID}/decide"): "admin",
         ("POST", "/api/keys"): "admin", ("GET", "/api/keys"): "admin", ("DELETE", f"/api/keys/{SOME_ID}"): "admin",
         ("POST", "/api/subjects/erase"): "admin", ("POST", "/api/subjects/reauthorise"): "admin",
         ("GET", "/api/subjects/c-1/keys"): "admin", ("GET", "/api/erasures/0/certificate"): "read"}
# What a key that has no role may not whatever its scopes, for it could then do anything.
NEVER_BY_SCOPE = {("PUT", "/api/access/policy"), ("POST", "/api/customer-links")}
SESSION = "session"  # of people who signed in, for themselves
NEEDS.update({("GET", "/api/session"): SESSION, ("DELETE", "/api/session"): SESSION, ("GET", "/api/sessions"): SESSION,
              ("DELETE", f"/api/sessions/{SOME_ID}"): SESSION, ("POST", "/api/account/password"): SESSION,
              ("POST", "/api/account/second-factor"): SESSION, ("POST", "/api/account/second-factor/confirm"): SESSION,
              ("POST", "/api/account/recovery-codes"): SESSION, ("POST", "/api/accounts"): "admin", ("GET", "/api/accounts"): "admin",
              ("GET", f"/api/accounts/{SOME_ID}"): "admin", ("PUT", f"/api/accounts/{SOME_ID}/roles"): "admin",
              ("PUT", f"/api/accounts/{SOME_ID}/end"): "admin",
              **{("POST", f"/api/accounts/{SOME_ID}/{act}"): "admin" for act in (
                  "disable", "enable", "unlock", "reset-password", "require-password-change", "remove-second-factor")},
              ("DELETE", f"/api/accounts/{SOME_ID}/sessions"): "admin", ("POST", "/api/customer-links"): "admin",
              ("GET", "/api/tenants"): "admin", ("POST", "/api/tenants"): "admin", ("PUT", "/api/tenants/ghost/tier"): "admin",
              **{("POST", f"/api/tenants/ghost/{act}"): "admin" for act in ("suspend", "resume", "administrator")}})
PUBLIC = ("/sign-in", "/welcome", "/mine", "/api/sign-in/providers", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/", "/tlog/default/audit/checkpoint",
          "/tlog/default/audit/vkey", "/tlog/default/audit/tile/0/000.p/1")
BODIES = {"/api/events": event(), "/auditlog/events/v2": {}, "/api/access/search": {}, "/api/keys": {"name": "x", "scopes": ["read"]}}


def make(server, *scopes, name="a key", key="admin"):
    answer = ask(server, "POST", "/api/keys", {"name": name, "scopes": list(scopes)}, key=key)
    assert answer.status == 201, answer
    return answer.json()


def listed_keys(server):
    """But for when they were used: asking is a use."""
    keys = ask(server, "GET", "/api/keys").json()["keys"]
    return [{name: value for name, value in key.items() if name != "usedAt"} for key in keys]


def status(server, method, path, key):
    body = BODIES.get(path) if method == "POST" else None
    if path.endswith("/stream"):  # never ends by itself
        body, path = None, path + "?from=none"
    # What is about one person takes a reason.
    answer = server.request(method, path, body, key=key, headers={"X-Vestige-Reason": "a test"})
    if answer.status >= 400:
        assert answer.headers["Content-Type"].startswith("application/problem+json"), (method, path, answer)
    return answer.status


def test_every_operation_is_either_public_or_takes_one_scope(context):
    server = context.server()
    closed = {(method, path) for path, methods in DESCRIPTION["paths"].items() for method in methods
              if method in ("get", "post", "delete", "put", "patch") and methods[method]["security"]}
    assert {(method.lower(), operation_of(method, path)[0]) for method, path in NEEDS} == closed, closed
    keys = {scope: make(server, scope)["key"] for scope in ("ingest", "read", "admin")}
    everything = make(server, "admin", "read", "ingest")
    assert everything["scopes"] == ["ingest", "read", "admin"], everything
    some = keys["read"]
    for (method, path), scope in NEEDS.items():
        for wrong in (None, "", "x", "vst_", some + "x", some[:-1], some.lower()):
            assert status(server, method, path, wrong) == 401, (method, path, wrong)
        for other, key in keys.items():
            got = status(server, method, path, key)
            if other == scope and (method, path) not in NEVER_BY_SCOPE:
                assert got not in (401, 403), (method, path, other, got)
            else:
                assert got == 403, (method, path, other, got)
        got = status(server, method, path, everything["key"])
        assert (got == 403) if scope == SESSION else (got not in (401, 403)), (method, path, got)
    for path in PUBLIC:
        for key in (None, "not-a-key", keys["ingest"]):
            assert ask(server, "GET", path, key=key).status == 200, (path, key)
    # What is not public says nothing of whether it is there.
    for path in ("/nothing", "/api", "/api/events/x", "/tlogs", "/metricsx", "/docs/x", "/admin.key"):
        assert server.request("GET", path, key=None).status == 401, path
    assert server.request("GET", "/tlog/default/audit/nothing", key=None).status == 404


def test_other_ways_to_say_a_key_are_none(context):
    server = context.server()
    key = server.key
    for header in (key, f"Basic {key}", f"Token {key}", f"Bearer  {key}x", "Bearer", "Bearer ", f"Bearer {key},{key}"):
        answer = server.request("GET", "/api/keys", key=None, headers={"Authorization": header})
        assert answer.status == 401, (header, answer)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer"), answer.headers.items()
    assert server.request("GET", f"/api/keys?key={key}&access_token={key}", key=None).status == 401


def test_a_key_is_shown_once_and_kept_nowhere(context):
    server = context.server()
    made = make(server, "ingest", "read", name="accounts \u00e9 \"x\" \n%")
    assert re.fullmatch(r"vst_[A-Za-z0-9_-]{43}", made["key"]), made
    listed = ask(server, "GET", "/api/keys")
    assert made["key"] not in listed.body.decode()
    found = [key for key in listed.json()["keys"] if key["id"] == made["id"]]
    assert found == [{name: made[name] for name in ("id", "name", "scopes", "createdAt")}], listed
    # The name is the service of what it sends.
    answer = ask(server, "POST", "/api/events", [event(), event(context={"service": "own"})], key=made["key"])
    events = [ask(server, "GET", f"/api/events/{each['id']}").json() for each in answer.json()["events"]]
    assert [each["context"]["service"] for each in events] == [made["name"], "own"], events
    # In the trail: who made it, what it may, never the key.
    record = server.search(kind="system.key", detail={"keyId": made["id"]})["events"]
    assert len(record) == 1 and record[0]["action"] == "CREATED" and record[0]["detail"] == {
        "keyId": made["id"], "name": made["name"], "scopes": ["ingest", "read"]}, record
    admin = next(key for key in listed.json()["keys"] if "admin" in key["scopes"])
    assert record[0]["sourceId"] == admin["id"], (record, admin)
    server.stop()
    admin_key = server.key
    for file in sorted(server.data.rglob("*")):
        if file.is_file():
            data = file.read_bytes()
            assert made["key"].encode() not in data, file
            assert admin_key.encode() not in data or file.name == "admin.key", file
    for name in ("admin.key", *(file.name for file in server.data.glob("state.db*"))):
        assert stat.S_IMODE((server.data / name).stat().st_mode) == 0o600, name
    assert made["key"] not in server.log.read_text() and admin_key not in server.log.read_text()


def test_revoking_works_at_once_and_all_of_it_outlives_a_restart(context):
    server = context.server()
    kept, gone = make(server, "read", name="kept"), make(server, "read", "admin", name="gone")
    third = make(server, "read", name="third", key=gone["key"])
    assert status(server, "GET", "/api/keys", gone["key"]) == 200
    assert ask(server, "DELETE", f"/api/keys/{gone['id']}").status == 204
    for _ in range(20):
        assert status(server, "GET", "/api/keys", gone["key"]) == 401
    assert ask(server, "DELETE", f"/api/keys/{gone['id']}").status == 404
    for wrong in ("x", SOME_ID, gone["key"]):
        assert ask(server, "DELETE", f"/api/keys/{wrong}").status == 404, wrong
    record = server.search(kind="system.key", targetId=gone["id"])["events"]
    assert [each["action"] for each in record] == ["REVOKED", "CREATED"], record
    before = server.key
    listed = listed_keys(server)
    for end in (server.stop, server.kill):
        end()
        server.start()
        assert server.key == before
        assert listed_keys(server) == listed
        assert [status(server, "POST", "/auditlog/events/v2", each["key"]) for each in (kept, gone, third)] == [
            200, 401, 200]
    # A key may revoke itself.
    own = make(server, "admin", name="own")
    assert ask(server, "DELETE", f"/api/keys/{own['id']}", key=own["key"]).status == 204
    assert status(server, "GET", "/api/keys", own["key"]) == 401


def test_the_last_admin_gone_the_next_start_makes_another(context):
    server = context.server()
    admin = next(key for key in ask(server, "GET", "/api/keys").json()["keys"] if "admin" in key["scopes"])
    old = server.key
    assert ask(server, "DELETE", f"/api/keys/{admin['id']}").status == 204
    assert status(server, "GET", "/api/keys", old) == 401
    server.stop()
    server.start()
    assert server.key != old
    assert status(server, "GET", "/api/keys", "admin") == 200
    assert status(server, "GET", "/api/keys", old) == 401


def test_wrong_wishes_for_a_key_are_refused(context):
    server = context.server()
    before = listed_keys(server), size_of(server)
    for body, path in (({}, "/name"), ({"name": "x"}, "/scopes"), ({"scopes": ["read"]}, "/name"),
                       ({"name": 1, "scopes": ["read"]}, "/name"), ({"name": "", "scopes": ["read"]}, "/name"),
                       ({"name": "x" * 257, "scopes": ["read"]}, "/name"), ({"name": "x", "scopes": []}, "/scopes"),
                       ({"name": "x", "scopes": "read"}, "/scopes"), ({"name": "x", "scopes": ["write"]}, "/scopes/0"),
                       ({"name": "x", "scopes": ["read", 1]}, "/scopes/1"), ({"name": "x", "scopes": ["read", "read"]}, "/scopes/1"),
                       ({"name": "x", "scopes": ["read"], "tenant": "other"}, "/tenant"),
                       ({"name": "x", "scopes": ["read"], "a/b": 1}, "/a~1b"), ([], None), ("x", None)):
        answer = ask(server, "POST", "/api/keys", body)
        assert answer.status == 400, (body, answer)
        assert path is None or answer.json()["path"] == path, (body, answer)
    for body in (b"", b"{", b'{"name":"x","name":"y","scopes":["read"]}', b"\xff"):
        assert ask(server, "POST", "/api/keys", body, headers={"Content-Type": "application/json"}).status == 400, body
    answer = ask(server, "POST", "/api/keys", b'{"name":"x","scopes":["read"]}', headers={"Content-Type": "text/html"})
    assert answer.status == 415, answer
    assert (listed_keys(server), size_of(server)) == before
    assert ask(server, "POST", "/api/keys", {"name": "x" * 256, "scopes": ["read"]}).status == 201


def test_keys_made_and_revoked_at_the_same_time(context):
    server = context.server()
    wrong = []

    def work(number):
        try:
            for turn in range(6):
                made = make(server, "read", name=f"{number}-{turn}")
                if status(server, "POST", "/auditlog/events/v2", made["key"]) != 200:
                    wrong.append(made)
                if turn % 2 and ask(server, "DELETE", f"/api/keys/{made['id']}").status != 204:
                    wrong.append(made)
        except Exception as error:  # a thread's failure is the test's
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong
    names = {key["name"] for key in ask(server, "GET", "/api/keys").json()["keys"]}
    assert names == {"admin"} | {f"{number}-{turn}" for number in range(6) for turn in (0, 2, 4)}, names
    assert read_verifier_key(ask(server, "GET", "/tlog/default/audit/vkey", key=None).body.decode())
