//! How far the own clock is off, by what others sign. Profile, Presence: clock diagnosis.

use crate::Fingerprint;
use std::collections::VecDeque;
use waypost_core::Wall;

/// Keys whose newest token counts.
const KEYS: usize = 32;
/// Fewer than this say nothing: one of them may be wrong itself.
const LEAST: usize = 3;

/// Differences to the clocks of others.
#[derive(Default)]
pub(crate) struct Skew(VecDeque<(Fingerprint, i64)>);

impl Skew {
    /// Notes the time of a token that was verified.
    pub(crate) fn note(&mut self, now: Wall, peer: Fingerprint, ts: u64) {
        let (Ok(ts), Ok(now)) = (i64::try_from(ts), i64::try_from(now.as_secs())) else { return };
        self.0.retain(|(known, _)| *known != peer);
        self.0.push_back((peer, ts.saturating_sub(now)));
        if self.0.len() > KEYS {
            self.0.pop_front();
        }
    }

    /// Their median.
    pub(crate) fn estimate(&self) -> Option<i64> {
        let mut all: Vec<i64> = self.0.iter().map(|(_, skew)| *skew).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied().filter(|_| all.len() >= LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_clock_that_is_wrong_does_not_move_the_median() {
        let mut skew = Skew::default();
        let now = Wall::from_millis(1_000_000);
        for (peer, ts) in [(1, 1025), (2, 1024), (2, 1026)] {
            skew.note(now, Fingerprint([peer; 32]), ts);
        }
        assert_eq!(skew.estimate(), None, "two keys are not enough");
        skew.note(now, Fingerprint([3; 32]), 950);
        assert_eq!(skew.estimate(), Some(25));
        for peer in 0..=255 {
            skew.note(now, Fingerprint([peer; 32]), 1000);
        }
        assert_eq!((skew.estimate(), skew.0.len()), (Some(0), KEYS));
    }
}
