//! SR-5f

use super::clients::{LINKS, World, code};
use crate::people::{Person, at};
use std::time::Duration;
use waypost_sremp::{
    KemKey, Message,
    message::{FetchPrekeys, Prekeys, PublishPrekeys, SignedBundle, SignedOneTime},
    prekeys::OneTimeData,
    relay::{DepotLimits, Input, Policy},
    x25519::PublicKey,
};

fn world() -> (World, Person, Person, SignedBundle, KemKey) {
    let (alice, mut bob) = (Person::new("Alice", 1), Person::new("Bob", 2));
    let mut world = World::new(Policy::default(), DepotLimits::default());
    world.join(1, &alice, false);
    world.join(2, &bob, false);
    let bundle = bob.prekeys(false, at(0)).bundle;
    let kem = bundle.verify(&bob.identity, at(0)).unwrap().lr_kem;
    (world, alice, bob, bundle, kem)
}

fn items(bob: &Person, kem: &KemKey, ids: impl IntoIterator<Item = u32>) -> Vec<SignedOneTime> {
    let item = |id| OneTimeData { identity_key: bob.id(), id, opk: PublicKey([1; 32]), kem: kem.clone() };
    ids.into_iter().map(|id| item(id).sign(&bob.signing)).collect()
}

fn left(answer: &Message) -> u32 {
    match answer {
        Message::PrekeysPublished(published) => published.one_time_left,
        other => panic!("{other:?}"),
    }
}

fn fetched(answer: Message) -> Prekeys {
    match answer {
        Message::Prekeys(prekeys) => prekeys,
        other => panic!("{other:?}"),
    }
}

#[test]
fn keeps_two_hundred_items_and_takes_a_hundred_at_once() {
    let (mut world, alice, bob, bundle, kem) = world();
    let publish =
        |ids: std::ops::Range<u32>| PublishPrekeys { bundle: bundle.clone(), one_time: items(&bob, &kem, ids) };
    assert_eq!(code(&world.answer(2, publish(0..101))), (3, false));
    assert_eq!(code(&world.answer(1, FetchPrekeys { target: bob.id() })), (33, false));
    assert_eq!(left(&world.answer(2, publish(100..200))), 100);
    assert_eq!(left(&world.answer(2, publish(150..250))), 150);
    assert_eq!(left(&world.answer(2, publish(0..100))), 200);
    // The lowest id first, each once.
    let ids: Vec<_> = (0..3)
        .map(|_| {
            let prekeys = fetched(world.answer(1, FetchPrekeys { target: bob.id() }));
            assert_eq!(prekeys.identity.as_ref(), Some(bob.identity.signed()));
            prekeys.one_time.unwrap().verify(&bob.id()).unwrap().id
        })
        .collect();
    assert_eq!(ids, [0, 1, 2]);
    assert!(alice.id() != bob.id());
}

#[test]
fn gives_no_item_that_is_past_its_time_and_counts_each_pair_alone() {
    let (mut world, alice, mut bob, bundle, kem) = world();
    let one_time = items(&bob, &kem, [5]);
    assert_eq!(left(&world.answer(2, PublishPrekeys { bundle, one_time })), 1);
    world.pass(Duration::from_secs(50 * 86400));
    let bundle = bob.prekeys(false, world.now.wall).bundle;
    let one_time = items(&bob, &kem, [9]);
    assert_eq!(left(&world.answer(2, PublishPrekeys { bundle, one_time })), 2);
    world.pass(Duration::from_secs(9 * 86400));
    let prekeys = fetched(world.answer(1, FetchPrekeys { target: bob.id() }));
    assert_eq!(prekeys.one_time.unwrap().verify(&bob.id()).unwrap().id, 9);
    for _ in 0..4 {
        assert_eq!(fetched(world.answer(1, FetchPrekeys { target: bob.id() })).one_time, None);
    }
    assert_eq!(code(&world.answer(1, FetchPrekeys { target: bob.id() })), (23, false));
    assert_eq!(code(&world.answer(1, FetchPrekeys { target: alice.id() })), (33, false));
    fetched(world.answer(2, FetchPrekeys { target: bob.id() }));
}

