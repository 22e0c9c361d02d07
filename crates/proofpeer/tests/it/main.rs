//! Tests of the crate through its public interface.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that goes wrong ends by panic"
)]

mod brokers;
mod handshake;
mod limits;
mod net;
mod presence;
mod reliable;
mod session;
mod store;
mod storm;
mod threats;
mod vectors;
