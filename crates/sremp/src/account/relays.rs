//! Relays: the own mailboxes, and those of others where letters are left. Profile, Relay.
//!
//! ```text
//! item ──StoreBy──> lane ──STORE_MESSAGE──> STORE_RESPONSE: kept there, in the timetable
//!   ▲                                            │                     │
//!   └──── the relay cannot be reached, or 30 d ──┘    NeedRelay ──> DELIVERY_CONFIRMATION: delivered
//! MESSAGE_BATCH ──opened as a direct message is──> Received + cursor + Save ──Saved──> DELIVERY_CONFIRMATION
//! ```

mod checks;
mod lane;
mod mailbox;
mod prekeys;

use super::{Account, Event, Output, OwnRelay, People, Step, outbox};
use crate::identity::RelayRef;
use crate::message::{ErrorMessage, Message, RelayRegistered};
use crate::msgpack::{self, record};
use crate::relay::{ClientSession, ClientTiming, Request};
use crate::trust::book;
use crate::{Error, ErrorCode, LinkId};
use lane::Lane;
pub(super) use mailbox::{UNREADABLE, Unreadable};
use rand_core::CryptoRng;
use std::collections::{BTreeMap, BTreeSet};
use waypost_core::{ContactId, Mono, Records, Space, Wall};

/// How far the mailbox at a relay was read.
const CURSORS: Space = Space("sremp/relay-cursor");

record! {
    struct Cursor {
        seq: u64,
    }
}

/// What an account has to do with relays, beside its records.
pub(super) struct Relays {
    own: BTreeMap<ContactId, Option<Vec<u8>>>,
    links: BTreeMap<LinkId, RelayLink>,
    lanes: BTreeMap<ContactId, Lane>,
    /// By relay: whose letters are to be left there once it is connected.
    wanted: BTreeMap<ContactId, BTreeSet<ContactId>>,
    /// When to look at the timetable.
    checks_at: Mono,
}

/// One connection that was dialled as a relay.
struct RelayLink {
    session: ClientSession,
    own: bool,
    /// The version of our identity that the relay was shown.
    shown: u64,
    /// RATE: no STORE_MESSAGE before.
    stores_at: Option<Mono>,
    prekeys: prekeys::Publishing,
}

impl Relays {
    pub(super) fn new(now: Mono) -> Self {
        Self {
            own: BTreeMap::new(),
            links: BTreeMap::new(),
            lanes: BTreeMap::new(),
            wanted: BTreeMap::new(),
            checks_at: now,
        }
    }

    /// Whether a connection was dialled as a relay.
    pub(super) fn has(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    /// Whether the own mailbox is there.
    pub(super) fn is_own(&self, relay: &ContactId) -> bool {
        self.own.contains_key(relay)
    }

    /// The ready connection to a relay.
    fn ready(&self, relay: &ContactId) -> Option<LinkId> {
        let is_it = |link: &RelayLink| link.session.relay() == *relay && link.session.policy().is_some();
        self.links.iter().find(|(_, link)| is_it(link)).map(|(id, _)| *id)
    }

    /// The relay connection by which a peer's letters go.
    pub(super) fn way_to(&self, peer: &ContactId) -> Option<LinkId> {
        self.lanes
            .get(peer)
            .map(Lane::link)
            .filter(|id| self.links.get(id).is_some_and(|l| l.session.policy().is_some()))
    }

    /// Whether a relay was asked for to leave letters for a peer there.
    pub(super) fn expects(&self, peer: &ContactId) -> bool {
        self.wanted.values().any(|peers| peers.contains(peer)) || self.lanes.contains_key(peer)
    }

    /// FETCH_PREKEYS leaves on a connection, which may be a relay's.
    pub(super) fn asked(&mut self, now: Mono, link: LinkId, target: ContactId) {
        if let Some(link) = self.links.get_mut(&link) {
            link.session.ask(now, Request::Fetch { target });
        }
    }

    /// When something is due.
    pub(super) fn due(&self) -> impl Iterator<Item = Mono> {
        let links = self
            .links
            .values()
            .flat_map(|link| link.session.poll_timeout().into_iter().chain(link.stores_at).chain(link.prekeys.due()));
        links.chain(self.lanes.values().filter_map(Lane::due)).chain([self.checks_at])
    }
}

/// Whether letters for a peer wait at a relay.
pub(super) fn is_stored(records: &(impl Records + ?Sized), peer: &ContactId) -> Result<bool, Error> {
    Ok(outbox::is_kept(records, peer)?)
}

/// Forgets what hangs on prekeys and on what was sealed, as after restoring a backup.
pub(super) fn forget<R: Records + ?Sized>(batch: &mut waypost_core::Batch<'_, R>) -> Result<(), Error> {
    for space in [prekeys::PUBLISHED, checks::CHECKS] {
        for (key, _) in batch.records(space, b"", None, usize::MAX)? {
            batch.remove(space, key);
        }
    }
    Ok(())
}

/// The relays of a peer, by its own signed word.
pub(super) fn relays_of(records: &(impl Records + ?Sized), peer: &ContactId) -> Result<Vec<RelayRef>, Error> {
    Ok(book::row(records, peer)?.map(|row| row.identity.relays().to_vec()).unwrap_or_default())
}

impl Account {
    /// A relay is connected: asks it to take us. Profile, Relay: only a peer that serves as one.
    pub(super) fn relay_up<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        id: LinkId,
        relay: ContactId,
        handshake_hash: [u8; 32],
        own: bool,
    ) -> Result<(), Error> {
        // The relay within the own node is no peer.
        let serves = relay == self.id()
            || book::row(&step.batch, &relay)?.is_some_and(|row| row.identity.flags().is_relay_server);
        if !serves {
            step.event(Event::RelayRefused { link: id, relay, code: ErrorCode::Unsupported });
            step.then.push(Output::Close(id, None));
            return Ok(());
        }
        let cursor = step.batch.record(CURSORS, relay.as_bytes())?;
        let cursor = cursor.map_or(Ok(0), |bytes| msgpack::decode::<Cursor>(&bytes).map(|cursor| cursor.seq))?;
        let timing: ClientTiming = self.timing.relay;
        let now = step.now.mono;
        let mut session = ClientSession::new(now, relay, handshake_hash, cursor, timing);
        let token = self.relays.own.get(&relay).cloned().flatten();
        let register = session.register(now, &self.keys.signing, own, token);
        step.send(id, register.into());
        let shown = self.identity().version();
        let link = RelayLink { session, own, shown, stores_at: None, prekeys: prekeys::Publishing::default() };
        self.relays.links.insert(id, link);
        Ok(())
    }

