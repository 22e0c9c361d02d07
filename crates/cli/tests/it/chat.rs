//! A conversation line by line.

use crate::conversation::alice_and_bob;
use crate::people::Running;

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_letters_and_letters_are_lines() {
    let (alice, _alice_up, bob, _bob_up) = alice_and_bob().await;
    bob.ok(&["send", "Alice", "earlier"]).await;
    let mut left = Running::start(alice.command(&["chat", "Bob"]));
    let mut right = Running::start(bob.command(&["chat", "Alice"]));
    left.line_with(&["#1", "Bob", "earlier"]).await;
    right.line_with(&["#1", "me", "earlier"]).await;
    left.write("hello").await;
    right.line_with(&["#2", "Alice", "hello"]).await;
    left.line_with(&["#2", "read"]).await;
    right.write("/reply 2 hello yourself").await;
    left.line_with(&["#3", "Bob", "hello yourself"]).await;
    left.write("/react 3 \u{2764}").await;
    right.line_with(&["hello yourself", "[\u{2764}]"]).await;
    left.write("/quit").await;
    assert_eq!(left.finish().await, 0);
    assert_eq!(right.finish().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn takes_piped_input_and_waits_for_delivery() {
    let (alice, alice_up, bob, _bob_up) = alice_and_bob().await;
    let ran = alice.with_input(&["chat", "Bob"], "one\ntwo\n/nonsense\n//three\n").await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("there is no command /nonsense"), "{ran:?}");
    alice_up.terminate().await;
    let ran = alice.with_input(&["chat", "Bob", "--json"], "four\n").await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{ran:?}");
    let inbox = bob.json(&["inbox"]).await;
    let texts: Vec<&str> =
        inbox["entries"].as_array().unwrap().iter().filter_map(|entry| entry["body"]["text"].as_str()).collect();
    assert_eq!(texts, ["one", "two", "/three", "four"]);
}
