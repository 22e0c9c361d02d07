//! SR-2.2c, SR-2.2d, SR-8.1a to SR-8.2d, SR-11.1

use super::clients::{World, code, register, relay_id, seqs};
use crate::people::Person;
use waypost_core::Wall;
use waypost_sremp::{
    IdentityDraft, Message,
    message::{DeliveryConfirmation, DirectMessage, DiscardMessage, FetchPrekeys, Ping},
    relay::{DepotLimits, Input, Policy},
};

fn people() -> [Person; 3] {
    [("Alice", 1), ("Bob", 2), ("Carol", 3)].map(|(name, seed)| Person::new(name, seed))
}

fn world(people: &[Person], policy: Policy) -> World {
    let mut world = World::new(policy, DepotLimits::default());
    for (link, person) in (1..).zip(people) {
        world.join(link, person, false);
    }
    world
}

/// SR-11.1: explicit errors, and nothing old is dropped for something new.
#[test]
fn refuses_what_a_mailbox_or_a_sender_in_it_has_no_room_for() {
    let people = people();
    let [alice, bob, carol] = &people;
    let policy = Policy { quota_messages: 3, sender_messages: 2, sender_bytes: 100, ..Policy::default() };
    let mut world = world(&people, policy);
    assert!(world.store(1, alice, bob, 1, &[1; 60]).is_ok());
    assert_eq!(world.store(1, alice, bob, 2, &[1; 41]), Err(22));
    assert!(world.store(1, alice, bob, 3, &[1; 40]).is_ok());
    assert_eq!(world.store(1, alice, bob, 4, &[]), Err(25));
    assert!(world.store(3, carol, bob, 1, &[1; 100]).is_ok());
    assert_eq!(world.store(3, carol, bob, 2, &[1]), Err(22));
    assert_eq!(seqs(&world.retrieve(2, bob, 0)), [1, 2, 3]);
    world.ask(2, DiscardMessage { sender: alice.id(), message_id: 1 });
    assert_eq!(world.store(1, alice, bob, 5, &[1; 61]), Err(22));
    assert!(world.store(1, alice, bob, 5, &[1; 60]).is_ok());
    // Another mailbox has quotas of its own; oneself is a sender like any other.
    assert!(world.store(1, alice, carol, 1, &[1; 100]).is_ok());
    assert!(world.store(1, alice, alice, 1, &[1; 100]).is_ok());
    world.take(Input::DiskFull(true));
    assert_eq!(world.store(1, alice, carol, 2, &[]), Err(25));
    assert_eq!(world.store(3, carol, alice, 2, &[1]), Err(22));
    world.take(Input::DiskFull(false));
    assert!(world.store(3, carol, alice, 2, &[1]).is_ok());
}

/// SR-8.2c: 60000 bytes an answer; one always fits; messages and confirmations share one order.
#[test]
fn pages_by_bytes_and_merges_confirmations_by_seq() {
    let people = people();
    let [alice, bob, _] = &people;
    let mut world = world(&people, Policy::default());
    for id in 1..=4 {
        world.store(1, alice, bob, id, &[1; 29_800]).unwrap();
        world.store(2, bob, alice, id, &[1; 65_536]).unwrap();
    }
    let page = world.retrieve(2, bob, 0);
    assert_eq!((seqs(&page), page.has_more, page.next), (vec![1, 2], true, Some(2)));
    let page = world.retrieve(2, bob, 2);
    assert_eq!((seqs(&page), page.has_more, page.next), (vec![3, 4], false, Some(4)));
    world.confirm(1, alice, bob, 1);
    world.store(1, alice, bob, 5, &[1]).unwrap();
    world.confirm(1, alice, bob, 2);
    let page = world.retrieve(2, bob, 3);
    let confirmed: Vec<_> = page.confirmations.iter().flatten().map(|one| (one.message_id, one.seq)).collect();
    assert_eq!((seqs(&page), confirmed), (vec![4, 6], vec![(1, Some(5)), (2, Some(7))]));
    // What the cursor has passed is gone.
    assert_eq!(world.retrieve(2, bob, 5).confirmations.map(|all| all.len()), Some(1));
    assert_eq!(world.retrieve(2, bob, 0).confirmations, None);
    let page = world.retrieve(1, alice, 0);
    assert_eq!((seqs(&page), page.has_more), (vec![3], true));
}

/// SR-8.2d
#[test]
fn takes_a_nameless_confirmation_only_for_a_unique_id() {
    let people = people();
    let [alice, bob, carol] = &people;
    let mut world = world(&people, Policy::default());
    world.store(1, alice, bob, 7, b"a").unwrap();
    world.store(3, carol, bob, 7, b"c").unwrap();
    let nameless = |sender: &Person| {
        let confirmation = DeliveryConfirmation::signed(&bob.signing, sender.id(), 7, Wall::from_millis(1));
        DeliveryConfirmation { sender: None, ..confirmation }
    };
    assert_eq!(code(&world.answer(2, nameless(alice))), (33, false));
    world.confirm(2, bob, carol, 7);
    // One is left, and the signature says whose it is.
    assert_eq!(code(&world.answer(2, nameless(carol))), (20, true));
    assert!(world.ask(2, nameless(alice)).is_empty());
    assert_eq!(world.retrieve(2, bob, 0).messages.len(), 0);
}

