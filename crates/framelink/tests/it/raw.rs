//! The seed's wire and nothing else. Conformance 16.

use crate::{
    pair::{BOTTOM, Pair, TOP, pattern},
    peer::{Played, ROLES},
};
use rand::{SeedableRng, rngs::StdRng};
use waypost_core::Now;
use waypost_framelink::{
    Block, Fault, Link, MacInit, Mode, Psk, Role, Sealer, Settings, code,
    link::{Input, Output, Status},
};

/// FL-0.2, FL-2.6: what leaves is the frames that were asked for, byte for byte, and a close adds none.
#[test]
fn a_raw_link_sends_what_it_is_given_and_nothing_else() {
    for role in ROLES {
        let mut side = Played::raw(role, &Settings::default());
        let mut expected = Vec::new();
        let mut sealer = Sealer::new(&side.block, role, Settings::default().framing);
        for (code, payload) in [(0, &b"first"[..]), (code::PING, b"a code like any"), (u32::MAX, b""), (1, &[7; 300])] {
            side.send(code, payload);
            sealer.seal(code, payload, &mut expected).unwrap();
        }
        for _ in 0..200 {
            side.send(0, b"");
            sealer.seal(0, b"", &mut expected).unwrap();
        }
        side.until(1_000_000_000);
        assert!(side.try_input(Input::Rekey).is_err() && side.try_input(Input::Ping(b"")).is_err());
        side.input(Input::Close);
        assert_eq!(side.wire, expected);
        assert_eq!(side.orders, [Output::Shutdown]);
    }
}

/// FL-6.1: every CODE is handed up, none is acted on.
#[test]
fn a_raw_link_hands_up_every_code() {
    let mut side = Played::raw(ROLES[0], &Settings::default());
    let codes = [0, 1, 77, 0x7fff_ffff, 0x8000_0000, code::HELLO, code::REKEY, code::CLOSE, code::PING, code::ERROR];
    for code in codes.into_iter().chain([code::PAD, code::CREDIT, u32::MAX]) {
        side.frame(code, b"x");
    }
    for _ in 0..1000 {
        side.frame(0, b"");
    }
    let (data, received) = side.recv(100);
    assert_eq!(data, [b'x'; 13]);
    assert_eq!(received.frames.iter().take(10).map(|frame| frame.code).collect::<Vec<_>>(), codes);
    assert_eq!((received.frames.len(), received.status), (1013, Status::Slow));
    assert!(side.wire.is_empty());
}

/// FL-4.4: the end of the stream between two frames is an end, elsewhere a cut.
#[test]
fn a_raw_stream_ends_between_frames_or_is_truncated() {
    for role in ROLES {
        let mut peer = Played::raw(role, &Settings::default());
        let wire = [peer.seal(0, b"first"), peer.seal(0, b"")].concat();
        for cut in 0..=wire.len() {
            let mut side = Played::raw(role, &Settings::default());
            side.bytes(&wire[..cut]);
            side.input(Input::Eof);
            let between = [0, 29, 53].contains(&cut);
            let (data, received) = side.recv(64);
            assert_eq!(data.len(), if cut < 29 { 0 } else { 5 }, "{cut}");
            assert_eq!(received.status, if between { Status::Ended } else { Status::Truncated }, "{cut}");
            assert_eq!(side.recv(64).1.status, received.status);
            assert!(side.wire.is_empty());
        }
    }
}

/// FL-2.10, FL-0.6: what is literal is for raw links alone.
#[test]
fn literal_options_are_refused_in_keyed_links() {
    let mut rng = StdRng::seed_from_u64(1);
    let (now, psk) = (Now::default(), Psk::generate(&mut rng));
    let standard = |settings: &mut Settings| settings.framing.mac_init = MacInit::Standard;
    let to_one = |settings: &mut Settings| settings.framing.wraps_to_one = true;
    let small = |settings: &mut Settings| settings.limits.max_frame = 1023;
    for change in [standard as fn(&mut Settings), to_one, small] {
        let mut settings = Settings::default();
        change(&mut settings);
        let bad = |refused: Result<Link, waypost_framelink::Error>| {
            assert_eq!(refused.err().map(waypost_framelink::Error::fault), Some(Fault::BadConfig));
        };
        for mode in [Mode::Psk, Mode::Hybrid] {
            bad(Link::connect(now, &mut rng, psk.clone(), mode, settings.clone()));
            bad(Link::accept(now, vec![psk.clone()], vec![mode], settings.clone()));
        }
        assert!(Link::raw(now, &Block::generate(&mut rng), Role::Top, settings).is_ok());
        bad(Link::connect(now, &mut rng, psk.clone(), Mode::Raw, Settings::default()));
        bad(Link::accept(now, vec![psk.clone()], vec![], Settings::default()));
    }
}

/// FL-0.5, FL-0.6, FL-2.10: a literal peer: SHA-256's published start, and 1 behind the last number.
#[test]
fn a_literal_peer_is_understood() {
    for (wraps_to_one, again) in [(false, 0), (true, 1)] {
        let mut settings = Settings::default();
        settings.framing.mac_init = MacInit::Standard;
        (settings.framing.wraps_to_one, settings.framing.first_seq) = (wraps_to_one, u32::MAX);
        let mut pair = Pair::open(Mode::Raw, [settings.clone(), settings]);
        pair.give(TOP, [pattern(5), pattern(6), pattern(7)]);
        pair.run();
        let numbers: Vec<u32> = pair.sides[BOTTOM].frames.iter().map(|frame| frame.seq).collect();
        assert_eq!(numbers, [u32::MAX, again, again + 1]);
    }
}

/// FL-2.3: a block of a file is used as it is: the counter carries through all of its 128 bits.
#[test]
fn a_counter_wraps_over_all_its_bits() {
    let mut bytes = [0; 256];
    bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = at as u8);
    for half in [32..48, 160..176] {
        bytes[half].fill(0xff);
    }
    let block = Block::from_file(&bytes).unwrap();
    let [top, bottom] = ROLES.map(|role| Link::raw(Now::default(), &block, role, Settings::default()).unwrap());
    let mut pair = Pair::new(top, bottom);
    for index in [TOP, BOTTOM] {
        pair.give(index, [pattern(1000), pattern(100_000)]);
    }
    pair.run();
    assert!(pair.sides.iter().all(|side| side.received == [pattern(1000), pattern(100_000)].concat()));
}
