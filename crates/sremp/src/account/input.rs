//! What goes into an account and what it wants done.

use super::Event;
use crate::message::{ErrorMessage, Message};
use crate::trust::{Trust, VerifiedVia};
use crate::{ErrorCode, Identity, LinkId};
use waypost_core::{Change, ContactId, InviteToken, Letter, RecordFault, SaveId};

/// What the person thinks of a peer, as the shell knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Added or accepted by the person.
    Contact,
    /// Not known to the person, or waiting to be accepted.
    Stranger,
    /// The person wants nothing of it.
    Blocked,
}

/// What the shell knows of the people whose messages a connection brings: a relay's come from many.
pub trait People {
    /// What the person thinks of a peer.
    ///
    /// # Errors
    /// The storage below failed.
    fn standing(&self, peer: &ContactId) -> Result<Standing, RecordFault>;

    /// Whether no room is left for letters of this peer, who is no contact.
    ///
    /// # Errors
    /// The storage below failed.
    fn is_full(&self, peer: &ContactId) -> Result<bool, RecordFault>;

    /// Whether a token is an invite of this person's that is still good.
    fn is_invited(&self, token: &InviteToken) -> bool;
}

/// Everybody alike, and room for all.
impl People for Standing {
    fn standing(&self, _: &ContactId) -> Result<Standing, RecordFault> {
        Ok(*self)
    }

    fn is_full(&self, _: &ContactId) -> Result<bool, RecordFault> {
        Ok(false)
    }

    fn is_invited(&self, _: &InviteToken) -> bool {
        false
    }
}

/// A relay where this person has a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnRelay {
    /// Who it is.
    pub relay: ContactId,
    /// Lets in at a relay that asks for one.
    pub token: Option<Vec<u8>>,
}

/// What happens to an account.
pub enum Input<'a> {
    /// A letter to send; kept until it is confirmed.
    Queue {
        /// To whom.
        peer: ContactId,
        /// The letter.
        letter: Letter,
        /// The peer's invite, for first contact.
        token: Option<InviteToken>,
    },
    /// Tell the peer the own identity as it is now.
    Announce(ContactId),
    /// Forget letters to this peer that were not confirmed.
    Withdraw(ContactId),
    /// A connection verified its peer and asks whether the account accepts it.
    Judge {
        /// Which connection.
        link: LinkId,
        /// Who it is; its signature and the binding to the connection were checked.
        identity: Identity,
        /// What the person thinks of it.
        standing: Standing,
    },
    /// A connection is ready.
    LinkUp {
        /// Which connection.
        link: LinkId,
        /// With whom.
        peer: ContactId,
        /// Whether this side opened it.
        we_dialled: bool,
    },
    /// The peer ended a connection with this error; [`Input::LinkDown`] follows.
    LinkRefused {
        /// Which connection.
        link: LinkId,
        /// What the peer said.
        code: ErrorCode,
    },
    /// A connection is gone.
    LinkDown(LinkId),
    /// A connection that was dialled as a relay is ready; its identity was judged before. It does not
    /// count as one to talk to the relay's owner.
    RelayUp {
        /// Which connection.
        link: LinkId,
        /// Who the relay is.
        relay: ContactId,
        /// Names this connection and no other.
        handshake_hash: [u8; 32],
        /// Whether a mailbox of one's own is wanted there.
        own: bool,
    },
    /// A relay that [`Event::NeedRelay`] asked for cannot be reached: what waits there for its
    /// recipients is to go another way too.
    RelayUnreachable {
        /// Who the relay is.
        relay: ContactId,
    },
    /// What waits for a peer goes by STORE on this relay connection, until it is down, a direct
    /// connection comes up, or [`Input::StoreStop`]. While a direct one stands, only what is late on it.
    StoreBy {
        /// For whom.
        peer: ContactId,
        /// By which connection.
        link: LinkId,
    },
    /// Nothing more for this peer goes by a relay.
    StoreStop {
        /// For whom.
        peer: ContactId,
    },
    /// Where the own mailboxes are; what was known of others is forgotten.
    OwnRelays(Vec<OwnRelay>),
    /// A connection received a message.
    Message {
        /// Which connection.
        link: LinkId,
        /// The message.
        message: Message,
        /// Who they are from.
        people: &'a dyn People,
    },
    /// A rendezvous server showed an identity of somebody who was asked for; its signature was checked.
    Found {
        /// Whose.
        identity: Identity,
    },
    /// The person's opinion of a peer changed.
    Trust {
        /// Of whom.
        peer: ContactId,
        /// The opinion.
        trust: Trust,
        /// How the key was verified, if it was.
        verified_via: Option<VerifiedVia>,
    },
    /// All saves up to this one are durable.
    Saved(SaveId),
    /// A timer is due.
    Tick,
}

/// What an account wants done.
#[derive(Debug)]
pub enum Output {
    /// Commit these, together with what came of the events before it, then say [`Input::Saved`].
    Save(SaveId, Vec<Change>),
    /// Something happened.
    Event(Event),
    /// Answer a connection that asked [`Input::Judge`].
    Judged(LinkId, crate::connection::Verdict),
    /// Send a message on a connection.
    Send(LinkId, Message),
    /// Close a connection, with an error as last message if there is one.
    Close(LinkId, Option<ErrorMessage>),
}
