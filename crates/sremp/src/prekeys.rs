//! Prekeys: what somebody leaves behind so that others can start a session while they are away.
//!
//! A bundle is good for weeks and for everybody; a one-time item is good for one session. Both are
//! signed by the identity key. SREMP profile SR-5f.

use crate::{
    Error, ErrorCode, Identity,
    crypto::{
        ed25519::{Signature, SigningKey, verify},
        label,
        x25519::PublicKey,
    },
    kdf::sha256,
    kem::KemKey,
    message::{Prekeys, SignedBundle, SignedOneTime},
    msgpack::{Blob, decode, encode, record},
};
use std::time::Duration;
use waypost_core::{ContactId, Wall};

const MINUTE: u64 = 60;
const DAY: u64 = 86400;

/// How far a bundle's time may lie ahead of our clock.
pub(crate) const CLOCK_SLACK: Duration = Duration::from_secs(10 * MINUTE);
/// How long a bundle may be used: nobody starts with keys older than this.
pub(crate) const BUNDLE_LIFE: Duration = Duration::from_secs(14 * DAY);

record! {
    /// PrekeyBundleData of the profile.
    pub struct PrekeyBundleData {
        /// Whose.
        pub identity_key: ContactId,
        /// The owner's ratchet key at the time of issue.
        pub dr_key: PublicKey,
        /// Names `spk`.
        pub spk_id: u32,
        /// The signed prekey.
        pub spk: PublicKey,
        /// Names `lr_kem`.
        pub lr_kem_id: u32,
        /// The KEM key of last resort, for sessions without a one-time item.
        pub lr_kem: KemKey,
        /// When it was made.
        pub issued: Wall,
        /// The last moment to start a session with it.
        pub not_after: Wall,
    }

    /// OneTimeData of the profile.
    pub struct OneTimeData {
        /// Whose.
        pub identity_key: ContactId,
        /// Names it.
        pub id: u32,
        /// Its X25519 key.
        pub opk: PublicKey,
        /// Its KEM key.
        pub kem: KemKey,
    }
}

impl PrekeyBundleData {
    /// Signs it.
    pub fn sign(&self, key: &SigningKey) -> SignedBundle {
        let bundle = encode(self);
        let signature = key.sign(&bundle_content(&bundle));
        SignedBundle { bundle: Blob(bundle), signature }
    }
}

impl OneTimeData {
    /// Signs it.
    pub fn sign(&self, key: &SigningKey) -> SignedOneTime {
        let item = encode(self);
        let signature = key.sign(&item_content(&item));
        SignedOneTime { item: Blob(item), signature }
    }
}

fn bundle_content(bundle: &[u8]) -> Vec<u8> {
    [label!("prekeys"), bundle].concat()
}

fn item_content(item: &[u8]) -> Vec<u8> {
    [label!("one-time"), item].concat()
}

fn check_signature(key: &ContactId, content: &[u8], signature: &Signature) -> Result<(), Error> {
    verify(key, content, signature).map_err(|_| Error::Proof(ErrorCode::Auth))
}

impl SignedBundle {
    /// Checks a bundle against its owner's identity.
    ///
    /// # Errors
    /// In this order: MALFORMED; AUTH if it is of another identity or ratchet key or not signed by the
    /// owner; EXPIRED if `now` is not in its time.
    pub fn verify(&self, owner: &Identity, now: Wall) -> Result<PrekeyBundleData, Error> {
        let data: PrekeyBundleData = decode(&self.bundle)?;
        if data.identity_key != owner.key() || Some(data.dr_key) != owner.dr_key() {
            return Err(Error::Proof(ErrorCode::Auth));
        }
        check_signature(&owner.key(), &bundle_content(&self.bundle), &self.signature)?;
        let is_in_time = data.issued.before(CLOCK_SLACK) <= now
            && now <= data.not_after
            && data.not_after <= data.issued.after(BUNDLE_LIFE);
        if !is_in_time {
            return Err(Error::Refused(ErrorCode::Expired));
        }
        Ok(data)
    }
}

impl SignedOneTime {
    /// Checks an item against its owner's key.
    ///
    /// # Errors
    /// MALFORMED; AUTH if it is of another identity or not signed by the owner.
    pub fn verify(&self, owner: &ContactId) -> Result<OneTimeData, Error> {
        let data: OneTimeData = decode(&self.item)?;
        if data.identity_key != *owner {
            return Err(Error::Proof(ErrorCode::Auth));
        }
        check_signature(owner, &item_content(&self.item), &self.signature)?;
        Ok(data)
    }
}

/// Prekeys a session can be started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedPrekeys {
    pub(crate) owner: Identity,
    pub(crate) bundle: PrekeyBundleData,
    pub(crate) bundle_hash: [u8; 32],
    pub(crate) one_time: Option<VerifiedOneTime>,
}

/// A one-time item and the hash that stands for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VerifiedOneTime {
    pub(crate) data: OneTimeData,
    pub(crate) hash: [u8; 32],
}

impl VerifiedPrekeys {
    /// The checks of PREKEYS behind those of its identity, which is `owner` and which the rules of trust let pass.
    ///
    /// # Errors
    /// AUTH, MALFORMED or EXPIRED, the first that applies.
    pub(crate) fn check(message: &Prekeys, asked_for: ContactId, owner: Identity, now: Wall) -> Result<Self, Error> {
        if message.target != asked_for || owner.key() != asked_for || owner.dr_key().is_none() {
            return Err(Error::Proof(ErrorCode::Auth));
        }
        let bundle = message.bundle.verify(&owner, now)?;
        let bundle_hash = sha256(&[&message.bundle.bundle]);
        let one_time = match &message.one_time {
            Some(item) => Some(VerifiedOneTime { data: item.verify(&asked_for)?, hash: sha256(&[&item.item]) }),
            None => None,
        };
        Ok(Self { owner, bundle, bundle_hash, one_time })
    }

    /// Whose they are.
    pub const fn owner(&self) -> &Identity {
        &self.owner
    }

    /// Whether a one-time item is among them: without one, secrecy against a later theft begins when the
    /// owner deletes the bundle's secrets.
    pub const fn has_one_time(&self) -> bool {
        self.one_time.is_some()
    }
}
