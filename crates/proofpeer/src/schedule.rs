//! From a session's secrets to its keys. Profile, Crypto; PP-X4, PP-X5.

use crate::Topic;
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// A key of 32 bytes.
pub(crate) type Key = Zeroizing<[u8; 32]>;

/// What both sides know when a handshake has left.
#[derive(Clone, Copy)]
pub(crate) struct Offer<'a> {
    pub(crate) sid: &'a str,
    /// Canonical SPKI of the initiator, and of the responder.
    pub(crate) initiator: &'a [u8],
    pub(crate) responder: &'a [u8],
    /// The wrapped key as it travelled.
    pub(crate) aes_key: &'a [u8],
    /// The initiator's ephemeral key, or nothing.
    pub(crate) epk: &'a [u8],
    /// Capabilities of the initiator in the order they were sent.
    pub(crate) caps: &'a [String],
}

/// The transcript of a handshake.
#[derive(Clone, Copy)]
pub(crate) struct Transcript(pub(crate) [u8; 32]);

impl Offer<'_> {
    pub(crate) fn transcript(&self) -> Transcript {
        let caps = self.caps.join(",");
        Transcript(hash(&[
            b"ProofPeer/1 hs",
            self.sid.as_bytes(),
            self.initiator,
            self.responder,
            self.aes_key,
            self.epk,
            caps.as_bytes(),
        ]))
    }
}

/// The keys of both directions.
pub(crate) struct SessionKeys {
    /// The transcript of handshake and ack.
    pub(crate) th2: [u8; 32],
    /// The initiator's messages.
    pub(crate) i2r: Key,
    /// The responder's.
    pub(crate) r2i: Key,
}

impl Transcript {
    /// The key of the ack's extension.
    pub(crate) fn ack_key(&self, k0: &[u8; 32]) -> Key {
        expand(k0, &self.0, "ProofPeer/1 ack")
    }

    /// The keys, once the responder's ephemeral key (or nothing) and capabilities are known; `dh` if both sides gave an
    /// ephemeral key.
    pub(crate) fn keys(&self, k0: &[u8; 32], dh: Option<&[u8; 32]>, epk: &[u8], caps: &[String]) -> SessionKeys {
        let caps = caps.join(",");
        let th2 = hash(&[b"ProofPeer/1 ack", &self.0, epk, caps.as_bytes()]);
        // Room for both from the start: growing would leave a copy behind.
        let mut secret = Zeroizing::new(Vec::with_capacity(64));
        secret.extend_from_slice(k0);
        secret.extend_from_slice(dh.map_or(&[], <[u8; 32]>::as_slice));
        let (i2r, r2i) = (expand(&secret, &th2, "ProofPeer/1 i2r"), expand(&secret, &th2, "ProofPeer/1 r2i"));
        SessionKeys { th2, i2r, r2i }
    }
}

/// What is authenticated with a session message beside its content.
pub(crate) fn message_aad(topic: Topic, t: u64, r: bool, sender_id: u32, sid: &str) -> Vec<u8> {
    let mut aad = Vec::new();
    field(&mut aad, b"ProofPeer/1 msg");
    field(&mut aad, topic.to_string().as_bytes());
    aad.extend_from_slice(&t.to_be_bytes());
    aad.push(u8::from(r));
    aad.extend_from_slice(&sender_id.to_be_bytes());
    field(&mut aad, sid.as_bytes());
    aad
}

/// X25519; none if the result is all zero.
pub(crate) fn exchange(secret: &StaticSecret, theirs: &[u8; 32]) -> Option<Key> {
    let shared = secret.diffie_hellman(&PublicKey::from(*theirs));
    shared.was_contributory().then(|| Zeroizing::new(shared.to_bytes()))
}

/// HKDF-SHA-256.
pub(crate) fn expand(secret: &[u8], salt: &[u8], info: &str) -> Key {
    let mut key = Zeroizing::new([0; 32]);
    #[expect(clippy::expect_used, reason = "32 bytes are always to be had")]
    Hkdf::<Sha256>::new(Some(salt), secret).expand(info.as_bytes(), key.as_mut_slice()).expect("32 bytes");
    key
}

/// SHA-256 of fields, each behind its length.
pub(crate) fn hash(fields: &[&[u8]]) -> [u8; 32] {
    let mut bytes = Vec::new();
    for part in fields {
        field(&mut bytes, part);
    }
    Sha256::digest(bytes).into()
}

pub(crate) fn field(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(part);
}
