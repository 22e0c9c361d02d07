"""Runs the SREMP vectors on this peer: noise, identity, msgpack, pqxdh, ratchet, chunks, verification.

`python check_vectors.py [FILE ..]` (names without .json; all of these if none) reads ../../vectors/sremp, or
$WAYPOST_VECTORS/sremp. A file that is missing, a case of an unknown shape and an expected value that nothing here
computes are failures.
"""

import hashlib
import json
import os
import pathlib
import sys
import traceback

from peer import chunks, identity, noise, pqxdh, ratchet, wire
from peer.wire import Refused

FILES = ("noise", "identity", "msgpack", "pqxdh", "ratchet", "chunks", "verification")


class Unfit(Exception):
    """The case and this program disagree."""


def folder():
    override = os.environ.get("WAYPOST_VECTORS")
    root = pathlib.Path(override) if override else pathlib.Path(__file__).resolve().parents[2] / "vectors"
    return root / "sremp"


def raw(value):
    """Hex to bytes, all the way down."""
    if isinstance(value, dict):
        return {key: raw(item) for key, item in value.items()}
    if isinstance(value, list):
        return [raw(item) for item in value]
    return bytes.fromhex(value) if isinstance(value, str) else value


def plain(value):
    """Bytes to hex, all the way down."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.hex() if isinstance(value, bytes) else value


def shape(given, required, optional=()):
    keys = set(given)
    if not set(required) <= keys <= set(required) | set(optional):
        raise Unfit(f"unknown shape of input: {sorted(keys)}")


def compare(expect, found):
    for key, value in expect.items():
        if key not in found:
            raise Unfit(f"nothing computes {key!r}")
        if plain(found[key]) != value:
            raise Unfit(f"{key}: expected {value!r}, found {plain(found[key])!r}")


# --- noise ------------------------------------------------------------------------------------------------------------


def run_noise(given):
    if "stream" in given:
        shape(given, ["stream"])
        return {"frame": noise.split_frame(bytes.fromhex(given["stream"]))[0]}
    if "handshake_static" in given:
        shape(given, ["handshake_static", "identity", "own_identity"], ["dialled_identity"])
        given = raw(given)
        peer = identity.Identity.check(given["identity"])
        identity.check_connection(peer, given["handshake_static"], given["own_identity"], given.get("dialled_identity"))
        return {"peer": peer.key}
    if "role" not in given:
        return whole_handshake(given)
    if isinstance(given["receive"], str):
        shape(given, ["role", "receive"])
        return {"minor": noise.check_header(bytes.fromhex(given["receive"]))}
    role = {"initiator": one_initiator, "responder": one_responder}.get(given["role"])
    if role is None:
        raise Unfit("unknown role")
    return role(given)


def whole_handshake(given):
    shape(given, ["i_static", "i_ephemeral", "r_static", "r_ephemeral"], ["plaintexts", "initiator_header", "responder_header"])
    given = raw(given)
    i_header, r_header = given.get("initiator_header", noise.HEADER), given.get("responder_header", noise.HEADER)
    a = noise.Handshake(True, given["i_static"], given["i_ephemeral"], i_header)
    b = noise.Handshake(False, given["r_static"], given["r_ephemeral"], i_header)
    msg1 = a.write1()
    b.read1(msg1)
    msg2 = b.write2(r_header)
    a.read2(msg2, r_header)
    msg3 = a.write3()
    b.read3(msg3)
    if a.h != b.h or a.rs != noise.public(b.s) or b.rs != noise.public(a.s):
        raise Unfit("the two sides do not agree")
    (a_out, a_in), (b_out, b_in) = a.split(), b.split()
    found = {
        "header": noise.HEADER, "prologue": a.prologue, "msg1": msg1, "msg2": msg2, "msg3": msg3, "handshake_hash": a.h,
        "initiator_to_responder_key": a_out.key, "responder_to_initiator_key": a_in.key,
        "minor": min(noise.check_header(i_header), noise.check_header(r_header)),
    }
    streams = {"initiator": i_header + noise.frame(msg1) + noise.frame(msg3), "responder": r_header + noise.frame(msg2)}
    for side, sender, receiver in (("initiator", a_out, b_in), ("responder", b_out, a_in)):
        for plaintext in given.get("plaintexts", {}).get(side, []):
            sealed = sender.encrypt(plaintext)
            if receiver.open_frame(sealed) != plaintext:
                raise Unfit("transport does not open")
            streams[side] += noise.frame(sealed)
        found[f"{side}_stream"] = streams[side]
    return found


def one_responder(given):
    shape(given, ["role", "receive", "r_static", "r_ephemeral"], ["initiator_header", "responder_header"])
    given = raw({**given, "role": ""})
    b = noise.Handshake(False, given["r_static"], given["r_ephemeral"], given.get("initiator_header", noise.HEADER))
    received = given["receive"]
    b.read1(received[0])
    found = {"msg2": b.write2(given.get("responder_header", noise.HEADER))}
    if len(received) > 1:
        b.read3(received[1])
        _, receiving = b.split()
        found["handshake_hash"] = b.h
        found["plaintexts"] = [receiving.open_frame(one) for one in received[2:]]
    return found


def one_initiator(given):
    shape(given, ["role", "receive", "i_static", "i_ephemeral"], ["initiator_header", "responder_header", "pinned_noise_key"])
    given = raw({**given, "role": ""})
    a = noise.Handshake(True, given["i_static"], given["i_ephemeral"], given.get("initiator_header", noise.HEADER))
    found = {"msg1": a.write1()}
    header = given.get("responder_header", noise.HEADER)
    noise.check_header(header)
    a.read2(given["receive"][0], header, given.get("pinned_noise_key"))
    found["msg3"] = a.write3()
    _, receiving = a.split()
    found["handshake_hash"] = a.h
    found["plaintexts"] = [receiving.open_frame(one) for one in given["receive"][1:]]
    return found


# --- identity ---------------------------------------------------------------------------------------------------------


def run_identity(given):
    if "offers" in given:
        shape(given, ["offers"])
        return offers(raw(given["offers"]))
    shape(given, ["verified", "signature"])
    one = identity.Identity.check(raw(given))
    found = {key: one.data[key] for key in ("identity_key", "noise_key", "username", "version", "created")}
    found["flags"] = {"discoverable": False, **one.data["flags"]}
    found["relays"] = one.relays
    if one.dr_key is not None:
        found["dr_key"] = one.dr_key
    return found


def offers(given):
    store, results = identity.TrustStore(), []
    for body in given:
        try:
            results.append(store.offer(identity.Identity.check(body)))
        except Refused as refused:
            results.append(refused.name)
    found = {"results": results}
    if len(store.rows) > 1:
        raise Unfit("more than one row")
    for row in store.rows.values():
        found |= {"version": row.identity.version, "forked": row.forked, "noise_changed": row.noise_changed, "verified": row.identity.verified}
    return found


# --- msgpack ----------------------------------------------------------------------------------------------------------


def run_msgpack(given):
    shape(given, ["message"])
    name, body = wire.decode(bytes.fromhex(given["message"]))
    return {"name": name, "body": body, "encoded": wire.encode(name, body)}


# --- pqxdh ------------------------------------------------------------------------------------------------------------


def owner_of(person):
    return pqxdh.Owner(person["identity_secret"], person["dr_secret"], identity.Identity.check(person["identity"]))


def derived_dk(kem):
    ek, dk = pqxdh.ML_KEM_768.key_derive(kem["seed"])
    if ek != kem["ek"] or dk != kem["dk"]:
        raise Unfit("ML-KEM key from seed")
    return dk


def prekeys_of(person):
    prekeys = pqxdh.Prekeys()
    dk = derived_dk(person["lr_kem"])
    prekeys.add_bundle(pqxdh.Bundle(person["spk_id"], person["spk_secret"], dk, person["dr_secret"], person["bundle"]))
    for item in person["one_time"]:
        prekeys.items[item["id"]] = pqxdh.OneTime(item["opk_secret"], derived_dk(item["kem"]), item["signed"])
    return prekeys


def run_pqxdh(given):
    if "sessions" in given:
        shape(given, ["sessions"])
        return order(given["sessions"])
    if "blobs" in given:
        return receive_blobs(given)
    if "prekeys" in given:
        return take_prekeys(given)
    return agreement(given)


def order(given):
    sessions = pqxdh.Sessions()
    for one in given:
        shape(one, ["epoch", "session_id"])
        sessions.add(pqxdh.Session(bytes.fromhex(one["session_id"]), one["epoch"], None, True))
    return {"active": sessions.active.session_id, "kept": [one.session_id for one in sessions.list]}


def receive_blobs(given):
    shape(given, ["bob", "sender", "message_id", "now", "blobs"])
    message_id = int(given["message_id"])
    given = raw({**given, "message_id": None})
    owner, prekeys = owner_of(given["bob"]), prekeys_of(given["bob"])
    sessions, trust = pqxdh.Sessions(), identity.TrustStore()
    contents = []
    for at, blob in enumerate(given["blobs"]):
        before = (len(prekeys.items), len(prekeys.seen), [one.ratchet.state() for one in sessions.list])
        try:
            content, _, _ = pqxdh.accept(owner, prekeys, sessions, trust, given["sender"], message_id, blob, given["now"])
        except Refused:
            if before != (len(prekeys.items), len(prekeys.seen), [one.ratchet.state() for one in sessions.list]):
                raise Unfit("a refusal changed state") from None
            if at + 1 < len(given["blobs"]):
                raise Unfit("refused before the last blob") from None
            raise
        contents.append(content)
    return {"contents": contents, "one_time_left": sorted(prekeys.items)}


def take_prekeys(given):
    shape(given, ["alice", "now", "known_identities", "prekeys"])
    given = raw(given)
    trust = identity.TrustStore()
    for known in given["known_identities"]:
        trust.offer(identity.Identity.check(known))
    name, body = wire.decode(given["prekeys"])
    if name != "PREKEYS":
        raise Unfit("not PREKEYS")
    offer = pqxdh.check_prekeys(body, body["target"], given["now"], trust)
    pqxdh.start(owner_of(given["alice"]), offer, given["now"] // 1000)
    return {"accepted": True}


def agreement(given):
    shape(given, ["alice", "bob", "now", "random"], ["one_time_id"])
    shape(given["random"], ["e_secret", "kem_m", "ratchet_secret", "header_nonce", "seal_secret", "epoch", "message_id", "content"])
    message_id = int(given["random"].pop("message_id"))
    given = raw(given)
    random, alice, bob = given["random"], owner_of(given["alice"]), given["bob"]
    body = {"target": identity.public_identity(bob["identity_secret"]), "identity": bob["identity"], "bundle": bob["bundle"]}
    item = next((one for one in bob["one_time"] if one["id"] == given.get("one_time_id")), None)
    if item is not None:
        body["one_time"] = item["signed"]
    offer = pqxdh.check_prekeys(body, body["target"], given["now"], identity.TrustStore())
    session = pqxdh.start(alice, offer, random["epoch"], random["e_secret"], random["kem_m"], random["ratchet_secret"])
    blob = session.encrypt(message_id, random["content"], random["header_nonce"], random["seal_secret"])

    # The same from Bob's secrets, step by step, for the values in between.
    spk, e = bob["spk_secret"], noise.public(random["e_secret"])
    initial = pqxdh.unseal(blob, spk)
    shared, kem_ct = pqxdh.encapsulate(offer.item["kem"] if offer.item else offer.bundle["lr_kem"], random["kem_m"])
    found = {
        "dh1": noise.dh(spk, alice.identity.dr_key), "dh2": noise.dh(bob["dr_secret"], e), "dh3": noise.dh(spk, e),
        "kem_ct": kem_ct, "kem_ss": shared, "ad": session.ratchet.ad, "session_id": session.session_id,
        "initial_message": initial, "ratchet_blob": wire.read_struct("InitialMessage", initial)["message"],
        "seal_key": pqxdh.seal_key(noise.dh(spk, blob[6:38]), blob[6:38], noise.public(spk)), "encrypted_blob": blob,
    }
    if item is not None:
        found["dh4"] = noise.dh(item["opk_secret"], e)
    dhs = [found[name] for name in ("dh1", "dh2", "dh3", "dh4") if name in found]
    found["sk"], found["hka"], found["nhkb"] = pqxdh.agree(dhs, shared)
    accepted = pqxdh.accept(
        owner_of(bob), prekeys_of(bob), pqxdh.Sessions(), identity.TrustStore(), alice.identity.key, message_id, blob, given["now"]
    )
    if accepted[0] != random["content"]:
        raise Unfit("Bob reads something else")
    return found


# --- ratchet ----------------------------------------------------------------------------------------------------------


def repeated(given):
    shape(given, ["byte", "count"])
    return bytes([given["byte"]]) * given["count"]


def run_ratchet(given):
    if "steps" in given:
        shape(given, ["sk", "hka", "nhkb", "ad", "spk_secret", "ratchet_secrets_a", "ratchet_secrets_b", "steps"])
        return given
    if "root_key" in given:
        shape(given, ["root_key", "dh"])
        names = ("root_key", "chain_key", "next_header_key")
        return dict(zip(names, ratchet.kdf_root(**{"root_key": bytes.fromhex(given["root_key"]), "shared": bytes.fromhex(given["dh"])})))
    if "chain_key" in given:
        shape(given, ["chain_key"])
        return dict(zip(("next_chain_key", "message_key"), ratchet.kdf_chain(bytes.fromhex(given["chain_key"]))))
    if "message_key" in given:
        shape(given, ["message_key"])
        return dict(zip(("key", "nonce"), ratchet.expand(bytes.fromhex(given["message_key"]))))
    if given.get("op") == "pad":
        shape(given, ["op", "content_repeat"])
        padded = ratchet.pad(repeated(given["content_repeat"]))
        return {"length": len(padded), "sha256": ratchet.sha256(padded)}
    if given.get("op") == "unpad":
        shape(given, ["op", "padded"])
        return {"content": ratchet.unpad(bytes.fromhex(given["padded"]))}
    raise Unfit(f"unknown shape of input: {sorted(given)}")


def conversation(given, expect):
    steps, expected = given.pop("steps"), expect["steps"]
    if len(steps) != len(expected) or set(expect) != {"steps"}:
        raise Unfit("number of steps")
    given = raw(given)
    secrets = {"A": iter(given["ratchet_secrets_a"]), "B": iter(given["ratchet_secrets_b"])}
    spk = given["spk_secret"]
    keys = (given["ad"], given["sk"], given["hka"], given["nhkb"])
    sides = {
        "A": ratchet.Ratchet.starter(*keys, noise.public(spk), next(secrets["A"])),
        "B": ratchet.Ratchet.answerer(*keys, spk),
    }
    sent = {}
    for step, want in zip(steps, expected):
        side = step.get("by") or step["to"]
        found = ratchet_step(sides[side], secrets[side], step, want, sent)
        state = sides[side].state()
        compare(want, {**found, "state": state, "skipped_keys": len(sides[side].skipped)})
        if "error" in found and "error" not in want:
            raise Unfit(f"{step}: refused with {found['error']}")


def ratchet_step(side, secrets, step, want, sent):
    before = side.state(), dict(side.skipped)
    found = {key: step[key] for key in ("name",) if key in step}
    try:
        if step["op"] == "send":
            shape(step, ["op", "by", "name", "message_id", "content"])
            nonce = bytes.fromhex(want["header_nonce"]) if "header_nonce" in want else None
            blob = side.encrypt(int(step["message_id"]), bytes.fromhex(step["content"]), nonce)
            sent[step["name"]] = blob
            return {**found, "encrypted_blob": blob, "header_nonce": blob[1:25]}
        if step["op"] == "send_lost":
            shape(step, ["op", "by", "count", "first_message_id", "content"])
            for at in range(step["count"]):
                side.encrypt(int(step["first_message_id"]) + at, bytes.fromhex(step["content"]))
            return {**found, "lost": step["count"]}
        if step["op"] == "receive":
            shape(step, ["op", "to", "name", "message_id"], ["encrypted_blob"])
            blob = bytes.fromhex(step["encrypted_blob"]) if "encrypted_blob" in step else sent[step["name"]]
            return {**found, "content": side.decrypt(int(step["message_id"]), blob, lambda: next(secrets))}
    except Refused as refused:
        if before != (side.state(), side.skipped):
            raise Unfit("a refusal changed the state") from None
        return {**found, "error": refused.name}
    raise Unfit(f"unknown op {step['op']!r}")


# --- chunks -----------------------------------------------------------------------------------------------------------

SPLIT = "DIRECT_MESSAGE, message_id 1, encrypted_blob "


def run_chunks(given):
    if "message_repeat" in given:
        shape(given, ["message_repeat", "message_sha256", "chunk_message_id"])
        text = given["message_repeat"]
        if not (text.startswith(SPLIT) and text.endswith(" zero bytes")):
            raise Unfit("unknown message_repeat")
        count = int(text[len(SPLIT) :].split()[0])
        message = wire.encode("DIRECT_MESSAGE", {"message_id": 1, "encrypted_blob": bytes(count)})
        if ratchet.sha256(message).hex() != given["message_sha256"]:
            raise Unfit("message_sha256")
        parts = chunks.split(message, int(given["chunk_message_id"]))
        return {"lengths": [len(part) for part in parts], "sha256": [ratchet.sha256(part) for part in parts]}
    shape(given, ["known_peer", "chunks"])
    reassembler, complete = chunks.Reassembler(given["known_peer"]), []
    for chunk in given["chunks"]:
        fields = ["message_id", "chunk_index", "total_chunks", "chunk_size"]
        shape(chunk, ["t", *fields], ["payload", "payload_repeat"])
        payload = repeated(chunk["payload_repeat"]) if "payload_repeat" in chunk else bytes.fromhex(chunk["payload"])
        body = {"header": {key: int(chunk[key]) for key in fields}, "payload": payload}
        whole = reassembler.add(chunk["t"], body)
        if whole is not None:
            complete.append({"sha256": hashlib.sha256(whole).hexdigest(), "length": len(whole)})
    return {"complete": complete, "in_flight": len(reassembler.transfers)}


# --- verification -----------------------------------------------------------------------------------------------------


def run_verification(given):
    if "a" in given:
        shape(given, ["a", "b"])
        a, b = bytes.fromhex(given["a"]), bytes.fromhex(given["b"])
        return {"number": identity.verification_number(a, b), "number_swapped": identity.verification_number(b, a)}
    if "own" in given:
        shape(given, ["own", "peer"])
        return {"text": identity.verification_text(bytes.fromhex(given["own"]), bytes.fromhex(given["peer"]))}
    shape(given, ["identity_key", "noise_key", "endpoints", "relays"])
    relays = [(relay["endpoint"], bytes.fromhex(relay["relay_identity"])) for relay in given["relays"]]
    keys = bytes.fromhex(given["identity_key"]), bytes.fromhex(given["noise_key"])
    return {"text": identity.invitation(*keys, given["endpoints"], relays)}


AS_IN = "as in case "


def resolved(case, cases):
    """The case with every `as in case X` of its input replaced by the same field of case X."""
    given = dict(case["input"])
    for key, value in given.items():
        if isinstance(value, str) and value.startswith(AS_IN):
            (other,) = [one for one in cases if one["id"] == value[len(AS_IN) :]]
            given[key] = other["input"][key]
    return {**case, "input": given}


RUNNERS = {name: globals()[f"run_{name}"] for name in FILES}


def run_case(name, case):
    if ("error" in case) == ("expect" in case):
        raise Unfit("neither or both of expect and error")
    try:
        found = RUNNERS[name](case["input"])
    except Refused as refused:
        if case.get("error") != refused.name:
            raise Unfit(f"refused with {refused}, expected {case.get('error', 'success')}") from refused
        return
    if "error" in case:
        raise Unfit(f"accepted, expected {case['error']}")
    if "steps" in found:
        conversation(found, case["expect"])
    else:
        compare(held_items(case, found), found)


def held_items(case, found):
    """`expect`, where `one_time_left` counts only the items whose secrets the case gives."""
    if "one_time_left" not in found or "one_time_left" not in case["expect"]:
        return case["expect"]
    held = {item["id"] for item in case["input"]["bob"]["one_time"]}
    return {**case["expect"], "one_time_left": [one for one in case["expect"]["one_time_left"] if one in held]}


def main():
    failures = 0
    for name in sys.argv[1:] or FILES:
        cases = json.loads((folder() / f"{name}.json").read_text())["cases"]
        bad = 0
        for case in cases:
            try:
                run_case(name, resolved(case, cases))
            except Exception as error:  # anything at all is this case's failure
                bad += 1
                print(f"FAILED {name} {case.get('id')}: {error}", file=sys.stderr)
                if not isinstance(error, Unfit):
                    traceback.print_exc()
        if not cases:
            bad = 1
            print(f"FAILED {name}: no cases", file=sys.stderr)
        failures += bad
        print(f"{name}: {len(cases)} cases, {bad} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
