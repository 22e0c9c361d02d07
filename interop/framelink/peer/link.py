"""One link as a pure machine: bytes and the time go in, bytes and events come out (profile: State machines)."""

import collections
import dataclasses
import os

from . import codes
from .block import halves, other
from .codes import CLOSE, CREDIT, DATA, ERROR, FIRST_CONTROL, HELLO, MORE, PAD, PING, PONG, REKEY
from .credit import Allowance, Window
from .errors import Broken, Refused
from .frame import Opener, Sealer, blocks_of
from .outbox import Message, Outbox, Special

EMPTY_RUN = 64
UNSENT_PONGS = 16
KEY_AGE_S = 3600
RAW_KEY_BLOCKS = 1 << 44
FRAME_S, FRAME_RATE = 30, 16 << 10


@dataclasses.dataclass
class Status:
    """Why reads end: `Closed`, `Ended`, `Truncated`, `Violation`, `PeerError`, `Timeout`, `Aborted`."""

    name: str
    kind: object = None
    text: str = ""


@dataclasses.dataclass
class Frame:
    code: int
    seq: int
    payload: bytes


class Link:
    def __init__(self, role, mode, block, options, th=None, now=0.0, compress=None):
        sides = halves(block)
        self.role, self.mode, self.options, self.th, self.now = role, mode, options, th, now
        self.sealer = Sealer(sides[role], role, options, compress)
        self.opener = Opener(sides[other(role)], other(role), options, compress)
        self.keyed = mode != "raw"
        self.hello = None
        """The peer's HELLO once it is verified."""
        self.end = None
        """Status of reads once they are over."""
        self.mute = False
        """Nothing is sealed any more: CLOSE or ERROR is out, or the link is dead."""
        self.closed = False
        """CLOSE is sealed; in raw: everything before the end of our direction is."""
        self.answered = False
        """The link is dead, and its last frame is an ERROR."""
        self.at_eof = False
        self.first_bytes = b""
        self.events = collections.deque()
        self.sent = []
        """(code, payload) of all that was sealed, if `keep_sent`."""
        self.keep_sent = False
        self.control = collections.deque()
        self.outbox = Outbox()
        self.allowance, self.window = Allowance(), Window(options if self.keyed else None)
        self.empty_sent = self.empty_received = 0
        self.pongs_pulled = 0
        self.sealer_since = now
        self.frame_since = None
        self.last_input = self.last_ping = now
        if self.keyed:
            self.control.append((HELLO, codes.Hello(th, role, mode, options.max_frame, options.credit).encode()))

    def tell(self, event, **fields):
        self.events.append((event, fields))

    # --- what the application asks for --------------------------------------------------------------------------------

    def send(self, source, code=DATA):
        """Queues a message. `source` has a length and gives slices."""
        if self.outbox.closing or self.mute:
            raise Refused("closed")
        if self.hello is not None:
            self.check_size(len(source), code)
        self.outbox.add(Message(source, code))

    def check_size(self, length, code):
        if self.keyed and code > MORE and (length > self.hello.max_frame or not self.allowance.ever_fits(length)):
            raise Refused("too-large")

    def close(self):
        """Ends our direction behind all that is queued."""
        if not self.outbox.closing:
            self.outbox.add(Special("close"))

    def queue(self, code, payload):
        """A control frame of our own; it goes before all application frames that are not sealed yet."""
        if not self.keyed:
            raise Refused("raw", why="no control code is sent in raw")
        if self.mute:
            raise Refused("closed")
        if code == CREDIT:
            self.window.open(codes.from_u32(payload))
        self.control.append((code, payload))

    def fail(self, code, text=""):
        """ERROR, and the end."""
        if not self.keyed:
            raise Refused("raw", why="no control code is sent in raw")
        if self.dead:
            raise Refused("closed")
        self._die(Status("Aborted", code), code if self.hello is not None else None, text.encode())

    # --- what goes out ------------------------------------------------------------------------------------------------

    def pull(self):
        """The next bytes for the transport, b"" if there are none now. Application frames are sealed only here."""
        while not self.mute:
            if self.control and (self.hello is not None or self.control[0][0] in (HELLO, ERROR)):
                wire = self._pull_control()
            elif self.keyed and self.hello is None or self.outbox.first() is None:
                break
            else:
                item = self.outbox.first()
                wire = self._pull_special(item) if isinstance(item, Special) else self._pull_message(item)
                if wire is None and item is self.outbox.first():
                    break
            if wire:
                return wire
        return b""

    def _pull_control(self):
        code, payload = self.control.popleft()
        self.pongs_pulled += code == PONG
        wire = self._seal(code, payload)
        self.mute = code == ERROR
        return wire

    def _pull_message(self, message):
        """A frame of it. None if it waits for credit, or was dropped."""
        left = message.left
        if self.keyed and message.code > MORE:
            try:
                self.check_size(left, message.code)
            except Refused as refused:
                self.outbox.drop()
                self.tell("refused", kind=refused.kind, code=message.code, len=left)
                return None
            size = left if self.allowance.covers(left) else None
        else:
            size = min(left, self.options.cut)
            if self.keyed:
                size = self.allowance.part(min(size, self.hello.max_frame), left)
            elif self.options.max_frame:
                size = min(size, self.options.max_frame)
        if size is None:
            return None
        if not self.keyed and self.sealer.blocks >= RAW_KEY_BLOCKS:
            self.outbox.drop()
            self.tell("refused", kind="exhausted", code=message.code, len=left)
            return None
        payload, last = message.take(size)
        if last:
            self.outbox.drop()
        self.allowance.use(size)
        self.outbox.count(payload)
        cut = self.keyed and message.code == DATA and not last
        return self._seal(MORE if cut else message.code, payload)

    def _pull_special(self, item):
        self.outbox.drop()
        if item.what == "close":
            wire = self._seal(CLOSE, codes.u32(self.opener.last_seq)) if self.keyed else None
            self.mute = self.closed = True
            self.window.lift()
            self.control.clear()
            return wire
        if item.what == "frame":
            return self._seal_one(**item.fields)
        if item.what == "inject":
            return item.fields["data"]
        if item.what == "replay":
            return self.outbox.last_wire
        self.outbox.faults.append(item)
        return None

    def _seal(self, code, payload):
        """With the REKEY and the PAD that must come before."""
        before = self._rekey_if_due(len(payload)) if code != REKEY else b""
        if self.keyed and not payload and self.empty_sent >= EMPTY_RUN:
            before += self._rekey_if_due(1) + self._seal_one(PAD, bytes(1)) + self._rekey_if_due(0)
        wire = self._seal_one(code, payload)
        if code == REKEY:
            self.sealer.rekey(payload)
            self.sealer_since = self.now
            self.tell("rekeyed", by="us", seq=self.sealer.last_seq)
        return before + wire

    def _rekey_if_due(self, length):
        """A key's last frame at the latest is its REKEY, for which room is kept."""
        sealer, options = self.sealer, self.options
        blocks = sealer.blocks + blocks_of(length) + blocks_of(32)
        full = sealer.frames + 1 >= options.rekey_frames or blocks > options.rekey_blocks
        if not self.keyed or not sealer.frames or not (full or self.now - self.sealer_since > KEY_AGE_S):
            return b""
        return self._seal(REKEY, os.urandom(32))

    def _seal_one(self, code, payload, **lies):
        wire = self.sealer.seal(code, payload, **lies)
        self.empty_sent = 0 if payload else self.empty_sent + 1
        if self.keep_sent:
            self.sent.append((code, payload))
        return self.outbox.spoil(wire)

    def flushed(self):
        """All pulled bytes are with the transport."""
        self.pongs_pulled = 0

    # --- what comes in ------------------------------------------------------------------------------------------------

    def feed(self, data):
        if self.end is None:
            if len(self.first_bytes) < 4:
                self.first_bytes = (self.first_bytes + data)[:4]
            if self.opener.between_frames and data:
                self.frame_since = self.now
            self.opener.buffer += data

    def eof(self):
        self.at_eof = True

    def header(self):
        """The header of the next frame, checked; None if it is not there or reads are over."""
        if self.end is not None:
            return None
        if self.opener.header is not None:
            return self.opener.header
        try:
            header = self.opener.read_header()
            if header is None:
                self._check_eof()
            elif self.keyed:
                self._judge(header)
            return header
        except Broken as broken:
            self._violate(broken.kind)
            return None

    def _check_eof(self):
        if self.at_eof:
            whole = not self.keyed and self.opener.between_frames
            self._die(Status("Ended" if whole else "Truncated"))

    def _judge(self, header):
        """What a keyed link checks of a header beyond the frame layer."""
        opener, options = self.opener, self.options
        if self.hello is None and (header.code, header.length) != (HELLO, 48):
            raise Broken("hs-auth")
        blocks = opener.blocks + blocks_of(header.length)
        if opener.frames + 1 > 2 * options.rekey_frames or blocks > 2 * options.rekey_blocks:
            raise Broken("rekey-overdue")
        if header.code < FIRST_CONTROL and not self.window.covers(header.length):
            raise Broken("credit")
        if header.length == 0 and self.empty_received >= EMPTY_RUN:
            raise Broken("empty-flood")

    def advance(self):
        """Finishes the frame whose header is there: an application frame, or a control frame after it was acted on.
        None if bytes are missing or reads are over."""
        header = self.header()
        if header is None:
            return None
        try:
            payload = self.opener.read_rest()
            if payload is None:
                self._check_eof()
                return None
            self.frame_since = self.now if self.opener.buffer else None
            self.last_input = self.now
            self.empty_received = 0 if payload else self.empty_received + 1
            frame = Frame(header.code, header.seq, payload)
            if self.keyed and header.code >= FIRST_CONTROL:
                self._act(frame)
            else:
                self.window.charge(len(payload))
            return frame
        except Broken as broken:
            self._violate(broken.kind)
            return None

    def is_control(self, code):
        return self.keyed and code >= FIRST_CONTROL

    def taken(self, length):
        """The application took that many bytes."""
        grant = self.window.take(length)
        if grant and not self.mute and self.end is None and self.options.grant == "auto":
            self.queue(CREDIT, codes.u32(grant))
            self.window.granted()

    def _act(self, frame):
        code, payload = frame.code, frame.payload
        if code == HELLO:
            if self.hello is not None:
                raise Broken("hello")
            hello = codes.Hello.read(payload, self.th, other(self.role), self.mode)
            self.hello = hello
            self.allowance.start(hello.credit)
            self.tell("open", mode=self.mode, peer_max_frame=hello.max_frame, peer_credit=hello.credit)
            return
        if code == PAD:
            return
        if code not in codes.SIZES:
            raise Broken("unknown-control")
        if len(payload) not in codes.SIZES[code]:
            raise Broken("payload")
        if code == REKEY:
            self.opener.rekey(payload)
            self.tell("rekeyed", by="peer", seq=frame.seq)
        elif code == CLOSE:
            self._act_close(codes.from_u32(payload))
        elif code == PING:
            self._act_ping(payload)
        elif code == PONG:
            self.tell("pong", hex=payload.hex())
        elif code == ERROR:
            text = "".join(c if c.isprintable() else "\ufffd" for c in payload[4:].decode(errors="replace"))
            self._die(Status("PeerError", codes.from_u32(payload[:4]), text))
        elif code == CREDIT:
            amount = codes.from_u32(payload)
            if amount == 0:
                raise Broken("payload")
            self.allowance.add(amount)
            self.tell("credit", n=amount)

    def _act_close(self, received):
        if (self.sealer.last_seq - received) & 0xFFFFFFFF >= 0x80000000:
            raise Broken("close-ahead")
        self.end = Status("Closed", received)
        self.allowance.lift()
        self.opener.buffer.clear()
        self.frame_since = None

    def _act_ping(self, payload):
        self.tell("ping", hex=payload.hex())
        if self.mute:
            return
        waiting = self.pongs_pulled + sum(code == PONG for code, _ in self.control)
        if waiting >= UNSENT_PONGS:
            raise Broken("ping-flood")
        self.queue(PONG, payload)

    # --- the end ------------------------------------------------------------------------------------------------------

    def _violate(self, kind):
        if self.keyed and self.hello is None and kind != "hello":
            kind = "hs-auth"
        self._die(Status("Violation", codes.SHOWN.get(kind, kind)), codes.ANSWERS.get(kind))

    def _die(self, status, error=None, text=b""):
        """DEAD. If `error` is given and our direction is open, ERROR is the last frame."""
        self.end = status
        self.outbox.clear()
        hello_waits = [item for item in self.control if item[0] == HELLO]
        self.control.clear()
        if error is None or not self.keyed or self.mute:
            self.mute = True
        else:
            self.answered = True
            self.control.extend([*hello_waits, (ERROR, codes.u32(error) + text[:256])])

    @property
    def dead(self):
        return self.end is not None and self.end.name != "Closed"

    @property
    def done(self):
        return self.closed and self.end is not None and self.end.name == "Closed"

    def tick(self, now, reading=True):
        """Timers of an open link; `reading` is false while we do not read on purpose."""
        passed, self.now = now - self.now, now
        if not reading:
            self.last_input += passed
            if self.frame_since is not None:
                self.frame_since += passed
        if self.dead:
            return
        if self.frame_since is not None:
            length = self.opener.header.length if self.opener.header else 0
            if now - self.frame_since > FRAME_S + length / FRAME_RATE:
                return self._die(Status("Timeout", "frame"), codes.TIMEOUT)
        period = self.options.keepalive
        if self.hello is None or not period:
            return
        if self.end is None and now - self.last_input >= 2.5 * period:
            return self._die(Status("Timeout", "keepalive"), codes.TIMEOUT)
        if not self.mute and now - max(self.last_input, self.last_ping) >= period:
            self.last_ping = now
            self.queue(PING, b"")
