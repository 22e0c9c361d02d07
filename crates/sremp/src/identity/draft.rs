//! Making an identity of one's own.

use super::{DR_KEY, Extensions, Flags, Identity, RELAYS, RelayRef, SignedIdentity, VerifiedData, signed_content};
use crate::{
    Error,
    crypto::{ed25519::SigningKey, x25519::PublicKey},
    msgpack::{Blob, encode},
};
use waypost_core::Wall;

/// How far a restored identity jumps. Profile SR-3.1.5c.
const RESTORE_STEP: u64 = 1000;

/// Everything an identity says, before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityDraft {
    /// 1 to 40 characters.
    pub username: String,
    /// The static key of the own Noise connections.
    pub noise_key: PublicKey,
    /// The key that starts ratchet sessions.
    pub dr_key: Option<PublicKey>,
    /// About the own client.
    pub flags: Flags,
    /// Where the own mailboxes are, best first, at most three.
    pub relays: Vec<RelayRef>,
    /// A picture of at most 8192 bytes.
    pub picture: Option<Vec<u8>>,
    /// Further entries; `dr_key` and `relays` are written from the fields above.
    pub metadata: Vec<(String, Vec<u8>)>,
    /// Above every version ever shown.
    pub version: u64,
    /// Now.
    pub created: Wall,
}

impl IdentityDraft {
    /// A first version: nothing but a name and keys.
    pub fn new(username: &str, noise_key: PublicKey, dr_key: PublicKey, version: u64, created: Wall) -> Self {
        Self {
            username: username.to_owned(),
            noise_key,
            dr_key: Some(dr_key),
            flags: Flags::default(),
            relays: Vec::new(),
            picture: None,
            metadata: Vec::new(),
            version,
            created,
        }
    }

    /// The next version of an identity, to be changed before it is signed. SREMP 3.1.5, profile SR-3.1.5b.
    ///
    /// # Errors
    /// Version 2^64 - 1 is the last one, for ever.
    pub fn next(identity: &Identity, created: Wall) -> Result<Self, Error> {
        Self::raised(identity, 1, created)
    }

    /// The next version after a backup was restored: far enough above it that none of the versions
    /// shown since the backup is signed twice. Profile SR-3.1.5c.
    ///
    /// # Errors
    /// No such version is left.
    pub fn after_restore(identity: &Identity, created: Wall) -> Result<Self, Error> {
        Self::raised(identity, RESTORE_STEP, created)
    }

    fn raised(identity: &Identity, by: u64, created: Wall) -> Result<Self, Error> {
        let all = identity.data.extensions.as_ref().and_then(|extensions| extensions.additional_metadata.as_deref());
        let others = all.unwrap_or_default().iter().filter(|(name, _)| name != DR_KEY && name != RELAYS);
        Ok(Self {
            username: identity.username().to_owned(),
            noise_key: identity.noise_key(),
            dr_key: identity.dr_key(),
            flags: identity.flags(),
            relays: identity.relays().to_vec(),
            picture: identity.picture().map(<[u8]>::to_vec),
            metadata: others.map(|(name, value)| (name.clone(), value.to_vec())).collect(),
            version: identity.version().checked_add(by).ok_or(Error::BadInput("this identity is frozen for ever"))?,
            created,
        })
    }

