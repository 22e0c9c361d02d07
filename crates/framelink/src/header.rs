//! The 16 bytes in front of every frame. Seed, profile FL-2.6, FL-2.7, FL-2.13.

use crate::Fault;

/// A frame's head: how long, what, which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of payload behind it.
    pub length: u32,
    /// What the payload is: see [`crate::code`].
    pub code: u32,
    /// The number of the frame in its direction, from 1.
    pub seq: u32,
}

impl Header {
    /// Its length on the wire.
    pub const LEN: usize = 16;

    /// As it travels, before encryption.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let words = [self.length, self.code, self.seq, self.checksum()];
        for (place, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *place = word.to_be_bytes();
        }
        bytes
    }

    /// What decrypted bytes say. Linear as it is, CHECKSUM finds lost synchrony, never an attacker.
    ///
    /// # Errors
    /// [`Fault::Checksum`].
    pub fn decode(bytes: &[u8; Self::LEN]) -> Result<Self, Fault> {
        let mut words = bytes.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word));
        let mut next = || words.next().unwrap_or_default();
        let (header, checksum) = (Self { length: next(), code: next(), seq: next() }, next());
        if header.checksum() == checksum { Ok(header) } else { Err(Fault::Checksum) }
    }

    /// Whether it is the frame that must come now, and not too large.
    ///
    /// # Errors
    /// [`Fault::Sequence`], else [`Fault::Length`].
    pub fn check(&self, expected: u32, max_frame: u32) -> Result<(), Fault> {
        if self.seq != expected {
            return Err(Fault::Sequence);
        }
        if self.length > max_frame {
            return Err(Fault::Length);
        }
        Ok(())
    }

    const fn checksum(&self) -> u32 {
        self.length ^ self.code ^ self.seq
    }
}

/// The number of the next frame of one direction. Seed, profile FL-0.5, FL-0.6.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequence {
    next: u32,
    /// What comes behind 0xFFFFFFFF: 0, or 1 for a peer that reads the seed so.
    first_again: u32,
}

impl Sequence {
    pub(crate) const fn new(first: u32, first_again: u32) -> Self {
        Self { next: first, first_again }
    }

    pub(crate) const fn next(self) -> u32 {
        self.next
    }

    pub(crate) fn advance(&mut self) {
        self.next = self.next.checked_add(1).unwrap_or(self.first_again);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap_to_zero_or_to_one() {
        for (first_again, expected) in [(0, [u32::MAX - 1, u32::MAX, 0, 1]), (1, [u32::MAX - 1, u32::MAX, 1, 2])] {
            let mut sequence = Sequence::new(u32::MAX - 1, first_again);
            for number in expected {
                assert_eq!(sequence.next(), number);
                sequence.advance();
            }
        }
    }

    #[test]
    fn no_header_is_refused_for_its_looks() {
        for byte in [0x00, 0xff] {
            let header = Header::decode(&[byte; Header::LEN]);
            // Three words of ones have a checksum of ones.
            assert_eq!(header.unwrap().encode(), [byte; Header::LEN]);
        }
        let header = Header { length: 9, code: 0, seq: 2 };
        assert_eq!(header.check(1, 8), Err(Fault::Sequence), "before its length is looked at");
        assert_eq!((header.check(2, 8), header.check(2, 9)), (Err(Fault::Length), Ok(())));
    }
}
