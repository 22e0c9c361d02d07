//! Who somebody is: a signed statement of keys, name and flags. SREMP 3.1, profile SR-3.1a to SR-3.1.6.
//!
//! What arrives is a [`SignedIdentity`]: bytes and a signature. Only [`SignedIdentity::verify`] makes
//! an [`Identity`] of it, whose fields may be used. The bytes are kept as they came and never written anew.

mod draft;
mod username;

pub use draft::IdentityDraft;
pub use username::check_username;

use crate::{
    Error, ErrorCode,
    crypto::{
        ed25519::{Signature, verify},
        label,
        x25519::PublicKey,
    },
    endpoint::Endpoint,
    msgpack::{Blob, decode, record},
};
use std::fmt;
use waypost_core::{ContactId, Wall};

/// Largest `verified` in bytes: fits one frame with room for all else. Profile SR-3.1.2a.
pub const MAX_VERIFIED: usize = 16384;
/// Largest picture in bytes.
pub const MAX_PICTURE: usize = 8192;
/// Most entries of additional metadata.
pub const MAX_METADATA: usize = 32;
/// Longest name of one, in bytes; the shortest is 1.
pub const MAX_METADATA_NAME: usize = 64;
/// Largest value of one, in bytes.
pub const MAX_METADATA_VALUE: usize = 4096;
/// Most relays a person names. Profile SR-3.1.2b.
pub const MAX_RELAYS: usize = 3;

record! {
    /// An identity as it travels: nothing in it may be trusted. SREMP 3.1, profile SR-3.1.4a.
    pub struct SignedIdentity {
        /// The signed bytes, exactly as received.
        pub verified: Blob,
        /// By the identity key, over a label and these bytes.
        pub signature: Signature,
    }

    struct VerifiedData {
        username: String,
        identity_key: ContactId,
        noise_key: PublicKey,
        flags: Flags,
        extensions: Option<Extensions>,
        version: u64,
        created: Wall,
    }

    /// What a person says about their client. SREMP 3.1, profile SR-3.1.2b.
    #[derive(Copy, Default)]
    pub struct Flags {
        /// Has a mailbox at a relay.
        pub uses_relay: bool,
        /// Is no person.
        pub is_machine_account: bool,
        /// Serves as a relay for others.
        pub is_relay_server: bool,
        /// Wants letters through the relay, not directly.
        pub prefers_async: bool,
        /// Wants to appear in lists of rendezvous servers; absent means no.
        pub discoverable: Option<bool>,
    }

    struct Extensions {
        profile_picture: Option<Blob>,
        additional_metadata: Option<Vec<(String, Blob)>>,
    }

    /// A relay where somebody has a mailbox. Profile SR-3.1.2b.
    #[derive(Hash)]
    pub struct RelayRef {
        /// Where it is.
        pub endpoint: Endpoint,
        /// Who it is.
        pub relay_identity: ContactId,
        /// Its Noise key, the pin for dialling.
        pub noise_key: Option<PublicKey>,
    }
}

impl SignedIdentity {
    /// Reads one by itself, outside of a message.
    ///
    /// # Errors
    /// Malformed.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        decode(bytes)
    }

    /// Checks everything that can be checked without knowing anybody: size, form, signature, name,
    /// limits, ratchet key and relays, in this order. SREMP 3.1.4, profile SR-3.1.4b.
    ///
    /// # Errors
    /// LIMIT, MALFORMED or ID_SIG, the first that applies.
    pub fn verify(&self) -> Result<Identity, Error> {
        if self.verified.len() > MAX_VERIFIED {
            return Err(Error::Limit("identity"));
        }
        let data: VerifiedData = decode(&self.verified)?;
        verify(&data.identity_key, &signed_content(&self.verified), &self.signature)
            .map_err(|_| Error::Proof(ErrorCode::IdSig))?;
        Identity::of(self.clone(), data)
    }

    /// Reads one that was verified before it was put into our own records.
    pub(crate) fn trusted(self) -> Result<Identity, Error> {
        let data = decode(&self.verified)?;
        Identity::of(self, data)
    }
}

fn signed_content(verified: &[u8]) -> Vec<u8> {
    [label!("identity"), verified].concat()
}

/// An identity whose signature and limits hold.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    signed: SignedIdentity,
    data: VerifiedData,
    dr_key: Option<PublicKey>,
    relays: Vec<RelayRef>,
}

