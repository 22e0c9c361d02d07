//! Tokens that are moved, changed, stripped, or signed by the wrong algorithm.

use crate::net::{Faults, Injected, Net, Node, ed25519, forge, people};
use serde_json::{Value, json};
use waypost_codec::base64;
use waypost_proofpeer::{Auth, Settings};

/// Everything about Alice's next broadcast is known to the attacker; Bob has not got it.
fn intercepted(alice: Node) -> (Net, String, Value) {
    let mut net = Net::pair(alice, Node::new(2, Settings::default()));
    net.join(1, "other", None);
    net.run(100);
    net.discard = Box::new(|_, _| true);
    net.broadcast(0, "lobby", "said").unwrap();
    let message = net.log.last().unwrap().clone();
    (net, message.topic.clone(), message.json())
}

fn bytes(json: &Value) -> Vec<u8> {
    json.to_string().into_bytes()
}

/// Replay in another channel or app: `pp.t`; a literal token shows `bound` false.
#[test]
fn a_token_is_good_on_its_own_topic_alone() {
    let (mut net, topic, message) = intercepted(Node::new(1, Settings::default()));
    let other = forge::channel("other").to_string();
    let inbox = net.nodes[1].peer.inbox().to_string();
    assert_eq!(net.inject(1, &other, &bytes(&message)), Injected::nothing("bad_bind"));
    assert_eq!(net.inject(1, &inbox, &bytes(&message)), Injected::nothing("bad_bind"));
    // Spending it elsewhere first does not spoil it.
    assert_eq!(net.inject(1, &topic, &bytes(&message)).dropped, None);
    assert_eq!(net.inject(1, &topic, &bytes(&message)), Injected::nothing("duplicate"));
    let auth = Auth { proven: true, bound: true, forward_secret: false };
    assert_eq!(net.nodes[1].broadcasts(), [("said".to_owned(), auth)]);
}

#[test]
fn a_literal_token_on_another_topic_is_not_bound() {
    let (mut net, topic, message) = intercepted(Node::literal(1));
    let other = forge::channel("other").to_string();
    assert_eq!(net.inject(1, &other, &bytes(&message)).dropped, None);
    assert_eq!(net.inject(1, &topic, &bytes(&message)).dropped, None, "the true one is not spoiled");
    let auth = Auth { proven: true, bound: false, forward_secret: false };
    assert_eq!(net.nodes[1].broadcasts(), vec![("said".to_owned(), auth); 2]);
}

/// Replay with another base64 or signature form.
#[test]
fn another_form_of_the_same_token_is_a_duplicate_or_broken() {
    let (mut net, topic, message) = intercepted(Node::new(1, Settings::default()));
    assert_eq!(net.inject(1, &topic, &bytes(&message)).dropped, None);
    let jwt = message["jwt"].as_str().unwrap();
    let (signed, signature) = jwt.rsplit_once('.').unwrap();
    let with = |jwt: String| {
        let mut changed = message.clone();
        changed["jwt"] = json!(jwt);
        changed
    };
    let mut spaced = bytes(&message);
    spaced.push(b' ');
    assert_eq!(net.inject(1, &topic, &spaced), Injected::nothing("duplicate"));
    assert_eq!(net.inject(1, &topic, &bytes(&with(format!("{jwt}=")))), Injected::nothing("bad_jwt"));
    let mut plus_order = base64::decode_url(signature).unwrap();
    add_order(&mut plus_order[32..]);
    let other = with(format!("{signed}.{}", base64::encode_url(&plus_order)));
    assert_eq!(
        net.inject(1, &topic, &bytes(&other)),
        Injected::nothing("duplicate"),
        "the cache goes by what is signed"
    );
    assert_eq!(net.nodes[1].broadcasts().len(), 1);
}

/// S + L, which lax verifiers take.
fn add_order(s: &mut [u8]) {
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut carry = 0;
    for (byte, more) in s.iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
}

