//! One person's account: trust, sessions and letters on their way, whatever connection carries them.
//!
//! The machine seals letters, keeps the sealed bytes until the recipient's signed confirmation, opens
//! what comes in, and sets up sessions with peers that are online. It owns no connection: the shell
//! runs a [`Connection`](crate::Connection) a socket and passes its events in as [`Input`]s.
//!
//! ```text
//! Queue(letter) ──> item (record) ──seal──> blob (record) ──Send──> connection
//!                                              ▲                        │
//!                        confirmed: removed ───┴── DELIVERY_CONFIRMATION ┘
//! DIRECT_MESSAGE ──open──> Event::Received + Save ──Saved──> DELIVERY_CONFIRMATION
//! ```
//! State lies in records; memory holds only what open connections need. Outputs that depend on a
//! `Save` are held back until `Input::Saved`, in order.

mod allowance;
mod direct;
mod foreign;
mod link;
mod outbox;
mod setup;
mod sweep;

use crate::message::{ErrorMessage, Message};
use crate::trust::{Trust, VerifiedVia};
use crate::vault::{Own, Vault};
use crate::{Error, ErrorCode, Identity, LinkId, ed25519::SigningKey, x25519};
use allowance::Allowance;
pub use foreign::{WAYPOST, letter_of_text, text_of_letter};
use link::Link;
use rand_core::CryptoRng;
use setup::Setup;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use waypost_core::{Batch, Change, ContactId, InviteToken, Letter, LetterId, Mono, Now, Protection, Records, SaveId};

/// The secrets of an account, and the identity they belong to.
pub struct AccountKeys {
    /// The signed identity as others see it.
    pub identity: Identity,
    /// Signs with the identity key.
    pub signing: SigningKey,
    /// The X25519 secret of the identity's `dr_key`.
    pub dr: x25519::Secret,
}

/// Bounds of an account. Defaults are the profile's.
#[derive(Clone, Copy, Debug)]
pub struct AccountLimits {
    /// New sessions one peer may start an hour (profile, Trust).
    pub sessions_per_hour: u32,
    /// One-time prekeys one peer is given an hour on direct connections (profile, Prekeys).
    pub prekeys_per_hour: u32,
    /// Letters on one connection that wait for their confirmation. Far below the 1000 that a
    /// recipient may skip, so that a loss in the middle never breaks a chain.
    pub window: usize,
    /// The same in bytes.
    pub window_bytes: usize,
    /// Peers whose rates are remembered at once.
    pub peers: usize,
    /// Content of one letter, encoded (profile, Content: text to a peer that trusts us).
    pub content: usize,
}

impl Default for AccountLimits {
    fn default() -> Self {
        Self {
            sessions_per_hour: 10,
            prekeys_per_hour: 5,
            window: 256,
            window_bytes: 2 << 20,
            peers: 10_000,
            content: 940_000,
        }
    }
}

/// Times of an account. Defaults are the profile's where it gives one.
#[derive(Clone, Copy, Debug)]
pub struct AccountTiming {
    /// How long the side with the higher key waits for the other to set up the session.
    pub higher_side_waits: Duration,
    /// How long an answer to FETCH_PREKEYS may take.
    pub prekeys_answer: Duration,
    /// Pause before asking for prekeys again after a refusal or silence.
    pub prekeys_retry: Duration,
    /// How long a letter may be unconfirmed on a connection before the router is told (profile, Direct delivery).
    pub confirmation: Duration,
    /// Pause before the same bytes are sent again on a connection that stands; doubles.
    pub repeat: Duration,
    /// A new session to one peer because of unreadable messages, at most this often (profile, Sessions).
    pub restart: Duration,
    /// A new session of the peer makes us seal again what is older than this (profile, Sessions).
    pub reseal_older_than: Duration,
    /// How long a session of the peer may go unanswered before an empty content answers it.
    pub answer: Duration,
    /// Two connections within this time are taken for simultaneous dialling (profile, Selection).
    pub simultaneous: Duration,
    /// How long (sender, message_id) pairs are remembered (profile, Sessions).
    pub seen: Duration,
    /// Pause between two rounds of tidying up.
    pub sweep: Duration,
}

