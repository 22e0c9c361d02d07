use crate::people::{Person, acquainted, at, code};
use proptest::prelude::*;
use std::sync::LazyLock;
use waypost_core::{Batch, Records, Space};
use waypost_sremp::{Error, ErrorCode, IdentityDraft, probe, trust, vault::Arrival};

/// SR-5i: 40.
#[test]
fn a_message_of_no_session_is_no_session() {
    let (mut alice, bob) = acquainted();
    let mut stranger = Person::new("Carol", 3);
    let sealed = alice.seal(&bob, 3, b"for Bob", at(0)).unwrap();
    assert_eq!(code(stranger.open(&alice, 3, &sealed.blob, at(0))), ErrorCode::NoSession);
    let mut bob = bob;
    assert_eq!(code(bob.open(&stranger, 3, &sealed.blob, at(0))), ErrorCode::NoSession, "from another sender");
    assert!(bob.open(&alice, 3, &sealed.blob, at(0)).is_ok());
}

/// SR-5i: 41, and the message id is bound.
#[test]
fn a_message_under_another_id_does_not_decrypt() {
    let (mut alice, mut bob) = acquainted();
    let sealed = alice.seal(&bob, 3, b"hi", at(0)).unwrap();
    assert_eq!(code(bob.open(&alice, 4, &sealed.blob, at(0))), ErrorCode::Decrypt);
    assert!(bob.open(&alice, 3, &sealed.blob, at(0)).is_ok());
}

/// SR-5i: 42.
#[test]
fn a_gap_of_1001_is_too_much_and_one_of_1000_is_not() {
    let (mut alice, mut bob) = acquainted();
    for n in 0..1001 {
        alice.seal(&bob, n, b"lost", at(0)).unwrap();
    }
    let far = alice.seal(&bob, 5001, b"far", at(0)).unwrap();
    assert_eq!(code(bob.open(&alice, 5001, &far.blob, at(0))), ErrorCode::SkipLimit);
    assert_eq!(bob.records.count(Space("sremp/skipped"), &[]), Ok(0));
}

/// SR-5i: 44.
#[test]
fn a_repeated_message_is_a_replay_and_an_overtaken_one_is_not() {
    let (mut alice, mut bob) = acquainted();
    let blobs = [3, 4, 5].map(|n| alice.seal(&bob, n, b"hi", at(0)).unwrap().blob);
    bob.open(&alice, 5, &blobs[2], at(0)).unwrap();
    assert_eq!(bob.records.count(Space("sremp/skipped"), &[]), Ok(1));
    bob.open(&alice, 3, &blobs[0], at(0)).unwrap();
    for (n, blob) in [(5, &blobs[2]), (3, &blobs[0])] {
        assert_eq!(code(bob.open(&alice, n, blob, at(0))), ErrorCode::Replay);
    }
    bob.open(&alice, 4, &blobs[1], at(0)).unwrap();
    assert_eq!(bob.records.count(Space("sremp/skipped"), &[]), Ok(0));
}

#[test]
fn bytes_of_no_form_are_malformed_with_and_without_a_session() {
    let (alice, mut bob) = acquainted();
    let mut stranger = Person::new("Carol", 3);
    for blob in [&[][..], &[1], &[2; 352], &[0; 400], &[3; 4096]] {
        assert_eq!(code(bob.open(&alice, 1, blob, at(0))), ErrorCode::Malformed);
        assert_eq!(code(stranger.open(&alice, 1, blob, at(0))), ErrorCode::Malformed);
    }
    let garbage = [[1, 1].as_slice(), &[7; 2000]].concat();
    assert_eq!(code(bob.open(&alice, 1, &garbage, at(0))), ErrorCode::PrekeyUnknown);
}

/// SR-5g: what may not start waits unharmed.
#[test]
fn a_peer_over_its_rate_starts_nothing_and_may_later() {
    let (mut alice, mut bob) = (Person::new("Alice", 1), Person::new("Bob", 2));
    alice.start(&mut bob, at(0));
    let blob = alice.seal(&bob, 1, b"hi", at(0)).unwrap().blob;
    assert_eq!(code(bob.open_from(alice.id(), 1, &blob, at(0), false)), ErrorCode::Rate);
    bob.open(&alice, 1, &blob, at(0)).unwrap();
    let second = alice.seal(&bob, 2, b"hi", at(0)).unwrap().blob;
    assert!(bob.open_from(alice.id(), 2, &second, at(0), false).is_ok(), "the session exists");
}

