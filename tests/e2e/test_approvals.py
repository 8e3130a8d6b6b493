"""Defends: what takes a second person. A request that needs a yes is not answered but asked for; another person decides; the
yes is good once, for the very request, for who asked, and in no other way; and the stream `access` tells the whole story."""
import json
import threading
import uuid

from api_parts import ask, event
from people import person

SEARCH, LOOKS, APPROVALS, POLICY = "/auditlog/events/v2", "/api/access/search", "/api/approvals", "/api/access/policy"
MASK = "•••"


def make(server, role, name=None):
    answer = ask(server, "POST", "/api/keys", {"name": name or role, "role": role})
    assert answer.status == 201, answer
    return answer.json()


def call(person, number):
    return event(kind="communication.call", action="CREATED", targetType="CALL", targetId=f"call-{number}", subject=person, detail={
        "call_purpose": "support", "call_summary": f"asked about invoice{number}",
        "recording_reference": f"recording{number}"})


def send(server, *events):
    answer = ask(server, "POST", "/api/events", list(events))
    assert answer.status == 201, answer
    return [each["id"] for each in answer.json()["events"]]


def because(reason="complaint T-1", **more):
    return {"X-Vestige-Reason": reason, **more}


def waiting(answer):
    """The approval that a request waits for."""
    assert answer.status == 202, answer
    approval = answer.json()["approval"]
    assert answer.headers["Location"] == f"{APPROVALS}/{approval['id']}" and approval["state"] == "asked", answer
    return approval["id"]


def decide(server, key, approval, decision="approve", **more):
    return ask(server, "POST", f"{APPROVALS}/{approval}/decide", {"decision": decision, **more}, key=key["key"])


def approve(server, key, approval):
    answer = decide(server, key, approval, comment="as agreed")
    assert answer.status == 200 and answer.json()["state"] == "approved", answer


def state(server, key, approval):
    return ask(server, "GET", f"{APPROVALS}/{approval}", key=key["key"]).json()["state"]


def change_policy(server, **members):
    now = ask(server, "GET", POLICY).json()
    answer = ask(server, "PUT", POLICY, {"version": now["version"], "policy": {**now["policy"], **members}})
    assert answer.status == 200, answer


def story(server, approval):
    return ask(server, "POST", LOOKS, {"targetId": approval, "kind": "access.approval", "order": "asc"}).json()["events"]


def test_an_agent_sees_one_customer_masked_then_one_field_after_a_second_persons_yes(context):
    server = context.server()
    first, other = send(server, call("p-1", 1), call("p-2", 2))
    agent, officer = make(server, "customer_service"), make(server, "compliance_officer")
    ref = ask(server, "GET", "/api/subjects/p-1/keys").json()["ref"]

    def search(**headers):
        return ask(server, "POST", SEARCH, {"subject": "p-1"}, key=agent["key"], headers=headers)

    assert search().status == 403
    found = search(**because()).json()["events"]
    assert [each["id"] for each in found] == [first] and found[0]["detail"]["recording_reference"] == MASK, found
    path, body = f"/api/events/{first}/disclose", {"fields": ["detail.recording_reference"]}

    def disclose(path=path, body=body, key=agent, person="p-1", **headers):
        return ask(server, "POST", path, body, key=key["key"], headers=because(**{"X-Vestige-Subject": person, **headers}))

    approval = waiting(disclose())
    assert waiting(disclose()) == approval, "asked twice for the same"
    brought = {"X-Vestige-Approval": approval}
    assert disclose(**brought).status == 403, "nobody said yes yet"
    assert decide(server, agent, approval).status == 403
    listed = ask(server, "GET", f"{APPROVALS}?which=to_decide", key=officer["key"]).json()["approvals"]
    assert [each["id"] for each in listed] == [approval] and "request" not in listed[0], listed
    seen = ask(server, "GET", f"{APPROVALS}/{approval}", key=officer["key"]).json()
    assert seen["request"] == {"body": body, "method": "POST", "operation": "discloseFields", "path": path, "person": "p-1",
                               "query": [], "role": "customer_service"}, seen
    assert (seen["reason"], seen["rule"], seen["askedBy"]["name"]) == ("complaint T-1", "reveal", "customer_service"), seen
    approve(server, officer, approval)
    assert decide(server, officer, approval).status == 409
    # Whatever differs from what was asked is another request.
    second = make(server, "customer_service", name="another agent")
    for wrong in (disclose(body={"fields": ["detail.call_summary"]}, **brought),
                  disclose(body={"fields": ["detail"]}, **brought),
                  disclose(path=f"/api/events/{other}/disclose", person="p-2", **brought),
                  disclose(person="p-2", **brought), disclose(path=path + "?x=1", **brought),
                  disclose(key=second, **brought), disclose(key=officer, **brought),
                  ask(server, "POST", path, body, key=agent["key"],
                      headers=because("another reason", **{"X-Vestige-Subject": "p-1", **brought})),
                  disclose(**{"X-Vestige-Approval": str(uuid.uuid4())})):
        assert wrong.status == 403 and b"recording1" not in wrong.body and b"recording2" not in wrong.body, wrong
    assert state(server, agent, approval) == "approved"
    # The reason of the approval is the one of the use.
    given = ask(server, "POST", path, body, key=agent["key"], headers={"X-Vestige-Subject": "p-1", **brought})
    assert given.status == 200 and b"recording1" in given.body and b"invoice1" not in given.body, given
    replay = disclose(**brought)
    assert replay.status == 403 and "good once" in replay.json()["detail"], replay
    assert search(**because()).json()["events"][0]["detail"]["recording_reference"] == MASK

    steps = story(server, approval)
    assert [(each["action"], each["sourceId"]) for each in steps] == [
        ("ASKED", agent["id"]), ("APPROVED", officer["id"]), ("USED", agent["id"])], steps
    assert [each["subject"] for each in steps] == ["p-1"] * 3, steps
    assert steps[0]["detail"]["reason"] == "complaint T-1" and steps[1]["detail"]["comment"] == "as agreed", steps
    assert {each["detail"]["rule"] for each in steps} == {"reveal"}, steps
    looks = ask(server, "POST", LOOKS, {"action": "REVEALED", "sourceId": agent["id"], "order": "asc"}).json()["events"]
    given = [each for each in looks if each["detail"]["status"] == 200]
    assert len(given) == 1 and given[0]["detail"]["approval"] == approval and given[0]["detail"]["subjects"] == [ref], given
    assert given[0]["detail"]["shown"] == ["clear", "personal", "sensitive"], given
    assert {each["detail"]["outcome"] for each in looks if each["detail"]["status"] != 200} == {"unauthorized"}, looks


