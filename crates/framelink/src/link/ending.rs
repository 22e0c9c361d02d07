//! How reads and links end. Profile, Reads.

use crate::Fault;
use std::fmt;

/// What a read came to. Profile, Reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The buffer is full.
    Full,
    /// The next frame does not fit in what is left of the buffer.
    Boundary,
    /// Nothing more has come yet.
    Slow,
    /// The next frame, of so many bytes, needs a larger buffer.
    TooSmall(u32),
    /// The other side closed its direction, authenticated.
    Closed,
    /// `raw`: the stream ended between two frames. No proof that it is all.
    Ended,
    /// The stream ended where it may not.
    Truncated,
    /// The other side broke the protocol, or bytes were changed; or there never was a link.
    Violation(Fault),
    /// The other side said ERROR, with this code.
    PeerError(u32),
    /// Nothing came for too long.
    Timeout,
    /// This side ended it, with this ERROR.
    Aborted(u32),
}

impl Status {
    /// The profile's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "Full",
            Self::Boundary => "Boundary",
            Self::Slow => "Slow",
            Self::TooSmall(_) => "TooSmall",
            Self::Closed => "Closed",
            Self::Ended => "Ended",
            Self::Truncated => "Truncated",
            Self::Violation(_) => "Violation",
            Self::PeerError(_) => "PeerError",
            Self::Timeout => "Timeout",
            Self::Aborted(_) => "Aborted",
        }
    }
}

/// How a link ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// As every read reports it from now on.
    pub status: Status,
    /// More about it.
    pub fault: Option<Fault>,
    /// Whether it ended before messages could flow.
    pub in_handshake: bool,
    /// The other side's words, of an ERROR.
    pub text: Option<String>,
    /// A keyed peer answered a raw one.
    pub keyed_peer: bool,
}

impl End {
    pub(super) const fn new(status: Status, fault: Option<Fault>, in_handshake: bool) -> Self {
        Self { status, fault, in_handshake, text: None, keyed_peer: false }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status, self.fault) {
            (Status::PeerError(code), _) => match crate::code::error::name(code) {
                Some(name) => write!(f, "the other side ended it: {name}")?,
                None => write!(f, "the other side ended it: ERROR {code}")?,
            },
            (status, Some(fault)) => write!(f, "{}: {fault}", status.name())?,
            (status, None) => f.write_str(status.name())?,
        }
        match &self.text {
            Some(text) if !text.is_empty() => write!(f, " ({text})"),
            _ => Ok(()),
        }
    }
}
