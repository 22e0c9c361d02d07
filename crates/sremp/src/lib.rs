//! SREMP, pure: no socket, no clock, no randomness of its own.

mod crypto;
pub mod endpoint;
mod error;
pub mod identity;
mod kdf;
mod kem;
pub mod message;
pub mod msgpack;
pub mod padding;
#[doc(hidden)]
pub mod probe;
mod ratchet;
pub mod select;

pub use crypto::{ed25519, x25519};
pub use error::{Error, ErrorCode};
pub use identity::{Identity, IdentityDraft, SignedIdentity};
pub use message::Message;
pub use ratchet::{Ratchet, RatchetStart};
