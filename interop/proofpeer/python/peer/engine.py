"""The peer without I/O: what comes in gives actions.

Actions: ("subscribe", topic, broker), ("unsubscribe", topic), ("publish", topic, payload, qos, broker, kind),
("event", name, fields).
"""

import os
import random

from . import crypto, frames, wire
from .codec import (
    Drop, F, b64, b64u, channel_topic, compact, inbox_topic, is_int, murmur3, sha256,
)
from .keys import BadWrap
from .presence import Presence
from .session import Session

CACHE_S = 125.0
RETRIES = (2.0, 4.0, 8.0)
HANDSHAKE_S = 10.0
IN_FLIGHT = 16
PER_ROLE = 4
JOIN = {"type": "announce", "action": "join"}
LEAVE = {"type": "announce", "action": "leave"}
INTRODUCE = {"type": "announce", "action": "introduce"}
HEARTBEAT = {"type": "heartbeat"}
HANDSHAKE = {"type": "handshake"}
SETTINGS = {
    "alg": None,  # header of Ed25519 tokens
    "oaep": "sha256",
    "ok": "OK",  # plaintext of acks
    "caps": "d1,a1",
    "epk": True,
    "ack": True,  # answer handshakes
    "ack_x": True,
    "pp": True,
    "msid": True,
    "receipts": True,
    "skew": 0,  # seconds added to sent times
    "heartbeat": 30.0,
    "introduce": True,
    "chunk": 32768,
}


def presence_kind(data):
    if isinstance(data, dict):
        if data.get("type") == "heartbeat":
            return "heartbeat"
        if data.get("type") == "announce" and data.get("action") in ("join", "leave", "introduce"):
            return data["action"]
    return None


class Pending:
    def __init__(self, sid, k0, wrapped, now, caps, secret=None):
        self.sid, self.k0, self.wrapped = sid, k0, wrapped
        self.caps, self.secret = caps, secret
        self.epk = crypto.x25519_public(secret) if secret else b""
        self.started = now
        self.sends = 0
        self.rival = None


class Outgoing:
    def __init__(self, ident, mid, parts, now):
        self.id, self.mid, self.parts = ident, mid, parts
        self.open = set(range(len(parts)))
        self.flight = {}  # idx -> (next time, delay)
        self.deadline = now + 24 * 3600


class Peer:
    def __init__(self, key):
        self.key = key
        self.uids = {key.uid}
        self.uid = key.uid
        self.form_ts = -1
        self.presence = Presence()
        self.locked = False
        self.caps, self.caps_ts = None, -1
        self.boot = None
        self.newest_ts = -1
        self.sessions = []
        self.pending = None
        self.queue = []
        self.outbox = {}
        self.frames = frames.Receiver()
        self.sids = {}  # sid -> (C hash, time of the end or None)
        self.wrapped = {}  # C hash -> sid
        self.last_reverse = self.retry_after = -1e9
        self.introduced = {}
        self.follow = (None, 0)

    @property
    def fingerprint(self):
        return self.key.fingerprint