/// SR-8.2d: at most so many wait, the oldest goes.
#[test]
fn keeps_a_bounded_number_of_confirmations() {
    let people = people();
    let [alice, bob, _] = &people;
    let mut world = World::new(Policy::default(), DepotLimits { confirmations: 3, ..DepotLimits::default() });
    world.join(1, alice, false);
    world.join(2, bob, false);
    for id in 1..=5 {
        world.store(1, alice, bob, id, b"x").unwrap();
        world.confirm(2, bob, alice, id);
    }
    let ids: Vec<_> = world.retrieve(1, alice, 0).confirmations.unwrap().iter().map(|one| one.message_id).collect();
    assert_eq!(ids, [3, 4, 5]);
}

/// SR-8.2b: what is known already is known before the rate is asked, and does not count for it.
#[test]
fn knows_what_it_has_whatever_the_rate() {
    let people = people();
    let [alice, bob, carol] = &people;
    let mut world = world(&people, Policy { rate_store: 2, ..Policy::default() });
    let first = world.store(1, alice, bob, 1, b"x").unwrap();
    for _ in 0..9 {
        assert_eq!(world.store(1, alice, bob, 1, b"x"), Ok(first));
        assert_eq!(world.store(1, alice, bob, 1, b"y"), Err(28));
        assert_eq!(world.store(1, alice, &Person::new("Nobody", 9), 1, b"x"), Err(24));
    }
    assert_eq!(world.store(1, alice, bob, 2, &[0; 65_537]), Err(25));
    // That one counted: the order of the checks is the profile's.
    assert_eq!(world.store(1, alice, bob, 3, b"x"), Err(23));
    assert_eq!(world.store(1, alice, bob, 1, b"x"), Ok(first));
    assert_eq!(world.store(1, alice, bob, 1, b"y"), Err(28));
    assert_eq!(world.store(1, alice, bob, 1, b""), Err(28));
    assert_eq!(world.store(1, alice, bob, 4, b""), Err(23));
    assert_eq!(world.store(1, alice, &Person::new("Nobody", 9), 1, b""), Err(24));
    assert!(world.store(3, carol, bob, 1, b"x").is_ok());
    world.pass(std::time::Duration::from_secs(60));
    assert!(world.store(1, alice, bob, 3, b"x").is_ok());
    assert_eq!(world.store(1, alice, bob, 4, b""), Err(25));
}

/// SR-2.2c, SR-2.2d: a listener that serves its owner too hands the relay only what is the relay's.
#[test]
fn leaves_to_the_owner_what_is_for_the_owner() {
    let people = people();
    let [alice, bob, _] = &people;
    let mut world = world(&people, Policy::default());
    let confirmation = |sender| {
        let confirmation = DeliveryConfirmation::signed(&bob.signing, alice.id(), 1, Wall::default());
        Message::from(DeliveryConfirmation { sender, ..confirmation })
    };
    let direct = Message::from(DirectMessage { message_id: 1, encrypted_blob: vec![1].into() });
    assert!(!world.depot().takes(&direct));
    assert!(!world.depot().takes(&FetchPrekeys { target: relay_id() }.into()));
    assert!(!world.depot().takes(&confirmation(Some(relay_id()))));
    assert!(world.depot().takes(&FetchPrekeys { target: bob.id() }.into()));
    assert!(world.depot().takes(&confirmation(Some(alice.id()))) && world.depot().takes(&confirmation(None)));
    assert_eq!(code(&world.answer(1, direct)), (6, false));
    assert_eq!(code(&world.answer(1, Ping { nonce: 1 })), (6, false));
}

/// SR-3.1.5c: the relay remembers which identity of a client is the newest.
#[test]
fn shows_an_older_or_a_second_identity_the_door() {
    let mut bob = Person::new("Bob", 2);
    let first = bob.identity.clone();
    let next = |name: &str| {
        let mut draft = IdentityDraft::next(&first, Wall::from_millis(1)).unwrap();
        draft.username = name.to_owned();
        draft.sign(&bob.signing).unwrap()
    };
    let (second, fork) = (next("Bobby"), next("Rob"));
    let mut world = World::new(Policy::default(), DepotLimits::default());
    world.join(1, &bob, false);
    bob.identity = second.clone();
    world.join(3, &bob, false);
    let verdicts = [&second, &first, &fork].map(|identity| {
        bob.identity = identity.clone();
        world.judge(&bob)
    });
    assert_eq!(verdicts, ["accepted", "id_stale", "id_fork"]);
    // Accepted before the newer one was seen, and late with its registration.
    for (link, identity, expected) in [(5, first, 11), (7, fork, 12)] {
        bob.identity = identity;
        world.connect(link, &bob);
        assert_eq!(code(&world.answer(link, register(&bob, 60, false))), (expected, true));
    }
}
