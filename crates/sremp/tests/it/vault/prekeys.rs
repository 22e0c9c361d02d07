use crate::people::{Person, acquainted, at, code};
use waypost_core::{Records, Space, Wall};
use waypost_sremp::{Error, ErrorCode, probe, vault::VaultLimits};

const SPACES: [Space; 8] = [
    Space("sremp/bundle"),
    Space("sremp/one-time"),
    Space("sremp/used"),
    Space("sremp/replay"),
    Space("sremp/session"),
    Space("sremp/skipped"),
    Space("sremp/epoch"),
    Space("sremp/due"),
];

fn counts(person: &Person) -> Vec<u64> {
    SPACES.iter().map(|&space| person.records.count(space, &[]).unwrap()).collect()
}

/// SR-5f
#[test]
fn a_bundle_serves_a_week_and_then_makes_room() {
    let mut bob = Person::new("Bob", 2);
    let first = bob.prekeys(false, at(0));
    assert_eq!(bob.prekeys(false, at(6)).bundle, first.bundle);
    let second = bob.prekeys(false, at(7));
    assert_ne!(second.bundle, first.bundle);
    // Both can still be used: the first is out there for another week.
    let mut alice = Person::new("Alice", 1);
    for (prekeys, message_id) in [(&first, 1), (&second, 2)] {
        alice.start_with(prekeys, at(8)).unwrap();
        alice.tell(&mut bob, message_id, b"hi", at(8));
    }
    assert_eq!(code(alice.start_with(&first, Wall::from_millis(at(14).as_millis() + 1))), ErrorCode::Expired);
}

/// SR-5f
#[test]
fn a_new_ratchet_key_makes_a_new_bundle_and_the_old_one_still_opens() {
    let (mut alice, mut bob) = (Person::new("Alice", 1), Person::new("Bob", 2));
    let old = bob.prekeys(false, at(0));
    let mut draft = waypost_sremp::IdentityDraft::next(&bob.identity, at(1)).unwrap();
    bob.dr_secret = waypost_sremp::x25519::Secret::generate(&mut bob.rng);
    draft.dr_key = Some(bob.dr_secret.public());
    bob.identity = draft.sign(&bob.signing).unwrap();
    let new = bob.prekeys(false, at(1));
    assert_ne!(new.bundle, old.bundle);
    alice.start_with(&old, at(1)).unwrap();
    alice.tell(&mut bob, 1, b"to the old key", at(1));
    // The old bundle does not fit the new identity.
    let mixed = waypost_sremp::message::Prekeys { identity: new.identity.clone(), ..old };
    assert_eq!(code(Person::new("Carol", 3).start_with(&mixed, at(1))), ErrorCode::Auth);
    Person::new("Dave", 4).start_with(&new, at(1)).unwrap();
}

/// SR-5f
#[test]
fn a_direct_item_is_accepted_once_and_for_a_day() {
    let (mut alice, mut carol, mut bob) = (Person::new("Alice", 1), Person::new("Carol", 3), Person::new("Bob", 2));
    let prekeys = bob.prekeys(true, at(0));
    alice.start_with(&prekeys, at(0)).unwrap();
    carol.start_with(&prekeys, at(0)).unwrap();
    alice.tell(&mut bob, 1, b"first", at(0));
    assert!(probe::one_time_ids(&bob.records).unwrap().is_empty(), "its secrets are gone");
    let late = carol.seal(&bob, 2, b"second", at(0)).unwrap();
    assert_eq!(code(bob.open(&carol, 2, &late.blob, at(0))), ErrorCode::PrekeyUnknown);

    let prekeys = bob.prekeys(true, at(0));
    carol.start_with(&prekeys, at(0)).unwrap();
    let late = carol.seal(&bob, 3, b"a day later", at(0)).unwrap();
    assert_eq!(code(bob.open(&carol, 3, &late.blob, at(1))), ErrorCode::PrekeyUnknown);
}

/// SR-5f
#[test]
fn publishes_at_most_a_hundred_items_and_keeps_a_bound_on_all() {
    let mut bob = Person::new("Bob", 2).with_limits(VaultLimits { one_time: 130, ..VaultLimits::default() });
    let mut make =
        |count| bob.step(|vault, batch, own, rng| vault.relay_one_time(batch, own, count, at(0), rng)).unwrap().len();
    assert_eq!([make(1000), make(20), make(20), make(1)], [100, 20, 10, 0]);
    let direct = bob.step(|vault, batch, own, rng| vault.direct_one_time(batch, own, at(0), rng)).unwrap();
    assert!(direct.is_none());
    let ids = probe::one_time_ids(&bob.records).unwrap();
    assert_eq!(ids.len(), 130);
}

/// SR-5f SR-5c
#[test]
fn a_bundles_secrets_open_first_messages_for_31_days_more_and_then_are_gone() {
    let (mut alice, mut bob) = (Person::new("Alice", 1), Person::new("Bob", 2));
    let prekeys = bob.prekeys(false, at(0));
    alice.start_with(&prekeys, at(14)).unwrap();
    let sealed = [1, 2].map(|id| alice.seal(&bob, id, b"slow", at(14)).unwrap());
    let last = Wall::from_millis(at(45).as_millis() - 1);
    assert!(bob.clone().open(&alice, 1, &sealed[0].blob, last).is_ok());
    assert_eq!(code(bob.open(&alice, 2, &sealed[1].blob, at(45))), ErrorCode::PrekeyUnknown);
}

