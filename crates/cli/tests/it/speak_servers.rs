//! `waypost speak sremp-relay` and `waypost speak sremp-rendezvous`: both ends of each.

use crate::speak::Speaker;
use serde_json::{Value, json};

const ALICE: &str = "0101010101010101010101010101010101010101010101010101010101010101";
const BOB: &str = "0202020202020202020202020202020202020202020202020202020202020202";

fn text<'a>(event: &'a Value, field: &str) -> &'a str {
    event[field].as_str().unwrap_or_else(|| panic!("no {field} in {event}"))
}

/// A client of the relay whose `ready` is given, and its own key.
async fn client(relay: &Value, seed: &str) -> (Speaker, String) {
    let [bound, key, noise] = ["bound", "identity_key", "noise_key"].map(|field| text(relay, field));
    let args = ["dial", bound, "--relay", key, "--noise", noise, "--seed", seed];
    let mut client = Speaker::start_as("sremp-relay", &args);
    let own = text(&client.until("ready").await, "identity_key").to_owned();
    assert_eq!(client.until("connected").await["is_relay"], true);
    (client, own)
}

#[tokio::test]
async fn a_relay_keeps_what_a_bare_client_stores_and_shows_what_it_does() {
    let mut relay = Speaker::start_as("sremp-relay", &["listen", "127.0.0.1:0", "--set", "rate_store=1"]);
    let ready = relay.until("ready").await;
    let (mut alice, alice_key) = client(&ready, ALICE).await;
    let (mut bob, bob_key) = client(&ready, BOB).await;
    alice.say(json!({"cmd": "register", "push": true})).await;
    assert_eq!(alice.until("relay_registered").await["policy"]["rate_store"], 1);
    alice.say(json!({"cmd": "publish", "one_time": 2})).await;
    assert_eq!(alice.until("prekeys_published").await["one_time_left"], 2);
    bob.say(json!({"cmd": "register", "mailbox": false})).await;
    bob.until("relay_registered").await;
    bob.say(json!({"cmd": "fetch", "target": alice_key})).await;
    assert!(bob.until("prekeys").await["one_time"]["item"].is_string());

    let id = u64::MAX.to_string();
    bob.say(json!({"cmd": "store", "recipient": alice_key, "message_id": id, "blob": "00ff"})).await;
    assert_eq!(bob.until("store_response").await["success"], true);
    assert_eq!(relay.until("stored").await["message_id"], json!(id));
    let pushed = alice.until("message_batch").await;
    let letter = &pushed["messages"][0];
    assert_eq!((&letter["encrypted_blob"], &letter["message_id"]), (&json!("00ff"), &json!(id)));
    assert_eq!(text(letter, "sender"), bob_key);
    alice.say(json!({"cmd": "retrieve", "after": 0, "limit": 1})).await;
    assert_eq!(alice.until("message_batch").await["next"], letter["seq"]);
    alice.say(json!({"cmd": "confirm", "sender": bob_key, "message_id": id})).await;
    assert_eq!(relay.until("delivered").await["recipient"], json!(alice_key));
    // Answers come in order: when this one is there, the confirmation before it has been dealt with.
    alice.say(json!({"cmd": "retrieve", "after": 0})).await;
    assert_eq!(alice.until("message_batch").await["messages"], json!([]));
    bob.say(json!({"cmd": "retrieve", "after": 0})).await;
    assert_eq!(bob.until("message_batch").await["confirmations"][0]["message_id"], json!(id));

    bob.say(json!({"cmd": "store", "recipient": alice_key, "blob": "00"})).await;
    assert!(bob.until("store_response").await["retry_after_s"].as_u64().is_some_and(|wait| wait > 0));
    assert_eq!(relay.until("refused").await["code"], "rate");
    bob.say(json!({"cmd": "ping"})).await;
    bob.until("pong").await;
    // {"ABCD": {}} is a message of the future; 0x00 is none.
    bob.say(json!({"cmd": "raw", "bytes": "81a44142434480"})).await;
    assert_eq!(bob.until("error").await["code"], "unsupported");
    bob.say(json!({"cmd": "raw", "bytes": "00"})).await;
    let error = bob.until("error").await;
    assert_eq!((&error["code"], &error["fatal"]), (&json!("malformed"), &json!(true)));
    assert_eq!(bob.end().await, 1);
    assert_eq!(alice.end().await, 0);
    assert_eq!(relay.end().await, 0);
}

