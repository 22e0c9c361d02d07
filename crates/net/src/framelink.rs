//! Framelink over anything that reads and writes: TCP, a TLS stream, a Unix socket, the pipes of a child process.
//!
//! ```no_run
//! # async fn example() -> Result<(), waypost_net::Error> {
//! use waypost_framelink::{Mode, Settings};
//! use waypost_net::framelink::{self, Link};
//!
//! let psk = framelink::read_psk("link.psk".as_ref())?;
//! let stream = tokio::net::TcpStream::connect("192.0.2.1:7777").await.unwrap();
//! let link = Link::connect(stream, psk, Mode::Hybrid, Settings::default())?;
//! link.opened().await?;
//! link.send(b"a message of any length").await?;
//! while let Some(message) = link.recv().await? {
//!     println!("{} bytes", message.payload.len());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! One task owns the transport of a link, so that it reads and keeps time whatever the application does. The
//! machine is behind a lock that is never held while waiting; what the application sends is sealed by its own
//! task. All queues are the machine's, and bounded.

mod drive;
mod driver;
mod files;
mod handle;
mod listener;
mod machine;
mod transport;

pub use driver::{DriverCommand, DriverConfig, DriverEvent, FIRST_LINK, FramelinkDriver, KeyOwner};
pub use files::{enter_block, read_block, read_psk, read_psk_with, take_block, write_block, write_psk};
pub use handle::{Frame, Link, Message, Opened};
pub use listener::{Accepted, Arrival, Counts, Keys, ListenLimits, Listener, ListenerOptions};
pub use transport::{Pipes, Transport};
