//! What waits, and how much of it: messages on their way out, frames nobody reads.

use crate::{
    pair::{BOTTOM, Pair, TOP, pattern},
    peer::{Played, ROLES},
};
use waypost_framelink::{
    Duplex, Fault, Mode, Settings, code,
    link::{Input, Status},
};

/// The queue has a bound; a message larger than what is left of it still finds room in an emptier one.
#[test]
fn a_full_queue_takes_no_more_until_something_leaves() {
    let mut settings = Settings::default();
    settings.limits.queue = 1000;
    let mut side = Played::open_with(ROLES[0], &settings, 1 << 20, 0);
    side.send(0, &[1; 999]);
    assert!(side.link.can_send());
    side.send(0, &[1; 5000]);
    assert!(!side.link.can_send());
    let refused = side.try_input(Input::Send { code: 0, payload: vec![1] });
    assert_eq!(refused.unwrap_err().fault(), Fault::QueueFull);
    side.flushes = false;
    side.frame(code::CREDIT, &5999_u32.to_be_bytes());
    assert!(!side.link.can_send(), "the transport has not taken it");
    side.input(Input::Flushed);
    assert!(side.link.can_send());
}

/// Messages without bytes are messages too: they do not wait without number.
#[test]
fn empty_messages_fill_the_queue() {
    let mut settings = Settings::default();
    settings.limits.queue = 10_000;
    let mut side = Played::open_with(ROLES[0], &settings, 1 << 20, 0);
    side.send(0, b"x");
    let mut waiting = 0;
    while side.link.can_send() {
        side.send(0, b"");
        waiting += 1;
        assert!(waiting < 10_000, "no bound");
    }
    side.frame(code::CREDIT, &1_u32.to_be_bytes());
    assert!(side.link.can_send());
}

/// PINGs wait in the same queue.
#[test]
fn pings_do_not_wait_without_number() {
    let mut settings = Settings::default();
    settings.limits.queue = 10_000;
    let mut side = Played::open(ROLES[0], &settings);
    side.flushes = false;
    let refused = (0..1000).find_map(|_| side.try_input(Input::Ping(&[1; 64])).err());
    assert_eq!(refused.map(waypost_framelink::Error::fault), Some(Fault::QueueFull));
}

/// Nobody's frames take memory without a bound: empty ones cost no credit, so their number is bounded.
#[test]
fn frames_nobody_reads_are_bounded_in_number() {
    for (mode, payload) in [(Mode::Psk, &b""[..]), (Mode::Psk, b"x"), (Mode::Raw, b""), (Mode::Raw, b"x")] {
        let mut settings = Settings::default();
        settings.limits.unread_frames = 1000;
        settings.limits.empty_frames = u32::MAX;
        let mut side = match mode {
            Mode::Raw => Played::raw(ROLES[0], &settings),
            _ => Played::open(ROLES[0], &settings),
        };
        let mut sent = 0_u32;
        while side.link.wants_bytes() {
            side.frame(0, payload);
            sent += 1;
            assert!(sent < 2000, "no bound");
        }
        assert_eq!(sent, 1001, "one more than can be kept");
        assert!(side.link.room() < 1 << 18, "{}", side.link.room());
        let (mut buf, mut got) = (vec![0; 5000], 0);
        let received = side.link.recv(side.now, &mut side.rng, &mut buf);
        got += received.frames.len();
        assert_eq!((got, received.status), (1001, Status::Slow));
    }
}

/// The default bound, in bytes of memory.
#[test]
fn the_memory_of_a_link_nobody_reads_is_bounded() {
    let mut side = Played::open(ROLES[0], &Settings::default());
    let mut rounds = 0;
    while side.link.wants_bytes() && side.link.end().is_none() && rounds < 20_000 {
        let burst = [side.seal(0, b"x"), [0_u8; 60].iter().flat_map(|_| side.seal(0, b"")).collect()].concat();
        side.bytes(&burst);
        rounds += 1;
    }
    assert!(!side.link.wants_bytes(), "{rounds}");
    assert!(side.link.room() < 8 << 20, "{}", side.link.room());
}

