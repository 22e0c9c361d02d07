//! `handshake_psk.json`, `handshake_hybrid.json`: how the block is established, and refused.

use super::{mode, settings};
use waypost_core::Now;
use waypost_framelink::{
    Align, Fault, Link, Mode, Psk, Role, Settings,
    establish::{Established, WaitM1, WaitM2, mac1_key},
    link::{Input, Output, Status},
};
use waypost_testkit::{
    FixedRng,
    vectors::{self, Case, Outcome, Part},
};

/// FL-5.2, FL-5.4: mode psk.
#[test]
fn links_are_established_from_a_key_alone_as_stated() {
    for case in vectors::load("framelink", "handshake_psk.json") {
        run(&case);
    }
}

/// FL-5.3, FL-5.4: mode hybrid.
#[test]
fn links_are_established_with_fresh_shares_as_stated() {
    for case in vectors::load("framelink", "handshake_hybrid.json") {
        run(&case);
    }
}

fn run(case: &Case) {
    match case.str("input.run") {
        "handshake" => transcript(case),
        "m1" => m1(case),
        "m2" => m2(case),
        _ => case.unknown_shape(),
    }
}

fn psk(bytes: Vec<u8>) -> Psk {
    Psk::from_bytes(bytes.try_into().unwrap()).unwrap()
}

/// TOP's randomness in the order it is drawn.
fn top_rng(input: &Part<'_>) -> FixedRng {
    FixedRng::new(["n_top", "x25519_top_private", "mlkem_seed_dz"].iter().filter_map(|name| input.opt_hex(name)))
}

fn transcript(case: &Case) {
    let (input, expect) = (case.input(), case.expect());
    let (mode, settings) = (mode(input.str("mode")), settings(input.opt("options")));
    let key = psk(input.hex("psk"));
    assert_eq!(mac1_key(&key).to_vec(), expect.hex("k_mac1"), "{case}");
    let align = settings.framing.align;
    let mut rng = top_rng(&input);
    let (top, m1) = WaitM2::start(&mut rng, key.clone(), mode, align).unwrap();
    rng.assert_exhausted();
    assert_eq!(m1, expect.hex("M1"), "{case}");
    assert_eq!(m1[m1.len() - 16..], expect.hex("mac1"), "{case}");
    let bottom = WaitM1 { psks: vec![key], modes: vec![mode], align };
    let drawn = ["n_bottom", "x25519_bottom_private", "mlkem_m"];
    let mut rng = FixedRng::new(drawn.iter().filter_map(|name| input.opt_hex(name)));
    let asked = bottom.authenticate(&m1).unwrap();
    let (answered, m2) = bottom.answer(&mut rng, &m1, asked).unwrap();
    rng.assert_exhausted();
    assert_eq!(m2, expect.hex("M2"), "{case}");
    let finished = top.finish(&m2).unwrap();
    for side in [&answered, &finished] {
        compare(side, &expect, case);
    }
    for (role, name) in [(Role::Top, "top"), (Role::Bottom, "bottom")] {
        let hello = hello(&finished, role, &settings);
        assert_eq!(hello, expect.hex(&format!("hello_{name}_wire")), "{case}");
    }
    shares(&m1, &m2, &expect, case);
}

/// The parts of M1 and M2 that the vectors name by themselves.
fn shares(m1: &[u8], m2: &[u8], expect: &Part<'_>, case: &Case) {
    let named: [(&str, &[u8]); 4] = [
        ("x25519_top_public", m1.get(8..40).unwrap_or_default()),
        ("mlkem_ek", m1.get(40..1224).unwrap_or_default()),
        ("x25519_bottom_public", m2.get(8..40).unwrap_or_default()),
        ("mlkem_ct", m2.get(40..).unwrap_or_default()),
    ];
    for (name, bytes) in named {
        if let Some(expected) = expect.opt_hex(name) {
            assert_eq!(bytes, expected, "{case}: {name}");
        }
    }
}

/// What a side sends first.
fn hello(established: &Established, role: Role, settings: &Settings) -> Vec<u8> {
    let mut rng = FixedRng::new([[0u8; 0]]);
    let mut link = Link::established(Now::default(), &mut rng, established, role, settings.clone()).unwrap();
    match link.poll() {
        Some(Output::Send(bytes)) => bytes,
        other => panic!("{other:?} is no HELLO"),
    }
}

fn compare(established: &Established, expect: &Part<'_>, case: &Case) {
    assert_eq!(established.th.to_vec(), expect.hex("th"), "{case}");
    assert_eq!(established.block.as_bytes().to_vec(), expect.hex("block"), "{case}");
}

