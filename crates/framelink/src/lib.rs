//! Framelink.
#![allow(dead_code, missing_docs, reason = "the machine is not there yet")]
mod block;
mod chain;
pub mod code;
mod error;
pub mod establish;
mod framing;
mod header;
mod kdf;
mod kernel;
mod keystream;
pub mod link;
mod opener;
mod psk;
mod role;
mod sealer;
mod settings;

pub use block::{BLOCK_LEN, Block};
pub use chain::{Chain, TAG_LEN};
pub use error::{Error, Fault};
pub use framing::{Framing, MacInit, OVERHEAD};
pub use header::Header;
pub use keystream::Align;
pub use link::Link;
pub use opener::{Opener, Progress};
pub use psk::Psk;
pub use role::{Mode, Role};
pub use sealer::Sealer;
pub use settings::{Duplex, Limits, Pad, Settings, Timing, UNLIMITED};
