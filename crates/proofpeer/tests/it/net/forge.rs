//! Messages that no honest peer sends, made of what the identity under attack has signed or of another key.

use super::APP;
use rand_core::Rng as _;
use serde_json::{Value, json};
use waypost_codec::base64;
use waypost_proofpeer::{AppId, Identity, PublicKey, Topic, probe};
use waypost_testkit::SimRng;

/// The payload of the token inside an envelope.
pub(crate) fn payload_of(envelope: &Value) -> Value {
    let segment = envelope["jwt"].as_str().and_then(|jwt| jwt.split('.').nth(1)).unwrap_or_default();
    serde_json::from_slice(&base64::decode_url(segment).unwrap_or_default()).unwrap_or(Value::Null)
}

pub(crate) fn channel(name: &str) -> Topic {
    AppId::new(APP).unwrap().channel(waypost_proofpeer::murmur3(name.as_bytes()))
}

/// A token of `identity`, with a binding claim or without.
pub(crate) fn token(identity: &Identity, t: u64, data: &str, pp: Option<&Value>) -> String {
    let pp = pp.map(Value::to_string);
    identity.sign(&mut SimRng::new(3), t, data, pp.as_deref(), false).unwrap()
}

/// An envelope with a token alone.
pub(crate) fn signed(identity: &Identity, t: u64, data: &str, pp: Option<&Value>) -> Vec<u8> {
    json!({"v": 1, "t": t, "r": false, "jwt": token(identity, t, data, pp)}).to_string().into_bytes()
}

/// A binding claim for a topic, with a nonce of a number.
pub(crate) fn claim(topic: Topic, number: u64) -> Value {
    let mut nonce = [0; 16];
    SimRng::new(number).fork("claim").fill_bytes(&mut nonce);
    json!({"t": topic.to_string(), "n": base64::encode_url(&nonce), "c": ["d1", "a1"]})
}

/// K0 wrapped to an Ed25519 key.
pub(crate) fn wrapped(to: &PublicKey, k0: &[u8; 32], seed: u64) -> Vec<u8> {
    let mut ephemeral = [0; 32];
    SimRng::new(seed).fork("wrap").fill_bytes(&mut ephemeral);
    probe::seal_key(&ephemeral, to, k0).unwrap().0
}

/// A handshake around a token.
pub(crate) fn handshake(jwt: &str, t: u64, aes_key: &[u8], sid: &str) -> Vec<u8> {
    let handshake = json!({"aes_key": base64::encode(aes_key), "sid": sid});
    json!({"v": 1, "t": t, "r": true, "jwt": jwt, "m": {"handshake": handshake}}).to_string().into_bytes()
}

/// A message of a literal session.
pub(crate) fn literal_message(k0: &[u8; 32], nonce: [u8; 12], t: u64, sender: u32, plain: &[u8]) -> Vec<u8> {
    let sealed = probe::seal(waypost_proofpeer::Crypto::native(), k0, &nonce, &[], plain);
    json!({"v": 1, "t": t, "r": false, "m": {"sender_id": sender, "aes": {"data": base64::encode(&sealed)}}})
        .to_string()
        .into_bytes()
}
