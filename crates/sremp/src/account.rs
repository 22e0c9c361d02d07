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
//! What cannot be sent to its recipient is left at a relay, and what was left there for this person is
//! collected, on connections that were dialled for that: see the drawing in `relays.rs`.
//!
//! State lies in records; memory holds only what open connections need. Outputs that depend on a
//! `Save` are held back until `Input::Saved`, in order.

mod allowance;
mod direct;
mod event;
mod foreign;
mod input;
mod limits;
mod link;
mod outbox;
mod relays;
mod setup;
mod sweep;

use crate::identity::RelayRef;
use crate::message::Message;
use crate::vault::{Own, Vault};
use crate::{Error, Identity, LinkId, ed25519::SigningKey, x25519};
use allowance::Allowance;
pub use event::{Event, IdentityNotice};
pub use foreign::{WAYPOST, letter_of_text, text_of_letter};
pub use input::{Input, Output, OwnRelay, People, Standing};
pub use limits::{AccountLimits, AccountTiming};
use link::Link;
use rand_core::CryptoRng;
use setup::Setup;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use waypost_core::{Batch, ContactId, Mono, Now, Records, SaveId};

/// The secrets of an account, and the identity they belong to.
pub struct AccountKeys {
    /// The signed identity as others see it.
    pub identity: Identity,
    /// Signs with the identity key.
    pub signing: SigningKey,
    /// The X25519 secret of the identity's `dr_key`.
    pub dr: x25519::Secret,
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
    relays: relays::Relays,
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
            relays: relays::Relays::new(now.mono),
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

    /// Whether letters wait for a peer, here or at a relay.
    ///
    /// # Errors
    /// The records failed.
    pub fn waits_for(&self, records: &(impl Records + ?Sized), peer: &ContactId) -> Result<bool, Error> {
        Ok(outbox::has_items(records, peer)? || outbox::is_kept(records, peer)?)
    }

    /// Everybody for whom letters wait: after a start, connections to them are wanted.
    ///
    /// # Errors
    /// The records failed.
    pub fn recipients(&self, records: &(impl Records + ?Sized)) -> Result<Vec<ContactId>, Error> {
        outbox::recipients(records)
    }

    /// Whether letters for a peer wait at a relay: direct ways are tried again meanwhile.
    ///
    /// # Errors
    /// The records failed.
    pub fn is_stored(&self, records: &(impl Records + ?Sized), peer: &ContactId) -> Result<bool, Error> {
        relays::is_stored(records, peer)
    }

    /// The relays where a peer has its mailboxes, by its own signed word, best first; at most three.
    ///
    /// # Errors
    /// The records failed.
    pub fn relays_of(&self, records: &(impl Records + ?Sized), peer: &ContactId) -> Result<Vec<RelayRef>, Error> {
        relays::relays_of(records, peer)
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
            Input::LinkDown(link) => {
                let peer = self.peer_of(link);
                self.link_down(&mut step, link);
                self.relay_down(&mut step, link)?;
                // What was on its way there goes by the relay, if one was named.
                if let Some(peer) = peer.filter(|peer| self.relays.way_to(peer).is_some()) {
                    self.lane_goes_back(&peer, 0);
                    self.settle(&mut step, rng, peer)?;
                }
            }
            Input::RelayUp { link, relay, handshake_hash, own } => {
                self.relay_up(&mut step, link, relay, handshake_hash, own)?;
            }
            Input::RelayUnreachable { relay } => self.relay_unreachable(&mut step, rng, relay)?,
            Input::StoreBy { peer, link } => self.store_by(&mut step, rng, peer, link)?,
            Input::StoreStop { peer } => self.store_stop(&peer),
            Input::OwnRelays(own) => self.own_relays(&mut step, own)?,
            Input::Message { link, message, people } => self.message(&mut step, rng, link, message, people)?,
            Input::Found { identity } => {
                let _shown_as_an_event = self.offer(&mut step, &identity)?;
            }
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
        let setups = self.setups.values().filter_map(Setup::due);
        let answers = self.answers_due.values().copied();
        links.chain(setups).chain(answers).chain(self.relays.due()).chain([self.sweep_at]).min()
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
        self.confirmations_due(step, rng)?;
        self.relays_due(step, rng)?;
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
    relays::forget(batch)?;
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
