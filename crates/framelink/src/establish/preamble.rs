//! The eight bytes in front of M1, M2 and REJECT. Profile FL-5.4, Preamble.

use crate::{Align, Fault, Mode};

/// Its length.
pub const PREAMBLE_LEN: usize = 8;
/// `FLNK`.
pub const MAGIC: [u8; 4] = *b"FLNK";
const VERSION: u8 = 1;
/// Set in the mode of an answer.
const ANSWER: u8 = 0x80;
const REJECT: u8 = 0xff;
const ALIGN_STREAM: u8 = 1;

/// A preamble whose magic is right; nothing else of it is judged yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Preamble {
    version: u8,
    mode: u8,
    options: u8,
    last: u8,
}

impl Preamble {
    pub(super) const fn ask(mode: Mode, align: Align) -> Self {
        Self { version: VERSION, mode: mode.byte(), options: options(align), last: 0 }
    }

    pub(super) const fn answer(mode: Mode, align: Align) -> Self {
        Self { version: VERSION, mode: mode.byte() | ANSWER, options: options(align), last: 0 }
    }

    pub(super) const fn encode(self) -> [u8; PREAMBLE_LEN] {
        let [f, l, n, k] = MAGIC;
        [f, l, n, k, self.version, self.mode, self.options, self.last]
    }

    pub(super) fn decode(bytes: [u8; PREAMBLE_LEN]) -> Result<Self, Fault> {
        let [f, l, n, k, version, mode, options, last] = bytes;
        if [f, l, n, k] != MAGIC {
            return Err(Fault::NotFramelink);
        }
        Ok(Self { version, mode, options, last })
    }

    /// What BOTTOM checks, in this order: version, mode, options.
    pub(super) fn check_ask(self, allowed: &[Mode], align: Align) -> Result<Mode, Fault> {
        if self.version != VERSION {
            return Err(Fault::BadVersion);
        }
        let mode = Mode::from_byte(self.mode).filter(|mode| allowed.contains(mode)).ok_or(Fault::BadMode)?;
        self.check_options(align)?;
        Ok(mode)
    }

    /// What TOP checks: REJECT (of any version), version, who it is, mode, options.
    pub(super) fn check_answer(self, asked: Mode, align: Align) -> Result<(), Fault> {
        if self.mode == REJECT {
            return Err(Fault::Rejected(self.options));
        }
        if self.version != VERSION {
            return Err(Fault::BadVersion);
        }
        if Mode::from_byte(self.mode).is_some() {
            return Err(Fault::RoleClash);
        }
        if self.mode != asked.byte() | ANSWER {
            return Err(Fault::BadMode);
        }
        self.check_options(align)
    }

    fn check_options(self, align: Align) -> Result<(), Fault> {
        if self.options == options(align) && self.last == 0 { Ok(()) } else { Err(Fault::BadOptions) }
    }
}

/// A REJECT, for the faults that have one.
pub(crate) fn reject(fault: Fault) -> Option<[u8; PREAMBLE_LEN]> {
    let preamble = Preamble { version: VERSION, mode: REJECT, options: fault.reason()?, last: 0 };
    Some(preamble.encode())
}

const fn options(align: Align) -> u8 {
    match align {
        Align::Block => 0,
        Align::Stream => ALIGN_STREAM,
    }
}
