"""Runs the framelink vectors on this peer.

`python check_vectors.py [FILE ..]` (names without .json; all of these if none) reads ../../vectors/framelink, or
$WAYPOST_VECTORS/framelink. A file that is missing, a case of an unknown shape and an expected value that nothing here
computes are failures.
"""

import json
import os
import pathlib
import sys
import traceback

from peer import block, codes, establish, sha256
from peer.errors import Broken, Refused
from peer.frame import TAG, Header, Sealer
from peer.link import Link
from peer.options import Options
from peer.read import recv

FILES = (
    "frames", "sequence", "mac", "header", "recv", "bad_frames", "keyed", "rekey",
    "handshake_psk", "handshake_hybrid", "files", "forgery",
)
CASE = {"id", "clause", "status", "input"}
OPTIONS = {"align", "mac_init", "seq_wrap", "max_frame", "credit", "rekey_frames", "rekey_blocks", "start_seq"}


class Unfit(Exception):
    """The case and this program disagree."""


def folder():
    override = os.environ.get("WAYPOST_VECTORS")
    root = pathlib.Path(override) if override else pathlib.Path(__file__).resolve().parents[2] / "vectors"
    return root / "framelink"


def plain(value):
    """Bytes to hex, all the way down."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.hex() if isinstance(value, bytes) else value


def shape(given, required, optional=()):
    if not set(required) <= set(given) <= set(required) | set(optional):
        raise Unfit(f"unknown shape: {sorted(given)}")


def compare(expect, found):
    for key, value in expect.items():
        if key not in found:
            raise Unfit(f"nothing computes {key!r}")
        if plain(found[key]) != value:
            raise Unfit(f"{key}: expected {value!r}, found {plain(found[key])!r}")


def settings(given):
    shape(given, [], OPTIONS)
    return Options(**given)


def number(text):
    """u32 as 8 hex digits."""
    if len(text) != 8:
        raise Unfit(f"no u32: {text!r}")
    return int(text, 16)


def digits(value):
    return f"{value:08x}"


# --- frames -----------------------------------------------------------------------------------------------------------


def sealer_of(given):
    halves = block.halves(bytes.fromhex(given["block"]))
    return Sealer(halves[given["role"]], given["role"], settings(given["options"]), sha256.compress)


def run_frames(given):
    shape(given, ["run", "block", "role", "options", "frames"])
    sealer, wire = sealer_of(given), []
    for frame in given["frames"]:
        shape(frame, ["code", "payload"])
        wire.append(sealer.seal(number(frame["code"]), bytes.fromhex(frame["payload"])))
    return {
        "wire": wire, "state": sealer.state, "next_counter": sealer.next_counter, "next_offset": sealer.next_offset,
        "next_seq": sealer.seq,
    }


run_sequence = run_frames


def run_rekey(given):
    shape(given, ["run", "block", "role", "options", "frames"])
    sealer, wire = sealer_of(given), []
    for frame in given["frames"]:
        if "r" in frame:
            shape(frame, ["r"])
            random = bytes.fromhex(frame["r"])
            wire.append(sealer.seal(codes.REKEY, random))
            sealer.rekey(random)
        else:
            shape(frame, ["payload"])
            wire.append(sealer.seal(codes.DATA, bytes.fromhex(frame["payload"])))
    half = sealer.half
    return {
        "wire": wire, "K": half.key, "C0": half.counter.to_bytes(16, "big"), "R": half.rekey_secret,
        "state": sealer.state, "next_seq": sealer.seq,
    }


def run_mac(given):
    shape(given, ["run", "state", "header_payload"])
    state, message = bytes.fromhex(given["state"]), sha256.padded(bytes.fromhex(given["header_payload"]))
    after = sha256.compress(state, message)
    if sha256.fast_compress is not None and sha256.fast_compress(state, message) != after:
        raise Unfit("libcrypto disagrees")
    return {"state": after, "hmac": after[:TAG]}


def run_header(given):
    if "fields" in given:
        shape(given, ["run", "fields"])
        shape(given["fields"], ["LENGTH", "CODE", "SEQ"])
        return {"header": Header(*(number(given["fields"][name]) for name in ("LENGTH", "CODE", "SEQ"))).encode()}
    shape(given, ["run", "header", "expect_seq", "max_frame"])
    header = Header.read(bytes.fromhex(given["header"]), given["expect_seq"], given["max_frame"])
    return {"LENGTH": digits(header.length), "CODE": digits(header.code), "SEQ": digits(header.seq)}


# --- scripts ----------------------------------------------------------------------------------------------------------


def run_recv(given):
    shape(given, ["run", "block", "role", "options", "events"], ["mode", "th"])
    mode = given.get("mode", "raw")
    if (mode == "raw") == ("th" in given):
        raise Unfit("th is for keyed links")
    options = settings(given["options"])
    options.check(mode)
    th = bytes.fromhex(given["th"]) if "th" in given else None
    link = Link(given["role"], mode, bytes.fromhex(given["block"]), options, th, compress=sha256.compress)
    link.keep_sent = True
    results, wire = [], drain(link)
    for event in given["events"]:
        happen(link, event, results)
        wire += drain(link)
    sent = [{"code": digits(code), "payload": payload} for code, payload in link.sent]
    return {"results": results, "sent": sent, "sent_wire": wire}


run_keyed = run_recv


def drain(link):
    wire = b""
    while pulled := link.pull():
        wire += pulled
    link.flushed()
    return wire


def happen(link, event, results):
    if "deliver" in event:
        shape(event, ["deliver"])
        link.feed(bytes.fromhex(event["deliver"]))
    elif "eof" in event:
        shape(event, ["eof"])
        link.eof()
    elif "recv" in event:
        shape(event, ["recv"])
        result = recv(link, event["recv"])
        frames = [[digits(code), digits(seq), size] for code, seq, size in result["frames"]]
        results.append({**result, "frames": frames})
    elif "send" in event:
        shape(event, ["send"], ["code"])
        link.send(bytes.fromhex(event["send"]), number(event.get("code", "00000000")))
    else:
        shape(event, ["close"])
        link.close()


# --- establishment ----------------------------------------------------------------------------------------------------


def run_handshake(given):
    names = {
        "psk": ["n_top", "n_bottom"],
        "hybrid": ["x25519_top_private", "mlkem_seed_dz", "x25519_bottom_private", "mlkem_m"],
    }[given["mode"]]
    shape(given, ["run", "mode", "psk", "options", *names])
    secrets = [bytes.fromhex(given[name]) for name in names]
    half = len(secrets) // 2
    mode, psk, options = given["mode"], bytes.fromhex(given["psk"]), settings(given["options"])
    options.check(mode)
    top = establish.Top(mode, psk, options, b"".join(secrets[:half]))
    bottom = establish.Bottom([mode], [psk], options)
    bottom.check_preamble(top.m1)
    agreed = bottom.finish(top.m1, b"".join(secrets[half:]))
    top.check_preamble(bottom.m2)
    if top.finish(bottom.m2) != agreed:
        raise Unfit("the two sides do not agree")
    th, shared = agreed
    found = {
        "k_mac1": establish.mac1_key(psk), "mac1": top.m1[-establish.MAC :], "M1": top.m1, "M2": bottom.m2, "th": th,
        "block": shared,
    }
    if mode == "hybrid":
        shares = top.m1[establish.PREAMBLE :], bottom.m2[establish.PREAMBLE :]
        found |= {
            "x25519_top_public": shares[0][:32], "mlkem_ek": top.ek, "x25519_bottom_public": shares[1][:32],
            "mlkem_ct": shares[1][32:], "ss_mlkem": top.ss_mlkem, "ss_x25519": top.ss_x25519,
        }
    for role in ("top", "bottom"):
        link = Link(role, mode, shared, options, th, compress=sha256.compress)
        link.keep_sent = True
        found[f"hello_{role}_wire"] = drain(link)
        ((_, found[f"hello_{role}_payload"]),) = link.sent
    return found


def cut(message, size):
    if len(message) < size:
        raise Refused("hs-closed")
    return message[:size]


def run_m1(given):
    shape(given, ["run", "M1", "psks", "modes", "eph", "options"])
    bottom = establish.Bottom(given["modes"], [bytes.fromhex(psk) for psk in given["psks"]], settings(given["options"]))
    message = bytes.fromhex(given["M1"])
    bottom.check_preamble(cut(message, establish.PREAMBLE))
    th, shared = bottom.finish(cut(message, establish.m1_size(bottom.mode)), bytes.fromhex("".join(given["eph"])))
    return {"th": th, "block": shared, "mode": bottom.mode, "psk": bottom.psk}


def run_m2(given):
    names = {"psk": ["n_top"], "hybrid": ["x25519_top_private", "mlkem_seed_dz"]}[given["mode"]]
    shape(given, ["run", "psk", "mode", "M2", "options", *names])
    secret = bytes.fromhex("".join(given[name] for name in names))
    top = establish.Top(given["mode"], bytes.fromhex(given["psk"]), settings(given["options"]), secret)
    message = bytes.fromhex(given["M2"])
    top.check_preamble(cut(message, establish.PREAMBLE))
    th, shared = top.finish(cut(message, establish.m2_size(top.mode)))
    return {"th": th, "block": shared}


# --- files and forgery ------------------------------------------------------------------------------------------------


def run_files(given):
    if "text" in given:
        shape(given, ["run", "text"])
        return {"psk": block.read_psk(given["text"])}
    shape(given, ["run", "block"])
    return {"block_id": block.block_id(block.check_raw(bytes.fromhex(given["block"])))}


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def run_forgery(given):
    """The attacker knows the plaintext of frame 1 and the published SHA-256 start, nothing else."""
    shape(given, ["run", "block", "role", "options", "known_payload", "forged_payload", "wire"])
    known, forged = bytes.fromhex(given["known_payload"]), bytes.fromhex(given["forged_payload"])
    wire = bytes.fromhex(given["wire"])
    if sealer_of(given).seal(codes.DATA, known) != wire:
        raise Unfit("wire is not frame 1")

    def assumed(payload):
        text = Header(len(payload), codes.DATA, 1).encode() + payload
        return text + sha256.compress(sha256.INITIAL, sha256.padded(text))[:TAG]

    forged_wire = xor(xor(wire, assumed(known)), assumed(forged))
    options = settings(given["options"])
    link = Link(block.other(given["role"]), "raw", bytes.fromhex(given["block"]), options, compress=sha256.compress)
    link.feed(forged_wire)
    result = recv(link, len(forged))
    found = {"forged_wire": forged_wire, "receiver": result["status"], "delivered": result["data"]}
    return found | ({"kind": result["kind"]} if "kind" in result else {})


# --- all --------------------------------------------------------------------------------------------------------------

RUNNERS = {name[4:]: runner for name, runner in list(globals().items()) if name.startswith("run_")}


def run_case(case):
    if set(case) - CASE not in ({"expect"}, {"error"}) or not CASE <= set(case):
        raise Unfit(f"unknown shape of case: {sorted(case)}")
    runner = RUNNERS.get(case["input"].get("run"))
    if runner is None:
        raise Unfit(f"unknown run {case['input'].get('run')!r}")
    try:
        found = runner(case["input"])
    except (Refused, Broken) as refused:
        if case.get("error") != refused.kind:
            raise Unfit(f"refused with {refused}, expected {case.get('error', 'success')}") from refused
        return
    if "error" in case:
        raise Unfit(f"accepted, expected {case['error']}")
    if not case["expect"]:
        raise Unfit("expects nothing")
    compare(case["expect"], found)


def main():
    failures = 0
    for name in sys.argv[1:] or FILES:
        cases = json.loads((folder() / f"{name}.json").read_text())["cases"]
        bad = 0
        for case in cases:
            try:
                run_case(case)
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
