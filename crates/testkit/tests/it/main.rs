//! The simulator tried out with small hosts.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is how a test fails"
)]

mod crashes;
mod datagrams;
mod streams;
mod toy;
