//! A peer as a machine: what brokers bring in, what is to be published out.
//!
//! ```text
//! Received --Envelope::read--> token: key, replay, signature, binding --> broadcast, introduction, handshake
//!                         `--> ack, session message: opened by the sessions there are
//! Broadcast, Send --> signed or sealed --> Output::Publish, to every broker or to one
//! ```
//! Nothing is ever answered that does not hold; what is dropped is counted by its reason. Brokers come and go; keys,
//! sessions and caches are one for all of them, so that a message that comes by two is one.

mod event;
mod handshake;
mod membership;
mod messages;
mod publish;
mod receive;
mod ticks;

pub use event::{Broker, Encrypted, Event, Input, MessageStatus, Origin, Output};

use crate::book::Book;
use crate::channel::ChannelKey;
use crate::inbox::Inboxes;
use crate::outbox::Outbox;
use crate::presence::Presence;
use crate::probe::GivenHandshake;
use crate::rate::Buckets;
use crate::replay::{ReplayCache, SeenToken};
use crate::schedule::Key;
use crate::session::{Auth, Role, Session};
use crate::skew::Skew;
use crate::{AppId, CarriedKey, ChannelName, Crypto, Drop, Error, Fingerprint, Identity, Settings, Topic};
use rand_core::CryptoRng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use waypost_core::{Mono, Now};
use x25519_dalek::StaticSecret;

/// One peer: an identity in an application.
pub struct Peer {
    identity: Identity,
    app: AppId,
    crypto: Crypto,
    settings: Settings,
    /// New at each start: others notice that old sessions are dead. PP-X10.
    boot: [u8; 8],
    book: Book,
    presence: Presence,
    replay: ReplayCache,
    brokers: BTreeMap<Broker, Connection>,
    channels: BTreeMap<u32, Channel>,
    sessions: BTreeMap<u64, Session>,
    next_session: u64,
    pending: BTreeMap<Fingerprint, Pending>,
    /// Sessions that have ended, by key and sid, and until when they are remembered.
    ended: BTreeMap<(Fingerprint, String), Mono>,
    /// Wrapped keys that each key has used, with the sid: as long as the process lives.
    wrapped: BTreeMap<(Fingerprint, [u8; 32]), String>,
    wrapped_order: VecDeque<(Fingerprint, [u8; 32])>,
    /// When the last handshake to a key was begun.
    tried: BTreeMap<Fingerprint, Mono>,
    queues: BTreeMap<Fingerprint, VecDeque<Waiting>>,
    outboxes: BTreeMap<Fingerprint, Outbox>,
    inboxes: Inboxes,
    rates: Rates,
    /// Introductions to be sent: when, to whom, in which channel.
    introductions: Vec<(Mono, Fingerprint, u32)>,
    introduced: BTreeMap<(Fingerprint, u32), Mono>,
    /// The next sign of life to peers who share no channel.
    inbox_heartbeat: Option<Mono>,
    /// Receipts that wait until the delivery is durable.
    held: BTreeMap<u64, (Fingerprint, crate::Frame)>,
    next_delivery: u64,
    dropped: BTreeMap<Drop, u64>,
    skew: Skew,
    outputs: VecDeque<Output>,
    /// After the goodbye nothing is done any more.
    over: bool,
}

#[derive(Default)]
struct Connection {
    /// The largest packet it takes, if it said so.
    max_packet: Option<usize>,
    /// Topics that were confirmed.
    subscribed: BTreeSet<Topic>,
}

struct Channel {
    name: ChannelName,
    key: Option<ChannelKey>,
    heartbeat: Option<Mono>,
}

/// A handshake of ours that was not answered yet.
struct Pending {
    sid: String,
    k0: Key,
    aes_key: Vec<u8>,
    ephemeral: StaticSecret,
    begun: Mono,
    /// How often it was sent.
    sent: usize,
}

/// A message that waits for a session.
struct Waiting {
    id: u64,
    bytes: Vec<u8>,
    reliable: bool,
    deadline: Mono,
}

struct Rates {
    topic: Buckets<Topic>,
    key: Buckets<Fingerprint>,
    session: Buckets<Fingerprint>,
    unwrap_key: Buckets<Fingerprint>,
    unwrap_all: Buckets<()>,
    failures: Buckets<u32>,
    introductions: Buckets<()>,
}

