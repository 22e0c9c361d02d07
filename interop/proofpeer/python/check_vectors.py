"""Runs the proofpeer vectors on this peer.

`python check_vectors.py [FILE ..]` (names without .json; all if none) reads ../../../vectors/proofpeer, or
$WAYPOST_VECTORS/proofpeer. A missing file, a case of an unknown shape and an expected value that nothing here computes
are failures.
"""

import json
import os
import pathlib
import sys
import traceback

from peer import crypto, frames, wire
from peer.codec import Drop, b64, channel_topic, inbox_topic, murmur3, unb64
from peer.engine import HEARTBEAT, INTRODUCE, JOIN, LEAVE, Engine, Peer, Pending
from peer.keys import BadKey, BadWrap, Private, Public
from peer.session import Session

CASE = {"id", "clause", "status", "input"}
h = bytes.fromhex


class Unfit(Exception):
    """The case and this program disagree."""


def folder():
    override = os.environ.get("WAYPOST_VECTORS")
    root = pathlib.Path(override) if override else pathlib.Path(__file__).resolve().parents[3] / "vectors"
    return root / "proofpeer"


def shape(given, *shapes):
    for names in shapes:
        if set(given) == set(names.split()):
            return names
    raise Unfit(f"unknown shape: {sorted(given)}")


def murmur3_case(i, expect):
    if "hash" in expect:
        shape(i, "hex", "hex text")
        if "text" in i and i["text"].encode() != h(i["hex"]):
            raise Unfit("text and hex differ")
        found = murmur3(h(i["hex"]))
        if found == expect.get("seed_says"):
            raise Unfit("the seed's value")
        return {"hash": found, "seed_says": expect.get("seed_says")}
    if shape(i, "app channel", "app pubkey") == "app channel":
        return {"topic": channel_topic(i["app"], i["channel"])}
    return {"topic": inbox_topic(i["app"], Public.parse(i["pubkey"]).uid)}


def keys_case(i, _):
    shape(i, "pubkey")
    try:
        key = Public.parse(i["pubkey"])
    except BadKey:
        raise Drop("bad_key") from None
    return {"type": key.type, "spki": key.spki.hex(), "uid": key.uid, "fingerprint": key.fingerprint}


def jwt_case(i, _):
    if shape(i, "token t", "private_pkcs8 timestamp data") != "token t":
        return {"token": wire.make_token(Private.load(h(i["private_pkcs8"])), i["timestamp"], i["data"])}
    token = wire.open_token(i["token"], i["t"])
    token.check_alg()
    token.check_signature()
    return {
        "type": token.key.type, "fingerprint": token.key.fingerprint, "timestamp": token.timestamp,
        "data": token.data, "has_pp": token.has_pp,
    }


