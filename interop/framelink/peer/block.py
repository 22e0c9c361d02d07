"""The shared block, its halves, and the two files secrets come from (profile: Block, PSK file, Raw block file)."""

import base64
import dataclasses
import hashlib
import re

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .errors import Refused

SIZE = 256
PREFIX = "FRAMELINK-PSK-1-"


def hkdf(salt, secret, info, length):
    return HKDF(SHA256(), length, salt or None, info).derive(secret)


@dataclasses.dataclass
class Half:
    """What one direction starts from under one key."""

    key: bytes
    counter: int
    hash_state: bytes
    rekey_secret: bytes

    @classmethod
    def read(cls, data):
        if len(data) != SIZE // 2:
            raise ValueError("half block")
        return cls(data[:32], int.from_bytes(data[32:48], "big"), data[48:80], data[80:112])

    def next(self, hash_state, random, side):
        """The half after a REKEY that left the chain at `hash_state`; `side` is `top` or `bottom`."""
        info = f"framelink/1 rekey {side}".encode()
        return Half.read(bounded(hkdf(hash_state, self.rekey_secret + random, info, SIZE // 2)))


def bounded(data):
    """Derived halves keep the low word of the counter below 2^63."""
    data = bytearray(data)
    for at in range(40, len(data), SIZE // 2):
        data[at] &= 0x7F
    return bytes(data)


def halves(block):
    """The halves by the side that sends with them."""
    return {"top": Half.read(block[: SIZE // 2]), "bottom": Half.read(block[SIZE // 2 :])}


def other(role):
    return {"top": "bottom", "bottom": "top"}[role]


def check_raw(block):
    if len(block) != SIZE:
        raise Refused("block-size")
    if block[:32] == block[SIZE // 2 : SIZE // 2 + 32]:
        raise Refused("block-weak")
    return block


def block_id(block):
    return hashlib.sha256(b"framelink/1 block id\0" + block).hexdigest()


def read_psk(text):
    line = text.strip(" \t\r\n")
    if not re.fullmatch(PREFIX + "[A-Z2-7]{64}", line):
        raise Refused("psk-format")
    data = base64.b32decode(line[len(PREFIX) :])
    psk, check = data[:32], data[32:]
    if hashlib.sha256(b"framelink/1 psk file\0" + psk).digest()[:8] != check:
        raise Refused("psk-check")
    if len(set(psk)) == 1:
        raise Refused("psk-weak")
    return psk