    /// Signs it.
    ///
    /// # Errors
    /// Something in it breaks a rule that every receiver checks.
    pub fn sign(self, key: &SigningKey) -> Result<Identity, Error> {
        let mut metadata = Vec::new();
        if let Some(dr_key) = self.dr_key {
            metadata.push((DR_KEY.to_owned(), Blob(dr_key.0.to_vec())));
        }
        if !self.relays.is_empty() {
            metadata.push((RELAYS.to_owned(), Blob(encode(&self.relays))));
        }
        if self.metadata.iter().any(|(name, _)| name == DR_KEY || name == RELAYS) {
            return Err(Error::BadInput("dr_key and relays have fields of their own"));
        }
        metadata.extend(self.metadata.into_iter().map(|(name, value)| (name, Blob(value))));
        let metadata = Some(metadata).filter(|metadata| !metadata.is_empty());
        let extensions = (self.picture.is_some() || metadata.is_some())
            .then(|| Extensions { profile_picture: self.picture.map(Blob), additional_metadata: metadata });
        let data = VerifiedData {
            username: self.username,
            identity_key: key.public(),
            noise_key: self.noise_key,
            flags: self.flags,
            extensions,
            version: self.version,
            created: self.created,
        };
        let verified = encode(&data);
        let signature = key.sign(&signed_content(&verified));
        // As every receiver does it, so that nothing is signed that nobody would take.
        SignedIdentity { verified: Blob(verified), signature }.verify()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    fn draft() -> IdentityDraft {
        IdentityDraft::new("Ada", PublicKey([2; 32]), PublicKey([3; 32]), 7, Wall::from_millis(1))
    }

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[1; 32])
    }

    fn relay() -> RelayRef {
        RelayRef {
            endpoint: "relay.example:4433".parse().unwrap(),
            relay_identity: key().public(),
            noise_key: Some(PublicKey([4; 32])),
        }
    }

    /// SR-3.1b, SR-3.1.2b, SR-3.1.4a
    #[test]
    fn signs_what_it_reads_back() {
        let mut draft = draft();
        draft.relays = vec![relay()];
        draft.picture = Some(vec![5; 8192]);
        draft.metadata = vec![("waypost".to_owned(), vec![1])];
        draft.flags.discoverable = Some(true);
        let identity = draft.clone().sign(&key()).unwrap();
        assert_eq!(identity.key(), key().public());
        assert_eq!((identity.username(), identity.version()), ("Ada", 7));
        assert_eq!((identity.noise_key(), identity.dr_key()), (draft.noise_key, draft.dr_key));
        assert_eq!(identity.relays(), [relay()]);
        assert_eq!(identity.metadata("waypost"), Some(&[1][..]));
        assert!(identity.flags().is_discoverable());
        let bytes = encode(identity.signed());
        assert_eq!(SignedIdentity::decode(&bytes).and_then(|signed| signed.verify()), Ok(identity));
    }

    /// SR-3.1.5b
    #[test]
    fn raises_the_version_and_keeps_the_rest() {
        let mut first = draft();
        first.metadata = vec![("x".to_owned(), vec![1])];
        let first = first.sign(&key()).unwrap();
        let next = IdentityDraft::next(&first, Wall::from_millis(2)).unwrap().sign(&key()).unwrap();
        assert_eq!((next.version(), next.created()), (8, Wall::from_millis(2)));
        assert_eq!((next.username(), next.dr_key(), next.metadata("x")), ("Ada", first.dr_key(), Some(&[1][..])));
    }

    /// SR-3.1.5c
    #[test]
    fn jumps_ahead_after_a_restored_backup() {
        let backup = draft().sign(&key()).unwrap();
        assert_eq!(IdentityDraft::after_restore(&backup, Wall::default()).unwrap().version, 1007);
    }

    /// SR-3.1.5a
    #[test]
    fn freezes_the_last_version() {
        let mut last = draft();
        last.version = u64::MAX;
        let last = last.sign(&key()).unwrap();
        assert!(IdentityDraft::next(&last, Wall::from_millis(2)).is_err());
    }

    /// SR-3.1.2a
    #[test]
    fn signs_nothing_over_the_limits() {
        let cases: [fn(&mut IdentityDraft); 6] = [
            |draft| draft.picture = Some(vec![0; 8193]),
            |draft| draft.metadata = (0..32).map(|i| (i.to_string(), vec![])).collect(),
            |draft| draft.metadata = vec![(String::new(), vec![])],
            |draft| draft.metadata = vec![("n".repeat(65), vec![])],
            |draft| draft.metadata = vec![("n".to_owned(), vec![0; 4097])],
            |draft| draft.relays = vec![relay(); 4],
        ];
        for change in cases {
            let mut draft = draft();
            change(&mut draft);
            assert_eq!(draft.sign(&key()).map_err(|error| error.code()), Err(ErrorCode::Limit));
        }
    }

    /// SR-3.1.4b
    #[test]
    fn gives_no_identity_for_a_changed_byte() {
        let identity = draft().sign(&key()).unwrap();
        let mut signed = identity.signed().clone();
        let last = signed.verified.0.len() - 1;
        signed.verified.0[last] ^= 1;
        assert_eq!(signed.verify().map_err(|error| error.code()), Err(ErrorCode::IdSig));
    }
}
