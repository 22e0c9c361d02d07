//! What a call can fail with.

use waypost_core::{ErrorKind, HasKind, RecordFault};

/// Why the node could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request cannot be right.
    #[error("{0}")]
    BadInput(String),
    /// Nothing has that name or id.
    #[error("{what} \"{name}\" is not known")]
    NotFound {
        /// What was looked for: `contact`, `letter`.
        what: &'static str,
        /// What it was called.
        name: String,
    },
    /// It exists already, or contradicts what is there.
    #[error("{0}")]
    Conflict(String),
    /// The contact or this person's own rules say no.
    #[error("{0}")]
    Refused(String),
    /// A bound of this node was reached.
    #[error("{0}")]
    Limit(String),
    /// A secret is wrong or missing.
    #[error("{0}")]
    Locked(String),
    /// Something that proves identity does not fit.
    #[error("{0}")]
    Security(String),
    /// Disk, memory or operating system.
    #[error("{0}")]
    Environment(String),
    /// The database failed.
    #[error(transparent)]
    Records(#[from] RecordFault),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
    /// A bug.
    #[error("internal error: {0}")]
    Internal(String),
}

impl HasKind for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::BadInput(_) => ErrorKind::BadInput,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Conflict(_) => ErrorKind::Conflict,
            Self::Refused(_) => ErrorKind::Refused,
            Self::Limit(_) => ErrorKind::Limit,
            Self::Locked(_) => ErrorKind::Locked,
            Self::Security(_) => ErrorKind::Security,
            Self::Environment(_) | Self::Records(_) => ErrorKind::Environment,
            Self::Stopping => ErrorKind::Unreachable,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }
}

impl From<waypost_store::Error> for Error {
    fn from(error: waypost_store::Error) -> Self {
        match error.kind() {
            ErrorKind::Locked => Self::Locked(error.to_string()),
            ErrorKind::BadInput => Self::BadInput(error.to_string()),
            ErrorKind::Conflict => Self::Conflict(error.to_string()),
            ErrorKind::Internal | ErrorKind::NotFound => Self::Internal(error.to_string()),
            _ => Self::Environment(error.to_string()),
        }
    }
}

impl From<waypost_keyring::Error> for Error {
    fn from(error: waypost_keyring::Error) -> Self {
        match error.kind() {
            ErrorKind::Locked => Self::Locked(error.to_string()),
            ErrorKind::BadInput => Self::BadInput(error.to_string()),
            ErrorKind::Conflict => Self::Conflict(error.to_string()),
            ErrorKind::Internal => Self::Internal(error.to_string()),
            _ => Self::Environment(error.to_string()),
        }
    }
}
