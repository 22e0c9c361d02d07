"""Prekeys, PQXDH, the sealed initial message and the order of sessions (profile: PQXDH, Sessions)."""

import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from kyber_py.ml_kem import ML_KEM_768

from .identity import Identity, sign, verify
from .noise import dh, public
from .ratchet import Ratchet, bucket, hkdf, new_secret, sha256
from .wire import Refused, label, read_struct, write_struct

SUITE = 1
MINUTE = 60 * 1000
DAY = 24 * 60 * MINUTE
TYPE_1_BUCKET = 16384
MAX_SESSIONS = 5


@dataclass
class Owner:
    """The secrets behind an identity."""

    identity_secret: bytes
    dr_secret: bytes
    identity: Identity


# --- The owner's side: bundles and one-time items -----------------------------------------------------------------------


@dataclass
class Bundle:
    spk_id: int
    spk_secret: bytes
    kem_dk: bytes
    dr_secret: bytes
    signed: dict  # SignedBundle


@dataclass
class OneTime:
    opk_secret: bytes
    kem_dk: bytes
    signed: dict  # SignedOneTime


class Prekeys:
    """What B keeps: secrets, items already used, and every `e` seen."""

    def __init__(self):
        self.bundles = {}  # SHA256(bundle) -> Bundle
        self.items = {}  # id -> OneTime
        self.used = {}  # id -> SHA256(item)
        self.seen = set()

    def add_bundle(self, bundle):
        self.bundles[sha256(bundle.signed["bundle"])] = bundle

    def issue_bundle(self, owner, spk_id, now):
        spk_secret = new_secret()
        ek, dk = ML_KEM_768.key_derive(os.urandom(64))
        data = write_struct("PrekeyBundleData", {
            "identity_key": owner.identity.key,
            "dr_key": owner.identity.dr_key,
            "spk_id": spk_id,
            "spk": public(spk_secret),
            "lr_kem_id": spk_id,
            "lr_kem": ek,
            "issued": now,
            "not_after": now + 14 * DAY,
        })
        signed = {"bundle": data, "signature": sign(owner.identity_secret, label("prekeys") + data)}
        self.add_bundle(Bundle(spk_id, spk_secret, dk, owner.dr_secret, signed))
        return signed

    def issue_item(self, owner):
        item_id = len(self.items) + len(self.used) + 1
        opk_secret = new_secret()
        ek, dk = ML_KEM_768.key_derive(os.urandom(64))
        data = write_struct("OneTimeData", {"identity_key": owner.identity.key, "id": item_id, "opk": public(opk_secret), "kem": ek})
        signed = {"item": data, "signature": sign(owner.identity_secret, label("one-time") + data)}
        self.items[item_id] = OneTime(opk_secret, dk, signed)
        return signed


@dataclass
class Offer:
    """A checked PREKEYS message."""

    identity_key: bytes
    bundle: dict
    bundle_hash: bytes
    item: dict | None
    item_hash: bytes


def check_prekeys(body, asked, now, trust):
    """The row of `asked` in `trust` is used when PREKEYS.identity is absent."""
    if "identity" in body:
        identity = Identity.check(body["identity"])
        trust.offer(identity, soft=True, add=identity.key == asked)
        if identity.key != asked:
            raise Refused("auth", "identity of another key than asked for")
    if body["target"] != asked or asked not in trust.rows:
        raise Refused("auth", "prekeys of another key than asked for")
    stored = trust.rows[asked].identity
    if stored.dr_key is None:
        raise Refused("auth", "identity without dr_key")
    data = body["bundle"]["bundle"]
    bundle = read_struct("PrekeyBundleData", data)
    if bundle["identity_key"] != stored.key or bundle["dr_key"] != stored.dr_key:
        raise Refused("auth", "bundle for other keys")
    if not verify(stored.key, body["bundle"]["signature"], label("prekeys") + data):
        raise Refused("auth", "bundle signature")
    if not bundle["issued"] - 10 * MINUTE <= now <= bundle["not_after"] <= bundle["issued"] + 14 * DAY:
        raise Refused("expired", "bundle times")
    if "one_time" not in body:
        return Offer(stored.key, bundle, sha256(data), None, bytes(32))
    item_data = body["one_time"]["item"]
    item = read_struct("OneTimeData", item_data)
    if item["identity_key"] != stored.key:
        raise Refused("auth", "one-time item of another key")
    if not verify(stored.key, body["one_time"]["signature"], label("one-time") + item_data):
        raise Refused("auth", "one-time signature")
    return Offer(stored.key, bundle, sha256(data), item, sha256(item_data))


