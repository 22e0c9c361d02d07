"""The peer itself: identity exchange, prekeys, messages, commands and events (profile: State machines)."""

import asyncio
import json
import sys
import threading
import traceback

from . import identity
from .account import Account, new_id, now_ms, read_content
from .chunks import Reassembler
from .link import Ended, Link, Silent, initiate, respond
from .wire import NAMES, Refused

IDENTITY_S = 10
HIGHER_SIDE_WAITS_S = 3
DUPLICATE_S = 2
LAST_CONFIRMATIONS_S = 15

# Refusals of a blob that an honest peer can cause: sessions or prekeys lost, too many restarts.
HONEST = ("no_session", "prekey_unknown", "rate")
RESTART = (40, 41, 42, 43)
RENEW_NS = 9900
TEXT_LIMIT = 61000
TRUSTED_TEXT_LIMIT = 900000


class Peer:
    """All connections of one account, its commands and its events."""

    def __init__(self, seed, username, trust):
        self.account = Account(seed, username)
        self.trusted = trust
        self.failed = False
        self.current = None
        self.early = []
        self.progress = asyncio.Event()  # a conversation became ready or ended
        self.done = asyncio.Event()
        self.tasks = set()

    def event(self, event, **fields):
        print(json.dumps({"event": event, **fields}), flush=True)

    def log(self, text):
        print(f"{now_ms()} {text}", file=sys.stderr, flush=True)

    def error(self, code, why, by="us", fatal=False, deviation=True, **fields):
        """`deviation` = the other side broke the profile: the process ends with exit code 1."""
        self.failed = self.failed or deviation
        self.event("error", code=code, why=why, by=by, fatal=fatal, deviation=deviation, **fields)

    def ready(self, **fields):
        own = self.account.identity
        self.event("ready", **fields, identity_key=own.key.hex(), noise_key=own.noise_key.hex(), username=own.username)

    async def dial(self, host, port, key, pin):
        self.ready()
        self.watch(self.commands())
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except OSError as error:
            self.error("connect", str(error), fatal=True)
            return
        closing = asyncio.ensure_future(self.done.wait())
        conversation = asyncio.ensure_future(Conversation(self, reader, writer, True, key, pin).run())
        await asyncio.wait([closing, conversation], return_when=asyncio.FIRST_COMPLETED)

    async def listen(self, host, port):
        async def accepted(reader, writer):
            await Conversation(self, reader, writer, False).run()
            if self.failed:
                self.done.set()

        server = await asyncio.start_server(accepted, host, port)
        bound = server.sockets[0].getsockname()
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        self.ready(bound=f"{shown}:{bound[1]}")
        self.watch(self.commands())
        await self.done.wait()
        server.close()

    def watch(self, work):
        async def guarded():
            try:
                await work
            except Exception as error:  # a fault of this program must not pass in silence
                self.error("internal", repr(error), fatal=True)
                self.done.set()
                raise

        task = asyncio.ensure_future(guarded())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def commands(self):
        """Commands given before a connection is there wait for it; the end of stdin waits for the confirmations."""
        lines, loop = asyncio.Queue(), asyncio.get_running_loop()

        def read():
            while line := sys.stdin.buffer.readline():
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, b"")

        threading.Thread(target=read, daemon=True).start()
        while line := await lines.get():
            command = json.loads(line)
            if self.current is None and command["cmd"] != "close":
                self.early.append(command)
            else:
                await self.command(command)
        while self.early and not self.done.is_set():
            await self.progress.wait()
        if self.current is not None:
            await self.current.drained(LAST_CONFIRMATIONS_S)
        await self.command({"cmd": "close"})

    async def command(self, command):
        conversation, cmd = self.current, command["cmd"]
        try:
            if cmd == "close":
                if conversation is not None:
                    await conversation.end("closed by us")
                self.done.set()
            elif cmd == "send":
                await conversation.send_text(command["text"], command.get("reply_to"))
            elif cmd == "receipt":
                ids = [int(one) for one in command["message_ids"]]
                await conversation.send_content("RECEIPT", {"kind": command["kind"], "message_ids": ids})
            elif cmd == "end_session":
                await conversation.send_content("END", {})
            elif cmd == "ping":
                await conversation.ping()
            else:
                raise ValueError(f"unknown command {cmd!r}")
        except Ended:
            pass  # the conversation reports its own end; what was queued stays in the outbox


