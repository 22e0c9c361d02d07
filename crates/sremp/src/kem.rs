//! ML-KEM-768 (FIPS 203), the post-quantum half of the session set-up.
//!
//! Keys are kept as their 64-byte seed (d, z) and expanded when used: the expanded key is 38 times
//! as long and expanding costs less than one Diffie-Hellman step.

use crate::{
    Error, ErrorCode,
    msgpack::{Field, Reader, Writer},
};
use libcrux_ml_kem::mlkem768::{self, MlKem768Ciphertext, MlKem768PublicKey};
use rand_core::CryptoRng;
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Length of an encapsulation key.
const KEM_KEY_LEN: usize = 1184;
/// Length of a ciphertext.
const KEM_CIPHERTEXT_LEN: usize = 1088;

/// The seed (d, z) of a key pair.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct KemSeed([u8; 64]);

impl KemSeed {
    /// A new key pair.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Self([0; 64]);
        rng.fill_bytes(&mut seed.0);
        seed
    }

    /// Takes d | z as they are.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The seed, for keeping.
    pub(crate) const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// The key others encapsulate to.
    pub fn public(&self) -> KemKey {
        KemKey(Box::new(mlkem768::generate_key_pair(self.0).pk().to_owned()))
    }

    /// The expanded decapsulation key.
    pub(crate) fn expanded(&self) -> Zeroizing<[u8; 2400]> {
        let (private, _) = mlkem768::generate_key_pair(self.0).into_parts();
        Zeroizing::new(private.into())
    }

    /// The shared secret inside `ciphertext`. A ciphertext for another key gives another secret, not an error.
    pub(crate) fn decapsulate(&self, ciphertext: &KemCiphertext) -> Zeroizing<[u8; 32]> {
        let private = self.expanded();
        let secret = mlkem768::decapsulate(&(&*private).into(), &MlKem768Ciphertext::from(&*ciphertext.0));
        Zeroizing::new(secret)
    }
}

impl fmt::Debug for KemSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KemSeed(..)")
    }
}

/// An encapsulation key as it was received; its form is checked when it is used.
#[derive(Clone, PartialEq, Eq)]
pub struct KemKey(Box<[u8; KEM_KEY_LEN]>);

impl KemKey {
    /// Takes the bytes as they are.
    pub fn from_bytes(bytes: [u8; KEM_KEY_LEN]) -> Self {
        Self(Box::new(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; KEM_KEY_LEN] {
        &self.0
    }

    /// A fresh shared secret and the ciphertext that carries it; `m` is the randomness of FIPS 203's Encaps.
    ///
    /// # Errors
    /// [`ErrorCode::Decrypt`] if a coefficient of the key is not reduced (FIPS 203, 7.2).
    pub(crate) fn encapsulate(&self, m: &[u8; 32]) -> Result<(KemCiphertext, Zeroizing<[u8; 32]>), Error> {
        let key = MlKem768PublicKey::from(&*self.0);
        if !mlkem768::validate_public_key(&key) {
            return Err(Error::Crypto(ErrorCode::Decrypt));
        }
        let (ciphertext, secret) = mlkem768::encapsulate(&key, *m);
        Ok((KemCiphertext(Box::new(ciphertext.into())), Zeroizing::new(secret)))
    }
}

impl fmt::Debug for KemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KemKey(..)")
    }
}

/// An encapsulated secret.
#[derive(Clone, PartialEq, Eq)]
pub struct KemCiphertext(Box<[u8; KEM_CIPHERTEXT_LEN]>);

impl KemCiphertext {
    /// Takes the bytes as they are.
    pub fn from_bytes(bytes: [u8; KEM_CIPHERTEXT_LEN]) -> Self {
        Self(Box::new(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; KEM_CIPHERTEXT_LEN] {
        &self.0
    }
}

impl fmt::Debug for KemCiphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KemCiphertext(..)")
    }
}

impl Field for KemKey {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Field::read(reader).map(Self::from_bytes)
    }

    fn write(&self, writer: &mut Writer) {
        writer.bin(self.as_bytes());
    }
}

impl Field for KemCiphertext {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Field::read(reader).map(Self::from_bytes)
    }

    fn write(&self, writer: &mut Writer) {
        writer.bin(self.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_get_one_secret() {
        let seed = KemSeed::from_bytes([7; 64]);
        let (ciphertext, secret) = seed.public().encapsulate(&[9; 32]).unwrap();
        assert_eq!(*seed.decapsulate(&ciphertext), *secret);
        assert_ne!(*KemSeed::from_bytes([8; 64]).decapsulate(&ciphertext), *secret);
    }

    #[test]
    fn refuses_a_key_with_a_coefficient_above_the_modulus() {
        let mut bytes = *KemSeed::from_bytes([7; 64]).public().as_bytes();
        bytes[..3].fill(0xff);
        assert!(matches!(KemKey::from_bytes(bytes).encapsulate(&[9; 32]), Err(Error::Crypto(ErrorCode::Decrypt))));
    }
}