# --- Key agreement ----------------------------------------------------------------------------------------------------


def agree(dhs, shared):
    """(SK, HKA, NHKB) from DH1..DH4 and the KEM's secret."""
    material = b"\xff" * 32 + b"".join(dhs) + shared
    out = hkdf(bytes(32), material, label("pqxdh") + bytes([SUITE]), 96)
    return out[:32], out[32:64], out[64:]


def associated_data(epoch, id_a, id_b, dr_a, dr_b, spk_b, e, bundle_hash, item_hash, kem_ct):
    keys = id_a + id_b + dr_a + dr_b + spk_b + e
    return sha256(label("ad") + bytes([SUITE]) + epoch.to_bytes(8, "big") + keys + bundle_hash + item_hash + sha256(kem_ct))


def session_id(ad):
    return sha256(label("session") + ad)[:16]


def encapsulate(ek, m):
    """(ss, ct)."""
    try:
        return ML_KEM_768._encaps_internal(ek, m)  # the only entry that takes m; it makes the modulus check
    except ValueError:
        raise Refused("decrypt", "ML-KEM encapsulation key") from None


def seal(spk_id, spk, plaintext, secret):
    """Blob type 1 around the bytes of an InitialMessage."""
    s_pub = public(secret)
    head = b"\x01" + bytes([SUITE]) + spk_id.to_bytes(4, "big") + s_pub
    padded = plaintext + b"\x80"
    padded += bytes(-len(padded) % 1024)
    return head + ChaCha20Poly1305(seal_key(dh(secret, spk), s_pub, spk)).encrypt(bytes(12), padded, head)


def seal_key(shared, s_pub, spk):
    return hkdf(bytes(32), shared, label("seal") + s_pub + spk, 32)


def unseal(blob, spk_secret):
    s_pub = blob[6:38]
    key = seal_key(dh(spk_secret, s_pub), s_pub, public(spk_secret))
    try:
        padded = ChaCha20Poly1305(key).decrypt(bytes(12), blob[38:], blob[:38])
    except InvalidTag:
        raise Refused("decrypt", "sealed message does not authenticate") from None
    stripped = padded.rstrip(b"\0")
    if len(padded) % 1024 or not stripped.endswith(b"\x80"):
        raise Refused("decrypt", "padding of the sealed message")
    return stripped[:-1]


# --- Sessions ---------------------------------------------------------------------------------------------------------


@dataclass
class Session:
    session_id: bytes
    epoch: int
    ratchet: Ratchet
    ours: bool
    spk: bytes = b""
    spk_id: int = 0
    initial: dict | None = None  # InitialMessage without `message`, while unanswered

    def fits(self, content):
        """Whether a content of this length may go now; while unanswered large ones wait."""
        return self.initial is None or bucket(len(content)) <= TYPE_1_BUCKET

    def encrypt(self, message_id, content, header_nonce=None, seal_secret=None):
        blob = self.ratchet.encrypt(message_id, content, header_nonce)
        if self.initial is None:
            return blob
        plaintext = write_struct("InitialMessage", {**self.initial, "message": blob})
        return seal(self.spk_id, self.spk, plaintext, seal_secret or new_secret())

    def decrypt(self, message_id, blob, draw=new_secret):
        content = self.ratchet.decrypt(message_id, blob, draw)
        self.initial = None
        return content


