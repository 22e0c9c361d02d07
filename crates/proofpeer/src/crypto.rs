//! Cryptography behind one seam: AWS-LC where C is to be had, Rust alone where it is not.
//!
//! What both do alike (SHA-256, HKDF, Ed25519, X25519, sealed boxes) is Rust and stands in the files that use it.

#[cfg(feature = "native")]
mod native;
#[cfg(feature = "pure")]
mod pure;

use crate::Error;
use rand_core::CryptoRng;
use std::fmt;
use zeroize::Zeroizing;

/// Length of a GCM nonce.
pub(crate) const NONCE_LEN: usize = 12;

/// What the two differ in.
pub(crate) trait Backend: Send + Sync {
    /// AES-256-GCM: ciphertext and tag.
    fn seal(&self, key: &[u8; 32], nonce: &[u8; NONCE_LEN], aad: &[u8], plain: &[u8]) -> Vec<u8>;
    /// The plaintext of ciphertext and tag, if the tag holds.
    fn open(&self, key: &[u8; 32], nonce: &[u8; NONCE_LEN], aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>>;
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    fn verify_rs256(&self, pkcs1: &[u8], message: &[u8], signature: &[u8]) -> bool;
    /// RSAES-OAEP with SHA-256 and MGF1-SHA-256. AWS-LC draws its own randomness here.
    fn wrap(&self, rng: &mut dyn CryptoRng, pkcs1: &[u8], secret: &[u8; 32]) -> Option<Vec<u8>>;
    /// A private RSA key from PKCS#8.
    fn private_rsa(&self, pkcs8: &[u8]) -> Result<Box<dyn PrivateRsa>, Error>;
    /// A new private RSA-2048 key as PKCS#8. AWS-LC draws its own randomness here.
    fn generate_rsa(&self, rng: &mut dyn CryptoRng) -> Result<Zeroizing<Vec<u8>>, Error>;
}

/// A private RSA key.
pub(crate) trait PrivateRsa: Send + Sync {
    /// DER of the public key, PKCS#1.
    fn public_pkcs1(&self) -> Vec<u8>;
    /// RSASSA-PKCS1-v1_5 with SHA-256, which needs no randomness but to blind.
    fn sign(&self, rng: &mut dyn CryptoRng, message: &[u8]) -> Option<Vec<u8>>;
    /// What was wrapped by OAEP with SHA-256, or else with SHA-1. PP-5.1d.
    fn unwrap(&self, rng: &mut dyn CryptoRng, wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>>;
}

/// Which cryptography is used.
#[derive(Clone, Copy)]
pub struct Crypto(&'static dyn Backend);

impl Crypto {
    /// AWS-LC.
    #[cfg(feature = "native")]
    pub fn native() -> Self {
        Self(&native::Native)
    }

    /// Rust alone; private RSA keys are refused.
    #[cfg(feature = "pure")]
    pub fn pure() -> Self {
        Self(&pure::Pure { private_rsa: false })
    }

    /// Rust alone, with private RSA keys whose use takes a time that tells about the key (the Marvin attack).
    #[cfg(feature = "pure")]
    pub fn danger_pure_with_leaky_private_rsa() -> Self {
        Self(&pure::Pure { private_rsa: true })
    }

    pub(crate) const fn backend(self) -> &'static dyn Backend {
        self.0
    }
}

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Crypto(..)")
    }
}
