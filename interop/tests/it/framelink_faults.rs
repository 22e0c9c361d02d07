//! Faults of the independent peer, or of what lies between: our side ends with the kind of the profile, says no more than
//! it must, and has delivered what was verified before.

use anyhow::Result;
use serde_json::{Value, json};
use waypost_interop::framelink::Setup;

use crate::framelink::{KEYED, RAW, open};

/// Makes the Python peer do these, and expects how our side ends. What it sent before arrives.
fn violation(setup: Setup<'_>, kind: &str, error: u32, faults: &[Value]) -> Result<()> {
    let mut pair = open(setup)?;
    pair.theirs.send(&json!({"cmd": "send", "payload": "616263"}))?;
    if !setup.ours.contains(&"--manual") {
        pair.expect(true, "frame", &json!({"payload": "616263"}))?;
    }
    for fault in faults {
        pair.theirs.send(fault)?;
    }
    if setup.ours.contains(&"--manual") {
        pair.ours.send(&json!({"cmd": "recv", "n": 1000, "timeout_ms": 20_000}))?;
        pair.expect(true, "reads", &json!({"n": 3, "status": "Violation", "kind": kind, "payload": "616263"}))?;
    }
    pair.ours_ended(&json!({"status": "Violation", "kind": kind, "in_handshake": false}))?;
    if setup.mode == "raw" {
        // Nothing is said in raw: the transport is closed, whether that shows as an end or as a reset.
        pair.theirs.expect("ended")?;
        return pair.finish(0);
    }
    // The code and no text: the payload of ERROR is these four bytes.
    pair.expect(false, "peer_error", &json!({"code": error, "text": ""}))?;
    pair.finish(6)
}

fn data() -> Value {
    json!({"cmd": "send", "payload": "aabbccddeeff"})
}

fn corrupt(offset: i32, xor: &str) -> Value {
    json!({"cmd": "corrupt_next", "offset": offset, "xor": xor})
}

fn sealed(code: u32, payload: &str) -> Value {
    json!({"cmd": "send_raw_frame", "code": code, "payload": payload})
}

/// Checklist 13 and 14.
fn damaged(setup: Setup<'_>) -> Result<()> {
    let (length_and_checksum, code_and_checksum) = ("01".to_owned() + &"00".repeat(11) + "01", "0100000000000000");
    let cases = [
        ("checksum", vec![corrupt(0, "80"), data()]),
        ("checksum", vec![corrupt(7, "01"), data()]),
        ("checksum", vec![corrupt(11, "01"), data()]),
        ("checksum", vec![corrupt(15, "01"), data()]),
        ("hmac", vec![corrupt(16, "01"), data()]),
        ("hmac", vec![corrupt(21, "80"), data()]),
        ("hmac", vec![corrupt(22, "01"), data()]),
        ("hmac", vec![corrupt(-1, "01"), data()]),
        ("hmac", vec![corrupt(3, &length_and_checksum), data(), data()]),
        ("hmac", vec![corrupt(7, &(code_and_checksum.to_owned() + "01")), data()]),
        ("length", vec![corrupt(0, &("80".to_owned() + &"00".repeat(11) + "80")), data()]),
        ("checksum", vec![json!({"cmd": "drop_next"}), data(), data()]),
        ("checksum", vec![json!({"cmd": "replay_last"})]),
        ("checksum", vec![json!({"cmd": "inject", "hex": "00".repeat(16)})]),
        ("sequence", vec![json!({"cmd": "send_raw_frame", "code": 0, "payload": "aa", "seq": 9})]),
        ("length", vec![json!({"cmd": "send_raw_frame", "code": 0, "payload": "aa", "length": 0x0020_0000})]),
    ];
    for (index, (kind, faults)) in cases.iter().enumerate() {
        let align = if index % 4 < 2 { "block" } else { "stream" };
        let setup = Setup { we_listen: index % 2 == 0, both: &["--align", align], ..setup };
        violation(setup, kind, 1, faults)?;
    }
    Ok(())
}

#[test]
fn a_damaged_frame_ends_a_keyed_link_and_the_peer_learns_no_more() -> Result<()> {
    damaged(KEYED)
}

#[test]
fn a_damaged_frame_ends_a_raw_link_without_a_word() -> Result<()> {
    damaged(RAW)
}

