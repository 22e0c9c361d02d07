"""How a keyed link gets its block: preamble, M1, M2, REJECT (profile: Preamble and establishment messages)."""

import hashlib
import hmac
import os

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from kyber_py.ml_kem import ML_KEM_768

from .block import SIZE, bounded, hkdf
from .codes import MODES
from .errors import Refused

MAGIC = b"FLNK"
VERSION = 1
ANSWER = 0x80
REJECTED = 0xFF
PREAMBLE = 8
MAC = 16

NAMES = {number: name for name, number in MODES.items()}
SHARE_1 = {"psk": 32, "hybrid": 32 + 1184}
SHARE_2 = {"psk": 32, "hybrid": 32 + 1088}
REASONS = {1: "bad-version", 2: "bad-mode", 3: "bad-options", 4: "bad-key", 5: "bad-share", 6: "busy"}


def m1_size(mode):
    return PREAMBLE + SHARE_1[mode] + MAC


def m2_size(mode):
    return PREAMBLE + SHARE_2[mode]


def preamble(mode, options):
    return MAGIC + bytes([VERSION, mode, options.preamble_bits, 0])


def reject(reason):
    return MAGIC + bytes([VERSION, REJECTED, reason, 0])


def mac1_key(psk):
    return hkdf(b"", psk, b"framelink/1 mac1", 32)


def mac1(psk, message):
    return hmac.digest(mac1_key(psk), message, "sha256")[:MAC]


def transcript(m1, m2):
    return hashlib.sha256(b"framelink/1 transcript\0" + m1 + m2).digest()


def derive(mode, th, secret):
    return bounded(hkdf(th, secret, f"framelink/1 {mode} block".encode(), SIZE))


def exchange(private, public):
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:  # the result is all zero
        raise Refused("bad-share", 5) from None


class Top:
    """The side that sends M1. In mode psk `secret` is the nonce, in mode hybrid X25519 private key || ML-KEM d || z."""

    def __init__(self, mode, psk, options, secret=None):
        self.mode, self.psk, self.options = mode, psk, options
        secret = secret or os.urandom(32 if mode == "psk" else 96)
        if mode == "psk":
            share = secret
        else:
            self.x25519 = X25519PrivateKey.from_private_bytes(secret[:32])
            self.ek, self.dk = ML_KEM_768.key_derive(secret[32:])
            share = self.x25519.public_key().public_bytes_raw() + self.ek
        start = preamble(MODES[mode], options) + share
        self.m1 = start + mac1(psk, start)

    def check_preamble(self, data):
        if data[:4] != MAGIC:
            raise Refused("not-framelink")
        version, mode, bits, last = data[4:PREAMBLE]
        if mode == REJECTED:
            raise Refused("rejected", bits)
        if version != VERSION:
            raise Refused("bad-version")
        if mode in NAMES:
            raise Refused("role-clash")
        if mode != MODES[self.mode] | ANSWER:
            raise Refused("bad-mode")
        if (bits, last) != (self.options.preamble_bits, 0):
            raise Refused("bad-options")

    def finish(self, m2):
        """th and block from a whole M2 whose preamble was checked."""
        self.th = transcript(self.m1, m2)
        share = m2[PREAMBLE:]
        if self.mode == "psk":
            return self.th, derive("psk", self.th, self.psk)
        self.ss_x25519 = exchange(self.x25519, share[:32])
        self.ss_mlkem = ML_KEM_768.decaps(self.dk, share[32:])
        return self.th, derive("hybrid", self.th, self.ss_mlkem + self.ss_x25519 + self.psk)


class Bottom:
    """The side that answers with M2, if the mode is one of `modes` and one of `psks` made mac1."""

    def __init__(self, modes, psks, options):
        self.modes, self.psks, self.options = modes, psks, options
        self.mode = self.psk = self.m2 = self.th = None

    def check_preamble(self, data):
        """Sets `mode`."""
        if data[:4] != MAGIC:
            raise Refused("not-framelink")
        version, mode, bits, last = data[4:PREAMBLE]
        if version != VERSION:
            raise Refused("bad-version", 1)
        if NAMES.get(mode) not in self.modes:
            raise Refused("bad-mode", 2)
        if (bits, last) != (self.options.preamble_bits, 0):
            raise Refused("bad-options", 3)
        self.mode = NAMES[mode]

    def finish(self, m1, secret=None):
        """th and block from a whole M1 whose preamble was checked; sets `m2` and `psk`. In mode psk `secret` is the
        nonce, in mode hybrid X25519 private key || ML-KEM m."""
        start, mac = m1[:-MAC], m1[-MAC:]
        self.psk = next((psk for psk in self.psks if hmac.compare_digest(mac1(psk, start), mac)), None)
        if self.psk is None:
            raise Refused("bad-key", 4)
        secret = secret or os.urandom(32 if self.mode == "psk" else 64)
        opening = preamble(MODES[self.mode] | ANSWER, self.options)
        share = start[PREAMBLE:]
        if self.mode == "psk":
            self.m2 = opening + secret
            self.th = transcript(m1, self.m2)
            return self.th, derive("psk", self.th, self.psk)
        x25519 = X25519PrivateKey.from_private_bytes(secret[:32])
        ss_x25519 = exchange(x25519, share[:32])
        try:
            ss_mlkem, ciphertext = ML_KEM_768._encaps_internal(share[32:], secret[32:])
        except ValueError:  # modulus check
            raise Refused("bad-share", 5) from None
        self.m2 = opening + x25519.public_key().public_bytes_raw() + ciphertext
        self.th = transcript(m1, self.m2)
        return self.th, derive("hybrid", self.th, ss_mlkem + ss_x25519 + self.psk)
