//! The shell between the pure machines and the network: sockets, their bounds, and one driver a protocol.

pub mod bootstrap;
mod clock;
pub mod dial;
mod error;
pub mod framelink;
pub mod limits;
pub mod proofpeer;
pub mod proxy;
pub mod rendezvous;
mod secret_file;
pub mod sremp;
pub mod tcp;
pub mod tls;

pub use clock::Clock;
pub use dial::{Dialling, Resolved};
pub use error::{Error, KeyFault};
pub use limits::ConnectionLimits;
pub use proxy::Proxy;
pub use secret_file::Perms;
