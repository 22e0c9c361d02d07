//! `waypost speak framelink` and the independent peer carry the same bytes, in both roles.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use waypost_interop::framelink::{Pair, Setup, patterns};
use waypost_interop::python::PythonProgram;
use waypost_interop::speak::Speak;

use crate::vectors_copy;

/// The ends of AES blocks, of frames, and much.
const SIZES: [usize; 9] = [0, 1, 15, 16, 17, 65535, 65536, 65537, 5_000_000];
const ALIGNMENTS: [&str; 2] = ["block", "stream"];
const BOTH_ROLES: [bool; 2] = [true, false];

pub(crate) fn python() -> Result<PythonProgram> {
    PythonProgram::prepare("framelink", Path::new(env!("CARGO_TARGET_TMPDIR")))
}

/// Our side, whose program is looked for once.
pub(crate) fn speak() -> Result<&'static Speak> {
    static SPEAK: OnceLock<Speak> = OnceLock::new();
    if let Some(speak) = SPEAK.get() {
        return Ok(speak);
    }
    let speak = Speak::prepare()?;
    Ok(SPEAK.get_or_init(|| speak))
}

/// Both sides, established.
pub(crate) fn open(setup: Setup<'_>) -> Result<Pair> {
    let mut pair = Pair::start(&python()?, speak()?, setup)?;
    pair.opened()?;
    Ok(pair)
}

pub(crate) const KEYED: Setup<'static> = Setup { we_listen: true, mode: "hybrid", both: &[], ours: &[], theirs: &[] };
pub(crate) const RAW: Setup<'static> = Setup { mode: "raw", ..KEYED };

#[test]
fn the_python_peer_agrees_with_every_vector() -> Result<()> {
    waypost_interop::python::run(&mut python()?.check_vectors())?;
    Ok(())
}

#[test]
fn the_python_peer_notices_a_changed_and_a_missing_vector() -> Result<()> {
    let (folder, copy) = vectors_copy("framelink")?;
    let check = || Ok::<_, anyhow::Error>(python()?.check_vectors().env("WAYPOST_VECTORS", folder.path()).output()?);
    ensure!(check()?.status.success(), "an unchanged copy must pass");
    let path = copy.join("rekey.json");
    let good = fs::read_to_string(&path)?;
    let mut bad: Value = serde_json::from_str(&good)?;
    let payload = &mut bad["cases"][0]["input"]["frames"][0]["payload"];
    ensure!(payload.is_string(), "no frame to change");
    *payload = json!("00");
    fs::write(&path, bad.to_string())?;
    ensure!(!check()?.status.success(), "a changed frame must fail");
    fs::remove_file(&path)?;
    ensure!(!check()?.status.success(), "a missing file must fail");
    Ok(())
}

/// FL-0.1 to FL-3.3 with keys, checklist 8: every size, both ways, then parting in both orders.
fn keyed(mode: &str) -> Result<()> {
    for align in ALIGNMENTS {
        for we_listen in BOTH_ROLES {
            let mut pair = open(Setup { we_listen, mode, both: &["--align", align], ..KEYED })?;
            pair.transfer(&SIZES)?;
            for size in SIZES {
                // The message ends where it was ended, however it was cut.
                pair.expect(true, "message", &json!({"len": size, "code": 0}))?;
            }
            pair.part()?;
        }
    }
    Ok(())
}

#[test]
fn all_sizes_arrive_both_ways_in_mode_psk() -> Result<()> {
    keyed("psk")
}

#[test]
fn all_sizes_arrive_both_ways_in_mode_hybrid() -> Result<()> {
    keyed("hybrid")
}

