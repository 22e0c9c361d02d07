"""Frames of one direction: header, keystream, chained tag, rekey (profile: Frame, Keystream, Tag, REKEY)."""

import dataclasses
import hmac
import struct

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from . import sha256
from .errors import Broken

HEADER = 16
TAG = 8
OVERHEAD = HEADER + TAG

_FIELDS = struct.Struct(">4I")


@dataclasses.dataclass
class Header:
    length: int
    code: int
    seq: int

    @property
    def checksum(self):
        return self.length ^ self.code ^ self.seq

    def encode(self, checksum=None):
        return _FIELDS.pack(self.length, self.code, self.seq, self.checksum if checksum is None else checksum)

    @classmethod
    def read(cls, data, expected_seq, max_frame):
        length, code, seq, checksum = _FIELDS.unpack(data)
        header = cls(length, code, seq)
        if checksum != header.checksum:
            raise Broken("checksum")
        if seq != expected_seq:
            raise Broken("sequence")
        if length > max_frame:
            raise Broken("length")
        return header


def blocks_of(length):
    """AES blocks that a frame is counted as, in both alignments."""
    return -(-(OVERHEAD + length) // 16)


class Direction:
    """Key, counter, hash chain and SEQ of the frames that `side` sends."""

    def __init__(self, half, side, options, compress=None):
        self.side, self.options, self.compress = side, options, compress or sha256.preferred()
        self.seq = options.start_seq
        self.last_seq = 0
        self._start(half)

    def _start(self, half):
        self.half = half
        self.state = sha256.INITIAL if self.options.mac_init == "standard" else half.hash_state
        self.used = 0
        self.frames = self.blocks = 0
        self.cipher = Cipher(AES(half.key), CTR(half.counter.to_bytes(16, "big"))).encryptor()

    def crypt(self, data):
        self.used += len(data)
        return self.cipher.update(data)

    def tag(self, header_and_payload):
        self.state = self.compress(self.state, sha256.padded(header_and_payload))
        return self.state[:TAG]

    def finish(self, length):
        """After the last byte of a frame with a payload of `length` bytes."""
        if self.options.align == "block":
            self.crypt(bytes(-self.used % 16))
        self.last_seq = self.seq
        self.seq = self.options.next_seq(self.seq)
        self.frames += 1
        self.blocks += blocks_of(length)

    def rekey(self, random):
        """After the REKEY frame that carries `random`."""
        self._start(self.half.next(self.state, random, self.side))

    @property
    def next_counter(self):
        return ((self.half.counter + self.used // 16) % (1 << 128)).to_bytes(16, "big")

    @property
    def next_offset(self):
        return self.used % 16


class Sealer(Direction):
    def seal(self, code, payload, seq=None, length=None, checksum=None):
        """The wire bytes of the next frame. What is not None stands in the header instead of the truth."""
        header = Header(
            len(payload) if length is None else length, code, self.seq if seq is None else seq
        ).encode(checksum)
        plain = header + payload
        wire = self.crypt(plain + self.tag(plain))
        self.finish(len(payload))
        return wire


class Opener(Direction):
    """Opens frames whose bytes come in pieces. `header` is the one being worked on."""

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.buffer = bytearray()
        self.header = None
        self._encoded = b""

    def read_header(self):
        """The header of the next frame, None if it is not complete."""
        if self.header is None and len(self.buffer) >= HEADER:
            self._encoded = self.crypt(bytes(self.buffer[:HEADER]))
            del self.buffer[:HEADER]
            self.header = Header.read(self._encoded, self.seq, self.options.max_frame)
        return self.header

    def read_rest(self):
        """The payload that belongs to `header`, None if it is not complete."""
        size = self.header.length + TAG
        if len(self.buffer) < size:
            return None
        plain = self.crypt(bytes(self.buffer[:size]))
        del self.buffer[:size]
        payload = plain[:-TAG]
        if not hmac.compare_digest(self.tag(self._encoded + payload), plain[-TAG:]):
            raise Broken("hmac")
        self.finish(len(payload))
        self.header = None
        return payload

    @property
    def between_frames(self):
        return self.header is None and not self.buffer
