//! Noise XX: who the other side is, and a channel nobody else reads. SREMP 4.1, profile SR-4.1a to SR-4.1d.
//!
//! ```text
//! Initiator --msg1, 32 bytes-->  Responder
//!           <--msg2, 103 bytes-- AwaitingMsg3     payload: the responder's header
//! Proven    --msg3, 64 bytes-->                   written only when the pin holds
//! Transport                      Transport
//! ```
//! One struct a wait-state: each step consumes the one before. The randomness of a handshake is one
//! ephemeral secret, given by the caller.

mod handshake;
mod resolver;
mod transport;

pub use handshake::{AwaitingMsg3, Initiator, MSG1_LEN, MSG2_LEN, MSG3_LEN, NoiseKeys, Proven, Responder};
pub use transport::{MAX_PLAINTEXT, TAG_LEN, Transport};
