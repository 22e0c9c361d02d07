//! SHA-256 and AES-256-CTR over the same bytes at once: what bounds the speed of a link.
//!
//! Two calls do all the bulk work. [`Kernel::seal`] hashes plaintext and encrypts it; [`Kernel::open`]
//! decrypts one block ahead of the hash, because what is hashed is what was decrypted. Both take whole
//! blocks of 64 bytes, one of SHA-256 and four of AES. Heads and tails of frames go through
//! [`Kernel::crypt`] and [`Kernel::compress`].

mod portable;

use portable::Portable;

/// Bytes of one block of SHA-256, and of four of AES.
pub(crate) const BLOCK: usize = 64;
/// Bytes of one block of AES.
pub(crate) const CIPHER_BLOCK: usize = 16;

/// One direction's cipher under one key. Profile, Keystream.
///
/// A position counts AES blocks from C0 and wraps with the counter, mod 2^128.
pub(crate) struct Kernel(Portable);

impl Kernel {
    /// The fastest this machine can do.
    pub(crate) fn new(key: &[u8; 32], first_counter: &[u8; 16]) -> Self {
        Self(Portable::new(key, first_counter))
    }

    /// Hashes `plain` into `state` and writes it encrypted to `sealed`. Both are of one length, a multiple
    /// of [`BLOCK`]; what of the longer one is beyond is left alone.
    pub(crate) fn seal(&mut self, state: &mut [u32; 8], position: u128, plain: &[u8], sealed: &mut [u8]) {
        self.0.seal(state, position, plain, sealed);
    }

    /// Decrypts `sealed`, a multiple of [`BLOCK`], to `plain[BLOCK..]`, and hashes as many bytes from the start
    /// of `plain`: its first block is plaintext already, its last stays unhashed.
    pub(crate) fn open(&mut self, state: &mut [u32; 8], position: u128, plain: &mut [u8], sealed: &[u8]) {
        self.0.open(state, position, plain, sealed);
    }

    /// Encrypts or decrypts `from` to `to`, both of one length, from the start of a block of AES. What is left of
    /// the last block of keystream is thrown away.
    pub(crate) fn crypt(&mut self, position: u128, from: &[u8], to: &mut [u8]) {
        self.0.crypt(position, from, to);
    }

    /// Hashes whole blocks.
    pub(crate) fn compress(&self, state: &mut [u32; 8], blocks: &[[u8; BLOCK]]) {
        sha2::block_api::compress256(state, blocks);
    }
}
