//! SREMP as a wire: the account machine, and by which way each contact is reached.
//!
//! Sockets and connection machines are the driver's (`waypost_net::sremp`); here their events become
//! the account's inputs, and its outputs their commands.

mod carriers;
mod names;
mod own_relay;
mod people;
mod probe;
mod reach;
mod rendezvous;
mod servers;
mod ways;

use crate::Error;
use crate::engine::{sremp_error, via_of};
use crate::method::{SuggestedServer, WireStatus};
use crate::servers::{Server, Uri};
use crate::wire::{Carried, NetCommand, NetInput, Probe, ServerStatus, Turn, Wire, WireEvent};
use carriers::Carriers;
use names::Names;
use own_relay::{LOOPBACK, OwnRelay};
use people::{Contacts, standing_of};
use probe::Probes;
use rendezvous::Rendezvous;
use servers::Servers;
use std::collections::{BTreeMap, VecDeque};
use waypost_core::{
    Address, BatchId, ContactId, InviteToken, Letter, MailboxDone, MailboxId, MailboxOp, Mono, Now, SaveId,
    Wire as WireKind,
};
use waypost_net::rendezvous::{ClientCommand, ClientEvent};
use waypost_net::sremp::{DriverCommand, DriverEvent};
use waypost_sremp::account::{
    AccountLimits, AccountTiming, Event as AccountEvent, IdentityNotice, Input as AccountInput,
    Output as AccountOutput, Standing,
};
use waypost_sremp::ed25519::SigningKey;
use waypost_sremp::rendezvous::ServerUri;
use waypost_sremp::trust::Trust;
use waypost_sremp::{Account, AccountKeys, CloseReason, ErrorCode, Identity, LinkId, Message};
use waypost_store::ContactStatus;
use ways::{Due, WayOutput, Ways};

/// News from the driver, or of it.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once; the small variant is rare")]
pub enum SrempInput {
    /// What it reports.
    Driver(DriverEvent),
    /// Where it listens.
    Listening(Vec<String>),
    /// What the connections to rendezvous servers report.
    Rendezvous(ClientEvent),
    /// Rendezvous servers that were found at the start.
    Bootstrap(Vec<ServerUri>),
    /// What a batch of the node's own relay came to; none if its file failed.
    Mailbox(BatchId, Option<Vec<MailboxDone>>),
    /// Something came into a mailbox of the node's own relay.
    Hint(MailboxId),
}

/// What the driver is to do.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once; the small variant is rare")]
pub enum SrempCommand {
    /// As it is.
    Driver(DriverCommand),
    /// What the connections to rendezvous servers are to do.
    Rendezvous(ClientCommand),
    /// Do this with the mailboxes of the node's own relay.
    Mailbox(BatchId, Vec<MailboxOp>),
    /// Give hints of this mailbox from now on.
    Watch(MailboxId),
    /// Give no more hints of this mailbox.
    Unwatch(MailboxId),
    /// The own identity or transport key changed: new connections show the new ones.
    KeysChanged,
}

/// The adapter.
pub struct Sremp {
    account: Account,
    ways: Ways,
    names: Names,
    servers: Servers,
    rendezvous: Rendezvous,
    own_relay: Option<OwnRelay>,
    /// Signs what rendezvous servers show.
    signing: SigningKey,
    probes: Probes,
    remotes: BTreeMap<LinkId, String>,
    carriers: Carriers,
    /// The wire of the message that is being read.
    arriving: WireKind,
    /// Servers were read, and connections for letters that waited already at the start were asked for.
    started: bool,
    last_save: Option<SaveId>,
    events: VecDeque<WireEvent>,
    commands: VecDeque<NetCommand>,
    status: WireStatus,
}

impl Sremp {
    /// The wire of a person with these keys; its state lies in the database.
    pub fn new(now: Now, keys: AccountKeys) -> Self {
        let status = WireStatus {
            wire: WireKind::Sremp,
            enabled: true,
            listening: Vec::new(),
            connected: Vec::new(),
            bytes_out: 0,
            bytes_in: 0,
            dropped: BTreeMap::new(),
        };
        Self {
            ways: Ways::default(),
            names: Names::default(),
            servers: Servers::default(),
            rendezvous: Rendezvous::default(),
            own_relay: None,
            signing: keys.signing.clone(),
            account: Account::new(now, keys, AccountLimits::default(), AccountTiming::default()),
            probes: Probes::default(),
            remotes: BTreeMap::new(),
            carriers: Carriers::default(),
            arriving: WireKind::Sremp,
            started: false,
            last_save: None,
            events: VecDeque::new(),
            commands: VecDeque::new(),
            status,
        }
    }

