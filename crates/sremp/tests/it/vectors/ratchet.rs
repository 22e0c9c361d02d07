//! `ratchet.json`: conversations step by step, padding and key derivation.

use super::assert_error;
use crate::fixed_rng::FixedRng;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use waypost_core::Wall;
use waypost_sremp::{Ratchet, RatchetStart, probe, x25519::Secret};
use waypost_testkit::vectors::{Case, Outcome, Part, load};

/// SR-5b SR-5c SR-5d SR-5i
#[test]
fn ratchet() {
    for case in load("sremp", "ratchet.json") {
        let input = case.input();
        if input.has("steps") {
            conversation(&case);
        } else if input.has("op") {
            match input.str("op") {
                "pad" => pad(&case),
                "unpad" => unpad(&case),
                _ => case.unknown_shape(),
            }
        } else if input.has("root_key") {
            let [root, chain, next] =
                probe::root_step(input.only(&["root_key", "dh"]).array("root_key"), input.array("dh"));
            let expect = case.expect();
            expect.only(&["root_key", "chain_key", "next_header_key"]);
            let expected = ["root_key", "chain_key", "next_header_key"].map(|name| expect.array::<32>(name));
            assert_eq!([root, chain, next], expected, "{}", case.id());
        } else if input.has("chain_key") {
            let expect = case.expect();
            expect.only(&["next_chain_key", "message_key"]);
            let keys = probe::chain_step(input.only(&["chain_key"]).array("chain_key"));
            assert_eq!(keys, [expect.array("next_chain_key"), expect.array("message_key")], "{}", case.id());
        } else if input.has("message_key") {
            let expect = case.expect();
            expect.only(&["key", "nonce"]);
            let expanded = probe::expand(input.only(&["message_key"]).array("message_key"));
            assert_eq!(expanded[..], [expect.hex("key"), expect.hex("nonce")].concat(), "{}", case.id());
        } else {
            case.unknown_shape();
        }
    }
}

/// What `content` or `content_repeat` says.
fn content(part: &Part<'_>) -> Vec<u8> {
    match part.opt("content_repeat") {
        Some(repeat) => {
            repeat.only(&["byte", "count"]);
            vec![u8::try_from(repeat.u64("byte")).expect("a byte"); usize::try_from(repeat.u64("count")).unwrap()]
        }
        None => part.hex("content"),
    }
}

fn pad(case: &Case) {
    let input = case.input();
    input.only(&["op", "content", "content_repeat"]);
    let padded = probe::pad(&content(&input));
    match case.outcome() {
        Outcome::Error(error) => assert_error(padded, error, case.id()),
        Outcome::Expect(expect) => {
            expect.only(&["length", "sha256"]);
            let padded = padded.unwrap_or_else(|error| panic!("{}: {error}", case.id()));
            assert_eq!(padded.len() as u64, expect.u64("length"), "{}", case.id());
            assert_eq!(Sha256::digest(&padded)[..], expect.hex("sha256"), "{}", case.id());
        }
    }
}

fn unpad(case: &Case) {
    let input = case.input();
    input.only(&["op", "padded"]);
    let content = probe::unpad(&input.hex("padded"));
    match case.outcome() {
        Outcome::Error(error) => assert_error(content, error, case.id()),
        Outcome::Expect(expect) => {
            let content = content.unwrap_or_else(|error| panic!("{}: {error}", case.id()));
            assert_eq!(content, expect.only(&["content"]).hex("content"), "{}", case.id());
        }
    }
}

struct Side {
    ratchet: Ratchet,
    rng: FixedRng,
}

