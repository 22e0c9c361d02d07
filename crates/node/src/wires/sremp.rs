//! SREMP as a wire: the account machine, and which contact is dialled when.
//!
//! Sockets and connection machines are the driver's (`waypost_net::sremp`); here their events become
//! the account's inputs, and its outputs their commands.

mod dial;

use crate::engine::{is_full, pin_of, sremp_error, via_of};
use crate::method::WireStatus;
use crate::wire::{NetCommand, NetInput, Turn, Wire, WireEvent};
use crate::{Config, Error, invite};
use dial::Dials;
use std::collections::{BTreeMap, VecDeque};
use waypost_core::{Address, ContactId, InviteToken, Letter, Mono, Now, RecordFault, SaveId, Wall, Wire as WireKind};
use waypost_net::sremp::{DriverCommand, DriverEvent};
use waypost_sremp::account::{
    AccountLimits, AccountTiming, Event as AccountEvent, IdentityNotice, Input as AccountInput,
    Output as AccountOutput, People, Standing,
};
use waypost_sremp::trust::Trust;
use waypost_sremp::{Account, AccountKeys, CloseReason, ErrorCode, Identity, LinkId, Message};
use waypost_store::{ContactStatus, Store};

/// News from the driver, or of it.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once; the small variant is rare")]
pub enum SrempInput {
    /// What it reports.
    Driver(DriverEvent),
    /// Where it listens.
    Listening(Vec<String>),
}

/// What the driver is to do.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once; the small variant is rare")]
pub enum SrempCommand {
    /// As it is.
    Driver(DriverCommand),
    /// The own identity or transport key changed: new connections show the new ones.
    KeysChanged,
}

