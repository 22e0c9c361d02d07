//! SR-3.1a to SR-3.1.5c

use super::code;
use waypost_core::{Batch, MemoryRecords, Wall};
use waypost_sremp::{
    Identity, SignedIdentity,
    ed25519::Signature,
    identity::RelayRef,
    msgpack::Blob,
    trust::{Offer, book},
};
use waypost_testkit::vectors::{self, Case, Outcome, Part};

/// SR-3.1b, SR-3.1.1, SR-3.1.2a, SR-3.1.2b, SR-3.1.4a, SR-3.1.4b, SR-3.1.5a
#[test]
fn identities_are_judged_as_stated() {
    for case in vectors::load("sremp", "identity.json") {
        if case.has("input.offers") {
            offers(&case);
            continue;
        }
        let read = code(signed(&case.input()).verify());
        match case.outcome() {
            Outcome::Error(error) => assert_eq!(read.err(), Some(error), "{case}"),
            Outcome::Expect(expect) => {
                let identity = read.unwrap_or_else(|error| panic!("{case}: {error}"));
                assert_says(&identity, &expect);
            }
        }
    }
}

/// SR-3.1a, SR-3.1.4b, SR-3.1.5a, SR-3.1.5c, SR-3.2a: identities given one after the other to one trust store.
fn offers(case: &Case) {
    let expect = case.expect();
    expect.only(&["results", "version", "forked", "noise_changed", "verified"]);
    let mut records = MemoryRecords::default();
    let mut key = None;
    let mut results = Vec::new();
    for part in case.input().only(&["offers"]).list("offers") {
        results.push(match signed(&part).verify() {
            Err(error) => error.code().name(),
            Ok(identity) => {
                key = Some(identity.key());
                offer(&mut records, &identity)
            }
        });
    }
    let expected: Vec<_> = expect.list("results").iter().map(|result| result.str("")).collect();
    assert_eq!(results, expected, "{case}");
    let row = book::row(&records, &key.unwrap()).unwrap().unwrap();
    assert_eq!(row.version(), expect.u64("version"), "{case}");
    assert_eq!(row.forked, expect.bool("forked"), "{case}");
    assert_eq!(row.noise_changed, expect.bool("noise_changed"), "{case}");
    assert_eq!(*row.identity.signed().verified, expect.hex("verified"), "{case}");
}

fn offer(records: &mut MemoryRecords, identity: &Identity) -> &'static str {
    let mut batch = Batch::new(records);
    let offer = book::take(&mut batch, identity, Wall::from_millis(1), false).unwrap();
    let changes = batch.into_changes();
    records.apply(changes);
    match offer {
        Offer::New(_) => "new",
        Offer::Updated { .. } => "updated",
        Offer::Same(_) => "same",
        Offer::Carrier(_) | Offer::Stale | Offer::Forked(_) => offer.accepted().unwrap_err().name(),
    }
}

pub(crate) fn signed(part: &Part<'_>) -> SignedIdentity {
    part.only(&["verified", "signature"]);
    // A signature of another length cannot even be written down.
    SignedIdentity { verified: Blob(part.hex("verified")), signature: Signature(part.array("signature")) }
}

fn assert_says(identity: &Identity, expect: &Part<'_>) {
    expect.only(&["identity_key", "noise_key", "dr_key", "username", "version", "created", "flags", "relays"]);
    assert_eq!(*identity.key().as_bytes(), expect.array("identity_key"));
    assert_eq!(identity.noise_key().0, expect.array("noise_key"));
    assert_eq!(identity.dr_key().map(|key| key.0), expect.opt_array("dr_key"));
    assert_eq!(identity.username(), expect.str("username"));
    assert_eq!(identity.version(), expect.u64("version"));
    assert_eq!(identity.created().as_millis(), expect.u64("created"));
    let flags = expect.at("flags");
    flags.only(&["uses_relay", "is_machine_account", "is_relay_server", "prefers_async", "discoverable"]);
    assert_eq!(identity.flags().uses_relay, flags.bool("uses_relay"));
    assert_eq!(identity.flags().is_machine_account, flags.bool("is_machine_account"));
    assert_eq!(identity.flags().is_relay_server, flags.bool("is_relay_server"));
    assert_eq!(identity.flags().prefers_async, flags.bool("prefers_async"));
    assert_eq!(identity.flags().is_discoverable(), flags.bool("discoverable"));
    let relays = expect.list("relays");
    assert_eq!(identity.relays().len(), relays.len());
    for (relay, expect) in identity.relays().iter().zip(&relays) {
        assert_relay(relay, expect);
    }
}

fn assert_relay(relay: &RelayRef, expect: &Part<'_>) {
    expect.only(&["endpoint", "relay_identity", "noise_key"]);
    assert_eq!(relay.endpoint.host().to_string(), expect.str("endpoint.host"));
    assert_eq!(u64::from(relay.endpoint.port()), expect.u64("endpoint.port"));
    assert_eq!(*relay.relay_identity.as_bytes(), expect.array("relay_identity"));
    assert_eq!(relay.noise_key.map(|key| key.0), expect.opt_array("noise_key"));
}
