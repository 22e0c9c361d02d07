//! SR-8.2a, SR-11.1: whatever happens in whatever order, what is announced can be had and no quota is passed.

use super::clients::{World, register};
use crate::people::Person;
use proptest::prelude::*;
use std::time::Duration;
use waypost_sremp::{
    Message,
    message::{DiscardMessage, StoredMessage},
    relay::{DepotLimits, Policy},
};

#[derive(Clone, Debug)]
enum Action {
    Store { from: usize, to: usize, id: u64, size: usize },
    Confirm { at: usize, from: usize, id: u64 },
    Discard { at: usize, from: usize, id: u64 },
    Retrieve { at: usize, after: u64 },
    Register { at: usize, days: u32 },
    Pass { hours: u64 },
    Tidy,
    Restart,
}

fn action() -> impl Strategy<Value = Action> {
    let (who, id) = (0..3usize, 1..6u64);
    prop_oneof![
        6 => (who.clone(), who.clone(), id.clone(), 1..60usize)
            .prop_map(|(from, to, id, size)| Action::Store { from, to, id, size }),
        2 => (who.clone(), who.clone(), id.clone()).prop_map(|(at, from, id)| Action::Confirm { at, from, id }),
        1 => (who.clone(), who.clone(), id).prop_map(|(at, from, id)| Action::Discard { at, from, id }),
        1 => (who.clone(), 0..20u64).prop_map(|(at, after)| Action::Retrieve { at, after }),
        1 => (who, 0..40u32).prop_map(|(at, days)| Action::Register { at, days }),
        1 => (1..1000u64).prop_map(|hours| Action::Pass { hours }),
        1 => Just(Action::Tidy),
        1 => Just(Action::Restart),
    ]
}

fn join_all(world: &mut World, people: &[Person]) {
    for (link, person) in (0..).zip(people) {
        world.join(link, person, link == 1);
    }
}

fn take(world: &mut World, people: &[Person], action: Action) {
    match action {
        Action::Store { from, to, id, size } => {
            let _ = world.store(from as u64, &people[from], &people[to], id, &vec![1; size]);
        }
        Action::Confirm { at, from, id } => drop(world.confirm(at as u64, &people[at], &people[from], id)),
        Action::Discard { at, from, id } => {
            drop(world.ask(at as u64, DiscardMessage { sender: people[from].id(), message_id: id }));
        }
        Action::Retrieve { at, after } => drop(world.retrieve(at as u64, &people[at], after)),
        Action::Register { at, days } => drop(world.answer(at as u64, register(&people[at], days * 86400, false))),
        Action::Pass { hours } => world.pass(Duration::from_secs(3600 * hours)),
        Action::Tidy => world.tidy(),
        Action::Restart => {
            world.restart();
            join_all(world, people);
        }
    }
}

fn assert_counts(world: &mut World, people: &[Person]) {
    for (link, person) in (0..).zip(people) {
        let Message::RelayRegistered(registered) = world.answer(link, register(person, 30 * 86400, link == 1)) else {
            panic!("not registered")
        };
        // Every message that is counted can be had, in pages, with rising seq and stamp.
        let (mut messages, mut after) = (Vec::<StoredMessage>::new(), 0);
        loop {
            world.pass(Duration::from_secs(2));
            let page = world.retrieve(link, person, after);
            messages.extend(page.messages);
            after = page.next.unwrap();
            if !page.has_more {
                break;
            }
        }
        assert_eq!(registered.pending as usize, messages.len());
        assert!(messages.is_sorted_by(|a, b| a.seq < b.seq && a.timestamp < b.timestamp));
        for other in people {
            let from_other: Vec<_> = messages.iter().filter(|message| message.sender == other.id()).collect();
            assert!(from_other.len() <= 4);
        }
        assert!(messages.iter().map(|message| message.encrypted_blob.len()).sum::<usize>() <= 300);
        assert!(messages.len() <= 7);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_is_announced_can_be_had_and_quotas_hold(actions in proptest::collection::vec(action(), 1..60)) {
        let people = [("Alice", 1), ("Bob", 2), ("Carol", 3)].map(|(name, seed)| Person::new(name, seed));
        let policy = Policy {
            quota_messages: 7,
            quota_bytes: 300,
            sender_messages: 4,
            rate_store: 10_000,
            rate_retrieve: 10_000,
            ..Policy::default()
        };
        let limits = DepotLimits { batch_default: 2, confirmations: 3, ..DepotLimits::default() };
        let mut world = World::new(policy, limits);
        join_all(&mut world, &people);
        for action in actions {
            take(&mut world, &people, action);
        }
        assert_counts(&mut world, &people);
    }
}
