//! ProofPeer, by its profile: peers that know nothing but the name of an application find each other and talk through
//! any MQTT broker, by signed broadcasts on channels and by encrypted messages to an inbox.
//!
//! # What
//! One machine, [`Peer`]: messages of brokers, commands and time in, publishes and events out. It speaks with peers that
//! know only the seed (*literal* ones) and with those that bind what they sign, keep sessions forward secret and give
//! receipts; each delivery says what is proven of its sender ([`Auth`]). [`Settings`] holds every number.
//!
//! # What not
//! No socket, no MQTT, no clock, no randomness, no file of its own: `now` and `rng` are arguments, what is to be kept is
//! handed out ([`Book::store`], [`Peer::seen_tokens`], [`Identity::to_pkcs8`]). AWS-LC draws what RSA needs by itself;
//! with [`Crypto::pure`] nothing does. Hashes in topics hide no names: 32 bits of a public function.
//!
//! # How data flows
//! ```text
//!            Envelope::read        Token::read, verify       binding claim, lock
//! payload ----> Shape ---- signed ----> Token ------------------> broadcast --> Event::Deliver, Presence
//!  topic          |                     replay cache, rates       introduction --> Event::Presence
//!                 |                                               handshake --> session, ack
//!                 `---- sealed ----> ack ------------> session stands: what waited leaves
//!                                    session message --> Frame --> parts, receipts --> Event::Deliver
//!
//! Input::Broadcast --> token --.
//! Input::Send --> session --> sealed --> Output::Publish, to every broker or to one
//!           `--> none: queue, handshake
//! ```
//! The first check that fails names a [`Drop`], which is counted and never answered. Brokers come and go; keys, sessions
//! and caches are one for all of them, so that what comes by two is delivered once.
//!
//! # Two peers
//! ```
//! use rand::{SeedableRng, rngs::StdRng};
//! use waypost_core::{Now, Wall};
//! use waypost_proofpeer::{AppId, Broker, ChannelName, Crypto, Event, Identity, Input, Output, Peer, Settings};
//!
//! # fn main() -> Result<(), waypost_proofpeer::Error> {
//! let mut rng = StdRng::seed_from_u64(1);
//! let now = Now { wall: Wall::from_millis(1_704_214_800_000), ..Now::default() };
//! let (app, lobby, broker) = (AppId::new("com.example.app")?, ChannelName::new("lobby")?, Broker(0));
//! let mut person = || {
//!     let identity = Identity::generate_ed25519(&mut rng)?;
//!     Ok(Peer::new(&mut rng, identity, app.clone(), Crypto::native(), Settings::default()))
//! };
//! let mut peers = [person()?, person()?];
//! for peer in &mut peers {
//!     peer.handle(now, &mut rng, Input::Connected { broker, max_packet: None })?;
//!     peer.handle(now, &mut rng, Input::Join { channel: lobby.clone(), key: None })?;
//! }
//!
//! let mut received = Vec::new();
//! while let Some((from, output)) = (0..2).find_map(|from| peers[from].poll().map(|output| (from, output))) {
//!     match output {
//!         // The shell would tell the broker, and this once the broker has confirmed.
//!         Output::Subscribe { broker, topic } => {
//!             peers[from].handle(now, &mut rng, Input::Subscribed { broker, topic })?;
//!         }
//!         // The broker would bring it to whoever has subscribed; others drop it as misplaced.
//!         Output::Publish { topic, payload, .. } => {
//!             let (topic, payload) = (&*topic.to_string(), &*payload);
//!             peers[1 - from].handle(now, &mut rng, Input::Received { topic, payload, retain: false })?;
//!         }
//!         // Whoever is seen gets a word, by a session that is made for it.
//!         Output::Event(Event::PeerChanged(to)) if from == 0 => {
//!             peers[0].handle(now, &mut rng, Input::Send { id: 7, to, bytes: b"hello".to_vec(), reliable: true })?;
//!         }
//!         Output::Event(Event::Deliver { delivery, bytes: Some(bytes), origin, .. }) => {
//!             assert!(origin.auth.proven && origin.auth.bound && origin.auth.forward_secret);
//!             received.push((from, bytes));
//!             // It is durable: its receipt may leave.
//!             peers[from].handle(now, &mut rng, Input::Delivered(delivery.unwrap_or_default()))?;
//!         }
//!         _ => {}
//!     }
//! }
//! assert_eq!(received, [(1, b"hello".to_vec())]);
//! # Ok(())
//! # }
//! ```

mod ack;
mod bind;
mod book;
mod channel;
mod crypto;
mod envelope;
mod error;
mod frame;
mod identity;
mod inbox;
mod key;
mod murmur;
mod nonce;
mod outbox;
mod peer;
mod presence;
#[doc(hidden)]
pub mod probe;
mod rate;
mod replay;
mod schedule;
mod sealed_box;
mod session;
mod settings;
mod skew;
mod token;
mod topic;

pub use book::{Book, Peer as KnownPeer, StoredPeer};
pub use channel::ChannelKey;
pub use crypto::Crypto;
pub use envelope::{Envelope, Shape};
pub use error::{Drop, Error};
pub use frame::{Frame, FrameKind, MessageId, Refusal};
pub use identity::Identity;
pub use key::{CarriedKey, Fingerprint, PublicKey};
pub use murmur::murmur3;
pub use peer::{Broker, Encrypted, Event, Input, MessageStatus, Origin, Output, Peer};
pub use presence::{PresenceChange, PresenceReason, PresenceState};
pub use replay::SeenToken;
pub use session::{Auth, Role};
pub use settings::{Accept, Limits, Rate, Settings, Timing};
pub use token::Token;
pub use topic::{AppId, ChannelName, Kind, Topic};