impl Default for AccountTiming {
    fn default() -> Self {
        Self {
            higher_side_waits: Duration::from_secs(3),
            prekeys_answer: Duration::from_secs(10),
            prekeys_retry: Duration::from_secs(60),
            confirmation: Duration::from_secs(10),
            repeat: Duration::from_secs(60),
            restart: Duration::from_secs(3600),
            reseal_older_than: Duration::from_secs(60),
            answer: Duration::from_secs(1),
            simultaneous: Duration::from_secs(10),
            seen: Duration::from_secs(90 * 24 * 3600),
            sweep: Duration::from_secs(60),
        }
    }
}

/// What the person thinks of a peer, as the shell knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Added or accepted by the person.
    Contact,
    /// Not known to the person, or waiting to be accepted.
    Stranger,
    /// The person wants nothing of it.
    Blocked,
}

/// Whether letters of a stranger still find room.
pub struct Admission<'a> {
    /// No room is left for letters of strangers.
    pub full: bool,
    /// Whether a token is an invite of this person's that is still good.
    pub invited: &'a dyn Fn(&InviteToken) -> bool,
}

/// What happens to an account.
pub enum Input<'a> {
    /// A letter to send; kept until it is confirmed.
    Queue {
        /// To whom.
        peer: ContactId,
        /// The letter.
        letter: Letter,
        /// The peer's invite, for first contact.
        token: Option<InviteToken>,
    },
    /// Tell the peer the own identity as it is now.
    Announce(ContactId),
    /// Forget letters to this peer that were not confirmed.
    Withdraw(ContactId),
    /// A connection verified its peer and asks whether the account accepts it.
    Judge {
        /// Which connection.
        link: LinkId,
        /// Who it is; its signature and the binding to the connection were checked.
        identity: Identity,
        /// What the person thinks of it.
        standing: Standing,
    },
    /// A connection is ready.
    LinkUp {
        /// Which connection.
        link: LinkId,
        /// With whom.
        peer: ContactId,
        /// Whether this side opened it.
        we_dialled: bool,
    },
    /// The peer ended a connection with this error; [`Input::LinkDown`] follows.
    LinkRefused {
        /// Which connection.
        link: LinkId,
        /// What the peer said.
        code: ErrorCode,
    },
    /// A connection is gone.
    LinkDown(LinkId),
    /// A connection received a message.
    Message {
        /// Which connection.
        link: LinkId,
        /// The message.
        message: Message,
        /// What to do with letters of strangers; none if the peer is a contact.
        admission: Option<Admission<'a>>,
    },
    /// The person's opinion of a peer changed.
    Trust {
        /// Of whom.
        peer: ContactId,
        /// The opinion.
        trust: Trust,
        /// How the key was verified, if it was.
        verified_via: Option<VerifiedVia>,
    },
    /// All saves up to this one are durable.
    Saved(SaveId),
    /// A timer is due.
    Tick,
}

/// What an account wants done.
#[derive(Debug)]
pub enum Output {
    /// Commit these, together with what came of the events before it, then say [`Input::Saved`].
    Save(SaveId, Vec<Change>),
    /// Something happened.
    Event(Event),
    /// Answer a connection that asked [`Input::Judge`].
    Judged(LinkId, crate::connection::Verdict),
    /// Send a message on a connection.
    Send(LinkId, Message),
    /// Close a connection, with an error as last message if there is one.
    Close(LinkId, Option<ErrorMessage>),
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A letter came in. It must be stored in the transaction of the next save: its confirmation
    /// leaves only after that.
    Received {
        /// From whom.
        peer: ContactId,
        /// The letter.
        letter: Letter,
        /// The invite it brought.
        token: Option<InviteToken>,
        /// How it was protected.
        protection: Protection,
    },
    /// A letter was sealed and handed to a connection.
    Sent {
        /// To whom.
        peer: ContactId,
        /// Which letter.
        letter: LetterId,
        /// By which connection.
        link: LinkId,
        /// How it is protected.
        protection: Protection,
    },
    /// The recipient's signed confirmation came: the letter is on its disk.
    Delivered {
        /// To whom.
        peer: ContactId,
        /// Which letter.
        letter: LetterId,
    },
    /// A letter cannot be delivered as it is.
    Undeliverable {
        /// To whom.
        peer: ContactId,
        /// Which letter.
        letter: LetterId,
        /// Why, for people.
        reason: &'static str,
    },
    /// A letter waits for its confirmation longer than it should.
    Unconfirmed {
        /// To whom.
        peer: ContactId,
        /// Which letter.
        letter: LetterId,
    },
    /// Letters wait for a peer to which no connection stands.
    NeedLink(ContactId),
    /// A peer can be talked to.
    Online {
        /// Who.
        peer: ContactId,
        /// By which connection.
        link: LinkId,
    },
    /// A peer can no longer be talked to.
    Offline(ContactId),
    /// An identity was seen that should be shown to the person.
    Identity {
        /// Whose.
        peer: ContactId,
        /// What is new about it.
        notice: IdentityNotice,
    },
    /// Something was dropped or refused, to be counted.
    Refused {
        /// By which error, as the peer was told.
        code: ErrorCode,
    },
}

