//! A link as the application holds it.

use super::Transport;
use super::drive::drive;
use super::machine::{Crowd, Shared, State};
use crate::{Clock, Error};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use waypost_core::Now;
use waypost_framelink::link::{Activity, End, FrameInfo, Input, PeerLimits, Received, Status};
use waypost_framelink::{Block, Fault, Link as Machine, Mode, Psk, Role, Settings, code};

/// Longest message that is gathered from its parts.
const MAX_MESSAGE: usize = 16 << 20;
/// Bytes of a message that are handed to the machine at once.
const PART: usize = 64 * 1024;

/// A link over some transport. All methods can be called at once from several tasks; two that read would share
/// what comes. Dropping it closes the link in good order, without reading any more.
pub struct Link {
    shared: Arc<Shared>,
    stop: CancellationToken,
}

/// An established link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// How.
    pub mode: Mode,
    /// With which of the keys, from 0.
    pub psk: usize,
    /// What the other side takes.
    pub peer: PeerLimits,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// [`code::DATA`], or the application's own.
    pub code: u32,
    /// All of it.
    pub payload: Vec<u8>,
}

/// A frame that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is; in a keyed link [`code::MORE`] for a part of a message that goes on.
    pub code: u32,
    /// Its number.
    pub seq: u32,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Link {
    /// The side that connects, with a key. Must be called within a tokio runtime, as all that start one.
    ///
    /// # Errors
    /// [`Fault::BadConfig`].
    pub fn connect(transport: impl Transport, psk: Psk, mode: Mode, settings: Settings) -> Result<Self, Error> {
        let clock = Clock::start();
        let machine = Machine::connect(clock.now(), &mut rand::rng(), psk, mode, settings)?;
        Ok(Self::run(transport, machine, clock, None, CancellationToken::new()))
    }

    /// The side that accepts whoever knows one of the keys.
    ///
    /// # Errors
    /// [`Fault::BadConfig`].
    pub fn accept(
        transport: impl Transport,
        psks: Vec<Psk>,
        modes: Vec<Mode>,
        settings: Settings,
    ) -> Result<Self, Error> {
        let clock = Clock::start();
        let machine = Machine::accept(clock.now(), psks, modes, settings)?;
        Ok(Self::run(transport, machine, clock, None, CancellationToken::new()))
    }

    /// Either side of a raw link; the block must come from [`super::take_block`], which never gives it twice.
    ///
    /// # Errors
    /// [`Fault::BadConfig`].
    pub fn raw(transport: impl Transport, block: &Block, role: Role, settings: Settings) -> Result<Self, Error> {
        let clock = Clock::start();
        let machine = Machine::raw(clock.now(), block, role, settings)?;
        Ok(Self::run(transport, machine, clock, None, CancellationToken::new()))
    }

    pub(super) fn run(
        transport: impl Transport,
        machine: Machine,
        clock: Clock,
        crowd: Option<Arc<Crowd>>,
        stop: CancellationToken,
    ) -> Self {
        let shared = Shared::new(machine, clock, crowd);
        // The task ends with the link: by its own timers, by the transport, or by `stop`.
        tokio::spawn(drive(Arc::clone(&shared), transport, stop.clone()));
        Self { shared, stop }
    }

    /// Waits until the link is established.
    ///
    /// # Errors
    /// [`Error::Link`]: it never will be.
    pub async fn opened(&self) -> Result<Opened, Error> {
        loop {
            let woken = self.shared.opened.notified();
            {
                let state = self.shared.lock();
                if let Some(opened) = state.opened {
                    return Ok(opened);
                }
                if let Some(end) = &state.end {
                    return Err(Error::Link(end.clone()));
                }
            }
            woken.await;
        }
    }

    /// Sends a message, cut as the other side wants it. Waits while there is no room: credit, transport.
    ///
    /// # Errors
    /// [`Error::Link`] or [`Error::Framelink`]: the link is over or closed.
    pub async fn send(&self, message: &[u8]) -> Result<(), Error> {
        let mut parts = message.chunks(PART).peekable();
        if message.is_empty() {
            return self.send_frame(code::DATA, Vec::new()).await;
        }
        while let Some(part) = parts.next() {
            let code = if parts.peek().is_some() && self.is_keyed() { code::MORE } else { code::DATA };
            self.send_frame(code, part.to_vec()).await?;
        }
        Ok(())
    }

    /// Sends a message of the application's own code, which is never cut.
    ///
    /// # Errors
    /// As [`Link::send`]; [`Fault::TooLarge`] if the other side could not take it.
    pub async fn send_frame(&self, code: u32, payload: Vec<u8>) -> Result<(), Error> {
        loop {
            let woken = self.shared.writable.notified();
            {
                let mut state = self.shared.lock();
                ended_early(&state)?;
                if state.machine.can_send() && (state.machine.is_open() || code <= code::MORE) {
                    let input = Input::Send { code, payload };
                    let result = state.machine.handle(self.shared.now(), &mut rand::rng(), input);
                    self.shared.wake_task(state);
                    return Ok(result?);
                }
                if state.machine.is_closing() {
                    return Err(waypost_framelink::Error::from(Fault::Closed).into());
                }
            }
            woken.await;
        }
    }

    /// The next message; none once the other side has closed (`raw`: its stream has ended).
    ///
    /// # Errors
    /// [`Error::Link`] after everything that was verified has been read; [`Fault::TooLarge`] for a message of more
    /// than 16 MiB.
    pub async fn recv(&self) -> Result<Option<Message>, Error> {
        self.next(|state, now| {
            let keyed = state.machine.mode().is_keyed();
            while let Some(frame) = state.machine.next_frame(now, &mut rand::rng()) {
                let whole = state.partial.len().saturating_add(usize::try_from(frame.length).unwrap_or(usize::MAX));
                if whole > MAX_MESSAGE {
                    return Err(waypost_framelink::Error::from(Fault::TooLarge).into());
                }
                take(&mut state.machine, now, frame, &mut state.partial);
                if !keyed || frame.code != code::MORE {
                    let payload = std::mem::take(&mut state.partial);
                    return Ok(Some(Message { code: frame.code, payload }));
                }
            }
            Ok(None)
        })
        .await
    }

    /// The next frame as it came, whatever message it belongs to; for those who do not call [`Link::recv`].
    ///
    /// # Errors
    /// [`Error::Link`] after everything that was verified has been read.
    pub async fn recv_frame(&self) -> Result<Option<Frame>, Error> {
        self.next(|state, now| {
            let Some(frame) = state.machine.next_frame(now, &mut rand::rng()) else { return Ok(None) };
            let mut payload = Vec::new();
            take(&mut state.machine, now, frame, &mut payload);
            Ok(Some(Frame { code: frame.code, seq: frame.seq, payload }))
        })
        .await
    }

    /// Waits until there is something to take, or never will be.
    async fn next<T>(&self, take: impl Fn(&mut State, Now) -> Result<Option<T>, Error>) -> Result<Option<T>, Error> {
        loop {
            let woken = self.shared.readable.notified();
            let (taken, status, end) = {
                let mut state = self.shared.lock();
                let taken = take(&mut state, self.shared.now())?;
                let outcome = (taken, state.machine.status(), state.machine.end().cloned());
                self.shared.wake_task(state);
                outcome
            };
            match status {
                _ if taken.is_some() => return Ok(taken),
                Status::Slow => {}
                Status::Closed | Status::Ended => return Ok(None),
                _ => return Err(end.map_or(Error::Framelink(Fault::Closed.into()), Error::Link)),
            }
            woken.await;
        }
    }

    /// Reads bytes as they come, whatever frames they came in; 0 once the other side has closed. A frame of
    /// another code than DATA and MORE is left: [`Link::next_code`] tells.
    ///
    /// # Errors
    /// [`Error::Link`] after everything that was verified has been read.
    pub async fn read(&self, buf: &mut [u8]) -> Result<usize, Error> {
        loop {
            let woken = self.shared.readable.notified();
            {
                let mut guard = self.shared.lock();
                let state = &mut *guard;
                let read = state.machine.read(self.shared.now(), &mut rand::rng(), buf);
                let status = state.machine.status();
                let foreign = state.machine.has_unread();
                let end = state.machine.end().cloned();
                self.shared.wake_task(guard);
                match status {
                    _ if read > 0 || foreign => return Ok(read),
                    Status::Slow => {}
                    Status::Closed | Status::Ended => return Ok(0),
                    _ => return Err(end.map_or(Error::Framelink(Fault::Closed.into()), Error::Link)),
                }
            }
            woken.await;
        }
    }

    /// The code of the next frame that can be read.
    pub fn next_code(&self) -> Option<u32> {
        self.shared.lock().machine.next_frame(self.shared.now(), &mut rand::rng()).map(|frame| frame.code)
    }

    /// The profile's read of whole frames: fills `buf` within a time, and says why not if not. Profile, Reads.
    pub async fn recv_into(&self, buf: &mut [u8], within: Duration) -> Received {
        let until = Instant::now() + within;
        let mut all = Received { n: 0, frames: Vec::new(), status: Status::Slow };
        loop {
            let woken = self.shared.readable.notified();
            let rest = buf.get_mut(all.n..).unwrap_or_default();
            let more = {
                let mut state = self.shared.lock();
                let more = state.machine.recv(self.shared.now(), &mut rand::rng(), rest);
                self.shared.wake_task(state);
                more
            };
            all.n += more.n;
            all.status = match more.status {
                Status::TooSmall(_) if !all.frames.is_empty() => Status::Boundary,
                status => status,
            };
            all.frames.extend(more.frames);
            if all.status != Status::Slow || timeout_at(until, woken).await.is_err() {
                return all;
            }
        }
    }

    /// Nothing more will be sent; what was is still delivered, and the other side may go on.
    pub fn close(&self) {
        let _ = self.shared.handle(Input::Close);
    }

    /// Nothing more will be sent or read; the other side has 30 s to close too.
    pub fn finish(&self) {
        let _ = self.shared.handle(Input::Finish);
    }

    /// Ends the link now and tells the other side why: a code of [`code::error`] and at most 256 bytes of text.
    pub fn abort(&self, code: u32, text: &str) {
        let _ = self.shared.handle(Input::Abort { code, text });
    }

    /// Asks the other side for a sign of life; [`Link::pongs`] counts them.
    ///
    /// # Errors
    /// [`Fault::Closed`], and [`Fault::TooLarge`] above 64 bytes.
    pub fn ping(&self, payload: &[u8]) -> Result<(), Error> {
        Ok(self.shared.handle(Input::Ping(payload))?)
    }

    /// Takes the next key before its time.
    ///
    /// # Errors
    /// [`Fault::Closed`].
    pub fn rekey(&self) -> Result<(), Error> {
        Ok(self.shared.handle(Input::Rekey)?)
    }

    /// The next answer to a PING; none once the link has ended. The last few are kept for whoever asks late.
    pub async fn pong(&self) -> Option<Vec<u8>> {
        loop {
            let woken = self.shared.readable.notified();
            {
                let mut state = self.shared.lock();
                if let Some(payload) = state.answers.pop_front() {
                    return Some(payload);
                }
                if state.gone {
                    return None;
                }
            }
            woken.await;
        }
    }

    /// PINGs that were answered.
    pub fn pongs(&self) -> usize {
        self.shared.lock().pongs
    }

    /// SEQ of the last of our frames that the other side had when it closed.
    pub fn peer_received(&self) -> Option<u32> {
        self.shared.lock().machine.peer_received()
    }

    /// Waits until the other side closes, whether or not what came before has been read: the same as
    /// [`Link::peer_received`], or none if the link ends otherwise.
    pub async fn peer_closed(&self) -> Option<u32> {
        loop {
            let woken = self.shared.readable.notified();
            {
                let state = self.shared.lock();
                if state.machine.peer_received().is_some() || state.machine.end().is_some() {
                    return state.machine.peer_received();
                }
            }
            woken.await;
        }
    }

    /// What it does at this moment. Profile FL-1.3.
    pub fn activity(&self) -> Activity {
        self.shared.lock().machine.activity()
    }

    /// Waits until everything is over and the transport is closed; how it ended.
    pub async fn ended(&self) -> End {
        loop {
            let woken = self.shared.ended.notified();
            {
                let state = self.shared.lock();
                if let (true, Some(end)) = (state.gone, &state.end) {
                    return end.clone();
                }
            }
            woken.await;
        }
    }

    /// Whether it waits for a key to be shown: nobody knows who is at the other end.
    pub(super) fn has_shown_key(&self) -> bool {
        self.shared.lock().machine.has_shown_key()
    }

    /// Ends it without a byte.
    pub(super) fn cut(&self) {
        let _ = self.shared.handle(Input::Broken);
    }

    /// Ends it with GOING_AWAY when this is cancelled.
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    fn is_keyed(&self) -> bool {
        self.shared.lock().machine.mode().is_keyed()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Sending is over with the link, whatever can still be read.
fn ended_early(state: &State) -> Result<(), Error> {
    match state.machine.end() {
        Some(end) => Err(Error::Link(end.clone())),
        None => Ok(()),
    }
}

/// Moves what is left of a frame to the end of `to`.
fn take(machine: &mut Machine, now: Now, frame: FrameInfo, to: &mut Vec<u8>) {
    let begun = to.len();
    to.resize(begun.saturating_add(usize::try_from(frame.length).unwrap_or(usize::MAX)), 0);
    machine.read_frame(now, &mut rand::rng(), to.get_mut(begun..).unwrap_or_default());
}
