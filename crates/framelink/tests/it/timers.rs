//! What happens when nothing, or too little, happens. Conformance 22.

use crate::{
    pair::{BOTTOM, Pair, TOP, pattern},
    peer::{Played, ROLES},
};
use std::time::Duration;
use waypost_framelink::{
    Fault, Mode, Settings, code,
    link::{Event, Input, Output, Status},
};

fn settings() -> [Settings; 2] {
    [Settings::default(), Settings::default()]
}

/// FL-5.4: ten seconds from connecting to the other side's HELLO.
#[test]
fn a_handshake_takes_ten_seconds_at_most() {
    for mode in [Mode::Psk, Mode::Hybrid] {
        for (index, cut) in [(TOP, 0), (TOP, 39), (TOP, 41), (BOTTOM, 0), (BOTTOM, 7), (BOTTOM, 55)] {
            let mut donor = Pair::same(mode, &Settings::default());
            donor.sides.iter_mut().for_each(|side| side.records = true);
            donor.run();
            let came = donor.sides[1 - index].wire[..cut].to_vec();
            let mut pair = Pair::same(mode, &Settings::default());
            let now = pair.now;
            let side = &mut pair.sides[index];
            side.input(now, Input::Bytes(&came)).unwrap();
            assert_eq!(side.link.poll_timeout().unwrap().as_millis(), 10_000);
            let late = crate::pair::at(10);
            side.input(late, Input::Tick).unwrap();
            assert_eq!(side.end().fault, Some(Fault::HsTimeout), "{mode} {cut}");
            assert!(side.link.is_over() && side.end().in_handshake);
        }
    }
    let mut side = Played::fresh(Mode::Psk, ROLES[0], &Settings::default());
    side.until(9_999);
    assert!(side.link.end().is_none());
    side.until(10_000);
    assert_eq!((side.end().fault, side.codes()), (Some(Fault::HsTimeout), vec![code::HELLO]));
}

/// FL-6.5: a sign of life is asked for every minute, and the other side given up after 150 s.
#[test]
fn a_dead_peer_is_given_up_after_two_pings() {
    let mut side = Played::open(ROLES[0], &Settings::default());
    for (millis, pings) in [(59_999, 0), (60_000, 1), (119_999, 1), (120_000, 2), (149_999, 2)] {
        side.until(millis);
        assert_eq!(side.codes().iter().filter(|code| **code == code::PING).count(), pings, "{millis}");
        assert!(side.link.end().is_none());
    }
    side.until(150_000);
    assert_eq!((side.end().status, side.end().fault), (Status::Timeout, Some(Fault::Timeout)));
    assert_eq!(side.sent.last().unwrap(), &(code::ERROR, 3_u32.to_be_bytes().to_vec()));
}

/// FL-6.5: what is not verified is no sign of life.
#[test]
fn half_a_frame_is_no_sign_of_life() {
    let mut settings = Settings::default();
    settings.timing.frame = Duration::from_secs(1000);
    let mut side = Played::open(ROLES[0], &settings);
    let frame = side.seal(0, &[1; 200]);
    for (number, byte) in frame[..150].iter().enumerate() {
        side.until(number as u64 * 1000);
        side.bytes(&[*byte]);
        assert!(side.link.end().is_none(), "{number}");
    }
    side.until(150_000);
    assert_eq!(side.end().status, Status::Timeout);
}

/// FL-6.5: two idle sides keep each other alive.
#[test]
fn an_idle_link_lives_on() {
    for mode in [Mode::Psk, Mode::Raw] {
        let mut pair = Pair::open(mode, settings());
        pair.seconds(100_000);
        assert!(pair.sides.iter().all(|side| side.link.is_open() && side.link.end().is_none()), "{mode}");
        if mode == Mode::Raw {
            assert!(pair.sides.iter().all(|side| side.bursts.is_empty()), "raw sends no frame of its own");
        }
        pair.give(TOP, [pattern(5)]);
        pair.run();
        assert_eq!(pair.sides[BOTTOM].received, pattern(5));
    }
}

/// Conformance 22.
#[test]
fn a_link_with_one_closed_direction_lives_on_idle() {
    for closed in [TOP, BOTTOM] {
        let mut pair = Pair::open(Mode::Psk, settings());
        pair.sides[closed].closes = true;
        pair.seconds(3 * 60 + 30);
        pair.seconds(1000);
        assert!(pair.sides.iter().all(|side| side.link.end().is_none()));
        pair.give(1 - closed, [pattern(70_000)]);
        pair.sides[1 - closed].closes = true;
        pair.run();
        pair.assert_closed();
        assert_eq!(pair.sides[closed].received, pattern(70_000));
    }
}

