//! SREMP, pure: no socket, no clock, no randomness of its own.

mod crypto;
mod error;
mod kdf;
mod kem;
pub mod msgpack;
pub mod padding;
#[doc(hidden)]
pub mod probe;
mod ratchet;

pub use crypto::{ed25519, x25519};
pub use error::{Error, ErrorCode};
pub use ratchet::{Ratchet, RatchetStart};
