//! SR-8.1c, SR-11.1: what is past its time goes, and leaves nothing behind.

use super::clients::{World, code, register, retrieve, seqs};
use crate::people::Person;
use std::time::Duration;
use waypost_core::Wall;
use waypost_sremp::{
    Message,
    message::{FetchPrekeys, PublishPrekeys},
    relay::{DepotLimits, Policy},
};

const DAY: Duration = Duration::from_secs(86400);

fn world() -> (World, Person, Person) {
    let (alice, bob) = (Person::new("Alice", 1), Person::new("Bob", 2));
    let mut world = World::new(Policy::default(), DepotLimits::default());
    world.join(1, &alice, false);
    world.join(2, &bob, false);
    (world, alice, bob)
}

#[test]
fn shows_nothing_that_is_past_its_time_even_before_it_is_tidied_up() {
    let (mut world, alice, bob) = world();
    for id in 1..=40 {
        world.store(1, &alice, &bob, id, b"x").unwrap();
        world.pass(Duration::from_secs(3600));
    }
    // Holes in the order of seq.
    for id in [3, 20, 24, 25, 26, 40] {
        world.confirm(2, &bob, &alice, id);
    }
    // Message n came at hour n - 1, now is hour 40 of the last day; at most four a request are tidied up.
    world.pass(29 * DAY + Duration::from_secs(1));
    let batch = world.retrieve(2, &bob, 0);
    let kept: Vec<u64> = (18..40).filter(|id| ![20, 24, 25, 26].contains(id)).collect();
    assert_eq!(batch.messages.iter().map(|message| message.message_id).collect::<Vec<_>>(), kept);
    // `since` finds its place over the holes too.
    let since = batch.messages.iter().find(|message| message.message_id == 27).unwrap().timestamp;
    for (since, first) in [(since, 27), (Wall::from_millis(since.as_millis() - 1), 27), (since.after(DAY / 48), 28)] {
        let mut request = retrieve(&bob, 0);
        request.since = Some(since);
        let Message::MessageBatch(batch) = world.answer(2, request) else { panic!("no batch") };
        assert_eq!(batch.messages[0].message_id, first);
    }
}

/// SR-8.1c: the smaller of the client's wish and the policy holds, from the moment it is said.
#[test]
fn keeps_messages_only_as_long_as_the_client_wants() {
    let (mut world, alice, bob) = world();
    world.store(1, &alice, &bob, 1, b"x").unwrap();
    world.pass(DAY);
    world.store(1, &alice, &bob, 2, b"x").unwrap();
    world.answer(2, register(&bob, 86400, false));
    assert_eq!(seqs(&world.retrieve(2, &bob, 0)), [2]);
    world.pass(DAY);
    world.tidy();
    assert_eq!(world.mailbox.size(), (0, 0));
}

/// A mailbox not registered for 90 days is removed, and so is everything else in its time.
#[test]
fn forgets_a_client_that_stays_away() {
    let (mut world, mut alice, bob) = world();
    let prekeys = alice.prekeys(true, world.now.wall);
    let one_time = prekeys.one_time.into_iter().collect();
    world.ask(1, PublishPrekeys { bundle: prekeys.bundle, one_time });
    for id in 1..=30 {
        world.store(1, &alice, &bob, id, b"x").unwrap();
        if id % 3 == 0 {
            world.confirm(2, &bob, &alice, id);
        }
    }
    // Twenty messages and ten confirmations.
    assert_eq!(world.mailbox.size().0, 30);
    world.pass(29 * DAY);
    world.tidy();
    assert_eq!((world.mailbox.size().0, world.judge(&alice)), (30, "accepted"));
    world.pass(2 * DAY);
    world.tidy();
    assert_eq!(world.mailbox.size(), (0, 0));
    world.pass(30 * DAY);
    world.answer(2, register(&bob, 86400, false));
    world.pass(30 * DAY);
    world.tidy();
    assert_eq!(world.store(1, &alice, &bob, 1, b"x"), Ok(world.now.wall.as_millis()));
    // Alice stayed away for 91 days: who comes back begins anew, whoever was the newest before.
    assert_eq!(world.store(2, &bob, &alice, 1, b"x"), Err(24));
    assert_eq!(code(&world.answer(2, FetchPrekeys { target: alice.id() })), (33, false));
    assert_eq!(world.join(3, &alice, false), 0);
    world.store(2, &bob, &alice, 1, b"x").unwrap();
    world.pass(91 * DAY);
    world.tidy();
    assert_eq!(world.mailbox.size(), (0, 0));
}

/// SR-8.2b: a triple is remembered for 30 days, not longer.
#[test]
fn takes_the_same_again_when_it_is_forgotten() {
    let (mut world, alice, bob) = world();
    let first = world.store(1, &alice, &bob, 1, b"x").unwrap();
    world.confirm(2, &bob, &alice, 1);
    world.pass(30 * DAY - Duration::from_millis(1));
    assert_eq!(world.store(1, &alice, &bob, 1, b"x"), Ok(first));
    world.pass(Duration::from_millis(1));
    assert_eq!(world.store(1, &alice, &bob, 1, b"y"), Ok(world.now.wall.as_millis()));
    world.tidy();
    assert_eq!(world.store(1, &alice, &bob, 1, b"z"), Err(28));
}