#[tokio::test]
async fn a_relay_with_a_folder_is_the_same_after_a_restart_and_has_kept_the_letter() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().to_str().unwrap();
    let mut keys = Vec::new();
    for turn in 0..2 {
        let mut relay = Speaker::start_as("sremp-relay", &["listen", "127.0.0.1:0", "--store", store]);
        let ready = relay.until("ready").await;
        keys.push(ready["identity_key"].clone());
        let (mut alice, alice_key) = client(&ready, ALICE).await;
        alice.say(json!({"cmd": "register"})).await;
        assert_eq!(alice.until("relay_registered").await["pending"], turn);
        if turn == 0 {
            alice.say(json!({"cmd": "store", "recipient": alice_key, "message_id": 5, "blob": "01"})).await;
        }
        assert_eq!((alice.end().await, relay.end().await), (0, 0));
    }
    assert_eq!(keys[0], keys[1]);
}

#[tokio::test]
async fn a_rendezvous_server_finds_and_lists_whom_a_bare_client_registers() {
    let mut server = Speaker::start_as("sremp-rendezvous", &["listen", "127.0.0.1:0"]);
    let ready = server.until("ready").await;
    let uri = text(&ready, "address");
    let mut alice = Speaker::start_as("sremp-rendezvous", &["dial", uri, "--seed", ALICE, "--discoverable"]);
    let key = alice.until("ready").await["identity_key"].clone();
    assert_eq!(alice.until("connected").await["server_id"], ready["spki"]);
    alice.say(json!({"cmd": "register", "endpoint": "192.0.2.7:7300", "seq": 9})).await;
    assert_eq!(alice.until("register_response").await["renewal_interval"], 300);
    assert_eq!(server.until("registered").await["identity_key"], key);
    alice.say(json!({"cmd": "register", "endpoint": "192.0.2.8:7300", "seq": 8})).await;
    assert_eq!(alice.until("register_response").await["error_message"], "REG_SEQ");
    assert_eq!(server.until("refused").await["code"], "reg_seq");
    for look in [json!({"cmd": "lookup", "target": key}), json!({"cmd": "list", "limit": 1})] {
        alice.say(look).await;
        let found = alice.until("lookup_response").await;
        let check = &found["checks"][0];
        assert_eq!((&check["result"], &check["identity_key"]), (&json!("ok"), &key));
        assert_eq!(check["endpoint"], "192.0.2.7:7300");
    }
    alice.say(json!({"cmd": "servers"})).await;
    assert_eq!(alice.until("list_servers_response").await["servers"], json!([]));
    alice.say(json!({"cmd": "register", "endpoint": "192.0.2.7:7300", "ttl_seconds": 0})).await;
    alice.until("register_response").await;
    server.until("left").await;
    alice.say(json!({"cmd": "raw", "bytes": "c1"})).await;
    assert_eq!(alice.until("error").await["code"], "malformed");
    assert_eq!(alice.end().await, 1);
    // Another key than the pinned one is no server to talk to.
    let port = text(&ready, "bound").rsplit(':').next().unwrap();
    let other = format!("sremp-rdv://127.0.0.1:{port}?spki=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    let mut wrong = Speaker::start_as("sremp-rendezvous", &["dial", &other]);
    wrong.until("closed").await;
    assert_eq!(wrong.end().await, 1);
    assert_eq!(server.end().await, 0);
}

#[tokio::test]
async fn settings_that_do_not_exist_are_refused() {
    for bad in ["nonsense=1", "rate_store=many", "rate_store"] {
        let relay = Speaker::start_as("sremp-relay", &["listen", "127.0.0.1:0", "--set", bad]);
        assert_eq!(relay.end().await, 2, "{bad}");
    }
}
