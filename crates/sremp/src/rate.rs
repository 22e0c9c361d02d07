//! How often somebody may do something, for servers that anybody may ask.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use waypost_core::Mono;

/// Counts uses over a sliding window, by key.
///
/// Keys cost nothing to make up, so only so many are remembered: those unused longest are forgotten in
/// bulk. A flood of made-up keys then lifts the bound of others now and then, but locks nobody out.
pub(crate) struct Rates<K> {
    most: usize,
    per: Duration,
    keys: usize,
    young: BTreeMap<K, VecDeque<Mono>>,
    old: BTreeMap<K, VecDeque<Mono>>,
}

impl<K: Ord> Rates<K> {
    /// `most` uses in any span of `per`, for about `keys` keys.
    pub(crate) fn new(most: u32, per: Duration, keys: usize) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self { most, per, keys, young: BTreeMap::new(), old: BTreeMap::new() }
    }

    /// Counts one use.
    ///
    /// # Errors
    /// It would be one too many; it is not counted. The value is the seconds after which to try again.
    pub(crate) fn take(&mut self, now: Mono, key: K) -> Result<(), u32> {
        let mut uses = self.young.remove(&key).or_else(|| self.old.remove(&key)).unwrap_or_default();
        while uses.front().is_some_and(|first| now.since(*first) >= self.per) {
            uses.pop_front();
        }
        let taken = if uses.len() < self.most {
            uses.push_back(now);
            Ok(())
        } else {
            let passed = uses.front().map_or(Duration::ZERO, |first| now.since(*first));
            let wait = self.per.saturating_sub(passed).as_millis().div_ceil(1000);
            Err(u32::try_from(wait).unwrap_or(u32::MAX))
        };
        if self.young.len() >= self.keys.div_ceil(2) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, uses);
        taken
    }

    /// Takes back a use that was counted at this moment and came to nothing.
    pub(crate) fn give_back(&mut self, at: Mono, key: &K) {
        let uses = if self.young.contains_key(key) { self.young.get_mut(key) } else { self.old.get_mut(key) };
        let Some(uses) = uses else { return };
        if let Some(place) = uses.iter().rposition(|used| *used == at) {
            uses.remove(place);
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
    fn lets_the_window_slide() {
        let mut rates = Rates::new(2, Duration::from_secs(60), 10);
        assert_eq!(rates.take(at(0), 'a'), Ok(()));
        assert_eq!(rates.take(at(30_000), 'a'), Ok(()));
        assert_eq!(rates.take(at(30_001), 'a'), Err(30));
        assert_eq!(rates.take(at(30_001), 'b'), Ok(()));
        assert_eq!(rates.take(at(59_999), 'a'), Err(1));
        assert_eq!(rates.take(at(60_000), 'a'), Ok(()));
        assert_eq!(rates.take(at(60_000), 'a'), Err(30));
    }

    #[test]
    fn counts_nothing_that_was_given_back() {
        let mut rates = Rates::new(2, Duration::from_secs(60), 10);
        assert_eq!([rates.take(at(0), 'a'), rates.take(at(5), 'a')], [Ok(()), Ok(())]);
        rates.give_back(at(5), &'a');
        rates.give_back(at(5), &'a');
        rates.give_back(at(0), &'b');
        assert_eq!([rates.take(at(7), 'a'), rates.take(at(8), 'a')], [Ok(()), Err(60)]);
    }

    #[test]
    fn remembers_a_bounded_number_of_keys_and_locks_nobody_out() {
        let mut rates = Rates::new(1, Duration::from_secs(60), 10);
        for key in 0..1000 {
            assert_eq!(rates.take(at(0), key), Ok(()));
            assert!(rates.young.len() + rates.old.len() <= 10);
        }
        assert_eq!(rates.take(at(1), 999), Err(60));
        assert_eq!(rates.take(at(1), 0), Ok(()));
    }
}
