//! X25519 keys and their exchange, RFC 7748.
//!
//! By AWS-LC, which takes a third of the time of portable code. It draws no randomness here.

use aws_lc_rs::{
    agreement::{self, UnparsedPublicKey, X25519},
    error::Unspecified,
};
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

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The bytes.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0)
    }

    /// The public key.
    #[expect(clippy::expect_used, reason = "every X25519 key has a public key of 32 bytes")]
    pub fn public(&self) -> PublicKey {
        let public = self.key().compute_public_key().expect("a public key");
        PublicKey(public.as_ref().try_into().expect("32 bytes"))
    }

    /// The secret both sides share. SREMP A, profile SR-A1: an all-zero result is refused.
    ///
    /// # Errors
    /// The other key is a point of small order.
    pub fn exchange(&self, theirs: &PublicKey) -> Result<SharedSecret, SmallOrder> {
        let theirs = UnparsedPublicKey::new(&X25519, theirs.0);
        let shared = agreement::agree(&self.key(), theirs, Unspecified, |bytes| {
            bytes.try_into().map(SharedSecret).map_err(|_| Unspecified)
        });
        match shared {
            // AWS-LC refuses zero too; this rule is the profile's, so it does not rest on that.
            Ok(shared) if !bool::from(shared.0.ct_eq(&[0; 32])) => Ok(shared),
            _ => Err(SmallOrder),
        }
    }

    #[expect(clippy::expect_used, reason = "any 32 bytes are an X25519 key")]
    fn key(&self) -> agreement::PrivateKey {
        agreement::PrivateKey::from_private_key(&X25519, &self.0).expect("a private key")
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
        for key in [[0; 32], one(), bytes(order_8)] {
            assert_eq!(secret.exchange(&PublicKey(key)).err(), Some(SmallOrder));
        }
    }

    /// RFC 7748, 5.2 and 6.1.
    #[test]
    fn gives_what_the_standard_says() {
        let scalar = bytes("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
        let point = bytes("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
        let shared = Secret::from_bytes(scalar).exchange(&PublicKey(point)).unwrap();
        assert_eq!(hex::encode(shared.as_bytes()), "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
        let alice = bytes("77076d0a7318a57d3c16c17251b26645df4f0c7d3d4d2a4e4d5a8d9d3e4a1e0a");
        let reference = x25519_dalek::x25519(alice, x25519_dalek::X25519_BASEPOINT_BYTES);
        assert_eq!(Secret::from_bytes(alice).public().0, reference);
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_portable_code(secret: [u8; 32], theirs: [u8; 32]) {
            let shared = Secret::from_bytes(secret).exchange(&PublicKey(theirs)).unwrap();
            proptest::prop_assert_eq!(*shared.as_bytes(), x25519_dalek::x25519(secret, theirs));
        }
    }

    fn bytes(text: &str) -> [u8; 32] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    fn one() -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[0] = 1;
        bytes
    }
}
