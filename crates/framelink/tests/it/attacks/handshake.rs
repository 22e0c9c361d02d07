//! The two messages in clear text: changed, replayed, reflected, garbage. Conformance 5 to 7.

use super::{Recorded, deliver};
use crate::{
    pair::{BOTTOM, Pair, Side, TOP, at},
    peer::ALIGNS,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{collections::BTreeSet, time::Duration};
use waypost_framelink::{
    Fault, Link, Mode, Psk, Settings,
    link::{Event, Input, Output, Status},
};

fn reject(reason: u8) -> Vec<u8> {
    vec![0x46, 0x4c, 0x4e, 0x4b, 1, 0xff, reason, 0]
}

/// What BOTTOM makes of an M1 that differs at this byte.
fn at_bottom(at: usize) -> (Fault, Vec<u8>) {
    match at {
        0..4 => (Fault::NotFramelink, Vec::new()),
        4 => (Fault::BadVersion, reject(1)),
        5 => (Fault::BadMode, reject(2)),
        6 | 7 => (Fault::BadOptions, reject(3)),
        _ => (Fault::BadKey, reject(4)),
    }
}

/// FL-5.2 to FL-5.4, Threats, downgrade: every byte of M1, with every bit of it in the preamble.
#[test]
fn every_changed_byte_of_m1_is_refused_with_its_reason() {
    for mode in [Mode::Psk, Mode::Hybrid] {
        for align in ALIGNS {
            let recorded = Recorded::new(mode, align, 1);
            for at in 0..recorded.preface(TOP) {
                for change in if at < 8 { 1..=255_u8 } else { 0x20..=0x20 } {
                    let mut wire = recorded.wires[TOP].clone();
                    wire[at] ^= change;
                    let mut side = recorded.side(BOTTOM);
                    deliver(&mut side, &wire);
                    let (fault, answer) = at_bottom(at);
                    assert_eq!((side.end().fault, &side.wire), (Some(fault), &answer), "{mode} {at} {change:x}");
                    assert!(side.end().in_handshake && side.received.is_empty());
                    assert!(!side.events.iter().any(|event| matches!(event, Event::KeyShown { .. })));
                }
            }
        }
    }
}

/// The same for M2: what cannot be seen in it is seen in HELLO, and no application byte leaves before.
#[test]
fn every_changed_byte_of_m2_ends_the_link_before_a_message_leaves() {
    for mode in [Mode::Psk, Mode::Hybrid] {
        for align in ALIGNS {
            let recorded = Recorded::new(mode, align, 1);
            for at in 0..recorded.preface(BOTTOM) {
                for change in if at < 8 { 1..=255_u8 } else { 0x20..=0x20 } {
                    let mut wire = recorded.wires[BOTTOM].clone();
                    wire[at] ^= change;
                    let mut side = recorded.side(TOP);
                    side.messages.push_back((0, b"secret".to_vec()));
                    deliver(&mut side, &wire);
                    let fault = match (at, wire[5]) {
                        (0..4, _) => Fault::NotFramelink,
                        (4, _) => Fault::BadVersion,
                        (5, 0xff) => Fault::Rejected(wire[6]),
                        (5, 2 | 3) => Fault::RoleClash,
                        (5, _) => Fault::BadMode,
                        (6 | 7, _) => Fault::BadOptions,
                        _ => Fault::HsAuth,
                    };
                    assert_eq!(side.end().fault, Some(fault), "{mode} {at} {change:x}");
                    let hello = if fault == Fault::HsAuth { 72 } else { 0 };
                    assert!(side.wire.len() <= recorded.preface(TOP) + hello, "{mode} {at} {change:x}");
                    assert!(!side.events.iter().any(|event| matches!(event, Event::Open { .. })));
                }
            }
        }
    }
}

/// Threats, downgrade: an M1 for one mode is none for the other, even where BOTTOM takes both.
#[test]
fn a_mode_cannot_be_changed_on_the_way() {
    let mut rng = StdRng::seed_from_u64(1);
    let psk = Psk::generate(&mut rng);
    for (asked, changed) in [(Mode::Hybrid, 2), (Mode::Psk, 3)] {
        let mut top = Side::new(Link::connect(at(0), &mut rng, psk.clone(), asked, Settings::default()).unwrap(), 1);
        let modes = vec![Mode::Hybrid, Mode::Psk];
        let bottom = Link::accept(at(0), vec![psk.clone()], modes, Settings::default()).unwrap();
        let mut bottom = Side::new(bottom, 2);
        (top.records, bottom.records) = (true, true);
        top.poll();
        let mut m1 = top.wire.clone();
        m1[5] = changed;
        m1.resize(1240, 0);
        deliver(&mut bottom, &m1);
        assert_eq!((bottom.end().fault, &bottom.wire), (Some(Fault::BadKey), &reject(4)));
        deliver(&mut top, &bottom.wire);
        assert_eq!(top.end().fault, Some(Fault::Rejected(4)));
        assert_eq!(top.end().to_string(), "Violation: rejected: bad-key");
    }
}

/// Threats: a replayed M1 gets an answer and no link, for BOTTOM's share is fresh.
#[test]
fn a_replayed_link_ends_at_its_hello() {
    for mode in [Mode::Psk, Mode::Hybrid] {
        let recorded = Recorded::new(mode, ALIGNS[0], 1);
        let mut side = recorded.side(BOTTOM);
        side.rng = StdRng::seed_from_u64(99);
        deliver(&mut side, &recorded.wires[TOP]);
        assert_eq!((side.end().fault, side.received.len()), (Some(Fault::HsAuth), 0));
        assert!(side.wire.len() <= recorded.preface(BOTTOM) + 72);
        // And the same answers, to a TOP that asks anew.
        let psk = Psk::generate(&mut StdRng::seed_from_u64(5));
        let mut rng = StdRng::seed_from_u64(98);
        let mut side = Side::new(Link::connect(at(0), &mut rng, psk, mode, Settings::default()).unwrap(), 9);
        deliver(&mut side, &recorded.wires[BOTTOM]);
        assert_eq!((side.end().fault, side.received.len()), (Some(Fault::HsAuth), 0));
    }
}

/// Threats, FL-1.5: two TOPs, a reflected M1; two BOTTOMs.
#[test]
fn two_sides_of_one_role_end_by_name() {
    for mode in [Mode::Psk, Mode::Hybrid] {
        let tops = [3, 4].map(|seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            let psk = Psk::generate(&mut StdRng::seed_from_u64(1));
            Link::connect(at(0), &mut rng, psk, mode, Settings::default()).unwrap()
        });
        let [one, other] = tops;
        let mut pair = Pair::new(one, other);
        pair.run();
        for side in &pair.sides {
            assert_eq!((side.end().fault, side.bursts.len()), (Some(Fault::RoleClash), 1));
        }
        let recorded = Recorded::new(mode, ALIGNS[0], 1);
        let mut side = recorded.side(TOP);
        deliver(&mut side, &recorded.wires[TOP]);
        assert_eq!(side.end().fault, Some(Fault::RoleClash));

        let bottoms = [3, 4].map(|_| {
            let psk = Psk::generate(&mut StdRng::seed_from_u64(1));
            Link::accept(at(0), vec![psk], vec![mode], Settings::default()).unwrap()
        });
        let [one, other] = bottoms;
        let mut pair = Pair::new(one, other);
        pair.pass(Duration::from_secs(10));
        for side in &pair.sides {
            assert_eq!((side.end().fault, side.bursts.len()), (Some(Fault::HsTimeout), 0));
        }
    }
}

