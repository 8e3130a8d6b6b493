"""Defends: the matrix is what the server does. For every cell, role x operation x class of values, a request that the cell
permits is answered and one that it refuses is not; what permits is what the cell says: the role, a reason, one person, the
kinds, an approval. An operation that nobody wrote a request for here fails.

Cells come from GET /api/access/matrix of the running server; requests are made from the operations of openapi.json."""
import http.client
import json

from api_parts import DESCRIPTION, ask, event
from people import PASSWORD, Browser, facts, in_seconds, person, with_end

SEARCH = "/auditlog/events/v2"
PERSON, OTHER = "p-1", "p-2"
REASON = {"X-Vestige-Reason": "the matrix"}
# One of each class of values, and a word of the person's that no other text has.
OTHERS_PHONE = "+27820000002"
PHONE, RECORDING, NEW_PHONE, WORDING = "+27820000001", "recording-of-p1", "+27820000009", "wording-of-p1"
LOOKED_FOR = "a-reason-to-look-at-p1"


# What people send about themselves.
OWN_BODIES = {"changePassword": {"password": PASSWORD, "newPassword": f"{PASSWORD} anew"}, "offerSecondFactor": {"password": PASSWORD},
              "confirmSecondFactor": {"code": "000000"}, "renewRecoveryCodes": {"password": PASSWORD}}


def described():
    return {operation["operationId"]: (method.upper(), path) for path, methods in DESCRIPTION["paths"].items()
            for method, operation in methods.items() if method in ("get", "post", "put", "delete", "patch")}


class Request:
    """What one operation is asked. `personal` and `sensitive` are values that its whole answer holds; `refused_by` is a request of
    the same operation that would tell such a value otherwise."""

    def __init__(self, path=None, body=None, headers=None, personal=None, sensitive=None, oracle=None, kind=None):
        self.path, self.body, self.headers = path, body, headers or {}
        self.personal, self.sensitive, self.oracle, self.kind = personal, sensitive, oracle, kind


