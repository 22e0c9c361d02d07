//! What can go wrong with an engine.

use rusqlite::ErrorCode;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use waypost_core::{ErrorKind, HasKind, Refusal};

/// Why an engine could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system said no.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// Another process has it open.
    #[error("the mailboxes in {0} are in use by another process; stop it, or give this one a file of its own")]
    InUse(PathBuf),
    /// A later version of this program wrote it, or it is something else.
    #[error("the file has form {found}, this version knows {known}; use a newer version")]
    Newer {
        /// The form of the file.
        found: u64,
        /// The form this version writes.
        known: u64,
    },
    /// The content is not what was written.
    #[error("the file of mailboxes is damaged: {0}")]
    Damaged(String),
    /// There is no room on the disk.
    #[error("the disk is full")]
    Full,
    /// The engine was closed, or has given up after an earlier error.
    #[error("the engine is closed")]
    Closed,
    /// The engine said no to the one operation of a call. A batch has this among its answers instead.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A bug of ours, like an owner of more than 64 bytes.
    #[error("{0}")]
    Internal(&'static str),
    /// Anything else that failed below.
    #[error("the database failed: {0}")]
    Database(String),
}

impl HasKind for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } | Self::Full | Self::Damaged(_) | Self::Database(_) => ErrorKind::Environment,
            Self::InUse(_) => ErrorKind::Conflict,
            Self::Newer { .. } => ErrorKind::BadInput,
            Self::Closed => ErrorKind::Unreachable,
            Self::Refused(Refusal::NoMailbox | Refusal::NotFound) => ErrorKind::NotFound,
            Self::Refused(Refusal::Conflict | Refusal::Changed) => ErrorKind::Conflict,
            Self::Refused(Refusal::TooLarge) => ErrorKind::BadInput,
            Self::Refused(Refusal::MailboxFull | Refusal::StorageFull) => ErrorKind::Limit,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }
}

impl Error {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, path: path.to_owned(), source: Arc::new(source) }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error.to_string()),
            _ => Self::Database(error.to_string()),
        }
    }
}
