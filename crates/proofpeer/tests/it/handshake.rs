//! How sessions come about: between all kinds of keys and of peers, late, twice, and not at all.

use crate::net::{Net, Node, ed25519, forge, people, rsa};
use waypost_proofpeer::{Accept, Auth, Crypto, MessageStatus, Settings};

const FULL: Auth = Auth { proven: true, bound: true, forward_secret: true };
const LITERAL: Auth = Auth { proven: true, bound: false, forward_secret: false };
const UNPROVEN: Auth = Auth { proven: false, bound: false, forward_secret: false };

fn cryptos() -> [Crypto; 2] {
    [Crypto::native(), Crypto::danger_pure_with_leaky_private_rsa()]
}

fn literal() -> Settings {
    Settings { literal: true, ..Settings::default() }
}

fn strict() -> Settings {
    Settings { accept: Accept::Strict, ..Settings::default() }
}

/// PP-3.1a, PP-5.1c, PP-4.4a, PP-4.5a, PP-4.6a, PP-X4, PP-X5, PP-X9: RSA and Ed25519 in all pairs, with both
/// cryptographies.
#[test]
fn every_pair_of_keys_comes_to_a_session_that_is_proven_bound_and_forward_secret() {
    for crypto in cryptos() {
        for (a, b) in [(true, true), (true, false), (false, true), (false, false)] {
            let key = |is_rsa, at| if is_rsa { rsa(at, crypto) } else { ed25519(at as u64 + 5) };
            let node = |is_rsa, at| Node::with(key(is_rsa, at), crypto, at as u64, Settings::default());
            let mut net = Net::pair(node(a, 0), node(b, 1));
            net.send(0, 1, 1, b"there", true);
            net.run(1000);
            net.send(1, 0, 2, b"back", true);
            net.run(1000);
            assert_eq!(net.nodes[1].messages(), [(b"there".to_vec(), FULL)]);
            assert_eq!(net.nodes[0].messages(), [(b"back".to_vec(), FULL)]);
            assert_eq!(net.statuses(0, 1), [MessageStatus::Queued, MessageStatus::Sent, MessageStatus::Delivered]);
            assert_eq!(net.statuses(1, 2), [MessageStatus::Sent, MessageStatus::Delivered]);
            assert_eq!(net.published(0, "handshake").len(), 1);
        }
    }
}

/// PP-3.3b, PP-3.3c, PP-4.6b: both sides know only the seed.
#[test]
fn literal_peers_of_every_pair_of_keys_talk() {
    for (a, b) in [(true, true), (true, false), (false, true), (false, false)] {
        let crypto = Crypto::native();
        let key = |is_rsa, at| if is_rsa { rsa(at, crypto) } else { ed25519(at as u64 + 5) };
        let node = |is_rsa, at| Node::with(key(is_rsa, at), crypto, at as u64, literal());
        let mut net = Net::pair(node(a, 0), node(b, 1));
        net.send(0, 1, 1, b"there", true);
        net.run(1000);
        net.send(1, 0, 2, b"back", false);
        net.run(1000);
        assert_eq!(net.nodes[1].texts(), ["there"]);
        assert_eq!(net.nodes[0].messages(), [(b"back".to_vec(), UNPROVEN)], "each sends by the key it made");
        assert_eq!(net.statuses(0, 1).last(), Some(&MessageStatus::Unconfirmed));
        assert!(net.log.iter().all(|message| forge::payload_of(&message.json()).get("pp").is_none()));
        assert!(net.log.iter().all(|message| message.json()["m"].get("sid").is_none()));
    }
}