def test_a_large_export_waits_for_management(context):
    server = context.server()
    change_policy(server, export_entries=3)
    send(server, *(event(targetType="ORDER", targetId=f"O-{number}", action="MADE" if number < 3 else "PAID") for number in range(7)))
    lawyer, manager, officer = make(server, "legal"), make(server, "management"), make(server, "compliance_officer")

    def export(body, path="/api/export", key=lawyer, **headers):
        return server.request("POST", path, body, key=key["key"], headers=because("the yearly review", **headers))

    small = export({"action": "MADE"})
    assert small.status == 200 and small.body.count(b'"O-') >= 3, small
    answer = export({"targetType": "ORDER"})
    approval = waiting(answer)
    assert answer.json()["approval"]["words"] == "more than 3 entries" and b"O-1" not in answer.body, answer
    brought = {"X-Vestige-Approval": approval}
    assert decide(server, officer, approval).status == 404, "management decides"
    assert ask(server, "GET", f"{APPROVALS}/{approval}", key=officer["key"]).status == 404
    approve(server, manager, approval)
    for wrong in (export({}, **brought), export({"targetType": "ORDER"}, path="/api/export?format=csv", **brought),
                  export({"targetType": "ORDER", "action": "PAID"}, **brought), export({"targetType": "ORDER"}, key=manager, **brought)):
        assert wrong.status == 403 and b'"O-1' not in wrong.body, wrong
    whole = export(b'{ "targetType":\n"ORDER" }', **brought)
    assert whole.status == 200 and b'"O-6"' in whole.body, whole
    assert export({"targetType": "ORDER"}, **brought).status == 403
    # By a link as well; a refusal stays one.
    linked = server.request("GET", "/api/export?targetId=O-1", key=lawyer["key"], headers=because())
    assert linked.status == 200, linked
    linked = server.request("GET", "/api/export?kind=data.change", key=lawyer["key"], headers=because())
    refused = waiting(linked)
    assert decide(server, manager, refused, "refuse", comment="no").json()["state"] == "refused"
    again = server.request("GET", "/api/export?kind=data.change", key=lawyer["key"],
                           headers=because(**{"X-Vestige-Approval": refused}))
    assert again.status == 403 and b"refused" in again.body, again
    assert server.request("POST", "/api/export", {}).status == 200, "the server's own key needs none"
    assert [each["action"] for each in story(server, approval)] == ["ASKED", "APPROVED", "USED"]
    ended = ask(server, "POST", LOOKS, {"filter": {"field": "detail.approval", "equals": approval}, "order": "asc"}).json()["events"]
    assert [each["action"] for each in ended][:1] == ["EXPORT_BEGUN"], ended


