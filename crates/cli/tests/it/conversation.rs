//! Two people talk over loopback.

use crate::people::{Person, Running};
use waypost_node::Event;

/// Alice and Bob, both running, in each other's contacts.
pub(crate) async fn alice_and_bob() -> (Person, Running, Person, Running) {
    let (alice, bob) = (Person::new("Alice").await, Person::new("Bob").await);
    let (alice_up, bob_up) = (alice.up().await, bob.up().await);
    bob.ok(&["contact", "add", &alice.invite().await]).await;
    alice.ok(&["contact", "add", &bob.invite().await]).await;
    (alice, alice_up, bob, bob_up)
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_answers_reactions_and_changes_arrive() {
    let (alice, alice_up, bob, bob_up) = alice_and_bob().await;
    let sent = alice.json(&["send", "Bob", "hello Bob"]).await;
    assert!(["delivered", "read"].contains(&sent["state"].as_str().unwrap()), "{sent}");
    let id = sent["id"].as_str().unwrap();
    let short: String = id.chars().take(8).collect();

    let inbox = bob.json(&["inbox", "--unread"]).await;
    assert_eq!(inbox["entries"][0]["id"], id);
    assert_eq!(inbox["entries"][0]["body"]["text"], "hello Bob");
    assert_eq!(inbox["entries"][0]["protection"]["forward_secret"], true);

    bob.ok(&["send", "Alice", "hello yourself", "--reply-to", &short]).await;
    bob.ok(&["send", "Alice", "--react", &short, "\u{1f44d}"]).await;
    alice.ok(&["send", "Bob", "hello dear Bob", "--edit", &short]).await;
    let history = alice.json(&["history", "Bob"]).await;
    let first = &history["entries"][0];
    assert_eq!(first["edited"], "hello dear Bob");
    assert_eq!(first["reactions"][0]["emoji"], "\u{1f44d}");
    assert_eq!(history["entries"][1]["body"]["to"], id);
    let text = bob.ok(&["history", "Alice"]).await;
    assert!(text.contains("Alice  hello dear Bob  (edited)  [\u{1f44d} me]"), "{text}");

    alice.ok(&["send", "Bob", "--delete", id]).await;
    assert!(bob.ok(&["history", "Alice"]).await.contains("(taken back)"));
    assert!(bob.json(&["search", "dear"]).await["entries"].as_array().unwrap().is_empty());
    assert_eq!(bob.json(&["search", "yourself"]).await["entries"].as_array().unwrap().len(), 1);
    assert_eq!((alice_up.terminate().await, bob_up.terminate().await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_tells_the_sender_and_a_trace_shows_every_step() {
    let (alice, _alice_up, bob, _bob_up) = alice_and_bob().await;
    let id = alice.json(&["send", "Bob", "hello"]).await["id"].as_str().unwrap().to_owned();
    let mut listener = alice.listen().await;
    assert_eq!(bob.json(&["read", "Alice"]).await["changed"], 1);
    let is_read = |event| match event {
        Event::State { letter, state, .. } => (letter.to_string() == id && state == "read").then_some(()),
        _ => None,
    };
    listener.wait(is_read).await;
    assert_eq!(bob.json(&["read", "Alice"]).await["changed"], 0);
    let trace = alice.json(&["trace", &id]).await;
    let steps: Vec<&str> = trace["steps"].as_array().unwrap().iter().filter_map(|step| step["what"].as_str()).collect();
    assert!(steps.contains(&"queued") && steps.contains(&"delivered") && steps.contains(&"read"), "{steps:?}");
    assert_eq!(trace["routes"][0]["wire"], "sremp");
    let text = alice.ok(&["trace", &id]).await;
    assert!(text.contains("end-to-end, forward secret"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_is_sent_once() {
    let (alice, _alice_up, bob, _bob_up) = alice_and_bob().await;
    let id = "0123456789abcdef0123456789abcdef";
    for _ in 0..3 {
        alice.ok(&["send", "Bob", "once", "--id", id]).await;
    }
    let inbox = bob.json(&["inbox"]).await;
    assert_eq!(inbox["entries"].as_array().unwrap().len(), 1, "{inbox}");
    alice.fails(1, &["send", "Bob", "something else", "--id", id]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_waits_for_somebody_who_is_away() {
    let (alice, alice_up, bob, bob_up) = alice_and_bob().await;
    alice.ok(&["send", "Bob", "first"]).await;
    assert_eq!(bob_up.terminate().await, 0);
    let told = alice.fails(4, &["send", "Bob", "are you there?", "--wait", "1"]).await;
    assert!(told.contains("on disk") && told.contains("goes on trying"), "{told}");
    alice_up.kill().await;
    // Nobody runs; the letter is on Alice's disk alone.
    let _alice_up = alice.up().await;
    let mut listener = alice.listen().await;
    let _bob_up = bob.up().await;
    let is_delivered = |event| match event {
        Event::State { state, .. } => (state == "delivered").then_some(()),
        _ => None,
    };
    listener.wait(is_delivered).await;
    let inbox = bob.json(&["inbox"]).await;
    let texts: Vec<&str> =
        inbox["entries"].as_array().unwrap().iter().filter_map(|entry| entry["body"]["text"].as_str()).collect();
    assert_eq!(texts, ["first", "are you there?"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_a_node_itself_when_none_is_running() {
    let (alice, alice_up, bob, _bob_up) = alice_and_bob().await;
    assert_eq!(alice_up.terminate().await, 0);
    let sent = alice.json(&["send", "Bob", "without a daemon"]).await;
    assert_eq!(sent["state"], "delivered");
    assert_eq!(bob.json(&["inbox"]).await["entries"][0]["body"]["text"], "without a daemon");
    assert_eq!(alice.json(&["history", "Bob"]).await["entries"].as_array().unwrap().len(), 1);
    alice.fails(4, &["status"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_comes_from_standard_input() {
    let (alice, _alice_up, bob, _bob_up) = alice_and_bob().await;
    let text = "two\nlines \u{202e} and a trick\u{1b}[2J";
    let ran = alice.with_input(&["send", "Bob", "-"], &format!("{text}\n")).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(bob.json(&["inbox"]).await["entries"][0]["body"]["text"], text);
    let shown = bob.ok(&["inbox"]).await;
    assert!(!shown.contains(['\u{202e}', '\u{1b}']), "{shown:?}");
    assert_eq!(shown.lines().count(), 2);
    let json = bob.ok(&["inbox", "--json"]).await;
    assert!(!json.contains(['\u{202e}', '\u{1b}']), "{json:?}");
}