/// PP-3.3b, PP-4.4b, PP-X2: our data goes under a key that we made.
#[test]
fn a_literal_initiator_is_answered_and_its_data_is_unproven_until_it_answers_us() {
    let mut net = Net::pair(Node::literal(1), Node::new(2, Settings::default()));
    net.send(0, 1, 1, b"there", true);
    net.run(1000);
    let (bytes, auth) = net.nodes[1].messages().remove(0);
    assert_eq!((bytes, auth.bound), (b"there".to_vec(), false));
    assert_eq!(net.nodes[1].opened()[0].1, UNPROVEN);
    assert_eq!(net.nodes[1].opened()[1].1, LITERAL, "the reverse handshake");
    assert_eq!(net.published(1, "handshake").len(), 1);
    net.send(1, 0, 2, b"back", true);
    net.run(1000);
    assert_eq!(net.nodes[0].texts(), ["back"]);
    let sent = net.published(1, "session");
    let ours = &net.published(1, "handshake")[0].json()["m"]["handshake"]["sid"];
    assert!(!sent.is_empty() && sent.iter().all(|message| message.json()["m"]["sid"] == *ours));
}

/// PP-X9
#[test]
fn strict_answers_no_literal_handshake_and_takes_no_literal_token() {
    let mut net = Net::pair(Node::literal(1), Node::new(2, strict()));
    net.send(0, 1, 1, b"there", true);
    net.run(12_000);
    assert_eq!(net.published(1, "ack").len(), 0);
    assert!(net.nodes[1].texts().is_empty() && net.nodes[1].opened().is_empty());
    assert!(net.nodes[1].dropped("unbound") >= 5, "the join and four handshakes");
    assert_eq!(net.statuses(0, 1), [MessageStatus::Queued], "a message that wants a receipt still waits");
}

#[test]
fn strict_peers_talk_to_each_other() {
    let mut net = Net::pair(Node::new(1, strict()), Node::new(2, strict()));
    net.send(0, 1, 1, b"there", true);
    net.run(1000);
    assert_eq!(net.nodes[1].messages(), [(b"there".to_vec(), FULL)]);
}

/// PP-4.5c
#[test]
fn a_handshake_is_repeated_after_2_4_and_8_seconds_and_fails_after_10() {
    let mut net = Net::pair(Node::new(1, Settings::default()), Node::new(2, Settings::default()));
    net.discard = Box::new(|message, _| message.from == 1);
    let begun = net.millis;
    net.send(0, 1, 1, b"lost", false);
    net.send(0, 1, 2, b"kept", true);
    net.run(20_000);
    let handshakes = net.published(0, "handshake");
    let at: Vec<u64> = handshakes.iter().map(|message| message.at - begun).collect();
    assert_eq!(at, [0, 2000, 4000, 8000]);
    assert!(handshakes.iter().all(|message| message.reliable));
    let same: std::collections::BTreeSet<_> =
        handshakes.iter().map(|message| message.json()["m"].to_string()).collect();
    assert_eq!(same.len(), 1, "the same key and sid");
    let tokens: std::collections::BTreeSet<_> =
        handshakes.iter().map(|message| message.json()["jwt"].to_string()).collect();
    assert_eq!(tokens.len(), 4, "each in a new token");
    assert_eq!(net.statuses(0, 1), [MessageStatus::Queued, MessageStatus::Failed]);
    assert_eq!(net.statuses(0, 2), [MessageStatus::Queued]);
    let failed = net.nodes[0]
        .events
        .iter()
        .find(|(_, event)| *event == waypost_proofpeer::Event::Status { id: 1, status: MessageStatus::Failed });
    assert_eq!(failed.unwrap().0 - begun, 10_000);
    // The next sign of life takes what waited along.
    net.discard = Box::new(|_, _| false);
    net.run(40_000);
    assert_eq!(net.nodes[1].texts(), ["kept"]);
    assert_eq!(net.statuses(0, 2).last(), Some(&MessageStatus::Delivered));
}

