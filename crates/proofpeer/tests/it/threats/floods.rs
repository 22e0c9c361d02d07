//! Floods: of forged tokens, acks, handshakes and keys.

use crate::net::{Net, Node, ed25519, forge, people};
use serde_json::json;
use waypost_codec::base64;
use waypost_proofpeer::{MessageStatus, Settings};

/// Unsigned floods in somebody's name do not use up its share.
#[test]
fn two_hundred_forged_tokens_do_not_stop_the_true_one() {
    let mut net = Net::new(1, people(2));
    net.meet();
    let topic = forge::channel("lobby").to_string();
    for number in 0..200 {
        let claim = forge::claim(forge::channel("lobby"), number);
        let token = forge::token(net.nodes[0].peer.identity(), net.secs(), &format!("{number}"), Some(&claim));
        let (signed, _) = token.rsplit_once('.').unwrap();
        let forged = json!({"v": 1, "t": net.secs(), "jwt": format!("{signed}.{}", base64::encode_url(&[1; 64]))});
        assert_eq!(net.inject(1, &topic, forged.to_string().as_bytes()).dropped, Some("bad_sig"));
    }
    net.broadcast(0, "lobby", "true").unwrap();
    net.run(100);
    assert_eq!(net.nodes[1].broadcasts().len(), 1);
}

#[test]
fn two_hundred_forged_acks_do_not_stop_the_true_one() {
    let mut net = Net::new(1, people(2));
    net.meet();
    net.discard = Box::new(|_, to| to == 1);
    net.send(0, 1, 1, b"hello", true);
    let sid = net.published(0, "handshake")[0].json()["m"]["handshake"]["sid"].clone();
    let (sender, inbox) = (net.nodes[1].peer.identity().public().uid(), net.nodes[0].peer.inbox().to_string());
    for number in 0..200_u8 {
        let data = base64::encode(&[number; 30]);
        let x = json!({"d": base64::encode(&[number; 60])});
        let m = json!({"sender_id": sender, "aes": {"sid": sid, "data": data}, "x": x});
        let forged = json!({"v": 1, "t": net.secs(), "r": true, "m": m});
        let outcome = net.inject(0, &inbox, forged.to_string().as_bytes());
        assert_eq!((outcome.dropped, outcome.published), (Some("bad_cipher"), 0));
    }
    net.discard = Box::new(|_, _| false);
    net.run(3000);
    assert_eq!(net.nodes[1].texts(), ["hello"]);
}

/// PP-7.5b: a key that talks too much is not heard, others are.
#[test]
fn a_key_that_says_too_much_is_not_heard_any_more() {
    let mut net = Net::new(1, people(3));
    net.meet();
    for number in 0..150 {
        net.broadcast(0, "lobby", &format!("{number}")).unwrap();
    }
    net.broadcast(2, "lobby", "me too").unwrap();
    net.run(10);
    let heard = net.nodes[1].broadcasts();
    assert!((97..=101).contains(&heard.len()), "{}", heard.len());
    assert!(heard.iter().any(|(text, _)| text == "me too"));
    assert!(net.nodes[1].dropped("rate") >= 50);
    net.run(2000);
    net.broadcast(0, "lobby", "again").unwrap();
    net.run(10);
    assert!(net.nodes[1].broadcasts().iter().any(|(text, _)| text == "again"));
}

/// Unwrapping is dear: once a second for one key, five at once.
#[test]
fn handshakes_of_one_key_are_unwrapped_at_a_rate() {
    let mut net = Net::new(1, people(2));
    net.meet();
    let (topic, stranger) = (net.nodes[1].peer.inbox(), ed25519(99));
    let mut outcomes = Vec::new();
    for number in 0..10 {
        let aes_key = forge::wrapped(net.nodes[1].peer.identity().public(), &[1; 32], number);
        let jwt = forge::token(&stranger, net.secs(), &format!("{number}"), None);
        let handshake = forge::handshake(&jwt, net.secs(), &aes_key, &format!("{number}"));
        outcomes.push(net.inject(1, &topic.to_string(), &handshake).dropped);
    }
    assert_eq!(outcomes, [[None; 5], [Some("rate"); 5]].concat());
}