/// The adapter.
pub struct Sremp {
    account: Account,
    dials: Dials,
    remotes: BTreeMap<LinkId, String>,
    /// Connections for letters that waited already at the start were asked for.
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
            account: Account::new(now, keys, AccountLimits::default(), AccountTiming::default()),
            dials: Dials::default(),
            remotes: BTreeMap::new(),
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
                AccountOutput::Judged(link, verdict) => self.command(DriverCommand::Judge(link, verdict)),
                AccountOutput::Send(link, message) => self.command(DriverCommand::Send(link, message)),
                AccountOutput::Close(link, error) => self.command(DriverCommand::Close(link, error)),
            }
        }
        Ok(())
    }

    fn account_event(&mut self, turn: &mut Turn<'_>, event: AccountEvent) -> Result<(), Error> {
        let event = match event {
            AccountEvent::Received { peer, letter, token, protection } => {
                WireEvent::Received { peer, letter, token, protection }
            }
            AccountEvent::Sent { peer, letter, link, protection } => {
                let via = self.remotes.get(&link).cloned().unwrap_or_default();
                WireEvent::Sent { peer, letter, via, protection }
            }
            AccountEvent::Delivered { peer, letter } => WireEvent::Delivered { peer, letter },
            AccountEvent::Undeliverable { peer, letter, reason } => {
                WireEvent::Undeliverable { peer, letter, reason: reason.to_owned() }
            }
            AccountEvent::Unconfirmed { peer, letter } => WireEvent::Unconfirmed { peer, letter },
            AccountEvent::NeedLink(peer) => return self.want(turn, peer),
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
            _ => return Ok(()),
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

    /// Opens a connection to a contact for which letters wait, when its time has come.
    fn want(&mut self, turn: &mut Turn<'_>, peer: ContactId) -> Result<(), Error> {
        let Some(contact) = turn.store.contact(peer)?.filter(|contact| contact.status == ContactStatus::Contact) else {
            return Ok(());
        };
        let addresses = contact.addresses.iter().filter_map(|address| match address {
            Address::Sremp(address) => Some(address.clone()),
            _ => None,
        });
        let pin = pin_of(turn, &contact)?;
        if let Some(dial) = self.dials.want(turn.now.mono, peer, addresses.collect(), pin) {
            self.command(dial);
        }
        Ok(())
    }

    fn closed(&mut self, turn: &mut Turn<'_>, link: LinkId, reason: CloseReason) -> Result<(), Error> {
        self.remotes.remove(&link);
        self.count(reason.name());
        if let Some(peer) = self.dials.peer_of(link) {
            if matches!(reason, CloseReason::Local(ErrorCode::NoiseKeyMismatch)) {
                self.events.push_back(WireEvent::Warning {
                    peer: Some(peer),
                    kind: "pin_mismatch",
                    text: "At the contact's address somebody answers with another transport key. The contact may have \
                           changed it, or the connection is being intercepted. Ask for a new card and add it; nothing \
                           was sent."
                        .to_owned(),
                });
            }
            if let Some(dial) = self.dials.failed(turn.now.mono, turn.rng, link, reason) {
                self.command(dial);
            }
        }
        let peer = self.account.peer_of(link);
        if let CloseReason::Peer(code) = reason {
            self.account(turn, AccountInput::LinkRefused { link, code })?;
        }
        self.account(turn, AccountInput::LinkDown(link))?;
        // Letters may still wait: dial again, if there is an address.
        match peer {
            Some(peer) => self.dial_if_needed(turn, peer),
            None => Ok(()),
        }
    }

    fn dial_if_needed(&mut self, turn: &mut Turn<'_>, peer: ContactId) -> Result<(), Error> {
        let needed =
            self.account.link_of(&peer).is_none() && self.account.waits_for(turn.store, &peer).map_err(sremp_error)?;
        if needed { self.want(turn, peer) } else { Ok(()) }
    }

    fn message(&mut self, turn: &mut Turn<'_>, link: LinkId, message: Message) -> Result<(), Error> {
        let people = Contacts { store: turn.store, config: turn.config, now: turn.now.wall };
        self.account(turn, AccountInput::Message { link, message, people: &people })
    }

    fn command(&mut self, command: DriverCommand) {
        self.commands.push_back(NetCommand::Sremp(SrempCommand::Driver(command)));
    }

    fn count(&mut self, reason: &str) {
        *self.status.dropped.entry(reason.to_owned()).or_default() += 1;
    }
}

impl Wire for Sremp {
    fn kind(&self) -> WireKind {
        WireKind::Sremp
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
        let NetInput::Sremp(input) = input;
        let event = match input {
            SrempInput::Driver(event) => event,
            SrempInput::Listening(listening) => {
                self.status.listening = listening;
                return Ok(());
            }
        };
        match event {
            DriverEvent::Identified { link, identity } => {
                let standing = standing_of(turn.store, identity.key())?;
                self.account(turn, AccountInput::Judge { link, identity, standing })
            }
            DriverEvent::Ready { link, peer, we_dialled, remote, .. } => {
                self.remotes.insert(link, remote);
                if let Some(address) = self.dials.succeeded(turn.now.mono, link) {
                    self.events.push_back(WireEvent::Reached { peer, address: Address::Sremp(address) });
                }
                self.account(turn, AccountInput::LinkUp { link, peer, we_dialled })
            }
            DriverEvent::Message { link, message, .. } => self.message(turn, link, message),
            DriverEvent::Closed { link, reason } => self.closed(turn, link, reason),
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
        Ok(())
    }

    fn close_all(&mut self) -> Vec<NetCommand> {
        let close = |link: &LinkId| NetCommand::Sremp(SrempCommand::Driver(DriverCommand::Close(*link, None)));
        self.remotes.keys().map(close).collect()
    }

    fn contact_changed(&mut self, turn: &mut Turn<'_>, contact: ContactId) -> Result<(), Error> {
        self.dials.forget(&contact);
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
        self.dial_if_needed(turn, contact)
    }

    fn tick(&mut self, turn: &mut Turn<'_>) -> Result<(), Error> {
        if !std::mem::replace(&mut self.started, true) {
            for peer in self.account.recipients(turn.store).map_err(sremp_error)? {
                self.want(turn, peer)?;
            }
        }
        for peer in self.dials.due(turn.now.mono) {
            self.dial_if_needed(turn, peer)?;
        }
        self.account(turn, AccountInput::Tick)
    }

    fn committed(&mut self, turn: &mut Turn<'_>) -> Result<(), Error> {
        match self.last_save.take() {
            Some(save) => self.account(turn, AccountInput::Saved(save)),
            None => Ok(()),
        }
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
        [self.account.poll_timeout(), self.dials.poll_timeout()].into_iter().flatten().min()
    }

    fn is_online(&self, contact: &ContactId) -> bool {
        self.account.link_of(contact).is_some()
    }

    fn status(&self) -> WireStatus {
        WireStatus { connected: self.account.online().collect(), ..self.status.clone() }
    }
}

/// The person's contacts, as the account asks for them.
struct Contacts<'a> {
    store: &'a Store,
    config: &'a Config,
    now: Wall,
}

impl People for Contacts<'_> {
    fn standing(&self, peer: &ContactId) -> Result<Standing, RecordFault> {
        standing_of(self.store, *peer).map_err(fault)
    }

    fn is_full(&self, peer: &ContactId) -> Result<bool, RecordFault> {
        is_full(self.store, self.config, *peer).map_err(fault)
    }

    fn is_invited(&self, token: &InviteToken) -> bool {
        invite::is_good(self.store, token, self.now)
    }
}

fn fault(error: Error) -> RecordFault {
    RecordFault(error.to_string())
}

fn standing_of(store: &Store, peer: ContactId) -> Result<Standing, Error> {
    Ok(match store.contact(peer)?.map(|contact| contact.status) {
        Some(ContactStatus::Contact) => Standing::Contact,
        Some(ContactStatus::Blocked) => Standing::Blocked,
        _ => Standing::Stranger,
    })
}