impl Identity {
    /// The checks behind the signature, in the profile's order.
    fn of(signed: SignedIdentity, data: VerifiedData) -> Result<Self, Error> {
        check_username(&data.username)?;
        if let Some(extensions) = &data.extensions {
            extensions.check()?;
        }
        let metadata = data.extensions.as_ref().and_then(|extensions| extensions.additional_metadata.as_ref());
        let value = |name| metadata.and_then(|all| all.iter().find(|(key, _)| key == name)).map(|(_, value)| value);
        let dr_key = match value(DR_KEY) {
            Some(bytes) => {
                Some(PublicKey(bytes.as_ref().try_into().map_err(|_| Error::Malformed("dr_key is not 32 bytes"))?))
            }
            None => None,
        };
        let relays: Vec<RelayRef> = value(RELAYS).map_or(Ok(Vec::new()), |bytes| decode(bytes))?;
        if relays.len() > MAX_RELAYS {
            return Err(Error::Limit("relays"));
        }
        Ok(Self { signed, data, dr_key, relays })
    }

    /// Whether the peer of a connection is who this identity says: its static key is the Noise key
    /// (13), it is not ourselves (20), and it is who was dialled (20). SREMP 4.1, profile SR-4.1.1a, SR-4.1.1b.
    ///
    /// # Errors
    /// NOISE_KEY_MISMATCH or AUTH, the first that applies.
    pub fn check_peer(
        &self,
        noise_static: &PublicKey,
        own: &ContactId,
        dialled: Option<&ContactId>,
    ) -> Result<(), Error> {
        if self.noise_key() != *noise_static {
            return Err(Error::Proof(ErrorCode::NoiseKeyMismatch));
        }
        if self.key() == *own || dialled.is_some_and(|dialled| *dialled != self.key()) {
            return Err(Error::Proof(ErrorCode::Auth));
        }
        Ok(())
    }

    /// Whose it is: the one identifier, for ever. SREMP 3.1.6.
    pub const fn key(&self) -> ContactId {
        self.data.identity_key
    }

    /// The static key of this person's Noise connections; it may change with a new version.
    pub const fn noise_key(&self) -> PublicKey {
        self.data.noise_key
    }

    /// The key that starts ratchet sessions; without one there are none.
    pub const fn dr_key(&self) -> Option<PublicKey> {
        self.dr_key
    }

    /// The name the person chose.
    pub fn username(&self) -> &str {
        &self.data.username
    }

    /// What the person says about their client.
    pub const fn flags(&self) -> Flags {
        self.data.flags
    }

    /// Where the person has mailboxes, best first.
    pub fn relays(&self) -> &[RelayRef] {
        &self.relays
    }

    /// A picture, in whatever format.
    pub fn picture(&self) -> Option<&[u8]> {
        self.data.extensions.as_ref()?.profile_picture.as_deref()
    }

    /// One entry of the additional metadata.
    pub fn metadata(&self, name: &str) -> Option<&[u8]> {
        let all = self.data.extensions.as_ref()?.additional_metadata.as_ref()?;
        all.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// The higher one counts. SREMP 3.1.5.
    pub const fn version(&self) -> u64 {
        self.data.version
    }

    /// When it was made, by the person's own clock: shown, never decides. Profile SR-3.1.5d.
    pub const fn created(&self) -> Wall {
        self.data.created
    }

    /// The signed bytes, for storing and passing on.
    pub const fn signed(&self) -> &SignedIdentity {
        &self.signed
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({}, version {})", self.data.identity_key, self.data.version)
    }
}

impl Flags {
    /// Whether rendezvous servers may list this person.
    pub fn is_discoverable(self) -> bool {
        self.discoverable == Some(true)
    }
}

impl Extensions {
    fn check(&self) -> Result<(), Error> {
        if self.profile_picture.as_ref().is_some_and(|picture| picture.len() > MAX_PICTURE) {
            return Err(Error::Limit("profile picture"));
        }
        let metadata = self.additional_metadata.as_deref().unwrap_or_default();
        if metadata.len() > MAX_METADATA {
            return Err(Error::Limit("metadata entries"));
        }
        if metadata.iter().any(|(name, _)| name.is_empty() || name.len() > MAX_METADATA_NAME) {
            return Err(Error::Limit("metadata name"));
        }
        if metadata.iter().any(|(_, value)| value.len() > MAX_METADATA_VALUE) {
            return Err(Error::Limit("metadata value"));
        }
        Ok(())
    }
}

const DR_KEY: &str = "dr_key";
const RELAYS: &str = "relays";
