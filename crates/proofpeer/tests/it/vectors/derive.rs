//! `derive.json` and the wrapped keys of `handshake.json`.

use super::cryptos;
use rand::{SeedableRng, rngs::StdRng};
use waypost_codec::base64;
use waypost_proofpeer::{AppId, CarriedKey, Identity, Kind, Topic, probe};
use waypost_testkit::vectors::{self, Case, Outcome, Part};

/// PP-X4, PP-X5
#[test]
fn session_keys_are_derived_as_stated() {
    for case in vectors::load("proofpeer", "derive.json") {
        let input = case.input();
        if input.has("k0") {
            keys(&case);
        } else if input.has("topic") {
            let topic = topic(input.str("topic"));
            let sender = u32::try_from(input.u64("sender_id")).unwrap();
            let aad = probe::message_aad(topic, input.u64("t"), input.bool("r"), sender, input.str("sid"));
            assert_eq!(hex::encode(aad), case.expect().str("aad"), "{case}");
        } else {
            let exchanged = probe::exchange(input.array("secret"), &input.array("public"));
            assert_eq!(exchanged.map_err(waypost_proofpeer::Drop::name), Err(case.error().unwrap()), "{case}");
        }
    }
}

fn keys(case: &Case) {
    let (input, expect) = (case.input(), case.expect());
    let caps = |name: &str| input.at(name).list("").iter().map(|cap| cap.str("").to_owned()).collect::<Vec<_>>();
    let secrets = probe::Secrets {
        sid: input.str("sid").to_owned(),
        initiator: input.hex("initiator_spki"),
        responder: input.hex("responder_spki"),
        aes_key: input.hex("aes_key"),
        k0: input.array("k0"),
        initiator_caps: caps("caps_initiator"),
        responder_caps: caps("caps_responder"),
        initiator_secret: input.opt_array("initiator_esk"),
        responder_secret: input.opt_array("responder_esk"),
    };
    for crypto in cryptos() {
        let derived = probe::derive(crypto, &secrets, input.array("x_nonce")).unwrap();
        expect.only(&["epk_initiator", "epk_responder", "dh", "th", "kx", "th2", "i2r", "r2i", "x_d"]);
        // What is not there is empty.
        let shown = |value: Option<[u8; 32]>| value.map(hex::encode).unwrap_or_default();
        assert_eq!(shown(derived.epk_initiator), expect.opt_str("epk_initiator").unwrap_or_default(), "{case}");
        assert_eq!(shown(derived.epk_responder), expect.opt_str("epk_responder").unwrap_or_default(), "{case}");
        assert_eq!(shown(derived.dh), expect.opt_str("dh").unwrap_or_default(), "{case}");
        for (name, value) in
            [("th", derived.th), ("kx", derived.kx), ("th2", derived.th2), ("i2r", derived.i2r), ("r2i", derived.r2i)]
        {
            assert_eq!(hex::encode(value), expect.str(name), "{case}: {name}");
        }
        assert_eq!(base64::encode(&derived.x_d), expect.str("x_d"), "{case}");
    }
}

/// PP-5.1c, PP-5.1d: keys wrapped to both types of key.
#[test]
fn keys_are_wrapped_as_stated() {
    let mut rng = StdRng::seed_from_u64(1);
    for case in vectors::load("proofpeer", "handshake.json") {
        let input = case.input();
        if input.has("recipient_pkcs8") {
            for crypto in cryptos() {
                let identity = Identity::from_pkcs8(&input.hex("recipient_pkcs8"), crypto).unwrap();
                let wrapped = base64::decode_any(input.str("aes_key")).unwrap();
                match (case.outcome(), probe::unwrap(&identity, &mut rng, &wrapped)) {
                    (Outcome::Error(name), Err(drop)) => assert_eq!(drop.name(), name, "{case}"),
                    (Outcome::Expect(expect), Ok(k0)) => assert_eq!(hex::encode(k0), expect.str("k0"), "{case}"),
                    (outcome, unwrapped) => panic!("{case}: {unwrapped:?}, not {outcome:?}"),
                }
            }
        } else if input.has("ephemeral_secret") {
            let recipient = CarriedKey::decode(input.str("recipient_pubkey")).unwrap().key;
            let sealed = probe::seal_key(&input.array("ephemeral_secret"), &recipient, &input.array("k0"));
            let (aes_key, x25519) = sealed.unwrap();
            assert_eq!(base64::encode(&aes_key), case.expect().str("aes_key"), "{case}");
            assert_eq!(hex::encode(x25519), case.expect().str("recipient_x25519"), "{case}");
        } else if input.has("ed25519_seed") {
            let (key, x25519) = probe::ed25519_of_seed(&input.array("ed25519_seed")).unwrap();
            let expect = case.expect();
            assert_eq!(key.to_text(), expect.str("pubkey"), "{case}");
            assert_eq!(u64::from(key.uid()), expect.u64("uid"), "{case}");
            assert_eq!(hex::encode(x25519), expect.str("x25519_public"), "{case}");
        } else {
            assert!(input.has("events"), "{case}");
        }
    }
}

/// Reads a topic as it is written; the application is looked up by hash only in tests.
pub(super) fn topic(text: &str) -> Topic {
    let mut parts = text.split('/').skip(1);
    let (_, kind, last) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let last = last.parse().unwrap();
    let names = ["com.example.chat", "com.example.app", "com.other.app"];
    let app = names.iter().map(|name| AppId::new(name).unwrap());
    let mut topics = app.map(|app| if kind == "c" { app.channel(last) } else { app.inbox(last) });
    let found = topics.find(|topic| topic.to_string() == text);
    let found = found.unwrap_or_else(|| panic!("{text} is of an unknown application, after {}", parts.count()));
    assert!(matches!(found.kind(), Kind::Channel(_) | Kind::Inbox(_)));
    found
}

pub(super) fn key(part: &Part<'_>, name: &str) -> waypost_proofpeer::PublicKey {
    probe::from_spki(&part.hex(name)).unwrap()
}
