//! `jwt.json`: signed tokens, read and made.

use super::{cryptos, in_order};
use rand::{SeedableRng, rngs::StdRng};
use waypost_proofpeer::{Crypto, Drop, Identity, Token};
use waypost_testkit::vectors::{self, Case, Outcome};

/// PP-4.3b, PP-4.3c, PP-5.1b, PP-7.1a
#[test]
fn tokens_are_read_and_made_as_stated() {
    for crypto in cryptos() {
        for case in vectors::load("proofpeer", "jwt.json") {
            if case.has("input.token") { read(&case, crypto) } else { make(&case, crypto) }
        }
    }
}

fn read(case: &Case, crypto: Crypto) {
    case.input().only(&["token", "t"]);
    let judge = || -> Result<Token, Drop> {
        let token = Token::read(case.str("input.token"), case.u64("input.t"))?;
        token.check_alg()?;
        token.verify(crypto)?;
        Ok(token)
    };
    match (case.outcome(), judge()) {
        (Outcome::Error(name), Err(drop)) => assert_eq!(drop.name(), name, "{case}"),
        (Outcome::Expect(expect), Ok(token)) => {
            expect.only(&["type", "fingerprint", "timestamp", "data", "has_pp"]);
            let kind = if token.key().key.is_ed25519() { "ed25519" } else { "rsa" };
            assert_eq!(kind, expect.str("type"), "{case}");
            assert_eq!(token.key().key.fingerprint().to_string(), expect.str("fingerprint"), "{case}");
            assert_eq!(token.timestamp(), expect.u64("timestamp"), "{case}");
            assert_eq!(token.pp().is_some(), expect.bool("has_pp"), "{case}");
            let data = expect.opt("data").map_or(serde_json::Value::Null, |data| data.value().clone());
            assert_eq!(serde_json::Value::from(token.data()), data, "{case}");
        }
        (outcome, read) => panic!("{case}: {read:?}, not {outcome:?}"),
    }
}

fn make(case: &Case, crypto: Crypto) {
    case.input().only(&["private_pkcs8", "timestamp", "data"]);
    let identity = Identity::from_pkcs8(&case.hex("input.private_pkcs8"), crypto).unwrap();
    let data = in_order("jwt.json", case.id(), "input.data").to_string();
    let mut rng = StdRng::seed_from_u64(1);
    let token = identity.sign(&mut rng, case.u64("input.timestamp"), &data, None, false).unwrap();
    assert_eq!(token, case.expect().str("token"), "{case}");
}
