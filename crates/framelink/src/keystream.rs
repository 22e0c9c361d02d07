//! AES-256-CTR of one direction, as it runs on over all frames. Seed, profile FL-2.2, FL-2.3; Crypto, Keystream.

use crate::kernel::{BLOCK, CIPHER_BLOCK, Kernel};

/// Where a frame begins in the keystream. Profile FL-2.11.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Align {
    /// On the next AES block; what is left of the last one is thrown away.
    #[default]
    Block,
    /// On the next byte.
    Stream,
}

/// The cipher and how far it has come.
pub(crate) struct Keystream {
    kernel: Kernel,
    /// Whole blocks used, from C0.
    position: u128,
    /// Bytes used of the block behind them, less than 16.
    offset: usize,
    first: u128,
}

impl Keystream {
    pub(crate) fn new(key: &[u8; 32], first_counter: &[u8; CIPHER_BLOCK]) -> Self {
        let kernel = Kernel::new(key, first_counter);
        Self { kernel, position: 0, offset: 0, first: u128::from_be_bytes(*first_counter) }
    }

    /// The next counter block, and how many bytes of its keystream are used.
    pub(crate) const fn next(&self) -> ([u8; CIPHER_BLOCK], usize) {
        (self.first.wrapping_add(self.position).to_be_bytes(), self.offset)
    }

    /// Whether the next byte is the first of an AES block: only then can the kernel be used.
    pub(crate) const fn is_aligned(&self) -> bool {
        self.offset == 0
    }

    /// A frame has ended.
    pub(crate) const fn end_frame(&mut self, align: Align) {
        if matches!(align, Align::Block) && self.offset != 0 {
            self.position = self.position.wrapping_add(1);
            self.offset = 0;
        }
    }

    /// [`Kernel::seal`] at an aligned place: hashes and encrypts whole blocks of 64 bytes.
    pub(crate) fn seal(&mut self, state: &mut [u32; 8], plain: &[u8], sealed: &mut [u8]) {
        self.kernel.seal(state, self.position, plain, sealed);
        self.skip(plain.len());
    }

    /// [`Kernel::open`] at an aligned place: decrypts one block ahead of the hash.
    pub(crate) fn open(&mut self, state: &mut [u32; 8], plain: &mut [u8], sealed: &[u8]) {
        self.kernel.open(state, self.position, plain, sealed);
        self.skip(sealed.len());
    }

    /// Hashes whole blocks of 64 bytes.
    pub(crate) fn compress(&self, state: &mut [u32; 8], bytes: &[u8]) {
        self.kernel.compress(state, bytes.as_chunks::<BLOCK>().0);
    }

    /// Encrypts or decrypts bytes from anywhere.
    pub(crate) fn apply(&mut self, from: &[u8], to: &mut [u8]) {
        let head = if self.offset == 0 { 0 } else { from.len().min(CIPHER_BLOCK - self.offset) };
        let (from_head, from) = from.split_at(head);
        let (to_head, to) = to.split_at_mut(head);
        if head > 0 {
            let mut keystream = [0; CIPHER_BLOCK];
            self.kernel.crypt(self.position, &[0; CIPHER_BLOCK], &mut keystream);
            let keystream = keystream.iter().skip(self.offset);
            for ((to, from), key) in to_head.iter_mut().zip(from_head).zip(keystream) {
                *to = from ^ key;
            }
            self.skip(head);
        }
        if !from.is_empty() {
            self.kernel.crypt(self.position, from, to);
            self.skip(from.len());
        }
    }

    const fn skip(&mut self, bytes: usize) {
        let bytes = self.offset + bytes;
        self.position = self.position.wrapping_add((bytes / CIPHER_BLOCK) as u128);
        self.offset = bytes % CIPHER_BLOCK;
    }
}
