//! `pqxdh.json`: the start of sessions with every value on the way, refusals, the order of sessions.

use super::assert_error;
use crate::fixed_rng::FixedRng;
use rand::{SeedableRng, rngs::StdRng};
use std::collections::BTreeSet;
use waypost_core::{Batch, ContactId, MemoryRecords, Wall};
use waypost_sremp::{
    Identity, KemSeed, Message, SessionId, SessionRank, SignedIdentity, Vault,
    ed25519::{Signature, SigningKey},
    message::{Prekeys, SignedBundle, SignedOneTime},
    probe, session, trust,
    vault::{Arrival, Own},
    x25519::Secret,
};
use waypost_testkit::vectors::{Case, Outcome, Part, load};

/// SR-5e SR-5f SR-5g SR-5h
#[test]
fn pqxdh() {
    let cases = load("sremp", "pqxdh.json");
    for case in &cases {
        let input = case.input();
        if input.has("random") {
            start(case);
        } else if input.has("blobs") {
            receive(case, &cases);
        } else if input.has("prekeys") {
            prekeys(case, &cases);
        } else if input.has("sessions") {
            order(case);
        } else {
            case.unknown_shape();
        }
    }
}

struct Person {
    identity: Identity,
    signing: SigningKey,
    dr_secret: Secret,
}

impl Person {
    fn of(part: &Part<'_>) -> Self {
        let signing = SigningKey::from_bytes(&part.array("identity_secret"));
        let identity = identity(&part.at("identity")).verify().expect("a good identity");
        assert_eq!(identity.key(), signing.public());
        assert_eq!(identity.noise_key(), Secret::from_bytes(part.array("noise_secret")).public());
        Self { identity, signing, dr_secret: Secret::from_bytes(part.array("dr_secret")) }
    }

    fn own(&self) -> Own<'_> {
        Own { identity: &self.identity, signing: &self.signing, dr_secret: &self.dr_secret }
    }
}

fn identity(part: &Part<'_>) -> SignedIdentity {
    part.only(&["verified", "signature"]);
    SignedIdentity { verified: part.hex("verified").into(), signature: Signature(part.array("signature")) }
}

fn signed_bundle(part: &Part<'_>) -> SignedBundle {
    part.only(&["bundle", "signature"]);
    SignedBundle { bundle: part.hex("bundle").into(), signature: Signature(part.array("signature")) }
}

fn signed_item(part: &Part<'_>) -> SignedOneTime {
    part.only(&["item", "signature"]);
    SignedOneTime { item: part.hex("item").into(), signature: Signature(part.array("signature")) }
}

fn kem(part: &Part<'_>) -> KemSeed {
    part.only(&["seed", "ek", "dk"]);
    let seed = KemSeed::from_bytes(part.array("seed"));
    assert_eq!(hex::encode(seed.public().as_bytes()), part.str("ek"));
    assert_eq!(hex::encode(probe::expanded_kem(&seed)), part.str("dk"));
    seed
}

fn now(input: &Part<'_>) -> Wall {
    Wall::from_millis(input.u64("now"))
}

/// The person a case names, itself or "as in case NAME".
fn person<'a>(input: &Part<'a>, who: &str, cases: &'a [Case]) -> Part<'a> {
    let part = input.at(who);
    let Some(text) = part.value().as_str() else { return part };
    let name = text.strip_prefix("as in case ").unwrap_or_else(|| part.unknown_shape());
    let other = cases.iter().find(|case| case.id() == name).unwrap_or_else(|| part.unknown_shape());
    other.input().at(who)
}

const BOB: [&str; 10] = [
    "identity_secret",
    "noise_secret",
    "dr_secret",
    "identity",
    "spk_id",
    "spk_secret",
    "lr_kem_id",
    "lr_kem",
    "bundle",
    "one_time",
];

