//! The shell between the pure machines and the network: sockets, their bounds, and one driver a protocol.

mod clock;
mod error;
pub mod limits;
pub mod sremp;
pub mod tcp;

pub use clock::Clock;
pub use error::Error;
pub use limits::ConnectionLimits;
