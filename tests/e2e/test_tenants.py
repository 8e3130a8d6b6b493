"""Defends: several organisations on one server, and none sees, counts or finds out about another. What a tenant asks for by ids,
names, cursors or logs of another is answered like what is not there; persons, events and cursors of the same names are
different ones; a tenant that is suspended lets nobody in and goes on recording; what is made survives a crash as a whole."""
import http.client
import json
import random
import time

import verifiers
from api_parts import ask, event, size_of
from people import PASSWORD, Browser, make_account

SEARCH = "/auditlog/events/v2"
HOME_WORD, ACME_WORD = "homestead", "acmeish"
NOBODY = "01930000-0000-7000-8000-00000000dead"
REASON = {"X-Vestige-Reason": "a test"}


class Member:
    """Somebody of a tenant, by a key, and by another one where events are recorded; asks as the others do."""

    def __init__(self, server, key, recording=None):
        self.server, self.key, self.recording = server, key, recording or key

    def ask(self, method, path, body=None, **headers):
        key = self.recording if (method, path) == ("POST", "/api/events") else self.key
        return ask(self.server, method, path, body, key=key, headers={**REASON, **headers})


def sign_in(server, tenant, name, password=PASSWORD):
    browser = Browser(server)
    return browser, browser.ask("POST", "/api/sign-in", {"tenant": tenant, "loginName": name, "password": password})


def make_tenant(server, tenant, **more):
    """Its first administrator, signed in."""
    made = ask(server, "POST", "/api/tenants", {"id": tenant, **more})
    assert made.status == 201, made
    assert made.json()["link"].endswith(f"#administrator={made.json()['token']}&tenant={tenant}"), made
    come_in(server, tenant, made.json()["token"])
    browser, answer = sign_in(server, tenant, "root")
    assert answer.status == 200, answer
    return browser


def come_in(server, tenant, token):
    answer = ask(server, "POST", "/api/sign-in/first-administrator", {"tenant": tenant, "token": token, "loginName": "root", "password": PASSWORD},
                 key=None)
    assert answer.status == 201, answer


def key_by(browser, *scopes, **more):
    """An API key that an administrator makes."""
    wish = {"name": "a key", **({"scopes": list(scopes)} if scopes else {}), **more}
    answer = browser.ask("POST", "/api/keys", wish)
    assert answer.status == 201, answer
    return answer.json()["key"]


def call(number, word, **fields):
    return event(kind="communication.call", targetType="CALL", targetId=f"call-{number}", subject="p-1",
                 detail={"call_purpose": f"about {word}", "customer_phone": f"+27820{word[0]}{number}"}, **fields)


class World:
    """The home tenant and acme, with events, persons and cursors of the same names; `acme` may do most there."""

    def __init__(self, context):
        self.server = context.server()
        self.root = make_tenant(self.server, "acme", name="Acme Ltd", tier="premium")
        self.acme = Member(self.server, key_by(self.root, "read", "admin"), key_by(self.root, "ingest"))
        self.home = Member(self.server, "admin")
        self.shared = [f"01930000-0000-7000-8000-{number:012}" for number in range(3)]
        for member, word, count in ((self.home, HOME_WORD, 12), (self.acme, ACME_WORD, 7)):
            events = [call(number, word, id=self.shared[number]) if number < 3 else call(number, word) for number in range(count)]
            answer = member.ask("POST", "/api/events", events)
            # The same ids, and other content: of another tenant it is neither a duplicate nor a conflict.
            assert answer.status == 201 and not any(each.get("duplicate") for each in answer.json()["events"]), answer
            if word == HOME_WORD:
                self.secret_ids = [each["id"] for each in answer.json()["events"]][3:]
            member.ask("PUT", "/api/cursors/mine", {"next": count})


