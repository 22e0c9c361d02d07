"""A link on a socket: one reader, one writer, one clock, all in one event loop."""

import asyncio
import collections
import hashlib
import socket
import struct

from .handshake import DISCARD_S

TICK_S = 0.1
HANDSHAKE_S = 10
LINGER_S = 30
READ = 1 << 16
WRITE = 1 << 16
SHOWN_HEX = 256

CLEAN, HANDSHAKE, TRUNCATED, VIOLATION, TIMEOUT, PEER_ERROR = 0, 2, 3, 4, 5, 6


class Connection:
    def __init__(self, sock, link, prefix, say, started):
        self.sock, self.link, self.prefix, self.say, self.started = sock, link, prefix, say, started
        self.loop = asyncio.get_running_loop()
        self.wake, self.readable = asyncio.Event(), asyncio.Event()
        self.idle = asyncio.Event()
        self.over = self.loop.create_future()
        self.inbox, self.inbox_bytes, self.paused = collections.deque(), 0, False
        self.received, self.received_frames, self.hash = 0, 0, hashlib.sha256()
        self.report_at = []
        self.unreported = False
        self.leaving = None
        self.reset = self.closed_told = self.write_failed = self.shut = False
        self.linger_since = None
        self.wants_end = False

    async def run(self):
        """Returns the exit code."""
        if not self.link.keyed:
            self.say("open", mode="raw", peer_max_frame=None, peer_credit=None)
        # The writer first: our HELLO leaves even if what has come already ends the link.
        tasks = [self.loop.create_task(part) for part in (self._write(), self._read(), self._watch())]
        self.reader = tasks[1]
        for task in tasks:
            task.add_done_callback(self._check)
        try:
            return await self._finish(await self.over)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.sock.close()

    def _check(self, task):
        """A bug in a task ends the process."""
        if not task.cancelled() and task.exception() is not None and not self.over.done():
            self.over.set_exception(task.exception())

    # --- the three tasks ----------------------------------------------------------------------------------------------

    async def _read(self):
        while True:
            while self._reading_stopped():
                self.readable.clear()
                await self.readable.wait()
            try:
                data = await self.loop.sock_recv(self.sock, READ)
            except OSError:
                data, self.reset = b"", True
            if data:
                self.link.feed(data)
            else:
                self.link.eof()
            while (frame := self.link.advance()) is not None:
                if not self.link.is_control(frame.code):
                    self.inbox.append(frame)
                    self.inbox_bytes += len(frame.payload)
                self.look()
                await asyncio.sleep(0)
            self.look()
            if not data:
                return

    def _reading_stopped(self):
        """Where no credit bounds what waits for the application, this does."""
        bound = max(2 * self.link.options.max_frame, 2 << 20)
        return self.paused and self.link.window.left is None and self.inbox_bytes > bound

    async def _write(self):
        chunk = bytearray(self.prefix)
        while True:
            while len(chunk) < WRITE and (wire := self.link.pull()):
                chunk += wire
            self._tell()
            try:
                if chunk:
                    await self.loop.sock_sendall(self.sock, chunk)
                    chunk = bytearray()
                    self.link.flushed()
                    await asyncio.sleep(0)
                    continue
                if self.link.closed and not self.shut:
                    self._shut()
            except OSError:
                return self._write_fails()
            self._rest()
            self.idle.set()
            await self.wake.wait()
            self.wake.clear()
            self.idle.clear()

    def _rest(self):
        """Nothing can be sent now."""
        if self.unreported and self.link.outbox.first() is None:
            self.unreported = False
            self.report_sent()
        if self.link.closed and self.linger_since is None:
            self.linger_since = self.loop.time()
        if self.leaving and self.link.outbox.first() is None:
            self._leave()
        self._look_for_end()

    async def _watch(self):
        while True:
            await asyncio.sleep(TICK_S)
            now = self.loop.time()
            self.link.tick(now, not self._reading_stopped())
            if self.link.keyed and self.link.hello is None and now - self.started > HANDSHAKE_S:
                self._end(self._fail, "hs-timeout")
            lingering = self.wants_end and self.linger_since is not None
            if lingering and now - self.linger_since > LINGER_S:
                self._end(self._tell_end, "timeout", TIMEOUT, kind="linger")
            self.look()

    # --- what happens -------------------------------------------------------------------------------------------------

    def look(self):
        """After anything has happened."""
        self._tell()
        if self.link.end is not None:
            self.paused = self.paused and not self.link.dead
        while self.inbox and not self.paused:
            self._take(self.inbox.popleft())
        self._look_for_end()
        self.wake.set()

    def _tell(self):
        while self.link.events:
            event, fields = self.link.events.popleft()
            self.say(event, **fields)

    def _take(self, frame):
        size = len(frame.payload)
        self.inbox_bytes -= size
        self.received += size
        self.received_frames += 1
        self.hash.update(frame.payload)
        more = {"hex": frame.payload.hex()} if size <= SHOWN_HEX else {}
        digest = hashlib.sha256(frame.payload).hexdigest()
        self.say("frame", code=frame.code, seq=frame.seq, len=size, sha256=digest, **more)
        self.report_if_reached()
        self.link.taken(size)

    def report_if_reached(self):
        """What `report_at` asked for."""
        if any(self.received >= mark for mark in self.report_at):
            self.report_at = [mark for mark in self.report_at if self.received < mark]
            self.report_received()

    def report_received(self):
        self.say("received_total", bytes=self.received, frames=self.received_frames, sha256=self.hash.hexdigest())

    def report_sent(self):
        outbox = self.link.outbox
        self.say("sent_total", bytes=outbox.bytes, frames=outbox.frames, sha256=outbox.hash.hexdigest())

    def pause(self):
        self.paused = True

    def resume(self):
        self.paused = False
        self.readable.set()

    def end_of_commands(self):
        self.wants_end = True
        self.resume()
        self.link.close()
        self.look()

    def leave(self, how, now):
        self.leaving = how
        if now:
            self._leave()
        self.look()

    def _leave(self):
        how, self.leaving = self.leaving, None
        if how == "shutdown":
            self.link.mute = True
            return self._shut()
        self._end(self._abort)

    def _shut(self):
        self.shut = True
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.write_failed = True

    def _write_fails(self):
        self.write_failed = True
        self._look_for_end()

    # --- the end ------------------------------------------------------------------------------------------------------

    def _look_for_end(self):
        link = self.link
        if link.end is None or self.over.done():
            return
        if link.dead:
            self._end(self._die)
        elif not self.closed_told and not self.inbox:
            self.closed_told = True
            self.report_received()
            self.say("closed", peer_received=link.end.kind)
        if self.closed_told and link.done and self.shut:
            self._end(self._tell_end, "done", CLEAN)
        elif self.closed_told and self.write_failed:
            self._end(self._fail, "write")

    def _end(self, finish, *arguments, **more):
        if not self.over.done():
            self.over.set_result((finish, arguments, more))

    async def _finish(self, what):
        finish, arguments, more = what
        return await finish(*arguments, **more)

    async def _tell_end(self, event, code, **fields):
        if not self.closed_told:
            self.report_received()
        self.say(event, **fields)
        return code

    async def _fail(self, kind):
        self.say("failed", kind=kind)
        return HANDSHAKE

    async def _abort(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return await self._tell_end("aborted", CLEAN)

    async def _die(self):
        link, end = self.link, self.link.end
        result = self._describe(end)
        if not self.closed_told and link.hello is not None or not link.keyed:
            self.report_received()
        if self.unreported:
            self.report_sent()
        self.say(result[0], **result[2])
        if link.answered:
            await self._last_words()
        return result[1]

    async def _last_words(self):
        """ERROR must arrive: it is flushed, and nothing unread may turn our close into a reset."""
        self.readable.set()
        try:
            async with asyncio.timeout(DISCARD_S):
                while self.link.control or not self.idle.is_set():
                    if self.write_failed:
                        return
                    self.wake.set()
                    await asyncio.sleep(0.005)
                self._shut()
                await asyncio.wait([self.reader])
        except TimeoutError:
            pass

    def _describe(self, end):
        """Event, exit code and fields."""
        link = self.link
        if link.keyed and link.hello is None:
            kind = "hs-closed" if end.name == "Truncated" else end.kind
            return "failed", HANDSHAKE, {"kind": kind}
        if end.name == "Violation":
            fields = {"kind": end.kind}
            if not link.keyed and end.kind == "checksum" and link.first_bytes == b"FLNK":
                fields["hint"] = "peer speaks psk or hybrid"
            return "violation", VIOLATION, fields
        return {
            "Ended": ("ended", CLEAN, {"reset": self.reset}),
            "Truncated": ("truncated", TRUNCATED, {"reset": self.reset}),
            "PeerError": ("peer_error", PEER_ERROR, {"code": end.kind, "text": end.text}),
            "Timeout": ("timeout", TIMEOUT, {"kind": end.kind}),
            "Aborted": ("aborted", CLEAN, {"code": end.kind}),
        }[end.name]
