//! Buckets of tokens: so many a second, and so many at once.

use crate::settings::Rate;
use std::collections::BTreeMap;
use waypost_core::Mono;

/// One bucket a key; full ones are forgotten.
pub(crate) struct Buckets<K> {
    rate: Rate,
    keys: usize,
    levels: BTreeMap<K, Bucket>,
}

#[derive(Clone, Copy)]
struct Bucket {
    /// Thousandths of a token.
    level: u64,
    at: Mono,
}

impl Bucket {
    fn filled(self, now: Mono, rate: Rate) -> Self {
        let millis = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let more = millis.saturating_mul(u64::from(rate.per_second));
        Self { level: self.level.saturating_add(more).min(u64::from(rate.burst) * 1000), at: now }
    }
}

impl<K: Ord + Clone> Buckets<K> {
    pub(crate) const fn new(rate: Rate, keys: usize) -> Self {
        Self { rate, keys, levels: BTreeMap::new() }
    }

    /// Whether there is a token.
    pub(crate) fn has(&self, now: Mono, key: &K) -> bool {
        self.levels.get(key).is_none_or(|bucket| bucket.filled(now, self.rate).level >= 1000)
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, now: Mono, key: &K) -> bool {
        let full = Bucket { level: u64::from(self.rate.burst) * 1000, at: now };
        let bucket = self.levels.get(key).map_or(full, |bucket| bucket.filled(now, self.rate));
        let Some(level) = bucket.level.checked_sub(1000) else { return false };
        if !self.levels.contains_key(key) && self.levels.len() >= self.keys {
            self.forget(now);
        }
        self.levels.insert(key.clone(), Bucket { level, at: now });
        true
    }

    /// Full buckets say nothing; when all are in use, the fullest goes.
    fn forget(&mut self, now: Mono) {
        let (rate, most) = (self.rate, u64::from(self.rate.burst) * 1000);
        self.levels.retain(|_, bucket| bucket.filled(now, rate).level < most);
        if self.levels.len() >= self.keys {
            let fullest = self.levels.iter().max_by_key(|(_, bucket)| bucket.filled(now, rate).level);
            if let Some(key) = fullest.map(|(key, _)| key.clone()) {
                self.levels.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_a_burst_and_then_so_many_a_second() {
        let mut buckets = Buckets::new(Rate { per_second: 2, burst: 3 }, 10);
        let at = |millis| Mono::from_millis(millis);
        assert_eq!((0..5).filter(|_| buckets.take(at(0), &'a')).count(), 3);
        assert!(buckets.take(at(0), &'b'));
        assert!(!buckets.take(at(499), &'a'));
        assert!(buckets.take(at(500), &'a'));
        assert_eq!((0..9).filter(|_| buckets.take(at(60_000), &'a')).count(), 3);
    }

    #[test]
    fn remembers_no_more_keys_than_it_may() {
        let mut buckets = Buckets::new(Rate { per_second: 1, burst: 1 }, 4);
        for key in 0..100 {
            assert!(buckets.take(Mono::from_millis(0), &key));
        }
        assert!(buckets.levels.len() <= 4);
    }
}
