"""python -m peer --listen HOST:PORT | --connect HOST:PORT, and what the README says"""

import argparse
import asyncio
import json
import os
import pathlib
import socket
import sys
import threading

from . import block, commands, handshake, sha256
from .connection import HANDSHAKE, HANDSHAKE_S, LINGER_S, Connection
from .errors import Refused
from .events import Speaker
from .link import Link
from .options import Options

USAGE, FILES = 1, 7
FILE_KINDS = {"psk-format", "psk-check", "psk-weak", "block-size", "block-weak"}


def address(text):
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError("HOST:PORT is needed")
    return host.strip("[]"), int(port)


def number(text):
    return int(text, 0)


def spoil(text):
    message, offset, bits = text.split(":")
    if message not in ("m1", "m2", "hello"):
        raise argparse.ArgumentTypeError("m1, m2 or hello")
    return message, int(offset), bytes.fromhex(bits)


def arguments():
    parser = argparse.ArgumentParser(prog="peer", description="An independent framelink peer.", allow_abbrev=False)
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--listen", type=address, metavar="HOST:PORT", help="accepts one connection; port 0: any")
    place.add_argument("--connect", type=address, metavar="HOST:PORT")
    parser.add_argument("--mode", default="hybrid", help="raw, psk, hybrid; BOTTOM: also psk,hybrid")
    parser.add_argument("--literal", action="store_true", help="raw, standard hash start, any LENGTH")
    parser.add_argument("--role", choices=("top", "bottom"), help="default: who connects is top")
    parser.add_argument("--psk-file", type=pathlib.Path, action="append", default=[], help="BOTTOM: any number of them")
    parser.add_argument("--block-file", type=pathlib.Path)
    parser.add_argument("--align", choices=("block", "stream"), default="block")
    parser.add_argument("--mac-init", choices=("secret", "standard"), default=None)
    parser.add_argument("--seq-wrap", type=int, choices=(0, 1), default=0)
    parser.add_argument("--max-frame", type=number, default=None)
    parser.add_argument("--credit", type=number, default=Options.credit)
    parser.add_argument("--grant", choices=("auto", "manual"), default="auto")
    parser.add_argument("--rekey-frames", type=number, default=Options.rekey_frames)
    parser.add_argument("--rekey-blocks", type=number, default=Options.rekey_blocks)
    parser.add_argument("--start-seq", type=number, default=1, help="raw only: SEQ of the first frames")
    parser.add_argument("--keepalive", type=float, default=Options.keepalive, help="seconds; 0 is off")
    parser.add_argument("--cut", type=number, default=Options.cut, help="payload of the largest DATA frame sent")
    parser.add_argument("--spoil", type=spoil, action="append", default=[], metavar="m1|m2|hello:OFFSET:XOR")
    parser.add_argument("--socket-buffer", type=number, help="SO_SNDBUF and SO_RCVBUF")
    parser.add_argument("--quiet", action="store_true", help="no frame, ping, pong, credit and rekeyed events")
    parser.add_argument("--plain-hash", action="store_true", help="hash in Python even where libcrypto is at hand")
    return parser.parse_args()


