//! Messages of sessions that were changed on the way, sent again, or sent back.

use crate::net::{Injected, Net, Node, Published, forge, people};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use waypost_codec::base64;
use waypost_proofpeer::{Crypto, Settings, probe};

fn with_session() -> (Net, Published) {
    let mut net = Net::new(1, people(2));
    net.meet();
    net.send(0, 1, 1, b"first", false);
    net.run(1000);
    net.discard = Box::new(|_, _| true);
    net.send(0, 1, 2, b"second", false);
    let message = net.log.last().unwrap().clone();
    (net, message)
}

type Change = Box<dyn FnOnce(&mut Value)>;

fn changed(message: &Published, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut json = message.json();
    change(&mut json);
    json.to_string().into_bytes()
}

/// PP-X5, PP-7.3c: topic, t, r, sender and sid are authenticated.
#[test]
fn nothing_around_a_message_of_a_d1_session_can_be_changed() {
    let (mut net, message) = with_session();
    let t = message.json()["t"].as_u64().unwrap();
    let topic = message.topic.clone();
    let cases: [(&'static str, Change); 5] = [
        ("bad_cipher", Box::new(move |json| json["t"] = json!(t + 1))),
        ("bad_cipher", Box::new(|json| json["r"] = json!(true))),
        ("no_session", Box::new(|json| json["m"]["sender_id"] = json!(7))),
        ("no_session", Box::new(|json| json["m"]["sid"] = json!("other"))),
        ("no_session", Box::new(|json| json["m"].as_object_mut().unwrap().remove("sid").map(drop).unwrap())),
    ];
    for (reason, change) in cases {
        assert_eq!(net.inject(1, &topic, &changed(&message, change)), Injected::nothing(reason));
    }
    let other = forge::channel("lobby").to_string();
    assert_eq!(net.inject(1, &other, &message.payload), Injected::nothing("misplaced"));
    assert_eq!(net.inject(1, "/1/u/2", &message.payload), Injected::nothing("misplaced"));
    // The true one still passes, and only once; also when it comes later with another time.
    assert_eq!(net.inject(1, &topic, &message.payload).dropped, None);
    assert_eq!(net.inject(1, &topic, &message.payload), Injected::nothing("replay"));
    net.millis += 70_000;
    let later = net.secs();
    let again = changed(&message, |json| json["t"] = json!(later));
    assert_eq!(net.inject(1, &topic, &again), Injected::nothing("replay"));
    assert_eq!(net.nodes[1].texts(), ["first", "second"]);
}

/// PP-7.3c, PP-7.2
#[test]
fn a_message_that_comes_back_to_its_sender_is_reflected() {
    for literal in [false, true] {
        let node = |seed| Node::new(seed, Settings { literal, ..Settings::default() });
        let mut net = Net::pair(node(1), node(2));
        net.send(0, 1, 1, b"first", false);
        net.run(1000);
        let message = net.published(0, "session").remove(0);
        let (own, other) = (net.nodes[0].peer.inbox().to_string(), net.nodes[1].peer.identity().public().uid());
        let back = changed(&message, |json| json["m"]["sender_id"] = json!(other));
        assert_eq!(net.inject(0, &own, &back), Injected::nothing("reflected"));
    }
}

/// Crypto, nonces: the initiator's top bit is 0, the responder's 1; counters rise by one.
#[test]
fn nonces_never_repeat_and_tell_the_sides_apart() {
    for literal in [false, true] {
        let node = |seed| Node::new(seed, Settings { literal, ..Settings::default() });
        let mut net = Net::pair(node(1), node(2));
        for id in 0..50 {
            net.send(0, 1, id, b"there", id % 2 == 0);
            net.run(100);
            net.send(1, 0, id, b"back", id % 3 == 0);
            net.run(100);
        }
        let mut seen = BTreeSet::new();
        let mut sides = BTreeSet::new();
        for message in &net.log {
            let json = message.json();
            let Some(data) = json["m"]["aes"]["data"].as_str() else { continue };
            let nonce = base64::decode_any(data).unwrap()[..12].to_vec();
            assert!(seen.insert((json["m"]["aes"]["sid"].to_string(), nonce.clone())), "a nonce twice");
            if message.kind() == "session" {
                sides.insert((message.from, nonce[0] >> 7, nonce[..6].to_vec()));
            }
        }
        if !literal {
            assert_eq!(sides.len(), 2);
            assert!(sides.iter().all(|(from, bit, _)| *from == usize::from(*bit)), "{sides:?}");
        }
        assert!(seen.len() >= 100);
    }
}

/// PP-4.6b, PP-4.5b: a literal session takes any nonce, each once, for the whole of its life.
#[test]
fn a_literal_session_remembers_every_nonce() {
    let mut net = Net::pair(Node::literal(1), Node::new(2, Settings::default()));
    let (alice, bob) = (&net.nodes[0].peer, &net.nodes[1].peer);
    let (sender, k0) = (alice.identity().public().uid(), [7; 32]);
    let aes_key = forge::wrapped(bob.identity().public(), &k0, 1);
    let token = forge::token(alice.identity(), net.secs(), r#"{"type":"handshake"}"#, None);
    let inbox = bob.inbox().to_string();
    let handshake = forge::handshake(&token, net.secs(), &aes_key, "any sid");
    assert_eq!(net.inject(1, &inbox, &handshake).dropped, None);
    net.run(1000);
    for number in 0..3 {
        let message = forge::literal_message(&k0, [number; 12], net.secs(), sender, &[number]);
        assert_eq!(net.inject(1, &inbox, &message), Injected { dropped: None, published: 0 });
    }
    net.run(50_000);
    let again = forge::literal_message(&k0, [1; 12], net.secs(), sender, &[1]);
    assert_eq!(net.inject(1, &inbox, &again), Injected::nothing("replay"));
    assert_eq!(net.nodes[1].messages().len(), 3);
}

#[test]
fn a_literal_session_with_a_full_memory_takes_nothing_more_and_is_renewed() {
    let mut settings = Settings::default();
    settings.limits.nonces = 5;
    let mut net = Net::pair(Node::literal(1), Node::new(2, settings));
    net.send(0, 1, 0, b"0", false);
    net.run(1000);
    for id in 1..9 {
        net.send(0, 1, id, format!("{id}").as_bytes(), false);
        net.run(100);
    }
    assert_eq!(net.nodes[1].texts().len(), 5);
    assert_eq!(net.nodes[1].dropped("no_session"), 4);
}

/// PP-4.5b
#[test]
fn an_ack_says_ok_with_quotes_or_without() {
    for (plain, taken) in [(&b"OK"[..], true), (b"\"OK\"", true), (b"ok", false), (b"", false), (b"OK\n", false)] {
        let mut net = Net::new(1, vec![Node::new(1, Settings::default()), Node::literal(2)]);
        net.meet();
        let now = net.now(0);
        let responder =
            waypost_proofpeer::CarriedKey::decode(&net.nodes[1].peer.identity().public().to_text()).unwrap();
        let given = probe::GivenHandshake {
            sid: "given".into(),
            k0: [9; 32],
            aes_key: vec![1; 80],
            ephemeral: [3; 32],
            known_caps: None,
        };
        probe::give_handshake(&mut net.nodes[0].peer, now, &responder, given);
        let sealed = base64::encode(&probe::seal(Crypto::native(), &[9; 32], &[0x80; 12], &[], plain));
        let aes = json!({"sid": "given", "data": sealed});
        let ack = json!({"v": 1, "t": net.secs(), "r": true, "m": {"sender_id": responder.uid, "aes": aes}});
        let own = net.nodes[0].peer.inbox().to_string();
        let outcome = net.inject(0, &own, ack.to_string().as_bytes());
        assert_eq!(outcome.dropped, if taken { None } else { Some("bad_ack") });
        assert_eq!(net.nodes[0].opened().len(), usize::from(taken));
    }
}

/// The other side sends by another session only: after three messages so do we.
#[test]
fn another_session_is_followed_after_three_messages() {
    let mut settings = Settings::default();
    settings.limits.session_messages = 1;
    let mut net = Net::pair(Node::new(1, settings), Node::new(2, Settings::default()));
    net.send(0, 1, 1, b"first", false);
    net.run(1000);
    // Bob answers a second handshake, but Alice never hears of it and goes on with the first.
    let old = net.nodes[0].opened()[0].0.clone();
    net.discard = Box::new(|message, to| to == 0 && message.kind() == "ack");
    net.send(0, 1, 2, b"second", false);
    net.run(100);
    assert_eq!(net.nodes[1].opened().len(), 2);
    let by = |net: &mut Net| {
        net.send(1, 0, 9, b"back", false);
        net.published(1, "session").last().unwrap().json()["m"]["sid"].as_str().unwrap().to_owned()
    };
    assert_ne!(by(&mut net), old);
    for id in 3..6 {
        net.send(0, 1, id, b"on the old one", false);
        net.run(20);
    }
    assert_eq!(by(&mut net), old);
}
