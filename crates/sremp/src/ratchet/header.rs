//! Encrypted headers: nobody but the two people sees counters and ratchet keys (SREMP profile SR-5d).

use super::PeerRatchetKey;
use crate::crypto::x25519::PublicKey;
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305,
    aead::{AeadInOut, inout::InOutBuf},
};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Length of a sealed header: nonce 24, key 32, two counters, tag 16.
pub(crate) const HEADER_LEN: usize = 80;

/// H of the profile.
pub(crate) type SealedHeader = [u8; HEADER_LEN];

/// What a header says.
pub(crate) struct Header {
    /// DHs of the sender.
    pub(crate) ratchet_key: PeerRatchetKey,
    /// PN: how many messages its chain before this one had.
    pub(crate) previous: u32,
    /// Ns: the message's number in its chain.
    pub(crate) number: u32,
}

/// HKs of the profile: seals our headers.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct SendingHeaderKey(pub(super) [u8; 32]);

impl SendingHeaderKey {
    /// Seals a header under a nonce that is never used again.
    pub(super) fn seal(
        &self,
        nonce: [u8; 24],
        ad: &[u8; 32],
        ratchet_key: &PublicKey,
        previous: u32,
        number: u32,
    ) -> SealedHeader {
        let mut header = [0; HEADER_LEN];
        let (front, tag_place) = header.split_at_mut(64);
        let (nonce_place, text) = front.split_at_mut(24);
        nonce_place.copy_from_slice(&nonce);
        let (key_place, counters) = text.split_at_mut(32);
        key_place.copy_from_slice(ratchet_key.as_bytes());
        let (previous_place, number_place) = counters.split_at_mut(4);
        previous_place.copy_from_slice(&previous.to_be_bytes());
        number_place.copy_from_slice(&number.to_be_bytes());
        #[expect(clippy::expect_used, reason = "the cipher refuses only texts above 256 GiB")]
        let tag = XChaCha20Poly1305::new((&self.0).into())
            .encrypt_inout_detached(&nonce.into(), ad, InOutBuf::from(text))
            .expect("40 bytes are not too long");
        tag_place.copy_from_slice(&tag);
        header
    }
}

/// HKr of the profile: opens the peer's headers.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct ReceivingHeaderKey(pub(super) [u8; 32]);

impl ReceivingHeaderKey {
    /// What the header says, if it was sealed under this key.
    pub(super) fn open(&self, ad: &[u8; 32], sealed: &SealedHeader) -> Option<Header> {
        let (nonce, rest) = sealed.split_first_chunk::<24>()?;
        let (text, tag) = rest.split_last_chunk::<16>()?;
        let mut text = <[u8; 40]>::try_from(text).ok()?;
        XChaCha20Poly1305::new((&self.0).into())
            .decrypt_inout_detached(&(*nonce).into(), ad, InOutBuf::from(text.as_mut_slice()), &(*tag).into())
            .ok()?;
        let (key, counters) = text.split_first_chunk::<32>()?;
        let (previous, number) = counters.split_first_chunk::<4>()?;
        Some(Header {
            ratchet_key: PeerRatchetKey(PublicKey(*key)),
            previous: u32::from_be_bytes(*previous),
            number: u32::from_be_bytes(number.try_into().ok()?),
        })
    }
}

impl ConstantTimeEq for ReceivingHeaderKey {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Debug for ReceivingHeaderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReceivingHeaderKey(..)")
    }
}
