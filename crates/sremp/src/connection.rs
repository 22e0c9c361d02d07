//! One connection between two peers, from the first byte to the last. SREMP 4.1, 10.2 and 10.3, profile
//! Connection.
//!
//! ```text
//!  dialler                                   listener
//!  header, msg1  ------------------------->
//!                <-------------------------  header, msg2
//!  pin checked
//!  msg3, IDENTITY ------------------------>  verified, bound, Event::Identified
//!                                            Judged(Accept)  -> Event::Ready
//!  verified, bound, Event::Identified <----  IDENTITY
//!  Judged(Accept) -> Event::Ready
//!                <------ messages ------->   Event::Message
//! ```
//! The machine does the header, the handshake, the order and the binding of identities, all timers, PING
//! and PONG, chunks both ways, and ERROR 6 for messages it does not know. The caller judges identities by
//! its trust rules and acts on messages. What the peer does wrong never comes back as an error of a call:
//! it is [`Event::Closed`].

mod event;
mod exchange;
mod limits;
mod phase;
mod timer;

pub use event::{Closed, Event, Input, Output, Verdict};
pub use limits::{Limits, Timing};
pub use timer::Timer;

use crate::{
    Error, ErrorCode, Identity, Message,
    chunk::{ChunkLimits, Reassembler},
    crypto::x25519::{PublicKey, Secret},
    frame::FrameReader,
    message::ErrorMessage,
    noise::{Initiator, NoiseKeys},
    version::OWN_HEADER,
};
use phase::Phase;
use rand_core::CryptoRng;
use std::{collections::VecDeque, sync::Arc};
use timer::Timers;
use waypost_core::{ContactId, Mono, Now};

/// What a peer shows of itself: the same for all its connections.
#[derive(Clone, Debug)]
pub struct ConnectionKeys {
    noise: NoiseKeys,
    identity: Identity,
}

impl ConnectionKeys {
    /// The Noise secret and the identity that names its public key.
    ///
    /// # Errors
    /// It names another one.
    pub fn new(noise_secret: Secret, identity: Identity) -> Result<Self, Error> {
        let noise = NoiseKeys::new(noise_secret);
        if noise.public() == identity.noise_key() {
            Ok(Self { noise, identity })
        } else {
            Err(Error::BadInput("the identity names another noise key"))
        }
    }

    /// The own identity.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// Whom a dialler expects. What is unknown is not checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialled {
    /// Who must answer: a contact, an invitation, a lookup, a relay. Profile SR-4.1.1a.
    pub identity: Option<ContactId>,
    /// With which Noise key: checked before the own one is shown. Profile SR-4.1.1b.
    pub pin: Option<PublicKey>,
}

enum Side {
    Dialler(Dialled),
    Listener,
}

impl Side {
    fn pin(&self) -> Option<&PublicKey> {
        match self {
            Self::Dialler(dialled) => dialled.pin.as_ref(),
            Self::Listener => None,
        }
    }

    fn identity(&self) -> Option<&ContactId> {
        match self {
            Self::Dialler(dialled) => dialled.identity.as_ref(),
            Self::Listener => None,
        }
    }
}

/// The machine of one connection.
pub struct Connection {
    keys: Arc<ConnectionKeys>,
    side: Side,
    limits: Limits,
    timing: Timing,
    phase: Phase,
    timers: Timers,
    reader: FrameReader,
    /// Input that came while the identity was judged.
    held: Vec<u8>,
    reassembler: Reassembler,
    known: bool,
    /// The nonce of the last PING the caller sent.
    asked: Option<u64>,
    minor: u8,
    handshake_hash: [u8; 32],
    out: Vec<u8>,
    queue: VecDeque<Output>,
    bytes_in: u64,
    bytes_out: u64,
}

impl Connection {
    /// Speaks first. The connection below must be made already.
    ///
    /// # Errors
    /// Internal only.
    pub fn dial(
        now: Now,
        rng: &mut impl CryptoRng,
        keys: Arc<ConnectionKeys>,
        dialled: Dialled,
        limits: Limits,
        timing: Timing,
    ) -> Result<Self, Error> {
        let header = OWN_HEADER.to_bytes();
        let (initiator, msg1) = Initiator::start(&keys.noise, Secret::generate(rng), &header)?;
        let mut connection = Self::new(now, keys, Side::Dialler(dialled), Some(initiator), limits, timing);
        connection.put(&header);
        connection.put_frame(&msg1);
        Ok(connection)
    }

