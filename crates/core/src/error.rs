//! What went wrong, in the few kinds that decide what happens next.

use serde::{Deserialize, Serialize};

/// Decides between retry and report, the API's error object, and the command's exit code and hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller gave something that cannot be right; trying again is useless.
    BadInput,
    /// What was named does not exist.
    NotFound,
    /// It exists already, or contradicts what is there.
    Conflict,
    /// The other side said no.
    Refused,
    /// The other side broke the protocol.
    PeerFault,
    /// A bound was reached; later it may work.
    Limit,
    /// Somebody or something cannot be reached now; later it may work.
    Unreachable,
    /// A secret is wrong or missing: passphrase, key, token.
    Locked,
    /// Something that proves identity does not fit; a person should look.
    Security,
    /// The machine failed us: disk, memory, operating system.
    Environment,
    /// A bug of ours.
    Internal,
}

impl ErrorKind {
    /// Whether the same thing may work later without anybody changing anything.
    pub const fn is_temporary(self) -> bool {
        matches!(self, Self::Limit | Self::Unreachable)
    }
}

/// An error that knows its kind.
pub trait HasKind {
    /// The kind that decides what happens next.
    fn kind(&self) -> ErrorKind;
}
