#!/usr/bin/env python3
"""Writes crypto.json: the cases of RFC 4231, RFC 5869, RFC 8032 and the AES-256 cases of the GCM
specification, computed from their published inputs.

The block cipher, GCM and Ed25519 are written out here in plain Python, so that the expected values do not
come from the library that the tests hold against them. Run it after adding a case:
    python3 tests/vectors/crypto_vectors.py > tests/vectors/crypto.json
"""
import hashlib
import hmac
import json

# --- AES and GCM (FIPS 197, SP 800-38D)


def double(value):
    value <<= 1
    return (value ^ 0x11B) if value & 0x100 else value


def make_sbox():
    box, p, q = [0x63] * 256, 1, 1
    while True:
        p ^= double(p)
        q ^= q << 1
        q ^= q << 2
        q ^= q << 4
        q &= 0xFF
        if q & 0x80:
            q ^= 0x09
        rotated = q
        mixed = q
        for _ in range(4):
            rotated = ((rotated << 1) | (rotated >> 7)) & 0xFF
            mixed ^= rotated
        box[p] = mixed ^ 0x63
        if p == 1:
            return box


SBOX = make_sbox()


def expand_key(key):
    words = [list(key[i : i + 4]) for i in range(0, len(key), 4)]
    count, round_constant = len(words), 1
    while len(words) < 4 * (count + 7):
        word = list(words[-1])
        if len(words) % count == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= round_constant
            round_constant = double(round_constant)
        elif count > 6 and len(words) % count == 4:
            word = [SBOX[b] for b in word]
        words.append([a ^ b for a, b in zip(word, words[-count])])
    return [sum(words[i : i + 4], []) for i in range(0, len(words), 4)]


def mix_column(c):
    total = c[0] ^ c[1] ^ c[2] ^ c[3]
    return [c[i] ^ total ^ double(c[i] ^ c[(i + 1) % 4]) for i in range(4)]


def aes(key, block):
    keys = expand_key(key)
    state = [a ^ b for a, b in zip(block, keys[0])]
    for number, round_key in enumerate(keys[1:], 1):
        state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if number < len(keys) - 1:
            state = sum((mix_column(state[i : i + 4]) for i in range(0, 16, 4)), [])
        state = [a ^ b for a, b in zip(state, round_key)]
    return bytes(state)


def multiply(x, y):
    product = 0
    for i in range(127, -1, -1):
        if (x >> i) & 1:
            product ^= y
        y = (y >> 1) ^ (0xE1 << 120 if y & 1 else 0)
    return product


def gcm(key, nonce, associated, plain):
    subkey = int.from_bytes(aes(key, bytes(16)), "big")
    stream = b"".join(
        aes(key, nonce + (2 + i).to_bytes(4, "big")) for i in range((len(plain) + 15) // 16)
    )
    sealed = bytes(a ^ b for a, b in zip(plain, stream))
    padded = b"".join(part + bytes(-len(part) % 16) for part in (associated, sealed))
    padded += (8 * len(associated)).to_bytes(8, "big") + (8 * len(sealed)).to_bytes(8, "big")
    digest = 0
    for i in range(0, len(padded), 16):
        digest = multiply(digest ^ int.from_bytes(padded[i : i + 16], "big"), subkey)
    mask = int.from_bytes(aes(key, nonce + (1).to_bytes(4, "big")), "big")
    return sealed, (digest ^ mask).to_bytes(16, "big")


# --- Ed25519 (RFC 8032)

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(a, b):
    k = D * a[0] * b[0] * a[1] * b[1] % P
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + k, -1, P)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - k, -1, P)
    return x % P, y % P


def times(scalar, point):
    total = (0, 1)
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point = add(point, point)
        scalar >>= 1
    return total


def base_point():
    y = 4 * pow(5, -1, P) % P
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (x if x % 2 == 0 else P - x), y


def encode(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def ed25519(seed, message):
    expanded = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(expanded[:32], "little") & (2**254 - 8) | 2**254
    public = encode(times(scalar, base_point()))

    def reduce(*parts):
        return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % ORDER

    r = reduce(expanded[32:], message)
    commitment = encode(times(r, base_point()))
    s = (r + reduce(commitment, public, message) * scalar) % ORDER
    return public, commitment + s.to_bytes(32, "little")


# --- HKDF (RFC 5869)


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def hkdf(material, salt, info, size):
    key, out, block, counter = mac(salt or bytes(32), material), b"", b"", 1
    while len(out) < size:
        block = mac(key, block + info + bytes([counter]))
        out, counter = out + block, counter + 1
    return out[:size]


# --- the published inputs


def mac_cases():
    long_key = b"\xaa" * 131
    for key, message in [
        (b"\x0b" * 20, b"Hi There"),
        (b"Jefe", b"what do ya want for nothing?"),
        (b"\xaa" * 20, b"\xdd" * 50),
        (bytes(range(1, 26)), b"\xcd" * 50),
        (b"\x0c" * 20, b"Test With Truncation"),
        (long_key, b"Test Using Larger Than Block-Size Key - Hash Key First"),
        (
            long_key,
            b"This is a test using a larger than block-size key and a larger than block-size data. "
            b"The key needs to be hashed before being used by the HMAC algorithm.",
        ),
    ]:
        yield {"key": key, "msg": message, "tag": mac(key, message)}


def hkdf_cases():
    for material, salt, info, size in [
        (b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)), 42),
        (bytes(range(0x50)), bytes(range(0x60, 0xB0)), bytes(range(0xB0, 0x100)), 82),
        (b"\x0b" * 22, b"", b"", 42),
    ]:
        yield {"ikm": material, "salt": salt, "info": info, "okm": hkdf(material, salt, info, size)}


def ed25519_cases():
    for seed, message in [
        ("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", b""),
        ("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", b"\x72"),
        ("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", b"\xaf\x82"),
        (
            "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
            hashlib.sha512(b"abc").digest(),
        ),
    ]:
        seed = bytes.fromhex(seed)
        public, signature = ed25519(seed, message)
        yield {"seed": seed, "pk": public, "msg": message, "sig": signature}


def gcm_cases():
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308") * 2
    nonce = bytes.fromhex("cafebabefacedbaddecaf888")
    plain = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
    )
    associated = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    for case in [
        (bytes(32), bytes(12), b"", b""),
        (bytes(32), bytes(12), b"", bytes(16)),
        (key, nonce, b"", plain),
        (key, nonce, associated, plain[:60]),
    ]:
        sealed, tag = gcm(*case)
        yield dict(zip(("key", "iv", "aad", "msg"), case)) | {"ct": sealed, "tag": tag}


def block_cases():
    for key, block in [
        (bytes(range(16)), bytes.fromhex("00112233445566778899aabbccddeeff")),  # FIPS 197, appendix C.1
        (
            bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"),  # SP 800-38A, F.1.1
            bytes.fromhex("6bc1bee22e409f96e93d7e117393172a"),
        ),
    ]:
        yield {"key": key, "in": block, "out": aes(key, block)}


def hex_of(case):
    return {name: value.hex() for name, value in case.items()}


if __name__ == "__main__":
    groups = {
        "hmac_sha256": mac_cases(),
        "hkdf_sha256": hkdf_cases(),
        "ed25519": ed25519_cases(),
        "aes_256_gcm": gcm_cases(),
        "aes_128": block_cases(),
    }
    print(json.dumps({name: [hex_of(case) for case in cases] for name, cases in groups.items()}, indent=1))
