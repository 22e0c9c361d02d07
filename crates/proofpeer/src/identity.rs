//! The own key: RSA-2048 or Ed25519, kept as PKCS#8. Profile PP-3.1a, PP-5.1a, PP-9.2a.

use crate::crypto::PrivateRsa;
use crate::{Crypto, Error, PublicKey, sealed_box, token};
use ed25519_dalek::{Signer, SigningKey};
use pkcs8::der::{Decode, Encode};
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use rand_core::CryptoRng;
use std::fmt;
use waypost_codec::base64;
use zeroize::Zeroizing;

const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A private key and its public one.
pub struct Identity {
    private: Private,
    public: PublicKey,
    pkcs8: Zeroizing<Vec<u8>>,
}

enum Private {
    Ed25519(Box<SigningKey>),
    Rsa(Box<dyn PrivateRsa>),
}

impl Identity {
    /// A new Ed25519 key.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be written as PKCS#8.
    pub fn generate_ed25519(rng: &mut impl CryptoRng) -> Result<Self, Error> {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut_slice());
        Self::from_seed(&seed)
    }

    /// A new RSA-2048 key.
    ///
    /// # Errors
    /// [`Error::NoPrivateRsa`] where there is no vetted code for it.
    pub fn generate_rsa(rng: &mut dyn CryptoRng, crypto: Crypto) -> Result<Self, Error> {
        Self::from_pkcs8(&crypto.backend().generate_rsa(rng)?, crypto)
    }

    fn from_seed(seed: &[u8; 32]) -> Result<Self, Error> {
        let broken = Error::Internal("an Ed25519 key");
        // RFC 8410: the seed as an OCTET STRING inside.
        let inner = Zeroizing::new([&[4, 32][..], seed].concat());
        let algorithm = spki::AlgorithmIdentifierRef { oid: ED25519, parameters: None };
        let octets = der::asn1::OctetStringRef::new(&inner).map_err(|_| broken)?;
        let info = PrivateKeyInfoRef::new(algorithm, octets);
        let pkcs8 = Zeroizing::new(info.to_der().map_err(|_| broken)?);
        let signing = SigningKey::from_bytes(seed);
        let public = PublicKey::ed25519(signing.verifying_key().to_bytes()).ok_or(broken)?;
        Ok(Self { private: Private::Ed25519(Box::new(signing)), public, pkcs8 })
    }

    /// Reads PKCS#8 DER.
    ///
    /// # Errors
    /// [`Error::KeyFile`]; [`Error::NoPrivateRsa`].
    pub fn from_pkcs8(der: &[u8], crypto: Crypto) -> Result<Self, Error> {
        let info = PrivateKeyInfoRef::from_der(der).map_err(|_| Error::KeyFile)?;
        if info.algorithm.oid == ED25519 {
            let seed = info.private_key.as_bytes().strip_prefix(&[4, 32]).and_then(|seed| seed.try_into().ok());
            return Self::from_seed(seed.ok_or(Error::KeyFile)?);
        }
        let private = crypto.backend().private_rsa(der)?;
        let public = PublicKey::rsa(&private.public_pkcs1()).ok_or(Error::KeyFile)?;
        Ok(Self { private: Private::Rsa(private), public, pkcs8: Zeroizing::new(der.to_vec()) })
    }

    /// PKCS#8 DER, for keeping.
    pub fn to_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The public key.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// A token that says `data` (JSON) at a time. PP-5.1b.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn sign(
        &self,
        rng: &mut dyn CryptoRng,
        timestamp: u64,
        data: &str,
        pp: Option<&str>,
        legacy_header: bool,
    ) -> Result<String, Error> {
        let alg = match &self.private {
            Private::Rsa(_) => "RS256",
            Private::Ed25519(_) if legacy_header => "ES256",
            Private::Ed25519(_) => "EdDSA",
        };
        let input = token::signing_input(&self.public, alg, timestamp, data, pp);
        let signature = match &self.private {
            Private::Ed25519(key) => key.sign(input.as_bytes()).to_bytes().to_vec(),
            Private::Rsa(key) => key.sign(rng, input.as_bytes()).ok_or(Error::Internal("an RSA signature"))?,
        };
        Ok(format!("{input}.{}", base64::encode_url(&signature)))
    }

    /// The 32 bytes that were wrapped to this key. PP-5.1c, PP-5.1d.
    pub(crate) fn unwrap(&self, rng: &mut dyn CryptoRng, wrapped: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let plain = match &self.private {
            Private::Rsa(key) => key.unwrap(rng, wrapped)?,
            Private::Ed25519(key) => sealed_box::open(key, wrapped)?,
        };
        plain.as_slice().try_into().ok().map(Zeroizing::new)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("public", &self.public.fingerprint()).finish_non_exhaustive()
    }
}
