//! What an application is told.

use super::{Auth, Drop, Encrypted, Fingerprint, MessageStatus, PresenceChange, Role, Topic, Value};
use std::collections::BTreeMap;

/// Something that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message came.
    Deliver(Delivery),
    /// Somebody came or went.
    Presence(PresenceChange),
    /// What became of a message of ours.
    Status {
        /// What [`super::Handle::send`] gave.
        id: u64,
        /// What.
        status: MessageStatus,
    },
    /// A session stands.
    SessionOpened {
        /// With whom.
        peer: Fingerprint,
        /// Its id.
        sid: String,
        /// Whether we or the peer began it.
        role: Role,
        /// What is known of the other side.
        auth: Auth,
    },
    /// A session has ended.
    SessionClosed {
        /// With whom.
        peer: Fingerprint,
        /// Its id.
        sid: String,
        /// Why.
        reason: &'static str,
    },
    /// A key was met, or something about it is new.
    PeerChanged(Fingerprint),
    /// Something was dropped: only if [`super::Config::show_dropped`].
    Dropped(Drop),
    /// A connection to a broker stands.
    Connected {
        /// Which, without its login.
        broker: String,
    },
    /// A connection to a broker has ended, or none came about; it is tried again.
    Disconnected {
        /// Which, without its login.
        broker: String,
        /// Why.
        reason: String,
    },
    /// A broker has confirmed a subscription.
    Subscribed {
        /// Which, without its login.
        broker: String,
        /// To what.
        topic: Topic,
    },
    /// A broker refuses a subscription: nothing comes from there.
    Refused {
        /// Which, without its login.
        broker: String,
        /// To what.
        topic: Topic,
    },
}

/// A message that came.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its number for [`super::Handle::acknowledge`]; none if its sender waits for no receipt.
    pub delivery: Option<u64>,
    /// Whose.
    pub from: Fingerprint,
    /// Its sender's uid.
    pub uid: u32,
    /// The channel, of a broadcast.
    pub channel: Option<String>,
    /// What a broadcast says.
    pub value: Option<Value>,
    /// What a private message says.
    pub bytes: Option<Vec<u8>>,
    /// Unix seconds, by the sender's clock.
    pub t: u64,
    /// Whether it was sent reliably.
    pub reliable: bool,
    /// What is known of the sender. Trust nothing that is not proven.
    pub auth: Auth,
    /// Who else can read it.
    pub encrypted: Encrypted,
}

/// What is known of a peer.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// Its key.
    pub fingerprint: Fingerprint,
    /// Its uid.
    pub uid: u32,
    /// Whether it is there.
    pub online: bool,
    /// The user has compared its fingerprint.
    pub pinned: bool,
    /// The user wants nothing of it.
    pub blocked: bool,
    /// It always binds what it signs.
    pub locked: bool,
    /// What it can.
    pub caps: Vec<String>,
}

/// What was counted.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Messages that were dropped, by reason.
    pub dropped: BTreeMap<Drop, u64>,
    /// Messages that a broker was too slow for.
    pub lost: u64,
    /// Brokers, without their logins, and whether a connection stands.
    pub brokers: Vec<(String, bool)>,
}
