//! SR-8.1c, SR-11.1: what is past its time goes, and leaves nothing behind.

use super::clients::{World, register, seqs};
use crate::people::Person;
use std::time::Duration;
use waypost_core::{Records, Space, Wall};
use waypost_sremp::{
    Message,
    message::RetrieveMessages,
    relay::{DepotLimits, Policy},
};

const DAY: Duration = Duration::from_secs(86400);

fn world() -> (World, Person, Person) {
    let (alice, bob) = (Person::new("Alice", 1), Person::new("Bob", 2));
    let mut world = World::new(Policy::default(), DepotLimits { round: 4, ..DepotLimits::default() });
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
        let mut request = RetrieveMessages::after(0, &bob.signing, &super::clients::HASH, &super::clients::relay_id());
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
    assert_eq!(world.records.count(Space("relay/queue"), &[]), Ok(0));
    assert_eq!(world.records.count(Space("relay/blob"), &[]), Ok(0));
}

/// A mailbox not registered for 90 days is removed, and so is everything else in its time.
#[test]
fn forgets_a_client_that_stays_away() {
    let (mut world, mut alice, bob) = world();
    let prekeys = alice.prekeys(true, world.now.wall);
    let one_time = prekeys.one_time.into_iter().collect();
    world.ask(1, waypost_sremp::message::PublishPrekeys { bundle: prekeys.bundle, one_time });
    for id in 1..=30 {
        world.store(1, &alice, &bob, id, b"x").unwrap();
        if id % 3 == 0 {
            world.confirm(2, &bob, &alice, id);
        }
    }
    assert_eq!(world.counts(), [2, 2, 20, 20, 30, 1, 10, 1, 1]);
    world.pass(29 * DAY);
    world.tidy();
    assert_eq!(world.counts(), [2, 2, 20, 20, 30, 1, 10, 1, 1]);
    world.pass(2 * DAY);
    world.tidy();
    // A triple whose message was still there is looked at again a day later.
    world.pass(DAY);
    world.tidy();
    assert_eq!(world.counts(), [2, 2, 0, 0, 0, 0, 0, 1, 1]);
    world.pass(30 * DAY);
    world.tidy();
    assert_eq!(world.counts(), [2, 2, 0, 0, 0, 0, 0, 1, 0]);
    world.answer(2, register(&bob, 86400, false));
    world.pass(30 * DAY);
    world.tidy();
    assert_eq!(world.counts(), [1, 1, 0, 0, 0, 0, 0, 0, 0]);
    // Who comes back begins anew.
    world.store(2, &bob, &alice, 1, b"x").unwrap_err();
    assert_eq!(world.join(3, &alice, false), 0);
    world.pass(60 * DAY);
    world.tidy();
    world.pass(31 * DAY);
    world.tidy();
    assert_eq!((world.counts(), world.records.count(Space("relay/due"), &[])), ([0; 9], Ok(0)));
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
    // The order of time still holds the first one's end.
    world.tidy();
    assert_eq!(world.store(1, &alice, &bob, 1, b"z"), Err(28));
}
