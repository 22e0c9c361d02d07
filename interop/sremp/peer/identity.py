"""Identities, signatures, the trust row, verification number and texts (profile: Crypto, Trust)."""

import base64
import hashlib
import unicodedata
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .wire import Refused, check, label, pack, read_struct, unpack, write_list, write_struct

# --- Ed25519, strict --------------------------------------------------------------------------------------------------

_P = 2**255 - 19
_D = -121665 * pow(121666, _P - 2, _P) % _P


def _sqrt(value):
    root = pow(value, (_P + 3) // 8, _P)
    if root * root % _P != value:
        root = root * pow(2, (_P - 1) // 4, _P) % _P
    return root if root * root % _P == value else None


def _small_order_ys():
    """y of the 8 points of small order: order 1 and 2 have x = 0, order 4 y = 0, order 8 x^2 = -y^2."""
    ys = {0, 1, _P - 1}
    root = _sqrt((1 + _D) % _P)
    for sign in (1, -1):
        y = _sqrt((-1 + sign * root) * pow(_D, _P - 2, _P) % _P)
        if y is not None:
            ys |= {y, _P - y}
    return ys


_SMALL = _small_order_ys()


def verify(key, signature, message):
    """Cofactorless, S < L, no small-order or non-canonical key, no small-order R."""
    y = int.from_bytes(key, "little") & (2**255 - 1)
    r = int.from_bytes(signature[:32], "little") & (2**255 - 1)
    if y >= _P or y in _SMALL or r % _P in _SMALL:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def sign(secret, message):
    return Ed25519PrivateKey.from_private_bytes(secret).sign(message)


def public_identity(secret):
    return Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


# --- Identity ---------------------------------------------------------------------------------------------------------

_BIDI = {0x061C, 0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
_WHITE_SPACE = {*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}


@dataclass(frozen=True)
class Identity:
    """A verified identity, with the exact bytes that were signed."""

    verified: bytes
    signature: bytes
    data: dict
    relays: tuple

    @property
    def key(self):
        return self.data["identity_key"]

    @property
    def noise_key(self):
        return self.data["noise_key"]

    @property
    def dr_key(self):
        return self._metadata().get("dr_key")

    @property
    def version(self):
        return self.data["version"]

    @property
    def username(self):
        return self.data["username"]

    def _metadata(self):
        return self.data.get("extensions", {}).get("additional_metadata", {})

    def body(self):
        """As the Identity structure and as the body of IDENTITY."""
        return {"verified": self.verified, "signature": self.signature}

    @classmethod
    def check(cls, body):
        """Every check of the profile, in its order."""
        verified, signature = body["verified"], body["signature"]
        if len(verified) > 16384:
            raise Refused("limit", "verified is longer than 16384 bytes")
        data = read_struct("IdentityVerifiedData", verified)
        if not verify(data["identity_key"], signature, label("identity") + verified):
            raise Refused("id_sig", "identity signature")
        _check_username(data["username"])
        extensions = data.get("extensions", {})
        metadata = extensions.get("additional_metadata", {})
        if len(extensions.get("profile_picture", b"")) > 8192 or len(metadata) > 32:
            raise Refused("limit", "picture or number of metadata entries")
        for name, value in metadata.items():
            if not 1 <= len(name.encode()) <= 64 or len(value) > 4096:
                raise Refused("limit", f"metadata entry {name!r}")
        if "dr_key" in metadata and len(metadata["dr_key"]) != 32:
            raise Refused("malformed", "dr_key is not 32 bytes")
        relays = check("[RelayRef]", unpack(metadata["relays"])) if "relays" in metadata else []
        if len(relays) > 3:
            raise Refused("limit", "more than 3 relays")
        return cls(verified, signature, data, tuple(relays))


def _check_username(name):
    points = [ord(char) for char in name]
    if not 1 <= len(points) <= 40:
        raise Refused("malformed", "username length")
    if unicodedata.normalize("NFC", name) != name:
        raise Refused("malformed", "username is not NFC")
    if any(point in _BIDI for point in points) or any(unicodedata.category(char) == "Cc" for char in name):
        raise Refused("malformed", "username holds a control character")
    if points[0] in _WHITE_SPACE or points[-1] in _WHITE_SPACE:
        raise Refused("malformed", "username starts or ends with white space")


def create(identity_secret, noise_key, dr_key, username, version, created, relays=(), discoverable=False):
    flags = dict.fromkeys(("uses_relay", "is_machine_account", "is_relay_server", "prefers_async"), False)
    flags["uses_relay"] = bool(relays)
    if discoverable:
        flags["discoverable"] = True
    metadata = {"dr_key": dr_key}
    if relays:
        metadata["relays"] = pack(write_list("RelayRef", relays))
    verified = write_struct("IdentityVerifiedData", {
        "username": username,
        "identity_key": public_identity(identity_secret),
        "noise_key": noise_key,
        "flags": flags,
        "extensions": {"additional_metadata": metadata},
        "version": version,
        "created": created,
    })
    return Identity.check({"verified": verified, "signature": sign(identity_secret, label("identity") + verified)})


def check_connection(identity, noise_static, own_key, dialled_key=None):
    """What both sides check after an identity arrived; the first failure counts."""
    if identity.noise_key != noise_static:
        raise Refused("noise_key_mismatch", "noise_key is not the static key of the handshake")
    if identity.key == own_key:
        raise Refused("auth", "our own identity")
    if dialled_key is not None and identity.key != dialled_key:
        raise Refused("auth", "another identity than the dialled one")


# --- Trust ------------------------------------------------------------------------------------------------------------


@dataclass
class Row:
    identity: Identity
    forked: bool = False
    noise_changed: bool = False


class TrustStore:
    def __init__(self):
        self.rows = {}

    def offer(self, identity, soft=False, add=True):
        """"new", "same", "updated" or "carrier"; `soft` = inside InitialMessage or PREKEYS; without `add` a new
        identity gets no row yet."""
        row = self.rows.get(identity.key)
        if row is None:
            if add:
                self.rows[identity.key] = Row(identity)
            return "new"
        if identity.version > row.identity.version:
            row.noise_changed = row.noise_changed or identity.noise_key != row.identity.noise_key
            row.identity = identity
            return "updated"
        if identity.version == row.identity.version:
            if identity.verified == row.identity.verified:
                return "same"
            row.forked = True
            raise Refused("id_fork", "two identities of one version")
        if soft and identity.dr_key == row.identity.dr_key:
            return "carrier"
        raise Refused("id_stale", "lower identity version than before")


# --- Verification number and texts ------------------------------------------------------------------------------------


def _half(key):
    h = label("verify") + key
    for _ in range(5200):
        h = hashlib.sha512(h + key).digest()
    return "".join(f"{int.from_bytes(h[5 * i : 5 * i + 5], 'big') % 100000:05}" for i in range(6))


def verification_number(a, b):
    return "".join(sorted((_half(a), _half(b))))


def _b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def verification_text(own, peer):
    return f"sremp-verify:1?k={_b64(own)}&p={_b64(peer)}"


def invitation(identity_key, noise_key, endpoints, relays):
    """`endpoints` = HOST:PORT texts, `relays` = (HOST:PORT, relay identity)."""
    parts = [f"k={_b64(identity_key)}", f"n={_b64(noise_key)}"]
    parts += [f"e={endpoint}" for endpoint in endpoints]
    parts += [f"r={endpoint}~{_b64(key)}" for endpoint, key in relays]
    return "sremp:1?" + "&".join(parts)
