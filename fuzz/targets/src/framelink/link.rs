//! A link whose other side holds the key and does what it likes.

use crate::peer::step;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::time::Duration;
use waypost_core::Now;
use waypost_framelink::{
    Align, Block, Duplex, Fault, Link, Mode, Opener, Pad, Progress, Role, Sealer, Settings, UNLIMITED, code,
    establish::Established,
    link::{Input, Output, Status},
};

/// Steps of an input: more teach nothing new.
const STEPS: usize = 128;
const TH: [u8; 32] = [7; 32];
/// Timers that may be due at one moment.
const TIMERS: u32 = 6;
/// Codes that a frame's first byte chooses among; the others are taken as they are.
const CODES: [u32; 12] = [
    code::DATA,
    code::MORE,
    code::HELLO,
    code::REKEY,
    code::CLOSE,
    code::PING,
    code::PONG,
    code::ERROR,
    code::PAD,
    code::CREDIT,
    77,
    0x8000_0000,
];

/// Frames that are sealed as they must be and say anything; bytes that are not; and an application that does
/// something now and then.
///
/// The first byte chooses the settings. Whatever comes: no panic, only sealed bytes are read, in their order, an
/// end stays the end, memory is bounded, and what leaves makes sense to the other side.
pub fn framelink_link(data: &[u8]) {
    let Some((choice, mut data)) = data.split_first() else { return };
    let Some(mut world) = World::new(*choice) else { return };
    for _ in 0..STEPS {
        let Some((kind, content)) = step(&mut data) else { break };
        match kind % 16 {
            0..6 => world.frame(content),
            6 => world.bytes(content),
            7 => world.wait(content),
            8 => world.give(Input::Eof),
            9 => world.give(if content.is_empty() { Input::Close } else { Input::Finish }),
            10 => world.give(Input::Send { code: u32::from(kind / 16), payload: content.to_vec() }),
            11 => world.give(if content.is_empty() { Input::Rekey } else { Input::Ping(content) }),
            12 => world.flushes ^= true,
            13 => world.read(content.len().saturating_add(1)),
            14 => world.give(Input::Abort { code: 5, text: str::from_utf8(content).unwrap_or("text") }),
            _ => world.recv(content.len().saturating_add(1)),
        }
        world.check();
    }
    world.hang_up();
}

struct World {
    link: Link,
    rng: ChaCha20Rng,
    now: Now,
    limits: waypost_framelink::Limits,
    sealer: Sealer,
    opener: Opener,
    keyed: bool,
    /// Payloads of all application frames that were sealed and delivered, and what was read of them.
    said: Vec<u8>,
    read: Vec<u8>,
    flushes: bool,
    is_over: bool,
    ended: Option<Status>,
}

impl World {
    fn new(choice: u8) -> Option<Self> {
        let bit = |number: u8| choice & (1 << number) != 0;
        let mut settings = Settings::default();
        settings.framing.align = if bit(0) { Align::Stream } else { Align::Block };
        let (keyed, role) = (!bit(1), if bit(2) { Role::Top } else { Role::Bottom });
        settings.limits.max_frame = 4096;
        if bit(3) {
            (settings.limits.credit, settings.limits.unread_frames) = (50, 4);
        }
        if bit(4) {
            (settings.limits.rekey_frames, settings.limits.rekey_blocks) = (5, 300);
        }
        if bit(5) {
            settings.duplex = Duplex::Strict;
        }
        if bit(6) {
            settings.pad = Pad::Bucket;
        }
        if bit(7) {
            settings.limits.credit = UNLIMITED;
        }
        let (now, mut rng) = (Now::default(), ChaCha20Rng::from_seed([2; 32]));
        let block = Block::generate(&mut rng);
        let link = if keyed {
            let established = Established { block: block.clone(), th: TH, mode: Mode::Psk, psk: 0 };
            Link::established(now, &mut rng, &established, role, settings.clone()).ok()?
        } else {
            Link::raw(now, &block, role, settings.clone()).ok()?
        };
        let mut world = Self {
            link,
            rng,
            now,
            limits: settings.limits,
            sealer: Sealer::new(&block, role.peer(), settings.framing),
            opener: Opener::new(&block, role, settings.framing),
            keyed,
            said: Vec::new(),
            read: Vec::new(),
            flushes: true,
            is_over: false,
            ended: None,
        };
        world.drain();
        if keyed && !bit(7) {
            let letter = if role == Role::Top { b'B' } else { b'T' };
            let hello = [&TH[..], &[0, 1, letter, 2], &[0, 0, 4, 0], &[0, 0, 2, 0], &[0; 4]].concat();
            world.seal(code::HELLO, &hello);
        }
        Some(world)
    }

    /// A frame of any code; the first byte chooses among those that mean something.
    fn frame(&mut self, content: &[u8]) {
        let Some((choice, payload)) = content.split_first() else { return };
        let code = match CODES.get(usize::from(*choice)) {
            Some(code) => *code,
            None => u32::from(*choice).rotate_right(4),
        };
        self.seal(code, payload);
    }

