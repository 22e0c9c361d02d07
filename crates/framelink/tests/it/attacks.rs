//! What somebody can do who holds the wire but no key. Profile, Threats; conformance 6, 7, 13, 14.

mod flips;
mod handshake;
mod lengths;
mod order;

use crate::{
    pair::{BOTTOM, Pair, Side, TOP, aligned, pattern},
    peer::wire_len,
};
use rand::{SeedableRng, rngs::StdRng};
use waypost_framelink::{Align, Fault, Mode, Role, link::Input};

/// A whole link as it went over the wire: from TOP, from BOTTOM.
pub(crate) struct Recorded {
    pub(crate) wires: [Vec<u8>; 2],
    pub(crate) align: Align,
    mode: Mode,
    seed: u64,
}

/// What each side says, and where: before and behind a new key.
fn messages() -> [Vec<u8>; 3] {
    [b"first".to_vec(), Vec::new(), pattern(70)]
}

impl Recorded {
    /// A link whose randomness hangs on `seed` alone: the same again, as long as the bytes are the same.
    pub(crate) fn new(mode: Mode, align: Align, seed: u64) -> Self {
        let recorded = Self { wires: [Vec::new(), Vec::new()], align, mode, seed };
        // One direction at a time, so that each CLOSE confirms nothing but HELLO.
        let wires = [TOP, BOTTOM].map(|index| recorded.direction(index));
        Self { wires, ..recorded }
    }

    fn direction(&self, index: usize) -> Vec<u8> {
        let mut pair = self.fresh();
        pair.sides[index].records = true;
        let [first, empty, last] = messages();
        pair.give(index, [first, empty]);
        pair.run();
        let now = pair.now;
        pair.sides[index].input(now, Input::Rekey).unwrap();
        pair.give(index, [last]);
        pair.sides[index].closes = true;
        pair.run();
        assert_eq!(pair.statuses()[1 - index], Some(waypost_framelink::link::Status::Closed));
        std::mem::take(&mut pair.sides[index].wire)
    }

    fn fresh(&self) -> Pair {
        let mut pair = Pair::same(self.mode, &aligned(self.align));
        for (index, side) in pair.sides.iter_mut().enumerate() {
            side.rng = StdRng::seed_from_u64(self.seed * 2 + index as u64);
        }
        pair
    }

    /// A side that did and saw nothing yet, but will draw the same randomness.
    pub(crate) fn side(&self, index: usize) -> Side {
        let mut side = self.fresh().sides.into_iter().nth(index).unwrap();
        side.records = true;
        side
    }

    /// Bytes before the first frame of what `from` sends.
    pub(crate) fn preface(&self, from: usize) -> usize {
        match (self.mode, from) {
            (Mode::Psk, TOP) => 56,
            (Mode::Psk, _) => 40,
            (_, TOP) => 1240,
            _ => 1128,
        }
    }

    /// Where the frames of `from` begin, and where the last ends: HELLO, two messages, REKEY, a message, CLOSE.
    pub(crate) fn frames(&self, from: usize) -> Vec<usize> {
        let lengths = [48, 5, 0, 32, 70, 4].map(wire_len);
        let ends = lengths.iter().scan(self.preface(from), |end, length| {
            *end += length;
            Some(*end)
        });
        let borders: Vec<usize> = std::iter::once(self.preface(from)).chain(ends).collect();
        assert_eq!(borders.last(), Some(&self.wires[from].len()));
        borders
    }

    /// What has been verified when all frames that end at or before `at` were.
    pub(crate) fn verified(&self, from: usize, at: usize) -> Vec<u8> {
        let borders = self.frames(from);
        let ends = [(2, b"first".to_vec()), (5, pattern(70))];
        ends.into_iter().filter(|(border, _)| borders[*border] <= at).flat_map(|(_, data)| data).collect()
    }
}

/// Delivers these bytes, in two pieces, and reads; whatever could be read was verified.
pub(crate) fn deliver(side: &mut Side, bytes: &[u8]) {
    let now = crate::pair::at(0);
    side.poll();
    for piece in [&bytes[..bytes.len() / 3], &bytes[bytes.len() / 3..]] {
        side.input(now, Input::Bytes(piece)).unwrap();
        side.poll();
        side.read(now);
        side.poll();
    }
}

/// What one changed frame can be found out by: other bytes of keystream make another CHECKSUM, or all but one
/// in 2^32 times.
fn is_tampering(fault: Fault) -> bool {
    matches!(fault, Fault::Checksum | Fault::Sequence | Fault::Length | Fault::Hmac)
}

const BOTH: [(usize, Role); 2] = [(TOP, Role::Top), (BOTTOM, Role::Bottom)];
