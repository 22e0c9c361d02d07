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
        self.finish(rest, header_and_payload.len())
    }

    /// The words, for the kernel.
    pub(crate) const fn words(&mut self) -> &mut [u32; 8] {
        &mut self.0
    }

    /// Takes the rest of a frame, less than a block, with the padding that its whole length `total` asks for.
    pub(crate) fn finish(&mut self, rest: &[u8], total: usize) -> [u8; TAG_LEN] {
        let mut padded = [0; 2 * BLOCK];
        let bits = (total as u64).wrapping_mul(8).to_be_bytes();
        let used = if rest.len() < BLOCK - TAG_LEN { BLOCK } else { 2 * BLOCK };
        for (place, byte) in padded.iter_mut().zip(rest.iter().chain(&[0x80])) {
            *place = *byte;
        }
        if let Some(place) = padded.get_mut(used - bits.len()..used) {
            place.copy_from_slice(&bits);
        }
        compress256(&mut self.0, padded.get(..used).unwrap_or_default().as_chunks::<BLOCK>().0);
        padded.zeroize();
        let [a, b, ..] = self.0;
        ((u64::from(a) << 32) | u64::from(b)).to_be_bytes()
    }
}
