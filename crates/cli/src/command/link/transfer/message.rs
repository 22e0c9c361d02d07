//! The messages of a file transfer, as frames of application codes. `docs/manual/link.md`, How files travel.

use waypost_framelink::code;
use waypost_net::framelink::Message as Frame;

/// The version of these messages.
pub(super) const VERSION: u16 = 1;
/// "WF" and a number.
const OFFER: u32 = 0x5746_0001;
const ACCEPT: u32 = 0x5746_0002;
const START: u32 = 0x5746_0003;
const GO: u32 = 0x5746_0004;
const END: u32 = 0x5746_0005;
const DONE: u32 = 0x5746_0006;
const REFUSE: u32 = 0x5746_0007;

/// Longest name that is taken; what it is on disk is cut further.
const NAME_MAX: usize = 1024;
/// Longest text of a REFUSE.
const TEXT_MAX: usize = 512;

/// SHA-256.
pub(super) type Digest = [u8; 32];

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Sender: I have this file.
    Offer { size: u64, name: String },
    /// Receiver: begin here.
    Accept { offset: u64 },
    /// Sender: this is the hash of all before it.
    Start { offset: u64, digest: Digest },
    /// Receiver: it is mine too; send.
    Go,
    /// Sender: that was all, and the hash of the whole file.
    End { digest: Digest },
    /// Receiver: it is on disk, and has this hash.
    Done { digest: Digest },
    /// Either: this will not be.
    Refuse { reason: Reason, text: String },
}

/// Why a transfer will not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The messages have another version.
    Version,
    /// There is a file of that name.
    Exists,
    /// It does not fit on the disk, or is larger than what the user takes.
    Space,
    /// The disk or the folder fails.
    Disk,
    /// What came is not what was sent.
    Digest,
    /// The file changed while it was sent.
    Changed,
    /// Another transfer of a file of that name is under way.
    Busy,
    /// A message that should not have come.
    Unexpected,
    /// A reason of a later version.
    Other(u16),
}

/// Bytes that are none of these messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// An offer of another version.
    Version(u16),
    /// Anything else.
    Form,
}

impl Message {
    /// As a frame's code and payload.
    pub(super) fn encode(&self) -> (u32, Vec<u8>) {
        let hashed = |offset: u64, digest: &Digest| [&offset.to_be_bytes()[..], digest].concat();
        match self {
            Self::Offer { size, name } => {
                (OFFER, [&VERSION.to_be_bytes()[..], &size.to_be_bytes(), name.as_bytes()].concat())
            }
            Self::Accept { offset } => (ACCEPT, offset.to_be_bytes().to_vec()),
            Self::Start { offset, digest } => (START, hashed(*offset, digest)),
            Self::Go => (GO, Vec::new()),
            Self::End { digest } => (END, digest.to_vec()),
            Self::Done { digest } => (DONE, digest.to_vec()),
            Self::Refuse { reason, text } => {
                let end = text.floor_char_boundary(TEXT_MAX);
                let text = text.get(..end).unwrap_or_default();
                (REFUSE, [&reason.number().to_be_bytes()[..], text.as_bytes()].concat())
            }
        }
    }

    /// Reads one that is whole, and nothing behind it.
    pub(super) fn decode(frame: &Frame) -> Result<Self, Malformed> {
        let payload = frame.payload.as_slice();
        let number = || payload.try_into().map(u64::from_be_bytes).map_err(|_| Malformed::Form);
        let digest = || Digest::try_from(payload).map_err(|_| Malformed::Form);
        match frame.code {
            OFFER => offer(payload),
            ACCEPT => Ok(Self::Accept { offset: number()? }),
            START => {
                let (offset, digest) = payload.split_first_chunk().ok_or(Malformed::Form)?;
                let digest = digest.try_into().map_err(|_| Malformed::Form)?;
                Ok(Self::Start { offset: u64::from_be_bytes(*offset), digest })
            }
            GO if payload.is_empty() => Ok(Self::Go),
            END => Ok(Self::End { digest: digest()? }),
            DONE => Ok(Self::Done { digest: digest()? }),
            REFUSE => {
                let (reason, text) = payload.split_first_chunk().ok_or(Malformed::Form)?;
                let text = text.get(..TEXT_MAX).unwrap_or(text);
                let text = String::from_utf8_lossy(text).into_owned();
                Ok(Self::Refuse { reason: Reason::from_number(u16::from_be_bytes(*reason)), text })
            }
            _ => Err(Malformed::Form),
        }
    }