class Sessions:
    """All sessions with one peer, the active one first."""

    def __init__(self):
        self.list = []
        self.highest_epoch = None

    @property
    def active(self):
        return self.list[0] if self.list else None

    def add(self, session):
        self.list.append(session)
        self.list.sort(key=lambda one: (-one.epoch, one.session_id))
        del self.list[MAX_SESSIONS:]
        self.highest_epoch = max(session.epoch, self.highest_epoch or 0)

    def remove(self, session):
        self.list.remove(session)

    def find(self, wanted):
        return next((one for one in self.list if one.session_id == wanted), None)

    def next_epoch(self, now):
        return max(0 if self.highest_epoch is None else self.highest_epoch + 1, now // 1000)

    def epoch_limit(self, now):
        return max(now // 1000 + 86400, 0 if self.highest_epoch is None else self.highest_epoch + 1)

    def decrypt(self, message_id, blob, draw=new_secret):
        """A type-2 blob: (content, session)."""
        if len(blob) < 353 or blob[0] != 2:
            raise Refused("malformed", "not a ratchet message")
        for session in self.list:
            try:
                return session.decrypt(message_id, blob, draw), session
            except Refused as refused:
                if refused.name != "no_session":
                    raise
        raise Refused("no_session", "no session opens the header")


def start(owner, offer, epoch, e_secret=None, kem_m=None, ratchet_secret=None):
    """A's side: a session from a checked PREKEYS."""
    e_secret = e_secret or new_secret()
    e = public(e_secret)
    spk = offer.bundle["spk"]
    dhs = [dh(owner.dr_secret, spk), dh(e_secret, offer.bundle["dr_key"]), dh(e_secret, spk)]
    if offer.item:
        dhs.append(dh(e_secret, offer.item["opk"]))
    shared, kem_ct = encapsulate(offer.item["kem"] if offer.item else offer.bundle["lr_kem"], kem_m or os.urandom(32))
    identity = owner.identity
    ad = associated_data(
        epoch, identity.key, offer.identity_key, identity.dr_key, offer.bundle["dr_key"], spk, e,
        offer.bundle_hash, offer.item_hash, kem_ct,
    )
    ratchet = Ratchet.starter(ad, *agree(dhs, shared), spk, ratchet_secret or new_secret())
    initial = {"identity": identity.body(), "e": e, "epoch": epoch, "bundle_hash": offer.bundle_hash, "kem_ct": kem_ct}
    if offer.item:
        initial["one_time_id"] = offer.item["id"]
    return Session(session_id(ad), epoch, ratchet, True, spk, offer.bundle["spk_id"], initial)


def accept(owner, prekeys, sessions, trust, sender, message_id, blob, now, draw=new_secret, may_start=lambda: True):
    """B's side, a type-1 blob: (content, session, whether it is new). Whatever is Refused changes no secret."""
    if len(blob) < 1078 or blob[0] != 1:
        raise Refused("malformed", "not an initial message")
    if blob[1] != SUITE:
        raise Refused("unsupported", f"suite {blob[1]}")
    spk_id = int.from_bytes(blob[2:6], "big")
    spk_secret = next((one.spk_secret for one in prekeys.bundles.values() if one.spk_id == spk_id), None)
    if spk_secret is None:
        raise Refused("prekey_unknown", f"spk {spk_id}")
    initial = read_struct("InitialMessage", unseal(blob, spk_secret))
    identity = Identity.check(initial["identity"])
    if identity.key != sender or identity.dr_key is None:
        raise Refused("auth", "initial message of another sender, or without dr_key")
    trust.offer(identity, soft=True, add=False)
    if initial["epoch"] > sessions.epoch_limit(now):
        raise Refused("malformed", "epoch too far ahead")
    bundle = prekeys.bundles.get(initial["bundle_hash"])
    item_id = initial.get("one_time_id")
    if bundle is None or bundle.spk_id != spk_id:
        raise Refused("prekey_unknown", "bundle")
    item = prekeys.items.get(item_id)
    if item_id is None:
        item_hash = bytes(32)
    elif item is not None:
        item_hash = sha256(item.signed["item"])
    elif item_id in prekeys.used:
        item_hash = prekeys.used[item_id]
    else:
        raise Refused("prekey_unknown", f"one-time item {item_id}")
    spk, e = public(spk_secret), initial["e"]
    ad = associated_data(
        initial["epoch"], sender, owner.identity.key, identity.dr_key, public(bundle.dr_secret), spk, e,
        initial["bundle_hash"], item_hash, initial["kem_ct"],
    )
    known = sessions.find(session_id(ad))
    if known is not None:
        return _fitting(known, message_id, initial["message"], draw), known, False
    if e in prekeys.seen:
        raise Refused("replay", "e already seen")
    if item_id in prekeys.used:
        raise Refused("prekey_unknown", f"one-time item {item_id} was used")
    if not may_start():
        raise Refused("rate", "too many new sessions")
    dhs = [dh(spk_secret, identity.dr_key), dh(bundle.dr_secret, e), dh(spk_secret, e)]
    if item is not None:
        dhs.append(dh(item.opk_secret, e))
    shared = ML_KEM_768.decaps(item.kem_dk if item else bundle.kem_dk, initial["kem_ct"])
    ratchet = Ratchet.answerer(ad, *agree(dhs, shared), spk_secret)
    session = Session(session_id(ad), initial["epoch"], ratchet, False)
    content = _fitting(session, message_id, initial["message"], draw)
    trust.rows.get(sender) or trust.offer(identity)
    sessions.add(session)
    prekeys.seen.add(e)
    if item is not None:
        prekeys.used[item_id] = item_hash
        del prekeys.items[item_id]
    return content, session, True


def _fitting(session, message_id, message, draw):
    try:
        return session.decrypt(message_id, message, draw)
    except Refused as refused:
        if refused.name == "no_session":
            raise Refused("decrypt", "no header key fits") from None
        raise
