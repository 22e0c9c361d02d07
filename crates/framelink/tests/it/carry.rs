//! What a link must carry: sizes, limits of the other side, new keys, small sockets. Conformance 8 to 11, 15.

use crate::{
    pair::{BOTTOM, Pair, TOP, aligned, pattern},
    peer::ALIGNS,
};
use waypost_framelink::{Mode, OVERHEAD, Settings, UNLIMITED, link::Status};

const MODES: [Mode; 3] = [Mode::Raw, Mode::Psk, Mode::Hybrid];
const SIZES: [usize; 9] = [0, 1, 15, 16, 17, 65535, 65536, 65537, 5_000_000];

/// FL-1.2, FL-2.1, FL-2.8, FL-2.11, FL-3.1, FL-3.3: messages of every size arrive whole, both ways at once.
#[test]
fn every_mode_and_alignment_carries_every_size_both_ways() {
    for mode in MODES {
        for align in ALIGNS {
            let mut pair = Pair::same(mode, &aligned(align));
            (pair.segment, pair.room) = (5000, 1 << 16);
            for index in [TOP, BOTTOM] {
                pair.give(index, SIZES.map(pattern));
                pair.sides[index].closes = mode.is_keyed();
            }
            pair.run();
            // The first end of stream ends a raw link whole, so nobody ends one before all has come.
            pair.sides.iter_mut().for_each(|side| side.closes = true);
            pair.run();
            let expected = SIZES.map(pattern).concat();
            for side in &pair.sides {
                assert!(side.received == expected, "{mode} {align:?}: {} bytes", side.received.len());
                // An empty message is a frame too.
                assert_eq!(side.frames[0].length, 0, "{mode} {align:?}");
                assert!(side.frames.iter().all(|frame| frame.length <= 65536), "{mode} {align:?}");
                let numbers: Vec<u32> = side.frames.iter().map(|frame| frame.seq).collect();
                assert!(numbers.is_sorted(), "{mode} {align:?}");
            }
            let end = if mode == Mode::Raw { Status::Ended } else { Status::Closed };
            assert_eq!(pair.statuses(), [Some(end); 2], "{mode} {align:?}");
        }
    }
}

/// FL-3.1: MORE marks what goes on, DATA what ends; `raw` keeps the code.
#[test]
fn a_long_message_is_cut_and_its_last_part_is_marked() {
    let mut pair = Pair::open(Mode::Psk, [Settings::default(), Settings::default()]);
    pair.give(TOP, [pattern(200_000), pattern(65536)]);
    pair.run();
    let frames: Vec<(u32, u32)> = pair.sides[BOTTOM].frames.iter().map(|frame| (frame.code, frame.length)).collect();
    assert_eq!(frames, [(1, 65536), (1, 65536), (1, 65536), (0, 3392), (0, 65536)]);
}

/// Conformance 9.
#[test]
fn a_small_peer_gets_no_larger_frame_and_no_overrun() {
    let mut small = Settings::default();
    (small.limits.max_frame, small.limits.credit) = (1024, 700);
    for align in ALIGNS {
        let [mut top, mut bottom] = [Settings::default(), small.clone()];
        (top.framing.align, bottom.framing.align) = (align, align);
        let mut pair = Pair::open(Mode::Psk, [top, bottom]);
        pair.sides[BOTTOM].buffer = 100;
        for index in [TOP, BOTTOM] {
            pair.give(index, [pattern(50_000), Vec::new(), pattern(3)]);
        }
        pair.run();
        assert!(pair.sides.iter().all(|side| side.received.len() == 50_003));
        assert!(pair.sides[BOTTOM].frames.iter().all(|frame| frame.length <= 700));
        // Its CLOSE lifts the credit, not the largest frame.
        pair.sides[BOTTOM].closes = true;
        pair.run();
        pair.give(TOP, [pattern(50_000)]);
        pair.sides[TOP].closes = true;
        pair.run();
        pair.assert_closed();
        assert_eq!(pair.sides[BOTTOM].frames.iter().map(|frame| frame.length).max(), Some(1024));
        assert_eq!(pair.sides[BOTTOM].received.len(), 100_003);
    }
}

