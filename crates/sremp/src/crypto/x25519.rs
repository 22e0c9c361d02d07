//! X25519 keys and their exchange, RFC 7748.

use rand_core::CryptoRng;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A public X25519 key as it travels.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "PublicKey({a:02x}{b:02x}{c:02x}{d:02x}..)")
    }
}

/// A secret X25519 key.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A new one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        let secret = Self(bytes);
        bytes.zeroize();
        secret
    }

    /// The one of these bytes; they are clamped when used.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0)
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        PublicKey(x25519_dalek::x25519(self.0, x25519_dalek::X25519_BASEPOINT_BYTES))
    }

    /// The secret both sides share. SREMP A, profile SR-A1: an all-zero result is refused.
    ///
    /// # Errors
    /// The other key is a point of small order.
    pub fn exchange(&self, theirs: &PublicKey) -> Result<SharedSecret, SmallOrder> {
        let shared = SharedSecret(x25519_dalek::x25519(self.0, theirs.0));
        if bool::from(shared.0.ct_eq(&[0; 32])) { Err(SmallOrder) } else { Ok(shared) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What an exchange gives to both sides.
#[derive(ZeroizeOnDrop)]
pub struct SharedSecret([u8; 32]);

impl SharedSecret {
    /// The bytes; input for a key derivation, never a key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(..)")
    }
}

/// The exchange gave zero: the other key is a point of small order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other key is of small order")]
pub struct SmallOrder;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_both_sides_the_same_secret() {
        let (a, b) = (Secret::from_bytes([1; 32]), Secret::from_bytes([2; 32]));
        let (ab, ba) = (a.exchange(&b.public()).unwrap(), b.exchange(&a.public()).unwrap());
        assert_eq!(ab.as_bytes(), ba.as_bytes());
    }

    /// SR-A1
    #[test]
    fn refuses_points_of_small_order() {
        let secret = Secret::from_bytes([7; 32]);
        let order_8 = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800";
        for key in [[0; 32], one(), hex::decode(order_8).unwrap().try_into().unwrap()] {
            assert_eq!(secret.exchange(&PublicKey(key)).err(), Some(SmallOrder));
        }
    }

    fn one() -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[0] = 1;
        bytes
    }
}