/// An M2 at BOTTOM, as a reflecting wire would send it.
#[test]
fn a_reflected_m2_is_no_m1() {
    let recorded = Recorded::new(Mode::Psk, ALIGNS[0], 1);
    let mut side = recorded.side(BOTTOM);
    deliver(&mut side, &recorded.wires[BOTTOM]);
    assert_eq!((side.end().fault, &side.wire), (Some(Fault::BadMode), &reject(2)));
}

/// Another key: BOTTOM says so, TOP believes it enough to stop, and nothing of either leaks.
#[test]
fn another_key_is_refused_by_name() {
    for mode in [Mode::Psk, Mode::Hybrid] {
        let [mine, theirs] = [1, 2].map(|seed| Psk::generate(&mut StdRng::seed_from_u64(seed)));
        let top = Link::connect(at(0), &mut StdRng::seed_from_u64(3), mine, mode, Settings::default()).unwrap();
        let mut pair = Pair::new(top, Link::accept(at(0), vec![theirs], vec![mode], Settings::default()).unwrap());
        pair.give(TOP, [b"secret".to_vec()]);
        pair.run();
        assert_eq!(pair.sides[TOP].end().fault, Some(Fault::Rejected(4)));
        assert_eq!(pair.sides[BOTTOM].end().fault, Some(Fault::BadKey));
        assert_eq!(pair.sides[TOP].bursts.len(), 1);
        assert!(pair.sides.iter().all(|side| side.link.is_over()));
    }
}

