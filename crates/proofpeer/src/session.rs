//! One session with one peer: how messages are sealed, and what is known of who seals them. Profile, Crypto; Locks and
//! modes; PP-4.6a, PP-X3, PP-X5.

use crate::nonce::{Incoming, Judged, Outgoing, is_own};
use crate::schedule::{Key, message_aad};
use crate::{Crypto, Drop, Fingerprint, Topic, crypto::NONCE_LEN};
use waypost_core::Mono;
use zeroize::Zeroizing;

/// What is known of who sent a message. PP-X9.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Auth {
    /// The sender is the owner of the key.
    pub proven: bool,
    /// It was meant for this place and this recipient.
    pub bound: bool,
    /// Keys stolen later do not open it.
    pub forward_secret: bool,
}

/// Who began a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We did.
    Initiator,
    /// The peer did.
    Responder,
}

/// How messages of a session are sealed.
pub(crate) enum Cipher {
    /// One key for both directions, nothing authenticated beside the content: what the seed says.
    Literal(Key),
    /// A key for each direction; place and time are authenticated.
    Directional { send: Key, recv: Key },
}

/// An established session.
pub(crate) struct Session {
    pub(crate) sid: String,
    pub(crate) peer: Fingerprint,
    pub(crate) role: Role,
    pub(crate) cipher: Cipher,
    pub(crate) auth: Auth,
    /// Messages hold frames.
    pub(crate) framed: bool,
    pub(crate) out: Outgoing,
    pub(crate) incoming: Incoming,
    /// SHA-256 of the wrapped key.
    pub(crate) wrapped: [u8; 32],
    /// The `m` of the ack, when we answered; and when it left last.
    pub(crate) ack: Option<(String, Mono)>,
    /// When it was made: locally, and by the handshake's own time.
    pub(crate) since: Mono,
    pub(crate) since_ts: u64,
    /// It no longer sends, and receives until then.
    pub(crate) until: Option<Mono>,
    /// Authentic messages in a row that came by it while another one sends.
    pub(crate) in_a_row: u32,
    /// Receipts in a row that did not come.
    pub(crate) timeouts: u32,
    /// The sid of the handshake of ours that was under way when this one was answered.
    pub(crate) rival: Option<String>,
}

/// Where and when a session message is.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) topic: Topic,
    pub(crate) t: u64,
    pub(crate) r: bool,
    pub(crate) sender_id: u32,
    pub(crate) sid: &'a str,
}

impl Session {
    /// Whether it was begun at the same time as our handshake with this sid.
    pub(crate) fn is_rival_of(&self, sid: &str) -> bool {
        self.rival.as_deref() == Some(sid) && self.until.is_none()
    }

    pub(crate) const fn is_directional(&self) -> bool {
        matches!(self.cipher, Cipher::Directional { .. })
    }

    /// Seals a message; none when the key has done all it may.
    pub(crate) fn seal(&mut self, crypto: Crypto, place: Place<'_>, plain: &[u8]) -> Option<Vec<u8>> {
        let nonce = self.out.next()?;
        let (key, aad) = match &self.cipher {
            Cipher::Literal(key) => (key, Vec::new()),
            Cipher::Directional { send, .. } => (send, place.aad()),
        };
        let sealed = crypto.backend().seal(key, &nonce, &aad, plain);
        Some([&nonce[..], &sealed].concat())
    }

    /// Opens a message. Nothing is remembered of what does not decrypt.
    pub(crate) fn open(&mut self, crypto: Crypto, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Drop> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Drop::BadCipher)?;
        if is_own(nonce, self.out.prefix) {
            return Err(Drop::Reflected);
        }
        match self.incoming.judge(nonce) {
            Judged::Fresh => {}
            Judged::Replayed => return Err(Drop::Replay),
            Judged::Full => return Err(Drop::NoSession),
        }
        let (key, aad) = match &self.cipher {
            Cipher::Literal(key) => (key, Vec::new()),
            Cipher::Directional { recv, .. } => (recv, place.aad()),
        };
        let plain = crypto.backend().open(key, nonce, &aad, sealed).ok_or(Drop::BadCipher)?;
        if self.incoming.record(nonce) { Ok(plain) } else { Err(Drop::Replay) }
    }
}

impl Place<'_> {
    fn aad(&self) -> Vec<u8> {
        message_aad(self.topic, self.t, self.r, self.sender_id, self.sid)
    }
}
