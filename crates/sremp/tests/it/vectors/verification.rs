//! `verification.json`: numbers and texts people compare, scan and pass on.

use super::code;
use waypost_core::ContactId;
use waypost_sremp::{
    Invitation,
    invitation::InvitedRelay,
    verification::{VerificationCode, VerificationNumber},
    x25519::PublicKey,
};
use waypost_testkit::vectors::{self, Case, Outcome};

/// SR-3.1.6, SR-3.2c, SR-6a
#[test]
fn numbers_and_texts_are_as_stated() {
    for case in vectors::load("sremp", "verification.json") {
        let input = case.input();
        if input.has("a") {
            number(&case);
        } else if input.has("peer") {
            code_text(&case);
        } else if input.has("identity_key") {
            invitation(&case);
        } else if input.has("text") {
            text(&case);
        } else {
            case.unknown_shape();
        }
    }
}

fn number(case: &Case) {
    let input = case.input();
    input.only(&["a", "b"]);
    let [a, b] = ["a", "b"].map(|name| ContactId::from_bytes(input.array(name)));
    let expect = case.expect();
    expect.only(&["number", "number_swapped"]);
    assert_eq!(VerificationNumber::new(&a, &b).digits(), expect.str("number"), "{case}");
    if let Some(swapped) = expect.opt_str("number_swapped") {
        assert_eq!(VerificationNumber::new(&b, &a).digits(), swapped, "{case}");
    }
}

fn code_text(case: &Case) {
    let input = case.input();
    input.only(&["own", "peer"]);
    let [own, peer] = ["own", "peer"].map(|name| ContactId::from_bytes(input.array(name)));
    let code = VerificationCode { own, peer };
    let text = case.expect().only(&["text"]).str("text").to_owned();
    assert_eq!(code.to_string(), text, "{case}");
    assert_eq!(text.parse(), Ok(code), "{case}");
    assert!(code.proves(&own, &peer), "{case}");
}

fn invitation(case: &Case) {
    let input = case.input();
    input.only(&["identity_key", "noise_key", "endpoints", "relays"]);
    let endpoints = input.opt_list("endpoints").unwrap_or_default();
    let relays = input.opt_list("relays").unwrap_or_default();
    let relays = relays.iter().map(|relay| {
        relay.only(&["endpoint", "relay_identity"]);
        InvitedRelay {
            endpoint: relay.str("endpoint").parse().unwrap(),
            identity: ContactId::from_bytes(relay.array("relay_identity")),
        }
    });
    let invitation = Invitation {
        identity: ContactId::from_bytes(input.array("identity_key")),
        noise_key: PublicKey(input.array("noise_key")),
        endpoints: endpoints.iter().map(|endpoint| endpoint.str("").parse().unwrap()).collect(),
        relays: relays.collect(),
    };
    let text = case.expect().only(&["text"]).str("text").to_owned();
    assert_eq!(invitation.to_string(), text, "{case}");
    assert_eq!(Invitation::parse(&text), Ok(invitation), "{case}");
}

/// A text that is to be read: it is refused, or it is an invitation that is written the same way.
fn text(case: &Case) {
    let text = case.input().only(&["text"]).str("text").to_owned();
    let read = code(Invitation::parse(&text));
    match case.outcome() {
        Outcome::Error(error) => assert_eq!(read.unwrap_err(), error, "{case}"),
        Outcome::Expect(expect) => {
            assert_eq!(read.unwrap().to_string(), expect.only(&["text"]).str("text"), "{case}");
        }
    }
}
