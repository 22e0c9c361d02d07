//! The engine: everything a person's node decides, one turn at a time.
//!
//! Inputs of a turn share one transaction. [`Engine::commit`] makes it durable; only then do replies,
//! events and commands to drivers come out of [`Engine::poll`]. So nothing is acknowledged that a
//! crash could lose, and many letters share one write to disk.

mod backup;
mod calls;
mod card;
mod health;
mod inbox;
mod letters;
mod outbox;
mod people;
mod probes;
mod servers;
mod show;

pub(crate) use card::{IDENTITY, NAME};
pub(crate) use inbox::is_full;
pub(crate) use people::{check_own_name, pin_of, via_of};
pub(crate) use show::sremp_error;

use crate::keys::Unlocked;
use crate::method::Call;
use crate::wire::{NetCommand, NetInput, Turn, Wire};
use crate::wires::framelink::Framelink;
use crate::wires::sremp::Sremp;
use crate::{Config, Error, Event};
use rand_core::CryptoRng;
use serde_json::Value;
use std::collections::VecDeque;
use std::time::Duration;
use waypost_core::{Address, Mono, Now, Wall};
use waypost_sremp::connection::ConnectionKeys;
use waypost_store::Store;

/// What happens to an engine.
#[derive(Debug)]
pub enum Input {
    /// Somebody calls a method; the reply carries the same token.
    Call {
        /// Names the call.
        token: u64,
        /// The call.
        call: Call,
    },
    /// News from a driver.
    Net(NetInput),
    /// The addresses at which others can reach this node, as far as the drivers know.
    Addresses(Vec<Address>),
    /// A timer is due.
    Tick,
    /// The node is about to stop.
    Leave,
}

/// What an engine wants done; everything before it is durable.
#[derive(Debug)]
pub enum Output {
    /// The answer to a call.
    Reply {
        /// Which call.
        token: u64,
        /// The answer.
        result: Result<Value, Error>,
    },
    /// Something happened.
    Event(Event),
    /// For a driver.
    Net(NetCommand),
    /// Somebody asked the node to stop.
    Stop,
}

/// A person's engine. See the module's page.
pub struct Engine {
    store: Store,
    keys: Unlocked,
    config: Config,
    wires: Vec<Box<dyn Wire>>,
    addresses: Vec<Address>,
    started: Mono,
    outbox_due: Option<Mono>,
    /// Calls that wait for what wires find out.
    probes: probes::Probes,
    /// Replies and events that wait for the commit.
    staged: Vec<Output>,
    out: VecDeque<Output>,
}

impl Engine {
    /// Opens an engine on a database. Nothing of a former run is needed but what was committed.
    ///
    /// # Errors
    /// The keys or the database do not fit.
    pub fn open(now: Now, store: Store, keys: Unlocked, config: Config) -> Result<Self, Error> {
        let mut engine = Self {
            store,
            keys,
            config,
            wires: Vec::new(),
            addresses: Vec::new(),
            started: now.mono,
            outbox_due: None,
            probes: probes::Probes::default(),
            staged: Vec::new(),
            out: VecDeque::new(),
        };
        engine.sign_identity(now)?;
        engine.build_wires(now)?;
        // A wire keeps what it was given; what it was never given is in the outbox and due at once.
        engine.outbox_due = engine.next_outbox(now)?;
        Ok(engine)
    }

    /// Takes one input into the running turn.
    ///
    /// # Errors
    /// The database failed. The turn is undone, its callers are told, and the engine goes on from what
    /// was committed.
    pub fn handle(&mut self, now: Now, rng: &mut dyn CryptoRng, input: Input) -> Result<(), Error> {
        let token = match &input {
            Input::Call { token, .. } => Some(*token),
            _ => None,
        };
        let done = self.take(now, rng, input);
        done.inspect_err(|error| {
            if let Some(token) = token {
                self.staged.push(Output::Reply { token, result: Err(Error::Environment(error.to_string())) });
            }
            self.undo(now);
        })
    }

    /// Makes the turn durable and lets out what waited for it.
    ///
    /// # Errors
    /// As [`Engine::handle`].
    pub fn commit(&mut self, now: Now, rng: &mut dyn CryptoRng) -> Result<(), Error> {
        let done = self.commit_turn(now, rng);
        done.inspect_err(|_| self.undo(now))
    }

