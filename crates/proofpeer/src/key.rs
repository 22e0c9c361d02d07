//! Public keys in all the forms they are carried in, and what is derived from them. Profile, Public keys; PP-3.1a,
//! PP-3.1b.

use crate::{Drop, murmur::murmur3};
use curve25519_dalek::edwards::CompressedEdwardsY;
use der::asn1::UintRef;
use der::{Decode, Encode};
use pkcs1::RsaPublicKey;
use sha2::{Digest, Sha256};
use spki::{AlgorithmIdentifierRef, ObjectIdentifier, SubjectPublicKeyInfoRef};
use std::fmt;
use waypost_codec::base64;

/// Longest text of a key: RSA-4096 takes 736 characters.
const MAX_TEXT: usize = 800;
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// A DER sequence begins with it.
const SEQUENCE: u8 = 0x30;

/// What a key is known by: SHA-256 of its canonical SPKI.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// A peer's key, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    material: Material,
    spki: Vec<u8>,
    fingerprint: Fingerprint,
}

/// The key proper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Material {
    /// The compressed point.
    Ed25519([u8; 32]),
    /// DER of PKCS#1 RSAPublicKey, and the length of the modulus in bytes.
    Rsa { pkcs1: Vec<u8>, modulus: usize },
}

/// A key as a message carried it: the form decides the uid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedKey {
    /// The key.
    pub key: PublicKey,
    /// Its uid: where its inbox is.
    pub uid: u32,
}

impl CarriedKey {
    /// Reads the text of a `pubkey`.
    ///
    /// # Errors
    /// [`Drop::BadKey`].
    pub fn decode(text: &str) -> Result<Self, Drop> {
        if text.len() > MAX_TEXT {
            return Err(Drop::BadKey);
        }
        let bytes = base64::decode_any(text).ok_or(Drop::BadKey)?;
        Ok(Self { key: PublicKey::from_carried(&bytes).ok_or(Drop::BadKey)?, uid: murmur3(&bytes) })
    }
}

impl PublicKey {
    /// An Ed25519 key.
    pub(crate) fn ed25519(point: [u8; 32]) -> Option<Self> {
        is_prime_order(&point).then_some(())?;
        let algorithm = AlgorithmIdentifierRef { oid: ED25519, parameters: None };
        Self::new(Material::Ed25519(point), algorithm, &point)
    }

    /// An RSA key.
    pub(crate) fn rsa(pkcs1: &[u8]) -> Option<Self> {
        let key = RsaPublicKey::<UintRef<'_>>::from_der(pkcs1).ok()?;
        if key.to_der().ok()? != pkcs1 || key.public_exponent.as_bytes() != [1, 0, 1] {
            return None;
        }
        let modulus = key.modulus.as_bytes();
        let bits = modulus.len() * 8 - usize::try_from(modulus.first()?.leading_zeros()).ok()?;
        if !(2048..=4096).contains(&bits) || modulus.last()? & 1 == 0 {
            return None;
        }
        let algorithm = AlgorithmIdentifierRef { oid: RSA, parameters: Some(der::asn1::AnyRef::NULL) };
        Self::new(Material::Rsa { pkcs1: pkcs1.to_vec(), modulus: modulus.len() }, algorithm, pkcs1)
    }

    fn new(material: Material, algorithm: AlgorithmIdentifierRef<'_>, bits: &[u8]) -> Option<Self> {
        let subject_public_key = der::asn1::BitStringRef::from_bytes(bits).ok()?;
        let spki = SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der().ok()?;
        let fingerprint = Fingerprint(Sha256::digest(&spki).into());
        Some(Self { material, spki, fingerprint })
    }

    fn from_carried(bytes: &[u8]) -> Option<Self> {
        if let Ok(point) = <[u8; 32]>::try_from(bytes) {
            return Self::ed25519(point);
        }
        if bytes.first() != Some(&SEQUENCE) {
            return None;
        }
        Self::from_spki(bytes).or_else(|| Self::rsa(bytes))
    }

    /// Reads canonical DER.
    pub(crate) fn from_spki(bytes: &[u8]) -> Option<Self> {
        let info = SubjectPublicKeyInfoRef::from_der(bytes).ok()?;
        let bits = info.subject_public_key.as_bytes()?;
        let key = match (info.algorithm.oid, info.algorithm.parameters) {
            (ED25519, None) => Self::ed25519(bits.try_into().ok()?)?,
            (RSA, Some(parameters)) if parameters.is_null() => Self::rsa(bits)?,
            _ => return None,
        };
        (key.spki == bytes).then_some(key)
    }

    /// Canonical DER SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// What it is known by.
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// As it is sent: base64 of the SPKI.
    pub fn to_text(&self) -> String {
        base64::encode(&self.spki)
    }

    /// The uid of the SPKI: its own owner's.
    pub fn uid(&self) -> u32 {
        murmur3(&self.spki)
    }

    /// Whether it is an Ed25519 key; else it is RSA.
    pub const fn is_ed25519(&self) -> bool {
        matches!(self.material, Material::Ed25519(_))
    }

    pub(crate) const fn material(&self) -> &Material {
        &self.material
    }
}

/// Canonical, on the curve, and in the subgroup of prime order, which leaves out the small ones.
fn is_prime_order(bytes: &[u8; 32]) -> bool {
    let Some(point) = CompressedEdwardsY(*bytes).decompress() else { return false };
    point.compress().0 == *bytes && point.is_torsion_free() && !point.is_small_order()
}
