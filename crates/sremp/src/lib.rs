//! SREMP, pure: no socket, no clock, no randomness of its own.

pub mod chunk;
pub mod content;
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
mod pqxdh;
pub mod prekeys;
#[doc(hidden)]
pub mod probe;
mod ratchet;
pub mod select;
pub mod session;
pub mod trust;
pub mod vault;
pub mod verification;
pub mod version;

pub use crypto::{ed25519, x25519};
pub use error::{Error, ErrorCode};
pub use identity::{Identity, IdentityDraft, SignedIdentity};
pub use invitation::Invitation;
pub use kem::{KemCiphertext, KemKey, KemSeed};
pub use message::Message;
pub use pqxdh::SessionId;
pub use ratchet::{Ratchet, RatchetStart};
pub use session::{MAX_SESSIONS, SessionNeed, SessionRank};
pub use trust::{Trust, TrustRow};
pub use vault::Vault;
