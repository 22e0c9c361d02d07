//! What an account tells.

use crate::{ErrorCode, LinkId};
use std::time::Duration;
use waypost_core::{ContactId, InviteToken, Letter, LetterId, Protection};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A letter came in. It must be stored in the transaction of the next save: its confirmation
    /// leaves only after that.
    Received {
        /// From whom.
        peer: ContactId,
        /// The letter.
        letter: Letter,
        /// The invite it brought.
        token: Option<InviteToken>,
        /// How it was protected.
        protection: Protection,
    },
    /// A letter was sealed and handed to a connection.
    Sent {
        /// To whom.
        peer: ContactId,
        /// Which letter.
        letter: LetterId,
        /// By which connection.
        link: LinkId,
        /// How it is protected.
        protection: Protection,
    },
    /// The recipient's signed confirmation came: the letter is on its disk.
    Delivered {
        /// To whom.
        peer: ContactId,
        /// Which letter.
        letter: LetterId,
    },
    /// A letter cannot be delivered as it is.
    Undeliverable {
        /// To whom.
        peer: ContactId,
        /// Which letter.
        letter: LetterId,
        /// Why, for people.
        reason: &'static str,
    },
    /// A letter waits for its confirmation longer than it should.
    Unconfirmed {
        /// To whom.
        peer: ContactId,
        /// Which letter.
        letter: LetterId,
    },
    /// A relay took us as its client.
    RelayReady {
        /// By which connection.
        link: LinkId,
        /// Who it is.
        relay: ContactId,
        /// Messages that wait there for us.
        pending: u32,
    },
    /// A relay does not take us as its client, or is none. Its connection is closed.
    RelayRefused {
        /// By which connection.
        link: LinkId,
        /// Who it is.
        relay: ContactId,
        /// Why.
        code: ErrorCode,
    },
    /// A letter is on a relay's disk; told once a letter and relay.
    Stored {
        /// To whom.
        peer: ContactId,
        /// Which letter.
        letter: LetterId,
        /// Where.
        relay: ContactId,
        /// How it is protected.
        protection: Protection,
    },
    /// A relay did not take something. QUOTA and RATE pass by themselves; NO_MAILBOX, FORBIDDEN, AUTH,
    /// NOT_FOUND and TIMEOUT do not: another relay should be tried. TOO_LARGE: the letter waits for a
    /// direct connection.
    StoreRefused {
        /// To whom.
        peer: ContactId,
        /// Which letter, if it is about one.
        letter: Option<LetterId>,
        /// Where.
        relay: ContactId,
        /// Why.
        code: ErrorCode,
        /// When it goes on by itself.
        retry_after: Option<Duration>,
    },
    /// A connection to this relay is wanted: to collect confirmations of what this peer was left there,
    /// or to leave there what another relay, which could not be reached, may never hand over. If it cannot
    /// be had, say [`Input::RelayUnreachable`](super::Input::RelayUnreachable).
    NeedRelay {
        /// Which relay.
        relay: ContactId,
        /// For whose letters; the relay is one of this peer's.
        peer: ContactId,
    },
    /// Letters wait for a peer to which no connection stands.
    NeedLink(ContactId),
    /// A peer can be talked to.
    Online {
        /// Who.
        peer: ContactId,
        /// By which connection.
        link: LinkId,
    },
    /// A peer can no longer be talked to.
    Offline(ContactId),
    /// An identity was seen that should be shown to the person.
    Identity {
        /// Whose.
        peer: ContactId,
        /// What is new about it.
        notice: IdentityNotice,
    },
    /// Something was dropped or refused, to be counted.
    Refused {
        /// By which error, as the peer was told.
        code: ErrorCode,
    },
}

/// What is new about an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityNotice {
    /// Never seen before.
    New,
    /// A newer version.
    Changed {
        /// Its transport or ratchet key changed too.
        keys: bool,
    },
    /// Two identities of one version exist.
    Fork,
    /// An older version was shown.
    Stale,
}
