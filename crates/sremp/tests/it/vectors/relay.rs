//! SR-8.1a to SR-8.2g, SR-11.1, SR-5f

use super::{assert_answers, identity::signed};
use std::collections::{BTreeMap, BTreeSet};
use waypost_core::{ContactId, MailboxId, Mono, Now, Wall};
use waypost_sremp::{
    LinkId, Message,
    ed25519::{Signature, SigningKey, verify},
    message::{DeliveryConfirmation, StoreMessage},
    relay::{
        Access, Depot, DepotLimits, DepotTiming, Input, Output, Policy, Role, auth_content, confirmation_content,
        store_content,
    },
};
use waypost_testkit::{
    mailbox::MemoryMailbox,
    vectors::{self, Case, Outcome, Part},
};

/// SR-8.1a to SR-8.1c, SR-8.2a to SR-8.2f, SR-11.1, SR-5f
#[test]
fn the_relay_answers_as_stated() {
    for case in vectors::load("sremp", "relay.json") {
        let input = case.input();
        if input.has("ops") {
            script(&case);
        } else if input.has("content") {
            verification(&case);
        } else if input.has("role") {
            auth(&input, &case.expect());
        } else if input.has("encrypted_blob") {
            store(&input, &case.expect());
        } else if input.has("timestamp") {
            delivery(&input, &case.expect());
        } else {
            case.unknown_shape();
        }
    }
}

fn id(part: &Part<'_>, path: &str) -> ContactId {
    ContactId::from_bytes(part.array(path))
}

fn key(input: &Part<'_>) -> SigningKey {
    SigningKey::from_bytes(&input.array("identity_secret"))
}

fn assert_signs(input: &Part<'_>, expect: &Part<'_>, content: &[u8], field: &str) {
    expect.only(&["content", field]);
    assert_eq!(hex::encode(content), expect.str("content"), "{input}");
    assert_eq!(key(input).sign(content).0, expect.array::<64>(field), "{input}");
}

/// SR-8.1b
fn auth(input: &Part<'_>, expect: &Part<'_>) {
    input.only(&["identity_secret", "handshake_hash", "relay_identity", "role"]);
    let role = match input.u64("role") {
        1 => Role::Register,
        2 => Role::Retrieve,
        _ => input.unknown_shape(),
    };
    let (hash, relay) = (input.array("handshake_hash"), id(input, "relay_identity"));
    assert_signs(input, expect, &auth_content(&hash, &relay, &key(input).public(), role), "auth_signature");
}

/// SR-8.2a
fn store(input: &Part<'_>, expect: &Part<'_>) {
    input.only(&["identity_secret", "relay_identity", "recipient", "message_id", "encrypted_blob"]);
    let (relay, recipient) = (id(input, "relay_identity"), id(input, "recipient"));
    let (message_id, blob) = (input.u64("message_id"), input.hex("encrypted_blob"));
    let content = store_content(&relay, &key(input).public(), &recipient, message_id, &blob);
    assert_signs(input, expect, &content, "sender_signature");
    let message = StoreMessage::signed(&relay, &key(input), recipient, message_id, blob);
    assert_eq!(message.sender_signature.0, expect.array::<64>("sender_signature"), "{input}");
}

/// SR-8.2d
fn delivery(input: &Part<'_>, expect: &Part<'_>) {
    input.only(&["identity_secret", "sender", "message_id", "timestamp"]);
    let (sender, message_id) = (id(input, "sender"), input.u64("message_id"));
    let at = Wall::from_millis(input.u64("timestamp"));
    let content = confirmation_content(&sender, &key(input).public(), message_id, at);
    assert_signs(input, expect, &content, "signature");
    let message = DeliveryConfirmation::signed(&key(input), sender, message_id, at);
    assert_eq!(message.signature.0, expect.array::<64>("signature"), "{input}");
}

/// SR-8.1b
fn verification(case: &Case) {
    let input = case.input();
    input.only(&["key", "signature", "content"]);
    let verified = verify(&id(&input, "key"), &input.hex("content"), &Signature(input.array("signature")));
    match case.outcome() {
        Outcome::Error("auth") => assert!(verified.is_err(), "{case}"),
        Outcome::Error(_) => case.unknown_shape(),
        Outcome::Expect(expect) => assert_eq!(verified.is_ok(), expect.only(&["valid"]).bool("valid"), "{case}"),
    }
}

