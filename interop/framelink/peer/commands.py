"""JSON lines on stdin, as calls on a connection."""

import os

from . import codes
from .errors import Refused
from .outbox import Pattern, Special


def u32(value):
    """A number, or up to 8 hex digits."""
    number = int(value, 16) if isinstance(value, str) else value
    if not isinstance(number, int) or not 0 <= number <= 0xFFFFFFFF:
        raise ValueError(f"no u32: {value!r}")
    return number


def bits(value):
    return bytes([value]) if isinstance(value, int) else bytes.fromhex(value)


def perform(connection, cmd, **given):
    """Does what a command asks for. ValueError and TypeError: it cannot be understood."""
    handler = COMMANDS.get(cmd)
    if handler is None:
        raise ValueError(f"unknown command {cmd!r}")
    handler(connection, **given)
    connection.look()


def send(connection, payload="", code=0):
    send_source(connection, bytes.fromhex(payload), u32(code))


def send_pattern(connection, bytes, seed=0, code=0):
    send_source(connection, Pattern(bytes, seed), u32(code))


def send_source(connection, source, code):
    if connection.link.keyed and code >= codes.FIRST_CONTROL:
        raise Refused("control-code", why="send_raw_frame sends those")
    connection.link.send(source, code)
    connection.unreported = True


def close(connection):
    connection.link.close()


def ping(connection, hex=""):
    connection.link.queue(codes.PING, bytes.fromhex(hex))


def pad(connection, n):
    hello = connection.link.hello
    if hello is not None and n > hello.max_frame:
        raise Refused("too-large")
    connection.link.queue(codes.PAD, bytes(n))


def rekey(connection):
    connection.link.queue(codes.REKEY, os.urandom(32))


def credit(connection, n):
    connection.link.queue(codes.CREDIT, codes.u32(u32(n)))


def error(connection, code, text=""):
    connection.link.fail(u32(code), text)


def send_raw_frame(connection, code, payload="", **lies):
    lies = {name: u32(value) for name, value in lies.items() if value is not None}
    if not set(lies) <= {"seq", "length", "checksum"}:
        raise ValueError("seq, length and checksum can be given")
    fault(connection, "frame", code=u32(code), payload=bytes.fromhex(payload), **lies)


def inject(connection, hex):
    fault(connection, "inject", data=bytes.fromhex(hex))


def corrupt_next(connection, offset, xor=1):
    fault(connection, "corrupt", offset=offset, xor=bits(xor))


def drop_next(connection):
    fault(connection, "drop")


def replay_last(connection):
    fault(connection, "replay")


def fault(connection, what, **fields):
    connection.link.outbox.add(Special(what, fields))


def abort(connection, now=False):
    connection.leave("abort", now)


def shutdown(connection, now=False):
    connection.leave("shutdown", now)


def pause(connection):
    connection.pause()


def resume(connection):
    connection.resume()


def report_at(connection, bytes):
    connection.report_at.append(bytes)
    connection.report_if_reached()


def totals(connection):
    connection.report_received()
    connection.report_sent()


COMMANDS = {
    handler.__name__: handler
    for handler in (
        send, send_pattern, close, ping, pad, rekey, credit, error, send_raw_frame, inject, corrupt_next, drop_next,
        replay_last, abort, shutdown, pause, resume, report_at, totals,
    )
}
