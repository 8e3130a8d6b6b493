"""Defends: what a key may follows from its role, its scopes, its hours and its addresses, and from the policy that is in
force now. Nobody gives more than the policy lets them give, a change of the policy counts at once and is on record, and a
change that was made from an old policy is refused."""
import json
import time

from api_parts import ask, event
from people import DAYS, in_seconds, make_account, with_end

POLICY = "/api/access/policy"


def make(server, key="admin", status=201, **wanted):
    answer = ask(server, "POST", "/api/keys", {"name": "a key", **with_end(wanted.get("role")), **wanted}, key=key)
    assert answer.status == status, answer
    return answer.json()


def test_a_key_with_a_role_may_what_the_role_may(context):
    server = context.server()
    sent = ask(server, "POST", "/api/events", event(targetType="A", targetId="a")).json()["events"][0]["id"]
    auditor = make(server, role="auditor", service="audit firm")
    assert auditor["role"] == "auditor" and auditor["scopes"] == [], auditor
    assert ask(server, "GET", f"/api/events/{sent}", key=auditor["key"]).status == 200
    assert ask(server, "GET", f"/api/events/{sent}/proof", key=auditor["key"]).status == 200
    for method, path, body in (("POST", "/api/events", event()), ("GET", "/api/keys", None), ("POST", "/api/keys", {"name": "x", "scopes": ["read"]}),
                               ("POST", "/api/subjects/erase", {"subject": "x"}), ("PUT", POLICY, {"version": 0, "policy": {}})):
        assert ask(server, method, path, body, key=auditor["key"]).status == 403, (method, path)
    looks = ask(server, "POST", "/api/access/search", {"filter": {"field": "sourceId", "equals": auditor["id"]}}).json()["events"]
    assert {look["detail"]["role"] for look in looks} == {"auditor"}, looks
    assert {look["sourceEntityMeta"]["name"] for look in looks} == {"audit firm"}, looks
    for wrong, path in (({"role": "nobody"}, "/role"), ({"role": "auditor", "scopes": ["read"]}, "/role"), ({"role": 1}, "/role"),
                        ({"role": "auditor", "ranges": ["10.0.0.1/8"]}, "/ranges/0"), ({"role": "auditor", "ranges": "x"}, "/ranges"),
                        ({"role": "auditor", "expiresAt": "2020-01-01T00:00:00Z"}, "/expiresAt"),
                        ({"role": "auditor", "expiresAt": "tomorrow"}, "/expiresAt")):
        assert make(server, status=400, **wrong)["path"] == path, wrong


def test_a_key_ends_when_it_was_said_to_and_opens_nothing_from_elsewhere(context):
    server = context.server()
    here = make(server, role="auditor", ranges=["127.0.0.0/8"])
    assert ask(server, "GET", POLICY, key=here["key"]).status == 200
    for ranges in (["10.0.0.0/8"], ["::1"], ["127.0.0.2", "2001:db8::/32"]):
        elsewhere = make(server, role="auditor", ranges=ranges)
        assert ask(server, "GET", POLICY, key=elsewhere["key"]).status == 401, ranges
        # Nobody is where they say they are.
        for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded"):
            answer = ask(server, "GET", POLICY, key=elsewhere["key"], headers={header: "10.0.0.1"})
            assert answer.status == 401, (ranges, header)
    brief = make(server, role="auditor", expiresAt=in_seconds(2))
    assert ask(server, "GET", POLICY, key=brief["key"]).status == 200
    deadline = time.monotonic() + 30
    while ask(server, "GET", POLICY, key=brief["key"]).status != 401:
        assert time.monotonic() < deadline, "the key did not expire"
        time.sleep(0.1)


def test_who_has_a_role_that_takes_an_end_has_one(context):
    server = context.server()
    bob = make_account(server, "bob", "operator")
    ada = make_account(server, "ada", "auditor")

    def account(account, act, body):
        return ask(server, "PUT", f"/api/accounts/{account['id']}/{act}", body)

    for end in (None, in_seconds(91 * DAYS)):
        for refused, path in ((ask(server, "POST", "/api/keys", {"name": "x", "role": "auditor", "expiresAt": end}), "/expiresAt"),
                              (ask(server, "POST", "/api/accounts", {"loginName": "x", "roles": ["operator", "auditor"], "expiresAt": end}),
                               "/expiresAt"),
                              (account(ada, "end", {"expiresAt": end}), "/expiresAt")):
            assert refused.status == 400 and refused.json()["path"] == path and "at the latest" in refused.json()["detail"], refused
        assert account(bob, "end", {"expiresAt": end}).json().get("expiresAt") == end
        refused = account(bob, "roles", {"roles": ["operator", "auditor"]})
        assert refused.status == 400 and refused.json()["path"] == "/roles/1", refused
        assert "set the end of the account before" in refused.json()["detail"], refused
    assert account(bob, "end", {"expiresAt": in_seconds(89 * DAYS)}).status == 200
    assert account(bob, "roles", {"roles": ["operator", "auditor"]}).status == 200
    for wrong in ({}, {"expiresAt": "soon"}, {"expiresAt": 1}, {"expiresAt": in_seconds(-1)}, {"expiresAt": None, "more": 1}):
        assert account(bob, "end", wrong).status == 400, wrong
    # The command line says what is missing, and takes it.
    for words in (("key", "create", "x", "--role", "auditor"), ("account", "create", "cy", "--roles", "auditor"),
                  ("account", "end", "ada", "--never")):
        said = context.vestige(*words, data=server.data)
        assert said.status == 1 and "has an end within 90 days: give expiresAt, at the latest 20" in said.errors, said
    end = in_seconds(60 * DAYS)
    for words in (("key", "create", "x", "--role", "auditor", "--expires", end), ("account", "end", "ada", "--until", end)):
        said = context.vestige(*words, data=server.data)
        assert said.status == 0 and said.json()["expiresAt"] == end, said
    made = context.vestige("account", "create", "cy", "--roles", "auditor", "--until", end, data=server.data)
    assert made.status == 0 and made.json()["account"]["expiresAt"] == end, made
    for words in (("account", "end", "ada"), ("account", "end", "ada", "--never", "--until", end)):
        assert context.vestige(*words, data=server.data).status == 2, words
    # The policy says how long, from its change on and for what is given then.
    begun = ask(server, "GET", POLICY).json()
    begun["policy"]["roles"]["operator"]["ends_within_days"] = 10
    assert ask(server, "PUT", POLICY, {"version": 0, "policy": begun["policy"]}).status == 200
    matrix = {role["name"]: role.get("endsWithinDays") for role in ask(server, "GET", "/api/access/matrix").json()["roles"]}
    assert (matrix["auditor"], matrix["operator"], matrix["legal"]) == (90, 10, None), matrix
    assert ask(server, "GET", f"/api/accounts/{bob['id']}").json()["state"] == "active"
    assert account(bob, "end", {"expiresAt": end}).status == 400
    assert account(bob, "end", {"expiresAt": in_seconds(9 * DAYS)}).status == 200
    assert make(server, status=400, role="operator")["path"] == "/expiresAt"


