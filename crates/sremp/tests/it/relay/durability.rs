//! SR-8.2a, SR-8.2b, SR-8.2d

use super::clients::{World, seqs};
use crate::people::Person;
use std::time::Duration;
use waypost_core::SaveId;
use waypost_sremp::{
    LinkId, Message,
    message::StoreMessage,
    relay::{DepotLimits, Input, Policy},
};

fn people() -> (Person, Person) {
    (Person::new("Alice", 1), Person::new("Bob", 2))
}

/// SR-8.2a: stored durably, then success; answers keep their order.
#[test]
fn says_nothing_is_stored_before_it_is() {
    let (alice, bob) = people();
    let mut world = World::new(Policy::default(), DepotLimits { outstanding: 2, ..DepotLimits::default() });
    world.join(1, &alice, false);
    world.join(2, &bob, true);
    world.commits = false;
    for id in [1, 2] {
        assert!(world.depot.wants_input(LinkId(1)));
        let message = StoreMessage::signed(&super::clients::relay_id(), &alice.signing, bob.id(), id, vec![1]);
        assert!(world.ask(1, message).is_empty());
    }
    // A third has to wait, and what needs no save does not overtake.
    assert!(!world.depot.wants_input(LinkId(1)));
    assert!(world.ask(2, waypost_sremp::message::FetchPrekeys { target: alice.id() }).is_empty());
    let saves = std::mem::take(&mut world.unsaved);
    let first = world.take(Input::Saved(saves[0]));
    assert!(matches!(&first[..], [(LinkId(1), Message::StoreResponse(_)), (LinkId(2), Message::MessageBatch(_))]));
    let rest = world.take(Input::Saved(*saves.last().unwrap()));
    assert_eq!(rest.len(), 3);
    assert!(matches!(&rest[2], (LinkId(2), Message::Error(_))));
    assert!(world.depot.wants_input(LinkId(1)));
    assert!(world.take(Input::Saved(SaveId(99))).is_empty());
}

/// SR-8.2b, SR-8.2c: seq counters, stamps and triples persist.
#[test]
fn goes_on_where_it_was_after_a_crash() {
    let (alice, bob) = people();
    let mut world = World::new(Policy::default(), DepotLimits::default());
    world.join(1, &alice, false);
    world.join(2, &bob, false);
    let first = world.store(1, &alice, &bob, 1, b"one").unwrap();
    world.confirm(2, &bob, &alice, 1);
    world.restart();
    world.join(1, &alice, false);
    assert_eq!(world.join(2, &bob, false), 0);
    assert_eq!(world.store(1, &alice, &bob, 1, b"one"), Ok(first));
    assert_eq!(world.store(1, &alice, &bob, 1, b"other"), Err(28));
    assert_eq!(world.store(1, &alice, &bob, 2, b"two"), Ok(first + 1));
    assert_eq!(seqs(&world.retrieve(2, &bob, 0)), [2]);
    let confirmations = world.retrieve(1, &alice, 0).confirmations.unwrap();
    assert_eq!(confirmations.len(), 1);
    assert_eq!(confirmations[0].verify(&alice.id()), Ok(()));
}

/// SR-8.2e: live connections only, and never instead of the mailbox.
#[test]
fn pushes_to_open_connections_and_keeps_the_message() {
    let (alice, bob) = people();
    let mut world = World::new(Policy::default(), DepotLimits::default());
    world.join(1, &alice, true);
    world.join(2, &bob, true);
    world.join(3, &bob, false);
    let message = StoreMessage::signed(&super::clients::relay_id(), &alice.signing, bob.id(), 1, vec![1]);
    let sent = world.ask(1, message.clone());
    assert_eq!(sent.iter().map(|(link, _)| *link).collect::<Vec<_>>(), [LinkId(1), LinkId(2)]);
    let Message::MessageBatch(batch) = &sent[1].1 else { panic!("{sent:?}") };
    assert_eq!((batch.next, batch.has_more, seqs(batch)), (None, false, vec![1]));
    // The same again is no news.
    assert_eq!(world.ask(1, message).len(), 1);
    assert_eq!(seqs(&world.retrieve(3, &bob, 0)), [1]);
    let told = world.confirm(3, &bob, &alice, 1);
    assert!(matches!(&told[..], [(LinkId(1), Message::DeliveryConfirmation(_))]));
    world.take(Input::Disconnected(LinkId(2)));
    let message = StoreMessage::signed(&super::clients::relay_id(), &alice.signing, bob.id(), 2, vec![1]);
    assert_eq!(world.ask(1, message).len(), 1);
    // A gone connection gets no late answer either.
    world.pass(Duration::from_secs(1));
    assert!(world.ask(2, waypost_sremp::message::FetchPrekeys { target: alice.id() }).is_empty());
}
