//! SR-8.2d, SR-8.2e: what is new reaches open connections unasked, from whatever process it came.

use super::clients::{LINKS, World, register, seqs, store};
use crate::people::Person;
use std::time::Duration;
use waypost_sremp::{
    LinkId, Message,
    message::StoredMessage,
    relay::{DepotLimits, Input, Policy},
};

fn people() -> (Person, Person) {
    (Person::new("Alice", 1), Person::new("Bob", 2))
}

/// Messages sent unasked, by link.
fn pushed(sent: &[(LinkId, Message)]) -> Vec<(u64, StoredMessage)> {
    let batches = sent.iter().filter_map(|(link, message)| match message {
        Message::MessageBatch(batch) => Some((link.0, batch)),
        _ => None,
    });
    batches
        .map(|(link, batch)| {
            assert_eq!((batch.next, batch.has_more, &batch.confirmations), (None, false, &None));
            let [message] = &batch.messages[..] else { panic!("{batch:?}") };
            (link, message.clone())
        })
        .collect()
}

/// Which seqs went to which link.
fn places(sent: &[(LinkId, Message)]) -> Vec<(u64, u64)> {
    pushed(sent).iter().map(|(link, message)| (*link, message.seq.unwrap())).collect()
}

/// SR-8.2e: live connections only, and never instead of the mailbox.
#[test]
fn pushes_to_open_connections_and_keeps_the_message() {
    let (alice, bob) = people();
    let mut world = World::new(Policy::default(), DepotLimits::default());
    world.join(1, &alice, true);
    world.join(2, &bob, true);
    world.join(3, &bob, false);
    let sent = world.ask(1, store(&alice, &bob, 1, &[1]));
    assert_eq!(sent.len(), 2);
    assert_eq!(places(&sent), [(2, 1)]);
    // The same again is no news.
    assert_eq!(world.ask(1, store(&alice, &bob, 1, &[1])).len(), 1);
    assert_eq!(seqs(&world.retrieve(3, &bob, 0)), [1]);
    let told = world.confirm(3, &bob, &alice, 1);
    assert!(matches!(&told[..], [(LinkId(1), Message::DeliveryConfirmation(told))] if told.seq == Some(1)));
    let counts = world.depot().counts().clone();
    assert_eq!((counts.stored, counts.delivered, counts.pushed), (1, 1, 2));
    assert_eq!((counts.connections, counts.registered, counts.requests["STORE_MESSAGE"]), (3, 3, 2));
    world.take(Input::Disconnected(LinkId(2)));
    assert_eq!(world.ask(1, store(&alice, &bob, 2, &[1])).len(), 1);
    // A gone connection gets no late answer either.
    assert!(world.ask(2, waypost_sremp::message::FetchPrekeys { target: alice.id() }).is_empty());
    assert_eq!((world.depot().counts().connections, world.depot().counts().registered), (2, 2));
}

#[test]
fn begins_with_what_comes_after_the_registration_on_every_connection() {
    let (alice, bob) = people();
    let mut world = World::new(Policy::default(), DepotLimits { push_items: 2, ..DepotLimits::default() });
    world.join(1, &alice, false);
    world.join(2, &bob, false);
    for id in 1..=3 {
        world.store(1, &alice, &bob, id, b"before").unwrap();
    }
    world.join(4, &bob, true);
    let sent = world.ask(1, store(&alice, &bob, 4, b"x"));
    assert_eq!(places(&sent), [(4, 4)]);
    world.join(6, &bob, true);
    let sent = world.ask(1, store(&alice, &bob, 5, b"x"));
    assert_eq!(places(&sent), [(4, 5), (6, 5)]);
    // To register again neither repeats nor skips; without the wish it ends.
    world.ask(4, register(&bob, 60, true));
    world.ask(6, register(&bob, 60, false));
    assert_eq!(places(&world.ask(1, store(&alice, &bob, 6, b"x"))), [(4, 6)]);
    world.take(Input::Disconnected(LinkId(4)));
    assert!(world.processes[0].watched.is_empty());
    assert_eq!(world.processes[0].depot.poll_timeout(), None);
}

/// Two processes on one storage are one relay.
#[test]
fn two_processes_serve_one_client() {
    let (alice, bob) = people();
    let mut world = World::new(Policy::default(), DepotLimits::default());
    world.start_process();
    world.join(1, &alice, true);
    world.join(2, &bob, true);
    world.join(LINKS + 2, &bob, true);
    let sent = world.ask(1, store(&alice, &bob, 1, b"x"));
    assert_eq!(places(&sent), [(2, 1), (LINKS + 2, 1)]);
    // Confirmed there, told here; stored before, known everywhere.
    let told = world.confirm(LINKS + 2, &bob, &alice, 1);
    assert!(matches!(&told[..], [(LinkId(1), Message::DeliveryConfirmation(_))]));
    world.join(LINKS + 4, &alice, false);
    assert_eq!(world.store(LINKS + 4, &alice, &bob, 1, b"y"), Err(28));
    assert!(world.store(LINKS + 4, &alice, &bob, 2, b"y").is_ok());
    assert_eq!(seqs(&world.retrieve(2, &bob, 0)), [2]);
    // The other process ends, and nothing of it is missed.
    world.processes.pop();
    assert_eq!(world.retrieve(2, &bob, 0).messages.len(), 1);
}

