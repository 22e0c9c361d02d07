//! ProofPeer by a real broker: Debian's mosquitto, which `cargo xtask test` installs.

mod reliable;
mod rules;
mod talk;

use std::time::Duration;
use tokio::time::timeout;
use waypost_net::proofpeer::{Config, Event, KeyType, MqttVersion, PresenceState, ProofPeer, Value, generate_key};
use waypost_testkit::mosquitto::Mosquitto;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
const APP: &str = "test.game";

fn config(brokers: &[String]) -> Config {
    let config = Config::new(APP, generate_key(KeyType::Ed25519).unwrap());
    brokers.iter().fold(config, |config, url| config.broker(url).unwrap())
}

fn start(brokers: &[String]) -> ProofPeer {
    ProofPeer::start(config(brokers)).unwrap()
}

/// The first event that is wanted; others are passed over.
async fn wait<T>(peer: &mut ProofPeer, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    let mut seen = Vec::new();
    let found = async {
        loop {
            let event = peer.next().await.expect("the peer has ended");
            seen.push(format!("{event:?}"));
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    };
    let found = timeout(PATIENCE, found).await;
    found.unwrap_or_else(|_| panic!("the event never came, but these did: {seen:#?}"))
}

/// Joins a channel, and waits until so many brokers have confirmed that.
async fn join(peer: &mut ProofPeer, channel: &str, brokers: usize) {
    peer.join(channel, None).await.unwrap();
    let inbox = peer.inbox();
    for _ in 0..brokers {
        wait(peer, |event| matches!(event, Event::Subscribed { topic, .. } if topic != inbox).then_some(())).await;
    }
}

/// Until a peer knows that somebody is there.
async fn meet(peer: &mut ProofPeer) {
    let online = |event| match event {
        Event::Presence(change) => (change.state == PresenceState::Online).then_some(()),
        _ => None,
    };
    wait(peer, online).await;
}

/// Two peers in one channel who have met.
async fn pair(mosquitto: &Mosquitto) -> (ProofPeer, ProofPeer) {
    let brokers = [mosquitto.url("mqtt")];
    let (mut alice, mut bob) = (start(&brokers), start(&brokers));
    join(&mut alice, "lobby", 1).await;
    join(&mut bob, "lobby", 1).await;
    meet(&mut alice).await;
    meet(&mut bob).await;
    (alice, bob)
}

fn said(event: Event) -> Option<Value> {
    match event {
        Event::Deliver(message) => message.value,
        _ => None,
    }
}

fn told(event: Event) -> Option<Vec<u8>> {
    match event {
        Event::Deliver(message) => message.bytes,
        _ => None,
    }
}

const VERSIONS: [MqttVersion; 2] = [MqttVersion::V3, MqttVersion::V5];
