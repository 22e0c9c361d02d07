//! Control codes. Conformance 21, 23.

use crate::{
    pair::{BOTTOM, Pair, TOP, pattern},
    peer::{Played, ROLES, hello},
};
use waypost_framelink::{
    Fault, Mode, Settings, code,
    link::{Event, Input, Status},
};

/// FL-6.9, conformance 21: the 65th empty message lies behind a PAD.
#[test]
fn many_empty_messages_arrive() {
    let mut pair = Pair::open(Mode::Psk, [Settings::default(), Settings::default()]);
    pair.give(TOP, vec![Vec::new(); 1000]);
    pair.give(BOTTOM, vec![Vec::new(); 65]);
    pair.sides.iter_mut().for_each(|side| side.closes = true);
    pair.run();
    pair.assert_closed();
    assert_eq!((pair.sides[BOTTOM].frames.len(), pair.sides[TOP].frames.len()), (1000, 65));
}

/// FL-6.9: a 65th empty frame in a row ends the link, whatever the frames are.
#[test]
fn a_65th_empty_frame_ends_the_link() {
    for codes in [[0, 0, 0], [code::PING, code::PAD, code::PONG], [0, 1, 77]] {
        let mut side = Played::open(ROLES[0], &Settings::default());
        for number in 0..64 {
            side.frame(codes[number % 3], b"");
        }
        assert!(side.link.end().is_none());
        side.frame(code::PAD, &[0]);
        for number in 0..64 {
            side.frame(codes[number % 3], b"");
        }
        assert!(side.link.end().is_none());
        let wire = side.seal(0, b"");
        side.bytes(&wire[..16]);
        assert_eq!(side.end().status, Status::Violation(Fault::EmptyFlood), "known by its header");
        assert_eq!(side.sent.last().unwrap().1, 1_u32.to_be_bytes());
    }
}

/// FL-6.5, FL-6.7, conformance 23: what is to be ignored changes nothing.
#[test]
fn unasked_pongs_pads_and_unknown_flags_change_nothing() {
    let mut side = Played::fresh(Mode::Psk, ROLES[1], &Settings::default());
    let mut greeting = hello(ROLES[0], 1024, 0);
    greeting[44..].fill(0xff);
    side.frame(code::HELLO, &greeting);
    assert!(side.link.is_open());
    side.frame(code::PONG, b"nobody asked");
    side.frame(code::PAD, &pattern(1 << 20));
    side.frame(code::PAD, b"");
    side.frame(0, b"data");
    assert_eq!(side.recv(4).0, b"data");
    assert_eq!(side.codes(), [code::HELLO]);
}

/// FL-6.5: a PING is answered until the own direction is closed.
#[test]
fn a_ping_is_answered_unless_the_own_direction_is_closed() {
    let mut side = Played::open(ROLES[0], &Settings::default());
    side.frame(code::PING, &[9; 64]);
    assert_eq!(side.sent.last().unwrap(), &(code::PONG, vec![9; 64]));
    side.input(Input::Close);
    side.frame(code::PING, &[9; 64]);
    assert_eq!(side.codes(), [code::HELLO, code::PONG, code::CLOSE]);
}

/// FL-6.5: PONGs wait, 16 of them, for a transport that takes nothing.
#[test]
fn a_flood_of_pings_ends_the_link_when_nothing_is_taken() {
    let mut side = Played::open(ROLES[0], &Settings::default());
    for _ in 0..1000 {
        side.frame(code::PING, b"x");
    }
    side.flushes = false;
    for _ in 0..16 {
        side.frame(code::PING, b"x");
    }
    assert!(side.link.end().is_none());
    side.frame(code::PING, b"x");
    assert_eq!(side.end().status, Status::Violation(Fault::PingFlood));
    assert_eq!(side.sent.last().unwrap(), &(code::ERROR, 2_u32.to_be_bytes().to_vec()));
}

/// FL-6.10: a code that is not known and could mean anything.
#[test]
fn unknown_control_codes_are_fatal() {
    for unknown in [0x8000_0000, 0x8000_0009, 0xffff_ffff, 0xc000_0000] {
        let mut side = Played::open(ROLES[0], &Settings::default());
        side.frame(unknown, b"");
        assert_eq!(side.end().status, Status::Violation(Fault::UnknownControl));
        assert_eq!(side.sent.last().unwrap(), &(code::ERROR, 2_u32.to_be_bytes().to_vec()));
        let mut side = Played::open(ROLES[0], &Settings::default());
        let refused = side.try_input(Input::Send { code: unknown, payload: Vec::new() });
        assert_eq!(refused.unwrap_err().fault(), Fault::UnknownControl);
    }
}

