//! SREMP, pure: no socket, no clock, no randomness of its own.

pub mod chunk;
mod crypto;
pub mod endpoint;
mod error;
pub mod frame;
pub mod identity;
pub mod invitation;
mod kdf;
mod kem;
mod link;
pub mod message;
pub mod msgpack;
pub mod noise;
pub mod padding;
#[doc(hidden)]
pub mod probe;
mod ratchet;
pub mod select;
pub mod trust;
pub mod verification;
pub mod version;

pub use crypto::{ed25519, x25519};
pub use error::{Error, ErrorCode};
pub use identity::{Identity, IdentityDraft, SignedIdentity};
pub use invitation::Invitation;
pub use message::Message;
pub use ratchet::{Ratchet, RatchetStart};
pub use trust::{Trust, TrustRow};
