"""Key schedule, AES-GCM, AAD, encrypted channels."""

import os
import unicodedata

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl import pwhash

from .codec import Drop, F, b64, channel_topic, compact, parse, sha256, unb64


def hkdf(ikm, salt, info):
    return HKDF(hashes.SHA256(), 32, salt, info.encode()).derive(ikm)


def gcm_seal(key, nonce, plain, aad=b""):
    return nonce + AESGCM(key).encrypt(nonce, plain, aad)


def gcm_open(key, sealed, aad=b""):
    """None if it fails."""
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], aad)
    except (InvalidTag, ValueError):
        return None


def x25519_public(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def x25519(secret, public):
    """ValueError for an all-zero result."""
    return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))


class Schedule:
    def __init__(self, sid, initiator, responder, wrapped, k0, epk, caps):
        self.k0 = k0
        self.th = sha256(
            F("ProofPeer/1 hs") + F(sid) + F(initiator) + F(responder) + F(wrapped) + F(epk) + F(",".join(caps))
        )
        self.kx = hkdf(k0, self.th, "ProofPeer/1 ack")

    def finish(self, epk, caps, dh=b""):
        self.th2 = sha256(F("ProofPeer/1 ack") + F(self.th) + F(epk) + F(",".join(caps)))
        self.i2r = hkdf(self.k0 + dh, self.th2, "ProofPeer/1 i2r")
        self.r2i = hkdf(self.k0 + dh, self.th2, "ProofPeer/1 r2i")


def message_aad(topic, t, r, sender, sid):
    return (
        F("ProofPeer/1 msg") + F(topic) + t.to_bytes(8, "big") + bytes([bool(r)]) + sender.to_bytes(4, "big") + F(sid)
    )


def channel_root(app, channel, passphrase):
    salt = sha256(F("ProofPeer/1 channel") + F(app) + F(channel))[:16]
    password = unicodedata.normalize("NFC", passphrase).encode()
    return pwhash.argon2id.kdf(32, password, salt, opslimit=3, memlimit=65536 * 1024)


def channel_key(root, spki):
    return hkdf(root, sha256(spki), "ProofPeer/1 channel")


def channel_aad(topic, timestamp, spki):
    return F("ProofPeer/1 chan") + F(topic) + timestamp.to_bytes(8, "big") + sha256(spki)


def channel_seal(root, spki, topic, timestamp, plain, nonce=None):
    sealed = gcm_seal(channel_key(root, spki), nonce or os.urandom(12), plain, channel_aad(topic, timestamp, spki))
    return b64(sealed)


def channel_open(root, spki, topic, timestamp, data):
    if not (isinstance(data, dict) and list(data) == ["enc"] and isinstance(data["enc"], str)):
        raise Drop("plain_in_encrypted")
    try:
        sealed = unb64(data["enc"])
        if len(sealed) < 28:
            raise ValueError("short")
        plain = gcm_open(channel_key(root, spki), sealed, channel_aad(topic, timestamp, spki))
        if plain is None:
            raise ValueError("tag")
        return parse(plain)
    except ValueError:
        raise Drop("bad_enc") from None


def seal_value(root, spki, topic, timestamp, value):
    return {"enc": channel_seal(root, spki, topic, timestamp, compact(value))}
