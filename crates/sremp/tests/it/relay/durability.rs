//! SR-8.2a, SR-8.2b, SR-8.2d: what is said to be stored is, and a storage that fails hurts nobody else.

use super::clients::{World, code, confirmation, register, retrieve, seqs, store};
use crate::people::Person;
use waypost_sremp::{
    LinkId, Message,
    message::{DeliveryConfirmation, DiscardMessage, FetchPrekeys, Ping, StoreResponse},
    relay::{DepotLimits, Policy},
};

fn people() -> (Person, Person) {
    (Person::new("Alice", 1), Person::new("Bob", 2))
}

fn stored(message: &Message) -> (u64, bool) {
    match message {
        Message::StoreResponse(StoreResponse { message_id, success, .. }) => (*message_id, *success),
        other => panic!("{other:?}"),
    }
}

/// SR-8.2a: stored durably, then success; answers keep their order, whichever is durable first.
#[test]
fn says_nothing_is_stored_before_it_is() {
    let (alice, bob) = people();
    let mut world = World::new(Policy::default(), DepotLimits { outstanding: 3, ..DepotLimits::default() });
    world.join(1, &alice, false);
    world.join(2, &bob, true);
    world.commits = false;
    for id in [1, 2] {
        assert!(world.depot().wants_input(LinkId(1)));
        assert!(world.ask(1, store(&alice, &bob, id, &[1])).is_empty());
    }
    assert!(world.ask(1, FetchPrekeys { target: bob.id() }).is_empty());
    // Both are on their way, what reads waits for them, and a fourth has to wait outside.
    assert_eq!(world.waiting.len(), 2);
    assert!(!world.depot().wants_input(LinkId(1)));
    // Another connection does not wait.
    assert_eq!(code(&world.answer(2, Ping { nonce: 1 })), (6, false));
    // The second is durable first, and says so after the first.
    assert!(world.finish(1, true).is_empty());
    let both = world.finish(0, true);
    assert_eq!(both.iter().map(|(_, message)| stored(message)).collect::<Vec<_>>(), [(1, true), (2, true)]);
    assert!(world.depot().wants_input(LinkId(1)));
    // Of the look at Bob's mailbox and the prekeys both wait now.
    assert_eq!(world.waiting.len(), 2);
    world.commits = true;
    let mut rest = world.finish(0, true);
    rest.extend(world.finish(0, true));
    let mut links: Vec<_> = rest.iter().map(|(link, _)| link.0).collect();
    links.sort_unstable();
    assert_eq!(links, [1, 2, 2]);
    assert!(rest.iter().any(|(_, message)| matches!(message, Message::Error(error) if error.code == 33)));
}

/// SR-8.2d: what is confirmed one after another can be committed together; what reads sees all of it.
#[test]
fn confirmations_do_not_wait_for_each_other() {
    let (alice, bob) = people();
    let mut world = World::new(Policy::default(), DepotLimits::default());
    world.join(1, &alice, false);
    world.join(2, &bob, false);
    for id in 1..=4 {
        world.store(1, &alice, &bob, id, &[1]).unwrap();
    }
    world.commits = false;
    let now = world.now;
    let nameless = DeliveryConfirmation { sender: None, ..confirmation(&bob, &alice, 4, now) };
    for id in [1, 2] {
        assert!(world.ask(2, confirmation(&bob, &alice, id, now)).is_empty());
    }
    world.ask(2, DiscardMessage { message_id: 3, sender: alice.id() });
    assert_eq!(world.waiting.len(), 3);
    world.ask(2, nameless);
    world.ask(2, retrieve(&bob, 0));
    assert_eq!(world.waiting.len(), 3, "whose the fourth is must be read, and only then what is left");
    // In whatever order they become durable.
    for place in [2, 0, 0] {
        assert!(world.finish(place, true).is_empty());
    }
    world.commits = true;
    let answers = world.finish(0, true);
    let [(LinkId(2), Message::MessageBatch(batch))] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(seqs(batch), [0u64; 0]);
    assert_eq!(world.depot().counts().delivered, 3);
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

/// A storage that fails is an error of the relay's own, told in the form of each answer.
#[test]
fn tells_each_client_when_its_storage_fails_and_goes_on() {
    let (alice, bob) = people();
    let mut world = World::new(Policy { rate_store: 2, ..Policy::default() }, DepotLimits::default());
    world.join(1, &alice, false);
    world.join(2, &bob, false);
    world.commits = false;
    for id in 1..=3 {
        world.ask(1, store(&alice, &bob, id, &[1]));
    }
    // The third is looked up first: it has no use of the rate left.
    for place in [0, 0, 0] {
        let answers = world.finish(place, false);
        assert!(matches!(&answers[..], [(LinkId(1), Message::StoreResponse(answer))] if answer.error_code == Some(5)));
    }
    world.ask(2, retrieve(&bob, 0));
    assert_eq!(code(&world.finish(0, false)[0].1), (5, true));
    world.ask(2, register(&bob, 60, true));
    assert_eq!(code(&world.finish(0, false)[0].1), (5, true));
    world.ask(2, register(&bob, 60, true));
    assert!(world.finish(0, true).is_empty());
    assert_eq!(code(&world.finish(0, false)[0].1), (5, true));
    assert!(world.processes[0].watched.is_empty(), "what was watched for it is not any more");
    world.commits = true;
    // What came to nothing does not count for the rate.
    assert!(world.store(1, &alice, &bob, 1, &[1]).is_ok());
    assert!(world.store(1, &alice, &bob, 2, &[1]).is_ok());
    assert_eq!(world.store(1, &alice, &bob, 3, &[1]), Err(23));
    assert_eq!(world.depot().counts().faults, 6);
}