/// FL-6.5: a side whose own direction is closed says nothing when it gives up.
#[test]
fn a_closed_side_gives_up_in_silence() {
    let mut side = Played::open(ROLES[0], &Settings::default());
    side.input(Input::Close);
    side.until(150_000);
    assert_eq!(side.end().status, Status::Timeout);
    assert_eq!(side.codes(), [code::HELLO, code::CLOSE]);
    assert_eq!(side.orders, [Output::Shutdown, Output::Disconnect]);
}

/// FL-6.5: a direction whose CLOSE still waits for credit is open, and asks for signs of life.
#[test]
fn a_side_that_waits_to_close_keeps_asking() {
    let mut calm = Settings::default();
    calm.timing.keepalive = None;
    calm.limits.credit = 100;
    let mut pair = Pair::open(Mode::Psk, [Settings::default(), calm]);
    pair.sides[BOTTOM].reads = false;
    pair.give(TOP, [pattern(1000)]);
    pair.sides[TOP].closes = true;
    pair.seconds(1000);
    assert_eq!(pair.sides[TOP].link.end(), None, "the other side answers");
    pair.sides[BOTTOM].reads = true;
    pair.sides[BOTTOM].closes = true;
    pair.run();
    pair.assert_closed();
}

/// FL-3.6: one byte a second is cut off by the frame timer, though each byte is progress.
#[test]
fn one_byte_a_second_is_cut_off() {
    for mode in [Mode::Psk, Mode::Raw] {
        let mut side = if mode == Mode::Raw {
            Played::raw(ROLES[0], &Settings::default())
        } else {
            Played::open(ROLES[0], &Settings::default())
        };
        side.frame(0, b"before");
        let frame = side.seal(0, &[1; 100]);
        let mut cut = None;
        for (number, byte) in frame.iter().enumerate() {
            side.until(number as u64 * 1000);
            if side.link.end().is_some() {
                cut = Some(number);
                break;
            }
            side.bytes(&[*byte]);
        }
        assert_eq!(cut, Some(30), "{mode}");
        let (data, received) = side.recv(64);
        assert_eq!((data.as_slice(), received.status), (&b"before"[..], Status::Timeout));
        let last = side.sent.last().cloned();
        let error = (code::ERROR, 3_u32.to_be_bytes().to_vec());
        assert_eq!(last, (mode != Mode::Raw).then_some(error));
    }
}

/// A large frame has the time that its length takes at 16 KiB/s.
#[test]
fn a_large_frame_may_take_longer() {
    let mut side = Played::raw(ROLES[0], &Settings::default());
    let frame = side.seal(0, &pattern(1 << 20));
    side.bytes(&frame[..100]);
    assert_eq!(side.link.poll_timeout().unwrap().as_millis(), 30_000 + 64_000);
    side.until(93_999);
    side.bytes(&frame[100..]);
    assert_eq!(side.recv(1 << 20).1.status, Status::Full);
    assert_eq!(side.link.poll_timeout(), None);
}

/// The timer is that of a frame: the next one has its own.
#[test]
fn frames_back_to_back_each_have_their_time() {
    let mut side = Played::open(ROLES[0], &Settings::default());
    let wire: Vec<u8> = (0..40_u8).flat_map(|number| side.seal(0, &[number; 10])).collect();
    for (number, bytes) in wire.chunks(17).enumerate() {
        side.until(number as u64 * 5000);
        side.bytes(bytes);
        assert!(side.link.end().is_none(), "{number}");
    }
    assert_eq!(side.recv(400).1.status, Status::Full);
}

/// Deadlock rule: while nobody reads, the timers of what comes in stand still.
#[test]
fn timers_stand_still_while_nobody_reads() {
    let mut few = Settings::default();
    few.limits.unread_frames = 2;
    let mut side = Played::open(ROLES[0], &few);
    let wire = [0_u8; 6].map(|byte| side.seal(0, &[byte; 10])).concat();
    side.bytes(&wire[..wire.len() - 3]);
    assert!(!side.link.wants_bytes());
    side.until(10_000_000);
    assert_eq!(side.link.end(), None);
    side.recv(50);
    assert!(side.link.wants_bytes());
    side.until(10_029_000);
    assert_eq!(side.link.end(), None, "its time begins when reading does");
    side.until(10_030_000);
    assert_eq!(side.end().status, Status::Timeout);
}

/// FL-6.5: a PING is answered with the same bytes, and the answer told.
#[test]
fn a_ping_comes_back() {
    let mut pair = Pair::open(Mode::Hybrid, settings());
    let now = pair.now;
    for payload in [&b""[..], &[7; 64]] {
        pair.sides[BOTTOM].input(now, Input::Ping(payload)).unwrap();
        pair.run();
        assert_eq!(pair.sides[BOTTOM].events.last(), Some(&Event::Pong(payload.to_vec())));
    }
    assert_eq!(pair.sides[TOP].input(now, Input::Ping(&[7; 65])).unwrap_err().fault(), Fault::TooLarge);
    let mut raw = Pair::open(Mode::Raw, settings());
    assert!(raw.sides[TOP].input(now, Input::Ping(b"")).is_err());
}
