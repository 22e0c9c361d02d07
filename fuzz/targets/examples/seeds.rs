//! Writes the seeds of every target into `fuzz/corpus`, from the test vectors and our own encoders.
//!
//! Inputs that the fuzzer found stay where they are: only files of the same name are written anew.

#![expect(clippy::unwrap_used, reason = "a tool of the workshop stops where it fails")]

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};
use waypost_core::{Body, Card, ContactId, InviteToken, Letter, LetterId, ReceiptKind, Wall};
use waypost_framelink::{
    Align, Mode, Psk,
    establish::{WaitM1, WaitM2},
};
use waypost_fuzz_targets::{
    account,
    connection::{INITIATOR, RESPONDER},
    framelink,
    keyring::{PASSPHRASE, PURPOSE},
    node, peer,
    people::{self, Person},
    proofpeer,
    ratchet::conversation,
    relay, relay_client, rendezvous, rendezvous_client,
    sremp::SIGNER,
    vault,
};
use waypost_keyring::{KdfCost, Keyring, Passphrase, sealed};
use waypost_node::{card::to_link, method::descriptions};
use waypost_sremp::{
    ErrorCode, IdentityDraft, Message, TrustRow,
    content::{Content, Receipt, Text},
    ed25519::SigningKey,
    endpoint::Endpoint,
    message::{
        DeliveryConfirmation, DirectMessage, DiscardMessage, ErrorMessage, FetchPrekeys, ListServersRequest,
        ListServersResponse, LookupRequest, LookupResponse, Ping, RegisterRequest, RegisterResponse, RelayCapabilities,
        RelayRegister, RetrieveMessages, ServerAddress, StoreMessage,
    },
    noise::{Initiator, NoiseKeys, Responder},
    probe,
    trust::{Fork, VerifiedVia},
    version::OWN_HEADER,
    x25519::{PublicKey, Secret},
};
use waypost_testkit::vectors;

/// Larger inputs slow the fuzzer down and teach it nothing that a smaller one does not.
const LARGEST: usize = 4096;

fn main() {
    addresses();
    messages();
    identities();
    keyrings();
    invitations();
    trust_rows();
    streams();
    handshakes();
    vaults();
    let contents = contents();
    accounts(&contents);
    for (number, seed) in relay_client::seeds(&contents).unwrap().iter().enumerate() {
        keep("relay_client", &number.to_string(), seed);
    }
    framelinks();
    framelink_conversations();
    proofpeers();
    servers();
    server_uris();
    cards();
    for (number, method) in descriptions().iter().enumerate() {
        keep("call", &number.to_string(), format!("{}\n{{}}", method.name).as_bytes());
    }
    for (name, params) in CALLS {
        keep("call", name, format!("{name}\n{params}").as_bytes());
    }
    for (target, seed) in ["connection", "listener"].into_iter().zip(peer::seeds().unwrap()) {
        keep(target, "conversation", &seed);
    }
    for (id, blob) in conversation().unwrap().1 {
        keep("ratchet_blob", &format!("message-{id}"), &[&id.to_be_bytes()[..], &blob].concat());
    }
}