    /// Waits for the other side to speak.
    pub fn accept(now: Now, keys: Arc<ConnectionKeys>, limits: Limits, timing: Timing) -> Self {
        Self::new(now, keys, Side::Listener, None, limits, timing)
    }

    fn new(
        now: Now,
        keys: Arc<ConnectionKeys>,
        side: Side,
        initiator: Option<Initiator>,
        limits: Limits,
        timing: Timing,
    ) -> Self {
        let mut timers = Timers::default();
        timers.start(Timer::Header, now.mono.after(timing.header));
        timers.start(Timer::Handshake, now.mono.after(timing.handshake));
        Self {
            keys,
            side,
            reassembler: Reassembler::new(limits.chunk_budget.clone()),
            limits,
            timing,
            phase: Phase::Header { bytes: Vec::new(), initiator: initiator.map(Box::new) },
            timers,
            reader: FrameReader::default(),
            held: Vec::new(),
            known: false,
            asked: None,
            minor: 0,
            handshake_hash: [0; 32],
            out: Vec::new(),
            queue: VecDeque::new(),
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// Acts on what happened. After the end nothing does anything.
    ///
    /// # Errors
    /// Only for what the caller did: a message that cannot be sent, a verdict nobody asked for.
    pub fn handle(&mut self, now: Now, rng: &mut impl CryptoRng, input: Input<'_>) -> Result<(), Error> {
        self.expire(now, rng);
        if matches!(self.phase, Phase::Closed) {
            return match input {
                Input::Send(_) | Input::SendRaw(_) => Err(Error::BadInput("the connection is closed")),
                _ => Ok(()),
            };
        }
        match input {
            Input::Bytes(bytes) => {
                self.bytes_in = self.bytes_in.saturating_add(bytes.len() as u64);
                self.bytes(now, rng, bytes);
            }
            Input::Eof => self.eof(),
            Input::Judged(verdict) => {
                self.judged(now, verdict)?;
                let held = std::mem::take(&mut self.held);
                self.bytes(now, rng, &held);
            }
            Input::Send(message) => {
                if let Message::Ping(ping) = &message {
                    self.asked = Some(ping.nonce);
                }
                self.send(rng, &message)?;
            }
            Input::SendRaw(bytes) => self.send_raw(&bytes)?,
            Input::Close(error) => self.asked(now, error),
            Input::Tick => {}
        }
        Ok(())
    }

    /// The next thing to do, bytes before everything else.
    pub fn poll(&mut self) -> Option<Output> {
        if !self.out.is_empty() {
            return Some(Output::Send(std::mem::take(&mut self.out)));
        }
        let output = self.queue.pop_front();
        if self.queue.is_empty() {
            // Most connections wait for something most of the time: they hold no room meanwhile.
            self.queue = VecDeque::new();
        }
        output
    }

    /// When to come back with [`Input::Tick`], if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Mono> {
        if matches!(self.phase, Phase::Closed) {
            return None;
        }
        [self.timers.next(), self.reassembler.deadline(self.chunk_limits())].into_iter().flatten().min()
    }

    /// Bytes that wait for [`poll`](Self::poll).
    pub fn send_queue_bytes(&self) -> usize {
        self.out.len()
    }

    /// Whether bytes may be given now: not while the identity is judged, not while much waits to be sent.
    pub fn wants_input(&self) -> bool {
        !matches!(self.phase, Phase::Judging { .. }) && self.out.len() < self.limits.send_queue
    }

    /// Bytes received so far.
    pub const fn bytes_in(&self) -> u64 {
        self.bytes_in
    }

    /// Bytes sent so far, or waiting to be.
    pub const fn bytes_out(&self) -> u64 {
        self.bytes_out
    }

    /// Whether this side was the initiator.
    pub const fn we_dialled(&self) -> bool {
        matches!(self.side, Side::Dialler(_))
    }

    /// Whether messages may be sent.
    pub const fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready(_))
    }

    /// Changes which limits for chunks apply: the contact became Trusted, the client registered.
    pub fn set_known(&mut self, known: bool) {
        self.known = known;
    }

    fn chunk_limits(&self) -> &ChunkLimits {
        if self.known { &self.limits.known_chunks } else { &self.limits.unknown_chunks }
    }

    fn bytes(&mut self, now: Now, rng: &mut impl CryptoRng, mut input: &[u8]) {
        let mut plaintext = Vec::new();
        while !input.is_empty() {
            let step = match self.phase {
                Phase::Closed => return,
                Phase::Header { .. } => self.header(rng, &mut input),
                Phase::Judging { .. } => self.hold(&mut input),
                _ => self.next_frame(now, &mut input, &mut plaintext),
            };
            if let Err(error) = step {
                return self.fault(error);
            }
        }
    }

    fn next_frame(&mut self, now: Now, input: &mut &[u8], plaintext: &mut Vec<u8>) -> Result<(), Error> {
        let Some(frame) = self.reader.next(input, self.phase.longest_frame())? else { return Ok(()) };
        match self.phase {
            Phase::Msg1(_) | Phase::Msg2 { .. } | Phase::Msg3(_) => self.handshake(now, frame.as_ref()),
            _ => self.sealed_frame(now, frame.as_ref(), plaintext),
        }
    }

    /// Keeps bytes until the identity is judged.
    fn hold(&mut self, input: &mut &[u8]) -> Result<(), Error> {
        if self.held.len() + input.len() > self.limits.held_input {
            return Err(Error::Limit("bytes before the identity is judged"));
        }
        self.held.extend_from_slice(std::mem::take(input));
        Ok(())
    }

    fn eof(&mut self) {
        match (&self.phase, self.reader.finish()) {
            (Phase::Lingering(_), _) => self.close(Closed::Asked),
            (_, Err(error)) => self.close(Closed::Fault(error)),
            _ => self.close(Closed::Eof),
        }
    }

    /// Profile SR-6f: DUPLICATE is the last message, then the other side's are read until the end or 2 s.
    fn asked(&mut self, now: Now, error: Option<ErrorMessage>) {
        if let Some(error) = &error {
            self.last_word(error);
        }
        let duplicate = error.is_some_and(|error| error.known_code() == Some(ErrorCode::Duplicate));
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Ready(transport) if duplicate => {
                self.phase = Phase::Lingering(transport);
                self.timers.stop_all();
                self.timers.start(Timer::Linger, now.mono.after(self.timing.linger));
            }
            Phase::Lingering(transport) if duplicate => self.phase = Phase::Lingering(transport),
            phase => {
                self.phase = phase;
                self.close(Closed::Asked);
            }
        }
    }

    /// Acts on timers that ran out, whatever the call was for.
    fn expire(&mut self, now: Now, rng: &mut impl CryptoRng) {
        for timer in [Timer::Header, Timer::Handshake, Timer::Identity, Timer::Silence] {
            if self.timers.has_expired(timer, now.mono) {
                return self.close(Closed::Timeout(timer));
            }
        }
        if self.timers.has_expired(Timer::Linger, now.mono) {
            return self.close(Closed::Asked);
        }
        if self.timers.has_expired(Timer::Ping, now.mono) {
            self.timers.start(Timer::Ping, now.mono.after(self.timing.ping));
            if let Err(error) = self.ping(rng) {
                return self.fault(error);
            }
        }
        if let Err(error) = self.reassembler.check_time(now.mono, self.chunk_limits()) {
            self.fault(error);
        }
    }

    /// Tells the peer what it did wrong, where that is allowed, and ends.
    fn fault(&mut self, error: Error) {
        // What does not decrypt may be anybody's: nothing is said.
        if !matches!(error, Error::Crypto(_)) {
            self.last_word(&ErrorMessage::new(error.code()).fatal());
        }
        self.close(Closed::Fault(error));
    }

    fn close(&mut self, reason: Closed) {
        if matches!(self.phase, Phase::Closed) && self.queue.contains(&Output::Close) {
            return;
        }
        self.phase = Phase::Closed;
        self.timers.stop_all();
        self.held = Vec::new();
        self.reader = FrameReader::default();
        self.reassembler = Reassembler::new(self.limits.chunk_budget.clone());
        self.event(Event::Closed(reason));
        self.queue.push_back(Output::Close);
    }

    fn event(&mut self, event: Event) {
        self.queue.push_back(Output::Event(event));
    }

    fn sent(&mut self, bytes: usize) {
        self.bytes_out = self.bytes_out.saturating_add(bytes as u64);
    }
}
