//! SHA-NI with VAES: four blocks of AES lie in one register of AVX-512, and a round is one instruction.
//!
//! That is so little work that it need not be spread over the hash; it only has to come first.

#![forbid(unsafe_code)]

use super::{
    Walk, load_512, load_lanes, load_part,
    schedule::RoundKeys,
    sha::{Block, State},
    store_512, store_part, tie_512,
};
use core::arch::x86_64::*;

/// Each round key four times side by side.
type WideKeys = [__m512i; 15];

/// Hashes and encrypts or decrypts all that there is to walk.
#[target_feature(enable = "sha,avx512f,avx512bw,avx512vl,vaes")]
pub(super) fn stitch(keys: &RoundKeys, mut counter: u128, words: &mut [u32; 8], mut walk: impl Walk) {
    let keys = widen(keys);
    let mut state = State::from_words(words);
    while let Some((hashed, from)) = walk.here() {
        let mut block = Block::begin(state, load_lanes(hashed));
        let from = load_512(from);
        let mut lanes = encrypt(&keys, counters(counter));
        tie_512(&mut lanes, block.pace());
        block.step::<0>();
        block.step::<1>();
        block.step::<2>();
        block.step::<3>();
        block.step::<4>();
        block.step::<5>();
        block.step::<6>();
        block.step::<7>();
        block.step::<8>();
        block.step::<9>();
        block.step::<10>();
        block.step::<11>();
        block.step::<12>();
        block.step::<13>();
        block.step::<14>();
        block.step::<15>();
        state = block.finish();
        let Some(to) = walk.on() else { break };
        store_512(to, _mm512_xor_si512(from, lanes));
        counter = counter.wrapping_add(4);
    }
    *words = state.words();
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes")]
pub(super) fn crypt(keys: &RoundKeys, mut counter: u128, from: &[u8], to: &mut [u8]) {
    let keys = widen(keys);
    let (from, last_from) = from.as_chunks();
    let (to, last_to) = to.as_chunks_mut();
    for (from, to) in from.iter().zip(to) {
        store_512(to, _mm512_xor_si512(load_512(from), encrypt(&keys, counters(counter))));
        counter = counter.wrapping_add(4);
    }
    if !last_from.is_empty() {
        store_part(last_to, _mm512_xor_si512(load_part(last_from), encrypt(&keys, counters(counter))));
    }
}

#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn encrypt(keys: &WideKeys, lanes: __m512i) -> __m512i {
    let [first, rounds @ .., last] = keys;
    let mut lanes = _mm512_xor_si512(lanes, *first);
    for key in rounds {
        lanes = _mm512_aesenc_epi128(lanes, *key);
    }
    _mm512_aesenclast_epi128(lanes, *last)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn widen(keys: &RoundKeys) -> WideKeys {
    let mut wide = [_mm512_setzero_si512(); 15];
    for (wide, key) in wide.iter_mut().zip(keys) {
        *wide = _mm512_broadcast_i32x4(*key);
    }
    wide
}

/// Four counter blocks that follow each other.
#[inline]
#[target_feature(enable = "avx512f")]
fn counters(first: u128) -> __m512i {
    let (low, high) = halves(first);
    let (low_1, high_1) = halves(first.wrapping_add(1));
    let (low_2, high_2) = halves(first.wrapping_add(2));
    let (low_3, high_3) = halves(first.wrapping_add(3));
    _mm512_set_epi64(high_3, low_3, high_2, low_2, high_1, low_1, high, low)
}

/// A counter as it lies in memory, in the halves of a register.
#[inline]
fn halves(counter: u128) -> (i64, i64) {
    let swapped = counter.swap_bytes().cast_signed();
    (swapped as i64, (swapped >> 64) as i64)
}
