//! The OpenRPC document says what the node really takes and gives.

use crate::people::{Connection, Person};
use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Schemas by method: of each parameter, and of the result.
struct Document {
    schemas: Value,
    methods: BTreeMap<String, Value>,
    asked: BTreeSet<String>,
}

impl Document {
    fn new(document: &Value) -> Self {
        let methods = document["methods"].as_array().unwrap().iter();
        Self {
            schemas: document["components"].clone(),
            methods: methods.map(|method| (method["name"].as_str().unwrap().to_owned(), method.clone())).collect(),
            asked: BTreeSet::new(),
        }
    }

    fn validator(&self, schema: &Value) -> Validator {
        let root = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "allOf": [schema],
            "components": self.schemas,
        });
        jsonschema::validator_for(&root).unwrap()
    }

    fn check(&self, what: &str, schema: &Value, value: &Value) {
        let errors: Vec<String> = self
            .validator(schema)
            .iter_errors(value)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{what}: {errors:?} in {value}");
    }

    /// Asks and checks that question and answer are as described.
    async fn ask(&mut self, connection: &mut Connection, method: &str, params: Value) -> Value {
        let description = self.methods.get(method).unwrap_or_else(|| panic!("{method} is not described")).clone();
        for param in description["params"].as_array().unwrap() {
            let name = param["name"].as_str().unwrap();
            match params.get(name) {
                Some(value) => self.check(&format!("{method}, {name}"), &param["schema"], value),
                None => assert_ne!(param["required"], true, "{method} wants {name}"),
            }
        }
        let answer = connection.ask(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        self.check(method, &description["result"]["schema"], &answer["result"]);
        self.asked.insert(method.to_owned());
        answer["result"].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_takes_and_gives_what_the_document_says() {
    let (alice, bob, carol) = (Person::new("Alice").await, Person::new("Bob").await, Person::new("Carol").await);
    let (mut to_alice, mut to_bob, mut to_carol) = (alice.connect().await, bob.connect().await, carol.connect().await);
    let document = to_alice.ask("rpc.discover", json!({})).await["result"].clone();
    assert_eq!(document, waypost_api::document());
    let mut api = Document::new(&document);

    let mut listener = alice.connect().await;
    api.ask(&mut listener, "events.subscribe", json!({})).await;
    api.ask(&mut to_alice, "events.unsubscribe", json!({})).await;

    api.ask(&mut to_alice, "identity.show", json!({})).await;
    api.ask(&mut to_alice, "identity.rename", json!({ "name": "Alice L." })).await;
    let card = |card: Value| card["link"].as_str().unwrap().to_owned();
    let of_alice = card(api.ask(&mut to_alice, "card.show", json!({ "invite": true })).await);
    api.ask(&mut to_alice, "card.invites", json!({})).await;
    let of_bob = card(api.ask(&mut to_bob, "card.show", json!({ "invite": true })).await);
    api.ask(&mut to_alice, "contacts.add", json!({ "card": of_bob, "name": "Bob" })).await;
    api.ask(&mut to_bob, "contacts.add", json!({ "card": of_alice, "name": "Alice" })).await;

    let text = |text: &str| json!({ "kind": "text", "text": text });
    let sent = api.ask(&mut to_alice, "letters.send", json!({ "to": "Bob", "body": text("good morning") })).await;
    wait(&api, &mut listener, |event| event["event"] == "state" && event["state"] == "delivered").await;
    let id = sent["id"].as_str().unwrap();
    for body in [
        json!({ "kind": "reply", "to": id, "text": "good evening" }),
        json!({ "kind": "reaction", "to": id, "emoji": "\u{2615}" }),
    ] {
        api.ask(&mut to_bob, "letters.send", json!({ "to": "Alice", "body": body })).await;
    }
    wait(&api, &mut listener, |event| event["entry"]["reactions"][0]["emoji"] == "\u{2615}").await;
    let edit = json!({ "kind": "edit", "to": id, "text": "good day" });
    api.ask(&mut to_alice, "letters.send", json!({ "to": "Bob", "id": "ab".repeat(16), "body": edit })).await;

    // Somebody who waits.
    let without = card(api.ask(&mut to_alice, "card.show", json!({})).await);
    let added = api.ask(&mut to_carol, "contacts.add", json!({ "card": without })).await;
    let alices_id = added["contact"].as_str().unwrap();
    api.ask(&mut to_carol, "letters.send", json!({ "to": alices_id, "body": text("may I?") })).await;
    wait(&api, &mut listener, |event| event["event"] == "request").await;
    let requests = api.ask(&mut to_alice, "contacts.requests", json!({})).await;
    let carols_id = requests[0]["contact"]["contact"].clone();
    assert_eq!(requests[0]["preview"], "may I?");
    api.ask(&mut to_alice, "contacts.accept", json!({ "contact": carols_id })).await;
    api.ask(&mut to_alice, "contacts.block", json!({ "contact": carols_id })).await;

    api.ask(&mut to_alice, "contacts.list", json!({})).await;
    api.ask(&mut to_alice, "contacts.show", json!({ "contact": "Bob" })).await;
    let verification = api.ask(&mut to_bob, "contacts.verification", json!({ "contact": "Alice" })).await;
    let number = &verification["number"];
    api.ask(&mut to_alice, "contacts.verify", json!({ "contact": "Bob", "number": number })).await;
    let shared = api.ask(&mut to_alice, "contacts.psk", json!({ "contact": "Bob", "generate": true })).await;
    assert_eq!(shared["from"], "hand");
    api.ask(&mut to_alice, "contacts.rename", json!({ "contact": "Bob", "name": "Robert" })).await;

    for (method, params) in [
        ("letters.inbox", json!({ "unread": true, "after": 0, "limit": 10 })),
        ("letters.history", json!({ "contact": "Robert", "limit": 500 })),
        ("letters.search", json!({ "query": "good", "contact": "Robert" })),
    ] {
        let page = api.ask(&mut to_alice, method, params).await;
        assert!(!page["entries"].as_array().unwrap().is_empty(), "{method}");
    }
    let trace = api.ask(&mut to_alice, "letters.trace", json!({ "letter": id })).await;
    assert!(!trace["routes"].as_array().unwrap().is_empty());
    let read = api.ask(&mut to_alice, "letters.read", json!({ "contact": "Robert" })).await;
    assert_eq!(read["changed"], 1);

    api.ask(&mut to_alice, "identity.rotate", json!({})).await;
    api.ask(&mut to_alice, "node.status", json!({})).await;
    api.ask(&mut to_alice, "node.doctor", json!({})).await;
    let pong = api.ask(&mut to_alice, "node.ping", json!({ "contact": "Robert", "timeout_ms": 60_000 })).await;
    assert_eq!(pong["path"], "direct");
    // Nobody listens there.
    let server = format!("sremp-relay://127.0.0.1:1?k={}", "0b".repeat(32));
    api.ask(&mut to_alice, "servers.add", json!({ "server": server })).await;
    let servers = api.ask(&mut to_alice, "servers.list", json!({})).await;
    assert_eq!((&servers[0]["server"], &servers[0]["published"]), (&json!(server), &json!(false)));
    let suggested = api.ask(&mut to_alice, "servers.suggested", json!({})).await;
    assert_eq!(suggested, json!([]), "nobody was asked");
    let test = api.ask(&mut to_alice, "servers.test", json!({ "server": "127.0.0.1:1" })).await;
    assert_eq!(test["works"], false);
    api.ask(&mut to_alice, "servers.remove", json!({ "server": server })).await;
    api.ask(&mut to_alice, "node.warnings", json!({})).await;
    let backup = json!({ "path": alice.file("backup"), "passphrase": "of the backup" });
    api.ask(&mut to_alice, "backup.export", backup).await;
    api.ask(&mut to_alice, "contacts.remove", json!({ "contact": carols_id, "forget": true })).await;
    api.ask(&mut to_carol, "node.stop", json!({})).await;

    let described: BTreeSet<String> = api.methods.keys().cloned().collect();
    assert_eq!(api.asked, described, "every method is asked");
    alice.stop().await;
    bob.stop().await;
}

/// Reads events, each as described, until the one that is waited for.
async fn wait(api: &Document, listener: &mut Connection, is_it: impl Fn(&Value) -> bool) {
    let event_schema = json!({ "$ref": "#/components/schemas/Event" });
    loop {
        let message = listener.read().await;
        assert_eq!(message["method"], "event");
        api.check("event", &event_schema, &message["params"]);
        if is_it(&message["params"]) {
            return;
        }
    }
}