class World:
    def __init__(self, context):
        self.server = context.server()
        self.methods = described()
        self.keys, self.count = {}, 0
        self.ids = {kind: self.send(**fields) for kind, fields in {
            "communication.call": {"kind": "communication.call", "targetType": "CALL", "targetId": "call-1", "subject": PERSON, "detail": {
                "call_purpose": "support", "customer_phone": PHONE, "recording_reference": RECORDING}},
            "data.change": {"action": "UPDATED", "targetType": "CONTACT", "targetId": "c-1", "subject": PERSON,
                            "changes": [{"field": "phone", "old": "+27820000008", "new": NEW_PHONE}]},
            "template": {"kind": "template", "targetType": "TEMPLATE", "targetId": "t-1", "subject": PERSON,
                         "changes": [{"field": "body", "old": "before", "new": WORDING}]}}.items()}
        # Exports and disclosures hand on whole sections, and one with a sensitive value is none that a reason opens.
        self.unsensitive = self.send(kind="communication.call", targetType="CALL", targetId="call-3", subject=PERSON, detail={
            "call_purpose": "support", "customer_phone": PHONE})
        self.others = self.send(kind="communication.call", targetType="CALL", targetId="call-2", subject=OTHER, detail={
            "call_purpose": "other", "customer_phone": OTHERS_PHONE})
        self.ids["system.server"] = self.server.search(kind="system.server")["events"][-1]["id"]
        self.service("PUT", "/api/cursors/c", {"next": 0})
        self.service("POST", "/api/tenants", {"id": "acme"})
        self.service("GET", f"/api/events/{self.ids['communication.call']}",
                     headers={"X-Vestige-Reason": LOOKED_FOR, "X-Vestige-Subject": PERSON})
        self.erasure = self.service("POST", "/api/subjects/erase", {"subject": "somebody else"}).json()["intent"]
        self.people = {}
        self.browser_of("legal").ask("DELETE", "/api/session")
        self.session = facts(self.server, kind="access.session")[0]["targetId"]
        self.browser_of("legal", anew=True)
        self.month = self.server.search(limit=1)["events"][0]["time"][:7]

    def service(self, method, path, body=None, **options):
        answer = ask(self.server, method, path, body, **options)
        assert answer.status < 300, (method, path, answer)
        return answer

    def send(self, **fields):
        return self.service("POST", "/api/events", event(**fields)).json()["events"][0]["id"]

    def key_of(self, role, operation):
        """A key without a role has scopes; one with all of them would act as the server's own."""
        method, path = self.methods[operation]
        scope = DESCRIPTION["paths"][path][method.lower()].get("x-scope")
        wish = {"role": role} if role != "key" else {"scopes": ["ingest", "admin" if scope == "admin" else "read"]}
        name = json.dumps(wish)
        if name not in self.keys:
            self.keys[name] = self.service("POST", "/api/keys", {"name": f"a {role}", **wish, **with_end(role)}).json()["key"]
        return self.keys[name]

    def browser_of(self, role, anew=False):
        """Somebody who signed in, and has the role where it is one of people."""
        if anew or role not in self.people:
            roles = [] if role in ("key", "service", "customer") else [role]
            self.people[role] = person(self.server, f"person-{self.number()}", *roles)
        return self.people[role]

    def number(self):
        self.count += 1
        return self.count

    def requests(self, kind):
        """One for each operation, about entries of `kind` where the role sees only some."""
        one = self.ids[kind]
        personal, sensitive = {"communication.call": (PHONE, RECORDING), "template": (WORDING, None)}.get(kind, (None, None))
        record = {"communication.call": "/api/records/call/call-1", "template": "/api/records/template/t-1"}.get(
            kind, "/api/records/call/call-1")
        values = {"personal": personal, "sensitive": sensitive}
        oracle = {"filter": {"field": "detail.customer_phone", "equals": PHONE}}
        secret = {"filter": {"field": "detail.recording_reference", "equals": RECORDING}}
        entity = {"personal": NEW_PHONE}
        policy = self.service("GET", "/api/access/policy").json()
        return {
            "recordEvents": Request(body=event()),
            "importRecords": Request("/api/imports/json", b'{"record":{"kind":"data.change","action":"X"}}\n', {"Content-Type": "application/x-ndjson"}),
            "searchEvents": Request(body={"kind": kind, "total": True}, oracle=(oracle, secret), **values),
            "exportEvents": Request(f"/api/export?query=kind:{kind}", **values),
            "exportSearch": Request(body={"kind": kind}, oracle=(oracle, secret), **values),
            "streamEvents": Request(f"/api/events/stream?from=0&query=kind:{kind}", **values),
            "listCursors": Request(), "readCursor": Request("/api/cursors/c"),
            "saveCursor": Request("/api/cursors/c", {"next": 0}),
            "getEvent": Request(f"/api/events/{one}", **values),
            "getSealedEvent": Request(f"/api/events/{one}/sealed"), "getProof": Request(f"/api/events/{one}/proof"),
            "discloseFields": Request(f"/api/events/{one}/disclose", {"fields": ["detail.call_purpose"]}),
            "getRecord": Request(record, **(values if kind != "template" else {})),  # a template's record has no changes
            "getEntityHistory": Request("/api/entities/CONTACT/c-1/history", **entity),
            "getEntityState": Request("/api/entities/CONTACT/c-1/state", **entity),
            "getEntityDiff": Request("/api/entities/CONTACT/c-1/diff?from=2000-01-01T00:00:00Z&to=2100-01-01T00:00:00Z", **entity),
            "getEntityBlame": Request("/api/entities/CONTACT/c-1/blame", **entity),
            "getSubjectTimeline": Request(f"/api/subjects/{PERSON}/timeline", **values),
            "searchLooks": Request(body={"order": "asc", "limit": 1000}, personal=LOOKED_FOR, oracle=({"filter": {"field": "detail.access_reason", "equals": LOOKED_FOR}}, None)),
            "getSessionRecord": Request(f"/api/access/sessions/{self.session}"),
            "reviewAccess": Request(f"/api/access/review?month={self.month}"),
            "signReview": Request(body={"month": self.month, "size": 1}),
            "getCoverage": Request(), "getMatrix": Request(), "getPolicy": Request(),
            "changePolicy": Request(body={"version": policy["version"], "policy": policy["policy"]}),
            "createAccount": Request(body={"loginName": "{new name}", "displayName": "X", "roles": ["auditor"], **with_end("auditor")}), "listAccounts": Request(),
            "getAccount": Request("/api/accounts/{new account}"),
            "setRoles": Request("/api/accounts/{new account}/roles", {"roles": ["legal"]}),
            "setAccountEnd": Request("/api/accounts/{new account}/end", {"expiresAt": in_seconds(60)}),
            **{operation: Request(f"/api/accounts/{{new account}}/{act}") for operation, act in (
                ("disableAccount", "disable"), ("enableAccount", "enable"), ("unlockAccount", "unlock"), ("resetPassword", "reset-password"),
                ("requirePasswordChange", "require-password-change"), ("removeSecondFactor", "remove-second-factor"),
                ("endSessionsOfAccount", "sessions"))},
            "createCustomerLink": Request(body={"subject": PERSON, "validSeconds": 60}),
            "createTenant": Request(body={"id": "{new tenant}"}), "listTenants": Request(),
            "setTenantTier": Request("/api/tenants/acme/tier", {"tier": "premium"}),
            **{operation: Request(f"/api/tenants/acme/{act}") for operation, act in (
                ("suspendTenant", "suspend"), ("resumeTenant", "resume"), ("inviteTenantAdministrator", "administrator"))},
            "askApproval": Request(body={"method": "GET", "target": "/api/access/matrix"}),  # which everybody may
            "listApprovals": Request(), "getApproval": Request("/api/approvals/{new approval}"),
            "withdrawApproval": Request("/api/approvals/{new approval}"),
            "decideApproval": Request("/api/approvals/{new approval}/decide", {"decision": "refuse", "comment": "the matrix"}),
            "createKey": Request(body={"name": "x", "scopes": ["ingest"]}), "listKeys": Request(),
            "revokeKey": Request("/api/keys/{new key}"),
            "erasePerson": Request(body={"subject": "{new person}"}),
            "reauthorisePerson": Request(body={"subject": "{erased person}"}),
            "getPersonKeys": Request(f"/api/subjects/{PERSON}/keys"),
            "getCertificate": Request(f"/api/erasures/{self.erasure}/certificate"),
        }

    def fresh(self, request):
        """What an act needs a new one of each time."""
        path, body = request.path, request.body
        if path and "{new key}" in path:
            path = f"/api/keys/{self.service('POST', '/api/keys', {'name': 'to go', 'scopes': ['read']}).json()['id']}"
        if path and "{new approval}" in path:
            waiting = ask(self.server, "POST", "/api/subjects/erase", {"subject": f"person {self.number()}"},
                          key=self.key_of("compliance_officer", "erasePerson"), headers=REASON)
            assert waiting.status == 202, waiting
            path = path.replace("{new approval}", waiting.json()["approval"]["id"])
        if path and "{new account}" in path:
            wish = {"loginName": f"somebody-{self.number()}", "displayName": "Somebody", "roles": ["operator"]}
            path = path.replace("{new account}", self.service("POST", "/api/accounts", wish).json()["account"]["id"])
        if isinstance(body, dict) and body.get("id") == "{new tenant}":
            body = {"id": f"tenant-{self.number()}"}
        if isinstance(body, dict) and body.get("loginName") == "{new name}":
            body = {**body, "loginName": f"somebody-{self.number()}"}
        if isinstance(body, dict) and body.get("subject") == "{new person}":
            body = {"subject": f"person {self.number()}"}
        if isinstance(body, dict) and body.get("subject") == "{erased person}":
            body = {"subject": f"person {self.number()}"}
            self.service("POST", "/api/subjects/erase", body)
        return path, body

    def send_as(self, role, operation, request, headers, body=None):
        """The status and the text of the answer."""
        method, path = self.methods[operation]
        fresh_path, fresh_body = self.fresh(request)
        if body is not None:
            fresh_body = body
        key = None if role is None else self.key_of(role, operation)
        sent = {**request.headers, **headers}
        if operation == "streamEvents":
            return self.watch(fresh_path, key, sent)
        answer = self.server.request(method, fresh_path or path, fresh_body, key=key, headers=sent)
        return answer.status, answer.body.decode("utf-8", "replace")

    def watch(self, path, key, headers):
        """The first event of a stream, or the refusal."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        connection.request("GET", path, headers={**headers, **({"Authorization": f"Bearer {key}"} if key else {})})
        answer = connection.getresponse()
        text = ""
        if answer.status == 200:
            while "data: {" not in text or not text.endswith("\n"):
                text += answer.readline().decode()
        connection.close()
        return answer.status, text


# Whose approval it is and which rule it is of decide besides the role.
OF_APPROVALS = ("askApproval", "getApproval", "withdrawApproval", "decideApproval")


def permits(operation, seen):
    """Whether the role was let through."""
    if operation not in OF_APPROVALS:
        return seen[0] < 300
    return seen[0] != 401 and "your role does not allow this" not in seen[1] and "lacks the scope" not in seen[1]


class Judge:
    """Sends a cell's two requests. Counts them, and notes what was otherwise."""

    def __init__(self, world):
        self.world, self.faults, self.sent = world, [], 0
        self.rules = world.service("GET", "/api/access/policy").json()["policy"]["approvals"]

    def expect(self, what, holds, seen):
        self.sent += 1
        if not holds:
            self.faults.append(f"{what}: {seen[0]} {seen[1][:300]}")

    def clear(self, role, operation, value, request, headers):
        world, what = self.world, f"{role} {operation} clear {value}"
        good = {**REASON, **headers}
        if value == "-":
            self.expect(f"{what}, refused", (seen := world.send_as(role, operation, request, good))[0] == 403, seen)
            self.expect(f"{what}, permitted to the server's own", permits(operation, seen := world.send_as("service", operation, request, good)), seen)
            return
        waits = value.rpartition(" + ")[2] in self.rules
        seen = world.send_as(role, operation, request, good)
        self.expect(f"{what}, permitted", seen[0] == 202 if waits else permits(operation, seen), seen)
        if "reason" in value:
            self.expect(f"{what}, refused without a reason", (seen := world.send_as(role, operation, request, headers))[0] == 403, seen)
        elif value == "counted":
            self.expect(f"{what}, no entries", '"events":[]' in seen[1], seen)
            self.expect(f"{what}, refused without a count",
                        (seen := world.send_as(role, operation, request, good, {"kind": request.kind}))[0] == 403, seen)
        else:
            self.expect(f"{what}, refused to nobody", (seen := world.send_as(None, operation, request, good))[0] == 401, seen)
        if " of " in value:
            other = world.requests("data.change")[operation]
            if operation == "searchEvents":
                seen = world.send_as(role, operation, other, good, {"kind": "data.change", **({"subject": PERSON} if "person" in value else {})})
                self.expect(f"{what}, refused other kinds", seen[0] == 200 and '"events":[]' in seen[1], seen)
            elif operation == "getEvent":
                self.expect(f"{what}, refused other kinds", (seen := world.send_as(role, operation, other, good))[0] == 404, seen)
        if value.startswith("person") and operation in ("searchEvents", "getEvent", "getRecord"):
            self.expect(f"{what}, refused without a person",
                        (seen := world.send_as(role, operation, request, REASON, {"kind": request.kind} if request.body else None))[0] == 403, seen)

    def own(self, role, operation, method, path):
        """An operation of people for themselves: of who signed in, whatever their role, and of no key."""
        what = f"{role} {operation}"
        if role != "customer":
            key = self.world.key_of(role, operation)
            answer = self.world.server.request(method, path, {} if method == "POST" else None, key=key)
            self.expect(f"{what}, refused to a key", answer.status == 403, (answer.status, answer.body.decode()))
        answer = self.world.browser_of(role).ask(method, path, OWN_BODIES.get(operation))
        # What it takes besides, such as a second factor to renew its codes, is no matter of the role.
        self.expect(f"{what}, permitted", answer.status not in (401, 403), (answer.status, answer.body.decode()))
        if answer.status < 300 and operation in ("signOut", "changePassword"):
            self.world.browser_of(role, anew=True)

    def values(self, role, operation, value_class, value, request, headers):
        world, what = self.world, f"{role} {operation} {value_class} {value}"
        probe = getattr(request, value_class)
        if operation == "discloseFields" and value != "-":
            return self.disclosed(role, value_class, value, request)
        if value == "-":
            seen = world.send_as(role, operation, request, {**REASON, **headers})
            self.expect(f"{what}, not told", probe is None or probe not in seen[1], seen)
            return None
        with_reason = world.send_as(role, operation, request, {**REASON, **headers})
        without = world.send_as(role, operation, request, headers)
        shown_with, shown_without = {"masked": (False, False), "approval": (False, False), "reason": (True, False),
                                     "shown": (True, True)}[value]
        if probe is not None:
            self.expect(f"{what}, with a reason", with_reason[0] < 300 and (probe in with_reason[1]) == shown_with, with_reason)
            self.expect(f"{what}, without one", (probe in without[1]) == shown_without, without)
        oracle = request.oracle and request.oracle[("personal", "sensitive").index(value_class)]
        if oracle and not shown_without:
            seen = world.send_as(role, operation, request, {**headers, **(REASON if not shown_with else {})}, {**oracle, **request.about})
            self.expect(f"{what}, not to be asked for", seen[0] == 403, seen)
        return None

    def disclosed(self, role, value_class, value, request):
        world, what = self.world, f"{role} discloseFields {value_class} {value}"
        field, probe = {"personal": ("detail.customer_phone", PHONE), "sensitive": ("detail.recording_reference", RECORDING)}[value_class]
        if value_class == "personal":
            request = Request(f"/api/events/{world.unsensitive}/disclose", {})
        for headers, shown in ((REASON, value in ("reason", "shown")), ({}, value == "shown")):
            status, text = world.send_as(role, "discloseFields", request, headers, {"fields": [field]})
            self.expect(f"{what}, {headers}", (probe in text) == shown and (status < 300) in (shown, status == 202), (status, text))


