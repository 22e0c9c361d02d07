//! Letters over framelinks: two nodes that reach each other in no other way.

use crate::people::{Person, own_address};
use waypost_core::Wire;
use waypost_node::Event;

/// Somebody who can only be reached by a framelink.
async fn linked(name: &'static str) -> (Person, String) {
    let person = Person::new(name).await;
    let address = own_address().to_string();
    person.ok(&["config", "set", "sremp.listen", "[]"]).await;
    person.ok(&["config", "set", "framelink.enabled", "true"]).await;
    person.ok(&["config", "set", "framelink.listen", &format!("[\"{address}\"]")]).await;
    (person, address)
}

/// FL-5.3, FL-7.2: the key comes with the invite; letters stay sealed and proven inside.
#[tokio::test(flavor = "multi_thread")]
async fn people_who_met_by_an_invite_write_over_a_framelink() {
    let (alice, _) = linked("Alice").await;
    let (bob, _) = linked("Bob").await;
    let (alice_up, bob_up) = (alice.up().await, bob.up().await);
    bob.ok(&["contact", "add", &alice.invite().await]).await;
    let sent = bob.json(&["send", "Alice", "hello Alice"]).await;
    assert_eq!(sent["state"], "delivered", "{sent}");
    let sent = alice.json(&["send", "Bob", "hello Bob"]).await;
    assert_eq!(sent["state"], "delivered", "{sent}");
    let trace = bob.json(&["trace", bob.json(&["history", "Alice"]).await["entries"][0]["id"].as_str().unwrap()]).await;
    let route = trace["routes"].as_array().unwrap().last().unwrap();
    assert_eq!((route["wire"].as_str(), route["outcome"].as_str()), (Some("framelink"), Some("delivered")), "{trace}");
    assert!(route["via"].as_str().unwrap().starts_with("framelink://"), "{trace}");
    let inbox = bob.json(&["inbox"]).await;
    let protection = &inbox["entries"][0]["protection"];
    assert_eq!((&protection["end_to_end"], &protection["forward_secret"]), (&true.into(), &true.into()), "{inbox}");
    assert_eq!(inbox["entries"][0]["wire"], "framelink", "{inbox}");
    let pong = bob.json(&["ping", "Alice"]).await;
    assert!(pong["via"].as_str().unwrap().starts_with("framelink://"), "{pong}");

    // Who comes back is found again.
    assert_eq!(alice_up.terminate().await, 0);
    let mut listener = bob.listen().await;
    bob.fails(4, &["send", "Alice", "are you there?", "--wait", "1"]).await;
    let _alice_up = alice.up().await;
    let is_delivered = |event| match event {
        Event::State { state, wire, .. } => (state == "delivered" && wire == Some(Wire::Framelink)).then_some(()),
        _ => None,
    };
    listener.wait(is_delivered).await;
    drop(bob_up);
}

/// FL-7.2: a key made by hand, and an address that no card names.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_made_by_hand_serves_as_well() {
    let (alice, address) = linked("Alice").await;
    let (bob, _) = linked("Bob").await;
    // Alice's card is as old as her identity and names no framelink yet.
    let card = alice.json(&["card"]).await["link"].as_str().unwrap().to_owned();
    bob.ok(&["contact", "add", &card]).await;
    let card = bob.json(&["card"]).await["link"].as_str().unwrap().to_owned();
    alice.ok(&["contact", "add", &card]).await;
    let key = bob.ok(&["contact", "psk", "Alice", "--generate"]).await;
    let taken = alice.with_input(&["contact", "psk", "Bob", "--file", "-"], &key).await;
    assert_eq!(taken.code, 0, "{taken:?}");
    assert!(!taken.stdout.contains("FRAMELINK-PSK"), "{taken:?}");
    let refused = alice.with_input(&["contact", "psk", "Bob", "--file", "-"], &key.replace('A', "B")).await;
    assert_eq!(refused.code, 2, "{refused:?}");
    bob.ok(&["contact", "psk", "Alice", "--address", &format!("framelink://{address}")]).await;
    assert_eq!(bob.ok(&["contact", "psk", "Alice", "--show"]).await.trim(), key.trim());
    let (_alice_up, _bob_up) = (alice.up().await, bob.up().await);
    let sent = bob.json(&["send", "Alice", "by hand"]).await;
    assert_eq!(sent["state"], "delivered", "{sent}");
    bob.ok(&["contact", "psk", "Alice", "--remove"]).await;
    let shown = bob.json(&["contact", "psk", "Alice"]).await;
    assert!(shown["from"].is_null(), "{shown}");
}
