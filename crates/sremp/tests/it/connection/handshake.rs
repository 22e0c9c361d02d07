//! From the first byte to the moment both sides know each other.

use super::{
    noise_peer::{NoisePeer, framed, signed, the_error},
    pair::{ALICE, BOB, End, KNOWN, at, carry, identity, keys, met, noise_secret, seconds, signing_key},
};
use waypost_core::Wall;
use waypost_sremp::{
    Error, ErrorCode, IdentityDraft, Message,
    connection::{Closed, ConnectionKeys, Dialled, Event, Input, Timer, Verdict},
    message::{ErrorMessage, Ping},
    noise::{Initiator, NoiseKeys},
    x25519::{PublicKey, Secret},
};

/// SR-4.1.1a, SR-4.1.1b, SR-4.1b: both know the other, the handshake and who dialled.
#[test]
fn two_peers_meet() {
    let (alice, bob) = met(KNOWN, KNOWN);
    let [Event::Identified(_), Event::Ready { peer, handshake_hash, we_dialled: true, minor: 0 }] = &alice.events[..]
    else {
        panic!("{:?}", alice.events)
    };
    let hash = *handshake_hash;
    assert_eq!(*peer, identity(BOB));
    let [Event::Identified(_), Event::Ready { peer, handshake_hash, we_dialled: false, minor: 0 }] = &bob.events[..]
    else {
        panic!("{:?}", bob.events)
    };
    assert_eq!((peer, handshake_hash), (&identity(ALICE), &hash));
    assert_eq!(alice.connection.bytes_out(), bob.connection.bytes_in());
    assert_eq!(alice.connection.bytes_in(), bob.connection.bytes_out());
}

#[test]
fn two_peers_meet_byte_by_byte() {
    let (mut alice, mut bob) = (End::dial(ALICE, Dialled::default()), End::accept(BOB));
    carry(at(0), &mut alice, &mut bob, 1);
    assert!(alice.has_met(BOB) && bob.has_met(ALICE));
}

/// SR-4.1c: nothing of a connection repeats in the next.
#[test]
fn each_connection_has_keys_of_its_own() {
    let mut ends = [End::dial(ALICE, Dialled::default()), End::dial(BOB, Dialled::default())];
    let [first, second] = ends.each_mut().map(End::take_sent);
    assert_eq!(first[..9], second[..9]);
    assert_ne!(first[9..], second[9..]);
}

/// SR-4.1.1a: whoever asks learns who listens only after showing an identity that is taken.
#[test]
fn a_listener_shows_its_identity_only_to_whom_it_accepts() {
    for (verdict, error) in [
        (Verdict::Refuse(ErrorCode::IdStale), Some((11, true))),
        (Verdict::Refuse(ErrorCode::IdFork), Some((12, true))),
        (Verdict::Silent, None),
    ] {
        let mut bob = End::accept(BOB);
        bob.verdict = Some(verdict);
        let mut alice = NoisePeer::meet(ALICE, &mut bob, signed(&identity(ALICE)));
        let messages = alice.received(&mut bob);
        assert!(!messages.iter().any(|message| matches!(message, Message::Identity(_))));
        assert_eq!((!messages.is_empty()).then(|| the_error(&messages)), error);
        assert_eq!(bob.ending(), Some(&Closed::Judged));
    }
}

/// SR-3.1.4b, SR-4.1.1a, SR-4.1.1b, SR-4.1.1c: the first thing that is wrong counts.
#[test]
fn a_listener_refuses_identities_that_do_not_hold() {
    let mut bad_signature = identity(ALICE).signed().clone();
    bad_signature.signature.0[0] ^= 1;
    let mut malformed = identity(ALICE).signed().clone();
    malformed.verified.0.push(0);
    let mut large = identity(ALICE).signed().clone();
    large.verified.0.resize(16385, 0);
    let own = IdentityDraft::new("Bob", noise_secret(ALICE).public(), PublicKey([3; 32]), 2, Wall::default());
    let own = own.sign(&signing_key(BOB)).unwrap().signed().clone();
    for (shown, code) in [
        (large, ErrorCode::Limit),
        (malformed, ErrorCode::Malformed),
        (bad_signature, ErrorCode::IdSig),
        // Somebody else's identity, properly signed, over the own Noise key.
        (identity(3).signed().clone(), ErrorCode::NoiseKeyMismatch),
        (own, ErrorCode::Auth),
    ] {
        let mut bob = End::accept(BOB);
        let mut alice = NoisePeer::meet(ALICE, &mut bob, &shown);
        let messages = alice.received(&mut bob);
        assert_eq!(the_error(&messages), (code.value(), true));
        assert_eq!(messages.len(), 1, "no identity comes back");
        let Some(Closed::Fault(error)) = bob.ending() else { panic!("{code}: {:?}", bob.events) };
        assert_eq!(error.code(), code);
    }
}

