"""Envelopes, tokens, the binding claim."""

import re
from dataclasses import dataclass

from . import keys
from .codec import Drop, b64, b64u, compact, is_int, parse, sha256, unb64, unb64u


@dataclass
class Envelope:
    kind: str
    t: int
    r: bool
    jwt: str = None
    sid: str = None
    sender_id: int = None
    wrapped: bytes = None
    data: bytes = None
    x: bytes = None


def sid_fits(sid):
    return (
        isinstance(sid, str)
        and 1 <= len(sid.encode()) <= 64
        and not any(c < " " or c == "\x7f" for c in sid)
    )


def _base64(value, least):
    if not isinstance(value, str):
        raise Drop("bad_shape")
    try:
        data = unb64(value)
    except ValueError:
        raise Drop("bad_shape") from None
    if len(data) < least:
        raise Drop("bad_shape")
    return data


def open_envelope(payload, now, topic_kind, limit=65536):
    """Steps 2 to 9."""
    if len(payload) > limit:
        raise Drop("too_large")
    try:
        top = parse(payload)
    except (ValueError, RecursionError):
        raise Drop("bad_json") from None
    if not isinstance(top, dict):
        raise Drop("bad_json")
    v, t, r = top.get("v"), top.get("t"), top.get("r", False)
    if not is_int(v) or v != 1:
        raise Drop("bad_version")
    if not is_int(t) or not 0 <= t < 1 << 53:
        raise Drop("bad_time")
    if t >= 10**11:
        raise Drop("ms_time")
    now = int(now)
    if now - t > 60:
        raise Drop("stale")
    if t - now > 60:
        raise Drop("future")
    if (
        not isinstance(r, bool)
        or "jwt" in top and not isinstance(top["jwt"], str)
        or "m" in top and not isinstance(top["m"], dict)
        or "jwt" not in top and "m" not in top
    ):
        raise Drop("bad_envelope")
    jwt, m = top.get("jwt"), top.get("m", {})
    if topic_kind == "channel":
        if jwt is None or "handshake" in m or "aes" in m:
            raise Drop("misplaced")
        return Envelope("broadcast", t, r, jwt)
    if topic_kind != "inbox":
        raise Drop("misplaced")
    if jwt is not None:
        if "aes" in m:
            raise Drop("bad_shape")
        if "handshake" not in m:
            return Envelope("introduction", t, r, jwt)
        hs = m["handshake"]
        if not isinstance(hs, dict) or not sid_fits(hs.get("sid")):
            raise Drop("bad_shape")
        return Envelope("handshake", t, r, jwt, sid=hs["sid"], wrapped=_base64(hs.get("aes_key"), 1))
    aes, sender = m.get("aes"), m.get("sender_id")
    if "handshake" in m or not isinstance(aes, dict) or not is_int(sender) or not 0 <= sender < 1 << 32:
        raise Drop("bad_shape")
    data = _base64(aes.get("data"), 28)
    if "sid" not in aes:
        if "sid" in m and not sid_fits(m["sid"]):
            raise Drop("bad_shape")
        return Envelope("session", t, r, sender_id=sender, sid=m.get("sid"), data=data)
    if not sid_fits(aes["sid"]):
        raise Drop("bad_shape")
    x = None
    if "x" in m:
        if not isinstance(m["x"], dict):
            raise Drop("bad_shape")
        if "d" in m["x"]:
            x = _base64(m["x"]["d"], 28)
    return Envelope("ack", t, r, sender_id=sender, sid=aes["sid"], data=data, x=x)


@dataclass
class Token:
    alg: str
    signed: bytes
    signature: bytes
    timestamp: int
    data: object
    has_pp: bool
    pp: object
    key: keys.Public

    def check_alg(self):
        allowed = ("RS256",) if self.key.type == "rsa" else ("EdDSA", "Ed25519", "ES256")
        if self.alg not in allowed:
            raise Drop("bad_alg")

    def check_signature(self):
        if not self.key.verify(self.signature, self.signed):
            raise Drop("bad_sig")


def open_token(text, t):
    """Steps 10 to 12."""
    parts = text.split(".")
    try:
        if len(parts) != 3:
            raise ValueError("segments")
        header, payload, signature = (unb64u(part) for part in parts)
        header, payload = parse(header), parse(payload)
        if not isinstance(header, dict) or not isinstance(header.get("alg"), str) or "crit" in header:
            raise ValueError("header")
        if (
            not isinstance(payload, dict)
            or not isinstance(payload.get("pubkey"), str)
            or not is_int(payload.get("timestamp"))
        ):
            raise ValueError("payload")
    except (ValueError, RecursionError):
        raise Drop("bad_jwt") from None
    if payload["timestamp"] != t:
        raise Drop("ts_mismatch")
    try:
        key = keys.Public.parse(payload["pubkey"])
    except keys.BadKey:
        raise Drop("bad_key") from None
    signed = ".".join(parts[:2]).encode()
    return Token(
        header["alg"], signed, signature, t, payload.get("data"), "pp" in payload, payload.get("pp"), key
    )


def make_token(private, timestamp, data, pp=None, alg=None):
    alg = "RS256" if private.public.type == "rsa" else alg or "EdDSA"
    payload = {"pubkey": b64(private.public.carried), "timestamp": timestamp, "data": data}
    if pp is not None:
        payload["pp"] = pp
    signed = b64u(compact({"alg": alg, "typ": "JWT"})) + "." + b64u(compact(payload))
    return signed + "." + b64u(private.sign(signed.encode()))


def _exact(value, size):
    if not isinstance(value, str):
        raise ValueError("type")
    data = unb64u(value)
    if len(data) != size:
        raise ValueError("size")
    return data


def caps_of(value):
    if not isinstance(value, list) or len(value) > 16:
        raise ValueError("c")
    for item in value:
        if not isinstance(item, str) or not re.fullmatch("[a-z0-9]{1,8}", item):
            raise ValueError("c")
    return value


def epk_of(value):
    epk = _exact(value, 32)
    if epk == bytes(32):
        raise ValueError("epk")
    return epk


@dataclass
class Claim:
    caps: list
    boot: bytes
    epk: bytes


def open_claim(pp, topic, envelope, spki):
    """The pp claim of a token that came on that topic; spki is the receiver's. ValueError."""
    if not isinstance(pp, dict) or pp.get("t") != topic:
        raise ValueError("t")
    _exact(pp.get("n"), 16)
    caps = caps_of(pp.get("c", []))
    boot = _exact(pp["b"], 8) if "b" in pp else None
    epk = b""
    if envelope.kind != "broadcast" and _exact(pp.get("to"), 32) != sha256(spki):
        raise ValueError("to")
    if envelope.kind == "handshake":
        if pp.get("sid") != envelope.sid or _exact(pp.get("k"), 32) != sha256(envelope.wrapped):
            raise ValueError("handshake")
        if "epk" in pp:
            epk = epk_of(pp["epk"])
    return Claim(caps, boot, epk)


def open_extension(plain, had_epk):
    """J of an ack. ValueError."""
    value = parse(plain)
    if not isinstance(value, dict):
        raise ValueError("J")
    caps = caps_of(value.get("c", []))
    epk = b""
    if "epk" in value:
        epk = epk_of(value["epk"])
        if not had_epk:
            raise ValueError("epk")
    return caps, epk
