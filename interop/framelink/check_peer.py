"""Lets two of these peers talk to each other, in every mode, alignment and role, and with the faults it can make.

`python check_peer.py [WORD ..]` runs the conversations whose name has one of the words, all if none is given.
"""

import base64
import hashlib
import itertools
import json
import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading
import traceback

HOME = pathlib.Path(__file__).resolve().parent
PATIENCE_S = 60
SIZES = (0, 1, 15, 16, 17, 65535, 65536, 65537, 300_000)
MODES, ALIGNMENTS = ("raw", "psk", "hybrid"), ("block", "stream")


def psk_line(psk):
    check = hashlib.sha256(b"framelink/1 psk file\0" + psk).digest()[:8]
    return "FRAMELINK-PSK-1-" + base64.b32encode(psk + check).decode() + "\n"


def pattern(length, seed):
    period = bytes((i * 31 + seed) & 0xFF for i in range(256))
    return (period * (length // 256 + 1))[:length]


class Peer:
    """A child process; `expect` keeps what it passes over for later."""

    def __init__(self, *arguments):
        self.child = subprocess.Popen(
            [sys.executable, "-B", "-m", "peer", *map(str, arguments)],
            cwd=HOME, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.heard, self.kept = queue.Queue(), []
        threading.Thread(target=self._hear, daemon=True).start()

    def _hear(self):
        for line in self.child.stdout:
            self.heard.put(json.loads(line))
        self.heard.put({"event": "end of output"})

    def do(self, cmd, **given):
        self.child.stdin.write(json.dumps({"cmd": cmd, **given}) + "\n")
        self.child.stdin.flush()

    def expect(self, event, **fields):
        for at, one in enumerate(self.kept):
            if one["event"] == event and fields.items() <= one.items():
                return self.kept.pop(at)
        while True:
            one = self.heard.get(timeout=PATIENCE_S)
            if one["event"] == event and fields.items() <= one.items():
                return one
            assert one["event"] not in ("error", "end of output"), f"{one}, not {event} {fields}: {self.kept[-6:]}"
            self.kept.append(one)

    def finish(self, *codes):
        try:
            self.child.stdin.close()
        except BrokenPipeError:
            pass
        assert self.child.wait(PATIENCE_S) in codes, f"ended with {self.child.returncode}: {self.kept[-6:]}"


class Pair:
    """A listener and who connects to it."""

    def __init__(self, mode="hybrid", both=(), listener=(), dialler=()):
        secret = ("--block-file", FOLDER / "block") if mode == "raw" else ("--psk-file", FOLDER / "psk")
        common = ("--mode", mode, *secret, *both)
        self.a = Peer("--listen", "127.0.0.1:0", *common, *listener)
        port = self.a.expect("ready")["port"]
        self.b = Peer("--connect", f"127.0.0.1:{port}", *common, *dialler)

    def __enter__(self):
        return self.a, self.b

    def __exit__(self, *_):
        for one in (self.a, self.b):
            one.child.kill()
            one.child.wait()

    def opened(self):
        self.a.expect("open")
        self.b.expect("open")
        return self


def transfers(mode, *both, swapped=False):
    roles = (("--role", "top"), ("--role", "bottom")) if swapped else ((), ())
    whole = b"".join(pattern(size, seed) for seed, size in enumerate(SIZES))
    with Pair(mode, both, *roles).opened() as (a, b):
        for one in (a, b):
            one.do("report_at", bytes=len(whole))
            for seed, size in enumerate(SIZES):
                one.do("send_pattern", bytes=size, seed=seed)
        for one in (a, b):
            one.expect("received_total", bytes=len(whole), sha256=hashlib.sha256(whole).hexdigest())
            one.expect("sent_total")
        b.do("close")
        if mode == "raw":
            a.expect("ended")
            b.expect("ended")
        else:
            a.expect("closed")
            a.do("send", payload="616263")
            b.expect("frame", hex="616263")
            a.do("close")
            b.expect("closed")
            a.expect("done")
            b.expect("done")
        a.finish(0)
        b.finish(0)


def half_close():
    size = 8 << 20
    with Pair("psk", ("--quiet",)).opened() as (a, b):
        b.do("close")
        a.expect("closed")
        a.do("send_pattern", bytes=size, seed=3)
        a.do("close")
        b.expect("received_total", bytes=size, sha256=hashlib.sha256(pattern(size, 3)).hexdigest())
        b.expect("done")
        a.expect("done")


def much_both_ways():
    size = 32 << 20
    with Pair("hybrid", ("--quiet", "--socket-buffer", 32768)).opened() as (a, b):
        for one in (a, b):
            one.do("send_pattern", bytes=size, seed=9)
            one.do("close")
        for one in (a, b):
            one.expect("received_total", bytes=size, sha256=hashlib.sha256(pattern(size, 9)).hexdigest())
            one.expect("done")


def plain_hash():
    with Pair("hybrid", ("--plain-hash", "--quiet")).opened() as (a, b):
        b.do("send_pattern", bytes=500_000, seed=9)
        b.do("close")
        a.expect("received_total", bytes=500_000, sha256=hashlib.sha256(pattern(500_000, 9)).hexdigest())


def literal():
    wrap = ("--start-seq", "0xfffffffe", "--seq-wrap", 1)
    with Pair("raw", ("--literal", *wrap)).opened() as (a, b):
        for _ in range(4):
            b.do("send", payload="aa", code="80000003")
        for seq in (0xFFFFFFFE, 0xFFFFFFFF, 1, 2):
            a.expect("frame", seq=seq, code=0x80000003)
        b.do("ping")
        b.expect("refused", kind="raw")


def control_frames():
    with Pair(listener=("--credit", 700, "--max-frame", 2048)) as (a, b):
        a.expect("open")
        b.expect("open", peer_credit=700, peer_max_frame=2048)
        b.do("ping", hex="0102")
        b.expect("pong", hex="0102")
        b.do("pad", n=100)
        b.do("rekey")
        a.expect("rekeyed", by="peer")
        b.do("send", payload="aa" * 350, code=7)
        a.expect("frame", code=7, len=350)
        b.do("send", payload="aa" * 351, code=7)
        b.expect("refused", kind="too-large")
        for _ in range(70):
            b.do("send")
        for _ in range(70):
            a.expect("frame", len=0)
        a.do("credit", n=5)
        b.expect("credit", n=5)
        b.do("error", code=5, text="gone")
        a.expect("peer_error", code=5, text="gone")
        a.finish(6)
        b.finish(0)


def unread():
    with Pair(listener=("--credit", 1000)).opened() as (a, b):
        a.do("pause")
        b.do("ping", hex="aa")
        b.expect("pong", hex="aa")
        b.do("send_pattern", bytes=5000, seed=1)
        b.do("ping", hex="bb")
        b.expect("pong", hex="bb")
        a.do("totals")
        a.expect("received_total", bytes=0)
        a.do("resume")
        b.expect("sent_total", bytes=5000)
        b.do("close")
        a.expect("received_total", bytes=5000, sha256=hashlib.sha256(pattern(5000, 1)).hexdigest())


def cut_short():
    for ask, end in ((("shutdown",), "truncated"), (("abort",), "truncated")):
        with Pair().opened() as (a, b):
            b.do("send", payload="aa")
            a.expect("frame")
            b.do(*ask)
            a.expect(end)
            a.finish(3)
    with Pair("raw").opened() as (a, b):
        b.do("inject", hex="00")
        b.do("shutdown")
        a.expect("truncated")
        a.finish(3)


def violation(kind, *asked, mode="hybrid", listener=(), answer=1):
    with Pair(mode, (), listener).opened() as (a, b):
        b.do("send", payload="616263")
        a.expect("frame")
        for command in asked:
            b.do(**command)
        a.expect("violation", kind=kind)
        a.finish(4)
        if mode != "raw":
            b.expect("peer_error", code=answer, text="")
            b.finish(6)


def refusal(at_bottom, at_top, listener=(), dialler=()):
    with Pair("hybrid", (), listener, dialler) as (a, b):
        for one, (event, fields) in ((a, at_bottom), (b, at_top)):
            one.expect(event, **fields)
            one.finish(2, 6)


def failed(kind):
    return "failed", {"kind": kind}


def rejected(reason):
    return "rejected", {"reason": reason}


def asks(cmd, **given):
    return {"cmd": cmd, **given}


def raw_frame(code, payload="", **lies):
    return asks("send_raw_frame", code=code, payload=payload, **lies)


def conversations():
    for mode, align in itertools.product(MODES, ALIGNMENTS):
        yield f"transfers {mode} {align}", transfers, (mode, "--align", align), {}
        yield f"transfers {mode} {align} swapped", transfers, (mode, "--align", align), {"swapped": True}
    tight = ("--rekey-frames", 5, "--credit", 700, "--max-frame", 1024)
    for mode, align in itertools.product(("psk", "hybrid"), ALIGNMENTS):
        yield f"tight {mode} {align}", transfers, (mode, "--align", align, *tight), {}
    for one in (half_close, much_both_ways, plain_hash, literal, control_frames, unread, cut_short):
        yield one.__name__, one, (), {}
    data = asks("send", payload="aabb")
    for mode in ("raw", "hybrid"):
        for kind, name, *asked in (
            ("checksum", "header bit", asks("corrupt_next", offset=3, xor=1), data),
            ("hmac", "payload bit", asks("corrupt_next", offset=16, xor="80"), data),
            ("hmac", "tag bit", asks("corrupt_next", offset=-1, xor=1), data),
            ("hmac", "length and checksum", asks("corrupt_next", offset=3, xor="01" + "00" * 11 + "01"), data, data),
            ("checksum", "dropped", asks("drop_next"), data, data),
            ("checksum", "replayed", asks("replay_last")),
            ("checksum", "injected", asks("inject", hex="00" * 16)),
            ("sequence", "seq", raw_frame(0, "aa", seq=9)),
            ("length", "length", raw_frame(0, "aa", length=1 << 21)),
        ):
            yield f"violation {mode} {name}", violation, (kind, *asked), {"mode": mode}
    for kind, answer, listener, *asked in (
        ("unknown-control", 2, (), raw_frame("80000009")),
        ("hello", 2, (), raw_frame("80000001", "00" * 48)),
        ("payload", 2, (), raw_frame("80000002", "00" * 31)),
        ("close-ahead", 2, (), raw_frame("80000003", "00000fff")),
        ("credit", 1, ("--credit", 100, "--grant", "manual"), raw_frame(0, "00" * 98)),
        ("credit", 2, (), raw_frame("80000008", "7fffffff")),
        ("empty-flood", 1, (), *[raw_frame(0)] * 65),
        ("rekey-overdue", 1, ("--rekey-frames", 8), *[data] * 20),
    ):
        yield f"violation {kind} {answer}", violation, (kind, *asked), {"listener": listener, "answer": answer}
    for name, at_bottom, at_top, listener, dialler in (
        ("align", failed("bad-options"), rejected(3), (), ("--align", "stream")),
        ("mode", failed("bad-mode"), rejected(2), ("--mode", "psk"), ()),
        ("version", failed("bad-version"), rejected(1), (), ("--spoil", "m1:4:03")),
        ("share bit", failed("bad-key"), rejected(4), (), ("--spoil", "m1:20:01")),
        ("magic", failed("not-framelink"), failed("hs-closed"), (), ("--spoil", "m1:0:01")),
        ("m2 bit", failed("hs-auth"), failed("hs-auth"), ("--spoil", "m2:100:01"), ()),
        ("hello of top", failed("hello"), ("peer_error", {"code": 2}), (), ("--spoil", "hello:33:03")),
        ("hello of bottom", ("peer_error", {"code": 2}), failed("hello"), ("--spoil", "hello:33:03"), ()),
        ("two tops", failed("role-clash"), failed("role-clash"), ("--role", "top"), ()),
        ("two bottoms", failed("hs-timeout"), failed("hs-timeout"), (), ("--role", "bottom")),
    ):
        yield f"refusal {name}", refusal, (at_bottom, at_top, listener, dialler), {}


def main():
    words, bad, count = sys.argv[1:], 0, 0
    for name, talk, arguments, more in conversations():
        if words and not any(word in name for word in words):
            continue
        count += 1
        try:
            talk(*arguments, **more)
        except Exception:  # anything at all is this conversation's failure
            bad += 1
            print(f"FAILED {name}", file=sys.stderr)
            traceback.print_exc()
    print(f"{count} conversations, {bad} failed")
    return 1 if bad or not count else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        FOLDER = pathlib.Path(folder)
        (FOLDER / "psk").write_text(psk_line(os.urandom(32)))
        (FOLDER / "block").write_bytes(os.urandom(256))
        status = main()
    sys.exit(status)