/// Profile, Control codes: good frames that say what they may not.
#[test]
fn what_is_sealed_well_and_not_allowed_ends_the_link() -> Result<()> {
    for (index, (kind, error, payload)) in [
        ("unknown-control", 2, sealed(0x8000_0009, "")),
        ("unknown-control", 2, sealed(0x8000_0000, "00")),
        ("unknown-control", 2, sealed(0xffff_ffff, "")),
        ("hello", 2, sealed(0x8000_0001, &"00".repeat(48))),
        ("payload", 2, sealed(0x8000_0002, &"00".repeat(31))),
        ("payload", 2, sealed(0x8000_0003, "000000")),
        ("payload", 2, sealed(0x8000_0004, &"00".repeat(65))),
        ("payload", 2, sealed(0x8000_0005, &"00".repeat(65))),
        ("payload", 2, sealed(0x8000_0006, "000000")),
        ("payload", 2, sealed(0x8000_0006, &"00".repeat(261))),
        ("payload", 2, sealed(0x8000_0008, "00000000")),
        ("credit", 2, sealed(0x8000_0008, "7fffffff")),
        ("close-ahead", 2, sealed(0x8000_0003, "00000fff")),
        ("close-ahead", 2, sealed(0x8000_0003, "00000002")),
    ]
    .into_iter()
    .enumerate()
    {
        violation(Setup { we_listen: index % 2 == 0, ..KEYED }, kind, error, &[payload])?;
    }
    Ok(())
}

#[test]
fn more_than_was_granted_or_may_be_ends_the_link() -> Result<()> {
    let empty = vec![sealed(0, ""); 65];
    let many = vec![data(); 20];
    for we_listen in [true, false] {
        let small = Setup { we_listen, ours: &["--credit", "100", "--manual"], ..KEYED };
        violation(small, "credit", 1, &[sealed(0, &"00".repeat(98))])?;
        violation(Setup { we_listen, ..KEYED }, "empty-flood", 1, &empty)?;
        let short = Setup { we_listen, ours: &["--rekey-frames", "8"], ..KEYED };
        violation(short, "rekey-overdue", 1, &many)?;
    }
    Ok(())
}

/// FL-4.4: an end without CLOSE is told from a good one.
#[test]
fn an_end_that_nobody_signed_is_truncated() -> Result<()> {
    for (index, (before, how)) in [
        (vec![], json!({"cmd": "shutdown"})),
        (vec![], json!({"cmd": "abort"})),
        (vec![json!({"cmd": "inject", "hex": "00"})], json!({"cmd": "shutdown"})),
        // All but the end of a CLOSE.
        (vec![json!({"cmd": "drop_next"}), sealed(0x8000_0003, "00000001")], json!({"cmd": "shutdown"})),
    ]
    .into_iter()
    .enumerate()
    {
        for mode in ["hybrid", "raw"] {
            let mut pair = open(Setup { we_listen: index % 2 == 0, mode, ..KEYED })?;
            pair.theirs.send(&data())?;
            pair.expect(true, "frame", &json!({"len": 6}))?;
            for command in &before {
                pair.theirs.send(command)?;
            }
            pair.theirs.send(&how)?;
            let whole = mode == "raw" && index != 2;
            pair.ours_ended(&json!({"status": if whole { "Ended" } else { "Truncated" }}))?;
        }
    }
    Ok(())
}

#[test]
fn the_peer_sees_our_process_die_as_truncated() -> Result<()> {
    let mut pair = open(KEYED)?;
    pair.ours.send(&data())?;
    pair.theirs.expect("frame")?;
    let waypost_interop::framelink::Pair { ours, mut theirs, .. } = pair;
    drop(ours);
    theirs.expect("truncated")?;
    Ok(())
}

/// FL-6.6.
#[test]
fn errors_arrive_with_their_codes_and_words() -> Result<()> {
    let long = "x".repeat(256);
    for (index, (code, text, shown)) in [
        (4, "", ""),
        (5, "gone", "gone"),
        (6, "a\u{1b}[2J\u{9}b", "a\u{fffd}[2J\u{fffd}b"),
        (8, long.as_str(), long.as_str()),
        (99, "\u{e4}\u{1f426}", "\u{e4}\u{1f426}"),
    ]
    .into_iter()
    .enumerate()
    {
        let setup = Setup { we_listen: index % 2 == 0, ..KEYED };
        let mut pair = open(setup)?;
        pair.theirs.send(&json!({"cmd": "error", "code": code, "text": text}))?;
        pair.ours_ended(&json!({"status": "PeerError", "code": code, "text": shown}))?;
        pair.finish(0)?;
        let mut pair = open(setup)?;
        pair.ours.send(&json!({"cmd": "abort", "code": code, "text": text}))?;
        pair.ours_ended(&json!({"status": "Aborted", "code": code}))?;
        pair.expect(false, "peer_error", &json!({"code": code, "text": shown}))?;
        pair.finish(6)?;
    }
    Ok(())
}
