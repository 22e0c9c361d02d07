//! A stream: two ends and what is under way to each.

use crate::sim::queue::Life;
use std::collections::VecDeque;
use waypost_core::Mono;

/// One end, with what is under way to it.
pub(super) struct End {
    pub(super) life: Life,
    /// The host uses it: it has neither closed it nor been told that it ended.
    pub(super) open: bool,
    /// It sent to an end that is gone, while that node could not be reached to say so.
    pub(super) owed_reset: bool,
    pub(super) inbound: Pipe,
}

impl End {
    /// What comes in arrives at `ready` or later.
    pub(super) fn new(life: Life, ready: Mono) -> Self {
        Self { life, open: true, owed_reset: false, inbound: Pipe { ready, ..Pipe::default() } }
    }

    /// The host is done with it.
    pub(super) fn finish(&mut self) {
        self.open = false;
        self.inbound.pieces.clear();
    }
}

/// What is under way in one direction.
#[derive(Default)]
pub(super) struct Pipe {
    pieces: VecDeque<(Mono, Piece)>,
    /// Nothing further arrives before this.
    ready: Mono,
    /// Nothing further arrives at all.
    cut: bool,
    /// The end of the stream is under way; bytes after it are lost.
    ending: bool,
    /// What is here waits for the end of a partition.
    pub(super) held: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Bytes(Vec<u8>),
    End,
}

impl Pipe {
    /// Puts bytes under way; gives the time at which to look for them.
    pub(super) fn send(&mut self, at: Mono, bytes: Vec<u8>) -> Option<Mono> {
        if self.cut || self.ending || bytes.is_empty() {
            return None;
        }
        self.ready = self.ready.max(at);
        self.pieces.push_back((self.ready, Piece::Bytes(bytes)));
        Some(self.ready)
    }

    /// Puts the end under way.
    pub(super) fn end(&mut self, at: Mono) -> Option<Mono> {
        if self.cut || self.ending {
            return None;
        }
        self.ending = true;
        self.ready = self.ready.max(at);
        self.pieces.push_back((self.ready, Piece::End));
        Some(self.ready)
    }

    /// Nothing more gets through.
    pub(super) fn cut(&mut self) {
        self.cut = true;
        self.pieces.clear();
    }

    /// Nothing further arrives before `at`.
    pub(super) fn stall(&mut self, at: Mono) {
        self.ready = self.ready.max(at);
    }

    /// How many bytes are under way.
    pub(super) fn under_way(&self) -> usize {
        self.pieces.iter().map(|(_, piece)| piece.len()).sum()
    }

    /// Loses all bytes under way but the first `keep`.
    pub(super) fn truncate(&mut self, mut keep: usize) {
        for (_, piece) in &mut self.pieces {
            if let Piece::Bytes(bytes) = piece {
                bytes.truncate(keep);
                keep -= bytes.len();
            }
        }
        self.pieces.retain(|(_, piece)| *piece == Piece::End || piece.len() > 0);
    }

    /// The next piece that has arrived.
    pub(super) fn arrived(&mut self, now: Mono) -> Option<Piece> {
        self.pieces.pop_front_if(|(at, _)| *at <= now).map(|(_, piece)| piece)
    }

    /// Whether bytes have arrived.
    pub(super) fn has_bytes(&self, now: Mono) -> bool {
        matches!(self.pieces.front(), Some((at, Piece::Bytes(_))) if *at <= now)
    }

    /// Lets what waited arrive at `at`; gives how often to look for it.
    pub(super) fn release(&mut self, at: Mono) -> usize {
        self.held = false;
        self.ready = self.ready.max(at);
        self.pieces.iter_mut().for_each(|(time, _)| *time = (*time).max(at));
        self.pieces.iter().filter(|(time, _)| *time == at).count()
    }
}

impl Piece {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::End => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::from_millis(millis)
    }

    #[test]
    fn keeps_the_order_of_what_is_sent() {
        let mut pipe = Pipe::default();
        assert_eq!(pipe.send(at(10), vec![1, 2]), Some(at(10)));
        assert_eq!(pipe.send(at(5), vec![3]), Some(at(10)));
        assert_eq!(pipe.end(at(7)), Some(at(10)));
        assert_eq!(pipe.send(at(20), vec![4]), None);
        assert_eq!(pipe.arrived(at(9)), None);
        assert_eq!(pipe.arrived(at(10)), Some(Piece::Bytes(vec![1, 2])));
        assert_eq!(pipe.arrived(at(10)), Some(Piece::Bytes(vec![3])));
        assert_eq!(pipe.arrived(at(10)), Some(Piece::End));
    }

    #[test]
    fn loses_a_tail_but_not_the_end() {
        let mut pipe = Pipe::default();
        pipe.send(at(1), vec![1, 2]);
        pipe.send(at(2), vec![3, 4]);
        pipe.end(at(3));
        pipe.truncate(1);
        assert_eq!(pipe.under_way(), 1);
        assert_eq!(pipe.arrived(at(9)), Some(Piece::Bytes(vec![1])));
        assert_eq!(pipe.arrived(at(9)), Some(Piece::End));
    }
}