/// FL-2.3, FL-6.3, conformance 10: SEQ runs on while both directions renew their keys, by frames, by blocks, by age.
#[test]
fn keys_are_renewed_in_both_directions_at_once() {
    let by_frames = |settings: &mut Settings| settings.limits.rekey_frames = 5;
    let by_fewest = |settings: &mut Settings| settings.limits.rekey_frames = 2;
    let by_blocks = |settings: &mut Settings| settings.limits.rekey_blocks = 16;
    for renew in [by_frames as fn(&mut Settings), by_fewest, by_blocks] {
        for align in ALIGNS {
            let mut settings = aligned(align);
            renew(&mut settings);
            let mut pair = Pair::same(Mode::Psk, &settings);
            pair.segment = 97;
            for index in [TOP, BOTTOM] {
                pair.give(index, (0..300).map(|length| pattern(length * 3)));
                pair.sides[index].closes = true;
            }
            pair.run();
            pair.assert_closed();
            let expected: Vec<u8> = (0..300).flat_map(|length| pattern(length * 3)).collect();
            for side in &pair.sides {
                assert!(side.received == expected);
                let gaps = side.frames.windows(2).map(|two| two[1].seq - two[0].seq);
                assert!(gaps.clone().all(|gap| (1..=4).contains(&gap)), "SEQ runs on");
                assert!(gaps.filter(|gap| *gap > 1).count() > 60, "keys were renewed");
            }
        }
    }
}

/// FL-6.3: a key of an hour sends nothing but REKEY.
#[test]
fn an_old_key_is_renewed_before_the_next_frame() {
    let mut settings = Settings::default();
    settings.timing.keepalive = None;
    let mut pair = Pair::open(Mode::Psk, [settings.clone(), settings]);
    pair.sides[TOP].bursts.clear();
    for (after, burst) in [(0, OVERHEAD + 1), (3600, OVERHEAD + 1), (1, 56 + OVERHEAD + 1), (3600, OVERHEAD + 1)] {
        pair.seconds(after);
        pair.give(TOP, [vec![7]]);
        pair.run();
        assert_eq!(pair.sides[TOP].bursts.pop(), Some(burst));
    }
    assert_eq!(pair.sides[BOTTOM].received, [7; 4]);
}

/// FL-6.4, conformance 11.
#[test]
fn what_is_long_arrives_whole_behind_a_close_in_the_other_direction() {
    for mode in [Mode::Psk, Mode::Hybrid] {
        let mut pair = Pair::same(mode, &Settings::default());
        pair.room = 32 * 1024;
        pair.sides[TOP].closes = true;
        pair.run();
        let long = pattern(64 << 20);
        pair.give(BOTTOM, [long.clone()]);
        pair.run();
        assert!(pair.sides[TOP].received == long);
        assert_eq!(pair.sides[TOP].status, Some(Status::Slow));
        pair.sides[BOTTOM].closes = true;
        pair.run();
        pair.assert_closed();
    }
}

/// FL-4.3, conformance 15: neither side reads until it has written everything, and it ends.
#[test]
fn both_sides_write_before_they_read_through_small_sockets() {
    for (length, room, unlimited) in
        [(64 << 20, 32 << 10, false), (300_000, 8 << 10, false), (300_000, 8 << 10, true), (300_000, 64, false)]
    {
        let mut settings = Settings::default();
        if unlimited {
            settings.limits.credit = UNLIMITED;
        }
        let mut pair = Pair::same(Mode::Psk, &settings);
        (pair.room, pair.segment) = (room, room);
        let long = pattern(length);
        let fits = length < 1 << 20;
        for index in [TOP, BOTTOM] {
            pair.give(index, [long.clone()]);
            pair.sides[index].closes = true;
            pair.sides[index].reads = !fits;
        }
        pair.run();
        for side in &mut pair.sides {
            side.reads = true;
        }
        pair.run();
        pair.assert_closed();
        assert!(pair.sides.iter().all(|side| side.received == long), "{length} through {room}");
    }
}

/// FL-4.3: CLOSE is asked for while messages still wait for credit, on both sides; the credit keeps coming.
#[test]
fn both_sides_close_with_more_queued_than_the_credit() {
    let mut settings = Settings::default();
    settings.limits.credit = 1000;
    let mut pair = Pair::same(Mode::Psk, &settings);
    for index in [TOP, BOTTOM] {
        pair.give(index, [pattern(100_000)]);
        pair.sides[index].closes = true;
    }
    pair.run();
    pair.assert_closed();
    assert!(pair.sides.iter().all(|side| side.received.len() == 100_000));
}
