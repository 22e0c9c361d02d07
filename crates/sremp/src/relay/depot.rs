//! The relay's machine.

use super::{
    client::{ClientRow, newest_identity, note_identity},
    policy::{DepotLimits, DepotTiming, Policy},
};
use crate::{
    Error, ErrorCode, Identity, LinkId, connection::Verdict, message::ErrorMessage, message::Message, rate::Rates,
    save_queue::SaveQueue,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use waypost_core::{Batch, Change, ContactId, Mono, Now, Records, SaveId};

/// What happens to a relay.
#[derive(Debug)]
pub enum Input {
    /// A connection is ready: its peer's identity is verified and bound to it.
    Connected {
        /// Which connection.
        link: LinkId,
        /// The peer.
        identity: Identity,
        /// Names this connection and no other.
        handshake_hash: [u8; 32],
    },
    /// A connection received a message.
    Message {
        /// Which connection.
        link: LinkId,
        /// The message.
        message: Message,
    },
    /// A connection is gone.
    Disconnected(LinkId),
    /// The disk is nearly full, or no longer: while it is, nothing is stored. Profile, Relay: 85 %.
    DiskFull(bool),
    /// All saves up to this one are durable.
    Saved(SaveId),
    /// The moment of [`Depot::poll_timeout`] came.
    Tick,
}

/// What a relay wants done. Call [`Depot::poll`] until there is none.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once; a box for each message costs more")]
pub enum Output {
    /// Commit these, then say [`Input::Saved`]. Inputs given before that must see them in the records.
    Save(SaveId, Vec<Change>),
    /// Send a message on a connection.
    Send(LinkId, Message),
    /// Send this as the last message of a connection and close it. Whatever it still brings is not for the relay.
    Close(LinkId, ErrorMessage),
}

/// A relay. Answers that say something is durable leave only after it is.
pub struct Depot {
    pub(super) identity: ContactId,
    pub(super) policy: Policy,
    pub(super) limits: DepotLimits,
    pub(super) timing: DepotTiming,
    pub(super) disk_full: bool,
    pub(super) links: BTreeMap<LinkId, Link>,
    pub(super) push: BTreeMap<ContactId, BTreeSet<LinkId>>,
    pub(super) stores: Rates<ContactId>,
    pub(super) retrievals: Rates<ContactId>,
    pub(super) fetches: Rates<(ContactId, ContactId)>,
    pub(super) sweep_at: Mono,
    queue: SaveQueue<Reply>,
    out: VecDeque<Output>,
}

/// One open connection.
pub(super) struct Link {
    pub(super) peer: Identity,
    pub(super) handshake_hash: [u8; 32],
    pub(super) registered: bool,
    /// Requests whose answers wait for a save.
    outstanding: usize,
}

impl Depot {
    /// A relay of this identity, whose state lies in the records that each call is given.
    pub fn new(now: Now, identity: ContactId, policy: Policy, limits: DepotLimits, timing: DepotTiming) -> Self {
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
        Self {
            identity,
            disk_full: false,
            links: BTreeMap::new(),
            push: BTreeMap::new(),
            stores: Rates::new(policy.rate_store, minute, limits.rates),
            retrievals: Rates::new(policy.rate_retrieve, minute, limits.rates),
            fetches: Rates::new(limits.fetches_per_hour, hour, limits.rates),
            sweep_at: now.mono,
            queue: SaveQueue::default(),
            out: VecDeque::new(),
            policy,
            limits,
            timing,
        }
    }

    /// What it allows.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether a message is the relay's business on a listener that serves its owner too: what is for the
    /// owner needs no RELAY_REGISTER. Profile, Relay.
    pub fn takes(&self, message: &Message) -> bool {
        match message {
            Message::RelayRegister(_)
            | Message::StoreMessage(_)
            | Message::RetrieveMessages(_)
            | Message::DiscardMessage(_)
            | Message::PublishPrekeys(_) => true,
            Message::FetchPrekeys(fetch) => fetch.target != self.identity,
            Message::DeliveryConfirmation(confirmation) => confirmation.sender != Some(self.identity),
            _ => false,
        }
    }

    /// What the trust rules say about a peer, for a connection that waits to be judged: a client shows no
    /// older identity than before and no other of the same version. Profile, Trust.
    ///
    /// # Errors
    /// The records failed.
    pub fn judge(&self, records: &impl Records, identity: &Identity) -> Result<Verdict, Error> {
        let Some(known) = newest_identity(records, &identity.key())? else {
            return Ok(Verdict::Accept { known: false });
        };
        if identity.version() < known.version() {
            return Ok(Verdict::Refuse(ErrorCode::IdStale));
        }
        let is_same = identity.signed().verified == known.signed().verified;
        if identity.version() == known.version() && !is_same {
            return Ok(Verdict::Refuse(ErrorCode::IdFork));
        }
        Ok(Verdict::Accept { known: false })
    }

    /// Whether a connection may bring another request: answers come in order, and only so many wait.
    pub fn wants_input(&self, link: LinkId) -> bool {
        self.links.get(&link).is_none_or(|link| link.outstanding < self.limits.outstanding)
    }

    /// Whether a connection belongs to a registered client, whose chunks may be larger. Profile, Limits.
    pub fn is_registered(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| link.registered)
    }

    /// Acts on what happened.
    ///
    /// # Errors
    /// Only failures of this side: the records, a bug. Faults of a client are answered to the client.
    /// After an error nothing was changed in the records.
    pub fn handle(&mut self, now: Now, records: &impl Records, input: Input) -> Result<(), Error> {
        let mut step = Step { now, batch: Batch::new(records), replies: Vec::new() };
        let mut from = None;
        match input {
            Input::Connected { link, identity, handshake_hash } => {
                self.connected(&mut step, link, identity, handshake_hash)?;
            }
            Input::Message { link, message } => {
                from = Some(link);
                self.message(&mut step, link, message)?;
            }
            Input::Disconnected(link) => self.disconnected(link),
            Input::DiskFull(full) => self.disk_full = full,
            Input::Saved(id) => {
                let replies = self.queue.saved(id);
                self.release(replies);
                return Ok(());
            }
            Input::Tick => self.tick(&mut step)?,
        }
        let Step { batch, mut replies, .. } = step;
        if let Some(link) = from {
            if let Some(link) = self.links.get_mut(&link) {
                link.outstanding = link.outstanding.saturating_add(1);
            }
            replies.push(Reply::Answered(link));
        }
        let (save, free) = self.queue.step(batch.into_changes(), replies);
        self.out.extend(save.map(|(id, changes)| Output::Save(id, changes)));
        self.release(free);
        Ok(())
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to come back with [`Input::Tick`].
    pub fn poll_timeout(&self) -> Option<Mono> {
        Some(self.sweep_at)
    }

    fn release(&mut self, replies: Vec<Reply>) {
        for reply in replies {
            match reply {
                Reply::Send(link, message) if self.links.contains_key(&link) => {
                    self.out.push_back(Output::Send(link, message));
                }
                Reply::Close(link, error) => self.out.push_back(Output::Close(link, error)),
                Reply::Answered(link) => {
                    if let Some(link) = self.links.get_mut(&link) {
                        link.outstanding = link.outstanding.saturating_sub(1);
                    }
                }
                Reply::Send(..) => {}
            }
        }
    }

    fn connected<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        link: LinkId,
        peer: Identity,
        handshake_hash: [u8; 32],
    ) -> Result<(), Error> {
        if self.links.len() >= self.limits.connections {
            step.close(link, ErrorMessage::new(ErrorCode::Rate).fatal());
            return Ok(());
        }
        if let Verdict::Refuse(code) = self.judge(&step.batch, &peer)? {
            step.close(link, ErrorMessage::new(code).fatal());
            return Ok(());
        }
        // Only clients are remembered: an identity that just connects costs nothing.
        if ClientRow::load(&step.batch, &peer.key())?.is_some() {
            note_identity(&mut step.batch, &peer)?;
        }
        self.links.insert(link, Link { peer, handshake_hash, registered: false, outstanding: 0 });
        Ok(())
    }

    fn disconnected(&mut self, link: LinkId) {
        if let Some(gone) = self.links.remove(&link) {
            self.set_push(gone.peer.key(), link, false);
        }
    }

    /// Whether new messages of a client are sent on a connection unasked.
    pub(super) fn set_push(&mut self, client: ContactId, link: LinkId, push: bool) {
        let links = self.push.entry(client).or_default();
        if push {
            links.insert(link);
        } else {
            links.remove(&link);
        }
        if links.is_empty() {
            self.push.remove(&client);
        }
    }

    /// The connections on which a client wants to be told.
    pub(super) fn push_links(&self, client: &ContactId) -> Vec<LinkId> {
        self.push.get(client).into_iter().flatten().copied().collect()
    }

    fn message<R: Records>(&mut self, step: &mut Step<'_, R>, link: LinkId, message: Message) -> Result<(), Error> {
        let Some(from) = self.links.get(&link) else { return Ok(()) };
        match message {
            Message::RelayRegister(request) => return self.register(step, link, request),
            Message::Error(_) => return Ok(()),
            _ => {}
        }
        let is_ours = matches!(
            message,
            Message::StoreMessage(_)
                | Message::RetrieveMessages(_)
                | Message::DeliveryConfirmation(_)
                | Message::DiscardMessage(_)
                | Message::PublishPrekeys(_)
                | Message::FetchPrekeys(_)
        );
        if is_ours && !from.registered {
            step.refuse(link, ErrorMessage::new(ErrorCode::Auth).answering(&message));
            return Ok(());
        }
        let client = from.peer.key();
        match message {
            Message::StoreMessage(request) => self.store(step, link, client, request),
            Message::RetrieveMessages(request) => self.retrieve(step, link, client, request),
            Message::DeliveryConfirmation(confirmation) => self.confirm(step, link, client, confirmation),
            Message::DiscardMessage(request) => self.discard(step, link, client, request),
            Message::PublishPrekeys(request) => self.publish(step, link, request),
            Message::FetchPrekeys(request) => self.fetch(step, link, client, request),
            other => {
                step.refuse(link, ErrorMessage::new(ErrorCode::Unsupported).answering(&other));
                Ok(())
            }
        }
    }
}

/// What one input leads to.
pub(super) struct Step<'a, R: Records> {
    pub(super) now: Now,
    pub(super) batch: Batch<'a, R>,
    replies: Vec<Reply>,
}

impl<R: Records> Step<'_, R> {
    pub(super) fn send(&mut self, link: LinkId, message: impl Into<Message>) {
        self.replies.push(Reply::Send(link, message.into()));
    }

    /// Answers by an error; a fatal one ends the connection.
    pub(super) fn refuse(&mut self, link: LinkId, error: ErrorMessage) {
        if error.fatal {
            self.close(link, error);
        } else {
            self.send(link, error);
        }
    }

    fn close(&mut self, link: LinkId, error: ErrorMessage) {
        self.replies.push(Reply::Close(link, error));
    }
}

/// What follows once the changes are durable.
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once; a box for each message costs more")]
enum Reply {
    Send(LinkId, Message),
    Close(LinkId, ErrorMessage),
    /// A request is done with.
    Answered(LinkId),
}
