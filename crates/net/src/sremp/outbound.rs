//! Bytes that wait for a socket.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpStream;

/// Bytes at the front that are written before the others move up.
const WRITTEN: usize = 64 << 10;

/// Bytes on their way to one socket, in order. Several frames leave in one write.
///
/// Answers that the peer caused are counted apart: who sends requests and does not read the answers
/// is not read from until it does, while own messages never stop the reading (two sides that only
/// wrote would wait for each other for ever).
pub(super) struct Outbound<'a> {
    bytes: Vec<u8>,
    start: usize,
    /// Bytes written since the connection began.
    written: u64,
    /// Answers not yet written: where they end in the stream, and their length.
    answers: VecDeque<(u64, usize)>,
    owed: usize,
    owed_by_all: &'a AtomicUsize,
}

impl<'a> Outbound<'a> {
    /// Nothing yet; its answers count in `owed_by_all` too.
    pub(super) fn new(owed_by_all: &'a AtomicUsize) -> Self {
        Self { bytes: Vec::new(), start: 0, written: 0, answers: VecDeque::new(), owed: 0, owed_by_all }
    }

    /// Bytes not yet written.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of answers not yet written.
    pub(super) fn owed(&self) -> usize {
        self.owed
    }

    /// Puts bytes at the end; `answer` if the peer caused them.
    pub(super) fn push(&mut self, bytes: Vec<u8>, answer: bool) {
        let length = bytes.len();
        if self.is_empty() && self.bytes.capacity() <= length {
            self.bytes = bytes;
            self.start = 0;
        } else {
            self.bytes.extend_from_slice(&bytes);
        }
        if answer {
            self.answers.push_back((self.written + self.len() as u64, length));
            self.owed += length;
            self.owed_by_all.fetch_add(length, Ordering::Relaxed);
        }
    }

    /// Writes what the socket takes now; gives how much.
    pub(super) fn write_to(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let mut total = 0;
        while !self.is_empty() {
            match stream.try_write(self.bytes.get(self.start..).unwrap_or_default()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => total += self.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(total)
    }

    fn advance(&mut self, count: usize) -> usize {
        self.start += count;
        self.written += count as u64;
        while let Some((_, length)) = self.answers.pop_front_if(|(end, _)| *end <= self.written) {
            self.settle(length);
        }
        if self.is_empty() {
            // Most connections wait for something most of the time: they hold no room meanwhile.
            self.start = 0;
            self.bytes = Vec::new();
        } else if self.start >= WRITTEN {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        count
    }

    fn settle(&mut self, length: usize) {
        self.owed -= length;
        self.owed_by_all.fetch_sub(length, Ordering::Relaxed);
    }
}

impl Drop for Outbound<'_> {
    fn drop(&mut self) {
        self.settle(self.owed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_answers_when_they_are_written_and_not_before() {
        let all = AtomicUsize::new(0);
        let mut outbound = Outbound::new(&all);
        outbound.push(vec![1; 100], false);
        outbound.push(vec![2; 50], true);
        outbound.push(vec![3; 10], false);
        assert_eq!((outbound.len(), outbound.owed()), (160, 50));
        outbound.advance(149);
        assert_eq!(outbound.owed(), 50);
        outbound.advance(1);
        assert_eq!((outbound.len(), outbound.owed(), all.load(Ordering::Relaxed)), (10, 0, 0));
        outbound.push(vec![4; 5], true);
        assert_eq!(all.load(Ordering::Relaxed), 5);
        drop(outbound);
        assert_eq!(all.load(Ordering::Relaxed), 0);
    }
}
