//! SHA-256 in pieces of four rounds, between which a cipher may put its own.
//!
//! Each pair of rounds waits for the one before it, so the unit that hashes stands idle most of the time, and so
//! does the one that encrypts unless it is given work at every step.

#![forbid(unsafe_code)]

use core::arch::x86_64::*;

/// FIPS 180-4, 4.2.2, four to a step.
const K: [[u32; 4]; 16] = [
    [0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5],
    [0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5],
    [0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3],
    [0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174],
    [0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc],
    [0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da],
    [0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7],
    [0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967],
    [0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13],
    [0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85],
    [0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3],
    [0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070],
    [0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5],
    [0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3],
    [0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208],
    [0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2],
];

/// The state between blocks, in the order in which the instructions want it.
#[derive(Clone, Copy)]
pub(super) struct State {
    abef: __m128i,
    cdgh: __m128i,
}

impl State {
    #[inline]
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    pub(super) fn from_words(words: &[u32; 8]) -> Self {
        let [a, b, c, d, e, f, g, h] = words.map(u32::cast_signed);
        let (dcba, hgfe) = (_mm_set_epi32(d, c, b, a), _mm_set_epi32(h, g, f, e));
        let (cdab, efgh) = (_mm_shuffle_epi32::<0xB1>(dcba), _mm_shuffle_epi32::<0x1B>(hgfe));
        Self { abef: _mm_alignr_epi8::<8>(cdab, efgh), cdgh: _mm_blend_epi16::<0xF0>(efgh, cdab) }
    }

    #[inline]
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    pub(super) fn words(self) -> [u32; 8] {
        let (feba, dchg) = (_mm_shuffle_epi32::<0x1B>(self.abef), _mm_shuffle_epi32::<0xB1>(self.cdgh));
        let (dcba, hgfe) = (_mm_blend_epi16::<0xF0>(feba, dchg), _mm_alignr_epi8::<8>(dchg, feba));
        [
            _mm_extract_epi32::<0>(dcba),
            _mm_extract_epi32::<1>(dcba),
            _mm_extract_epi32::<2>(dcba),
            _mm_extract_epi32::<3>(dcba),
            _mm_extract_epi32::<0>(hgfe),
            _mm_extract_epi32::<1>(hgfe),
            _mm_extract_epi32::<2>(hgfe),
            _mm_extract_epi32::<3>(hgfe),
        ]
        .map(i32::cast_unsigned)
    }
}

/// A block on its way through the sixteen steps.
pub(super) struct Block {
    before: State,
    now: State,
    /// The last sixteen words of the message schedule, oldest first.
    words: [__m128i; 4],
}

impl Block {
    /// Begins with the bytes of a block, as they lie in memory.
    #[inline]
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    pub(super) fn begin(state: State, bytes: [__m128i; 4]) -> Self {
        let order = _mm_set_epi64x(0x0C0D_0E0F_0809_0A0B, 0x0405_0607_0001_0203);
        let [a, b, c, d] = bytes;
        let words = [
            _mm_shuffle_epi8(a, order),
            _mm_shuffle_epi8(b, order),
            _mm_shuffle_epi8(c, order),
            _mm_shuffle_epi8(d, order),
        ];
        Self { before: state, now: state, words }
    }

    /// Four rounds. A block takes the steps 0 to 15 in order.
    #[inline]
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    pub(super) fn step<const STEP: usize>(&mut self) {
        let [w0, w1, w2, w3] = self.words;
        let next = if STEP < 4 {
            w0
        } else {
            let sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8::<4>(w3, w2));
            _mm_sha256msg2_epu32(sum, w3)
        };
        self.words = [w1, w2, w3, next];
        #[expect(clippy::indexing_slicing, reason = "a step above 15 does not compile")]
        let [k0, k1, k2, k3] = const { K[STEP] }.map(u32::cast_signed);
        let input = _mm_add_epi32(next, _mm_set_epi32(k3, k2, k1, k0));
        let State { abef, cdgh } = self.now;
        let cdgh = _mm_sha256rnds2_epu32(cdgh, abef, input);
        let abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32::<0x0E>(input));
        self.now = State { abef, cdgh };
    }

    /// What the next step waits for.
    pub(super) fn pace(&mut self) -> &mut __m128i {
        &mut self.now.abef
    }

    /// The state behind the block.
    #[inline]
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    pub(super) fn finish(self) -> State {
        State {
            abef: _mm_add_epi32(self.now.abef, self.before.abef),
            cdgh: _mm_add_epi32(self.now.cdgh, self.before.cdgh),
        }
    }
}
