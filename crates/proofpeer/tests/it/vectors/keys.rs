//! `murmur3.json`, `keys.json`: names and keys.

use waypost_proofpeer::{AppId, CarriedKey, ChannelName, murmur3};
use waypost_testkit::vectors::{self, Outcome};

/// PP-3.1b, PP-3.2, PP-4.1a, PP-5.1f, PP-A1
#[test]
fn names_are_hashed_as_stated() {
    for case in vectors::load("proofpeer", "murmur3.json") {
        let (input, expect) = (case.input(), case.expect());
        if input.has("hex") {
            input.only(&["hex", "text"]);
            expect.only(&["hash", "seed_says"]);
            let bytes = input.hex("hex");
            assert_eq!(u64::from(murmur3(&bytes)), expect.u64("hash"), "{case}");
            assert_ne!(Some(u64::from(murmur3(&bytes))), expect.opt_u64("seed_says"), "{case}");
            if let Some(text) = input.opt_str("text") {
                assert_eq!(text.as_bytes(), bytes, "{case}");
            }
            continue;
        }
        let app = AppId::new(input.str("app")).unwrap();
        let topic = match (input.opt_str("channel"), input.opt_str("pubkey")) {
            (Some(channel), None) => app.channel(ChannelName::new(channel).unwrap().hash()),
            (None, Some(pubkey)) => app.inbox(CarriedKey::decode(pubkey).unwrap().uid),
            _ => case.unknown_shape(),
        };
        assert_eq!(topic.to_string(), expect.str("topic"), "{case}");
    }
}

/// PP-3.1a, PP-3.1b, PP-5.1a, PP-A2
#[test]
fn public_keys_are_read_as_stated() {
    for case in vectors::load("proofpeer", "keys.json") {
        case.input().only(&["pubkey"]);
        match (case.outcome(), CarriedKey::decode(case.str("input.pubkey"))) {
            (Outcome::Error(name), Err(drop)) => assert_eq!(drop.name(), name, "{case}"),
            (Outcome::Expect(expect), Ok(carried)) => {
                expect.only(&["type", "spki", "uid", "fingerprint"]);
                let kind = if carried.key.is_ed25519() { "ed25519" } else { "rsa" };
                assert_eq!(kind, expect.str("type"), "{case}");
                assert_eq!(carried.key.spki(), expect.hex("spki"), "{case}");
                assert_eq!(u64::from(carried.uid), expect.u64("uid"), "{case}");
                assert_eq!(carried.key.fingerprint().to_string(), expect.str("fingerprint"), "{case}");
            }
            (outcome, read) => panic!("{case}: {read:?}, not {outcome:?}"),
        }
    }
}
