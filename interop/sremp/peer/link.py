"""One connection: header, handshake, frames, chunks, timers (profile: Connection)."""

import asyncio
import os

from .chunks import Reassembler, split
from .noise import HEADER, LENGTHS, Handshake, check_header, frame
from .wire import MAX_PLAINTEXT, Refused, decode, encode

HEADER_S = 5
HANDSHAKE_S = 10
SILENCE_PING_S = 30
SILENCE_CLOSE_S = 90


class Ended(Exception):
    """The other side closed the connection between two frames."""


class Silent(Exception):
    """This side ends the connection without a word; `refused` tells why."""

    def __init__(self, refused):
        super().__init__(str(refused))
        self.refused = refused


async def _exactly(reader, count):
    try:
        return await reader.readexactly(count)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise Refused("malformed", "connection cut inside a message") from None
        raise Ended() from None
    except ConnectionError:
        raise Ended() from None


async def _frame(reader):
    length = int.from_bytes(await _exactly(reader, 2), "big")
    if length == 0:
        raise Refused("malformed", "frame of length 0")
    try:
        return await _exactly(reader, length)
    except Ended:
        raise Refused("malformed", "connection cut inside a frame") from None


async def _handshake_frame(reader, number):
    message = await _frame(reader)
    if len(message) != LENGTHS[number]:
        raise Refused("malformed", f"msg{number} has {len(message)} bytes")
    return message


async def _in_time(seconds, what, step):
    try:
        async with asyncio.timeout(seconds):
            return await step
    except TimeoutError:
        raise Refused("timeout", what) from None


class Link:
    """Messages over an established Noise connection."""

    def __init__(self, reader, writer, handshake, log):
        self.reader, self.writer = reader, writer
        self.handshake_hash = handshake.h
        self.peer_static = handshake.rs
        self.sending, self.receiving = handshake.split()
        self.reassembler = Reassembler(False)
        self.log = log

    async def send(self, name, body):
        message = encode(name, body)
        whole = len(message) <= MAX_PLAINTEXT
        parts = [message] if whole else split(message, int.from_bytes(os.urandom(8), "big"))
        self.log(f"-> {name} {len(message)} B" + ("" if whole else f" in {len(parts)} chunks"))
        self.writer.write(b"".join(frame(self.sending.encrypt(part)) for part in parts))
        try:
            await self.writer.drain()
        except ConnectionError:
            raise Ended() from None

    async def receive(self, on_silence):
        """The next (name, body); `on_silence` is called after 30 s without a frame."""
        while True:
            name, body = decode(self.receiving.open_frame(await self._next_frame(on_silence)))
            clock = asyncio.get_running_loop().time()
            if name != "CHUNKED_MESSAGE":
                self.reassembler.check_timers(clock)
                self.log(f"<- {name}")
                return name, body
            whole = self.reassembler.add(clock, body)
            if whole is None:
                continue
            name, body = decode(whole)
            if name in ("CHUNKED_MESSAGE", "IDENTITY", "ERROR"):
                raise Refused("malformed", f"{name} in chunks")
            self.log(f"<- {name} in chunks, {len(whole)} B")
            return name, body

    async def _next_frame(self, on_silence):
        pending = asyncio.ensure_future(_frame(self.reader))
        try:
            done, _ = await asyncio.wait([pending], timeout=SILENCE_PING_S)
            if not done:
                await on_silence()
                done, _ = await asyncio.wait([pending], timeout=SILENCE_CLOSE_S - SILENCE_PING_S)
            if not done:
                raise Refused("timeout", "90 s without a frame")
            return pending.result()
        finally:
            pending.cancel()

    async def close(self):
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass


async def initiate(reader, writer, noise_secret, pin, log):
    async def steps():
        handshake = Handshake(True, noise_secret, os.urandom(32), HEADER)
        writer.write(HEADER + frame(handshake.write1()))
        header = await _in_time(HEADER_S, "no header", _exactly(reader, 7))
        check_header(header)
        handshake.read2(await _handshake_frame(reader, 2), header, pin)
        writer.write(frame(handshake.write3()))
        await writer.drain()
        return Link(reader, writer, handshake, log)

    return await _quiet(steps())


async def respond(reader, writer, noise_secret, log):
    async def steps():
        header = await _in_time(HEADER_S, "no header", _exactly(reader, 7))
        if header[:5] == HEADER[:5]:
            writer.write(HEADER)
        check_header(header)
        handshake = Handshake(False, noise_secret, os.urandom(32), header)
        handshake.read1(await _handshake_frame(reader, 1))
        writer.write(frame(handshake.write2(HEADER)))
        handshake.read3(await _handshake_frame(reader, 3))
        return Link(reader, writer, handshake, log)

    return await _quiet(steps())


async def _quiet(steps):
    """No ERROR is sent before the handshake is complete."""
    try:
        return await _in_time(HANDSHAKE_S, "handshake too slow", steps)
    except Refused as refused:
        raise Silent(refused) from None
