"""The SHA-256 compression function with a state of one's own choice, which hashlib does not offer (profile: Tag).

`compress` is plain Python, unrolled by `_source`. Where the system's libcrypto can be loaded, `fast_compress` does the
same some hundred times faster, after both gave the same result; otherwise it is None.
"""

import ctypes
import ctypes.util
import struct

INITIAL = bytes.fromhex("6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19")


def _primes(count):
    found, candidate = [], 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found


def _cube_root_fraction(number):
    """The first 32 bits of the fractional part of the cube root."""
    scaled, root = number << 96, 0
    for bit in reversed(range(36)):
        if (root | 1 << bit) ** 3 <= scaled:
            root |= 1 << bit
    return root & 0xFFFFFFFF


ROUND_CONSTANTS = [_cube_root_fraction(prime) for prime in _primes(64)]


def _source():
    """One block per turn of the loop. A word beside itself (`ww`) turns a rotation into one shift; what that leaves
    above bit 31 is cut off by the mask of the sum it goes into."""
    lines = [
        "def compress(state, data):",
        "    M = 0xffffffff",
        "    A, B, C, D, E, F, G, H = words8(state)",
        "    for at in range(0, len(data), 64):",
        f"        {', '.join(f'w{i}' for i in range(16))} = words16(data, at)",
        "        a, b, c, d, e, f, g, h = A, B, C, D, E, F, G, H",
        "        bc = b ^ c",
    ]
    add = lines.append
    a, b, c, d, e, f, g, h = "abcdefgh"
    for i, constant in enumerate(ROUND_CONSTANTS):
        w = f"w{i % 16}"
        if i >= 16:
            w1, w9, w14 = (f"w{(i + off) % 16}" for off in (1, 9, 14))
            add(f"        x = {w1} << 32 | {w1}; y = {w14} << 32 | {w14}")
            add(
                f"        {w} = ({w} + (x >> 7 ^ x >> 18 ^ {w1} >> 3) + {w9} + (y >> 17 ^ y >> 19 ^ {w14} >> 10)) & M"
            )
        add(f"        x = {e} << 32 | {e}; y = {a} << 32 | {a}; ab = {a} ^ {b}")
        add(f"        t = {h} + (x >> 6 ^ x >> 11 ^ x >> 25) + ({g} ^ {e} & ({f} ^ {g})) + {constant} + {w}")
        add(f"        {d} = {d} + t & M")
        add(f"        {h} = t + (y >> 2 ^ y >> 13 ^ y >> 22) + ({b} ^ ab & bc) & M; bc = ab")
        a, b, c, d, e, f, g, h = h, a, b, c, d, e, f, g
    for big in "ABCDEFGH":
        add(f"        {big} = {big} + {big.lower()} & M")
    add("    return pack8(A, B, C, D, E, F, G, H)")
    return "\n".join(lines)


_names = {
    "words8": struct.Struct(">8I").unpack,
    "words16": struct.Struct(">16I").unpack_from,
    "pack8": struct.Struct(">8I").pack,
}
exec(_source(), _names)
compress = _names["compress"]
"""compress(state: 32 bytes, data: a multiple of 64 bytes) -> state"""


class _Context(ctypes.Structure):
    """SHA256_CTX of OpenSSL."""

    _fields_ = [
        ("h", ctypes.c_uint32 * 8),
        ("low", ctypes.c_uint32),
        ("high", ctypes.c_uint32),
        ("data", ctypes.c_uint32 * 16),
        ("used", ctypes.c_uint),
        ("length", ctypes.c_uint),
    ]


def _libcrypto():
    try:
        update = ctypes.CDLL(ctypes.util.find_library("crypto")).SHA256_Update
    except (OSError, TypeError, AttributeError):
        return None
    update.argtypes = [ctypes.POINTER(_Context), ctypes.c_char_p, ctypes.c_size_t]

    def run(state, data):
        context = _Context()
        context.h[:] = struct.unpack(">8I", state)
        context.length = 32
        update(context, bytes(data), len(data))
        return struct.pack(">8I", *context.h)

    sample = bytes(range(256))
    if run(INITIAL, sample) != compress(INITIAL, sample) or run(sample[:32], sample) != compress(sample[:32], sample):
        return None
    return run


fast_compress = _libcrypto()
plain = fast_compress is None
"""Links are to use `compress`."""


def preferred():
    return compress if plain else fast_compress


def padded(message):
    """The message with the padding of one frame: its own length alone counts."""
    return b"".join((message, b"\x80", bytes((55 - len(message)) % 64), struct.pack(">Q", 8 * len(message))))
