//! One connection's machine and what lies between it, the socket and the engine.

use super::inbox::{Held, Put};
use super::outbound::Outbound;
use super::{DriverEvent, Shared};
use crate::limits::Permit;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use tokio::net::TcpStream;
use tokio::time::Instant;
use waypost_sremp::connection::{Closed, Connection, Event, Input, Output, Verdict};
use waypost_sremp::{CloseReason, ErrorCode, LinkId, Message, message::ErrorMessage};

/// Bytes of one read while there is room for answers.
const READ: usize = 64 << 10;
/// Bytes of one read while sockets in all owe more than they should: a read this short causes few answers.
const SHORT_READ: usize = 1 << 10;
/// Bytes that the machine gathers before they go to the socket.
const BATCH: usize = 64 << 10;

thread_local! {
    /// One for all connections of a thread: what is read is given to a machine at once.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

/// What the engine wants of one link.
#[derive(Debug)]
pub(super) enum LinkCommand {
    Judge(Verdict),
    Send(Box<Message>),
    SendRaw(Vec<u8>),
    Close(Option<Box<ErrorMessage>>),
    Known,
}

/// A connection that runs.
pub(super) struct Link<'a> {
    shared: &'a Shared,
    id: LinkId,
    remote: String,
    machine: Connection,
    outbound: Outbound<'a>,
    news: VecDeque<DriverEvent>,
    permit: Option<Permit>,
    /// The engine knows of it: it dialled it, or was shown the peer's identity.
    announced: bool,
    /// Why this side wanted the end.
    said: Option<ErrorCode>,
    closed: Option<CloseReason>,
    /// The socket is not known to be broken.
    sound: bool,
    /// When the socket must have taken something.
    write_by: Option<Instant>,
    /// Bytes read before the peer's identity was verified.
    half_open: usize,
    /// The engine was told that much waits for the socket.
    held: bool,
}

