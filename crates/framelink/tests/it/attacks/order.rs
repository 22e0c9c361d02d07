//! Whole frames where they do not belong.

use super::{BOTH, Recorded, deliver, is_tampering};
use crate::{
    pair::{BOTTOM, TOP},
    peer::{ALIGNS, Played, ROLES},
};
use waypost_framelink::{
    Fault, Link, Mode, Settings,
    link::{Input, Status},
};

/// Delivers frames of `from` in this order, the preface and HELLO in front; the rest of the wire follows.
fn in_order(recorded: &Recorded, from: usize, order: &[usize]) {
    let (wire, borders) = (&recorded.wires[from], recorded.frames(from));
    let frame = |number: usize| &wire[borders[number]..borders[number + 1]];
    let mut attack = wire[..borders[1]].to_vec();
    order.iter().for_each(|number| attack.extend_from_slice(frame(*number)));
    attack.extend_from_slice(&[0x5a; 100]);
    let in_place = order.iter().zip(1..).take_while(|(number, place)| **number == *place).count();
    let mut side = recorded.side(1 - from);
    deliver(&mut side, &attack);
    let Status::Violation(fault) = side.end().status else { panic!("{order:?}: {:?}", side.end()) };
    assert!(is_tampering(fault), "{order:?}: {fault}");
    assert_eq!(side.received, recorded.verified(from, borders[in_place + 1]), "{order:?}");
}

/// FL-2.10, conformance 13: replayed, dropped, swapped.
#[test]
fn frames_out_of_order_end_the_link() {
    for align in ALIGNS {
        let recorded = Recorded::new(Mode::Psk, align, 1);
        for from in [TOP, BOTTOM] {
            let honest = [1, 2, 3, 4, 5];
            for at in 0..4 {
                let mut dropped = honest.to_vec();
                dropped.remove(at);
                in_order(&recorded, from, &dropped);
                let mut swapped = honest;
                swapped.swap(at, at + 1);
                in_order(&recorded, from, &swapped);
                for again in 0..=at {
                    let mut replayed = honest.to_vec();
                    replayed.insert(at + 1, honest[again]);
                    in_order(&recorded, from, &replayed);
                }
            }
            in_order(&recorded, from, &[0, 1, 2, 3, 4, 5]);
        }
    }
}

/// Frames of another link with the same key file, at every border.
#[test]
fn two_links_cannot_be_spliced() {
    for align in ALIGNS {
        let [one, other] = [1, 2].map(|seed| Recorded::new(Mode::Psk, align, seed));
        for (to, _) in BOTH {
            let from = 1 - to;
            let borders = one.frames(from);
            for border in &borders[..borders.len() - 1] {
                let attack = [&one.wires[from][..*border], &other.wires[from][*border..]].concat();
                let mut side = one.side(to);
                deliver(&mut side, &attack);
                let Status::Violation(fault) = side.end().status else { panic!("{:?}", side.end()) };
                assert!(is_tampering(fault) || fault == Fault::HsAuth, "{fault}");
                assert_eq!(side.received, one.verified(from, *border));
            }
        }
    }
}

/// FL-1.6: each direction has its half: what a side sent itself does not come back as the other's.
#[test]
fn reflected_frames_end_the_link() {
    for align in ALIGNS {
        let recorded = Recorded::new(Mode::Psk, align, 1);
        for (to, _) in BOTH {
            let from = 1 - to;
            let (theirs, own) = (recorded.frames(from), recorded.frames(to));
            for number in 0..5 {
                let reflected = &recorded.wires[to][own[number]..];
                let attack = [&recorded.wires[from][..theirs[number]], reflected].concat();
                let mut side = recorded.side(to);
                deliver(&mut side, &attack);
                let Status::Violation(fault) = side.end().status else { panic!("{:?}", side.end()) };
                assert!(is_tampering(fault) || fault == Fault::HsAuth, "{fault}");
                assert_eq!(side.received, recorded.verified(from, theirs[number]));
            }
        }
    }
}

/// FL-1.5: a raw block in the same role at both ends.
#[test]
fn two_raw_sides_of_one_role_understand_nothing() {
    for role in ROLES {
        let mut one = Played::raw(role, &Settings::default());
        one.send(0, b"hello");
        let mut other = Link::raw(one.now, &one.block, role, Settings::default()).unwrap();
        other.handle(one.now, &mut one.rng, Input::Bytes(&one.wire)).unwrap();
        assert_eq!(other.end().unwrap().status, Status::Violation(Fault::Checksum));
    }
}

/// Alignments that differ: found by the second frame at the latest, unless no frame ends within a block.
#[test]
fn other_alignment_in_raw_is_found_by_the_second_frame() {
    let mut stream = Settings::default();
    stream.framing.align = waypost_framelink::Align::Stream;
    let mut side = Played::raw(ROLES[0], &Settings::default());
    let mut peer = Played::raw(ROLES[0], &stream);
    side.bytes(&peer.seal(0, b"first"));
    side.bytes(&peer.seal(0, b"second"));
    let (data, received) = side.recv(100);
    assert_eq!((data.as_slice(), received.status), (&b"first"[..], Status::Violation(Fault::Checksum)));
}