impl Peer {
    /// A peer that knows nobody yet.
    pub fn new(rng: &mut impl CryptoRng, identity: Identity, app: AppId, crypto: Crypto, settings: Settings) -> Self {
        let (limits, timing) = (&settings.limits, &settings.timing);
        let mut boot = [0; 8];
        rng.fill_bytes(&mut boot);
        let many = limits.peers;
        Self {
            book: Book::new(limits.peers, limits.keys_per_uid),
            presence: Presence::new(timing.offline),
            replay: ReplayCache::new(limits.replay, timing.remember),
            inboxes: Inboxes::new(limits.clone(), timing.clone()),
            rates: Rates {
                topic: Buckets::new(limits.topic_rate, many),
                key: Buckets::new(limits.key_rate, many),
                session: Buckets::new(limits.session_rate, many),
                unwrap_key: Buckets::new(limits.unwrap_rate.0, many),
                unwrap_all: Buckets::new(limits.unwrap_rate.1, 1),
                failures: Buckets::new(limits.failure_rate, many),
                introductions: Buckets::new(limits.introduction_rate, 1),
            },
            identity,
            app,
            crypto,
            boot,
            settings,
            brokers: BTreeMap::new(),
            channels: BTreeMap::new(),
            sessions: BTreeMap::new(),
            next_session: 0,
            pending: BTreeMap::new(),
            ended: BTreeMap::new(),
            wrapped: BTreeMap::new(),
            wrapped_order: VecDeque::new(),
            tried: BTreeMap::new(),
            queues: BTreeMap::new(),
            outboxes: BTreeMap::new(),
            introductions: Vec::new(),
            introduced: BTreeMap::new(),
            inbox_heartbeat: None,
            held: BTreeMap::new(),
            next_delivery: 0,
            dropped: BTreeMap::new(),
            skew: Skew::default(),
            outputs: VecDeque::new(),
            over: false,
        }
    }

    /// Takes what happened. What others do wrong is counted, never an error.
    ///
    /// # Errors
    /// The local user's input cannot be done.
    pub fn handle(&mut self, now: Now, rng: &mut impl CryptoRng, input: Input<'_>) -> Result<(), Error> {
        let rng: &mut dyn CryptoRng = rng;
        if self.over {
            return match input {
                Input::Send { .. } | Input::Broadcast { .. } | Input::Join { .. } | Input::Leave { .. } => {
                    Err(Error::NotConnected)
                }
                _ => Ok(()),
            };
        }
        match input {
            Input::Connected { broker, max_packet } => self.connected(broker, max_packet),
            Input::Subscribed { broker, topic } => self.subscribed(now, rng, broker, topic),
            Input::Disconnected { broker } => {
                self.brokers.remove(&broker);
                Ok(())
            }
            Input::Received { topic, payload, retain } => {
                if let Err(drop) = self.receive(now, rng, topic, payload, retain) {
                    *self.dropped.entry(drop).or_default() += 1;
                    self.event(Event::Dropped(drop));
                }
                Ok(())
            }
            Input::Tick => self.tick(now, rng),
            Input::Join { channel, key } => self.join(channel, key),
            Input::Leave { channel } => self.leave(now, rng, channel),
            Input::Broadcast { channel, data, reliable } => self.broadcast(now, rng, channel, data, reliable),
            Input::Send { id, to, bytes, reliable } => self.send(now, rng, id, to, bytes, reliable),
            Input::Delivered(delivery) => self.delivered(now, rng, delivery),
            Input::Shutdown => self.shutdown(now, rng),
        }
    }

    /// The next thing to do; call until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The own identity.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where others write to this peer.
    pub fn inbox(&self) -> Topic {
        self.app.inbox(self.identity.public().uid())
    }

    /// What was dropped, by reason.
    pub const fn dropped(&self) -> &BTreeMap<Drop, u64> {
        &self.dropped
    }

    /// Seconds that the clocks of the others are ahead of the own one, by their median; none before there are three.
    /// From 20 on the user wants to know. Nothing is accepted or dropped for it.
    pub fn skew_estimate(&self) -> Option<i64> {
        self.skew.estimate()
    }

    /// Keys that were met.
    pub const fn book(&self) -> &Book {
        &self.book
    }

    /// Keys that were met, to be changed by the user.
    pub const fn book_mut(&mut self) -> &mut Book {
        &mut self.book
    }