/// Envelopes and tokens of the vectors, those of another time too, and conversations with a peer.
fn proofpeers() {
    for case in vectors::load("proofpeer", "envelopes.json") {
        let mut texts = 0;
        each_text(case.root().value(), &mut |text| {
            if text.starts_with('{') {
                texts += 1;
                keep("proofpeer_envelope", &format!("{}-{texts}", case.id()), text.as_bytes());
            }
        });
    }
    let identity = waypost_proofpeer::Identity::generate_ed25519(&mut ChaCha20Rng::from_seed([6; 32])).unwrap();
    for (name, claim) in [("literal", None), ("bound", Some(r#"{"t":"/1/c/1","n":"AAAAAAAAAAAAAAAAAAAAAA"}"#))] {
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        let token = identity.sign(&mut rng, proofpeer::NOW, r#"{"type":"heartbeat"}"#, claim, false).unwrap();
        keep("proofpeer_token", name, token.as_bytes());
        let envelope = format!(r#"{{"v":1,"t":{},"r":false,"jwt":"{token}"}}"#, proofpeer::NOW);
        keep("proofpeer_envelope", name, envelope.as_bytes());
    }
    for case in vectors::load("proofpeer", "jwt.json") {
        each_text(case.root().value(), &mut |text| {
            if text.matches('.').count() == 2 && text.len() > 100 {
                keep("proofpeer_token", case.id(), text.as_bytes());
            }
        });
    }
    for (number, seed) in proofpeer::seeds().iter().enumerate() {
        keep("proofpeer_peer", &number.to_string(), seed);
    }
}

/// Keeps one input.
fn keep(target: &str, name: &str, input: &[u8]) {
    if input.len() > LARGEST {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("corpus").join(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), input).unwrap();
}

fn addresses() {
    let hosts = [
        ("name", "alice.example:7300"),
        ("ipv4", "192.0.2.1:1"),
        ("ipv6", "[2001:db8::1]:65535"),
        ("no-brackets", "2001:db8::1:1"),
        ("port-zero", "alice:0"),
        ("mapped", "[::ffff:192.0.2.1]:1"),
        ("a-label", "xn--bcher-kva.example:443"),
        ("loopback", "[::1]:4433"),
    ];
    for (name, text) in hosts {
        keep("endpoint", name, text.as_bytes());
        keep("address", name, format!("sremp://{text}").as_bytes());
    }
    keep("endpoint", "host-alone", b"relay.example");
    keep("address", "bare", b"alice:1");
}

/// All cases about the encoding, and from the other files the first few messages of each name.
fn messages() {
    let mut seen = BTreeSet::new();
    let mut of_name: BTreeMap<String, u32> = BTreeMap::new();
    for file in ["msgpack", "noise", "chunks", "pqxdh", "relay", "rendezvous"] {
        for case in vectors::load("sremp", &format!("{file}.json")) {
            each_bytes(case.root().value(), &mut |bytes| {
                let wanted = match Message::decode(bytes) {
                    // A map of one entry whose key is a short text: refused for something further in.
                    Err(_) => file == "msgpack" && matches!(bytes, [0x81, 0xa0..=0xbf, ..]),
                    Ok(message) => {
                        let count = of_name.entry(message.name().to_owned()).or_default();
                        *count += 1;
                        file == "msgpack" || *count <= 4
                    }
                };
                if wanted && seen.insert(bytes.to_vec()) {
                    keep("message", &format!("{file}-{}-{}", case.id(), seen.len()), bytes);
                }
            });
        }
    }
}

/// The identities of the vectors, those that hold rewritten for a signer whose key the target has.
fn identities() {
    let signer = SigningKey::from_bytes(&SIGNER).public();
    for case in vectors::load("sremp", "identity.json") {
        let mut number = 0;
        each_bytes(case.root().value(), &mut |bytes| {
            let key = b"\xacidentity_key\xc4\x20";
            let Some(at) = bytes.windows(key.len()).position(|window| window == key) else { return };
            let mut ours = bytes.to_vec();
            if let Some(place) = ours.get_mut(at + key.len()..at + key.len() + 32) {
                place.copy_from_slice(signer.as_bytes());
                number += 1;
                keep("identity", &format!("{}-{number}", case.id()), &ours);
            }
        });
    }
}

fn keyrings() {
    let mut rng = ChaCha20Rng::from_seed([2; 32]);
    let keyring = Keyring::generate(&mut rng, Wall::from_millis(1_790_000_000_000));
    let opened = keyring.export();
    keep("keyring", "opened", &opened);
    keep("keyring", "words", keyring.recovery_words().as_bytes());
    let passphrase = Passphrase::new(PASSPHRASE).unwrap();
    for (name, purpose) in [("keyring", PURPOSE), ("backup", "backup")] {
        let file = sealed::seal(&opened, &passphrase, KdfCost::DANGER_FAST, &mut rng, purpose).unwrap();
        keep("sealed_file", name, &file);
    }
}

/// Every text of the vectors that is meant to be scanned.
fn invitations() {
    for case in vectors::load("sremp", "verification.json") {
        let mut number = 0;
        each_text(case.root().value(), &mut |text| {
            if text.starts_with("sremp") {
                number += 1;
                keep("invitation", &format!("{}-{number}", case.id()), text.as_bytes());
            }
        });
    }
}

fn trust_rows() {
    let now = Wall::from_millis(1_790_000_000_000);
    let draft = IdentityDraft::new("Ada", PublicKey([1; 32]), PublicKey([2; 32]), 7, now);
    let identity = draft.sign(&SigningKey::from_bytes(&SIGNER)).unwrap();
    let mut row = TrustRow::new(identity.clone(), now);
    keep("trust_row", "unknown", &row.encode());
    row.verify(VerifiedVia::Number);
    row.noise_changed = true;
    keep("trust_row", "verified", &row.encode());
    row.fork = Some(Fork { first: identity.signed().clone(), second: identity.signed().clone() });
    row.forked = true;
    keep("trust_row", "forked", &row.encode());
}

fn streams() {
    keep("frames", "three", &[1, 0, 1, 0xaa, 0, 3, 1, 2, 3, 0, 2, 4, 5]);
    keep("frames", "in-pieces", &[3, 0, 5, 1, 2, 3, 4, 5, 0, 1, 7]);
    keep("frames", "empty-one", &[2, 0, 1, 9, 0, 0]);
    keep("frames", "cut-short", &[5, 0, 9, 1, 2]);
    keep("chunks", "two-in-order", &[0, 1, 0, 2, 0, 9, 1, 1, 1, 2, 0, 9]);
    keep("chunks", "mixed", &[0, 1, 1, 3, 1, 0, 0, 2, 0, 1, 0, 4, 0, 1, 0, 3, 1, 0, 0, 1, 2, 3, 0, 1]);
    keep("chunks", "late", &[0, 1, 0, 3, 0, 1, 29, 1, 1, 3, 0, 1, 31, 1, 2, 3, 0, 1]);
    keep("chunks", "large", &[0, 1, 0, 64, 255, 255, 0, 1, 1, 64, 255, 255, 0, 1, 2, 64, 255, 255]);
}

/// A whole connection, as each side sees it.
fn handshakes() {
    let [[a, b], [c, d]] = [INITIATOR, RESPONDER].map(|secrets| secrets.map(Secret::from_bytes));
    let header = OWN_HEADER.to_bytes();
    let (initiator, msg1) = Initiator::start(&NoiseKeys::new(a), b, &header).unwrap();
    let responder = Responder::start(&NoiseKeys::new(c), d, &header).unwrap();
    let (responder, msg2) = responder.read_msg1(&msg1, &header).unwrap();
    let (msg3, mut to_responder) = initiator.read_msg2(&msg2, &header).unwrap().finish(None).unwrap();
    let mut to_initiator = responder.read_msg3(&msg3).unwrap();
    let framed = |message: &[u8]| [&[0, message.len() as u8][..], message].concat();

    let mut seen = [&header[..], &framed(&msg1), &framed(&msg3)].concat();
    keep("handshake", "without-a-message", &seen);
    to_responder.seal(b"a message", &mut seen).unwrap();
    to_responder.seal(b"another", &mut seen).unwrap();
    keep("handshake", "at-the-responder", &seen);
    let mut seen = [&header[..], &framed(&msg2)].concat();
    to_initiator.seal(b"an answer", &mut seen).unwrap();
    keep("handshake", "at-the-initiator", &seen);
}

/// Key lines, headers and the messages before frames, from the vectors.
fn framelinks() {
    for case in vectors::load("framelink", "files.json") {
        if let Some(text) = case.input().opt_str("text") {
            keep("framelink_psk_line", case.id(), text.as_bytes());
        }
    }
    keep("framelink_psk_line", "ours", Psk::from_bytes(framelink::KEY).unwrap().to_line().as_bytes());
    for case in vectors::load("framelink", "header.json") {
        let bytes = case.input().opt_hex("header").or_else(|| case.expect().opt_hex("header"));
        keep("framelink_header", case.id(), &[bytes.unwrap(), vec![0, 0, 0, 9]].concat());
    }
    for (name, length) in [("none", 0), ("one", 64), ("few", 200), ("many", 1111)] {
        let bytes: Vec<u8> = (0..98 + length).map(|number| (number * 7 % 251) as u8).collect();
        keep("framelink_kernel", name, &bytes);
    }
    let counter_ends = [&[1; 32][..], &[0xff; 16], &[0; 16], &[9; 32], &[3, 1], &[5; 300]].concat();
    keep("framelink_kernel", "counter-wraps", &counter_ends);
    for (number, mode) in [Mode::Psk, Mode::Hybrid].into_iter().enumerate() {
        for (align, choice) in [(Align::Block, 0), (Align::Stream, 2)] {
            let mut rng = ChaCha20Rng::from_seed([1; 32]);
            let psk = Psk::from_bytes(framelink::KEY).unwrap();
            let (_, m1) = WaitM2::start(&mut rng, psk.clone(), mode, align).unwrap();
            let bottom = WaitM1 { psks: vec![psk], modes: vec![mode], align };
            let asked = bottom.authenticate(&m1).unwrap();
            let (_, m2) = bottom.answer(&mut rng, &m1, asked).unwrap();
            for (name, message) in [("m1", &m1), ("m2", &m2)] {
                let choice = number as u8 | choice | 4 | (8 * 7);
                keep("framelink_preamble", &format!("{name}-{mode}-{align:?}"), &[&[choice][..], message].concat());
            }
        }
    }
    for reason in 1..=7 {
        keep("framelink_preamble", &format!("reject-{reason}"), &[0, 0x46, 0x4c, 0x4e, 0x4b, 1, 0xff, reason, 0]);
    }
}

/// Frames of every code, and what an application does between them, under several settings.
fn framelink_conversations() {
    let step = |kind: u8, content: &[u8]| [&[kind][..], &(content.len() as u16).to_be_bytes(), content].concat();
    let frame = |code: u8, payload: &[u8]| step(0, &[&[code][..], payload].concat());
    let steps = [
        frame(0, b"hello"),
        step(15, &[0; 100]),
        frame(5, b"ping"),
        frame(3, &[3; 32]),
        frame(1, b"part, "),
        frame(0, b"whole"),
        step(10, b"an answer"),
        step(13, &[0; 7]),
        step(11, b""),
        frame(8, &[0; 40]),
        frame(9, &[0, 0, 1, 0]),
        step(26, &[4; 100]),
        frame(10, b"another code"),
        step(7, &[70]),
        step(15, &[0; 400]),
        step(9, b""),
        frame(0, b"more"),
        frame(4, &[0, 0, 0, 1]),
        step(8, b""),
        step(15, &[0; 400]),
    ];
    for choice in [0, 1, 2, 3, 8, 9, 10, 16, 20, 32, 64, 80, 88, 128] {
        let whole = [vec![choice], steps.concat()].concat();
        keep("framelink_link", &format!("conversation-{choice}"), &whole);
    }
    for (name, last) in [
        ("error", frame(7, b"\0\0\0\x05bye")),
        ("empty", vec![frame(0, b""); 66].concat()),
        ("pings", [step(12, b""), vec![frame(5, b"x"); 18].concat()].concat()),
        ("garbage", step(6, &[9; 60])),
        ("unknown", frame(11, b"")),
        ("finish", [step(10, &[1; 2000]), step(9, b"x"), frame(0, b"late")].concat()),
        ("abort", step(14, b"text")),
        ("timeout", step(7, &[150])),
        ("overdue", vec![frame(0, b"x"); 12].concat()),
    ] {
        keep("framelink_link", name, &[vec![if name == "overdue" { 16 } else { 0 }], last].concat());
    }
    let hello = [&[7; 32][..], &[0, 1, b'T', 2, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 0, 0]].concat();
    keep("framelink_link", "hello", &[vec![128], frame(2, &hello), frame(0, b"hello"), step(15, &[0; 9])].concat());
}

/// Calls with parameters.
const CALLS: [(&str, &str); 4] = [
    ("identity.rename", r#"{"name":"Ada"}"#),
    ("contacts.verify", r#"{"contact":"ada"}"#),
    ("letters.send", r#"{"to":"ada","id":"00000000000000000000000000000001","body":{"kind":"text","text":"hello"}}"#),
    ("letters.history", r#"{"contact":"ada","limit":5}"#),
];

/// What peers send to an account.
fn accounts(contents: &[Vec<u8>]) {
    let key = SigningKey::from_bytes(&SIGNER);
    let messages = [
        Message::FetchPrekeys(FetchPrekeys { target: ContactId::from_bytes([1; 32]) }),
        Message::DeliveryConfirmation(DeliveryConfirmation {
            message_id: 2,
            delivered_to: key.public(),
            timestamp: Wall::from_millis(5),
            signature: key.sign(b"SREMP/1 delivered\0"),
            sender: None,
            seq: None,
        }),
        Message::Error(ErrorMessage::new(ErrorCode::NoSession)),
        Message::DirectMessage(DirectMessage { message_id: 1, encrypted_blob: vec![2; 400].into() }),
    ];
    let messages = messages.map(|message| message.encode());
    for (number, seed) in account::seeds(contents, &messages).unwrap().iter().enumerate() {
        keep("account", &number.to_string(), seed);
    }
}

/// What clients ask of a relay and of a rendezvous server.
fn servers() {
    let (alice, bob) = (Person::of(1).unwrap(), Person::of(2).unwrap());
    let (to, sender) = (bob.identity.key(), alice.identity.key());
    let signature = alice.signing.sign(b"to be signed anew");
    let capabilities = RelayCapabilities { max_message_size: 400, max_storage_duration: 86400 };
    let token = Some(relay::TOKEN.to_vec().into());
    let register = RelayRegister {
        identity: sender,
        auth_signature: signature,
        capabilities,
        mailbox: None,
        push: Some(true),
        token,
    };
    let blob = vec![1u8; 100].into();
    let retrieve =
        RetrieveMessages { identity: sender, auth_signature: signature, since: None, after: Some(1), limit: None };
    let delivered = DeliveryConfirmation::signed(&bob.signing, sender, 7, Wall::from_millis(5));
    let messages = [
        register.clone().into(),
        Message::from(StoreMessage { recipient: to, encrypted_blob: blob, sender_signature: signature, message_id: 7 }),
        StoreMessage {
            recipient: sender,
            encrypted_blob: vec![2; 200].into(),
            sender_signature: signature,
            message_id: 8,
        }
        .into(),
        retrieve.into(),
        delivered.clone().into(),
        DeliveryConfirmation { sender: None, ..delivered }.into(),
        DiscardMessage { sender, message_id: 7 }.into(),
        FetchPrekeys { target: to }.into(),
        RelayRegister { mailbox: Some(false), push: None, token: None, ..register }.into(),
        Ping { nonce: 3 }.into(),
    ];
    for (number, seed) in relay::seeds(&messages).unwrap().iter().enumerate() {
        keep("relay", &number.to_string(), seed);
    }
    let endpoint = Endpoint::new("192.0.2.7", 4433).unwrap();
    let issued = people::NOW;
    let request = |ttl, seq| {
        RegisterRequest::signed(&rendezvous::SERVER, &alice.signing, &alice.identity, &endpoint, ttl, seq, issued)
    };
    let target_identity = Some(sender);
    let lookup = LookupRequest { target_identity, list_all: false, after: None, limit: None };
    let messages = [
        Message::from(request(600, 5)),
        request(0, 6).into(),
        lookup.clone().into(),
        LookupRequest { target_identity: None, list_all: true, after: Some(to), limit: Some(1) }.into(),
        ListServersRequest {}.into(),
        Ping { nonce: 3 }.into(),
    ];
    for (number, seed) in rendezvous::seeds(&messages).unwrap().iter().enumerate() {
        keep("rendezvous", &number.to_string(), seed);
    }
    rendezvous_answers();
}

/// What a rendezvous server may say at any time.
fn rendezvous_answers() {
    let (timestamp, host) = (people::NOW, "rdv.example".to_owned());
    let other = ServerAddress { host, port: 4455, name: Some("Another".into()), spki: Some([6; 32]) };
    let messages = [
        RegisterResponse {
            success: true,
            expires_at: timestamp,
            renewal_interval: 300,
            error_message: None,
            error_code: None,
        }
        .into(),
        LookupResponse { peers: Vec::new(), error_message: None, error_code: Some(33), next: None }.into(),
        ListServersResponse { servers: vec![other], timestamp }.into(),
        ErrorMessage::new(ErrorCode::Rate).retry_after(9).into(),
        Message::Unknown { name: "NEWS".to_owned() },
    ];
    for (number, seed) in rendezvous_client::seeds(&messages).unwrap().iter().enumerate() {
        keep("rendezvous_client", &number.to_string(), seed);
    }
}

/// Servers in the form of their addresses.
fn server_uris() {
    let key = "0b".repeat(32);
    let pin = "spki=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    for (name, text) in [
        ("relay", format!("sremp-relay://relay.example:7310?k={key}")),
        ("relay-pinned", format!("sremp-relay://[2001:db8::1]:7310?k={key}&n={key}&t=00ff")),
        ("relay-address", format!("192.0.2.1:1?k={key}")),
        ("rendezvous", "sremp-rdv://rdv.example:4455".to_owned()),
        ("rendezvous-pinned", format!("sremp-rdv://[2001:db8::5]:1?{pin}")),
    ] {
        keep("server_uri", name, text.as_bytes());
    }
    keep("address", "relay", format!("sremp-relay://relay.example:7310?k={key}").as_bytes());
}

/// A link, and the signed part alone.
fn cards() {
    let key = SigningKey::from_bytes(&node::SIGNER);
    let card = Card {
        contact: key.public(),
        name: "Alice".into(),
        noise_key: [3; 32],
        version: 5,
        issued: Wall::from_millis(6),
        addresses: vec!["sremp://alice.example:7300".parse().unwrap(), "sremp://[2001:db8::1]:1".parse().unwrap()],
    };
    let link = to_link(&card, &key, Some(&InviteToken([9; 16]))).unwrap();
    keep("card", "link", link.as_bytes());
    let bytes = URL_SAFE_NO_PAD.decode(link.strip_prefix("waypost:").unwrap()).unwrap();
    let signed = bytes.len() - 64 - 16;
    keep("card", "signed-part", bytes.get(..signed).unwrap());
}

/// A letter of every kind, and what other clients send.
fn contents() -> Vec<Vec<u8>> {
    let (to, now) = (LetterId::from_bytes([9; 16]), Wall::from_millis(1_790_000_000_000));
    let bodies = [
        Body::Text { text: "hello".into() },
        Body::Reply { to, text: "yes".into() },
        Body::Reaction { to, emoji: "+".into() },
        Body::Edit { to, text: "hullo".into() },
        Body::Delete { to },
        Body::Receipt { receipt: ReceiptKind::Delivered, letters: vec![to; 3] },
        Body::Profile { name: "Ada".into(), card: None },
        Body::File { name: "a.png".into(), size: 7, media_type: "image/png".into(), sha256: "0a".repeat(32) },
        Body::Unknown { name: "poll".into(), bytes: "81a161c3".into() },
    ];
    let mut contents: Vec<Content> = bodies
        .into_iter()
        .map(|body| Content::Letter { letter: Letter { id: to, sent: now, body }, token: Some(InviteToken([3; 16])) })
        .collect();
    contents.push(Content::Text(Text { id: 1, sent: now, text: "hello".into(), reply_to: Some(2), letter: Some(to) }));
    contents.push(Content::Receipt(Receipt { kind: ReceiptKind::Read, message_ids: vec![1, 2] }));
    contents.extend([Content::Null, Content::End]);
    let contents: Vec<Vec<u8>> = contents.iter().map(|content| content.encode().unwrap()).collect();
    for (number, bytes) in contents.iter().enumerate() {
        keep("content", &number.to_string(), bytes);
        keep("padding", &number.to_string(), &probe::pad(bytes).unwrap());
    }
    contents
}

fn vaults() {
    let world = vault::world().unwrap();
    for (number, (sender, id, blob)) in world.blobs.iter().enumerate() {
        keep("sealed_blob", &number.to_string(), &[&[*sender][..], &id.to_be_bytes(), blob].concat());
    }
    let name = |number: usize| number.to_string();
    world.initial_messages.iter().enumerate().for_each(|(number, seed)| keep("initial_message", &name(number), seed));
    world.record_seeds().iter().enumerate().for_each(|(number, seed)| keep("vault_records", &name(number), seed));
    let prekeys = world.prekey_seeds().unwrap();
    prekeys.iter().enumerate().for_each(|(number, seed)| keep("prekeys", &name(number), seed));
}

/// Calls `take` with every text of hexadecimal digits below `value`, as bytes.
fn each_bytes(value: &Value, take: &mut impl FnMut(&[u8])) {
    each_text(value, &mut |text| {
        if let Some(bytes) = bytes_of(text) {
            take(&bytes);
        }
    });
}

fn each_text(value: &Value, take: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => take(text),
        Value::Array(values) => values.iter().for_each(|value| each_text(value, take)),
        Value::Object(values) => values.values().for_each(|value| each_text(value, take)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn bytes_of(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()).collect()
}