    fn account(&mut self, turn: &mut Turn<'_>, input: AccountInput<'_>) -> Result<(), Error> {
        self.account.handle(turn.now, &mut turn.rng, turn.store, input).map_err(sremp_error)?;
        self.drain(turn)
    }

    /// Carries out what the account wants: its saves join the turn's transaction.
    fn drain(&mut self, turn: &mut Turn<'_>) -> Result<(), Error> {
        while let Some(output) = self.account.poll() {
            match output {
                AccountOutput::Save(id, changes) => {
                    turn.store.apply(&changes).map_err(Error::from)?;
                    self.last_save = Some(id);
                }
                AccountOutput::Event(event) => self.account_event(turn, event)?,
                AccountOutput::Judged(link, verdict) if self.carriers.wire_of(link) != WireKind::Sremp => {
                    self.carrier_judged(turn, link, &verdict)?;
                }
                AccountOutput::Judged(link, verdict) => self.command(DriverCommand::Judge(link, verdict)),
                AccountOutput::Send(LOOPBACK, message) => {
                    self.relay_takes(turn, LOOPBACK, message)?;
                }
                AccountOutput::Close(LOOPBACK, _) => self.restart_loopback(turn)?,
                AccountOutput::Send(link, message) => self.command(DriverCommand::Send(link, message)),
                AccountOutput::Close(link, error) => self.command(DriverCommand::Close(link, error)),
            }
        }
        Ok(())
    }

    /// Carries out what the search for ways wants.
    fn drain_ways(&mut self, turn: &mut Turn<'_>) -> Result<(), Error> {
        while let Some(output) = self.ways.poll() {
            match output {
                WayOutput::Dial { link, to, learned, dialled } => {
                    self.command(DriverCommand::Dial { link, to, learned, dialled });
                }
                WayOutput::Close(link) => self.command(DriverCommand::Close(link, None)),
                WayOutput::StoreBy { peer, link } => {
                    self.account(turn, AccountInput::StoreBy { peer, link })?;
                    self.probe_stored(turn, peer, link);
                }
                WayOutput::RelayUnreachable(relay) => {
                    self.relay_unreachable(turn, relay);
                    self.probe_relay_failed(turn.now.mono, relay);
                    self.account(turn, AccountInput::RelayUnreachable { relay })?;
                }
                WayOutput::NoWay(peer) => self.probe_failed(turn.now.mono, peer),
            }
        }
        Ok(())
    }

    fn account_event(&mut self, turn: &mut Turn<'_>, event: AccountEvent) -> Result<(), Error> {
        let event = match event {
            AccountEvent::Received { peer, letter, token, protection } => {
                WireEvent::Received { peer, letter, token, protection, by: self.arriving }
            }
            AccountEvent::Sent { peer, letter, link, protection } => {
                let via = self.remotes.get(&link).cloned().unwrap_or_default();
                WireEvent::Sent { peer, letter, via, protection, by: self.carriers.wire_of(link) }
            }
            AccountEvent::Delivered { peer, letter } => WireEvent::Delivered { peer, letter },
            AccountEvent::Undeliverable { peer, letter, reason } => {
                WireEvent::Undeliverable { peer, letter, reason: reason.to_owned() }
            }
            AccountEvent::Unconfirmed { peer, letter } => {
                self.events.push_back(WireEvent::Unconfirmed { peer, letter });
                return self.search_relay(turn, peer);
            }
            AccountEvent::NeedLink(peer) => {
                self.events.push_back(WireEvent::Wanted { peer });
                return self.want(turn, peer);
            }
            AccountEvent::Online { peer, .. } => WireEvent::Presence { peer, online: true },
            AccountEvent::Offline(peer) => WireEvent::Presence { peer, online: false },
            AccountEvent::Identity { peer, notice } => {
                self.identity_notice(peer, notice);
                WireEvent::Identity { peer }
            }
            AccountEvent::Refused { code } => {
                self.count(code.name());
                return Ok(());
            }
            other => return self.relay_event(turn, other),
        };
        self.events.push_back(event);
        Ok(())
    }

