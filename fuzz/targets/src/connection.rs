//! What arrives on a connection of `waypost-sremp` before a message is read: frames, handshake, chunks.

use std::time::Duration;
use waypost_core::Mono;
use waypost_sremp::{
    chunk::{ChunkBudget, ChunkLimits, Reassembler},
    frame::{FrameReader, MAX_FRAME},
    message::{ChunkHeader, ChunkedMessage},
    msgpack::Blob,
    noise::{Initiator, MSG1_LEN, MSG2_LEN, MSG3_LEN, NoiseKeys, Responder, Transport},
    version::{HEADER_LEN, OWN_HEADER, VersionHeader},
    x25519::Secret,
};

/// A stream of frames: however it is cut, the same frames come out, or the same refusal.
///
/// The first byte is the length of the pieces.
pub fn frames(data: &[u8]) {
    let Some((step, stream)) = data.split_first() else { return };
    let whole = cut(stream, stream.len().max(1));
    assert_eq!(cut(stream, usize::from(*step).max(1)), whole);
}

/// The frames of a stream that arrives in pieces, up to the first refusal, and whether there was one.
fn cut(stream: &[u8], step: usize) -> (Vec<Vec<u8>>, bool) {
    let mut reader = FrameReader::default();
    let mut frames = Vec::new();
    for mut piece in stream.chunks(step) {
        while !piece.is_empty() {
            match reader.next(&mut piece, MAX_FRAME) {
                Ok(Some(frame)) => frames.push(frame.as_ref().to_vec()),
                Ok(None) => {}
                Err(_) => return (frames, true),
            }
        }
    }
    (frames, reader.finish().is_err())
}

/// Static and ephemeral secrets of the two sides of [`handshake`].
pub const INITIATOR: [[u8; 32]; 2] = [[1; 32], [2; 32]];
/// Those of the responder.
pub const RESPONDER: [[u8; 32]; 2] = [[3; 32], [4; 32]];

/// What the other side of a connection sends, lengths and all, to a responder and to an initiator.
pub fn handshake(data: &[u8]) {
    let Some((header, rest)) = data.split_first_chunk::<HEADER_LEN>() else { return };
    let began = VersionHeader::is_begun_by(header);
    match VersionHeader::decode(header) {
        Ok(theirs) => assert!(began && OWN_HEADER.agree(theirs).is_ok() == (theirs.major == OWN_HEADER.major)),
        Err(_) => assert!(!began),
    }
    let _ = respond(header, rest);
    let _ = initiate(header, rest);
}

fn respond(header: &[u8; HEADER_LEN], mut stream: &[u8]) -> Option<()> {
    let [secret, ephemeral] = RESPONDER.map(Secret::from_bytes);
    let waiting = Responder::start(&NoiseKeys::new(secret), ephemeral, header).ok()?;
    let msg1 = next(&mut stream, MSG1_LEN)?;
    let (waiting, _) = waiting.read_msg1(&msg1, &OWN_HEADER.to_bytes()).ok()?;
    let msg3 = next(&mut stream, MSG3_LEN)?;
    receive(waiting.read_msg3(&msg3).ok()?, stream);
    Some(())
}

fn initiate(header: &[u8; HEADER_LEN], mut stream: &[u8]) -> Option<()> {
    let [secret, ephemeral] = INITIATOR.map(Secret::from_bytes);
    let (waiting, _) = Initiator::start(&NoiseKeys::new(secret), ephemeral, &OWN_HEADER.to_bytes()).ok()?;
    let msg2 = next(&mut stream, MSG2_LEN)?;
    let (_, transport) = waiting.read_msg2(&msg2, header).ok()?.finish(None).ok()?;
    receive(transport, stream);
    Some(())
}

fn receive(mut transport: Transport, mut stream: &[u8]) {
    let mut plaintext = Vec::new();
    while let Some(frame) = next(&mut stream, MAX_FRAME) {
        if transport.open(&frame, &mut plaintext).is_err() {
            return;
        }
        assert_eq!(plaintext.len() + 16, frame.len());
    }
}

fn next(stream: &mut &[u8], longest: usize) -> Option<Vec<u8>> {
    let mut reader = FrameReader::default();
    Some(reader.next(stream, longest).ok()??.as_ref().to_vec())
}

/// Chunks, six bytes each: seconds since the one before, id, index, total, and the size in 256s and ones.
///
/// However they come, no more is held than the limits say, and it is given back at the end.
pub fn chunks(data: &[u8]) {
    let budget = ChunkBudget::new(1 << 20);
    for limits in [ChunkLimits::KNOWN, ChunkLimits::UNKNOWN] {
        let mut reassembler = Reassembler::new(budget.clone());
        let mut now = Mono::default();
        for [seconds, id, index, total, high, low] in data.as_chunks::<6>().0 {
            now = now.after(Duration::from_secs(u64::from(*seconds)));
            let chunk_size = u16::from_be_bytes([*high, *low]);
            let header = ChunkHeader {
                message_id: u64::from(*id),
                chunk_index: u16::from(*index),
                total_chunks: u16::from(*total),
                chunk_size,
            };
            let chunk = ChunkedMessage { header, payload: Blob(vec![*index; usize::from(chunk_size)]) };
            match reassembler.take(now, chunk, &limits) {
                Ok(Some(message)) => assert!((1..=limits.message).contains(&message.len())),
                Ok(None) => assert!(reassembler.deadline(&limits).is_some_and(|deadline| deadline > now)),
                // It ends the connection.
                Err(_) => break,
            }
            assert!(reassembler.in_flight() <= limits.in_flight);
            assert!(budget.held() <= limits.connection.min(1 << 20));
        }
        drop(reassembler);
        assert_eq!(budget.held(), 0);
    }
}
