"""Bounds-checked reading. Whatever is wrong with bytes is a Damage that says where and what was expected."""
import hashlib
import struct

VARINT_BYTES_MAX = 10


class Damage(Exception):
    """Wrong bytes. `offset` counts from the start of the file, `index` is that of an entry; None: not known."""

    def __init__(self, reason, offset=None, index=None):
        super().__init__(reason)
        self.reason, self.offset, self.index = reason, offset, index


def unreadable(error):
    """The Damage that an OSError is: a disk that does not give the bytes has lost them."""
    return Damage(f"it cannot be read: {error.strerror}")


class Reader:
    """A cursor over bytes. `base` is the place of the first one in its file; None where bytes were decrypted and
    have no place of their own."""

    def __init__(self, data, base=None, what="this structure"):
        self.data, self.base, self.what, self.at = data, base, what, 0

    def place(self):
        return None if self.base is None else self.base + self.at

    def damage(self, reason):
        return Damage(f"{self.what}: {reason}", self.place())

    def left(self):
        return len(self.data) - self.at

    def take(self, size, name="a field"):
        if size > self.left():
            raise self.damage(f"{name} needs {size} bytes and {self.left()} are left")
        piece = bytes(self.data[self.at:self.at + size])
        self.at += size
        return piece

    def fixed(self, form, name):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form), name))[0]

    def u8(self, name="a u8"):
        return self.fixed("B", name)

    def u16(self, name="a u16"):
        return self.fixed("H", name)

    def u32(self, name="a u32"):
        return self.fixed("I", name)

    def u64(self, name="a u64"):
        return self.fixed("Q", name)

    def i64(self, name="an i64"):
        return self.fixed("q", name)

    def varint(self, name="a varint"):
        value = shift = 0
        data, at = self.data, self.at
        for count in range(VARINT_BYTES_MAX):
            if at + count >= len(data):
                raise self.damage(f"{name} (a varint) is cut off")
            byte = data[at + count]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                if count and not byte:
                    raise self.damage(f"{name} is a varint in a longer form than the shortest")
                if value >> 64:
                    raise self.damage(f"{name} is a varint of more than 64 bits")
                self.at = at + count + 1
                return value
        raise self.damage(f"{name} is a varint of more than {VARINT_BYTES_MAX} bytes")

    def zigzag(self, name="a varint"):
        value = self.varint(name)
        return (value >> 1) ^ -(value & 1)

    def sized(self, name="a sized field"):
        return self.take(self.varint(f"the length of {name}"), name)

    def text(self, name="a name"):
        place = self.place()
        try:
            return self.sized(name).decode("utf-8")
        except UnicodeDecodeError as error:
            raise Damage(f"{self.what}: {name} is not UTF-8", place) from error

    def expect(self, expected, name):
        place, found = self.place(), self.take(len(expected), name)
        if found != expected:
            raise Damage(f"{self.what}: {name} is {shown(found)}, expected {shown(expected)}", place)

    def reserved(self, size):
        place, found = self.place(), self.take(size, "reserved bytes")
        if any(found):
            raise Damage(f"{self.what}: reserved bytes are not zero", place)

    def end(self):
        if self.left():
            raise self.damage(f"{self.left()} bytes follow its end")


def shown(data):
    """Short bytes for a message: as text where they are printable."""
    if data and all(0x20 <= byte < 0x7F for byte in data):
        return f'"{data.decode()}"'
    return data.hex() if len(data) <= 32 else data[:32].hex() + "..."


def sha256(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


def check_digest(data, what):
    """The last 32 bytes are SHA-256 of all before; gives these bytes before."""
    if len(data) < 32:
        raise Damage(f"{what}: {len(data)} bytes, fewer than a digest has", 0)
    expected = sha256(data[:-32])
    if data[-32:] != expected:
        raise Damage(f"{what}: the digest at its end is {data[-32:].hex()}, the bytes before give {expected.hex()}",
                     len(data) - 32)
    return data[:-32]


def check_length(data, expected, what):
    if len(data) != expected:
        raise Damage(f"{what}: {len(data)} bytes, expected {expected}", min(len(data), expected))
