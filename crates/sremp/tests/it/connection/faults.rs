//! Peers that break the rules once they are known, and bytes that mean nothing.

use super::{
    noise_peer::{NoisePeer, signed, the_error},
    pair::{ALICE, BOB, End, KNOWN, at, carry, identity, met},
};
use proptest::prelude::*;
use waypost_sremp::{
    Error, ErrorCode, Message,
    connection::{Closed, Dialled, Input},
    message::{DirectMessage, Ping},
    msgpack::Blob,
};

fn known_peer() -> (NoisePeer, End) {
    let mut bob = End::accept(BOB);
    let mut alice = NoisePeer::meet(ALICE, &mut bob, signed(&identity(ALICE)));
    assert!(matches!(alice.received(&mut bob)[..], [Message::Identity(_)]));
    (alice, bob)
}

/// SR-10.1c, SR-10.4
#[test]
fn malformed_messages_end_the_connection() {
    let ping = Message::from(Ping { nonce: 1 }).encode();
    let mut trailing = ping.clone();
    trailing.push(0xc0);
    let mut duplicate_keys = b"\x82\xa4PING\x81\xa5nonce\x01".to_vec();
    duplicate_keys.extend_from_slice(b"\xa4PING\x81\xa5nonce\x01");
    let mut deep = vec![0x81, 0xa1, b'X'];
    deep.resize(60_000, 0x91);
    let mut wide = b"\x81\xa1X\x81\xa1y\xdd\x00\x00\xe0\x00".to_vec();
    wide.resize(60_000, 0xc0);
    let plaintexts = [
        ping[..ping.len() - 1].to_vec(),
        trailing,
        duplicate_keys,
        deep,
        wide,
        b"\x81\xa4PING\x81\xa5nonce\xca\x00\x00\x00\x00".to_vec(),
        b"\x81\xa1X\xdf\xff\xff\xff\xff".to_vec(),
        b"\xc1".to_vec(),
    ];
    for plaintext in plaintexts {
        let (mut alice, mut bob) = known_peer();
        alice.send_raw(at(0), &mut bob, &plaintext);
        assert_eq!(the_error(&alice.received(&mut bob)), (2, true), "{plaintext:?}");
        assert!(matches!(bob.ending(), Some(Closed::Fault(Error::Malformed(_)))));
    }
}

/// SR-4.1.1a
#[test]
fn a_second_identity_ends_the_connection() {
    let (mut alice, mut bob) = known_peer();
    alice.send(at(0), &mut bob, &Message::Identity(signed(&identity(ALICE)).clone()));
    assert_eq!(the_error(&alice.received(&mut bob)), (2, true));
    assert!(bob.closed);
}

/// SR-4.1d, SR-A2
#[test]
fn frames_that_do_not_decrypt_end_the_connection_without_a_word() {
    // A changed byte, a repeated frame, a frame too short for a tag, somebody else's bytes.
    let seal = |alice: &mut End| {
        alice.send(at(0), Ping { nonce: 1 });
        alice.take_sent()
    };
    let spoilers: [fn(Vec<u8>) -> Vec<u8>; 4] = [
        |mut frame| {
            *frame.last_mut().unwrap() ^= 1;
            frame
        },
        |frame| [frame.clone(), frame].concat(),
        |_| vec![0, 1, 1],
        |_| [&[0xff; 2][..], &[7; 65535]].concat(),
    ];
    for spoil in spoilers {
        let (mut alice, mut bob) = met(KNOWN, KNOWN);
        let frame = spoil(seal(&mut alice));
        bob.give(at(0), &frame);
        assert_eq!(bob.ending(), Some(&Closed::Fault(Error::Crypto(ErrorCode::Decrypt))));
    }
}

/// SR-4.1d
#[test]
fn empty_frames_and_empty_messages_are_malformed() {
    let (mut alice, mut bob) = known_peer();
    bob.give(at(0), &[0, 0]);
    assert_eq!(the_error(&alice.received(&mut bob)), (2, true));
    assert!(alice.transport.seal(&[], &mut Vec::new()).is_err());
}

#[test]
fn a_stream_that_ends_within_a_frame_is_a_fault() {
    let (mut alice, mut bob) = met(KNOWN, KNOWN);
    alice.send(at(0), Ping { nonce: 1 });
    let sent = alice.take_sent();
    bob.give(at(0), &sent[..sent.len() - 1]);
    bob.handle(at(0), Input::Eof).unwrap();
    assert!(matches!(bob.ending(), Some(Closed::Fault(Error::Malformed(_)))));
}

/// SR-10.4: one connection that fails is nothing to another.
#[test]
fn a_fault_ends_only_its_own_connection() {
    let (mut alice, mut bob) = met(KNOWN, KNOWN);
    let (mut mallory, mut victim) = known_peer();
    mallory.send_raw(at(0), &mut victim, b"\xc1");
    assert!(victim.closed);
    let message: Message = DirectMessage { message_id: 1, encrypted_blob: Blob(vec![1]) }.into();
    alice.send(at(1), message.clone());
    carry(at(1), &mut alice, &mut bob, usize::MAX);
    assert_eq!(bob.messages(), [message]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_bytes_hurt_a_listener(bytes: Vec<u8>, has_header: bool) {
        let mut bob = End::accept(BOB);
        if has_header {
            bob.give(at(0), b"SREMP\x01\x00");
        }
        bob.give(at(0), &bytes);
        bob.wait(at(10_000));
        prop_assert!(bob.closed);
        prop_assert!(bob.sent.len() <= 7 + 105);
    }

    #[test]
    fn no_message_hurts_a_known_peer(plaintexts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 1..5)) {
        let (mut alice, mut bob) = known_peer();
        for plaintext in &plaintexts {
            alice.send_raw(at(0), &mut bob, plaintext);
        }
        bob.wait(at(200_000));
        prop_assert!(bob.closed);
    }

    #[test]
    fn one_changed_byte_never_goes_unnoticed(place in 0..1000usize, bit in 0..8u8) {
        let (mut alice, mut bob) = (End::dial(ALICE, Dialled::default()), End::accept(BOB));
        let mut count = 0;
        while !alice.sent.is_empty() || !bob.sent.is_empty() {
            for (from, to) in [(0, 1), (1, 0)] {
                let ends = [&mut alice, &mut bob];
                let [a, b] = ends;
                let (from, to) = if (from, to) == (0, 1) { (a, b) } else { (b, a) };
                let mut bytes = from.take_sent();
                if let Some(byte) = place.checked_sub(count).and_then(|place| bytes.get_mut(place)) {
                    *byte ^= 1 << bit;
                }
                count += bytes.len();
                to.give(at(0), &bytes);
            }
        }
        if place < count {
            // Somebody noticed, at once or when nothing more came.
            alice.wait(at(10_000));
            bob.wait(at(10_000));
            prop_assert!(alice.closed || bob.closed);
        }
    }
}
