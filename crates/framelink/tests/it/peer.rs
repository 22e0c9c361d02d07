//! The other side of one link, played frame by frame: it seals what it likes.

use rand::{SeedableRng, rngs::StdRng};
use waypost_core::Now;
use waypost_framelink::{
    Align, Block, Link, Mode, OVERHEAD, Opener, Progress, Role, Sealer, Settings, code,
    establish::Established,
    link::{End, Event, Input, Output, Received},
};

pub(crate) const TH: [u8; 32] = [0x77; 32];

/// Both alignments.
pub(crate) const ALIGNS: [Align; 2] = [Align::Block, Align::Stream];
/// Both roles.
pub(crate) const ROLES: [Role; 2] = [Role::Top, Role::Bottom];

/// A link under test and the peer it talks to.
pub(crate) struct Played {
    pub(crate) link: Link,
    pub(crate) rng: StdRng,
    pub(crate) now: Now,
    /// What the peer seals with.
    pub(crate) sealer: Sealer,
    pub(crate) block: Block,
    opener: Opener,
    /// Everything the link has sent: codes and payloads.
    pub(crate) sent: Vec<(u32, Vec<u8>)>,
    pub(crate) wire: Vec<u8>,
    pub(crate) events: Vec<Event>,
    /// The outputs that are neither bytes nor events.
    pub(crate) orders: Vec<Output>,
    /// Whether what is written is taken at once.
    pub(crate) flushes: bool,
}

impl Played {
    /// A link that awaits HELLO, or an open raw one.
    pub(crate) fn fresh(mode: Mode, role: Role, settings: &Settings) -> Self {
        let mut rng = StdRng::seed_from_u64(21);
        let (now, block) = (Now::default(), Block::generate(&mut rng));
        let link = if mode.is_keyed() {
            let established = Established { block: block.clone(), th: TH, mode, psk: 0 };
            Link::established(now, &mut rng, &established, role, settings.clone())
        } else {
            Link::raw(now, &block, role, settings.clone())
        };
        let mut played = Self {
            link: link.unwrap(),
            rng,
            now,
            sealer: Sealer::new(&block, role.peer(), settings.framing),
            opener: Opener::new(&block, role, settings.framing),
            block,
            sent: Vec::new(),
            wire: Vec::new(),
            events: Vec::new(),
            orders: Vec::new(),
            flushes: true,
        };
        played.drain();
        played
    }

    /// A keyed link that is open, to a peer of default limits.
    pub(crate) fn open(role: Role, settings: &Settings) -> Self {
        Self::open_with(role, settings, 1 << 20, 4 << 20)
    }

    /// To a peer of these limits.
    pub(crate) fn open_with(role: Role, settings: &Settings, max_frame: u32, credit: u32) -> Self {
        let mut played = Self::fresh(Mode::Psk, role, settings);
        let hello = hello(role.peer(), max_frame, credit);
        played.frame(code::HELLO, &hello);
        assert!(played.link.is_open());
        played
    }

    pub(crate) fn raw(role: Role, settings: &Settings) -> Self {
        Self::fresh(Mode::Raw, role, settings)
    }

    /// A frame of the peer that is not delivered yet.
    pub(crate) fn seal(&mut self, code: u32, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.sealer.seal(code, payload, &mut out).unwrap();
        out
    }

    /// A frame of the peer.
    pub(crate) fn frame(&mut self, code: u32, payload: &[u8]) {
        let wire = self.seal(code, payload);
        self.bytes(&wire);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.input(Input::Bytes(bytes));
    }

    pub(crate) fn input(&mut self, input: Input<'_>) {
        self.try_input(input).unwrap();
    }

    pub(crate) fn try_input(&mut self, input: Input<'_>) -> Result<(), waypost_framelink::Error> {
        let result = self.link.handle(self.now, &mut self.rng, input);
        self.drain();
        result
    }

    pub(crate) fn send(&mut self, code: u32, payload: &[u8]) {
        self.input(Input::Send { code, payload: payload.to_vec() });
    }

    /// Reads once; what is behind the read bytes must be zero.
    pub(crate) fn recv(&mut self, length: usize) -> (Vec<u8>, Received) {
        let mut buf = vec![0xaa; length];
        let received = self.link.recv(self.now, &mut self.rng, &mut buf);
        self.drain();
        let rest = buf.split_off(received.n);
        assert!(rest.iter().all(|byte| *byte == 0) || received.status == waypost_framelink::link::Status::Boundary);
        (buf, received)
    }

    /// At a later moment, every timer that is due until then.
    pub(crate) fn until(&mut self, millis: u64) {
        let until = waypost_core::Mono::from_millis(millis);
        while let Some(due) = self.link.poll_timeout().filter(|due| *due <= until) {
            self.now.mono = self.now.mono.max(due);
            self.input(Input::Tick);
        }
        self.now.mono = until;
    }

    pub(crate) fn end(&self) -> &End {
        self.link.end().expect("an end")
    }

    /// Codes of what was sent.
    pub(crate) fn codes(&self) -> Vec<u32> {
        self.sent.iter().map(|(code, _)| *code).collect()
    }

    fn drain(&mut self) {
        while let Some(output) = self.link.poll() {
            match output {
                Output::Send(bytes) => {
                    self.wire.extend_from_slice(&bytes);
                    self.open_sent(&bytes);
                    if self.flushes {
                        self.link.handle(self.now, &mut self.rng, Input::Flushed).unwrap();
                    }
                }
                Output::Event(event) => self.events.push(event),
                order => self.orders.push(order),
            }
        }
    }

    fn open_sent(&mut self, mut wire: &[u8]) {
        while !wire.is_empty() {
            match self.opener.push(&mut wire) {
                Ok(Progress::Frame(header)) => {
                    let payload = self.opener.payload().to_vec();
                    if header.code == code::REKEY && self.link.mode().is_keyed() {
                        self.opener.turn(&payload.clone().try_into().unwrap());
                    }
                    self.sent.push((header.code, payload));
                }
                Ok(_) => {}
                Err(fault) => panic!("what was sent makes no sense: {fault}"),
            }
        }
        assert!(self.opener.is_between_frames(), "half a frame was sent");
    }
}

/// HELLO of `role` in mode psk.
pub(crate) fn hello(role: Role, max_frame: u32, credit: u32) -> Vec<u8> {
    let letter = if role == Role::Top { b'T' } else { b'B' };
    let limits = [max_frame, credit, 0].map(u32::to_be_bytes).concat();
    [&TH[..], &[0, 1, letter, 2], &limits].concat()
}

/// Wire bytes of a frame with so much payload.
pub(crate) const fn wire_len(payload: usize) -> usize {
    payload + OVERHEAD
}