    /// The next thing to do; call until none is left.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to call with [`Input::Tick`].
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.wires.iter().filter_map(|wire| wire.poll_timeout()).chain(self.outbox_due).min()
    }

    /// Whether a turn is open that should be committed.
    pub fn has_turn(&self) -> bool {
        self.store.in_transaction() || !self.staged.is_empty()
    }

    /// Whether nothing of [`Input::Leave`] is under way.
    pub fn has_left(&self) -> bool {
        self.wires.iter().all(|wire| wire.has_left())
    }

    /// The identity as signed now, with the secrets that a driver of connections needs.
    ///
    /// # Errors
    /// The keys do not fit, which is a bug.
    pub fn connection_keys(&self) -> Result<ConnectionKeys, Error> {
        self.keys.connection_keys(&self.store)
    }

    fn take(&mut self, now: Now, rng: &mut dyn CryptoRng, input: Input) -> Result<(), Error> {
        if let Input::Call { token, call: Call::BackupExport(params) } = &input {
            self.commit_turn(now, rng)?;
            let result = self.export(rng, params).and_then(calls::json);
            self.staged.push(Output::Reply { token: *token, result });
            return Ok(());
        }
        if !self.store.in_transaction() {
            self.store.begin()?;
        }
        match input {
            Input::Call { token, call: call @ (Call::ServersTest(_) | Call::NodePing(_)) } => {
                if let Err(error) = self.ask_wires(now, rng, token, call) {
                    self.staged.push(Output::Reply { token, result: Err(error) });
                }
            }
            Input::Call { token, call } => {
                self.store.savepoint()?;
                let result = self.call(now, rng, call);
                match &result {
                    Ok(_) => self.store.release()?,
                    Err(_) => self.store.rollback_to()?,
                }
                self.staged.push(Output::Reply { token, result });
            }
            Input::Net(news) => {
                let Self { store, config, wires, .. } = self;
                if let Some(wire) = wires.iter_mut().find(|wire| wire.kind() == news.wire()) {
                    wire.handle(&mut Turn { now, rng, store, config }, news)?;
                }
            }
            Input::Addresses(addresses) => {
                self.each_wire(now, rng, |wire, turn| wire.addresses_changed(turn, &addresses))?;
                self.addresses = addresses;
                self.addresses_changed(now, rng)?;
            }
            Input::Leave => self.each_wire(now, rng, |wire, turn| wire.leave(turn))?,
            Input::Tick => {
                self.each_wire(now, rng, |wire, turn| wire.tick(turn))?;
                if self.outbox_due.is_some_and(|due| due <= now.mono) {
                    // What is due next is known again after the commit.
                    self.outbox_due = None;
                    self.outbox_due(now, rng)?;
                }
            }
        }
        self.settle(now, rng)
    }

    /// Works through what wires report until nothing is left.
    fn settle(&mut self, now: Now, rng: &mut dyn CryptoRng) -> Result<(), Error> {
        // A carrier's news may be an event of the wire that seals, and the other way round.
        let next = |wires: &mut [Box<dyn Wire>]| {
            wires.iter_mut().find_map(|wire| wire.poll_event().map(|event| (wire.kind(), event)))
        };
        while let Some((kind, event)) = next(&mut self.wires) {
            self.wire_event(now, rng, kind, event)?;
        }
        Ok(())
    }

    fn commit_turn(&mut self, now: Now, rng: &mut dyn CryptoRng) -> Result<(), Error> {
        if self.store.in_transaction() {
            self.store.commit()?;
        }
        self.out.extend(self.staged.drain(..));
        self.each_wire(now, rng, |wire, turn| wire.committed(turn))?;
        for wire in &mut self.wires {
            while let Some(command) = wire.poll_command() {
                self.out.push_back(Output::Net(command));
            }
        }
        self.outbox_due = self.next_outbox(now)?;
        Ok(())
    }

    /// After a failure of the database: back to what was committed. Connections end, so that peers
    /// send again what was not confirmed.
    fn undo(&mut self, now: Now) {
        let _ = self.store.rollback();
        for output in self.staged.drain(..) {
            if let Output::Reply { token, .. } = output {
                let result = Err(Error::Environment("the database failed; nothing was changed".into()));
                self.out.push_back(Output::Reply { token, result });
            }
        }
        for wire in &mut self.wires {
            self.out.extend(wire.close_all().into_iter().map(Output::Net));
        }
        let _ = self.build_wires(now);
    }

    fn build_wires(&mut self, now: Now) -> Result<(), Error> {
        self.wires.clear();
        if self.config.sremp.enabled {
            let keys = self.keys.account_keys(&self.store)?;
            let identity = keys.identity.clone();
            self.wires.push(Box::new(Sremp::new(now, keys)));
            if self.config.framelink.enabled {
                self.wires.push(Box::new(Framelink::new(identity)));
            }
        }
        Ok(())
    }

    /// Lets each wire do something within the turn.
    fn each_wire(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        mut act: impl FnMut(&mut dyn Wire, &mut Turn<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Self { store, config, wires, .. } = self;
        for wire in wires.iter_mut() {
            act(wire.as_mut(), &mut Turn { now, rng, store, config })?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event) {
        self.staged.push(Output::Event(event));
    }

    fn next_outbox(&self, now: Now) -> Result<Option<Mono>, Error> {
        let next = self.store.outbox_next_try()?;
        Ok(next.map(|at: Wall| now.mono.after(at.since(now.wall).max(Duration::from_millis(1)))))
    }
}
