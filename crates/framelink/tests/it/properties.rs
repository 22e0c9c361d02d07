//! Frames of one direction, whatever they are and however they are cut on the way.

use proptest::{collection::vec, prelude::*, sample::Index};
use rand::{SeedableRng, rngs::StdRng};
use waypost_framelink::{Align, Block, Fault, Framing, Header, MacInit, Opener, Progress, Role, Sealer};

fn framings() -> impl Strategy<Value = Framing> {
    let first = prop_oneof![Just(1), Just(u32::MAX), any::<u32>()];
    (any::<bool>(), any::<bool>(), any::<bool>(), first).prop_map(|(stream, standard, wraps_to_one, first_seq)| {
        Framing {
            align: if stream { Align::Stream } else { Align::Block },
            mac_init: if standard { MacInit::Standard } else { MacInit::Secret },
            wraps_to_one,
            first_seq,
        }
    })
}

fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![0..20_usize, 30..60_usize, 90..130_usize, 0..3000_usize, 4000..9000_usize]
}

/// What came out, and what ended it.
type Opened = (Vec<(Header, Vec<u8>)>, Option<Fault>);

fn open(mut opener: Opener, pieces: impl IntoIterator<Item = Vec<u8>>) -> Opened {
    let mut frames = Vec::new();
    for piece in pieces {
        let mut input = piece.as_slice();
        loop {
            match opener.push(&mut input) {
                Ok(Progress::Frame(header)) => frames.push((header, opener.payload().to_vec())),
                Ok(Progress::Header(_)) => assert!(opener.payload().is_empty()),
                Ok(Progress::Partial) => {
                    assert!(input.is_empty());
                    break;
                }
                Err(fault) => {
                    assert!(opener.payload().is_empty(), "what failed is shown");
                    return (frames, Some(fault));
                }
            }
        }
    }
    (frames, None)
}

/// Cuts `wire` into pieces of these lengths, over and over.
fn pieces(wire: &[u8], lengths: &[usize]) -> Vec<Vec<u8>> {
    let (mut rest, mut cut) = (wire, Vec::new());
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, later) = rest.split_at((*length).min(rest.len()));
        cut.push(piece.to_vec());
        rest = later;
    }
    cut
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// FL-2.2, FL-2.5, FL-2.11, FL-3.3: whole or in pieces, honest or with a changed byte, the same comes out.
    #[test]
    fn frames_open_the_same_however_they_are_cut(
        framing in framings(),
        seed: u64,
        role in prop_oneof![Just(Role::Top), Just(Role::Bottom)],
        lengths in vec(lengths(), 1..8),
        cuts in vec(prop_oneof![1..20_usize, 1..5000_usize], 1..10),
        damage in proptest::option::weighted(0.4, (any::<Index>(), 1..=255_u8)),
    ) {
        let block = Block::generate(&mut StdRng::seed_from_u64(seed));
        let mut sealer = Sealer::new(&block, role, framing);
        let mut wire = Vec::new();
        let mut sealed = Vec::new();
        for (number, length) in lengths.iter().enumerate() {
            let payload = crate::pair::pattern(*length);
            let seq = sealer.next_seq();
            sealer.seal(number as u32, &payload, &mut wire).unwrap();
            sealed.push((Header { length: *length as u32, code: number as u32, seq }, payload));
        }
        if let Some((at, change)) = damage {
            let at = at.index(wire.len());
            wire[at] ^= change;
        }
        let fresh = || Opener::new(&block, role, framing);
        let whole = open(fresh(), [wire.clone()]);
        prop_assert_eq!(&open(fresh(), pieces(&wire, &cuts)), &whole);
        prop_assert!(sealed.starts_with(&whole.0));
        prop_assert_eq!(whole.1.is_none(), damage.is_none());
        prop_assert!(damage.is_some() || whole.0.len() == sealed.len());
    }

    /// FL-2.9: a frame's wire is its length and 24 bytes, in both alignments, and sealed in place or not the same.
    #[test]
    fn frames_are_as_long_as_they_say(framing in framings(), lengths in vec(lengths(), 1..6)) {
        let block = Block::generate(&mut StdRng::seed_from_u64(1));
        let [mut one, mut other] = [(); 2].map(|()| Sealer::new(&block, Role::Top, framing));
        for length in lengths {
            let payload = crate::pair::pattern(length);
            let mut appended = b"before".to_vec();
            one.seal(5, &payload, &mut appended).unwrap();
            let mut placed = vec![0xee; length + 24];
            other.seal_to(5, &payload, &mut placed).unwrap();
            prop_assert_eq!(&appended[6..], placed);
            prop_assert_eq!(other.seal_to(5, &payload, &mut vec![0; length + 23]), Err(Fault::TooLarge));
            prop_assert_eq!(one.next_counter(), other.next_counter());
        }
    }
}
