//! Messages longer than a frame, in pieces. SREMP 10.3, profile SR-10.3a and SR-10.3b.

mod budget;

pub use budget::ChunkBudget;

use crate::{
    Error, ErrorCode,
    message::{ChunkHeader, ChunkedMessage, MAX_MESSAGE},
    msgpack::Blob,
};
use std::time::Duration;
use waypost_core::Mono;

/// What one peer may have us hold. Profile, Limits: memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkLimits {
    /// Bytes of one message.
    pub message: usize,
    /// Pieces of one message.
    pub chunks: u16,
    /// Messages that are not complete.
    pub in_flight: usize,
    /// Bytes of all of them.
    pub connection: usize,
    /// Between two pieces of one message.
    pub idle: Duration,
    /// From the first piece to the last.
    pub whole: Duration,
}

impl ChunkLimits {
    /// Of contacts, and of a relay's registered clients.
    pub const KNOWN: Self = Self {
        message: MAX_MESSAGE,
        chunks: 64,
        in_flight: 4,
        connection: 4 << 20,
        idle: Duration::from_secs(30),
        whole: Duration::from_secs(120),
    };
    /// Of everybody else.
    pub const UNKNOWN: Self = Self { message: 65536, in_flight: 1, ..Self::KNOWN };
}

/// Cuts a message into pieces of at most `chunk_size` bytes. The id must not be in use on the connection.
///
/// # Errors
/// The message is larger than any peer takes.
pub fn split(message: &[u8], message_id: u64, chunk_size: u16) -> Result<impl Iterator<Item = ChunkedMessage>, Error> {
    let pieces = message.chunks(usize::from(chunk_size.max(1)));
    let total = u16::try_from(pieces.len()).ok().filter(|&total| total <= ChunkLimits::KNOWN.chunks);
    let total_chunks = total.filter(|_| message.len() <= MAX_MESSAGE).ok_or(Error::Limit("message"))?;
    Ok((0..total_chunks).zip(pieces).map(move |(chunk_index, piece)| ChunkedMessage {
        // A piece is never longer than `chunk_size`, so it fits the field.
        header: ChunkHeader { message_id, chunk_index, total_chunks, chunk_size: piece.len() as u16 },
        payload: Blob(piece.to_vec()),
    }))
}

/// Puts pieces together, in whatever order they come.
#[derive(Debug)]
pub struct Reassembler {
    budget: ChunkBudget,
    transfers: Vec<Transfer>,
}

impl Reassembler {
    /// Holds nothing yet; what it will hold counts against `budget`.
    pub fn new(budget: ChunkBudget) -> Self {
        Self { budget, transfers: Vec::new() }
    }

    /// How many messages are not complete.
    pub fn in_flight(&self) -> usize {
        self.transfers.len()
    }

    /// Takes a piece; gives the bytes of its message if it was the last one missing.
    ///
    /// # Errors
    /// TIMEOUT, MALFORMED or LIMIT, in the profile's order; all end the connection.
    pub fn take(&mut self, now: Mono, chunk: ChunkedMessage, limits: &ChunkLimits) -> Result<Option<Vec<u8>>, Error> {
        self.check_time(now, limits)?;
        let ChunkedMessage { header, payload } = chunk;
        if header.chunk_index >= header.total_chunks
            || payload.is_empty()
            || usize::from(header.chunk_size) != payload.len()
        {
            return Err(Error::Malformed("chunk header"));
        }
        if header.total_chunks > limits.chunks {
            return Err(Error::Limit("chunks of a message"));
        }
        let place = self.transfers.iter().position(|transfer| transfer.message_id == header.message_id);
        let mut transfer = match place {
            Some(place) => {
                // Checked in place: what is refused stays counted until the connection goes.
                let known =
                    self.transfers.get(place).map_or(Ok(0), |known| known.check(&header).map(|()| known.size))?;
                self.check_size(known, payload.len(), limits)?;
                self.transfers.swap_remove(place)
            }
            None if self.transfers.len() >= limits.in_flight => return Err(Error::Limit("messages in chunks")),
            None => {
                self.check_size(0, payload.len(), limits)?;
                Transfer::new(&header, now)
            }
        };
        transfer.put(&header, payload, now);
        if transfer.missing > 0 {
            self.transfers.push(transfer);
            return Ok(None);
        }
        self.budget.give_back(transfer.size);
        Ok(Some(transfer.into_message()))
    }

    /// Counts `more` bytes for a message of which `size` are there.
    fn check_size(&self, size: usize, more: usize, limits: &ChunkLimits) -> Result<(), Error> {
        let held: usize = self.transfers.iter().map(|transfer| transfer.size).sum();
        let fits = size + more <= limits.message && held + more <= limits.connection;
        if fits && self.budget.take(more) { Ok(()) } else { Err(Error::Limit("bytes in chunks")) }
    }