/// SR-5f SR-5i
#[test]
fn sweeping_leaves_nothing_behind_and_does_a_bounded_share() {
    let (mut alice, mut bob) = (Person::new("Alice", 1), Person::new("Bob", 2));
    bob.step(|vault, batch, own, rng| vault.relay_one_time(batch, own, 30, at(0), rng)).unwrap();
    for message_id in 0..8 {
        alice.start(&mut bob, at(0));
        alice.tell(&mut bob, message_id, b"again", at(0));
    }
    assert!(counts(&bob)[..5].iter().all(|&count| count > 0));
    let sweep = |bob: &mut Person, now, limit| bob.step(|vault, batch, _, _| vault.sweep(batch, now, limit)).unwrap();
    assert_eq!(sweep(&mut bob, at(0), 10), 0, "nothing is due yet");
    let mut calls = 0;
    while sweep(&mut bob, at(400), 10) == 10 {
        calls += 1;
        assert!(calls < 100, "it comes to an end");
    }
    assert!(calls > 3, "each call did a share");
    assert_eq!(counts(&bob)[..6], [0; 6]);
    assert_eq!(counts(&bob)[7], 0, "no note of what is gone stays");
}

/// SR-5f
#[test]
fn a_session_in_use_outlives_the_sweeps() {
    let (mut alice, mut bob) = acquainted();
    for day in (20..=120).step_by(20) {
        alice.tell(&mut bob, day, b"still here", at(day));
        bob.tell(&mut alice, day, b"so am I", at(day));
        bob.step(|vault, batch, _, _| vault.sweep(batch, at(day), 100)).unwrap();
    }
    assert_eq!(bob.vault.sessions(&bob.records, alice.id(), at(149)).unwrap().len(), 1);
    bob.step(|vault, batch, _, _| vault.sweep(batch, at(150), 100)).unwrap();
    assert_eq!(bob.records.count(Space("sremp/session"), &[]), Ok(0));
}

/// SR-5i: the replay set is bounded, and filling it makes nothing replayable.
#[test]
fn a_full_replay_set_lets_the_oldest_bundle_go_with_its_secrets() {
    let limits = VaultLimits { replay: 8, ..VaultLimits::default() };
    let mut bob = Person::new("Bob", 2).with_limits(limits);
    let mut alice = Person::new("Alice", 1);
    let (old, mut blobs) = (bob.prekeys(false, at(0)), Vec::new());
    for message_id in 0..5 {
        alice.start_with(&old, at(0)).unwrap();
        let sealed = alice.seal(&bob, message_id, b"old", at(0)).unwrap();
        bob.open(&alice, message_id, &sealed.blob, at(0)).unwrap();
        blobs.push(sealed.blob);
    }
    let new = bob.prekeys(false, at(7));
    for message_id in 5..9 {
        assert_eq!(bob.records.count(Space("sremp/bundle"), &[]), Ok(2));
        alice.start_with(&new, at(7)).unwrap();
        alice.tell(&mut bob, message_id, b"new", at(7));
    }
    assert_eq!(bob.records.count(Space("sremp/bundle"), &[]), Ok(1));
    bob.step(|vault, batch, _, _| vault.sweep(batch, at(7), 100)).unwrap();
    assert_eq!(bob.records.count(Space("sremp/replay"), &[]), Ok(4));
    for (message_id, blob) in (0..).zip(&blobs) {
        assert_eq!(code(bob.open(&alice, message_id, blob, at(7))), ErrorCode::PrekeyUnknown);
    }
}

/// SR-5f: a backup that is restored knows neither what was received since nor which keys were used.
#[test]
fn a_restored_vault_starts_from_nothing() {
    let (mut alice, mut bob) = acquainted();
    let prekeys = bob.prekeys(true, at(0));
    bob.step(|vault, batch, _, _| vault.drop_all(batch)).unwrap();
    assert_eq!(counts(&bob), [0; 8]);
    alice.start_with(&prekeys, at(0)).unwrap();
    let sealed = alice.seal(&bob, 7, b"hello?", at(0)).unwrap();
    assert_eq!(code(bob.open(&alice, 7, &sealed.blob, at(0))), ErrorCode::PrekeyUnknown);
    bob.start(&mut alice, at(0));
    bob.tell(&mut alice, 8, b"here again", at(0));
}

/// SR-5f
#[test]
fn prekeys_without_an_identity_are_those_of_the_connection() {
    let (mut alice, mut bob, carol) = (Person::new("Alice", 1), Person::new("Bob", 2), Person::new("Carol", 3));
    let prekeys = waypost_sremp::message::Prekeys { identity: None, ..bob.prekeys(true, at(0)) };
    let mut check = |peer: Option<&waypost_sremp::Identity>| {
        alice.step(|vault, batch, _, _| vault.check_prekeys(batch, prekeys.target, peer, &prekeys, at(0)))
    };
    assert!(check(Some(&bob.identity)).unwrap().has_one_time());
    assert_eq!(code(check(None)), ErrorCode::Auth);
    assert_eq!(code(check(Some(&carol.identity))), ErrorCode::Auth);
}

#[test]
fn nobody_starts_a_session_with_themselves() {
    let mut alice = Person::new("Alice", 1);
    let prekeys = alice.prekeys(true, at(0));
    assert_eq!(alice.start_with(&prekeys, at(0)), Err(Error::Proof(ErrorCode::Auth)));
}

#[test]
fn keys_that_do_not_belong_together_make_no_bundle() {
    let mut bob = Person::new("Bob", 2);
    bob.dr_secret = waypost_sremp::x25519::Secret::generate(&mut bob.rng);
    let refused = bob.step(|vault, batch, own, rng| vault.bundle(batch, own, at(0), rng));
    assert!(matches!(refused, Err(Error::BadInput(_))));
}
