//! Somebody who moved is found by a rendezvous server.

use crate::operator::{Operator, address};
use crate::people::{Person, own_address};

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_finds_somebody_who_moved_by_a_rendezvous_server() {
    let operator = Operator::new("roles = [\"rendezvous\"]\n[rendezvous]\nlisten = [\"127.0.0.1:0\"]\n");
    let serving = operator.serve().await;
    let server = address(&serving, "rendezvous");
    let (alice, bob) = (Person::new("Alice").await, Person::new("Bob").await);
    // Rendezvous servers name addresses of this machine here.
    for person in [&alice, &bob] {
        person.ok(&["config", "set", "sremp.allow_private_endpoints", "true"]).await;
    }
    // All that Alice ever gets of Bob is a card from where he lived before.
    let old_card = bob.invite().await;
    let moved = own_address().to_string();
    let bob_up = bob.up_with(&["--listen", &moved, "--advertise", &moved]).await;
    assert_eq!(bob_up.ready["listening"][0], moved);
    let added = bob.json(&["server", "add", &server, "--wait", "60"]).await;
    assert_eq!((&added["kind"], &added["state"]), (&"rendezvous".into(), &"ready".into()), "{added}");
    let _alice_up = alice.up().await;
    alice.ok(&["contact", "add", &old_card]).await;
    // Where the card says, nobody is.
    assert_eq!(alice.run(&["send", "Bob", "are you there?", "--wait", "1"]).await.code, 4);
    alice.ok(&["server", "add", &server, "--wait", "60"]).await;

    let sent = alice.json(&["send", "Bob", "where are you now?", "--wait", "60"]).await;
    let trace = alice.json(&["trace", sent["id"].as_str().unwrap()]).await;
    let steps: Vec<&str> = trace["steps"].as_array().unwrap().iter().filter_map(|step| step["what"].as_str()).collect();
    assert_eq!(steps, ["queued", "sent", "delivered"], "{trace}");
    assert!(trace["routes"].to_string().contains(&moved), "{trace}");
    assert_eq!(bob.json(&["inbox"]).await["entries"][1]["body"]["text"], "where are you now?");
    let pong = alice.json(&["ping", "Bob"]).await;
    assert_eq!(pong["path"], "direct", "{pong}");
}
