//! Two connections joined in memory.

use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng;
use std::{sync::Arc, time::Duration};
use waypost_core::{Mono, Now, Wall};
use waypost_sremp::{
    Connection, Error, Identity, IdentityDraft, Message,
    connection::{Closed, ConnectionKeys, Dialled, Event, Input, Limits, Output, Timing, Verdict},
    ed25519::SigningKey,
    x25519::Secret,
};

pub(crate) fn rng(seed: u64) -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(seed)
}

/// A person: everything derives from one byte.
pub(crate) fn noise_secret(person: u8) -> Secret {
    Secret::from_bytes([person; 32])
}

pub(crate) fn signing_key(person: u8) -> SigningKey {
    SigningKey::from_bytes(&[person; 32])
}

pub(crate) fn identity(person: u8) -> Identity {
    let noise = noise_secret(person).public();
    IdentityDraft::new("Ada", noise, noise, 1, Wall::default()).sign(&signing_key(person)).unwrap()
}

pub(crate) fn keys(person: u8) -> Arc<ConnectionKeys> {
    Arc::new(ConnectionKeys::new(noise_secret(person), identity(person)).unwrap())
}

pub(crate) fn at(millis: u64) -> Now {
    Now { mono: Mono::from_millis(millis), wall: Wall::from_millis(1_790_000_000_000 + millis) }
}

/// One connection with its outputs gathered.
pub(crate) struct End {
    pub(crate) connection: Connection,
    rng: ChaCha12Rng,
    pub(crate) sent: Vec<u8>,
    pub(crate) events: Vec<Event>,
    pub(crate) closed: bool,
    /// What to answer to `Identified`; `None` leaves the question open.
    pub(crate) verdict: Option<Verdict>,
}

pub(crate) const ALICE: u8 = 1;
pub(crate) const BOB: u8 = 2;
pub(crate) const KNOWN: Verdict = Verdict::Accept { known: true };
pub(crate) const UNKNOWN: Verdict = Verdict::Accept { known: false };

impl End {
    pub(crate) fn dial(person: u8, dialled: Dialled) -> Self {
        Self::dial_with(person, dialled, Limits::default())
    }

    pub(crate) fn dial_with(person: u8, dialled: Dialled, limits: Limits) -> Self {
        let mut rng = rng(u64::from(person));
        let connection = Connection::dial(at(0), &mut rng, keys(person), dialled, limits, Timing::default()).unwrap();
        Self::of(connection, rng)
    }

    pub(crate) fn accept(person: u8) -> Self {
        Self::accept_with(person, Limits::default())
    }

    pub(crate) fn accept_with(person: u8, limits: Limits) -> Self {
        Self::of(Connection::accept(at(0), keys(person), limits, Timing::default()), rng(u64::from(person)))
    }

    fn of(connection: Connection, rng: ChaCha12Rng) -> Self {
        let mut end =
            Self { connection, rng, sent: Vec::new(), events: Vec::new(), closed: false, verdict: Some(KNOWN) };
        end.poll(at(0));
        end
    }

    pub(crate) fn handle(&mut self, now: Now, input: Input<'_>) -> Result<(), Error> {
        let result = self.connection.handle(now, &mut self.rng, input);
        self.poll(now);
        result
    }

    pub(crate) fn give(&mut self, now: Now, bytes: &[u8]) {
        self.handle(now, Input::Bytes(bytes)).unwrap();
    }

    pub(crate) fn send(&mut self, now: Now, message: impl Into<Message>) {
        self.handle(now, Input::Send(message.into())).unwrap();
    }

    /// Comes back at each moment the connection asks for, up to and with `until`.
    pub(crate) fn wait(&mut self, until: Now) {
        while let Some(next) = self.connection.poll_timeout().filter(|&next| next <= until.mono) {
            self.handle(at(next.as_millis()), Input::Tick).unwrap();
        }
    }

    fn poll(&mut self, now: Now) {
        while let Some(output) = self.connection.poll() {
            assert!(!self.closed, "an output behind the last one");
            match output {
                Output::Send(bytes) => self.sent.extend(bytes),
                Output::Event(event) => {
                    let asks = matches!(event, Event::Identified(_));
                    self.events.push(event);
                    if let Some(verdict) = self.verdict.filter(|_| asks) {
                        self.connection.handle(now, &mut self.rng, Input::Judged(verdict)).unwrap();
                    }
                }
                Output::Close => self.closed = true,
            }
        }
    }

    pub(crate) fn take_sent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.sent)
    }

    /// The messages that arrived.
    pub(crate) fn messages(&self) -> Vec<Message> {
        let message = |event: &Event| match event {
            Event::Message(message) => Some(message.clone()),
            _ => None,
        };
        self.events.iter().filter_map(message).collect()
    }

    /// Why it ended.
    pub(crate) fn ending(&self) -> Option<&Closed> {
        match self.events.last() {
            Some(Event::Closed(reason)) => {
                assert!(self.closed);
                Some(reason)
            }
            _ => None,
        }
    }

    pub(crate) fn has_met(&self, person: u8) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Ready { peer, .. } if *peer == identity(person)))
    }
}

/// Carries bytes both ways, `step` at a time, until there are none.
pub(crate) fn carry(now: Now, a: &mut End, b: &mut End, step: usize) {
    while !a.sent.is_empty() || !b.sent.is_empty() {
        let (from_a, from_b) = (a.take_sent(), b.take_sent());
        from_a.chunks(step).for_each(|bytes| b.give(now, bytes));
        from_b.chunks(step).for_each(|bytes| a.give(now, bytes));
    }
}

/// Alice has dialled Bob and both are ready.
pub(crate) fn met(alice: Verdict, bob: Verdict) -> (End, End) {
    met_with(alice, bob, Limits::default())
}

pub(crate) fn met_with(alice: Verdict, bob: Verdict, limits: Limits) -> (End, End) {
    let bobs = Dialled { identity: Some(identity(BOB).key()), pin: Some(identity(BOB).noise_key()) };
    let mut a = End::dial_with(ALICE, bobs, limits.clone());
    let mut b = End::accept_with(BOB, limits);
    (a.verdict, b.verdict) = (Some(alice), Some(bob));
    carry(at(0), &mut a, &mut b, usize::MAX);
    assert!(a.has_met(BOB) && b.has_met(ALICE));
    (a, b)
}

pub(crate) fn seconds(seconds: u64) -> Now {
    at(Duration::from_secs(seconds).as_millis() as u64)
}
