//! The rendezvous server's machine.

use super::{
    lookup::{Looking, Network},
    policy::{RegistryLimits, RegistryPolicy, RegistryTiming},
    register::Registering,
};
use crate::{
    Error, ErrorCode, LinkId,
    docket::{self, Counts, Docket, Done, Failure, Step, Ticket, add},
    endpoint::Endpoint,
    message::{ErrorMessage, ListServersResponse, Message},
    rate::Rates,
};
use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    time::Duration,
};
use waypost_core::{BatchId, ContactId, MailboxDone, MailboxOp, Now};

/// What happens to a rendezvous server.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once; a box for each message costs more")]
pub enum Input {
    /// A connection has shown the right header.
    Connected {
        /// Which connection.
        link: LinkId,
        /// From where, for the rates.
        address: IpAddr,
    },
    /// A connection brought a message.
    Message {
        /// Which connection.
        link: LinkId,
        /// The message.
        message: Message,
    },
    /// What a connection brought is no message: it is told so behind the answers to what it asked before.
    Fault {
        /// Which connection.
        link: LinkId,
        /// What [`Framing::read`](super::Framing::read) said.
        error: Error,
    },
    /// A connection is gone.
    Disconnected(LinkId),
    /// What a batch came to.
    Mailbox(BatchId, Vec<MailboxDone>),
    /// The storage failed at a batch: whether something of it happened is not known.
    MailboxFault(BatchId),
    /// What a probe came to.
    Probed {
        /// Which.
        probe: ProbeId,
        /// Whether an SREMP header came back. No, if the address filter did not let the endpoint be dialled.
        is_there: bool,
    },
}

/// What a rendezvous server wants done. Call [`Registry::poll`] until there is none.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once; a box for each message costs more")]
pub enum Output {
    /// Do this, at this moment's wall clock, then say [`Input::Mailbox`] or [`Input::MailboxFault`]. Batches
    /// may run side by side and be answered in any order.
    Mailbox(BatchId, Vec<MailboxOp>),
    /// Dial this once, if the address filter lets an endpoint of others be dialled, with a bound on the time;
    /// then say [`Input::Probed`].
    Probe {
        /// Which.
        probe: ProbeId,
        /// Where somebody says to be.
        endpoint: Endpoint,
    },
    /// Send a message on a connection.
    Send(LinkId, Message),
    /// Send this as the last message of a connection and close it.
    Close(LinkId, ErrorMessage),
}

/// One probe a registry has asked for; unique within its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeId(pub u64);

/// A rendezvous server. A registration is confirmed only after it is durable.
pub struct Registry {
    pub(super) server_id: [u8; 32],
    pub(super) policy: RegistryPolicy,
    pub(super) limits: RegistryLimits,
    pub(super) timing: RegistryTiming,
    pub(super) lookups: Rates<Network>,
    pub(super) lists: Rates<Network>,
    pub(super) registrations: Rates<ContactId>,
    pub(super) counts: Counts,
    links: BTreeMap<LinkId, Network>,
    docket: Docket<Request, Job>,
    out: VecDeque<Output>,
}

/// What a connection brought.
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once; a box for each message costs more")]
enum Request {
    Message(Message),
    Fault(Error),
}

/// What a request needs next.
pub(super) type Next = Step<Ask, Job>;

/// What a request needs of the shell.
pub(super) enum Ask {
    Mailbox(Vec<MailboxOp>),
    Probe(Endpoint),
}

/// What is remembered of a request while it waits for the shell.
pub(super) enum Job {
    Register(Box<Registering>),
    Lookup(Looking),
}

impl Registry {
    /// A server of this id (SHA-256 of its certificate's public key), whose state lies in records. Any number
    /// of processes may be this server at once.
    pub fn new(server_id: [u8; 32], policy: RegistryPolicy, limits: RegistryLimits, timing: RegistryTiming) -> Self {
        let minute = Duration::from_secs(60);
        Self {
            server_id,
            policy,
            limits,
            timing,
            lookups: Rates::new(limits.lookups, minute, limits.rates),
            lists: Rates::new(limits.lists, minute, limits.rates),
            registrations: Rates::new(limits.registrations, minute, limits.rates),
            counts: Counts::default(),
            links: BTreeMap::new(),
            docket: Docket::default(),
            out: VecDeque::new(),
        }
    }

