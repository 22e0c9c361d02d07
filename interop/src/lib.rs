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
mod peer;
pub mod python;
pub mod sremp;
mod transcript;

pub use event::Event;
pub use peer::Peer;
pub use transcript::Transcript;