/// Fills an empty vault with B's prekeys.
fn install(bob: &Part<'_>, batch: &mut Batch<'_, MemoryRecords>) -> Person {
    let person = Person::of(bob.only(&BOB));
    let spk = Secret::from_bytes(bob.array("spk_secret"));
    let bundle = signed_bundle(&bob.at("bundle"));
    probe::put_bundle(batch, &bundle, &spk, &kem(&bob.at("lr_kem")), &person.dr_secret).expect("a good bundle");
    for item in bob.list("one_time") {
        item.only(&["id", "opk_secret", "kem", "signed"]);
        let id = u32::try_from(item.u64("id")).expect("a u32");
        let opk = Secret::from_bytes(item.array("opk_secret"));
        let signed = signed_item(&item.at("signed"));
        probe::put_one_time(batch, id, &signed, &opk, &kem(&item.at("kem")), Wall::from_millis(u64::MAX >> 11));
    }
    person
}

fn start(case: &Case) {
    let input = case.input();
    input.only(&["alice", "bob", "now", "random", "one_time_id"]);
    let alice = Person::of(&input.at("alice"));
    let bob = input.at("bob");
    let records = MemoryRecords::default();
    let mut batch = Batch::new(&records);
    let bob_person = install(&bob, &mut batch);
    let one_time = input.opt_u64("one_time_id").map(|id| {
        let item = bob.list("one_time").into_iter().find(|item| item.u64("id") == id).expect("an item of this id");
        signed_item(&item.at("signed"))
    });
    let message = Prekeys {
        target: bob_person.identity.key(),
        identity: Some(bob_person.identity.signed().clone()),
        bundle: signed_bundle(&bob.at("bundle")),
        one_time,
    };
    let verified = Vault::default()
        .check_prekeys(&mut batch, bob_person.identity.key(), None, &message, now(&input))
        .expect("good prekeys");

    let random = input.at("random");
    let drawn = ["e_secret", "kem_m", "ratchet_secret", "header_nonce", "seal_secret"];
    random.only(&[&drawn[..], &["epoch", "message_id", "content"]].concat());
    let rng = || FixedRng::new(drawn.map(|name| random.hex(name)));
    let first = (random.u64("epoch"), random.u64("message_id"), &random.hex("content")[..]);
    let mut values =
        probe::start_values(&alice.identity, &alice.dr_secret, &verified, first, &mut rng()).expect("it starts");
    let s = Secret::from_bytes(random.array("seal_secret"));
    let spk = Secret::from_bytes(bob.array("spk_secret"));
    values.push(("seal_key", probe::seal_key_of(&s, &spk).expect("good keys").to_vec()));
    let expect = case.expect();
    let names: BTreeSet<_> = values.iter().map(|(name, _)| *name).collect();
    let wanted: BTreeSet<_> = expect.entries("").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, wanted, "{}", case.id());
    for (name, value) in values {
        assert_eq!(hex::encode(value), expect.str(name), "{}: {name}", case.id());
    }

    // The same through the vault, if the case's epoch is the one a fresh A takes.
    if first.0 == now(&input).as_secs() {
        let vault = Vault::default();
        let mut rng = rng();
        let id = vault.start_session(&mut batch, alice.own(), &verified, now(&input), &mut rng).expect("it starts");
        assert_eq!(hex::encode(id.0), expect.str("session_id"), "{}", case.id());
        let sealed = vault
            .seal(&mut batch, bob_person.identity.key(), first.1, first.2, now(&input), &mut rng)
            .expect("it seals");
        assert_eq!(hex::encode(sealed.blob), expect.str("encrypted_blob"), "{}", case.id());
    }
}