    /// A relay connection is gone, with all that was under way by it.
    pub(super) fn relay_down<R: Records>(&mut self, step: &mut Step<'_, R>, id: LinkId) -> Result<(), Error> {
        if self.relays.links.remove(&id).is_none() {
            return Ok(());
        }
        self.setups_lost(id);
        let gone: Vec<_> = self.relays.lanes.iter().filter(|(_, lane)| lane.link() == id).map(|(p, _)| *p).collect();
        for peer in gone {
            self.relays.lanes.remove(&peer);
            if !self.by_peer.contains_key(&peer) && outbox::has_items(&step.batch, &peer)? {
                step.event(Event::NeedLink(peer));
            }
        }
        Ok(())
    }

    /// A relay ended the connection with an error.
    pub(super) fn relay_ended<R: Records>(&mut self, step: &mut Step<'_, R>, id: LinkId, code: ErrorCode) {
        let Some(link) = self.relays.links.get(&id) else { return };
        if link.session.policy().is_none() {
            step.event(Event::RelayRefused { link: id, relay: link.session.relay(), code });
        }
    }

    /// Where the own mailboxes are.
    pub(super) fn own_relays<R: Records>(&mut self, step: &mut Step<'_, R>, own: Vec<OwnRelay>) -> Result<(), Error> {
        self.relays.own = own.into_iter().map(|own| (own.relay, own.token)).collect();
        for (key, _) in step.batch.records(prekeys::PUBLISHED, b"", None, usize::MAX)? {
            let known = key.first_chunk::<32>().map(|relay| ContactId::from_bytes(*relay));
            if !known.is_some_and(|relay| self.relays.is_own(&relay)) {
                step.batch.remove(prekeys::PUBLISHED, key.clone());
                step.batch.remove(CURSORS, key);
            }
        }
        Ok(())
    }