fn script(case: &Case) {
    let input = case.input();
    input.only(&["relay_identity", "policy", "connections", "ops"]);
    let (ops, replies) = (input.list("ops"), case.expect().only(&["replies"]).list("replies"));
    assert_eq!(ops.len(), replies.len(), "{case}: as many replies as ops");
    let start = at(ops.first().map_or(0, |op| op.u64("clock")));
    let relay = id(&input, "relay_identity");
    let depot = Depot::new(relay, policy(&input.at("policy")), DepotLimits::default(), DepotTiming::default());
    let mut relay = Relay { depot, mailbox: MemoryMailbox::default(), watched: BTreeSet::new() };
    let mut names = BTreeMap::new();
    for (index, (name, connection)) in input.entries("connections").into_iter().enumerate() {
        connection.only(&["identity", "handshake_hash"]);
        let link = LinkId(index as u64);
        names.insert(name.to_owned(), link);
        let identity = signed(&connection.at("identity")).verify().unwrap();
        let handshake_hash = connection.array("handshake_hash");
        let sent = relay.take(start, Input::Connected { link, identity, handshake_hash });
        assert!(sent.is_empty(), "{connection}: {sent:?}");
    }
    let link = |part: &Part<'_>| *names.get(part.str("connection")).unwrap_or_else(|| part.unknown_shape());
    for (op, expected) in ops.iter().zip(&replies) {
        op.only(&["clock", "connection", "message"]);
        let message = Message::decode(&op.hex("message")).unwrap_or_else(|error| panic!("{op}: {error}"));
        let mut sent = relay.take(at(op.u64("clock")), Input::Message { link: link(op), message });
        let expected = expected.list("");
        assert_eq!(sent.len(), expected.len(), "{op}: {sent:?}");
        for reply in expected {
            // Order counts on each connection, not between them.
            reply.only(&["connection", "message", "name", "fields", "count"]);
            let link = link(&reply);
            let place = sent.iter().position(|(to, _)| *to == link);
            let (_, message) = sent.remove(place.unwrap_or_else(|| panic!("{reply}: not answered there")));
            assert_answers(&message, &reply.hex("message"), &reply.to_string());
        }
    }
}

/// A relay over mailboxes that commit at once.
struct Relay {
    depot: Depot,
    mailbox: MemoryMailbox,
    watched: BTreeSet<MailboxId>,
}

impl Relay {
    fn take(&mut self, now: Now, input: Input) -> Vec<(LinkId, Message)> {
        self.depot.handle(now, input);
        let mut sent = Vec::new();
        while let Some(output) = self.depot.poll() {
            match output {
                Output::Mailbox(id, ops) => {
                    let done = self.mailbox.commit(now.wall, ops);
                    self.depot.handle(now, Input::Mailbox(id, done));
                    for news in self.mailbox.take_news() {
                        if self.watched.contains(&news) {
                            self.depot.handle(now, Input::Hint(news));
                        }
                    }
                }
                Output::Watch(mailbox) => assert!(self.watched.insert(mailbox)),
                Output::Unwatch(mailbox) => assert!(self.watched.remove(&mailbox)),
                Output::Judged(..) => panic!("nobody asked"),
                Output::Send(link, message) => sent.push((link, message)),
                // Scripts go on after a fatal error as if the connection were open.
                Output::Close(link, error) => sent.push((link, error.into())),
            }
        }
        sent
    }
}

fn at(millis: u64) -> Now {
    Now { mono: Mono::from_millis(millis), wall: Wall::from_millis(millis) }
}

fn policy(part: &Part<'_>) -> Policy {
    part.only(&[
        "max_message_size",
        "max_storage_duration",
        "quota_bytes",
        "quota_messages",
        "sender_bytes",
        "sender_messages",
        "rate_store",
        "rate_retrieve",
        "access",
    ]);
    let small = |name| u32::try_from(part.u64(name)).unwrap();
    Policy {
        max_message_size: small("max_message_size"),
        max_storage_duration: small("max_storage_duration"),
        quota_bytes: part.u64("quota_bytes"),
        quota_messages: small("quota_messages"),
        sender_bytes: part.u64("sender_bytes"),
        sender_messages: small("sender_messages"),
        rate_store: small("rate_store"),
        rate_retrieve: small("rate_retrieve"),
        access: match part.str("access") {
            "open" => Access::Open,
            // A script names nobody who is on it.
            "list" => Access::List(Default::default()),
            _ => part.unknown_shape(),
        },
        owner: None,
    }
}
