//! Encrypted channels: everybody who knows the passphrase reads, each sender has a key of its own. Profile,
//! Encrypted channel; PP-X8.

use crate::crypto::NONCE_LEN;
use crate::envelope::MAX_DEPTH;
use crate::schedule::{Key, expand, field};
use crate::{AppId, ChannelName, Crypto, Drop, Error, PublicKey, Topic, schedule};
use argon2::{Algorithm, Argon2, Params, Version};
use std::fmt;
use unicode_normalization::UnicodeNormalization;
use waypost_codec::base64;
use waypost_codec::json::{self, Value};
use zeroize::Zeroizing;

/// Longest passphrase, in bytes.
const MAX_PASSPHRASE: usize = 1024;
/// Argon2id: 64 MiB, three passes, one lane. The numbers are the profile's.
const COST: (u32, u32, u32) = (65_536, 3, 1);
/// The shortest sealed value: a nonce and a tag.
const MIN_SEALED: usize = 28;

/// The secret of a channel.
#[derive(Clone)]
pub struct ChannelKey(Key);

impl fmt::Debug for ChannelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelKey(..)")
    }
}

impl ChannelKey {
    /// From a passphrase. Takes 64 MiB and a noticeable time.
    ///
    /// # Errors
    /// [`Error::BadName`] for a passphrase of another length than 1 to 1024 bytes.
    pub fn from_passphrase(passphrase: &str, app: &AppId, channel: &ChannelName) -> Result<Self, Error> {
        let normal: Zeroizing<String> = Zeroizing::new(passphrase.nfc().collect());
        if !(1..=MAX_PASSPHRASE).contains(&passphrase.len()) {
            return Err(Error::BadName);
        }
        let salt = schedule::hash(&[b"ProofPeer/1 channel", app.name().as_bytes(), channel.as_str().as_bytes()]);
        let (memory, passes, lanes) = COST;
        let failed = |_| Error::Internal("Argon2id");
        let params = Params::new(memory, passes, lanes, Some(32)).map_err(failed)?;
        let mut root = Zeroizing::new([0; 32]);
        let salt = salt.get(..16).unwrap_or_default();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into(normal.as_bytes(), salt, root.as_mut_slice()).map_err(failed)?;
        Ok(Self(root))
    }

    /// From 32 random bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes.
    pub fn to_bytes(&self) -> Key {
        self.0.clone()
    }

    /// The key of one sender's messages.
    pub(crate) fn of_sender(&self, sender: &PublicKey) -> Key {
        expand(self.0.as_slice(), &sender.fingerprint().0, "ProofPeer/1 channel")
    }

    /// `enc` of a value (JSON) that `sender` broadcasts.
    pub(crate) fn seal(
        &self,
        crypto: Crypto,
        nonce: [u8; NONCE_LEN],
        sender: &PublicKey,
        topic: Topic,
        timestamp: u64,
        plain: &str,
    ) -> String {
        let aad = aad(sender, topic, timestamp);
        let sealed = crypto.backend().seal(&self.of_sender(sender), &nonce, &aad, plain.as_bytes());
        base64::encode(&[&nonce[..], &sealed].concat())
    }

    /// The value inside a broadcast's data.
    ///
    /// # Errors
    /// [`Drop::PlainInEncrypted`] for data without exactly one text `enc`; [`Drop::BadEnc`].
    pub(crate) fn open(
        &self,
        crypto: Crypto,
        sender: &PublicKey,
        topic: Topic,
        timestamp: u64,
        data: &Value,
    ) -> Result<Value, Drop> {
        let members = data.as_object().map(json::Object::members);
        let Some([(name, Value::String(enc))]) = members else { return Err(Drop::PlainInEncrypted) };
        if name != "enc" {
            return Err(Drop::PlainInEncrypted);
        }
        let bytes = base64::decode_any(enc).filter(|bytes| bytes.len() >= MIN_SEALED).ok_or(Drop::BadEnc)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(Drop::BadEnc)?;
        let aad = aad(sender, topic, timestamp);
        let plain = crypto.backend().open(&self.of_sender(sender), nonce, &aad, sealed).ok_or(Drop::BadEnc)?;
        json::parse(&plain, MAX_DEPTH).map_err(|_| Drop::BadEnc)
    }
}

fn aad(sender: &PublicKey, topic: Topic, timestamp: u64) -> Vec<u8> {
    let mut aad = Vec::new();
    field(&mut aad, b"ProofPeer/1 chan");
    field(&mut aad, topic.to_string().as_bytes());
    aad.extend_from_slice(&timestamp.to_be_bytes());
    aad.extend_from_slice(&sender.fingerprint().0);
    aad
}