class Conversation:
    """One connection from the first byte to the last."""

    def __init__(self, peer, reader, writer, we_dialled, dialled_key=None, pin=None):
        self.peer, self.account = peer, peer.account
        self.reader, self.writer = reader, writer
        self.we_dialled, self.dialled_key, self.pin = we_dialled, dialled_key, pin
        self.link: Link | None = None
        self.contact = None
        self.fetching = None  # None, "first" or "again"
        self.nonces = set()
        self.reason = None
        self.task = None
        self.idle = asyncio.Event()  # something was confirmed, or all is over
        self.finished = asyncio.Event()
        self.waiting = False

    async def run(self):
        self.task = asyncio.ensure_future(self._whole())
        reason = "peer closed"
        try:
            await self.task
        except Ended:
            if self.contact is None and self.reason is None:
                self.peer.error("ended", "connection closed before both identities were verified", fatal=True)
        except asyncio.CancelledError:
            reason = "cancelled"
            if self.reason == "replaced":
                await self._last_word("duplicate")
                await self._read_until_end()
        except Silent as silent:
            reason = silent.refused.name
            self.peer.error(reason, silent.refused.why, fatal=True)
        except Refused as refused:
            reason = refused.name
            self.peer.error(reason, refused.why, fatal=True)
            await self._last_word(reason)
        except Exception as error:  # a fault of this program must not pass in silence
            reason = "internal"
            traceback.print_exc()
            self.peer.error(reason, repr(error), fatal=True)
            await self._last_word(reason)
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass
        if self.peer.current is self:
            self.peer.current = None
        self.peer.event("closed", reason=self.reason or reason)
        self.idle.set()
        self.peer.progress.set()
        self.finished.set()

    async def end(self, reason):
        self.reason = reason
        self.task.cancel()
        await self.finished.wait()

    async def drained(self, seconds):
        """Waits until everything queued is confirmed, or the connection is over."""
        try:
            async with asyncio.timeout(seconds):
                while self.contact is not None and self.contact.outbox and not self.task.done():
                    self.idle.clear()
                    await self.idle.wait()
        except TimeoutError:
            self.peer.error("timeout", "messages not confirmed in time")

    async def _last_word(self, name):
        if self.link is None:
            return
        try:
            await self.link.send("ERROR", {"code": Refused(name).code, "fatal": True})
        except Ended:
            pass

    async def _read_until_end(self):
        try:
            async with asyncio.timeout(DUPLICATE_S):
                while await self.reader.read(65536):
                    pass
        except (TimeoutError, ConnectionError):
            pass

    # --- start ---

    async def _whole(self):
        own, noise_secret = self.account.identity, self.account.noise_secret
        log = self.peer.log
        if self.we_dialled:
            self.link = await initiate(self.reader, self.writer, noise_secret, self.pin, log)
            await self.link.send("IDENTITY", own.body())
            theirs = await self._their_identity()
        else:
            self.link = await respond(self.reader, self.writer, noise_secret, log)
            theirs = await self._their_identity()
            await self.link.send("IDENTITY", own.body())
        self.link.reassembler = Reassembler(self.peer.trusted)
        self.contact = self.account.contact(theirs.key)
        older = self.peer.current
        self.peer.current = self
        if older is not None and older.contact is self.contact:
            # Both by the same initiator, since this peer either dials or listens: the newer one stays.
            older.reason = "replaced"
            older.task.cancel()
        self.peer.event(
            "connected", identity_key=theirs.key.hex(), noise_key=theirs.noise_key.hex(), username=theirs.username,
            handshake_hash=self.link.handshake_hash.hex(), we_dialled=self.we_dialled,
        )
        while self.peer.early:
            await self.peer.command(self.peer.early.pop(0))
        self.peer.progress.set()
        await self._flush()
        while True:
            await self._one()

    async def _their_identity(self):
        try:
            async with asyncio.timeout(IDENTITY_S):
                name, body = await self.link.receive(self._on_silence)
        except TimeoutError:
            raise Refused("timeout", "no IDENTITY") from None
        if name == "ERROR":
            raise self._fatal_error(body)
        if name != "IDENTITY":
            raise Refused("malformed", f"{name} before IDENTITY")
        theirs = identity.Identity.check(body)
        identity.check_connection(theirs, self.link.peer_static, self.account.identity.key, self.dialled_key)
        self.account.trust.offer(theirs)
        return theirs

    # --- receiving ---

    async def _on_silence(self):
        if self.contact is not None:
            await self.ping()

    async def _one(self):
        try:
            name, body = await self.link.receive(self._on_silence)
        except Refused as refused:
            if refused.name != "unsupported":
                raise
            await self._answer_error(refused, request=refused.request)
            self.peer.error(refused.name, refused.why, deviation=False)
            return
        handler = getattr(self, f"_on_{name.lower()}", None)
        if handler is None:
            refused = Refused("unsupported", f"{name} at a node without relay")
            await self._answer_error(refused, request=name)
            self.peer.error(refused.name, refused.why)
            return
        await handler(body)

    async def _answer_error(self, refused, **fields):
        await self.link.send("ERROR", {"code": refused.code, "fatal": False, **fields})

    async def _on_identity(self, body):
        raise Refused("malformed", "second IDENTITY")

    async def _on_ping(self, body):
        await self.link.send("PONG", {"nonce": body["nonce"]})

    async def _on_pong(self, body):
        if body["nonce"] not in self.nonces:
            self.peer.error("malformed", "PONG without its PING")
            return
        self.nonces.discard(body["nonce"])
        self.peer.event("pong")

    async def _on_fetch_prekeys(self, body):
        if body["target"] != self.account.identity.key:
            refused = Refused("not_found", "FETCH_PREKEYS for another key")
            await self._answer_error(refused, request="FETCH_PREKEYS")
            self.peer.error(refused.name, refused.why)
            return
        await self.link.send("PREKEYS", self.account.prekeys_for(self.contact))

    async def _on_prekeys(self, body):
        if self.fetching is None:
            self.peer.error("malformed", "PREKEYS without FETCH_PREKEYS")
            return
        again, self.fetching = self.fetching == "again", None
        session = self.account.start_session(self.contact, body)
        self.peer.event("session", session_id=session.session_id.hex(), started_by="us", epoch=session.epoch)
        if again:
            self.account.seal_again(self.contact)
        self.account.seal_waiting(self.contact)
        if session.ratchet.ns == 0:
            self.account.queue(self.contact, "NULL", {})
        await self._flush()

    async def _on_direct_message(self, body):
        contact, message_id = self.contact, body["message_id"]
        if message_id not in contact.delivered:
            try:
                content, session, new = self.account.open(contact, message_id, body["encrypted_blob"])
            except Refused as refused:
                await self._answer_error(refused, request="DIRECT_MESSAGE", message_id=message_id)
                deviation = refused.name not in HONEST
                self.peer.error(refused.name, refused.why, deviation=deviation, message_id=str(message_id))
                return
            contact.delivered.add(message_id)
            if new:
                self.peer.event("session", session_id=session.session_id.hex(), started_by="peer", epoch=session.epoch)
            self._show(message_id, content, session)
            await self.link.send("DELIVERY_CONFIRMATION", self.account.confirmation(contact, message_id))
            if new and all(item.blob is not None for item in contact.outbox.values()):
                # Only a message on the session ends the other side's type-1 form, in which large contents wait.
                self.account.queue(contact, "NULL", {})
        else:
            await self.link.send("DELIVERY_CONFIRMATION", self.account.confirmation(contact, message_id))
        await self._flush()

    async def _on_delivery_confirmation(self, body):
        try:
            item = self.account.take_confirmation(self.contact, body)
        except Refused as refused:
            self.peer.error(refused.name, refused.why, message_id=str(body["message_id"]))
            return
        if item is not None:
            if item.text_id is not None:
                self.peer.event("confirmed", message_id=str(item.message_id), id=str(item.text_id))
            self.idle.set()

    async def _on_error(self, body):
        if body["fatal"]:
            raise self._fatal_error(body)
        code, fields = body["code"], {}
        if "message_id" in body:
            fields["message_id"] = str(body["message_id"])
        if "request" in body:
            fields["request"] = body["request"]
        name = NAMES.get(code, str(code))
        self.peer.error(name, body.get("detail", ""), by="peer", deviation=name not in HONEST, **fields)
        if body.get("request") == "FETCH_PREKEYS":
            self.fetching = None
        elif code in RESTART and self.contact.restarts.take():
            await self._fetch("again")

    def _fatal_error(self, body):
        name = NAMES.get(body["code"], str(body["code"]))
        if name != "duplicate":
            self.peer.error(name, body.get("detail", ""), by="peer", fatal=True)
        self.reason = f"ERROR {name} from the peer"
        return Ended()

    # --- content ---

    def _show(self, message_id, content, session):
        try:
            name, body = read_content(content)
            self._content(message_id, name, body, session)
        except Refused as refused:
            # Confirmed like any other, not shown; an unknown name is no fault of the other side.
            self.peer.error(refused.name, refused.why, deviation=refused.name != "unsupported", message_id=str(message_id))

    def _content(self, message_id, name, body, session):
        contact = self.contact
        if name == "TEXT":
            limit = TRUSTED_TEXT_LIMIT if self.peer.trusted else TEXT_LIMIT
            if len(body["text"].encode()) > limit:
                raise Refused("limit", "text too long")
            if body["id"] in contact.texts:
                return
            contact.texts.add(body["id"])
            more = {"reply_to": str(body["reply_to"])} if "reply_to" in body else {}
            if "letter" in body:
                more["letter"] = body["letter"].hex()
            self.peer.event("text", id=str(body["id"]), text=body["text"], message_id=str(message_id), sent=body["sent"], **more)
        elif name == "RECEIPT":
            if body["kind"] not in ("delivered", "read"):
                raise Refused("malformed", "kind of receipt")
            self.peer.event("receipt", kind=body["kind"], message_ids=[str(one) for one in body["message_ids"]])
        elif name == "IDENTITY":
            theirs = identity.Identity.check(body)
            if theirs.key == contact.key:
                self.peer.event("identity", result=self.account.trust.offer(theirs), version=theirs.version)
        elif name == "END":
            contact.sessions.remove(session)
            self.peer.event("session_ended", session_id=session.session_id.hex())

    # --- sending ---

    async def send_text(self, text, reply_to):
        if len(text.encode()) > TRUSTED_TEXT_LIMIT:
            self.peer.error("limit", "text too long to send")
            return
        body = {"id": new_id(), "sent": now_ms(), "text": text}
        if reply_to is not None:
            body["reply_to"] = int(reply_to)
        await self.send_content("TEXT", body)

    async def send_content(self, name, body):
        self.account.queue(self.contact, name, body)
        await self._flush()

    async def ping(self):
        nonce = new_id()
        self.nonces.add(nonce)
        await self.link.send("PING", {"nonce": nonce})

    async def _flush(self):
        """Seals what can be sealed and sends what this connection has not carried yet."""
        contact = self.contact
        active = contact.sessions.active
        if active is None:
            await self._open_session()
        elif active.ratchet.ns > RENEW_NS:
            await self._fetch("first")
        self.account.seal_waiting(contact)
        for item in list(contact.outbox.values()):
            current = contact.outbox.get(item.message_id) is item
            if current and item.blob is not None and item.sent_on is not self.link:
                item.sent_on = self.link
                await self.link.send("DIRECT_MESSAGE", {"message_id": item.message_id, "encrypted_blob": item.blob})
                if item.text_id is not None:
                    self.peer.event("sent", message_id=str(item.message_id), id=str(item.text_id))

    async def _open_session(self):
        """The side with the lower key fetches at once, the higher one only after 3 s without a session."""
        if self.account.identity.key < self.contact.key:
            await self._fetch("first")
        elif not self.waiting:
            self.waiting = True
            self.peer.watch(self._fetch_later())

    async def _fetch_later(self):
        await asyncio.sleep(HIGHER_SIDE_WAITS_S)
        self.waiting = False
        if self.contact.sessions.active is None and not self.task.done():
            try:
                await self._fetch("first")
            except Ended:
                pass

    async def _fetch(self, why):
        already, self.fetching = self.fetching, why
        if already is None:
            await self.link.send("FETCH_PREKEYS", {"target": self.contact.key})
