"""What the tests of people who sign in share: a browser that keeps one cookie, accounts, codes of a second factor.

Standard library only.
"""
import base64
import datetime
import hashlib
import hmac
import re
import struct
import time

from api_parts import ask

PASSWORD = "quiet otters count ledgers"
DAYS = 86_400
COOKIE, SECURE_COOKIE = "vestige_session", "__Host-vestige_session"


def in_seconds(seconds):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def with_end(*roles):
    """What an account or key with these roles takes besides, by the shipped policy."""
    return {"expiresAt": in_seconds(30 * DAYS)} if "auditor" in roles else {}


class Browser:
    """Signs in and sends what a page of the server would send."""

    def __init__(self, server, agent="a browser"):
        self.server, self.agent, self.cookie, self.csrf = server, agent, None, ""

    def ask(self, method, path, body=None, headers=None, csrf=None):
        head = {"User-Agent": self.agent, **(headers or {})}
        if self.cookie:
            head.setdefault("Cookie", f"{COOKIE}={self.cookie}")
        if method not in ("GET", "HEAD") and csrf is not False and self.csrf:
            head.setdefault("X-Vestige-CSRF", csrf or self.csrf)
        answer = ask(self.server, method, path, body, key=None, headers=head)
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            if name == COOKIE:
                self.cookie = value or None
        if answer.status == 200 and (answer.headers["Content-Type"] or "").startswith("application/json"):
            self.csrf = answer.json().get("csrf", self.csrf)
        return answer

    def sign_in(self, name, password=PASSWORD, code=None, **options):
        body = {"loginName": name, "password": password, **({"code": code} if code else {})}
        return self.ask("POST", "/api/sign-in", body, **options)

    def signed_in(self, name, password=PASSWORD, code=None):
        answer = self.sign_in(name, password, code)
        assert answer.status == 200, answer
        return self


def make_account(server, name, *roles, password=PASSWORD, by=None, tenant="default"):
    """An account with a password; gives it as the server describes it."""
    post = by.ask if by else lambda method, path, body: ask(server, method, path, body)
    made = post("POST", "/api/accounts", {"loginName": name, "displayName": name.title(), "roles": list(roles),
                                           **with_end(*roles)})
    assert made.status == 201, made
    set_password(server, made.json()["token"], password, tenant)
    return made.json()["account"]


def set_password(server, token, password=PASSWORD, tenant="default"):
    answer = ask(server, "POST", "/api/sign-in/invitation", {"tenant": tenant, "token": token, "password": password}, key=None)
    assert answer.status == 204, answer


def person(server, name, *roles):
    """A browser in which a new account is signed in."""
    make_account(server, name, *roles)
    return Browser(server).signed_in(name)


def administrator_token(server):
    """Of the link that the server printed last."""
    found = re.findall(r"/welcome#administrator=(vsi_[\w-]{43})", server.log.read_text())
    return found[-1] if found else None


def totp(secret, at=None):
    """RFC 6238 over a base32 secret."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int((at or time.time()) // 30)), hashlib.sha1).digest()
    where = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[where:where + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def facts(server, count=1, seconds_max=20, **search):
    """Entries of the stream `access`, oldest first, once there are so many: they are relayed after the answer."""
    deadline = time.monotonic() + seconds_max
    while True:
        answer = ask(server, "POST", "/api/access/search", {"order": "asc", "limit": 1000, **search})
        assert answer.status == 200, answer
        found = answer.json()["events"]
        if len(found) >= count or time.monotonic() > deadline:
            return found
        time.sleep(0.05)
