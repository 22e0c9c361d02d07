//! Links that must not come to be, each side knowing why as far as it may.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use waypost_interop::framelink::{Pair, Secrets, Setup};
use waypost_interop::{Peer, Transcript};

use crate::framelink::{KEYED, RAW, python, speak};

/// How our side and the Python peer end: fields of `ended`; the event and its fields.
struct Refusal<'a> {
    setup: Setup<'a>,
    ours: Value,
    theirs: (&'a str, Value),
}

fn refused(case: Refusal<'_>) -> Result<()> {
    let mut pair = Pair::start(&python()?, speak()?, case.setup)?;
    pair.ours_ended(&case.ours)?;
    pair.expect(false, case.theirs.0, &case.theirs.1)?;
    Ok(())
}

fn violation(kind: &str) -> Value {
    json!({"status": "Violation", "kind": kind, "in_handshake": true})
}

fn rejected(reason: u8, name: &str) -> Value {
    json!({"status": "Violation", "kind": "rejected", "reason": reason, "name": name, "in_handshake": true})
}

/// Checklist 6: BOTTOM says why, and nothing to a stranger.
#[test]
fn we_refuse_a_wrong_m1_for_its_reason() -> Result<()> {
    for (spoil, kind, reason) in [
        ("m1:4:03", "bad-version", 1),
        ("m1:5:07", "bad-mode", 2),
        ("m1:5:80", "bad-mode", 2),
        ("m1:6:02", "bad-options", 3),
        ("m1:7:01", "bad-options", 3),
        ("m1:8:01", "bad-key", 4),
        ("m1:1000:01", "bad-key", 4),
        ("m1:1239:01", "bad-key", 4),
    ] {
        let setup = Setup { theirs: &["--spoil", spoil], ..KEYED };
        refused(Refusal { setup, ours: violation(kind), theirs: ("rejected", json!({"reason": reason})) })?;
    }
    let setup = Setup { theirs: &["--spoil", "m1:0:01"], ..KEYED };
    refused(Refusal { setup, ours: violation("not-framelink"), theirs: ("failed", json!({"kind": "hs-closed"})) })
}

#[test]
fn settings_that_differ_are_named_on_both_sides() -> Result<()> {
    let stream = ["--align", "stream"];
    let modes = ["--mode", "hybrid"];
    for (mode, theirs, kind, reason) in [("hybrid", &stream, "bad-options", 3), ("psk", &modes, "bad-mode", 2)] {
        let setup = Setup { mode, theirs, ..KEYED };
        refused(Refusal { setup, ours: violation(kind), theirs: ("rejected", json!({"reason": reason})) })?;
        // The same, refused by Python.
        let setup = Setup { we_listen: false, mode, theirs, ..KEYED };
        refused(Refusal { setup, ours: rejected(reason, kind), theirs: ("failed", json!({"kind": kind})) })?;
    }
    Ok(())
}

#[test]
fn another_key_is_refused_on_both_sides() -> Result<()> {
    for mode in ["psk", "hybrid"] {
        for we_listen in [true, false] {
            let secrets = Secrets::new()?;
            let [_, psk, other] = secrets.paths();
            let [ours, theirs] = [&psk, &other].map(|file| ["--mode", mode, "--psk-file", file]);
            let mut pair = Pair::start_with(&python()?, speak()?, secrets, we_listen, &ours, &theirs)?;
            if we_listen {
                pair.ours_ended(&violation("bad-key"))?;
                pair.expect(false, "rejected", &json!({"reason": 4}))?;
            } else {
                pair.ours_ended(&rejected(4, "bad-key"))?;
                pair.expect(false, "failed", &json!({"kind": "bad-key"}))?;
            }
        }
    }
    Ok(())
}

/// TOP sends no application byte to whoever gave such an M2.
#[test]
fn we_refuse_a_wrong_m2() -> Result<()> {
    for (spoil, kind) in [
        ("m2:0:01", "not-framelink"),
        ("m2:4:02", "bad-version"),
        ("m2:5:80", "role-clash"),
        ("m2:5:01", "bad-mode"),
        ("m2:6:01", "bad-options"),
        ("m2:7:01", "bad-options"),
        ("m2:8:01", "hs-auth"),
        ("m2:100:01", "hs-auth"),
        ("m2:1127:01", "hs-auth"),
    ] {
        let setup = Setup { we_listen: false, theirs: &["--spoil", spoil], ..KEYED };
        let mut pair = Pair::start(&python()?, speak()?, setup)?;
        pair.ours.send(&json!({"cmd": "send_text", "text": "never"}))?;
        pair.ours_ended(&violation(kind))?;
        let failed = pair.theirs.expect("failed")?;
        let told = ["hs-auth", "hs-closed"].iter().any(|kind| failed.field("kind") == *kind);
        ensure!(told, "{failed}\n{}", pair.transcript);
    }
    Ok(())
}

