//! Framelink, a secured stream over anything that behaves like TCP, by its profile: every byte on the wire is
//! AES-256-CTR ciphertext of frames, each ended by a tag cut from a chained SHA-256.
//!
//! # What
//! [`Link`] is the whole protocol as a machine: it establishes a block of key material (from a file, from a
//! pre-shared key, or from that and a fresh post-quantum exchange), cuts messages into frames, keeps both
//! directions from blocking each other, renews keys, and hands out verified bytes only. Below it, and usable
//! alone: [`Sealer`] and [`Opener`] for the frames of one direction, [`establish`] for the two messages before
//! them.
//!
//! # What not
//! No socket, no clock, no randomness of its own: `now` and `rng` are arguments. A raw block may be used once,
//! and whoever reads it from a file keeps the ledger. The frames prove that both sides hold the key, never
//! which of those who hold it is there.
//!
//! # How data flows
//! ```text
//! Input::Send --> messages --cut, credit--> Sealer --> Output::Send --> transport
//!                                             |  header, payload, tag: one keystream over all three
//! Input::Bytes --> M1, M2 --> Opener --judge header, tag--> control frames: acted on at once
//!                                                     `---> application frames --> Link::recv, Link::read
//! ```
//! What a header says is judged before its payload is kept, and kept only as it arrives: nobody's LENGTH
//! reserves memory. Nothing leaves the machine as data before its tag holds.
//!
//! # Two peers
//! ```
//! use rand::{SeedableRng, rngs::StdRng};
//! use waypost_core::Now;
//! use waypost_framelink::{Link, Mode, Psk, Settings, code, link::{Input, Output, Status}};
//!
//! # fn main() -> Result<(), waypost_framelink::Error> {
//! let mut rng = StdRng::seed_from_u64(1);
//! let now = Now::default();
//! let psk = Psk::generate(&mut rng);
//! let top = Link::connect(now, &mut rng, psk.clone(), Mode::Hybrid, Settings::default())?;
//! let bottom = Link::accept(now, vec![psk], vec![Mode::Hybrid], Settings::default())?;
//!
//! let mut sides = [top, bottom];
//! let mut exchange = |sides: &mut [Link; 2]| -> Result<(), waypost_framelink::Error> {
//!     while let Some((from, output)) = (0..2).find_map(|from| sides[from].poll().map(|output| (from, output))) {
//!         // The shell would write this to a socket.
//!         if let Output::Send(bytes) = output {
//!             sides[1 - from].handle(now, &mut rng, Input::Bytes(&bytes))?;
//!             sides[from].handle(now, &mut rng, Input::Flushed)?;
//!         }
//!     }
//!     Ok(())
//! };
//! exchange(&mut sides)?;
//! assert!(sides.iter().all(Link::is_open));
//!
//! let mut rng = StdRng::seed_from_u64(2);
//! sides[0].handle(now, &mut rng, Input::Send { code: code::DATA, payload: b"hello".to_vec() })?;
//! sides[0].handle(now, &mut rng, Input::Close)?;
//! exchange(&mut sides)?;
//! let mut buf = [0; 64];
//! let received = sides[1].recv(now, &mut rng, &mut buf);
//! assert_eq!((&buf[..received.n], received.status), (&b"hello"[..], Status::Closed));
//! # Ok(())
//! # }
//! ```

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
#[doc(hidden)]
pub mod probe;
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
