"""Frames (a1): parsing, cutting, reassembly."""

from .codec import Drop

HEADER = 13
MESSAGE_LIMIT = 16 << 20
IDLE = 60.0
DELIVERED_KEPT = 48 * 3600.0


def build(kind, mid, idx=0, count=0, body=b""):
    return bytes([kind]) + mid + idx.to_bytes(2, "big") + count.to_bytes(2, "big") + body


def split(frame):
    """(type, mid, idx, count, body)"""
    if len(frame) < HEADER:
        raise Drop("bad_frame")
    kind, mid, body = frame[0], frame[1:9], frame[13:]
    idx, count = int.from_bytes(frame[9:11], "big"), int.from_bytes(frame[11:13], "big")
    fits = {
        0: idx < count,
        1: idx < count,
        2: count == 0 and not body,
        3: idx == count == 0 and not body,
        4: idx == count == 0 and body in (b"\1", b"\2", b"\3"),
    }
    if mid == bytes(8) or not fits.get(kind, False):
        raise Drop("bad_frame")
    return kind, mid, idx, count, body


def cut(data, size):
    return [data[i:i + size] for i in range(0, len(data), size)] or [b""]


class Partial:
    def __init__(self, kind, count):
        self.kind, self.count = kind, count
        self.parts = {}
        self.last = 0.0

    def fits(self, kind, idx, count, body):
        if kind != self.kind or count != self.count:
            return False
        if idx in self.parts:
            return self.parts[idx] == body
        full = {len(part) for i, part in self.parts.items() if i != count - 1}
        tail = self.parts.get(count - 1)
        if idx != count - 1:
            full.add(len(body))
        else:
            tail = body
        return len(full) <= 1 and (tail is None or not full or len(tail) <= min(full))


class Receiver:
    """Of one peer, over all its sessions. `receive` gives a list of ("deliver", bytes, mid) and ("reply", frame)."""

    def __init__(self):
        self.partial = {}
        self.delivered = {}
        self.dropped = {}

    def tick(self, now):
        for mid, partial in list(self.partial.items()):
            if now - partial.last >= IDLE:
                del self.partial[mid]
                self.dropped[mid] = (1, partial.last + 2 * IDLE)
        for mid, (_, until) in list(self.dropped.items()):
            if now > until:
                del self.dropped[mid]
        while self.delivered and (
            len(self.delivered) > 65536 or now - next(iter(self.delivered.values())) > DELIVERED_KEPT
        ):
            del self.delivered[next(iter(self.delivered))]

    def receive(self, now, kind, mid, idx, count, body):
        self.tick(now)
        reliable = kind == 1
        if mid in self.delivered:
            return [("reply", build(3, mid))] if reliable else []
        if mid in self.dropped:
            return [("reply", build(4, mid, body=bytes([self.dropped[mid][0]])))] if reliable else []
        if count == 1:
            if mid in self.partial:
                raise Drop("bad_frame")
            self.delivered[mid] = now
            return [("deliver", body, mid)] + ([("reply", build(3, mid))] if reliable else [])
        partial = self.partial.get(mid) or Partial(kind, count)
        if not partial.fits(kind, idx, count, body):
            raise Drop("bad_frame")
        if (count - 1) * max(len(p) for p in (*partial.parts.values(), body)) > MESSAGE_LIMIT and idx != count - 1:
            self.partial.pop(mid, None)
            self.dropped[mid] = (2, now + IDLE)
            return [("reply", build(4, mid, body=b"\2"))] if reliable else []
        self.partial[mid] = partial
        partial.parts[idx] = body
        partial.last = now
        receipt = [("reply", build(2, mid, idx))] if reliable else []
        if len(partial.parts) < count:
            return receipt
        del self.partial[mid]
        self.delivered[mid] = now
        whole = b"".join(partial.parts[i] for i in range(count))
        return [("deliver", whole, mid)] + receipt + ([("reply", build(3, mid))] if reliable else [])
