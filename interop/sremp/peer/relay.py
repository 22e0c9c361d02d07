"""A client of a relay: register, publish, fetch, store, retrieve, open, confirm (profile: Relay, Prekeys, Signature contents)."""

import asyncio
import hashlib
import json
import sys
import threading
from collections import deque

from . import identity, pqxdh
from .account import Account, confirmation_content, new_id, now_ms, read_content
from .chunks import Reassembler
from .link import Ended, Silent, initiate
from .wire import NAMES, Refused, label

ROLE_REGISTER, ROLE_RETRIEVE = 1, 2
BATCH_S = 15
CAPABILITIES = {"max_message_size": 65536, "max_storage_duration": 2592000}
# What is answered by one message, and by which.
ANSWERS = {
    "RELAY_REGISTER": "RELAY_REGISTERED", "STORE_MESSAGE": "STORE_RESPONSE", "RETRIEVE_MESSAGES": "MESSAGE_BATCH",
    "PUBLISH_PREKEYS": "PREKEYS_PUBLISHED", "FETCH_PREKEYS": "PREKEYS",
}


def auth_content(handshake_hash, relay, client, role):
    return label("relay-auth") + handshake_hash + relay + client + bytes([role])


def store_content(relay, sender, recipient, message_id, blob):
    return label("store") + relay + sender + recipient + message_id.to_bytes(8, "big") + hashlib.sha256(blob).digest()


