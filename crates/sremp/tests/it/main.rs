//! Tests of the crate through its public interface.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that goes wrong ends by panic"
)]

mod account;
mod connection;
mod fixed_rng;
mod people;
mod ratchet;
mod relay;
mod rendezvous;
mod rendezvous_client;
mod vault;
mod vectors;
