//! One changed bit, anywhere.

use super::{BOTH, Recorded, deliver};
use crate::{
    pair::{BOTTOM, TOP},
    peer::{ALIGNS, Played, ROLES},
};
use std::collections::BTreeSet;
use waypost_framelink::{
    Chain, Fault, Header, Mode, OVERHEAD, Settings, code,
    link::{Input, Status},
};

/// The first of the frames behind `borders` that this offset lies in, and how far.
fn place(borders: &[usize], at: usize) -> (usize, usize) {
    let frame = borders.iter().rposition(|border| *border <= at).unwrap();
    (frame, at - borders[frame])
}

/// FL-2.7, FL-2.9, FL-3.5, conformance 13, 14: every bit behind the preface, in both directions and alignments.
#[test]
fn every_flipped_bit_of_a_keyed_link_ends_it_and_delivers_what_was_verified() {
    for align in ALIGNS {
        let recorded = Recorded::new(Mode::Psk, align, 1);
        for (to, _) in BOTH {
            let from = 1 - to;
            let borders = recorded.frames(from);
            let mut answers = BTreeSet::new();
            for bit in borders[0] * 8..recorded.wires[from].len() * 8 {
                let at = bit / 8;
                let mut wire = recorded.wires[from].clone();
                wire[at] ^= 1 << (bit % 8);
                let mut side = recorded.side(to);
                deliver(&mut side, &wire);
                let (frame, within) = place(&borders, at);
                let expected = match (frame, within) {
                    (0, _) => Fault::HsAuth,
                    (_, ..16) => Fault::Checksum,
                    _ => Fault::Hmac,
                };
                assert_eq!(side.end().status, Status::Violation(expected), "{align:?} bit {bit}");
                assert_eq!(side.received, recorded.verified(from, borders[frame]), "{align:?} bit {bit}");
                let before = recorded.preface(to) + 72;
                if frame == 0 {
                    assert!(side.wire.len() <= before, "nothing is said behind HELLO");
                } else {
                    answers.insert(side.wire[before..].to_vec());
                }
            }
            // Whichever check failed, whichever frame: the same bytes, those of ERROR 1 without text.
            assert_eq!(answers.iter().map(Vec::len).collect::<Vec<_>>(), [OVERHEAD + 4]);
        }
    }
}

/// The same for frames without anything around them; a raw link says nothing at all.
#[test]
fn every_flipped_bit_of_raw_frames_ends_the_link_in_silence() {
    for align in ALIGNS {
        for role in ROLES {
            let mut settings = Settings::default();
            settings.framing.align = align;
            let mut peer = Played::raw(role, &settings);
            let frames = [peer.seal(0, b"first"), peer.seal(0xffff_ffff, b""), peer.seal(7, &[3; 41])];
            let borders = [0, frames[0].len(), frames[0].len() + frames[1].len()];
            let wire = frames.concat();
            for bit in 0..wire.len() * 8 {
                let mut wire = wire.clone();
                wire[bit / 8] ^= 1 << (bit % 8);
                let mut side = Played::raw(role, &settings);
                side.bytes(&wire);
                let (frame, within) = place(&borders, bit / 8);
                let fault = if within < 16 { Fault::Checksum } else { Fault::Hmac };
                let (data, received) = side.recv(100);
                assert_eq!(received.status, Status::Violation(fault), "{align:?} {role} {bit}");
                assert_eq!(data, if frame == 0 { &b""[..] } else { b"first" });
                assert_eq!(received.frames.len(), frame);
                assert!(side.wire.is_empty() && side.link.is_over());
            }
        }
    }
}

/// Conformance 14: checksum, sequence, length, tag: what is answered is the same, and says nothing.
#[test]
fn a_peer_learns_nothing_of_which_check_failed() {
    let mut answers = BTreeSet::new();
    for fault in [Fault::Checksum, Fault::Sequence, Fault::Length, Fault::Hmac] {
        let mut side = Played::open(ROLES[0], &Settings::default());
        let mut frame = match fault {
            Fault::Sequence => {
                side.seal(0, b"");
                // In `align=block` of 24 bytes, one frame fewer came: the keystream is behind as well.
                let plain = Header { length: 0, code: 0, seq: 2 }.encode();
                let wrong = Header { length: 0, code: 0, seq: 3 }.encode();
                let mut again = Played::open(ROLES[0], &Settings::default());
                let frame = again.seal(0, b"");
                frame
                    .iter()
                    .enumerate()
                    .map(|(at, byte)| if at < 16 { byte ^ plain[at] ^ wrong[at] } else { *byte })
                    .collect()
            }
            Fault::Length => side.seal(code::PAD, &vec![0; (1 << 20) + 1]),
            _ => side.seal(0, b"x"),
        };
        match fault {
            Fault::Checksum => frame[3] ^= 1,
            Fault::Hmac => frame[24] ^= 1,
            _ => {}
        }
        side.bytes(&frame);
        assert_eq!(side.end().status, Status::Violation(fault));
        assert_eq!(side.sent.last().unwrap(), &(code::ERROR, vec![0, 0, 0, 1]));
        answers.insert(side.wire);
    }
    assert_eq!(answers.len(), 1);
}

/// FL-2.10: who knows a frame's plaintext and SHA-256's published start, and no more, forges nothing.
#[test]
fn a_known_plaintext_is_not_enough_to_forge() {
    let start = "6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19";
    let start: [u8; 32] = hex::decode(start).unwrap().try_into().unwrap();
    for align in ALIGNS {
        let recorded = Recorded::new(Mode::Psk, align, 1);
        for (to, _) in BOTH {
            let from = 1 - to;
            let borders = recorded.frames(from);
            let plain = |payload: &[u8]| {
                let message = [&Header { length: 5, code: 0, seq: 2 }.encode()[..], payload].concat();
                let tag = Chain::from_bytes(&start).tag(&message);
                [message, tag.to_vec()].concat()
            };
            let mut wire = recorded.wires[from].clone();
            let change = plain(b"first").into_iter().zip(plain(b"other")).map(|(known, forged)| known ^ forged);
            wire[borders[1]..borders[2]].iter_mut().zip(change).for_each(|(byte, change)| *byte ^= change);
            let mut side = recorded.side(to);
            deliver(&mut side, &wire);
            assert_eq!(side.end().status, Status::Violation(Fault::Hmac));
            assert!(side.received.is_empty());
        }
    }
}

/// FL-6.4, conformance 12: a recorded link that is cut anywhere.
#[test]
fn a_link_cut_at_any_offset_never_looks_whole() {
    for align in ALIGNS {
        let recorded = Recorded::new(Mode::Psk, align, 1);
        for to in [TOP, BOTTOM] {
            let from = 1 - to;
            let (wire, borders) = (&recorded.wires[from], recorded.frames(from));
            for cut in 0..=wire.len() {
                let mut side = recorded.side(to);
                deliver(&mut side, &wire[..cut]);
                side.input(crate::pair::at(0), Input::Eof).unwrap();
                side.read(crate::pair::at(0));
                assert_eq!(side.received, recorded.verified(from, cut));
                let whole = cut == wire.len();
                assert_eq!(side.status, Some(if whole { Status::Closed } else { Status::Truncated }), "{cut}");
                if !whole {
                    assert_eq!(side.end().fault, (cut < borders[1]).then_some(Fault::HsClosed), "{cut}");
                }
            }
        }
    }
}