def kind_of(cell):
    """Which of the entries a role may see, by its cell."""
    if " of " not in cell:
        return "communication.call"
    kinds = cell.partition(" of ")[2]
    return next(kind for kind in ("communication", "template", "system.server") if kind in kinds).replace("communication", "communication.call")


def test_every_cell_permits_what_it_says_and_refuses_the_rest(context):
    world = World(context)
    judge = Judge(world)
    matrix = world.service("GET", "/api/access/matrix").json()
    assert {each["operation"] for each in matrix["operations"]} == {
        name for name, (method, path) in world.methods.items() if DESCRIPTION["paths"][path][method.lower()]["security"]}
    cells = 0
    for each in matrix["operations"]:
        operation = each["operation"]
        if each["scope"] == "session":
            method, path = world.methods[operation]
            for role in sorted({cell["role"] for cell in each["cells"]}):
                cells += 1
                judge.own(role, operation, method, path.replace("{id}", world.session))
            continue
        by_role = {}
        for cell in each["cells"]:
            by_role.setdefault(cell["role"], {})[cell["class"]] = cell["value"]
        for role, values in by_role.items():
            if role == "customer":
                continue  # no key acts as a customer: the test below
            cell = values["clear"]
            kind = kind_of(cell)
            known = world.requests(kind)
            assert operation in known, f"nobody wrote a request for {operation}"
            request = known[operation]
            request.kind, request.about = kind, {}
            headers = {}
            if cell.startswith("person"):
                headers = {"X-Vestige-Subject": PERSON}
            for value_class, value in values.items():
                cells += 1
                if value_class == "clear":
                    judge.clear(role, operation, value, request, headers)
                else:
                    judge.values(role, operation, value_class, value, request, headers)
    assert not judge.faults, f"{len(judge.faults)} of {judge.sent} requests:\n" + "\n".join(judge.faults[:30])
    assert cells > 500 and judge.sent > cells, (cells, judge.sent)