/// FL-6.1: application codes are handed up as they are, MORE and DATA too.
#[test]
fn application_codes_are_handed_up_uncut() {
    let mut pair = Pair::open(Mode::Psk, [Settings::default(), Settings::default()]);
    let messages = [(2, 100_000), (0x7fff_ffff, 1 << 20), (77, 0)];
    pair.sides[TOP].messages.extend(messages.map(|(code, length)| (code, pattern(length))));
    pair.sides[BOTTOM].buffer = 1 << 21;
    pair.run();
    let frames: Vec<_> = pair.sides[BOTTOM].frames.iter().map(|frame| (frame.code, frame.length as usize)).collect();
    assert_eq!(frames, messages);
}

/// FL-6.2: HELLO twice, or with a wrong field, is told by ERROR 2; with a wrong tag by nothing at all.
#[test]
fn a_hello_must_be_right_and_comes_once() {
    for role in ROLES {
        let right = hello(role.peer(), 1024, 0);
        for at in 0..40 {
            let mut wrong = right.clone();
            wrong[at] ^= if (36..40).contains(&at) { right[at] } else { 0x10 };
            let mut side = Played::fresh(Mode::Psk, role, &Settings::default());
            side.frame(code::HELLO, &wrong);
            let limits_remain = (36..40).contains(&at) && wrong == right;
            assert_eq!(side.link.is_open(), limits_remain, "{at}");
            if !limits_remain {
                assert_eq!(side.end().status, Status::Violation(Fault::Hello), "{at}");
                assert_eq!(side.sent.last().unwrap(), &(code::ERROR, 2_u32.to_be_bytes().to_vec()));
            }
        }
        let mut side = Played::open(role, &Settings::default());
        side.frame(code::HELLO, &right);
        assert_eq!(side.end().status, Status::Violation(Fault::Hello));
    }
}

/// FL-6.2, conformance 7: nothing but HELLO leaves before the other side's HELLO is verified.
#[test]
fn no_message_leaves_before_the_other_side_has_shown_its_key() {
    for role in ROLES {
        let mut side = Played::fresh(Mode::Psk, role, &Settings::default());
        side.send(0, b"secret");
        side.input(Input::Ping(b""));
        assert!(side.try_input(Input::Rekey).is_err());
        let greeting = hello(role.peer(), 1024, 100);
        let mut wire = side.seal(code::HELLO, &greeting);
        side.bytes(&wire[..71]);
        assert_eq!(side.codes(), [code::HELLO]);
        wire[71] ^= 1;
        side.bytes(&wire[71..]);
        assert_eq!((side.end().fault, side.codes()), (Some(Fault::HsAuth), vec![code::HELLO]));
        assert!(side.link.is_over() && side.end().in_handshake);
    }
}

/// Control frames of a wrong size.
#[test]
fn a_control_frame_has_its_size() {
    let cases: [(u32, &[usize]); 6] = [
        (code::REKEY, &[0, 31, 33]),
        (code::CLOSE, &[0, 3, 5]),
        (code::PING, &[65]),
        (code::PONG, &[65, 1000]),
        (code::ERROR, &[0, 3, 261]),
        (code::CREDIT, &[0, 3, 5, 4]),
    ];
    for (code, lengths) in cases {
        for length in lengths {
            let mut side = Played::open(ROLES[0], &Settings::default());
            // All zeros: a CREDIT of nothing has the right length and is none.
            side.frame(code, &vec![0; *length]);
            assert_eq!(side.end().status, Status::Violation(Fault::Payload), "{code:x} {length}");
            assert_eq!(side.sent.last().unwrap(), &(code::ERROR, 2_u32.to_be_bytes().to_vec()));
        }
    }
}

/// FL-6.3: a receiver takes twice what its own settings let a key seal, by frames and by blocks.
#[test]
fn a_key_that_lives_too_long_is_refused() {
    let mut settings = Settings::default();
    settings.limits.rekey_frames = 5;
    let mut side = Played::open(ROLES[0], &settings);
    for _ in 0..9 {
        side.frame(0, b"x");
    }
    assert!(side.link.end().is_none());
    side.frame(code::PAD, b"");
    assert_eq!(side.end().status, Status::Violation(Fault::RekeyOverdue));
    let mut settings = Settings::default();
    settings.limits.rekey_blocks = 100;
    let mut side = Played::open(ROLES[0], &settings);
    // HELLO took 5 of the 200.
    side.frame(0, &[0; 195 * 16 - 24]);
    assert!(side.link.end().is_none());
    let wire = side.seal(0, b"");
    side.bytes(&wire[..16]);
    assert_eq!(side.end().status, Status::Violation(Fault::RekeyOverdue));
}

/// FL-6.3: the key can be renewed at any time.
#[test]
fn a_key_can_be_renewed_by_hand() {
    let mut pair = Pair::open(Mode::Psk, [Settings::default(), Settings::default()]);
    let now = pair.now;
    for number in 0..10 {
        pair.sides[number % 2].input(now, Input::Rekey).unwrap();
        pair.give(number % 2, [pattern(number)]);
        pair.run();
    }
    assert_eq!(pair.sides[TOP].received.len() + pair.sides[BOTTOM].received.len(), 45);
    assert!(pair.sides.iter().all(|side| side.events.iter().all(|event| !matches!(event, Event::Ended(_)))));
}
