"""Establishment over a socket: from an open connection to a link whose HELLO is not sent yet."""

import asyncio
import socket

from . import establish
from .errors import Refused
from .link import Link

DISCARD_S = 1


async def exactly(sock, count):
    data = b""
    while len(data) < count:
        try:
            part = await asyncio.get_running_loop().sock_recv(sock, count - len(data))
        except OSError:
            part = b""
        if not part:
            raise Refused("hs-closed")
        data += part
    return data


async def discard(sock):
    """Ends our sending, so that the last bytes arrive, and drops what comes."""
    loop = asyncio.get_running_loop()
    try:
        sock.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(DISCARD_S):
            while await loop.sock_recv(sock, 1 << 16):
                pass
    except (OSError, TimeoutError):
        pass


def spoiled(message, spoil, name):
    """The message with bits flipped as `--spoil` asks for."""
    changed = bytearray(message)
    for which, offset, xor in spoil:
        if which == name:
            for at, bits in enumerate(xor, offset):
                changed[at] ^= bits
    return bytes(changed)


async def as_top(sock, mode, psk, options, spoil, now):
    """A link, and the bytes to send before its first frame."""
    top = establish.Top(mode, psk, options)
    await asyncio.get_running_loop().sock_sendall(sock, spoiled(top.m1, spoil, "m1"))
    start = await exactly(sock, establish.PREAMBLE)
    top.check_preamble(start)
    th, block = top.finish(start + await exactly(sock, establish.m2_size(mode) - establish.PREAMBLE))
    return Link("top", mode, block, options, th, now), b""


async def as_bottom(sock, modes, psks, options, spoil, now):
    bottom = establish.Bottom(modes, psks, options)
    try:
        start = await exactly(sock, establish.PREAMBLE)
        bottom.check_preamble(start)
        th, block = bottom.finish(start + await exactly(sock, establish.m1_size(bottom.mode) - establish.PREAMBLE))
    except Refused as refused:
        if refused.reason is not None:
            await asyncio.get_running_loop().sock_sendall(sock, establish.reject(refused.reason))
            await discard(sock)
        raise
    return Link("bottom", bottom.mode, block, options, th, now), spoiled(bottom.m2, spoil, "m2")
