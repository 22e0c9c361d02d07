//! Independent peers and the means to talk to them.
//!
//! Every peer is a child process that takes commands and gives events as JSON objects, one a line (the form of
//! `waypost speak`). [`Peer`] runs one, [`Transcript`] keeps what all sides of a test said, so that a failure shows both.
//!
//! ```text
//! test ── Command ──> Peer ── stdin: {"cmd": ..} ──> child process
//!                      ^ └──── stdout: {"event": ..}, stderr: talk
//!                      └ Transcript (shared by the peers of one test)
//! ```

mod event;
pub mod framelink;
pub mod node;
mod peer;
pub mod python;
pub mod speak;
pub mod sremp;
mod transcript;

use anyhow::{Context as _, Result};
use std::path::PathBuf;

pub use event::Event;
pub use peer::Peer;
pub use transcript::Transcript;

/// The folder of this package, as the test runner says now: a test may have been built in another checkout.
///
/// # Errors
/// No test runner says so.
pub fn folder() -> Result<PathBuf> {
    std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).context("CARGO_MANIFEST_DIR is not set: run it by cargo")
}