#[test]
fn all_sizes_arrive_both_ways_in_raw_links_of_every_kind() -> Result<()> {
    for align in ALIGNMENTS {
        for mac_init in ["secret", "standard"] {
            for we_listen in BOTH_ROLES {
                let both = ["--align", align, "--mac-init", mac_init];
                let mut pair = open(Setup { we_listen, both: &both, ..RAW })?;
                pair.transfer(&SIZES)?;
                // Who has nothing more to say ends the stream; that is all that raw knows of an end.
                if we_listen {
                    pair.theirs.send(&json!({"cmd": "close"}))?;
                    pair.ours_ended(&json!({"status": "Ended"}))?;
                    pair.theirs.expect("ended")?;
                } else {
                    pair.ours.send(&json!({"cmd": "close"}))?;
                    pair.theirs.expect("ended")?;
                    pair.ours_ended(&json!({"status": "Ended"}))?;
                }
                pair.finish(0)?;
            }
        }
    }
    Ok(())
}

/// FL-0.6.
#[test]
fn frame_numbers_wrap_as_both_are_told() -> Result<()> {
    for (wrap, after) in [("0", 0), ("1", 1)] {
        for we_listen in BOTH_ROLES {
            let both = ["--start-seq", "0xfffffffe", "--seq-wrap", wrap];
            let mut pair = open(Setup { we_listen, both: &both, ..RAW })?;
            for seq in [0xffff_fffe, 0xffff_ffff_u32, after, after + 1] {
                pair.ours.send(&json!({"cmd": "send", "payload": "aa", "code": "80000003"}))?;
                pair.expect(false, "frame", &json!({"seq": seq, "code": 0x8000_0003_u32, "hex": "aa"}))?;
                pair.theirs.send(&json!({"cmd": "send"}))?;
                pair.expect(true, "frame", &json!({"seq": seq, "code": 0, "len": 0}))?;
            }
        }
    }
    Ok(())
}

/// FL-2.10, FL-3.4, FL-6.1, checklist 16: a peer that knows the seed and nothing else.
#[test]
fn a_literal_peer_meets_no_control_code() -> Result<()> {
    for we_listen in BOTH_ROLES {
        let ours = ["--mac-init", "standard", "--max-frame", "0xffffffff"];
        let mut pair = open(Setup { we_listen, ours: &ours, theirs: &["--literal"], ..RAW })?;
        for command in ["ping", "rekey"] {
            pair.ours.send(&json!({"cmd": command}))?;
            pair.expect(true, "refused", &json!({"cmd": command, "kind": "closed"}))?;
        }
        // Every code is handed up, and no run of empty frames is broken.
        let codes = [0, 1, 7, 0x7fff_ffff, 0x8000_0000_u32, 0x8000_0001, 0x8000_0006, 0xffff_ffff];
        let codes: Vec<u32> = codes.into_iter().chain([5; 70]).collect();
        for code in &codes {
            for side in [&mut pair.ours, &mut pair.theirs] {
                side.send(&json!({"cmd": "send", "code": code}))?;
            }
        }
        for (seq, code) in (1..).zip(&codes) {
            for ours in [true, false] {
                pair.expect(ours, "frame", &json!({"seq": seq, "code": code, "len": 0}))?;
            }
        }
        pair.ours.send(&json!({"cmd": "send_pattern", "bytes": 200_000, "seed": 0}))?;
        pair.ours.send(&json!({"cmd": "close"}))?;
        let (total, hash) = patterns(&[200_000]);
        pair.theirs_received(total, &hash)?;
        // The stream ended right behind the last frame: nothing else was sent.
        pair.expect(false, "ended", &json!({"reset": false}))?;
        pair.ours_ended(&json!({"status": "Ended"}))?;
        pair.finish(0)?;
    }
    Ok(())
}

