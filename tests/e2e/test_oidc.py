"""Defends: signing in by OpenID Connect works with a provider that is not ours (npm oidc-provider, tests/oidc/), with
each algorithm and client authentication; its keys may change between two logins; its refusals and its absence are
said plainly.

Most of it calls the library through build/dev/oidc_login_probe, whose clock can be moved; the last tests go through the server.
This file plays the browser.
"""
import html.parser
import http.client
import http.cookiejar
import json
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import harness
import npm_packages
import people
from api_parts import ask

SOURCES = harness.ROOT / "tests" / "oidc"
INSTALLED = harness.ROOT / "build" / "oidc"
PROBE = harness.ROOT / "build" / "dev" / "oidc_login_probe"
CALLBACK = "https://audit.example/api/sign-in/test/callback"
SECRETS = {"RS256": "the secret: 100% & more", "PS256": "another/secret+", "ES256": "a-third-secret",
           "EdDSA": "a-fourth-secret"}
READY_SECONDS_MAX = 60


def install(context):
    """The provider's packages, as the lock file names them, once; from npm's cache in build/ where it has them."""
    if not install.tried:
        install.tried, install.failure = True, npm_packages.why_not_installed(
            SOURCES, INSTALLED, ["provider.mjs"], "the identity provider of tests/oidc")
    if install.failure:
        context.skip(install.failure)


install.tried, install.failure = False, ""


def node(*arguments):
    subprocess.run(["node", "provider.mjs", *[str(argument) for argument in arguments]], cwd=INSTALLED,
                   stdin=subprocess.DEVNULL, capture_output=True, timeout=harness.COMMAND_SECONDS_MAX, check=True)


class Provider:
    """One run of tests/oidc/provider.mjs after the other on one port."""

    def __init__(self, context):
        install(context)
        self.context, self.port, self.process, self.runs = context, harness.free_port(), None, 0
        self.issuer = f"http://127.0.0.1:{self.port}"

    def make_keys(self, prefix, old=None):
        file = self.context.folder / f"{prefix}.json"
        node("--make-keys", prefix, file, *([old] if old else []))
        return file

    def start(self, keys, *options):
        self.runs += 1
        log = self.context.folder / f"provider{self.runs}.log"
        with open(log, "wb") as output:
            self.process = self.context.spawn(["node", "provider.mjs", self.port, keys, *options], cwd=INSTALLED,
                                              stdout=output, stderr=output)
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline:
            assert self.process.poll() is None, log.read_text()
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                connection.request("GET", "/.well-known/openid-configuration")
                if connection.getresponse().status == 200:
                    return self
            except OSError:
                time.sleep(0.05)
            finally:
                connection.close()
        raise AssertionError(f"the provider was not ready within {READY_SECONDS_MAX} s: {log.read_text()}")

    def stop(self):
        self.process.terminate()
        self.process.wait(harness.END_SECONDS_MAX)


