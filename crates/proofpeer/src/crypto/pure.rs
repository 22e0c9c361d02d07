//! In Rust alone, for browsers.

use super::{Backend, NONCE_LEN, PrivateRsa};
use crate::Error;
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use rand_core::CryptoRng;
use rsa::pkcs1::{DecodeRsaPublicKey, EncodeRsaPublicKey};
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use rsa::sha2::{Digest, Sha256};
use rsa::{Oaep, Pkcs1v15Sign, RsaPrivateKey, RsaPublicKey};
use zeroize::Zeroizing;

pub(super) struct Pure {
    pub(super) private_rsa: bool,
}

impl Backend for Pure {
    fn seal(&self, key: &[u8; 32], nonce: &[u8; NONCE_LEN], aad: &[u8], plain: &[u8]) -> Vec<u8> {
        // Only above 64 GiB; nothing then opens.
        Aes256Gcm::new(key.into()).encrypt(nonce.into(), Payload { msg: plain, aad }).unwrap_or_default()
    }

    fn open(&self, key: &[u8; 32], nonce: &[u8; NONCE_LEN], aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let opened = Aes256Gcm::new(key.into()).decrypt(nonce.into(), Payload { msg: sealed, aad });
        opened.ok().map(Zeroizing::new)
    }

    fn verify_rs256(&self, pkcs1: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = RsaPublicKey::from_pkcs1_der(pkcs1) else { return false };
        key.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message), signature).is_ok()
    }

    fn wrap(&self, rng: &mut dyn CryptoRng, pkcs1: &[u8], secret: &[u8; 32]) -> Option<Vec<u8>> {
        let key = RsaPublicKey::from_pkcs1_der(pkcs1).ok()?;
        key.encrypt(&mut Older(rng), Oaep::new::<Sha256>(), secret).ok()
    }

    fn private_rsa(&self, pkcs8: &[u8]) -> Result<Box<dyn PrivateRsa>, Error> {
        if !self.private_rsa {
            return Err(Error::NoPrivateRsa);
        }
        Ok(Box::new(Private(RsaPrivateKey::from_pkcs8_der(pkcs8).map_err(|_| Error::KeyFile)?)))
    }

    fn generate_rsa(&self, rng: &mut dyn CryptoRng) -> Result<Zeroizing<Vec<u8>>, Error> {
        if !self.private_rsa {
            return Err(Error::NoPrivateRsa);
        }
        let failed = Error::Internal("RSA key generation");
        let key = RsaPrivateKey::new(&mut Older(rng), 2048).map_err(|_| failed)?;
        Ok(Zeroizing::new(key.to_pkcs8_der().map_err(|_| failed)?.as_bytes().to_vec()))
    }
}

struct Private(RsaPrivateKey);

impl PrivateRsa for Private {
    fn public_pkcs1(&self) -> Vec<u8> {
        self.0.to_public_key().to_pkcs1_der().map(|der| der.as_bytes().to_vec()).unwrap_or_default()
    }

    fn sign(&self, rng: &mut dyn CryptoRng, message: &[u8]) -> Option<Vec<u8>> {
        self.0.sign_with_rng(&mut Older(rng), Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message)).ok()
    }

    fn unwrap(&self, rng: &mut dyn CryptoRng, wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut open =
            |padding| self.0.decrypt_blinded(&mut Older(&mut *rng), padding, wrapped).ok().map(Zeroizing::new);
        open(Oaep::new::<Sha256>()).or_else(|| open(Oaep::new::<sha1_for_rsa::Sha1>()))
    }
}

/// Randomness as `rsa` wants it, which is of an older kind.
struct Older<'a>(&'a mut dyn CryptoRng);

impl rsa::rand_core::RngCore for Older<'_> {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl rsa::rand_core::CryptoRng for Older<'_> {}
