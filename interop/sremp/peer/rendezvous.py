"""A client of a rendezvous server: TLS 1.3, ALPN, pin, register, lookup, list (profile: Rendezvous, Rendezvous framing)."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
import sys
import threading
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from . import identity
from .account import Account, now_ms
from .noise import HEADER, check_header
from .wire import NAMES, Refused, decode, encode, label, valid_host

ALPN = "sremp-rdv/1"
MAX_MESSAGE = 65536
SLACK_MS = 600_000
MAX_TTL_S = 3600
OPENING_S = 10


class Uri:
    """`sremp-rdv://host:port` or the same with `?spki=`."""

    def __init__(self, text):
        parts = urlsplit(text)
        if parts.scheme != "sremp-rdv" or parts.hostname is None or parts.port is None or not valid_host(parts.hostname):
            raise ValueError("not a rendezvous URI")
        self.host, self.port, self.pin = parts.hostname, parts.port, None
        if parts.query:
            ((name, (value,)),) = parse_qs(parts.query, strict_parsing=True).items()
            self.pin = base64.urlsafe_b64decode(value + "=")
            if name != "spki" or len(self.pin) != 32:
                raise ValueError("not a pin")


def registration_content(server_id, key, verified, endpoint, ttl_seconds, seq, issued):
    host = endpoint["host"].encode()
    return (
        label("registration") + server_id + key + hashlib.sha256(verified).digest() + len(host).to_bytes(4, "big") + host
        + endpoint["port"].to_bytes(2, "big") + ttl_seconds.to_bytes(4, "big") + seq.to_bytes(8, "big") + issued.to_bytes(8, "big")
    )


def check_peer(info, target, server_id, now, highest):
    """The checks of a PeerInfo before it may be dialled; gives the identity."""
    found = identity.Identity.check(info["identity"])
    if found.key != target:
        raise Refused("auth", "another identity than asked for")
    registration = info.get("registration")
    if registration is None or registration["server"] != server_id:
        raise Refused("reg_sig", "no registration for this server")
    content = registration_content(
        server_id, target, found.verified, info["endpoint"], registration["ttl_seconds"], registration["seq"], registration["issued"]
    )
    if not identity.verify(target, registration["signature"], content):
        raise Refused("reg_sig", "signature of a registration")
    issued, life = registration["issued"], min(registration["ttl_seconds"], MAX_TTL_S) * 1000
    if issued > now + SLACK_MS or now > issued + life + SLACK_MS:
        raise Refused("expired", "registration out of its time")
    if registration["seq"] < highest:
        raise Refused("reg_seq", "an older registration than seen before")
    return found


class RendezvousClient:
    def __init__(self, seed, username, uri, discoverable):
        self.account = Account(seed, username, discoverable=discoverable)
        self.uri = Uri(uri)
        self.failed = False
        self.seq = 0
        self.highest = {}

    def event(self, event, **fields):
        print(json.dumps({"event": event, **fields}), flush=True)

    def error(self, code, why, by="us", deviation=True, **fields):
        self.failed = self.failed or deviation
        self.event("error", code=code, why=why, by=by, deviation=deviation, **fields)

    async def run(self, alpn=ALPN, highest_tls=ssl.TLSVersion.TLSv1_3):
        own = self.account.identity
        self.event("ready", identity_key=own.key.hex(), username=own.username)
        writer = None
        try:
            async with asyncio.timeout(OPENING_S):
                self.reader, writer = await self._tls(alpn, highest_tls)
                self.writer = writer
                writer.write(HEADER)
                check_header(await self.reader.readexactly(len(HEADER)))
            self.event("connected", server_id=self.server_id.hex())
            await self._commands()
        except Refused as refused:
            self.error(refused.name, refused.why, fatal=True)
        except (ssl.SSLError, OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.event("closed", reason=type(error).__name__)
            self.failed = True
            return
        if writer is not None:
            writer.close()
        self.event("closed", reason="closed by us")

    async def _tls(self, alpn, highest_tls):
        context = ssl.create_default_context()
        context.maximum_version = highest_tls
        if highest_tls == ssl.TLSVersion.TLSv1_3:
            context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols([alpn])
        if self.uri.pin is not None:
            # Only the hash of the key is checked then.
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection(self.uri.host, self.uri.port, ssl=context)
        tls = writer.get_extra_info("ssl_object")
        leaf = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True))
        spki = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.server_id = hashlib.sha256(spki).digest()
        if tls.selected_alpn_protocol() != alpn or tls.version() != "TLSv1.3":
            raise Refused("version", f"{tls.version()} {tls.selected_alpn_protocol()}")
        if self.uri.pin is not None and not hmac.compare_digest(self.uri.pin, self.server_id):
            writer.close()
            raise Refused("auth", "another key than the pinned one")
        return reader, writer

    # --- commands ---

    async def _commands(self):
        lines, loop = asyncio.Queue(), asyncio.get_running_loop()

        def read():
            while line := sys.stdin.buffer.readline():
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, b"")

        threading.Thread(target=read, daemon=True).start()
        while line := await lines.get():
            command = json.loads(line)
            if command["cmd"] == "close":
                return
            await getattr(self, "do_" + command.pop("cmd"))(**command)

    async def _ask(self, name, body, answer):
        message = encode(name, body)
        self.writer.write(len(message).to_bytes(4, "big") + message)
        length = int.from_bytes(await self.reader.readexactly(4), "big")
        if not 1 <= length <= MAX_MESSAGE:
            raise Refused("malformed", f"message of {length} bytes")
        got, body = decode(await self.reader.readexactly(length))
        if got == "ERROR":
            self.event("error", code=NAMES.get(body["code"]), by="peer", fatal=body["fatal"], deviation=False)
            return None
        if got != answer:
            raise Refused("malformed", f"{got} answers {name}")
        return body

    async def do_register(self, host, port, ttl_seconds=600, seq=None, issued=None, spoil=False):
        """`spoil` turns a bit of the signature over."""
        own, now = self.account.identity, now_ms()
        self.seq = seq = max(self.seq + 1, now) if seq is None else seq
        issued, endpoint = now if issued is None else issued, {"host": host, "port": port}
        content = registration_content(self.server_id, own.key, own.verified, endpoint, ttl_seconds, seq, issued)
        signature = bytearray(identity.sign(self.account.owner.identity_secret, content))
        signature[5] ^= spoil
        body = {
            "identity": own.body(), "endpoint": endpoint, "ttl_seconds": ttl_seconds, "signature": bytes(signature),
            "seq": seq, "issued": issued,
        }
        got = await self._ask("REGISTER_REQUEST", body, "REGISTER_RESPONSE")
        if got is not None:
            code = got.get("error_code")
            if got["success"] == (code is not None):
                raise Refused("malformed", "success and error_code contradict")
            life = (got["expires_at"] - now) // 1000
            self.event("registered" if got["success"] else "refused", code=NAMES.get(code), life_s=life, renewal_interval=got["renewal_interval"])

    async def do_lookup(self, target):
        await self._look({"target_identity": bytes.fromhex(target), "list_all": False}, bytes.fromhex(target))

    async def do_list(self, after=None, limit=None):
        await self._look({"list_all": True, "after": after and bytes.fromhex(after), "limit": limit}, None)

    async def _look(self, body, target):
        got = await self._ask("LOOKUP_REQUEST", body, "LOOKUP_RESPONSE")
        if got is None:
            return
        peers = []
        for info in got["peers"]:
            key = target or identity.Identity.check(info["identity"]).key
            found = check_peer(info, key, self.server_id, now_ms(), self.highest.get(key, 0))
            self.highest[key] = info["registration"]["seq"]
            if target is None and not found.data["flags"].get("discoverable"):
                raise Refused("auth", "listed without being discoverable")
            endpoint = f'{info["endpoint"]["host"]}:{info["endpoint"]["port"]}'
            peers.append({"identity_key": key.hex(), "username": found.username, "endpoint": endpoint, "online": info["online"]})
        listed = [peer["identity_key"] for peer in peers]
        if listed != sorted(set(listed)):
            raise Refused("malformed", "a list out of order")
        after = got.get("next")
        self.event("found", peers=peers, code=NAMES.get(got.get("error_code")), next=after and after.hex())

    async def do_servers(self):
        got = await self._ask("LIST_SERVERS_REQUEST", {}, "LIST_SERVERS_RESPONSE")
        if got is not None:
            servers = [{**server, "spki": server.get("spki", b"").hex()} for server in got["servers"]]
            self.event("servers", servers=servers)
