//! The binding claim `pp`: what a signed token is for, so that it serves nobody else. Profile, PP-X1, PP-X10.

use crate::{Drop, Fingerprint, Topic};
use std::fmt::Write;
use waypost_codec::base64;
use waypost_codec::json::{Object, Value};

/// Most capabilities.
const MAX_CAPS: usize = 16;
/// Longest capability.
const MAX_CAP: usize = 8;
/// What this implementation can.
pub(crate) const OWN_CAPS: [&str; 2] = ["d1", "a1"];

/// A claim that holds for the delivery it came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    /// What the signer can, in its order.
    pub(crate) caps: Vec<String>,
    /// Which run of the signer's process it was.
    pub(crate) boot: Option<[u8; 8]>,
    /// The ephemeral key of a handshake.
    pub(crate) epk: Option<[u8; 32]>,
}

/// What a claim must say of its delivery.
pub(crate) struct Delivery<'a> {
    pub(crate) topic: Topic,
    /// The recipient, in an inbox.
    pub(crate) to: Option<Fingerprint>,
    /// Session id and hash of the wrapped key, of a handshake.
    pub(crate) handshake: Option<(&'a str, [u8; 32])>,
}

impl Binding {
    /// Checks a claim.
    ///
    /// # Errors
    /// [`Drop::BadBind`].
    pub(crate) fn read(pp: &Value, delivery: &Delivery<'_>) -> Result<Self, Drop> {
        let pp = pp.as_object().ok_or(Drop::BadBind)?;
        let text = |name: &str| pp.get(name).and_then(Value::as_str);
        let is = |name: &str, expected: &str| text(name) == Some(expected);
        let bytes = |name: &str| text(name).and_then(base64::decode_url);
        let nonce = bytes("n").is_some_and(|nonce| nonce.len() == 16);
        let to = delivery.to.is_none_or(|to| bytes("to").is_some_and(|bytes| bytes == to.0));
        let handshake =
            delivery.handshake.is_none_or(|(sid, key)| is("sid", sid) && bytes("k").is_some_and(|bytes| bytes == key));
        if !(is("t", &delivery.topic.to_string()) && nonce && to && handshake) {
            return Err(Drop::BadBind);
        }
        let boot = optional::<8>(pp, "b")?;
        let epk = if delivery.handshake.is_some() { ephemeral(pp)? } else { None };
        Ok(Self { caps: caps(pp).ok_or(Drop::BadBind)?, boot, epk })
    }

    pub(crate) fn can(&self, cap: &str) -> bool {
        self.caps.iter().any(|known| known == cap)
    }
}

/// `c`: none if it is no list of capabilities; absent is empty.
pub(crate) fn caps(object: &Object) -> Option<Vec<String>> {
    let Some(list) = object.get("c") else { return Some(Vec::new()) };
    let list = list.as_array().filter(|list| list.len() <= MAX_CAPS)?;
    list.iter().map(|cap| cap.as_str().filter(|cap| is_cap(cap)).map(str::to_owned)).collect()
}

fn is_cap(cap: &str) -> bool {
    (1..=MAX_CAP).contains(&cap.len()) && cap.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'))
}

/// `epk`: an X25519 key that is not all zero.
pub(crate) fn ephemeral(object: &Object) -> Result<Option<[u8; 32]>, Drop> {
    let epk = optional::<32>(object, "epk")?;
    if epk == Some([0; 32]) { Err(Drop::BadBind) } else { Ok(epk) }
}

fn optional<const N: usize>(object: &Object, name: &str) -> Result<Option<[u8; N]>, Drop> {
    let Some(value) = object.get(name) else { return Ok(None) };
    let bytes = value.as_str().and_then(base64::decode_url).and_then(|bytes| bytes.try_into().ok());
    bytes.map(Some).ok_or(Drop::BadBind)
}

/// What a claim of ours says.
pub(crate) struct Claim<'a> {
    pub(crate) topic: Topic,
    pub(crate) nonce: [u8; 16],
    pub(crate) boot: [u8; 8],
    pub(crate) to: Option<Fingerprint>,
    /// Session id, hash of the wrapped key, ephemeral key.
    pub(crate) handshake: Option<(&'a str, [u8; 32], [u8; 32])>,
}

impl Claim<'_> {
    /// Compact JSON.
    pub(crate) fn to_json(&self) -> String {
        let mut json = format!(
            r#"{{"t":"{}","n":"{}","c":["{}"],"b":"{}""#,
            self.topic,
            base64::encode_url(&self.nonce),
            OWN_CAPS.join(r#"",""#),
            base64::encode_url(&self.boot),
        );
        let mut member = |name: &str, value: &str| {
            // Writing to a string does not fail.
            let _ = write!(json, r#","{name}":"{value}""#);
        };
        if let Some(to) = self.to {
            member("to", &base64::encode_url(&to.0));
        }
        if let Some((sid, key, epk)) = self.handshake {
            member("sid", sid);
            member("k", &base64::encode_url(&key));
            member("epk", &base64::encode_url(&epk));
        }
        json.push('}');
        json
    }
}
