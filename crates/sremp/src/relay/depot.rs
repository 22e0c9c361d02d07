//! The relay's machine.

use super::{
    confirm::Confirming,
    policy::{DepotLimits, DepotTiming, Policy},
    prekeys::{Fetching, Publishing},
    push::Watches,
    records::{self, IDENTITIES},
    register::Registering,
    retrieve::Retrieving,
    store::Storing,
};
use crate::{
    ErrorCode, Identity, LinkId,
    connection::Verdict,
    docket::{self, Counts, Docket, Done, Failure, Step, Ticket, add},
    message::{ErrorMessage, Message},
    rate::Rates,
};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use waypost_core::{BatchId, ContactId, MailboxDone, MailboxId, MailboxOp, Mono, Now};

/// What happens to a relay.
#[derive(Debug)]
pub enum Input {
    /// A connection wants to know what the trust rules say of its peer, whose identity is verified. Answered
    /// by [`Output::Judged`].
    Judge {
        /// Which connection.
        link: LinkId,
        /// The peer.
        identity: Identity,
    },
    /// A connection is ready: its peer was judged and accepted.
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
    /// A connection has more to send than it should, or no longer: while it has, nothing is sent unasked.
    Held {
        /// Which connection.
        link: LinkId,
        /// Whether it is held.
        is_held: bool,
    },
    /// A connection is gone.
    Disconnected(LinkId),
    /// What a batch came to.
    Mailbox(BatchId, Vec<MailboxDone>),
    /// The storage failed at a batch: whether something of it happened is not known.
    MailboxFault(BatchId),
    /// Something may have come into a mailbox that is watched. May be lost, may come more than once.
    Hint(MailboxId),
    /// The disk is nearly full, or no longer: while it is, nothing is stored. Profile, Relay: 85 %.
    DiskFull(bool),
    /// The moment of [`Depot::poll_timeout`] came.
    Tick,
}

/// What a relay wants done. Call [`Depot::poll`] until there is none.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once; a box for each message costs more")]
pub enum Output {
    /// Do this, at this moment's wall clock, then say [`Input::Mailbox`] or [`Input::MailboxFault`]. Batches
    /// may run side by side and be answered in any order.
    Mailbox(BatchId, Vec<MailboxOp>),
    /// Give hints of this mailbox from now on, before any batch that is put out later.
    Watch(MailboxId),
    /// Give no more hints of this mailbox.
    Unwatch(MailboxId),
    /// What the trust rules say of a connection's peer.
    Judged(LinkId, Verdict),
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
    pub(super) watches: Watches,
    pub(super) stores: Rates<ContactId>,
    pub(super) retrievals: Rates<ContactId>,
    pub(super) fetches: Rates<(ContactId, ContactId)>,
    pub(super) counts: Counts,
    pub(super) out: VecDeque<Output>,
    docket: Docket<Message, Job>,
}

/// One open connection.
pub(super) struct Link {
    pub(super) peer: Identity,
    pub(super) handshake_hash: [u8; 32],
    pub(super) registered: bool,
}

/// What a request needs next.
pub(super) type Next = Step<Vec<MailboxOp>, Job>;

/// What is remembered of a request while a batch of it is under way.
pub(super) enum Job {
    Judge(LinkId, Box<Identity>),
    Push(ContactId),
    Register(Registering),
    Store(Storing),
    Retrieve(Retrieving),
    Confirm(Confirming),
    Publish(Box<Publishing>),
    Fetch(Fetching),
}

impl Depot {
    /// A relay of this identity, whose state lies in mailboxes and records. Any number of processes may be
    /// this relay at once.
    pub fn new(identity: ContactId, policy: Policy, limits: DepotLimits, timing: DepotTiming) -> Self {
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
        Self {
            identity,
            disk_full: false,
            links: BTreeMap::new(),
            watches: Watches::default(),
            stores: Rates::new(policy.rate_store, minute, limits.rates),
            retrievals: Rates::new(policy.rate_retrieve, minute, limits.rates),
            fetches: Rates::new(limits.fetches_per_hour, hour, limits.rates),
            counts: Counts::default(),
            out: VecDeque::new(),
            docket: Docket::default(),
            policy,
            limits,
            timing,
        }
    }

