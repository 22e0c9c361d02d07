//! How directions and links end. Conformance 11, 12, 20.

use crate::{
    pair::{BOTTOM, Pair, TOP, pattern},
    peer::{Played, ROLES, wire_len},
};
use waypost_framelink::{
    Fault, Mode, Settings, code,
    link::{Event, Input, Output, Status},
};

fn settings() -> [Settings; 2] {
    [Settings::default(), Settings::default()]
}

/// FL-4.4, FL-6.4, conformance 12: a stream that ends anywhere but behind the whole CLOSE was cut.
#[test]
fn a_stream_cut_at_any_offset_is_truncated_but_for_the_whole() {
    for role in ROLES {
        let mut peer = Played::open(role, &Settings::default());
        let frames =
            [peer.seal(0, b"first"), peer.seal(code::PAD, &[0; 9]), peer.seal(0, b""), peer.seal(0, b"second")];
        let close = peer.seal(code::CLOSE, &1_u32.to_be_bytes());
        let wire = [frames.concat(), close].concat();
        for cut in 0..=wire.len() {
            let mut side = Played::open(role, &Settings::default());
            side.bytes(&wire[..cut]);
            side.input(Input::Eof);
            let (data, received) = side.recv(64);
            let whole = cut == wire.len();
            let expected: &[u8] = match cut {
                _ if cut < wire_len(5) => b"",
                _ if cut < wire.len() - wire_len(4) => b"first",
                _ => b"firstsecond",
            };
            assert_eq!(data, expected, "{role} cut at {cut}");
            assert_eq!(received.status, if whole { Status::Closed } else { Status::Truncated }, "{role} cut at {cut}");
            assert_eq!(side.recv(64).1.status, received.status, "{role} cut at {cut}, again");
            // An end that nothing proves is a reason to be silent; a proved one ends one direction.
            assert_eq!(side.link.is_over(), !whole, "{role} cut at {cut}");
            assert_eq!(side.codes(), [code::HELLO], "{role} cut at {cut}");
        }
    }
}

/// FL-4.4: EOF before the other side's HELLO has its own kind.
#[test]
fn a_stream_that_ends_before_hello_is_a_handshake_that_failed() {
    for mode in [Mode::Psk, Mode::Hybrid] {
        for ends in [TOP, BOTTOM] {
            let mut pair = Pair::same(mode, &Settings::default());
            let now = pair.now;
            pair.sides[ends].input(now, Input::Eof).unwrap();
            let end = pair.sides[ends].end();
            assert_eq!((end.status, end.fault, end.in_handshake), (Status::Truncated, Some(Fault::HsClosed), true));
        }
    }
    let mut side = Played::fresh(Mode::Psk, ROLES[0], &Settings::default());
    side.input(Input::Eof);
    assert_eq!(side.end().fault, Some(Fault::HsClosed));
}

/// FL-6.4: bytes behind CLOSE are never parsed, and the own direction goes on.
#[test]
fn nothing_behind_a_close_is_looked_at() {
    let mut side = Played::open(ROLES[0], &Settings::default());
    side.frame(code::CLOSE, &1_u32.to_be_bytes());
    side.bytes(&[0xff; 1000]);
    side.input(Input::Eof);
    side.send(0, b"still here");
    assert_eq!(side.sent.last().unwrap().1, b"still here");
    assert!(side.events.contains(&Event::PeerClosed { received: 1 }));
    side.input(Input::Close);
    assert_eq!((side.end().status, side.orders.last()), (Status::Closed, Some(&Output::Disconnect)));
}

/// FL-6.4: CLOSE says how much was verified.
#[test]
fn a_close_tells_what_was_received() {
    let mut pair = Pair::open(Mode::Psk, settings());
    pair.give(TOP, [pattern(10), pattern(10)]);
    pair.run();
    pair.sides[BOTTOM].closes = true;
    pair.run();
    assert_eq!(pair.sides[TOP].peer_closed(), Some(3), "HELLO and two messages");
    let now = pair.now;
    let refused = pair.sides[BOTTOM].input(now, Input::Send { code: 0, payload: vec![1] });
    assert_eq!(refused.unwrap_err().fault(), Fault::Closed);
    assert_eq!(pair.sides[BOTTOM].input(now, Input::Rekey).unwrap_err().fault(), Fault::Closed);
    assert_eq!(pair.sides[BOTTOM].input(now, Input::Ping(b"")).unwrap_err().fault(), Fault::Closed);
}

