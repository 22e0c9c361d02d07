"""python -m peer dial HOST:PORT --key K --noise N | listen HOST:PORT | relay HOST:PORT --key K | rendezvous URI"""

import argparse
import asyncio
import os
import ssl
import sys

from .peer import Peer
from .relay import RelayClient
from .rendezvous import ALPN, RendezvousClient


def key(text):
    value = bytes.fromhex(text)
    if len(value) != 32:
        raise argparse.ArgumentTypeError("32 bytes in hex are needed")
    return value


def address(text):
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError("HOST:PORT is needed")
    return host.strip("[]"), int(port)


def arguments():
    parser = argparse.ArgumentParser(prog="peer", description="An independent SREMP peer.")
    roles = parser.add_subparsers(dest="role", required=True)
    dial = roles.add_parser("dial", help="connect to a peer")
    listen = roles.add_parser("listen", help="wait for peers; port 0 takes a free one")
    dial.add_argument("--key", type=key, help="identity key that is dialled")
    dial.add_argument("--noise", type=key, help="noise key that must be shown before msg3")
    relay = roles.add_parser("relay", help="be a client of a relay")
    relay.add_argument("--key", type=key, required=True, help="the relay's identity key")
    relay.add_argument("--noise", type=key, help="noise key that must be shown before msg3")
    rendezvous = roles.add_parser("rendezvous", help="be a client of a rendezvous server")
    rendezvous.add_argument("uri", metavar="URI")
    rendezvous.add_argument("--discoverable", action="store_true", help="may be listed for everybody")
    rendezvous.add_argument("--alpn", default=ALPN, help="protocol to ask TLS for")
    rendezvous.add_argument("--tls12", action="store_true", help="speak TLS 1.2 at most")
    for role in (dial, listen, relay):
        role.add_argument("address", type=address, metavar="HOST:PORT")
    for role in (dial, listen, relay, rendezvous):
        role.add_argument("--seed", type=key, help="32 bytes from which all own keys are derived; random if absent")
        role.add_argument("--username", default="python")
        role.add_argument("--trust", action="store_true", help="the other side is a Trusted contact: larger limits")
    return parser.parse_args()


async def main():
    options = arguments()
    seed = options.seed or os.urandom(32)
    if options.role == "relay":
        peer = RelayClient(seed, options.username, *options.address, options.key)
        await peer.run(options.noise)
        return 1 if peer.failed else 0
    if options.role == "rendezvous":
        peer = RendezvousClient(seed, options.username, options.uri, options.discoverable)
        await peer.run(options.alpn, ssl.TLSVersion.TLSv1_2 if options.tls12 else ssl.TLSVersion.TLSv1_3)
        return 1 if peer.failed else 0
    peer = Peer(seed, options.username, options.trust)
    if options.role == "dial":
        await peer.dial(*options.address, options.key, options.noise)
    else:
        await peer.listen(*options.address)
    return 1 if peer.failed else 0


if __name__ == "__main__":
    status = asyncio.run(main())
    sys.stdout.flush()
    # The thread that reads stdin may still hold its lock.
    os._exit(status)
