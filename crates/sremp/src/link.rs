//! The form that invitations and verification codes share: a prefix and `name=value` pairs.

use crate::Error;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

/// Longest text in characters: what a QR code still holds well.
pub(crate) const MAX_LEN: usize = 1024;

/// The pairs of a link.
pub(crate) struct Link<'a> {
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> Link<'a> {
    /// Splits the text behind `prefix`. Nothing in it is percent-encoded.
    pub(crate) fn parse(text: &'a str, prefix: &str) -> Result<Self, Error> {
        if text.len() > MAX_LEN {
            return Err(Error::Limit("link"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'%') {
            return Err(Error::Malformed("a link of other characters"));
        }
        let pairs = text.strip_prefix(prefix).ok_or(Error::Malformed("another kind of link"))?;
        let pairs = pairs.split('&').map(|pair| pair.split_once('=').filter(|(name, _)| !name.is_empty()));
        let pairs: Option<Vec<_>> = pairs.collect();
        Ok(Self { pairs: pairs.ok_or(Error::Malformed("a link that is not name=value"))? })
    }

    /// All values of a name, in order.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(key, _)| *key == name).map(|(_, value)| *value)
    }

    /// The key under a name that must be there exactly once.
    pub(crate) fn key(&self, name: &str) -> Result<[u8; 32], Error> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (Some(value), None) => key(value),
            _ => Err(Error::Malformed("a key must be there exactly once")),
        }
    }
}

/// A key as base64url without padding; its unused bits must be zero.
pub(crate) fn key(text: &str) -> Result<[u8; 32], Error> {
    const BAD: Error = Error::Malformed("a key that is not 32 bytes in base64url");
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| BAD)?;
    bytes.try_into().map_err(|_| BAD)
}

pub(crate) fn key_text(key: &[u8; 32]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(key)
}