    fn identity_notice(&mut self, peer: ContactId, notice: IdentityNotice) {
        let (kind, text) = match notice {
            IdentityNotice::Changed { keys: true } => (
                "keys_changed",
                "The contact has new transport or session keys, signed with its identity key. This is normal after a \
                 new installation; compare the verification number if you are in doubt.",
            ),
            IdentityNotice::Fork => (
                "identity_fork",
                "Two different identities with the same version exist for this contact. Somebody may hold a copy of \
                 its key, or a backup was restored wrongly. Ask the contact by another way.",
            ),
            IdentityNotice::Stale => {
                ("identity_stale", "Somebody showed an outdated identity of this contact. The connection was refused.")
            }
            _ => return,
        };
        self.events.push_back(WireEvent::Warning { peer: Some(peer), kind, text: text.to_owned() });
    }

    fn ready(
        &mut self,
        turn: &mut Turn<'_>,
        link: LinkId,
        peer: ContactId,
        we_dialled: bool,
        handshake_hash: [u8; 32],
    ) -> Result<(), Error> {
        if let Some((relay, own)) = self.ways.relay_of(link) {
            return self.account(turn, AccountInput::RelayUp { link, relay, handshake_hash, own });
        }
        // It may be for the relay within this node; the first message tells.
        if !we_dialled && self.account.link_of(&peer).is_some() && self.is_undecided(turn.now.mono, link) {
            return Ok(());
        }
        self.linked(turn, link, peer, we_dialled)
    }

    /// A connection between two people is ready.
    fn linked(&mut self, turn: &mut Turn<'_>, link: LinkId, peer: ContactId, we_dialled: bool) -> Result<(), Error> {
        let own = self.account.id();
        if let Some(address) = self.ways.ready(turn.now.mono, turn.rng, link, peer, own) {
            let address = Address::Sremp(self.names.origin(address));
            self.events.push_back(WireEvent::Reached { peer, address });
        }
        self.drain_ways(turn)?;
        self.account(turn, AccountInput::LinkUp { link, peer, we_dialled })?;
        self.probe_linked(turn, peer)
    }

    fn closed(&mut self, turn: &mut Turn<'_>, link: LinkId, reason: CloseReason) -> Result<(), Error> {
        self.remotes.remove(&link);
        self.count(reason.name());
        self.probe_closed(turn.now.mono, link);
        if let Some(peer) = self.ways.dialled_peer(link)
            && matches!(reason, CloseReason::Local(ErrorCode::NoiseKeyMismatch))
        {
            self.events.push_back(WireEvent::Warning {
                peer: Some(peer),
                kind: "pin_mismatch",
                text: "At the contact's address somebody answers with another transport key. The contact may have \
                       changed it, or the connection is being intercepted. Ask for a new card and add it; nothing \
                       was sent."
                    .to_owned(),
            });
        }
        self.relay_closed(turn, link, reason);
        self.relay_forgets(turn, link)?;
        let peer = self.account.peer_of(link);
        if let CloseReason::Peer(code) = reason {
            self.account(turn, AccountInput::LinkRefused { link, code })?;
        }
        self.account(turn, AccountInput::LinkDown(link))?;
        self.ways.closed(turn.now.mono, turn.rng, link, reason);
        self.drain_ways(turn)?;
        // Letters may still wait: look for another way.
        match peer {
            Some(peer) => self.search_if_needed(turn, peer),
            None => Ok(()),
        }
    }

    fn message(&mut self, turn: &mut Turn<'_>, link: LinkId, message: Message) -> Result<(), Error> {
        if let Message::Pong(pong) = message {
            self.probe_answered(turn.now.mono, link, pong.nonce);
            return Ok(());
        }
        let Some(message) = self.relay_takes(turn, link, message)? else { return Ok(()) };
        let people = Contacts { store: turn.store, config: turn.config, now: turn.now.wall };
        self.account(turn, AccountInput::Message { link, message, people: &people })
    }