def test_nobody_approves_for_themselves(context):
    server = context.server()
    sent, = send(server, call("p-1", 1))
    lawyer, second = make(server, "legal"), make(server, "legal", name="second lawyer")
    path, body = f"/api/events/{sent}/disclose", {"fields": ["detail.recording_reference"]}
    approval = waiting(ask(server, "POST", path, body, key=lawyer["key"], headers=because()))
    own = decide(server, lawyer, approval)
    assert own.status == 403 and "themselves" in own.json()["detail"], own
    assert ask(server, "GET", f"{APPROVALS}?which=to_decide", key=lawyer["key"]).json()["approvals"] == []
    # The server's own key decides about nothing: it is nobody's office.
    assert ask(server, "POST", f"{APPROVALS}/{approval}/decide", {"decision": "approve"}).status == 404
    approve(server, second, approval)
    # Whoever said yes and is gone by then has not.
    assert ask(server, "DELETE", f"/api/keys/{second['id']}").status == 204
    gone = ask(server, "POST", path, body, key=lawyer["key"], headers=because(**{"X-Vestige-Approval": approval}))
    assert gone.status == 403 and "may not decide any more" in gone.json()["detail"], gone


def test_people_who_signed_in_ask_and_decide_and_their_keys_are_they(context):
    server = context.server()
    sent, = send(server, call("p-1", 1))
    ada, bob = person(server, "ada", "legal", "compliance_officer", "administrator"), person(server, "bob", "compliance_officer")
    path, body = f"/api/events/{sent}/disclose", {"fields": ["detail.recording_reference"]}

    def disclose(**headers):
        return ada.ask("POST", path, body, headers={"X-Vestige-Role": "legal", **headers})

    approval = waiting(disclose(**because()))
    verdict = {"decision": "approve"}
    made = ada.ask("POST", "/api/keys", {"name": "a second hand", "role": "compliance_officer"})
    assert made.status == 201, made
    for own in (ada.ask("POST", f"{APPROVALS}/{approval}/decide", verdict),
                ada.ask("POST", f"{APPROVALS}/{approval}/decide", verdict, headers={"X-Vestige-Role": "compliance_officer"}),
                ask(server, "POST", f"{APPROVALS}/{approval}/decide", verdict, key=made.json()["key"])):
        assert own.status == 403 and "themselves" in own.json()["detail"], own
    assert bob.ask("POST", f"{APPROVALS}/{approval}/decide", verdict, csrf=False).status == 403, "begun by another site"
    decided = bob.ask("POST", f"{APPROVALS}/{approval}/decide", verdict)
    assert decided.status == 200 and decided.json()["decision"]["by"]["name"] == "Bob", decided
    wrong = ada.ask("POST", path, body, headers={"X-Vestige-Role": "compliance_officer", "X-Vestige-Approval": approval})
    assert wrong.status == 403, "in another role"
    given = disclose(**{"X-Vestige-Approval": approval})
    assert given.status == 200 and b"recording1" in given.body, given


