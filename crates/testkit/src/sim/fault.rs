//! What goes wrong, how often, and when.

use crate::sim::NodeId;
use std::{ops::RangeInclusive, time::Duration};
use waypost_core::Mono;

/// How bad the way between two nodes is. Times are in milliseconds, chances from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkFaults {
    /// One way; drawn for each send, so datagrams overtake each other.
    pub latency: RangeInclusive<u64>,
    /// The largest piece a stream delivers at once; pieces are 1..=this bytes.
    pub segment: usize,
    /// How long a dial takes to fail when nothing answers.
    pub dial_timeout: u64,
    /// A dial fails although somebody listens.
    pub dial_fails: f64,
    /// With a send: both ends are told that the stream ended; bytes under way are lost both ways.
    pub reset: f64,
    /// With a send: it is cut short at any byte, then both ends are told; the other way nothing is lost.
    pub eof: f64,
    /// With a send: it is cut short and the other end is told; this end is not, unless it sends again.
    pub half_open: f64,
    /// With a send: from here on bytes vanish both ways, and nobody is told.
    pub silence: f64,
    /// With a send: bytes wait for as long as `stall_lasts`.
    pub stall: f64,
    /// How long a stall lasts.
    pub stall_lasts: RangeInclusive<u64>,
    /// A datagram is lost.
    pub loss: f64,
    /// A datagram arrives twice.
    pub duplicate: f64,
    /// A datagram takes up to ten times the longest latency.
    pub reorder: f64,
    /// Datagrams above this many bytes are lost.
    pub mtu: usize,
}

impl LinkFaults {
    /// 1 to 20 ms and odd pieces; nothing breaks.
    pub const fn calm() -> Self {
        Self {
            latency: 1..=20,
            segment: 1460,
            dial_timeout: 5_000,
            dial_fails: 0.0,
            reset: 0.0,
            eof: 0.0,
            half_open: 0.0,
            silence: 0.0,
            stall: 0.0,
            stall_lasts: 1_000..=10_000,
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            mtu: 65_507,
        }
    }

    /// No latency, what is sent arrives in one piece: for tests of exact times.
    pub const fn instant() -> Self {
        Self { latency: 0..=0, segment: usize::MAX, ..Self::calm() }
    }

    /// A long and bad way: every fault now and then.
    pub const fn rough() -> Self {
        Self {
            latency: 5..=300,
            dial_fails: 0.1,
            reset: 0.01,
            eof: 0.01,
            half_open: 0.005,
            silence: 0.005,
            stall: 0.02,
            loss: 0.1,
            duplicate: 0.05,
            reorder: 0.1,
            ..Self::calm()
        }
    }
}

impl Default for LinkFaults {
    fn default() -> Self {
        Self::calm()
    }
}

/// How a node fails. Times are in milliseconds, chances from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeFaults {
    /// How long a commit takes to become durable.
    pub commit: RangeInclusive<u64>,
    /// The node crashes before what it wants to commit is durable.
    pub crash_before_commit: f64,
    /// The node crashes after it is durable, before it knows.
    pub crash_after_commit: f64,
    /// The node crashes after an input or between two outputs.
    pub crash_per_step: f64,
    /// A crash is a power cut: peers are not told that streams ended, dials get no answer.
    pub power_cut: f64,
    /// How long the node is down after a crash that came by chance.
    pub down: RangeInclusive<u64>,
}

impl NodeFaults {
    /// Commits take up to 2 ms; nothing crashes.
    pub const fn none() -> Self {
        Self {
            commit: 0..=2,
            crash_before_commit: 0.0,
            crash_after_commit: 0.0,
            crash_per_step: 0.0,
            power_cut: 0.5,
            down: 0..=30_000,
        }
    }

    /// Crashes with these chances at each commit.
    pub const fn at_commits(before: f64, after: f64) -> Self {
        Self { crash_before_commit: before, crash_after_commit: after, ..Self::none() }
    }
}

impl Default for NodeFaults {
    fn default() -> Self {
        Self::none()
    }
}

/// Something that goes wrong at a planned time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incident {
    /// A node crashes, if it is up.
    Crash {
        /// Which.
        node: NodeId,
        /// For how long.
        down: Duration,
    },
    /// No node of `a` reaches one of `b`, nor the other way.
    Partition {
        /// One side.
        a: Vec<NodeId>,
        /// The other side.
        b: Vec<NodeId>,
        /// For how long.
        lasts: Duration,
    },
    /// A node's wall clock jumps to so many milliseconds ahead of the right time.
    Skew {
        /// Which.
        node: NodeId,
        /// How far.
        millis: i64,
    },
}

/// How many incidents befall a world by chance until a time; see [`World::plan_weather`](super::World::plan_weather).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weather {
    /// All of them begin before this.
    pub until: Mono,
    /// Crashes of nodes drawn by lot.
    pub crashes: u32,
    /// Partitions between halves drawn by lot.
    pub partitions: u32,
    /// Jumps of wall clocks.
    pub skews: u32,
    /// A crash or partition lasts up to so many milliseconds.
    pub lasts: u64,
    /// A wall clock is wrong by up to so many milliseconds.
    pub skew: u64,
}