    fn command(&mut self, command: DriverCommand) {
        self.commands.push_back(self.carriers.addressed(command));
    }

    fn count(&mut self, reason: &str) {
        *self.status.dropped.entry(reason.to_owned()).or_default() += 1;
    }
}

impl Wire for Sremp {
    fn kind(&self) -> WireKind {
        WireKind::Sremp
    }

    fn is_carrier(&self) -> bool {
        false
    }

    fn wanted(&mut self, _: &mut Turn<'_>, _: ContactId) -> Result<(), Error> {
        Ok(())
    }

    fn shared_keys_changed(&mut self, _: &mut Turn<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn carried(&mut self, turn: &mut Turn<'_>, news: Carried) -> Result<(), Error> {
        self.take_carried(turn, news)
    }

    fn carry(
        &mut self,
        turn: &mut Turn<'_>,
        to: ContactId,
        letter: &Letter,
        token: Option<InviteToken>,
    ) -> Result<(), Error> {
        self.account(turn, AccountInput::Queue { peer: to, letter: letter.clone(), token })
    }

    fn handle(&mut self, turn: &mut Turn<'_>, input: NetInput) -> Result<(), Error> {
        let NetInput::Sremp(input) = input else { return Ok(()) };
        let event = match input {
            SrempInput::Driver(event) => event,
            SrempInput::Listening(listening) => {
                self.status.listening = listening;
                return Ok(());
            }
            SrempInput::Rendezvous(event) => return self.rendezvous_event(turn, event),
            SrempInput::Bootstrap(found) => return self.bootstrapped(turn, found),
            SrempInput::Mailbox(id, answers) => return self.mailbox_done(turn, id, answers),
            SrempInput::Hint(mailbox) => return self.mailbox_hint(turn, mailbox),
        };
        match event {
            DriverEvent::Identified { link, identity } => {
                if let Some(own) = &mut self.own_relay {
                    own.identified(link, &identity);
                }
                // A relay is asked for by the person or a contact: no stranger.
                let standing = match self.ways.relay_of(link) {
                    Some(_) => Standing::Contact,
                    None => standing_of(turn.store, identity.key())?,
                };
                self.account(turn, AccountInput::Judge { link, identity, standing })
            }
            DriverEvent::Ready { link, peer, we_dialled, remote, handshake_hash } => {
                self.remotes.insert(link, remote);
                if let Some(own) = &mut self.own_relay {
                    own.ready(link, handshake_hash);
                }
                self.ready(turn, link, peer, we_dialled, handshake_hash)
            }
            DriverEvent::Message { link, message, .. } => self.message(turn, link, message),
            DriverEvent::Closed { link, reason } => self.closed(turn, link, reason),
            DriverEvent::Resolved { ticket, found } => {
                let waiting = self.names.resolved(ticket, found);
                waiting.into_iter().try_for_each(|peer| match self.ways.storing_link(&peer) {
                    Some(_) => self.retry_directly(turn, peer),
                    None => self.search_if_needed(turn, peer),
                })
            }
            DriverEvent::Traffic { bytes_in, bytes_out } => {
                self.status.bytes_in += bytes_in;
                self.status.bytes_out += bytes_out;
                Ok(())
            }
            DriverEvent::Dropped { reason, count } => {
                *self.status.dropped.entry(reason.to_owned()).or_default() += count;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn identity_changed(&mut self, turn: &mut Turn<'_>, identity: &Identity) -> Result<(), Error> {
        self.account.set_identity(identity.clone());
        self.commands.push_back(NetCommand::Sremp(SrempCommand::KeysChanged));
        let online: Vec<_> = self.account.online().collect();
        for peer in online {
            self.account(turn, AccountInput::Announce(peer))?;
        }
        self.publish_everywhere(turn)
    }

    fn servers_changed(&mut self, turn: &mut Turn<'_>, servers: &[Server]) -> Result<(), Error> {
        self.use_servers(turn, servers)
    }

    fn server_status(&self, server: &Uri) -> Option<ServerStatus> {
        self.status_of(server)
    }

    fn found_servers(&self) -> Vec<Server> {
        self.rendezvous.found()
    }

    fn suggestions(&self) -> Vec<SuggestedServer> {
        self.rendezvous.suggestions()
    }

    fn addresses_changed(&mut self, turn: &mut Turn<'_>, addresses: &[Address]) -> Result<(), Error> {
        let addresses = addresses.iter().filter_map(|address| match address {
            Address::Sremp(address) => Some(address.clone()),
            _ => None,
        });
        self.set_own_endpoint(turn, &addresses.collect::<Vec<_>>())
    }

    fn leave(&mut self, turn: &mut Turn<'_>) -> Result<(), Error> {
        self.leave_rendezvous(turn)
    }

    fn has_left(&self) -> bool {
        self.rendezvous.has_left()
    }

    fn probe(&mut self, turn: &mut Turn<'_>, number: u64, probe: &Probe) -> Result<(), Error> {
        self.begin_probe(turn, number, probe)
    }

    fn close_all(&mut self) -> Vec<NetCommand> {
        // Carriers end theirs themselves.
        let own = self.remotes.keys().filter(|link| self.carriers.wire_of(**link) == WireKind::Sremp);
        own.map(|link| NetCommand::Sremp(SrempCommand::Driver(DriverCommand::Close(*link, None)))).collect()
    }

    fn contact_changed(&mut self, turn: &mut Turn<'_>, contact: ContactId) -> Result<(), Error> {
        self.ways.forget(turn.now.mono, &contact);
        self.drain_ways(turn)?;
        let row = turn.store.contact(contact)?;
        let trust = match row.as_ref().map(|row| row.status) {
            Some(ContactStatus::Blocked) => Trust::Rejected,
            Some(ContactStatus::Contact) => Trust::Trusted,
            _ => Trust::Unknown,
        };
        if row.is_none() {
            self.account(turn, AccountInput::Withdraw(contact))?;
        }
        let via = row.and_then(|row| row.verified).as_deref().and_then(via_of);
        self.account(turn, AccountInput::Trust { peer: contact, trust, verified_via: via })?;
        self.search_if_needed(turn, contact)
    }

    fn tick(&mut self, turn: &mut Turn<'_>) -> Result<(), Error> {
        if !std::mem::replace(&mut self.started, true) {
            if turn.config.sremp.own_relay {
                self.own_relay = Some(OwnRelay::new(self.account.id()));
            }
            let servers = crate::servers::load(turn.store)?;
            self.use_servers(turn, &servers)?;
            self.start_own_relay(turn)?;
            for peer in self.account.recipients(turn.store).map_err(sremp_error)? {
                self.want(turn, peer)?;
            }
        }
        for (peer, due) in self.ways.due(turn.now.mono, turn.rng) {
            match due {
                Due::Search => self.search_if_needed(turn, peer)?,
                Due::Direct => self.retry_directly(turn, peer)?,
            }
        }
        self.drain_ways(turn)?;
        self.rendezvous_tick(turn)?;
        self.own_relay_tick(turn)?;
        self.probes_due(turn.now.mono);
        self.account(turn, AccountInput::Tick)
    }

    fn committed(&mut self, turn: &mut Turn<'_>) -> Result<(), Error> {
        if let Some(save) = self.last_save.take() {
            self.account(turn, AccountInput::Saved(save))?;
        }
        self.rendezvous_committed(turn)
    }

    fn poll_event(&mut self) -> Option<WireEvent> {
        self.events.pop_front()
    }

    fn poll_command(&mut self) -> Option<NetCommand> {
        self.commands.pop_front()
    }

    fn poll_timeout(&self) -> Option<Mono> {
        if !self.started {
            return Some(Mono::default());
        }
        let timeouts = [
            self.account.poll_timeout(),
            self.ways.poll_timeout(),
            self.rendezvous.poll_timeout(),
            self.own_relay_timeout(),
            self.probes.poll_timeout(),
        ];
        timeouts.into_iter().flatten().min()
    }

    fn is_online(&self, contact: &ContactId) -> bool {
        self.account.link_of(contact).is_some()
    }

    fn status(&self) -> WireStatus {
        WireStatus { connected: self.account.online().collect(), ..self.status.clone() }
    }
}
