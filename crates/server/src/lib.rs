//! An operator's roles: what people need who are away, or who look for each other.
//!
//! ```text
//!            net::sremp (Noise) ──> relay::Depot ─────────┐
//! clients <                                               ├──> mailbox::Embedded (one file)
//!            net::rendezvous (TLS) ──> rendezvous::Registry┘
//! ```
//! A role is a pure machine of its protocol's crate; here it gets sockets, storage and a clock. Any set of
//! roles runs in one process, on one file of mailboxes.

pub mod config;
mod data;
mod error;
mod keys;
mod metrics;
mod relay;
mod rendezvous;
mod seen;
mod service;
mod storage;

pub use config::{Config, Role};
pub use data::Data;
pub use error::Error;
pub use keys::RelayKeys;
pub use seen::{Observer, Seen};
pub use service::{Extras, Facts, RoleFacts, Server};
