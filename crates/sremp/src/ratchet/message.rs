//! The message key: encrypts one body, then is gone.

use super::header::{HEADER_LEN, SealedHeader};
use crate::{
    Error, ErrorCode,
    crypto::label,
    kdf::hkdf,
    padding::{pad, unpadded_len},
};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{AeadInOut, inout::InOutBuf},
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Length of an authentication tag.
pub(crate) const TAG_LEN: usize = 16;

/// MK of the profile.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct MessageKey(pub(super) [u8; 32]);

impl MessageKey {
    /// Takes the bytes as they are.
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// `expand` of the profile: key (32) and nonce (12).
    pub(crate) fn expand(&self) -> Zeroizing<[u8; 44]> {
        hkdf(&[0; 32], &[&self.0], label!("message"))
    }

    /// A type-2 blob: 2 | header | padded and encrypted content.
    pub(super) fn seal(
        self,
        ad: &[u8; 32],
        message_id: u64,
        header: &SealedHeader,
        content: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let bucket = crate::padding::bucket(content.len()).ok_or(Error::Refused(ErrorCode::TooLarge))?;
        let start = 1 + HEADER_LEN;
        let mut blob = Vec::with_capacity(start + bucket + TAG_LEN);
        blob.push(2);
        blob.extend_from_slice(header);
        blob.extend_from_slice(content);
        pad(&mut blob, start)?;
        let (cipher, nonce) = self.cipher();
        let aad = associated_data(ad, message_id, header);
        let body = blob.get_mut(start..).unwrap_or_default();
        let tag = cipher
            .encrypt_inout_detached(&nonce.into(), &aad, InOutBuf::from(body))
            .map_err(|_| Error::Refused(ErrorCode::TooLarge))?;
        blob.extend_from_slice(&tag);
        Ok(blob)
    }

    /// The content of a body.
    pub(super) fn open(
        self,
        ad: &[u8; 32],
        message_id: u64,
        header: &SealedHeader,
        body: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let (ciphertext, tag) = body.split_last_chunk::<TAG_LEN>().ok_or(Error::Crypto(ErrorCode::Decrypt))?;
        let (cipher, nonce) = self.cipher();
        let aad = associated_data(ad, message_id, header);
        let mut content = ciphertext.to_vec();
        cipher
            .decrypt_inout_detached(&nonce.into(), &aad, InOutBuf::from(content.as_mut_slice()), &(*tag).into())
            .map_err(|_| Error::Crypto(ErrorCode::Decrypt))?;
        let length = unpadded_len(&content)?;
        content.truncate(length);
        Ok(content)
    }

    fn cipher(&self) -> (ChaCha20Poly1305, [u8; 12]) {
        let expanded = self.expand();
        let (key, rest) = expanded.split_at(32);
        let mut nonce = [0; 12];
        nonce.copy_from_slice(rest);
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.copy_from_slice(key);
        (ChaCha20Poly1305::new((&*bytes).into()), nonce)
    }
}

/// ad | message_id | H: binds a body to its session, its id and its header.
fn associated_data(ad: &[u8; 32], message_id: u64, header: &SealedHeader) -> [u8; 40 + HEADER_LEN] {
    let mut joined = [0; 40 + HEADER_LEN];
    let (front, back) = joined.split_at_mut(40);
    let (first, second) = front.split_at_mut(32);
    first.copy_from_slice(ad);
    second.copy_from_slice(&message_id.to_be_bytes());
    back.copy_from_slice(header);
    joined
}
