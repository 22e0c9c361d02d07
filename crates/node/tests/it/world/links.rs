//! The connections of one host of the simulator: machines between streams and the host's news.

use super::Told;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use waypost_core::{Mono, Now};
use waypost_net::dial::Resolved;
use waypost_net::sremp::{DriverCommand, DriverEvent};
use waypost_sremp::connection::{Connection, ConnectionKeys, Dialled, Event, Input, Limits, Output, Timing};
use waypost_sremp::{CloseReason, ErrorCode, LinkId};
use waypost_testkit::SimRng;
use waypost_testkit::sim::{HostInput, HostOutput, StreamId};

pub(crate) struct Links {
    pub(crate) keys: Arc<ConnectionKeys>,
    links: BTreeMap<LinkId, Link>,
    by_stream: BTreeMap<StreamId, LinkId>,
    dials: BTreeMap<u64, Dialled>,
    limits: Limits,
    next_accepted: u64,
    /// What the host is told.
    pub(crate) news: VecDeque<DriverEvent>,
    /// What goes to the network.
    pub(crate) out: VecDeque<HostOutput<Told>>,
}

struct Link {
    connection: Connection,
    stream: StreamId,
    said: Option<ErrorCode>,
}

impl Links {
    pub(crate) fn new(keys: ConnectionKeys) -> Self {
        Self {
            keys: Arc::new(keys),
            links: BTreeMap::new(),
            by_stream: BTreeMap::new(),
            dials: BTreeMap::new(),
            limits: Limits::default(),
            next_accepted: 1,
            news: VecDeque::new(),
            out: VecDeque::new(),
        }
    }

    pub(crate) fn command(&mut self, now: Now, rng: &mut SimRng, command: DriverCommand) {
        match command {
            DriverCommand::Dial { link, to, dialled, .. } => {
                self.dials.insert(link.0, dialled);
                self.out.push_back(HostOutput::Dial { dial: link.0, to: (&to).into() });
            }
            // Names are hosts here.
            DriverCommand::Resolve { ticket, .. } => {
                self.news.push_back(DriverEvent::Resolved { ticket, found: Resolved::ByProxy });
            }
            DriverCommand::Judge(link, verdict) => self.feed(now, rng, link, Input::Judged(verdict)),
            DriverCommand::Send(link, message) => self.feed(now, rng, link, Input::Send(message)),
            DriverCommand::Known(link) => {
                if let Some(open) = self.links.get_mut(&link) {
                    open.connection.set_known(true);
                }
            }
            DriverCommand::Close(link, error) => {
                if let Some(open) = self.links.get_mut(&link) {
                    open.said = error.as_ref().and_then(|error| error.known_code());
                }
                self.feed(now, rng, link, Input::Close(error));
            }
            other => panic!("not in a simulation: {other:?}"),
        }
    }

    /// Takes what the network brings.
    pub(crate) fn input<U>(&mut self, now: Now, rng: &mut SimRng, input: HostInput<U>) {
        match input {
            HostInput::Accepted { stream, .. } => {
                let link = LinkId(self.next_accepted);
                self.next_accepted += 2;
                let connection = Connection::accept(now, self.keys.clone(), self.limits.clone(), Timing::default());
                self.open(link, stream, connection);
            }
            HostInput::Connected { dial, stream } => {
                let dialled = self.dials.remove(&dial).unwrap();
                let (keys, limits) = (self.keys.clone(), self.limits.clone());
                let made = Connection::dial(now, rng, keys, dialled, limits, Timing::default());
                self.open(LinkId(dial), stream, made.unwrap());
            }
            HostInput::DialFailed { dial } => {
                self.dials.remove(&dial);
                self.news.push_back(DriverEvent::Closed { link: LinkId(dial), reason: CloseReason::Unreachable });
            }
            HostInput::Data { stream, bytes } => {
                if let Some(&link) = self.by_stream.get(&stream) {
                    self.feed(now, rng, link, Input::Bytes(&bytes));
                }
            }
            HostInput::Closed { stream } => {
                if let Some(&link) = self.by_stream.get(&stream) {
                    self.feed(now, rng, link, Input::Eof);
                }
            }
            HostInput::Tick => {
                let is_due = |open: &Link| open.connection.poll_timeout().is_some_and(|due| due <= now.mono);
                let due: Vec<_> = self.links.iter().filter(|(_, open)| is_due(open)).map(|(link, _)| *link).collect();
                due.into_iter().for_each(|link| self.feed(now, rng, link, Input::Tick));
            }
            HostInput::User(_) | HostInput::Committed(_) => {}
            HostInput::Datagram { .. } => panic!("no datagrams here"),
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Mono> {
        self.links.values().filter_map(|open| open.connection.poll_timeout()).min()
    }

    fn open(&mut self, link: LinkId, stream: StreamId, connection: Connection) {
        self.links.insert(link, Link { connection, stream, said: None });
        self.by_stream.insert(stream, link);
        self.drain(link);
    }

    fn feed(&mut self, now: Now, rng: &mut SimRng, link: LinkId, input: Input<'_>) {
        if let Some(open) = self.links.get_mut(&link) {
            open.connection.handle(now, rng, input).unwrap();
            self.drain(link);
        }
    }

    fn drain(&mut self, link: LinkId) {
        while let Some(open) = self.links.get_mut(&link) {
            let (stream, said) = (open.stream, open.said);
            let Some(output) = open.connection.poll() else { return };
            match output {
                Output::Send(bytes) => self.out.push_back(HostOutput::Send { stream, bytes }),
                Output::Close => {
                    self.links.remove(&link);
                    self.by_stream.remove(&stream);
                    self.out.push_back(HostOutput::Close { stream });
                }
                Output::Event(event) => self.news.push_back(news(link, stream, said, event)),
            }
        }
    }
}

fn news(link: LinkId, stream: StreamId, said: Option<ErrorCode>, event: Event) -> DriverEvent {
    match event {
        Event::Identified(identity) => DriverEvent::Identified { link, identity },
        Event::Ready { peer, we_dialled, handshake_hash, .. } => DriverEvent::Ready {
            link,
            peer: peer.key(),
            we_dialled,
            remote: stream.as_u64().to_string(),
            handshake_hash,
        },
        Event::Message(message) => DriverEvent::Message { link, message, held: Default::default() },
        Event::Closed(closed) => DriverEvent::Closed { link, reason: CloseReason::new(&closed, said) },
    }
}
