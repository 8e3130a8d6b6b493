"""What sealed values are found by (docs/formats/sidecar.md, "Tokens"): of values that are plain ASCII, which is what a
second reader can fold without tables of its own. Others are left out, so what is said of a filter is about these."""
import re

MASK = 2 ** 64 - 1
WORD, WHOLE, SOURCE_ID, TARGET_ID = 1, 2, 3, 4
WHOLE_BYTES_MAX = 128
PRIME_1, PRIME_2, PRIME_3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")
NOT_SEARCHED = {"id", "index", "leaf", "lossless", "receivedAt", "salt", "mac", "schema", "sealed", "tenant", "time", "v",
                "discarded"}


def read32(data, at):
    return int.from_bytes(data[at:at + 4], "little")


def read64(data, at):
    return int.from_bytes(data[at:at + 8], "little")


def fold_product(a, b):
    product = a * b
    return (product & MASK) ^ (product >> 64)


def avalanche(x):
    x ^= x >> 37
    x = x * 0x165667919E3779F9 & MASK
    return x ^ x >> 32


def avalanche_64(x):
    x ^= x >> 33
    x = x * PRIME_2 & MASK
    x ^= x >> 29
    x = x * PRIME_3 & MASK
    return x ^ x >> 32


def rotate(x, bits):
    return (x << bits | x >> (64 - bits)) & MASK


def mix_16(data, at, place, seed):
    return fold_product(read64(data, at) ^ (read64(SECRET, place) + seed & MASK),
                        read64(data, at + 8) ^ (read64(SECRET, place + 8) - seed & MASK))


def xxh3(data, seed):
    """XXH3_64bits_withSeed of 1 to 128 bytes."""
    size = len(data)
    if size <= 3:
        combined = data[0] << 16 | data[size >> 1] << 24 | data[-1] | size << 8
        return avalanche_64(combined ^ ((read32(SECRET, 0) ^ read32(SECRET, 4)) + seed & MASK))
    if size <= 8:
        seed ^= int.from_bytes((seed & 0xFFFFFFFF).to_bytes(4, "little"), "big") << 32
        x = (read32(data, size - 4) + (read32(data, 0) << 32)) ^ ((read64(SECRET, 8) ^ read64(SECRET, 16)) - seed & MASK)
        x ^= rotate(x, 49) ^ rotate(x, 24)
        x = x * 0x9FB21C651E98DF25 & MASK
        x ^= (x >> 35) + size
        x = x * 0x9FB21C651E98DF25 & MASK
        return x ^ x >> 28
    if size <= 16:
        low = read64(data, 0) ^ ((read64(SECRET, 24) ^ read64(SECRET, 32)) + seed & MASK)
        high = read64(data, size - 8) ^ ((read64(SECRET, 40) ^ read64(SECRET, 48)) - seed & MASK)
        swapped = int.from_bytes(low.to_bytes(8, "little"), "big")
        return avalanche(size + swapped + high + fold_product(low, high) & MASK)
    x = size * PRIME_1 & MASK
    for step in range((size - 1) // 32 + 1):
        x += mix_16(data, 16 * step, 32 * step, seed) + mix_16(data, size - 16 * (step + 1), 32 * step + 16, seed)
    return avalanche(x & MASK)


def token(kind, text):
    return xxh3(text.encode(), kind) or 1


def value_tokens(value):
    """Of one scalar."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10 ** 15:
        value = str(value)
    if not isinstance(value, str) or not value.isascii() or any(c < " " for c in value):
        return
    words = re.findall("[0-9a-z]+", value.lower())
    for word in words:
        if len(word) <= WHOLE_BYTES_MAX:
            yield token(WORD, word)
    if value and len(words) != 1 and " " not in value and len(value) <= WHOLE_BYTES_MAX:
        yield token(WHOLE, value)


def pair_tokens(pairs):
    """Of what one section holds."""
    for path, value in pairs:
        if not path.startswith("/") or path[1:].split("/")[0] in NOT_SEARCHED:
            continue
        yield from value_tokens(value)
        if path in ("/sourceId", "/targetId") and value.isascii() and not re.search(r'["\\\x00-\x1f]', value):
            if 0 < len(value) <= WHOLE_BYTES_MAX:
                yield token(SOURCE_ID if path == "/sourceId" else TARGET_ID, value)
