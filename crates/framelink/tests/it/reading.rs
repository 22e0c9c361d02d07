//! Reads: a link that parses ahead gives what a reader gives that takes one header at a time.

use crate::peer::{Played, ROLES, hello};
use proptest::{collection::vec, prelude::*};
use waypost_framelink::{
    Align, Fault, Header, Mode, Opener, Progress, Settings, UNLIMITED, code,
    link::{FrameInfo, Input, Received, Status},
};

/// The loop of the profile, word for word: nothing is read before it is wanted.
struct Lazy {
    opener: Opener,
    keyed: bool,
    max_frame: u32,
    /// Own credit, what is left of it and what was taken since the last grant.
    limit: u32,
    credit: u64,
    taken: u64,
    /// What has come and was not read.
    input: Vec<u8>,
    eof: bool,
    header: Option<Header>,
    end: Option<Status>,
}

impl Lazy {
    fn recv(&mut self, length: usize) -> (Vec<u8>, Received) {
        let (mut data, mut frames) = (Vec::new(), Vec::new());
        let status = loop {
            let room = length - data.len();
            if room == 0 {
                break Status::Full;
            }
            if let Some(end) = self.end {
                break end;
            }
            let header = match self.header {
                Some(header) => header,
                None => match self.push() {
                    Ok(Some(Progress::Header(header))) => header,
                    Ok(_) => break self.no_more(),
                    Err(fault) => break self.ends(Status::Violation(fault)),
                },
            };
            if self.header.is_none() {
                if let Err(fault) = self.judge(header) {
                    break self.ends(Status::Violation(fault));
                }
                self.header = Some(header);
            }
            let application = !self.keyed || code::is_application(header.code);
            if application && header.length as usize > room {
                break if frames.is_empty() { Status::TooSmall(header.length) } else { Status::Boundary };
            }
            match self.push() {
                Ok(Some(Progress::Frame(_))) => {}
                Ok(_) => break self.no_more(),
                Err(fault) => break self.ends(Status::Violation(fault)),
            }
            self.header = None;
            if application {
                data.extend_from_slice(self.opener.payload());
                frames.push(FrameInfo { code: header.code, seq: header.seq, length: header.length });
                self.charge(header.length);
            } else if header.code == code::CLOSE {
                self.end = Some(Status::Closed);
            }
        };
        (data.clone(), Received { n: data.len(), frames, status })
    }

    fn push(&mut self) -> Result<Option<Progress>, Fault> {
        let mut input = self.input.as_slice();
        let progress = self.opener.push(&mut input)?;
        self.input = input.to_vec();
        Ok(if progress == Progress::Partial { None } else { Some(progress) })
    }

    fn judge(&self, header: Header) -> Result<(), Fault> {
        if header.length > self.max_frame {
            return Err(Fault::Length);
        }
        let limited = self.keyed && self.limit != UNLIMITED && code::is_application(header.code);
        if limited && u64::from(header.length) > self.credit { Err(Fault::Credit) } else { Ok(()) }
    }

    fn charge(&mut self, length: u32) {
        self.credit = self.credit.saturating_sub(u64::from(length));
        self.taken += u64::from(length);
        if 2 * self.taken >= u64::from(self.limit) {
            self.credit += std::mem::take(&mut self.taken);
        }
    }

    fn no_more(&mut self) -> Status {
        if !self.eof {
            return Status::Slow;
        }
        let between = self.opener.is_between_frames();
        self.ends(if between && !self.keyed { Status::Ended } else { Status::Truncated })
    }

    fn ends(&mut self, status: Status) -> Status {
        self.end = Some(status);
        status
    }
}

#[derive(Clone, Debug)]
struct Script {
    keyed: bool,
    align: Align,
    credit: u32,
    unread_frames: usize,
    /// Code and length of each frame of the peer.
    frames: Vec<(u32, usize)>,
    closes: bool,
    /// Where a bit is changed, if anywhere.
    damage: Option<(prop::sample::Index, u8)>,
    /// How many bytes come, then how many are read.
    steps: Vec<(usize, usize)>,
    eof: bool,
}

