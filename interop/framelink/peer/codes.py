"""Control codes, error codes and the HELLO payload (profile: Control codes, Limits and errors)."""

import dataclasses
import struct

from .errors import Broken

DATA, MORE = 0, 1
FIRST_CONTROL = 0x80000000
HELLO = 0x80000001
REKEY = 0x80000002
CLOSE = 0x80000003
PING = 0x80000004
PONG = 0x80000005
ERROR = 0x80000006
PAD = 0x80000007
CREDIT = 0x80000008

SIZES = {
    REKEY: range(32, 33),
    CLOSE: range(4, 5),
    PING: range(65),
    PONG: range(65),
    ERROR: range(4, 261),
    CREDIT: range(4, 5),
}
"""Legal payload sizes; PAD may have any, HELLO is judged by itself."""

VIOLATION, PROTOCOL, TIMEOUT = 1, 2, 3

ANSWERS = {
    **dict.fromkeys(["checksum", "sequence", "length", "hmac", "rekey-overdue", "credit", "empty-flood"], VIOLATION),
    **dict.fromkeys(["hello", "payload", "unknown-control", "close-ahead", "credit-overflow", "ping-flood"], PROTOCOL),
}
"""The ERROR code each kind of violation is answered with. What is not in it is answered with nothing."""

SHOWN = {"credit-overflow": "credit"}
"""Kinds that share a name with another one."""

MODES = {"psk": 2, "hybrid": 3}
ROLES = {"top": 0x54, "bottom": 0x42}

_HELLO = struct.Struct(">32sHBBIII")


@dataclasses.dataclass
class Hello:
    th: bytes
    role: str
    mode: str
    max_frame: int
    credit: int

    def encode(self):
        return _HELLO.pack(self.th, 1, ROLES[self.role], MODES[self.mode], self.max_frame, self.credit, 0)

    @classmethod
    def read(cls, payload, th, role, mode):
        """The peer's; it must name this transcript, its role and the mode. Flags mean nothing yet."""
        got_th, version, got_role, got_mode, max_frame, credit, _flags = _HELLO.unpack(payload)
        if (got_th, version, got_role, got_mode) != (th, 1, ROLES[role], MODES[mode]) or max_frame < 1024:
            raise Broken("hello")
        return cls(th, role, mode, max_frame, credit)


def u32(number):
    return struct.pack(">I", number)


def from_u32(payload):
    return struct.unpack(">I", payload)[0]
