"""Double Ratchet with header encryption and padding (profile: Double Ratchet with header encryption)."""

import hashlib
import hmac
import os
from dataclasses import dataclass, field, replace

import nacl.bindings
import nacl.exceptions
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from .noise import dh, public
from .wire import Refused, label

BUCKETS = (256, 1024, 4096, 16384, 61440, 262144, 983040)
MAX_SKIP = 1000
MAX_STORED = 2000
SHORTEST = 1 + 80 + 256 + 16


def hkdf(salt, material, info, length):
    """RFC 5869 with SHA-256."""
    key = hmac.digest(salt, material, "sha256")
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.digest(key, block + info + bytes([counter]), "sha256")
        out += block
        counter += 1
    return out[:length]


def kdf_root(root_key, shared):
    out = hkdf(root_key, shared, label("root"), 96)
    return out[:32], out[32:64], out[64:]


def kdf_chain(chain_key):
    """(next chain key, message key)."""
    return hmac.digest(chain_key, b"\x02", "sha256"), hmac.digest(chain_key, b"\x01", "sha256")


def expand(message_key):
    """(key, nonce)."""
    out = hkdf(bytes(32), message_key, label("message"), 44)
    return out[:32], out[32:]


def bucket(length):
    """The bucket of a content of `length` bytes."""
    for size in BUCKETS:
        if size > length:
            return size
    raise Refused("too_large", f"content of {length} bytes")


def pad(content):
    return (content + b"\x80").ljust(bucket(len(content)), b"\0")


def unpad(padded):
    stripped = padded.rstrip(b"\0")
    if len(padded) not in BUCKETS or not stripped.endswith(b"\x80"):
        raise Refused("decrypt", "padding")
    return stripped[:-1]


def seal_header(key, nonce, ad, plaintext):
    return nonce + nacl.bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, ad, nonce, key)


def open_header(key, sealed, ad):
    """(DHs, PN, Ns), or None if this is not the key."""
    if key is None:
        return None
    try:
        plain = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed[24:], ad, sealed[:24], key)
    except nacl.exceptions.CryptoError:
        return None
    return plain[:32], int.from_bytes(plain[32:36], "big"), int.from_bytes(plain[36:], "big")


def new_secret():
    return os.urandom(32)


@dataclass
class Ratchet:
    ad: bytes
    rk: bytes
    dhs: bytes
    dhr: bytes | None = None
    cks: bytes | None = None
    ckr: bytes | None = None
    hks: bytes | None = None
    hkr: bytes | None = None
    nhks: bytes | None = None
    nhkr: bytes | None = None
    ns: int = 0
    nr: int = 0
    pn: int = 0
    skipped: dict = field(default_factory=dict)  # (header key, n) -> message key, oldest first

    @classmethod
    def starter(cls, ad, sk, hka, nhkb, spk, secret):
        """A: `secret` = T_A."""
        rk, cks, nhks = kdf_root(sk, dh(secret, spk))
        return cls(ad, rk, secret, dhr=spk, cks=cks, hks=hka, nhks=nhks, nhkr=nhkb)

    @classmethod
    def answerer(cls, ad, sk, hka, nhkb, spk_secret):
        """B."""
        return cls(ad, sk, spk_secret, nhks=nhkb, nhkr=hka)

    def state(self):
        """The fields of the vectors."""
        names = ("dhs", "dhr", "rk", "cks", "ckr", "ns", "nr", "pn", "hks", "hkr", "nhks", "nhkr")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def encrypt(self, message_id, content, header_nonce=None):
        if self.cks is None:
            raise Refused("no_session", "nothing received on this session yet")
        padded = pad(content)
        plain = public(self.dhs) + self.pn.to_bytes(4, "big") + self.ns.to_bytes(4, "big")
        header = seal_header(self.hks, header_nonce or os.urandom(24), self.ad, plain)
        self.cks, message_key = kdf_chain(self.cks)
        self.ns += 1
        key, nonce = expand(message_key)
        body = ChaCha20Poly1305(key).encrypt(nonce, padded, self._aad(message_id, header))
        return b"\x02" + header + body

    def decrypt(self, message_id, blob, draw=new_secret):
        """Works on a copy: whatever is Refused leaves this ratchet as it was. `draw` gives the next DH secret."""
        trial = replace(self, skipped=dict(self.skipped))
        content = trial._decrypt(message_id, blob, draw)
        self.__dict__.update(trial.__dict__)
        return content

    def _aad(self, message_id, header):
        return self.ad + message_id.to_bytes(8, "big") + header

    def _open_body(self, message_key, message_id, blob):
        key, nonce = expand(message_key)
        try:
            padded = ChaCha20Poly1305(key).decrypt(nonce, blob[81:], self._aad(message_id, blob[1:81]))
        except InvalidTag:
            raise Refused("decrypt", "message body does not authenticate") from None
        return unpad(padded)

    def _decrypt(self, message_id, blob, draw):
        if len(blob) < SHORTEST or blob[0] != 2:
            raise Refused("malformed", "not a ratchet message")
        sealed = blob[1:81]
        older = False
        for header_key in dict.fromkeys(key for key, _ in self.skipped):
            header = open_header(header_key, sealed, self.ad)
            if header is None:
                continue
            message_key = self.skipped.pop((header_key, header[2]), None)
            if message_key is not None:
                return self._open_body(message_key, message_id, blob)
            older = older or header_key != self.hkr
        if older:
            raise Refused("replay", "an older chain without that key")
        stepped = False
        header = open_header(self.hkr, sealed, self.ad)
        if header is not None:
            if header[0] != self.dhr:
                raise Refused("decrypt", "another DH key under one header key")
            if header[2] < self.nr:
                raise Refused("replay", "message number already used")
        else:
            header = open_header(self.nhkr, sealed, self.ad)
            if header is None:
                raise Refused("no_session", "no header key fits")
            self._receive_step(header)
            stepped = True
        self._skip_to(header[2])
        self.ckr, message_key = kdf_chain(self.ckr)
        self.nr += 1
        content = self._open_body(message_key, message_id, blob)
        if stepped:
            self.dhs = draw()
            self.rk, self.cks, self.nhks = kdf_root(self.rk, dh(self.dhs, self.dhr))
        return content

    def _receive_step(self, header):
        their_key, pn, _ = header
        if self.ckr is not None:
            if pn < self.nr:
                raise Refused("decrypt", "previous chain shorter than what was received")
            self._skip_to(pn)
        self.pn, self.ns, self.nr = self.ns, 0, 0
        self.hks, self.hkr, self.dhr = self.nhks, self.nhkr, their_key
        self.rk, self.ckr, self.nhkr = kdf_root(self.rk, dh(self.dhs, self.dhr))

    def _skip_to(self, number):
        if number - self.nr > MAX_SKIP:
            raise Refused("skip_limit", f"{number - self.nr} messages missing")
        while self.nr < number:
            self.ckr, self.skipped[self.hkr, self.nr] = kdf_chain(self.ckr)
            self.nr += 1
            if len(self.skipped) > MAX_STORED:
                del self.skipped[next(iter(self.skipped))]


def sha256(data):
    return hashlib.sha256(data).digest()
