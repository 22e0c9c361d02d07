//! The stitched paths, for x86-64 with SHA-NI: one block of SHA-256 and four of AES in turns, because each step of
//! the one waits for the step before, and the other fills the time.
//!
//! All that is unsafe is in this file, and rests on four things:
//!
//! - a function that needs instructions is called only on a [`Stitched`], and there is none without [`can`], which
//!   asks the processor for just those instructions;
//! - bytes become registers and back by `transmute`, which the compiler refuses for unequal sizes, between types that
//!   have no padding and take any bits;
//! - the two accesses with a mask touch only the bytes that the mask, made from the slice's length, names;
//! - the assembler of a tie has no instruction in it.

#![expect(unsafe_code, reason = "instructions that not every processor has")]

mod aesni;
mod schedule;
mod sha;
mod vaes;

use super::{BLOCK, Path};
use core::{
    arch::{asm, x86_64::*},
    mem::{take, transmute},
};
use schedule::RoundKeys;
use std::is_x86_feature_detected as has;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Four blocks of AES, or one of SHA-256.
type Lanes = [__m128i; 4];

/// Whether the processor has all that `path` uses. [`Path::Portable`] is not one of this file's.
pub(super) fn can(path: Path) -> bool {
    let hash = has!("sha") && has!("ssse3") && has!("sse4.1");
    match path {
        Path::Portable => false,
        Path::AesNi => hash && has!("aes"),
        Path::Vaes => {
            let wide = has!("avx512f") && has!("avx512bw") && has!("avx512vl");
            hash && has!("aes") && wide && has!("vaes")
        }
    }
}

/// What the processor was asked for.
#[derive(Clone, Copy)]
enum Instructions {
    AesNi,
    Vaes,
}

/// A key and a counter on a processor that has the instructions.
pub(super) struct Stitched {
    keys: RoundKeys,
    first_counter: u128,
    instructions: Instructions,
}

impl Stitched {
    /// None if this processor cannot go by that path.
    pub(super) fn new(path: Path, key: &[u8; 32], first_counter: &[u8; 16]) -> Option<Self> {
        let instructions = match path {
            Path::AesNi if can(path) => Instructions::AesNi,
            Path::Vaes if can(path) => Instructions::Vaes,
            _ => return None,
        };
        // SAFETY: `can` has found AES-NI for either of the two.
        let keys = unsafe { schedule::expand(key) };
        Some(Self { keys, first_counter: u128::from_be_bytes(*first_counter), instructions })
    }

    pub(super) fn seal(
        &self,
        state: &mut [u32; 8],
        position: u128,
        hashed: &[[u8; BLOCK]],
        plain: &[[u8; BLOCK]],
        sealed: &mut [[u8; BLOCK]],
    ) {
        self.stitch(state, position, Sealing { hashed, plain, sealed });
    }

    pub(super) fn open(
        &self,
        state: &mut [u32; 8],
        position: u128,
        plain: &mut [u8],
        lead: usize,
        sealed: &[[u8; BLOCK]],
    ) {
        self.stitch(state, position, Opening { plain, lead, sealed });
    }

    fn stitch(&self, state: &mut [u32; 8], position: u128, walk: impl Walk) {
        let counter = self.first_counter.wrapping_add(position);
        match self.instructions {
            // SAFETY: `new` has found the instructions.
            Instructions::AesNi => unsafe { aesni::stitch(&self.keys, counter, state, walk) },
            // SAFETY: likewise.
            Instructions::Vaes => unsafe { vaes::stitch(&self.keys, counter, state, walk) },
        }
    }

    pub(super) fn crypt(&self, position: u128, from: &[u8], to: &mut [u8]) {
        let counter = self.first_counter.wrapping_add(position);
        match self.instructions {
            // SAFETY: `new` has found the instructions.
            Instructions::AesNi => unsafe { aesni::crypt(&self.keys, counter, from, to) },
            // SAFETY: likewise.
            Instructions::Vaes => unsafe { vaes::crypt(&self.keys, counter, from, to) },
        }
    }
}

impl Drop for Stitched {
    fn drop(&mut self) {
        self.keys.zeroize();
        self.first_counter.zeroize();
    }
}

impl ZeroizeOnDrop for Stitched {}

/// What is hashed and encrypted or decrypted, block by block.
trait Walk {
    /// The block for the hash, and the one for the cipher; none at the end.
    fn here(&self) -> Option<(&[u8; BLOCK], &[u8; BLOCK])>;

    /// Where what becomes of the latter goes. The next blocks are here then.
    fn on(&mut self) -> Option<&mut [u8; BLOCK]>;
}