#[test]
fn a_signature_with_a_large_s_is_bad() {
    let (mut net, topic, message) = intercepted(Node::new(1, Settings::default()));
    let (signed, signature) = message["jwt"].as_str().unwrap().rsplit_once('.').unwrap();
    let mut changed = base64::decode_url(signature).unwrap();
    add_order(&mut changed[32..]);
    let forged =
        json!({"v": 1, "t": message["t"], "r": false, "jwt": format!("{signed}.{}", base64::encode_url(&changed))});
    assert_eq!(net.inject(1, &topic, &bytes(&forged)), Injected::nothing("bad_sig"));
    assert_eq!(net.inject(1, &topic, &bytes(&message)).dropped, None, "the true one still passes");
}

/// Strip `pp`: the signature, then the lock.
#[test]
fn a_binding_claim_cannot_be_taken_away() {
    let (mut net, topic, message) = intercepted(Node::new(1, Settings::default()));
    let mut payload = forge::payload_of(&message);
    payload.as_object_mut().unwrap().remove("pp");
    let jwt: Vec<&str> = message["jwt"].as_str().unwrap().split('.').collect();
    let forged = format!("{}.{}.{}", jwt[0], base64::encode_url(payload.to_string().as_bytes()), jwt[2]);
    let stripped = json!({"v": 1, "t": message["t"], "r": false, "jwt": forged});
    assert_eq!(net.inject(1, &topic, &bytes(&stripped)), Injected::nothing("bad_sig"));
    let signed = forge::signed(net.nodes[0].peer.identity(), net.secs(), r#""unbound""#, None);
    assert_eq!(net.inject(1, &topic, &signed), Injected::nothing("downgrade"));
}

/// Algorithm confusion: the key decides.
#[test]
fn the_header_does_not_choose_the_algorithm() {
    let (mut net, topic, message) = intercepted(Node::new(1, Settings::default()));
    let jwt: Vec<&str> = message["jwt"].as_str().unwrap().split('.').collect();
    for alg in ["none", "HS256", "PS256", "RS256", "ES512", "eddsa", ""] {
        let header = base64::encode_url(json!({"alg": alg, "typ": "JWT"}).to_string().as_bytes());
        let forged = json!({"v": 1, "t": message["t"], "r": false, "jwt": format!("{header}.{}.{}", jwt[1], jwt[2])});
        assert_eq!(net.inject(1, &topic, &bytes(&forged)), Injected::nothing("bad_alg"), "{alg}");
    }
}

/// Malformed keys.
#[test]
fn keys_that_are_none_are_dropped() {
    let mut net = Net::pair(Node::new(1, Settings::default()), Node::new(2, Settings::default()));
    let topic = forge::channel("lobby").to_string();
    let spki = net.nodes[0].peer.identity().public().spki().to_vec();
    let small_order = {
        let mut point = [0; 32];
        point[0] = 1;
        point.to_vec()
    };
    for key in [[spki.as_slice(), &[0]].concat(), small_order, vec![0xff; 32], vec![0; 36], vec![0x30], vec![]] {
        let payload = json!({"pubkey": base64::encode(&key), "timestamp": net.secs(), "data": 1}).to_string();
        let header = base64::encode_url(br#"{"alg":"EdDSA"}"#);
        let jwt = format!("{header}.{}.{}", base64::encode_url(payload.as_bytes()), base64::encode_url(&[0; 64]));
        let forged = json!({"v": 1, "t": net.secs(), "jwt": jwt});
        assert_eq!(net.inject(1, &topic, &bytes(&forged)), Injected::nothing("bad_key"), "{key:?}");
    }
}

/// Parser differentials, depth, size.
#[test]
fn json_that_readers_understand_differently_is_dropped() {
    let (mut net, topic, message) = intercepted(Node::new(1, Settings::default()));
    let (jwt, t) = (message["jwt"].as_str().unwrap(), message["t"].as_u64().unwrap());
    let deep = format!("{}1{}", "[".repeat(32), "]".repeat(32));
    for text in [
        format!(r#"{{"v":1,"v":1,"t":{t},"jwt":"{jwt}"}}"#),
        format!(r#"{{"v":1,"\u0076":1,"t":{t},"jwt":"{jwt}"}}"#),
        format!(r#"{{"v":1,/* */"t":{t},"jwt":"{jwt}"}}"#),
        format!(r#"{{"v":1,"t":{t},"jwt":"{jwt}","x":NaN}}"#),
        format!("\u{feff}{}", message),
        format!(r#"{{"v":1,"t":{t},"jwt":"{jwt}","x":"\ud800"}}"#),
        format!(r#"{{"v":1,"t":{t},"jwt":"{jwt}","x":1e999}}"#),
        format!(r#"{{"v":1,"t":{t},"jwt":"{jwt}","x":{deep}}}"#),
        "[".repeat(60_000),
        String::new(),
        "[]".to_owned(),
    ] {
        assert_eq!(net.inject(1, &topic, text.as_bytes()), Injected::nothing("bad_json"), "{text:.60}");
    }
    let huge = vec![b' '; 65_537];
    assert_eq!(net.inject(1, &topic, &huge), Injected::nothing("too_large"));
    assert_eq!(net.inject(1, &topic, &bytes(&message)).dropped, None);
}

/// PP-5.3: exactly 60 seconds pass, 61 do not, on both sides.
#[test]
fn a_message_may_be_a_minute_off_and_no_more() {
    for (off, reason) in [(-60, None), (60, None), (-61, Some("stale")), (61, Some("future"))] {
        let mut net = Net::new(1, people(2));
        net.join(1, "lobby", None);
        net.run(100);
        let t = net.secs().checked_add_signed(off).unwrap();
        let topic = forge::channel("lobby");
        let claim = forge::claim(topic, 1);
        let message = forge::signed(net.nodes[0].peer.identity(), t, r#""x""#, Some(&claim));
        assert_eq!(net.inject(1, &topic.to_string(), &message).dropped, reason);
    }
}

/// The broker swaps keys at first contact: another key is another peer and inherits nothing.
#[test]
fn a_swapped_key_does_not_inherit_a_pin() {
    let mut net = Net::new(1, people(3));
    net.meet();
    let alice = net.id(0);
    net.nodes[1].peer.book_mut().set_pinned(&alice, true);
    net.broadcast(2, "lobby", "I am Alice").unwrap();
    net.run(100);
    let mallory = net.id(2);
    let known = net.nodes[1].peer.book().get(&mallory).unwrap();
    assert!(!known.is_pinned() && alice != mallory);
    // Nobody hears somebody who was blocked, nor in a session that stood before.
    net.send(2, 1, 1, b"hello", false);
    net.run(1000);
    net.nodes[1].peer.book_mut().set_blocked(&mallory, true);
    net.send(2, 1, 2, b"hello?", false);
    net.broadcast(2, "lobby", "hello??").unwrap();
    net.run(1000);
    assert_eq!(net.nodes[1].texts(), ["hello"]);
    assert_eq!(net.nodes[1].broadcasts().len(), 1);
    assert!(net.nodes[1].dropped("blocked") > 0);
}

/// PP-9.3a: never a word to whoever sends rubbish.
#[test]
fn nothing_is_published_in_reply_to_what_does_not_hold() {
    let mut net = Net::new(1, people(2));
    net.meet();
    net.set_faults(Faults::default());
    let inbox = net.nodes[1].peer.inbox().to_string();
    let stranger = ed25519(99);
    let t = net.secs();
    let data = base64::encode(&[1; 40]);
    let wrong_to = json!({"t": inbox, "n": base64::encode_url(&[1; 16]), "to": base64::encode_url(&[7; 32])});
    let token = forge::token(&stranger, t, r#"{"type":"handshake"}"#, Some(&wrong_to));
    let messages = [
        json!({"v": 1, "t": t, "m": {"sender_id": 1, "aes": {"data": data}}}).to_string().into_bytes(),
        json!({"v": 1, "t": t, "m": {"sender_id": 1, "aes": {"sid": "x", "data": data}}}).to_string().into_bytes(),
        forge::signed(&stranger, t, r#"{"type":"announce","action":"leave"}"#, Some(&wrong_to)),
        forge::handshake(&token, t, &[1; 80], "x"),
        forge::handshake("a.b.c", t, &[1; 80], "x"),
        forge::handshake(&forge::token(&stranger, t, "1", None), t, &[1; 80], "x"),
        b"{}".to_vec(),
    ];
    for message in messages {
        let outcome = net.inject(1, &inbox, &message);
        assert!(outcome.dropped.is_some() && outcome.published == 0, "{}", String::from_utf8_lossy(&message));
    }
}
