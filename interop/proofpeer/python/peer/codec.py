"""Strict JSON, base64, hashes and length prefixes."""

import base64
import hashlib
import json
import math
import re


class Drop(Exception):
    """A message is dropped; the argument is the reason."""

    @property
    def reason(self):
        return self.args[0]


class JsonError(ValueError):
    pass


def _pairs(pairs):
    found = {}
    for name, value in pairs:
        if name in found:
            raise JsonError("duplicate member")
        found[name] = value
    return found


def _integer(text):
    if text == "-0":
        return -0.0
    if len(text) > 400:
        raise JsonError("number")
    value = int(text)
    try:
        float(value)
    except OverflowError:
        raise JsonError("number") from None
    return value


def _real(text):
    value = float(text)
    if not math.isfinite(value):
        raise JsonError("number")
    return value


def _constant(text):
    raise JsonError(text)


def _depth(text):
    deep = most = 0
    quoted = escaped = False
    for c in text:
        if quoted:
            if escaped:
                escaped = False
            elif c == "\\":
                escaped = True
            elif c == '"':
                quoted = False
        elif c == '"':
            quoted = True
        elif c in "[{":
            deep += 1
            most = max(most, deep)
        elif c in "]}":
            deep -= 1
    return most


def _surrogates(value):
    if isinstance(value, str):
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise JsonError("surrogate")
    elif isinstance(value, list):
        for item in value:
            _surrogates(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            _surrogates(name)
            _surrogates(item)


def parse(data):
    """Strict JSON; raises ValueError."""
    text = data.decode("utf-8") if isinstance(data, (bytes, bytearray)) else data
    if text.startswith("\ufeff"):
        raise JsonError("BOM")
    if text.count("{") + text.count("[") > 32 and _depth(text) > 32:
        raise JsonError("depth")
    value = json.loads(
        text, object_pairs_hook=_pairs, parse_int=_integer, parse_float=_real, parse_constant=_constant
    )
    if "\\" in text:
        _surrogates(value)
    return value


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


_STANDARD = re.compile(r"[A-Za-z0-9+/]*(={0,2})")
_URL = re.compile(r"[A-Za-z0-9_-]*(={0,2})")


def b64(data):
    return base64.b64encode(data).decode()


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    """Base64 of a value: either alphabet, padded or not. ValueError."""
    match = _STANDARD.fullmatch(text) or _URL.fullmatch(text)
    if not match:
        raise ValueError("base64")
    bare = text.rstrip("=").replace("-", "+").replace("_", "/")
    want = -len(bare) % 4
    if want == 3 or len(match[1]) not in (0, want):
        raise ValueError("base64")
    data = base64.b64decode(bare + "=" * want)
    if base64.b64encode(data).rstrip(b"=").decode() != bare:
        raise ValueError("trailing bits")
    return data


def unb64u(text):
    """Base64url without padding. ValueError."""
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text) or len(text) % 4 == 1:
        raise ValueError("base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64u(data) != text:
        raise ValueError("trailing bits")
    return data


def sha256(data):
    return hashlib.sha256(data).digest()


def F(data):
    if isinstance(data, str):
        data = data.encode()
    return len(data).to_bytes(4, "big") + data


def murmur3(data):
    if isinstance(data, str):
        data = data.encode()
    mask = 0xFFFFFFFF

    def mix(k):
        k = k * 0xCC9E2D51 & mask
        k = (k << 15 | k >> 17) & mask
        return k * 0x1B873593 & mask

    h = 0
    body = len(data) & ~3
    for i in range(0, body, 4):
        h ^= mix(int.from_bytes(data[i:i + 4], "little"))
        h = (h << 13 | h >> 19) & mask
        h = (h * 5 + 0xE6546B64) & mask
    if len(data) > body:
        h ^= mix(int.from_bytes(data[body:], "little"))
    h ^= len(data)
    h = (h ^ h >> 16) * 0x85EBCA6B & mask
    h = (h ^ h >> 13) * 0xC2B2AE35 & mask
    return h ^ h >> 16


def channel_topic(app, channel):
    return f"/{murmur3(app)}/c/{murmur3(channel)}"


def inbox_topic(app, uid):
    return f"/{murmur3(app)}/u/{uid}"
