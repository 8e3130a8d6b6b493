"""Defends: what takes a second person. A request that needs a yes is not answered but asked for; another person decides; the
yes is good once, for the very request, for who asked, and in no other way; and the stream `access` tells the whole story."""
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
