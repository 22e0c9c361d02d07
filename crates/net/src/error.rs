//! What can go wrong before a connection exists. What ends one is an event of its driver.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use waypost_core::{ErrorKind, HasKind};

/// A failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address to listen on is taken, not ours, or not allowed.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// Nobody answers at an address, or its name has no address.
    #[error("cannot connect to {to}: {source}")]
    Unreachable {
        /// `host:port`
        to: String,
        /// What the operating system says of the last try.
        source: io::Error,
    },
    /// Somebody else named an address inside a private network. Profile, Address filter.
    #[error("{to} is in a private network, and somebody else named it")]
    NotPermitted {
        /// `host:port`
        to: String,
    },
    /// The proxy is not there, or does not do what it is asked.
    #[error("the proxy {proxy} fails: {reason}")]
    Proxy {
        /// Which.
        proxy: SocketAddr,
        /// How.
        reason: String,
    },
    /// A certificate or its key cannot be used.
    #[error("the certificate in {} cannot be used: {reason}", file.display())]
    Certificate {
        /// In which file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Error {
    pub(crate) fn certificate(file: &Path, reason: &impl ToString) -> Self {
        Self::Certificate { file: file.to_owned(), reason: reason.to_string() }
    }
}

impl HasKind for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Listen { source, .. } => match source.kind() {
                io::ErrorKind::AddrInUse => ErrorKind::Conflict,
                _ => ErrorKind::Environment,
            },
            Self::Unreachable { .. } => ErrorKind::Unreachable,
            Self::NotPermitted { .. } => ErrorKind::Refused,
            Self::Proxy { .. } | Self::Certificate { .. } => ErrorKind::Environment,
        }
    }
}
