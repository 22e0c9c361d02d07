//! SR-7.1a to SR-7.3, SR-3.1.5c

use super::{assert_answers, code};
use std::net::{IpAddr, Ipv4Addr};
use waypost_core::{ContactId, Mono, Now, Wall};
use waypost_sremp::{
    LinkId, Message,
    ed25519::SigningKey,
    message::RegisterRequest,
    rendezvous::{Input, Output, Registry, RegistryPolicy, check_peer_info, registration_content},
};
use waypost_testkit::{
    mailbox::MemoryMailbox,
    vectors::{self, Case, Outcome, Part},
};

/// SR-7.1a to SR-7.1e, SR-7.2a to SR-7.2d, SR-7.3, SR-3.1.5c
#[test]
fn registrations_and_lookups_go_as_stated() {
    for case in vectors::load("sremp", "rendezvous.json") {
        let input = case.input();
        if input.has("ops") {
            script(&case);
        } else if input.has("request") {
            signature(&input, &case.expect());
        } else if input.has("peer_info") {
            peer_info(&case);
        } else {
            case.unknown_shape();
        }
    }
}

fn message(part: &Part<'_>, path: &str) -> Message {
    Message::decode(&part.hex(path)).unwrap_or_else(|error| panic!("{part}: {error}"))
}

/// SR-7.1d
fn signature(input: &Part<'_>, expect: &Part<'_>) {
    input.only(&["identity_secret", "server", "request"]);
    expect.only(&["content", "signature"]);
    let key = SigningKey::from_bytes(&input.array("identity_secret"));
    let server = input.array("server");
    let Message::RegisterRequest(request) = message(input, "request") else { input.unknown_shape() };
    let RegisterRequest { identity, endpoint, ttl_seconds, seq, issued, .. } = request.clone();
    let content = registration_content(&server, &key.public(), &identity.verified, &endpoint, ttl_seconds, seq, issued);
    assert_eq!(hex::encode(&content), expect.str("content"), "{input}");
    assert_eq!(key.sign(&content).0, expect.array::<64>("signature"), "{input}");
    let (identity, endpoint) = (identity.verify().unwrap(), endpoint.check().unwrap());
    let ours = RegisterRequest::signed(&server, &key, &identity, &endpoint, ttl_seconds, seq, issued);
    assert_eq!(ours, request, "{input}");
}

/// SR-7.2d
fn peer_info(case: &Case) {
    let input = case.input();
    input.only(&["target", "server", "now", "highest_seq", "peer_info"]);
    let Message::LookupResponse(response) = message(&input, "peer_info") else { input.unknown_shape() };
    let [info] = &response.peers[..] else { input.unknown_shape() };
    let target = ContactId::from_bytes(input.array("target"));
    let now = Wall::from_millis(input.u64("now"));
    let checked = check_peer_info(info, &target, &input.array("server"), now, input.u64("highest_seq"));
    match case.outcome() {
        Outcome::Error(error) => assert_eq!(code(checked).err(), Some(error), "{case}"),
        Outcome::Expect(expect) => {
            assert_eq!(expect.only(&["result"]).str("result"), "fresh", "{case}");
            let fresh = checked.unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!((fresh.identity.key(), fresh.endpoint.to_wire()), (target, info.endpoint.clone()), "{case}");
        }
    }
}

fn script(case: &Case) {
    let input = case.input();
    input.only(&["server", "ops"]);
    let (ops, replies) = (input.list("ops"), case.expect().only(&["replies"]).list("replies"));
    assert_eq!(ops.len(), replies.len(), "{case}: one reply an op");
    let policy = RegistryPolicy::default();
    let mut registry = Registry::new(input.array("server"), policy, Default::default(), Default::default());
    let mut mailbox = MemoryMailbox::default();
    let (link, address) = (LinkId(1), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    registry.handle(Now::default(), Input::Connected { link, address });
    for (op, reply) in ops.iter().zip(&replies) {
        op.only(&["clock", "message"]);
        reply.only(&["message", "name", "fields", "peers"]);
        let now = at(op.u64("clock"));
        registry.handle(now, Input::Message { link, message: message(op, "message") });
        let mut sent = Vec::new();
        while let Some(output) = registry.poll() {
            match output {
                Output::Mailbox(id, ops) => registry.handle(now, Input::Mailbox(id, mailbox.commit(now.wall, ops))),
                Output::Probe { .. } => panic!("{op}: a probe nobody switched on"),
                Output::Send(_, message) => sent.push(message),
                Output::Close(_, error) => sent.push(error.into()),
            }
        }
        let [answer] = &sent[..] else { panic!("{op}: {} answers", sent.len()) };
        assert_answers(answer, &reply.hex("message"), &reply.to_string());
    }
}

fn at(millis: u64) -> Now {
    Now { mono: Mono::from_millis(millis), wall: Wall::from_millis(millis) }
}
