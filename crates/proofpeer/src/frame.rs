//! Frames inside a session: message ids, parts, receipts. Profile, Frames (a1); PP-X6.

use crate::Drop;

/// Length of a header.
pub(crate) const HEADER_LEN: usize = 13;

/// A message's id: the same on every repetition, and over sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub [u8; 8]);

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Of which message.
    pub mid: MessageId,
    /// What it is.
    pub kind: FrameKind,
}

/// What a frame is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// A part of a message.
    Data {
        /// Whether receipts are wanted.
        receipt: bool,
        /// Which part, from 0.
        idx: u16,
        /// Of how many.
        count: u16,
        /// The part.
        body: Vec<u8>,
    },
    /// A part has come.
    PartReceived {
        /// Which.
        idx: u16,
    },
    /// The message was delivered.
    Delivered,
    /// The message will not be delivered.
    Refused(Refusal),
}

/// Why a message is not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its parts did not come in time.
    Expired,
    /// It is too large.
    TooLarge,
    /// It is not wanted.
    NotAccepted,
}

impl Refusal {
    const fn byte(self) -> u8 {
        match self {
            Self::Expired => 1,
            Self::TooLarge => 2,
            Self::NotAccepted => 3,
        }
    }
}

impl Frame {
    /// Reads what a session message holds.
    ///
    /// # Errors
    /// [`Drop::BadFrame`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Drop> {
        let (header, body) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Drop::BadFrame)?;
        let [kind, m0, m1, m2, m3, m4, m5, m6, m7, i0, i1, c0, c1] = *header;
        let mid = [m0, m1, m2, m3, m4, m5, m6, m7];
        if mid == [0; 8] {
            return Err(Drop::BadFrame);
        }
        let (idx, count) = (u16::from_be_bytes([i0, i1]), u16::from_be_bytes([c0, c1]));
        let kind = match (kind, idx, count, body) {
            (0 | 1, idx, count, body) if idx < count => {
                FrameKind::Data { receipt: kind == 1, idx, count, body: body.to_vec() }
            }
            (2, idx, 0, []) => FrameKind::PartReceived { idx },
            (3, 0, 0, []) => FrameKind::Delivered,
            (4, 0, 0, [1]) => FrameKind::Refused(Refusal::Expired),
            (4, 0, 0, [2]) => FrameKind::Refused(Refusal::TooLarge),
            (4, 0, 0, [3]) => FrameKind::Refused(Refusal::NotAccepted),
            _ => return Err(Drop::BadFrame),
        };
        Ok(Self { mid: MessageId(mid), kind })
    }

    /// As it travels inside a session message.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, idx, count, body): (u8, u16, u16, &[u8]) = match &self.kind {
            FrameKind::Data { receipt, idx, count, body } => (u8::from(*receipt), *idx, *count, body),
            FrameKind::PartReceived { idx } => (2, *idx, 0, &[]),
            FrameKind::Delivered => (3, 0, 0, &[]),
            FrameKind::Refused(refusal) => (4, 0, 0, &[refusal.byte()]),
        };
        [&[kind][..], &self.mid.0, &idx.to_be_bytes(), &count.to_be_bytes(), body].concat()
    }
}
