//! CHECKSUM is linear: LENGTH and CHECKSUM can be flipped together. What that gains, and what memory it costs.

use crate::peer::{ALIGNS, Played, ROLES};
use waypost_framelink::{
    Fault, Header, Mode, Opener, Progress, Settings,
    link::{Input, Output, Status},
};

/// Flips the same bits of LENGTH and of CHECKSUM.
fn flip(frame: &mut [u8], change: u32) {
    for (at, byte) in change.to_be_bytes().into_iter().enumerate() {
        frame[at] ^= byte;
        frame[12 + at] ^= byte;
    }
}

fn sides(align: waypost_framelink::Align) -> impl Iterator<Item = Played> {
    let mut settings = Settings::default();
    settings.framing.align = align;
    ROLES.into_iter().flat_map(move |role| [Played::open(role, &settings), Played::raw(role, &settings)])
}

/// FL-2.7, FL-3.4: above the largest frame it is refused at once; below, what is kept is what came.
#[test]
fn a_huge_length_takes_no_memory_ahead() {
    for align in ALIGNS {
        for mut side in sides(align) {
            side.bytes(&[]);
            let before = side.seal(0, b"before");
            let mut frame = side.seal(0, &[7; 100]);
            flip(&mut frame, 1 << 19);
            side.bytes(&before);
            let start = side.link.room();
            side.bytes(&frame[..16]);
            assert!(side.link.room() <= start + 256, "reserved {} for a header", side.link.room());
            side.bytes(&frame[16..]);
            let mut came = frame.len();
            while came < 400_000 {
                side.bytes(&[0x33; 1000]);
                came += 1000;
                assert!(side.link.room() <= start + 256 + 2 * came, "{} for {came}", side.link.room());
            }
            let (data, received) = side.recv(1 << 10);
            assert_eq!((data.as_slice(), received.status), (&b"before"[..], Status::Boundary));
            assert_eq!(
                side.recv(1 << 20),
                (vec![], waypost_framelink::link::Received { n: 0, frames: vec![], status: Status::Slow })
            );
            side.input(Input::Eof);
            assert_eq!(side.recv(1 << 20).1.status, Status::Truncated);
        }
    }
}

/// FL-3.4: over the limit by one, by much, by all.
#[test]
fn a_length_above_the_largest_frame_is_refused_by_its_header() {
    for align in ALIGNS {
        for change in [1 << 20, 1 << 31, u32::MAX] {
            for mut side in sides(align) {
                let mut frame = side.seal(0, &[7; 100]);
                flip(&mut frame, change);
                side.bytes(&frame[..15]);
                assert!(side.link.end().is_none());
                let start = side.link.room();
                side.bytes(&frame[15..16]);
                assert_eq!(side.end().status, Status::Violation(Fault::Length));
                assert!(side.link.room() <= start + 256);
            }
        }
    }
}

/// A literal peer's limit: LENGTH may be anything, and still nothing is reserved for it.
#[test]
fn the_largest_length_of_all_takes_no_memory_ahead() {
    let mut settings = Settings::default();
    settings.limits.max_frame = u32::MAX;
    let mut side = Played::raw(ROLES[0], &settings);
    let mut frame = side.seal(0, &[]);
    flip(&mut frame, u32::MAX);
    side.bytes(&frame);
    side.bytes(&[1; 10_000]);
    assert_eq!(side.link.end(), None);
    assert!(side.link.room() < 50_000, "{}", side.link.room());
    // The opener by itself, too.
    let mut opener = Opener::new(&side.block, ROLES[1], settings.framing);
    let mut input = frame.as_slice();
    assert_eq!(opener.push(&mut input), Ok(Progress::Header(Header { length: u32::MAX, code: 0, seq: 1 })));
    while !input.is_empty() {
        assert_eq!(opener.push(&mut input), Ok(Progress::Partial));
    }
    assert!(opener.room() < 1000 && opener.payload().is_empty());
}

/// One byte more or fewer: the tag is looked for in the wrong place.
#[test]
fn a_length_off_by_one_fails_by_its_tag() {
    for align in ALIGNS {
        // 100 ^ 1 is one more; 101 ^ 1 is one fewer, 127 ^ 255 much more, 128 ^ 255 one fewer.
        for (length, change) in [(100, 1_u32), (101, 1), (127, 255), (128, 255), (1, 1), (0, 1)] {
            for mut side in sides(align) {
                let mut frame = side.seal(0, &vec![7; length]);
                let next = side.seal(0, &[8; 200]);
                flip(&mut frame, change);
                side.bytes(&frame);
                side.bytes(&next);
                let (data, received) = side.recv(1000);
                assert_eq!((data.as_slice(), received.status), (&b""[..], Status::Violation(Fault::Hmac)));
            }
        }
    }
}

/// Frame timer: an announced length that never comes is cut off.
#[test]
fn a_length_that_never_comes_is_cut_off() {
    let mut side = Played::open(ROLES[0], &Settings::default());
    let mut frame = side.seal(0, &[7; 100]);
    flip(&mut frame, 1 << 19);
    side.bytes(&frame);
    side.until(30_000 + 32_000 - 1);
    assert_eq!(side.link.end(), None);
    side.until(30_000 + 32_000);
    assert_eq!(side.end().status, Status::Timeout);
}

/// FL-3.6, FL-3.5: before its tag is there, no byte of a frame is in anybody's buffer.
#[test]
fn no_byte_is_seen_before_its_tag() {
    for align in ALIGNS {
        for mut side in sides(align) {
            let frame = side.seal(0, &[0x77; 64]);
            for (at, byte) in frame.iter().enumerate() {
                let (data, received) = side.recv(100);
                assert_eq!((data.len(), received.status), (0, Status::Slow), "{at}");
                let mut buf = [0; 100];
                assert_eq!(side.link.read(side.now, &mut side.rng, &mut buf), 0, "{at}");
                assert_eq!(buf, [0; 100], "{at}");
                assert_eq!(side.link.next_frame(side.now, &mut side.rng), None, "{at}");
                side.bytes(&[*byte]);
            }
            assert_eq!(side.recv(64).0, [0x77; 64]);
        }
    }
}

/// FL-2.5: a header is judged as soon as it is there, of a link of either kind.
#[test]
fn a_header_is_judged_before_its_payload_comes() {
    for mut side in sides(waypost_framelink::Align::Block) {
        let keyed = side.link.mode() != Mode::Raw;
        let mut frame = side.seal(0, &[1; 50]);
        frame[4] ^= 1;
        side.bytes(&frame[..16]);
        assert_eq!(side.end().status, Status::Violation(Fault::Checksum));
        let orders = if keyed { [Output::Shutdown] } else { [Output::Disconnect] };
        assert_eq!(side.orders, orders);
    }
}