    /// A message of a relay.
    pub(super) fn relay_message<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        id: LinkId,
        message: Message,
        people: &dyn People,
    ) -> Result<(), Error> {
        match message {
            Message::RelayRegistered(answer) => self.registered(step, rng, id, &answer)?,
            Message::MessageBatch(batch) => self.mailbox_batch(step, rng, id, &batch, people)?,
            Message::DeliveryConfirmation(confirmation) => {
                let is_news = self.confirmed(step, rng, &confirmation)?;
                self.moves_cursor(step, id, |session| session.pushed(confirmation.seq, is_news));
            }
            Message::StoreResponse(response) => self.store_answered(step, rng, id, &response)?,
            Message::Prekeys(prekeys) => {
                let target = prekeys.target;
                if let Some(link) = self.relays.links.get_mut(&id)
                    && link.session.answered(|request| request == Request::Fetch { target }).is_some()
                {
                    self.take_prekeys(step, rng, id, target, &prekeys)?;
                    note_standing(step, &target, people)?;
                }
            }
            Message::PrekeysPublished(answer) => self.prekeys_published(step, rng, id, &answer)?,
            Message::Error(error) => self.relay_error(step, rng, id, &error)?,
            // It is here as a relay.
            other => self.refuse(step, id, ErrorMessage::new(ErrorCode::Unsupported).answering(&other)),
        }
        self.retrieve_next(step, id);
        Ok(())
    }

    fn registered<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        id: LinkId,
        answer: &RelayRegistered,
    ) -> Result<(), Error> {
        let Some(link) = self.relays.links.get_mut(&id).filter(|link| link.session.policy().is_none()) else {
            return Ok(());
        };
        if !link.session.registered(answer) {
            return Ok(());
        }
        if mailbox::has_unread(&step.batch)? {
            link.session.leave(step.now.mono);
        }
        let relay = link.session.relay();
        step.event(Event::RelayReady { link: id, relay, pending: answer.pending });
        self.retrieve_next(step, id);
        self.publish_prekeys(step, rng, id, Some(answer.one_time_left))?;
        for peer in self.relays.wanted.remove(&relay).unwrap_or_default() {
            if self.relays.way_to(&peer).is_none() {
                self.store_by(step, rng, peer, id)?;
            }
        }
        let lanes: Vec<_> = self.relays.lanes.iter().filter(|(_, lane)| lane.link() == id).map(|(p, _)| *p).collect();
        lanes.into_iter().try_for_each(|peer| self.settle(step, rng, peer))
    }

    /// A relay refuses a request; the connection goes on, unless it is the registration.
    fn relay_error<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
        id: LinkId,
        error: &ErrorMessage,
    ) -> Result<(), Error> {
        let Some(link) = self.relays.links.get_mut(&id) else { return Ok(()) };
        let Some(request) = link.session.refused(step.now.mono, error) else { return Ok(()) };
        let code = error.known_code().unwrap_or(ErrorCode::Internal);
        match request {
            Request::Register => {
                let relay = link.session.relay();
                step.event(Event::RelayRefused { link: id, relay, code });
                self.close_relay(step, id)
            }
            Request::Fetch { target } => {
                self.fetch_refused(step, id, target, code, error.retry_after_s);
                Ok(())
            }
            Request::Publish => {
                link.prekeys.refused(step.now.mono);
                Ok(())
            }
            Request::Store { recipient, message_id } => {
                let refusal = (code, error.retry_after_s);
                self.store_failed(step, rng, id, recipient, message_id, refusal)
            }
            // Its time comes again.
            Request::Retrieve => Ok(()),
        }
    }

    /// Ends a relay connection from this side.
    fn close_relay<R: Records>(&mut self, step: &mut Step<'_, R>, id: LinkId) -> Result<(), Error> {
        step.then.push(Output::Close(id, None));
        self.relay_down(step, id)
    }

    pub(super) fn relays_due<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        rng: &mut impl CryptoRng,
    ) -> Result<(), Error> {
        let now = step.now.mono;
        for id in self.relays.links.keys().copied().collect::<Vec<_>>() {
            let Some(link) = self.relays.links.get_mut(&id) else { continue };
            let relay = link.session.relay();
            if link.session.is_silent(now) {
                if link.session.policy().is_none() {
                    step.event(Event::RelayRefused { link: id, relay, code: ErrorCode::Timeout });
                }
                self.close_relay(step, id)?;
                continue;
            }
            // The relay gives our identity to others: it is to be the newest.
            if link.own && link.shown != self.keys.identity.version() {
                self.close_relay(step, id)?;
                continue;
            }
            link.session.tick(now);
            link.stores_at = link.stores_at.filter(|at| *at > now);
            self.retrieve_next(step, id);
            self.publish_prekeys(step, rng, id, None)?;
        }
        self.lanes_due(step, rng)?;
        self.checks_due(step, rng)
    }

    fn retrieve_next<R: Records>(&mut self, step: &mut Step<'_, R>, id: LinkId) {
        let Some(link) = self.relays.links.get_mut(&id) else { return };
        if let Some(request) = link.session.retrieve(step.now.mono, &self.keys.signing) {
            step.send(id, request);
        }
    }

    /// Keeps the cursor together with what it says was dealt with.
    fn moves_cursor<R: Records>(&mut self, step: &mut Step<'_, R>, id: LinkId, moves: impl FnOnce(&mut ClientSession)) {
        let Some(link) = self.relays.links.get_mut(&id) else { return };
        let before = link.session.cursor();
        moves(&mut link.session);
        let seq = link.session.cursor();
        if seq != before {
            let relay = link.session.relay();
            step.batch.put(CURSORS, *relay.as_bytes(), msgpack::encode(&Cursor { seq }));
        }
    }
}

/// Somebody the person added is trusted, by whatever way the first word of it came. Profile, Trust.
fn note_standing<R: Records>(step: &mut Step<'_, R>, peer: &ContactId, people: &dyn People) -> Result<(), Error> {
    if let Some(mut row) = book::row(&step.batch, peer)?
        && row.trust == crate::trust::Trust::Unknown
        && people.standing(peer)? == super::Standing::Contact
    {
        row.trust = crate::trust::Trust::Trusted;
        book::put(&mut step.batch, &row)?;
    }
    Ok(())
}

/// A moment of the calendar on the clock of timers.
fn on_the_clock<R: Records>(step: &Step<'_, R>, at: Wall) -> Mono {
    step.now.mono.after(at.since(step.now.wall))
}