/// SR-4.1.1a, SR-4.1.1c
#[test]
fn a_dialler_takes_only_whom_it_dialled() {
    let mut alice = End::dial(ALICE, Dialled { identity: Some(identity(3).key()), pin: None });
    let mut bob = NoisePeer::answer(BOB, &mut alice);
    bob.send(at(0), &mut alice, &Message::Identity(signed(&identity(BOB)).clone()));
    assert_eq!(the_error(&bob.received(&mut alice)), (20, true));
    assert_eq!(alice.ending(), Some(&Closed::Fault(Error::Proof(ErrorCode::Auth))));
}

/// SR-4.1.1b: with another Noise key than the pinned one msg3 does not leave.
#[test]
fn a_dialler_with_a_pin_shows_nothing_to_another_key() {
    let pin = Some(noise_secret(3).public());
    let (mut alice, mut bob) = (End::dial(ALICE, Dialled { identity: None, pin }), End::accept(BOB));
    bob.give(at(0), &alice.take_sent());
    alice.give(at(0), &bob.take_sent());
    assert_eq!(alice.sent, b"");
    assert_eq!(alice.ending(), Some(&Closed::Fault(Error::Proof(ErrorCode::NoiseKeyMismatch))));
}

/// SR-10.2a: another protocol is not answered.
#[test]
fn a_listener_is_silent_to_other_protocols() {
    for bytes in [&b"GET / HTTP/1.1\r\n"[..], b"sremp\x01\x00", b"SREMQ", &[0, 0x2e, 0x53], &[0xff]] {
        let mut bob = End::accept(BOB);
        bob.give(at(0), bytes);
        assert_eq!(bob.sent, b"", "{bytes:?}");
        assert!(matches!(bob.ending(), Some(Closed::Fault(Error::Malformed(_)))), "{bytes:?}");
    }
}

/// SR-10.2b: a listener tells its own version before it ends; a dialler knows what is wrong.
#[test]
fn other_major_versions_end_the_connection() {
    for major in [0, 2, 255] {
        let header = [b'S', b'R', b'E', b'M', b'P', major, 0];
        let mut bob = End::accept(BOB);
        bob.give(at(0), &header);
        assert_eq!(bob.sent, b"SREMP\x01\x00");
        assert_eq!(bob.ending(), Some(&Closed::Fault(Error::Misbehaved(ErrorCode::Version))));
        let mut alice = End::dial(ALICE, Dialled::default());
        alice.give(at(0), &header);
        assert_eq!(alice.ending(), Some(&Closed::Fault(Error::Misbehaved(ErrorCode::Version))));
    }
}

/// SR-10.2b, SR-10.2c: a higher minor is understood, and cannot be changed on the way.
#[test]
fn a_changed_minor_is_noticed() {
    let (mut alice, mut bob) = (End::dial(ALICE, Dialled::default()), End::accept(BOB));
    let mut sent = alice.take_sent();
    sent[6] = 7;
    bob.give(at(0), &sent);
    // Bob's prologue has 7, Alice's has 0.
    alice.give(at(0), &bob.take_sent());
    assert!(matches!(alice.ending(), Some(Closed::Fault(Error::Crypto(ErrorCode::Decrypt)))));
    let (mut alice, mut bob) = (End::dial(ALICE, Dialled::default()), End::accept(BOB));
    bob.give(at(0), &alice.take_sent());
    let mut sent = bob.take_sent();
    sent[6] = 7;
    alice.give(at(0), &sent);
    assert_eq!(alice.ending(), Some(&Closed::Fault(Error::Misbehaved(ErrorCode::Version))));
}

/// SR-4.1d: every other length and every changed byte ends the handshake without a word.
#[test]
fn handshake_messages_have_one_length() {
    let header = b"SREMP\x01\x00";
    for frame in [framed(&[1; 31]), framed(&[1; 33]), vec![0, 0], framed(&[0; 32]), vec![0xff, 0xff]] {
        let mut bob = End::accept(BOB);
        bob.give(at(0), header);
        assert_eq!(bob.take_sent(), header);
        bob.give(at(0), &frame);
        assert_eq!(bob.sent, b"", "{frame:?}");
        assert!(matches!(bob.ending(), Some(Closed::Fault(_))), "{frame:?}");
    }
    for frame in [framed(&[1; 102]), framed(&[1; 103]), framed(&[1; 104])] {
        let mut alice = End::dial(ALICE, Dialled::default());
        alice.take_sent();
        alice.give(at(0), &[&header[..], &frame].concat());
        assert_eq!(alice.sent, b"");
        assert!(matches!(alice.ending(), Some(Closed::Fault(_))));
    }
    for frame in [framed(&[1; 63]), framed(&[1; 64]), framed(&[1; 65])] {
        let mut bob = End::accept(BOB);
        bob.give(at(0), header);
        let keys = NoiseKeys::new(noise_secret(ALICE));
        let (_, msg1) = Initiator::start(&keys, Secret::from_bytes([9; 32]), header).unwrap();
        bob.give(at(0), &framed(&msg1));
        bob.take_sent();
        bob.give(at(0), &frame);
        assert_eq!(bob.sent, b"");
        assert!(matches!(bob.ending(), Some(Closed::Fault(_))));
    }
}

