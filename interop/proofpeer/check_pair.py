"""The two peers with each other, over a mosquitto of their own.

`python check_pair.py [NAME ..]`: scenarios whose name contains one of the words; all if none. Needs `mosquitto` and
`node` in the path (or $MOSQUITTO, $NODE), this Python with python/requirements.txt, and `npm ci` done in node/.
"""

import concurrent.futures
import datetime
import hashlib
import ipaddress
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HERE = pathlib.Path(__file__).resolve().parent
PATH = os.environ["PATH"] + ":/usr/sbin"
MOSQUITTO = os.environ.get("MOSQUITTO") or shutil.which("mosquitto", path=PATH) or "mosquitto"
NODE = os.environ.get("NODE", "node")
LANGUAGES = {
    "py": ([sys.executable, "-m", "peer"], HERE / "python"),
    "js": ([NODE, "--no-warnings", "peer.mjs"], HERE / "node"),
}


class Wrong(Exception):
    pass


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def make_certificate(certificate, key):
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    places = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(secret.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(places), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(secret, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ))


class Broker:
    def __init__(self, folder):
        self.tcp, self.web, self.tls, self.web_tls = (free_port() for _ in range(4))
        self.certificate, key = folder / "broker.crt", folder / "broker.key"
        if not key.exists():
            make_certificate(self.certificate, key)
        secret = f"certfile {self.certificate}\nkeyfile {key}\n"
        config = folder / f"mosquitto-{self.tcp}.conf"
        config.write_text(
            "user root\npersistence false\nallow_anonymous true\nmax_inflight_messages 0\n"
            f"listener {self.tcp} 127.0.0.1\nlistener {self.web} 127.0.0.1\nprotocol websockets\n"
            f"listener {self.tls} 127.0.0.1\n{secret}"
            f"listener {self.web_tls} 127.0.0.1\nprotocol websockets\n{secret}"
        )
        self.process = subprocess.Popen(
            [MOSQUITTO, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.url, self.web_url = f"mqtt://127.0.0.1:{self.tcp}", f"ws://127.0.0.1:{self.web}/mqtt"
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.tcp)).close()
                return
            except OSError:
                time.sleep(0.05)
        raise Wrong("no mosquitto")

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Process:
    def __init__(self, language, *options):
        command, folder = LANGUAGES[language]
        self.events, self.condition = [], threading.Condition()
        self.process = subprocess.Popen(
            [*command, *map(str, options)], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self.me = self.wait("ready", timeout=20)
        except Wrong:
            self.stop()
            raise
        self.fp = self.me["fingerprint"]

    def _read(self):
        for line in self.process.stdout:
            with self.condition:
                self.events.append(json.loads(line))
                self.condition.notify_all()

    def do(self, cmd, **fields):
        self.process.stdin.write(json.dumps({"cmd": cmd, **fields}) + "\n")
        self.process.stdin.flush()

    def all(self, name, **fields):
        with self.condition:
            return [e for e in self.events if e["event"] == name and fields.items() <= e.items()]

    def wait(self, name, timeout=12.0, count=1, **fields):
        end = time.monotonic() + timeout
        with self.condition:
            while True:
                found = [e for e in self.events if e["event"] == name and fields.items() <= e.items()]
                if len(found) >= count:
                    return found[count - 1]
                left = end - time.monotonic()
                if left <= 0:
                    kinds = [{k: v for k, v in e.items() if k != "hex"} for e in self.events[-12:]]
                    raise Wrong(f"no {name} {fields}; last events: {kinds}")
                self.condition.wait(left)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Run:
    """One scenario: an app of its own, and processes that end with it."""

    serial = 0
    lock = threading.Lock()

    def __init__(self, broker, keys):
        self.broker, self.keys, self.processes = broker, keys, []
        with Run.lock:
            Run.serial += 1
            self.app = f"check.pair.{os.getpid()}.{Run.serial}"

    def peer(self, language, *options, key=None, url=None, channel="lobby"):
        more = ["--channel", channel] if channel else []
        if key:
            more += ["--key", self.keys[key]]
        process = Process(
            language, "--broker", url or self.broker.url, "--app", self.app, *more, *options
        )
        self.processes.append(process)
        return process

    def pair(self, a, b, *options, **more):
        one, two = self.peer(a, *options, **more), self.peer(b, *options, **more)
        self.meet(one, two)
        return one, two

    @staticmethod
    def meet(one, two):
        one.wait("presence", peer=two.fp, state="online")
        two.wait("presence", peer=one.fp, state="online")

    def stop(self):
        for process in self.processes:
            process.stop()


def expect(condition, what):
    if not condition:
        raise Wrong(what)


TRUE = {"proven": True, "bound": True, "forward_secret": True}
PROVEN = {"proven": True, "bound": False, "forward_secret": False}


def talk(run, a, b, mode_a, mode_b, key_a, key_b):
    modes = {"lit": ["--literal"], "ext": []}
    one = run.peer(a, *modes[mode_a], key=f"a-{key_a}")
    two = run.peer(b, *modes[mode_b], key=f"b-{key_b}")
    run.meet(one, two)
    one.do("broadcast", channel="lobby", data={"from": "one"}, reliable=True)
    got = two.wait("deliver", peer=one.fp, channel="lobby")
    expect(got["data"] == {"from": "one"} and got["auth"]["bound"] == (mode_a == mode_b == "ext"), f"broadcast {got}")
    one.do("send", to=two.fp, text="first")
    got = two.wait("deliver", peer=one.fp, text="first")
    both = mode_a == mode_b == "ext"
    if both:
        expect(got["auth"] == TRUE, f"first {got}")
    two.do("send", to=one.fp, text="back", reliable=True)
    got = one.wait("deliver", peer=two.fp, text="back")
    if mode_a == "ext":
        expect(got["auth"] == (TRUE if both else PROVEN), f"back {got}")
    if mode_b == "ext" and not both:
        # the reverse handshake has made a proven session
        two.wait("session", peer=one.fp, role="initiator", proven=True)
    one.do("send", to=two.fp, hex="00ff80", reliable=True)
    got = two.wait("deliver", peer=one.fp, hex="00ff80")
    if mode_b == "ext":
        expect(got["auth"] == (TRUE if both else PROVEN), f"second {got}")
    if both:
        one.wait("status", status="delivered")
        two.wait("status", status="delivered")
    if both:
        counts = [len(p.all("session")) for p in (one, two)]
        expect(counts == [1, 1], f"sessions {counts}")
    odd = [e for p in (one, two) for e in p.all("dropped") if e["reason"] not in ("own", "duplicate")]
    expect(not odd, f"dropped {odd}")
    expect(not one.all("error") and not two.all("error"), "errors")


def encrypted(run, a, b):
    one = run.peer(a, channel="lobby=correct horse")
    two = run.peer(b, channel="lobby=correct horse")
    other = run.peer(b, channel="lobby=another")
    plain = run.peer(a, "--literal")
    one.wait("presence", peer=plain.fp, state="joined", channel="lobby")
    for process in (two, other, plain):
        run.meet(one, process)
    one.do("broadcast", channel="lobby", data={"secret": 1})
    got = two.wait("deliver", peer=one.fp)
    expect(got["data"] == {"secret": 1} and got["encrypted"] == "channel", f"{got}")
    other.wait("dropped", reason="bad_enc")
    expect("enc" in plain.wait("deliver", peer=one.fp)["data"], "enc")
    plain.do("broadcast", channel="lobby", data={"clear": 1})
    one.wait("dropped", reason="plain_in_encrypted")
    two.do("broadcast", channel="lobby", data=None)
    got = one.wait("deliver", peer=two.fp)
    expect(got["data"] is None, f"{got}")


def large(run, a, b):
    one, two = run.pair(a, b)
    size = 1 << 20
    digest = hashlib.sha256(bytes((31 * i + 7) % 256 for i in range(size))).hexdigest()
    one.do("send", to=two.fp, bytes=size, seed=7, reliable=True)
    expect(two.wait("deliver", timeout=40, peer=one.fp)["sha256"] == digest, "sha256")
    one.wait("status", timeout=40, status="delivered")
    two.do("send", to=one.fp, bytes=size, seed=7)
    expect(one.wait("deliver", timeout=40, peer=two.fp)["sha256"] == digest, "unreceipted")
    literal = run.peer(b, "--literal")
    run.meet(one, literal)
    one.do("send", to=literal.fp, bytes=size)
    one.wait("status", status="too_large")


def once(run, a, b):
    one, two = run.pair(a, b)
    two.do("set", name="receipts", value=False)
    one.do("send", to=two.fp, text="only once", reliable=True)
    two.wait("deliver", peer=one.fp, text="only once")
    time.sleep(4)
    expect(not one.all("status", status="delivered"), "delivered without a receipt")
    two.do("set", name="receipts", value=True)
    one.wait("status", timeout=20, status="delivered")
    one.do("send", to=two.fp, text="next", reliable=True)
    two.wait("deliver", peer=one.fp, text="next")
    one.do("replay_last", kind="session")
    two.wait("dropped", reason="replay")
    one.do("broadcast", channel="lobby", data=1, reliable=True)
    two.wait("deliver", channel="lobby")
    one.do("replay_last", kind="broadcast")
    two.wait("dropped", reason="duplicate")
    expect(len(two.all("deliver")) == 3, "deliveries")


def reflected(run, a, b):
    one, two = run.pair(a, b, "--set", "caps=")
    one.do("send", to=two.fp, text="x")
    two.wait("deliver", text="x")
    one.wait("session", role="responder")
    two.wait("session", proven=True)
    one.do("send", to=two.fp, text="y")
    two.wait("deliver", text="y")
    one.do("replay_last", kind="session", topic=one.me["inbox"])
    one.wait("dropped", reason="no_session")
    payload = json.loads(one.wait("replayed")["payload"])
    payload["m"]["sender_id"] = two.me["uid"]
    one.do("publish_raw", topic=one.me["inbox"], payload=json.dumps(payload))
    one.wait("dropped", reason="reflected")


def transports(run, a, b):
    one = run.peer(a, "--mqtt", "5", url=run.broker.web_url)
    two = run.peer(b, "--mqtt", "5")
    three = run.peer(a, url=run.broker.web_url)
    for first, second in ((one, two), (one, three), (two, three)):
        run.meet(first, second)
        first.do("send", to=second.fp, text="over", reliable=True)
        second.wait("deliver", peer=first.fp, text="over")
    two.wait("status", status="delivered")


def tls(run, a, b):
    ca = ["--ca", run.broker.certificate]
    one = run.peer(a, *ca, url=f"mqtts://localhost:{run.broker.tls}")
    two = run.peer(b, *ca, url=f"wss://localhost:{run.broker.web_tls}/mqtt")
    run.meet(one, two)
    one.do("send", to=two.fp, text="through TLS", reliable=True)
    two.wait("deliver", peer=one.fp, text="through TLS")
    one.wait("status", status="delivered")


def timeout(run, a, b):
    one, two = run.pair(a, b)
    third = run.peer(b, "--literal")
    run.meet(one, third)
    last = time.time()
    two.do("abort")
    time.sleep(45)
    third.do("abort")
    one.wait("presence", timeout=20, peer=two.fp, state="offline", reason="timeout")
    expect(not one.all("presence", peer=third.fp, state="offline"), "a heartbeat was not heard")
    expect(56 < time.time() - last < 62, "the time of offline")


def brokers(run, a, b):
    second = Broker(pathlib.Path(run.keys["folder"]))
    try:
        one = run.peer(a, "--broker", second.url)
        two = run.peer(b, "--broker", second.url)
        run.meet(one, two)
        one.do("send", to=two.fp, text="twice sent", reliable=True)
        two.wait("deliver", text="twice sent")
        one.wait("status", status="delivered")
        second.stop()
        two.do("send", to=one.fp, text="one left", reliable=True)
        one.wait("deliver", text="one left")
        two.wait("status", status="delivered")
        expect(len(one.all("deliver")) == len(two.all("deliver")) == 1, "delivered once")
    finally:
        second.stop()


def strict(run, a, b):
    one = run.peer(a, "--strict")
    two = run.peer(b, "--strict")
    run.meet(one, two)
    literal = run.peer(b, "--literal")
    one.wait("dropped", reason="unbound")
    one.do("send", to=two.fp, text="strict", reliable=True)
    got = two.wait("deliver", text="strict")
    expect(got["auth"] == TRUE, f"{got}")
    one.wait("status", status="delivered")
    expect(not one.all("presence", peer=literal.fp), "a literal peer in strict mode")


def restart(run, a, b):
    one = run.peer(a)
    two = run.peer(b, key="b-ed25519")
    run.meet(one, two)
    one.do("send", to=two.fp, text="before", reliable=True)
    two.wait("deliver", text="before")
    time.sleep(1.1)
    two.do("abort")
    two.process.wait()
    again = run.peer(b, key="b-ed25519")
    one.wait("closed", reason="restarted")
    one.do("send", to=two.fp, text="after", reliable=True)
    again.wait("deliver", text="after")
    one.wait("status", count=2, status="delivered")


def crossing(run, a, b):
    one, two = run.pair(a, b)
    for process, other in ((one, two), (two, one)):
        process.do("handshake", to=other.fp)
    for process in (one, two):
        process.wait("session", role="initiator")
        process.wait("session", role="responder")
    small = min(e["sid"] for e in one.all("session"))
    for process, other in ((one, two), (two, one)):
        process.do("send", to=other.fp, text="cross")
        got = other.wait("deliver", text="cross")
        expect(got["sid"] == small, f"{got['sid']} is not {small}")


def locks(run, a, b):
    one, two = run.pair(a, b)
    one.do("set", name="pp", value=False)
    one.do("broadcast", channel="lobby", data="plain")
    two.wait("dropped", reason="downgrade")
    one.do("set", name="pp", value=True)
    one.do("set", name="ack_x", value=False)
    one.do("peers")
    one.wait("peers")
    two.do("send", to=one.fp, text="x")
    two.wait("dropped", reason="bad_ack")
    expect(not two.all("session", role="initiator"), "a session without x")
    one.do("set", name="skew", value=-61)
    one.do("broadcast", channel="lobby", data="late")
    two.wait("dropped", reason="stale")


def variants(run, a, b):
    one = run.peer(a, "--set", "oaep=sha1", "--set", 'ok="OK"', "--pubkey", "raw", key="a-ed25519")
    two = run.peer(b, "--set", "alg=Ed25519", "--pubkey", "pkcs1", key="b-rsa")
    run.meet(one, two)
    one.do("send", to=two.fp, text="forms", reliable=True)
    expect(two.wait("deliver", text="forms")["auth"] == TRUE, "auth")
    one.wait("status", status="delivered")
    three = run.peer(b, "--set", "epk=false")
    run.meet(one, three)
    three.do("send", to=one.fp, text="no epk")
    got = one.wait("deliver", text="no epk")
    expect(got["auth"] == {"proven": True, "bound": True, "forward_secret": False}, f"{got}")
    three.do("shutdown")
    three.wait("done")
    one.wait("presence", peer=three.fp, state="left", channel="lobby", reason="leave")
    one.wait("presence", peer=three.fp, state="offline", reason="leave")


def beats(run, a, b):
    one, two = run.pair(a, b, "--set", "heartbeat=1")
    for process, literal in ((one, False), (two, True)):
        process.do("peers")
        found = process.wait("peers")["peers"]
        expect(len(found) == 1 and found[0]["channels"] == ["lobby"] and found[0]["locked"], f"{found}")
    one.do("leave", channel="lobby")
    two.wait("presence", peer=one.fp, state="left", channel="lobby", reason="leave")
    one.do("join", channel="lobby")
    two.wait("presence", count=2, peer=one.fp, state="joined")


def scenarios():
    pairs = [(a, b) for a in LANGUAGES for b in LANGUAGES]
    for a, b in pairs:
        for modes in ("ext-ext", "lit-ext", "ext-lit", "lit-lit"):
            for key_a in ("rsa", "ed25519"):
                for key_b in ("rsa", "ed25519"):
                    rest = (a, b, *modes.split("-"), key_a, key_b)
                    yield f"talk {a}-{b} {modes} {key_a}-{key_b}", talk, rest
    for check in (
        encrypted, large, once, reflected, transports, tls, brokers, strict, restart, crossing, locks, variants, beats,
        timeout,
    ):
        for a, b in pairs:
            yield f"{check.__name__} {a}-{b}", check, (a, b)


def main():
    words = sys.argv[1:]
    chosen = [s for s in scenarios() if not words or any(word in s[0] for word in words)]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="proofpeer-"))
    broker = Broker(folder)
    keys = {f"{side}-{kind}": folder / f"{side}-{kind}.key" for side in "ab" for kind in ("rsa", "ed25519")}
    keys["folder"] = folder
    failed = 0

    def one(scenario):
        name, check, rest = scenario
        run = Run(broker, keys)
        try:
            check(run, *rest)
            return name, None
        except Wrong as wrong:
            return name, str(wrong)[:1500]
        except Exception:
            return name, traceback.format_exc()
        finally:
            run.stop()

    try:
        for name in ("a-rsa", "b-rsa", "a-ed25519", "b-ed25519"):
            made = Process("py", "--broker", broker.url, "--app", "keys", "--key", keys[name], "--key-type", name[2:])
            made.stop()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for name, wrong in pool.map(one, chosen):
                print(f"{'FAILED' if wrong else 'passed'} {name}", flush=True)
                if wrong:
                    failed += 1
                    print(f"    {wrong}", flush=True)
    finally:
        broker.stop()
        shutil.rmtree(folder)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
