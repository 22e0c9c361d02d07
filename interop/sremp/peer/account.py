"""Everything this peer keeps beyond a connection: own keys, trust, prekeys, sessions, outbox (profile: Sessions)."""

import os
import time
from collections import deque
from dataclasses import dataclass, field

from . import identity, pqxdh
from .noise import public
from .ratchet import hkdf, new_secret
from .wire import CONTENTS, Refused, decode, encode, label

HOUR_S = 3600
MAX_NS = 9999
SPK_ID = 1


def now_ms():
    return time.time_ns() // 1_000_000


def new_id():
    return int.from_bytes(os.urandom(8), "big")


class Rate:
    """At most `limit` per hour."""

    def __init__(self, limit):
        self.limit = limit
        self.times = deque()

    def take(self):
        now = time.monotonic()
        while self.times and now - self.times[0] > HOUR_S:
            self.times.popleft()
        if len(self.times) >= self.limit:
            return False
        self.times.append(now)
        return True


@dataclass
class Item:
    """One content on its way; `blob` once it is encrypted."""

    message_id: int
    content: bytes
    text_id: int | None = None
    blob: bytes | None = None
    sent_on: object = None  # the link that carried it


@dataclass
class Contact:
    key: bytes
    sessions: pqxdh.Sessions = field(default_factory=pqxdh.Sessions)
    outbox: dict = field(default_factory=dict)  # message_id -> Item, in order
    confirmed: set = field(default_factory=set)
    retired: set = field(default_factory=set)  # message ids replaced by new ones
    delivered: set = field(default_factory=set)  # message ids of theirs
    texts: set = field(default_factory=set)  # TEXT ids of theirs
    items_given: Rate = field(default_factory=lambda: Rate(5))
    sessions_by_it: Rate = field(default_factory=lambda: Rate(10))
    restarts: Rate = field(default_factory=lambda: Rate(1))


class Account:
    def __init__(self, seed, username, relays=(), discoverable=False):
        """`seed` (32 bytes) gives all long-term keys; prekeys are fresh, since nothing is kept between two runs."""
        secrets = {name: hkdf(bytes(32), seed, label(f"peer {name}"), 32) for name in ("identity", "noise", "dr")}
        self.noise_secret = secrets["noise"]
        now = now_ms()
        own = identity.create(secrets["identity"], public(secrets["noise"]), public(secrets["dr"]), username, now, now, relays, discoverable)
        self.owner = pqxdh.Owner(secrets["identity"], secrets["dr"], own)
        self.trust = identity.TrustStore()
        self.prekeys = pqxdh.Prekeys()
        self.bundle = self.prekeys.issue_bundle(self.owner, SPK_ID, now)
        self.contacts = {}

    @property
    def identity(self):
        return self.owner.identity

    def contact(self, key):
        return self.contacts.setdefault(key, Contact(key))

    # --- sending ---

    def queue(self, contact, name, body):
        content = encode(name, body, CONTENTS)
        # The first sending of a TEXT has the id of its message.
        message_id = body["id"] if name == "TEXT" else new_id()
        contact.outbox[message_id] = Item(message_id, content, body.get("id") if name == "TEXT" else None)

    def seal_waiting(self, contact):
        """Encrypts, in order, what the active session can take now."""
        session = contact.sessions.active
        if session is None:
            return
        for item in list(contact.outbox.values()):
            if item.blob is None and session.fits(item.content) and session.ratchet.ns <= MAX_NS:
                item.blob = session.encrypt(item.message_id, item.content)

    def seal_again(self, contact):
        """After a restart: everything unconfirmed, with new message ids and the same TEXT.id."""
        items = list(contact.outbox.values())
        contact.retired |= set(contact.outbox)
        contact.outbox.clear()
        for item in items:
            again = Item(new_id(), item.content, item.text_id)
            contact.outbox[again.message_id] = again
        self.seal_waiting(contact)

    def start_session(self, contact, prekeys_body):
        now = now_ms()
        offer = pqxdh.check_prekeys(prekeys_body, contact.key, now, self.trust)
        session = pqxdh.start(self.owner, offer, contact.sessions.next_epoch(now))
        contact.sessions.add(session)
        return session

    def prekeys_for(self, contact):
        # No `identity`: the other side has just verified it.
        body = {"target": self.identity.key, "bundle": self.bundle}
        if contact.items_given.take():
            body["one_time"] = self.prekeys.issue_item(self.owner)
        return body

    # --- receiving ---

    def open(self, contact, message_id, blob):
        """(content bytes, session, whether it is new)."""
        if blob[:1] == b"\x01":
            return pqxdh.accept(
                self.owner, self.prekeys, contact.sessions, self.trust, contact.key, message_id, blob, now_ms(),
                new_secret, contact.sessions_by_it.take,
            )
        content, session = contact.sessions.decrypt(message_id, blob)
        return content, session, False

    def confirmation(self, contact, message_id):
        now = now_ms()
        own = self.identity.key
        signed = confirmation_content(contact.key, own, message_id, now)
        return {
            "message_id": message_id, "delivered_to": own, "timestamp": now, "sender": contact.key,
            "signature": identity.sign(self.owner.identity_secret, signed),
        }

    def take_confirmation(self, contact, body):
        """The Item that is confirmed now, None if that is nothing new; Refused if the confirmation is false."""
        message_id = body["message_id"]
        if body["delivered_to"] != contact.key or body.get("sender", self.identity.key) != self.identity.key:
            raise Refused("auth", "confirmation between other identities")
        signed = confirmation_content(self.identity.key, contact.key, message_id, body["timestamp"])
        if not identity.verify(contact.key, body["signature"], signed):
            raise Refused("auth", "signature of a confirmation")
        if message_id in contact.confirmed or message_id in contact.retired:
            return None
        item = contact.outbox.pop(message_id, None)
        if item is None or item.blob is None:
            raise Refused("not_found", "confirmation of a message that was not sent")
        contact.confirmed.add(message_id)
        return item


def confirmation_content(sender, delivered_to, message_id, timestamp):
    return label("delivered") + sender + delivered_to + message_id.to_bytes(8, "big") + timestamp.to_bytes(8, "big")


def read_content(content):
    return decode(content, CONTENTS)
