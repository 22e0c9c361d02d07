"""What the application wants sent, in order, together with the faults that tests ask for."""

import collections
import dataclasses
import hashlib


class Pattern:
    """`length` bytes without their memory: byte i is (31 i + seed) mod 256."""

    def __init__(self, length, seed):
        self.length = length
        self.period = bytes((i * 31 + seed) & 0xFF for i in range(256))

    def __len__(self):
        return self.length

    def __getitem__(self, span):
        start, end, _ = span.indices(self.length)
        shift = start % 256
        return (self.period * ((end - start + shift) // 256 + 1))[shift : shift + end - start]


class Message:
    def __init__(self, source, code):
        self.source, self.code, self.at = source, code, 0

    @property
    def left(self):
        return len(self.source) - self.at

    def take(self, size):
        """A piece, and whether it is the last one."""
        piece = self.source[self.at : self.at + size]
        self.at += size
        return piece, self.at >= len(self.source)


@dataclasses.dataclass
class Special:
    """`close`, or a fault: `frame`, `inject`, `replay` at this place; `corrupt`, `drop` for the next sealed frame."""

    what: str
    fields: dict = dataclasses.field(default_factory=dict)


class Outbox:
    def __init__(self):
        self.items = collections.deque()
        self.faults = []
        self.closing = False
        self.last_wire = b""
        self.bytes = self.frames = 0
        self.hash = hashlib.sha256()

    def add(self, item):
        self.closing = self.closing or (isinstance(item, Special) and item.what == "close")
        self.items.append(item)

    def first(self):
        return self.items[0] if self.items else None

    def drop(self):
        self.items.popleft()

    def clear(self):
        self.items.clear()

    def count(self, payload):
        self.bytes += len(payload)
        self.frames += 1
        self.hash.update(payload)

    def spoil(self, wire):
        """The wire bytes of a frame after the faults that wait for it."""
        self.last_wire = wire
        for fault in self.faults:
            if fault.what == "drop":
                wire = b""
            elif fault.what == "corrupt":
                changed, offset = bytearray(wire), fault.fields["offset"]
                for at, bits in enumerate(fault.fields["xor"], offset % max(len(wire), 1)):
                    if at < len(changed):
                        changed[at] ^= bits
                wire = bytes(changed)
        self.faults.clear()
        return wire
