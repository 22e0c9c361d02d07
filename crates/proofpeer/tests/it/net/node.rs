//! One peer of the simulated world, and what it has told its owner.

use super::APP;
use std::collections::BTreeSet;
use std::sync::OnceLock;
use waypost_proofpeer::{
    AppId, Auth, Crypto, Event, Identity, MessageStatus, Peer, PresenceReason, PresenceState, Settings,
};
use waypost_testkit::SimRng;

pub(crate) struct Node {
    pub(crate) peer: Peer,
    pub(crate) rng: SimRng,
    pub(crate) events: Vec<(u64, Event)>,
    /// Whether deliveries are durable at once.
    pub(crate) confirms: bool,
    /// Milliseconds that its wall clock is ahead.
    pub(crate) skew: i64,
    pub(crate) connected: BTreeSet<u32>,
    pub(crate) topics: BTreeSet<String>,
}

/// An Ed25519 identity of a seed.
pub(crate) fn ed25519(seed: u64) -> Identity {
    Identity::generate_ed25519(&mut SimRng::new(seed)).unwrap()
}

/// One of two RSA identities, made once.
pub(crate) fn rsa(at: usize, crypto: Crypto) -> Identity {
    static KEYS: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    let new = || Identity::generate_rsa(&mut SimRng::new(1), Crypto::native()).unwrap().to_pkcs8().to_vec();
    Identity::from_pkcs8(&KEYS.get_or_init(|| [new(), new()])[at], crypto).unwrap()
}

/// So many extended peers with Ed25519 keys.
pub(crate) fn people(count: u64) -> Vec<Node> {
    (0..count).map(|seed| Node::new(seed + 10, Settings::default())).collect()
}

impl Node {
    /// With an Ed25519 key of this seed.
    pub(crate) fn new(seed: u64, settings: Settings) -> Self {
        Self::with(ed25519(seed), Crypto::native(), seed, settings)
    }

    pub(crate) fn with(identity: Identity, crypto: Crypto, seed: u64, settings: Settings) -> Self {
        let mut rng = SimRng::new(seed).fork("peer");
        let peer = Peer::new(&mut rng, identity, AppId::new(APP).unwrap(), crypto, settings);
        let (connected, topics) = (BTreeSet::new(), BTreeSet::new());
        Self { peer, rng, events: Vec::new(), confirms: true, skew: 0, connected, topics }
    }

    /// One that knows only the seed.
    pub(crate) fn literal(seed: u64) -> Self {
        Self::new(seed, Settings { literal: true, ..Settings::default() })
    }

    /// Another process with the same key.
    pub(crate) fn again(&self, seed: u64, settings: Settings) -> Peer {
        let identity = Identity::from_pkcs8(self.peer.identity().to_pkcs8(), Crypto::native()).unwrap();
        Self::with(identity, Crypto::native(), seed, settings).peer
    }

    /// Private messages that came, and what was known of the sender.
    pub(crate) fn messages(&self) -> Vec<(Vec<u8>, Auth)> {
        let deliver = |event: &Event| match event {
            Event::Deliver { bytes: Some(bytes), origin, .. } => Some((bytes.clone(), origin.auth)),
            _ => None,
        };
        self.events.iter().filter_map(|(_, event)| deliver(event)).collect()
    }

    /// Their texts.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.messages().into_iter().map(|(bytes, _)| String::from_utf8_lossy(&bytes).into_owned()).collect()
    }

    /// Broadcasts that came.
    pub(crate) fn broadcasts(&self) -> Vec<(String, Auth)> {
        let deliver = |event: &Event| match event {
            Event::Deliver { value: Some(value), origin, .. } => Some((value.as_str()?.to_owned(), origin.auth)),
            _ => None,
        };
        self.events.iter().filter_map(|(_, event)| deliver(event)).collect()
    }

    pub(crate) fn statuses(&self, id: u64) -> Vec<MessageStatus> {
        let of = |event: &Event| match event {
            Event::Status { id: known, status } if *known == id => Some(*status),
            _ => None,
        };
        self.events.iter().filter_map(|(_, event)| of(event)).collect()
    }

    /// Changes of presence: when, what and why.
    pub(crate) fn presence(&self) -> Vec<(u64, PresenceState, PresenceReason)> {
        let of = |(at, event): &(u64, Event)| match event {
            Event::Presence(change) => Some((*at, change.state, change.reason)),
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }

    /// Sessions that were opened: sid and what is known.
    pub(crate) fn opened(&self) -> Vec<(String, Auth)> {
        let of = |event: &Event| match event {
            Event::SessionOpened { sid, auth, .. } => Some((sid.clone(), *auth)),
            _ => None,
        };
        self.events.iter().filter_map(|(_, event)| of(event)).collect()
    }

    /// Why sessions were closed.
    pub(crate) fn closed(&self) -> Vec<&'static str> {
        let of = |event: &Event| match event {
            Event::SessionClosed { reason, .. } => Some(*reason),
            _ => None,
        };
        self.events.iter().filter_map(|(_, event)| of(event)).collect()
    }

    /// How often something was dropped for a reason.
    pub(crate) fn dropped(&self, reason: &str) -> u64 {
        self.peer.dropped().iter().filter(|(drop, _)| drop.name() == reason).map(|(_, count)| *count).sum()
    }
}
