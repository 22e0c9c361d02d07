//! AES-256-CTR of one direction, as it runs on over all frames. Seed, profile FL-2.2, FL-2.3; Crypto, Keystream.

use crate::kernel::{BLOCK, CIPHER_BLOCK, Kernel};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Where a frame begins in the keystream. Profile FL-2.11.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Align {
    /// On the next AES block; what is left of the last one is thrown away.
    #[default]
    Block,
    /// On the next byte.
    Stream,
}

/// Blocks of AES that are made at once.
const POSITIONS: u128 = (BLOCK / CIPHER_BLOCK) as u128;

/// The cipher and how far it has come.
pub(crate) struct Keystream {
    kernel: Kernel,
    /// Blocks of AES made, from C0.
    position: u128,
    /// What was made last, and how much of its end is left to be used.
    made: [u8; BLOCK],
    left: usize,
    first: u128,
}

impl Keystream {
    pub(crate) fn new(key: &[u8; 32], first_counter: &[u8; CIPHER_BLOCK]) -> Self {
        let kernel = Kernel::new(key, first_counter);
        Self { kernel, position: 0, made: [0; BLOCK], left: 0, first: u128::from_be_bytes(*first_counter) }
    }

    /// The next counter block, and how many bytes of its keystream are used.
    pub(crate) const fn next(&self) -> ([u8; CIPHER_BLOCK], usize) {
        let unused = self.left.div_ceil(CIPHER_BLOCK);
        let position = self.position.wrapping_sub(unused as u128);
        (self.first.wrapping_add(position).to_be_bytes(), unused * CIPHER_BLOCK - self.left)
    }

    /// How many bytes must go through [`Keystream::apply`] before whole blocks can go through the kernel.
    pub(crate) const fn left(&self) -> usize {
        self.left
    }

    /// A frame has ended.
    pub(crate) const fn end_frame(&mut self, align: Align) {
        if matches!(align, Align::Block) {
            self.left -= self.left % CIPHER_BLOCK;
        }
    }

    /// [`Kernel::seal`], where nothing is left: hashes and encrypts whole blocks of 64 bytes.
    pub(crate) fn seal(&mut self, state: &mut [u32; 8], hashed: &[u8], plain: &[u8], sealed: &mut [u8]) {
        self.kernel.seal(state, self.position, hashed, plain, sealed);
        self.skip(sealed.len());
    }

    /// Of the last block of keystream, as [`Keystream::seal`] used it, this end is left after all.
    pub(crate) fn give_back(&mut self, unused: &[u8]) {
        if let Some(place) = self.made.get_mut(BLOCK - unused.len()..) {
            place.copy_from_slice(unused);
            self.left = unused.len();
        }
    }

    /// [`Kernel::open`], where nothing is left: decrypts `lead` bytes ahead of the hash.
    pub(crate) fn open(&mut self, state: &mut [u32; 8], plain: &mut [u8], lead: usize, sealed: &[u8]) {
        self.kernel.open(state, self.position, plain, lead, sealed);
        self.skip(sealed.len());
    }

    /// Hashes whole blocks of 64 bytes.
    pub(crate) fn compress(&self, state: &mut [u32; 8], bytes: &[u8]) {
        self.kernel.compress(state, bytes.as_chunks::<BLOCK>().0);
    }

    /// Encrypts or decrypts bytes from anywhere.
    pub(crate) fn apply(&mut self, from: &[u8], to: &mut [u8]) {
        let (from, to) = self.apply_left(from, to);
        let whole = from.len() / BLOCK * BLOCK;
        let (from, from_rest) = from.split_at(whole);
        let (to, to_rest) = to.split_at_mut(whole);
        if whole > 0 {
            self.kernel.crypt(self.position, from, to);
            self.skip(whole);
        }
        if !from_rest.is_empty() {
            self.kernel.crypt(self.position, &[0; BLOCK], &mut self.made);
            self.skip(BLOCK);
            self.left = BLOCK;
            self.apply_left(from_rest, to_rest);
        }
    }

    /// With what is left; the bytes it is not enough for.
    fn apply_left<'a, 'b>(&mut self, from: &'a [u8], to: &'b mut [u8]) -> (&'a [u8], &'b mut [u8]) {
        let length = from.len().min(self.left);
        let (from, from_rest) = from.split_at(length);
        let (to, to_rest) = to.split_at_mut(length);
        let left = self.made.get(BLOCK - self.left..).unwrap_or_default();
        for ((to, from), key) in to.iter_mut().zip(from).zip(left) {
            *to = from ^ key;
        }
        self.left -= length;
        (from_rest, to_rest)
    }

    const fn skip(&mut self, bytes: usize) {
        self.position = self.position.wrapping_add((bytes / BLOCK) as u128 * POSITIONS);
    }
}

impl Drop for Keystream {
    fn drop(&mut self) {
        self.made.zeroize();
    }
}

impl ZeroizeOnDrop for Keystream {}