/// Spoofed unproven sessions push out real ones: separate quotas.
#[test]
fn unproven_sessions_do_not_push_out_a_proven_one() {
    let mut net = Net::pair(Node::literal(1), Node::new(2, Settings::default()));
    net.send(1, 0, 1, b"hello", false);
    net.run(1000);
    let topic = net.nodes[1].peer.inbox().to_string();
    for number in 0..12 {
        net.run(1100);
        let aes_key = forge::wrapped(net.nodes[1].peer.identity().public(), &[1; 32], number);
        let jwt = forge::token(net.nodes[0].peer.identity(), net.secs(), &format!("{number}"), None);
        let handshake = forge::handshake(&jwt, net.secs(), &aes_key, &format!("{number}"));
        assert_eq!(net.inject(1, &topic, &handshake).dropped, None);
    }
    net.send(1, 0, 2, b"still here", false);
    net.run(100);
    assert_eq!(net.nodes[0].texts(), ["hello", "still here"]);
    assert_eq!(net.published(1, "handshake").len(), 1);
    assert!(net.nodes[1].closed().len() >= 8);
}

/// Messages without a session id that open nothing are tried at a rate; those that do are not counted.
#[test]
fn only_failures_count_for_messages_that_name_no_session() {
    let mut net = Net::pair(Node::literal(1), Node::new(2, Settings::default()));
    net.send(0, 1, 0, b"0", false);
    net.run(1000);
    for id in 1..=600 {
        net.send(0, 1, id, b"x", false);
    }
    net.run(10);
    assert_eq!(net.nodes[1].texts().len(), 601, "faster than failures may be");
    let (sender, inbox) = (net.nodes[0].peer.identity().public().uid(), net.nodes[1].peer.inbox().to_string());
    let mut reasons = Vec::new();
    for number in 0..210_u16 {
        let [a, b] = number.to_be_bytes();
        let forged = forge::literal_message(&[9; 32], [a, b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9], net.secs(), sender, b"x");
        reasons.push(net.inject(1, &inbox, &forged).dropped.unwrap());
    }
    assert_eq!(reasons, [vec!["bad_cipher"; 200], vec!["rate"; 10]].concat());
}

/// The full replay cache takes nothing rather than forget.
#[test]
fn a_full_replay_cache_takes_only_those_who_are_trusted() {
    let mut settings = Settings::default();
    settings.limits.replay = (12, 4);
    let mut net = Net::new(1, vec![Node::new(1, Settings::default()), Node::new(2, settings)]);
    net.meet();
    net.send(0, 1, 1, b"a session", true);
    net.run(1000);
    let topic = forge::channel("lobby");
    let mut dropped = Vec::new();
    for number in 0..10 {
        let claim = forge::claim(topic, number);
        let stranger = forge::signed(&ed25519(500 + number), net.secs(), "1", Some(&claim));
        dropped.push(net.inject(1, &topic.to_string(), &stranger).dropped);
    }
    assert_eq!(dropped.last(), Some(&Some("overload")));
    net.broadcast(0, "lobby", "trusted").unwrap();
    net.run(10);
    assert_eq!(net.nodes[1].broadcasts().last().map(|(text, _)| text.as_str()), Some("trusted"));
    net.run(130_000);
    let claim = forge::claim(topic, 99);
    let stranger = forge::signed(&ed25519(599), net.secs(), "1", Some(&claim));
    assert_eq!(net.inject(1, &topic.to_string(), &stranger).dropped, None);
    assert_eq!(net.statuses(0, 1).last(), Some(&MessageStatus::Delivered));
}
