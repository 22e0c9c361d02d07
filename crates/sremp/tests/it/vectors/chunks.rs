//! `chunks.json`: pieces of messages and what comes of them.

use super::code;
use sha2::{Digest, Sha256};
use std::time::Duration;
use waypost_core::Mono;
use waypost_sremp::{
    Message,
    chunk::{ChunkBudget, ChunkLimits, Reassembler, split},
    message::{ChunkHeader, ChunkedMessage, DirectMessage},
    msgpack::Blob,
};
use waypost_testkit::vectors::{self, Case, Outcome, Part};

/// SR-10.3a, SR-10.3b
#[test]
fn chunks_are_put_together_as_stated() {
    for case in vectors::load("sremp", "chunks.json") {
        if case.has("input.chunks") {
            reassemble(&case);
        } else if case.has("input.message_repeat") {
            cut(&case);
        } else {
            case.unknown_shape();
        }
    }
}

fn reassemble(case: &Case) {
    let input = case.input();
    input.only(&["known_peer", "chunks"]);
    let limits = if input.bool("known_peer") { ChunkLimits::KNOWN } else { ChunkLimits::UNKNOWN };
    let mut reassembler = Reassembler::new(ChunkBudget::default());
    let taken = input.list("chunks").into_iter().map(|part| {
        let now = Mono::default().after(Duration::from_secs_f64(part.f64("t")));
        reassembler.take(now, chunk(&part), &limits)
    });
    let taken: Result<Vec<_>, _> = code(taken.collect());
    match case.outcome() {
        Outcome::Error(error) => assert_eq!(taken.unwrap_err(), error, "{case}"),
        Outcome::Expect(expect) => {
            expect.only(&["complete", "in_flight"]);
            let taken = taken.unwrap_or_else(|error| panic!("{case}: {error}"));
            // In the vectors messages are sorted by nothing: as a set they must be the same.
            let mut complete: Vec<_> = taken.into_iter().flatten().map(|bytes| (sha256(&bytes), bytes.len())).collect();
            let expected = expect.list("complete").into_iter().map(|message| {
                message.only(&["sha256", "length"]);
                (message.str("sha256").to_owned(), message.u64("length") as usize)
            });
            let mut expected: Vec<_> = expected.collect();
            complete.sort();
            expected.sort();
            assert_eq!(complete, expected, "{case}");
            assert_eq!(reassembler.in_flight() as u64, expect.u64("in_flight"), "{case}");
        }
    }
}

fn chunk(part: &Part<'_>) -> ChunkedMessage {
    part.only(&["t", "message_id", "chunk_index", "total_chunks", "chunk_size", "payload", "payload_repeat"]);
    let payload = match part.opt("payload_repeat") {
        Some(repeat) => {
            repeat.only(&["byte", "count"]);
            vec![u8::try_from(repeat.u64("byte")).unwrap(); repeat.u64("count") as usize]
        }
        None => part.hex("payload"),
    };
    let number = |name| u16::try_from(part.u64(name)).unwrap();
    let header = ChunkHeader {
        message_id: part.u64("message_id"),
        chunk_index: number("chunk_index"),
        total_chunks: number("total_chunks"),
        chunk_size: number("chunk_size"),
    };
    ChunkedMessage { header, payload: Blob(payload) }
}

/// SR-10.3a: what a sender makes of a message in words, like
/// `DIRECT_MESSAGE, message_id 1, encrypted_blob 70000 zero bytes`.
fn cut(case: &Case) {
    let input = case.input();
    input.only(&["message_sha256", "message_repeat", "chunk_message_id"]);
    let words: Vec<_> = input.str("message_repeat").split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let ["DIRECT_MESSAGE", "message_id", message_id, "encrypted_blob", length, "zero", "bytes"] = words[..] else {
        case.unknown_shape()
    };
    let message = Message::from(DirectMessage {
        message_id: message_id.parse().unwrap(),
        encrypted_blob: Blob(vec![0; length.parse().unwrap()]),
    });
    let message = message.encode();
    assert_eq!(sha256(&message), input.str("message_sha256"), "{case}");
    let pieces = split(&message, input.u64("chunk_message_id"), 61440).unwrap();
    let pieces: Vec<_> = pieces.map(|piece| Message::from(piece).encode()).collect();
    let expect = case.expect();
    expect.only(&["lengths", "sha256"]);
    let lengths: Vec<_> = expect.list("lengths").iter().map(|length| length.u64("") as usize).collect();
    assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), lengths, "{case}");
    let hashes: Vec<_> = expect.list("sha256").iter().map(|hash| hash.str("").to_owned()).collect();
    assert_eq!(pieces.iter().map(|piece| sha256(piece)).collect::<Vec<_>>(), hashes, "{case}");
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
