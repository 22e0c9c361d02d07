"""One session: keys, nonces, what was seen."""

from .codec import Drop
from .crypto import gcm_open, gcm_seal, message_aad

WINDOW = 1024


class Session:
    def __init__(self, sid, role, send, recv, prefix, now, d1=False, a1=False, proven=False, fs=False):
        self.sid, self.role = sid, role
        self.key_send, self.key_recv = send, recv
        self.prefix = prefix
        self.counter = 0
        self.created = now
        self.d1, self.a1, self.proven = d1, a1, proven
        self.bound, self.forward_secret = d1, d1 and fs
        self.their_prefix = None
        self.high = -1
        self.seen = set()
        self.wrapped_hash = None
        self.ack = None
        self.ack_at = 0.0
        self.rival = None

    def auth(self):
        return {"proven": self.proven, "bound": self.bound, "forward_secret": self.forward_secret}

    def nonce(self):
        nonce = self.prefix + self.counter.to_bytes(6, "big")
        self.counter += 1
        return nonce

    def seal(self, plain, topic, t, r, sender):
        aad = message_aad(topic, t, r, sender, self.sid) if self.d1 else b""
        return gcm_seal(self.key_send, self.nonce(), plain, aad)

    def open(self, data, topic, t, r, sender, naive=False):
        nonce = data[:12]
        if naive:
            plain = gcm_open(self.key_recv, data)
            if plain is None:
                raise Drop("bad_cipher")
            return plain
        if nonce[:6] == self.prefix:
            raise Drop("reflected")
        counter = int.from_bytes(nonce[6:], "big")
        if self.d1:
            if nonce[:6] == self.their_prefix and (counter in self.seen or counter <= self.high - WINDOW):
                raise Drop("replay")
            plain = gcm_open(self.key_recv, data, message_aad(topic, t, r, sender, self.sid))
        else:
            if nonce in self.seen:
                raise Drop("replay")
            plain = gcm_open(self.key_recv, data)
        if plain is None:
            raise Drop("bad_cipher")
        if not self.d1:
            self.seen.add(nonce)
            return plain
        if self.their_prefix is None:
            self.their_prefix = nonce[:6]
        elif self.their_prefix != nonce[:6]:
            raise Drop("replay")
        self.high = max(self.high, counter)
        self.seen = {c for c in self.seen if c > self.high - WINDOW} if len(self.seen) > 4 * WINDOW else self.seen
        self.seen.add(counter)
        return plain
