//! Signed tokens (JWT): the key that signs is inside. Profile, JWT; Receive order, steps 10 to 12, 15 and 18.

use crate::envelope::MAX_DEPTH;
use crate::key::{CarriedKey, Material};
use crate::{Crypto, Drop, PublicKey};
use ed25519_dalek::{Signature, VerifyingKey};
use waypost_codec::base64;
use waypost_codec::json::{self, Object, Value};

/// A token whose parts are well formed. Nothing is signed before [`Token::verify`] says so.
#[derive(Clone, Debug)]
pub struct Token {
    alg: String,
    key: CarriedKey,
    timestamp: u64,
    data: Value,
    pp: Option<Value>,
    /// The ASCII of the first two segments.
    signed: String,
    signature: Vec<u8>,
}

impl Token {
    /// Takes a token apart, in an envelope of time `t`.
    ///
    /// # Errors
    /// [`Drop::BadJwt`], [`Drop::TsMismatch`], [`Drop::BadKey`]; a `pp` that is no object is [`Drop::BadBind`], but only
    /// after the signature: see [`Token::pp`].
    pub fn read(text: &str, t: u64) -> Result<Self, Drop> {
        let mut segments = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(Drop::BadJwt);
        };
        let header = object(header)?;
        let alg = header.get("alg").and_then(Value::as_str).filter(|_| !header.has("crit")).ok_or(Drop::BadJwt)?;
        let payload_object = object(payload)?;
        let signature = base64::decode_url(signature).ok_or(Drop::BadJwt)?;
        let pubkey = payload_object.get("pubkey").and_then(Value::as_str).ok_or(Drop::BadJwt)?;
        let timestamp = payload_object.get("timestamp").and_then(Value::as_uint).ok_or(Drop::BadJwt)?;
        if timestamp != t {
            return Err(Drop::TsMismatch);
        }
        let signed = text.rsplit_once('.').map_or(text, |(signed, _)| signed).to_owned();
        Ok(Self {
            alg: alg.to_owned(),
            key: CarriedKey::decode(pubkey)?,
            timestamp,
            data: payload_object.get("data").cloned().unwrap_or(Value::Null),
            pp: payload_object.get("pp").cloned(),
            signed,
            signature,
        })
    }

    /// Whether the header's algorithm is one for this type of key: the key decides, never the header.
    ///
    /// # Errors
    /// [`Drop::BadAlg`].
    pub fn check_alg(&self) -> Result<(), Drop> {
        let fits = match self.key.key.material() {
            Material::Rsa { .. } => self.alg == "RS256",
            Material::Ed25519(_) => matches!(self.alg.as_str(), "EdDSA" | "Ed25519" | "ES256"),
        };
        if fits { Ok(()) } else { Err(Drop::BadAlg) }
    }

    /// Whether the key inside has signed it.
    ///
    /// # Errors
    /// [`Drop::BadSig`].
    pub fn verify(&self, crypto: Crypto) -> Result<(), Drop> {
        let message = self.signed.as_bytes();
        let holds = match self.key.key.material() {
            Material::Rsa { pkcs1, modulus } => {
                self.signature.len() == *modulus && crypto.backend().verify_rs256(pkcs1, message, &self.signature)
            }
            Material::Ed25519(point) => verify_ed25519(point, message, &self.signature),
        };
        if holds { Ok(()) } else { Err(Drop::BadSig) }
    }

    /// Who says that it signed.
    pub const fn key(&self) -> &CarriedKey {
        &self.key
    }

    /// Unix seconds.
    pub const fn timestamp(&self) -> u64 {
        self.timestamp
    }

    /// What it says; absent is null.
    pub const fn data(&self) -> &Value {
        &self.data
    }

    /// The binding claim, whatever its type.
    pub const fn pp(&self) -> Option<&Value> {
        self.pp.as_ref()
    }

    /// What is signed.
    pub fn signed(&self) -> &str {
        &self.signed
    }
}

/// RFC 8032 without tolerance: S below the order, R canonical, no cofactor.
pub(crate) fn verify_ed25519(point: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (VerifyingKey::from_bytes(point), Signature::from_slice(signature)) else {
        return false;
    };
    key.verify_strict(message, &signature).is_ok()
}

/// The two segments that are to be signed, compact.
pub(crate) fn signing_input(key: &PublicKey, header_alg: &str, timestamp: u64, data: &str, pp: Option<&str>) -> String {
    let header = format!(r#"{{"alg":"{header_alg}","typ":"JWT"}}"#);
    let pp = pp.map(|pp| format!(r#","pp":{pp}"#)).unwrap_or_default();
    let payload = format!(r#"{{"pubkey":"{}","timestamp":{timestamp},"data":{data}{pp}}}"#, key.to_text());
    format!("{}.{}", base64::encode_url(header.as_bytes()), base64::encode_url(payload.as_bytes()))
}

fn object(segment: &str) -> Result<Object, Drop> {
    let bytes = base64::decode_url(segment).ok_or(Drop::BadJwt)?;
    match json::parse(&bytes, MAX_DEPTH) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(Drop::BadJwt),
    }
}
