//! The round keys of AES-256.

#![forbid(unsafe_code)]

use super::load_key;
use core::arch::x86_64::*;

/// What a key becomes: one key to begin with, and one a round.
pub(super) type RoundKeys = [__m128i; 15];

/// FIPS 197, 5.2. Two round keys are the eight words that the next two are made of.
#[target_feature(enable = "aes")]
pub(super) fn expand(key: &[u8; 32]) -> RoundKeys {
    let [k0, k1] = load_key(key);
    let (k2, k3) = next::<0x01>(k0, k1);
    let (k4, k5) = next::<0x02>(k2, k3);
    let (k6, k7) = next::<0x04>(k4, k5);
    let (k8, k9) = next::<0x08>(k6, k7);
    let (k10, k11) = next::<0x10>(k8, k9);
    let (k12, k13) = next::<0x20>(k10, k11);
    let last = mix(k12, _mm_shuffle_epi32::<0xFF>(_mm_aeskeygenassist_si128::<0x40>(k13)));
    [k0, k1, k2, k3, k4, k5, k6, k7, k8, k9, k10, k11, k12, k13, last]
}

#[inline]
#[target_feature(enable = "aes")]
fn next<const ROUND: i32>(low: __m128i, high: __m128i) -> (__m128i, __m128i) {
    let low = mix(low, _mm_shuffle_epi32::<0xFF>(_mm_aeskeygenassist_si128::<ROUND>(high)));
    let high = mix(high, _mm_shuffle_epi32::<0xAA>(_mm_aeskeygenassist_si128::<0>(low)));
    (low, high)
}

/// Each word becomes the sum of itself, of those before it, and of `with`.
#[inline]
#[target_feature(enable = "sse2")]
fn mix(words: __m128i, with: __m128i) -> __m128i {
    let words = _mm_xor_si128(words, _mm_slli_si128::<4>(words));
    let words = _mm_xor_si128(words, _mm_slli_si128::<8>(words));
    _mm_xor_si128(words, with)
}