/// A hint that is lost costs time, not messages.
#[test]
fn finds_what_no_hint_told_of_by_looking_now_and_then() {
    let (alice, bob) = people();
    let mut world = World::new(Policy::default(), DepotLimits { push_items: 3, ..DepotLimits::default() });
    world.join(1, &alice, false);
    world.join(2, &bob, true);
    world.loses_hints = true;
    for id in 1..=7 {
        world.store(1, &alice, &bob, id, b"x").unwrap();
    }
    world.pass(Duration::from_secs(59));
    assert!(world.tick().is_empty());
    world.pass(Duration::from_secs(1));
    let sent = world.tick();
    assert_eq!(places(&sent), (1..=7).map(|seq| (2, seq)).collect::<Vec<_>>());
    assert_eq!(world.depot().poll_timeout(), Some(world.now.mono.after(Duration::from_secs(60))));
    // One that comes twice, or for nothing, repeats nothing.
    let news: Vec<_> = world.processes[0].watched.iter().cloned().collect();
    for mailbox in [&news[..], &news[..]].concat() {
        assert!(world.take(Input::Hint(mailbox)).is_empty());
    }
}

/// Nothing falls between the count at registration and the first look.
#[test]
fn skips_nothing_that_is_stored_while_the_client_registers() {
    let (alice, bob) = people();
    let mut world = World::new(Policy::default(), DepotLimits::default());
    world.join(1, &alice, false);
    world.join(2, &bob, false);
    world.connect(4, &bob);
    world.commits = false;
    world.ask(4, register(&bob, 60, true));
    world.finish(0, true);
    // The count is taken, but not told yet.
    let (process, id, ops) = world.waiting.remove(0);
    let counted = world.mailbox.commit(world.now.wall, ops);
    world.commits = true;
    assert!(world.store(1, &alice, &bob, 1, b"x").is_ok());
    let sent = world.take_at(process, Input::Mailbox(id, counted));
    assert!(matches!(sent[0].1, Message::RelayRegistered(_)));
    assert_eq!(places(&sent), [(4, 1)]);
}

/// The same with another connection, which has got already what the count did not see.
#[test]
fn skips_nothing_that_another_connection_got_while_the_client_registers() {
    let (alice, bob) = people();
    let mut world = World::new(Policy::default(), DepotLimits::default());
    world.join(1, &alice, false);
    world.join(2, &bob, true);
    world.connect(4, &bob);
    world.commits = false;
    world.ask(4, register(&bob, 60, true));
    world.finish(0, true);
    let (process, id, ops) = world.waiting.remove(0);
    let counted = world.mailbox.commit(world.now.wall, ops);
    world.commits = true;
    assert_eq!(places(&world.ask(1, store(&alice, &bob, 1, b"x"))), [(2, 1)]);
    world.commits = false;
    world.ask(1, store(&alice, &bob, 2, b"x"));
    world.finish(0, true);
    // A look from 1 on is under way when the registration is done.
    let sent = world.take_at(process, Input::Mailbox(id, counted));
    assert!(matches!(&sent[..], [(LinkId(4), Message::RelayRegistered(_))]));
    world.commits = true;
    assert_eq!(world.waiting.len(), 1);
    assert_eq!(places(&world.finish(0, true)), [(2, 2), (4, 1), (4, 2)]);
}

#[test]
fn waits_with_what_was_not_asked_for_while_a_connection_is_slow() {
    let (alice, bob) = people();
    let mut world = World::new(Policy::default(), DepotLimits::default());
    world.join(1, &alice, false);
    world.join(2, &bob, true);
    world.join(4, &bob, true);
    world.take(Input::Held { link: LinkId(2), is_held: true });
    assert_eq!(places(&world.ask(1, store(&alice, &bob, 1, b"x"))), [(4, 1)]);
    assert_eq!(places(&world.ask(1, store(&alice, &bob, 2, b"x"))), [(4, 2)]);
    assert_eq!(seqs(&world.retrieve(2, &bob, 0)), [1, 2]);
    let sent = world.take(Input::Held { link: LinkId(2), is_held: false });
    assert_eq!(places(&sent), [(2, 1), (2, 2)]);
}
