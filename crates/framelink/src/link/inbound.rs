//! Frames as they come in: judged by their header, opened, and kept until they are read.

use super::{hello::HELLO_LEN, reading::FrameInfo};
use crate::{
    Block, Fault, Header, Opener, Progress, Role, Settings, code,
    framing::blocks,
    settings::{Limits, UNLIMITED},
};
use std::collections::VecDeque;

/// What parsing came to.
pub(super) enum Step {
    /// All input is used up.
    Empty,
    /// Nothing more is parsed until somebody reads.
    Paused,
    /// A control frame is verified; its payload is in [`Inbound::payload`].
    Control(u32),
    /// An application frame is verified, and waits to be read.
    Application,
}

/// The receiving direction.
pub(super) struct Inbound {
    opener: Opener,
    limits: Limits,
    keyed: bool,
    /// Whether the peer's HELLO is verified.
    greeted: bool,
    /// Verified and not read yet, and their payloads one after the other.
    frames: VecDeque<FrameInfo>,
    bytes: VecDeque<u8>,
    /// The header of the frame that is coming in.
    current: Option<Header>,
    /// A header that asks for more credit than is left: judged when what came before it is read.
    held: Option<Header>,
    /// Application bytes that may still come; `None` without a limit.
    credit: Option<u64>,
    /// Application bytes read and not granted again yet.
    taken: u64,
    empty_in_a_row: u32,
    last_seq: u32,
    /// The peer has closed: nothing more is parsed.
    closed: bool,
    /// Nobody reads any more: frames are verified and forgotten.
    discard: bool,
}

impl Inbound {
    pub(super) fn new(block: &Block, sender: Role, settings: &Settings) -> Self {
        let limits = settings.limits.clone();
        let credit = (limits.credit != UNLIMITED).then_some(u64::from(limits.credit));
        Self {
            opener: Opener::new(block, sender, settings.framing),
            limits,
            keyed: true,
            greeted: false,
            frames: VecDeque::new(),
            bytes: VecDeque::new(),
            current: None,
            held: None,
            credit,
            taken: 0,
            empty_in_a_row: 0,
            last_seq: settings.framing.first_seq.wrapping_sub(1),
            closed: false,
            discard: false,
        }
    }

    /// A link without HELLO.
    pub(super) const fn open_raw(&mut self) {
        (self.keyed, self.greeted, self.credit) = (false, true, None);
    }

    pub(super) const fn open_keyed(&mut self) {
        self.greeted = true;
    }

    /// Parses up to the next frame.
    pub(super) fn step(&mut self, input: &mut &[u8]) -> Result<Step, Fault> {
        loop {
            if self.closed {
                *input = &[];
                return Ok(Step::Empty);
            }
            if let Some(header) = self.held {
                if self.credit_left(header) {
                    self.accept(header);
                } else if self.frames.is_empty() {
                    return Err(Fault::Credit);
                } else {
                    return Ok(Step::Paused);
                }
            }
            if self.opener.is_between_frames() && self.is_full() {
                return Ok(Step::Paused);
            }
            match self.opener.push(input)? {
                Progress::Partial => return Ok(Step::Empty),
                Progress::Header(header) => self.judge(header)?,
                Progress::Frame(header) => {
                    self.current = None;
                    self.last_seq = header.seq;
                    if self.is_application(header.code) {
                        self.keep(header);
                        return Ok(Step::Application);
                    }
                    return Ok(Step::Control(header.code));
                }
            }
        }
    }

    /// What a header says, in the order of the profile, Frame. CHECKSUM and SEQ are right already.
    fn judge(&mut self, header: Header) -> Result<(), Fault> {
        if header.length > self.limits.max_frame {
            return Err(Fault::Length);
        }
        if self.keyed {
            if !self.greeted && (header.code != code::HELLO || header.length != HELLO_LEN) {
                return Err(Fault::HsAuth);
            }
            let used = self.opener.used();
            let frames = used.frames + 1 > self.limits.rekey_frames.saturating_mul(2);
            let sum = used.blocks.saturating_add(blocks(header.length));
            if frames || sum > self.limits.rekey_blocks.saturating_mul(2) {
                return Err(Fault::RekeyOverdue);
            }
            if self.is_application(header.code) && !self.credit_left(header) {
                // What is read before may be granted again before this frame's turn.
                (self.held, self.empty_in_a_row) = (Some(header), 0);
                return Ok(());
            }
        }
        self.accept(header);
        self.check_empty(header)
    }

    fn accept(&mut self, header: Header) {
        (self.held, self.current) = (None, Some(header));
    }