class Peer:
    def __init__(self, given):
        self.given = given
        sha256.plain = sha256.plain or given.plain_hash
        self.say = Speaker(given.quiet)
        self.modes = ["raw"] if given.literal else given.mode.split(",")
        self.role = given.role or ("top" if given.connect else "bottom")
        standard, largest = ("standard", 0xFFFFFFFF) if given.literal else ("secret", Options.max_frame)
        self.options = Options(
            align=given.align, seq_wrap=given.seq_wrap, credit=given.credit, grant=given.grant,
            rekey_frames=given.rekey_frames, rekey_blocks=given.rekey_blocks, keepalive=given.keepalive, cut=given.cut,
            mac_init=given.mac_init or standard, start_seq=given.start_seq,
            max_frame=largest if given.max_frame is None else given.max_frame,
        )
        self.block, self.psks = None, []
        self.connection = None
        self.commands = asyncio.Queue()

    def prepare(self):
        given = self.given
        for mode in self.modes:
            if mode not in ("raw", "psk", "hybrid"):
                raise Refused("bad-config", why=f"mode {mode!r}")
            self.options.check(mode)
        if self.modes == ["raw"]:
            if given.block_file is None or given.psk_file:
                raise Refused("bad-config", why="raw needs --block-file and nothing else")
            self.block = block.check_raw(given.block_file.read_bytes())
            return
        several = len(self.modes) > 1
        if "raw" in self.modes or several and self.role == "top" or given.block_file or given.start_seq != 1:
            raise Refused("bad-config", why="that does not go with these modes")
        if not given.psk_file or self.role == "top" and len(given.psk_file) > 1:
            raise Refused("bad-config", why="--psk-file")
        for file in given.psk_file:
            try:
                self.psks.append(block.read_psk(file.read_text("ascii")))
            except UnicodeDecodeError:
                raise Refused("psk-format") from None

    async def run(self):
        try:
            self.prepare()
        except Refused as refused:
            self.say("failed", kind=refused.kind, why=str(refused))
            return FILES if refused.kind in FILE_KINDS else USAGE
        except OSError as error:
            self.say("failed", kind="file", why=str(error))
            return FILES
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read_stdin, args=(loop,), daemon=True).start()
        try:
            sock = await self._socket()
        except OSError as error:
            self.say("failed", kind="socket", why=str(error))
            return HANDSHAKE
        perform = loop.create_task(self._perform())
        try:
            return await self._speak(sock, loop.time())
        finally:
            perform.cancel()

    async def _socket(self):
        loop = asyncio.get_running_loop()
        place = self.given.listen or self.given.connect
        family = (await loop.getaddrinfo(*place, type=socket.SOCK_STREAM))[0][0]
        sock = self._prepared(socket.socket(family, socket.SOCK_STREAM))
        if self.given.connect:
            self._ready(place[1])
            await loop.sock_connect(sock, place)
            return sock
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(place)
        sock.listen(1)
        self._ready(sock.getsockname()[1])
        accepted, _ = await loop.sock_accept(sock)
        sock.close()
        return self._prepared(accepted)

    def _ready(self, port):
        self.say("ready", port=port, role=self.role, hash="python" if sha256.plain else "libcrypto")

    def _prepared(self, sock):
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.given.socket_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.given.socket_buffer)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.given.socket_buffer)
        return sock

    async def _speak(self, sock, started):
        self.sock = sock
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                link, prefix = await self._establish(sock, started)
        except TimeoutError:
            self.say("failed", kind="hs-timeout")
            return HANDSHAKE
        except OSError:
            self.say("failed", kind="hs-closed")
            return HANDSHAKE
        except Refused as refused:
            sock.close()
            if refused.kind == "rejected":
                name = handshake.establish.REASONS.get(refused.reason)
                self.say("rejected", reason=refused.reason, name=name)
            else:
                self.say("failed", kind=refused.kind)
            return HANDSHAKE
        self.connection = Connection(sock, link, prefix, self.say, started)
        self.commands.put_nowait(None)
        return await self.connection.run()

    async def _establish(self, sock, now):
        if self.block is not None:
            return Link(self.role, "raw", self.block, self.options, now=now), b""
        spoil = self.given.spoil
        if self.role == "top":
            link, prefix = await handshake.as_top(sock, self.modes[0], self.psks[0], self.options, spoil, now)
        else:
            link, prefix = await handshake.as_bottom(sock, self.modes, self.psks, self.options, spoil, now)
        code, payload = link.control[0]
        link.control[0] = code, handshake.spoiled(payload, spoil, "hello")
        return link, prefix

    # --- commands -----------------------------------------------------------------------------------------------------

    def _read_stdin(self, loop):
        for line in sys.stdin:
            loop.call_soon_threadsafe(self.commands.put_nowait, line)
        loop.call_soon_threadsafe(self.commands.put_nowait, "")

    async def _perform(self):
        """Commands wait for a link, in order."""
        waiting = []
        while True:
            line = await self.commands.get()
            if line is not None:
                waiting.append(line)
            if line == "" and self.connection is None:
                asyncio.get_running_loop().call_later(LINGER_S, self._give_up)
            while waiting and self.connection is not None:
                self._perform_one(waiting.pop(0))

    def _give_up(self):
        """Nobody is left to ask anything, and no connection came."""
        if self.connection is None:
            os._exit(HANDSHAKE)

    def _perform_one(self, line):
        if line == "":
            return self.connection.end_of_commands()
        try:
            given = json.loads(line)
            commands.perform(self.connection, **given)
        except Refused as refused:
            self.say("refused", kind=refused.kind, cmd=given["cmd"])
        except (ValueError, TypeError) as error:
            self.say("error", why=f"{error}", line=line.strip()[:200])


async def main():
    return await Peer(arguments()).run()


if __name__ == "__main__":
    status = asyncio.run(main())
    sys.stdout.flush()
    # The thread that reads stdin may still hold its lock.
    os._exit(status)
