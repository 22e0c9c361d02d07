//! Tests of the crate through its public interface.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that goes wrong ends by panic"
)]

mod attacks;
mod carry;
mod closing;
mod control;
mod credit;
mod padding;
mod pair;
mod peer;
mod properties;
mod queue;
mod raw;
mod reading;
mod storm;
mod timers;
mod vectors;