/// PP-4.5c: the answer may have been lost.
#[test]
fn a_repeated_handshake_gets_the_same_answer() {
    let mut net = Net::pair(Node::new(1, Settings::default()), Node::new(2, Settings::default()));
    let mut lost = 0;
    net.discard = Box::new(move |message, _| message.kind() == "ack" && std::mem::replace(&mut lost, 1) == 0);
    net.send(0, 1, 1, b"there", true);
    net.run(5000);
    let acks = net.published(1, "ack");
    assert_eq!(acks.len(), 2);
    assert_eq!(acks[0].json()["m"], acks[1].json()["m"]);
    assert_ne!(acks[0].json()["t"], acks[1].json()["t"]);
    assert_eq!(net.nodes[1].opened().len(), 1);
    assert_eq!(net.nodes[1].texts(), ["there"]);
}

/// Which session sends: of two begun at once, the smaller sid.
#[test]
fn simultaneous_handshakes_end_on_the_smaller_sid_on_both_sides() {
    for seed in 0..8 {
        let mut net = Net::pair(Node::new(seed, Settings::default()), Node::new(seed + 50, Settings::default()));
        net.send(0, 1, 1, b"there", true);
        net.send(1, 0, 2, b"back", true);
        net.run(1000);
        let sid =
            |node| net.published(node, "handshake")[0].json()["m"]["handshake"]["sid"].as_str().unwrap().to_owned();
        let smaller = sid(0).min(sid(1));
        let before = net.log.len();
        net.send(0, 1, 3, b"there again", true);
        net.send(1, 0, 4, b"back again", true);
        net.run(1000);
        let sent: Vec<_> = net.log[before..].iter().filter(|message| message.kind() == "session").collect();
        assert!(sent.len() >= 4);
        assert!(sent.iter().all(|message| message.json()["m"]["sid"] == smaller.as_str()));
        assert_eq!(net.nodes[0].texts(), ["back", "back again"]);
        assert_eq!(net.nodes[1].texts(), ["there", "there again"]);
        // The one that lost receives for a minute more.
        net.run(61_000);
        assert_eq!(net.nodes[0].closed(), ["replaced"]);
        assert_eq!(net.nodes[1].closed(), ["replaced"]);
    }
}

/// PP-X10
#[test]
fn a_restarted_peer_is_noticed_and_messages_flow_without_help() {
    let mut net = Net::pair(Node::new(1, Settings::default()), Node::new(2, Settings::default()));
    net.send(0, 1, 1, b"before", true);
    net.run(30_000);
    let other = net.nodes[1].again(77, Settings::default());
    net.restart(1, other);
    net.send(0, 1, 2, b"to a dead session", true);
    net.run(10);
    net.join(1, "lobby", None);
    net.run(5000);
    assert_eq!(net.nodes[0].closed(), ["restarted"]);
    assert_eq!(net.nodes[1].texts(), ["before", "to a dead session"]);
    assert_eq!(net.statuses(0, 2).last(), Some(&MessageStatus::Delivered));
}

/// A literal peer says nothing of its process: its join does.
#[test]
fn a_join_of_a_literal_peer_ends_sessions_older_than_two_seconds() {
    let mut net = Net::pair(Node::new(1, Settings::default()), Node::literal(2));
    net.send(0, 1, 1, b"before", true);
    net.run(1500);
    net.join(1, "lobby", None);
    net.run(100);
    assert!(net.nodes[0].closed().is_empty(), "not yet two seconds old");
    net.run(5000);
    net.join(1, "lobby", None);
    net.run(100);
    assert_eq!(net.nodes[0].closed(), ["restarted"; 2], "the own one, and the one that answered");
}

