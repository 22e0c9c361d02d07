//! What a peer tells, as lines.

use crate::speak::lines;
use serde_json::{Map, Value, json};
use waypost_net::proofpeer::{
    Auth, Counters, Delivery, Encrypted, Event, Handle, MessageStatus, PeerError, PeerInfo, PresenceReason,
    PresenceState, ProofPeer, Role,
};

/// Nobody has this key.
pub(super) const UNKNOWN: PeerError = PeerError::UnknownPeer;

/// The first line.
pub(super) fn ready(peer: &ProofPeer) -> lines::Event {
    lines::Event::new("ready")
        .with("fingerprint", peer.fingerprint().to_string())
        .with("uid", peer.uid())
        .with("pubkey", hex::encode(peer.spki()))
        .with("inbox", peer.inbox().to_string())
}

/// An event; who a peer is takes a question.
pub(super) async fn event(event: Event, handle: Handle) -> lines::Event {
    let new = lines::Event::new;
    match event {
        Event::Deliver(message) => delivery(message),
        Event::Presence(change) => {
            let (state, channel) = match change.state {
                PresenceState::Online => ("online", None),
                PresenceState::Offline => ("offline", None),
                PresenceState::Joined(channel) => ("joined", Some(channel)),
                PresenceState::Left(channel) => ("left", Some(channel)),
            };
            let reason = match change.reason {
                PresenceReason::Seen => "seen",
                PresenceReason::Leave => "leave",
                PresenceReason::Timeout => "timeout",
            };
            let event = new("presence").with("peer", change.peer.to_string()).with("state", state);
            event.with_some("channel", channel).with("reason", reason)
        }
        Event::Status { id, status: of } => new("status").with("id", id.to_string()).with("status", status(of)),
        Event::SessionOpened { peer, sid, role, auth: known } => {
            let role = match role {
                Role::Initiator => "initiator",
                Role::Responder => "responder",
            };
            let event = new("session").with("state", "opened").with("peer", peer.to_string()).with("sid", sid);
            event.with("role", role).with_all(auth(known))
        }
        Event::SessionClosed { peer, sid, reason } => new("session")
            .with("state", "closed")
            .with("peer", peer.to_string())
            .with("sid", sid)
            .with("reason", reason),
        Event::PeerChanged(key) => {
            let known = handle.peers().await.unwrap_or_default();
            match known.into_iter().find(|known| known.fingerprint == key) {
                Some(known) => peer(known),
                None => new("peer").with("peer", key.to_string()),
            }
        }
        Event::Dropped(reason) => new("dropped").with("reason", reason.name()),
        Event::Connected { broker } => new("connected").with("broker", broker),
        Event::Disconnected { broker, reason } => new("disconnected").with("broker", broker).with("reason", reason),
        Event::Subscribed { broker, topic } => {
            new("subscribed").with("broker", broker).with("topic", topic.to_string())
        }
        Event::Refused { broker, topic } => new("refused").with("broker", broker).with("topic", topic.to_string()),
        _ => new("other"),
    }
}

fn delivery(message: Delivery) -> lines::Event {
    let encrypted = match message.encrypted {
        Encrypted::None => "none",
        Encrypted::Channel => "channel",
        Encrypted::Session => "session",
    };
    // Strict JSON, so every reader reads it.
    let data = message.value.and_then(|value| serde_json::from_str::<Value>(&value.to_string()).ok());
    let text = message.bytes.as_ref().and_then(|bytes| String::from_utf8(bytes.clone()).ok());
    lines::Event::new("deliver")
        .with("from", message.from.to_string())
        .with("uid", message.uid)
        .with_some("channel", message.channel)
        .with_some("data", data)
        .with_some("bytes", message.bytes.map(hex::encode))
        .with_some("text", text)
        .with_some("delivery", message.delivery.map(|number| number.to_string()))
        .with("t", message.t)
        .with("reliable", message.reliable)
        .with("encrypted", encrypted)
        .with_all(auth(message.auth))
}

fn auth(auth: Auth) -> Map<String, Value> {
    let known = [("proven", auth.proven), ("bound", auth.bound), ("forward_secret", auth.forward_secret)];
    known.into_iter().map(|(name, holds)| (name.to_owned(), holds.into())).collect()
}

const fn status(status: MessageStatus) -> &'static str {
    match status {
        MessageStatus::Queued => "queued",
        MessageStatus::Sent => "sent",
        MessageStatus::Delivered => "delivered",
        MessageStatus::Unconfirmed => "unconfirmed",
        MessageStatus::Refused => "refused",
        MessageStatus::Expired => "expired",
        MessageStatus::Failed => "failed",
    }
}

/// What is known of a peer.
pub(super) fn peer(peer: PeerInfo) -> lines::Event {
    lines::Event::new("peer")
        .with("peer", peer.fingerprint.to_string())
        .with("uid", peer.uid)
        .with("online", peer.online)
        .with("pinned", peer.pinned)
        .with("blocked", peer.blocked)
        .with("locked", peer.locked)
        .with("caps", peer.caps)
}

/// What was counted.
pub(super) fn counters(counters: &Counters) -> lines::Event {
    let dropped: Map<String, Value> =
        counters.dropped.iter().map(|(reason, count)| (reason.name().to_owned(), (*count).into())).collect();
    let brokers = counters.brokers.iter().map(|(broker, connected)| json!({"broker": broker, "connected": connected}));
    lines::Event::new("counters")
        .with("dropped", dropped)
        .with("lost", counters.lost)
        .with("brokers", brokers.collect::<Vec<_>>())
}

/// The profile's word for a failure.
pub(super) const fn code(error: PeerError) -> &'static str {
    match error {
        PeerError::TooLarge => "too_large",
        PeerError::BadName => "bad_name",
        PeerError::NotJoined => "not_joined",
        PeerError::UnknownPeer => "unknown_peer",
        PeerError::AmbiguousPeer => "ambiguous_peer",
        PeerError::UnboundPeer => "unbound_peer",
        PeerError::HandshakeTimeout => "handshake_timeout",
        PeerError::QueueFull => "queue_full",
        PeerError::OutboxFull => "outbox_full",
        PeerError::KeyFile => "key_file",
        _ => "failed",
    }
}
