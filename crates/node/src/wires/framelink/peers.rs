//! Which contact is dialled when.

use rand_core::CryptoRng;
use std::collections::BTreeMap;
use std::time::Duration;
use waypost_core::{ContactId, Mono, SrempAddress};
use waypost_net::framelink::FIRST_LINK;

/// First pause after a failure; doubles.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause: as on connections of SREMP's.
const LONGEST: Duration = Duration::from_secs(300);

/// Contacts with whom a key is shared.
#[derive(Default)]
pub(super) struct Peers {
    peers: BTreeMap<ContactId, Peer>,
    dialled: u64,
}

#[derive(Default)]
struct Peer {
    addresses: Vec<SrempAddress>,
    /// The address that is tried next.
    next: usize,
    link: Option<u64>,
    dialling: Option<(u64, SrempAddress)>,
    /// Letters wait, and nobody is connected.
    wanted: bool,
    /// When to look whether to dial; not at all while nothing waits.
    due: Option<Mono>,
    failures: u32,
}

impl Peers {
    /// Takes who shares a key and where each listens; the links of those who share none any more.
    pub(super) fn know(&mut self, all: BTreeMap<ContactId, Vec<SrempAddress>>) -> Vec<u64> {
        let mut gone = Vec::new();
        self.peers.retain(|peer, known| {
            let stays = all.contains_key(peer);
            if !stays {
                gone.extend(known.link);
                gone.extend(known.dialling.as_ref().map(|(link, _)| *link));
            }
            stays
        });
        for (peer, addresses) in all {
            let known = self.peers.entry(peer).or_default();
            if known.addresses != addresses {
                (known.next, known.failures) = (0, 0);
                known.due = known.wanted.then_some(Mono::default());
                known.addresses = addresses;
            }
        }
        gone
    }

    pub(super) fn all(&self) -> Vec<ContactId> {
        self.peers.keys().copied().collect()
    }

    /// Letters wait.
    pub(super) fn want(&mut self, now: Mono, peer: &ContactId) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.wanted = true;
            known.due = known.due.or(Some(now));
        }
    }

    /// Letters may wait.
    pub(super) fn look(&mut self, now: Mono, peer: &ContactId) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.due = known.due.or(Some(now));
        }
    }

    pub(super) fn is_wanted(&self, peer: &ContactId) -> bool {
        self.peers.get(peer).is_some_and(|known| known.wanted)
    }

    /// Nothing waits after all.
    pub(super) fn rest(&mut self, peer: &ContactId) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.due = None;
        }
    }

    /// Contacts to look at.
    pub(super) fn due(&self, now: Mono) -> Vec<ContactId> {
        let is_due = |known: &Peer| known.is_free() && known.due.is_some_and(|due| due <= now);
        self.peers.iter().filter(|(_, known)| is_due(known)).map(|(peer, _)| *peer).collect()
    }

    pub(super) fn next_due(&self) -> Option<Mono> {
        self.peers.values().filter(|known| known.is_free()).filter_map(|known| known.due).min()
    }

    /// The number of a new link, and where to.
    pub(super) fn dial(&mut self, peer: &ContactId) -> Option<(u64, SrempAddress)> {
        let known = self.peers.get_mut(peer)?;
        known.due = None;
        let to = known.addresses.get(known.next.checked_rem(known.addresses.len())?)?.clone();
        self.dialled += 2;
        let link = FIRST_LINK + self.dialled;
        known.dialling = Some((link, to.clone()));
        Some((link, to))
    }

    /// A link stands; the address that worked, if it was dialled.
    pub(super) fn up(&mut self, peer: ContactId, link: u64) -> Option<SrempAddress> {
        let known = self.peers.get_mut(&peer)?;
        let dialled = known.dialling.take_if(|(dialling, _)| *dialling == link);
        known.link = Some(link);
        (known.wanted, known.due, known.failures) = (false, None, 0);
        dialled.map(|(_, address)| address)
    }

    /// A link or an attempt has ended: letters that wait are looked for again after a pause.
    pub(super) fn down(&mut self, now: Mono, rng: &mut dyn CryptoRng, link: u64) {
        let is_its = |known: &&mut Peer| {
            known.link == Some(link) || known.dialling.as_ref().is_some_and(|(dialling, _)| *dialling == link)
        };
        let Some(known) = self.peers.values_mut().find(is_its) else { return };
        if known.dialling.take_if(|(dialling, _)| *dialling == link).is_some() {
            known.next = known.next.wrapping_add(1);
            known.failures = known.failures.saturating_add(1);
        }
        known.link.take_if(|standing| *standing == link);
        let pause = FIRST.saturating_mul(1 << known.failures.saturating_sub(1).min(16)).min(LONGEST);
        let jitter = f64::from(rng.next_u32()) / f64::from(u32::MAX);
        known.due = Some(now.after(pause.mul_f64(0.5 + jitter / 2.0)));
    }
}

impl Peer {
    fn is_free(&self) -> bool {
        self.link.is_none() && self.dialling.is_none()
    }
}
