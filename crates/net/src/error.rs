//! What can go wrong before a connection exists. What ends one is an event of its driver.

use std::io;
use std::net::SocketAddr;
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
}

impl HasKind for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Listen { source, .. } => match source.kind() {
                io::ErrorKind::AddrInUse => ErrorKind::Conflict,
                _ => ErrorKind::Environment,
            },
            Self::Unreachable { .. } => ErrorKind::Unreachable,
        }
    }
}
