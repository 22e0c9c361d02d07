//! Tests of the drivers over sockets of this machine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that goes wrong ends by panic"
)]

mod bootstrap;
mod conversation;
mod dialling;
mod flood;
mod found;
mod framelink;
mod handshake;
mod idle;
mod memory;
mod node;
mod proofpeer;
mod raw;
mod rendezvous;
mod servers;
mod slow;
mod socks;
