//! Requests, verification, names, blocking.

use crate::conversation::alice_and_bob;
use crate::people::Person;
use waypost_node::Event;

#[tokio::test(flavor = "multi_thread")]
async fn somebody_without_an_invite_waits_to_be_accepted() {
    let (alice, mallory) = (Person::new("Alice").await, Person::new("Mallory").await);
    let (_alice_up, _mallory_up) = (alice.up().await, mallory.up().await);
    let mut listener = alice.listen().await;
    let card = alice.ok(&["card"]).await;
    mallory.ok(&["contact", "add", card.trim(), "--name", "Ally"]).await;
    mallory.run(&["send", "Ally", "do you know me?", "--wait", "0"]).await;
    let is_request = |event| matches!(event, Event::Request { .. }).then_some(());
    listener.wait(is_request).await;

    assert!(alice.json(&["inbox"]).await["entries"].as_array().unwrap().is_empty());
    let requests = alice.json(&["contact", "requests"]).await;
    assert_eq!(requests[0]["preview"], "do you know me?");
    let id = requests[0]["contact"]["contact"].as_str().unwrap();
    assert!(alice.ok(&["contact", "requests"]).await.contains("do you know me?"));
    alice.ok(&["contact", "accept", id]).await;
    assert!(alice.json(&["contact", "requests"]).await.as_array().unwrap().is_empty());
    assert_eq!(alice.json(&["inbox"]).await["entries"][0]["body"]["text"], "do you know me?");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_see_one_number_and_a_wrong_one_is_a_warning() {
    let (alice, _alice_up, bob, _bob_up) = alice_and_bob().await;
    alice.ok(&["send", "Bob", "hello"]).await;
    let number = alice.json(&["contact", "verify", "Bob"]).await["number"].as_str().unwrap().to_owned();
    assert_eq!(bob.json(&["contact", "verify", "Alice"]).await["number"], number.as_str());
    let digits: String = alice.ok(&["contact", "verify", "Bob"]).await.split_whitespace().collect();
    assert_eq!(digits, number.replace(' ', ""));

    let last = number.chars().next_back().unwrap();
    let wrong = format!("{}{}", &number[..number.len() - 1], if last == '0' { '1' } else { '0' });
    let told = bob.fails(6, &["contact", "verify", "Alice", "--number", &wrong]).await;
    assert!(told.contains("stand between you"), "{told}");
    assert_eq!(bob.json(&["contact", "show", "Alice"]).await["verified"], serde_json::Value::Null);
    bob.ok(&["contact", "verify", "Alice", "--number", &number]).await;
    assert_eq!(bob.json(&["contact", "show", "Alice"]).await["verified"], "number");

    let qr = bob.json(&["contact", "verify", "Alice"]).await["qr"].as_str().unwrap().to_owned();
    alice.ok(&["contact", "verify", "Bob", "--scanned", &qr]).await;
    assert_eq!(alice.json(&["contact", "show", "Bob"]).await["verified"], "qr");
    alice.ok(&["send", "Bob", "now for sure"]).await;
    let entries = bob.json(&["inbox"]).await;
    assert_eq!(entries["entries"][1]["protection"]["verified"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_comes_from_somebody_blocked() {
    let (alice, _alice_up, bob, _bob_up) = alice_and_bob().await;
    bob.ok(&["send", "Alice", "before"]).await;
    alice.ok(&["contact", "block", "Bob"]).await;
    assert_eq!(alice.json(&["contact", "show", "Bob"]).await["status"], "blocked");
    let ran = bob.run(&["send", "Alice", "during", "--wait", "1"]).await;
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(alice.json(&["inbox"]).await["entries"].as_array().unwrap().is_empty());
    let history = alice.json(&["history", "Bob"]).await;
    assert_eq!(history["entries"].as_array().unwrap().len(), 1, "{history}");
    alice.fails(1, &["send", "Bob", "to a blocked one"]).await;
    alice.ok(&["contact", "unblock", "Bob"]).await;
    assert_eq!(alice.json(&["contact", "show", "Bob"]).await["status"], "contact");
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_renamed_and_removed() {
    let (alice, _alice_up, _bob, _bob_up) = alice_and_bob().await;
    alice.ok(&["contact", "rename", "Bob", "Bobby"]).await;
    alice.ok(&["send", "Bobby", "hello"]).await;
    assert!(alice.ok(&["contact", "list"]).await.contains("Bobby"));
    alice.fails(3, &["contact", "show", "Bob"]).await;
    let told = alice.fails(2, &["contact", "remove", "Bobby", "--forget"]).await;
    assert!(told.contains("--yes"), "{told}");
    alice.ok(&["contact", "remove", "Bobby", "--forget", "--yes"]).await;
    assert!(alice.json(&["contact", "list"]).await.as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_are_shown_in_every_form_and_bad_ones_refused() {
    let (alice, bob) = (Person::new("Alice").await, Person::new("Bob").await);
    let (png, svg) = (alice.file("card.png"), alice.file("card.svg"));
    let text = alice.ok(&["card", "--qr", "--png", png.to_str().unwrap(), "--svg", svg.to_str().unwrap()]).await;
    let link = text.lines().last().unwrap();
    assert!(link.starts_with("waypost:"), "{link}");
    assert!(text.lines().count() > 20);
    assert!(png.exists() && svg.exists());
    alice.fails(1, &["card", "--png", png.to_str().unwrap()]).await;
    assert!(alice.ok(&["card", "--sremp"]).await.starts_with("sremp:1?"));

    for bad in ["waypost:", "hello", &link[..link.len() - 2]] {
        bob.fails(2, &["contact", "add", bad]).await;
    }
    let ran = bob.with_input(&["contact", "add", "-", "--name", "A"], &format!("{link}\n")).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("contact verify 'A'"), "{ran:?}");
    let sremp = alice.ok(&["card", "--sremp"]).await;
    let third = Person::new("Carol").await;
    third.ok(&["contact", "add", sremp.trim(), "--name", "Alice"]).await;
    assert_eq!(third.json(&["contact", "list"]).await[0]["contact"], alice.id().await);
}
