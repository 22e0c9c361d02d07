//! Why a server does not start or goes on no longer.

use std::io;
use std::path::{Path, PathBuf};
use waypost_core::{ErrorKind, HasKind};

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting cannot be right.
    #[error("{0}")]
    Config(String),
    /// A file could not be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what this program wrote.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// In which way.
        why: String,
    },
    /// The mailboxes could not be opened, or do not work any more.
    #[error(transparent)]
    Mailbox(#[from] waypost_mailbox::Error),
    /// A socket or certificate.
    #[error(transparent)]
    Net(#[from] waypost_net::Error),
    /// The metrics could not be served.
    #[error("cannot listen on {address} for metrics: {source}")]
    Metrics {
        /// Where.
        address: std::net::SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A bug.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    pub(crate) fn file(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { what, path: path.to_owned(), source }
    }
}

impl HasKind for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Config(_) => ErrorKind::BadInput,
            Self::File { .. } | Self::Damaged { .. } | Self::Metrics { .. } => ErrorKind::Environment,
            Self::Mailbox(error) => error.kind(),
            Self::Net(error) => error.kind(),
            Self::Internal(_) => ErrorKind::Internal,
        }
    }
}
