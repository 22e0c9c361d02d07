//! The extension of an ack, `m.x.d`: what the responder can, and its ephemeral key. Profile, m.x.d in an ack.

use crate::bind::{caps, ephemeral};
use crate::crypto::NONCE_LEN;
use crate::envelope::MAX_DEPTH;
use crate::schedule::Transcript;
use crate::{Crypto, Drop};
use waypost_codec::base64;
use waypost_codec::json;

/// What the extension says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extension {
    pub(crate) caps: Vec<String>,
    pub(crate) epk: Option<[u8; 32]>,
}

impl Extension {
    /// Opens it.
    ///
    /// # Errors
    /// [`Drop::BadAck`].
    pub(crate) fn open(crypto: Crypto, key: &[u8; 32], th: Transcript, sealed: &[u8]) -> Result<Self, Drop> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Drop::BadAck)?;
        let plain = crypto.backend().open(key, nonce, &th.0, sealed).ok_or(Drop::BadAck)?;
        let value = json::parse(&plain, MAX_DEPTH).map_err(|_| Drop::BadAck)?;
        let object = value.as_object().ok_or(Drop::BadAck)?;
        let epk = ephemeral(object).map_err(|_| Drop::BadAck)?;
        Ok(Self { caps: caps(object).ok_or(Drop::BadAck)?, epk })
    }

    /// Seals it.
    pub(crate) fn seal(&self, crypto: Crypto, key: &[u8; 32], nonce: [u8; NONCE_LEN], th: Transcript) -> Vec<u8> {
        let sealed = crypto.backend().seal(key, &nonce, &th.0, self.to_json().as_bytes());
        [&nonce[..], &sealed].concat()
    }

    fn to_json(&self) -> String {
        let caps: Vec<String> = self.caps.iter().map(|cap| format!(r#""{cap}""#)).collect();
        let epk = self.epk.map(|epk| format!(r#","epk":"{}""#, base64::encode_url(&epk))).unwrap_or_default();
        format!(r#"{{"c":[{}]{epk}}}"#, caps.join(","))
    }

    pub(crate) fn can(&self, cap: &str) -> bool {
        self.caps.iter().any(|known| known == cap)
    }
}