fn conversation(case: &Case) {
    let input = case.input();
    input.only(&["sk", "hka", "nhkb", "ad", "spk_secret", "ratchet_secrets_a", "ratchet_secrets_b", "steps"]);
    let start = RatchetStart {
        sk: input.array("sk"),
        hka: input.array("hka"),
        nhkb: input.array("nhkb"),
        ad: input.array("ad"),
    };
    let secrets = |name| input.list(name).iter().map(|secret| secret.hex("")).collect::<Vec<_>>();
    let mut of_a = secrets("ratchet_secrets_a");
    let first = Secret::from_bytes(of_a.remove(0).try_into().expect("32 bytes"));
    let spk = Secret::from_bytes(input.array("spk_secret"));
    let a = Ratchet::initiator(&start, first, spk.public()).expect("the keys are good");
    let b = Ratchet::responder(&start, spk);
    let mut a = Side { ratchet: a, rng: FixedRng::new(of_a) };
    let mut b = Side { ratchet: b, rng: FixedRng::new(secrets("ratchet_secrets_b")) };

    let steps = input.list("steps");
    let results = case.expect().only(&["steps"]).list("steps");
    assert_eq!(steps.len(), results.len(), "{}: steps and results", case.id());
    let mut sent = BTreeMap::new();
    for (index, (step, result)) in steps.iter().zip(&results).enumerate() {
        let place = format!("{}, step {index}", case.id());
        result.only(&["name", "lost", "encrypted_blob", "header_nonce", "content", "error", "state", "skipped_keys"]);
        let who = step.opt_str("by").or_else(|| step.opt_str("to")).unwrap_or_else(|| step.unknown_shape());
        let side = match who {
            "A" => &mut a,
            "B" => &mut b,
            _ => step.unknown_shape(),
        };
        match step.str("op") {
            "send" => send(step, result, side, &mut sent, &place),
            "send_lost" => send_lost(step, result, side, &place),
            "receive" => receive(step, result, side, &sent, &place),
            _ => step.unknown_shape(),
        }
        assert_eq!(probe::skipped_keys(&side.ratchet) as u64, result.u64("skipped_keys"), "{place}");
        assert_state(&side.ratchet, &result.at("state"), &place);
        side.ratchet = probe::through_bytes(&side.ratchet).expect("a state reads back");
    }
}

fn send(step: &Part<'_>, result: &Part<'_>, side: &mut Side, sent: &mut BTreeMap<String, Vec<u8>>, place: &str) {
    step.only(&["op", "by", "name", "message_id", "content", "content_repeat"]);
    assert_eq!(result.str("name"), step.str("name"), "{place}");
    if let Some(nonce) = result.opt_hex("header_nonce") {
        side.rng.push_front(nonce);
    }
    let blob = side.ratchet.encrypt(step.u64("message_id"), &content(step), &mut side.rng);
    if let Some(error) = result.opt_str("error") {
        return assert_error(blob, error, place);
    }
    let blob = blob.unwrap_or_else(|error| panic!("{place}: {error}"));
    assert_eq!(hex::encode(&blob), result.str("encrypted_blob"), "{place}");
    sent.insert(step.str("name").to_owned(), blob);
}

fn send_lost(step: &Part<'_>, result: &Part<'_>, side: &mut Side, place: &str) {
    step.only(&["op", "by", "count", "first_message_id", "content", "content_repeat"]);
    assert_eq!(result.u64("lost"), step.u64("count"), "{place}");
    for message_id in (step.u64("first_message_id")..).take(usize::try_from(step.u64("count")).unwrap()) {
        side.rng.push_front(vec![0; 24]);
        side.ratchet.encrypt(message_id, &content(step), &mut side.rng).expect("it can send");
    }
}

fn receive(step: &Part<'_>, result: &Part<'_>, side: &mut Side, sent: &BTreeMap<String, Vec<u8>>, place: &str) {
    step.only(&["op", "to", "name", "message_id", "encrypted_blob"]);
    assert_eq!(result.str("name"), step.str("name"), "{place}");
    let blob = step.opt_hex("encrypted_blob").unwrap_or_else(|| sent[step.str("name")].clone());
    let draws = side.rng.left();
    let content = side.ratchet.decrypt(Wall::default(), step.u64("message_id"), &blob, &mut side.rng);
    if let Some(error) = result.opt_str("error") {
        assert_eq!(side.rng.left(), draws, "{place}: a failed step used randomness");
        return assert_error(content, error, place);
    }
    let content = content.unwrap_or_else(|error| panic!("{place}: {error}"));
    assert_eq!(hex::encode(content), result.str("content"), "{place}");
}

fn assert_state(ratchet: &Ratchet, expected: &Part<'_>, place: &str) {
    let values = probe::ratchet_values(ratchet);
    let names: BTreeSet<_> = values.iter().map(|(name, _)| *name).collect();
    let wanted: BTreeSet<_> = expected.entries("").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, wanted, "{place}: values of the state");
    for (name, value) in values {
        match name {
            "ns" | "nr" | "pn" => {
                let number = u32::from_be_bytes(value.try_into().expect("four bytes"));
                assert_eq!(u64::from(number), expected.u64(name), "{place}: {name}");
            }
            _ => assert_eq!(hex::encode(value), expected.str(name), "{place}: {name}"),
        }
    }
}
