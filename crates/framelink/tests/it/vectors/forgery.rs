//! `forgery.json`: who knows the plaintext and SHA-256's published start forges a frame; the secret start
//! stops that. The attacker here works from the vectors' wire alone.

use super::{block, role, settings};
use rand::{SeedableRng, rngs::StdRng};
use waypost_core::Now;
use waypost_framelink::{Chain, Header, Link, Sealer, code, link::Input, link::Status};
use waypost_testkit::vectors;

/// SHA-256's published state.
const START: &str = "6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19";

/// FL-2.10
#[test]
fn forgeries_pass_the_standard_start_alone() {
    for case in vectors::load("framelink", "forgery.json") {
        let (input, expect) = (case.input(), case.expect());
        input.only(&["run", "block", "role", "options", "known_payload", "forged_payload", "wire"]);
        let (known, forged, wire) = (input.hex("known_payload"), input.hex("forged_payload"), input.hex("wire"));
        let (block, settings, role) = (block(&input), settings(input.opt("options")), role(&input));
        let mut sealed = Vec::new();
        Sealer::new(&block, role, settings.framing).seal(code::DATA, &known, &mut sealed).unwrap();
        assert_eq!(sealed, wire, "{case}");

        let length = u32::try_from(known.len()).unwrap();
        let header = Header { length, code: code::DATA, seq: 1 }.encode();
        let plain = |payload: &[u8]| {
            let message = [&header[..], payload].concat();
            let tag = Chain::from_bytes(&hex::decode(START).unwrap().try_into().unwrap()).tag(&message);
            [&message[..], &tag].concat()
        };
        let change = plain(&known).into_iter().zip(plain(&forged)).map(|(known, forged)| known ^ forged);
        let attack: Vec<u8> = wire.iter().zip(change).map(|(wire, change)| wire ^ change).collect();
        assert_eq!(attack, expect.hex("forged_wire"), "{case}");

        let mut rng = StdRng::seed_from_u64(1);
        let mut link = Link::raw(Now::default(), &block, role.peer(), settings).unwrap();
        link.handle(Now::default(), &mut rng, Input::Bytes(&attack)).unwrap();
        let mut buf = vec![0; forged.len()];
        let received = link.recv(Now::default(), &mut rng, &mut buf);
        assert_eq!(received.status.name(), expect.str("receiver"), "{case}");
        assert_eq!(buf[..received.n], expect.hex("delivered"), "{case}");
        if let Status::Violation(fault) = received.status {
            assert_eq!(fault.name(), expect.str("kind"), "{case}");
        }
    }
}