/// What is new about an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityNotice {
    /// Never seen before.
    New,
    /// A newer version.
    Changed {
        /// Its transport or ratchet key changed too.
        keys: bool,
    },
    /// Two identities of one version exist.
    Fork,
    /// An older version was shown.
    Stale,
}

/// One person's account. See the module's page.
pub struct Account {
    keys: AccountKeys,
    limits: AccountLimits,
    timing: AccountTiming,
    vault: Vault,
    links: BTreeMap<LinkId, Link>,
    by_peer: BTreeMap<ContactId, LinkId>,
    setups: BTreeMap<ContactId, Setup>,
    restarted: BTreeMap<ContactId, Mono>,
    answers_due: BTreeMap<ContactId, Mono>,
    sessions_started: Allowance,
    prekeys_given: Allowance,
    sweep_at: Mono,
    sweep_from: sweep::Cursor,
    next_save: u64,
    out: VecDeque<Output>,
    held: VecDeque<(SaveId, Vec<Output>)>,
}

impl Account {
    /// An account whose state lies in the records that each call is given.
    pub fn new(now: Now, keys: AccountKeys, limits: AccountLimits, timing: AccountTiming) -> Self {
        let hour = Duration::from_secs(3600);
        Self {
            keys,
            limits,
            timing,
            vault: Vault::default(),
            links: BTreeMap::new(),
            by_peer: BTreeMap::new(),
            setups: BTreeMap::new(),
            restarted: BTreeMap::new(),
            answers_due: BTreeMap::new(),
            sessions_started: Allowance::new(limits.sessions_per_hour, hour, limits.peers),
            prekeys_given: Allowance::new(limits.prekeys_per_hour, hour, limits.peers),
            sweep_at: now.mono.after(timing.sweep),
            sweep_from: sweep::Cursor::default(),
            next_save: 0,
            out: VecDeque::new(),
            held: VecDeque::new(),
        }
    }

    /// The own identity.
    pub fn identity(&self) -> &Identity {
        &self.keys.identity
    }

    /// The own id.
    pub fn id(&self) -> ContactId {
        self.keys.identity.key()
    }

    /// The own identity changed: it was signed with the keys of this account.
    pub fn set_identity(&mut self, identity: Identity) {
        self.keys.identity = identity;
    }

    /// The peers that can be talked to.
    pub fn online(&self) -> impl Iterator<Item = ContactId> {
        self.by_peer.keys().copied()
    }

    /// With whom a connection is.
    pub fn peer_of(&self, link: LinkId) -> Option<ContactId> {
        self.links.get(&link).map(|link| link.peer)
    }

    /// Whether letters wait for a peer.
    ///
    /// # Errors
    /// The records failed.
    pub fn waits_for(&self, records: &(impl Records + ?Sized), peer: &ContactId) -> Result<bool, Error> {
        Ok(outbox::has_items(records, peer)?)
    }

    /// Everybody for whom letters wait: after a start, connections to them are wanted.
    ///
    /// # Errors
    /// The records failed.
    pub fn recipients(&self, records: &(impl Records + ?Sized)) -> Result<Vec<ContactId>, Error> {
        outbox::recipients(records)
    }

    /// The connection by which a peer is talked to.
    pub fn link_of(&self, peer: &ContactId) -> Option<LinkId> {
        self.by_peer.get(peer).copied()
    }

