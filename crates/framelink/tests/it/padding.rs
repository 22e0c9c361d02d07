//! Lengths that do not show: with `pad=bucket`, what is written at once has one of a few sizes.

use crate::{
    pair::{BOTTOM, Pair, TOP, pattern},
    peer::ALIGNS,
};
use rand::RngExt;
use waypost_framelink::{Limits, Mode, Pad, Settings, link::Input};

fn is_bucket(size: usize) -> bool {
    [256, 1024, 4096, 16384].contains(&size) || (size > 0 && size.is_multiple_of(65536))
}

/// Runs some traffic with everything that writes; every burst behind HELLO must have a size of the list.
fn run(limits: &Limits, largest: usize) {
    for align in ALIGNS {
        let mut settings = Settings { pad: Pad::Bucket, limits: limits.clone(), ..Settings::default() };
        settings.framing.align = align;
        let mut pair = Pair::open(Mode::Psk, [settings.clone(), settings]);
        pair.sides.iter_mut().for_each(|side| side.bursts.clear());
        let (now, mut expected) = (pair.now, [Vec::new(), Vec::new()]);
        for round in 0..60_usize {
            let index = round % 2;
            let length = pair.sides[index].rng.random_range(0..[2, 300, 9000.min(largest), largest][round / 2 % 4]);
            pair.give(index, [pattern(length), Vec::new()]);
            expected[index].extend(pattern(length));
            if round % 5 == 0 {
                pair.sides[index].input(now, Input::Ping(&[1; 64][..round])).unwrap();
            }
            if round % 7 == 0 {
                pair.sides[index].input(now, Input::Rekey).unwrap();
            }
            pair.run();
        }
        pair.give(TOP, [pattern(round_trip(&pair))]);
        expected[TOP].extend(pattern(round_trip(&pair)));
        pair.sides.iter_mut().for_each(|side| side.closes = true);
        pair.run();
        pair.assert_closed();
        for index in [TOP, BOTTOM] {
            assert!(pair.sides[1 - index].received == expected[index]);
            let odd: Vec<usize> = pair.sides[index].bursts.iter().copied().filter(|size| !is_bucket(*size)).collect();
            assert!(odd.is_empty(), "{align:?} {limits:?}: {odd:?}");
        }
    }
}

/// Some length that differs from run to run.
fn round_trip(pair: &Pair) -> usize {
    pair.sides[BOTTOM].bursts.len()
}

/// FL-6.7
#[test]
fn every_burst_has_a_size_of_the_list() {
    run(&Limits::default(), 200_000);
}

/// FL-6.7: also where PADs are small, keys short, and a REKEY stands right in front of CLOSE.
#[test]
fn bursts_keep_their_sizes_with_small_frames_and_short_keys() {
    for rekey_frames in 2..9 {
        run(&Limits { rekey_frames, max_frame: 1024, ..Limits::default() }, 10_000);
        run(&Limits { rekey_frames, ..Limits::default() }, 10_000);
    }
    for rekey_blocks in [16, 17, 40, 100, 1000] {
        run(&Limits { rekey_blocks, ..Limits::default() }, 10_000);
        run(&Limits { rekey_blocks, max_frame: 1024, cut: 1, ..Limits::default() }, 10_000);
    }
    run(&Limits { cut: 1, credit: 100_000, max_frame: 1024, ..Limits::default() }, 10_000);
}

/// FL-6.7, Threats: PAD frames are invisible to the reader.
#[test]
fn padding_is_invisible_to_the_reader() {
    let padded = Settings { pad: Pad::Bucket, ..Settings::default() };
    let mut pair = Pair::open(Mode::Psk, [padded, Settings::default()]);
    pair.give(TOP, [pattern(3), Vec::new(), pattern(300)]);
    pair.run();
    let lengths: Vec<u32> = pair.sides[BOTTOM].frames.iter().map(|frame| frame.length).collect();
    assert_eq!(lengths, [3, 0, 300]);
    assert!(pair.sides[BOTTOM].bursts.iter().all(|size| !is_bucket(*size)), "the other side is free not to pad");
}
