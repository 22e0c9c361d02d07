//! One protocol as the engine sees it.

use crate::servers::{Server, Uri};
use crate::{Config, Error, method::SuggestedServer, method::WireStatus};
use rand_core::CryptoRng;
use std::time::Duration;
use waypost_core::{Address, ContactId, InviteToken, Letter, LetterId, Mono, Now, Protection, Wall};
use waypost_sremp::{Identity, LinkId};
use waypost_store::Store;

use crate::wires::framelink::FramelinkInput;
use crate::wires::sremp::{SrempCommand, SrempInput};
use waypost_net::framelink::DriverCommand as FramelinkCommand;

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

    /// Whether it carries only what another wire seals. The router passes it over: its connections are ways
    /// of the one who seals.
    fn is_carrier(&self) -> bool;

    /// A carrier has news for whoever seals.
    ///
    /// # Errors
    /// The database failed.
    fn carried(&mut self, turn: &mut Turn<'_>, news: Carried) -> Result<(), Error>;

    /// A key shared with somebody is new, another one, or gone.
    ///
    /// # Errors
    /// The database failed.
    fn shared_keys_changed(&mut self, turn: &mut Turn<'_>) -> Result<(), Error>;

    /// Letters wait for a contact, and a connection is wanted: for carriers.
    ///
    /// # Errors
    /// The database failed.
    fn wanted(&mut self, turn: &mut Turn<'_>, peer: ContactId) -> Result<(), Error>;

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

    /// The person's servers changed.
    ///
    /// # Errors
    /// The database failed.
    fn servers_changed(&mut self, turn: &mut Turn<'_>, servers: &[Server]) -> Result<(), Error>;

    /// How a server of this wire is; none if it is no server of this wire.
    fn server_status(&self, server: &Uri) -> Option<ServerStatus>;

    /// Where this node is reached has changed.
    ///
    /// # Errors
    /// The database failed.
    fn addresses_changed(&mut self, turn: &mut Turn<'_>, addresses: &[Address]) -> Result<(), Error>;

    /// The node is about to stop: servers that tell others where it is are asked to do so no more.
    ///
    /// # Errors
    /// The database failed.
    fn leave(&mut self, turn: &mut Turn<'_>) -> Result<(), Error>;

    /// Whether nothing of [`Wire::leave`] is under way.
    fn has_left(&self) -> bool;

    /// Servers in use that the person did not add.
    fn found_servers(&self) -> Vec<Server>;

    /// Servers that others named: for the person to decide.
    fn suggestions(&self) -> Vec<SuggestedServer>;

    /// Finds something out; the answer is a [`WireEvent::Probed`] with the same number.
    ///
    /// # Errors
    /// The database failed.
    fn probe(&mut self, turn: &mut Turn<'_>, number: u64, probe: &Probe) -> Result<(), Error>;

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

/// How a server is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerStatus {
    /// `ready`, `connecting`, `waiting` or `refused`; empty if nobody knows.
    pub state: String,
    /// More about it, for people.
    pub detail: Option<String>,
    /// Since when it is so.
    pub since: Option<Wall>,
}

/// What is to be found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// By which path a contact answers.
    Contact {
        /// Who.
        peer: ContactId,
        /// How long it may take.
        within: Duration,
    },
    /// Whether a server works.
    Server(Uri),
}

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// Which path, or none that works.
    pub path: Path,
    /// The other end of the path: `host:port`, or empty.
    pub via: String,
    /// How long it took.
    pub took: Duration,
    /// Why nothing works, or what to know about what works; for people.
    pub text: Option<String>,
}

/// How somebody is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// By a connection of the two nodes.
    Direct,
    /// By a server that keeps letters, or the server itself.
    Relay,
    /// Not now.
    None,
}

/// What a carrier tells whoever seals: a connection to a contact, as good as one of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    /// A contact has shown its signed identity on a new connection.
    Up {
        /// By which wire.
        wire: waypost_core::Wire,
        /// Which connection.
        link: LinkId,
        /// The identity: that of the contact the connection's key is shared with.
        identity: Box<Identity>,
        /// Whether this side opened it.
        we_dialled: bool,
        /// Where the other end is, for the trace.
        via: String,
    },
    /// A message of the protocol that seals.
    Message {
        /// By which connection.
        link: LinkId,
        /// The message.
        bytes: Vec<u8>,
    },
    /// A connection has ended.
    Down(LinkId),
}

/// News from a driver.
#[derive(Debug)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "moved once")]
pub enum NetInput {
    /// From SREMP's.
    Sremp(SrempInput),
    /// From framelink's.
    Framelink(FramelinkInput),
}

impl NetInput {
    /// Whose driver it is from.
    pub fn wire(&self) -> waypost_core::Wire {
        match self {
            Self::Sremp(_) => waypost_core::Wire::Sremp,
            Self::Framelink(_) => waypost_core::Wire::Framelink,
        }
    }
}

/// A command for a driver.
#[derive(Debug)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "moved once")]
pub enum NetCommand {
    /// For SREMP's.
    Sremp(SrempCommand),
    /// For framelink's.
    Framelink(FramelinkCommand),
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
        /// The wire that carried it.
        by: waypost_core::Wire,
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
        /// The wire that carried it.
        by: waypost_core::Wire,
    },
    /// A server keeps it for the contact.
    Stored {
        /// To whom.
        peer: ContactId,
        /// Which letter.
        letter: LetterId,
        /// Which server, for the trace.
        via: String,
        /// How it is protected.
        protection: Protection,
    },
    /// It is still here, and the person should know why; for the trace.
    Held {
        /// To whom.
        peer: ContactId,
        /// Which letter.
        letter: LetterId,
        /// Why, for people.
        reason: String,
    },
    /// A relay has made a mailbox for this person.
    RelayAccepted {
        /// The relay's identity.
        relay: ContactId,
    },
    /// An answer to [`Wire::probe`].
    Probed {
        /// Which.
        number: u64,
        /// What was found.
        outcome: Probed,
    },
    /// The wire proved that the contact's node has it.
    Delivered {
        /// To whom.
        peer: ContactId,
        /// Which letter.
        letter: LetterId,
    },
    /// Letters wait for a contact, and any carrier may connect.
    Wanted {
        /// To whom.
        peer: ContactId,
    },
    /// For whoever seals.
    Carried(Carried),
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
