//! Who takes part: the same people with the same keys in every run.

use waypost_core::Wall;
use waypost_sremp::{Identity, IdentityDraft, ed25519::SigningKey, vault::Own, x25519::Secret};

/// When everything happens.
pub const NOW: Wall = Wall::from_millis(1_790_000_000_000);

/// Somebody with all their keys.
#[derive(Clone, Debug)]
pub struct Person {
    /// Who they are.
    pub identity: Identity,
    /// Signs for them.
    pub signing: SigningKey,
    /// The secret of the identity's Noise key.
    pub noise: Secret,
    /// The secret of its ratchet key.
    pub dr: Secret,
}

impl Person {
    /// The person whose keys all come from this byte; nothing if their identity does not hold.
    pub fn of(byte: u8) -> Option<Self> {
        let signing = SigningKey::from_bytes(&[byte; 32]);
        let (noise, dr) = (Secret::from_bytes([byte ^ 0x55; 32]), Secret::from_bytes([byte ^ 0xaa; 32]));
        let draft = IdentityDraft::new("Somebody", noise.public(), dr.public(), 1, NOW);
        Some(Self { identity: draft.sign(&signing).ok()?, signing, noise, dr })
    }

    /// What the vault works with.
    pub fn own(&self) -> Own<'_> {
        Own { identity: &self.identity, signing: &self.signing, dr_secret: &self.dr }
    }
}
