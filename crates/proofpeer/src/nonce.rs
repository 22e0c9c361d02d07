//! Nonces of a session: counted on the way out, each taken once on the way in. Profile, Crypto; Receiving nonces;
//! PP-7.3c.

use crate::crypto::NONCE_LEN;
use std::collections::HashSet;

/// Random bytes in front.
const PREFIX_LEN: usize = 6;
/// How far below the highest counter a message of a d1 session may be.
const WINDOW: u64 = 1024;
const WORDS: usize = (WINDOW / 64) as usize;
/// Set in the first byte of a responder's prefix.
const RESPONDER: u8 = 0x80;
/// Messages under one key, whatever is set.
const MOST: u64 = 1 << 31;

/// What is in front of a direction's nonces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix([u8; PREFIX_LEN]);

impl Prefix {
    /// Of random bytes; the top bit tells the two sides apart.
    pub(crate) const fn new(mut bytes: [u8; PREFIX_LEN], responder: bool) -> Self {
        let [first, ..] = &mut bytes;
        *first = if responder { *first | RESPONDER } else { *first & !RESPONDER };
        Self(bytes)
    }

    pub(crate) const fn from_bytes(bytes: [u8; PREFIX_LEN]) -> Self {
        Self(bytes)
    }
}

/// Nonces of what is sent.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) prefix: Prefix,
    counter: u64,
}

impl Outgoing {
    pub(crate) const fn new(prefix: Prefix) -> Self {
        Self { prefix, counter: 0 }
    }

    /// The next one; none when the key has done all it may.
    pub(crate) fn next(&mut self) -> Option<[u8; NONCE_LEN]> {
        if self.counter >= MOST {
            return None;
        }
        let nonce = join(self.prefix, self.counter);
        self.counter += 1;
        Some(nonce)
    }

    pub(crate) const fn used(&self) -> u64 {
        self.counter
    }
}

fn join(prefix: Prefix, counter: u64) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    let bytes = counter.to_be_bytes();
    let (_, low) = bytes.split_at(2);
    for (place, byte) in nonce.iter_mut().zip(prefix.0.iter().chain(low)) {
        *place = *byte;
    }
    nonce
}

fn split(nonce: &[u8; NONCE_LEN]) -> (Prefix, u64) {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *nonce;
    (Prefix([a, b, c, d, e, f]), u64::from_be_bytes([0, 0, g, h, i, j, k, l]))
}

/// Whether a nonce is one of ours, come back.
pub(crate) fn is_own(nonce: &[u8; NONCE_LEN], own: Prefix) -> bool {
    split(nonce).0 == own
}

/// Nonces of what came.
#[derive(Clone, Debug)]
pub(crate) enum Incoming {
    /// A literal session: any nonces, all of them remembered.
    All { seen: HashSet<[u8; NONCE_LEN]>, most: usize },
    /// A d1 session: one prefix, and a window below the highest counter.
    Window { prefix: Option<Prefix>, highest: u64, bits: [u64; WORDS] },
}

/// What a nonce is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// New.
    Fresh,
    /// Seen, too old, or of another prefix.
    Replayed,
    /// Nothing more can be remembered.
    Full,
}

impl Incoming {
    pub(crate) fn all(most: usize) -> Self {
        Self::All { seen: HashSet::new(), most }
    }

    pub(crate) const fn window() -> Self {
        Self::Window { prefix: None, highest: 0, bits: [0; WORDS] }
    }

    /// Whether it was seen; what changes the memory is [`Incoming::record`], after decryption.
    pub(crate) fn judge(&self, nonce: &[u8; NONCE_LEN]) -> Judged {
        match self {
            Self::All { seen, .. } if seen.contains(nonce) => Judged::Replayed,
            Self::All { seen, most } if seen.len() >= *most => Judged::Full,
            Self::All { .. } => Judged::Fresh,
            Self::Window { prefix: None, .. } => Judged::Fresh,
            Self::Window { prefix: Some(known), highest, bits } => {
                let (prefix, counter) = split(nonce);
                if prefix != *known {
                    // Told apart after decryption: a forged one is no replay.
                    return Judged::Fresh;
                }
                let behind = highest.checked_sub(counter);
                match behind {
                    None => Judged::Fresh,
                    Some(behind) if behind >= WINDOW => Judged::Replayed,
                    Some(_) if bit(bits, counter) => Judged::Replayed,
                    Some(_) => Judged::Fresh,
                }
            }
        }
    }

    /// It has decrypted: remembers it. False if it has another prefix than all before.
    pub(crate) fn record(&mut self, nonce: &[u8; NONCE_LEN]) -> bool {
        match self {
            Self::All { seen, .. } => seen.insert(*nonce),
            Self::Window { prefix, highest, bits } => {
                let (theirs, counter) = split(nonce);
                if *prefix.get_or_insert(theirs) != theirs {
                    return false;
                }
                if counter > *highest {
                    for skipped in (*highest + 1..=counter).rev().take(usize::try_from(WINDOW).unwrap_or(0)) {
                        set(bits, skipped, false);
                    }
                    *highest = counter;
                }
                set(bits, counter, true);
                true
            }
        }
    }

    /// How many are remembered.
    pub(crate) fn remembered(&self) -> usize {
        match self {
            Self::All { seen, .. } => seen.len(),
            Self::Window { .. } => 0,
        }
    }
}

fn place(counter: u64) -> (usize, u64) {
    let at = counter % WINDOW;
    (usize::try_from(at / 64).unwrap_or(0), 1 << (at % 64))
}

fn bit(bits: &[u64; WORDS], counter: u64) -> bool {
    let (word, mask) = place(counter);
    bits.get(word).is_some_and(|word| word & mask != 0)
}

fn set(bits: &mut [u64; WORDS], counter: u64, on: bool) {
    let (word, mask) = place(counter);
    if let Some(word) = bits.get_mut(word) {
        *word = if on { *word | mask } else { *word & !mask };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_behind_a_prefix_that_tells_the_sides_apart() {
        let mut initiator = Outgoing::new(Prefix::new([0xff; 6], false));
        assert_eq!(initiator.next(), Some([0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0]));
        assert_eq!(initiator.next(), Some([0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]));
        let mut responder = Outgoing::new(Prefix::new([0; 6], true));
        assert_eq!(responder.next().map(|[first, ..]| first), Some(0x80));
    }

    #[test]
    fn takes_each_counter_once_within_the_window() {
        let mut incoming = Incoming::window();
        let nonce = |counter| join(Prefix([1; 6]), counter);
        for counter in [5, 3, 2000, 1500] {
            assert_eq!(incoming.judge(&nonce(counter)), Judged::Fresh, "{counter}");
            assert!(incoming.record(&nonce(counter)));
            assert_eq!(incoming.judge(&nonce(counter)), Judged::Replayed, "{counter}");
        }
        // What fell out of the window is not taken again, what is in it and new is.
        assert_eq!(incoming.judge(&nonce(5)), Judged::Replayed);
        assert_eq!(incoming.judge(&nonce(976)), Judged::Replayed);
        assert_eq!(incoming.judge(&nonce(977)), Judged::Fresh);
        assert!(!incoming.record(&join(Prefix([2; 6]), 3000)));
    }
}
