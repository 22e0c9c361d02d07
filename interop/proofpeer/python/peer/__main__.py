"""python -m peer --broker mqtt://HOST:PORT --app ID --channel C, and what the README says"""

import argparse
import json
import os
import pathlib
import queue
import random
import ssl
import string
import sys
import threading
import time
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as mqtt

from .codec import Drop, b64
from .engine import SETTINGS, Engine
from .keys import Private

PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}


def arguments():
    parser = argparse.ArgumentParser(prog="peer", description="An independent ProofPeer peer.", allow_abbrev=False)
    parser.add_argument("--broker", action="append", required=True, metavar="URL", help="mqtt, mqtts, ws, wss")
    parser.add_argument("--app", required=True)
    parser.add_argument("--channel", action="append", default=[], metavar="NAME[=PASSPHRASE]")
    parser.add_argument("--literal", action="store_true", help="only what the seed says")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--key-type", choices=("rsa", "ed25519"), default="ed25519")
    parser.add_argument("--key", type=pathlib.Path, metavar="FILE", help="PKCS#8, DER or PEM; made if missing")
    parser.add_argument("--pubkey", choices=("spki", "raw", "pkcs1"), default="spki", help="form carried in tokens")
    parser.add_argument("--mqtt", choices=("3.1.1", "5"), default="3.1.1")
    parser.add_argument("--ca", metavar="FILE")
    parser.add_argument("--limit", type=int, default=65536)
    parser.add_argument("--allow-unproven-send", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="see README")
    return parser.parse_args()


