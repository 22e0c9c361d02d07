//! What a program can use up, and what it is told then.

use crate::people::Person;
use serde_json::{Value, json};
use waypost_api::{Client, ClientError};
use waypost_core::{ErrorKind, HasKind};
use waypost_node::method::{AddContact, CardParams, CardShow, ContactParams, ContactsAdd};
use waypost_node::method::{ContactRef, ContactsRename, ContactsShow, NodeStop, Nothing, RenameContact};

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_than_are_worked_on_at_a_time_are_all_answered() {
    let alice = Person::new("Alice").await;
    let mut connection = alice.connect().await;
    let request = |id: u64| json!({ "jsonrpc": "2.0", "id": id, "method": "identity.show" }).to_string();
    let requests: Vec<String> = (0..1000).map(request).collect();
    let answers = connection.pipeline(&requests).await;
    assert!(answers.iter().all(|answer| answer["result"]["name"] == "Alice"));
    let mut ids: Vec<u64> = answers.iter().filter_map(|answer| answer["id"].as_u64()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..1000).collect::<Vec<u64>>());
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_too_many_waits_for_a_place() {
    let alice = Person::new("Alice").await;
    let mut connections = Vec::new();
    for _ in 0..64 {
        let mut connection = alice.connect().await;
        connection.ask("identity.show", json!({})).await;
        connections.push(connection);
    }
    let mut late = alice.connect().await;
    late.write(1, "identity.show", &json!({})).await;
    for _ in 0..50 {
        connections[0].ask("identity.show", json!({})).await;
    }
    assert!(!late.has_something());
    connections.pop();
    assert_eq!(late.read().await["result"]["name"], "Alice");
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_of_events_is_told_how_many_it_missed() {
    let (alice, bob) = (Person::new("Alice").await, Person::new("Bob").await);
    let client = Client::connect(&alice.socket()).await.unwrap();
    let of_bob = Client::connect(&bob.socket()).await.unwrap();
    let card = of_bob.call::<CardShow>(&CardParams { invite: false }).await.unwrap().link;
    let contact = client.call::<ContactsAdd>(&AddContact { card, name: None }).await.unwrap();
    let contact = ContactRef(contact.contact.to_string());

    let mut slow = alice.connect().await;
    slow.ask("events.subscribe", json!({})).await;
    // More than the socket and the node keep.
    for batch in 0..80 {
        let renames = (0..64).map(|number| {
            let params = RenameContact { contact: contact.clone(), name: format!("Bob {batch} {number}") };
            let client = &client;
            async move { client.call::<ContactsRename>(&params).await.map(drop) }
        });
        futures::future::try_join_all(renames).await.unwrap();
    }
    let missed = loop {
        let event = slow.read().await;
        if event["params"]["event"] == "missed" {
            break event["params"]["count"].as_u64().unwrap();
        }
    };
    assert!(missed > 0);
    // After that it goes on with what is newest.
    let name = |event: &Value| event["params"]["contact"]["name"].as_str().map(str::to_owned);
    while name(&slow.read().await).as_deref() != Some("Bob 79 63") {}
    alice.stop().await;
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_knows_errors_by_kind_and_the_end_of_the_node() {
    let alice = Person::new("Alice").await;
    let client = Client::connect(&alice.socket()).await.unwrap();
    let params = ContactParams { contact: ContactRef("nobody".into()) };
    let error = client.call::<ContactsShow>(&params).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let ClientError::Fault(fault) = error else { panic!("{error:?}") };
    assert_eq!((fault.code, fault.data.unwrap().hint.unwrap().as_str()), (-32001, "contacts.list lists all contacts"));

    let mut events = client.events().await.unwrap();
    client.call::<NodeStop>(&Nothing {}).await.unwrap();
    let socket = alice.socket();
    alice.stop().await;
    while events.next().await.is_some() {}
    assert!(matches!(client.call::<NodeStop>(&Nothing {}).await, Err(ClientError::Lost)));
    assert!(matches!(Client::connect(&socket).await, Err(ClientError::Connect { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_line_ends_the_connection_and_no_other() {
    let alice = Person::new("Alice").await;
    let (mut bad, mut good) = (alice.connect().await, alice.connect().await);
    bad.write_line(&"x".repeat(1024 * 1024 + 2)).await;
    assert_eq!(bad.read().await["error"]["data"]["kind"], "limit");
    assert_eq!(good.ask("identity.show", json!({})).await["result"]["name"], "Alice");
    alice.stop().await;
}