fn scripts() -> impl Strategy<Value = Script> {
    let codes = prop_oneof![5 => Just(0_u32), 1 => Just(1), 1 => Just(9), 1 => Just(code::PAD)];
    let lengths = prop_oneof![3 => 0..40_usize, 1 => Just(0), 1 => 40..300_usize];
    (
        (any::<bool>(), any::<bool>(), prop_oneof![Just(UNLIMITED), Just(4 << 20), 1..400_u32]),
        prop_oneof![Just(1 << 18), 1..5_usize],
        vec((codes, lengths), 0..14),
        (any::<bool>(), prop::option::weighted(0.3, (any::<prop::sample::Index>(), 0..8_u8)), any::<bool>()),
        vec((0..200_usize, 1..150_usize), 0..20),
    )
        .prop_map(|((keyed, stream, credit), unread_frames, frames, (closes, damage, eof), steps)| Script {
            keyed,
            align: if stream { Align::Stream } else { Align::Block },
            credit,
            unread_frames,
            frames,
            closes,
            damage,
            steps,
            eof,
        })
}

fn compare(script: &Script) {
    let mut settings = Settings::default();
    settings.framing.align = script.align;
    (settings.limits.credit, settings.limits.unread_frames) = (script.credit, script.unread_frames);
    let mode = if script.keyed { Mode::Psk } else { Mode::Raw };
    let mut side = Played::fresh(mode, ROLES[1], &settings);
    let mut lazy = Lazy {
        opener: Opener::new(&side.block, ROLES[0], settings.framing),
        keyed: script.keyed,
        max_frame: settings.limits.max_frame,
        limit: script.credit,
        credit: u64::from(script.credit),
        taken: 0,
        input: Vec::new(),
        eof: false,
        header: None,
        end: None,
    };
    if script.keyed {
        let greeting = hello(ROLES[0], 1 << 20, 0);
        let wire = side.seal(code::HELLO, &greeting);
        side.bytes(&wire);
        let mut wire = wire.as_slice();
        while !wire.is_empty() {
            lazy.opener.push(&mut wire).unwrap();
        }
    }
    let mut wire = Vec::new();
    for (number, (code, length)) in script.frames.iter().enumerate() {
        wire.extend(side.seal(*code, &vec![number as u8 + 1; *length]));
    }
    if script.closes && script.keyed {
        wire.extend(side.seal(code::CLOSE, &1_u32.to_be_bytes()));
    }
    if let (Some((at, bit)), false) = (script.damage, wire.is_empty()) {
        let at = at.index(wire.len());
        wire[at] ^= 1 << bit;
    }
    let mut rest = wire.as_slice();
    for (bytes, length) in script.steps.iter().copied().chain([(wire.len(), 1)]) {
        let (now, later) = rest.split_at(bytes.min(rest.len()));
        rest = later;
        side.bytes(now);
        lazy.input.extend_from_slice(now);
        if rest.is_empty() && script.eof && !lazy.eof {
            lazy.eof = true;
            side.input(Input::Eof);
        }
        assert_eq!(side.recv(length), lazy.recv(length));
    }
    for length in [1, 10, 100, 1000, 10_000, 10_000] {
        assert_eq!(side.recv(length), lazy.recv(length));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// FL-3.2, FL-3.5, FL-3.6, FL-3.7
    #[test]
    fn parsing_ahead_reads_what_a_lazy_reader_reads(script in scripts()) {
        compare(&script);
    }
}

/// FL-3.2: reads by frames and reads by bytes go together, and a part of a frame that was read counts no more.
#[test]
fn reads_by_frames_and_by_bytes_go_together() {
    let mut side = Played::open(ROLES[0], &Settings::default());
    for payload in [&b"first"[..], b"", b"second", b"third"] {
        side.frame(0, payload);
    }
    side.frame(9, b"other");
    side.frame(0, b"last");
    let mut buf = [0; 64];
    assert_eq!(side.link.read(side.now, &mut side.rng, &mut buf[..2]), 2);
    assert_eq!(side.recv(2).1.status, Status::TooSmall(3));
    let (data, received) = side.recv(4);
    assert_eq!((data.as_slice(), received.status), (&b"rst"[..], Status::Boundary));
    assert_eq!(received.frames.iter().map(|frame| frame.length).collect::<Vec<_>>(), [3, 0]);
    // A stream ends where something else begins: whoever reads it must see the code.
    assert_eq!(side.link.read(side.now, &mut side.rng, &mut buf), 11);
    assert_eq!(&buf[..11], b"secondthird");
    assert_eq!(side.link.next_frame(side.now, &mut side.rng).unwrap().code, 9);
    assert_eq!(side.link.read(side.now, &mut side.rng, &mut buf), 0, "it is not the stream's");
    side.link.read_frame(side.now, &mut side.rng, &mut buf[..5]);
    assert_eq!(&buf[..5], b"other");
    assert_eq!(side.link.read(side.now, &mut side.rng, &mut buf), 4);
    assert_eq!((side.link.read(side.now, &mut side.rng, &mut buf), side.link.status()), (0, Status::Slow));
}