def test_nobody_gives_more_than_the_policy_lets_them(context):
    server = context.server()
    administrator = make(server, role="administrator")["key"]
    scoped = make(server, scopes=["admin"])["key"]
    for key in (administrator, scoped):
        for wanted in ({"role": "service"}, {"scopes": ["ingest", "read", "admin"]}):
            refusal = make(server, key=key, status=403, **wanted)
            assert "service" in refusal["detail"], refusal
    assert make(server, key=administrator, role="legal")["role"] == "legal"
    assert make(server, key=administrator, scopes=["ingest", "admin"])["scopes"] == ["ingest", "admin"]
    assert make(server, role="service")["role"] == "service"


def test_a_change_of_the_policy_counts_at_once_and_is_on_record(context):
    server = context.server()
    administrator = make(server, role="administrator")["key"]
    operator = make(server, role="operator")["key"]
    begun = ask(server, "GET", POLICY, key=administrator).json()
    assert begun["version"] == 0 and "changedAt" not in begun, begun
    search = {"kind": "data.change"}
    ask(server, "POST", "/api/events", event(targetType="A", targetId="a"))
    assert ask(server, "POST", "/auditlog/events/v2", search, key=operator).json()["events"] == []
    policy = json.loads(json.dumps(begun["policy"]))
    for grant in policy["roles"]["operator"]["grants"]:
        grant.get("kinds", []).append("data.change")
    changed = ask(server, "PUT", POLICY, {"version": 0, "policy": policy}, key=administrator)
    assert changed.status == 200 and changed.json()["version"] == 1, changed
    assert len(ask(server, "POST", "/auditlog/events/v2", search, key=operator).json()["events"]) == 1
    # Made from the policy of before: refused, and nothing changes.
    late = ask(server, "PUT", POLICY, begun, key=administrator)
    assert late.status == 409 and "version 1" in late.json()["detail"], late
    for wrong, path in (({**policy, "small_count": 0}, "/policy/small_count"), ({**policy, "more": 1}, "/policy/more"),
                        ({**policy, "roles": {}}, "/policy/roles")):
        refused = ask(server, "PUT", POLICY, {"version": 1, "policy": wrong}, key=administrator)
        assert refused.status == 400 and refused.json()["path"] == path, refused
    assert ask(server, "PUT", POLICY, {"version": 1, "policy": policy, "tenant": "other"}, key=administrator).status == 400
    record = server.search(kind="system.policy")["events"]
    assert len(record) == 1 and record[0]["action"] == "CHANGED", record
    assert record[0]["detail"]["policy"] == policy and record[0]["detail"]["version"] == 1, record
    for end in (server.stop, server.kill):
        end()
        server.start()
        kept = ask(server, "GET", POLICY, key=administrator).json()
        assert kept["version"] == 1 and kept["policy"] == policy, kept
    assert server.search(kind="system.policy", total=True)["total"] == 1
    # The command line prints what it takes.
    file = context.folder / "policy.json"
    file.write_text(context.vestige("access", "policy", data=server.data).output)
    said = context.vestige("access", "policy", "--change", file, data=server.data)
    assert said.status == 0 and said.json()["version"] == 2, said
    again = context.vestige("access", "policy", "--change", file, data=server.data)
    assert again.status != 0 and "changed since" in again.errors, again


def test_a_change_of_state_is_answered_when_it_is_on_record(context):
    server = context.server()
    for number in range(20):
        made = make(server, name=f"key {number}", scopes=["read"])
        assert len(server.search(kind="system.key", targetId=made["id"])["events"]) == 1, number
    figures = ask(server, "GET", "/metrics", key=None).body.decode()
    assert "vestige_outbox_waiting 0" in figures and "vestige_outbox_refused 0" in figures, figures
