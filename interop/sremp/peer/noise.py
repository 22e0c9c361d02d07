"""Version header, frames and Noise_XX_25519_ChaChaPoly_BLAKE2s (profile: Connection; Noise revision 34)."""

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from .wire import Refused, label

HEADER = b"SREMP\x01\x00"
PROTOCOL = b"Noise_XX_25519_ChaChaPoly_BLAKE2s"
LENGTHS = {1: 32, 2: 103, 3: 64}


def public(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def dh(secret, public_key):
    """X25519; an all-zero result is Refused("decrypt")."""
    try:
        return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public_key))
    except ValueError:
        raise Refused("decrypt", "all-zero X25519 result") from None


def check_header(header):
    """The minor version that both speak. A name that is not ours is "malformed": close without a word."""
    if header[:5] != HEADER[:5]:
        raise Refused("malformed", "not an SREMP header")
    if header[5] != HEADER[5]:
        raise Refused("version", f"major version {header[5]}")
    return min(header[6], HEADER[6])


def frame(message):
    assert 0 < len(message) <= 65535
    return len(message).to_bytes(2, "big") + message


def split_frame(stream):
    """(frame, rest); a stream that ends inside a frame is malformed."""
    length = int.from_bytes(stream[:2], "big")
    if len(stream) < 2 or length == 0 or len(stream) < 2 + length:
        raise Refused("malformed", "frame length 0 or frame cut off")
    return stream[2 : 2 + length], stream[2 + length :]


class Cipher:
    """CipherState: key and counter."""

    def __init__(self, key):
        self.key = key
        self.counter = 0

    def _nonce(self):
        nonce = bytes(4) + self.counter.to_bytes(8, "little")
        self.counter += 1
        return nonce

    def encrypt(self, plaintext, ad=b""):
        return ChaCha20Poly1305(self.key).encrypt(self._nonce(), plaintext, ad)

    def decrypt(self, ciphertext, ad=b""):
        try:
            return ChaCha20Poly1305(self.key).decrypt(self._nonce(), ciphertext, ad)
        except InvalidTag:
            raise Refused("decrypt", "Noise message does not authenticate") from None

    def open_frame(self, message):
        """One transport message. A frame too short for a tag cannot authenticate either."""
        plaintext = self.decrypt(message)
        if not plaintext:
            raise Refused("malformed", "empty transport message")
        return plaintext


def _hash(data):
    return hashlib.blake2s(data).digest()


def _hmac(key, data):
    return hmac.new(key, data, hashlib.blake2s).digest()


def _hkdf2(chaining_key, material):
    temp = _hmac(chaining_key, material)
    first = _hmac(temp, b"\x01")
    return first, _hmac(temp, first + b"\x02")


class Handshake:
    """XX from one side. Initiator: write1, read2, write3; responder: read1, write2, read3."""

    def __init__(self, initiator, static_secret, ephemeral_secret, initiator_header):
        self.initiator = initiator
        self.s = static_secret
        self.e = ephemeral_secret
        self.rs = None
        self.re = None
        self.cipher = None
        # The name has 33 bytes, more than HASHLEN, so h starts as its hash.
        self.h = self.ck = _hash(PROTOCOL)
        self.prologue = label("noise") + initiator_header
        self._mix_hash(self.prologue)

    def _mix_hash(self, data):
        self.h = _hash(self.h + data)

    def _mix_key(self, material):
        self.ck, key = _hkdf2(self.ck, material)
        self.cipher = Cipher(key)

    def _seal(self, plaintext):
        sealed = self.cipher.encrypt(plaintext, self.h)
        self._mix_hash(sealed)
        return sealed

    def _open(self, sealed):
        plaintext = self.cipher.decrypt(sealed, self.h)
        self._mix_hash(sealed)
        return plaintext

    @staticmethod
    def _length(number, message):
        if len(message) != LENGTHS[number]:
            raise Refused("malformed", f"msg{number} has {len(message)} bytes")

    def write1(self):
        e = public(self.e)
        self._mix_hash(e)
        self._mix_hash(b"")
        return e

    def read1(self, message):
        self._length(1, message)
        self.re = message
        self._mix_hash(message)
        self._mix_hash(b"")

    def write2(self, header):
        e = public(self.e)
        self._mix_hash(e)
        self._mix_key(dh(self.e, self.re))
        static = self._seal(public(self.s))
        self._mix_key(dh(self.s, self.re))
        return e + static + self._seal(header)

    def read2(self, message, header, pin=None):
        """`header` = the 7 bytes that came before; `pin` = the noise key that must be there, if one is known."""
        self._length(2, message)
        self.re = message[:32]
        self._mix_hash(self.re)
        self._mix_key(dh(self.e, self.re))
        self.rs = self._open(message[32:80])
        self._mix_key(dh(self.e, self.rs))
        if self._open(message[80:]) != header:
            raise Refused("version", "the header in msg2 is not the one received")
        if pin is not None and self.rs != pin:
            raise Refused("noise_key_mismatch", "msg2 shows another noise key than the pinned one")

    def write3(self):
        static = self._seal(public(self.s))
        self._mix_key(dh(self.s, self.re))
        return static + self._seal(b"")

    def read3(self, message):
        self._length(3, message)
        self.rs = self._open(message[:48])
        self._mix_key(dh(self.e, self.rs))
        self._open(message[48:])

    def split(self):
        """(sending cipher, receiving cipher)."""
        first, second = (Cipher(key) for key in _hkdf2(self.ck, b""))
        return (first, second) if self.initiator else (second, first)
