//! The relay within the node, for its owner alone: the same machine as a server's, on the listener of the node.
//! Profile SR-2.2a, SR-2.2d.
//!
//! ```text
//! others ──RELAY_REGISTER, STORE_MESSAGE──> Depot ──> mailboxes in a file of the data folder
//! the own account ──the same, by LOOPBACK────┘
//! ```
//! Others leave letters and have no mailbox here. A connection is the relay's from its first message for a
//! relay on; it then no longer counts as one between two people (profile, Selection).

use super::Sremp;
use super::people::Contacts;
use crate::Error;
use crate::wire::{NetCommand, Turn};
use crate::wires::sremp::SrempCommand;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use waypost_core::{BatchId, ContactId, MailboxDone, MailboxId, Mono};
use waypost_net::sremp::DriverCommand;
use waypost_sremp::account::Input as AccountInput;
use waypost_sremp::relay::{Depot, DepotLimits, DepotTiming, Input, Output, Policy};
use waypost_sremp::{Identity, LinkId, Message};

/// The account's own connection to the relay beside it. No driver gives out this number.
pub(super) const LOOPBACK: LinkId = LinkId(u64::MAX);
/// Requests of one connection that wait for their turn.
const BACKLOG: usize = 256;
/// How long a second connection of a person may say nothing before it is taken for one between two people.
const UNDECIDED: Duration = Duration::from_millis(500);

/// The relay, and what it must know of connections.
pub(super) struct OwnRelay {
    depot: Depot,
    /// Peers of all accepted connections, with what names the connection.
    peers: BTreeMap<LinkId, (Identity, Option<[u8; 32]>)>,
    /// Connections that are the relay's, and what waits for its turn on them.
    taken: BTreeMap<LinkId, VecDeque<Message>>,
    /// Connections of people who are connected already: what for is not known before their first message, or
    /// this moment.
    undecided: BTreeMap<LinkId, Mono>,
}

impl OwnRelay {
    pub(super) fn new(owner: ContactId) -> Self {
        let policy = Policy { owner: Some(owner), ..Policy::default() };
        let depot = Depot::new(owner, policy, DepotLimits::default(), DepotTiming::default());
        Self { depot, peers: BTreeMap::new(), taken: BTreeMap::new(), undecided: BTreeMap::new() }
    }

    pub(super) fn identified(&mut self, link: LinkId, identity: &Identity) {
        self.peers.insert(link, (identity.clone(), None));
    }

    pub(super) fn ready(&mut self, link: LinkId, handshake_hash: [u8; 32]) {
        if let Some((_, hash)) = self.peers.get_mut(&link) {
            *hash = Some(handshake_hash);
        }
    }
}

impl Sremp {
    /// Starts the relay, with the account as its first client.
    pub(super) fn start_own_relay(&mut self, turn: &mut Turn<'_>) -> Result<(), Error> {
        let mut handshake_hash = [0; 32];
        turn.rng.fill_bytes(&mut handshake_hash);
        let identity = self.account.identity().clone();
        let relay = identity.key();
        let Some(own) = &mut self.own_relay else { return Ok(()) };
        own.taken.insert(LOOPBACK, VecDeque::new());
        self.own_relay(turn, Input::Connected { link: LOOPBACK, identity, handshake_hash })?;
        self.account(turn, AccountInput::RelayUp { link: LOOPBACK, relay, handshake_hash, own: true })
    }

    /// Whether a message is the relay's business; then it is in its hands.
    pub(super) fn relay_takes(
        &mut self,
        turn: &mut Turn<'_>,
        link: LinkId,
        message: Message,
    ) -> Result<Option<Message>, Error> {
        let Some(own) = &mut self.own_relay else { return Ok(Some(message)) };
        if !own.taken.contains_key(&link) {
            let was_undecided = own.undecided.remove(&link).is_some();
            if !own.depot.takes(&message) {
                if let Some(peer) = own.peers.get(&link).map(|(identity, _)| identity.key()).filter(|_| was_undecided) {
                    self.linked(turn, link, peer, false)?;
                }
                return Ok(Some(message));
            }
            let Some((identity, Some(handshake_hash))) = own.peers.get(&link).cloned() else {
                return Ok(Some(message));
            };
            own.taken.insert(link, VecDeque::new());
            // It was no connection between two people.
            self.account(turn, AccountInput::LinkDown(link))?;
            self.own_relay(turn, Input::Connected { link, identity, handshake_hash })?;
        }
        let waiting = self.own_relay.as_mut().and_then(|own| own.taken.get_mut(&link));
        if let Some(waiting) = waiting.filter(|waiting| waiting.len() < BACKLOG) {
            waiting.push_back(message);
        } else {
            self.command(DriverCommand::Close(link, None));
        }
        self.feed_own_relay(turn)?;
        Ok(None)
    }