/// FL-6.2, FL-6.8, checklist 9.
#[test]
fn small_credit_and_small_frames_are_kept_to_by_both() -> Result<()> {
    for (we_listen, align) in [(true, "block"), (false, "stream")] {
        let both = ["--credit", "700", "--max-frame", "1024", "--align", align];
        let mut pair = Pair::start(&python()?, speak()?, Setup { we_listen, both: &both, ..KEYED })?;
        let limits = json!({"peer_credit": 700, "peer_max_frame": 1024});
        pair.expect(true, "open", &limits)?;
        pair.expect(false, "open", &limits)?;
        for (bytes, goes) in [(350, true), (351, false)] {
            for ours in [true, false] {
                let side = if ours { &mut pair.ours } else { &mut pair.theirs };
                side.send(&json!({"cmd": "send", "payload": "ab".repeat(bytes), "code": 9}))?;
                if goes {
                    pair.expect(!ours, "frame", &json!({"code": 9, "len": bytes}))?;
                } else {
                    pair.expect(ours, "refused", &json!({"kind": "too-large"}))?;
                }
            }
        }
        for ours in [true, false] {
            let (from, to) = if ours { (&mut pair.ours, &mut pair.theirs) } else { (&mut pair.theirs, &mut pair.ours) };
            from.send(&json!({"cmd": "send_pattern", "bytes": 65537, "seed": 3}))?;
            let mut left = 65537;
            while left > 0 {
                let frame = to.expect("frame")?;
                let length = frame.id("len")?;
                ensure!((1..=700).contains(&length), "{frame}");
                left -= length;
                ensure!(*frame.field("code") == u64::from(left > 0), "{frame} with {left} bytes to go");
            }
        }
        pair.part()?;
    }
    Ok(())
}

/// FL-6.3, checklist 10: SEQ runs on.
#[test]
fn keys_change_every_five_frames_in_both_directions_at_once() -> Result<()> {
    for mode in ["psk", "hybrid"] {
        for (align, we_listen) in [("block", true), ("stream", false)] {
            let both = ["--rekey-frames", "5", "--align", align];
            let mut pair = open(Setup { we_listen, mode, both: &both, ..KEYED })?;
            pair.transfer(&SIZES)?;
            pair.expect(false, "rekeyed", &json!({"by": "us", "seq": 5}))?;
            // Frame 5 of every key is its REKEY, the HELLO being the first frame of the first.
            for seq in [5, 10, 15] {
                pair.expect(false, "rekeyed", &json!({"by": "peer", "seq": seq})).or_else(|_| {
                    pair.theirs
                        .expect_that("rekeyed by peer", |event| event.is("rekeyed") && *event.field("seq") == seq)
                })?;
            }
            for side in [&mut pair.ours, &mut pair.theirs] {
                side.send(&json!({"cmd": "rekey"}))?;
                side.send(&json!({"cmd": "send", "payload": "0102", "code": 3}))?;
            }
            pair.theirs.expect_that("a frame of code 3", |event| event.is("frame") && *event.field("code") == 3)?;
            pair.ours.expect_that("a frame of code 3", |event| event.is("frame") && *event.field("code") == 3)?;
            pair.part()?;
        }
    }
    Ok(())
}

/// FL-6.4, checklist 11: who has closed grants no credit any more, and needs none.
#[test]
fn much_comes_back_after_one_side_has_closed() -> Result<()> {
    const MUCH: usize = 8 << 20;
    let (total, hash) = patterns(&[MUCH]);
    let send = json!({"cmd": "send_pattern", "bytes": MUCH, "seed": 0});
    for we_listen in BOTH_ROLES {
        let mut pair = open(Setup { we_listen, theirs: &["--quiet"], ..KEYED })?;
        pair.theirs.send(&json!({"cmd": "close"}))?;
        pair.expect(true, "peer_closed", &json!({"received": 1}))?;
        pair.ours.send(&send)?;
        pair.ours.send(&json!({"cmd": "close"}))?;
        pair.theirs_received(total, &hash)?;
        pair.ours_ended(&json!({"status": "Closed"}))?;
        pair.finish(0)?;

        let mut pair = open(Setup { we_listen, ..KEYED })?;
        pair.ours.send(&json!({"cmd": "close"}))?;
        pair.expect(false, "closed", &json!({"peer_received": 1}))?;
        pair.theirs.send(&send)?;
        pair.theirs.send(&json!({"cmd": "close"}))?;
        pair.expect(true, "message", &json!({"len": total, "sha256": hash}))?;
        pair.ours_ended(&json!({"status": "Closed"}))?;
        pair.finish(0)?;
    }
    Ok(())
}