fn receive(case: &Case, cases: &[Case]) {
    let input = case.input();
    input.only(&["bob", "sender", "message_id", "now", "blobs"]);
    let mut records = MemoryRecords::default();
    let mut batch = Batch::new(&records);
    let bob = install(&person(&input, "bob", cases), &mut batch);
    let changes = batch.into_changes();
    records.apply(changes);
    let issued: BTreeSet<u64> = probe::one_time_ids(&records).unwrap().into_iter().map(u64::from).collect();

    let mut rng = StdRng::seed_from_u64(1);
    let blobs = input.list("blobs");
    let mut contents = Vec::new();
    for (index, blob) in blobs.iter().enumerate() {
        let place = format!("{}, blob {index}", case.id());
        let mut batch = Batch::new(&records);
        let arrival = Arrival {
            peer: ContactId::from_bytes(input.array("sender")),
            message_id: input.u64("message_id"),
            blob: &blob.hex(""),
            may_start: true,
        };
        let opened = Vault::default().open(&mut batch, bob.own(), arrival, now(&input), &mut rng);
        match case.error() {
            Some(error) if index + 1 == blobs.len() => {
                assert!(batch.is_empty(), "{place}: a failure changed something");
                return assert_error(opened, error, &place);
            }
            _ => {
                let opened = opened.unwrap_or_else(|error| panic!("{place}: {error}"));
                contents.push(hex::encode(opened.content));
                let changes = batch.into_changes();
                records.apply(changes);
            }
        }
    }
    let expect = case.expect();
    expect.only(&["contents", "one_time_left"]);
    let wanted: Vec<_> = expect.list("contents").iter().map(|content| content.str("").to_owned()).collect();
    assert_eq!(contents, wanted, "{}", case.id());
    // The reference's B holds further items that no case describes.
    let left: BTreeSet<u64> = expect.list("one_time_left").iter().map(|id| id.u64("")).collect();
    let ours: BTreeSet<u64> = probe::one_time_ids(&records).unwrap().into_iter().map(u64::from).collect();
    assert_eq!(ours, &issued & &left, "{}: one-time items left", case.id());
}

fn prekeys(case: &Case, cases: &[Case]) {
    let input = case.input();
    input.only(&["alice", "now", "known_identities", "prekeys"]);
    let alice = Person::of(&person(&input, "alice", cases));
    let records = MemoryRecords::default();
    let mut batch = Batch::new(&records);
    for known in input.list("known_identities") {
        let known = identity(&known).verify().expect("a good identity");
        trust::book::take(&mut batch, &known, now(&input), false).unwrap().accepted().expect("nobody else is known");
    }
    // Whom A asked for: the owner of the bundle that "as in case" means.
    let bob = person(&cases.iter().find(|case| case.input().has("bob")).expect("a case with B").input(), "bob", cases);
    let asked_for = Person::of(&bob).identity.key();
    let vault = Vault::default();
    let outcome = match Message::decode(&input.hex("prekeys")) {
        Ok(Message::Prekeys(message)) => {
            vault.check_prekeys(&mut batch, asked_for, None, &message, now(&input)).and_then(|verified| {
                vault.start_session(&mut batch, alice.own(), &verified, now(&input), &mut StdRng::seed_from_u64(1))
            })
        }
        Ok(_) => case.unknown_shape(),
        Err(error) => Err(error),
    };
    match case.outcome() {
        Outcome::Error(error) => assert_error(outcome, error, case.id()),
        Outcome::Expect(expect) => {
            expect.only(&["accepted"]);
            assert_eq!(outcome.is_ok(), expect.bool("accepted"), "{}: {outcome:?}", case.id());
        }
    }
}

fn order(case: &Case) {
    let input = case.input();
    input.only(&["sessions"]);
    let rank = |session: &Part<'_>| {
        session.only(&["epoch", "session_id"]);
        SessionRank::new(session.u64("epoch"), SessionId(session.array("session_id")))
    };
    let mut ranks: Vec<_> = input.list("sessions").iter().map(rank).collect();
    session::order(&mut ranks);
    let kept: Vec<_> = ranks.iter().map(|rank| rank.id()).collect();
    let expect = case.expect();
    expect.only(&["active", "kept"]);
    let wanted: Vec<_> = expect.list("kept").iter().map(|id| SessionId(id.array(""))).collect();
    assert_eq!(kept, wanted, "{}", case.id());
    assert_eq!(kept[0], SessionId(expect.array("active")), "{}", case.id());
}
