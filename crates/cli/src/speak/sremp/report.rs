//! The events of a speaker.

use crate::speak::lines::Event;
use serde_json::json;
use std::io;
use waypost_core::{Body, ContactId, Letter, LetterId};
use waypost_sremp::account::IdentityNotice;
use waypost_sremp::vault::SessionStatus;
use waypost_sremp::{CloseReason, ErrorCode, Identity, message::ErrorMessage};

/// What a peer without its old sessions, or of a later version, may cause: no fault of either side.
const HARMLESS: [ErrorCode; 5] =
    [ErrorCode::NoSession, ErrorCode::PrekeyUnknown, ErrorCode::Rate, ErrorCode::Unsupported, ErrorCode::Duplicate];

pub(super) fn connected(identity: &Identity, remote: &str, we_dialled: bool, hash: &[u8; 32]) -> io::Result<()> {
    Event::new("connected")
        .with("identity_key", identity.key().to_string())
        .with("noise_key", hex::encode(identity.noise_key().0))
        .with("username", identity.username())
        .with("version", identity.version().to_string())
        .with("handshake_hash", hex::encode(hash))
        .with("remote", remote)
        .with("we_dialled", we_dialled)
        .print()
}

pub(super) fn session(peer: &ContactId, session: &SessionStatus, by_us: bool) -> io::Result<()> {
    Event::new("session")
        .with("identity_key", peer.to_string())
        .with("session_id", hex::encode(session.id.0))
        .with("epoch", session.epoch)
        .with("started_by", if by_us { "us" } else { "peer" })
        .print()
}

/// A letter that came in: the ids are the peer's.
pub(super) struct Arrived<'a> {
    pub(super) from: &'a ContactId,
    pub(super) letter: &'a Letter,
    /// Of the DIRECT_MESSAGE.
    pub(super) message_id: u64,
    /// TEXT.id.
    pub(super) id: u64,
    /// TEXT.id of the text it replies to, if we know that.
    pub(super) reply_to: Option<u64>,
    /// TEXT.ids of what a receipt is about, as far as we know them.
    pub(super) about: &'a [u64],
}

impl Arrived<'_> {
    pub(super) fn print(&self) -> io::Result<()> {
        let letter = self.letter;
        let event = match &letter.body {
            Body::Text { text } | Body::Reply { text, .. } => Event::new("text")
                .with("id", self.id.to_string())
                .with("text", text.as_str())
                .with_some("reply_to", self.reply_to.map(|id| id.to_string()))
                .with("letter", letter.id.to_string()),
            Body::Receipt { receipt, .. } => Event::new("receipt")
                .with("kind", json!(receipt))
                .with("message_ids", self.about.iter().map(u64::to_string).collect::<Vec<_>>()),
            body => Event::new("letter").with("letter", letter.id.to_string()).with("body", json!(body)),
        };
        event
            .with("from", self.from.to_string())
            .with("message_id", self.message_id.to_string())
            .with("sent", letter.sent.as_millis())
            .print()
    }
}

pub(super) fn sent(to: &ContactId, id: Option<u64>, letter: &LetterId) -> io::Result<()> {
    Event::new("sent")
        .with("to", to.to_string())
        .with_some("id", id.map(|id| id.to_string()))
        .with("letter", letter.to_string())
        .print()
}

pub(super) fn confirmed(by: &ContactId, id: Option<u64>, message_id: u64, letter: &LetterId) -> io::Result<()> {
    Event::new("confirmed")
        .with("by", by.to_string())
        .with("message_id", message_id.to_string())
        .with_some("id", id.map(|id| id.to_string()))
        .with("letter", letter.to_string())
        .print()
}

pub(super) fn identity(peer: &ContactId, notice: IdentityNotice) -> io::Result<()> {
    let notice = match notice {
        IdentityNotice::New => "new",
        IdentityNotice::Changed { keys: false } => "changed",
        IdentityNotice::Changed { keys: true } => "keys_changed",
        IdentityNotice::Fork => "fork",
        IdentityNotice::Stale => "stale",
    };
    Event::new("identity").with("identity_key", peer.to_string()).with("notice", notice).print()
}

/// An error that this side found. Gives whether the other side broke the profile.
pub(super) fn own_error(code: ErrorCode, fatal: bool) -> io::Result<bool> {
    let deviation = !HARMLESS.contains(&code);
    let event = Event::new("error").with("by", "us").with("code", code.name());
    event.with("fatal", fatal).with("deviation", deviation).print()?;
    Ok(deviation)
}

/// An error that ended the connection, told by the peer. Gives whether it says that we broke the profile.
pub(super) fn fatal_error(code: ErrorCode) -> io::Result<bool> {
    let deviation = !HARMLESS.contains(&code);
    let event = Event::new("error").with("by", "peer").with("code", code.name());
    event.with("fatal", true).with("deviation", deviation).print()?;
    Ok(deviation)
}

/// An ERROR of the peer after which the connection goes on. Gives the same.
pub(super) fn peer_error(error: &ErrorMessage) -> io::Result<bool> {
    let code = error.known_code();
    let deviation = code.is_none_or(|code| !HARMLESS.contains(&code));
    Event::new("error")
        .with("by", "peer")
        .with("code", code.map_or("unknown", ErrorCode::name))
        .with("number", error.code)
        .with("fatal", error.fatal)
        .with("deviation", deviation)
        .with_some("message_id", error.message_id.map(|id| id.to_string()))
        .with_some("request", error.request.as_deref())
        .print()?;
    Ok(deviation)
}

pub(super) fn closed(peer: Option<&ContactId>, reason: CloseReason) -> io::Result<()> {
    let by = match reason {
        CloseReason::Local(_) | CloseReason::Stopped => "us",
        CloseReason::Peer(_) | CloseReason::Eof => "peer",
        _ => "nobody",
    };
    Event::new("closed")
        .with_some("identity_key", peer.map(ToString::to_string))
        .with("reason", reason.name())
        .with("by", by)
        .print()
}