/// What BOTTOM makes of an M1: by itself, and as the link whose REJECT names the reason.
fn m1(case: &Case) {
    let input = case.input();
    input.only(&["run", "psks", "modes", "options", "M1", "eph"]);
    let psks: Vec<_> = input.at("psks").list("").iter().map(|key| psk(key.hex(""))).collect();
    let modes: Vec<_> = input.at("modes").list("").iter().map(|name| mode(name.str(""))).collect();
    let settings = settings(input.opt("options"));
    let bottom = WaitM1 { psks: psks.clone(), modes: modes.clone(), align: settings.framing.align };
    let m1 = input.hex("M1");
    let eph = || FixedRng::new(input.at("eph").list("").iter().map(|part| part.hex("")));
    let answered = bottom.authenticate(&m1).and_then(|asked| bottom.answer(&mut eph(), &m1, asked));
    match (case.outcome(), answered) {
        (Outcome::Expect(expect), Ok((established, _))) => {
            compare(&established, &expect, case);
            assert_eq!(mode(expect.str("mode")), established.mode, "{case}");
            assert_eq!(psks[established.psk], psk(expect.hex("psk")), "{case}");
        }
        (Outcome::Error(name), Err(fault)) => assert_eq!(fault.name(), name, "{case}"),
        (outcome, answered) => panic!("{case}: {answered:?}, not {outcome:?}"),
    }
    let mut link = Link::accept(Now::default(), psks, modes, settings).unwrap();
    link.handle(Now::default(), &mut eph(), Input::Bytes(&m1)).unwrap();
    let mut sent: Vec<u8> = std::iter::from_fn(|| link.poll()).filter_map(bytes_of).flatten().collect();
    link.handle(Now::default(), &mut eph(), Input::Eof).unwrap();
    sent.extend(std::iter::from_fn(|| link.poll()).filter_map(bytes_of).flatten());
    let reason = match case.error() {
        None => {
            assert!(sent.len() > 8 + 72, "{case}: M2 and HELLO");
            return;
        }
        Some("not-framelink" | "hs-closed") => None,
        Some("bad-version") => Some(1),
        Some("bad-mode") => Some(2),
        Some("bad-options") => Some(3),
        Some("bad-key") => Some(4),
        Some("bad-share") => Some(5),
        Some(_) => case.unknown_shape(),
    };
    let reject = reason.map(|reason| vec![0x46, 0x4c, 0x4e, 0x4b, 1, 0xff, reason, 0]);
    assert_eq!(sent, reject.unwrap_or_default(), "{case}");
}

fn bytes_of(output: Output) -> Option<Vec<u8>> {
    if let Output::Send(bytes) = output { Some(bytes) } else { None }
}

/// What TOP makes of an M2: by itself, and as a link that never sends another byte.
fn m2(case: &Case) {
    let input = case.input();
    let (mode, settings) = (mode(input.str("mode")), settings(input.opt("options")));
    let (key, m2) = (psk(input.hex("psk")), input.hex("M2"));
    let (top, _) = WaitM2::start(&mut top_rng(&input), key.clone(), mode, settings.framing.align).unwrap();
    let judged = m2.first_chunk().map_or(Ok(0), |preamble| top.expect(*preamble));
    // A stream goes on: what is behind M2 would be frames.
    let whole = judged.map(|whole| m2.get(..whole).unwrap_or(&m2).to_vec());
    let result = whole.and_then(|m2| top.finish(&m2));
    match (case.outcome(), result) {
        (Outcome::Expect(expect), Ok(established)) => compare(&established, &expect, case),
        (Outcome::Error(name), Err(fault)) => assert_eq!(fault.name(), name, "{case}"),
        (outcome, result) => panic!("{case}: {result:?}, not {outcome:?}"),
    }
    let Some(name) = case.error() else { return };
    let mut rng = top_rng(&input);
    let mut link = Link::connect(Now::default(), &mut rng, key, mode, settings).unwrap();
    let _m1 = link.poll();
    link.handle(Now::default(), &mut rng, Input::Bytes(&m2)).unwrap();
    link.handle(Now::default(), &mut rng, Input::Eof).unwrap();
    assert_eq!(std::iter::from_fn(|| link.poll()).filter_map(bytes_of).count(), 0, "{case}");
    let end = link.end().unwrap();
    assert!(end.in_handshake, "{case}");
    assert_eq!(end.fault.map(Fault::name), Some(name), "{case}");
    assert_eq!(end.status == Status::Truncated, name == "hs-closed", "{case}");
}

/// A mode and an alignment that both sides must share.
#[test]
fn raw_is_never_established() {
    let key = psk(vec![7; 31].into_iter().chain([8]).collect());
    let mut rng = FixedRng::new([[0u8; 0]]);
    assert!(
        WaitM2::start(&mut rng, key.clone(), Mode::Raw, Align::Block).is_err_and(|fault| fault == Fault::BadConfig)
    );
    assert!(Link::accept(Now::default(), vec![key], vec![Mode::Raw], Settings::default()).is_err());
}
