//! The account between commands and connections; events go out as they happen.

use super::command::Command;
use super::report::{self, Arrived};
use crate::speak::keys::Keys;
use crate::speak::lines;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use waypost_core::{Body, ContactId, Letter, LetterId, MemoryRecords, Mono};
use waypost_net::Clock;
use waypost_net::sremp::{DriverCommand, DriverEvent, SrempDriver};
use waypost_sremp::account::{self, Event, Input, Output, Standing};
use waypost_sremp::message::{Message, Ping};
use waypost_sremp::{Account, CloseReason, Identity, LinkId, SessionId, Vault};

/// Commands that wait for a peer.
const WAITING: usize = 1024;

pub(super) struct Speaker<'a> {
    clock: &'a Clock,
    driver: &'a SrempDriver,
    trust: bool,
    account: Account,
    records: MemoryRecords,
    links: BTreeMap<LinkId, Identity>,
    /// Whom commands mean that name nobody: who connected last.
    peer: Option<ContactId>,
    waiting: VecDeque<Command>,
    sessions: BTreeSet<(ContactId, SessionId)>,
    unconfirmed: BTreeSet<LetterId>,
    closing: bool,
    ended: bool,
    failed: bool,
}

/// What an input of the account came from, as far as its events need it.
#[derive(Clone, Copy, Default)]
struct Cause {
    /// Of the DIRECT_MESSAGE or the DELIVERY_CONFIRMATION.
    message_id: u64,
    /// PREKEYS came: a session that is new now is ours.
    prekeys: bool,
}

impl<'a> Speaker<'a> {
    pub(super) fn new(clock: &'a Clock, keys: Keys, driver: &'a SrempDriver, trust: bool) -> Self {
        let keys = keys.into_account();
        Self {
            clock,
            driver,
            trust,
            account: Account::new(clock.now(), keys, Default::default(), Default::default()),
            records: MemoryRecords::default(),
            links: BTreeMap::new(),
            peer: None,
            waiting: VecDeque::new(),
            sessions: BTreeSet::new(),
            unconfirmed: BTreeSet::new(),
            closing: false,
            ended: false,
            failed: false,
        }
    }

    /// Whether `close` was given.
    pub(super) const fn is_closing(&self) -> bool {
        self.closing
    }

