//! One person as we know them.

use crate::{
    Error, Identity, SignedIdentity,
    msgpack::{Field, Reader, Writer, decode, encode, record},
};
use waypost_core::{ContactId, Wall};

/// What the user thinks of a contact. SREMP 3.2, profile SR-3.2b.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Nothing yet: small texts only, nothing is fetched or shown by itself.
    #[default]
    Unknown,
    /// Accepted or verified: everything.
    Trusted,
    /// Unwanted: nothing, and no answer.
    Rejected,
}

/// How a contact's key was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VerifiedVia {
    /// The sixty digits were compared.
    Number,
    /// A code was scanned.
    Qr,
}

/// A contact. SREMP 3.1, profile SR-3.1d.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustRow {
    /// The highest version seen, and the first of that version.
    pub identity: Identity,
    /// The user's judgement.
    pub trust: Trust,
    /// When the key was first seen.
    pub first_seen: Wall,
    /// When it was last seen.
    pub last_seen: Wall,
    /// How the user made sure, if they did.
    pub verified_via: Option<VerifiedVia>,
    /// Two identities of one version were seen; until the user clears it.
    pub forked: bool,
    /// The Noise key changed; until the user clears it.
    pub noise_changed: bool,
    /// The two identities, as proof.
    pub fork: Option<Fork>,
    /// Whether a message was ever exchanged. Without one, an Unknown row may have to make room.
    pub has_messages: bool,
}

record! {
    /// Two identities of one key and one version: whoever holds the key, or a copy of it, signed both.
    pub struct Fork {
        /// The one that stays.
        pub first: SignedIdentity,
        /// The one that came later.
        pub second: SignedIdentity,
    }

    struct Stored {
        identity: SignedIdentity,
        trust: Trust,
        first_seen: Wall,
        last_seen: Wall,
        verified_via: Option<VerifiedVia>,
        forked: bool,
        noise_changed: bool,
        fork: Option<Fork>,
        has_messages: bool,
    }
}

impl TrustRow {
    /// A person seen for the first time. SREMP 3.2: trust on first use.
    pub fn new(identity: Identity, now: Wall) -> Self {
        Self {
            identity,
            trust: Trust::Unknown,
            first_seen: now,
            last_seen: now,
            verified_via: None,
            forked: false,
            noise_changed: false,
            fork: None,
            has_messages: false,
        }
    }

    /// Whose row it is.
    pub const fn key(&self) -> ContactId {
        self.identity.key()
    }

    /// The high-water mark: nothing below it is taken.
    pub const fn version(&self) -> u64 {
        self.identity.version()
    }

    /// The user found the keys to be right. Profile SR-3.2c.
    pub fn verify(&mut self, via: VerifiedVia) {
        self.trust = Trust::Trusted;
        self.verified_via = Some(via);
    }

    /// The user has seen the warnings and clears them.
    pub fn clear_warnings(&mut self) {
        self.forked = false;
        self.noise_changed = false;
        self.fork = None;
    }

    /// Whether the row may have to make room: a made-up identity costs nothing.
    pub fn is_idle(&self) -> bool {
        self.trust == Trust::Unknown && !self.has_messages
    }

    /// The bytes of its record.
    pub fn encode(&self) -> Vec<u8> {
        encode(&Stored {
            identity: self.identity.signed().clone(),
            trust: self.trust,
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            verified_via: self.verified_via,
            forked: self.forked,
            noise_changed: self.noise_changed,
            fork: self.fork.clone(),
            has_messages: self.has_messages,
        })
    }

    /// Reads the bytes of its record. The identity's signature was checked before it was written.
    ///
    /// # Errors
    /// Not such a record.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let stored: Stored = decode(bytes)?;
        Ok(Self {
            identity: stored.identity.trusted()?,
            trust: stored.trust,
            first_seen: stored.first_seen,
            last_seen: stored.last_seen,
            verified_via: stored.verified_via,
            forked: stored.forked,
            noise_changed: stored.noise_changed,
            fork: stored.fork,
            has_messages: stored.has_messages,
        })
    }
}

macro_rules! names {
    ($type:ty { $($variant:ident = $name:literal,)* }) => {
        impl $type {
            /// Its name, as it is stored and shown.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        impl Field for $type {
            fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
                match reader.str()? {
                    $($name => Ok(Self::$variant),)*
                    _ => Err(Error::Malformed("an unknown name")),
                }
            }

            fn write(&self, writer: &mut Writer) {
                writer.str(self.name());
            }
        }
    };
}

names!(Trust { Unknown = "unknown", Trusted = "trusted", Rejected = "rejected", });
names!(VerifiedVia { Number = "number", Qr = "qr", });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IdentityDraft, ed25519::SigningKey, x25519::PublicKey};

    #[test]
    fn reads_back_what_it_wrote() {
        let draft = IdentityDraft::new("Ada", PublicKey([1; 32]), PublicKey([2; 32]), 7, Wall::default());
        let identity = draft.sign(&SigningKey::from_bytes(&[1; 32])).unwrap();
        let mut row = TrustRow::new(identity.clone(), Wall::from_millis(5));
        assert_eq!(TrustRow::decode(&row.encode()), Ok(row.clone()));
        row.verify(VerifiedVia::Qr);
        row.fork = Some(Fork { first: identity.signed().clone(), second: identity.signed().clone() });
        (row.forked, row.noise_changed, row.has_messages) = (true, true, true);
        assert_eq!(TrustRow::decode(&row.encode()), Ok(row));
        assert!(TrustRow::decode(b"").is_err());
    }
}
