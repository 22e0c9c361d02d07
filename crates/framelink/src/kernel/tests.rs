use super::*;
use crate::probe::{KernelInput as Input, UNTOUCHED};
use proptest::{collection::vec, prelude::*};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use waypost_testkit::{sim::Counts, storm};

/// Counters anywhere, and just before either carry.
fn counters() -> impl Strategy<Value = u128> {
    let near = || (0..100_u128, any::<u64>());
    prop_oneof![
        any::<u128>(),
        (0..100_u128).prop_map(|before| u128::MAX - before),
        near().prop_map(|(before, high)| ((u128::from(high) << 64) | u128::from(u64::MAX)) - before),
    ]
}

proptest! {
    #[test]
    fn all_paths_give_the_same_bytes_and_states(
        key: [u8; 32],
        counter in counters(),
        position in prop_oneof![any::<u128>(), Just(0), 0..100_u128],
        state: [u32; 8],
        bytes in vec(any::<u8>(), 0..20 * BLOCK),
        skip in 0..16_usize,
        shift in 0..64_usize,
        ahead in 0..100_usize,
    ) {
        let first_counter = counter.wrapping_sub(position).to_be_bytes();
        let bytes = bytes.get(skip..).unwrap_or_default();
        Input { key, first_counter, position, state, bytes, shift, ahead }.check();
    }
}

#[test]
fn every_length_of_tail_is_encrypted_and_nothing_behind_it_is_touched() {
    let bytes: Vec<u8> = (0..=255).collect();
    for length in 0..=bytes.len() {
        let input = Input {
            key: [7; 32],
            first_counter: [9; 16],
            position: 3,
            state: [1; 8],
            bytes: &bytes[..length],
            shift: length % 5,
            ahead: length % 3,
        };
        input.check();
        let end = input.shift + length;
        for path in Path::available() {
            assert!(input.go(path).unwrap().crypted[end..].iter().all(|byte| *byte == UNTOUCHED), "{path:?} {length}");
        }
    }
}

#[test]
fn what_has_no_counterpart_of_whole_blocks_is_left_alone() {
    let all_paths = |lengths: [usize; 2]| {
        let outcomes = Path::available().map(|path| {
            let mut kernel = Kernel::with_path(path, &[7; 32], &[9; 16]).unwrap();
            let (from, mut states) = (vec![1; lengths[0]], [[2; 8]; 2]);
            let [mut sealed, mut opened, mut crypted] = [(); 3].map(|()| vec![UNTOUCHED; lengths[1]]);
            kernel.seal(&mut states[0], 0, &from, &from, &mut sealed);
            kernel.open(&mut states[1], 0, &mut opened, BLOCK, &from);
            kernel.crypt(0, &from, &mut crypted);
            (states, sealed, opened, crypted)
        });
        let outcomes: Vec<_> = outcomes.collect();
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{lengths:?}");
        outcomes.into_iter().next().unwrap()
    };
    for lengths in [[0, 0], [0, 200], [200, 0], [63, 200], [200, 63], [64, 64], [64, 127], [500, 200], [200, 500]] {
        let (states, sealed, opened, crypted) = all_paths(lengths);
        let blocks = lengths[0].min(lengths[1]) / BLOCK;
        let ahead = (lengths[0] / BLOCK).min((lengths[1] / BLOCK).saturating_sub(1));
        assert_eq!((states[0] == [2; 8], states[1] == [2; 8]), (blocks == 0, ahead == 0), "{lengths:?}");
        let untouched = |bytes: &[u8]| bytes.iter().all(|byte| *byte == UNTOUCHED);
        assert!(untouched(&sealed[blocks * BLOCK..]), "{lengths:?}");
        assert!(opened.len() < BLOCK || untouched(&opened[..BLOCK]), "{lengths:?}");
        assert!(opened.len() < BLOCK || untouched(&opened[(ahead + 1) * BLOCK..]), "{lengths:?}");
        assert!(untouched(&crypted[lengths[0].min(lengths[1])..]), "{lengths:?}");
    }
}

