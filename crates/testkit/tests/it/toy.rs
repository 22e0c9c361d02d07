//! Hosts for the tests: one that does what the test says and tells all it gets, and a counter that must
//! count every order exactly once, whatever the network and the power supply do.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    time::Duration,
};
use waypost_core::{Mono, Now};
use waypost_testkit::{
    SimRng,
    sim::{Addr, Boot, Host, HostInput, HostOutput, StreamId},
};

/// Does what the test says; tells the test all it gets.
#[derive(Default)]
pub(crate) struct Puppet {
    outputs: VecDeque<HostOutput<(Now, HostInput<()>)>>,
    timer: Option<Mono>,
}

/// What a puppet is told.
#[derive(Clone)]
pub(crate) enum Pull {
    Do(HostOutput<(Now, HostInput<()>)>),
    Wake(Mono),
}

impl Puppet {
    pub(crate) fn start(_: &Boot, _: &mut SimRng) -> Self {
        Self::default()
    }
}

impl Host for Puppet {
    type User = Pull;
    type Event = (Now, HostInput<()>);

    fn handle(&mut self, now: Now, _: &mut SimRng, input: HostInput<Pull>) {
        let told = match input {
            HostInput::User(Pull::Do(output)) => return self.outputs.push_back(output),
            HostInput::User(Pull::Wake(at)) => return self.timer = Some(at),
            HostInput::Tick => {
                self.timer = None;
                HostInput::Tick
            }
            HostInput::Accepted { stream, from } => HostInput::Accepted { stream, from },
            HostInput::Connected { dial, stream } => HostInput::Connected { dial, stream },
            HostInput::DialFailed { dial } => HostInput::DialFailed { dial },
            HostInput::Data { stream, bytes } => HostInput::Data { stream, bytes },
            HostInput::Closed { stream } => HostInput::Closed { stream },
            HostInput::Datagram { from, bytes } => HostInput::Datagram { from, bytes },
            HostInput::Committed(commit) => HostInput::Committed(commit),
        };
        self.outputs.push_back(HostOutput::Event((now, told)));
    }

    fn poll(&mut self) -> Option<HostOutput<Self::Event>> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Mono> {
        self.timer
    }

    fn make_durable(&mut self, _: u64) {}
}

/// What a counter keeps over crashes: orders by number. A client has those it gave, with a mark once
/// the server has them; a server those it took.
#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) orders: BTreeMap<u64, u64>,
    pub(crate) acked: u64,
    /// How often an order was applied to the disk; above 1 is a bug.
    pub(crate) writes: BTreeMap<u64, u32>,
}

/// By which way a counter sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Datagrams,
    Streams,
}

/// Takes amounts from the test, and has the server take each exactly once.
pub(crate) struct Counter {
    disk: Rc<RefCell<Disk>>,
    server: Option<(Addr, Way)>,
    /// What is not durable yet: by commit, the order (number, amount).
    pending: BTreeMap<u64, (u64, u64)>,
    commits: u64,
    /// Where to acknowledge an order once it is durable.
    owed: BTreeMap<u64, Peer>,
    stream: Option<StreamId>,
    dialling: bool,
    buffers: BTreeMap<StreamId, Vec<u8>>,
    resend_at: Option<Mono>,
    outputs: VecDeque<HostOutput<u64>>,
}

#[derive(Clone)]
enum Peer {
    Stream(StreamId),
    Addr(Addr),
}

const RESEND: Duration = Duration::from_millis(700);
/// Number and amount.
const FRAME: usize = 16;

impl Counter {
    pub(crate) fn new(disk: Rc<RefCell<Disk>>, server: Option<(Addr, Way)>) -> Self {
        Self {
            disk,
            server,
            pending: BTreeMap::new(),
            commits: 0,
            owed: BTreeMap::new(),
            stream: None,
            dialling: false,
            buffers: BTreeMap::new(),
            resend_at: None,
            outputs: VecDeque::new(),
        }
    }

    /// The highest number given or taken, durable or not.
    fn last(&self) -> u64 {
        let durable = self.disk.borrow().orders.keys().next_back().copied().unwrap_or(0);
        self.pending.values().map(|order| order.0).fold(durable, u64::max)
    }

