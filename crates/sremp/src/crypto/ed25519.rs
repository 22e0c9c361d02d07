//! Ed25519 signatures with one exact rule of verification.

use ed25519_dalek::{Signer, VerifyingKey};
use rand_core::CryptoRng;
use std::fmt;
use waypost_core::ContactId;
use zeroize::Zeroizing;

/// The secret of an identity.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// A new one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut());
        Self::from_bytes(&seed)
    }

    /// The one of a 32-byte seed (RFC 8032).
    pub fn from_bytes(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The seed.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public key, which is the person's id.
    pub fn public(&self) -> ContactId {
        ContactId::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// Signs `content`, which must start with a label.
    pub fn sign(&self, content: &[u8]) -> Signature {
        Signature(self.0.sign(content).to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// An Ed25519 signature as it travels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "Signature({a:02x}{b:02x}{c:02x}{d:02x}..)")
    }
}

/// A signature that does not hold, for whatever reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not hold")]
pub struct BadSignature;

/// Checks a signature: S < L, no cofactor, R compared as bytes; keys that are not canonical or of
/// small order and an R of small order are refused. SREMP 3.1.4, profile SR-3.1.4b.
///
/// # Errors
/// It does not hold.
pub fn verify(key: &ContactId, content: &[u8], signature: &Signature) -> Result<(), BadSignature> {
    if !is_canonical(key.as_bytes()) {
        return Err(BadSignature);
    }
    let key = VerifyingKey::from_bytes(key.as_bytes()).map_err(|_| BadSignature)?;
    let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
    key.verify_strict(content, &signature).map_err(|_| BadSignature)
}

/// Whether the encoded y is below 2^255 - 19. The bit of the sign does not count.
fn is_canonical(key: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = key;
    *first < 0xed || last & 0x7f != 0x7f || middle.iter().any(|&byte| byte != 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_its_own_signature_and_no_other_content_or_key() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let signature = key.sign(b"content");
        assert_eq!(verify(&key.public(), b"content", &signature), Ok(()));
        assert_eq!(verify(&key.public(), b"contenu", &signature), Err(BadSignature));
        let other = SigningKey::from_bytes(&[2; 32]).public();
        assert_eq!(verify(&other, b"content", &signature), Err(BadSignature));
    }

    #[test]
    fn knows_which_encodings_are_canonical() {
        let mut p = [0xff; 32];
        p[0] = 0xed;
        p[31] = 0x7f;
        assert!(!is_canonical(&p));
        p[31] = 0xff;
        assert!(!is_canonical(&p));
        p[0] = 0xec;
        assert!(is_canonical(&p));
        assert!(is_canonical(&[0; 32]));
    }

    #[test]
    fn refuses_every_small_order_key_with_either_sign() {
        // With A of small order and S = 0, R = the identity, a lax verifier takes every message.
        let mut forged = [0; 64];
        forged[0] = 1;
        for point in curve25519_dalek::constants::EIGHT_TORSION {
            for sign in [0, 0x80] {
                let mut key = point.compress().to_bytes();
                key[31] ^= sign;
                assert_eq!(verify(&ContactId::from_bytes(key), b"m", &Signature(forged)), Err(BadSignature));
            }
        }
    }

    #[test]
    fn shows_no_secret() {
        assert_eq!(format!("{:?}", SigningKey::from_bytes(&[1; 32])), "SigningKey(..)");
    }
}
