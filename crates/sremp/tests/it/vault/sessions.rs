use crate::people::{Person, acquainted, at, code};
use waypost_core::{Records, Space, Wall};
use waypost_sremp::{Error, ErrorCode, IdentityDraft, SessionNeed};

/// SR-5e SR-5g: with and without a one-time item, and nothing of it can be read on the way.
#[test]
fn a_session_starts_while_the_other_is_away_and_the_answer_ends_the_first_form() {
    for with_one_time in [true, false] {
        let (mut alice, mut bob) = (Person::new("Alice", 1), Person::new("Bob", 2));
        let prekeys = bob.prekeys(with_one_time, at(0));
        let id = alice.start_with(&prekeys, at(0)).unwrap();
        let blobs: Vec<_> = (0..3).map(|n| alice.seal(&bob, n, b"before you answer", at(0)).unwrap().blob).collect();
        assert!(blobs.iter().all(|blob| blob[0] == 1));
        // The last one first: each of them can start the session.
        for (n, is_new) in [(2, true), (0, false), (1, false)] {
            let opened = bob.open(&alice, n, &blobs[n as usize], at(0)).unwrap();
            assert_eq!((opened.session, opened.is_new, opened.is_higher), (id, is_new, is_new));
            assert!(opened.protection.post_quantum && opened.protection.end_to_end);
        }
        assert!(bob.tell(&mut alice, 9, b"answer", at(0)).is_first_answer);
        assert!(!bob.tell(&mut alice, 10, b"more", at(0)).is_first_answer);
        assert_eq!(alice.seal(&bob, 11, b"after", at(0)).unwrap().blob[0], 2);
    }
}

/// SR-5a SR-5j: a relay, or whoever breaks a connection, sees neither text nor names, and cannot open it.
#[test]
fn what_travels_shows_neither_text_nor_names_and_opens_for_nobody_else() {
    let (mut alice, mut bob, mut relay) = (Person::new("Alice", 1), Person::new("Bob", 2), Person::new("Relay", 3));
    alice.start(&mut bob, at(0));
    let first = alice.seal(&bob, 1, b"a plain secret", at(0)).unwrap().blob;
    bob.open(&alice, 1, &first, at(0)).unwrap();
    bob.tell(&mut alice, 2, b"x", at(0));
    let later = alice.seal(&bob, 3, b"a plain secret", at(0)).unwrap().blob;
    relay.prekeys(true, at(0));
    for blob in [first, later] {
        for plain in [&b"a plain secret"[..], b"Alice", alice.id().as_bytes(), bob.id().as_bytes()] {
            assert!(!blob.windows(plain.len()).any(|window| window == plain));
        }
        assert!(relay.open(&alice, 3, &blob, at(0)).is_err());
    }
}

/// SR-5g: one identity in all first messages, although a new version came in between.
#[test]
fn first_messages_repeat_the_identity_they_began_with() {
    let (mut alice, mut bob) = (Person::new("Alice", 1), Person::new("Bob", 2));
    alice.start(&mut bob, at(0));
    let first = alice.seal(&bob, 1, b"one", at(0)).unwrap();
    let mut draft = IdentityDraft::next(&alice.identity, at(0)).unwrap();
    alice.dr_secret = waypost_sremp::x25519::Secret::generate(&mut alice.rng);
    draft.dr_key = Some(alice.dr_secret.public());
    alice.identity = draft.sign(&alice.signing).unwrap();
    let second = alice.seal(&bob, 2, b"two", at(0)).unwrap();
    assert_eq!(bob.open(&alice, 2, &second.blob, at(0)).unwrap().content, b"two");
    assert_eq!(bob.open(&alice, 1, &first.blob, at(0)).unwrap().content, b"one");
}