/// FL-6.4: what is asked before the link is open is done as soon as it is.
#[test]
fn a_close_before_the_link_is_open_is_not_forgotten() {
    for mode in [Mode::Psk, Mode::Hybrid] {
        for early in [TOP, BOTTOM] {
            let mut pair = Pair::same(mode, &Settings::default());
            let now = pair.now;
            pair.sides[early].input(now, Input::Close).unwrap();
            pair.sides[1 - early].closes = true;
            pair.run();
            pair.assert_closed();
        }
    }
}

/// Before there is a key nothing can be sent, and the link says so.
#[test]
fn there_is_no_room_for_messages_before_there_is_a_key() {
    let mut pair = Pair::same(Mode::Psk, &Settings::default());
    let now = pair.now;
    for side in &mut pair.sides {
        assert!(!side.link.can_send());
        let refused = side.input(now, Input::Send { code: 0, payload: vec![1] });
        assert_eq!(refused.unwrap_err().fault(), Fault::Closed);
    }
}

/// FL-4.4: a reset behind the other side's CLOSE loses nothing that came; one before it cuts.
#[test]
fn a_reset_is_a_cut_unless_everything_came() {
    for closes in [false, true] {
        let mut pair = Pair::open(Mode::Psk, settings());
        pair.sides[TOP].reads = false;
        pair.give(BOTTOM, [pattern(100)]);
        pair.sides[BOTTOM].closes = closes;
        pair.run();
        let now = pair.now;
        pair.sides[TOP].input(now, Input::Broken).unwrap();
        assert!(pair.sides[TOP].link.is_over());
        pair.sides[TOP].reads = true;
        pair.run();
        assert_eq!(pair.sides[TOP].received, pattern(100));
        let end = if closes { Status::Closed } else { Status::Truncated };
        assert_eq!(pair.sides[TOP].status, Some(end));
    }
}

/// FL-6.6: what the local side says last; the other side hears it and answers nothing.
#[test]
fn an_abort_is_told_and_answered_by_nothing() {
    let mut pair = Pair::open(Mode::Psk, settings());
    pair.give(BOTTOM, [pattern(10)]);
    pair.run();
    let now = pair.now;
    let text = "a long way \u{1b}[2J ".repeat(40);
    pair.sides[BOTTOM].input(now, Input::Abort { code: code::error::UPSTREAM, text: &text }).unwrap();
    pair.sides[TOP].bursts.clear();
    pair.run();
    let end = pair.sides[TOP].end();
    assert_eq!(end.status, Status::PeerError(6));
    let told = end.text.as_ref().unwrap();
    assert!(told.starts_with("a long way \u{fffd}[2J ") && told.chars().count() <= 256, "{told}");
    assert!(end.to_string().starts_with("the other side ended it: UPSTREAM (a long way"));
    assert!(pair.sides[TOP].bursts.is_empty());
    assert_eq!(pair.sides[BOTTOM].end().status, Status::Aborted(6));
    assert!(pair.sides.iter().all(|side| side.link.is_over()));
}

/// FL-6.6: without a way to say it, only a reset of the transport keeps an abort from looking like an end.
#[test]
fn an_abort_that_cannot_be_told_resets() {
    let mut closed = Pair::open(Mode::Psk, settings());
    closed.sides[TOP].closes = true;
    closed.run();
    for mut pair in [closed, Pair::open(Mode::Raw, settings()), Pair::same(Mode::Psk, &Settings::default())] {
        let now = pair.now;
        pair.sides[TOP].input(now, Input::Abort { code: 5, text: "" }).unwrap();
        pair.run();
        assert!(pair.sides[TOP].was_reset);
    }
}

