//! Which of two connections of one pair stays.

use std::time::Duration;
use waypost_core::{ContactId, Mono};

/// A connection of a pair that both identities completed.
#[derive(Clone, Copy, Debug)]
pub struct Completed {
    /// Who opened it, as Noise initiator.
    pub initiator: ContactId,
    /// When it was completed.
    pub at: Mono,
}

/// The one that is kept; the other is closed with DUPLICATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stays {
    /// The one that was there first.
    Older,
    /// The one that came later.
    Newer,
}

/// Of two connections completed within `simultaneous` (10 s in the profile) the one opened by the
/// lower key stays, else the newer one. Profile, Selection.
pub fn stays(older: &Completed, newer: &Completed, simultaneous: Duration) -> Stays {
    let at_once = newer.at.since(older.at) <= simultaneous;
    if at_once && older.initiator < newer.initiator { Stays::Older } else { Stays::Newer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newer_of_two_by_the_same_initiator() {
        let by = |key: u8, at| Completed { initiator: ContactId::from_bytes([key; 32]), at: Mono::from_millis(at) };
        let ten = Duration::from_secs(10);
        assert_eq!(stays(&by(1, 0), &by(1, 5), ten), Stays::Newer);
        assert_eq!(stays(&by(1, 0), &by(2, 5), ten), Stays::Older);
        assert_eq!(stays(&by(1, 0), &by(2, 10_001), ten), Stays::Newer);
    }
}
