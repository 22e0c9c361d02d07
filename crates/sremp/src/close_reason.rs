//! Why a connection ended, as the account and the person are told.

use crate::{Error, ErrorCode, connection::Closed};
use std::fmt;

/// Why a connection ended, or could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// Nobody answers there.
    Unreachable,
    /// The proxy failed, so nobody was dialled.
    Proxy,
    /// The other side, or the network, ended it.
    Eof,
    /// The other side was too slow or silent.
    Timeout,
    /// This side ended it for that reason.
    Local(ErrorCode),
    /// The other side ended it for that reason.
    Peer(ErrorCode),
    /// It may carry no more frames: dial again.
    Exhausted,
    /// This side no longer wanted it.
    Stopped,
}

impl CloseReason {
    /// The reason of a machine; `said` is why this side wanted the end, if it did.
    pub fn new(closed: &Closed, said: Option<ErrorCode>) -> Self {
        match closed {
            Closed::Asked | Closed::Judged => said.map_or(Self::Stopped, Self::Local),
            Closed::Eof => Self::Eof,
            Closed::Peer(error) => Self::Peer(error.known_code().unwrap_or(ErrorCode::Internal)),
            Closed::Fault(Error::Misbehaved(ErrorCode::Timeout)) | Closed::Timeout(_) => Self::Timeout,
            Closed::Fault(error) => Self::Local(error.code()),
            Closed::Exhausted => Self::Exhausted,
        }
    }

    /// A word for it; a code of either side by its name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Proxy => "proxy",
            Self::Eof => "eof",
            Self::Timeout => "timeout",
            Self::Local(code) | Self::Peer(code) => code.name(),
            Self::Exhausted => "exhausted",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(code) => write!(f, "ended by us: {code}"),
            Self::Peer(code) => write!(f, "ended by the other side: {code}"),
            other => f.write_str(other.name()),
        }
    }
}