#[test]
fn the_counter_carries_out_of_either_word_and_wraps() {
    let bytes = [0; 6 * BLOCK];
    for edge in [u128::from(u64::MAX), (5 << 64) | u128::from(u64::MAX), u128::MAX] {
        for before in 0..26 {
            let first_counter = (edge - before).to_be_bytes();
            Input { key: [3; 32], first_counter, position: 0, state: [0; 8], bytes: &bytes, shift: 0, ahead: 0 }
                .check();
            // The same place, from the other side.
            let position = edge.wrapping_sub(before).wrapping_sub(77);
            let first_counter = 77_u128.to_be_bytes();
            Input { key: [3; 32], first_counter, position, state: [0; 8], bytes: &bytes, shift: 0, ahead: 0 }.check();
        }
    }
}

/// NIST SP 800-38A, F.5.5.
#[test]
fn all_paths_encrypt_the_published_example() {
    let bytes = |text: &str| hex::decode(text).unwrap();
    let key = bytes("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
    let counter = bytes("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
    let plain = bytes(concat!(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
    ));
    let sealed = bytes(concat!(
        "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5",
        "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6",
    ));
    for path in Path::available() {
        let (key, counter) = (key.as_slice().try_into().unwrap(), counter.as_slice().try_into().unwrap());
        let mut kernel = Kernel::with_path(path, key, counter).unwrap();
        let (mut state, mut out) = ([0; 8], [0; BLOCK]);
        kernel.seal(&mut state, 0, &plain, &plain, &mut out);
        assert_eq!(out, *sealed, "{path:?}");
    }
}

/// FIPS 180-2, B.2: "abc" in its one block.
#[test]
fn all_paths_hash_the_published_example() {
    let mut block = [0; 2 * BLOCK];
    block[..4].copy_from_slice(b"abc\x80");
    block[BLOCK - 1] = 24;
    let start = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
    let end = [0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223, 0xb00361a3, 0x96177a9c, 0xb410ff61, 0xf20015ad];
    for path in Path::available() {
        let mut kernel = Kernel::with_path(path, &[0; 32], &[0; 16]).unwrap();
        let (mut sealing, mut opening) = (start, start);
        kernel.seal(&mut sealing, 0, &block[..BLOCK], &block[..BLOCK], &mut [0; BLOCK]);
        kernel.open(&mut opening, 0, &mut block, BLOCK, &[0; BLOCK]);
        assert_eq!((sealing, opening), (end, end), "{path:?}");
    }
}

#[test]
fn storm_kernels_of_all_paths_agree() {
    storm::run("framelink kernels", 10, |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut totals = Counts::new();
        for _ in 0..INPUTS_A_RUN {
            let mut bytes = [0; 20 * BLOCK];
            rng.fill_bytes(&mut bytes);
            let length = if rng.random_bool(0.5) { rng.random_range(0..200) } else { rng.random_range(0..bytes.len()) };
            let start = rng.random_range(0..bytes.len() - length);
            let position = if rng.random_bool(0.5) { u128::from(rng.random::<u32>()) } else { rng.random() };
            let before = rng.random_range(0..100);
            let counter = match rng.random_range(0..4) {
                0 => u128::MAX - before,
                1 => (rng.random::<u128>() | u128::from(u64::MAX)) - before,
                _ => rng.random(),
            };
            Input {
                key: rng.random(),
                first_counter: counter.wrapping_sub(position).to_be_bytes(),
                position,
                state: rng.random(),
                bytes: &bytes[start..start + length],
                shift: rng.random_range(0..64),
                ahead: if rng.random() { 0 } else { rng.random_range(0..100) },
            }
            .check();
            *totals.entry("bytes").or_default() += length as u64;
        }
        *totals.entry("inputs").or_default() += INPUTS_A_RUN;
        totals
    });
}

/// The full storm of 10 000 runs is then one of ten million inputs.
const INPUTS_A_RUN: u64 = 1000;
