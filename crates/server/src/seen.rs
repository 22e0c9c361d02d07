//! What goes in and out of a role, for whoever wants to watch it at work.

use std::net::IpAddr;
use std::sync::Arc;
use waypost_sremp::{Identity, LinkId, Message};

/// One thing that happened between a role and a client. A connection's name is its own within its role.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Seen<'a> {
    /// A client of the relay is there, and who it is is proven.
    Connected {
        /// Which connection.
        link: LinkId,
        /// Who.
        identity: &'a Identity,
        /// Names the connection in signatures.
        handshake_hash: &'a [u8; 32],
    },
    /// A client of the rendezvous server is there.
    Opened {
        /// Which connection.
        link: LinkId,
        /// From where.
        address: IpAddr,
    },
    /// A client sent a message.
    Received(LinkId, &'a Message),
    /// The role sends a message; after a fatal ERROR it closes.
    Sent(LinkId, &'a Message),
    /// A connection is gone.
    Closed(LinkId),
}

/// Is told everything, in order, by the task that does the work: so it must not take long.
pub type Observer = Arc<dyn Fn(Seen<'_>) + Send + Sync>;

/// Tells the observer, if there is one.
pub(crate) fn tell(observer: Option<&Observer>, seen: Seen<'_>) {
    if let Some(observer) = observer {
        observer(seen);
    }
}
