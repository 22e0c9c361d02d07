//! A rendezvous server tells where somebody is. SREMP 7, profile SR-7.1a to SR-7.3 and Rendezvous.
//!
//! ```text
//! REGISTER_REQUEST ──signature, time, seq, version──> registration (record) ──Saved──> REGISTER_RESPONSE
//! LOOKUP_REQUEST ──────────────────────────────────> PeerInfo with the peer's own signature
//! PeerInfo ──check_peer_info()──> FreshPeer          the client trusts the peer's signature, not the server
//! ```
//! The server keeps registrations and nothing else: no content, no routing.
//!
//! ```text
//! rendezvous/registration  identity           who is where, until a day after it is over
//! rendezvous/listed        identity           who wants to be listed
//! rendezvous/due           time | identity    what has to be looked at, in the order of time
//! ```

mod check;
mod lookup;
mod register;
mod registration;
mod registry;
mod server_uri;
mod wire;

pub use check::{FreshPeer, check_peer_info};
pub use registration::{MAX_TTL, MIN_TTL, next_seq, registration_content, renew_after};
pub use registry::{Input, Output, Registry, RegistryLimits, RegistryTiming};
pub use server_uri::{ServerUri, server_id};
pub use wire::{ALPN, Framing, MAX_MESSAGE};