/// FL-1.2, FL-4.3, checklist 15.
#[test]
fn much_goes_both_ways_at_once_through_small_buffers() -> Result<()> {
    const MUCH: usize = 32 << 20;
    let (total, hash) = patterns(&[MUCH]);
    let small = ["--quiet", "--socket-buffer", "32768"];
    let cases = [(true, "hybrid", &small[..]), (false, "psk", &["--quiet"]), (true, "raw", &small)];
    for (we_listen, mode, theirs) in cases {
        let mut pair = open(Setup { we_listen, mode, theirs, ..KEYED })?;
        pair.theirs.send(&json!({"cmd": "report_at", "bytes": MUCH}))?;
        for side in [&mut pair.ours, &mut pair.theirs] {
            side.send(&json!({"cmd": "send_pattern", "bytes": MUCH, "seed": 0}))?;
        }
        pair.theirs_received(total, &hash)?;
        pair.ours_received(total, &hash)?;
    }
    Ok(())
}

/// FL-4.1, FL-6.7: neither is visible to the reader.
#[test]
fn padding_and_strict_duplex_change_nothing_for_the_reader() -> Result<()> {
    for ours in [["--pad", "bucket"], ["--duplex", "strict"]] {
        for we_listen in BOTH_ROLES {
            let mut pair = open(Setup { we_listen, ours: &ours, ..KEYED })?;
            pair.transfer(&[0, 1, 100, 5000, 100_000, 300_000])?;
            pair.theirs.send(&json!({"cmd": "pad", "n": 1000}))?;
            pair.theirs.send(&json!({"cmd": "send", "payload": "ff"}))?;
            pair.ours.expect_that("ff", |event| event.is("frame") && *event.field("payload") == "ff")?;
            pair.part()?;
        }
    }
    Ok(())
}

/// FL-6.5, FL-6.9, checklist 21 to 23.
#[test]
fn control_frames_are_answered_or_pass_unseen() -> Result<()> {
    for we_listen in BOTH_ROLES {
        // A bit of the flags in the HELLO of Python.
        let mut pair = open(Setup { we_listen, theirs: &["--spoil", "hello:47:01"], ..KEYED })?;
        for payload in ["", "01", &"ab".repeat(64)] {
            pair.ours.send(&json!({"cmd": "ping", "payload": payload}))?;
            pair.expect(false, "ping", &json!({"hex": payload}))?;
            pair.expect(true, "pong", &json!({"payload": payload}))?;
            pair.theirs.send(&json!({"cmd": "ping", "hex": payload}))?;
            pair.expect(false, "pong", &json!({"hex": payload}))?;
        }
        pair.theirs.send(&json!({"cmd": "send_raw_frame", "code": "80000005", "payload": "aa"}))?;
        pair.expect(true, "pong", &json!({"payload": "aa"}))?;
        for (code, payload) in [(2, "00"), (0x7fff_ffff, "0102"), (1, "03"), (0, "04")] {
            let command = json!({"cmd": "send", "payload": payload, "code": code});
            pair.theirs.send(&command)?;
            pair.expect(true, "frame", &json!({"code": code, "payload": payload}))?;
            pair.ours.send(&command)?;
            pair.expect(false, "frame", &json!({"code": code, "hex": payload}))?;
        }
        for side in [&mut pair.ours, &mut pair.theirs] {
            for _ in 0..130 {
                side.send(&json!({"cmd": "send"}))?;
            }
        }
        for ours in [true, false] {
            let side = if ours { &mut pair.ours } else { &mut pair.theirs };
            let mut seqs = Vec::new();
            for _ in 0..130 {
                seqs.push(side.expect("frame")?.id("seq")?);
            }
            let (first, last) = (seqs.first().context("frames")?, seqs.last().context("frames")?);
            ensure!(last - first == 131, "two PADs lie between 130 empty frames: {seqs:?}\n{}", pair.transcript);
        }
        pair.part()?;
    }
    Ok(())
}