class Engine:
    def __init__(self, private, app, now, literal=False, strict=False, limit=65536, allow_unproven=False):
        self.private, self.app = private, app
        self.me = private.public
        self.literal, self.strict, self.limit = literal, strict, limit
        self.allow_unproven = allow_unproven
        self.now = now
        self.inbox = inbox_topic(app, self.me.uid)
        self.boot = os.urandom(8)
        self.channels = {}  # topic -> {name, hash, root, beat}
        self.peers = {}
        self.cache = {}
        self.timers = []  # (time, function)
        self.actions = []
        self.live = set()
        self.next_id = 1
        self.last = {}
        self.set = dict(SETTINGS)
        if literal:
            self.set["alg"] = "ES256"

    # --- going out ----------------------------------------------------------------------------------------------------

    def take(self):
        actions, self.actions = self.actions, []
        return actions

    def event(self, name, **fields):
        self.actions.append(("event", name, {k: v for k, v in fields.items() if v is not None}))

    def clock(self):
        return int(self.now) + int(self.set["skew"])

    def caps(self):
        return [c for c in str(self.set["caps"]).split(",") if c]

    def publish(self, topic, kind, r, t, jwt=None, m=None, broker=None):
        envelope = {"v": 1, "t": t, "r": r}
        if jwt is not None:
            envelope["jwt"] = jwt
        if m is not None:
            envelope["m"] = m
        payload = compact(envelope)
        if len(payload) > self.limit:
            return False
        self.last[kind] = self.last["any"] = (topic, payload, int(r))
        self.actions.append(("publish", topic, payload, int(r), broker, kind))
        return True

    def token(self, topic, t, data, to=None, extra=None):
        pp = None
        if not self.literal and self.set["pp"]:
            pp = {"t": topic, "n": b64u(os.urandom(16)), "c": self.caps(), "b": b64u(self.boot)}
            if to is not None:
                pp["to"] = b64u(sha256(to.key.spki))
            pp.update(extra or {})
        return wire.make_token(self.private, t, data, pp, self.set["alg"])

    def signed(self, topic, kind, data, r=False, to=None, broker=None):
        t = self.clock()
        return self.publish(topic, kind, r, t, self.token(topic, t, data, to), broker=broker)

    def inbox_of(self, peer):
        return inbox_topic(self.app, peer.uid)

    # --- connections and channels -------------------------------------------------------------------------------------

    def connected(self, broker=None):
        self.live.add(broker)
        self.actions.append(("subscribe", self.inbox, broker))
        for topic in self.channels:
            self.actions.append(("subscribe", topic, broker))

    def disconnected(self, broker=None):
        self.live.discard(broker)

    def subscribed(self, topic, broker=None):
        channel = self.channels.get(topic)
        if channel is None:
            return
        self.signed(topic, "join", JOIN, broker=broker)
        if channel["beat"] is None:
            channel["beat"] = self.beat_time()
        self.event("joined", channel=channel["name"])

    def beat_time(self):
        period = float(self.set["heartbeat"])
        return self.now + period - random.uniform(0, period / 10)

    def join(self, name, passphrase=None, root=None):
        topic = channel_topic(self.app, name)
        if passphrase is not None:
            root = crypto.channel_root(self.app, name, passphrase)
        known = topic in self.channels
        self.channels[topic] = {"name": name, "hash": murmur3(name), "root": root, "beat": None}
        if not known:
            for broker in self.live:
                self.actions.append(("subscribe", topic, broker))

    def leave(self, name):
        topic = channel_topic(self.app, name)
        if topic not in self.channels:
            raise Drop("not_joined")
        if not self.literal:
            self.signed(topic, "leave", LEAVE)
        self.actions.append(("unsubscribe", topic))
        code = self.channels[topic]["hash"]
        for peer in self.peers.values():
            self.changes(peer, peer.presence.forget_channel(code))
        del self.channels[topic]

    def broadcast(self, name, data, r=False):
        topic = channel_topic(self.app, name)
        channel = self.channels.get(topic)
        if channel is None:
            raise Drop("not_joined")
        t = self.clock()
        if channel["root"] is not None:
            data = crypto.seal_value(channel["root"], self.me.spki, topic, t, data)
        if not self.publish(topic, "broadcast", r, t, self.token(topic, t, data)):
            raise Drop("too_large")

    def shutdown(self):
        for topic in self.channels:
            if not self.literal:
                self.signed(topic, "leave", LEAVE)
        for peer in self.peers.values():
            if peer.sessions and not self.literal:
                self.signed(self.inbox_of(peer), "leave", LEAVE, to=peer)
        for topic in (*self.channels, self.inbox):
            self.actions.append(("unsubscribe", topic))

    # --- sending to a peer --------------------------------------------------------------------------------------------

    def find(self, to):
        if str(to) in self.peers:
            return self.peers[str(to)]
        found = [p for p in self.peers.values() if str(to).isdigit() and int(to) in p.uids]
        if len(found) != 1:
            raise Drop("ambiguous_peer" if found else "unknown_peer")
        return found[0]

    def sender(self, peer):
        """The session that sends."""
        usable = [s for s in peer.sessions if s.proven or self.literal or self.allow_unproven]
        if not usable:
            return None
        if self.literal:
            return usable[-1]
        usable = [s for s in usable if s.proven] or usable
        sid, count = peer.follow
        for session in usable:
            if session.sid == sid and count >= 3:
                return session
        best = usable[-1]
        for session in usable:
            if session.sid == best.rival and session.sid.encode() < best.sid.encode():
                return session
        return best

    def send(self, to, data, r=False, ident=None):
        peer = self.find(to)
        if ident is None:
            ident, self.next_id = self.next_id, self.next_id + 1
        session = self.sender(peer)
        if session is None:
            if len(peer.queue) >= 64:
                raise Drop("queue_full")
            peer.queue.append((ident, data, r))
            self.event("status", id=ident, status="queued")
            if peer.pending is None:
                self.handshake(peer)
            return ident
        self.transmit(peer, session, ident, data, r)
        return ident

    def transmit(self, peer, session, ident, data, r):
        if not session.a1:
            fits = self.session_message(peer, session, data, r)
            status = ("unconfirmed" if r else "sent") if fits else "too_large"
            self.event("status", id=ident, status=status)
            return
        if len(data) > frames.MESSAGE_LIMIT:
            self.event("status", id=ident, status="too_large")
            return
        mid = os.urandom(8)
        parts = frames.cut(data, int(self.set["chunk"]))
        self.event("status", id=ident, status="sent")
        if r:
            peer.outbox[mid] = Outgoing(ident, mid, parts, self.now)
            self.pump(peer)
            return
        for idx, part in enumerate(parts):
            self.session_message(peer, session, frames.build(0, mid, idx, len(parts), part), False)

    def session_message(self, peer, session, plain, r):
        topic, t = self.inbox_of(peer), self.clock()
        m = {"sender_id": self.me.uid, "aes": {"data": b64(session.seal(plain, topic, t, r, self.me.uid))}}
        if not self.literal and self.set["msid"]:
            m["sid"] = session.sid
        return self.publish(topic, "session", r, t, m=m)

    def pump(self, peer, anew=False):
        session = self.sender(peer)
        if session is None or not session.a1 or not peer.presence.online:
            return
        flying = 0 if anew else sum(len(o.flight) for o in peer.outbox.values())
        for out in peer.outbox.values():
            if anew:
                out.flight = {}
            if not out.open and 0 not in out.flight:
                out.flight[0] = (self.now + 3, 3.0)
            for idx, (due, delay) in list(out.flight.items()):
                if due <= self.now:
                    delay = min(60.0, delay * 2)
                    out.flight[idx] = (self.now + delay * random.uniform(0.9, 1.1), delay)
                    self.part(peer, session, out, idx)
            for idx in sorted(out.open - out.flight.keys()):
                if flying >= IN_FLIGHT:
                    break
                flying += 1
                out.flight[idx] = (self.now + 3, 3.0)
                self.part(peer, session, out, idx)

    def part(self, peer, session, out, idx):
        frame = frames.build(1, out.mid, idx, len(out.parts), out.parts[idx])
        self.session_message(peer, session, frame, True)

    # --- handshake ----------------------------------------------------------------------------------------------------

    def handshake(self, peer):
        k0 = os.urandom(32)
        wrapped = peer.key.wrap(k0, sha1=self.set["oaep"] == "sha1")
        secret = os.urandom(32) if not self.literal and self.set["epk"] else None
        peer.pending = Pending(os.urandom(4).hex(), k0, wrapped, self.now, self.caps(), secret)
        self.send_handshake(peer)
        return peer.pending.sid

    def send_handshake(self, peer):
        pending = peer.pending
        pending.sends += 1
        topic, t = self.inbox_of(peer), self.clock()
        extra = {"c": pending.caps, "sid": pending.sid, "k": b64u(sha256(pending.wrapped))}
        if pending.epk:
            extra["epk"] = b64u(pending.epk)
        jwt = self.token(topic, t, HANDSHAKE, peer, extra)
        m = {"handshake": {"aes_key": b64(pending.wrapped), "sid": pending.sid}}
        self.publish(topic, "handshake", True, t, jwt, m)

    def established(self, peer, session):
        peer.sessions.append(session)
        same = [s for s in peer.sessions if s.proven == session.proven]
        if len(same) > PER_ROLE:
            self.close(peer, same[0], "displaced")
        self.event(
            "session", peer=peer.fingerprint, sid=session.sid, role=session.role, proven=session.proven,
            d1=session.d1, a1=session.a1, auth=session.auth(),
        )
        self.flush(peer)

    def flush(self, peer):
        session = self.sender(peer)
        if session is None:
            return
        queue, peer.queue = peer.queue, []
        for ident, data, r in queue:
            self.transmit(peer, session, ident, data, r)
        self.pump(peer, anew=True)

    def close(self, peer, session, reason):
        peer.sessions.remove(session)
        if session.sid in peer.sids:
            peer.sids[session.sid] = (peer.sids[session.sid][0], self.now)
        self.event("closed", peer=peer.fingerprint, sid=session.sid, reason=reason)

    def close_all(self, peer, reason, until=None):
        for session in list(peer.sessions):
            if until is None or session.created < until:
                self.close(peer, session, reason)

    def on_handshake(self, peer, envelope, claim, topic):
        digest = sha256(envelope.wrapped)
        known = peer.sids.get(envelope.sid)
        live = next((s for s in peer.sessions if s.role == "responder" and s.sid == envelope.sid), None)
        if live and live.wrapped_hash == digest:
            self.again(peer, live)
            raise Drop("duplicate")
        if not self.literal:
            if known and (known[0] != digest or known[1] is None or self.now - known[1] < CACHE_S):
                raise Drop("sid_reuse")
            if digest in peer.wrapped:
                raise Drop("sid_reuse")
        d1 = claim is not None and "d1" in claim.caps and "d1" in self.caps() and not self.literal
        if self.strict and not d1:
            raise Drop("unbound")
        try:
            k0 = self.private.unwrap(envelope.wrapped)
        except BadWrap:
            raise Drop("bad_wrap") from None
        prefix = bytes([0x80 | os.urandom(1)[0]]) + os.urandom(5)
        extended = claim is not None and not self.literal and self.set["ack_x"]
        send = recv = k0
        x, a1, fs = None, False, False
        if extended:
            caps, epk, dh = self.caps(), b"", b""
            schedule = crypto.Schedule(
                envelope.sid, peer.key.spki, self.me.spki, envelope.wrapped, k0, claim.epk, claim.caps
            )
            value = {"c": caps}
            if claim.epk:
                secret = os.urandom(32)
                epk = crypto.x25519_public(secret)
                try:
                    dh = crypto.x25519(secret, claim.epk)
                except ValueError:
                    raise Drop("bad_wrap") from None
                value["epk"] = b64u(epk)
            schedule.finish(epk, caps, dh)
            if d1:
                recv, send = schedule.i2r, schedule.r2i
                a1, fs = "a1" in claim.caps and "a1" in caps, bool(claim.epk)
            x = {"d": b64(crypto.gcm_seal(schedule.kx, os.urandom(12), compact(value), schedule.th))}
        d1 = d1 and extended
        session = Session(envelope.sid, "responder", send, recv, prefix, self.now, d1, a1, proven=d1, fs=fs)
        session.wrapped_hash = digest
        nonce = os.urandom(12) if d1 else session.nonce()
        data = crypto.gcm_seal(k0, nonce, str(self.set["ok"]).encode())
        session.ack = {"sender_id": self.me.uid, "aes": {"sid": envelope.sid, "data": b64(data)}}
        if x:
            session.ack["x"] = x
        peer.sids[envelope.sid] = (digest, None)
        peer.wrapped[digest] = envelope.sid
        if peer.pending:
            session.rival, peer.pending.rival = peer.pending.sid, envelope.sid
        self.again(peer, session)
        self.established(peer, session)
        if (
            not session.proven and not self.literal and peer.pending is None
            and not any(s.proven for s in peer.sessions) and self.now - peer.last_reverse >= 10
        ):
            peer.last_reverse = self.now
            self.handshake(peer)

    def again(self, peer, session):
        if self.set["ack"] and self.now - session.ack_at >= 1:
            session.ack_at = self.now
            self.publish(self.inbox_of(peer), "ack", True, self.clock(), m=session.ack)

    def on_ack(self, envelope):
        peer = next((p for p in self.peers.values() if p.pending and p.pending.sid == envelope.sid), None)
        if peer is None:
            mine = any(
                s.sid == envelope.sid and s.role == "initiator" for p in self.peers.values() for s in p.sessions
            )
            raise Drop("duplicate" if mine else "no_session")
        pending = peer.pending
        if envelope.sender_id not in peer.uids:
            raise Drop("bad_sender")
        plain = crypto.gcm_open(pending.k0, envelope.data)
        if plain is None:
            raise Drop("bad_cipher")
        if plain not in (b"OK", b'"OK"'):
            raise Drop("bad_ack")
        send = recv = pending.k0
        d1 = a1 = fs = False
        if envelope.x is not None and not self.literal:
            schedule = crypto.Schedule(
                pending.sid, self.me.spki, peer.key.spki, pending.wrapped, pending.k0, pending.epk, pending.caps
            )
            inner = crypto.gcm_open(schedule.kx, envelope.x, schedule.th)
            if inner is None:
                raise Drop("bad_ack")
            try:
                caps, epk = wire.open_extension(inner, bool(pending.epk))
                dh = crypto.x25519(pending.secret, epk) if epk else b""
            except ValueError:
                raise Drop("bad_ack") from None
            schedule.finish(epk, caps, dh)
            d1 = "d1" in caps and "d1" in pending.caps
            a1 = d1 and "a1" in caps and "a1" in pending.caps
            fs = bool(epk)
            if d1:
                send, recv = schedule.i2r, schedule.r2i
        if not d1 and not self.literal:
            if envelope.x is None and "d1" in (peer.caps or []):
                raise Drop("bad_ack")
            if self.strict:
                raise Drop("unbound")
        prefix = bytes([0x7F & os.urandom(1)[0]]) + os.urandom(5)
        session = Session(pending.sid, "initiator", send, recv, prefix, self.now, d1, a1, proven=True, fs=fs)
        if not d1:
            session.seen.add(envelope.data[:12])
        session.rival = pending.rival
        self.event("ack", peer=peer.fingerprint, sid=session.sid)
        self.changes(peer, peer.presence.sign_of_life(self.now))
        peer.pending = None
        self.established(peer, session)
        return peer, session

    # --- coming in ----------------------------------------------------------------------------------------------------

    def received(self, topic, payload, retain=False):
        try:
            self.accept(topic, payload, retain)
        except Drop as drop:
            self.event("dropped", reason=drop.reason, topic=topic)

    def accept(self, topic, payload, retain):
        if retain:
            raise Drop("retained")
        kind = "inbox" if topic == self.inbox else "channel" if topic in self.channels else "other"
        envelope = wire.open_envelope(payload, self.now, kind, self.limit)
        if envelope.kind == "ack":
            self.on_ack(envelope)
        elif envelope.kind == "session":
            self.on_session(topic, envelope)
        else:
            self.on_token(topic, envelope)

    def on_token(self, topic, envelope):
        token = wire.open_token(envelope.jwt, envelope.t)
        key = token.key
        if key.fingerprint == self.me.fingerprint:
            raise Drop("own")
        token.check_alg()
        claim, bad_claim = None, False
        if token.has_pp and not self.literal:
            try:
                claim = wire.open_claim(token.pp, topic, envelope, self.me.spki)
            except ValueError:
                bad_claim = True
        peer = self.peers.get(key.fingerprint)
        entry = None
        if not self.literal:
            scope = b""
            if not token.has_pp:
                scope = topic.encode()
                if envelope.kind == "handshake":
                    scope += b"\0" + envelope.sid.encode() + b"\0" + sha256(envelope.wrapped)
            entry = sha256(F(key.spki) + F(token.signed) + F(scope))
            if self.cache.get(entry, -1) > self.now:
                if envelope.kind == "handshake" and peer:
                    for session in peer.sessions:
                        if session.sid == envelope.sid and session.wrapped_hash == sha256(envelope.wrapped):
                            self.again(peer, session)
                raise Drop("duplicate")
        token.check_signature()
        if bad_claim:
            raise Drop("bad_bind")
        if claim is None and not self.literal:
            if peer and peer.locked:
                raise Drop("downgrade")
            if self.strict:
                raise Drop("unbound")
        if entry:
            self.cache[entry] = self.now + CACHE_S
        if peer is None:
            peer = self.peers[key.fingerprint] = Peer(key)
        peer.uids.add(key.uid)
        if envelope.t >= peer.form_ts:
            peer.form_ts, peer.uid = envelope.t, key.uid
        newest, peer.newest_ts = peer.newest_ts, max(peer.newest_ts, envelope.t)
        if claim:
            peer.locked = True
            if envelope.t >= peer.caps_ts:
                if claim.boot:
                    if peer.boot and peer.boot != claim.boot:
                        self.close_all(peer, "restarted", until=envelope.t + 1)
                    peer.boot = claim.boot
                peer.caps, peer.caps_ts = claim.caps, envelope.t
        self.dispatch(peer, topic, envelope, token, claim, newest)

    def dispatch(self, peer, topic, envelope, token, claim, newest):
        kind, data = presence_kind(token.data), token.data
        if envelope.kind == "handshake":
            self.changes(peer, peer.presence.on_inbox(self.now, envelope.t))
            self.on_handshake(peer, envelope, claim, topic)
            return
        if envelope.kind == "introduction":
            if kind == "leave":
                if claim and envelope.t >= newest:
                    self.changes(peer, peer.presence.inbox_leave(envelope.t))
                    self.close_all(peer, "leave")
                return
            self.changes(peer, peer.presence.on_inbox(self.now, envelope.t))
            if kind == "introduce" and is_int(data.get("channel")):
                if any(c["hash"] == data["channel"] for c in self.channels.values()):
                    self.changes(peer, peer.presence.on_channel(self.now, data["channel"], envelope.t))
            return
        channel = self.channels[topic]
        if kind == "leave" and not self.literal:
            self.changes(peer, peer.presence.channel_leave(channel["hash"], envelope.t))
            return
        self.changes(peer, peer.presence.on_channel(self.now, channel["hash"], envelope.t))
        if kind == "join":
            if not peer.locked:
                self.close_all(peer, "restarted", until=self.now - 2)
            self.introduce_later(peer, channel)
        if kind or data is None:
            return
        encrypted = "none"
        if channel["root"] is not None:
            data = crypto.channel_open(channel["root"], peer.key.spki, topic, envelope.t, data)
            encrypted = "channel"
        self.event(
            "deliver", peer=peer.fingerprint, uid=peer.uid, channel=channel["name"], t=envelope.t, r=envelope.r,
            auth={"proven": True, "bound": claim is not None, "forward_secret": False}, encrypted=encrypted, data=data,
        )
        if data is None:
            self.actions[-1][2]["data"] = None

    def introduce_later(self, peer, channel):
        if not self.set["introduce"] or peer.introduced.get(channel["hash"], -1e9) > self.now - 30:
            return
        peer.introduced[channel["hash"]] = self.now
        data = dict(INTRODUCE) if self.literal else {**INTRODUCE, "channel": channel["hash"]}
        self.timers.append((
            self.now + random.uniform(0, 2),
            lambda: self.signed(self.inbox_of(peer), "introduction", data, to=peer),
        ))

    def changes(self, peer, changes):
        names = {c["hash"]: c["name"] for c in self.channels.values()}
        for change in changes:
            fields = dict(change)
            if "channel" in fields:
                fields["channel"] = names.get(fields["channel"], fields["channel"])
            self.event("presence", peer=peer.fingerprint, uid=peer.uid, **fields)
            if change["state"] == "offline":
                self.close_all(peer, "offline")
            if change["state"] == "online" and not self.literal:
                if peer.sessions:
                    self.pump(peer)
        if peer.presence.online and (peer.queue or peer.outbox) and not self.literal:
            if self.sender(peer) is None and peer.pending is None and self.now >= peer.retry_after:
                self.handshake(peer)

    def on_session(self, topic, envelope):
        peers = [p for p in self.peers.values() if envelope.sender_id in p.uids]
        if envelope.sid is not None and not self.literal:
            candidates = [(p, s) for p in peers for s in p.sessions if s.sid == envelope.sid]
        else:
            candidates = []
            for p in peers:
                fit = [s for s in reversed(p.sessions) if not s.d1]
                fit.sort(key=lambda s: not s.proven)
                candidates += [(p, s) for s in fit[:PER_ROLE]]
        if not candidates:
            raise Drop("no_session")
        reason = "bad_cipher"
        for peer, session in candidates:
            try:
                plain = session.open(envelope.data, topic, envelope.t, envelope.r, envelope.sender_id, self.literal)
                break
            except Drop as drop:
                if drop.reason != "bad_cipher":
                    reason = drop.reason
        else:
            raise Drop(reason)
        sid, count = peer.follow
        peer.follow = (session.sid, count + 1 if sid == session.sid else 1) if session.proven else peer.follow
        self.changes(peer, peer.presence.sign_of_life(self.now))
        if not session.a1:
            self.deliver(peer, session, envelope, plain)
            return
        kind, mid, idx, count, body = frames.split(plain)
        if kind in (0, 1):
            for outcome in peer.frames.receive(self.now, kind, mid, idx, count, body):
                if outcome[0] == "deliver":
                    self.deliver(peer, session, envelope, outcome[1], outcome[2])
                elif self.set["receipts"]:
                    best = self.sender(peer)
                    self.session_message(peer, best if best and best.a1 else session, outcome[1], False)
            return
        out = peer.outbox.get(mid)
        if out is None:
            return
        if kind == 2:
            out.open.discard(idx)
            out.flight.pop(idx, None)
            self.pump(peer)
            return
        del peer.outbox[mid]
        self.event("status", id=out.id, status="delivered" if kind == 3 else "refused")
        self.pump(peer)

    def deliver(self, peer, session, envelope, plain, mid=None):
        try:
            text = plain.decode()
        except UnicodeDecodeError:
            text = None
        self.event(
            "deliver", peer=peer.fingerprint, uid=peer.uid, t=envelope.t, r=envelope.r, sid=session.sid,
            auth=session.auth(), encrypted="session", id=mid.hex() if mid else None, len=len(plain),
            sha256=sha256(plain).hex(), hex=plain.hex(), text=text if len(plain) <= 4096 else None,
        )

    # --- time ---------------------------------------------------------------------------------------------------------

    def tick(self):
        now = self.now
        due = [f for at, f in self.timers if at <= now]
        self.timers = [(at, f) for at, f in self.timers if at > now]
        for function in due:
            function()
        beaten = False
        for topic, channel in self.channels.items():
            if channel["beat"] is not None and channel["beat"] <= now and self.live:
                channel["beat"] = self.beat_time()
                beaten = True
                self.signed(topic, "heartbeat", HEARTBEAT)
        for peer in list(self.peers.values()):
            if beaten and peer.sessions and not self.literal:
                if not any(c.member for c in peer.presence.channels.values()):
                    self.signed(self.inbox_of(peer), "heartbeat", HEARTBEAT, to=peer)
            self.changes(peer, peer.presence.tick(now))
            self.tick_pending(peer)
            peer.frames.tick(now)
            for mid, out in list(peer.outbox.items()):
                if now >= out.deadline:
                    del peer.outbox[mid]
                    self.event("status", id=out.id, status="expired")
            self.pump(peer)
        if len(self.cache) > 1000:
            self.cache = {k: v for k, v in self.cache.items() if v > now}

    def tick_pending(self, peer):
        pending = peer.pending
        if pending is None:
            return
        age = self.now - pending.started
        if age >= HANDSHAKE_S:
            peer.pending = None
            peer.retry_after = self.now + 10
            self.event("handshake_timeout", peer=peer.fingerprint, sid=pending.sid)
            kept = []
            for ident, data, r in peer.queue:
                if r and not self.literal:
                    kept.append((ident, data, r))
                else:
                    self.event("status", id=ident, status="failed", reason="handshake_timeout")
            peer.queue = kept
        elif not self.literal and pending.sends <= len(RETRIES) and age >= RETRIES[pending.sends - 1]:
            self.send_handshake(peer)
