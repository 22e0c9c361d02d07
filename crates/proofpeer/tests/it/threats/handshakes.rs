//! Handshakes with parts of others.

use crate::net::{Injected, Net, Node, Published, ed25519, forge, people};
use serde_json::{Value, json};
use waypost_codec::base64;
use waypost_proofpeer::{Auth, Settings};

type Change = fn(&mut Value);

/// Alice's handshake with Bob, which he has not got.
fn intercepted(alice: Node) -> (Net, Published) {
    let mut net = Net::new(1, vec![alice, Node::new(2, Settings::default()), Node::new(3, Settings::default())]);
    net.meet();
    net.discard = Box::new(|_, _| true);
    net.send(0, 1, 1, b"for Bob", true);
    let handshake = net.log.last().unwrap().clone();
    assert_eq!(handshake.kind(), "handshake");
    (net, handshake)
}

/// PP-4.4b: the attacker attaches a key of its own to a fresh token.
#[test]
fn a_key_attached_to_somebody_elses_token_gets_nothing() {
    let mut net = Net::new(1, vec![Node::literal(1), Node::new(2, Settings::default())]);
    net.meet();
    let (t, inbox) = (net.secs(), net.nodes[1].peer.inbox().to_string());
    // A literal peer's signed broadcast is as good as a handshake's.
    let jwt = forge::token(net.nodes[0].peer.identity(), t, r#""hello""#, None);
    let k0 = [7; 32];
    let aes_key = forge::wrapped(net.nodes[1].peer.identity().public(), &k0, 1);
    let outcome = net.inject(1, &inbox, &forge::handshake(&jwt, t, &aes_key, "spoofed"));
    assert_eq!(outcome, Injected { dropped: None, published: 2 }, "an ack, and our own handshake to the true owner");
    let sender = net.nodes[0].peer.identity().public().uid();
    net.inject(1, &inbox, &forge::literal_message(&k0, [1; 12], t, sender, b"trust me"));
    assert_eq!(net.nodes[1].messages(), [(b"trust me".to_vec(), Auth::default())], "shown as unproven");
    // What we say goes under the key that the true owner has answered for.
    net.send(1, 0, 1, b"for Alice alone", false);
    net.run(1000);
    let sent = net.published(1, "session");
    assert_eq!(sent.len(), 1);
    assert_ne!(sent[0].json()["m"]["sid"], "spoofed");
    assert_eq!(net.nodes[0].texts(), ["for Alice alone"]);
}

#[test]
fn a_key_attached_to_a_locked_peers_token_is_a_downgrade() {
    let (mut net, handshake) = intercepted(Node::new(1, Settings::default()));
    let (t, inbox) = (net.secs(), net.nodes[1].peer.inbox().to_string());
    let aes_key = forge::wrapped(net.nodes[1].peer.identity().public(), &[7; 32], 1);
    let jwt = forge::token(net.nodes[0].peer.identity(), t, "1", None);
    assert_eq!(net.inject(1, &inbox, &forge::handshake(&jwt, t, &aes_key, "spoofed")), Injected::nothing("downgrade"));
    let jwt = handshake.json()["jwt"].as_str().unwrap().to_owned();
    let sid = handshake.json()["m"]["handshake"]["sid"].as_str().unwrap().to_owned();
    assert_eq!(net.inject(1, &inbox, &forge::handshake(&jwt, t, &aes_key, &sid)), Injected::nothing("bad_bind"));
    // Spending the token first has not spoiled it.
    assert_eq!(net.inject(1, &inbox, &handshake.payload).dropped, None);
}

/// Reuse towards another peer.
#[test]
fn a_handshake_for_another_is_badly_bound() {
    let (mut net, handshake) = intercepted(Node::new(1, Settings::default()));
    let carols = net.nodes[2].peer.inbox().to_string();
    assert_eq!(net.inject(2, &carols, &handshake.payload), Injected::nothing("bad_bind"));
}

/// Copy `aes_key` under M's signature and relay.
#[test]
fn a_copied_key_under_another_signature_opens_nothing() {
    let (mut net, handshake) = intercepted(Node::new(1, Settings::default()));
    let (t, inbox) = (net.secs(), net.nodes[1].peer.inbox());
    let json = handshake.json();
    let aes_key = base64::decode_any(json["m"]["handshake"]["aes_key"].as_str().unwrap()).unwrap();
    let sid = json["m"]["handshake"]["sid"].as_str().unwrap().to_owned();
    let mallory = ed25519(99);
    let mut claim = forge::claim(inbox, 5);
    let theirs = forge::payload_of(&json)["pp"].clone();
    for member in ["to", "sid", "k", "epk"] {
        claim[member] = theirs[member].clone();
    }
    let jwt = forge::token(&mallory, t, r#"{"type":"handshake"}"#, Some(&claim));
    assert_eq!(net.inject(1, &inbox.to_string(), &forge::handshake(&jwt, t, &aes_key, &sid)).dropped, None);
    assert_eq!(net.inject(1, &inbox.to_string(), &handshake.payload).dropped, None);
    let ack = net.published(1, "ack").remove(1);
    let alices = net.nodes[0].peer.inbox().to_string();
    // Bob's answer to Mallory is none to Alice: it binds both identities.
    let to_mallory = net.published(1, "ack").remove(0);
    assert_eq!(net.inject(0, &alices, &to_mallory.payload), Injected::nothing("bad_ack"));
    assert_eq!(net.inject(0, &alices, &ack.payload).dropped, None);
    let message = net.published(0, "session").remove(0);
    let mut relayed = message.json();
    relayed["m"]["sender_id"] = json!(mallory.public().uid());
    let outcome = net.inject(1, &inbox.to_string(), relayed.to_string().as_bytes());
    assert_eq!(outcome, Injected::nothing("bad_cipher"));
    assert_eq!(net.inject(1, &inbox.to_string(), &message.payload).dropped, None);
    assert_eq!(net.nodes[1].texts(), ["for Bob"]);
}

/// PP-7.3b: an old `aes_key` under another token of its owner, then its old messages.
#[test]
fn an_old_key_under_another_token_is_reuse() {
    let mut net = Net::new(1, vec![Node::literal(1), Node::new(2, Settings::default())]);
    net.meet();
    net.send(0, 1, 1, b"once", false);
    net.run(1000);
    let inbox = net.nodes[1].peer.inbox().to_string();
    let aes_key = {
        let json = net.published(0, "handshake")[0].json();
        base64::decode_any(json["m"]["handshake"]["aes_key"].as_str().unwrap()).unwrap()
    };
    let sid = net.published(0, "handshake")[0].json()["m"]["handshake"]["sid"].as_str().unwrap().to_owned();
    let old = net.published(0, "session").remove(0);
    // While the session lives, after it has ended, and long after that.
    for wait in [0, 100_000, 1_000_000] {
        net.run(wait);
        let jwt = forge::token(net.nodes[0].peer.identity(), net.secs(), &format!("{wait}"), None);
        for other in ["other", "another"] {
            let handshake = forge::handshake(&jwt, net.secs(), &aes_key, other);
            assert_eq!(net.inject(1, &inbox, &handshake), Injected::nothing("sid_reuse"));
        }
        let mut again = old.json();
        again["t"] = json!(net.secs());
        assert!(net.inject(1, &inbox, again.to_string().as_bytes()).dropped.is_some());
        if wait == 0 {
            let fresh = forge::wrapped(net.nodes[1].peer.identity().public(), &[1; 32], 2);
            let handshake = forge::handshake(&jwt, net.secs(), &fresh, &sid);
            assert_eq!(net.inject(1, &inbox, &handshake), Injected::nothing("sid_reuse"));
            net.discard = Box::new(|_, _| true);
        }
    }
    assert_eq!(net.nodes[1].texts(), ["once"]);
}

/// Strip `m.x` from an ack.
#[test]
fn an_ack_without_its_extension_is_none() {
    let (mut net, handshake) = intercepted(Node::new(1, Settings::default()));
    let (bobs, alices) = (net.nodes[1].peer.inbox().to_string(), net.nodes[0].peer.inbox().to_string());
    net.inject(1, &bobs, &handshake.payload);
    let ack = net.published(1, "ack").remove(0).json();
    let strip = |change: Change| {
        let mut json = ack.clone();
        change(&mut json["m"]);
        json.to_string().into_bytes()
    };
    let cases: [(&str, Change); 4] = [
        ("bad_ack", |m| m.as_object_mut().unwrap().remove("x").map(drop).unwrap()),
        ("bad_ack", |m| m["x"] = json!({})),
        ("bad_ack", |m| m["x"]["d"] = json!(base64::encode(&[1; 80]))),
        ("bad_sender", |m| m["sender_id"] = json!(1)),
    ];
    for (reason, change) in cases {
        assert_eq!(net.inject(0, &alices, &strip(change)), Injected::nothing(reason));
    }
    assert!(net.nodes[0].opened().is_empty());
    assert_eq!(net.inject(0, &alices, ack.to_string().as_bytes()).dropped, None, "the handshake is still under way");
    assert_eq!(net.inject(0, &alices, ack.to_string().as_bytes()), Injected::nothing("duplicate"));
}

/// Same uid and same sid made on purpose.
#[test]
fn strangers_with_the_same_sid_do_not_disturb_each_other() {
    let mut net = Net::new(1, people(2));
    net.meet();
    net.send(0, 1, 1, b"first", false);
    net.run(1000);
    let sid = net.nodes[0].opened()[0].0.clone();
    let inbox = net.nodes[1].peer.inbox();
    let stranger = ed25519(99);
    let k0 = [7; 32];
    let aes_key = forge::wrapped(net.nodes[1].peer.identity().public(), &k0, 1);
    let jwt = forge::token(&stranger, net.secs(), "1", None);
    let outcome = net.inject(1, &inbox.to_string(), &forge::handshake(&jwt, net.secs(), &aes_key, &sid));
    assert_eq!(outcome.dropped, None);
    let message = forge::literal_message(&k0, [1; 12], net.secs(), stranger.public().uid(), b"stranger");
    assert_eq!(net.inject(1, &inbox.to_string(), &message).dropped, None);
    net.send(0, 1, 2, b"second", false);
    net.run(100);
    assert_eq!(net.nodes[1].texts(), ["first", "stranger", "second"]);
}

/// A uid has several keys: all are usable, whatever `sender_id` says.
#[test]
fn two_keys_with_one_uid_are_both_usable() {
    use waypost_proofpeer::{CarriedKey, probe};
    let mut net = Net::new(1, people(1));
    net.meet();
    let now = net.now(0);
    for (seed, key) in [(1, [1; 32]), (2, [2; 32])] {
        // A collision of 32 bits is found in minutes; here it is said.
        let carried = CarriedKey { key: ed25519(seed).public().clone(), uid: 77 };
        let given = probe::GivenSession {
            sid: "same".into(),
            directional: false,
            framed: false,
            proven: true,
            key_recv: key,
            own_prefix: [0x80; 6],
        };
        probe::give_session(&mut net.nodes[0].peer, now, &carried, given);
    }
    let inbox = net.nodes[0].peer.inbox().to_string();
    for (number, key) in [(1, [1; 32]), (2, [2; 32])] {
        for sid in [None, Some("same")] {
            let nonce = [number * 2 + u8::from(sid.is_some()); 12];
            let message = forge::literal_message(&key, nonce, net.secs(), 77, &[number]);
            let mut json: Value = serde_json::from_slice(&message).unwrap();
            if let Some(sid) = sid {
                json["m"]["sid"] = json!(sid);
            }
            assert_eq!(net.inject(0, &inbox, json.to_string().as_bytes()).dropped, None);
        }
    }
    let messages: Vec<u8> = net.nodes[0].messages().iter().map(|(bytes, _)| bytes[0]).collect();
    assert_eq!(messages, [1, 1, 2, 2]);
}

/// PP-X4: who has only K0, which a stolen long-term key gives, has not the session's keys.
#[test]
fn the_keys_of_a_session_do_not_follow_from_the_wrapped_key_alone() {
    use waypost_proofpeer::{Crypto, probe};
    let secrets = probe::Secrets {
        sid: "0".into(),
        initiator: vec![1],
        responder: vec![2],
        aes_key: vec![3; 80],
        k0: [4; 32],
        initiator_caps: vec!["d1".into()],
        responder_caps: vec!["d1".into()],
        initiator_secret: Some([5; 32]),
        responder_secret: Some([6; 32]),
    };
    let derived = probe::derive(Crypto::native(), &secrets, [0; 12]).unwrap();
    assert!(derived.dh.is_some());
    let thief = probe::Secrets { initiator_secret: None, responder_secret: None, ..secrets };
    let guessed = probe::derive(Crypto::native(), &thief, [0; 12]).unwrap();
    assert_ne!((guessed.i2r, guessed.r2i), (derived.i2r, derived.r2i));
}