def test_a_tenant_finds_nothing_of_another(context):
    world = World(context)
    acme, home = world.acme, world.home
    found = acme.ask("POST", SEARCH, {"total": True, "kind": "communication.call", "limit": 100,
                                      "facets": [{"field": "targetId", "top": 50}]}).json()
    assert found["total"] == 7 and HOME_WORD not in json.dumps(found), found
    for body in ({"text": HOME_WORD}, {"filter": {"field": "detail.call_purpose", "contains": HOME_WORD}}, {"targetId": "call-9"},
                 {"id": world.secret_ids[0]}, {"filter": {"field": "tenant", "equals": "default"}}):
        assert acme.ask("POST", SEARCH, {**body, "total": True}).json()["events"] == [], body
    for number in range(3):
        assert ACME_WORD in acme.ask("GET", f"/api/events/{world.shared[number]}").body.decode()
        assert HOME_WORD in home.ask("GET", f"/api/events/{world.shared[number]}").body.decode()
    timeline = acme.ask("GET", "/api/subjects/p-1/timeline?limit=100").json()
    assert len(timeline["events"]) == 7 and HOME_WORD not in json.dumps(timeline), timeline
    exported = acme.ask("GET", "/api/export").body.decode()
    assert ACME_WORD in exported and HOME_WORD not in exported
    looks = acme.ask("POST", "/api/access/search", {"limit": 1000}).json()["events"]
    assert looks and all(each["tenant"] == "acme" for each in looks), looks
    home_looks = home.ask("POST", "/api/access/search", {"limit": 1000}).json()["events"]
    assert home_looks and all(each["tenant"] == "default" for each in home_looks), home_looks
    assert acme.ask("GET", "/api/cursors/mine").json()["next"] == 7
    assert home.ask("GET", "/api/cursors/mine").json()["next"] == 12
    # Whose an event is, the key says, and nothing that is sent.
    refused = acme.ask("POST", "/api/events", [event(tenant="default")])
    assert refused.status == 400, refused
    for headers in ({"X-Vestige-Tenant": "default"}, {"Host": "default"}):
        sent = acme.ask("POST", "/api/events", [event(targetId="mine")], **headers).json()["events"][0]["id"]
        assert acme.ask("GET", f"/api/events/{sent}").json()["tenant"] == "acme"
        assert home.ask("GET", f"/api/events/{sent}").status == 404
    # A cursor of a search is good for who asked, and a checkpoint is of one's own log.
    cursor = home.ask("POST", SEARCH, {"limit": 2}).json()["cursor"]
    assert acme.ask("POST", SEARCH, {"limit": 2, "cursor": cursor}).status == 400


def test_ids_of_another_tenant_are_ids_of_nothing(context):
    world = World(context)
    server, acme = world.server, world.acme
    account = make_account(server, "ada", "compliance_officer")["id"]
    key = ask(server, "POST", "/api/keys", {"name": "x", "role": "compliance_officer"}).json()
    waiting = ask(server, "POST", "/api/subjects/erase", {"subject": "p-9"}, key=key["key"], headers=REASON)
    assert waiting.status == 202, waiting
    approval = waiting.json()["approval"]["id"]
    session = sign_in(server, "default", "ada")[0].ask("GET", "/api/session").json()["id"]
    erasure = ask(server, "POST", "/api/subjects/erase", {"subject": "somebody"}).json()["intent"]
    server.search(limit=1)
    for method, path, body, there, absent in (
            ("GET", "/api/events/{}", None, world.secret_ids[0], NOBODY), ("GET", "/api/events/{}/sealed", None, world.secret_ids[0], NOBODY),
            ("GET", "/api/events/{}/proof", None, world.secret_ids[0], NOBODY),
            ("POST", "/api/events/{}/disclose", {"fields": ["detail.call_purpose"]}, world.secret_ids[0], NOBODY),
            ("GET", "/api/records/call/{}", None, "call-9", "call-99"), ("GET", "/api/entities/CALL/{}/history", None, "call-9", "call-99"),
            ("GET", "/api/entities/CALL/{}/state", None, "call-9", "call-99"), ("GET", "/api/subjects/{}/keys", None, "somebody", "nobody-9"),
            ("GET", "/api/accounts/{}", None, account, NOBODY), ("POST", "/api/accounts/{}/disable", None, account, NOBODY),
            ("POST", "/api/accounts/{}/reset-password", None, account, NOBODY), ("PUT", "/api/accounts/{}/roles", {"roles": []}, account, NOBODY),
            ("DELETE", "/api/accounts/{}/sessions", None, account, NOBODY), ("DELETE", "/api/keys/{}", None, key["id"], NOBODY),
            ("GET", "/api/approvals/{}", None, approval, NOBODY), ("POST", "/api/approvals/{}/decide", {"decision": "approve"}, approval, NOBODY),
            ("DELETE", "/api/approvals/{}", None, approval, NOBODY), ("GET", "/api/access/sessions/{}", None, session, NOBODY),
            ("GET", "/api/erasures/{}/certificate", None, str(erasure), "99999999")):
        answers = [acme.ask(method, path.format(which), body) for which in (there, absent)]
        texts = [answer.body.replace(which.encode(), b"ID") for answer, which in zip(answers, (there, absent))]
        assert answers[0].status == answers[1].status and texts[0] == texts[1], (path, answers)
    for path, name in (("/api/accounts", "accounts"), ("/api/keys", "keys"), ("/api/approvals", "approvals")):
        listed = acme.ask("GET", path).json()[name]
        assert not {account, key["id"], approval} & {each["id"] for each in listed}, (path, listed)
    # And nothing came of it.
    assert ask(server, "GET", f"/api/accounts/{account}").json()["state"] == "active"
    assert ask(server, "GET", f"/api/approvals/{approval}", key=key["key"]).json()["state"] == "asked"
    assert ask(server, "POST", SEARCH, {}, key=key["key"]).status == 200


