//! What the tests of all crates share. Nothing here is part of a shipped program.
//!
//! - [`vectors`] reads the files of test vectors, strictly;
//! - [`SimRng`] and [`FixedRng`] are randomness that repeats;
//! - [`mailbox`] is an engine of mailboxes in memory, the model of the others;
//! - [`mosquitto`] is a broker of MQTT for one test;
//! - [`people`] are Alice, Bob and the others;
//! - [`sim`] is a world of nodes with a virtual clock and a bad network;
//! - [`storm`] runs a test over many seeds and says which one failed.
//!
//! A world with a server that echoes and a client that asks once:
//!
//! ```
//! use std::{collections::VecDeque, time::Duration};
//! use waypost_core::{Mono, Now};
//! use waypost_testkit::{SimRng, sim::{Host, HostInput, HostOutput, LinkFaults, World}};
//!
//! #[derive(Default)]
//! struct Echo {
//!     outputs: VecDeque<HostOutput<Vec<u8>>>,
//!     dialled: bool,
//! }
//!
//! impl Host for Echo {
//!     type User = &'static str;
//!     type Event = Vec<u8>;
//!
//!     fn handle(&mut self, _: Now, _: &mut SimRng, input: HostInput<&'static str>) {
//!         self.outputs.extend(match input {
//!             HostInput::User(to) => Some(HostOutput::Dial { dial: 1, to: to.into() }),
//!             HostInput::Connected { stream, .. } => {
//!                 self.dialled = true;
//!                 Some(HostOutput::Send { stream, bytes: b"hello".to_vec() })
//!             }
//!             HostInput::Data { bytes, .. } if self.dialled => Some(HostOutput::Event(bytes)),
//!             HostInput::Data { stream, bytes } => Some(HostOutput::Send { stream, bytes }),
//!             _ => None,
//!         });
//!     }
//!
//!     fn poll(&mut self) -> Option<HostOutput<Vec<u8>>> {
//!         self.outputs.pop_front()
//!     }
//!
//!     fn poll_timeout(&self) -> Option<Mono> {
//!         None
//!     }
//!
//!     fn make_durable(&mut self, _: u64) {}
//! }
//!
//! let mut world = World::new(7);
//! let client = world.add_node("client", "client:1", |_, _| Echo::default());
//! world.add_node("server", "server:7", |_, _| Echo::default());
//! world.set_all_links(&LinkFaults { segment: 2, ..LinkFaults::calm() });
//! world.user(client, "server:7");
//!
//! let mut heard: Vec<u8> = Vec::new();
//! world.run_until_event("an echo", Duration::from_secs(1), |happening| {
//!     heard.extend(&happening.event);
//!     heard == b"hello"
//! });
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is how a test fails"
)]

pub mod mailbox;
pub mod mosquitto;
pub mod people;
mod rng;
pub mod sim;
pub mod storm;
pub mod vectors;

pub use rng::{FixedRng, SimRng};