/// Checklist 22; profile, Timers.
#[test]
fn a_link_with_one_direction_closed_lives_on_its_keepalives() -> Result<()> {
    let both = ["--keepalive", "1"];
    for we_listen in BOTH_ROLES {
        let mut pair = open(Setup { we_listen, both: &both, ..KEYED })?;
        // Both ask, and both are answered, while nothing else is said.
        for _ in 0..2 {
            pair.theirs.expect_that("an own PING's answer or a PING", |event| event.is("pong") || event.is("ping"))?;
        }
        pair.theirs.send(&json!({"cmd": "close"}))?;
        pair.ours.expect("peer_closed")?;
        for _ in 0..4 {
            pair.theirs.expect("ping")?;
        }
        pair.ours.send(&json!({"cmd": "send", "payload": "0a"}))?;
        pair.expect(false, "frame", &json!({"hex": "0a"}))?;
        pair.ours.send(&json!({"cmd": "close"}))?;
        pair.ours_ended(&json!({"status": "Closed"}))?;
        pair.finish(0)?;
    }
    Ok(())
}

/// FL-5.4: BOTTOM takes any of its keys and of its modes.
#[test]
fn who_answers_may_know_several_keys_and_modes() -> Result<()> {
    for mode in ["psk", "hybrid"] {
        for we_listen in BOTH_ROLES {
            let secrets = waypost_interop::framelink::Secrets::new()?;
            let [_, psk, other] = secrets.paths();
            let bottom = ["--mode", "hybrid,psk", "--psk-file", &other, "--psk-file", &psk];
            let top = ["--mode", mode, "--psk-file", &psk];
            let (ours, theirs) = if we_listen { (&bottom[..], &top[..]) } else { (&top[..], &bottom[..]) };
            let mut pair = Pair::start_with(&python()?, speak()?, secrets, we_listen, ours, theirs)?;
            let [ours, theirs] = pair.opened()?;
            ensure!(ours.field("mode") == mode && theirs.field("mode") == mode, "{ours} {theirs}");
            ensure!(*ours.field("psk") == i32::from(we_listen), "{ours}");
            pair.transfer(&[1000])?;
            pair.part()?;
        }
    }
    Ok(())
}

/// The profile's read, of what Python sent.
#[test]
fn reads_give_whole_frames_of_the_other_side() -> Result<()> {
    let mut pair = open(Setup { ours: &["--manual"], ..KEYED })?;
    let read = |pair: &mut Pair, n: usize, timeout_ms: u64, fields: Value| {
        pair.ours.send(&json!({"cmd": "recv", "n": n, "timeout_ms": timeout_ms}))?;
        pair.expect(true, "reads", &fields)
    };
    read(&mut pair, 8, 1, json!({"n": 0, "status": "Slow"}))?;
    for (code, payload) in [(0, "616263"), (0, ""), (7, "6465")] {
        pair.theirs.send(&json!({"cmd": "send", "payload": payload, "code": code}))?;
    }
    read(&mut pair, 2, 10_000, json!({"n": 0, "status": "TooSmall", "len": 3}))?;
    let frames = json!([{"code": 0, "seq": 2, "len": 3}, {"code": 0, "seq": 3, "len": 0}]);
    read(&mut pair, 4, 10_000, json!({"n": 3, "status": "Boundary", "payload": "616263", "frames": frames}))?;
    read(&mut pair, 2, 10_000, json!({"n": 2, "status": "Full", "payload": "6465"}))?;
    pair.theirs.send(&json!({"cmd": "send", "payload": "66"}))?;
    pair.theirs.send(&json!({"cmd": "inject", "hex": "00".repeat(16)}))?;
    pair.ours_ended(&json!({"status": "Violation", "kind": "checksum"}))?;
    let end = json!({"n": 1, "status": "Violation", "kind": "checksum", "payload": "66"});
    read(&mut pair, 8, 10_000, end)?;
    read(&mut pair, 8, 10_000, json!({"n": 0, "status": "Violation", "kind": "checksum"}))?;
    pair.finish(6)
}
