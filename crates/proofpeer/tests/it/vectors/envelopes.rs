//! `envelopes.json`: what has a shape, and what is dropped before any cryptography.

use waypost_proofpeer::{Envelope, Kind, Shape};
use waypost_testkit::vectors::{self, Outcome, Part};

/// PP-4.2a, PP-4.2b, PP-4.2c, PP-4.2d, PP-4.2e, PP-4.3a, PP-4.4c, PP-5.3, PP-9.3c
#[test]
fn envelopes_are_judged_as_stated() {
    for case in vectors::load("proofpeer", "envelopes.json") {
        let input = case.input();
        input.only(&["payload", "payload_hex", "payload_repeat", "now", "topic", "limit"]);
        let kind = match input.str("topic") {
            "channel" => Kind::Channel(1),
            "inbox" => Kind::Inbox(1),
            _ => case.unknown_shape(),
        };
        let limit = usize::try_from(input.u64("limit")).unwrap();
        let read = Envelope::read(&payload(&input), input.u64("now"), Some(kind), limit);
        match (case.outcome(), read) {
            (Outcome::Error(name), Err(drop)) => assert_eq!(drop.name(), name, "{case}"),
            (Outcome::Expect(expect), Ok(envelope)) => {
                expect.only(&["kind", "r", "t", "sid", "sender_id"]);
                assert_eq!(envelope.shape.name(), expect.str("kind"), "{case}");
                assert_eq!((envelope.t, envelope.r), (expect.u64("t"), expect.bool("r")), "{case}");
                let (sid, sender) = match &envelope.shape {
                    Shape::Handshake { sid, .. } => (Some(sid.as_str()), None),
                    Shape::Ack { sender_id, sid, .. } => (Some(sid.as_str()), Some(u64::from(*sender_id))),
                    Shape::Session { sender_id, sid, .. } => (sid.as_deref(), Some(u64::from(*sender_id))),
                    _ => (None, None),
                };
                assert_eq!((sid, sender), (expect.opt_str("sid"), expect.opt_u64("sender_id")), "{case}");
            }
            (outcome, read) => panic!("{case}: {read:?}, not {outcome:?}"),
        }
    }
}

fn payload(input: &Part<'_>) -> Vec<u8> {
    if let Some(bytes) = input.opt_hex("payload_hex") {
        return bytes;
    }
    if let Some(text) = input.opt_str("payload") {
        return text.as_bytes().to_vec();
    }
    let repeat = input.at("payload_repeat");
    let (prefix, fill, suffix) = (repeat.str("prefix"), repeat.str("fill"), repeat.str("suffix"));
    let total = usize::try_from(repeat.u64("total")).unwrap();
    let fills = (total - prefix.len() - suffix.len()) / fill.len();
    format!("{prefix}{}{suffix}", fill.repeat(fills)).into_bytes()
}
