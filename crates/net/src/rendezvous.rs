//! Runs the TLS connections between rendezvous servers and their clients. Profile, Rendezvous framing.
//!
//! ```text
//! client::RendezvousClient   Open ──TCP, TLS──> Opened{server_id}   bytes <-> the engine's machine, which frames
//! server::RendezvousServer   TCP, TLS, header, messages -> the engine's registry, its answers back
//! ```
//! **Bounds of a server.** A connection holds at most one read that is not cut into messages yet, one message
//! that is not complete, and [`ServerLimits::requests`] that wait for their answers; while
//! [`ServerLimits::unsent`] bytes wait for its socket, it is not read. A socket that takes nothing for
//! [`ServerTiming::write`] is closed, and so is one without a request for [`ServerTiming::idle`].

pub mod client;
mod pipe;
pub mod server;

pub use client::{ClientCommand, ClientConfig, ClientEvent, ClientFault, RendezvousClient};
pub use server::{
    RendezvousServer, ServerCommand, ServerConfig, ServerCounts, ServerEvent, ServerLimits, ServerTiming,
};