/// SR-5h: glare.
#[test]
fn two_who_start_at_once_read_everything_and_agree_on_one_session() {
    for seed in 0..4 {
        let (mut alice, mut bob) = (Person::new("Alice", 10 + seed), Person::new("Bob", 20 + seed));
        alice.start(&mut bob, at(0));
        bob.start(&mut alice, at(0));
        let to_bob = alice.seal(&bob, 1, b"from Alice", at(0)).unwrap();
        let to_alice = bob.seal(&alice, 2, b"from Bob", at(0)).unwrap();
        assert_ne!(to_bob.session, to_alice.session);
        assert_eq!(bob.open(&alice, 1, &to_bob.blob, at(0)).unwrap().content, b"from Alice");
        assert_eq!(alice.open(&bob, 2, &to_alice.blob, at(0)).unwrap().content, b"from Bob");
        let active = alice.tell(&mut bob, 3, b"and now", at(0)).session;
        assert_eq!(bob.tell(&mut alice, 4, b"the same", at(0)).session, active);
        assert_eq!(active, to_bob.session.min(to_alice.session), "equal epochs: the lower id");
        let sessions = alice.vault.sessions(&alice.records, bob.id(), at(0)).unwrap();
        assert_eq!(sessions.iter().map(|session| session.is_active).collect::<Vec<_>>(), [true, false]);
    }
}

/// SR-5h
#[test]
fn each_new_session_has_a_higher_epoch_and_five_are_kept() {
    let (mut alice, mut bob) = acquainted();
    let old = bob.seal(&alice, 100, b"on the first session", at(0)).unwrap();
    for n in 0..20 {
        alice.start(&mut bob, at(0));
        let opened = alice.tell(&mut bob, 10 + n, b"new", at(0));
        assert!(opened.is_new && opened.is_higher);
    }
    let sessions = bob.vault.sessions(&bob.records, alice.id(), at(0)).unwrap();
    let epochs: Vec<_> = sessions.iter().map(|session| session.epoch).collect();
    let highest = at(0).as_secs() + 20;
    assert_eq!(epochs, [highest, highest - 1, highest - 2, highest - 3, highest - 4]);
    assert_eq!(bob.records.count(Space("sremp/session"), &[]), Ok(5));
    assert_eq!(code(alice.open(&bob, 100, &old.blob, at(0))), ErrorCode::NoSession);
}

/// SR-5h
#[test]
fn a_message_of_an_older_session_is_still_read_but_not_answered_on_it() {
    let (mut alice, mut bob) = acquainted();
    let old = bob.seal(&alice, 3, b"crossing", at(0)).unwrap();
    let id = alice.start(&mut bob, at(0));
    let opened = alice.open(&bob, 3, &old.blob, at(0)).unwrap();
    assert!(!opened.is_new && opened.session == old.session && old.session != id);
    assert_eq!(alice.seal(&bob, 4, b"on the new one", at(0)).unwrap().session, id);
}

/// SR-5c: sessions end.
#[test]
fn a_session_receives_for_thirty_days_after_its_last_receipt() {
    let (mut alice, mut bob) = acquainted();
    let sealed = alice.seal(&bob, 3, b"slow", at(0)).unwrap();
    let last = Wall::from_millis(at(30).as_millis() - 1);
    assert!(bob.clone().open(&alice, 3, &sealed.blob, last).is_ok());
    assert_eq!(code(bob.open(&alice, 3, &sealed.blob, at(30))), ErrorCode::NoSession);
    assert_eq!(code(alice.seal(&bob, 4, b"too late", at(30))), ErrorCode::NoSession);
    assert_eq!(alice.vault.need(&alice.records, bob.id(), at(30)), Ok(SessionNeed::Required));
}

