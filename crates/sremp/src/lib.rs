//! SREMP, pure: no socket, no clock, no randomness of its own.

mod crypto;
mod error;
pub mod msgpack;

pub use crypto::{ed25519, x25519};
pub use error::{Error, ErrorCode};