/// Of several keys the one that fits is found, and told.
#[test]
fn the_key_that_fits_is_found_among_many() {
    let psks: Vec<Psk> = (0..64).map(|seed| Psk::generate(&mut StdRng::seed_from_u64(seed))).collect();
    let modes = [Mode::Hybrid, Mode::Psk];
    for (number, mode) in [(0, Mode::Psk), (63, Mode::Hybrid)] {
        let key = psks[number].clone();
        let top = Link::connect(at(0), &mut StdRng::seed_from_u64(99), key, mode, Settings::default()).unwrap();
        let bottom = Link::accept(at(0), psks.clone(), modes.to_vec(), Settings::default()).unwrap();
        let mut pair = Pair::new(top, bottom);
        pair.run();
        assert_eq!(pair.sides[BOTTOM].events[0], Event::KeyShown { psk: number });
        assert!(
            matches!(pair.sides[BOTTOM].events[1], Event::Open { psk, mode: opened, .. } if psk == number && opened == mode)
        );
        assert_eq!(pair.sides[BOTTOM].link.mode(), mode);
    }
}

/// Limits: one link too many is told so, but only to who has shown a key.
#[test]
fn a_busy_side_tells_only_who_knows_the_key() {
    let mut pair = Pair::same(Mode::Hybrid, &Settings::default());
    pair.sides[BOTTOM].link.set_busy(true);
    pair.run();
    assert_eq!(pair.sides[TOP].end().fault, Some(Fault::Rejected(6)));
    assert_eq!(pair.sides[BOTTOM].end().fault, Some(Fault::Busy));
    let recorded = Recorded::new(Mode::Psk, ALIGNS[0], 1);
    let mut side = recorded.side(BOTTOM);
    side.link.set_busy(true);
    let mut wire = recorded.wires[TOP].clone();
    wire[55] ^= 1;
    deliver(&mut side, &wire);
    assert_eq!(side.wire, reject(4));
}

/// Threats: 10^4 messages of garbage cost no memory that stays, no share, and one answer each.
#[test]
fn ten_thousand_garbage_messages_cost_nothing_that_stays() {
    let mut rng = StdRng::seed_from_u64(7);
    let psk = Psk::generate(&mut rng);
    let mut answers = BTreeSet::new();
    for number in 0..10_000 {
        let modes = vec![Mode::Hybrid, Mode::Psk];
        let mut link = Link::accept(at(0), vec![psk.clone()], modes, Settings::default()).unwrap();
        let mut garbage = [0; 1300];
        rng.fill_bytes(&mut garbage);
        if number % 4 != 0 {
            garbage[..8].copy_from_slice(&[0x46, 0x4c, 0x4e, 0x4b, 1, 2 + number as u8 % 2, 0, 0]);
        }
        link.handle(at(0), &mut rng, Input::Bytes(&garbage)).unwrap();
        assert!(!link.has_shown_key());
        assert_eq!(link.room(), 0);
        assert!(link.end().unwrap().in_handshake);
        while let Some(output) = link.poll() {
            if let Output::Send(bytes) = output {
                answers.insert(bytes);
            }
        }
        // What comes behind the refusal is not kept.
        link.handle(at(0), &mut rng, Input::Bytes(&garbage)).unwrap();
        assert_eq!((link.room(), link.poll()), (0, None));
    }
    assert_eq!(answers, BTreeSet::from([reject(4)]));
}

/// Not more than a message is kept of a handshake that does not go on.
#[test]
fn an_unfinished_message_waits_in_silence() {
    let recorded = Recorded::new(Mode::Hybrid, ALIGNS[0], 1);
    for length in [0, 1, 7, 8, 1239] {
        let mut side = recorded.side(BOTTOM);
        deliver(&mut side, &recorded.wires[TOP][..length]);
        assert!(side.link.end().is_none() && side.wire.is_empty());
        assert!(!side.link.has_shown_key());
        assert_eq!(side.status, Some(Status::Slow));
    }
}

/// Profile, Preamble: a raw side that meets a keyed one says so.
#[test]
fn a_raw_side_knows_a_keyed_peer_by_its_first_bytes() {
    let recorded = Recorded::new(Mode::Psk, ALIGNS[0], 1);
    for length in [16, 56] {
        let mut raw = Pair::same(Mode::Raw, &Settings::default());
        let now = raw.now;
        raw.sides[BOTTOM].input(now, Input::Bytes(&recorded.wires[TOP][..3])).unwrap();
        raw.sides[BOTTOM].input(now, Input::Bytes(&recorded.wires[TOP][3..length])).unwrap();
        assert!(raw.sides[BOTTOM].end().keyed_peer);
        assert_eq!(raw.sides[BOTTOM].end().status, Status::Violation(Fault::Checksum));
        raw.sides[TOP].input(now, Input::Bytes(&[0xee; 16])).unwrap();
        assert!(!raw.sides[TOP].end().keyed_peer);
    }
}
