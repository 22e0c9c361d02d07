//! SHA-NI with AES-NI: four blocks of AES go side by side, each in a register of its own.

#![forbid(unsafe_code)]

use super::{
    Lanes, load_lanes,
    schedule::RoundKeys,
    sha::{Block, State},
    store_lanes,
};
use crate::kernel::BLOCK;
use core::arch::x86_64::*;

#[target_feature(enable = "sha,ssse3,sse4.1,aes")]
pub(super) fn seal(
    keys: &RoundKeys,
    mut counter: u128,
    words: &mut [u32; 8],
    plain: &[[u8; BLOCK]],
    sealed: &mut [[u8; BLOCK]],
) {
    let mut state = State::from_words(words);
    for (plain, sealed) in plain.iter().zip(sealed) {
        let plain = load_lanes(plain);
        let keystream;
        (state, keystream) = hash_and_encrypt(state, plain, keys, counters(counter));
        store_lanes(sealed, xor(plain, keystream));
        counter = counter.wrapping_add(4);
    }
    *words = state.words();
}

#[target_feature(enable = "sha,ssse3,sse4.1,aes")]
pub(super) fn open(
    keys: &RoundKeys,
    mut counter: u128,
    words: &mut [u32; 8],
    plain: &mut [[u8; BLOCK]],
    sealed: &[[u8; BLOCK]],
) {
    let Some((first, ahead)) = plain.split_first_mut() else { return };
    let mut state = State::from_words(words);
    let mut known = load_lanes(first);
    for (plain, sealed) in ahead.iter_mut().zip(sealed) {
        let keystream;
        (state, keystream) = hash_and_encrypt(state, known, keys, counters(counter));
        known = xor(load_lanes(sealed), keystream);
        store_lanes(plain, known);
        counter = counter.wrapping_add(4);
    }
    *words = state.words();
}

#[target_feature(enable = "aes")]
pub(super) fn crypt(keys: &RoundKeys, mut counter: u128, from: &[u8], to: &mut [u8]) {
    let (from, last_from) = from.as_chunks();
    let (to, last_to) = to.as_chunks_mut();
    for (from, to) in from.iter().zip(to) {
        store_lanes(to, xor(load_lanes(from), encrypt(keys, counters(counter))));
        counter = counter.wrapping_add(4);
    }
    if !last_from.is_empty() {
        let mut keystream = [0; BLOCK];
        store_lanes(&mut keystream, encrypt(keys, counters(counter)));
        for ((to, from), key) in last_to.iter_mut().zip(last_from).zip(keystream) {
            *to = from ^ key;
        }
    }
}

/// The hash of a block, and four other blocks encrypted.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1,aes")]
fn hash_and_encrypt(state: State, bytes: Lanes, keys: &RoundKeys, lanes: Lanes) -> (State, Lanes) {
    let [k0, k1, k2, k3, k4, k5, k6, k7, k8, k9, k10, k11, k12, k13, k14] = keys;
    let mut block = Block::begin(state, bytes);
    block.step::<0>();
    let lanes = xor(lanes, [*k0; 4]);
    block.step::<1>();
    let lanes = round(lanes, k1);
    block.step::<2>();
    let lanes = round(lanes, k2);
    block.step::<3>();
    let lanes = round(lanes, k3);
    block.step::<4>();
    let lanes = round(lanes, k4);
    block.step::<5>();
    let lanes = round(lanes, k5);
    block.step::<6>();
    let lanes = round(lanes, k6);
    block.step::<7>();
    let lanes = round(lanes, k7);
    block.step::<8>();
    let lanes = round(lanes, k8);
    block.step::<9>();
    let lanes = round(lanes, k9);
    block.step::<10>();
    let lanes = round(lanes, k10);
    block.step::<11>();
    let lanes = round(lanes, k11);
    block.step::<12>();
    let lanes = round(lanes, k12);
    block.step::<13>();
    let lanes = round(lanes, k13);
    block.step::<14>();
    let lanes = last_round(lanes, k14);
    block.step::<15>();
    (block.finish(), lanes)
}

#[inline]
#[target_feature(enable = "aes")]
fn encrypt(keys: &RoundKeys, lanes: Lanes) -> Lanes {
    let [first, rounds @ .., last] = keys;
    let mut lanes = xor(lanes, [*first; 4]);
    for key in rounds {
        lanes = round(lanes, key);
    }
    last_round(lanes, last)
}

#[inline]
#[target_feature(enable = "aes")]
fn round([a, b, c, d]: Lanes, key: &__m128i) -> Lanes {
    [_mm_aesenc_si128(a, *key), _mm_aesenc_si128(b, *key), _mm_aesenc_si128(c, *key), _mm_aesenc_si128(d, *key)]
}

#[inline]
#[target_feature(enable = "aes")]
fn last_round([a, b, c, d]: Lanes, key: &__m128i) -> Lanes {
    [
        _mm_aesenclast_si128(a, *key),
        _mm_aesenclast_si128(b, *key),
        _mm_aesenclast_si128(c, *key),
        _mm_aesenclast_si128(d, *key),
    ]
}

#[inline]
#[target_feature(enable = "sse2")]
fn xor([a, b, c, d]: Lanes, [e, f, g, h]: Lanes) -> Lanes {
    [_mm_xor_si128(a, e), _mm_xor_si128(b, f), _mm_xor_si128(c, g), _mm_xor_si128(d, h)]
}

/// Four counter blocks that follow each other.
#[inline]
#[target_feature(enable = "sse2")]
fn counters(first: u128) -> Lanes {
    [counter(first), counter(first.wrapping_add(1)), counter(first.wrapping_add(2)), counter(first.wrapping_add(3))]
}

/// A counter as it lies in memory.
#[inline]
#[target_feature(enable = "sse2")]
fn counter(counter: u128) -> __m128i {
    let swapped = counter.swap_bytes().cast_signed();
    _mm_set_epi64x((swapped >> 64) as i64, swapped as i64)
}
