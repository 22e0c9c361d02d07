//! The link as a machine: bytes, messages and ticks in; bytes to write and events out.
//!
//! ```text
//! WaitM2 (TOP), WaitM1 (BOTTOM) --block--> WaitHello --peer's HELLO--> Open --> Farewell --> Over
//!                                          raw: a block from a file -----^
//! ```
//! What comes in is parsed at once, so that a CREDIT never waits behind data nobody reads; verified bytes
//! wait in [`Link::recv`]'s buffer, which the credit bounds.

mod control;
mod ending;
mod establishing;
mod hello;
mod inbound;
mod outbound;
mod reading;
mod timers;

pub use ending::{End, Status};
pub use hello::PeerLimits;
pub use reading::{FrameInfo, Received};

use crate::{
    Block, Error, Fault, Mode, Psk, Role, Settings, code,
    establish::{Established, WaitM1, WaitM2},
    link::{establishing::Stage, inbound::Inbound, outbound::Outbound},
};
use rand_core::CryptoRng;
use std::collections::VecDeque;
use waypost_core::{Mono, Now};

/// What happens to a link.
#[derive(Debug)]
pub enum Input<'a> {
    /// Bytes came.
    Bytes(&'a [u8]),
    /// The transport's stream has ended.
    Eof,
    /// The transport is of no use in either direction: it was reset.
    Broken,
    /// A message is to be sent. `raw` cuts a long one into frames of its code; a keyed link cuts
    /// [`code::DATA`] and [`code::MORE`] alone.
    Send {
        /// What it is.
        code: u32,
        /// The message.
        payload: Vec<u8>,
    },
    /// Nothing more will be sent; what comes is still read.
    Close,
    /// Nothing more will be sent or read.
    Finish,
    /// The link is to end now, and the other side to be told why by this ERROR.
    Abort {
        /// The code, see [`code::error`].
        code: u32,
        /// At most 256 bytes of text.
        text: &'a str,
    },
    /// The other side is to answer with the same bytes, at most 64. Keyed links only.
    Ping(&'a [u8]),
    /// The next key, before its time. Keyed links only.
    Rekey,
    /// Every [`Output::Send`] that was polled was taken by the transport.
    Flushed,
    /// A timer is due.
    Tick,
}

/// What a link wants done.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Write these bytes.
    Send(Vec<u8>),
    /// End the own direction of the transport, where it can.
    Shutdown,
    /// Close the transport.
    Disconnect,
    /// Reset the transport: the other side must not take it for a clean end.
    Reset,
    /// Tell whoever owns it.
    Event(Event),
}

/// What became of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// BOTTOM: the one who connects knows one of the keys. Nobody without one gets so far.
    KeyShown {
        /// Which, from 0.
        psk: usize,
    },
    /// The other side is the right one; messages flow.
    Open {
        /// How it was established.
        mode: Mode,
        /// With which key, from 0.
        psk: usize,
        /// What the other side takes.
        peer: PeerLimits,
    },
    /// A PING was answered.
    Pong(Vec<u8>),
    /// The other side sends nothing more.
    PeerClosed {
        /// SEQ of the last of our frames that it had verified.
        received: u32,
    },
    /// It is over; what was verified can still be read.
    Ended(End),
}

/// One side of a link.
pub struct Link {
    role: Role,
    mode: Mode,
    settings: Settings,
    stage: Stage,
    /// Both directions, once there is a block.
    wire: Option<Wire>,
    end: Option<End>,
    /// SEQ that the peer's CLOSE confirmed.
    peer_received: Option<u32>,
    outputs: VecDeque<Output>,
    /// BOTTOM: whether a link more is one too many.
    busy: bool,
    /// Input that stays unparsed until the application reads.
    stash: Vec<u8>,
    /// The stream has ended behind what stays unparsed.
    ends: bool,
    /// The first bytes that came: an explanation, when `raw` meets a keyed peer.
    first: Vec<u8>,
    /// Closed before there were frames: CLOSE follows HELLO.
    closing: bool,
    /// Whether a read has reported the end.
    told: bool,
    since: Since,
}

/// When things began that may not last for ever.
#[derive(Clone, Copy, Debug)]
struct Since {
    handshake: Mono,
    /// The last verified input.
    heard: Mono,
    /// The last PING of ours.
    pinged: Mono,
    /// The frame that is coming in.
    frame: Option<Mono>,
    /// Reading stopped, for nobody takes what came.
    paused: Option<Mono>,
    /// Nobody reads any more, and what was queued then could have left.
    finished: Option<Mono>,
}

/// Both directions.
struct Wire {
    inbound: Inbound,
    outbound: Outbound,
    th: [u8; 32],
    psk: usize,
}

