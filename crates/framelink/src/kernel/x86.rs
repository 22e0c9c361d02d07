//! The stitched paths, for x86-64 with SHA-NI: one block of SHA-256 and four of AES in turns, because the one waits
//! for itself at every round and the other fills the gaps.
//!
//! All that is unsafe is in this file, and rests on three things:
//!
//! - a function that needs instructions is called only on a [`Stitched`], and there is none without
//!   [`Path::is_available`], which asks the processor for just those instructions;
//! - bytes become registers and back by `transmute`, which the compiler refuses for unequal sizes, between types that
//!   have no padding and take any bits;
//! - the two accesses with a mask touch only the bytes that the mask, made from the slice's length, names.

#![expect(unsafe_code, reason = "instructions that not every processor has")]

mod aesni;
mod schedule;
mod sha;
mod vaes;

use super::{BLOCK, Path};
use core::{arch::x86_64::*, mem::transmute};
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

    pub(super) fn seal(&self, state: &mut [u32; 8], position: u128, plain: &[[u8; BLOCK]], sealed: &mut [[u8; BLOCK]]) {
        let counter = self.first_counter.wrapping_add(position);
        match self.instructions {
            // SAFETY: `new` has found the instructions.
            Instructions::AesNi => unsafe { aesni::seal(&self.keys, counter, state, plain, sealed) },
            // SAFETY: likewise.
            Instructions::Vaes => unsafe { vaes::seal(&self.keys, counter, state, plain, sealed) },
        }
    }

    pub(super) fn open(&self, state: &mut [u32; 8], position: u128, plain: &mut [[u8; BLOCK]], sealed: &[[u8; BLOCK]]) {
        let counter = self.first_counter.wrapping_add(position);
        match self.instructions {
            // SAFETY: `new` has found the instructions.
            Instructions::AesNi => unsafe { aesni::open(&self.keys, counter, state, plain, sealed) },
            // SAFETY: likewise.
            Instructions::Vaes => unsafe { vaes::open(&self.keys, counter, state, plain, sealed) },
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

/// A bit for each of `length` bytes, at most 64.
#[inline]
fn mask(length: usize) -> __mmask64 {
    u64::MAX.checked_shr(64_u32.saturating_sub(length as u32)).unwrap_or(0)
}

/// Less than a block; zeros behind it.
#[inline]
#[target_feature(enable = "avx512bw")]
fn load_part(bytes: &[u8]) -> __m512i {
    // SAFETY: no byte outside of the mask is touched, and the mask is no longer than the slice.
    unsafe { _mm512_maskz_loadu_epi8(mask(bytes.len()), bytes.as_ptr().cast()) }
}

/// The first of `bytes`, as many as `to` takes.
#[inline]
#[target_feature(enable = "avx512bw")]
fn store_part(to: &mut [u8], bytes: __m512i) {
    // SAFETY: no byte outside of the mask is touched, and the mask is no longer than the slice.
    unsafe { _mm512_mask_storeu_epi8(to.as_mut_ptr().cast(), mask(to.len()), bytes) }
}
