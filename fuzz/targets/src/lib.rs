//! What the fuzzer feeds: one function a decoder.
//!
//! Each takes any bytes and must neither panic nor take long; what it could read, it checks against
//! what the decoder promises. The same functions run under libFuzzer (`cargo xtask fuzz`, the wrappers
//! in `fuzz/fuzz_targets`) and, over the inputs kept in `fuzz/corpus`, in the normal tests.
//!
//! A new target is a function here, a line in [`TARGETS`], a wrapper, a `[[bin]]` in `fuzz/Cargo.toml`
//! and a folder of seeds; the tests say which of them is missing. The seeds are written by
//! `cargo run -p waypost-fuzz-targets --example seeds`.

pub mod account;
pub mod connection;
pub mod framelink;
pub mod keyring;
pub mod node;
pub mod peer;
pub mod people;
pub mod proofpeer;
pub mod ratchet;
pub mod relay;
pub mod relay_client;
pub mod rendezvous;
pub mod rendezvous_client;
pub mod sremp;
pub mod vault;
pub mod vocabulary;

pub use account::account;
pub use connection::{chunks, frames, handshake};
pub use framelink::{framelink_header, framelink_kernel, framelink_link, framelink_preamble, framelink_psk_line};
pub use keyring::{keyring, sealed_file};
pub use node::{call, card, server_uri};
pub use peer::{connection, listener};
pub use proofpeer::{proofpeer_envelope, proofpeer_peer, proofpeer_token};
pub use ratchet::{padding, ratchet_blob};
pub use relay::relay;
pub use relay_client::relay_client;
pub use rendezvous::rendezvous;
pub use rendezvous_client::rendezvous_client;
pub use sremp::{content, endpoint, identity, invitation, message, trust_row};
pub use vault::{initial_message, prekeys, sealed_blob, vault_records};
pub use vocabulary::address;

/// A target: its name and what it does with any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets, by name.
pub const TARGETS: &[Target] = &[
    ("account", account),
    ("address", address),
    ("call", call),
    ("card", card),
    ("chunks", chunks),
    ("connection", connection),
    ("content", content),
    ("endpoint", endpoint),
    ("framelink_header", framelink_header),
    ("framelink_kernel", framelink_kernel),
    ("framelink_link", framelink_link),
    ("framelink_preamble", framelink_preamble),
    ("framelink_psk_line", framelink_psk_line),
    ("frames", frames),
    ("handshake", handshake),
    ("identity", identity),
    ("initial_message", initial_message),
    ("invitation", invitation),
    ("keyring", keyring),
    ("listener", listener),
    ("message", message),
    ("padding", padding),
    ("prekeys", prekeys),
    ("proofpeer_envelope", proofpeer_envelope),
    ("proofpeer_peer", proofpeer_peer),
    ("proofpeer_token", proofpeer_token),
    ("ratchet_blob", ratchet_blob),
    ("relay", relay),
    ("relay_client", relay_client),
    ("rendezvous", rendezvous),
    ("rendezvous_client", rendezvous_client),
    ("sealed_blob", sealed_blob),
    ("sealed_file", sealed_file),
    ("server_uri", server_uri),
    ("trust_row", trust_row),
    ("vault_records", vault_records),
];