    /// Gives the relay what waits, as far as it wants it.
    fn feed_own_relay(&mut self, turn: &mut Turn<'_>) -> Result<(), Error> {
        while let Some(own) = &mut self.own_relay {
            let depot = &own.depot;
            let next = own.taken.iter_mut().filter(|(link, _)| depot.wants_input(**link));
            let next = next.filter_map(|(link, waiting)| Some((*link, waiting.pop_front()?))).next();
            let Some((link, message)) = next else { return Ok(()) };
            self.own_relay(turn, Input::Message { link, message })?;
        }
        Ok(())
    }

    /// Whether a connection waits for its first message.
    pub(super) fn is_undecided(&mut self, now: Mono, link: LinkId) -> bool {
        match &mut self.own_relay {
            Some(own) => {
                own.undecided.insert(link, now.after(UNDECIDED));
                true
            }
            None => false,
        }
    }

    /// A connection is gone.
    pub(super) fn relay_forgets(&mut self, turn: &mut Turn<'_>, link: LinkId) -> Result<(), Error> {
        let Some(own) = &mut self.own_relay else { return Ok(()) };
        own.peers.remove(&link);
        own.undecided.remove(&link);
        match own.taken.remove(&link) {
            Some(_) => self.own_relay(turn, Input::Disconnected(link)),
            None => Ok(()),
        }
    }

    /// The account ends its own connection, because it shows another identity now: it comes back with that.
    pub(super) fn restart_loopback(&mut self, turn: &mut Turn<'_>) -> Result<(), Error> {
        self.relay_forgets(turn, LOOPBACK)?;
        self.account(turn, AccountInput::LinkDown(LOOPBACK))?;
        self.start_own_relay(turn)
    }

    /// What a batch of the relay came to; none if the file failed.
    pub(super) fn mailbox_done(
        &mut self,
        turn: &mut Turn<'_>,
        id: BatchId,
        answers: Option<Vec<MailboxDone>>,
    ) -> Result<(), Error> {
        self.own_relay(
            turn,
            match answers {
                Some(answers) => Input::Mailbox(id, answers),
                None => Input::MailboxFault(id),
            },
        )?;
        self.feed_own_relay(turn)
    }

    /// Something came into a mailbox of the relay.
    pub(super) fn mailbox_hint(&mut self, turn: &mut Turn<'_>, mailbox: MailboxId) -> Result<(), Error> {
        self.own_relay(turn, Input::Hint(mailbox))
    }

    pub(super) fn own_relay_tick(&mut self, turn: &mut Turn<'_>) -> Result<(), Error> {
        let Some(own) = &mut self.own_relay else { return Ok(()) };
        let due: Vec<LinkId> =
            own.undecided.iter().filter(|(_, until)| **until <= turn.now.mono).map(|(link, _)| *link).collect();
        for link in due {
            let peer = self.own_relay.as_mut().and_then(|own| {
                own.undecided.remove(&link);
                own.peers.get(&link).map(|(identity, _)| identity.key())
            });
            if let Some(peer) = peer {
                self.linked(turn, link, peer, false)?;
            }
        }
        let due = self.own_relay.as_ref().and_then(|own| own.depot.poll_timeout());
        if due.is_some_and(|due| due <= turn.now.mono) { self.own_relay(turn, Input::Tick) } else { Ok(()) }
    }

    pub(super) fn own_relay_timeout(&self) -> Option<Mono> {
        let own = self.own_relay.as_ref()?;
        own.undecided.values().copied().chain(own.depot.poll_timeout()).min()
    }

    fn own_relay(&mut self, turn: &mut Turn<'_>, input: Input) -> Result<(), Error> {
        let Some(own) = &mut self.own_relay else { return Ok(()) };
        own.depot.handle(turn.now, input);
        while let Some(output) = self.own_relay.as_mut().and_then(|own| own.depot.poll()) {
            let command = match output {
                Output::Mailbox(id, batch) => SrempCommand::Mailbox(id, batch),
                Output::Watch(mailbox) => SrempCommand::Watch(mailbox),
                Output::Unwatch(mailbox) => SrempCommand::Unwatch(mailbox),
                // The account judges who comes.
                Output::Judged(..) => continue,
                Output::Send(LOOPBACK, message) => {
                    let people = Contacts { store: turn.store, config: turn.config, now: turn.now.wall };
                    self.account(turn, AccountInput::Message { link: LOOPBACK, message, people: &people })?;
                    continue;
                }
                Output::Close(LOOPBACK, _) => continue,
                Output::Send(link, message) => SrempCommand::Driver(DriverCommand::Send(link, message)),
                Output::Close(link, error) => {
                    if let Some(own) = &mut self.own_relay {
                        own.taken.remove(&link);
                    }
                    SrempCommand::Driver(DriverCommand::Close(link, Some(error)))
                }
            };
            self.commands.push_back(NetCommand::Sremp(command));
        }
        Ok(())
    }
}
