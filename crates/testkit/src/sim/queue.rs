//! What will happen, in order of time; at one time, in the order it was asked for.

use crate::sim::{Addr, Incident, NodeId, PartitionId, StreamId};
use std::{cmp::Ordering, collections::BinaryHeap};
use waypost_core::Mono;

/// A node between a start and a crash; what was meant for an earlier life is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) node: NodeId,
    pub(super) boot: u32,
}

pub(super) enum Action<U> {
    Tick(Life),
    User { node: NodeId, input: U },
    Dialled { from: Life, dial: u64, to: Addr },
    Connected { life: Life, dial: u64, stream: StreamId },
    DialFailed { life: Life, dial: u64 },
    Arrival(StreamId),
    Datagram { from: NodeId, to: NodeId, bytes: Vec<u8> },
    Commit { life: Life, commit: u64 },
    Restart(Life),
    Incident(Incident),
    Heal(PartitionId),
}

pub(super) struct Queue<U> {
    heap: BinaryHeap<Entry<U>>,
    asked: u64,
}

impl<U> Queue<U> {
    pub(super) fn new() -> Self {
        Self { heap: BinaryHeap::new(), asked: 0 }
    }

    pub(super) fn push(&mut self, at: Mono, action: Action<U>) {
        self.asked += 1;
        self.heap.push(Entry { at, asked: self.asked, action });
    }

    pub(super) fn next_at(&self) -> Option<Mono> {
        self.heap.peek().map(|entry| entry.at)
    }

    pub(super) fn pop(&mut self) -> Option<(Mono, Action<U>)> {
        self.heap.pop().map(|entry| (entry.at, entry.action))
    }
}

struct Entry<U> {
    at: Mono,
    asked: u64,
    action: Action<U>,
}

impl<U> Ord for Entry<U> {
    /// The heap gives its greatest first: the earliest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.asked).cmp(&(self.at, self.asked))
    }
}

impl<U> PartialOrd for Entry<U> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<U> PartialEq for Entry<U> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<U> Eq for Entry<U> {}
