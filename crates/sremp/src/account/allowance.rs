//! How often a peer may do something in an hour.

use std::collections::BTreeMap;
use std::time::Duration;
use waypost_core::{ContactId, Mono};

/// A count per peer over a sliding window that starts with the first use.
pub(super) struct Allowance {
    most: u32,
    per: Duration,
    peers: usize,
    used: BTreeMap<ContactId, (Mono, u32)>,
}

impl Allowance {
    pub(super) fn new(most: u32, per: Duration, peers: usize) -> Self {
        Self { most, per, peers, used: BTreeMap::new() }
    }

    /// Whether the peer may do it once more.
    pub(super) fn has(&self, now: Mono, peer: &ContactId) -> bool {
        match self.used.get(peer) {
            Some((since, count)) => now.since(*since) >= self.per || *count < self.most,
            // When nobody else can be remembered, nobody new is let in: forgetting would lift the bound.
            None => self.used.len() < self.peers,
        }
    }

    /// Counts one use.
    pub(super) fn take(&mut self, now: Mono, peer: ContactId) {
        if self.used.len() >= self.peers {
            self.used.retain(|_, (since, _)| now.since(*since) < self.per);
        }
        let entry = self.used.entry(peer).or_insert((now, 0));
        if now.since(entry.0) >= self.per {
            *entry = (now, 0);
        }
        entry.1 = entry.1.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_peer_alone_and_forgets_after_the_hour() {
        let (alice, bob) = (ContactId::from_bytes([1; 32]), ContactId::from_bytes([2; 32]));
        let hour = Duration::from_secs(3600);
        let mut allowance = Allowance::new(2, hour, 10);
        let start = Mono::from_millis(5);
        allowance.take(start, alice);
        assert!(allowance.has(start, &alice));
        allowance.take(start, alice);
        assert!(!allowance.has(start, &alice));
        assert!(allowance.has(start, &bob));
        assert!(allowance.has(start.after(hour), &alice));
    }

    #[test]
    fn lets_nobody_new_in_when_it_cannot_remember_more() {
        let mut allowance = Allowance::new(2, Duration::from_secs(60), 1);
        allowance.take(Mono::default(), ContactId::from_bytes([1; 32]));
        let other = ContactId::from_bytes([2; 32]);
        assert!(!allowance.has(Mono::default(), &other));
        allowance.take(Mono::from_millis(60_000), other);
        assert!(allowance.has(Mono::from_millis(60_000), &other));
    }
}