def test_of_many_who_use_an_approval_at_the_same_time_one_does_and_a_crash_gives_it_to_none_twice(context):
    server = context.server()
    sent, = send(server, call("p-1", 1))
    lawyer, officer = make(server, "legal"), make(server, "compliance_officer")
    path, body = f"/api/events/{sent}/disclose", {"fields": ["detail.recording_reference"]}

    def use(approval, answers):
        answers.append(ask(server, "POST", path, body, key=lawyer["key"], headers=because(**{"X-Vestige-Approval": approval})).status)

    approval = waiting(ask(server, "POST", path, body, key=lawyer["key"], headers=because()))
    server.kill()
    server.start()
    approve(server, officer, approval)
    server.kill()
    server.start()
    answers = []
    threads = [threading.Thread(target=use, args=(approval, answers)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [403] * 7, answers
    server.kill()
    server.start()
    use(approval, answers)
    assert answers[-1] == 403 and state(server, lawyer, approval) == "used"
    assert [each["action"] for each in story(server, approval)] == ["ASKED", "APPROVED", "USED"]


def test_an_approval_is_asked_for_ahead_withdrawn_and_listed(context):
    server = context.server()
    sent, = send(server, call("p-1", 1))
    lawyer, officer = make(server, "legal"), make(server, "compliance_officer")
    path, body = f"/api/events/{sent}/disclose", {"fields": ["detail.recording_reference"]}
    wanted = {"method": "POST", "target": path, "body": body}

    def ahead(wanted, key=lawyer, **headers):
        return ask(server, "POST", APPROVALS, wanted, key=key["key"], headers=because(**headers))

    approval = waiting(ahead(wanted))
    assert waiting(ask(server, "POST", path, body, key=lawyer["key"], headers=because())) == approval, "the same request"
    assert ask(server, "DELETE", f"{APPROVALS}/{approval}", key=officer["key"]).status == 404
    gone = ask(server, "DELETE", f"{APPROVALS}/{approval}", key=lawyer["key"])
    assert gone.status == 200 and gone.json()["state"] == "withdrawn" and "request" not in gone.json(), gone
    assert ask(server, "DELETE", f"{APPROVALS}/{approval}", key=lawyer["key"]).status == 409
    assert decide(server, officer, approval).status == 409
    second = waiting(ahead(wanted))
    approve(server, officer, second)
    given = ask(server, "POST", path, body, key=lawyer["key"], headers={"X-Vestige-Approval": second})
    assert given.status == 200 and b"recording1" in given.body, given
    export = waiting(ahead({"method": "POST", "target": "/api/export?format=csv", "body": {"kind": "ticket"}}))
    assert ask(server, "GET", f"{APPROVALS}/{export}", key=lawyer["key"]).json()["rule"] == "bulk_export"
    own = ask(server, "GET", f"{APPROVALS}?limit=2", key=lawyer["key"]).json()
    assert [each["id"] for each in own["approvals"]] == [export, second] and own["after"] == second, own
    rest = ask(server, "GET", f"{APPROVALS}?after={second}", key=lawyer["key"]).json()
    assert [each["id"] for each in rest["approvals"]] == [approval] and rest["after"] is None, rest
    for wrong, path_of_it in (({}, None), ({"method": "POST"}, "/target"), ({"method": 1, "target": "/"}, "/method"),
                              ({"method": "POST", "target": "api/export"}, "/target"),
                              ({"method": "POST", "target": "/api/nothing"}, "/target"),
                              ({"method": "GET", "target": "/healthz"}, "/target"),
                              ({"method": "POST", "target": "/api/export%"}, "/target"),
                              ({"method": "POST", "target": "/api/export", "rule": "reveal"}, "/rule"),
                              ({"method": "POST", "target": "/api/export", "role": "service"}, "/role"),
                              ({"method": "GET", "target": f"/api/events/{sent}"}, None), ([], None)):
        answer = ahead(wrong)
        assert answer.status == 400 and (path_of_it is None or answer.json()["path"] == path_of_it), (wrong, answer)
    assert ahead({"method": "POST", "target": "/api/keys", "body": {}}).status == 403
    assert ask(server, "POST", APPROVALS, wanted, key=lawyer["key"]).status == 403, "why?"
    for query in ("which=all", "limit=0", "limit=101", "limit=x", "after=x"):
        assert ask(server, "GET", f"{APPROVALS}?{query}", key=lawyer["key"]).status == 400, query
    for body in ({}, {"decision": "maybe"}, {"decision": "approve", "comment": 1}, {"decision": "approve", "state": "used"},
                 {"decision": "approve", "comment": "x" * 1025}, {"decision": "approve", "comment": "a\nb"}):
        answer = ask(server, "POST", f"{APPROVALS}/{export}/decide", body, key=officer["key"])
        assert answer.status == 400, (body, answer)
    for header in ("", "x", "0193f0a4", sent + "0"):
        answer = ask(server, "GET", f"/api/events/{sent}", key=lawyer["key"], headers=because(**{"X-Vestige-Approval": header}))
        assert answer.status == 400, (header, answer)


def test_erasing_a_person_waits_for_legal_and_takes_what_was_asked_about_them(context):
    server = context.server()
    sent, _ = send(server, call("p-1", 1), call("p-2", 2))
    lawyer, officer, agent = make(server, "legal"), make(server, "compliance_officer"), make(server, "customer_service")
    open_one = waiting(ask(server, "POST", f"/api/events/{sent}/disclose", {"fields": ["detail.call_summary"]}, key=agent["key"],
                           headers=because("Mrs Prune asks", **{"X-Vestige-Subject": "p-1"})))

    def erase(person="p-1", **headers):
        return ask(server, "POST", "/api/subjects/erase", {"subject": person}, key=officer["key"], headers=headers)

    assert erase().status == 403, "without a reason"
    approval = waiting(erase(**because("Mrs Prune's request, article 17")))
    assert decide(server, officer, approval).status == 403
    approve(server, lawyer, approval)
    assert erase("p-2", **{"X-Vestige-Approval": approval}).status == 403
    done = erase(**{"X-Vestige-Approval": approval})
    assert done.status == 200 and done.json()["state"] == "erased", done
    left = ask(server, "GET", f"{APPROVALS}/{open_one}", key=agent["key"]).json()
    assert left["state"] == "withdrawn" and left["reason"] == "" and "person" not in left and "request" not in left, left
    steps = story(server, open_one)
    assert [each["action"] for each in steps] == ["ASKED", "WITHDRAWN"], steps
    assert "reason" not in steps[0]["detail"] and steps[0]["sealed"][0]["state"] == "erased", steps
    assert "Mrs Prune" not in str(story(server, approval))
    server.stop()
    for file in server.data.rglob("*"):
        assert not file.is_file() or b"Mrs Prune" not in file.read_bytes(), file


def guard(server, **members):
    """From now on nobody changes where a contact's money goes without a second person."""
    rules = ask(server, "GET", POLICY).json()["policy"]["approvals"]
    rules["four_eyes"] = {"about": "where money goes", "deciders": ["compliance_officer"], "minutes": 60}
    change_policy(server, approvals=rules, modifications=[
        {"rule": "four_eyes", "kinds": ["data.change"], "fields": ["bank.iban"], "target_types": ["CONTACT"], **members}])


def change(contact="c-1", field="bank.iban", new="DE02", **more):
    return event(**{"action": "UPDATED", "targetType": "CONTACT", "targetId": contact, "subject": contact,
                    "changes": [{"field": field, "old": "DE01", "new": new}], **more})


def recorder(server, *scopes):
    answer = ask(server, "POST", "/api/keys", {"name": "crm", "scopes": list(scopes or ("ingest",))})
    assert answer.status == 201, answer
    return answer.json()


def size(server):
    return server.search(limit=1)["tree"]["size"]


def test_a_modification_waits_and_its_entry_says_who_approved_it(context):
    server = context.server()
    guard(server)
    crm, officer, other = recorder(server), make(server, "compliance_officer"), recorder(server)
    before = size(server)
    batch = [change(id=str(uuid.uuid4())), change(field="phone"), event(targetType="ORDER")]

    def record(body=None, key=crm, path="/api/events", **headers):
        return ask(server, "POST", path, batch if body is None else body, key=key["key"], headers=headers)

    assert record().status == 403, "why?"
    answer = record(**because("new bank, letter of 3 May"))
    approval = waiting(answer)
    assert answer.json()["approval"]["words"] == "1 of 3 events" and answer.json()["approval"]["rule"] == "four_eyes", answer
    brought = {"X-Vestige-Approval": approval}
    assert record(**brought).status == 403, "nobody said yes yet"
    # Nothing of it was recorded, and nobody has got a key by it.
    assert size(server) == before and ask(server, "GET", "/api/subjects/c-1/keys").json()["state"] == "never"
    seen = ask(server, "GET", f"{APPROVALS}/{approval}", key=officer["key"]).json()
    assert seen["request"]["body"] == batch and seen["request"]["operation"] == "recordEvents", seen
    approve(server, officer, approval)
    # Whatever differs from what was asked is another request.
    for wrong in (record([*batch[:2]], **brought), record([change(new="DE03"), *batch[1:]], **brought), record(batch[0], **brought),
                  record(key=other, **brought), record(path="/api/events?x=1", **brought), record(**because("else", **brought))):
        assert wrong.status == 403, wrong
    assert size(server) == before
    # A list that is written otherwise is the same list.
    given = ask(server, "POST", "/api/events", str(batch).replace("'", '"').encode(), key=crm["key"], headers=brought)
    assert given.status == 201 and given.json()["accepted"] == 3, given
    replay = record(**brought)
    assert replay.status == 403 and "good once" in replay.json()["detail"] and size(server) == before + 3, replay

    told = {"approver": officer["id"], "approverRole": "compliance_officer", "id": approval, "rule": "four_eyes"}
    recorded = server.search(filter={"field": "context.approval.id", "equals": approval}, order="asc")["events"]
    assert len(recorded) == 3, recorded
    for each in recorded:
        said = each["context"]["approval"]
        assert {name: said[name] for name in told} == told and set(said) == {*told, "decidedAt"}, said
    steps = story(server, approval)
    assert [(each["action"], each["sourceId"]) for each in steps] == [
        ("ASKED", crm["id"]), ("APPROVED", officer["id"]), ("USED", crm["id"])], steps
    assert steps[1]["time"] == recorded[0]["context"]["approval"]["decidedAt"], (steps, recorded)
    folded = ask(server, "GET", "/api/records/data/c-1").json()
    modification = folded["record"]["modification_events"][0]
    assert (modification["approval_required"], modification["approval_status"], modification["approver"]) == (
        "yes", "approved", officer["id"]), modification
    assert modification["approval"] == recorded[0]["context"]["approval"] and folded["entries"][0]["approval"] == modification["approval"]
    blamed = ask(server, "GET", "/api/entities/CONTACT/c-1/blame").json()
    assert blamed["fields"]["bank.iban"]["setBy"]["approval"]["id"] == approval, blamed
    # What does not wait is recorded as ever, and claims nothing.
    plain = record(change(field="phone"))
    assert plain.status == 201, plain
    kept = ask(server, "GET", f"/api/events/{plain.json()['events'][0]['id']}").json()
    assert "approval" not in kept["context"], kept


def test_no_client_claims_an_approval_or_gets_around_one(context):
    server = context.server()
    guard(server)
    crm, officer = recorder(server, "ingest", "read"), make(server, "compliance_officer")
    fake = {"approver": officer["id"], "approverRole": "compliance_officer", "decidedAt": "2026-01-01T00:00:00.000Z",
            "id": str(uuid.uuid4()), "rule": "four_eyes"}
    before = size(server)

    def record(body, path="/api/events", kind="application/json", key=crm["key"], **headers):
        return server.request("POST", path, body, key=key, headers={"Content-Type": kind, **because(**headers)})

    # What the server says itself nobody says, whether a yes is needed or not.
    for claimed in (change(context={"approval": fake}), change(field="phone", context={"approval": fake}),
                    event(kind="ticket", context={"approval": None})):
        answer = record([event(), claimed])
        assert answer.status == 400 and answer.json()["path"] == "/1/context/approval", answer
    for name in ("approval_required", "approval_status", "approver", "modification_id"):
        value = {"approval_required": "no", "approval_status": "approved"}.get(name, str(uuid.uuid4()))
        answer = record(change(detail={name: value}))
        assert answer.status == 400 and answer.json()["path"] == f"/detail/{name}", answer
    # Every way in asks: imports, a line in a list of lines, a part of the field, an own id, the server's own key.
    line = b'{"record": {"kind": "data.change", "action": "UPDATED", "targetType": "CONTACT", "targetId": "c-1", "changes": [{"field": "bank.iban", "new": "X"}]}}'
    lines = b"\n".join([b'{"kind": "data.change", "action": "X"}',
                        b'{"kind": "data.change", "action": "X", "targetType": "CONTACT", "changes": [{"field": "/bank.iban/0"}]}'])
    for answer in (record(line, "/api/imports/json", "application/x-ndjson"), record(lines, kind="application/x-ndjson"),
                   record(change(field="bank")), record(change(field="bank.iban.country")), record(change(id=str(uuid.uuid4()))),
                   record([change(field="phone"), change()]), ask(server, "POST", "/api/events", change(new="own"), headers=because())):
        waiting(answer)
    seen = ask(server, "GET", f"{APPROVALS}?which=to_decide", key=officer["key"]).json()["approvals"]
    assert len(seen) == 7, seen
    texts = [ask(server, "GET", f"{APPROVALS}/{each['id']}", key=officer["key"]).json()["request"] for each in seen]
    assert lines.decode() in [each.get("text") for each in texts], texts
    # Of two people it could not be withdrawn when one of them is erased; and who decides has to read it.
    answer = record([change(), change("c-2")])
    assert answer.status == 400 and b"one person" in answer.body, answer
    answer = record([change(new="x" * 70_000)])
    assert answer.status == 413 and b"approval_request_bytes_max" in answer.body, answer
    # An approval of another rule, or of a look, is none for this.
    asked = waiting(record({"method": "POST", "target": "/api/events", "body": change(new="ahead")}, APPROVALS))
    approve(server, officer, asked)
    assert record(change(new="other"), **{"X-Vestige-Approval": asked}).status == 403
    given = record(change(new="ahead"), **{"X-Vestige-Approval": asked})
    assert given.status == 201, given
    # Steps that a client sends about it afterwards change nothing of what was approved.
    modification = given.json()["events"][0]["id"]
    forged = record(event(action="APPROVED", targetType="CONTACT", targetId="c-1", subject="c-1", time="2020-01-01T00:00:00Z", detail={
        "modification_id": modification, "approver": "somebody else", "approval": fake, "field_changes": [{"field_name": "bank.iban", "new_value": "DE99"}]}))
    assert forged.status == 201 and size(server) == before + 2, forged
    events = ask(server, "GET", "/api/records/data/c-1").json()["record"]["modification_events"]
    approved = [each for each in events if "approval" in each]
    assert len(events) == 2 and len(approved) == 1 and approved[0]["approval"]["id"] == asked, events
    assert approved[0]["approver"] == officer["id"] and approved[0]["field_changes"][0]["new_value"] == "ahead", events


def test_a_policy_excepts_roles_and_erasing_takes_what_waits(context):
    server = context.server()
    guard(server, **{"except": ["service"]})
    crm = recorder(server)
    assert ask(server, "POST", "/api/events", change()).status == 201, "the policy says so"
    approval = waiting(ask(server, "POST", "/api/events", change(new="secret-iban"), key=crm["key"], headers=because("Mrs Prune asks")))
    assert ask(server, "POST", "/api/subjects/erase", {"subject": "c-1"}).status == 200
    steps = story(server, approval)
    assert [each["action"] for each in steps] == ["ASKED", "WITHDRAWN"] and "reason" not in steps[0]["detail"], steps
    change_policy(server, modifications=[])
    assert ask(server, "POST", "/api/events", change(new="after"), key=crm["key"]).status == 201
    server.stop()
    for file in server.data.rglob("*"):
        assert not file.is_file() or b"Mrs Prune" not in file.read_bytes(), file


def test_what_an_authority_asks_for_waits_for_legal_and_says_so(context):
    server = context.server()
    change_policy(server, export_entries=3)
    sent = send(server, *(call("p-1", number) for number in range(5)))
    officer, lawyer, manager = make(server, "compliance_officer"), make(server, "legal"), make(server, "management")
    purpose = {"X-Vestige-Purpose": "regulatory"}

    def export(body, key=officer, **headers):
        return server.request("POST", "/api/export", body, key=key["key"], headers=because("order 12/26 of the regulator", **headers))

    body = {"kind": "communication.call"}
    answer = export(body, **purpose)
    approval = waiting(answer)
    assert answer.json()["approval"]["rule"] == "regulatory" and b"invoice" not in answer.body, answer
    assert decide(server, manager, approval).status == 404, "legal decides"
    brought = {"X-Vestige-Approval": approval}
    seen = ask(server, "GET", f"{APPROVALS}/{approval}", key=lawyer["key"]).json()
    assert seen["request"]["purpose"] == "regulatory", seen
    approve(server, lawyer, approval)
    assert export(body, **brought).status == 403, "for no other purpose"
    assert state(server, officer, approval) == "approved"
    # Legal's yes is for an export of any size.
    whole = export(body, **purpose, **brought)
    assert whole.status == 200 and whole.body.count(b"call-") >= 5, whole
    assert export(body, **purpose, **brought).status == 403
    looks = ask(server, "POST", LOOKS, {"filter": {"field": "detail.purpose", "equals": "regulatory"}, "sourceId": officer["id"],
                                        "order": "asc"}).json()["events"]
    # Asked for, refused once (it was used up), begun, ended: each says what for.
    assert {each["action"] for each in looks} == {"EXPORTED", "EXPORT_BEGUN"}, looks
    given = [each["detail"] for each in looks if each["action"] == "EXPORT_BEGUN"]
    assert len(given) == 1 and (given[0]["approval"], given[0]["purpose"]) == (approval, "regulatory"), given

    # A disclosure, a read and a search as well, asked for ahead or not; a lawyer's by another lawyer.
    path, body = f"/api/events/{sent[0]}/disclose", {"fields": ["detail.recording_reference"]}
    asked = waiting(ask(server, "POST", APPROVALS, {"method": "POST", "target": path, "body": body, "purpose": "regulatory"},
                        key=lawyer["key"], headers=because()))
    assert decide(server, lawyer, asked).status == 403
    approve(server, make(server, "legal", name="second lawyer"), asked)
    opened = ask(server, "POST", path, body, key=lawyer["key"], headers=because(**purpose, **{"X-Vestige-Approval": asked}))
    assert opened.status == 200 and b"recording0" in opened.body, opened
    for method, target, sending in (("GET", f"/api/events/{sent[0]}", None), ("POST", SEARCH, {"subject": "p-1"}),
                                    ("GET", "/api/subjects/p-1/timeline", None)):
        waiting(ask(server, method, target, sending, key=officer["key"], headers=because(**purpose)))
    for wrong in ("", "marketing", "Regulatory", "regulatory, reveal"):
        answer = export({}, **{"X-Vestige-Purpose": wrong})
        assert answer.status == 400 and b"X-Vestige-Purpose" in answer.body, answer
    rules = ask(server, "GET", POLICY).json()["policy"]["approvals"]
    change_policy(server, approvals={name: rule for name, rule in rules.items() if name != "regulatory"})
    answer = export({"action": "none"}, **purpose)
    assert answer.status == 403 and b"regulatory" in answer.body, answer


def test_the_command_line_asks_decides_and_uses(context):
    server = context.server()
    sent, = send(server, call("p-1", 1))
    lawyer, officer = make(server, "legal"), make(server, "compliance_officer")
    disclose = ("disclose", sent, "--field", "detail.recording_reference")

    def run(key, *arguments, **more):
        return context.vestige(*arguments, "--key", key["key"], "--url", server.url, **more)

    asked = run(lawyer, *disclose, "--reason", "case 7")
    assert asked.status == 1 and "waits for an approval" in asked.errors and "recording1" not in asked.output, asked
    listed = run(officer, "approval", "list", "--to-decide", "--json").json()["approvals"]
    approval = listed[0]["id"]
    assert len(listed) == 1 and approval in asked.errors, (listed, asked)
    shown = run(officer, "approval", "show", approval).json()
    assert shown["request"]["body"] == {"fields": ["detail.recording_reference"]}, shown
    decided = run(officer, "approval", "decide", approval, "approve", "--comment", "as agreed")
    assert decided.status == 0 and decided.json()["state"] == "approved", decided
    given = run(lawyer, *disclose, "--approval", approval)
    assert given.status == 0 and "recording1" in given.output, given
    again = run(lawyer, *disclose, environment={"VESTIGE_APPROVAL": approval})
    assert again.status == 1 and "good once" in again.errors, again
    assert run(lawyer, *disclose, "--approval", "x").status == 2
    other = run(lawyer, *disclose, "--reason", "case 8")
    second = run(lawyer, "approval", "list").json()["approvals"][0]["id"]
    assert second in other.errors
    assert run(lawyer, "approval", "withdraw", second).json()["state"] == "withdrawn"
    assert run(lawyer, "approval", "decide", second, "perhaps").status == 2


def test_the_command_line_erases_imports_and_answers_an_authority_with_a_yes(context):
    server = context.server()
    send(server, call("p-1", 1), call("p-2", 2))
    lawyer, officer, agent = make(server, "legal"), make(server, "compliance_officer"), make(server, "customer_service")

    def run(key, *arguments, **more):
        return context.vestige(*arguments, "--key", key["key"], "--url", server.url, **more)

    def approved(by, *, of):
        asked = run(by, "approval", "list", "--to-decide").json()["approvals"][0]
        assert asked["askedBy"]["id"] == of["id"], asked
        assert run(by, "approval", "decide", asked["id"], "approve").status == 0
        return asked["id"]

    # One customer at a time, whom the command names.
    shown = ("record", "call", "call-1", "--reason", "complaint T-1")
    assert run(agent, *shown).status == 1
    assert run(agent, *shown, "--subject", "p-2").status == 1
    seen = run(agent, *shown, "--subject", "p-1")
    assert seen.status == 0 and seen.json()["record"]["call_purpose"] == "support" and "invoice1" not in seen.output, seen
    assert run(agent, *shown, "--subject", "p-1\n").status == 2

    found = ("export", "kind:communication.call", "--purpose", "regulatory")
    waits = run(officer, *found, "--reason", "order 12/26")
    assert waits.status == 1 and "waits for an approval" in waits.errors and "call-1" not in waits.output, waits
    given = run(officer, *found, "--approval", approved(lawyer, of=officer))
    assert given.status == 0 and "call-1" in given.output, given
    assert run(officer, "export", "--purpose", "marketing", "--reason", "x").status == 1

    erase = ("erase", "p-1", "--yes", "--reason", "request of 20 November")
    waits = run(officer, *erase)
    assert waits.status == 1 and "waits for an approval" in waits.errors, waits
    erased = run(officer, *erase, "--approval", approved(lawyer, of=officer))
    assert erased.status == 0 and erased.json()["erasedBy"] > 0, erased
    again = ("reauthorise", "p-1", "--reason", "new contract")
    assert run(officer, *again).status == 1
    back = run(officer, *again, "--approval", approved(lawyer, of=officer))
    assert back.status == 0 and back.json()["state"] == "reauthorised", back

    guard(server)
    crm, file = recorder(server), context.folder / "changes.ndjson"
    file.write_text(json.dumps(change("c-9", id=str(uuid.uuid4()))) + "\n")
    imports = ("import", str(file), "--format", "ndjson")
    waits = run(crm, *imports, "--reason", "letter of 3 May")
    assert waits.status == 1 and "waits for an approval" in waits.errors and "Nothing of this batch" in waits.errors, waits
    done = run(crm, *imports, "--approval", approved(officer, of=crm))
    assert done.status == 0 and done.json()["accepted"] == 1, done
