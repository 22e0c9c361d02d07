//! What the tests of all crates share: vectors. Nothing here is part of a shipped program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is how a test fails"
)]

pub mod vectors;
