//! The program as its users meet it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that goes wrong ends by panic"
)]

mod api;
mod backup;
mod chat;
mod commands;
mod contacts;
mod conversation;
mod daemon;
mod demo;
mod found;
mod framelinked;
mod link;
mod namespaces;
mod operator;
mod people;
mod servers;
mod speak;
mod speak_framelink;
mod speak_proofpeer;
mod speak_servers;
mod storm_relay;