    fn commit(&mut self, number: u64, amount: u64) {
        self.commits += 1;
        self.pending.insert(self.commits, (number, amount));
        self.outputs.push_back(HostOutput::Commit(self.commits));
    }

    fn put(&mut self, peer: Peer, number: u64, amount: u64) {
        let bytes = [number.to_be_bytes(), amount.to_be_bytes()].concat();
        self.outputs.push_back(match peer {
            Peer::Stream(stream) => HostOutput::Send { stream, bytes },
            Peer::Addr(to) => HostOutput::Datagram { to, bytes },
        });
    }

    /// A client: sends what is durable and not acknowledged.
    fn resend(&mut self, now: Now) {
        let Some((to, way)) = self.server.clone() else { return };
        let disk = self.disk.borrow();
        let open: Vec<_> = disk.orders.range(disk.acked + 1..).map(|(n, amount)| (*n, *amount)).collect();
        drop(disk);
        self.resend_at = (!open.is_empty()).then(|| now.mono.after(RESEND));
        let peer = match (way, self.stream) {
            (Way::Datagrams, _) => Peer::Addr(to),
            (Way::Streams, Some(stream)) => Peer::Stream(stream),
            (Way::Streams, None) => {
                if !self.dialling && !open.is_empty() {
                    self.dialling = true;
                    self.outputs.push_back(HostOutput::Dial { dial: 1, to });
                }
                return;
            }
        };
        for (number, amount) in open {
            self.put(peer.clone(), number, amount);
        }
    }

    fn frame(&mut self, peer: Peer, frame: &[u8]) {
        let [number, amount] = [&frame[..8], &frame[8..FRAME]].map(|part| u64::from_be_bytes(part.try_into().unwrap()));
        if self.server.is_some() {
            let mut disk = self.disk.borrow_mut();
            disk.acked = disk.acked.max(number);
            return;
        }
        let durable = self.disk.borrow().orders.contains_key(&number);
        if durable {
            self.put(peer, number, 0);
        } else if number == self.last() + 1 {
            self.owed.insert(number, peer);
            self.commit(number, amount);
        }
    }
}

impl Host for Counter {
    type User = u64;
    /// A client tells the number of an order that is sure to be counted.
    type Event = u64;

    fn handle(&mut self, now: Now, _: &mut SimRng, input: HostInput<u64>) {
        match input {
            HostInput::User(amount) => self.commit(self.last() + 1, amount),
            HostInput::Tick => {
                // Whatever is still open was sent in vain: the stream may be dead without a word.
                if self.resend_at.is_some_and(|at| at <= now.mono)
                    && let Some(stream) = self.stream.take()
                {
                    self.outputs.push_back(HostOutput::Close { stream });
                }
                self.resend(now);
            }
            HostInput::Connected { stream, .. } => {
                (self.stream, self.dialling) = (Some(stream), false);
                self.resend(now);
            }
            HostInput::DialFailed { .. } => {
                self.dialling = false;
                self.resend_at = Some(now.mono.after(RESEND));
            }
            HostInput::Accepted { .. } => {}
            HostInput::Closed { stream } => {
                self.buffers.remove(&stream);
                self.stream.take_if(|ours| *ours == stream);
            }
            HostInput::Data { stream, bytes } => {
                let buffer = self.buffers.entry(stream).or_default();
                buffer.extend(bytes);
                let whole: Vec<u8> = buffer.drain(..buffer.len() / FRAME * FRAME).collect();
                whole.chunks(FRAME).for_each(|frame| self.frame(Peer::Stream(stream), frame));
            }
            HostInput::Datagram { from, bytes } => self.frame(Peer::Addr(from), &bytes),
            HostInput::Committed(commit) => {
                let (number, _) = self.pending.remove(&commit).unwrap();
                match self.owed.remove(&number) {
                    Some(peer) => self.put(peer, number, 0),
                    None => self.outputs.push_back(HostOutput::Event(number)),
                }
                self.resend(now);
            }
        }
    }

    fn poll(&mut self) -> Option<HostOutput<u64>> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Mono> {
        self.resend_at
    }

    fn make_durable(&mut self, commit: u64) {
        let (number, amount) = self.pending[&commit];
        let mut disk = self.disk.borrow_mut();
        disk.orders.insert(number, amount);
        *disk.writes.entry(number).or_default() += 1;
    }
}
