//! The chained hash whose state every tag is cut from. Seed, profile FL-2.9, FL-2.10; Crypto, Tag.

use crate::kernel::BLOCK;
use sha2::block_api::compress256;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of a tag.
pub const TAG_LEN: usize = 8;

/// SHA-256's state as published: what a chain starts from for a literal peer.
pub(crate) const STANDARD_START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The state after the last frame of one direction; a secret, since whoever knows it forges the next tag.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Chain([u32; 8]);

impl Chain {
    /// A chain that starts from eight big-endian words.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        Self(words)
    }

    /// The chain of a literal peer.
    pub(crate) const fn standard() -> Self {
        Self(STANDARD_START)
    }

    /// The state as eight big-endian words.
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (place, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(self.0) {
            *place = word.to_be_bytes();
        }
        bytes
    }

    /// Takes a whole frame's header and payload; the tag.
    pub fn tag(&mut self, header_and_payload: &[u8]) -> [u8; TAG_LEN] {
        let (blocks, rest) = header_and_payload.as_chunks::<BLOCK>();
        compress256(&mut self.0, blocks);
        let mut last = [0; 2 * BLOCK];
        for (place, byte) in last.iter_mut().zip(rest) {
            *place = *byte;
        }
        let padded = pad(&mut last, rest.len(), header_and_payload.len());
        compress256(&mut self.0, padded.as_chunks::<BLOCK>().0);
        last.zeroize();
        self.last_tag()
    }

    /// The words, for the kernel.
    pub(crate) const fn words(&mut self) -> &mut [u32; 8] {
        &mut self.0
    }

    /// The tag of the frame whose padding was hashed last.
    pub(crate) const fn last_tag(&self) -> [u8; TAG_LEN] {
        let [a, b, ..] = self.0;
        (((a as u64) << 32) | b as u64).to_be_bytes()
    }
}

/// Most bytes that [`pad`] adds.
pub(crate) const PADDING: usize = BLOCK + TAG_LEN;

/// Pads what is left of a frame, the first bytes of `rest`, as the frame's whole length `total` asks for; what is to
/// be hashed, in whole blocks. The padding is never shorter than a tag. Profile, Crypto, Tag.
pub(crate) fn pad(rest: &mut [u8], length: usize, total: usize) -> &mut [u8] {
    let end = (length + 1 + size_of::<u64>()).next_multiple_of(BLOCK);
    let padded = rest.get_mut(..end).unwrap_or_default();
    let (_, padding) = padded.split_at_mut(length.min(padded.len()));
    padding.fill(0);
    if let Some(first) = padding.first_mut() {
        *first = 0x80;
    }
    if let Some(bits) = padding.last_chunk_mut() {
        *bits = (total as u64).wrapping_mul(8).to_be_bytes();
    }
    padded
}