/// An ERROR of this side is the last frame, and the transport stays for a moment so that it arrives.
#[test]
fn last_words_get_a_moment_to_arrive() {
    let mut side = Played::open(ROLES[1], &Settings::default());
    side.frame(0x8000_0009, b"");
    assert_eq!(
        (side.end().status, side.orders.as_slice()),
        (Status::Violation(Fault::UnknownControl), &[Output::Shutdown][..])
    );
    side.until(999);
    side.bytes(&[1; 100]);
    assert_eq!(side.orders.len(), 1);
    side.until(1000);
    assert_eq!(side.orders.last(), Some(&Output::Disconnect));
    let mut side = Played::open(ROLES[1], &Settings::default());
    side.frame(0x8000_0009, b"");
    side.input(Input::Eof);
    assert_eq!(side.orders.last(), Some(&Output::Disconnect), "nobody is there to take them");
}

/// Linger: whoever is done with a link waits 30 s for the other side's CLOSE.
#[test]
fn a_finished_link_waits_half_a_minute_for_the_other_sides_close() {
    let mut pair = Pair::open(Mode::Psk, settings());
    let now = pair.now;
    pair.sides[TOP].input(now, Input::Finish).unwrap();
    pair.run();
    assert_eq!(pair.sides[BOTTOM].status, Some(Status::Closed));
    pair.give(BOTTOM, [pattern(100_000)]);
    pair.seconds(29);
    assert!(!pair.sides[TOP].link.is_over());
    pair.seconds(1);
    assert!(pair.sides[TOP].link.is_over());
    assert!(pair.sides[TOP].received.is_empty());
}

/// A side that is done still takes, and grants, what the other has to say, or neither could ever close.
#[test]
fn a_finished_side_lets_the_other_finish_too() {
    let mut small = Settings::default();
    small.limits.credit = 1000;
    for finisher_reads_first in [false, true] {
        let mut pair = Pair::open(Mode::Psk, [small.clone(), small.clone()]);
        pair.give(TOP, [pattern(5000)]);
        pair.give(BOTTOM, [pattern(5000)]);
        pair.sides[BOTTOM].closes = true;
        pair.sides[TOP].reads = finisher_reads_first;
        // It writes everything before it reads.
        pair.sides[BOTTOM].reads = false;
        pair.run();
        let now = pair.now;
        pair.sides[TOP].input(now, Input::Finish).unwrap();
        pair.run();
        assert!(pair.sides[TOP].peer_closed().is_some(), "{:?}", pair.sides[TOP].events);
        pair.sides[BOTTOM].reads = true;
        pair.run();
        assert_eq!(pair.sides[BOTTOM].received, pattern(5000));
        assert_eq!(pair.sides[BOTTOM].status, Some(Status::Closed));
    }
}

/// The same where nothing more was parsed, for nobody read.
#[test]
fn a_finished_side_parses_what_it_had_stopped_at() {
    let mut few = Settings::default();
    few.limits.unread_frames = 3;
    let mut pair = Pair::open(Mode::Psk, [few, Settings::default()]);
    pair.sides[TOP].reads = false;
    pair.give(BOTTOM, (0..20).map(pattern));
    pair.sides[BOTTOM].closes = true;
    pair.run();
    let now = pair.now;
    pair.sides[TOP].input(now, Input::Finish).unwrap();
    pair.run();
    assert_eq!(pair.sides[TOP].end().status, Status::Closed);
}

/// Linger: what is queued when a side is done still has the time it takes to leave.
#[test]
fn a_finished_side_has_time_to_write_what_is_queued() {
    let mut pair = Pair::open(Mode::Psk, settings());
    pair.give(TOP, [pattern(900_000)]);
    pair.room = 20_000;
    pair.step();
    let now = pair.now;
    pair.sides[TOP].input(now, Input::Finish).unwrap();
    // 20 kB in each second: 45 s in all.
    for second in 1..50 {
        pair.step();
        pair.now = crate::pair::at(second);
        for side in &mut pair.sides {
            if side.link.poll_timeout().is_some_and(|due| due <= pair.now.mono) {
                side.input(pair.now, Input::Tick).unwrap();
            }
        }
    }
    assert_eq!(pair.sides[BOTTOM].received.len(), 900_000);
    assert_eq!(pair.sides[BOTTOM].status, Some(Status::Closed));
}