class RelayClient:
    """One connection to one relay: does what it is told on stdin, opens and confirms what comes."""

    def __init__(self, seed, username, host, port, relay_key):
        relays = [{"endpoint": {"host": host, "port": port}, "relay_identity": relay_key}]
        self.account = Account(seed, username, relays)
        self.host, self.port, self.relay_key = host, port, relay_key
        self.failed = False
        self.link = None
        self.owed = deque()  # names of requests in order, each with the future of its answer
        self.cursor = 0
        self.capabilities = dict(CAPABILITIES)

    def event(self, event, **fields):
        print(json.dumps({"event": event, **fields}), flush=True)

    def log(self, text):
        print(f"{now_ms()} {text}", file=sys.stderr, flush=True)

    def error(self, code, why, by="us", fatal=False, deviation=True, **fields):
        self.failed = self.failed or deviation
        self.event("error", code=code, why=why, by=by, fatal=fatal, deviation=deviation, **fields)

    async def run(self, pin):
        own = self.account.identity
        relay = (f"{self.host}:{self.port}", self.relay_key)
        self.event(
            "ready", identity_key=own.key.hex(), noise_key=own.noise_key.hex(), username=own.username,
            invitation=identity.invitation(own.key, own.noise_key, [], [relay]),
        )
        try:
            reader, writer = await asyncio.open_connection(self.host, self.port)
            self.link = await initiate(reader, writer, self.account.noise_secret, pin, self.log)
            await self.link.send("IDENTITY", own.body())
            name, body = await self.link.receive(self._on_silence)
            if name == "ERROR":
                self._peer_error(body)
                return
            if name != "IDENTITY":
                raise Refused("malformed", f"{name} before IDENTITY")
            theirs = identity.Identity.check(body)
            identity.check_connection(theirs, self.link.peer_static, own.key, self.relay_key)
            if not theirs.data["flags"]["is_relay_server"]:
                raise Refused("auth", "not a relay")
            # The own relay counts as known: its chunks may be larger.
            self.link.reassembler = Reassembler(True)
            self.event("connected", identity_key=theirs.key.hex(), username=theirs.username, handshake_hash=self.link.handshake_hash.hex())
            reading = asyncio.ensure_future(self._read())
            await self._commands(reading)
            if reading.done():
                reading.result()
            reading.cancel()
        except (Ended, OSError):
            self.event("closed", reason="ended")
            return
        except Silent as silent:
            self.error(silent.refused.name, silent.refused.why, fatal=True)
        except Refused as refused:
            self.error(refused.name, refused.why, fatal=True)
        if self.link is not None:
            await self.link.close()
        self.event("closed", reason="closed by us")

    # --- requests ---

    async def _commands(self, reading):
        lines, loop = asyncio.Queue(), asyncio.get_running_loop()

        def read():
            while line := sys.stdin.buffer.readline():
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, b"")

        threading.Thread(target=read, daemon=True).start()
        while not reading.done():
            next_line = asyncio.ensure_future(lines.get())
            await asyncio.wait([next_line, reading], return_when=asyncio.FIRST_COMPLETED)
            if not next_line.done():
                next_line.cancel()
                return
            line = next_line.result()
            command = json.loads(line) if line else {"cmd": "close"}
            if command["cmd"] == "close":
                return
            doing = asyncio.ensure_future(self._command(command))
            await asyncio.wait([doing, reading], return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                doing.cancel()
                return
            doing.result()

    async def _command(self, command):
        work = getattr(self, "do_" + command.pop("cmd"))
        await work(**command)

    async def _ask(self, name, body):
        """The answer, or None if the relay said ERROR."""
        answer = asyncio.get_running_loop().create_future()
        self.owed.append((name, answer))
        await self.link.send(name, body)
        return await asyncio.wait_for(answer, BATCH_S)

    def _auth(self, role):
        own = self.account.identity.key
        content = auth_content(self.link.handshake_hash, self.relay_key, own, role)
        return {"identity": own, "auth_signature": identity.sign(self.account.owner.identity_secret, content)}

    async def do_register(self, mailbox=None, push=None):
        body = {**self._auth(ROLE_REGISTER), "capabilities": self.capabilities, "mailbox": mailbox, "push": push}
        registered = await self._ask("RELAY_REGISTER", body)
        if registered is not None:
            policy = registered["policy"]
            self.event("registered", policy=policy, pending=registered["pending"], one_time_left=registered["one_time_left"])

    async def do_publish(self, one_time=10):
        items = [self.account.prekeys.issue_item(self.account.owner) for _ in range(one_time)]
        published = await self._ask("PUBLISH_PREKEYS", {"bundle": self.account.bundle, "one_time": items})
        if published is not None:
            self.event("published", one_time_left=published["one_time_left"])

    async def do_send(self, to, text, reply_to=None):
        """A TEXT: on the session with `to`, or by prekeys fetched here on a new one."""
        contact = self.account.contact(bytes.fromhex(to))
        if contact.sessions.active is None and not await self._start(contact):
            return
        body = {"id": new_id(), "sent": now_ms(), "text": text}
        if reply_to is not None:
            body["reply_to"] = int(reply_to)
        self.account.queue(contact, "TEXT", body)
        self.account.seal_waiting(contact)
        for item in list(contact.outbox.values()):
            if item.blob is not None and item.sent_on is None:
                item.sent_on = self.link
                await self._store(contact.key, item.message_id, item.blob)

    async def _start(self, contact):
        prekeys = await self._ask("FETCH_PREKEYS", {"target": contact.key})
        if prekeys is None:
            return False
        session = self.account.start_session(contact, prekeys)
        self.event("session", session_id=session.session_id.hex(), started_by="us", epoch=session.epoch, one_time="one_time" in prekeys)
        return True

    async def do_fetch(self, target):
        """PREKEYS of somebody, checked, for no session."""
        target = bytes.fromhex(target)
        prekeys = await self._ask("FETCH_PREKEYS", {"target": target})
        if prekeys is not None:
            offer = pqxdh.check_prekeys(prekeys, target, now_ms(), self.account.trust)
            self.event("prekeys", target=target.hex(), one_time_id=offer.item["id"] if offer.item else None)

    async def do_store(self, recipient, blob, message_id=None):
        await self._store(bytes.fromhex(recipient), int(message_id) if message_id is not None else new_id(), bytes.fromhex(blob))

    async def _store(self, recipient, message_id, blob):
        content = store_content(self.relay_key, self.account.identity.key, recipient, message_id, blob)
        signature = identity.sign(self.account.owner.identity_secret, content)
        body = {"recipient": recipient, "encrypted_blob": blob, "sender_signature": signature, "message_id": message_id}
        stored = await self._ask("STORE_MESSAGE", body)
        if stored is None:
            return
        if stored["message_id"] != message_id or stored.get("recipient") != recipient:
            raise Refused("malformed", "STORE_RESPONSE of another message")
        code = stored.get("error_code")
        if stored["success"] == (code is not None):
            raise Refused("malformed", "success and error_code contradict")
        self.event(
            "stored" if stored["success"] else "refused", message_id=str(message_id), recipient=recipient.hex(),
            stored_at=stored["stored_at"], code=NAMES.get(code), retry_after_s=stored.get("retry_after_s"),
        )

    async def do_retrieve(self, after=None, limit=None, since=None):
        """One batch above the cursor; what is in it is opened and confirmed."""
        after = self.cursor if after is None else after
        batch = await self._ask("RETRIEVE_MESSAGES", {**self._auth(ROLE_RETRIEVE), "after": after, "limit": limit, "since": since})
        if batch is None:
            return
        stamps = [message["timestamp"] for message in batch["messages"]]
        seqs = [message["seq"] for message in batch["messages"]]
        if stamps != sorted(set(stamps)) or seqs != sorted(set(seqs)) or any(seq <= after for seq in seqs):
            raise Refused("malformed", "a batch out of order")
        if batch["next"] < max([after, *seqs]):
            raise Refused("malformed", "next below what the batch holds")
        self.cursor = max(self.cursor, batch["next"])
        await self._batch(batch)
        self.event("batch", messages=len(batch["messages"]), has_more=batch["has_more"], next=batch["next"])

    async def do_discard(self, sender, message_id):
        await self.link.send("DISCARD_MESSAGE", {"sender": bytes.fromhex(sender), "message_id": int(message_id)})

    async def do_ping(self):
        await self.link.send("PING", {"nonce": new_id()})

    # --- what comes ---

    async def _on_silence(self):
        await self.do_ping()

    async def _read(self):
        while True:
            name, body = await self.link.receive(self._on_silence)
            if name == "PING":
                await self.link.send("PONG", {"nonce": body["nonce"]})
            elif name == "PONG":
                self.event("pong")
            elif name == "ERROR":
                self._peer_error(body)
                if body["fatal"]:
                    raise Ended()
            elif name == "DELIVERY_CONFIRMATION":
                self._confirmed(body)
            elif name == "MESSAGE_BATCH" and "next" not in body:
                await self._batch(body)
                self.event("pushed", messages=len(body["messages"]))
            elif name in ANSWERS.values():
                self._answer(name, body)
            else:
                raise Refused("malformed", f"{name} from a relay")

    def _answer(self, name, body):
        if not self.owed or ANSWERS[self.owed[0][0]] != name:
            raise Refused("malformed", f"{name} answers nothing, or not in order")
        self.owed.popleft()[1].set_result(body)

    def _peer_error(self, body):
        name = NAMES.get(body["code"], str(body["code"]))
        request = body.get("request")
        self.event("error", code=name, by="peer", fatal=body["fatal"], deviation=False, request=request, retry_after_s=body.get("retry_after_s"))
        if self.owed and self.owed[0][0] == request:
            self.owed.popleft()[1].set_result(None)

    async def _batch(self, batch):
        for confirmation in batch.get("confirmations", []):
            self._confirmed(confirmation)
        for message in batch["messages"]:
            await self._message(message)

    async def _message(self, message):
        sender, message_id = message["sender"], message["message_id"]
        contact = self.account.contact(sender)
        if message_id not in contact.delivered:
            try:
                content, session, new = self.account.open(contact, message_id, message["encrypted_blob"])
            except Refused as refused:
                # It stays at the relay for another try.
                self.error(refused.name, refused.why, deviation=False, message_id=str(message_id), sender=sender.hex())
                return
            contact.delivered.add(message_id)
            if new:
                self.event("session", session_id=session.session_id.hex(), started_by="peer", epoch=session.epoch)
            self._show(contact, message_id, content)
        await self.link.send("DELIVERY_CONFIRMATION", self.account.confirmation(contact, message_id))

    def _show(self, contact, message_id, content):
        try:
            name, body = read_content(content)
        except Refused as refused:
            self.error(refused.name, refused.why, deviation=refused.name != "unsupported", message_id=str(message_id))
            return
        if name == "TEXT" and body["id"] not in contact.texts:
            contact.texts.add(body["id"])
            self.event("text", sender=contact.key.hex(), id=str(body["id"]), text=body["text"], message_id=str(message_id), sent=body["sent"])
        elif name != "TEXT":
            self.event("content", sender=contact.key.hex(), name=name, message_id=str(message_id))

    def _confirmed(self, body):
        contact = self.account.contact(body["delivered_to"])
        stored_here = confirmation_content(self.account.identity.key, contact.key, body["message_id"], body["timestamp"])
        if body["message_id"] in contact.outbox:
            item = self.account.take_confirmation(contact, body)
            self.event("confirmed", message_id=str(item.message_id), by=contact.key.hex(), seq=body.get("seq"))
        elif not identity.verify(contact.key, body["signature"], stored_here):
            raise Refused("auth", "signature of a confirmation")
        else:
            self.event("confirmed_other", message_id=str(body["message_id"]), by=contact.key.hex(), seq=body.get("seq"))
