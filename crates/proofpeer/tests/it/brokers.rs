//! Several brokers at once, their death and return.

use crate::net::{Faults, Net, Published, people};
use waypost_proofpeer::{ChannelKey, Encrypted, Error, Event, Input, MessageStatus};

/// PP-X7, PP-9.1a
#[test]
fn what_comes_by_two_brokers_and_twice_is_delivered_once() {
    let mut net = Net::new(2, people(2));
    net.set_faults(Faults { loss: 0, twice: 50, jitter: 100 });
    net.meet();
    for number in 0..20 {
        net.broadcast(0, "lobby", &format!("{number}")).unwrap();
        net.send(0, 1, number, format!("{number}").as_bytes(), number % 2 == 0);
        net.run(200);
    }
    net.run(2000);
    assert_eq!(net.nodes[1].broadcasts().len(), 20);
    assert_eq!(net.nodes[1].texts().len(), 20);
    assert!(net.nodes[1].dropped("duplicate") >= 20 && net.nodes[1].dropped("replay") >= 20);
    assert_eq!(net.nodes[1].opened().len(), 1);
}

#[test]
fn one_broker_of_two_dies_and_nothing_is_lost() {
    let mut net = Net::new(2, people(2));
    net.meet();
    for id in 0..60 {
        match id {
            20 => net.kill(0),
            30 => net.revive(0),
            40 => net.kill(1),
            _ => {}
        }
        net.send(0, 1, id, format!("{id}").as_bytes(), true);
        net.run(300);
    }
    net.run(10_000);
    assert_eq!(net.nodes[1].texts().len(), 60);
    assert_eq!(net.nodes[1].closed(), [""; 0], "the session goes on");
}

/// The outbox goes again after the reconnect; PP-6.2a: so does the announcement, at that broker alone.
#[test]
fn what_was_sent_without_a_broker_goes_after_the_reconnect() {
    let mut net = Net::new(1, people(2));
    net.meet();
    net.send(0, 1, 1, b"first", true);
    net.run(1000);
    net.kill(0);
    net.send(0, 1, 2, b"into the void", true);
    assert_eq!(net.broadcast(0, "lobby", "into the void"), Err(Error::NotConnected));
    net.run(40_000);
    assert_eq!(net.nodes[1].texts(), ["first"]);
    let joins = net.published(0, "join").len();
    net.revive(0);
    net.run(100);
    assert_eq!(net.nodes[1].texts(), ["first", "into the void"]);
    let all = net.published(0, "join");
    assert_eq!(all.len(), joins + 1);
    assert!(all.last().unwrap().broker.is_some());
}

/// PP-8.1c
#[test]
fn what_a_broker_had_kept_is_dropped() {
    let mut net = Net::new(1, people(2));
    net.meet();
    net.broadcast(0, "lobby", "kept").unwrap();
    let Published { topic, payload, .. } = net.log.last().unwrap().clone();
    net.input(1, Input::Received { topic: &topic, payload: &payload, retain: true }).unwrap();
    assert_eq!(net.nodes[1].dropped("retained"), 1);
    net.run(100);
    assert_eq!(net.nodes[1].broadcasts().len(), 1, "the true one comes all the same");
}

/// PP-X8, PP-7.4a
#[test]
fn an_encrypted_channel_is_read_by_those_who_know_its_secret_alone() {
    let mut net = Net::new(1, people(4));
    let key = |byte| Some(ChannelKey::from_bytes([byte; 32]));
    for (node, secret) in [(0, key(1)), (1, key(1)), (2, key(2)), (3, None)] {
        net.join(node, "lobby", secret);
    }
    net.run(3000);
    net.broadcast(0, "lobby", "the secret").unwrap();
    let clear = String::from_utf8(net.log.last().unwrap().payload.clone()).unwrap();
    assert!(!clear.contains("the secret"));
    net.run(100);
    assert_eq!(net.nodes[1].broadcasts().len(), 1);
    let is_encrypted =
        |event: &Event| matches!(event, Event::Deliver { origin, .. } if origin.encrypted == Encrypted::Channel);
    assert!(net.nodes[1].events.iter().any(|(_, event)| is_encrypted(event)));
    assert_eq!(net.nodes[2].dropped("bad_enc"), 1);
    // Without a key it is a value like others.
    assert!(net.nodes[3].events.iter().any(|(_, event)| matches!(event, Event::Deliver { value: Some(_), .. })));
    net.broadcast(3, "lobby", "in clear").unwrap();
    net.run(100);
    for node in 0..3 {
        assert_eq!(net.nodes[node].dropped("plain_in_encrypted"), 1);
        let id = net.id(3);
        assert!(net.nodes[node].peer.is_online(&id), "presence is in clear");
    }
}

#[test]
fn the_same_passphrase_gives_the_same_key_however_it_is_typed() {
    let app = waypost_proofpeer::AppId::new("com.example.app").unwrap();
    let name = waypost_proofpeer::ChannelName::new("lobby").unwrap();
    let key = |passphrase: &str| ChannelKey::from_passphrase(passphrase, &app, &name).map(|key| *key.to_bytes());
    assert_eq!(key("\u{e9}t\u{e9}"), key("e\u{301}te\u{301}"));
    assert_ne!(key("a"), key("b"));
    assert_eq!(key(""), Err(Error::BadName));
    assert_eq!(key(&"x".repeat(1025)), Err(Error::BadName));
}

#[test]
fn a_broadcast_above_the_limit_is_too_large() {
    let mut net = Net::new(1, people(1));
    net.meet();
    assert_eq!(net.broadcast(0, "lobby", &"x".repeat(60_000)), Err(Error::TooLarge));
    assert_eq!(net.broadcast(0, "elsewhere", "x"), Err(Error::NotJoined));
    net.broadcast(0, "lobby", &"x".repeat(30_000)).unwrap();
}

#[test]
fn statuses_of_an_unreliable_message_end_with_sent() {
    let mut net = Net::new(1, people(2));
    net.meet();
    net.send(0, 1, 1, b"x", false);
    net.run(1000);
    assert_eq!(net.statuses(0, 1), [MessageStatus::Queued, MessageStatus::Sent]);
}