def test_tenants_are_managed_from_the_home_tenant_alone(context):
    world = World(context)
    server = world.server
    for asker in (world.acme.ask, world.root.ask):
        for method, path, body in (("GET", "/api/tenants", None), ("POST", "/api/tenants", {"id": "mine"}),
                                   ("PUT", "/api/tenants/default/tier", {"tier": "standard"}), ("POST", "/api/tenants/acme/suspend", None),
                                   ("POST", "/api/tenants/default/suspend", None), ("POST", "/api/tenants/acme/administrator", None)):
            refused = asker(method, path, body)
            assert refused.status == 403 and b"Acme" not in refused.body, (method, path, refused)
    for body, status in (({"id": "acme"}, 409), ({"id": "default"}, 409), ({"id": "Acme"}, 400), ({"id": "a/b"}, 400), ({"id": ""}, 400),
                         ({"id": "-a"}, 400), ({"id": "x" * 64}, 400), ({"id": "ok", "tier": "gold"}, 400), ({"id": "ok", "name": ""}, 400),
                         ({"id": "ok", "state": "suspended"}, 400), ({}, 400), ({"id": 1}, 400)):
        assert ask(server, "POST", "/api/tenants", body).status == status, body
    assert ask(server, "POST", "/api/tenants/default/suspend").status == 409
    for path in ("suspend", "resume", "administrator"):
        assert ask(server, "POST", f"/api/tenants/ghost/{path}").status == 404, path
    # Who administers already invites who comes after; before, the newest link counts.
    assert ask(server, "POST", "/api/tenants/acme/administrator").status == 409
    first = ask(server, "POST", "/api/tenants", {"id": "late"}).json()["token"]
    second = ask(server, "POST", "/api/tenants/late/administrator").json()["token"]
    for token, tenant in ((first, "late"), (second, "acme"), (second, "ghost")):
        answer = ask(server, "POST", "/api/sign-in/first-administrator",
                     {"tenant": tenant, "token": token, "loginName": "root", "password": PASSWORD}, key=None)
        assert answer.status == 401, (tenant, answer)
    come_in(server, "late", second)
    listed = {each["id"]: each["tier"] for each in ask(server, "GET", "/api/tenants").json()["tenants"]}
    assert listed == {"acme": "premium", "default": "enterprise", "late": "standard"}, listed
    assert ask(server, "PUT", "/api/tenants/late/tier", {"tier": "enterprise"}).json()["tier"] == "enterprise"
    told = [(each["action"], each["targetId"]) for each in server.search_all(kind="system.tenant", order="asc")]
    assert told == [("CREATED", "acme"), ("CREATED", "late"), ("ADMINISTRATOR_INVITED", "late"), ("CHANGED", "late")], told
    # In the tenant it says what was done, and not who runs the server.
    browser, _ = sign_in(server, "late", "root")
    own = ask(server, "POST", SEARCH, {"kind": "system.tenant", "order": "asc"}, key=key_by(browser, "read")).json()["events"]
    assert [each["action"] for each in own] == ["ADMINISTRATOR_INVITED", "CHANGED"], own
    assert all(each["sourceType"] == "SYSTEM" and "ip" not in each.get("context", {}) for each in own), own