    /// Whether a peer is there.
    pub fn is_online(&self, peer: &Fingerprint) -> bool {
        self.presence.is_online(peer)
    }

    /// Tokens that were seen, for keeping over a restart of the process.
    pub fn seen_tokens(&self, now: Now) -> Vec<SeenToken> {
        self.replay.export(now)
    }

    /// Tokens that were seen before a restart.
    pub fn restore_seen_tokens(&mut self, now: Now, tokens: impl IntoIterator<Item = SeenToken>) {
        self.replay.restore(now, tokens);
    }

    pub(crate) fn give_session(&mut self, now: Now, sender: &CarriedKey, session: Session) {
        self.book.meet(now.mono, sender);
        self.next_session += 1;
        self.sessions.insert(self.next_session, session);
    }

    pub(crate) fn give_handshake(&mut self, now: Now, responder: &CarriedKey, given: GivenHandshake) {
        let peer = responder.key.fingerprint();
        self.book.meet(now.mono, responder);
        if let Some(caps) = given.known_caps {
            self.book.restore_lock(&peer, caps);
        }
        let pending = Pending {
            sid: given.sid,
            k0: Key::new(given.k0),
            aes_key: given.aes_key,
            ephemeral: StaticSecret::from(given.ephemeral),
            begun: now.mono,
            sent: 1,
        };
        self.pending.insert(peer, pending);
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn own_uid(&self) -> u32 {
        self.identity.public().uid()
    }

    /// The session that sends to a peer: the newest that is proven.
    fn sending(&self, peer: &Fingerprint) -> Option<u64> {
        let usable = self.settings.danger_allow_unproven_send;
        let sessions = self.sessions.iter().filter(|(_, session)| session.peer == *peer && session.until.is_none());
        let proven = sessions.clone().filter(|(_, session)| session.auth.proven).map(|(id, _)| *id).max();
        proven.or_else(|| sessions.filter(|_| usable).map(|(id, _)| *id).max())
    }

    /// Adds a session; of those with the same key and standing, the oldest go.
    fn add_session(&mut self, now: Now, session: Session) -> u64 {
        let (peer, proven) = (session.peer, session.auth.proven);
        self.event(Event::SessionOpened { peer, sid: session.sid.clone(), role: session.role, auth: session.auth });
        self.next_session += 1;
        let id = self.next_session;
        self.sessions.insert(id, session);
        let same = self.sessions.iter().filter(|(_, known)| known.peer == peer && known.auth.proven == proven);
        let same: Vec<u64> = same.map(|(id, _)| *id).collect();
        let over = same.len().saturating_sub(self.settings.limits.sessions);
        for old in same.into_iter().take(over) {
            self.end_session(now.mono, old, "replaced");
        }
        id
    }

    /// Forgets a key that has found no room any more, and what hangs on it.
    fn forget_peer(&mut self, now: Mono, peer: &Fingerprint) {
        self.end_sessions(now, peer, "forgotten", |_| true);
        self.presence.forget(peer);
        self.pending.remove(peer);
        let waiting = self.queues.remove(peer).unwrap_or_default().into_iter().map(|message| message.id);
        let outbox = self.outboxes.remove(peer).map(|outbox| outbox.ids()).unwrap_or_default();
        for id in waiting.chain(outbox).collect::<Vec<_>>() {
            self.event(Event::Status { id, status: MessageStatus::Failed });
        }
    }

    fn end_session(&mut self, now: Mono, id: u64, reason: &'static str) {
        if let Some(session) = self.sessions.remove(&id) {
            let until = now.after(self.settings.timing.remember);
            self.event(Event::SessionClosed { peer: session.peer, sid: session.sid.clone(), reason });
            self.ended.insert((session.peer, session.sid), until);
        }
    }

    fn end_sessions(&mut self, now: Mono, peer: &Fingerprint, reason: &'static str, which: impl Fn(&Session) -> bool) {
        let ids = self.sessions.iter().filter(|(_, session)| session.peer == *peer && which(session));
        for id in ids.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.end_session(now, id, reason);
        }
    }
}

impl Auth {
    const BROADCAST: Self = Self { proven: true, bound: false, forward_secret: false };
}

impl Role {
    const fn is_responder(self) -> bool {
        matches!(self, Self::Responder)
    }
}
