//! The rendezvous server's machine.

use super::lookup::Network;
use crate::{
    Error, ErrorCode, LinkId,
    message::{ErrorMessage, ListServersResponse, Message, ServerAddress},
    rate::Rates,
    save_queue::SaveQueue,
};
use std::{collections::VecDeque, net::IpAddr, time::Duration};
use waypost_core::{Batch, Change, ContactId, Mono, Now, Records, SaveId};

/// Most entries of LIST_SERVERS_RESPONSE.
const MAX_SERVERS: usize = 32;

/// What happens to a rendezvous server.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once; a box for each message costs more")]
pub enum Input {
    /// A connection brought a message.
    Message {
        /// Which connection.
        link: LinkId,
        /// From where, for the rates.
        address: IpAddr,
        /// The message.
        message: Message,
    },
    /// What a connection brought is no message: it is told so behind the answers to what it asked before.
    Fault {
        /// Which connection.
        link: LinkId,
        /// What [`Framing::read`](super::Framing::read) said.
        error: Error,
    },
    /// All saves up to this one are durable.
    Saved(SaveId),
    /// The moment of [`Registry::poll_timeout`] came.
    Tick,
}

/// What a rendezvous server wants done. Call [`Registry::poll`] until there is none.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made and taken apart at once; a box for each message costs more")]
pub enum Output {
    /// Commit these, then say [`Input::Saved`]. Inputs given before that must see them in the records.
    Save(SaveId, Vec<Change>),
    /// Send a message on a connection; after a fatal ERROR close it.
    Send(LinkId, Message),
}

/// Bounds of a rendezvous server. Defaults are the profile's where it gives one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistryLimits {
    /// LOOKUP_REQUEST for one target, a minute and address.
    pub lookups: u32,
    /// LOOKUP_REQUEST for all, a minute and address.
    pub lists: u32,
    /// New registrations a minute and identity.
    pub registrations: u32,
    /// Entries of a page.
    pub page: usize,
    /// Bytes of the entries of a page: an answer stays below 65536.
    pub page_bytes: usize,
    /// Addresses and identities whose rates are remembered.
    pub rates: usize,
    /// Records looked at in one round of tidying up, or for one page.
    pub round: usize,
}

impl Default for RegistryLimits {
    fn default() -> Self {
        Self { lookups: 60, lists: 10, registrations: 10, page: 50, page_bytes: 60_000, rates: 50_000, round: 256 }
    }
}

/// Times of a rendezvous server. Defaults are the profile's where it gives one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistryTiming {
    /// How far `issued` may be from our clock.
    pub issued: Duration,
    /// How long a registration is remembered after it is over, and its seq with it.
    pub remembered: Duration,
    /// Pause between two rounds of tidying up when nothing is left to do.
    pub sweep: Duration,
    /// The same when there is.
    pub sweep_again: Duration,
}

impl Default for RegistryTiming {
    fn default() -> Self {
        Self {
            issued: Duration::from_secs(600),
            remembered: Duration::from_secs(24 * 3600),
            sweep: Duration::from_secs(10),
            sweep_again: Duration::from_millis(50),
        }
    }
}

/// A rendezvous server. A registration is confirmed only after it is durable.
pub struct Registry {
    pub(super) server_id: [u8; 32],
    pub(super) limits: RegistryLimits,
    pub(super) timing: RegistryTiming,
    pub(super) lookups: Rates<Network>,
    pub(super) lists: Rates<Network>,
    pub(super) registrations: Rates<ContactId>,
    pub(super) sweep_at: Mono,
    servers: Vec<ServerAddress>,
    queue: SaveQueue<(LinkId, Message)>,
    out: VecDeque<Output>,
}

impl Registry {
    /// A server of this id (SHA-256 of its certificate's public key), whose state lies in the records that
    /// each call is given. `servers` are the others it suggests.
    pub fn new(
        now: Now,
        server_id: [u8; 32],
        mut servers: Vec<ServerAddress>,
        limits: RegistryLimits,
        timing: RegistryTiming,
    ) -> Self {
        let minute = Duration::from_secs(60);
        servers.truncate(MAX_SERVERS);
        Self {
            server_id,
            limits,
            timing,
            lookups: Rates::new(limits.lookups, minute, limits.rates),
            lists: Rates::new(limits.lists, minute, limits.rates),
            registrations: Rates::new(limits.registrations, minute, limits.rates),
            sweep_at: now.mono,
            servers,
            queue: SaveQueue::default(),
            out: VecDeque::new(),
        }
    }

    /// Acts on what happened.
    ///
    /// # Errors
    /// Only failures of this side: the records, a bug. Faults of a client are answered to the client.
    /// After an error nothing was changed in the records.
    pub fn handle(&mut self, now: Now, records: &impl Records, input: Input) -> Result<(), Error> {
        let mut step = Step { now, batch: Batch::new(records) };
        let mut answers = Vec::new();
        match input {
            Input::Message { link, address, message } => {
                let answer = self.answer(&mut step, address, message)?;
                answers.extend(answer.map(|answer| (link, answer)));
            }
            Input::Fault { link, error } => {
                answers.push((link, ErrorMessage::new(error.code()).fatal().into()));
            }
            Input::Saved(id) => {
                let free = self.queue.saved(id);
                self.release(free);
                return Ok(());
            }
            Input::Tick => self.tick(&mut step)?,
        }
        let (save, free) = self.queue.step(step.batch.into_changes(), answers);
        self.out.extend(save.map(|(id, changes)| Output::Save(id, changes)));
        self.release(free);
        Ok(())
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to come back with [`Input::Tick`].
    pub fn poll_timeout(&self) -> Option<Mono> {
        Some(self.sweep_at)
    }

    fn release(&mut self, answers: Vec<(LinkId, Message)>) {
        self.out.extend(answers.into_iter().map(|(link, message)| Output::Send(link, message)));
    }

    /// Every request has one answer; nothing but registry messages is served. Profile SR-2.2b.
    fn answer<R: Records>(
        &mut self,
        step: &mut Step<'_, R>,
        address: IpAddr,
        message: Message,
    ) -> Result<Option<Message>, Error> {
        Ok(Some(match message {
            Message::RegisterRequest(request) => self.register(step, request)?.into(),
            Message::LookupRequest(request) => self.lookup(step, address, &request)?.into(),
            Message::ListServersRequest(_) => {
                ListServersResponse { servers: self.servers.clone(), timestamp: step.now.wall }.into()
            }
            Message::Error(_) => return Ok(None),
            other => ErrorMessage::new(ErrorCode::Unsupported).answering(&other).into(),
        }))
    }
}

/// What one input leads to.
pub(super) struct Step<'a, R: Records> {
    pub(super) now: Now,
    pub(super) batch: Batch<'a, R>,
}