def test_logs_and_figures_of_tenants_are_nobody_elses(context):
    world = World(context)
    server = world.server
    for path in ("checkpoint", "vkey", "tile/0/000.p/1"):
        absent = [ask(server, "GET", f"/tlog/{tenant}/audit/{path}", key=key)
                  for tenant, key in (("ghost", None), ("acme", None), ("acme", "admin"), ("acme", "wrong"))]
        assert {answer.status for answer in absent} == {404} and len({answer.body for answer in absent}) == 1, (path, absent)
        own = ask(server, "GET", f"/tlog/acme/audit/{path}", key=world.acme.key)
        assert own.status == 200 and "private" in own.headers["Cache-Control"], own
        everybodys = ask(server, "GET", f"/tlog/default/audit/{path}", key=None)
        assert everybodys.status == 200 and "public" in everybodys.headers["Cache-Control"], everybodys
        assert ask(server, "GET", f"/tlog/acme/access/{path}", key=world.acme.key).status == 404
    assert f"/acme/audit" in ask(server, "GET", "/tlog/acme/audit/checkpoint", key=world.acme.key).body.decode()
    for key, status in ((None, 401), (world.acme.key, 401), ("admin", 200)):
        assert ask(server, "GET", "/metrics", key=key).status == status, key
    # The commands of who is of another tenant hold proofs against that one's log.
    folder, named = context.folder, ("--tenant", "acme", "--key", world.acme.key, "--url", server.url)
    proven = context.vestige("prove", world.shared[0], "--out", folder / "a.tlog-proof", *named)
    assert proven.status == 0, proven
    assert context.vestige("prove", world.shared[0], "--out", folder / "b.tlog-proof", *named[2:]).status != 0
    said = context.vestige("checkpoint", *named)
    assert said.status == 0 and "/acme/audit" in said.output, said
    assert context.vestige("checkpoint", *named[:2], *named[4:]).status != 0
    assert context.vestige("export", "--out", folder / "acme.ndjson", "--reason", "a test", *named).status == 0
    # What one tenant follows is its own.
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/api/events/stream?from=0", headers={"Authorization": f"Bearer {world.acme.key}", **REASON})
    stream, text = connection.getresponse(), ""
    world.home.ask("POST", "/api/events", [call(50, HOME_WORD)])
    world.acme.ask("POST", "/api/events", [call(51, "last")])
    while "about last" not in text:
        text += stream.readline().decode()
    connection.close()
    assert ACME_WORD in text and HOME_WORD not in text


def test_erasing_a_person_of_one_tenant_leaves_the_other_ones(context):
    world = World(context)
    server = world.server
    erased = world.acme.ask("POST", "/api/subjects/erase", {"subject": "p-1"})
    assert erased.status == 200, erased
    for restart in (False, True):
        if restart:
            server.kill()
            server.start()
        gone = world.acme.ask("POST", SEARCH, {"kind": "communication.call", "limit": 100}).json()["events"]
        assert len(gone) == 7 and "+27820a" not in json.dumps(gone), gone
        there = world.home.ask("POST", SEARCH, {"kind": "communication.call", "limit": 100, "subject": "p-1"}).json()["events"]
        assert len(there) == 12 and "+27820h9" in json.dumps(there), there
        assert world.acme.ask("GET", "/api/subjects/p-1/keys").json()["state"] == "erased"
        assert world.home.ask("GET", "/api/subjects/p-1/keys").json()["state"] == "active"
    # Both erase in turn, and each trail proves its own.
    for member in (world.home, world.acme):
        for subject in ("p-1", "p-2"):
            answer = member.ask("POST", "/api/subjects/erase", {"subject": subject})
            assert answer.status == 200, answer
            assert member.ask("GET", answer.json()["certificatePath"]).body.decode() == answer.json()["certificate"]
    # What is on record of one tenant's erasures is the same whatever another one did before.
    told = {}
    for member in (world.home, world.acme):
        steps = member.ask("POST", SEARCH, {"kind": "system.erasure"}).json()["events"]
        found = [step for step in reversed(steps) if step["action"] == "ERASED"]
        told[member] = [{name: value for name, value in each["detail"].items() if isinstance(value, int)} for each in found]
        indexes = [each["index"] for each in found]
        for number, (detail, index) in enumerate(zip(told[member], indexes), 1):
            assert detail.pop("erasure") == number, found
            assert detail.pop("intent") < index, found
            assert detail.pop("previous", None) == (indexes[number - 2] if number > 1 else None), found
    assert told[world.home] == told[world.acme] == [{"epoch": 0}] * 2, told
    server.stop()
    assert verifiers.python_verify(server.data)["ok"]
    said = context.vestige("verify", data=server.data)
    assert said.status == 0 and "acme/audit" in said.output, said


