//! `waypost speak proofpeer`: two peers by Debian's mosquitto, which `cargo xtask test` installs.

use crate::speak::Speaker;
use serde_json::{Value, json};
use waypost_testkit::mosquitto::Mosquitto;

async fn until(speaker: &mut Speaker, name: &str, field: &str, value: &str) -> Value {
    loop {
        let event = speaker.until(name).await;
        if event[field] == value {
            return event;
        }
    }
}

#[tokio::test]
async fn two_peers_meet_talk_and_end_well() {
    let broker = Mosquitto::start();
    let url = broker.url("mqtt");
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pem");
    let common = ["--broker", url.as_str(), "--app", "test", "--channel", "lobby", "--channel", "den=open sesame"];
    let start = |more: &[&str]| Speaker::start_as("proofpeer", &[&common[..], more].concat());
    let mut alice = start(&["--key", key.to_str().unwrap(), "--mqtt", "5"]);
    let here = alice.until("ready").await;
    let mut bob = start(&["--key-type", "rsa"]);
    let there = bob.until("ready").await;
    assert!(there["inbox"].as_str().unwrap().ends_with(&format!("/u/{}", there["uid"])));
    until(&mut alice, "presence", "state", "online").await;
    until(&mut bob, "presence", "state", "online").await;

    alice.say(json!({"cmd": "broadcast", "channel": "den", "data": {"n": 1}, "reliable": true})).await;
    let said = bob.until("deliver").await;
    assert_eq!((&said["data"], &said["channel"]), (&json!({"n": 1}), &json!("den")));
    assert_eq!((&said["encrypted"], &said["from"]), (&json!("channel"), &here["fingerprint"]));
    bob.say(json!({"cmd": "send", "to": here["uid"], "bytes": "00ff", "reliable": true})).await;
    let id = until(&mut bob, "done", "request", "send").await["id"].clone();
    let told = alice.until("deliver").await;
    assert_eq!((&told["bytes"], &told["from"]), (&json!("00ff"), &there["fingerprint"]));
    assert!(["proven", "bound", "forward_secret"].iter().all(|field| told[field] == true), "{told}");
    assert_eq!(until(&mut bob, "status", "status", "delivered").await["id"], id);

    alice.say(json!({"cmd": "pin", "peer": there["fingerprint"]})).await;
    alice.say(json!({"cmd": "peers"})).await;
    while alice.until("peer").await["pinned"] != true {}
    alice.say(json!({"cmd": "counters"})).await;
    assert_eq!(alice.until("counters").await["brokers"], json!([{"broker": url, "connected": true}]));
    alice.say(json!({"cmd": "shutdown"})).await;
    alice.until("closed").await;
    assert_eq!(alice.end().await, 0);
    until(&mut bob, "presence", "state", "offline").await;
    bob.say(json!({"cmd": "leave", "channel": "nowhere"})).await;
    assert_eq!(bob.until("error").await["code"], "not_joined");
    assert_eq!(bob.end().await, 1);

    let mut again = start(&["--key", key.to_str().unwrap()]);
    assert_eq!(again.until("ready").await["fingerprint"], here["fingerprint"]);
    assert_eq!(again.end().await, 0);
}

#[tokio::test]
async fn refuses_options_that_cannot_be() {
    for more in [["--broker", "http://127.0.0.1"], ["--key-pkcs8", "00"], ["--app", ""]] {
        let common = ["--broker", "mqtt://127.0.0.1:1"];
        let app = if more[0] == "--app" { [].as_slice() } else { &["--app", "test"] };
        let speaker = Speaker::start_as("proofpeer", &[&common[..], app, &more].concat());
        assert_eq!(speaker.end().await, 2, "{more:?}");
    }
}
