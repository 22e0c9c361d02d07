//! What can go wrong with a database.

use rusqlite::ErrorCode;
use std::{io, path::PathBuf};
use waypost_core::{ErrorKind, HasKind, RecordFault};

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
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
        source: io::Error,
    },
    /// Another key, or no database of ours.
    #[error("the key does not open the database, or it is no database of Waypost's")]
    WrongKey,
    /// A later version of this program wrote it.
    #[error("the database has schema {found}, this version knows up to {known}; use a newer version")]
    Newer {
        /// The schema of the database.
        found: i64,
        /// The newest schema this version knows.
        known: i64,
    },
    /// Another process has it open.
    #[error("the database is in use by another process")]
    InUse,
    /// There is no room on the disk.
    #[error("the disk is full")]
    Full,
    /// The content is not what was written.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// What the call is about is not in the database.
    #[error("there is no such {0} in the database")]
    NotFound(&'static str),
    /// Begin and commit do not match; a bug of the caller's.
    #[error("{0}")]
    Misuse(&'static str),
    /// The database gave the whole transaction up, so nothing of it counts; roll back and start again.
    #[error("the database gave up the transaction after an error")]
    TransactionLost,
    /// Anything else the database says.
    #[error("the database failed: {0}")]
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::WrongKey,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse,
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged(error.to_string()),
            _ => match error {
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..) => Self::Damaged(error.to_string()),
                error => Self::Sql(error),
            },
        }
    }
}

impl From<Error> for RecordFault {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

impl HasKind for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } | Self::Full | Self::Damaged(_) | Self::TransactionLost | Self::Sql(_) => {
                ErrorKind::Environment
            }
            Self::WrongKey => ErrorKind::Locked,
            Self::Newer { .. } => ErrorKind::BadInput,
            Self::InUse => ErrorKind::Conflict,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Misuse(_) => ErrorKind::Internal,
        }
    }
}
