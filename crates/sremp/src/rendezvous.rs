//! A rendezvous server tells where somebody is. SREMP 7, profile SR-7.1a to SR-7.3 and Rendezvous.
//!
//! ```text
//! REGISTER_REQUEST ──signature, time──> Read ──seq, version──> Expect, Write ──> REGISTER_RESPONSE
//! LOOKUP_REQUEST ────rate─────────────> Read or Scan ──> PeerInfo with the peer's own signature
//! PeerInfo ──check_peer_info()──> FreshPeer          the client trusts the peer's signature, not the server
//! ```
//! The server keeps registrations and nothing else: no content, no routing. The registry decides, an engine
//! keeps: records go by themselves when their time is over, and any number of processes can be one server.
//! Inside TLS, [`Framing`] turns bytes into messages on both sides.
//!
//! ```text
//! rendezvous/registration  identity   who is where, until a day after it is over
//! rendezvous/listed        identity   the same of those who want to be listed, until it is over
//! ```

mod check;
pub mod client;
mod lookup;
mod policy;
mod records;
mod register;
mod registration;
mod registry;
mod server_uri;
mod wire;

pub use crate::docket::Counts;
pub use check::{FreshPeer, check_peer_info};
pub use client::Client;
pub use policy::{RegistryLimits, RegistryPolicy, RegistryTiming};
pub use registration::{MAX_TTL, MIN_TTL, next_seq, registration_content, renew_after};
pub use registry::{Input, Output, ProbeId, Registry};
pub use server_uri::{ServerUri, server_id};
pub use wire::{ALPN, Framing, MAX_MESSAGE};
