"""Ciphers as docs/formats use them."""
import hashlib
import hmac
import struct

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .reader import Damage

WRAPPED_BYTES = 60
ZERO_NONCE = bytes(12)


def hmac_sha256(key, *parts):
    return hmac.digest(key, b"".join(parts), "sha256")


def hkdf(material, salt, info, size):
    """RFC 5869 with SHA-256."""
    secret = hmac.digest(salt or bytes(hashlib.sha256().digest_size), material, "sha256")
    output, block, count = b"", b"", 0
    while len(output) < size:
        count += 1
        block = hmac.digest(secret, block + info + bytes([count]), "sha256")
        output += block
    return output[:size]


def nonce(domain, counter):
    return struct.pack("<IQ", domain, counter)


def open_sealed(key, nonce_bytes, associated, sealed):
    """The plain bytes; None if the tag does not verify."""
    if len(sealed) < 16:
        return None
    try:
        return AESGCM(key).decrypt(nonce_bytes, sealed, associated)
    except InvalidTag:
        return None


class BlockCipher:
    """AES-128 of single blocks."""

    def __init__(self, key):
        self.encrypt = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update


def derived_salts(cipher, indexes):
    """The 16-byte salts of these indexes, one after the other."""
    return cipher.encrypt(b"".join([struct.pack("<QQ", index, 0) for index in indexes]))


def unpack_zstd(frame, raw_length, what):
    """One zstd frame that gives exactly `raw_length` bytes; nothing larger is ever allocated."""
    try:
        content = zstandard.frame_content_size(frame)
        if content not in (zstandard.CONTENTSIZE_UNKNOWN, raw_length):
            raise Damage(f"{what}: the zstd frame announces {content} bytes, expected {raw_length}")
        plain = zstandard.ZstdDecompressor().decompress(frame, max_output_size=max(raw_length, 1), allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Damage(f"{what}: not a zstd frame of {raw_length} bytes ({error})") from error
    if len(plain) != raw_length:
        raise Damage(f"{what}: the zstd frame gives {len(plain)} bytes, expected {raw_length}")
    return plain