def test_a_suspended_tenant_lets_nobody_in_and_goes_on_recording(context):
    world = World(context)
    server, root = world.server, world.root
    recorder = Member(server, key_by(root, "ingest"))
    reader = Member(server, key_by(root, "read"))
    make_account(server, "eve", "auditor", by=root, tenant="acme")
    # An invitation is of its tenant; the link says of which.
    made = root.ask("POST", "/api/accounts", {"loginName": "ida", "displayName": "Ida", "roles": []}).json()
    assert made["link"].endswith("&tenant=acme"), made
    wish = {"token": made["token"], "password": PASSWORD}
    for tenant in ({}, {"tenant": "default"}, {"tenant": "ghost"}):
        assert ask(server, "POST", "/api/sign-in/invitation", {**tenant, **wish}, key=None).status == 401, tenant
    eve, _ = sign_in(server, "acme", "eve")
    assert eve.ask("GET", "/api/session").status == 200
    before = size_of(server)
    assert ask(server, "POST", "/api/tenants/acme/suspend").json()["state"] == "suspended"
    for _ in range(2):
        assert root.ask("GET", "/api/session").status == 401 and eve.ask("GET", "/api/session").status == 401
        for member in (reader, world.acme):
            for method, path, body in (("POST", SEARCH, {}), ("GET", "/api/access/matrix", None), ("GET", f"/api/events/{world.shared[0]}", None)):
                refused = member.ask(method, path, body)
                assert refused.status == 403 and "suspended" in refused.json()["detail"], (path, refused)
            assert ask(server, "GET", "/tlog/acme/audit/checkpoint", key=member.key).status == 404
        assert recorder.ask("POST", "/api/events", [call(60, ACME_WORD)]).status == 201
        assert recorder.ask("POST", SEARCH, {}).status == 403
        # The words of a wrong password, of a tenant that there is not, and of one that is suspended.
        refusals = [sign_in(server, tenant, name, password)[1] for tenant, name, password in (
            ("acme", "root", PASSWORD), ("acme", "nobody", PASSWORD), ("ghost", "root", PASSWORD), ("default", "root", "wrong password"))]
        assert {answer.status for answer in refusals} == {401} and len({answer.body for answer in refusals}) == 1, refusals
        server.kill()
        server.start()
    # The home tenant goes on, and its log has the act once.
    assert size_of(server) > before
    assert ask(server, "POST", "/api/tenants/acme/resume").json()["state"] == "active"
    assert root.ask("GET", "/api/session").status == 401 and reader.ask("POST", SEARCH, {}).status == 200
    again, answer = sign_in(server, "acme", "root")
    assert answer.status == 200, answer
    assert reader.ask("POST", SEARCH, {"targetId": "call-60", "total": True}).json()["total"] == 2
    own = reader.ask("POST", SEARCH, {"kind": "system.tenant", "order": "asc"}).json()["events"]
    assert [each["action"] for each in own] == ["SUSPENDED", "RESUMED"], own
    assert again.ask("GET", "/api/session").json()["roles"] == ["administrator"]


