//! Sanctified reads: verified bytes, and what became of the rest. Profile, Reads; FL-3.2, FL-3.5 to FL-3.7.

use super::{Link, Status};
use crate::Fault;
use rand_core::CryptoRng;
use waypost_core::Now;

/// A frame that was read, or that can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameInfo {
    /// What it is.
    pub code: u32,
    /// Its number.
    pub seq: u32,
    /// Bytes of its payload, or what is left of them after [`Link::read`].
    pub length: u32,
}

/// What a read came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Verified bytes at the start of the buffer.
    pub n: usize,
    /// The frames they came in.
    pub frames: Vec<FrameInfo>,
    /// Why it ended.
    pub status: Status,
}

impl Link {
    /// Reads whole frames into `buf`. Only bytes whose tag holds are counted; where more was wanted than there
    /// is, the rest of the buffer is zeroed.
    pub fn recv(&mut self, now: Now, rng: &mut impl CryptoRng, buf: &mut [u8]) -> Received {
        let mut frames = Vec::new();
        let mut n = 0;
        let status = loop {
            let room = buf.len() - n;
            if room == 0 {
                break Status::Full;
            }
            match self.front() {
                Some(frame) if frame.length as usize > room => break too_long(frame.length, &frames),
                Some(frame) => {
                    let end = n + frame.length as usize;
                    self.take(buf.get_mut(n..end).unwrap_or_default());
                    n = end;
                    frames.push(frame);
                }
                None => {
                    if self.resume(now, rng) {
                        continue;
                    }
                    break self.why_no_more(room, &frames);
                }
            }
        };
        if !matches!(status, Status::Full | Status::Boundary) {
            buf.get_mut(n..).unwrap_or_default().fill(0);
        }
        self.after_read(now, rng);
        Received { n, frames, status }
    }

    /// Reads bytes as they come, as many as there is room for: for streams, where frames do not matter. Stops
    /// before a frame of a keyed link that is neither DATA nor MORE. 0 while nothing is there: [`Link::status`]
    /// says why.
    pub fn read(&mut self, now: Now, rng: &mut impl CryptoRng, buf: &mut [u8]) -> usize {
        let mut n = 0;
        while let Some(frame) = self.next_frame(now, rng)
            && n < buf.len()
            && (frame.code <= crate::code::MORE || !self.mode.is_keyed())
        {
            let end = buf.len().min(n + frame.length as usize);
            self.take(buf.get_mut(n..end).unwrap_or_default());
            n = end;
        }
        self.after_read(now, rng);
        n
    }

    /// Reads what is left of the next frame; `buf` is as long as it.
    pub fn read_frame(&mut self, now: Now, rng: &mut impl CryptoRng, buf: &mut [u8]) {
        self.take(buf);
        self.after_read(now, rng);
    }

    /// Whether verified frames wait to be read.
    pub fn has_unread(&self) -> bool {
        self.front().is_some()
    }

    /// The next frame that can be read; resumes parsing if everything before it was.
    pub fn next_frame(&mut self, now: Now, rng: &mut impl CryptoRng) -> Option<FrameInfo> {
        if self.front().is_none() && self.resume(now, rng) {
            self.after_read(now, rng);
        }
        self.front()
    }

    /// What a read would come to when everything that is there has been read: how it ended, or
    /// [`Status::Slow`].
    pub fn status(&self) -> Status {
        match (&self.end, &self.wire) {
            (Some(end), _) => end.status,
            (None, Some(wire)) if wire.inbound.is_closed() => Status::Closed,
            _ => Status::Slow,
        }
    }

    fn front(&self) -> Option<FrameInfo> {
        self.wire.as_ref()?.inbound.front()
    }

    /// Takes bytes of the frame in front.
    fn take(&mut self, to: &mut [u8]) {
        let Some(wire) = &mut self.wire else { return };
        if let Some(granted) = wire.inbound.read(to) {
            wire.outbound.grant(granted);
        }
    }

    /// Nothing is left to be read.
    fn why_no_more(&mut self, room: usize, frames: &[FrameInfo]) -> Status {
        let partial = self.wire.as_ref().and_then(|wire| wire.inbound.partial());
        match (self.status(), partial) {
            // A header whose payload never came, or was wrong, is met before what became of it.
            (Status::Slow | Status::Truncated | Status::Violation(Fault::Hmac), Some(header))
                if header.length as usize > room && !self.told =>
            {
                too_long(header.length, frames)
            }
            (status, _) => {
                self.told = self.end.is_some();
                status
            }
        }
    }

    fn after_read(&mut self, now: Now, rng: &mut impl CryptoRng) {
        if self.wire.as_ref().is_some_and(|wire| wire.inbound.can_go_on()) {
            self.resume(now, rng);
        }
        // A key that is used up ends sending, not reading: the next `Send` says so.
        _ = self.settle(now, rng);
    }
}

fn too_long(length: u32, frames: &[FrameInfo]) -> Status {
    if frames.is_empty() { Status::TooSmall(length) } else { Status::Boundary }
}
