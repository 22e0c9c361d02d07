//! `channel.json`, but for its flows: keys and messages of encrypted channels. `frames.json`, single frames.

use super::cryptos;
use super::derive::{key, topic};
use serde_json::json;
use waypost_codec::json as strict;
use waypost_proofpeer::{AppId, ChannelKey, ChannelName, Frame, FrameKind, Refusal, probe};
use waypost_testkit::vectors::{self, Outcome};

/// PP-X8
#[test]
fn channels_are_encrypted_as_stated() {
    for case in vectors::load("proofpeer", "channel.json") {
        let input = case.input();
        if input.has("events") {
            continue;
        }
        if let Some(passphrase) = input.opt_str("passphrase") {
            let (app, channel) = (AppId::new(input.str("app")), ChannelName::new(input.str("channel")));
            let root = ChannelKey::from_passphrase(passphrase, &app.unwrap(), &channel.unwrap()).unwrap();
            assert_eq!(hex::encode(*root.to_bytes()), case.expect().str("root"), "{case}");
            continue;
        }
        let channel = ChannelKey::from_bytes(input.array("root"));
        let (sender, topic, time) = (key(&input, "sender_spki"), topic(input.str("topic")), input.u64("timestamp"));
        for crypto in cryptos() {
            if let Some(plain) = input.opt_str("plaintext") {
                let nonce = input.array("nonce");
                let (key, enc) = probe::channel_seal(crypto, &channel, nonce, &sender, topic, time, plain);
                assert_eq!(hex::encode(key), case.expect().str("key"), "{case}");
                assert_eq!(enc, case.expect().str("enc"), "{case}");
                continue;
            }
            let data = strict::parse(input.at("data").value().to_string().as_bytes(), 32).unwrap();
            match (case.outcome(), probe::channel_open(crypto, &channel, &sender, topic, time, &data)) {
                (Outcome::Error(name), Err(drop)) => assert_eq!(drop.name(), name, "{case}"),
                (Outcome::Expect(expect), Ok(value)) => {
                    let expected = expect.opt("value").map_or(json!(null), |value| value.value().clone());
                    assert_eq!(serde_json::Value::from(&value), expected, "{case}");
                }
                (outcome, opened) => panic!("{case}: {opened:?}, not {outcome:?}"),
            }
        }
    }
}

/// PP-X6
#[test]
fn frames_are_read_as_stated() {
    for case in vectors::load("proofpeer", "frames.json") {
        let Some(bytes) = case.input().opt_hex("frame") else { continue };
        match (case.outcome(), Frame::decode(&bytes)) {
            (Outcome::Error(name), Err(drop)) => assert_eq!(drop.name(), name, "{case}"),
            (Outcome::Expect(expect), Ok(frame)) => {
                expect.only(&["type", "mid", "idx", "count", "body"]);
                let refused = |refusal| match refusal {
                    Refusal::Expired => vec![1],
                    Refusal::TooLarge => vec![2],
                    Refusal::NotAccepted => vec![3],
                };
                let (kind, idx, count, body) = match &frame.kind {
                    FrameKind::Data { receipt, idx, count, body } => (u64::from(*receipt), *idx, *count, body.clone()),
                    FrameKind::PartReceived { idx } => (2, *idx, 0, Vec::new()),
                    FrameKind::Delivered => (3, 0, 0, Vec::new()),
                    FrameKind::Refused(refusal) => (4, 0, 0, refused(*refusal)),
                };
                assert_eq!(kind, expect.u64("type"), "{case}");
                let numbers = (u64::from(idx), u64::from(count));
                assert_eq!(numbers, (expect.u64("idx"), expect.u64("count")), "{case}");
                assert_eq!((frame.mid.0.to_vec(), body), (expect.hex("mid"), expect.hex("body")), "{case}");
                assert_eq!(frame.encode(), bytes, "{case}");
            }
            (outcome, read) => panic!("{case}: {read:?}, not {outcome:?}"),
        }
    }
}
