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

pub mod config;
mod error;
pub mod event;
pub mod home;
pub mod method;

pub use config::Config;
pub use error::Error;
pub use event::Event;
pub use home::Home;
pub use method::{Call, Method};
