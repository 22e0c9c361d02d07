//! What happens on a connection whose sides know each other.

use super::{
    noise_peer::{NoisePeer, signed},
    pair::{ALICE, BOB, End, KNOWN, at, carry, identity, met, met_with, seconds},
};
use waypost_sremp::{
    Error, ErrorCode, Message,
    connection::{Closed, Input, Limits, Timer},
    message::{DirectMessage, ErrorMessage, Ping, Pong},
    msgpack::Blob,
};

fn direct(message_id: u64, length: usize) -> Message {
    DirectMessage { message_id, encrypted_blob: Blob(vec![7; length]) }.into()
}

#[test]
fn messages_go_both_ways() {
    let (mut alice, mut bob) = met(KNOWN, KNOWN);
    alice.send(at(1), direct(1, 100));
    alice.send(at(1), direct(2, 65000));
    bob.send(at(1), direct(3, 1));
    carry(at(1), &mut alice, &mut bob, 1000);
    assert_eq!(bob.messages(), [direct(1, 100), direct(2, 65000)]);
    assert_eq!(alice.messages(), [direct(3, 1)]);
}

/// SR-10.4: the connection works on.
#[test]
fn an_unknown_message_is_answered_and_forgotten() {
    let mut bob = End::accept(BOB);
    let mut alice = NoisePeer::meet(ALICE, &mut bob, signed(&identity(ALICE)));
    alice.received(&mut bob);
    alice.send(at(0), &mut bob, &Message::Unknown { name: "NEW".to_owned() });
    let expected = ErrorMessage { request: Some("NEW".to_owned()), ..ErrorMessage::new(ErrorCode::Unsupported) };
    assert_eq!(alice.received(&mut bob), [expected.into()]);
    // A name too long to repeat is not repeated.
    alice.send(at(0), &mut bob, &Message::Unknown { name: "N".repeat(60000) });
    assert_eq!(alice.received(&mut bob), [ErrorMessage::new(ErrorCode::Unsupported).into()]);
    alice.send(at(0), &mut bob, &Ping { nonce: 5 }.into());
    assert_eq!(alice.received(&mut bob), [Pong { nonce: 5 }.into()]);
    assert!(!bob.closed);
}

/// SR-10.4: never an ERROR for an ERROR.
#[test]
fn errors_are_told_and_not_answered() {
    let (mut alice, mut bob) = met(KNOWN, KNOWN);
    let unread = ErrorMessage { message_id: Some(7), ..ErrorMessage::new(ErrorCode::Decrypt) };
    alice.send(at(1), unread.clone());
    carry(at(1), &mut alice, &mut bob, usize::MAX);
    assert_eq!(bob.messages(), [unread.into()]);
    assert_eq!(alice.messages(), []);
    let future = ErrorMessage { code: 999, ..ErrorMessage::new(ErrorCode::Rate) };
    alice.send(at(1), future.clone());
    carry(at(1), &mut alice, &mut bob, usize::MAX);
    assert_eq!(bob.messages().last(), Some(&future.into()));
}

#[test]
fn silence_brings_a_ping_and_then_the_end() {
    let (mut alice, mut bob) = met(KNOWN, KNOWN);
    bob.wait(at(29_999));
    assert_eq!(bob.sent, b"");
    bob.wait(at(30_000));
    let ping = bob.take_sent();
    alice.give(at(30_001), &ping);
    let pong = alice.take_sent();
    assert!(!ping.is_empty() && !pong.is_empty());
    // The PONG, as any frame, starts the silence anew.
    bob.give(at(30_002), &pong);
    // Alice has asked too, and is answered.
    assert!(!bob.take_sent().is_empty());
    bob.wait(at(60_001));
    assert_eq!(bob.sent, b"");
    bob.wait(at(120_001));
    assert!(!bob.closed);
    bob.wait(at(120_002));
    assert_eq!(bob.ending(), Some(&Closed::Timeout(Timer::Silence)));
    assert_eq!(alice.messages(), []);
    assert_eq!(bob.messages(), [], "a PING of the machine's own is nobody else's business");
}

#[test]
fn who_asked_by_ping_is_told_the_answer_and_nobody_else() {
    let (mut alice, mut bob) = met(KNOWN, KNOWN);
    bob.send(at(0), Ping { nonce: 5 });
    alice.give(at(1), &bob.take_sent());
    bob.give(at(2), &alice.take_sent());
    assert_eq!(bob.messages(), [Message::Pong(Pong { nonce: 5 })]);
    // An answer that nobody asked for is dropped.
    alice.send(at(3), Pong { nonce: 6 });
    bob.give(at(4), &alice.take_sent());
    assert_eq!(bob.messages().len(), 1);
    assert!(!bob.closed);
}

#[test]
fn a_frame_that_never_ends_is_silence() {
    let (_alice, mut bob) = met(KNOWN, KNOWN);
    bob.give(at(0), &[0xff, 0xff]);
    for second in 1..=90 {
        bob.wait(seconds(second));
        bob.give(seconds(second), &[0]);
    }
    assert_eq!(bob.ending(), Some(&Closed::Timeout(Timer::Silence)));
}

