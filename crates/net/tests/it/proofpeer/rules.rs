//! What is asked of a broker, and what is not taken from one. Conformance 5.

use super::*;
use rumqttc::{AsyncClient, Incoming, MqttOptions, Outgoing, QoS};
use std::collections::BTreeSet;
use waypost_net::proofpeer::Drop;

/// Somebody else who publishes.
async fn publish_retained(port: u16, topic: &str, payload: &str) {
    let (client, mut events) = AsyncClient::new(MqttOptions::new("stranger", "127.0.0.1", port), 10);
    client.publish(topic, QoS::AtLeastOnce, true, payload).await.unwrap();
    loop {
        let event = events.poll().await.unwrap();
        if matches!(event, rumqttc::Event::Incoming(Incoming::PubAck(_))) {
            client.disconnect().await.unwrap();
        }
        if event == rumqttc::Event::Outgoing(Outgoing::Disconnect) {
            return;
        }
    }
}

/// PP-8.1c.
#[tokio::test]
async fn retained_messages_are_not_taken() {
    for (mqtt, dropped) in VERSIONS.into_iter().zip([1, 0]) {
        let mosquitto = Mosquitto::start();
        let mut config = config(&[mosquitto.url("mqtt")]);
        (config.mqtt, config.show_dropped) = (mqtt, true);
        let mut peer = ProofPeer::start(config).unwrap();
        let topic = waypost_proofpeer::AppId::new(APP).unwrap();
        let topic = topic.channel(waypost_proofpeer::ChannelName::new("lobby").unwrap().hash());
        publish_retained(mosquitto.port(), &topic.to_string(), r#"{"v":1}"#).await;
        join(&mut peer, "lobby", 1).await;
        // Our own announcement comes back after what the broker had kept.
        wait(&mut peer, |event| matches!(event, Event::Dropped(Drop::Own)).then_some(())).await;
        let counted = peer.counters().await.unwrap().dropped;
        assert_eq!(counted.get(&Drop::Retained).copied().unwrap_or_default(), dropped, "{mqtt:?}");
    }
}

/// PP-8.3a, PP-8.3b, PP-4.2f; what mosquitto saw of two peers.
#[tokio::test]
async fn asks_for_nothing_but_its_inbox_and_its_channels() {
    for mqtt in VERSIONS {
        let mosquitto = Mosquitto::start();
        let mut config = config(&[mosquitto.url("mqtt")]);
        config.mqtt = mqtt;
        let mut peer = ProofPeer::start(config).unwrap();
        let mut topics = BTreeSet::from([peer.inbox().to_string()]);
        let app = waypost_proofpeer::AppId::new(APP).unwrap();
        for channel in ["lobby", "arena"] {
            join(&mut peer, channel, 1).await;
            topics.insert(app.channel(waypost_proofpeer::ChannelName::new(channel).unwrap().hash()).to_string());
        }
        peer.broadcast("lobby", "1", true).await.unwrap();
        peer.broadcast("lobby", "2", false).await.unwrap();
        peer.shutdown().await;
        let log = mosquitto.log();
        // `.. Received SUBSCRIBE from ID`, then a line `TOPIC (QoS 1)` for each.
        let asked = |line: &&str| line.contains("(QoS ") && !line.contains("SUBSCRIBE");
        let asked: Vec<&str> = log.lines().filter(asked).collect();
        assert_eq!(asked.len(), topics.len(), "{log}");
        for line in asked {
            assert!(line.ends_with("(QoS 1)"), "{line}");
            assert!(topics.iter().any(|topic| line.contains(&format!("{topic} "))), "{line}");
        }
        let connects: Vec<&str> = log.lines().filter(|line| line.contains("New client connected")).collect();
        let [connected] = connects.as_slice() else { panic!("{log}") };
        let (_, id) = connected.split_once(" as pp").unwrap();
        let id = id.split(' ').next().unwrap();
        assert!(id.len() == 18 && id.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase()), "{id}");
        assert!(connected.contains("c1, k30"), "{connected}");
        assert!(log.contains("No will message specified"), "{log}");
        let published: Vec<&str> = log.lines().filter(|line| line.contains("Received PUBLISH from")).collect();
        // Two joins, two broadcasts, two leaves.
        assert_eq!(published.len(), 6, "{log}");
        assert!(published.iter().all(|line| line.contains(", r0, ")), "{log}");
        assert_eq!(published.iter().filter(|line| line.contains("(d0, q1, ")).count(), 1, "{log}");
        assert!(published.iter().all(|line| topics.iter().any(|topic| line.contains(topic))), "{log}");
    }
}
