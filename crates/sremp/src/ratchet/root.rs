//! The root key: each Diffie-Hellman step turns it into the next one and into the keys of a new chain.

use super::chain::ChainKey;
use crate::{crypto::label, crypto::x25519::SharedSecret, kdf::hkdf};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// RK of the profile.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct RootKey(pub(super) [u8; 32]);

/// What one step of the root gives: the next root and a new chain with the header key of the one after it.
pub(crate) struct RootStep {
    pub(crate) root: RootKey,
    pub(crate) chain: ChainKey,
    pub(crate) next_header: [u8; 32],
}

impl RootKey {
    /// Takes the bytes as they are.
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for keeping.
    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// KDF_RK of the profile.
    pub(super) fn step(&self, dh: &SharedSecret) -> RootStep {
        self.step_with(dh.as_bytes())
    }

    pub(crate) fn step_with(&self, dh: &[u8; 32]) -> RootStep {
        let keys = hkdf::<96>(&self.0, &[dh], label!("root"));
        let mut step = RootStep { root: Self([0; 32]), chain: ChainKey::from_bytes([0; 32]), next_header: [0; 32] };
        let (root, rest) = keys.split_at(32);
        let (chain, next_header) = rest.split_at(32);
        step.root.0.copy_from_slice(root);
        step.chain.0.copy_from_slice(chain);
        step.next_header.copy_from_slice(next_header);
        step
    }
}

impl Drop for RootStep {
    fn drop(&mut self) {
        self.next_header.zeroize();
    }
}
