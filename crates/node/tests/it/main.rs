//! Whole engines against each other: real databases, virtual network and time.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that goes wrong ends by panic")]

mod away;
mod conversation;
mod storm;
mod world;