def load_key(given):
    if given.key and given.key.exists():
        return Private.load(given.key.read_bytes(), given.pubkey)
    key = Private.generate(given.key_type, given.pubkey)
    if given.key:
        with open(os.open(given.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key.pkcs8())
    return key


def say(name, fields):
    try:
        sys.stdout.write(json.dumps({"event": name, **fields}, separators=(",", ":")) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(1)


class Broker:
    def __init__(self, number, url, given, inputs):
        self.number, self.inputs = number, inputs
        place = urlsplit(url)
        web = place.scheme in ("ws", "wss")
        ident = "pp" + "".join(random.SystemRandom().choices(string.digits + string.ascii_lowercase, k=18))
        five = given.mqtt == "5"
        self.five = five
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=ident, transport="websockets" if web else "tcp",
            protocol=mqtt.MQTTv5 if five else mqtt.MQTTv311, **({} if five else {"clean_session": True}),
        )
        if web:
            self.client.ws_set_options(path=place.path or "/mqtt")
        if place.scheme in ("mqtts", "wss"):
            self.client.tls_set(ca_certs=given.ca, cert_reqs=ssl.CERT_REQUIRED)
        if place.username:
            self.client.username_pw_set(unquote(place.username), unquote(place.password or ""))
        self.client.max_inflight_messages_set(0)
        self.client.max_queued_messages_set(0)
        self.client.reconnect_delay_set(1, 30)
        self.waiting = {}
        self.lock = threading.Lock()
        self.client.on_connect = self._connected
        self.client.on_disconnect = self._disconnected
        self.client.on_subscribe = self._subscribed
        self.client.on_message = self._message
        extra = {"clean_start": True} if five else {}
        self.client.connect_async(place.hostname, place.port or PORTS[place.scheme], keepalive=30, **extra)
        self.client.loop_start()

    def _connected(self, client, userdata, flags, code, properties):
        if not code.is_failure:
            self.inputs.put(("connected", self.number))

    def _disconnected(self, client, userdata, flags, code, properties):
        self.inputs.put(("disconnected", self.number))

    def _message(self, client, userdata, message):
        self.inputs.put(("message", message.topic, message.payload, message.retain))

    def _subscribed(self, client, userdata, mid, codes, properties):
        with self.lock:
            topic = self.waiting.pop(mid, None)
        good = not any(code.is_failure for code in codes)
        self.inputs.put(("subscribed" if good else "refused", topic, self.number))

    def subscribe(self, topic):
        with self.lock:
            if self.five:
                options = mqtt.SubscribeOptions(qos=1, noLocal=False, retainAsPublished=False, retainHandling=2)
                _, mid = self.client.subscribe(topic, options=options)
            else:
                _, mid = self.client.subscribe(topic, qos=1)
            self.waiting[mid] = topic


class Host:
    def __init__(self, given):
        self.inputs = queue.Queue()
        self.engine = Engine(
            load_key(given), given.app, time.time(), given.literal, given.strict, given.limit,
            given.allow_unproven_send,
        )
        for item in given.set:
            self.setting(*item.split("=", 1))
        for item in given.channel:
            name, _, passphrase = item.partition("=")
            self.engine.join(name, passphrase or None)
        self.brokers = [Broker(n, url, given, self.inputs) for n, url in enumerate(given.broker)]
        self.ready = False
        self.inbox_up = set()

    def setting(self, name, value):
        if name not in SETTINGS:
            raise Drop("unknown_setting")
        if isinstance(value, str) and isinstance(SETTINGS[name], (bool, int, float)):
            value = json.loads(value)
        self.engine.set[name] = value

    def run(self):
        threading.Thread(target=self._stdin, daemon=True).start()
        next_tick = 0.0
        while True:
            try:
                item = self.inputs.get(timeout=0.05)
            except queue.Empty:
                item = None
            self.engine.now = time.time()
            if item and not self.handle(item):
                return
            if self.engine.now >= next_tick:
                next_tick = self.engine.now + 0.05
                self.engine.tick()
            self.act()

    def act(self):
        for action in self.engine.take():
            if action[0] == "event":
                say(action[1], action[2])
            elif action[0] == "subscribe":
                self.brokers[action[2]].subscribe(action[1])
            elif action[0] == "unsubscribe":
                for broker in self.brokers:
                    broker.client.unsubscribe(action[1])
            else:
                _, topic, payload, qos, number, _ = action
                for broker in self.brokers:
                    if number in (None, broker.number) and broker.client.is_connected():
                        broker.client.publish(topic, payload, qos)

    def handle(self, item):
        engine, kind = self.engine, item[0]
        if kind == "message":
            engine.received(*item[1:])
        elif kind == "connected":
            engine.connected(item[1])
        elif kind == "disconnected":
            engine.disconnected(item[1])
            say("disconnected", {"broker": item[1]})
        elif kind == "refused":
            say("error", {"why": "subscription refused", "topic": item[1]})
        elif kind == "subscribed":
            if item[1] == engine.inbox:
                if not self.ready:
                    self.ready = True
                    me = engine.me
                    say("ready", {
                        "fingerprint": me.fingerprint, "uid": me.uid, "pubkey": b64(me.carried), "inbox": engine.inbox,
                        "key_type": me.type, "literal": engine.literal, "broker": item[2],
                    })
                else:
                    say("connected", {"broker": item[2]})
            else:
                engine.subscribed(item[1], item[2])
        elif kind == "command":
            return self.command(item[1])
        return True

    def command(self, line):
        if line is None:
            return self.command('{"cmd":"shutdown"}')
        try:
            return self._command(json.loads(line))
        except Drop as drop:
            say("error", {"why": drop.reason, "line": line[:200]})
        except (ValueError, KeyError, TypeError) as error:
            say("error", {"why": repr(error), "line": line[:200]})
        return True

    def _command(self, c):
        engine, cmd = self.engine, c["cmd"]
        if cmd == "join":
            engine.join(c["channel"], c.get("passphrase"), bytes.fromhex(c["key"]) if "key" in c else None)
        elif cmd == "leave":
            engine.leave(c["channel"])
        elif cmd == "broadcast":
            engine.broadcast(c["channel"], c.get("data"), c.get("reliable", False))
        elif cmd == "send":
            if "bytes" in c:
                data = bytes((31 * i + c.get("seed", 0)) % 256 for i in range(c["bytes"]))
            else:
                data = bytes.fromhex(c["hex"]) if "hex" in c else c["text"].encode()
            engine.send(c["to"], data, c.get("reliable", False), c.get("id"))
        elif cmd == "handshake":
            peer = engine.find(c["to"])
            say("handshake", {"peer": peer.fingerprint, "sid": engine.handshake(peer)})
        elif cmd == "peers":
            names = {x["hash"]: x["name"] for x in engine.channels.values()}
            say("peers", {"peers": [
                {
                    "peer": p.fingerprint, "uid": p.uid, "key_type": p.key.type, "online": p.presence.online,
                    "locked": p.locked, "caps": p.caps,
                    "channels": sorted(names.get(k, str(k)) for k, v in p.presence.channels.items() if v.member),
                    "sessions": [
                        {"sid": s.sid, "role": s.role, "proven": s.proven, "d1": s.d1, "sent": s.counter}
                        for s in p.sessions
                    ],
                }
                for p in engine.peers.values()
            ]})
        elif cmd == "publish_raw":
            payload = bytes.fromhex(c["hex"]) if "hex" in c else c["payload"]
            payload = payload.encode() if isinstance(payload, str) else payload
            for broker in self.brokers:
                broker.client.publish(c["topic"], payload, c.get("qos", 0), c.get("retain", False))
        elif cmd == "replay_last":
            last = engine.last.get(c.get("kind", "any"))
            if last is None:
                raise Drop("nothing_sent")
            topic, payload, qos = last
            if "t" in c:
                envelope = json.loads(payload)
                envelope["t"] += c["t"]
                payload = json.dumps(envelope, separators=(",", ":"), ensure_ascii=False).encode()
            for broker in self.brokers:
                broker.client.publish(c.get("topic", topic), payload, qos)
            say("replayed", {"topic": c.get("topic", topic), "payload": payload.decode()})
        elif cmd == "set":
            self.setting(c["name"], c["value"])
        elif cmd == "shutdown":
            engine.shutdown()
            self.act()
            time.sleep(0.2)
            for broker in self.brokers:
                broker.client.disconnect()
                broker.client.loop_stop()
            say("done", {})
            return False
        elif cmd == "abort":
            os._exit(0)
        else:
            raise Drop("unknown_command")
        return True

    def _stdin(self):
        for line in sys.stdin:
            if line.strip():
                self.inputs.put(("command", line))
        self.inputs.put(("command", None))


if __name__ == "__main__":
    Host(arguments()).run()