struct Sealing<'a> {
    hashed: &'a [[u8; BLOCK]],
    plain: &'a [[u8; BLOCK]],
    sealed: &'a mut [[u8; BLOCK]],
}

impl Walk for Sealing<'_> {
    #[inline]
    fn here(&self) -> Option<(&[u8; BLOCK], &[u8; BLOCK])> {
        Some((self.hashed.first()?, self.plain.first()?))
    }

    #[inline]
    fn on(&mut self) -> Option<&mut [u8; BLOCK]> {
        (_, self.hashed) = self.hashed.split_first()?;
        (_, self.plain) = self.plain.split_first()?;
        let (place, rest) = take(&mut self.sealed).split_first_mut()?;
        self.sealed = rest;
        Some(place)
    }
}

struct Opening<'a> {
    plain: &'a mut [u8],
    /// How far what is decrypted is ahead of what is hashed, at least a block.
    lead: usize,
    sealed: &'a [[u8; BLOCK]],
}

impl Walk for Opening<'_> {
    #[inline]
    fn here(&self) -> Option<(&[u8; BLOCK], &[u8; BLOCK])> {
        Some((self.plain.first_chunk()?, self.sealed.first()?))
    }

    #[inline]
    fn on(&mut self) -> Option<&mut [u8; BLOCK]> {
        (_, self.sealed) = self.sealed.split_first()?;
        self.plain = take(&mut self.plain).get_mut(BLOCK..)?;
        self.plain.get_mut(self.lead - BLOCK..)?.first_chunk_mut()
    }
}

#[inline]
#[target_feature(enable = "sse2")]
fn load_key(key: &[u8; 32]) -> [__m128i; 2] {
    // SAFETY: of one size, and any bits are a register.
    unsafe { transmute(*key) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn load_lanes(bytes: &[u8; BLOCK]) -> Lanes {
    // SAFETY: of one size, and any bits are a register.
    unsafe { transmute(*bytes) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn store_lanes(to: &mut [u8; BLOCK], lanes: Lanes) {
    // SAFETY: of one size, and any bits are bytes.
    *to = unsafe { transmute::<Lanes, [u8; BLOCK]>(lanes) };
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_512(bytes: &[u8; BLOCK]) -> __m512i {
    // SAFETY: of one size, and any bits are a register.
    unsafe { transmute(*bytes) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_512(to: &mut [u8; BLOCK], bytes: __m512i) {
    // SAFETY: of one size, and any bits are bytes.
    *to = unsafe { transmute::<__m512i, [u8; BLOCK]>(bytes) };
}

/// A bit for each byte, of 64 at most.
#[inline]
fn mask(bytes: &[u8]) -> __mmask64 {
    let beyond = 64_usize.saturating_sub(bytes.len());
    u64::MAX.checked_shr(beyond as u32).unwrap_or(0)
}

/// Less than a block; zeros behind it.
#[inline]
#[target_feature(enable = "avx512bw")]
fn load_part(bytes: &[u8]) -> __m512i {
    // SAFETY: no byte outside of the mask is touched, and the mask is no longer than the slice.
    unsafe { _mm512_maskz_loadu_epi8(mask(bytes), bytes.as_ptr().cast()) }
}

/// The first of `bytes`, as many as `to` takes.
#[inline]
#[target_feature(enable = "avx512bw")]
fn store_part(to: &mut [u8], bytes: __m512i) {
    let mask = mask(to);
    // SAFETY: no byte outside of the mask is touched, and the mask is no longer than the slice.
    unsafe { _mm512_mask_storeu_epi8(to.as_mut_ptr().cast(), mask, bytes) }
}

/// Keeps the cipher's work before the next step of the hash. Without it the compiler gathers all of it behind the
/// last step, where it comes too late: that costs a tenth of the speed.
#[inline]
#[target_feature(enable = "sse2")]
fn tie([a, b, c, d]: &mut Lanes, hash: &mut __m128i) {
    // SAFETY: there is no instruction in it.
    unsafe {
        asm!(
            "/* {} {} {} {} {} */",
            inout(xmm_reg) * a,
            inout(xmm_reg) * b,
            inout(xmm_reg) * c,
            inout(xmm_reg) * d,
            inout(xmm_reg) * hash,
            options(nomem, nostack, preserves_flags)
        );
    }
}

/// The same for four blocks in one register.
#[inline]
#[target_feature(enable = "avx512f")]
fn tie_512(lanes: &mut __m512i, hash: &mut __m128i) {
    // SAFETY: there is no instruction in it.
    unsafe {
        asm!("/* {} {} */", inout(zmm_reg) * lanes, inout(xmm_reg) * hash, options(nomem, nostack, preserves_flags));
    }
}
