//! One protocol as the engine sees it.

use crate::{Config, Error, method::WireStatus};
use rand_core::CryptoRng;
use waypost_core::{Address, ContactId, InviteToken, Letter, LetterId, Mono, Now, Protection};
use waypost_sremp::Identity;
use waypost_store::Store;

use crate::wires::sremp::{SrempCommand, SrempInput};

/// What a wire works with during one input: the clocks, randomness, and the open transaction.
pub struct Turn<'a> {
    /// Both clocks.
    pub now: Now,
    /// Randomness.
    pub rng: &'a mut dyn CryptoRng,
    /// The database; what is written here commits at the end of the turn.
    pub store: &'a Store,
    /// The person's settings.
    pub config: &'a Config,
}

/// A protocol's adapter. It carries letters, and tells what became of them.
pub trait Wire: Send {
    /// Which one.
    fn kind(&self) -> waypost_core::Wire;

    /// Takes a letter for a contact; keeps it until it is delivered or known to be undeliverable.
    ///
    /// # Errors
    /// The letter cannot go this way at all, or the database failed.
    fn carry(
        &mut self,
        turn: &mut Turn<'_>,
        to: ContactId,
        letter: &Letter,
        token: Option<InviteToken>,
    ) -> Result<(), Error>;

    /// Takes news from its driver.
    ///
    /// # Errors
    /// The database failed.
    fn handle(&mut self, turn: &mut Turn<'_>, input: NetInput) -> Result<(), Error>;

    /// A contact was added, changed, blocked or removed.
    ///
    /// # Errors
    /// The database failed.
    fn contact_changed(&mut self, turn: &mut Turn<'_>, contact: ContactId) -> Result<(), Error>;

    /// The own identity was signed anew.
    ///
    /// # Errors
    /// The database failed.
    fn identity_changed(&mut self, turn: &mut Turn<'_>, identity: &Identity) -> Result<(), Error>;

    /// The commands that end all connections: peers then send again what was not confirmed.
    fn close_all(&mut self) -> Vec<NetCommand>;

    /// A timer is due.
    ///
    /// # Errors
    /// The database failed.
    fn tick(&mut self, turn: &mut Turn<'_>) -> Result<(), Error>;

    /// What the turn wrote is durable.
    ///
    /// # Errors
    /// The database failed.
    fn committed(&mut self, turn: &mut Turn<'_>) -> Result<(), Error>;

    /// The next thing that happened.
    fn poll_event(&mut self) -> Option<WireEvent>;

    /// The next command for the driver. What depends on the turn comes only after [`Wire::committed`].
    fn poll_command(&mut self) -> Option<NetCommand>;

    /// When [`Wire::tick`] is due.
    fn poll_timeout(&self) -> Option<Mono>;

    /// Whether a contact can be talked to at this moment.
    fn is_online(&self, contact: &ContactId) -> bool;

    /// How it is.
    fn status(&self) -> WireStatus;
}

/// News from a driver.
#[derive(Debug)]
#[non_exhaustive]
pub enum NetInput {
    /// From SREMP's.
    Sremp(SrempInput),
}

impl NetInput {
    /// Whose driver it is from.
    pub fn wire(&self) -> waypost_core::Wire {
        match self {
            Self::Sremp(_) => waypost_core::Wire::Sremp,
        }
    }
}

/// A command for a driver.
#[derive(Debug)]
#[non_exhaustive]
pub enum NetCommand {
    /// For SREMP's.
    Sremp(SrempCommand),
}

/// What became of letters and contacts on a wire.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireEvent {
    /// A letter came in; it must be stored within the turn.
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
    /// A letter left for the contact or a server.
    Sent {
        /// To whom.
        peer: ContactId,
        /// Which letter.
        letter: LetterId,
        /// Where to or through, for the trace.
        via: String,
        /// How it is protected.
        protection: Protection,
    },
    /// The wire proved that the contact's node has it.
    Delivered {
        /// To whom.
        peer: ContactId,
        /// Which letter.
        letter: LetterId,
    },
    /// It cannot go this way.
    Undeliverable {
        /// To whom.
        peer: ContactId,
        /// Which letter.
        letter: LetterId,
        /// Why, for people.
        reason: String,
    },
    /// It takes longer than it should: another wire may try too.
    Unconfirmed {
        /// To whom.
        peer: ContactId,
        /// Which letter.
        letter: LetterId,
    },
    /// A contact can or can no longer be talked to.
    Presence {
        /// Who.
        peer: ContactId,
        /// Whether it can.
        online: bool,
    },
    /// A contact's identity says something new.
    Identity {
        /// Whose.
        peer: ContactId,
    },
    /// An address of a contact worked.
    Reached {
        /// Whose.
        peer: ContactId,
        /// Which.
        address: Address,
    },
    /// The person should look.
    Warning {
        /// About whom.
        peer: Option<ContactId>,
        /// A short name of the kind.
        kind: &'static str,
        /// For people.
        text: String,
    },
}
