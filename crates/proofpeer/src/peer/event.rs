//! What goes into the machine, and what comes out.

use crate::session::{Auth, Role};
use crate::{ChannelKey, ChannelName, Drop, Fingerprint, PresenceChange, Topic};
use waypost_codec::json::Value;

/// A broker, by the host's own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Broker(pub u32);

/// What happens to a peer.
#[derive(Debug)]
pub enum Input<'a> {
    /// A connection to a broker stands.
    Connected {
        /// Which.
        broker: Broker,
        /// The largest packet it takes, if it said so (MQTT 5).
        max_packet: Option<usize>,
    },
    /// A broker has confirmed a subscription.
    Subscribed {
        /// Which broker.
        broker: Broker,
        /// Of which topic.
        topic: Topic,
    },
    /// A connection is gone; the host connects again.
    Disconnected {
        /// Which.
        broker: Broker,
    },
    /// A message came.
    Received {
        /// Where.
        topic: &'a str,
        /// What.
        payload: &'a [u8],
        /// Whether the broker had kept it.
        retain: bool,
    },
    /// A timer is due.
    Tick,
    /// Join a channel.
    Join {
        /// Which.
        channel: ChannelName,
        /// Its secret, if it is encrypted.
        key: Option<ChannelKey>,
    },
    /// Leave a channel.
    Leave {
        /// Which.
        channel: &'a ChannelName,
    },
    /// Say something to everybody in a channel.
    Broadcast {
        /// Which.
        channel: &'a ChannelName,
        /// JSON.
        data: &'a Value,
        /// Whether brokers are to take care (QoS 1).
        reliable: bool,
    },
    /// Send something to one peer.
    Send {
        /// The caller's name for it, for [`Event::Status`].
        id: u64,
        /// To whom.
        to: Fingerprint,
        /// What.
        bytes: Vec<u8>,
        /// Whether it is repeated until a receipt comes.
        reliable: bool,
    },
    /// A delivery is durable: its receipt may leave.
    Delivered(u64),
    /// The process ends: say goodbye.
    Shutdown,
}

/// What a peer wants done.
#[derive(Debug)]
pub enum Output {
    /// Subscribe with QoS 1.
    Subscribe {
        /// At which broker.
        broker: Broker,
        /// To what.
        topic: Topic,
    },
    /// Subscribe no more, at all brokers.
    Unsubscribe {
        /// From what.
        topic: Topic,
    },
    /// Publish, never to be kept by the broker.
    Publish {
        /// At one broker, or at every one that is connected.
        broker: Option<Broker>,
        /// Where.
        topic: Topic,
        /// What.
        payload: Vec<u8>,
        /// QoS 1 rather than 0.
        reliable: bool,
    },
    /// Tell whoever owns the peer.
    Event(Event),
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A message came.
    Deliver {
        /// Its number: [`Input::Delivered`] when it is durable. None if nobody waits for that.
        delivery: Option<u64>,
        /// Whose, where, how proven.
        origin: Origin,
        /// Broadcast: the value.
        value: Option<Value>,
        /// Private: the bytes.
        bytes: Option<Vec<u8>>,
    },
    /// Somebody came or went.
    Presence(PresenceChange),
    /// A key is new, or its lock or capabilities changed: to be kept.
    PeerChanged(Fingerprint),
    /// A session stands.
    SessionOpened {
        /// With whom.
        peer: Fingerprint,
        /// Its id.
        sid: String,
        /// Who began it.
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
    /// What became of a message of ours.
    Status {
        /// The caller's name for it.
        id: u64,
        /// What.
        status: MessageStatus,
    },
    /// Something was dropped.
    Dropped(Drop),
}

/// Where a message is from.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// The sender's key.
    pub peer: Fingerprint,
    /// Its uid.
    pub uid: u32,
    /// The channel's hash, of a broadcast.
    pub channel: Option<u32>,
    /// Unix seconds, by the sender.
    pub t: u64,
    /// Whether it was sent reliably.
    pub reliable: bool,
    /// What is known of the sender.
    pub auth: Auth,
    /// Who else can read it.
    pub encrypted: Encrypted,
}

/// Who can read a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encrypted {
    /// Everybody at the broker.
    None,
    /// Everybody who knows the channel's secret.
    Channel,
    /// The two peers.
    Session,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageStatus {
    /// It waits for a session.
    Queued,
    /// It left.
    Sent,
    /// The peer has it.
    Delivered,
    /// It left for a peer that gives no receipts.
    Unconfirmed,
    /// The peer does not take it.
    Refused,
    /// Its time is over.
    Expired,
    /// No session came about.
    Failed,
}
