//! ProofPeer over MQTT brokers: peers that know nothing but the name of an application find each other and talk.
//!
//! ```no_run
//! # async fn example() -> Result<(), waypost_net::Error> {
//! use waypost_net::proofpeer::{Config, Event, ProofPeer};
//! let config = Config::with_key_file("com.example.chat", "chat.key".as_ref())?.broker("mqtt://127.0.0.1")?;
//! let mut peer = ProofPeer::start(config)?;
//! peer.join("lobby", None).await?;
//! while let Some(event) = peer.next().await {
//!     if let Event::Deliver(message) = event {
//!         println!("{} says {}", message.from, message.value.map(|value| value.to_string()).unwrap_or_default());
//!         peer.send(message.from, b"I heard you", true).await?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! One task owns the machine; each broker has a task of its own that connects again whatever happens. What each queue
//! holds, and what becomes of the rest:
//!
//! | queue | holds | then |
//! |---|---|---|
//! | commands of the application | 64 | the application waits |
//! | to a broker | 4096 messages | from half of it on at every connected broker, the application waits; beyond it a message is lost for this broker and counted. Private reliable ones are repeated anyway |
//! | from all brokers | 1024 messages | they are not read; a broker then keeps so many and discards the rest |
//! | events | 1024, and 16,384 that commands brought about | brokers are not read; then commands are refused with [`Error::Busy`](crate::Error::Busy) |
//!
//! So an application that reads no events loses what brokers do not keep, except private reliable messages between
//! peers that give receipts: these are repeated for a day.

mod broker;
mod config;
mod event;
mod handle;
mod key_file;
mod mqtt;
mod task;
mod tls;
mod url;

pub use config::{Acknowledge, Config, MqttVersion};
pub use event::{Counters, Delivery, Event, PeerInfo};
pub use handle::{Handle, ProofPeer, To};
pub use key_file::{KeyType, from_pkcs8, generate_key, read_key, read_or_create_key, write_key};
pub use url::{BadUrl, BrokerUrl};
pub use waypost_codec::json::Value;
pub use waypost_proofpeer::{
    Accept, Auth, ChannelKey, Drop, Encrypted, Error as PeerError, Fingerprint, Identity, MessageStatus,
    PresenceChange, PresenceReason, PresenceState, Role, Settings, Topic,
};