impl Link {
    /// TOP of a keyed link.
    ///
    /// # Errors
    /// [`Fault::BadConfig`].
    pub fn connect(
        now: Now,
        rng: &mut impl CryptoRng,
        psk: Psk,
        mode: Mode,
        settings: Settings,
    ) -> Result<Self, Error> {
        settings.check(mode)?;
        let (wait, m1) = WaitM2::start(rng, psk, mode, settings.framing.align)?;
        let mut link = Self::new(now, Role::Top, mode, settings, Stage::WaitM2 { wait, got: Vec::new() });
        link.outputs.push_back(Output::Send(m1));
        Ok(link)
    }

    /// BOTTOM of a keyed link: answers these modes to whoever knows one of these keys.
    ///
    /// # Errors
    /// [`Fault::BadConfig`] for settings, for no mode, and for `raw` among them.
    pub fn accept(now: Now, psks: Vec<Psk>, modes: Vec<Mode>, settings: Settings) -> Result<Self, Error> {
        let Some(&mode) = modes.first() else { return Err(Fault::BadConfig.into()) };
        if modes.contains(&Mode::Raw) {
            return Err(Fault::BadConfig.into());
        }
        settings.check(mode)?;
        let wait = WaitM1 { psks, modes, align: settings.framing.align };
        let stage = Stage::WaitM1 { wait, got: Vec::new(), asked: None };
        Ok(Self::new(now, Role::Bottom, mode, settings, stage))
    }

    /// Either side of a raw link. The block must be in the ledger of used ones before. Profile FL-5.1.
    ///
    /// # Errors
    /// [`Fault::BadConfig`].
    pub fn raw(now: Now, block: &Block, role: Role, settings: Settings) -> Result<Self, Error> {
        settings.check(Mode::Raw)?;
        let mut link = Self::new(now, role, Mode::Raw, settings, Stage::Open);
        let mut wire = Wire::new(block, role, &link.settings, now.mono);
        let peer = PeerLimits::unlimited();
        wire.outbound.open_raw();
        wire.inbound.open_raw();
        link.wire = Some(wire);
        link.outputs.push_back(Output::Event(Event::Open { mode: Mode::Raw, psk: 0, peer }));
        Ok(link)
    }

    /// A keyed link whose block was established elsewhere; sends its HELLO.
    ///
    /// # Errors
    /// [`Fault::BadConfig`].
    pub fn established(
        now: Now,
        rng: &mut impl CryptoRng,
        established: &Established,
        role: Role,
        settings: Settings,
    ) -> Result<Self, Error> {
        settings.check(established.mode)?;
        let mut link = Self::new(now, role, established.mode, settings, Stage::WaitHello);
        link.begin(now, rng, established)?;
        link.send_out();
        Ok(link)
    }

    fn new(now: Now, role: Role, mode: Mode, settings: Settings, stage: Stage) -> Self {
        let since =
            Since { handshake: now.mono, heard: now.mono, pinged: now.mono, frame: None, paused: None, finished: None };
        Self {
            role,
            mode,
            settings,
            stage,
            wire: None,
            end: None,
            peer_received: None,
            outputs: VecDeque::new(),
            busy: false,
            stash: Vec::new(),
            ends: false,
            first: Vec::new(),
            closing: false,
            told: false,
            since,
        }
    }

    /// Takes what happened.
    ///
    /// # Errors
    /// The input of the caller cannot be done: [`Fault::TooLarge`], [`Fault::QueueFull`], [`Fault::Closed`],
    /// [`Fault::Exhausted`], [`Fault::BadConfig`]. What the other side does wrong is an event.
    pub fn handle(&mut self, now: Now, rng: &mut impl CryptoRng, input: Input<'_>) -> Result<(), Error> {
        let result = match input {
            Input::Bytes(bytes) => self.bytes(now, rng, bytes),
            Input::Eof => {
                self.eof();
                Ok(())
            }
            Input::Broken => {
                self.broken();
                Ok(())
            }
            Input::Send { code, payload } => self.send(code, payload),
            Input::Close => {
                self.close();
                Ok(())
            }
            Input::Finish => {
                self.finish(now, rng);
                Ok(())
            }
            Input::Abort { code, text } => {
                self.abort(now, rng, code, text);
                Ok(())
            }
            Input::Ping(payload) => self.ping(payload),
            Input::Rekey => self.rekey(),
            Input::Flushed => {
                if let Some(wire) = &mut self.wire {
                    wire.outbound.flushed();
                }
                Ok(())
            }
            Input::Tick => {
                self.tick(now, rng);
                Ok(())
            }
        };
        self.settle(now, rng)?;
        result.map_err(Error::from)
    }

    /// What is to be done next; call until there is nothing.
    pub fn poll(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front();
        if let (Some(Output::Send(bytes)), Some(wire)) = (&output, &mut self.wire) {
            wire.outbound.polled(bytes.len());
        }
        output
    }

