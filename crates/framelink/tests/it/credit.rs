//! Flow control of application bytes. Profile, Credit; conformance 21.

use crate::{
    pair::{BOTTOM, Pair, TOP, pattern},
    peer::{Played, ROLES},
};
use waypost_framelink::{
    Fault, Mode, Settings, UNLIMITED, code,
    link::{Input, Status},
};

fn credit(credit: u32) -> Settings {
    let mut settings = Settings::default();
    settings.limits.credit = credit;
    settings
}

/// FL-6.8, conformance 21: exactly half the credit passes after any traffic, one byte more is refused here.
#[test]
fn a_frame_of_half_the_credit_always_passes() {
    for (limit, before) in (1..40).flat_map(|limit| [0, 1, limit / 2, limit].map(|before| (limit, before))) {
        let mut pair = Pair::open(Mode::Psk, [Settings::default(), credit(limit)]);
        pair.give(TOP, [pattern(before as usize)]);
        pair.run();
        pair.sides[TOP].messages.push_back((9, pattern(limit as usize / 2)));
        pair.run();
        assert_eq!(pair.sides[BOTTOM].received.len(), (before + limit / 2) as usize, "{limit} after {before}");
        let now = pair.now;
        let over = Input::Send { code: 9, payload: pattern(limit as usize / 2 + 1) };
        assert_eq!(pair.sides[TOP].input(now, over).unwrap_err().fault(), Fault::TooLarge);
    }
}

/// FL-6.8: what is taken is granted again when it is half of the credit.
#[test]
fn credit_is_granted_by_halves() {
    let mut side = Played::open(ROLES[0], &credit(1001));
    side.frame(0, &[1; 1001]);
    side.recv(500);
    assert_eq!(side.codes(), [code::HELLO], "a whole frame does not fit, so nothing is taken");
    let mut buf = [0; 500];
    assert_eq!(side.link.read(side.now, &mut side.rng, &mut buf), 500);
    side.input(Input::Flushed);
    assert_eq!(side.codes(), [code::HELLO]);
    assert_eq!(side.link.read(side.now, &mut side.rng, &mut buf[..1]), 1);
    side.input(Input::Flushed);
    assert_eq!(side.sent.last().unwrap(), &(code::CREDIT, 501_u32.to_be_bytes().to_vec()));
    side.frame(0, &[1; 501]);
    assert!(side.link.end().is_none());
    side.frame(0, &[1; 1]);
    assert_eq!(side.recv(400).1.status, Status::TooSmall(500));
    side.recv(2000);
    assert!(side.link.end().is_none(), "granted again by reading");
}

/// FL-6.8: more than was granted ends the link, behind what came before.
#[test]
fn an_overrun_of_the_credit_is_fatal() {
    let mut side = Played::open(ROLES[1], &credit(10));
    side.frame(0, &[1; 10]);
    let over = side.seal(0, &[2; 11]);
    side.bytes(&over);
    let (data, received) = side.recv(100);
    assert_eq!((data, received.status), (vec![1; 10], Status::Violation(Fault::Credit)));
    assert_eq!(side.sent.last().unwrap(), &(code::ERROR, 1_u32.to_be_bytes().to_vec()));
}

/// FL-6.8: control frames cost nothing, and a frame without payload neither.
#[test]
fn control_frames_cost_no_credit() {
    let mut side = Played::open(ROLES[1], &credit(1));
    for _ in 0..100 {
        side.frame(code::PAD, &[0; 1024]);
        side.frame(code::PING, &[0; 64]);
        side.frame(0, b"");
    }
    side.frame(0, b"x");
    assert_eq!(side.recv(1).0, b"x");
}

/// FL-6.8: an allowance above 2^31 - 1 cannot be granted; one that a HELLO began with is taken as it is.
#[test]
fn credit_that_cannot_be_counted_is_fatal() {
    for (given, more, over) in [
        (0x7fff_fffe, 1, false),
        (0x7fff_ffff, 1, true),
        (0, 0x7fff_ffff, false),
        (0, 0x8000_0000, true),
        (0, u32::MAX, true),
        (0xffff_fffe, 1, true),
        (UNLIMITED, u32::MAX, false),
    ] {
        let mut side = Played::open_with(ROLES[0], &Settings::default(), 1 << 20, given);
        side.frame(code::CREDIT, &more.to_be_bytes());
        assert_eq!(side.link.end().is_some(), over, "{given:x} and {more:x}");
        if over {
            assert_eq!(side.end().status, Status::Violation(Fault::Credit));
            assert_eq!(side.sent.last().unwrap(), &(code::ERROR, 2_u32.to_be_bytes().to_vec()));
        } else {
            side.send(0, &[1; 2000]);
            assert_eq!(side.sent.last().unwrap().1.len(), 2000);
        }
    }
}

/// FL-6.8: nothing leaves without credit but what costs none; then exactly what was granted.
#[test]
fn exactly_what_was_granted_leaves() {
    let mut side = Played::open_with(ROLES[0], &Settings::default(), 1 << 20, 0);
    side.send(0, b"");
    side.send(0, b"abcdef");
    side.send(0, b"");
    assert_eq!(side.sent.split_off(1), [(0, vec![])]);
    side.frame(code::CREDIT, &1_u32.to_be_bytes());
    assert_eq!(side.sent.split_off(1), [(1, b"a".to_vec())]);
    side.frame(code::CREDIT, &4_u32.to_be_bytes());
    assert_eq!(side.sent.split_off(1), [(1, b"bcde".to_vec())]);
    side.frame(code::CREDIT, &100_u32.to_be_bytes());
    assert_eq!(side.sent.split_off(1), [(0, b"f".to_vec()), (0, vec![])]);
}

/// FL-6.8: CLOSE can grant no more, so it lifts the limit, for both who send and who receive.
#[test]
fn a_close_lifts_the_limit() {
    let mut side = Played::open_with(ROLES[0], &Settings::default(), 1024, 10);
    side.send(0, &[1; 5000]);
    side.frame(code::CLOSE, &1_u32.to_be_bytes());
    assert_eq!(side.sent.iter().skip(1).map(|(_, payload)| payload.len()).sum::<usize>(), 5000);
    side.send(77, &[1; 1024]);
    assert_eq!(side.sent.last().unwrap().1.len(), 1024);

    let mut side = Played::open(ROLES[0], &credit(10));
    side.input(Input::Close);
    side.frame(0, &[1; 100_000]);
    side.frame(0, &[1; 100_000]);
    assert_eq!(side.recv(200_000).1.status, Status::Full);
    assert_eq!(side.codes(), [code::HELLO, code::CLOSE]);
}

/// FL-6.8, Deadlock rule: without a limit, reading stops at a bound and goes on where the application reads.
#[test]
fn without_a_limit_reading_stops_at_a_bound() {
    let mut pair = Pair::open(Mode::Psk, [Settings::default(), credit(UNLIMITED)]);
    pair.sides[BOTTOM].reads = false;
    pair.give(TOP, [pattern(16 << 20)]);
    pair.sides[TOP].closes = true;
    pair.run();
    assert!(!pair.sides[BOTTOM].link.wants_bytes());
    assert!(pair.sides[BOTTOM].link.room() < 6 << 20, "{}", pair.sides[BOTTOM].link.room());
    pair.sides[BOTTOM].reads = true;
    pair.run();
    assert!(pair.sides[BOTTOM].received == pattern(16 << 20));
    assert_eq!(pair.sides[BOTTOM].status, Some(Status::Closed));
}
