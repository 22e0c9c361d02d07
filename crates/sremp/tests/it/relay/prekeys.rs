//! SR-5f

use super::clients::{World, code};
use crate::people::{Person, at};
use std::time::Duration;
use waypost_sremp::{
    KemKey, Message,
    message::{FetchPrekeys, Prekeys, PublishPrekeys, SignedBundle, SignedOneTime},
    prekeys::OneTimeData,
    relay::{DepotLimits, Policy},
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
