//! When to dial whom: one attempt at a time a contact, its addresses in order, then a growing pause.

use rand_core::CryptoRng;
use std::collections::BTreeMap;
use std::time::Duration;
use waypost_core::{ContactId, Mono, SrempAddress};
use waypost_net::sremp::DriverCommand;
use waypost_sremp::connection::Dialled;
use waypost_sremp::{CloseReason, ErrorCode, LinkId, x25519::PublicKey};

/// First pause; doubles. Profile, Connection: full-jitter backoff 1 s * 2^n, cap 5 min.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
/// A connection that broke sooner than this counts as a failed attempt.
const STABLE: Duration = Duration::from_secs(10);

/// All attempts under way or planned.
#[derive(Default)]
pub(super) struct Dials {
    peers: BTreeMap<ContactId, Dial>,
    next: u64,
}

struct Dial {
    /// The attempt under way, and where to.
    current: Option<(LinkId, SrempAddress)>,
    /// Addresses still to try in this round.
    left: Vec<SrempAddress>,
    pin: Option<PublicKey>,
    /// Rounds that failed one after the other.
    rounds: u32,
    /// No attempt before this.
    not_before: Mono,
    /// Somebody waits for the next attempt.
    wanted: bool,
    /// When the last connection was ready.
    up: Option<Mono>,
    /// Wrong keys are there: no attempt until the contact changes.
    stopped: bool,
}

impl Dials {
    /// Asks for a connection. Gives the command, if now is the time.
    pub(super) fn want(
        &mut self,
        now: Mono,
        peer: ContactId,
        addresses: Vec<SrempAddress>,
        pin: Option<PublicKey>,
    ) -> Option<DriverCommand> {
        if addresses.is_empty() {
            return None;
        }
        let dial = self.peers.entry(peer).or_insert_with(|| Dial {
            current: None,
            left: Vec::new(),
            pin: None,
            rounds: 0,
            not_before: now,
            wanted: false,
            up: None,
            stopped: false,
        });
        if dial.current.is_some() || dial.stopped {
            return None;
        }
        if let Some(up) = dial.up.take() {
            if now.since(up) >= STABLE {
                dial.rounds = 0;
            } else {
                dial.rounds = dial.rounds.saturating_add(1);
                dial.not_before = now.after(FIRST * 2u32.saturating_pow(dial.rounds.min(9))).min(now.after(LONGEST));
            }
        }
        if now < dial.not_before {
            dial.wanted = true;
            return None;
        }
        dial.wanted = false;
        dial.left = addresses;
        dial.left.reverse();
        dial.pin = pin;
        self.attempt(peer)
    }

