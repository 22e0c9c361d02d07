//! What can go wrong before a connection exists. What ends one is an event of its driver.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use waypost_core::{ErrorKind, HasKind};
use waypost_framelink::Fault;
use waypost_framelink::link::{End, Status};

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
    /// A framelink ended.
    #[error("{0}")]
    Link(End),
    /// A framelink cannot do what it is asked.
    #[error(transparent)]
    Framelink(#[from] waypost_framelink::Error),
    /// A peer of ProofPeer cannot do what it is asked.
    #[error(transparent)]
    ProofPeer(#[from] waypost_proofpeer::Error),
    /// A text names no broker.
    #[error(transparent)]
    BrokerUrl(#[from] crate::proofpeer::BadUrl),
    /// What is to be broadcast is no JSON.
    #[error("this is not JSON: {0}")]
    NotJson(String),
    /// The application takes no events, and too many wait.
    #[error("too many events wait to be taken")]
    Busy,
    /// The peer has ended.
    #[error("it has ended")]
    Stopped,
    /// There is no TLS to be had.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// A file with a key or a block cannot be used.
    #[error("{}: {reason}", file.display())]
    KeyFile {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        reason: KeyFault,
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

/// What is wrong with a file that holds a key or a block.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// It says something that cannot be.
    #[error("{0}")]
    Content(Fault),
    /// There is no private key in it that we know.
    #[error("there is no private key in it")]
    NoKey,
    /// The system does not let us.
    #[error("{0}")]
    File(#[from] io::Error),
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
            Self::Link(end) => match (end.status, end.fault) {
                (_, Some(fault)) => waypost_framelink::Error::from(fault).kind(),
                (Status::PeerError(_) | Status::Aborted(_), _) => ErrorKind::Refused,
                _ => ErrorKind::Unreachable,
            },
            Self::Framelink(error) => error.kind(),
            Self::ProofPeer(error) => error.kind(),
            Self::KeyFile { reason: KeyFault::Content(_) | KeyFault::NoKey, .. }
            | Self::BrokerUrl(_)
            | Self::NotJson(_) => ErrorKind::BadInput,
            Self::Busy => ErrorKind::Limit,
            Self::Stopped => ErrorKind::Unreachable,
            Self::Tls(_) | Self::KeyFile { .. } | Self::Proxy { .. } | Self::Certificate { .. } => {
                ErrorKind::Environment
            }
        }
    }
}
