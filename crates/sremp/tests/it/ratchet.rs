//! The ratchet by itself: limits, and the same decisions as another implementation.

mod differential;

use rand::{SeedableRng, rngs::StdRng};
use std::time::Duration;
use waypost_core::Wall;
use waypost_sremp::{ErrorCode, Ratchet, RatchetStart, probe, x25519::Secret};

pub(crate) struct Side {
    pub(crate) ratchet: Ratchet,
    pub(crate) rng: StdRng,
}

impl Side {
    pub(crate) fn send(&mut self, message_id: u64, content: &[u8]) -> Vec<u8> {
        self.ratchet.encrypt(message_id, content, &mut self.rng).unwrap()
    }

    pub(crate) fn receive(&mut self, now: u64, message_id: u64, blob: &[u8]) -> Result<Vec<u8>, ErrorCode> {
        let content = self.ratchet.decrypt(Wall::from_millis(now), message_id, blob, &mut self.rng);
        content.map_err(|error| error.code())
    }
}

pub(crate) fn pair(seed: u64) -> (Side, Side) {
    let mut rng = StdRng::seed_from_u64(seed);
    let start = RatchetStart { sk: [1; 32], hka: [2; 32], nhkb: [3; 32], ad: [4; 32] };
    let spk = Secret::generate(&mut rng);
    let a = Ratchet::initiator(&start, Secret::generate(&mut rng), spk.public()).unwrap();
    let b = Ratchet::responder(&start, spk);
    (
        Side { ratchet: a, rng: StdRng::seed_from_u64(seed + 1) },
        Side { ratchet: b, rng: StdRng::seed_from_u64(seed + 2) },
    )
}

/// SR-5i
#[test]
fn keeps_two_thousand_skipped_keys_and_lets_the_first_go() {
    let (mut a, mut b) = pair(1);
    let blobs: Vec<_> = (0..2102).map(|n| a.send(n, b"x")).collect();
    for n in [1000, 2001, 2101] {
        b.receive(0, n, &blobs[n as usize]).unwrap();
    }
    // 1000 + 1000 + 99 keys were skipped; the first 99 of them had to go.
    assert_eq!(probe::skipped_keys(&b.ratchet), 2000);
    assert_eq!(b.receive(0, 98, &blobs[98]), Err(ErrorCode::Replay));
    assert!(b.receive(0, 99, &blobs[99]).is_ok());
    assert_eq!(probe::skipped_keys(&b.ratchet), 1999);
    let mut restored = Side { ratchet: probe::through_bytes(&b.ratchet).unwrap(), rng: b.rng };
    assert!(restored.receive(0, 2100, &blobs[2100]).is_ok());
}

/// SR-5i SR-5c
#[test]
fn a_skipped_key_is_kept_for_thirty_days() {
    let month = 30 * 86_400_000;
    let (mut a, mut b) = pair(1);
    let blobs: Vec<_> = (0..4).map(|n| a.send(n, b"x")).collect();
    b.receive(5, 2, &blobs[2]).unwrap();
    assert!(b.receive(5 + month - 1, 0, &blobs[0]).is_ok());
    assert_eq!(b.receive(5 + month, 1, &blobs[1]), Err(ErrorCode::Replay));
    assert_eq!(probe::skipped_keys(&b.ratchet), 1, "an error changes nothing");
    b.receive(5 + month, 3, &blobs[3]).unwrap();
    assert_eq!(probe::skipped_keys(&b.ratchet), 0, "a success removes what is too old");
    assert_eq!(Duration::from_millis(month).as_secs(), 2_592_000);
}

/// SR-5i: Ns is at most 9999.
#[test]
fn a_chain_has_ten_thousand_messages() {
    let (mut a, _) = pair(1);
    for n in 0..10_000 {
        a.send(n, b"");
    }
    assert!(!a.ratchet.can_send());
    let refused = a.ratchet.encrypt(10_000, b"", &mut a.rng);
    assert_eq!(refused.map_err(|error| error.code()), Err(ErrorCode::NoSession));
}

/// SR-5c: every message has another key, and an answer heals.
#[test]
fn a_stolen_state_opens_nothing_before_it_and_nothing_after_two_answers() {
    let (mut a, mut b) = pair(1);
    let before = a.send(0, b"before");
    b.receive(0, 0, &before).unwrap();
    let mut thief = Side { ratchet: b.ratchet.clone(), rng: StdRng::seed_from_u64(99) };
    assert_eq!(thief.receive(0, 0, &before), Err(ErrorCode::Replay));
    let still = a.send(1, b"still");
    assert!(thief.receive(0, 1, &still).is_ok(), "what comes on the stolen chain is lost");
    b.receive(0, 1, &still).unwrap();
    for n in 0..2 {
        let answer = b.send(10 + n, b"b");
        a.receive(0, 10 + n, &answer).unwrap();
        let next = a.send(20 + n, b"a");
        b.receive(0, 20 + n, &next).unwrap();
        if n == 1 {
            assert!(thief.receive(0, 20 + n, &next).is_err());
        }
    }
}

/// SR-5d
#[test]
fn blobs_have_few_lengths_and_no_equal_bytes_that_link_them() {
    let (mut a, _) = pair(1);
    let blobs: Vec<_> = (0..50).map(|n| a.send(n, &vec![b'a'; 5 * n as usize])).collect();
    assert!(blobs.iter().all(|blob| blob.len() == 353));
    for (n, one) in blobs.iter().enumerate() {
        for other in &blobs[..n] {
            let equal = one[1..].iter().zip(&other[1..]).filter(|(a, b)| a == b).count();
            assert!(equal < 20, "{equal} of 352 bytes are equal");
        }
    }
}
