//! SHA-NI with AES-NI: four blocks of AES go side by side, each in a register of its own.

#![forbid(unsafe_code)]

use super::{
    Lanes, Walk, load_lanes,
    schedule::RoundKeys,
    sha::{Block, State},
    store_lanes, tie,
};
use crate::kernel::BLOCK;
use core::arch::x86_64::*;

/// Hashes and encrypts or decrypts all that there is to walk.
#[target_feature(enable = "sha,ssse3,sse4.1,aes")]
pub(super) fn stitch(keys: &RoundKeys, mut counter: u128, words: &mut [u32; 8], mut walk: impl Walk) {
    let [k0, k1, k2, k3, k4, k5, k6, k7, k8, k9, k10, k11, k12, k13, k14] = keys;
    let mut state = State::from_words(words);
    while let Some((hashed, from)) = walk.here() {
        let mut block = Block::begin(state, load_lanes(hashed));
        let from = load_lanes(from);
        let mut lanes = xor(counters(counter), [*k0; 4]);
        block.step::<0>();
        take_turns::<1>(&mut block, &mut lanes, k1);
        take_turns::<2>(&mut block, &mut lanes, k2);
        take_turns::<3>(&mut block, &mut lanes, k3);
        take_turns::<4>(&mut block, &mut lanes, k4);
        take_turns::<5>(&mut block, &mut lanes, k5);
        take_turns::<6>(&mut block, &mut lanes, k6);
        take_turns::<7>(&mut block, &mut lanes, k7);
        take_turns::<8>(&mut block, &mut lanes, k8);
        take_turns::<9>(&mut block, &mut lanes, k9);
        take_turns::<10>(&mut block, &mut lanes, k10);
        take_turns::<11>(&mut block, &mut lanes, k11);
        take_turns::<12>(&mut block, &mut lanes, k12);
        take_turns::<13>(&mut block, &mut lanes, k13);
        block.step::<14>();
        lanes = last_round(lanes, k14);
        block.step::<15>();
        state = block.finish();
        let Some(to) = walk.on() else { break };
        store_lanes(to, xor(from, lanes));
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

/// A step of the hash, and behind it a round of the cipher.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1,aes")]
fn take_turns<const STEP: usize>(block: &mut Block, lanes: &mut Lanes, key: &__m128i) {
    block.step::<STEP>();
    *lanes = round(*lanes, key);
    tie(lanes, block.pace());
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