    /// Takes one input.
    ///
    /// # Errors
    /// Only failures of this side: the records, a letter that is too long, a bug. A peer's faults are
    /// answered to the peer. After an error nothing was changed in the records, and the account must
    /// be made anew from them.
    pub fn handle(
        &mut self,
        now: Now,
        rng: &mut impl CryptoRng,
        records: &impl Records,
        input: Input<'_>,
    ) -> Result<(), Error> {
        let mut step = Step { now, batch: Batch::new(records), events: Vec::new(), then: Vec::new() };
        match input {
            Input::Queue { peer, letter, token } => self.queue(&mut step, rng, peer, letter, token)?,
            Input::Announce(peer) => self.announce(&mut step, rng, peer)?,
            Input::Withdraw(peer) => self.withdraw(&mut step, peer)?,
            Input::Judge { link, identity, standing } => self.judge(&mut step, link, &identity, standing)?,
            Input::LinkUp { link, peer, we_dialled } => self.link_up(&mut step, rng, link, peer, we_dialled)?,
            Input::LinkRefused { link, code } => self.link_refused(&mut step, link, code)?,
            Input::LinkDown(link) => self.link_down(&mut step, link),
            Input::Message { link, message, admission } => self.message(&mut step, rng, link, message, admission)?,
            Input::Trust { peer, trust, verified_via } => self.set_trust(&mut step, peer, trust, verified_via)?,
            Input::Saved(id) => {
                self.saved(id);
                return Ok(());
            }
            Input::Tick => self.tick(&mut step, rng)?,
        }
        self.finish(step);
        Ok(())
    }

    /// The next thing to do; call until none is left.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to call with [`Input::Tick`].
    pub fn poll_timeout(&self) -> Option<Mono> {
        let links = self.links.values().filter_map(Link::due);
        let setups = self.setups.values().map(Setup::due);
        let answers = self.answers_due.values().copied();
        links.chain(setups).chain(answers).chain([self.sweep_at]).min()
    }

    fn finish<R: Records>(&mut self, step: Step<'_, R>) {
        self.out.extend(step.events.into_iter().map(Output::Event));
        if !step.batch.is_empty() {
            self.next_save += 1;
            self.out.push_back(Output::Save(SaveId(self.next_save), step.batch.into_changes()));
        } else if self.held.is_empty() {
            self.out.extend(step.then);
            return;
        }
        // What changes nothing itself still waits for what was decided before it: order is kept.
        self.held.push_back((SaveId(self.next_save), step.then));
    }

    fn saved(&mut self, id: SaveId) {
        while self.held.front().is_some_and(|(save, _)| *save <= id) {
            if let Some((_, then)) = self.held.pop_front() {
                self.out.extend(then);
            }
        }
    }

    fn own(&self) -> Own<'_> {
        Own { identity: &self.keys.identity, signing: &self.keys.signing, dr_secret: &self.keys.dr }
    }

    fn tick<R: Records>(&mut self, step: &mut Step<'_, R>, rng: &mut impl CryptoRng) -> Result<(), Error> {
        self.setups_due(step, rng)?;
        self.answer_due(step, rng)?;
        self.confirmations_due(step)?;
        if self.sweep_at <= step.now.mono {
            self.sweep_at = step.now.mono.after(self.timing.sweep);
            self.sweep(step)?;
        }
        Ok(())
    }
}

/// Forgets all sessions and prekeys, as after restoring a backup: letters that were not confirmed are
/// sealed anew. SREMP profile, Sessions: a restored backup drops all sessions.
///
/// # Errors
/// The records failed.
pub fn forget_sessions<R: Records + ?Sized>(batch: &mut Batch<'_, R>) -> Result<(), Error> {
    Vault::default().drop_all(batch)?;
    outbox::unseal_all(batch)
}

/// What one input leads to.
struct Step<'a, R: Records> {
    now: Now,
    batch: Batch<'a, R>,
    events: Vec<Event>,
    /// What follows once the changes are durable.
    then: Vec<Output>,
}

impl<R: Records> Step<'_, R> {
    fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    fn send(&mut self, link: LinkId, message: Message) {
        self.then.push(Output::Send(link, message));
    }
}