/// SR-4.1.1a
#[test]
fn nothing_comes_before_the_identity() {
    for message in [Message::Ping(Ping { nonce: 1 }), Message::Unknown { name: "NEW".to_owned() }] {
        let mut bob = End::accept(BOB);
        let mut alice = NoisePeer::dial(ALICE, &mut bob);
        alice.send(at(0), &mut bob, &message);
        assert_eq!(the_error(&alice.received(&mut bob)), (2, true));
        assert!(bob.closed);
    }
    let mut bob = End::accept(BOB);
    let mut alice = NoisePeer::dial(ALICE, &mut bob);
    alice.send(at(0), &mut bob, &ErrorMessage::new(ErrorCode::Auth).into());
    assert_eq!(bob.ending(), Some(&Closed::Peer(ErrorMessage::new(ErrorCode::Auth))));
}

#[test]
fn messages_wait_while_the_identity_is_judged() {
    let mut alice = End::dial(ALICE, Dialled::default());
    alice.verdict = None;
    let mut bob = NoisePeer::answer(BOB, &mut alice);
    bob.send(at(0), &mut alice, &Message::Identity(signed(&identity(BOB)).clone()));
    assert!(!alice.connection.wants_input());
    bob.send(at(0), &mut alice, &ErrorMessage::new(ErrorCode::Rate).into());
    assert_eq!(alice.messages(), []);
    alice.handle(at(1), Input::Judged(KNOWN)).unwrap();
    assert_eq!(alice.messages(), [ErrorMessage::new(ErrorCode::Rate).into()]);
    assert!(alice.handle(at(1), Input::Judged(KNOWN)).is_err());
}

#[test]
fn a_peer_cannot_fill_memory_while_it_is_judged() {
    let mut bob = End::accept(BOB);
    bob.verdict = None;
    let _alice = NoisePeer::meet(ALICE, &mut bob, signed(&identity(ALICE)));
    for _ in 0..4 {
        bob.give(at(0), &[0xff; 65536]);
    }
    assert!(!bob.closed);
    bob.give(at(0), &[0xff; 1]);
    assert!(matches!(bob.ending(), Some(Closed::Fault(Error::Limit(_)))));
}

#[test]
fn a_silent_or_slow_peer_is_let_go() {
    // Nothing at all: 5 s.
    let mut bob = End::accept(BOB);
    bob.wait(at(4999));
    assert!(!bob.closed);
    bob.wait(at(5000));
    assert_eq!(bob.ending(), Some(&Closed::Timeout(Timer::Header)));
    // A byte of the header each second does not help.
    let mut bob = End::accept(BOB);
    for (second, byte) in (1..).zip(b"SREMP\x01\x00") {
        bob.wait(seconds(second));
        bob.give(seconds(second), &[*byte]);
    }
    assert_eq!(bob.ending(), Some(&Closed::Timeout(Timer::Header)));
    // Nor does it in the handshake: 10 s from the start.
    let mut bob = End::accept(BOB);
    bob.give(at(0), b"SREMP\x01\x00\x00\x20");
    bob.take_sent();
    for second in 1..11 {
        bob.wait(seconds(second));
        bob.give(seconds(second), &[1]);
    }
    assert_eq!(bob.ending(), Some(&Closed::Timeout(Timer::Handshake)));
    assert_eq!(bob.sent, b"");
    // A tick that comes late finds the timer run out all the same.
    let mut bob = End::accept(BOB);
    bob.give(seconds(6), b"SREMP\x01\x00");
    assert_eq!(bob.ending(), Some(&Closed::Timeout(Timer::Header)));
}

#[test]
fn identities_must_come_in_time() {
    let mut bob = End::accept(BOB);
    let _alice = NoisePeer::dial(ALICE, &mut bob);
    bob.wait(at(9999));
    assert!(!bob.closed);
    bob.wait(at(10_000));
    assert_eq!(bob.ending(), Some(&Closed::Timeout(Timer::Identity)));
    // A question that is never answered counts too.
    let mut bob = End::accept(BOB);
    bob.verdict = None;
    let _alice = NoisePeer::meet(ALICE, &mut bob, signed(&identity(ALICE)));
    bob.wait(at(10_000));
    assert_eq!(bob.ending(), Some(&Closed::Timeout(Timer::Identity)));
    assert!(bob.handle(at(10_001), Input::Judged(KNOWN)).is_ok());
    assert_eq!(bob.sent, b"");
}

/// SR-3.1c: nothing that is printed holds a secret.
#[test]
fn keys_print_no_secret() {
    // The secret's bytes are all 1; its public keys are not.
    let secret = [1u8; 32];
    for shown in [
        format!("{:?}", keys(ALICE)),
        format!("{:?}", noise_secret(ALICE)),
        format!("{:?}", signing_key(ALICE)),
        format!("{:?}", NoiseKeys::new(noise_secret(ALICE))),
    ] {
        assert!(shown.contains(".."), "{shown}");
        assert!(!shown.contains("1, 1, 1") && !shown.contains(&hex::encode(&secret[..4])), "{shown}");
    }
}

#[test]
fn keys_must_fit_the_identity() {
    assert!(ConnectionKeys::new(noise_secret(BOB), identity(ALICE)).is_err());
    assert_eq!(*keys(BOB).identity(), identity(BOB));
}