    /// An attempt failed: the next address, or a pause.
    pub(super) fn failed(
        &mut self,
        now: Mono,
        rng: &mut dyn CryptoRng,
        link: LinkId,
        reason: CloseReason,
    ) -> Option<DriverCommand> {
        let peer = self.peer_of(link)?;
        let dial = self.peers.get_mut(&peer)?;
        dial.current = None;
        if matches!(reason, CloseReason::Local(ErrorCode::NoiseKeyMismatch)) {
            dial.stopped = true;
            return None;
        }
        if !dial.left.is_empty() {
            return self.attempt(peer);
        }
        let bound = (FIRST * 2u32.saturating_pow(dial.rounds.min(9))).min(LONGEST);
        let bound = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX).max(1);
        dial.rounds = dial.rounds.saturating_add(1);
        dial.not_before = now.after(Duration::from_millis(rng.next_u64() % bound));
        dial.wanted = true;
        None
    }

    /// An attempt led to a ready connection. Gives the address that worked.
    pub(super) fn succeeded(&mut self, now: Mono, link: LinkId) -> Option<SrempAddress> {
        let peer = self.peer_of(link)?;
        let dial = self.peers.get_mut(&peer)?;
        dial.up = Some(now);
        dial.left.clear();
        dial.wanted = false;
        dial.current.take().map(|(_, address)| address)
    }

    /// Starts afresh with a contact: its addresses or keys changed.
    pub(super) fn forget(&mut self, peer: &ContactId) {
        self.peers.retain(|id, dial| id != peer || dial.current.is_some());
    }

    /// Whose attempt a connection is.
    pub(super) fn peer_of(&self, link: LinkId) -> Option<ContactId> {
        let found = self.peers.iter().find(|(_, dial)| dial.current.as_ref().is_some_and(|(id, _)| *id == link));
        found.map(|(peer, _)| *peer)
    }

    /// Contacts that wait for an attempt whose time has come.
    pub(super) fn due(&mut self, now: Mono) -> Vec<ContactId> {
        let due = self.peers.iter_mut().filter(|(_, dial)| dial.wanted && dial.not_before <= now);
        due.map(|(peer, dial)| {
            dial.wanted = false;
            *peer
        })
        .collect()
    }

    /// When [`Dials::due`] has something.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        self.peers.values().filter(|dial| dial.wanted).map(|dial| dial.not_before).min()
    }

    fn attempt(&mut self, peer: ContactId) -> Option<DriverCommand> {
        let dial = self.peers.get_mut(&peer)?;
        let to = dial.left.pop()?;
        // The driver names what it accepts with odd numbers.
        self.next += 2;
        let link = LinkId(self.next);
        dial.current = Some((link, to.clone()));
        Some(DriverCommand::Dial { link, to, dialled: Dialled { identity: Some(peer), pin: dial.pin } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    const PEER: ContactId = ContactId::from_bytes([1; 32]);

    fn addresses() -> Vec<SrempAddress> {
        vec!["a.example:1".parse().unwrap(), "b.example:2".parse().unwrap()]
    }

    fn link_of(command: Option<DriverCommand>) -> (LinkId, String) {
        match command {
            Some(DriverCommand::Dial { link, to, .. }) => (link, to.to_string()),
            other => panic!("no dial: {other:?}"),
        }
    }

    #[test]
    fn tries_each_address_once_and_then_pauses() {
        let (mut dials, mut rng) = (Dials::default(), StdRng::seed_from_u64(1));
        let now = Mono::from_millis(1000);
        let refused = CloseReason::Unreachable;
        let (first, to) = link_of(dials.want(now, PEER, addresses(), None));
        assert_eq!(to, "a.example:1");
        assert!(dials.want(now, PEER, addresses(), None).is_none(), "one at a time");
        let (second, to) = link_of(dials.failed(now, &mut rng, first, refused));
        assert_eq!(to, "b.example:2");
        assert!(dials.failed(now, &mut rng, second, refused).is_none());
        let again = dials.poll_timeout().unwrap();
        assert!(again <= now.after(FIRST));
        assert_eq!(dials.due(again), [PEER]);
        link_of(dials.want(again, PEER, addresses(), None));
    }

    #[test]
    fn dials_no_more_where_wrong_keys_are_until_the_contact_changes() {
        let (mut dials, mut rng) = (Dials::default(), StdRng::seed_from_u64(1));
        let now = Mono::from_millis(1000);
        let (link, _) = link_of(dials.want(now, PEER, addresses(), None));
        let wrong = CloseReason::Local(ErrorCode::NoiseKeyMismatch);
        assert!(dials.failed(now, &mut rng, link, wrong).is_none());
        let later = now.after(LONGEST);
        assert!(dials.want(later, PEER, addresses(), None).is_none());
        dials.forget(&PEER);
        link_of(dials.want(later, PEER, addresses(), None));
    }

    #[test]
    fn does_not_hammer_a_contact_whose_connections_break_at_once() {
        let mut dials = Dials::default();
        let now = Mono::from_millis(1000);
        let (link, _) = link_of(dials.want(now, PEER, addresses(), None));
        assert_eq!(dials.succeeded(now, link).unwrap().to_string(), "a.example:1");
        assert!(dials.want(now.after(Duration::from_millis(1)), PEER, addresses(), None).is_none());
        assert!(dials.poll_timeout().unwrap() > now.after(FIRST));
    }
}