/// Deadlock rule: reading goes on as soon as part of what waits was read, for there may be CREDIT behind it.
#[test]
fn reading_part_of_what_waits_lets_the_rest_be_parsed() {
    let mut settings = Settings::default();
    settings.limits.unread_frames = 10;
    let mut side = Played::open_with(ROLES[0], &settings, 1 << 20, 0);
    side.send(0, b"waits");
    let mut wire: Vec<u8> = (0..12).flat_map(|_| side.seal(0, b"12345678")).collect();
    wire.extend(side.seal(code::CREDIT, &100_u32.to_be_bytes()));
    side.bytes(&wire);
    assert!(!side.link.wants_bytes());
    side.recv(8 * 8);
    assert!(side.link.wants_bytes());
    assert_eq!(side.sent.last().unwrap().1, b"waits");
}

/// FL-4.1, FL-4.2: in strict duplex no frame is begun while one is coming in.
#[test]
fn strict_duplex_begins_no_frame_while_one_comes_in() {
    for mode in [Mode::Psk, Mode::Raw] {
        let settings = Settings { duplex: Duplex::Strict, ..Settings::default() };
        let mut side = match mode {
            Mode::Raw => Played::raw(ROLES[0], &settings),
            _ => Played::open(ROLES[0], &settings),
        };
        let begun = side.wire.len();
        let frame = side.seal(0, b"coming");
        for cut in 1..frame.len() {
            let mut bytes = &frame[cut - 1..cut];
            side.bytes(bytes);
            if cut == 5 {
                side.send(0, b"going");
            }
            if cut == 7 && mode == Mode::Psk {
                side.input(Input::Rekey);
                side.input(Input::Ping(b""));
            }
            bytes = &[];
            side.bytes(bytes);
            assert_eq!(side.wire.len(), begun, "{mode} {cut}");
        }
        side.bytes(&frame[frame.len() - 1..]);
        assert!(side.sent.iter().any(|(_, payload)| payload == b"going"), "{mode}");
        if mode == Mode::Psk {
            assert!(side.codes().contains(&code::REKEY) && side.codes().contains(&code::PING));
        }
    }
}

/// FL-4.1: two strict sides do not wait for each other for ever.
#[test]
fn strict_duplex_does_not_hang() {
    for mode in [Mode::Psk, Mode::Raw] {
        let mut settings = Settings { duplex: Duplex::Strict, ..Settings::default() };
        settings.limits.credit = 3000;
        let mut pair = Pair::open(mode, [settings.clone(), settings]);
        (pair.segment, pair.room) = (777, 1000);
        for index in [TOP, BOTTOM] {
            pair.give(index, [pattern(100_000), pattern(70)]);
        }
        pair.run();
        assert!(pair.sides.iter().all(|side| side.received.len() == 100_070), "{mode}");
        pair.sides.iter_mut().for_each(|side| side.closes = true);
        pair.run();
        assert!(pair.sides.iter().all(|side| side.link.is_over()));
    }
}

/// FL-1.3: what a direction does, by what was handed out and what has begun to come in.
#[test]
fn a_link_says_what_it_does() {
    let mut side = Played::open(ROLES[0], &Settings::default());
    let name = |side: &Played| side.link.activity().name();
    assert_eq!(name(&side), "WAIT");
    side.flushes = false;
    side.send(0, b"x");
    assert_eq!(name(&side), "SEND");
    let frame = side.seal(0, b"y");
    side.bytes(&frame[..1]);
    assert_eq!(name(&side), "SEND+RECV");
    side.input(Input::Flushed);
    assert_eq!(name(&side), "RECV");
    side.bytes(&frame[1..24]);
    assert_eq!(name(&side), "RECV", "until the tag is checked");
    side.bytes(&frame[24..]);
    assert_eq!(name(&side), "WAIT");
    let fresh = Pair::same(Mode::Psk, &Settings::default());
    assert_eq!(fresh.sides[BOTTOM].link.activity().name(), "WAIT");
}
