//! What a node of the simulation does.

use crate::{SimRng, sim::Addr};
use std::fmt;
use waypost_core::{Mono, Now};

/// One node: a whole engine, or a bare machine wrapped by the test.
pub trait Host {
    /// Commands of the test.
    type User;
    /// What it tells the test.
    type Event: fmt::Debug;

    /// Takes one input.
    fn handle(&mut self, now: Now, rng: &mut SimRng, input: HostInput<Self::User>);

    /// The next thing to be done; called until `None` after each input.
    fn poll(&mut self) -> Option<HostOutput<Self::Event>>;

    /// When it wants a [`HostInput::Tick`], by its own monotonic clock.
    fn poll_timeout(&self) -> Option<Mono>;

    /// Makes durable what [`HostOutput::Commit`] of this id stands for: from here on it must survive
    /// a crash. Ids come in the order they were given.
    fn make_durable(&mut self, commit: u64);
}

impl<H: Host + ?Sized> Host for Box<H> {
    type User = H::User;
    type Event = H::Event;

    fn handle(&mut self, now: Now, rng: &mut SimRng, input: HostInput<Self::User>) {
        (**self).handle(now, rng, input);
    }

    fn poll(&mut self) -> Option<HostOutput<Self::Event>> {
        (**self).poll()
    }

    fn poll_timeout(&self) -> Option<Mono> {
        (**self).poll_timeout()
    }

    fn make_durable(&mut self, commit: u64) {
        (**self).make_durable(commit);
    }
}

/// What a host is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostInput<U> {
    /// Time passed: at the start, and when `poll_timeout` is due.
    Tick,
    /// A command of the test. One that comes while the node is down waits until it is up.
    User(U),
    /// Somebody dialled; `from` is the dialler's host with a port of the moment.
    Accepted {
        /// The new stream.
        stream: StreamId,
        /// Who dialled.
        from: Addr,
    },
    /// A dial of ours succeeded.
    Connected {
        /// Which.
        dial: u64,
        /// The new stream.
        stream: StreamId,
    },
    /// A dial of ours failed: nobody listens, nobody is there, or bad luck.
    DialFailed {
        /// Which.
        dial: u64,
    },
    /// Bytes arrived; pieces are not what was sent at once.
    Data {
        /// On which stream.
        stream: StreamId,
        /// At least one byte.
        bytes: Vec<u8>,
    },
    /// A stream ended, by the other side or by the network. Not told for a stream this host closed.
    Closed {
        /// Which.
        stream: StreamId,
    },
    /// A datagram arrived.
    Datagram {
        /// Who sent it.
        from: Addr,
        /// Its content.
        bytes: Vec<u8>,
    },
    /// What [`HostOutput::Commit`] stands for is durable.
    Committed(u64),
}

/// What a host wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostOutput<E> {
    /// Connect; answered by `Connected` or `DialFailed` with the same number.
    Dial {
        /// The host's own number for it.
        dial: u64,
        /// Where to.
        to: Addr,
    },
    /// Send bytes on a stream; nothing happens if it has ended.
    Send {
        /// Which.
        stream: StreamId,
        /// What.
        bytes: Vec<u8>,
    },
    /// End a stream after what was sent; nothing happens if it has ended.
    Close {
        /// Which.
        stream: StreamId,
    },
    /// Send a datagram.
    Datagram {
        /// Where to.
        to: Addr,
        /// Its content.
        bytes: Vec<u8>,
    },
    /// Tell the test.
    Event(E),
    /// A durable point. The node may crash before or after [`Host::make_durable`]; if it does not,
    /// [`HostInput::Committed`] follows.
    Commit(u64),
}

/// One node of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) usize);

/// One end of a stream, as its host knows it; the two ends have different ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub(super) u64);

impl StreamId {
    /// An id for a test that plays the network itself.
    pub fn new(id: u64) -> Self {
        Self(id)
    }

    /// The number in it.
    pub fn as_u64(self) -> u64 {
        self.0
    }

    pub(super) fn other_end(self) -> Self {
        Self(self.0 ^ 1)
    }
}