    /// Whether a connection ended.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn has_links(&self) -> bool {
        !self.links.is_empty()
    }

    /// Whether something was asked for that is not known to have arrived.
    pub(super) fn has_unconfirmed(&self) -> bool {
        !self.unconfirmed.is_empty() || !self.waiting.is_empty()
    }

    /// When [`Speaker::tick`] is due.
    pub(super) fn due(&self) -> Option<Mono> {
        self.account.poll_timeout()
    }

    pub(super) fn tick(&mut self) -> anyhow::Result<()> {
        self.account(Input::Tick, Cause::default())
    }

    /// Tells what never arrived. Whether all went well.
    pub(super) fn finish(&self) -> anyhow::Result<bool> {
        let lost = self.unconfirmed.len() + self.waiting.len();
        if lost > 0 && !self.closing {
            lines::Event::new("unconfirmed").with("count", lost).print()?;
        }
        Ok(!self.failed && (lost == 0 || self.closing))
    }

    pub(super) fn command(&mut self, command: Result<Command, String>) -> anyhow::Result<()> {
        let command = match command {
            Ok(command) => command,
            Err(why) => {
                self.failed = true;
                return Ok(lines::Event::new("bad_command").with("why", why).print()?);
            }
        };
        if command == (Command::Close {}) {
            self.closing = true;
            for link in self.links.keys() {
                self.driver.command(DriverCommand::Close(*link, None));
            }
            return Ok(());
        }
        match command.to().or(self.peer) {
            Some(peer) => self.carry_out(peer, command),
            None if self.waiting.len() < WAITING => {
                self.waiting.push_back(command);
                Ok(())
            }
            None => Ok(lines::Event::new("bad_command").with("why", "too many commands wait for a peer").print()?),
        }
    }

    fn carry_out(&mut self, peer: ContactId, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Send { text, reply_to: None, .. } => self.send(peer, Body::Text { text }),
            Command::Send { text, reply_to: Some(id), .. } => {
                let to = account::letter_of_text(&self.records, &peer, id.0)?;
                self.send(peer, Body::Reply { to, text })
            }
            Command::Receipt { kind, message_ids, .. } => {
                let letters = message_ids.iter().map(|id| account::letter_of_text(&self.records, &peer, id.0));
                let letters = letters.collect::<Result<_, _>>()?;
                self.send(peer, Body::Receipt { receipt: kind, letters })
            }
            Command::Identity { .. } => self.account(Input::Announce(peer), Cause::default()),
            Command::Ping { .. } => {
                if let Some(link) = self.account.link_of(&peer) {
                    let ping = Ping { nonce: rand::random() };
                    self.driver.command(DriverCommand::Send(link, ping.into()));
                }
                Ok(())
            }
            Command::Close {} => Ok(()),
        }
    }

    fn send(&mut self, peer: ContactId, body: Body) -> anyhow::Result<()> {
        let letter = Letter { id: LetterId::from_bytes(rand::random()), sent: self.clock.now().wall, body };
        self.unconfirmed.insert(letter.id);
        self.account(Input::Queue { peer, letter, token: None }, Cause::default())
    }

    pub(super) fn news(&mut self, event: DriverEvent) -> anyhow::Result<()> {
        let nothing = Cause::default();
        match event {
            DriverEvent::Identified { link, identity } => {
                self.links.insert(link, identity.clone());
                let standing = self.standing();
                self.account(Input::Judge { link, identity, standing }, nothing)
            }
            DriverEvent::Ready { link, peer, we_dialled, remote, handshake_hash } => {
                if let Some(identity) = self.links.get(&link) {
                    report::connected(identity, &remote, we_dialled, &handshake_hash)?;
                }
                self.peer = Some(peer);
                self.account(Input::LinkUp { link, peer, we_dialled }, nothing)?;
                while let Some(command) = self.waiting.pop_front() {
                    self.carry_out(peer, command)?;
                }
                Ok(())
            }
            DriverEvent::Message { link, message, .. } => self.message(link, message),
            DriverEvent::Closed { link, reason } => self.closed(link, reason),
            DriverEvent::Dropped { reason, count } => {
                Ok(lines::Event::new("dropped").with("reason", reason).with("count", count).print()?)
            }
            _ => Ok(()),
        }
    }

    fn standing(&self) -> Standing {
        if self.trust { Standing::Contact } else { Standing::Stranger }
    }

    fn message(&mut self, link: LinkId, message: Message) -> anyhow::Result<()> {
        let mut cause = Cause::default();
        match &message {
            Message::DirectMessage(direct) => cause.message_id = direct.message_id,
            Message::DeliveryConfirmation(confirmation) => cause.message_id = confirmation.message_id,
            Message::Prekeys(_) => cause.prekeys = true,
            Message::Pong(pong) => {
                let peer = self.links.get(&link).map(|identity| identity.key().to_string());
                let event = lines::Event::new("pong").with_some("identity_key", peer);
                event.with("nonce", pong.nonce.to_string()).print()?;
            }
            Message::Error(error) => {
                self.failed |= report::peer_error(error)?;
            }
            _ => {}
        }
        let standing = self.standing();
        self.account(Input::Message { link, message, people: &standing }, cause)
    }

    fn closed(&mut self, link: LinkId, reason: CloseReason) -> anyhow::Result<()> {
        let identity = self.links.remove(&link);
        self.ended = true;
        let failed = match reason {
            CloseReason::Local(code) => report::own_error(code, true)?,
            CloseReason::Peer(code) => report::fatal_error(code)?,
            CloseReason::Eof | CloseReason::Stopped => false,
            _ => true,
        };
        // A listener's own work goes on whatever a peer does; a dialler has only this one.
        self.failed |= failed && link.is_dialled();
        self.account(Input::LinkDown(link), Cause::default())?;
        let peer = identity.map(|identity| identity.key());
        if self.peer == peer {
            // What is said from now on is meant for who comes next.
            self.peer = self.account.online().next();
        }
        Ok(report::closed(peer.as_ref(), reason)?)
    }

    fn account(&mut self, input: Input<'_>, cause: Cause) -> anyhow::Result<()> {
        let now = self.clock.now();
        self.account.handle(now, &mut rand::rng(), &self.records, input)?;
        // Events are told when the records they speak of are there.
        let mut events = Vec::new();
        while let Some(output) = self.account.poll() {
            match output {
                Output::Save(id, changes) => {
                    self.records.apply(changes);
                    self.account.handle(now, &mut rand::rng(), &self.records, Input::Saved(id))?;
                }
                Output::Event(event) => events.push(event),
                Output::Judged(link, verdict) => self.driver.command(DriverCommand::Judge(link, verdict)),
                Output::Send(link, message) => self.driver.command(DriverCommand::Send(link, message)),
                Output::Close(link, error) => self.driver.command(DriverCommand::Close(link, error)),
            }
        }
        self.new_sessions(cause)?;
        events.into_iter().try_for_each(|event| self.event(event, cause))
    }

    fn event(&mut self, event: Event, cause: Cause) -> anyhow::Result<()> {
        let text_id = |peer: &ContactId, letter: &LetterId| account::text_of_letter(&self.records, peer, letter);
        match event {
            Event::Received { peer, letter, .. } => {
                let id = text_id(&peer, &letter.id)?.unwrap_or(cause.message_id);
                let (mut reply_to, mut about) = (None, Vec::new());
                match &letter.body {
                    Body::Reply { to, .. } => reply_to = text_id(&peer, to)?,
                    Body::Receipt { letters, .. } => {
                        for letter in letters {
                            about.extend(text_id(&peer, letter)?);
                        }
                    }
                    _ => {}
                }
                let (from, letter, message_id) = (&peer, &letter, cause.message_id);
                Arrived { from, letter, message_id, id, reply_to, about: &about }.print()?;
            }
            Event::Sent { peer, letter, .. } => report::sent(&peer, text_id(&peer, &letter)?, &letter)?,
            Event::Delivered { peer, letter } => {
                let id = text_id(&peer, &letter)?;
                self.unconfirmed.remove(&letter);
                report::confirmed(&peer, id, cause.message_id, &letter)?;
            }
            Event::Undeliverable { letter, reason, .. } => {
                self.unconfirmed.remove(&letter);
                self.failed = true;
                lines::Event::new("undeliverable").with("letter", letter.to_string()).with("why", reason).print()?;
            }
            Event::Identity { peer, notice } => report::identity(&peer, notice)?,
            Event::Refused { code } => self.failed |= report::own_error(code, false)?,
            _ => {}
        }
        Ok(())
    }

    fn new_sessions(&mut self, cause: Cause) -> anyhow::Result<()> {
        let peers: Vec<ContactId> = self.account.online().collect();
        for peer in peers {
            for session in Vault::default().sessions(&self.records, peer, self.clock.now().wall)? {
                if self.sessions.insert((peer, session.id)) {
                    report::session(&peer, &session, cause.prekeys)?;
                }
            }
        }
        Ok(())
    }
}