    fn seal(&mut self, code: u32, payload: &[u8]) {
        let mut wire = Vec::new();
        let sealed = match (self.keyed, code, <&[u8; 32]>::try_from(payload)) {
            (true, code::REKEY, Ok(r)) => self.sealer.rekey(r, &mut wire),
            _ => self.sealer.seal(code, payload, &mut wire),
        };
        assert_eq!(sealed, Ok(()));
        if !self.keyed || code::is_application(code) {
            self.said.extend_from_slice(payload);
        }
        // In two pieces, so that every frame is met half way.
        let (head, tail) = wire.split_at(payload.len().min(wire.len()));
        self.bytes(head);
        self.bytes(tail);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if self.link.wants_bytes() {
            self.give(Input::Bytes(bytes));
        } else {
            // The transport keeps them, and what is read next is not what was sealed.
            self.read(usize::MAX >> 40);
            self.give(Input::Bytes(bytes));
        }
    }

    fn give(&mut self, input: Input<'_>) {
        let was_open = self.link.end().is_none();
        if let Err(error) = self.link.handle(self.now, &mut self.rng, input) {
            assert!(matches!(
                error.fault(),
                Fault::Closed | Fault::TooLarge | Fault::QueueFull | Fault::UnknownControl | Fault::Exhausted
            ));
        }
        assert!(was_open || self.link.end().is_some(), "an end stays the end");
        self.drain();
    }

    /// Seconds pass, with the timers in them.
    fn wait(&mut self, content: &[u8]) {
        let seconds = content.iter().map(|byte| u64::from(*byte)).sum();
        let until = self.now.mono.after(Duration::from_secs(seconds));
        let mut at_once = 0;
        while let Some(due) = self.link.poll_timeout().filter(|due| *due <= until) {
            at_once = if due > self.now.mono { 0 } else { at_once + 1 };
            assert!(at_once <= TIMERS, "a timer that stays due");
            self.now.mono = self.now.mono.max(due);
            self.give(Input::Tick);
        }
        self.now.mono = until;
    }

    fn recv(&mut self, length: usize) {
        let mut buf = vec![0xaa; length];
        let received = self.link.recv(self.now, &mut self.rng, &mut buf);
        let (data, rest) = buf.split_at(received.n);
        self.read.extend_from_slice(data);
        assert_eq!(received.frames.iter().map(|frame| frame.length as usize).sum::<usize>(), received.n);
        if !matches!(received.status, Status::Full | Status::Boundary) {
            assert!(rest.iter().all(|byte| *byte == 0), "what is not verified is shown");
        }
        self.drain();
    }

    fn read(&mut self, length: usize) {
        let mut buf = vec![0; length.min(1 << 20)];
        let read = self.link.read(self.now, &mut self.rng, &mut buf);
        self.read.extend_from_slice(buf.get(..read).unwrap_or_default());
        self.drain();
    }

    fn check(&mut self) {
        assert!(self.said.starts_with(&self.read), "what was read was not said");
        if let Some(end) = self.link.end() {
            assert_eq!(*self.ended.get_or_insert(end.status), end.status, "an end changes");
        }
        let bound = 8 * self.limits.max_frame as usize + 2 * self.said.len() + (1 << 20);
        assert!(self.link.room() <= bound);
        if self.link.is_over() {
            assert_eq!(self.link.poll_timeout(), None);
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.link.poll() {
            match output {
                Output::Send(bytes) => {
                    assert!(!self.is_over, "bytes behind the end");
                    self.open(&bytes);
                    if self.flushes {
                        assert_eq!(self.link.handle(self.now, &mut self.rng, Input::Flushed), Ok(()));
                    }
                }
                Output::Disconnect | Output::Reset => {
                    assert!(!self.is_over, "closed twice");
                    self.is_over = true;
                }
                Output::Shutdown | Output::Event(_) => {}
            }
        }
    }

    /// What leaves is whole frames, each the next one.
    fn open(&mut self, mut wire: &[u8]) {
        while !wire.is_empty() {
            match self.opener.push(&mut wire) {
                Ok(Progress::Frame(header)) if self.keyed && header.code == code::REKEY => {
                    let r = self.opener.payload().try_into().unwrap_or([0; 32]);
                    self.opener.turn(&r);
                }
                Ok(_) => {}
                Err(fault) => assert_eq!(Err(fault), Ok(()), "what leaves does not hold"),
            }
        }
        assert!(self.opener.is_between_frames(), "half a frame leaves");
    }

    /// Everything is read, time passes: nothing lasts for ever.
    fn hang_up(&mut self) {
        self.give(Input::Finish);
        self.wait(&[255; 20]);
        self.flushes = true;
        self.give(Input::Flushed);
        self.wait(&[255; 20]);
        self.check();
        assert!(self.link.is_over(), "a finished link is over at last");
    }
}
