//! The channel behind the handshake.

use crate::{
    Error, ErrorCode,
    crypto::x25519::PublicKey,
    frame::{LENGTH_LEN, MAX_FRAME},
};
use snow::{HandshakeState, TransportState};

/// Bytes of an authentication tag.
pub const TAG_LEN: usize = 16;
/// Largest message in one frame.
pub const MAX_PLAINTEXT: usize = MAX_FRAME - TAG_LEN;

/// Both directions of an established connection. There is no rekey: see [`sealed`](Self::sealed).
pub struct Transport {
    state: TransportState,
    theirs: PublicKey,
    handshake_hash: [u8; 32],
}

impl Transport {
    pub(super) fn new(state: HandshakeState, theirs: PublicKey) -> Result<Self, Error> {
        const BUG: Error = Error::Internal("the handshake is not complete");
        let handshake_hash = state.get_handshake_hash().try_into().map_err(|_| BUG)?;
        let state = state.into_transport_mode().map_err(|_| BUG)?;
        Ok(Self { state, theirs, handshake_hash })
    }

    /// The other side's static key.
    pub const fn theirs(&self) -> PublicKey {
        self.theirs
    }

    /// Names this connection and no other; relays' signatures are bound to it.
    pub const fn handshake_hash(&self) -> &[u8; 32] {
        &self.handshake_hash
    }

    /// Messages sealed so far.
    pub fn sealed(&self) -> u64 {
        self.state.sending_nonce()
    }

    /// Messages opened so far.
    pub fn opened(&self) -> u64 {
        self.state.receiving_nonce()
    }

    /// Puts the frame of a message, length and all, behind `out`.
    ///
    /// # Errors
    /// The message is empty or longer than a frame holds.
    pub fn seal(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        const BUG: Error = Error::Internal("a message that fits no frame");
        if plaintext.is_empty() || plaintext.len() > MAX_PLAINTEXT {
            return Err(BUG);
        }
        let length = plaintext.len() + TAG_LEN;
        let prefix = u16::try_from(length).map_err(|_| BUG)?;
        out.reserve(LENGTH_LEN + length);
        out.extend_from_slice(&prefix.to_be_bytes());
        let start = out.len();
        out.resize(start + length, 0);
        let place = out.get_mut(start..).ok_or(BUG)?;
        self.state.write_message(plaintext, place).map_err(|_| BUG)?;
        Ok(())
    }

    /// Opens the content of a frame into `plaintext`.
    ///
    /// # Errors
    /// DECRYPT; MALFORMED if it is empty.
    pub fn open(&mut self, frame: &[u8], plaintext: &mut Vec<u8>) -> Result<(), Error> {
        let length = frame.len().checked_sub(TAG_LEN).ok_or(Error::Crypto(ErrorCode::Decrypt))?;
        plaintext.resize(length, 0);
        self.state.read_message(frame, plaintext).map_err(|_| Error::Crypto(ErrorCode::Decrypt))?;
        if plaintext.is_empty() { Err(Error::Malformed("a frame without a message")) } else { Ok(()) }
    }
}