/// SR-5i
#[test]
fn a_new_session_is_wanted_after_seven_days_without_an_answer() {
    let (mut alice, mut bob) = acquainted();
    let need = |alice: &Person, bob: &Person, now| alice.vault.need(&alice.records, bob.id(), now).unwrap();
    assert_eq!(need(&alice, &bob, at(20)), SessionNeed::No, "nothing waits for an answer");
    alice.seal(&bob, 3, b"hello?", at(1)).unwrap();
    alice.seal(&bob, 4, b"hello??", at(6)).unwrap();
    assert_eq!(need(&alice, &bob, Wall::from_millis(at(8).as_millis() - 1)), SessionNeed::No);
    assert_eq!(alice.seal(&bob, 5, b"hello???", at(8)).unwrap().need, SessionNeed::Wanted);
    bob.tell(&mut alice, 6, b"sorry", at(8));
    assert_eq!(need(&alice, &bob, at(20)), SessionNeed::No);
}

/// SR-5g: before the first answer only what fits every relay.
#[test]
fn large_content_waits_for_the_first_answer() {
    let (mut alice, mut bob) = (Person::new("Alice", 1), Person::new("Bob", 2));
    alice.start(&mut bob, at(0));
    let largest = alice.tell(&mut bob, 1, &[b'a'; 16383], at(0));
    assert!(largest.is_new);
    assert_eq!(alice.seal(&bob, 2, &[b'a'; 16384], at(0)), Err(Error::Unanswered));
    bob.tell(&mut alice, 3, b"answer", at(0));
    alice.tell(&mut bob, 4, &[b'a'; 983_039], at(0));
    assert_eq!(code(alice.seal(&bob, 5, &[b'a'; 983_040], at(0))), ErrorCode::TooLarge);
}

/// SR-5b: nothing can be sent where nothing was started.
#[test]
fn without_a_session_nothing_is_sealed() {
    let (mut alice, bob) = (Person::new("Alice", 1), Person::new("Bob", 2));
    assert_eq!(code(alice.seal(&bob, 1, b"hi", at(0))), ErrorCode::NoSession);
    assert_eq!(alice.vault.need(&alice.records, bob.id(), at(0)), Ok(SessionNeed::Required));
}

/// SR-5i
#[test]
fn a_dropped_session_is_gone_and_cannot_be_started_again_by_its_first_message() {
    let (mut alice, mut bob) = (Person::new("Alice", 1), Person::new("Bob", 2));
    let prekeys = bob.prekeys(false, at(0));
    let id = alice.start_with(&prekeys, at(0)).unwrap();
    let blobs = [1, 2].map(|n| alice.seal(&bob, n, b"hi", at(0)).unwrap().blob);
    bob.open(&alice, 1, &blobs[0], at(0)).unwrap();
    let peer = alice.id();
    bob.step(|vault, batch, _, _| {
        vault.drop_session(batch, peer, id);
        Ok(())
    })
    .unwrap();
    for (n, blob) in (1..).zip(&blobs) {
        assert_eq!(code(bob.open(&alice, n, blob, at(0))), ErrorCode::Replay);
    }
    assert_eq!(code(bob.seal(&alice, 3, b"?", at(0))), ErrorCode::NoSession);
}

#[test]
fn a_forgotten_peer_leaves_no_session() {
    let (mut alice, mut bob) = acquainted();
    let peer = alice.id();
    bob.step(|vault, batch, _, _| vault.forget_peer(batch, peer)).unwrap();
    assert_eq!(bob.records.count(Space("sremp/session"), &[]), Ok(0));
    assert_eq!(bob.records.count(Space("sremp/epoch"), &[]), Ok(0));
    assert_eq!(code(bob.seal(&alice, 3, b"?", at(0))), ErrorCode::NoSession);
    alice.start(&mut bob, at(0));
    alice.tell(&mut bob, 4, b"again", at(0));
}

#[test]
fn the_status_counts_messages_and_shows_no_keys() {
    let (alice, bob) = acquainted();
    let [status] = &alice.vault.sessions(&alice.records, bob.id(), at(0)).unwrap()[..] else { panic!("one session") };
    assert_eq!((status.sent, status.received, status.is_answered, status.is_active), (1, 1, true, true));
    assert_eq!((status.started, status.last_receipt), (at(0), Some(at(0))));
    assert_eq!(format!("{:?}", alice.dr_secret), "Secret(..)");
}
