//! Connections to relays: kept to those with an own mailbox, made for a while to those of others.

use super::{RelayAt, STABLE, jittered, pause};
use rand_core::CryptoRng;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use waypost_core::{ContactId, Mono, SrempAddress};
use waypost_sremp::LinkId;

/// How long a connection to somebody else's relay stays when nobody needs it: confirmations may follow.
const LINGER: Duration = Duration::from_secs(120);

/// All relays in use, by identity.
#[derive(Default)]
pub(super) struct Relays(BTreeMap<ContactId, Relay>);

struct Relay {
    at: RelayAt,
    own: bool,
    /// The connection or attempt, and since when it is ready.
    link: Option<(LinkId, Option<Mono>)>,
    /// Peers for whose letters it is needed.
    peers: BTreeSet<ContactId>,
    /// It is to be asked something, once.
    asked: bool,
    /// When the last of them left.
    idle_since: Mono,
    /// Attempts that failed one after the other.
    rounds: u32,
    /// No attempt before this, unless a peer asks.
    not_before: Mono,
}

/// A connection to a relay that ended.
pub(super) struct Lost {
    pub(super) identity: ContactId,
    pub(super) was_ready: bool,
    /// Who needed it.
    pub(super) waiting: BTreeSet<ContactId>,
}

impl Relays {
    /// Sets the relays with an own mailbox. Gives connections that must be made anew in their new role.
    pub(super) fn set_own(&mut self, now: Mono, own: Vec<RelayAt>) -> Vec<LinkId> {
        let mut stale = Vec::new();
        for relay in self.0.values_mut() {
            let is_own = own.iter().any(|at| at.identity == relay.at.identity);
            if relay.own != is_own {
                stale.extend(relay.link.map(|(link, _)| link));
            }
            relay.own = is_own;
        }
        for at in own {
            let relay = self.0.entry(at.identity).or_insert_with(|| Relay::new(now, at.clone()));
            (relay.own, relay.at) = (true, at);
        }
        stale
    }

    /// A peer needs a relay. True if it is ready already.
    pub(super) fn join(&mut self, now: Mono, at: RelayAt, peer: ContactId) -> bool {
        let relay = self.0.entry(at.identity).or_insert_with(|| Relay::new(now, at));
        relay.peers.insert(peer);
        relay.not_before = now;
        matches!(relay.link, Some((_, Some(_))))
    }

    /// Something is to be asked of a relay; the connection stays for a while.
    pub(super) fn ask(&mut self, now: Mono, at: RelayAt) {
        let relay = self.0.entry(at.identity).or_insert_with(|| Relay::new(now, at));
        (relay.asked, relay.not_before, relay.idle_since) = (relay.link.is_none(), now, now);
    }

    /// No pause before the next attempt.
    pub(super) fn hurry(&mut self, now: Mono, relay: &ContactId) {
        if let Some(relay) = self.0.get_mut(relay) {
            relay.not_before = now;
        }
    }

    /// A peer needs it no more.
    pub(super) fn leave(&mut self, now: Mono, relay: &ContactId, peer: &ContactId) {
        if let Some(relay) = self.0.get_mut(relay) {
            relay.peers.remove(peer);
            relay.idle_since = now;
        }
    }

    pub(super) fn of(&self, link: LinkId) -> Option<(ContactId, bool)> {
        let found = self.0.values().find(|relay| relay.link.is_some_and(|(known, _)| known == link));
        found.map(|relay| (relay.at.identity, relay.own))
    }

    pub(super) fn address(&self, relay: &ContactId) -> Option<&SrempAddress> {
        self.0.get(relay).map(|relay| &relay.at.at)
    }

    pub(super) fn ready_link(&self, relay: &ContactId) -> Option<LinkId> {
        match self.0.get(relay)?.link {
            Some((link, Some(_))) => Some(link),
            _ => None,
        }
    }

    /// The relay has registered us. Gives which, and who waits for it.
    pub(super) fn ready(&mut self, now: Mono, link: LinkId) -> Option<(ContactId, BTreeSet<ContactId>)> {
        let relay = self.0.values_mut().find(|relay| relay.link.is_some_and(|(known, _)| known == link))?;
        (relay.link, relay.asked, relay.idle_since) = (Some((link, Some(now))), false, now);
        Some((relay.at.identity, relay.peers.clone()))
    }

    pub(super) fn closed(&mut self, now: Mono, rng: &mut dyn CryptoRng, link: LinkId) -> Option<Lost> {
        let relay = self.0.values_mut().find(|relay| relay.link.is_some_and(|(known, _)| known == link))?;
        let ready = relay.link.take().and_then(|(_, ready)| ready);
        if ready.is_some_and(|since| now.since(since) >= STABLE) {
            relay.rounds = 0;
        }
        relay.not_before = now.after(jittered(pause(relay.rounds), rng));
        relay.rounds = relay.rounds.saturating_add(1);
        relay.asked = false;
        // Those who still need it ask again.
        let waiting = std::mem::take(&mut relay.peers);
        Some(Lost { identity: relay.at.identity, was_ready: ready.is_some(), waiting })
    }

    /// Forgets relays of others that nobody needs and to which no connection stands.
    pub(super) fn tick(&mut self, now: Mono) {
        self.0.retain(|_, relay| relay.is_wanted() || relay.link.is_some());
        for relay in self.0.values_mut().filter(|relay| relay.is_idle(now)) {
            // Closed by `next_to_close`.
            relay.not_before = Mono::from_millis(u64::MAX);
        }
    }

    /// A relay to which a connection is to be opened now.
    pub(super) fn next_to_dial(&self, now: Mono) -> Option<RelayAt> {
        let due = |relay: &&Relay| relay.link.is_none() && relay.not_before <= now && relay.is_wanted();
        self.0.values().find(due).map(|relay| relay.at.clone())
    }

    pub(super) fn dialling(&mut self, relay: &ContactId, link: LinkId) {
        if let Some(relay) = self.0.get_mut(relay) {
            relay.link = Some((link, None));
        }
    }

    /// A connection that nobody needs any more; it is forgotten.
    pub(super) fn next_to_close(&mut self) -> Option<LinkId> {
        let never = Mono::from_millis(u64::MAX);
        let idle = self.0.values().find(|relay| relay.link.is_some() && relay.not_before == never)?;
        let identity = idle.at.identity;
        self.0.remove(&identity)?.link.map(|(link, _)| link)
    }

    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        self.0.values().filter_map(Relay::next).min()
    }
}

impl Relay {
    fn new(now: Mono, at: RelayAt) -> Self {
        Self {
            at,
            own: false,
            link: None,
            peers: BTreeSet::new(),
            asked: false,
            idle_since: now,
            rounds: 0,
            not_before: now,
        }
    }

    fn is_wanted(&self) -> bool {
        self.own || self.asked || !self.peers.is_empty()
    }

    fn is_idle(&self, now: Mono) -> bool {
        !self.is_wanted() && self.link.is_some() && self.idle_since.after(LINGER) <= now
    }

    fn next(&self) -> Option<Mono> {
        match self.link {
            None if self.is_wanted() => Some(self.not_before),
            Some(_) if !self.is_wanted() => Some(self.idle_since.after(LINGER)),
            _ => None,
        }
    }
}
