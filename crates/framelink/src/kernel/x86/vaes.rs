//! SHA-NI with VAES: four blocks of AES lie in one register of AVX-512, and a round is one instruction.

#![forbid(unsafe_code)]

use super::{
    load_512, load_part,
    schedule::RoundKeys,
    sha::{Block, State},
    store_512, store_part,
};
use crate::kernel::BLOCK;
use core::arch::x86_64::*;

/// Each round key four times side by side.
type WideKeys = [__m512i; 15];

#[target_feature(enable = "sha,avx512f,avx512bw,avx512vl,vaes")]
pub(super) fn seal(
    keys: &RoundKeys,
    mut counter: u128,
    words: &mut [u32; 8],
    plain: &[[u8; BLOCK]],
    sealed: &mut [[u8; BLOCK]],
) {
    let keys = widen(keys);
    let mut state = State::from_words(words);
    for (plain, sealed) in plain.iter().zip(sealed) {
        let plain = load_512(plain);
        let keystream;
        (state, keystream) = hash_and_encrypt(state, quarters(plain), &keys, counters(counter));
        store_512(sealed, _mm512_xor_si512(plain, keystream));
        counter = counter.wrapping_add(4);
    }
    *words = state.words();
}

#[target_feature(enable = "sha,avx512f,avx512bw,avx512vl,vaes")]
pub(super) fn open(
    keys: &RoundKeys,
    mut counter: u128,
    words: &mut [u32; 8],
    plain: &mut [[u8; BLOCK]],
    sealed: &[[u8; BLOCK]],
) {
    let Some((first, ahead)) = plain.split_first_mut() else { return };
    let keys = widen(keys);
    let mut state = State::from_words(words);
    let mut known = load_512(first);
    for (plain, sealed) in ahead.iter_mut().zip(sealed) {
        let keystream;
        (state, keystream) = hash_and_encrypt(state, quarters(known), &keys, counters(counter));
        known = _mm512_xor_si512(load_512(sealed), keystream);
        store_512(plain, known);
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

/// The hash of a block, and four other blocks encrypted.
#[inline]
#[target_feature(enable = "sha,avx512f,avx512bw,avx512vl,vaes")]
fn hash_and_encrypt(state: State, bytes: [__m128i; 4], keys: &WideKeys, lanes: __m512i) -> (State, __m512i) {
    let [k0, k1, k2, k3, k4, k5, k6, k7, k8, k9, k10, k11, k12, k13, k14] = *keys;
    let mut block = Block::begin(state, bytes);
    block.step::<0>();
    let lanes = _mm512_xor_si512(lanes, k0);
    block.step::<1>();
    let lanes = _mm512_aesenc_epi128(lanes, k1);
    block.step::<2>();
    let lanes = _mm512_aesenc_epi128(lanes, k2);
    block.step::<3>();
    let lanes = _mm512_aesenc_epi128(lanes, k3);
    block.step::<4>();
    let lanes = _mm512_aesenc_epi128(lanes, k4);
    block.step::<5>();
    let lanes = _mm512_aesenc_epi128(lanes, k5);
    block.step::<6>();
    let lanes = _mm512_aesenc_epi128(lanes, k6);
    block.step::<7>();
    let lanes = _mm512_aesenc_epi128(lanes, k7);
    block.step::<8>();
    let lanes = _mm512_aesenc_epi128(lanes, k8);
    block.step::<9>();
    let lanes = _mm512_aesenc_epi128(lanes, k9);
    block.step::<10>();
    let lanes = _mm512_aesenc_epi128(lanes, k10);
    block.step::<11>();
    let lanes = _mm512_aesenc_epi128(lanes, k11);
    block.step::<12>();
    let lanes = _mm512_aesenc_epi128(lanes, k12);
    block.step::<13>();
    let lanes = _mm512_aesenc_epi128(lanes, k13);
    block.step::<14>();
    let lanes = _mm512_aesenclast_epi128(lanes, k14);
    block.step::<15>();
    (block.finish(), lanes)
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

#[inline]
#[target_feature(enable = "avx512f")]
fn quarters(bytes: __m512i) -> [__m128i; 4] {
    [
        _mm512_castsi512_si128(bytes),
        _mm512_extracti32x4_epi32::<1>(bytes),
        _mm512_extracti32x4_epi32::<2>(bytes),
        _mm512_extracti32x4_epi32::<3>(bytes),
    ]
}