    /// How much there was of what.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether a connection may bring another request: answers come in order, and only so many wait.
    pub fn wants_input(&self, link: LinkId) -> bool {
        self.docket.outstanding(link) < self.limits.outstanding
    }

    /// Acts on what happened. Faults of a client are answered to the client, those of the storage too.
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Connected { link, address } => self.connected(link, address),
            Input::Message { link, message } => self.message(now, link, message),
            Input::Fault { link, error } => {
                let template = ErrorMessage::new(error.code());
                self.docket.take(link, Request::Fault(error), false, template);
                self.run(now, link);
            }
            Input::Disconnected(link) => {
                self.docket.close(link);
                self.links.remove(&link);
                self.counts.connections = self.links.len() as u64;
            }
            Input::Mailbox(id, answers) => self.resume(now, id, docket::done(answers)),
            Input::MailboxFault(id) => self.resume(now, id, Err(Failure::Fault)),
            Input::Probed { probe, is_there } => {
                if let Some((Some(ticket), Job::Register(job))) = self.docket.answered(probe.0) {
                    let next = self.probed(now, *job, is_there);
                    self.follow(ticket, next);
                    self.run(now, ticket.link);
                }
            }
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn connected(&mut self, link: LinkId, address: IpAddr) {
        if self.links.len() >= self.limits.connections {
            self.send(link, ErrorMessage::new(ErrorCode::Rate).fatal().into());
            return;
        }
        self.docket.open(link);
        self.links.insert(link, Network::from(address));
        self.counts.connections = self.links.len() as u64;
    }

    fn message(&mut self, now: Now, link: LinkId, message: Message) {
        if !self.links.contains_key(&link) || matches!(message, Message::Error(_)) {
            return;
        }
        self.counts.note_request(message.known_name().filter(|_| is_request(&message)).unwrap_or("other"));
        // Nothing depends on who else is looked for.
        let overlaps = matches!(message, Message::LookupRequest(_));
        let template = ErrorMessage::new(ErrorCode::Internal).answering(&message);
        self.docket.take(link, Request::Message(message), overlaps, template);
        self.run(now, link);
    }

    /// Starts what may run now on a connection.
    fn run(&mut self, now: Now, link: LinkId) {
        while let Some((ticket, request)) = self.docket.start(link) {
            let next = self.begin(now, link, request);
            self.follow(ticket, next);
        }
    }

    /// Every request has one answer; nothing but registry messages is served. Profile SR-2.2b.
    fn begin(&mut self, now: Now, link: LinkId, request: Request) -> Next {
        let Some(network) = self.links.get(&link).copied() else { return Step::Answer(None) };
        match request {
            Request::Message(Message::RegisterRequest(request)) => self.register(now, request),
            Request::Message(Message::LookupRequest(request)) => self.lookup(now, network, &request),
            Request::Message(Message::ListServersRequest(_)) => {
                Step::answer(ListServersResponse { servers: self.policy.suggestions(), timestamp: now.wall })
            }
            Request::Message(_) => Step::refuse(ErrorCode::Unsupported),
            Request::Fault(error) => Step::Refuse(ErrorMessage::new(error.code()).fatal()),
        }
    }

    /// Goes on with what a batch was for.
    fn resume(&mut self, now: Now, id: BatchId, done: Done) {
        let Some((Some(ticket), job)) = self.docket.answered(id.0) else { return };
        if done == Err(Failure::Fault) {
            add(&mut self.counts.faults, 1);
        }
        let next = match job {
            Job::Register(job) => self.registered(now, *job, done),
            Job::Lookup(job) => self.found(now, &job, done),
        };
        self.follow(ticket, next);
        self.run(now, ticket.link);
    }

    fn follow(&mut self, ticket: Ticket, next: Next) {
        let answer = match next {
            Step::Ask(ask, job) => {
                let number = self.docket.ask(Some(ticket), job);
                self.out.push_back(match ask {
                    Ask::Mailbox(ops) => Output::Mailbox(BatchId(number), ops),
                    Ask::Probe(endpoint) => Output::Probe { probe: ProbeId(number), endpoint },
                });
                return;
            }
            Step::Answer(answer) => Ok(answer),
            Step::Refuse(error) => Err(error),
        };
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
}

/// What a rendezvous server is asked by.
const fn is_request(message: &Message) -> bool {
    matches!(message, Message::RegisterRequest(_) | Message::LookupRequest(_) | Message::ListServersRequest(_))
}
