//! SREMP, Secure Relay-Enhanced Messaging, by its profile: people exchange end-to-end encrypted messages,
//! directly when both can be reached, otherwise by a relay that keeps ciphertext; a rendezvous server tells
//! where somebody is.
//!
//! # What
//! The wire and the cryptography, pure: bytes, messages and commands in, bytes and events out. The two
//! machines are [`Connection`], one channel between two peers, and the account, which seals and opens what
//! travels in it and on any other wire. The servers are machines too: [`relay::Depot`] and
//! [`rendezvous::Registry`].
//!
//! # What not
//! No socket, no clock, no randomness, no storage of its own: `now` and `rng` are arguments, state at rest
//! are [`waypost_core::Records`]. AWS-LC computes here and draws nothing.
//!
//! # How data flows
//! ```text
//!  bytes            frame           noise            message            connection
//! ------> version ------> frames ------> plaintext ------> Message ------> Event
//!         header          u16 length     Noise XX          strict          identities in order,
//!                         cut in place   AEAD              MessagePack     timers, chunks, PING
//!                                                             |
//!               SignedIdentity --verify()--> Identity --trust::offer()--> row, or ID_STALE, ID_FORK
//!               DIRECT_MESSAGE --ratchet---> content: TEXT, RECEIPT, ...
//! ```
//! What arrives is a value of the wire ([`SignedIdentity`], [`message::DirectMessage`]) and becomes one to
//! rely on ([`Identity`]) only through its `verify()`. Limits are checked before anything is built: see
//! [`msgpack`] for bytes, [`chunk`] for long messages, [`connection::Limits`] for the rest.
//!
//! # Two peers
//! ```
//! use std::sync::Arc;
//! use rand::{SeedableRng, rngs::StdRng};
//! use waypost_core::{Now, Wall};
//! use waypost_sremp::{
//!     Connection, IdentityDraft, Message,
//!     connection::{ConnectionKeys, Dialled, Event, Input, Limits, Output, Timing, Verdict},
//!     ed25519::SigningKey, message::DirectMessage, x25519::Secret,
//! };
//!
//! # fn main() -> Result<(), waypost_sremp::Error> {
//! let mut rng = StdRng::seed_from_u64(1);
//! let now = Now::default();
//! let mut person = |name: &str| {
//!     let (signing, noise, dr) =
//!         (SigningKey::generate(&mut rng), Secret::generate(&mut rng), Secret::generate(&mut rng));
//!     let identity = IdentityDraft::new(name, noise.public(), dr.public(), 1, Wall::default()).sign(&signing)?;
//!     ConnectionKeys::new(noise, identity).map(Arc::new)
//! };
//! let (alice, bob) = (person("Alice")?, person("Bob")?);
//!
//! // Alice knows whom she dials: another identity, or another Noise key, would end it.
//! let dialled =
//!     Dialled { identity: Some(bob.identity().key()), pin: Some(bob.identity().noise_key()) };
//! let alice = Connection::dial(now, &mut rng, alice, dialled, Limits::default(), Timing::default())?;
//! let bob = Connection::accept(now, bob, Limits::default(), Timing::default());
//!
//! let mut peers = [alice, bob];
//! let mut received = Vec::new();
//! while let Some((from, output)) = (0..2).find_map(|from| peers[from].poll().map(|output| (from, output))) {
//!     match output {
//!         // The shell would write this to a socket.
//!         Output::Send(bytes) => peers[1 - from].handle(now, &mut rng, Input::Bytes(&bytes))?,
//!         // The trust rules would judge whoever shows up.
//!         Output::Event(Event::Identified(_)) => {
//!             peers[from].handle(now, &mut rng, Input::Judged(Verdict::Accept { known: true }))?;
//!         }
//!         Output::Event(Event::Ready { we_dialled: true, .. }) => {
//!             let message = DirectMessage { message_id: 7, encrypted_blob: b"sealed".to_vec().into() };
//!             peers[from].handle(now, &mut rng, Input::Send(message.into()))?;
//!         }
//!         Output::Event(Event::Message(message)) => received.push((from, message)),
//!         _ => {}
//!     }
//! }
//! assert!(matches!(&received[..], [(1, Message::DirectMessage(message))] if message.encrypted_blob.0 == b"sealed"));
//! # Ok(())
//! # }
//! ```

pub mod account;
pub mod chunk;
mod close_reason;
pub mod connection;
pub mod content;
mod crypto;
mod docket;
pub mod endpoint;
mod error;
pub mod frame;
pub mod identity;
pub mod invitation;
mod kdf;
mod kem;
mod link;
mod link_id;
pub mod message;
pub mod msgpack;
pub mod noise;
pub mod padding;
mod pqxdh;
pub mod prekeys;
#[doc(hidden)]
pub mod probe;
mod ratchet;
mod rate;
pub mod relay;
pub mod rendezvous;
pub mod select;
pub mod session;
pub mod trust;
pub mod vault;
pub mod verification;
pub mod version;

pub use account::{Account, AccountKeys, WAYPOST, forget_sessions};
pub use close_reason::CloseReason;
pub use connection::Connection;
pub use crypto::{ed25519, x25519};
pub use error::{Error, ErrorCode};
pub use identity::{Identity, IdentityDraft, SignedIdentity};
pub use invitation::{Invitation, InvitedRelay};
pub use kem::{KemCiphertext, KemKey, KemSeed};
pub use link_id::LinkId;
pub use message::Message;
pub use pqxdh::SessionId;
pub use ratchet::{Ratchet, RatchetStart};
pub use session::{MAX_SESSIONS, SessionNeed, SessionRank};
pub use trust::{Trust, TrustRow};
pub use vault::Vault;
