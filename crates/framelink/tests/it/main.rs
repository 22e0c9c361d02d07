//! Tests of the crate through its public interface.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that goes wrong ends by panic"
)]

mod carry;
mod pair;
mod peer;
mod vectors;
