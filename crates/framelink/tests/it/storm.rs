//! Everything at random: settings, messages, what is read when, small sockets, new keys; and in some runs damage.

use crate::pair::{BOTTOM, Pair, TOP, pattern};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::time::Duration;
use waypost_framelink::{
    Align, Duplex, Fault, Limits, Mode, Pad, Settings, UNLIMITED,
    link::{Input, Status},
};
use waypost_testkit::{sim::Counts, storm};

/// What arrives is a prefix of what was sent, all of it if nothing went wrong, and nobody waits for ever.
#[test]
fn storm_what_arrives_is_what_was_sent() {
    storm::run("two links and bad sockets", 100, |seed| Storm::new(seed).run());
}

struct Storm {
    rng: StdRng,
    pair: Pair,
    /// What each side was given to send.
    sent: [Vec<u8>; 2],
    /// The largest message that is never cut.
    uncut: [usize; 2],
    /// Which side has closed.
    closed: [bool; 2],
    damaged: bool,
    counts: Counts,
}

fn one_of<T: Clone>(rng: &mut StdRng, values: &[T]) -> T {
    values[rng.random_range(0..values.len())].clone()
}

fn settings(rng: &mut StdRng, align: Align) -> Settings {
    let mut settings = Settings {
        duplex: one_of(rng, &[Duplex::Full, Duplex::Full, Duplex::Strict]),
        pad: one_of(rng, &[Pad::None, Pad::None, Pad::Bucket]),
        ..Settings::default()
    };
    settings.framing.align = align;
    settings.limits = Limits {
        max_frame: one_of(rng, &[1 << 20, 1024, 5000]),
        cut: one_of(rng, &[65536, 100, 3000]),
        credit: one_of(rng, &[4 << 20, 700, 33, 5000, UNLIMITED]),
        queue: one_of(rng, &[1 << 20, 2000, 1]),
        unread_frames: one_of(rng, &[1 << 18, 1, 7]),
        ..Limits::default()
    };
    if rng.random_bool(0.5) {
        settings.timing.keepalive = None;
    }
    settings
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mode = one_of(&mut rng, &[Mode::Raw, Mode::Psk, Mode::Psk, Mode::Hybrid]);
        let align = one_of(&mut rng, &[Align::Block, Align::Stream]);
        let mut both = [settings(&mut rng, align), settings(&mut rng, align)];
        // What opens a key's frames is set by the same numbers as what seals them.
        let (frames, blocks) = (one_of(&mut rng, &[1 << 24, 2, 5, 40]), one_of(&mut rng, &[1 << 32, 16, 200]));
        let first_seq = one_of(&mut rng, &[1, 1, u32::MAX - 20, 0x7fff_fff0]);
        for settings in &mut both {
            settings.framing.first_seq = first_seq;
            (settings.limits.rekey_frames, settings.limits.rekey_blocks) = (frames, blocks);
            if mode == Mode::Raw {
                settings.limits.max_frame = 1 << 20;
            }
        }
        let uncut = [1, 0].map(|peer: usize| {
            let limits = &both[peer].limits;
            let credit = if limits.credit == UNLIMITED { 1000 } else { limits.credit as usize / 2 };
            let key = (limits.rekey_blocks as usize - 4) * 16 - 24;
            credit.min(1000).min(key)
        });
        let mut pair = Pair::of(mode, both);
        pair.segment = one_of(&mut rng, &[1, 7, 100, 5000, 1 << 16]);
        pair.room = one_of(&mut rng, &[50, 1000, 8 << 10, 1 << 18]);
        for side in &mut pair.sides {
            side.buffer = one_of(&mut rng, &[1, 10, 1000, 1 << 16]);
        }
        Self {
            rng,
            pair,
            sent: [Vec::new(), Vec::new()],
            uncut,
            closed: [false; 2],
            damaged: false,
            counts: Counts::new(),
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn run(mut self) -> Counts {
        let bad = self.rng.random_bool(0.4);
        for _ in 0..self.rng.random_range(5..60) {
            match self.rng.random_range(0..14) {
                0..5 => self.message(),
                5 => {
                    let index = self.rng.random_range(0..2);
                    self.pair.sides[index].reads ^= true;
                }
                6 => self.ask(),
                7 => {
                    let millis = self.rng.random_range(0..2000);
                    self.pair.pass(Duration::from_millis(millis));
                }
                8 if bad => self.damage(),
                9 => self.close(),
                _ => {
                    for _ in 0..self.rng.random_range(1..40) {
                        self.pair.step();
                    }
                }
            }
            self.check();
        }
        self.finish();
        self.counts
    }

    /// One direction ends early, and the other goes on. The first end of stream ends a raw link whole.
    fn close(&mut self) {
        let index = self.rng.random_range(0..2);
        if self.is_keyed() && self.rng.random_bool(0.3) && !self.closed[index] {
            (self.closed[index], self.pair.sides[index].closes) = (true, true);
            self.count("early closes");
        }
    }

    fn is_keyed(&self) -> bool {
        self.pair.sides[0].link.mode().is_keyed()
    }

    fn message(&mut self) {
        let index = self.rng.random_range(0..2);
        if self.closed[index] {
            return;
        }
        let keyed = self.is_keyed();
        let uncut = keyed && self.rng.random_bool(0.2);
        let most = if uncut { self.uncut[index] + 1 } else { one_of(&mut self.rng, &[1, 2, 100, 4000, 20_000]) };
        let length = self.rng.random_range(0..most);
        let from = self.rng.random_range(0..1000);
        let payload = pattern(from + length)[from..].to_vec();
        self.sent[index].extend_from_slice(&payload);
        let code = if uncut { 77 } else { self.rng.random_range(0..2) };
        self.pair.sides[index].messages.push_back((code, payload));
        self.count("messages");
    }

    /// Something that asks for a frame of its own; whether it may is the link's matter.
    fn ask(&mut self) {
        let (index, now) = (self.rng.random_range(0..2), self.pair.now);
        let input = match self.rng.random_range(0..3) {
            0 => Input::Ping(b"ping"),
            1 => Input::Rekey,
            _ => Input::Tick,
        };
        let asked = self.pair.sides[index].input(now, input);
        if let Err(error) = asked {
            assert!(matches!(error.fault(), Fault::Closed | Fault::QueueFull), "{error}");
        }
    }

    /// What a bad wire does to bytes on their way.
    fn damage(&mut self) {
        let from = self.rng.random_range(0..2);
        let kind = self.rng.random_range(0..4);
        let bytes = self.pair.on_the_way(from);
        if bytes.is_empty() {
            return;
        }
        let at = self.rng.random_range(0..bytes.len());
        let what = match kind {
            0 => {
                bytes[at] ^= 1 << self.rng.random_range(0..8);
                "flips"
            }
            1 => {
                bytes.remove(at);
                "drops"
            }
            2 => {
                let tail = bytes[at..].to_vec();
                bytes.extend(tail);
                "replays"
            }
            _ => {
                bytes.truncate(at);
                let (now, to) = (self.pair.now, 1 - from);
                let rest = std::mem::take(self.pair.on_the_way(from));
                self.pair.sides[to].input(now, Input::Bytes(&rest)).unwrap();
                let how = if self.rng.random_bool(0.5) { Input::Eof } else { Input::Broken };
                self.pair.sides[to].input(now, how).unwrap();
                "cuts"
            }
        };
        self.damaged = true;
        self.count(what);
    }

    fn check(&self) {
        for index in [TOP, BOTTOM] {
            let (side, sent) = (&self.pair.sides[index], &self.sent[1 - index]);
            assert!(sent.starts_with(&side.received), "what arrives was not sent");
        }
    }

    fn finish(&mut self) {
        let keyed = self.is_keyed();
        for side in &mut self.pair.sides {
            // Sides that close while they do not read yet are waited for, too.
            side.closes = keyed;
        }
        self.pair.run();
        self.check();
        self.pair.sides.iter_mut().for_each(|side| side.reads = true);
        self.pair.run();
        self.pair.sides.iter_mut().for_each(|side| side.closes = true);
        self.pair.run();
        self.check();
        if self.damaged {
            // Damage that fell on nothing that counts is none; else timers end what waits.
            self.pair.seconds(100_000);
            self.check();
            assert!(self.pair.sides.iter().all(|side| side.link.is_over()), "a damaged link waits for ever");
            self.count("ended by damage");
            return;
        }
        let end = if keyed { Status::Closed } else { Status::Ended };
        assert_eq!(self.pair.statuses(), [Some(end); 2]);
        for index in [TOP, BOTTOM] {
            assert!(self.pair.sides[index].received == self.sent[1 - index], "all of it");
            assert!(self.pair.sides[index].link.is_over());
        }
        self.count("closed");
    }
}