def test_every_cell_of_a_customer(context):
    world = World(context)
    token = world.service("POST", "/api/customer-links", {"subject": PERSON, "validSeconds": 600}).json()["token"]
    customer = Browser(world.server)
    assert customer.ask("POST", "/api/sign-in/link", {"token": token}).status == 200
    own, others = world.requests("communication.call"), {
        "getEvent": f"/api/events/{world.others}", "getProof": f"/api/events/{world.others}/proof",
        "getRecord": "/api/records/call/call-2", "getSubjectTimeline": f"/api/subjects/{OTHER}/timeline"}
    cells = 0
    for each in world.service("GET", "/api/access/matrix").json()["operations"]:
        operation = each["operation"]
        if each["scope"] == "session":
            continue  # whoever signed in, for themselves: the test above
        values = {cell["class"]: cell["value"] for cell in each["cells"] if cell["role"] == "customer"}
        method, path = world.methods[operation]
        request = own[operation]
        own_path, body = world.fresh(request)
        answer = customer.ask(method, own_path or path, body, headers={**REASON, **request.headers})
        cells += len(values)
        if values["clear"] == "-":
            assert answer.status == 403, (operation, answer)
            continue
        assert values["clear"] == "own" and answer.status == 200, (operation, values, answer)
        text = answer.body.decode()
        for value_class, value in values.items():
            probe = None if value_class == "clear" else getattr(request, value_class)
            assert probe is None or (value == "shown" and probe in text), (operation, value_class, text)
        assert OTHERS_PHONE not in text and OTHER not in text, (operation, text)
        if operation in others:
            refused = customer.ask("GET", others[operation])
            nothing = refused.status == 404 or refused.json().get("events") == []
            assert nothing and OTHERS_PHONE.encode() not in refused.body, (operation, refused)
    for body in ({"subject": OTHER}, {"text": OTHERS_PHONE}, {"filter": {"field": "detail.customer_phone", "equals": OTHERS_PHONE}},
                 {"filter": {"field": "targetId", "equals": "call-2"}, "total": True}):
        found = customer.ask("POST", SEARCH, body)
        assert found.status == 403 or (found.json()["events"] == [] and not found.json().get("total")), (body, found)
    assert cells > 50, cells
