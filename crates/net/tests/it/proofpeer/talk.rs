//! Meeting and talking, by every way to a broker and by several brokers.

use super::*;
use waypost_net::proofpeer::{Drop, Encrypted, MessageStatus};

async fn talk(mut alice: ProofPeer, mut bob: ProofPeer) {
    join(&mut alice, "lobby", 1).await;
    join(&mut bob, "lobby", 1).await;
    meet(&mut alice).await;
    meet(&mut bob).await;
    alice.broadcast("lobby", r#"{"move":[1,2]}"#, true).await.unwrap();
    assert_eq!(wait(&mut bob, said).await.to_string(), r#"{"move":[1,2]}"#);
    let id = bob.send(alice.fingerprint(), b"for you alone", true).await.unwrap();
    let message = wait(&mut alice, |event| match event {
        Event::Deliver(message) => Some(message),
        _ => None,
    });
    let message = message.await;
    assert_eq!(message.bytes.as_deref(), Some(&b"for you alone"[..]));
    assert_eq!(message.from, bob.fingerprint());
    assert_eq!(message.encrypted, Encrypted::Session);
    assert!(message.auth.proven && message.auth.bound && message.auth.forward_secret);
    wait(&mut bob, |event| match event {
        Event::Status { id: of, status: MessageStatus::Delivered } => (of == id).then_some(()),
        _ => None,
    })
    .await;
    alice.shutdown().await;
    // It said goodbye.
    wait(&mut bob, |event| match event {
        Event::Presence(change) => (change.state == PresenceState::Offline).then_some(()),
        _ => None,
    })
    .await;
    bob.shutdown().await;
}

/// PP-8.1a; conformance 22.
#[tokio::test]
async fn two_peers_meet_and_talk_by_every_transport_and_version() {
    let mosquitto = Mosquitto::start();
    let mut talks = tokio::task::JoinSet::new();
    for (app, (scheme, mqtt)) in
        ["mqtt", "mqtts", "ws", "wss"].into_iter().flat_map(|scheme| VERSIONS.map(|mqtt| (scheme, mqtt))).enumerate()
    {
        let peer = || {
            let mut config = config(&[mosquitto.url(scheme)]);
            config.app = app.to_string();
            config.mqtt = mqtt;
            config.ca = Some(mosquitto.ca());
            ProofPeer::start(config).unwrap()
        };
        talks.spawn(talk(peer(), peer()));
    }
    talks.join_all().await;
}

/// The two versions, and RSA with Ed25519.
#[tokio::test]
async fn peers_of_other_versions_and_keys_meet() {
    let mosquitto = Mosquitto::start();
    let mut other = config(&[mosquitto.url("ws")]);
    other.mqtt = MqttVersion::V5;
    other.identity = generate_key(KeyType::Rsa).unwrap();
    talk(start(&[mosquitto.url("mqtt")]), ProofPeer::start(other).unwrap()).await;
}

#[tokio::test]
async fn trusts_no_certificate_of_an_unknown_authority() {
    let mosquitto = Mosquitto::start();
    for scheme in ["mqtts", "wss"] {
        let mut peer = start(&[mosquitto.url(scheme)]);
        let reason = wait(&mut peer, |event| match event {
            Event::Disconnected { reason, .. } => Some(reason),
            Event::Connected { .. } => panic!("{scheme}: it connected"),
            _ => None,
        });
        let reason = reason.await;
        assert!(reason.contains("UnknownIssuer") || reason.contains("certificate"), "{reason}");
    }
}

#[tokio::test]
async fn comes_back_when_its_broker_does() {
    let mut mosquitto = Mosquitto::start();
    let (mut alice, mut bob) = pair(&mosquitto).await;
    mosquitto.kill();
    for peer in [&mut alice, &mut bob] {
        wait(peer, |event| matches!(event, Event::Disconnected { .. }).then_some(())).await;
    }
    // What is sent meanwhile waits for its receipt.
    bob.send(alice.fingerprint(), b"while it was away", true).await.unwrap();
    mosquitto.restart();
    assert_eq!(wait(&mut alice, told).await, b"while it was away");
    alice.broadcast("lobby", "1", true).await.unwrap();
    assert_eq!(wait(&mut bob, said).await.to_string(), "1");
}

/// Conformance 15 and 22.
#[tokio::test]
async fn two_brokers_deliver_once_and_one_that_dies_loses_nothing() {
    let (mut first, second) = (Mosquitto::start(), Mosquitto::start());
    let brokers = [first.url("mqtt"), second.url("ws")];
    let (mut alice, mut bob) = (start(&brokers), start(&brokers));
    join(&mut alice, "lobby", 2).await;
    join(&mut bob, "lobby", 2).await;
    meet(&mut alice).await;
    meet(&mut bob).await;
    for number in 0..50 {
        alice.broadcast("lobby", &number.to_string(), true).await.unwrap();
    }
    let id = alice.send(bob.uid(), b"the last", true).await.unwrap();
    let mut heard = Vec::new();
    wait(&mut bob, |event| match event {
        Event::Deliver(message) => {
            heard.extend(message.value.map(|value| value.to_string()));
            message.bytes
        }
        _ => None,
    })
    .await;
    wait(&mut alice, |event| match event {
        Event::Status { id: of, status: MessageStatus::Delivered } => (of == id).then_some(()),
        _ => None,
    })
    .await;
    // Which broker is faster differs from message to message.
    heard.sort_by_key(|number| number.parse::<u32>().unwrap());
    assert_eq!(heard, (0..50).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(bob.counters().await.unwrap().dropped[&Drop::Duplicate] >= 50);

    first.kill();
    let dead = first.url("mqtt");
    alice.broadcast("lobby", r#""still here""#, true).await.unwrap();
    alice.send(bob.fingerprint(), b"me too", true).await.unwrap();
    let (mut value, mut bytes) = (None, None);
    wait(&mut bob, |event| {
        if let Event::Deliver(message) = event {
            value = value.take().or(message.value);
            bytes = bytes.take().or(message.bytes);
        }
        (value.is_some() && bytes.is_some()).then_some(())
    })
    .await;
    assert_eq!(bytes.as_deref(), Some(&b"me too"[..]));
    wait(&mut alice, |event| matches!(event, Event::Disconnected { broker, .. } if broker == dead).then_some(())).await;
    assert!(alice.counters().await.unwrap().brokers.contains(&(second.url("ws") + "/mqtt", true)));
}

/// PP-X8; conformance 21.
#[tokio::test]
async fn a_channel_with_a_passphrase_is_read_by_those_who_know_it() {
    let mosquitto = Mosquitto::start();
    let brokers = [mosquitto.url("mqtt")];
    let (mut alice, mut bob) = (start(&brokers), start(&brokers));
    for peer in [&mut alice, &mut bob] {
        peer.join("den", Some("open sesame")).await.unwrap();
    }
    meet(&mut alice).await;
    meet(&mut bob).await;
    alice.broadcast("den", r#""treasure""#, true).await.unwrap();
    let message = wait(&mut bob, |event| match event {
        Event::Deliver(message) => Some(message),
        _ => None,
    });
    let message = message.await;
    assert_eq!((message.channel.as_deref(), message.encrypted), (Some("den"), Encrypted::Channel));
    assert!(!mosquitto.log().contains("treasure"));
}
