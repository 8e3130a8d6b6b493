"""What the tests of the HTTP interface share: the description (openapi.json) as a judge of every answer, and an
implementation of RFC 6962, RFC 8785, RFC 8032 and the C2SP texts that has nothing in common with the server's.

Standard library only.
"""
import base64
import decimal
import hashlib
import http.client
import json
import re
import ssl
import subprocess
import time

import harness

DESCRIPTION = json.loads((harness.ROOT / "src" / "api" / "assets" / "openapi.json").read_text())
EVENT_BYTES_MAX, BODY_BYTES_MAX, BATCH_EVENTS_MAX, DEPTH_MAX = 1 << 20, 16 << 20, 10_000, 64
JSON_TYPE, NDJSON_TYPE = {"Content-Type": "application/json"}, {"Content-Type": "application/x-ndjson"}


def event(**fields):
    return {"kind": "data.change", "action": "DID", **fields}


# ------------------------------------------------------------------------------------ the description as judge

def resolve(node):
    while "$ref" in node:
        target = DESCRIPTION
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


TYPES = {"null": type(None), "boolean": bool, "string": str, "array": list, "object": dict}


def is_type(name, value):
    if name in ("number", "integer"):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and (name == "number" or value == int(value))
    return isinstance(value, TYPES[name])


def misfits(schema, value, path=""):
    """Where a value is not what the schema says; an empty list where it fits."""
    schema, found = resolve(schema), []
    for bound in ("oneOf", "anyOf"):
        if bound in schema and all(misfits(each, value, path) for each in schema[bound]):
            found.append(f"{path}: fits no {bound}")
    for each in schema.get("allOf", ()):
        found += misfits(each, value, path)
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(is_type(name, value) for name in names):
            return [f"{path}: {value!r:.80} is no {names}"]
    if "const" in schema and value != schema["const"]:
        found.append(f"{path}: {value!r:.80} is not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{path}: {value!r:.80} is none of {schema['enum']}")
    if isinstance(value, str):
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            found.append(f"{path}: {len(value)} characters")
        if "pattern" in schema and not re.search(schema["pattern"], value):
            found.append(f"{path}: {value!r:.80} does not match {schema['pattern']}")
        if schema.get("format") == "uuid" and not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value):
            found.append(f"{path}: {value!r:.80} is no UUID as the server writes it")
    if isinstance(value, dict):
        found += [f"{path}: {name} is missing" for name in schema.get("required", ()) if name not in value]
        for name, member in value.items():
            if name in schema.get("properties", {}):
                found += misfits(schema["properties"][name], member, f"{path}/{name}")
            elif schema.get("additionalProperties", True) is False:
                found.append(f"{path}/{name}: is not described")
            elif isinstance(schema.get("additionalProperties"), dict):
                found += misfits(schema["additionalProperties"], member, f"{path}/{name}")
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            found.append(f"{path}: {len(value)} elements")
        for number, element in enumerate(value):
            found += misfits(schema.get("items", {}), element, f"{path}/{number}")
    return found