def test_a_customer_of_a_tenant_sees_what_that_tenant_has(context):
    world = World(context)
    server = world.server
    wish = {"subject": "p-1", "validSeconds": 600}
    made = key_by(world.root, role="compliance_officer")
    assert ask(server, "POST", "/api/customer-links", wish, key=made).status == 403  # takes a reason, and somebody's yes
    token = ask(server, "POST", "/api/customer-links", wish).json()["token"]
    for tenant, status in (("acme", 401), ("ghost", 401), ("default", 200)):
        browser = Browser(server)
        assert browser.ask("POST", "/api/sign-in/link", {"tenant": tenant, "token": token}).status == status, tenant
    seen = browser.ask("POST", SEARCH, {"limit": 100}).json()["events"]
    assert len(seen) == 12 and ACME_WORD not in json.dumps(seen), seen


def test_a_tenant_is_made_whole_or_not_at_all(context):
    """kill -9 while tenants are made: each that is listed can be used at once, and each that was acknowledged is listed."""
    server = context.server()
    randomly, acknowledged = random.Random(4), set()
    for number in range(5):
        names = [f"t{number}-{each}" for each in range(4)]
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        until = time.monotonic() + randomly.uniform(0, 0.15)
        for name in names:
            body = json.dumps({"id": name})
            connection.request("POST", "/api/tenants", body, {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"})
            if time.monotonic() > until:
                break
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 201, answer.status
            acknowledged.add(name)
        server.kill()
        connection.close()
        server.start()
        listed = {each["id"] for each in ask(server, "GET", "/api/tenants").json()["tenants"]} - {"default"}
        assert acknowledged <= listed, (acknowledged, listed)
        # One whose making was cut short is made now.
        for name in set(names) - listed:
            assert ask(server, "POST", "/api/tenants", {"id": name}).status == 201, name
            listed.add(name)
        for name in set(names) & listed:
            token = ask(server, "POST", f"/api/tenants/{name}/administrator").json()["token"]
            come_in(server, name, token)
            browser, _ = sign_in(server, name, "root")
            recorder = Member(server, key_by(browser, "ingest", "read"))
            assert recorder.ask("POST", "/api/events", [event()]).json()["events"][0]["index"] >= 0
            assert len(recorder.ask("POST", SEARCH, {"kind": "test"}).json()["events"]) <= 1
        acknowledged |= set(names)
    created = [each["targetId"] for each in server.search_all(kind="system.tenant", limit=1000) if each["action"] == "CREATED"]
    assert len(created) == len(set(created)) and acknowledged == set(created), created
    server.stop()
    assert verifiers.python_verify(server.data)["ok"]
    assert context.vestige("verify", data=server.data).status == 0


def test_the_commands_do_what_they_say(context):
    server = context.server()

    def run(*arguments):
        return context.vestige("tenant", *arguments, data=server.data)

    made = run("create", "acme", "--name", "Acme Ltd", "--tier", "premium")
    assert made.status == 0 and made.json()["link"].endswith("&tenant=acme"), made
    again = run("create", "acme")
    assert again.status != 0 and "acme already" in again.errors, again
    renewed = run("invite", "acme")
    assert renewed.status == 0 and renewed.json()["token"] != made.json()["token"], renewed
    come_in(server, "acme", renewed.json()["token"])
    refused = run("invite", "acme")
    assert refused.status != 0 and "administers this tenant already" in refused.errors, refused
    assert [(each["id"], each["name"], each["tier"]) for each in run("list").json()["tenants"]] == [
        ("acme", "Acme Ltd", "premium"), ("default", "default", "enterprise")]
    assert run("tier", "acme", "standard").json()["tier"] == "standard"
    assert run("suspend", "acme").json()["state"] == "suspended"
    assert run("resume", "acme").json()["state"] == "active"
    assert run("suspend", "default").status != 0
    ghost = run("suspend", "ghost")
    assert ghost.status != 0 and "no tenant" in ghost.errors, ghost
    for wrong in (("create",), ("create", "acme", "--tier", "gold"), ("tier", "acme", "gold"), ("remove", "acme")):
        assert run(*wrong).status == 2, wrong
