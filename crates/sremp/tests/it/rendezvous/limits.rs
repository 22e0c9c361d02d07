//! SR-2.2b, SR-7.1d, SR-7.2c, SR-7.3

use super::clients::{World, discoverable, list, target};
use crate::people::Person;
use std::time::Duration;
use waypost_sremp::{
    Message,
    message::{DirectMessage, ListServersRequest, ServerAddress},
    rendezvous::{Input, RegistryLimits, RegistryPolicy},
};

/// SR-2.2b
#[test]
fn serves_nothing_but_the_registry() {
    let mut world = World::new(RegistryLimits::default());
    let direct = DirectMessage { message_id: 1, encrypted_blob: vec![1].into() };
    let answers = world.ask("192.0.2.1", direct);
    assert!(matches!(&answers[..], [Message::Error(error)] if (error.code, error.fatal) == (6, false)));
    // An error is never answered by an error.
    assert!(world.ask("192.0.2.1", answers[0].clone()).is_empty());
}

/// SR-7.2c
#[test]
fn pages_through_those_who_want_to_be_listed() {
    let mut people: Vec<_> = (1..=12).map(discoverable).collect();
    people.sort_by_key(Person::id);
    let mut world = World::new(RegistryLimits { page: 5, ..RegistryLimits::default() });
    world.register(&Person::new("Hidden", 99), 1, 3600);
    for (index, person) in people.iter().enumerate() {
        // Some are gone before anybody asks.
        world.register(person, 1, if index % 3 == 0 { 60 } else { 600 });
    }
    world.pass(Duration::from_secs(60));
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = world.lookup("192.0.2.1", list(after, Some(2)));
        assert!(page.peers.len() <= 2);
        found.extend(page.peers.iter().map(|peer| peer.identity.verify().unwrap().key()));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let wanted: Vec<_> = (0..12).filter(|index| index % 3 != 0).map(|index| people[index].id()).collect();
    assert_eq!(found, wanted);
}

/// SR-7.1d: only what the owner alone can make counts.
#[test]
fn limits_how_often_one_may_ask_or_register() {
    let (alice, bob) = (Person::new("Alice", 1), Person::new("Bob", 2));
    let mut world = World::new(RegistryLimits::default());
    for seq in 1..=10 {
        assert!(world.register(&alice, seq, 600).success);
    }
    assert!(world.register(&alice, 10, 600).success);
    assert_eq!(world.register(&alice, 11, 600).error_code, Some(23));
    assert!(world.register(&bob, 1, 600).success);
    for _ in 0..60 {
        assert_eq!(world.lookup("2001:db8::1", target(&alice)).peers.len(), 1);
    }
    // One customer has a whole /64.
    assert_eq!(world.lookup("2001:db8::2", target(&alice)).error_code, Some(23));
    assert_eq!(world.lookup("2001:db8:0:1::1", target(&alice)).error_code, None);
    for _ in 0..10 {
        assert_eq!(world.lookup("192.0.2.3", list(None, None)).error_code, None);
    }
    assert_eq!(world.lookup("::ffff:192.0.2.3", list(None, None)).error_code, Some(23));
    world.pass(Duration::from_secs(60));
    assert!(world.register(&alice, 11, 600).success);
    assert_eq!(world.lookup("192.0.2.3", list(None, None)).error_code, None);
}

/// SR-7.3
#[test]
fn suggests_at_most_thirty_two_servers() {
    let server = ServerAddress { host: "rdv.example".to_owned(), port: 4434, name: None, spki: None };
    let policy = RegistryPolicy { servers: vec![server; 40], ..RegistryPolicy::default() };
    let mut world = World::with_policy(policy, RegistryLimits::default());
    let answers = world.ask("192.0.2.1", ListServersRequest {});
    assert!(matches!(&answers[..], [Message::ListServersResponse(response)] if response.servers.len() == 32));
}

/// Beyond its bound a server turns new connections away and serves the others.
#[test]
fn turns_away_more_connections_than_it_may_have() {
    let mut world = World::new(RegistryLimits { connections: 1, ..RegistryLimits::default() });
    let link = world.link(0, "192.0.2.1");
    let (other, address) = (waypost_sremp::LinkId(9), "192.0.2.2".parse().unwrap());
    let sent = world.take(0, Input::Connected { link: other, address });
    assert!(matches!(&sent[..], [Message::Error(error)] if (error.code, error.fatal) == (23, true)));
    assert!(world.take(0, Input::Message { link: other, message: ListServersRequest {}.into() }).is_empty());
    assert_eq!(world.ask("192.0.2.1", ListServersRequest {}).len(), 1);
    world.take(0, Input::Disconnected(link));
    assert!(world.take(0, Input::Connected { link: other, address }).is_empty());
}