/// SR-5g SR-3.1.5c: identities inside a first message follow the soft rules.
#[test]
fn a_forked_identity_in_a_first_message_is_refused_and_leaves_evidence() {
    let (mut alice, mut bob) = acquainted();
    let mut other = IdentityDraft::next(&alice.identity, at(0)).unwrap();
    (other.version, other.username) = (alice.identity.version(), "Mallory".into());
    alice.identity = other.sign(&alice.signing).unwrap();
    alice.start(&mut bob, at(0));
    let blob = alice.seal(&bob, 9, b"hi", at(0)).unwrap().blob;
    let mut batch = Batch::new(&bob.records);
    let own = waypost_sremp::vault::Own { identity: &bob.identity, signing: &bob.signing, dr_secret: &bob.dr_secret };
    let arrival = Arrival { peer: alice.id(), message_id: 9, blob: &blob, may_start: true };
    let refused = bob.vault.open(&mut batch, own, arrival, at(0), &mut bob.rng);
    assert_eq!(code(refused), ErrorCode::IdFork);
    let row = trust::book::row(&batch, &alice.id()).unwrap().unwrap();
    assert!(row.forked);
    assert_eq!(row.identity.username(), "Alice");
    let is_trust = |change: &waypost_core::Change| change.space.0.starts_with("sremp/trust");
    assert!(batch.into_changes().iter().all(is_trust), "nothing but the row");
}

/// SR-5g SR-3.1.5c
#[test]
fn an_older_identity_carries_a_first_message_and_the_row_stays() {
    let (mut alice, mut bob) = (Person::new("Alice", 1), Person::new("Bob", 2));
    alice.start(&mut bob, at(0));
    let before = alice.seal(&bob, 1, b"sent before", at(0)).unwrap();
    alice.identity = IdentityDraft::next(&alice.identity, at(0)).unwrap().sign(&alice.signing).unwrap();
    alice.start(&mut bob, at(0));
    alice.tell(&mut bob, 2, b"sent after", at(0));
    let opened = bob.open(&alice, 1, &before.blob, at(0)).unwrap();
    assert!(opened.is_new && !opened.is_higher);
    assert_eq!(trust::book::row(&bob.records, &alice.id()).unwrap().unwrap().version(), 2);
}

struct Flipped {
    alice: Person,
    bob: Person,
    first: Vec<u8>,
    later: Vec<u8>,
}

static FLIPPED: LazyLock<Flipped> = LazyLock::new(|| {
    let (mut alice, mut bob) = acquainted();
    let later = alice.seal(&bob, 7, b"on the session", at(0)).unwrap().blob;
    alice.start(&mut bob, at(0));
    let first = alice.seal(&bob, 7, b"on a new session", at(0)).unwrap().blob;
    Flipped { alice, bob, first, later }
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// SR-5i: `Person::step` checks that a failed step changed no record.
    #[test]
    fn any_flipped_bit_is_refused_and_changes_nothing(bit: prop::sample::Index, is_first: bool) {
        let world = &*FLIPPED;
        let mut blob = if is_first { world.first.clone() } else { world.later.clone() };
        let bit = bit.index(8 * blob.len());
        blob[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(world.bob.clone().open(&world.alice, 7, &blob, at(0)).is_err());
    }

    #[test]
    fn any_bytes_are_refused_and_change_nothing(kind in 0u8..4, bytes in prop::collection::vec(any::<u8>(), 0..2500)) {
        let world = &*FLIPPED;
        let blob = [&[kind][..], &bytes].concat();
        prop_assert!(world.bob.clone().open(&world.alice, 7, &blob, at(0)).is_err());
    }
}

#[test]
fn the_untouched_blobs_of_the_flipping_test_open() {
    let world = &*FLIPPED;
    let mut bob = world.bob.clone();
    assert!(bob.open(&world.alice, 7, &world.later, at(0)).is_ok());
    assert!(bob.open(&world.alice, 7, &world.first, at(0)).is_ok());
    assert!(probe::one_time_ids(&bob.records).unwrap().is_empty());
}

/// SR-5f: what a relay could hand out instead.
#[test]
fn prekeys_that_do_not_fit_are_refused() {
    let (mut alice, mut bob, mut carol) = (Person::new("Alice", 1), Person::new("Bob", 2), Person::new("Carol", 3));
    let (good, foreign) = (bob.prekeys(true, at(0)), carol.prekeys(true, at(0)));
    let mut mixes = vec![good.clone(); 5];
    mixes[0].bundle = foreign.bundle.clone();
    mixes[1].one_time = foreign.one_time.clone();
    mixes[2].identity = foreign.identity.clone();
    mixes[3].target = carol.id();
    mixes[4].bundle.signature = foreign.bundle.signature;
    for mixed in &mixes {
        let refused = alice.step(|vault, batch, _, _| vault.check_prekeys(batch, bob.id(), None, mixed, at(0)));
        assert_eq!(refused, Err(Error::Proof(ErrorCode::Auth)));
    }
    alice.start_with(&good, at(0)).unwrap();
}