    /// Whether a frame of this code is one of the stream.
    pub(super) const fn is_data(code: u32) -> bool {
        code <= code::MORE
    }
}

/// The version is judged first: what stands behind it may be anything.
fn offer(payload: &[u8]) -> Result<Message, Malformed> {
    let (version, rest) = payload.split_first_chunk().ok_or(Malformed::Form)?;
    let version = u16::from_be_bytes(*version);
    if version != VERSION {
        return Err(Malformed::Version(version));
    }
    let (size, name) = rest.split_first_chunk().ok_or(Malformed::Form)?;
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(Malformed::Form);
    }
    let name = str::from_utf8(name).map_err(|_| Malformed::Form)?.to_owned();
    Ok(Message::Offer { size: u64::from_be_bytes(*size), name })
}

impl Reason {
    const fn number(self) -> u16 {
        match self {
            Self::Version => 1,
            Self::Exists => 2,
            Self::Space => 3,
            Self::Disk => 4,
            Self::Digest => 5,
            Self::Changed => 6,
            Self::Busy => 7,
            Self::Unexpected => 8,
            Self::Other(number) => number,
        }
    }

    const fn from_number(number: u16) -> Self {
        match number {
            1 => Self::Version,
            2 => Self::Exists,
            3 => Self::Space,
            4 => Self::Disk,
            5 => Self::Digest,
            6 => Self::Changed,
            7 => Self::Busy,
            8 => Self::Unexpected,
            other => Self::Other(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Message> {
        let digest = [7; 32];
        vec![
            Message::Offer { size: 1 << 40, name: "ü.txt".into() },
            Message::Accept { offset: 5 },
            Message::Start { offset: 5, digest },
            Message::Go,
            Message::End { digest },
            Message::Done { digest },
            Message::Refuse { reason: Reason::Space, text: "full".into() },
            Message::Refuse { reason: Reason::Other(77), text: String::new() },
        ]
    }

    #[test]
    fn every_message_survives_the_wire() {
        for message in all() {
            let (code, payload) = message.encode();
            assert_eq!(Message::decode(&Frame { code, payload }), Ok(message));
        }
    }

    #[test]
    fn refuses_what_is_short_or_has_something_behind_it() {
        for message in all() {
            let (code, payload) = message.encode();
            if matches!(message, Message::Refuse { .. } | Message::Offer { .. }) {
                let cut = payload.get(..1).unwrap_or_default().to_vec();
                assert_eq!(Message::decode(&Frame { code, payload: cut }), Err(Malformed::Form));
                continue;
            }
            let longer = [payload.as_slice(), &[0]].concat();
            assert_eq!(Message::decode(&Frame { code, payload: longer }), Err(Malformed::Form), "{message:?}");
            if let Some((_, cut)) = payload.split_last() {
                assert_eq!(Message::decode(&Frame { code, payload: cut.to_vec() }), Err(Malformed::Form));
            }
        }
        assert_eq!(Message::decode(&Frame { code: OFFER, payload: vec![0, 9, 1] }), Err(Malformed::Version(9)));
        let long = [&[0, 1][..], &[0; 8], &[b'a'; NAME_MAX + 1]].concat();
        assert_eq!(Message::decode(&Frame { code: OFFER, payload: long }), Err(Malformed::Form));
    }

    #[test]
    fn the_offer_of_the_manual_is_this() {
        let (code, payload) = Message::Offer { size: 3, name: "a".into() }.encode();
        assert_eq!((code, payload), (0x5746_0001, vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 3, b'a']));
    }

    #[test]
    fn a_long_text_is_cut_between_letters() {
        let text = "ü".repeat(300);
        let (code, payload) = Message::Refuse { reason: Reason::Disk, text }.encode();
        let Ok(Message::Refuse { text, .. }) = Message::decode(&Frame { code, payload }) else { panic!("no refusal") };
        assert_eq!(text, "ü".repeat(256));
    }
}
