//! Sequences: what a peer makes of messages, one after the other. `handshake.json`, `replay.json`, the flows of
//! `channel.json`, `ack.json`, `session.json`, and the sequences of `frames.json`.

use super::cryptos;
use rand::{SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use waypost_core::{Mono, Now, Wall};
use waypost_proofpeer::{
    Accept, AppId, Auth, CarriedKey, ChannelKey, ChannelName, Crypto, Encrypted, Event, Identity, Input, Output, Peer,
    Role, Settings, probe,
};
use waypost_testkit::vectors::{self, Case, Outcome, Part};

/// PP-4.4b, PP-5.1d, PP-7.3b, PP-X1, PP-X2, PP-X10
#[test]
fn handshakes_are_answered_as_stated() {
    run("handshake.json");
}

/// PP-7.3a, PP-8.1c, PP-9.1a, PP-X1, PP-X7, PP-X9
#[test]
fn tokens_are_taken_once_as_stated() {
    run("replay.json");
}

/// PP-X8
#[test]
fn encrypted_channels_flow_as_stated() {
    run("channel.json");
}

fn run(file: &str) {
    for crypto in cryptos() {
        for case in vectors::load("proofpeer", file).iter().filter(|case| case.has("input.events")) {
            sequence(case, crypto);
        }
    }
}

/// The clocks at a moment of the vectors, in milliseconds.
pub(super) fn at(millis: u64) -> Now {
    Now { mono: Mono::from_millis(millis), wall: Wall::from_millis(millis) }
}

pub(super) fn settings(accept: &str) -> Settings {
    let accept = match accept {
        "compat" => Accept::Compat,
        "strict" => Accept::Strict,
        other => panic!("accept {other}"),
    };
    Settings { accept, ..Settings::default() }
}

fn peer(input: &Part<'_>, crypto: Crypto) -> (Peer, StdRng) {
    let mut rng = StdRng::seed_from_u64(3);
    let identity = ["receiver_pkcs8", "initiator_pkcs8"].iter().find_map(|name| input.opt_hex(name)).unwrap();
    let identity = Identity::from_pkcs8(&identity, crypto).unwrap();
    let app = AppId::new(input.str("app")).unwrap();
    let settings = settings(input.opt_str("accept").unwrap_or("compat"));
    let peer = Peer::new(&mut rng, identity, app, crypto, settings);
    (peer, rng)
}

fn sequence(case: &Case, crypto: Crypto) {
    let input = case.input();
    input.only(&["receiver_pkcs8", "app", "channels", "passphrase", "accept", "events", "k0"]);
    let (mut peer, mut rng) = peer(&input, crypto);
    let app = AppId::new(input.str("app")).unwrap();
    for (index, channel) in input.at("channels").list("").iter().enumerate() {
        let channel = ChannelName::new(channel.str("")).unwrap();
        let passphrase = input.opt_str("passphrase").filter(|_| index == 0);
        let key = passphrase.map(|passphrase| ChannelKey::from_passphrase(passphrase, &app, &channel).unwrap());
        peer.handle(at(0), &mut rng, Input::Join { channel, key }).unwrap();
    }
    let events = input.at("events").list("");
    let outcomes = case.expect().at("outcomes").list("");
    assert_eq!(events.len(), outcomes.len(), "{case}");
    for (event, outcome) in events.iter().zip(outcomes) {
        event.only(&["at", "topic", "payload", "retain"]);
        let now = at(event.u64("at") * 1000);
        let retain = event.opt_bool("retain").unwrap_or(false);
        let payload = event.str("payload").as_bytes();
        peer.handle(now, &mut rng, Input::Received { topic: event.str("topic"), payload, retain }).unwrap();
        let mut shown = drain(&mut peer);
        let mut expected = outcome.value().as_array().unwrap().clone();
        shown.sort_by_key(Value::to_string);
        expected.sort_by_key(Value::to_string);
        assert_eq!(shown, expected, "{case}, at {}", event.u64("at"));
    }
}

/// What the vectors name of what came out.
fn drain(peer: &mut Peer) -> Vec<Value> {
    std::iter::from_fn(|| peer.poll()).filter_map(shown).collect()
}

fn shown(output: Output) -> Option<Value> {
    match output {
        Output::Publish { topic, payload, reliable, .. } => {
            let payload: Value = serde_json::from_slice(&payload).unwrap();
            let kind = match (payload.get("jwt"), payload.get("m")) {
                (None, Some(m)) if m["aes"].get("sid").is_some() => "ack",
                (Some(_), Some(m)) if m.get("handshake").is_some() => "handshake",
                _ => return None,
            };
            Some(json!({"publish": kind, "topic": topic.to_string(), "qos": u8::from(reliable)}))
        }
        Output::Event(Event::Deliver { origin, value, .. }) => {
            let encrypted = match origin.encrypted {
                Encrypted::None => "none",
                Encrypted::Channel => "channel",
                Encrypted::Session => "session",
            };
            let value = value.as_ref().map(Value::from);
            Some(json!({"deliver": value, "auth": auth(origin.auth), "encrypted": encrypted}))
        }
        Output::Event(Event::SessionOpened { sid, role, auth: known, .. }) => {
            let role = if role == Role::Initiator { "initiator" } else { "responder" };
            Some(json!({"session": sid, "role": role, "auth": auth(known)}))
        }
        Output::Event(Event::SessionClosed { sid, reason, .. }) => Some(json!({"closed": sid, "reason": reason})),
        Output::Event(Event::Dropped(drop)) => Some(json!({"drop": drop.name()})),
        _ => None,
    }
}

fn auth(auth: Auth) -> Value {
    json!({"proven": auth.proven, "bound": auth.bound, "forward_secret": auth.forward_secret})
}

/// PP-4.5, PP-X2, PP-X4
#[test]
fn acks_are_judged_as_stated() {
    for crypto in cryptos() {
        for case in vectors::load("proofpeer", "ack.json") {
            ack(&case, crypto);
        }
    }
}

fn ack(case: &Case, crypto: Crypto) {
    let input = case.input();
    let (mut peer, mut rng) = peer(&input, crypto);
    let responder = CarriedKey::decode(input.str("responder_pubkey")).unwrap();
    let pending = input.at("pending");
    pending.only(&["sid", "k0", "aes_key", "esk", "caps"]);
    let caps = |part: Part<'_>| part.list("").iter().map(|cap| cap.str("").to_owned()).collect::<Vec<_>>();
    assert_eq!(caps(pending.at("caps")), ["d1", "a1"], "{case}");
    let given = probe::GivenHandshake {
        sid: pending.str("sid").to_owned(),
        k0: pending.array("k0"),
        aes_key: pending.hex("aes_key"),
        ephemeral: pending.array("esk"),
        known_caps: input.opt("known_caps").map(caps),
    };
    let now = at(input.u64("now") * 1000);
    probe::give_handshake(&mut peer, now, &responder, given);
    let topic = peer.inbox().to_string();
    let payload = input.str("payload").as_bytes();
    peer.handle(now, &mut rng, Input::Received { topic: &topic, payload, retain: false }).unwrap();
    let outputs = drain(&mut peer);
    match case.outcome() {
        Outcome::Error(name) => assert_eq!(outputs, [json!({"drop": name})], "{case}"),
        Outcome::Expect(expect) => {
            expect.only(&["auth", "d1"]);
            let sid = pending.str("sid");
            let opened = json!({"session": sid, "role": "initiator", "auth": expect.at("auth").value()});
            assert_eq!(outputs, [opened], "{case}");
            assert_eq!(expect.bool("d1"), expect.at("auth").bool("bound"), "{case}");
        }
    }
}

/// PP-4.6, PP-7.2, PP-7.3c, PP-X3, PP-X5
#[test]
fn session_messages_are_opened_as_stated() {
    for crypto in cryptos() {
        for case in vectors::load("proofpeer", "session.json") {
            session(&case, crypto);
        }
    }
}

fn session(case: &Case, crypto: Crypto) {
    let input = case.input();
    let (mut peer, mut rng) = peer(&input, crypto);
    let sender = CarriedKey::decode(input.str("sender_pubkey")).unwrap();
    let events = input.at("events").list("");
    let first = at(events[0].u64("at") * 1000);
    let given = probe::GivenSession {
        sid: input.str("sid").to_owned(),
        directional: input.bool("d1"),
        framed: input.bool("frames"),
        proven: input.bool("proven"),
        key_recv: input.array("key_recv"),
        own_prefix: input.array("own_prefix"),
    };
    probe::give_session(&mut peer, first, &sender, given);
    for (event, outcome) in events.iter().zip(case.expect().at("outcomes").list("")) {
        event.only(&["at", "payload", "topic"]);
        let topic = event.opt_str("topic").unwrap_or_else(|| input.str("topic"));
        let received = Input::Received { topic, payload: event.str("payload").as_bytes(), retain: false };
        peer.handle(at(event.u64("at") * 1000), &mut rng, received).unwrap();
        let opened = std::iter::from_fn(|| peer.poll()).find_map(|output| match output {
            Output::Event(Event::Deliver { bytes, origin, .. }) => {
                Some(json!({"plaintext": hex::encode(bytes.unwrap()), "auth": auth(origin.auth)}))
            }
            Output::Event(Event::Dropped(drop)) => Some(json!({"drop": drop.name()})),
            _ => None,
        });
        assert_eq!(opened.as_ref(), Some(outcome.value()), "{case}");
    }
}

/// PP-X6
#[test]
fn frames_in_a_row_lead_to_what_is_stated() {
    for case in vectors::load("proofpeer", "frames.json") {
        if !case.has("input.events") {
            continue;
        }
        let mut frames = probe::Frames::default();
        let outcomes = case.expect().at("outcomes").list("");
        for (event, outcome) in case.input().at("events").list("").iter().zip(outcomes) {
            let taken = frames.take(Mono::from_millis(event.u64("at") * 1000), &event.hex("frame"));
            let shown = taken.into_iter().map(|outcome| match outcome {
                probe::FrameOutcome::Deliver(message) => json!({"deliver": hex::encode(message)}),
                probe::FrameOutcome::Reply(frame) => json!({"reply": hex::encode(frame), "r": false}),
                probe::FrameOutcome::Drop(drop) => json!({"drop": drop.name()}),
            });
            assert_eq!(&Value::Array(shown.collect()), outcome.value(), "{case}, at {}", event.u64("at"));
        }
    }
}
