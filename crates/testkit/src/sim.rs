//! A small world of nodes and a bad network, run by a virtual clock from one seed.
//!
//! A test wraps what it tries out (a whole engine or a bare machine) in a [`Host`] and gives it to a
//! [`World`]. The world calls it with commands, bytes and ticks, carries what it sends with latency,
//! in odd pieces, with the [`LinkFaults`] and [`NodeFaults`] asked for, and returns its events. The
//! same seed gives the same run, to the byte. Nothing here sleeps, and nothing knows a protocol.
//!
//! - A **stream** is like TCP: bytes arrive in order or not at all, and its end may come at any byte,
//!   be told to one side only, or to none. During a partition bytes wait.
//! - A **datagram** is like UDP: lost, doubled, late.
//! - A **crash** drops the host without another call. The node starts again from what the test keeps as
//!   its disk; its streams are gone, its monotonic clock starts anew, its wall clock may be wrong.

mod addr;
mod clock;
mod fault;
mod host;
mod link;
mod network;
mod queue;
mod run;
mod trace;
mod world;

pub use addr::Addr;
pub use fault::{Incident, LinkFaults, NodeFaults, Weather};
pub use host::{Host, HostInput, HostOutput, NodeId, StreamId};
pub use network::PartitionId;
pub use trace::Counts;
pub use world::{Boot, Happening, World};