/// SR-6f: the last message is sent, the other side's are still read.
#[test]
fn a_duplicate_is_closed_without_losing_messages() {
    let (mut alice, mut bob) = met(KNOWN, KNOWN);
    bob.send(at(0), direct(1, 10));
    alice.handle(at(0), Input::Close(Some(ErrorMessage::new(ErrorCode::Duplicate)))).unwrap();
    assert!(!alice.closed);
    assert!(alice.handle(at(0), Input::Send(direct(2, 10))).is_err());
    alice.give(at(1), &bob.take_sent());
    assert_eq!(alice.messages(), [direct(1, 10)]);
    bob.give(at(1), &alice.take_sent());
    assert_eq!(bob.ending(), Some(&Closed::Peer(ErrorMessage::new(ErrorCode::Duplicate))));
    alice.handle(at(2), Input::Eof).unwrap();
    assert_eq!(alice.ending(), Some(&Closed::Asked));
    assert_eq!(alice.sent, b"");
}

/// SR-6f
#[test]
fn a_duplicate_whose_peer_does_not_end_is_closed_after_two_seconds() {
    let (mut alice, mut bob) = met(KNOWN, KNOWN);
    alice.handle(at(0), Input::Close(Some(ErrorMessage::new(ErrorCode::Duplicate)))).unwrap();
    alice.take_sent();
    // Nothing is answered any more.
    bob.send(at(0), Ping { nonce: 1 });
    alice.give(at(1), &bob.take_sent());
    alice.wait(at(1999));
    assert!(!alice.closed);
    alice.wait(at(2000));
    assert_eq!(alice.ending(), Some(&Closed::Asked));
    assert_eq!(alice.sent, b"");
}

#[test]
fn a_connection_ends_when_asked_to() {
    let (mut alice, mut bob) = met(KNOWN, KNOWN);
    alice.handle(at(0), Input::Close(None)).unwrap();
    assert_eq!((alice.ending(), &alice.sent[..]), (Some(&Closed::Asked), &[][..]));
    bob.handle(at(0), Input::Eof).unwrap();
    assert_eq!(bob.ending(), Some(&Closed::Eof));
    let (mut alice, mut bob) = met(KNOWN, KNOWN);
    let refused = ErrorMessage::new(ErrorCode::Auth);
    alice.handle(at(0), Input::Close(Some(refused.clone()))).unwrap();
    carry(at(0), &mut alice, &mut bob, usize::MAX);
    assert_eq!(bob.ending(), Some(&Closed::Peer(refused)));
    // After the end nothing happens.
    bob.give(at(1), b"bytes");
    bob.handle(at(1), Input::Close(None)).unwrap();
    assert_eq!((bob.connection.poll_timeout(), bob.sent.len()), (None, 0));
    assert!(bob.handle(at(1), Input::Send(direct(1, 1))).is_err());
}

/// SR-4.1d: there is no rekey.
#[test]
fn a_connection_ends_when_its_frames_are_used_up() {
    let limits = Limits { frames: 3, ..Limits::default() };
    let (mut alice, mut bob) = met_with(KNOWN, KNOWN, limits);
    alice.send(at(0), direct(1, 1));
    alice.send(at(0), direct(2, 1));
    assert!(!alice.closed);
    alice.send(at(0), direct(3, 1));
    assert_eq!(alice.ending(), Some(&Closed::Exhausted));
    carry(at(0), &mut alice, &mut bob, usize::MAX);
    assert_eq!(bob.messages(), [direct(1, 1), direct(2, 1)]);
    // A peer that goes on all the same is not listened to.
    let mut bob = End::accept_with(BOB, Limits { frames: 2, ..Limits::default() });
    let mut alice = NoisePeer::meet(ALICE, &mut bob, signed(&identity(ALICE)));
    alice.send(at(0), &mut bob, &direct(1, 1));
    alice.send(at(0), &mut bob, &direct(2, 1));
    assert_eq!(bob.messages(), [direct(1, 1)]);
    assert_eq!(bob.ending(), Some(&Closed::Exhausted));
}

#[test]
fn a_queue_that_is_full_takes_no_more() {
    let (mut alice, mut bob) = met_with(KNOWN, KNOWN, Limits { send_queue: 1000, ..Limits::default() });
    let result = alice.handle(at(0), Input::Send(direct(1, 1000)));
    assert_eq!(result, Err(Error::Limit("send queue")));
    assert_eq!(alice.connection.send_queue_bytes(), 0);
    alice.send(at(0), direct(2, 500));
    carry(at(0), &mut alice, &mut bob, usize::MAX);
    assert_eq!(bob.messages(), [direct(2, 500)]);
}

#[test]
fn the_caller_cannot_break_the_order() {
    let mut alice = End::dial(ALICE, Default::default());
    assert!(alice.handle(at(0), Input::Send(direct(1, 1))).is_err());
    let (mut alice, _bob) = met(KNOWN, KNOWN);
    let again = Message::Identity(signed(&identity(ALICE)).clone());
    assert!(alice.handle(at(0), Input::Send(again)).is_err());
    assert!(alice.handle(at(0), Input::Judged(KNOWN)).is_err());
    assert!(!alice.closed);
}