    /// When the next piece is overdue.
    pub fn deadline(&self, limits: &ChunkLimits) -> Option<Mono> {
        let due = |transfer: &Transfer| transfer.last.after(limits.idle).min(transfer.first.after(limits.whole));
        // At the limit it is not late yet.
        self.transfers.iter().map(due).min().map(|due| due.after(Duration::from_millis(1)))
    }

    /// Whether a piece is overdue.
    ///
    /// # Errors
    /// TIMEOUT.
    pub fn check_time(&self, now: Mono, limits: &ChunkLimits) -> Result<(), Error> {
        match self.deadline(limits) {
            Some(deadline) if now >= deadline => Err(Error::Misbehaved(ErrorCode::Timeout)),
            _ => Ok(()),
        }
    }
}

impl Drop for Reassembler {
    fn drop(&mut self) {
        self.budget.give_back(self.transfers.iter().map(|transfer| transfer.size).sum());
    }
}

#[derive(Debug)]
struct Transfer {
    message_id: u64,
    pieces: Vec<Option<Blob>>,
    missing: u16,
    size: usize,
    first: Mono,
    last: Mono,
}

impl Transfer {
    fn new(header: &ChunkHeader, now: Mono) -> Self {
        Self {
            message_id: header.message_id,
            pieces: vec![None; usize::from(header.total_chunks)],
            missing: header.total_chunks,
            size: 0,
            first: now,
            last: now,
        }
    }

    fn check(&self, header: &ChunkHeader) -> Result<(), Error> {
        if self.pieces.len() != usize::from(header.total_chunks) {
            return Err(Error::Malformed("the number of chunks changes"));
        }
        match self.pieces.get(usize::from(header.chunk_index)) {
            Some(None) => Ok(()),
            _ => Err(Error::Malformed("a chunk comes twice")),
        }
    }

    fn put(&mut self, header: &ChunkHeader, payload: Blob, now: Mono) {
        self.size += payload.len();
        self.missing = self.missing.saturating_sub(1);
        self.last = now;
        if let Some(piece) = self.pieces.get_mut(usize::from(header.chunk_index)) {
            *piece = Some(payload);
        }
    }

    fn into_message(self) -> Vec<u8> {
        let mut message = Vec::with_capacity(self.size);
        self.pieces.iter().flatten().for_each(|piece| message.extend_from_slice(piece));
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(message_id: u64, chunk_index: u16, total_chunks: u16, length: u16) -> ChunkedMessage {
        let header = ChunkHeader { message_id, chunk_index, total_chunks, chunk_size: length };
        ChunkedMessage { header, payload: Blob(vec![7; usize::from(length)]) }
    }

    /// SR-10.3a, SR-10.3b
    #[test]
    fn puts_together_what_it_cut_in_any_order() {
        let message: Vec<u8> = (0..200_000u32).map(|i| i as u8).collect();
        let mut pieces: Vec<_> = split(&message, 9, 61440).unwrap().collect();
        assert_eq!(pieces.len(), 4);
        pieces.reverse();
        let mut reassembler = Reassembler::new(ChunkBudget::default());
        let done = pieces.into_iter().map(|piece| reassembler.take(Mono::default(), piece, &ChunkLimits::KNOWN));
        let done: Vec<_> = done.map(Result::unwrap).collect();
        assert_eq!(done, [None, None, None, Some(message)]);
        assert_eq!(reassembler.in_flight(), 0);
        assert!(split(&[0; MAX_MESSAGE + 1], 9, 61440).is_err());
    }

    #[test]
    fn shares_one_budget_between_connections_and_gives_it_back() {
        let budget = ChunkBudget::new(100);
        let mut first = Reassembler::new(budget.clone());
        assert_eq!(first.take(Mono::default(), chunk(1, 0, 2, 60), &ChunkLimits::KNOWN), Ok(None));
        let mut second = Reassembler::new(budget.clone());
        let refused = second.take(Mono::default(), chunk(1, 0, 2, 60), &ChunkLimits::KNOWN);
        assert_eq!(refused, Err(Error::Limit("bytes in chunks")));
        drop(first);
        assert_eq!(second.take(Mono::default(), chunk(1, 0, 2, 100), &ChunkLimits::KNOWN), Ok(None));
        drop(second);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn keeps_its_count_when_it_refuses() {
        let budget = ChunkBudget::new(100);
        let mut reassembler = Reassembler::new(budget.clone());
        assert_eq!(reassembler.take(Mono::default(), chunk(1, 0, 3, 60), &ChunkLimits::KNOWN), Ok(None));
        for refused in [chunk(1, 1, 3, 60), chunk(1, 0, 3, 1), chunk(1, 1, 4, 1)] {
            assert!(reassembler.take(Mono::default(), refused, &ChunkLimits::KNOWN).is_err());
        }
        assert_eq!(budget.held(), 60);
        drop(reassembler);
        assert_eq!(budget.held(), 0);
    }
}
