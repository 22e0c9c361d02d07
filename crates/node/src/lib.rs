//! A person's engine: identity, contacts, history, outbox, router and wires, behind one list of methods.
//!
//! ```text
//! api, cli --Call--> Node --> engine thread: Engine --> store (one transaction a turn)
//!                     ^                        |  ^
//!                  events                 wires::Sremp
//!                                              |  ^
//!                                  net drivers: sockets, TLS, proxies
//! ```
//! [`Engine`] is synchronous and pure but for its database: time and randomness are arguments, bytes
//! go in and out as values. [`Node`] is the shell that gives it a thread, a clock and sockets.

mod backup;
pub mod card;
pub mod config;
pub mod engine;
mod error;
pub mod event;
pub mod home;
mod invite;
mod keys;
pub mod method;
mod router;
pub mod servers;
mod service;
pub mod setup;
mod shared_keys;
pub mod wire;
pub mod wires;

pub use config::Config;
pub use engine::Engine;
pub use error::Error;
pub use event::Event;
pub use home::Home;
pub use keys::Unlocked;
pub use method::{Call, Method};
pub use service::{Events, Node};
pub use waypost_keyring::{KdfCost, Passphrase};
