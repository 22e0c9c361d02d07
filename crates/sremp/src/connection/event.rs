//! What goes into a connection and what comes out of it.

use super::Timer;
use crate::{Error, ErrorCode, Identity, Message, message::ErrorMessage};

/// What happens to a connection.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once; a box for each message costs more")]
pub enum Input<'a> {
    /// Bytes came from the other side.
    Bytes(&'a [u8]),
    /// The other side sends no more.
    Eof,
    /// What the caller thinks of the identity of [`Event::Identified`].
    Judged(Verdict),
    /// A message to send, however long.
    Send(Message),
    /// Bytes to send as if they were a message, however wrong: for trying out the other side. At most one frame.
    SendRaw(Vec<u8>),
    /// The connection is to end, with a reason or without. After DUPLICATE the other side's last
    /// messages are still read.
    Close(Option<ErrorMessage>),
    /// The moment of [`Connection::poll_timeout`](super::Connection::poll_timeout) came.
    Tick,
}

/// What the trust rules say about a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Accept {
        /// Whether the larger limits for chunks apply: a Trusted contact, or the user's own relay.
        known: bool,
    },
    /// End with this error: ID_STALE, ID_FORK, FORBIDDEN.
    Refuse(ErrorCode),
    /// End without a byte: a Rejected contact learns nothing.
    Silent,
}

/// What a connection wants done. Call [`Connection::poll`](super::Connection::poll) until there is none.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once; a box for each message costs more")]
pub enum Output {
    /// Bytes for the other side.
    Send(Vec<u8>),
    /// Something the caller should know.
    Event(Event),
    /// Send what is left, then close. The last output.
    Close,
}

/// What the caller should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer's identity is verified and bound to this connection; it waits to be judged.
    Identified(Identity),
    /// Both sides know each other; messages may be sent.
    Ready {
        /// Who it is.
        peer: Identity,
        /// Names this connection and no other.
        handshake_hash: [u8; 32],
        /// Whether this side was the initiator.
        we_dialled: bool,
        /// The minor version both sides hold to.
        minor: u8,
    },
    /// A message of the peer, complete; errors only if they are not fatal.
    Message(Message),
    /// It is over.
    Closed(Closed),
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closed {
    /// The caller wanted it.
    Asked,
    /// The caller did not accept the peer's identity.
    Judged,
    /// The peer ended the stream.
    Eof,
    /// The peer ended it with this error.
    Peer(ErrorMessage),
    /// The peer did something wrong; it was told, where that is allowed.
    Fault(Error),
    /// The peer was too slow or silent.
    Timeout(Timer),
    /// All frames of a direction are used up: dial again.
    Exhausted,
}
