//! Messages longer than a frame. SR-10.3a, SR-10.3b

use super::{
    noise_peer::{NoisePeer, signed, the_error},
    pair::{ALICE, BOB, End, KNOWN, UNKNOWN, at, carry, identity, met, met_with},
};
use waypost_sremp::{
    ErrorCode, Message,
    chunk::{ChunkBudget, split},
    connection::{Closed, Input, Limits, Verdict},
    message::{ChunkHeader, ChunkedMessage, DirectMessage, ErrorMessage, Ping},
    msgpack::Blob,
};

fn direct(length: usize) -> Message {
    DirectMessage { message_id: 1, encrypted_blob: Blob(vec![7; length]) }.into()
}

fn chunk(message_id: u64, chunk_index: u16, total_chunks: u16, payload: &[u8]) -> Message {
    let chunk_size = u16::try_from(payload.len()).unwrap();
    let header = ChunkHeader { message_id, chunk_index, total_chunks, chunk_size };
    ChunkedMessage { header, payload: Blob(payload.to_vec()) }.into()
}

/// SR-10.3a, SR-10.3b: a 200000-byte text passes between people who trust each other.
#[test]
fn a_long_message_passes_between_people_who_know_each_other() {
    let (mut alice, mut bob) = met(KNOWN, KNOWN);
    for length in [65_519, 200_000, 1_000_000] {
        alice.send(at(0), direct(length));
        carry(at(0), &mut alice, &mut bob, 4096);
        assert_eq!(bob.messages().last(), Some(&direct(length)));
    }
    let too_long = alice.handle(at(0), Input::Send(direct(1 << 20)));
    assert_eq!(too_long.map_err(|error| error.code()), Err(ErrorCode::Limit));
}

/// SR-10.3b: and is refused from everybody else, until they become known.
#[test]
fn a_long_message_of_a_stranger_is_refused() {
    let (mut alice, mut bob) = met(KNOWN, UNKNOWN);
    alice.send(at(0), direct(200_000));
    carry(at(0), &mut alice, &mut bob, usize::MAX);
    assert_eq!(bob.messages(), []);
    assert!(matches!(alice.ending(), Some(Closed::Peer(error)) if error.code == 3 && error.fatal));
    let (mut alice, mut bob) = met(KNOWN, UNKNOWN);
    bob.connection.set_known(true);
    alice.send(at(0), direct(200_000));
    carry(at(0), &mut alice, &mut bob, usize::MAX);
    assert_eq!(bob.messages(), [direct(200_000)]);
}

/// What a stranger or an acquaintance sends, and the fatal error that must come back.
fn refused(verdict: Verdict, messages: &[Message]) -> u16 {
    let mut bob = End::accept(BOB);
    bob.verdict = Some(verdict);
    let mut alice = NoisePeer::meet(ALICE, &mut bob, signed(&identity(ALICE)));
    for message in messages {
        alice.send(at(0), &mut bob, message);
    }
    let (code, fatal) = the_error(&alice.received(&mut bob));
    assert!(fatal && bob.closed);
    code
}

/// SR-10.3b
#[test]
fn chunk_bombs_are_refused() {
    let full = vec![0; 61440];
    assert_eq!(refused(KNOWN, &[chunk(1, 0, 65, b"x")]), 3);
    assert_eq!(refused(KNOWN, &[chunk(1, 0, u16::MAX, b"x")]), 3);
    let five: Vec<_> = (0..5).map(|id| chunk(id, 0, 2, b"x")).collect();
    assert_eq!(refused(KNOWN, &five), 3);
    assert_eq!(refused(UNKNOWN, &five[..2]), 3);
    let large: Vec<_> = (0..18).map(|index| chunk(1, index, 64, &full)).collect();
    assert_eq!(refused(KNOWN, &large), 3);
    assert_eq!(refused(UNKNOWN, &large[..2]), 3);
    for malformed in [chunk(1, 2, 2, b"x"), chunk(1, 0, 0, b"x"), chunk(1, 0, 2, b"")] {
        assert_eq!(refused(KNOWN, &[malformed]), 2);
    }
    assert_eq!(refused(KNOWN, &[chunk(1, 0, 2, b"x"), chunk(1, 0, 2, b"x")]), 2);
    assert_eq!(refused(KNOWN, &[chunk(1, 0, 2, b"x"), chunk(1, 1, 3, b"x")]), 2);
}

/// SR-10.3b: what comes in chunks is one message, and not one of these.
#[test]
fn chunks_carry_no_chunks_identities_or_errors() {
    let inner = [
        chunk(2, 0, 2, b"x"),
        Message::Identity(signed(&identity(ALICE)).clone()),
        ErrorMessage::new(ErrorCode::Rate).into(),
    ];
    for message in inner {
        assert_eq!(refused(KNOWN, &[chunk(1, 0, 1, &message.encode())]), 2);
    }
    assert_eq!(refused(KNOWN, &[chunk(1, 0, 1, b"not a message")]), 2);
}

/// SR-10.3b, SR-10.4: the rules for whole messages hold for those in chunks.
#[test]
fn an_unknown_message_in_chunks_is_answered() {
    let mut bob = End::accept(BOB);
    let mut alice = NoisePeer::meet(ALICE, &mut bob, signed(&identity(ALICE)));
    alice.received(&mut bob);
    let unknown = Message::Unknown { name: "NEW".to_owned() }.encode();
    for piece in split(&unknown, 1, 3).unwrap() {
        alice.send(at(0), &mut bob, &piece.into());
    }
    assert_eq!(the_error(&alice.received(&mut bob)), (6, false));
}

/// SR-10.3b
#[test]
fn chunks_must_come_in_time() {
    let mut bob = End::accept(BOB);
    let mut alice = NoisePeer::meet(ALICE, &mut bob, signed(&identity(ALICE)));
    alice.received(&mut bob);
    alice.send(at(0), &mut bob, &chunk(1, 0, 9, b"x"));
    // Other messages do not help.
    for second in 1..=30 {
        alice.send(at(second * 1000), &mut bob, &Ping { nonce: 1 }.into());
        bob.wait(at(second * 1000));
    }
    assert!(!bob.closed);
    bob.wait(at(30_001));
    assert_eq!(the_error(&alice.received(&mut bob)), (4, true));
    assert!(bob.closed);
}

#[test]
fn all_connections_share_one_budget() {
    let limits = Limits { chunk_budget: ChunkBudget::new(150_000), ..Limits::default() };
    let (mut alice, mut bob) = met_with(KNOWN, KNOWN, limits.clone());
    let mut other = End::accept_with(3, limits.clone());
    let mut dave = NoisePeer::meet(4, &mut other, signed(&identity(4)));
    dave.received(&mut other);
    dave.send(at(0), &mut other, &chunk(1, 0, 3, &[0; 60_000]));
    dave.send(at(0), &mut other, &chunk(1, 1, 3, &[0; 60_000]));
    alice.send(at(0), direct(100_000));
    carry(at(0), &mut alice, &mut bob, usize::MAX);
    assert!(matches!(alice.ending(), Some(Closed::Peer(error)) if error.code == 3));
    assert!(!other.closed);
    // What is closed gives its share back.
    other.handle(at(0), Input::Eof).unwrap();
    assert_eq!(limits.chunk_budget.held(), 0);
}
