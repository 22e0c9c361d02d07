"""python -m peer dial HOST:PORT --key K --noise N | python -m peer listen HOST:PORT"""

import argparse
import asyncio
import os
import sys

from .peer import Peer


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
    for role in (dial, listen):
        role.add_argument("address", type=address, metavar="HOST:PORT")
        role.add_argument("--seed", type=key, help="32 bytes from which all own keys are derived; random if absent")
        role.add_argument("--username", default="python")
        role.add_argument("--trust", action="store_true", help="the other side is a Trusted contact: larger limits")
    return parser.parse_args()


async def main():
    options = arguments()
    peer = Peer(options.seed or os.urandom(32), options.username, options.trust)
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