    fn check_empty(&mut self, header: Header) -> Result<(), Fault> {
        if !self.keyed {
            return Ok(());
        }
        self.empty_in_a_row = if header.length == 0 { self.empty_in_a_row.saturating_add(1) } else { 0 };
        if self.empty_in_a_row > self.limits.empty_frames { Err(Fault::EmptyFlood) } else { Ok(()) }
    }

    fn keep(&mut self, header: Header) {
        if let Some(credit) = &mut self.credit {
            *credit = credit.saturating_sub(u64::from(header.length));
        }
        if self.discard {
            self.taken += u64::from(header.length);
            return;
        }
        self.bytes.extend(self.opener.payload());
        self.frames.push_back(FrameInfo { code: header.code, seq: header.seq, length: header.length });
    }

    fn credit_left(&self, header: Header) -> bool {
        self.credit.is_none_or(|credit| u64::from(header.length) <= credit)
    }

    /// Whether reading has to wait for the application: not where a credit bounds what is unread.
    fn is_full(&self) -> bool {
        self.frames.len() >= self.limits.unread_frames
            || self.credit.is_none() && self.bytes.len() >= self.limits.unread()
    }

    /// Whether it is worth to go on with what stays unparsed: half of what was full is read.
    pub(super) fn can_go_on(&self) -> bool {
        match self.held {
            Some(header) => self.credit_left(header) || self.frames.is_empty(),
            None => {
                self.frames.len() * 2 <= self.limits.unread_frames
                    && (self.credit.is_some() || self.bytes.len() * 2 <= self.limits.unread())
            }
        }
    }

    /// The next frame that can be read.
    pub(super) fn front(&self) -> Option<FrameInfo> {
        self.frames.front().copied()
    }

    /// Moves bytes of the next frame to `to`, which is no longer than the frame. What is granted for them.
    pub(super) fn read(&mut self, to: &mut [u8]) -> Option<u32> {
        let (first, second) = self.bytes.as_slices();
        let from = first.iter().chain(second);
        if let (Some(from), true) = (first.get(..to.len()), to.len() <= first.len()) {
            to.copy_from_slice(from);
        } else {
            for (to, from) in to.iter_mut().zip(from) {
                *to = *from;
            }
        }
        self.bytes.drain(..to.len().min(self.bytes.len()));
        let read = u32::try_from(to.len()).unwrap_or(u32::MAX);
        match self.frames.front_mut() {
            Some(frame) if frame.length > read => frame.length -= read,
            _ => drop(self.frames.pop_front()),
        }
        self.grant(u64::from(read))
    }

    /// Grants what was taken once it is half of the credit. Profile FL-6.8.
    fn grant(&mut self, read: u64) -> Option<u32> {
        let credit = self.credit.as_mut().filter(|_| !self.closed)?;
        self.taken += read;
        if self.taken * 2 < u64::from(self.limits.credit) {
            return None;
        }
        let granted = std::mem::take(&mut self.taken);
        *credit += granted;
        u32::try_from(granted).ok().filter(|&granted| granted > 0)
    }

    /// Own CLOSE is on its way: no CREDIT can follow, so the limit falls.
    pub(super) const fn lift_credit(&mut self) {
        self.credit = None;
    }

    pub(super) fn room(&self) -> usize {
        self.opener.room() + self.bytes.capacity() + self.frames.capacity() * size_of::<FrameInfo>()
    }

    pub(super) fn discard(&mut self) {
        self.discard = true;
        self.taken += self.bytes.len() as u64;
        self.frames.clear();
        self.bytes.clear();
    }

    /// What is granted for what nobody will read: the other side may have to say it before it reads itself.
    pub(super) fn discarded(&mut self) -> Option<u32> {
        if self.discard { self.grant(0) } else { None }
    }

    pub(super) const fn close(&mut self) {
        self.closed = true;
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether a frame is partly there.
    pub(super) const fn is_receiving(&self) -> bool {
        !self.closed && !self.opener.is_between_frames()
    }

    /// The frame that is partly there: its header, once that is complete.
    pub(super) fn current(&self) -> Option<Header> {
        self.current.or(self.held)
    }

    /// The application frame that is partly there.
    pub(super) fn partial(&self) -> Option<Header> {
        self.current.filter(|header| self.is_application(header.code))
    }

    pub(super) fn payload(&self) -> &[u8] {
        self.opener.payload()
    }

    /// SEQ of the last frame that was verified.
    pub(super) const fn last_seq(&self) -> u32 {
        self.last_seq
    }

    pub(super) const fn is_greeted(&self) -> bool {
        self.greeted
    }

    /// Forgets the keys; what was verified can still be read.
    pub(super) fn wipe(&mut self) {
        self.opener.wipe();
    }

    pub(super) fn turn(&mut self, r: &[u8; 32]) {
        self.opener.turn(r);
    }

    const fn is_application(&self, code: u32) -> bool {
        !self.keyed || code::is_application(code)
    }
}