class Probe:
    def __init__(self, context):
        assert PROBE.exists(), f"{PROBE} is not built; ./test and ./dev build dev build it"
        environment = {f"SECRET_{name}": secret for name, secret in SECRETS.items()}
        self.process = context.spawn([PROBE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                     env={**harness.clean_environment(), **environment})

    def __call__(self, *words):
        self.process.stdin.write("\t".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the probe ended with status {self.process.wait(harness.END_SECONDS_MAX)} at {words}"
        return json.loads(line)

    def open(self, provider, *clients, audience="staff", userinfo="no"):
        """Each client is a sign-in provider of its own, named after it."""
        for client in clients:
            algorithm = client.removeprefix("client-")
            secret = f"SECRET_{algorithm}" if algorithm in SECRETS else ""
            assert self("provider", client.lower(), provider.issuer, client, secret, audience, userinfo) == {}
        assert self("open") == {}
        return self


class Form(html.parser.HTMLParser):
    """The first form of a page: where it goes, and its fields."""

    def __init__(self, page):
        super().__init__()
        self.action, self.fields = None, {}
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form" and self.action is None:
            self.action = attributes["action"]
        if tag == "input" and attributes.get("name"):
            self.fields[attributes["name"]] = attributes.get("value") or ""


class Browser(urllib.request.HTTPRedirectHandler):
    """Follows the provider's pages, with its cookies, until it sends us back to the callback."""

    def __init__(self, person):
        self.person = person
        self.opener = urllib.request.build_opener(self, urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        self.returned = None

    def redirect_request(self, request, answer, code, message, headers, location):
        if location.startswith(CALLBACK):
            self.returned = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))
            return None
        return super().redirect_request(request, answer, code, message, headers, location)

    def visit(self, location, form=None):
        data = urllib.parse.urlencode(form).encode() if form is not None else None
        try:
            with self.opener.open(location, data, timeout=60) as answer:
                return answer.geturl(), answer.read().decode()
        except urllib.error.HTTPError as error:
            if self.returned is None:
                raise AssertionError(f"{location}: {error.code} {error.read()[:600]}") from error
            return location, ""

    def sign_in(self, location):
        """Gives the query with which the provider sent the browser back."""
        self.returned = None
        address, page = self.visit(location)
        for _ in range(4):
            if self.returned is not None:
                return self.returned
            form = Form(page)
            assert form.action, page[:2000]
            if "login" in form.fields:
                form.fields.update(login=self.person, password="any")
            address, page = self.visit(urllib.parse.urljoin(address, form.action), form.fields)
        assert self.returned is not None, page[:2000]
        return self.returned


def complete(probe, name, begun, returned, **changed):
    answer = {"state": "", "code": "", "iss": "", "error": "", "cookie": begun["cookie"], **returned, **changed}
    return probe("complete", name, answer["state"], answer["code"], answer["iss"], answer["error"], answer["cookie"])


def sign_in(probe, name, person, return_to="/"):
    begun = probe("begin", name, return_to)
    assert "location" in begun, begun
    return complete(probe, name, begun, Browser(person).sign_in(begun["location"]))


def test_every_algorithm_and_client_authentication(context):
    provider = Provider(context)
    provider.start(provider.make_keys("first"))
    clients = [f"client-{algorithm}" for algorithm in SECRETS] + ["public"]
    probe = Probe(context).open(provider, *clients)
    for client in clients:
        person = sign_in(probe, client.lower(), "alice", "/search?q=1")
        assert person == {"provider": client.lower(), "tenant": "example", "issuer": provider.issuer, "subject": "alice",
                          "displayName": "Alice Example", "email": "alice@example.com", "roles": ["auditor"],
                          "customer": "", "returnTo": "/search?q=1"}, person


def test_keys_change_between_two_logins(context):
    provider = Provider(context)
    first = provider.make_keys("first")
    provider.start(first)
    probe = Probe(context).open(provider, "client-ES256", "client-RS256")
    assert sign_in(probe, "client-es256", "alice").get("subject") == "alice"
    both = provider.make_keys("second", first)
    provider.stop()
    provider.start(both)
    # Within the interval an unknown key is not looked up again; past it, once.
    refused = sign_in(probe, "client-es256", "alice")
    assert refused["kind"] == "denied" and "second-ec" in refused["message"], refused
    probe("advance", 30)
    assert sign_in(probe, "client-es256", "alice").get("subject") == "alice"
    # This one has not seen the first keys at all.
    assert sign_in(probe, "client-rs256", "alice").get("subject") == "alice"


def test_who_is_not_let_in(context):
    provider = Provider(context)
    provider.start(provider.make_keys("first"))
    probe = Probe(context).open(provider, "client-ES256", "client-RS256")
    name = "client-es256"
    nobody = sign_in(probe, name, "bob")
    assert nobody["kind"] == "denied" and "No group of this person gives a role" in nobody["message"], nobody
    # A state is good once, and so is a code.
    begun = probe("begin", name, "/")
    returned = Browser("alice").sign_in(begun["location"])
    assert complete(probe, name, begun, returned).get("subject") == "alice"
    again = complete(probe, name, begun, returned)
    assert again["kind"] == "denied" and "not known here" in again["message"], again
    begun = probe("begin", name, "/")
    fresh = Browser("alice").sign_in(begun["location"])
    replayed = complete(probe, name, begun, fresh, code=returned["code"])
    assert replayed["kind"] == "denied" and "invalid_grant" in replayed["message"], replayed
    # The code of one login in another one: PKCE and nonce belong to each.
    begun, other = probe("begin", name, "/"), probe("begin", name, "/")
    returned, elsewhere = Browser("alice").sign_in(begun["location"]), Browser("alice").sign_in(other["location"])
    injected = complete(probe, name, begun, returned, code=elsewhere["code"])
    assert injected["kind"] == "denied" and "invalid_grant" in injected["message"], injected
    # Another browser; another client's answer; another provider's.
    stolen = complete(probe, name, {"cookie": ""}, elsewhere)
    assert stolen["kind"] == "denied" and "another browser" in stolen["message"], stolen
    begun = probe("begin", name, "/")
    returned = Browser("alice").sign_in(begun["location"])
    mixed = complete(probe, "client-rs256", begun, returned)
    assert mixed["kind"] == "denied" and "another provider" in mixed["message"], mixed
    begun = probe("begin", name, "/")
    returned = Browser("alice").sign_in(begun["location"])
    posed = complete(probe, name, begun, returned, iss="https://evil.example")
    assert posed["kind"] == "denied" and "does not come from" in posed["message"], posed


def test_a_wrong_secret_is_said_and_not_shown(context):
    provider = Provider(context)
    provider.start(provider.make_keys("first"))
    probe = Probe(context)
    probe("provider", "wrong", provider.issuer, "client-ES256", "SECRET_RS256", "staff", "no")
    probe("open")
    refused = sign_in(probe, "wrong", "alice")
    assert refused["kind"] == "denied" and "invalid_client" in refused["message"], refused
    assert SECRETS["RS256"] not in refused["message"] and "100%" not in refused["message"], refused


def test_claims_from_userinfo_and_customers(context):
    provider = Provider(context)
    provider.start(provider.make_keys("first"), "thin")
    thin = sign_in(Probe(context).open(provider, "client-ES256"), "client-es256", "alice")
    assert thin["kind"] == "denied", thin
    probe = Probe(context).open(provider, "client-ES256", userinfo="yes")
    person = sign_in(probe, "client-es256", "alice")
    assert person.get("roles") == ["auditor"] and person["email"] == "alice@example.com", person
    customers = Probe(context).open(provider, "client-ES256", audience="customers", userinfo="yes")
    carol = sign_in(customers, "client-es256", "carol")
    assert carol.get("customer") == "C-17" and carol["roles"] == [], carol
    alice = sign_in(customers, "client-es256", "alice")
    assert alice["kind"] == "denied" and "which customer" in alice["message"], alice


def test_a_provider_that_is_away(context):
    provider = Provider(context)
    keys = provider.make_keys("first")
    provider.start(keys)
    probe = Probe(context).open(provider, "client-ES256")
    begun = probe("begin", "client-es256", "/")
    returned = Browser("alice").sign_in(begun["location"])
    provider.stop()
    away = complete(probe, "client-es256", begun, returned)
    assert away["kind"] == "unavailable" and provider.issuer in away["message"], away
    provider.start(keys)
    assert sign_in(probe, "client-es256", "alice").get("subject") == "alice"


# ------------------------------------------------------------------------------------------- through the server

def serve(context, provider):
    """A server behind a proxy at audit.example, as the provider knows it."""
    file = context.folder / "vestige.toml"
    client = f'issuer = "{provider.issuer}"\nclient_id = "client-ES256"\nclient_secret_environment = "SECRET"\n'
    file.write_text('public_url = "https://audit.example"\n'
                    f'[[sso]]\nname = "test"\nlabel = "Example <Ltd>"\n{client}roles = {{ "auditors" = ["auditor"] }}\n'
                    f'[[sso]]\nname = "shop"\naudience = "customers"\n{client}subject_claim = "customer_number"\n'
                    f'redirect_url = "{CALLBACK}"\n')
    return context.server("--config", str(file), environment={"SECRET": SECRETS["ES256"]})


def begin(server, name, return_to="/"):
    answer = ask(server, "GET", f"/api/sign-in/{name}/begin?{urllib.parse.urlencode({'return_to': return_to})}", key=None)
    assert answer.status == 302, answer
    (line,) = answer.headers.get_all("Set-Cookie")
    return answer.headers["Location"], line


def come_back(server, name, returned, cookie, **changed):
    query = urllib.parse.urlencode({**returned, **changed})
    return ask(server, "GET", f"/api/sign-in/{name}/callback?{query}", key=None, headers={"Cookie": cookie.partition(";")[0]})


def session_of(server, answer):
    found = [line for line in answer.headers.get_all("Set-Cookie") if line.startswith(people.SECURE_COOKIE)]
    assert len(found) == 1 and found[0].endswith("; Path=/; HttpOnly; SameSite=Strict; Secure"), found
    head = {"Cookie": found[0].partition(";")[0]}
    return head, ask(server, "GET", "/api/session", key=None, headers=head).json()


def test_signing_in_through_the_server(context):
    provider = Provider(context)
    provider.start(provider.make_keys("first"))
    server = serve(context, provider)
    assert ask(server, "GET", "/api/sign-in/providers", key=None).json()["providers"] == [
        {"name": "test", "label": "Example <Ltd>", "audience": "staff"}, {"name": "shop", "label": "shop", "audience": "customers"}]
    location, cookie = begin(server, "test", "/mine?a=1")
    assert re.fullmatch(r"vestige_login_\w{16}=[\w-]{43}; Path=/api/sign-in/test/callback; HttpOnly; SameSite=Lax; Max-Age=600; Secure",
                        cookie), cookie
    returned = Browser("alice").sign_in(location)
    back = come_back(server, "test", returned, cookie)
    assert back.status == 303 and back.headers["Location"] == "/mine?a=1", back
    assert any(line.startswith("vestige_login_") and "Max-Age=0" in line for line in back.headers.get_all("Set-Cookie"))
    head, session = session_of(server, back)
    assert (session["name"], session["roles"], session["method"], session["kind"]) == ("Alice Example", ["auditor"], "sso", "account")
    assert ask(server, "GET", "/api/access/matrix", key=None, headers=head).status == 200
    change = ask(server, "POST", "/api/account/password", {"password": people.PASSWORD, "newPassword": people.PASSWORD}, key=None,
                 headers={**head, "X-Vestige-CSRF": session["csrf"]})
    assert change.status == 403 and "without a password" in change.json()["detail"], change
    # Good once; in this browser; and for a path of this server.
    assert come_back(server, "test", returned, cookie).status == 401
    location, cookie = begin(server, "test", "//evil.example/")
    returned = Browser("alice").sign_in(location)
    assert come_back(server, "test", returned, "").status == 401
    location, cookie = begin(server, "test", "//evil.example/")
    assert come_back(server, "test", Browser("alice").sign_in(location), cookie).headers["Location"] == "/"
    # An administrator ends the sessions of somebody who has no account here.
    assert ask(server, "DELETE", f"/api/accounts/{session['account']}/sessions").json() == {"ended": 2}
    assert ask(server, "GET", "/api/session", key=None, headers=head).status == 401


def test_who_a_provider_vouches_for_and_is_not_let_in(context):
    provider = Provider(context)
    keys = provider.make_keys("first")
    provider.start(keys)
    server = serve(context, provider)
    location, cookie = begin(server, "test")
    bob = come_back(server, "test", Browser("bob").sign_in(location), cookie)
    assert bob.status == 401 and b"No group of this person gives a role" in bob.body, bob
    assert not [line for line in bob.headers.get_all("Set-Cookie") if people.SECURE_COOKIE in line]
    location, cookie = begin(server, "test")
    returned = Browser("alice").sign_in(location)
    for name in ("shop", "test"):  # begun with the other; and the state is used up by that
        assert come_back(server, name, returned, cookie).status == 401, name
    # What a provider says is text.
    location, cookie = begin(server, "test")
    state = urllib.parse.parse_qs(urllib.parse.urlsplit(location).query)["state"][0]
    said = come_back(server, "test", {"state": state, "error": "access_denied", "error_description": "<script>alert(1)</script>",
                                      "iss": provider.issuer}, cookie)
    assert said.status == 401 and b"<script" not in said.body and b"#60;script" in said.body and b"access_denied" in said.body, said
    told = people.facts(server, 4, kind="access.security", action="FAILED")
    assert {(each["detail"]["details"], each["targetType"]) for each in told} == {("refused_sign_on", "PROVIDER")}, told
    words = str([{**each, "leaf": None} for each in told]).lower()  # a digest may spell anything
    assert "alert" not in words and "bob" not in words, told
    # Customers.
    location, cookie = begin(server, "shop")
    _, carol = session_of(server, come_back(server, "shop", Browser("carol").sign_in(location), cookie))
    assert (carol["kind"], carol["subject"], carol["roles"]) == ("customer", "C-17", ["customer"]), carol
    # No provider of this name, and one that is away.
    for path in ("begin", "callback?state=x"):
        missing = ask(server, "GET", f"/api/sign-in/nobody/{path}", key=None)
        assert missing.status == 404 and b"nobody" in missing.body, missing
    location, cookie = begin(server, "test")
    returned = Browser("alice").sign_in(location)
    provider.stop()
    away = come_back(server, "test", returned, cookie)
    assert away.status == 503 and provider.issuer.encode() in away.body, away


def test_a_group_gives_no_role_that_is_not_for_people(context):
    for number, role in enumerate(("service", "key", "customer", "nobody")):
        file = context.folder / f"{role}.toml"
        file.write_text('public_url = "https://audit.example"\n[[sso]]\nname = "test"\nissuer = "https://login.example"\n'
                        f'client_id = "x"\nroles = {{ "all" = ["{role}"] }}\n')
        server = context.prepare_server("--config", str(file), data=context.folder / f"data{number}").launch()
        assert server.wait() == 2 and f'"{role}"' in server.log.read_text(), server.log.read_text()