#[test]
fn a_session_is_renewed_by_age_while_the_old_one_serves() {
    let mut net = Net::pair(Node::new(1, Settings::default()), Node::new(2, Settings::default()));
    net.send(0, 1, 1, b"first", true);
    net.run(3_601_000);
    assert_eq!(net.published(0, "handshake").len(), 1);
    net.send(0, 1, 2, b"second", true);
    net.run(1000);
    assert_eq!(net.published(0, "handshake").len(), 2);
    net.send(0, 1, 3, b"third", true);
    net.run(1000);
    assert_eq!(net.nodes[1].texts(), ["first", "second", "third"]);
    let newest = net.nodes[0].opened()[1].0.clone();
    assert_eq!(net.published(0, "session").last().unwrap().json()["m"]["sid"], newest.as_str());
    net.run(61_000);
    assert_eq!((net.nodes[0].closed(), net.nodes[1].closed()), (vec!["replaced"], vec!["replaced"]));
}

#[test]
fn a_session_is_renewed_after_so_many_messages() {
    let mut settings = Settings::default();
    settings.limits.session_messages = 10;
    let mut net = Net::pair(Node::new(1, settings), Node::new(2, Settings::default()));
    for id in 0..25 {
        net.send(0, 1, id, format!("{id}").as_bytes(), false);
        net.run(500);
    }
    assert_eq!(net.nodes[1].texts(), (0..25).map(|id| id.to_string()).collect::<Vec<_>>());
    assert_eq!(net.nodes[0].opened().len(), 3);
}

/// PP-X2: the option for literal peers that ignore handshakes.
#[test]
fn nothing_of_the_application_goes_out_on_an_unproven_session() {
    for allowed in [false, true] {
        let settings = Settings { danger_allow_unproven_send: allowed, ..Settings::default() };
        let mut net = Net::pair(Node::literal(1), Node::new(2, settings));
        // Only the literal one's handshake passes.
        net.discard = Box::new(|message, to| to == 0 && message.kind() == "handshake");
        net.send(0, 1, 1, b"there", false);
        net.run(1000);
        net.send(1, 0, 2, b"back", false);
        net.run(20_000);
        assert_eq!(net.nodes[0].texts(), if allowed { vec!["back"] } else { vec![] });
        assert_eq!(net.published(1, "handshake").len(), 4, "the reverse handshake is tried all the same");
    }
}

#[test]
fn peers_whose_clocks_differ_by_less_than_a_minute_talk() {
    let mut nodes = people(2);
    nodes[1].skew = -58_000;
    let mut net = Net::pair(nodes.remove(0), nodes.remove(0));
    net.send(0, 1, 1, b"there", true);
    net.run(1000);
    net.send(1, 0, 2, b"back", true);
    net.run(1000);
    assert_eq!(net.nodes[0].texts(), ["back"]);
    // A restart is noticed although the newcomer's clock is behind.
    let other = net.nodes[1].again(78, Settings::default());
    net.restart(1, other);
    net.join(1, "lobby", None);
    net.run(3000);
    assert_eq!(net.nodes[0].closed(), ["restarted"]);
}

/// PP-1.2: what a browser has talks to what a server has; private RSA keys it refuses.
#[test]
fn a_peer_without_c_talks_to_rsa_keys_but_holds_none() {
    let crypto = Crypto::pure();
    let a = Node::with(ed25519(1), crypto, 1, Settings::default());
    let b = Node::with(rsa(0, Crypto::native()), Crypto::native(), 2, Settings::default());
    let mut net = Net::pair(a, b);
    net.send(0, 1, 1, b"there", true);
    net.send(1, 0, 2, b"back", true);
    net.run(1000);
    assert_eq!(net.nodes[1].messages(), [(b"there".to_vec(), FULL)]);
    assert_eq!(net.nodes[0].messages(), [(b"back".to_vec(), FULL)]);
    let refused = waypost_proofpeer::Error::NoPrivateRsa;
    let pkcs8 = rsa(0, Crypto::native()).to_pkcs8().to_vec();
    assert_eq!(waypost_proofpeer::Identity::from_pkcs8(&pkcs8, crypto).err(), Some(refused));
    let generated = waypost_proofpeer::Identity::generate_rsa(&mut waypost_testkit::SimRng::new(1), crypto);
    assert_eq!(generated.err(), Some(refused));
}