    /// What it allows.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How much there was of what.
    pub const fn counts(&self) -> &Counts {
        &self.counts
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

    /// Whether a connection may bring another request: answers come in order, and only so many wait.
    pub fn wants_input(&self, link: LinkId) -> bool {
        self.docket.outstanding(link) < self.limits.outstanding
    }

    /// Whether a connection belongs to a registered client, whose chunks may be larger. Profile, Limits.
    pub fn is_registered(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| link.registered)
    }

    /// Acts on what happened. Faults of a client are answered to the client, those of the storage too.
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Judge { link, identity } => {
                let ops = vec![records::read(IDENTITIES, &identity.key())];
                self.ask(None, ops, Job::Judge(link, Box::new(identity)));
            }
            Input::Connected { link, identity, handshake_hash } => self.connected(link, identity, handshake_hash),
            Input::Message { link, message } => self.message(now, link, message),
            Input::Held { link, is_held } => self.hold(link, is_held),
            Input::Disconnected(link) => self.disconnected(link),
            Input::Mailbox(id, answers) => self.resume(now, id, docket::done(answers)),
            Input::MailboxFault(id) => self.resume(now, id, Err(Failure::Fault)),
            Input::Hint(mailbox) => {
                if let Some(client) = records::owner(&mailbox) {
                    self.look(&client);
                }
            }
            Input::DiskFull(full) => self.disk_full = full,
            Input::Tick => self.recheck(now),
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to come back with [`Input::Tick`], if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.next_recheck()
    }

    /// Asks for storage.
    pub(super) fn ask(&mut self, ticket: Option<Ticket>, ops: Vec<MailboxOp>, job: Job) {
        let id = BatchId(self.docket.ask(ticket, job));
        self.out.push_back(Output::Mailbox(id, ops));
    }

    fn connected(&mut self, link: LinkId, peer: Identity, handshake_hash: [u8; 32]) {
        if self.links.len() >= self.limits.connections {
            self.send(link, ErrorMessage::new(ErrorCode::Rate).fatal().into());
            return;
        }
        self.docket.open(link);
        self.links.insert(link, Link { peer, handshake_hash, registered: false });
        self.counts.connections = self.links.len() as u64;
    }

    fn disconnected(&mut self, link: LinkId) {
        self.docket.close(link);
        if let Some(gone) = self.links.remove(&link) {
            self.unwatch(link, &gone.peer.key());
            self.counts.connections = self.links.len() as u64;
            self.counts.registered = self.counts.registered.saturating_sub(u64::from(gone.registered));
        }
    }

    fn message(&mut self, now: Now, link: LinkId, message: Message) {
        if !self.links.contains_key(&link) || matches!(message, Message::Error(_)) {
            return;
        }
        let name = message.known_name().filter(|_| is_request(&message));
        self.counts.note_request(name.unwrap_or("other"));
        let overlaps = overlaps(&message);
        let template = ErrorMessage::new(ErrorCode::Internal).answering(&message);
        self.docket.take(link, message, overlaps, template);
        self.run(now, link);
    }

    /// Starts what may run now on a connection.
    fn run(&mut self, now: Now, link: LinkId) {
        while let Some((ticket, message)) = self.docket.start(link) {
            let next = self.begin(now, link, message);
            self.follow(Some(ticket), next);
        }
    }

    fn begin(&mut self, now: Now, link: LinkId, message: Message) -> Next {
        let Some(from) = self.links.get(&link) else { return Step::Answer(None) };
        let client = from.peer.key();
        match message {
            Message::RelayRegister(request) => self.register(link, &request),
            other if !is_request(&other) => Step::refuse(ErrorCode::Unsupported),
            _ if !from.registered => Step::refuse(ErrorCode::Auth),
            Message::StoreMessage(request) => self.store(now, client, request),
            Message::RetrieveMessages(request) => self.retrieve(now, link, client, &request),
            Message::DeliveryConfirmation(confirmation) => self.confirm(client, confirmation),
            Message::DiscardMessage(request) => self.discard(client, request),
            Message::PublishPrekeys(request) => self.publish(now, link, request),
            Message::FetchPrekeys(request) => self.fetch(now, client, request.target),
            _ => Step::refuse(ErrorCode::Unsupported),
        }
    }

    /// Goes on with what a batch was for.
    fn resume(&mut self, now: Now, id: BatchId, done: Done) {
        let Some((ticket, job)) = self.docket.answered(id.0) else { return };
        if done == Err(Failure::Fault) {
            add(&mut self.counts.faults, 1);
        }
        let next = match job {
            Job::Judge(link, identity) => return self.judged(link, &identity, done),
            Job::Push(client) => return self.seen(&client, done),
            Job::Register(job) => match ticket {
                Some(ticket) => self.registered(now, ticket.link, job, done),
                None => Step::Answer(None),
            },
            Job::Store(job) => self.stored(now, job, done),
            Job::Retrieve(job) => self.retrieved(&job, done),
            Job::Confirm(job) => self.confirmed(job, done),
            Job::Publish(job) => self.published(now, *job, done),
            Job::Fetch(job) => self.fetched(now, job, done),
        };
        self.follow(ticket, next);
        if let Some(ticket) = ticket {
            self.run(now, ticket.link);
        }
    }

    fn follow(&mut self, ticket: Option<Ticket>, next: Next) {
        let answer = match next {
            Step::Ask(ops, job) => return self.ask(ticket, ops, job),
            Step::Answer(answer) => Ok(answer),
            Step::Refuse(error) => Err(error),
        };
        let Some(ticket) = ticket else { return };
        for message in self.docket.finish(ticket, answer) {
            self.send(ticket.link, message);
        }
    }

    /// Sends an answer; a fatal error ends the connection.
    fn send(&mut self, link: LinkId, message: Message) {
        self.counts.note_answer(&message);
        self.out.push_back(match message {
            Message::Error(error) if error.fatal => Output::Close(link, error),
            message => Output::Send(link, message),
        });
    }

    /// A client shows no older identity than before and no other of the same version. Profile, Trust.
    fn judged(&mut self, link: LinkId, shown: &Identity, done: Done) {
        let verdict = docket::answers(done).and_then(|[record]| match record {
            MailboxDone::Record(known) => records::verdict(known.as_deref(), shown),
            _ => Err(Failure::Fault),
        });
        let verdict = verdict.unwrap_or(Verdict::Refuse(ErrorCode::Internal));
        if let Verdict::Refuse(code) = verdict {
            self.counts.note_answer(&ErrorMessage::new(code).into());
        }
        self.out.push_back(Output::Judged(link, verdict));
    }
}

/// Whether a request may run beside others: none of these depends on what is stored or removed beside it, and
/// the engine takes them in order. Alone, each would wait for a sync of the disk of its own. A confirmation that
/// leaves the sender out is read first whose it is, so it sees what those before it did.
const fn overlaps(message: &Message) -> bool {
    match message {
        Message::StoreMessage(_) | Message::DiscardMessage(_) => true,
        Message::DeliveryConfirmation(confirmation) => confirmation.sender.is_some(),
        _ => false,
    }
}

/// What a relay is asked by.
const fn is_request(message: &Message) -> bool {
    matches!(
        message,
        Message::RelayRegister(_)
            | Message::StoreMessage(_)
            | Message::RetrieveMessages(_)
            | Message::DeliveryConfirmation(_)
            | Message::DiscardMessage(_)
            | Message::PublishPrekeys(_)
            | Message::FetchPrekeys(_)
    )
}