def tls_server(context):
    """A server that speaks TLS under a certificate of its own, the files of that, and a function that asks it."""
    certificate, key = context.folder / "certificate.pem", context.folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    server = context.prepare_server("--tls-certificate", str(certificate), "--tls-key", str(key)).launch()
    own = ssl.create_default_context(cafile=certificate)

    def request(method, path, body=None, headers=None, trust=own):
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=20, context=trust)
        connection.request(method, path, body=body, headers={"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        return harness.Answer(answer.status, answer.headers, answer.read())

    deadline = time.monotonic() + 30
    while True:
        try:
            if request("GET", "/readyz").status == 200:
                return server, certificate, key, request
        except OSError:
            assert time.monotonic() < deadline and server.running()
            time.sleep(0.05)


def operation_of(method, path):
    """The description's path and operation of a request."""
    path = path.split("?")[0]
    # A literal segment outranks a capture.
    for template in sorted(DESCRIPTION["paths"], key=lambda each: each.count("{")):
        pattern = re.escape(template).replace(r"\{path\}", ".+")
        pattern = re.sub(r"\\\{[a-z]+\\\}", "[^/]+", pattern)
        if re.fullmatch(pattern, path) and method.lower() in DESCRIPTION["paths"][template]:
            return template, DESCRIPTION["paths"][template][method.lower()]
    raise AssertionError(f"{method} {path} is not described")


def judge(method, path, answer):
    """The answer is one that the description promises: its status, its type, its body."""
    template, operation = operation_of(method, path)
    assert str(answer.status) in operation["responses"], f"{method} {template} never answers {answer}"
    promised = resolve(operation["responses"][str(answer.status)])
    kind = (answer.headers["Content-Type"] or "").split(";")[0]
    if not promised.get("content"):
        assert not answer.body, answer
        return answer
    assert kind in promised["content"], f"{method} {template} {answer.status} is {kind}: {answer}"
    if kind.endswith("json") and kind != "application/x-ndjson":
        wrong = misfits(promised["content"][kind].get("schema", {}), answer.json())
        assert not wrong, f"{method} {template} {answer.status}: {wrong}\n{answer}"
        if kind == "application/problem+json":
            assert answer.json()["status"] == answer.status, answer
    return answer


def ask(server, method, path, body=None, **options):
    return judge(method, path, server.request(method, path, body, **options))


def refused(server, status, body, path=None, position=None, limit=None, **options):
    """Posts events that must be refused, and checks that nothing of them was stored."""
    before = size_of(server)
    answer = ask(server, "POST", "/api/events", body, **options)
    shown = body if not isinstance(body, bytes) or len(body) < 300 else body[:300]
    assert answer.status == status, (shown, answer)
    problem = answer.json()
    if path is not None:
        assert problem.get("path", "") == path, (shown, problem)
    if position is not None:
        assert problem["position"] == position, (shown, problem)
    if limit is not None:
        assert limit in problem["limit"], (shown, problem)
    assert size_of(server) == before, f"something was stored of {shown!r}"
    return problem


def size_of(server):
    return ask(server, "POST", "/auditlog/events/v2", {"limit": 1}).json()["tree"]["size"]


def zstd(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


# ------------------------------------------------------------------------------------------ canonical JSON

def number_text(value):
    """ECMAScript's Number::toString, from Python's shortest digits."""
    if isinstance(value, int) and abs(value) <= 2**53:
        return str(value)
    value = float(value)
    if value == 0:
        return "0"
    negative, digits, exponent = decimal.Decimal(repr(value)).as_tuple()
    sign, whole = "-" if negative else "", "".join(map(str, digits))
    point = len(whole) + exponent
    digits = whole.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    tail = f"e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return sign + digits[0] + ("." + digits[1:] if count > 1 else "") + tail


def canonical(value):
    """RFC 8785."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{canonical(name)}:{canonical(value[name])}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return number_text(value)


# -------------------------------------------------------------------------------------------- Merkle trees

def leaf_hash(data):
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def tree_root(hashes):
    """RFC 6962, section 2.1, to the letter."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return node_hash(tree_root(hashes[:split]), tree_root(hashes[split:]))


def root_by_path(leaf, index, size, path):
    """RFC 9162, section 2.1.3.2."""
    assert index < size
    number, last, value = index, size - 1, leaf
    for sibling in path:
        assert last > 0, "the path is too long"
        if number & 1 or number == last:
            value = node_hash(sibling, value)
            if not number & 1:
                while number and not number & 1:
                    number, last = number >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        number, last = number >> 1, last >> 1
    assert last == 0, "the path is too short"
    return value


# ----------------------------------------------------------------------------------------------- Ed25519

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def recover_x(y, sign):
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P)
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    assert (x * x - square) % P == 0, "this is no point"
    return P - x if x & 1 != sign else x


def decompress(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    x = recover_x(y, sign)
    return (x, y, 1, x * y % P)


def add(a, b):
    one, two = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    three, four = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = two - one, four - three, four + three, two + one
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(scalar, point):
    total = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point, scalar = add(point, point), scalar >> 1
    return total


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = (recover_x(BASE_Y, 0), BASE_Y, 1, recover_x(BASE_Y, 0) * BASE_Y % P)


def signed(key, message, signature):
    """RFC 8032, section 5.1.7."""
    r, s = decompress(signature[:32]), int.from_bytes(signature[32:], "little")
    assert s < ORDER
    digest = hashlib.sha512(signature[:32] + key + message).digest()
    left = multiply(s, BASE)
    right = add(r, multiply(int.from_bytes(digest, "little") % ORDER, decompress(key)))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


# ------------------------------------------------------------------------------------------- the C2SP texts

def read_verifier_key(text):
    name, key_id, key = text.strip().split("+", 2)
    data = base64.b64decode(key, validate=True)
    assert data[0] == 1 and len(data) == 33
    assert key_id == hashlib.sha256(name.encode() + b"\n" + data).digest()[:4].hex()
    return name, bytes.fromhex(key_id), data[1:]


def read_checkpoint(note, verifier_key):
    """(size, root) of a checkpoint that the key signed."""
    name, key_id, key = read_verifier_key(verifier_key)
    text, _, signatures = note.partition("\n\n")
    text += "\n"
    for line in signatures.splitlines():
        dash, signer, blob = line.split(" ")
        data = base64.b64decode(blob, validate=True)
        if dash == "\u2014" and signer == name and data[:4] == key_id:
            assert signed(key, text.encode(), data[4:]), "the signature is wrong"
            break
    else:
        raise AssertionError(f"not signed by {name}: {note}")
    origin, size, root = text.splitlines()[:3]
    assert origin == name, (origin, name)
    return int(size), base64.b64decode(root, validate=True)


def check_proof(proof, sealed, verifier_key, index=None):
    """The sealed bytes are in the tree that the checkpoint in the proof signs."""
    head, _, note = proof.partition("\n\n")
    lines = head.splitlines()
    assert lines[0] == "c2sp.org/tlog-proof@v1", lines
    where = int(lines[1].removeprefix("index "))
    assert index is None or where == index
    size, root = read_checkpoint(note, verifier_key)
    path = [base64.b64decode(line, validate=True) for line in lines[2:]]
    assert root_by_path(leaf_hash(sealed), where, size, path) == root, "the path does not lead to the root"
    return size


def tile_path(level, number, width=256):
    digits = f"{number % 1000:03}"
    number //= 1000
    while number:
        digits = f"x{number % 1000:03}/{digits}"
        number //= 1000
    return f"{level}/{digits}" + (f".p/{width}" if width < 256 else "")
