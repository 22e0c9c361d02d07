//! Writes the seeds of every target into `fuzz/corpus`, from the test vectors and our own encoders.
//!
//! Inputs that the fuzzer found stay where they are: only files of the same name are written anew.

#![expect(clippy::unwrap_used, reason = "a tool of the workshop stops where it fails")]

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};
use waypost_core::Wall;
use waypost_fuzz_targets::{
    keyring::{PASSPHRASE, PURPOSE},
    sremp::SIGNER,
};
use waypost_keyring::{KdfCost, Keyring, Passphrase, sealed};
use waypost_sremp::{Message, ed25519::SigningKey};
use waypost_testkit::vectors;

/// Larger inputs slow the fuzzer down and teach it nothing that a smaller one does not.
const LARGEST: usize = 4096;

fn main() {
    addresses();
    messages();
    identities();
    keyrings();
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

/// Calls `take` with every text of hexadecimal digits below `value`, as bytes.
fn each_bytes(value: &Value, take: &mut impl FnMut(&[u8])) {
    match value {
        Value::String(text) => {
            if let Some(bytes) = bytes_of(text) {
                take(&bytes);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| each_bytes(value, take)),
        Value::Object(values) => values.values().for_each(|value| each_bytes(value, take)),
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
