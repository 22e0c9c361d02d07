//! SHA-256 and AES-256-CTR over the same bytes at once: what bounds the speed of a link.
//!
//! Two calls do all the bulk work. [`Kernel::seal`] hashes plaintext and encrypts it; [`Kernel::open`]
//! decrypts ahead of the hash, because what is hashed is what was decrypted. Both take whole blocks of 64
//! bytes, one of SHA-256 and four of AES. What is shorter goes through
//! [`Kernel::crypt`] and [`Kernel::compress`].

mod portable;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

use portable::Portable;
#[cfg(target_arch = "x86_64")]
use x86::Stitched;

/// Bytes of one block of SHA-256, and of four of AES.
pub const BLOCK: usize = 64;
/// Bytes of one block of AES.
pub const CIPHER_BLOCK: usize = 16;

/// A way to the same result. Which of them a machine can go, it is asked at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Two libraries one after the other, on any machine.
    Portable,
    /// Stitched, with SHA-NI and AES-NI.
    AesNi,
    /// Stitched, with SHA-NI and the AES of AVX-512.
    Vaes,
}

impl Path {
    /// Those that this machine can go, the fastest last.
    pub fn available() -> impl Iterator<Item = Self> {
        [Self::Portable, Self::AesNi, Self::Vaes].into_iter().filter(|path| path.is_available())
    }

    fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        let stitched = x86::can(self);
        #[cfg(not(target_arch = "x86_64"))]
        let stitched = false;
        self == Self::Portable || stitched
    }
}

/// One direction's cipher under one key. Profile, Keystream.
///
/// A position counts AES blocks from C0 and wraps with the counter, mod 2^128.
pub struct Kernel(Way);

#[cfg_attr(
    target_arch = "x86_64",
    expect(clippy::large_enum_variant, reason = "a link has two of them, and would follow a pointer for each frame")
)]
enum Way {
    Portable(Portable),
    #[cfg(target_arch = "x86_64")]
    Stitched(Stitched),
}

impl Kernel {
    /// The fastest this machine can do.
    pub fn new(key: &[u8; 32], first_counter: &[u8; 16]) -> Self {
        let stitched = [Path::Vaes, Path::AesNi].iter().find_map(|path| Self::with_path(*path, key, first_counter));
        stitched.unwrap_or_else(|| Self(Way::Portable(Portable::new(key, first_counter))))
    }

    /// None if this machine cannot go that path.
    pub fn with_path(path: Path, key: &[u8; 32], first_counter: &[u8; 16]) -> Option<Self> {
        match path {
            Path::Portable => Some(Self(Way::Portable(Portable::new(key, first_counter)))),
            #[cfg(target_arch = "x86_64")]
            Path::AesNi | Path::Vaes => Stitched::new(path, key, first_counter).map(|way| Self(Way::Stitched(way))),
            #[cfg(not(target_arch = "x86_64"))]
            Path::AesNi | Path::Vaes => None,
        }
    }

    /// Hashes `hashed` into `state`, and encrypts `plain` to `sealed`. All three are of one length, a multiple of
    /// [`BLOCK`]; what of the longer ones is beyond is left alone. The first two are parts of one message, the
    /// same or not quite: keystream that is left over shifts the cipher's blocks against those of the hash.
    pub fn seal(&mut self, state: &mut [u32; 8], position: u128, hashed: &[u8], plain: &[u8], sealed: &mut [u8]) {
        let (hashed, plain, sealed) = (hashed.as_chunks().0, plain.as_chunks().0, sealed.as_chunks_mut().0);
        let blocks = hashed.len().min(plain.len()).min(sealed.len());
        let (Some(hashed), Some(plain)) = (hashed.get(..blocks), plain.get(..blocks)) else { return };
        let Some(sealed) = sealed.get_mut(..blocks) else { return };
        match &mut self.0 {
            Way::Portable(way) => way.seal(state, position, hashed, plain, sealed),
            #[cfg(target_arch = "x86_64")]
            Way::Stitched(way) => way.seal(state, position, hashed, plain, sealed),
        }
    }

    /// Decrypts `sealed`, a multiple of [`BLOCK`], to `plain[lead..]`, and hashes as many bytes from the start of
    /// `plain`, whose first `lead` bytes are plaintext already. With a lead of less than a block it does nothing;
    /// of less than two, what is hashed waits for what was just written.
    pub fn open(&mut self, state: &mut [u32; 8], position: u128, plain: &mut [u8], lead: usize, sealed: &[u8]) {
        let blocks = plain.len().saturating_sub(lead) / BLOCK;
        let sealed = sealed.as_chunks().0;
        let Some(sealed) = sealed.get(..blocks.min(sealed.len())).filter(|_| lead >= BLOCK) else { return };
        match &mut self.0 {
            Way::Portable(way) => way.open(state, position, plain, lead, sealed),
            #[cfg(target_arch = "x86_64")]
            Way::Stitched(way) => way.open(state, position, plain, lead, sealed),
        }
    }

    /// Encrypts or decrypts `from` to `to`, both of one length, from the start of a block of AES. What is left of
    /// the last block of keystream is thrown away.
    pub fn crypt(&mut self, position: u128, from: &[u8], to: &mut [u8]) {
        let bytes = from.len().min(to.len());
        let (Some(from), Some(to)) = (from.get(..bytes), to.get_mut(..bytes)) else { return };
        match &mut self.0 {
            Way::Portable(way) => way.crypt(position, from, to),
            #[cfg(target_arch = "x86_64")]
            Way::Stitched(way) => way.crypt(position, from, to),
        }
    }

    /// Hashes whole blocks.
    pub fn compress(&self, state: &mut [u32; 8], blocks: &[[u8; BLOCK]]) {
        sha2::block_api::compress256(state, blocks);
    }
}
