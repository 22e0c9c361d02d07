//! Two links, what runs each of them, and the sockets between them, on a virtual clock.

use rand::{SeedableRng, rngs::StdRng};
use std::{collections::VecDeque, time::Duration};
use waypost_core::{Mono, Now};
use waypost_framelink::{
    Align, Block, Error, Link, Mode, Psk, Role, Settings,
    link::{End, Event, FrameInfo, Input, Output, Status},
};

/// TOP and BOTTOM as indexes.
pub(crate) const TOP: usize = 0;
pub(crate) const BOTTOM: usize = 1;
/// Steps without an end after which two links hang.
const PATIENCE: u32 = 2_000_000;

static ZEROS: [u8; 4096] = [0; 4096];

/// Bytes in order, taken from the front in pieces.
#[derive(Default)]
pub(crate) struct Bytes {
    bytes: Vec<u8>,
    from: usize,
}

impl Bytes {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.from
    }

    pub(crate) fn push(&mut self, more: &[u8]) {
        self.bytes.extend_from_slice(more);
    }

    pub(crate) fn take(&mut self, most: usize) -> Vec<u8> {
        let end = self.from + most.min(self.len());
        let taken = self.bytes[self.from..end].to_vec();
        self.from = end;
        if self.from * 2 >= self.bytes.len() {
            self.bytes.drain(..self.from);
            self.from = 0;
        }
        taken
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// One side: a link, and an application that writes and reads.
pub(crate) struct Side {
    pub(crate) link: Link,
    pub(crate) rng: StdRng,
    pub(crate) events: Vec<Event>,
    /// Messages the application still has to write, and what it does behind the last.
    pub(crate) messages: VecDeque<(u32, Vec<u8>)>,
    pub(crate) closes: bool,
    /// Whether it reads, and how much at a time.
    pub(crate) reads: bool,
    pub(crate) buffer: usize,
    pub(crate) received: Vec<u8>,
    pub(crate) frames: Vec<FrameInfo>,
    /// What the last read came to.
    pub(crate) status: Option<Status>,
    /// Sizes of what was written at once.
    pub(crate) bursts: Vec<usize>,
    /// Everything that was written.
    pub(crate) wire: Vec<u8>,
    /// Whether `wire` is kept.
    pub(crate) records: bool,
    pub(crate) was_reset: bool,
    /// Whether nothing has happened since the last read.
    stale: bool,
    room: Vec<u8>,
    /// Written by the link, not taken by the socket.
    outbox: Bytes,
    shut: bool,
    gone: bool,
    eof_told: bool,
}

impl Side {
    pub(crate) fn new(link: Link, seed: u64) -> Self {
        Self {
            link,
            rng: StdRng::seed_from_u64(seed),
            events: Vec::new(),
            messages: VecDeque::new(),
            closes: false,
            reads: true,
            buffer: 1 << 16,
            received: Vec::new(),
            frames: Vec::new(),
            status: None,
            bursts: Vec::new(),
            wire: Vec::new(),
            records: false,
            was_reset: false,
            stale: false,
            room: Vec::new(),
            outbox: Bytes::default(),
            shut: false,
            gone: false,
            eof_told: false,
        }
    }

    pub(crate) fn input(&mut self, now: Now, input: Input<'_>) -> Result<(), Error> {
        self.stale = false;
        self.link.handle(now, &mut self.rng, input)
    }

    /// How it ended, as every read says from now on.
    pub(crate) fn end(&self) -> &End {
        self.link.end().expect("an end")
    }

    pub(crate) fn peer_closed(&self) -> Option<u32> {
        self.events.iter().find_map(|event| match event {
            Event::PeerClosed { received } => Some(*received),
            _ => None,
        })
    }

    pub(crate) fn poll(&mut self) -> bool {
        let mut any = false;
        while let Some(output) = self.link.poll() {
            any = true;
            match output {
                Output::Send(bytes) => {
                    assert!(!self.gone && !self.shut, "bytes behind the end");
                    self.bursts.push(bytes.len());
                    if self.records {
                        self.wire.extend_from_slice(&bytes);
                    }
                    self.outbox.push(&bytes);
                }
                Output::Shutdown => self.shut = true,
                Output::Disconnect => self.gone = true,
                Output::Reset => (self.gone, self.was_reset) = (true, true),
                Output::Event(event) => self.events.push(event),
            }
        }
        any
    }

    /// The application writes what finds room.
    fn write(&mut self, now: Now) -> bool {
        let mut any = false;
        while self.link.is_open() && !self.messages.is_empty() && self.link.can_send() {
            let (code, payload) = self.messages.pop_front().unwrap();
            self.input(now, Input::Send { code, payload }).expect("room");
            any |= true;
        }
        if self.closes && self.messages.is_empty() && self.link.is_open() {
            self.closes = false;
            self.input(now, Input::Close).unwrap();
            any = true;
        }
        any
    }

    /// The application reads what is there.
    pub(crate) fn read(&mut self, now: Now) -> bool {
        if std::mem::replace(&mut self.stale, true) {
            return false;
        }
        let mut any = false;
        let mut buf = std::mem::take(&mut self.room);
        buf.resize(self.buffer, 0);
        loop {
            buf.fill(0xaa);
            let got = self.link.recv(now, &mut self.rng, &mut buf);
            self.received.extend_from_slice(&buf[..got.n]);
            self.frames.extend_from_slice(&got.frames);
            if !matches!(got.status, Status::Full | Status::Boundary) {
                let left = buf[got.n..].chunks(ZEROS.len());
                assert!(left.into_iter().all(|left| *left == ZEROS[..left.len()]), "unverified bytes are left");
            }
            any |= !got.frames.is_empty() || self.status != Some(got.status);
            self.status = Some(got.status);
            match got.status {
                Status::Full | Status::Boundary => {}
                Status::TooSmall(length) => buf.resize(length as usize, 0),
                _ => break,
            }
        }
        self.room = buf;
        any
    }
}

/// Both sides and the stream each way.
pub(crate) struct Pair {
    pub(crate) sides: [Side; 2],
    pub(crate) now: Now,
    /// Most bytes read from a socket at once.
    pub(crate) segment: usize,
    /// What a socket takes before its other end is read.
    pub(crate) room: usize,
    /// From TOP, from BOTTOM.
    pipes: [Bytes; 2],
}

impl Pair {
    pub(crate) fn new(top: Link, bottom: Link) -> Self {
        Self {
            sides: [Side::new(top, 11), Side::new(bottom, 12)],
            now: Now::default(),
            segment: 1 << 16,
            room: 1 << 20,
            pipes: [Bytes::default(), Bytes::default()],
        }
    }

    /// A link of any mode that is not begun yet, or, if it is raw, open.
    pub(crate) fn of(mode: Mode, [top, bottom]: [Settings; 2]) -> Self {
        let (now, mut rng) = (Now::default(), StdRng::seed_from_u64(5));
        if mode == Mode::Raw {
            let block = Block::generate(&mut rng);
            let [top, bottom] = [(Role::Top, top), (Role::Bottom, bottom)]
                .map(|(role, settings)| Link::raw(now, &block, role, settings).unwrap());
            return Self::new(top, bottom);
        }
        let psk = Psk::generate(&mut rng);
        let bottom = Link::accept(now, vec![psk.clone()], vec![mode], bottom).unwrap();
        Self::new(Link::connect(now, &mut rng, psk, mode, top).unwrap(), bottom)
    }

    /// The same, with the same settings on both sides.
    pub(crate) fn same(mode: Mode, settings: &Settings) -> Self {
        Self::of(mode, [settings.clone(), settings.clone()])
    }

    /// One that is open.
    pub(crate) fn open(mode: Mode, settings: [Settings; 2]) -> Self {
        let mut pair = Self::of(mode, settings);
        pair.run();
        assert!(pair.sides.iter().all(|side| side.link.is_open()), "no link");
        pair
    }

    /// Moves bytes once in every place; whether anything moved.
    pub(crate) fn step(&mut self) -> bool {
        let mut any = false;
        for index in [TOP, BOTTOM] {
            let other = 1 - index;
            let side = &mut self.sides[index];
            any |= side.poll() | side.write(self.now);
            side.poll();
            let room = self.room - self.pipes[index].len().min(self.room);
            if side.gone {
                // Whoever closes a transport writes no more.
                side.outbox.clear();
            }
            let bytes = side.outbox.take(room);
            if !bytes.is_empty() {
                any = true;
                self.pipes[index].push(&bytes);
                if side.outbox.len() == 0 {
                    side.input(self.now, Input::Flushed).unwrap();
                }
            }
            if side.gone {
                self.pipes[other].clear();
            } else if side.link.wants_bytes() {
                let came = self.pipes[other].take(self.segment);
                let ended = self.sides[other].shut || self.sides[other].gone;
                let nothing_left = self.pipes[other].len() == 0 && self.sides[other].outbox.len() == 0;
                let side = &mut self.sides[index];
                if !came.is_empty() {
                    any = true;
                    side.input(self.now, Input::Bytes(&came)).unwrap();
                } else if ended && nothing_left && !side.eof_told {
                    (any, side.eof_told) = (true, true);
                    side.input(self.now, Input::Eof).unwrap();
                }
            }
            let side = &mut self.sides[index];
            any |= side.poll();
            if side.reads {
                any |= side.read(self.now);
            }
            any |= side.poll();
        }
        any
    }

    /// Until nothing moves any more.
    pub(crate) fn run(&mut self) {
        let mut steps = 0;
        while self.step() {
            steps += 1;
            assert!(steps < PATIENCE, "no end");
        }
    }

    /// Lets time pass, with its timers, and everything move that moves.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now.mono.after(time);
        loop {
            self.run();
            let due = self.sides.iter().filter_map(|side| side.link.poll_timeout()).min();
            let Some(due) = due.filter(|due| *due <= until) else { break };
            self.now.mono = self.now.mono.max(due);
            for side in &mut self.sides {
                if side.link.poll_timeout().is_some_and(|due| due <= self.now.mono) {
                    side.input(self.now, Input::Tick).unwrap();
                }
            }
        }
        self.now.mono = until;
        self.run();
    }

    pub(crate) fn seconds(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    /// One side writes this, then closes.
    pub(crate) fn give(&mut self, index: usize, messages: impl IntoIterator<Item = Vec<u8>>) {
        self.sides[index].messages.extend(messages.into_iter().map(|message| (0, message)));
    }

    pub(crate) fn statuses(&self) -> [Option<Status>; 2] {
        [self.sides[TOP].status, self.sides[BOTTOM].status]
    }

    /// What is on its way from one side, to be changed.
    pub(crate) fn on_the_way(&mut self, from: usize) -> &mut Vec<u8> {
        let pipe = &mut self.pipes[from];
        pipe.bytes.drain(..std::mem::take(&mut pipe.from));
        &mut pipe.bytes
    }

    /// Both closed, and both know it.
    pub(crate) fn assert_closed(&self) {
        assert_eq!(self.statuses(), [Some(Status::Closed); 2]);
        assert!(self.sides.iter().all(|side| side.link.is_over()), "the transport is still open");
    }
}

/// A moment.
pub(crate) const fn at(seconds: u64) -> Now {
    Now { mono: Mono::from_millis(seconds * 1000), wall: waypost_core::Wall::from_millis(0) }
}

pub(crate) fn aligned(align: Align) -> Settings {
    let mut settings = Settings::default();
    settings.framing.align = align;
    settings
}

/// Bytes no two stretches of which look the same for a while.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    let period: Vec<u8> = (0..65_521_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        bytes.extend_from_slice(&period[..period.len().min(length - bytes.len())]);
    }
    bytes
}