/// Two processes are asked for the same person's prekeys at once: no item is given to both.
#[test]
fn gives_each_item_once_whichever_process_is_asked() {
    let (mut world, alice, bob, bundle, kem) = world();
    let one_time = items(&bob, &kem, [5, 6]);
    assert_eq!(left(&world.answer(2, PublishPrekeys { bundle, one_time })), 2);
    world.start_process();
    world.join(LINKS + 1, &alice, false);
    world.commits = false;
    for link in [1, LINKS + 1] {
        assert!(world.ask(link, FetchPrekeys { target: bob.id() }).is_empty());
    }
    // Both read the lower one; the first takes it out, the second sees that it is gone.
    assert!(world.finish(0, true).is_empty() && world.finish(0, true).is_empty());
    let mut given = world.finish(0, true);
    world.commits = true;
    given.extend(world.finish(0, true));
    let ids: Vec<_> =
        given.into_iter().map(|(_, answer)| fetched(answer).one_time.unwrap().verify(&bob.id()).unwrap().id).collect();
    assert_eq!(ids, [5, 6]);
    assert_eq!(fetched(world.answer(1, FetchPrekeys { target: bob.id() })).one_time, None);
}

/// Two publishings at once count each other's items; who is always overtaken is told to come again.
#[test]
fn publishes_and_fetches_again_when_another_process_was_faster() {
    let (mut world, alice, bob, bundle, kem) = world();
    world.start_process();
    world.join(LINKS + 2, &bob, false);
    world.commits = false;
    for (link, ids) in [(2, 0..100), (LINKS + 2, 50..150)] {
        let one_time = items(&bob, &kem, ids);
        assert!(world.ask(link, PublishPrekeys { bundle: bundle.clone(), one_time }).is_empty());
    }
    assert!(world.finish(0, true).is_empty() && world.finish(0, true).is_empty());
    assert_eq!(left(&world.finish(0, true)[0].1), 100);
    world.commits = true;
    assert_eq!(left(&world.finish(0, true)[0].1), 150);
    // Somebody else takes each item just before.
    world.commits = false;
    assert!(world.ask(1, FetchPrekeys { target: bob.id() }).is_empty());
    for round in 0.. {
        assert!(world.finish(0, true).is_empty());
        let (_, _, taking) = &world.waiting[0];
        let done = world.mailbox.commit(world.now.wall, taking.clone());
        assert!(!done.is_empty());
        let answers = world.finish(0, true);
        if !answers.is_empty() {
            assert_eq!((code(&answers[0].1), round), ((23, false), 8));
            break;
        }
    }
    assert!(alice.id() != bob.id());
}

/// Identities cost nothing, so what each may publish bounds nothing by itself.
#[test]
fn takes_no_prekeys_on_a_full_disk_and_at_a_persons_own_relay_only_the_owners() {
    let (mut alice, mut bob) = (Person::new("Alice", 1), Person::new("Bob", 2));
    let mut world = World::new(Policy { owner: Some(bob.id()), ..Policy::default() }, DepotLimits::default());
    world.join(1, &alice, false);
    world.join(2, &bob, false);
    let publish = |person: &mut Person| {
        let bundle = person.prekeys(false, at(0)).bundle;
        PublishPrekeys { bundle, one_time: Vec::new() }
    };
    let (of_alice, of_bob) = (publish(&mut alice), publish(&mut bob));
    assert_eq!(code(&world.answer(1, of_alice)), (21, false));
    world.take(Input::DiskFull(true));
    assert_eq!(code(&world.answer(2, of_bob.clone())), (22, false));
    world.take(Input::DiskFull(false));
    assert_eq!(left(&world.answer(2, of_bob)), 0);
}