def envelopes_case(i, _):
    form = shape(
        i, "payload now topic limit", "payload_hex now topic limit", "payload_repeat now topic limit"
    ).split()[0]
    if form == "payload":
        payload = i["payload"].encode()
    elif form == "payload_hex":
        payload = h(i["payload_hex"])
    else:
        rule = i["payload_repeat"]
        shape(rule, "prefix fill total suffix")
        prefix, suffix = rule["prefix"].encode(), rule["suffix"].encode()
        room = rule["total"] - len(prefix) - len(suffix)
        fill = rule["fill"].encode()
        payload = prefix + (fill * (room // len(fill) + 1))[:room] + suffix
    e = wire.open_envelope(payload, i["now"], i["topic"], i["limit"])
    found = {"kind": e.kind, "t": e.t, "r": e.r, "sid": e.sid, "sender_id": e.sender_id}
    return {k: v for k, v in found.items() if v is not None}


def derive_case(i, expect):
    if "topic" in i:
        shape(i, "topic t r sender_id sid")
        return {"aad": crypto.message_aad(i["topic"], i["t"], i["r"], i["sender_id"], i["sid"]).hex()}
    if "public" in i:
        shape(i, "secret public")
        try:
            crypto.x25519(h(i["secret"]), h(i["public"]))
        except ValueError:
            raise Drop("bad_wrap") from None
        return {}
    shape(
        i,
        "sid initiator_spki responder_spki aes_key k0 caps_initiator caps_responder initiator_esk responder_esk x_json "
        "x_nonce",
    )
    found = {}
    ei = er = dh = b""
    if i["initiator_esk"]:
        ei = crypto.x25519_public(h(i["initiator_esk"]))
    if i["responder_esk"]:
        er = crypto.x25519_public(h(i["responder_esk"]))
    if ei and er:
        dh = crypto.x25519(h(i["initiator_esk"]), er)
        if dh != crypto.x25519(h(i["responder_esk"]), ei):
            raise Unfit("the two sides differ")
    s = crypto.Schedule(
        i["sid"], h(i["initiator_spki"]), h(i["responder_spki"]), h(i["aes_key"]), h(i["k0"]), ei, i["caps_initiator"]
    )
    s.finish(er, i["caps_responder"], dh)
    x = crypto.gcm_seal(s.kx, h(i["x_nonce"]), i["x_json"].encode(), s.th)
    for name, value in (
        ("epk_initiator", ei), ("epk_responder", er), ("dh", dh), ("th", s.th), ("kx", s.kx), ("th2", s.th2),
        ("i2r", s.i2r), ("r2i", s.r2i),
    ):
        found[name] = value.hex()
        if expect.get(name, "") is None and not value:
            found[name] = None
    found["x_d"] = b64(x)
    return found


def frames_case(i, expect):
    if shape(i, "frame", "events") == "frame":
        kind, mid, idx, count, body = frames.split(h(i["frame"]))
        return {"type": kind, "mid": mid.hex(), "idx": idx, "count": count, "body": body.hex()}
    receiver, outcomes = frames.Receiver(), []
    for event in i["events"]:
        shape(event, "at frame")
        found = []
        try:
            for outcome in receiver.receive(event["at"], *frames.split(h(event["frame"]))):
                if outcome[0] == "deliver":
                    found.append({"deliver": outcome[1].hex()})
                else:
                    found.append({"reply": outcome[1].hex(), "r": False})
        except Drop as drop:
            found.append({"drop": drop.reason})
        outcomes.append(found)
    return {"outcomes": outcomes}


def outcomes_of(engine, with_reasons):
    found = []
    for action in engine.take():
        if action[0] == "publish" and action[5] in ("ack", "handshake"):
            found.append({"publish": action[5], "topic": action[1], "qos": action[3]})
        if action[0] != "event":
            continue
        name, f = action[1:]
        if name == "deliver":
            found.append({"deliver": f["data"], "auth": f["auth"], "encrypted": f["encrypted"]})
        elif name == "session":
            found.append({"session": f["sid"], "role": f["role"], "auth": f["auth"]})
        elif name == "closed":
            found.append({"closed": f["sid"], "reason": f["reason"]} if with_reasons else {"closed": f["sid"]})
        elif name == "dropped":
            found.append({"drop": f["reason"]})
    return found


def sequence_case(i, expect):
    i = dict(i)
    k0 = i.pop("k0", None)
    shape(i, "receiver_pkcs8 app channels passphrase accept events")
    start = i["events"][0]["at"]
    engine = Engine(Private.load(h(i["receiver_pkcs8"])), i["app"], start, strict=i["accept"] == "strict")
    for n, name in enumerate(i["channels"]):
        engine.join(name, None if n else i["passphrase"])
    engine.take()
    outcomes = []
    for event, wanted in zip(i["events"], expect["outcomes"], strict=True):
        shape(event, "at topic payload retain")
        engine.now = event["at"]
        engine.received(event["topic"], event["payload"].encode(), event["retain"])
        reasons = any("closed" in item and "reason" in item for item in wanted)
        found = outcomes_of(engine, reasons)
        outcomes.append(wanted if sorted(map(repr, found)) == sorted(map(repr, wanted)) else found)
    if k0:
        keys = [s.ack for p in engine.peers.values() for s in p.sessions]
        if not any(crypto.gcm_open(h(k0), unb64(a["aes"]["data"])) == b"OK" for a in keys):
            raise Unfit("another k0")
    return {"outcomes": outcomes}


def handshake_case(i, expect):
    if "events" in i:
        return sequence_case(i, expect)
    form = shape(i, "recipient_pkcs8 aes_key", "recipient_pubkey ephemeral_secret k0", "ed25519_seed").split()[0]
    if form == "recipient_pkcs8":
        try:
            return {"k0": Private.load(h(i["recipient_pkcs8"])).unwrap(unb64(i["aes_key"])).hex()}
        except BadWrap:
            raise Drop("bad_wrap") from None
    if form == "recipient_pubkey":
        key = Public.parse(i["recipient_pubkey"])
        wrapped = key.wrap(h(i["k0"]), h(i["ephemeral_secret"]))
        return {"aes_key": b64(wrapped), "recipient_x25519": key.x25519().hex()}
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Private(Ed25519PrivateKey.from_private_bytes(h(i["ed25519_seed"]))).public
    return {"pubkey": b64(key.spki), "uid": key.uid, "x25519_public": key.x25519().hex()}


def ack_case(i, _):
    shape(i, "initiator_pkcs8 responder_pubkey app now accept known_caps pending payload")
    shape(i["pending"], "sid k0 aes_key esk caps")
    engine = Engine(Private.load(h(i["initiator_pkcs8"])), i["app"], i["now"], strict=i["accept"] == "strict")
    key = Public.parse(i["responder_pubkey"])
    peer = engine.peers[key.fingerprint] = Peer(key)
    peer.locked, peer.caps = i["known_caps"] is not None, i["known_caps"]
    p = i["pending"]
    peer.pending = Pending(
        p["sid"], h(p["k0"]), h(p["aes_key"]), i["now"], p["caps"], h(p["esk"]) if p["esk"] else None
    )
    engine.received(engine.inbox, i["payload"].encode())
    drops = [a[2]["reason"] for a in engine.take() if a[:2] == ("event", "dropped")]
    if drops:
        if peer.pending is None or peer.sessions:
            raise Unfit("a dropped ack changed the state")
        raise Drop(drops[0])
    (session,) = peer.sessions
    return {"auth": session.auth(), "d1": session.d1}


def session_case(i, _):
    shape(i, "receiver_pkcs8 sender_pubkey app topic sid d1 frames proven key_recv own_prefix events")
    key = Public.parse(i["sender_pubkey"])
    engine = Engine(Private.load(h(i["receiver_pkcs8"])), i["app"], 0)
    if engine.inbox != i["topic"]:
        raise Unfit("another inbox")
    peer = engine.peers[key.fingerprint] = Peer(key)
    session = Session(
        i["sid"], "responder", bytes(32), h(i["key_recv"]), h(i["own_prefix"]), 0, i["d1"], i["frames"], i["proven"],
        fs=True,
    )
    peer.sessions.append(session)
    outcomes = []
    for event in i["events"]:
        shape(event, "at payload")
        engine.now = event["at"]
        engine.received(i["topic"], event["payload"].encode())
        for action in engine.take():
            if action[:2] == ("event", "deliver"):
                outcomes.append({"plaintext": action[2]["hex"], "auth": action[2]["auth"]})
            elif action[:2] == ("event", "dropped"):
                outcomes.append({"drop": action[2]["reason"]})
    return {"outcomes": outcomes}


def channel_case(i, expect):
    if "events" in i:
        return sequence_case(i, expect)
    if "passphrase" in i:
        shape(i, "passphrase app channel")
        return {"root": crypto.channel_root(i["app"], i["channel"], i["passphrase"]).hex()}
    form = shape(
        i, "root sender_spki topic timestamp nonce plaintext", "root sender_spki topic timestamp data"
    ).split()[-1]
    root, spki = h(i["root"]), h(i["sender_spki"])
    if form == "data":
        return {"value": crypto.channel_open(root, spki, i["topic"], i["timestamp"], i["data"])}
    return {
        "key": crypto.channel_key(root, spki).hex(),
        "aad": crypto.channel_aad(i["topic"], i["timestamp"], spki).hex(),
        "enc": crypto.channel_seal(root, spki, i["topic"], i["timestamp"], i["plaintext"].encode(), h(i["nonce"])),
    }


BASE = 1_704_214_799


def presence_case(i, _):
    shape(i, "app channels events")
    engine = Engine(Private.generate("ed25519"), i["app"], BASE)
    for name in i["channels"]:
        engine.join(name)
    first = murmur3(i["channels"][0])
    senders = {name: Engine(Private.generate("ed25519"), i["app"], BASE) for name in "AB"}
    names = {sender.me.fingerprint: name for name, sender in senders.items()}
    host = Peer(engine.me)
    values = {
        "join": JOIN, "beat": HEARTBEAT, "leave": LEAVE, "introduce": INTRODUCE,
        "introduce+channel": {**INTRODUCE, "channel": first}, "app": {"say": "hi"},
    }
    outcomes = []
    for event in i["events"]:
        engine.take()
        engine.now = BASE + event["at"]
        if "tick" in event:
            shape(event, "at tick")
            engine.tick()
        else:
            shape(event, "at peer data channel timestamp")
            sender, t = senders[event["peer"]], BASE + event["timestamp"]
            topic = engine.inbox if event["channel"] is None else channel_topic(i["app"], event["channel"])
            to = host if event["channel"] is None else None
            sender.publish(topic, "x", False, t, sender.token(topic, t, values[event["data"]], to))
            engine.received(topic, sender.take()[0][2])
        found = []
        for action in engine.take():
            if action[:2] == ("event", "presence"):
                fields = dict(action[2])
                del fields["uid"]
                fields["peer"] = names[fields["peer"]]
                found.append(fields)
            elif action[:2] == ("event", "dropped"):
                found.append({"drop": action[2]["reason"]})
        outcomes.append(found)
    return {"outcomes": outcomes}


FILES = {
    "murmur3": murmur3_case, "keys": keys_case, "jwt": jwt_case, "envelopes": envelopes_case,
    "handshake": handshake_case, "derive": derive_case, "ack": ack_case, "session": session_case,
    "channel": channel_case, "frames": frames_case, "replay": sequence_case, "presence": presence_case,
}


def run(case, check):
    extra = set(case) - CASE - {"expect", "error", "note"}
    if extra or not CASE <= set(case) or ("expect" in case) == ("error" in case):
        raise Unfit(f"unknown shape: {sorted(case)}")
    try:
        found = check(case["input"], case.get("expect", {}))
    except Drop as drop:
        if case.get("error") != drop.reason:
            raise Unfit(f"expected {case.get('error', 'no error')}, dropped as {drop.reason}") from None
        return
    if "error" in case:
        raise Unfit(f"expected {case['error']}, found {found}")
    for name, value in case["expect"].items():
        if name not in found:
            raise Unfit(f"nothing computes {name!r}")
        if json.dumps(found[name], sort_keys=True) != json.dumps(value, sort_keys=True):
            raise Unfit(f"{name}: expected {value!r}, found {found[name]!r}")


def main():
    failed = passed = 0
    for name in sys.argv[1:] or FILES:
        good = 0
        try:
            cases = json.loads((folder() / f"{name}.json").read_text())["cases"]
        except (OSError, KeyError, ValueError) as error:
            print(f"{name}: {error}")
            failed += 1
            continue
        for case in cases:
            try:
                run(case, FILES[name])
                good += 1
            except Unfit as unfit:
                print(f"{name}/{case.get('id')}: {str(unfit)[:600]}")
                failed += 1
            except Exception:
                print(f"{name}/{case.get('id')}: {traceback.format_exc(limit=-3)}")
                failed += 1
        passed += good
        print(f"{name}: {good} of {len(cases)}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