impl<'a> Link<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        id: LinkId,
        remote: String,
        machine: Connection,
        permit: Option<Permit>,
    ) -> Self {
        let mut link = Self {
            shared,
            id,
            remote,
            announced: machine.we_dialled(),
            machine,
            outbound: Outbound::new(&shared.owed),
            news: VecDeque::new(),
            permit,
            said: None,
            closed: None,
            sound: true,
            write_by: None,
            half_open: 0,
            held: false,
        };
        link.collect(false);
        link
    }

    pub(super) const fn id(&self) -> LinkId {
        self.id
    }

    pub(super) const fn is_announced(&self) -> bool {
        self.announced
    }

    /// Why it is over, once it is.
    pub(super) const fn closed(&self) -> Option<CloseReason> {
        self.closed
    }

    /// Whether the socket is not known to be broken.
    pub(super) const fn is_sound(&self) -> bool {
        self.sound
    }

    /// Ends it at once, without a word: the queue ran over, or everything ends.
    pub(super) fn cut(&mut self) {
        let aborted = self.shared.abort.is_cancelled();
        self.end_now(if aborted { CloseReason::Stopped } else { CloseReason::Local(ErrorCode::Limit) });
    }

    /// Sends what waits and closes.
    pub(super) fn stop(&mut self, mut next: impl FnMut() -> Option<LinkCommand>) {
        while let Some(command) = next() {
            self.command(command);
        }
        self.input(Input::Close(None));
        self.collect(false);
        self.end(CloseReason::Stopped);
    }

    /// Ends it if the socket is broken.
    pub(super) fn check(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.socket_error(&error);
        }
    }

    pub(super) fn has_unsent(&self) -> bool {
        !self.outbound.is_empty()
    }

    /// Whether the socket may be read: the engine keeps up, and so does the peer with its answers.
    pub(super) fn may_read(&self) -> bool {
        self.news.is_empty() && self.machine.wants_input() && self.outbound.owed() < self.shared.limits.owed
    }

    /// Whether a command may be taken.
    pub(super) fn may_command(&self) -> bool {
        self.outbound.len() + self.machine.send_queue_bytes() < self.shared.limits.unsent
    }

    /// Tells the engine when much waits for the socket, and when little does again; `commands` wait behind it. Between the
    /// two lies room, so that it is not told with every frame.
    pub(super) fn note_unsent(&mut self, commands: usize) {
        let limits = &self.shared.limits;
        let unsent = self.outbound.len() + self.machine.send_queue_bytes();
        let is_held = match self.held {
            false => unsent >= limits.unsent.div_ceil(2) || commands >= limits.commands.div_ceil(2),
            true => unsent > limits.unsent / 4 || commands > limits.commands / 4,
        };
        if is_held != self.held {
            self.held = is_held;
            self.news.push_back(DriverEvent::Held { link: self.id, is_held });
        }
    }

    /// When [`Link::tick`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let machine = self.machine.poll_timeout().map(|at| self.shared.clock.instant(at));
        [machine, self.write_by].into_iter().flatten().min()
    }

    pub(super) fn tick(&mut self) {
        if self.write_by.is_some_and(|by| by <= Instant::now()) {
            return self.end_now(CloseReason::Timeout);
        }
        self.input(Input::Tick);
        self.collect(false);
    }

    /// Carries out a command and those behind it, as far as they fit, so that their frames leave together.
    pub(super) fn commands(&mut self, first: LinkCommand, mut next: impl FnMut() -> Option<LinkCommand>) {
        let mut command = Some(first);
        while let Some(this) = command {
            self.command(this);
            if self.machine.send_queue_bytes() >= BATCH {
                self.collect(false);
            }
            command = if self.may_command() { next() } else { None };
        }
        self.collect(false);
    }

    fn command(&mut self, command: LinkCommand) {
        match command {
            LinkCommand::Judge(verdict) => self.judge(verdict),
            LinkCommand::Send(message) => self.input(Input::Send(*message)),
            LinkCommand::SendRaw(bytes) => self.input(Input::SendRaw(bytes)),
            LinkCommand::Known => self.machine.set_known(true),
            LinkCommand::Close(error) => {
                self.said = error.as_deref().and_then(ErrorMessage::known_code);
                self.input(Input::Close(error.map(|error| *error)));
            }
        }
    }

    fn judge(&mut self, verdict: Verdict) {
        let room = match (verdict, &mut self.permit) {
            (Verdict::Accept { known: false }, Some(permit)) => permit.stranger(),
            _ => true,
        };
        let verdict = if room { verdict } else { Verdict::Refuse(ErrorCode::Limit) };
        self.said = match verdict {
            Verdict::Accept { .. } => None,
            Verdict::Refuse(code) => Some(code),
            Verdict::Silent => Some(ErrorCode::Rejected),
        };
        self.input(Input::Judged(verdict));
    }

    /// Reads once and lets the machine act on it.
    pub(super) fn read(&mut self, stream: &TcpStream) {
        let crowded = self.shared.owed.load(Ordering::Relaxed) >= self.shared.limits.owed_by_all;
        let most = if crowded { SHORT_READ } else { READ };
        let taken = BUFFER.with_borrow_mut(|buffer| {
            let buffer = buffer.get_mut(..most).unwrap_or_default();
            let count = stream.try_read(buffer)?;
            self.shared.traffic.count_in(count);
            match buffer.get(..count).unwrap_or_default() {
                [] => self.input(Input::Eof),
                bytes => self.input(Input::Bytes(bytes)),
            }
            Ok(count)
        });
        match taken {
            Ok(count) => self.count_half_open(count),
            Err(error) => return self.socket_error(&error),
        }
        self.collect(true);
    }

    /// Writes what the socket takes now.
    pub(super) fn flush(&mut self, stream: &TcpStream) {
        if self.outbound.is_empty() {
            return;
        }
        match self.outbound.write_to(stream) {
            Ok(count) => {
                self.shared.traffic.count_out(count);
                if self.outbound.is_empty() {
                    self.write_by = None;
                } else if count > 0 || self.write_by.is_none() {
                    self.write_by = Some(Instant::now() + self.shared.timing.write);
                }
            }
            Err(error) => self.socket_error(&error),
        }
    }

    /// The same after the end; gives whether there is more to write.
    pub(super) fn flush_rest(&mut self, stream: &TcpStream) -> bool {
        self.flush(stream);
        self.sound && self.has_unsent()
    }

    /// Gives the engine what fits its inbox.
    pub(super) fn tell(&mut self) {
        while let Some(event) = self.news.pop_front() {
            match self.shared.news.try_put(event) {
                Put::Done => {}
                Put::Full(event) => return self.news.push_front(*event),
                Put::Gone => {
                    self.news.clear();
                    self.end_now(CloseReason::Stopped);
                }
            }
        }
        self.news = VecDeque::new();
    }

    /// Waits until the engine has room for the next event; for ever if there is none.
    pub(super) async fn room_for_news(&self) {
        match self.news.front() {
            Some(event) => drop(self.shared.news.room_for(event).await),
            None => std::future::pending().await,
        }
    }

    /// What the engine was not told yet.
    pub(super) fn take_news(&mut self) -> VecDeque<DriverEvent> {
        std::mem::take(&mut self.news)
    }

    fn end(&mut self, reason: CloseReason) {
        self.closed.get_or_insert(reason);
    }

    /// Ends it; what was not written stays so.
    fn end_now(&mut self, reason: CloseReason) {
        self.sound = false;
        self.end(reason);
    }

    fn input(&mut self, input: Input<'_>) {
        if let Err(error) = self.machine.handle(self.shared.clock.now(), &mut rand::rng(), input) {
            // The engine's knowledge of a link is always a little old: it may send on one that just ended.
            tracing::debug!(link = self.id.0, %error, "not done");
        }
    }

    /// Takes out what the machine wants done; `answers` if the peer caused it.
    fn collect(&mut self, answers: bool) {
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Send(bytes) => self.outbound.push(bytes, answers),
                Output::Event(event) => self.event(event),
                Output::Close => {}
            }
        }
    }

    fn event(&mut self, event: Event) {
        let link = self.id;
        let event = match event {
            Event::Identified(identity) => {
                self.announced = true;
                self.leave_half_open();
                if let Some(permit) = &mut self.permit {
                    permit.identified();
                }
                DriverEvent::Identified { link, identity }
            }
            Event::Ready { peer, handshake_hash, we_dialled, .. } => {
                DriverEvent::Ready { link, peer: peer.key(), we_dialled, remote: self.remote.clone(), handshake_hash }
            }
            Event::Message(message) => DriverEvent::Message { link, message, held: Held::default() },
            Event::Closed(closed) => {
                if let Closed::Fault(error) = &closed {
                    tracing::debug!(link = link.0, %error, "the peer broke the protocol");
                }
                return self.end(CloseReason::new(&closed, self.said));
            }
        };
        self.news.push_back(event);
    }

    /// Strangers that said nothing about themselves hold little memory, however many they are.
    fn count_half_open(&mut self, count: usize) {
        if self.announced || self.permit.is_none() {
            return;
        }
        self.half_open += count;
        let all = self.shared.half_open.fetch_add(count, Ordering::Relaxed) + count;
        if all > self.shared.limits.half_open {
            self.end_now(CloseReason::Local(ErrorCode::Limit));
        }
    }

    fn leave_half_open(&mut self) {
        self.shared.half_open.fetch_sub(std::mem::take(&mut self.half_open), Ordering::Relaxed);
    }

    fn socket_error(&mut self, error: &io::Error) {
        if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) {
            self.end_now(CloseReason::Eof);
        }
    }
}

impl Drop for Link<'_> {
    fn drop(&mut self) {
        self.leave_half_open();
    }
}