    /// Whether [`Link::poll`] has something.
    pub fn has_output(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// Which side this is.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// How it is established.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// How it ended, once it has.
    pub const fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// SEQ of the last of our frames that the other side had verified when it closed its direction.
    pub const fn peer_received(&self) -> Option<u32> {
        self.peer_received
    }

    /// Whether messages flow.
    pub const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// Whether the transport is of no use any more.
    pub const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Whether another [`Input::Send`] finds room. Not before the block exists.
    pub fn can_send(&self) -> bool {
        self.wire.as_ref().is_some_and(|wire| wire.outbound.has_room(self.settings.limits.queue)) && self.end.is_none()
    }

    /// Whether nothing more can be sent: closed, or over.
    pub fn is_closing(&self) -> bool {
        self.end.is_some() || self.closing || self.wire.as_ref().is_some_and(|wire| wire.outbound.is_closing())
    }

    /// Whether more bytes should be read from the transport. Not while nobody takes what came. Profile,
    /// Deadlock rule.
    pub const fn wants_bytes(&self) -> bool {
        self.stash.is_empty() && !self.ends && !self.is_over()
    }

    /// BOTTOM: whether one link more is one too many; then a good M1 is answered REJECT 6.
    pub const fn set_busy(&mut self, busy: bool) {
        self.busy = busy;
    }

    /// Whether a frame is on its way out, and whether one is coming in. Profile FL-1.3.
    pub fn activity(&self) -> Activity {
        let Some(wire) = &self.wire else { return Activity::default() };
        Activity { sending: wire.outbound.is_sending(), receiving: wire.inbound.is_receiving() }
    }

    /// Bytes of memory that hold what came and was not read: for tests of its bound.
    #[doc(hidden)]
    pub fn room(&self) -> usize {
        self.stash.capacity() + self.wire.as_ref().map_or(0, |wire| wire.inbound.room())
    }

    fn send(&mut self, code: u32, payload: Vec<u8>) -> Result<(), Fault> {
        if self.end.is_some() {
            return Err(Fault::Closed);
        }
        let (keyed, room) = (self.mode.is_keyed(), self.settings.limits.queue);
        let Some(wire) = &mut self.wire else { return Err(Fault::Closed) };
        if keyed && !code::is_application(code) {
            return Err(Fault::UnknownControl);
        }
        wire.outbound.send(code, payload, room)
    }

    fn rekey(&mut self) -> Result<(), Fault> {
        match &mut self.wire {
            Some(wire) if self.mode.is_keyed() && matches!(self.stage, Stage::Open) => wire.outbound.ask_rekey(),
            _ => Err(Fault::Closed),
        }
    }

    /// Seals what may be sealed now, and hands it out.
    fn settle(&mut self, now: Now, rng: &mut impl CryptoRng) -> Result<(), Error> {
        let result = match &mut self.wire {
            Some(wire) if matches!(self.stage, Stage::Open) => {
                if let Some(granted) = wire.inbound.discarded() {
                    wire.outbound.grant(granted);
                }
                let last = wire.inbound.last_seq();
                let hold = self.settings.duplex == crate::Duplex::Strict && wire.inbound.is_receiving();
                if hold { Ok(()) } else { wire.outbound.flush(now.mono, rng, last) }
            }
            _ => Ok(()),
        };
        self.send_out();
        self.check_done();
        result.map_err(Error::from)
    }

    fn send_out(&mut self) {
        let Some(wire) = &mut self.wire else { return };
        let (bytes, shutdown) = wire.outbound.take();
        if !bytes.is_empty() {
            self.outputs.push_back(Output::Send(bytes));
        }
        if shutdown {
            if self.mode == Mode::Raw || !wire.inbound.is_closed() {
                self.outputs.push_back(Output::Shutdown);
            }
            wire.inbound.lift_credit();
        }
    }
}

/// What a link does at a moment. Seed, profile FL-1.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// A frame is on its way out.
    pub sending: bool,
    /// A frame is coming in.
    pub receiving: bool,
}

impl Activity {
    /// `WAIT`, `SEND`, `RECV` or `SEND+RECV`.
    pub const fn name(self) -> &'static str {
        match (self.sending, self.receiving) {
            (false, false) => "WAIT",
            (true, false) => "SEND",
            (false, true) => "RECV",
            (true, true) => "SEND+RECV",
        }
    }
}

impl Wire {
    fn new(block: &Block, role: Role, settings: &Settings, now: Mono) -> Self {
        Self {
            inbound: Inbound::new(block, role.peer(), settings),
            outbound: Outbound::new(block, role, settings, now),
            th: [0; 32],
            psk: 0,
        }
    }
    /// Forgets the keys of both directions.
    fn wipe(&mut self) {
        self.inbound.wipe();
        self.outbound.wipe();
    }
}