/// th, version, role, mode, max_frame: each sealed well, and wrong.
#[test]
fn a_wrong_hello_is_refused_in_both_roles() -> Result<()> {
    for (index, spoil) in
        ["hello:0:01", "hello:33:03", "hello:34:16", "hello:35:01", "hello:37:10"].into_iter().enumerate()
    {
        let setup = Setup { we_listen: index % 2 == 0, theirs: &["--spoil", spoil], ..KEYED };
        let theirs = ("peer_error", json!({"code": 2, "text": ""}));
        refused(Refusal { setup, ours: violation("hello"), theirs })?;
    }
    Ok(())
}

#[test]
fn two_of_one_role_do_not_come_together() -> Result<()> {
    let top = ["--role", "top"];
    let clash = || (violation("role-clash"), ("failed", json!({"kind": "role-clash"})));
    for setup in [Setup { ours: &top, ..KEYED }, Setup { we_listen: false, theirs: &top, ..KEYED }] {
        let (ours, theirs) = clash();
        refused(Refusal { setup, ours, theirs })?;
    }
    // Two that wait for each other do so for ten seconds.
    let setup = Setup { ours: &[], theirs: &["--role", "bottom"], ..KEYED };
    refused(Refusal { setup, ours: violation("hs-timeout"), theirs: ("failed", json!({})) })
}

#[test]
fn a_raw_side_says_that_the_other_one_is_keyed() -> Result<()> {
    let secrets = Secrets::new()?;
    let [block, psk, _] = secrets.paths();
    let ours = ["--mode", "raw", "--block-file", &block, "--no-ledger"];
    let theirs = ["--mode", "hybrid", "--psk-file", &psk];
    let mut pair = Pair::start_with(&python()?, speak()?, secrets, true, &ours, &theirs)?;
    pair.ours_ended(&json!({"status": "Violation", "kind": "checksum", "hint": "peer speaks psk or hybrid"}))?;
    Ok(())
}

/// Settings of a raw link are not negotiated: frames simply do not hold.
#[test]
fn raw_sides_that_are_set_differently_do_not_understand_each_other() -> Result<()> {
    for (theirs, kind) in [(["--mac-init", "standard"], "hmac"), (["--start-seq", "7"], "sequence")] {
        for we_listen in [true, false] {
            let mut pair = Pair::start(&python()?, speak()?, Setup { we_listen, theirs: &theirs, ..RAW })?;
            pair.opened()?;
            pair.theirs.send(&json!({"cmd": "send", "payload": "00"}))?;
            pair.ours_ended(&json!({"status": "Violation", "kind": kind}))?;
        }
    }
    Ok(())
}

/// A stranger, cut off at several places: not a byte for a wrong magic, and the listener goes on.
#[test]
fn our_listener_survives_strangers_and_serves_the_next_peer() -> Result<()> {
    let secrets = Secrets::new()?;
    let [_, psk, _] = secrets.paths();
    let (transcript, speak) = (Transcript::new(), speak()?);
    let command = speak.framelink(&["listen", "127.0.0.1:0", "--psk-file", &psk]);
    let mut listener = Peer::spawn("listener", command, &transcript)?;
    let ready = listener.expect("ready")?;
    let bound = ready.text("bound")?;
    for (bytes, answer, status, kind) in [
        (&b"GET / HTTP/1.1\r\n"[..], &b""[..], "Violation", "not-framelink"),
        (b"FLNK\x02\x03\x00\x00", b"FLNK\x01\xff\x01\x00", "Violation", "bad-version"),
        (b"FLNK\x01\x03\x00\x00 and no more", b"", "Truncated", "hs-closed"),
        (b"", b"", "Truncated", "hs-closed"),
    ] {
        let mut stranger = TcpStream::connect(bound)?;
        stranger.write_all(bytes)?;
        stranger.shutdown(Shutdown::Write)?;
        let mut got = Vec::new();
        stranger.read_to_end(&mut got)?;
        ensure!(got == answer, "{got:02x?} for {bytes:02x?}\n{transcript}");
        let ended = listener.expect("ended")?;
        ensure!(ended.field("status") == status && ended.field("kind") == kind, "{ended} is not {kind}");
    }
    let mut last = Peer::spawn("last", speak.framelink(&["connect", bound, "--psk-file", &psk]), &transcript)?;
    last.expect("open")?;
    listener.expect("open")?;
    Ok(())
}
