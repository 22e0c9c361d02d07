//! What can go wrong in serving and in asking.

use crate::Fault;
use std::io;
use std::path::PathBuf;
use waypost_core::{ErrorKind, HasKind};

/// Why the API could not be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The unix socket cannot be made.
    #[error("cannot make the socket {path}: {source}")]
    Socket {
        /// Where it should be.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The address for HTTP cannot be bound.
    #[error("cannot serve HTTP on {address}: {source}")]
    Http {
        /// The address asked for.
        address: std::net::SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// HTTP would be reachable from other machines.
    #[error("HTTP is served on loopback addresses only, not on {0}")]
    NotLoopback(std::net::SocketAddr),
    /// A file of the data folder cannot be read or written.
    #[error(transparent)]
    Files(#[from] waypost_node::Error),
    /// A stream broke.
    #[error("the connection broke: {0}")]
    Stream(#[from] io::Error),
}

impl HasKind for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Socket { .. } | Self::Http { .. } => ErrorKind::Environment,
            Self::NotLoopback(_) => ErrorKind::BadInput,
            Self::Files(error) => error.kind(),
            Self::Stream(_) => ErrorKind::Unreachable,
        }
    }
}

/// Why a call brought no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nothing answers at the socket.
    #[error("no node answers at {path}: {source}")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The connection ended before the answer came.
    #[error("the connection to the node ended")]
    Lost,
    /// The node answered with an error.
    #[error("{0}")]
    Fault(Fault),
    /// The answer is not what the method gives; most likely the node has another version.
    #[error("the node's answer was not understood: {0}")]
    Protocol(String),
}

impl HasKind for ClientError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Connect { .. } | Self::Lost => ErrorKind::Unreachable,
            Self::Fault(fault) => fault.kind(),
            Self::Protocol(_) => ErrorKind::PeerFault,
        }
    }
}
