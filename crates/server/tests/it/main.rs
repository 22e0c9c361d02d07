//! Whole servers over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that goes wrong ends by panic"
)]

mod client;
mod hostile;
mod memory;
mod rendezvous;
mod servers;
mod slow;
