//! By AWS-LC.

use super::{Backend, NONCE_LEN, PrivateRsa};
use crate::Error;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

pub(super) struct Native;

impl Backend for Native {
    fn seal(&self, key: &[u8; 32], nonce: &[u8; NONCE_LEN], aad: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut sealed = plain.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        match gcm(key).map(|key| key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut sealed)) {
            Some(Ok(())) => sealed,
            // Only above 64 GiB; nothing then opens.
            _ => Vec::new(),
        }
    }

    fn open(&self, key: &[u8; 32], nonce: &[u8; NONCE_LEN], aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut bytes = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = gcm(key)?.open_in_place(nonce, Aad::from(aad), &mut bytes).ok()?.len();
        bytes.truncate(length);
        Some(bytes)
    }

    fn verify_rs256(&self, pkcs1: &[u8], message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pkcs1).verify(message, signature).is_ok()
    }

    fn wrap(&self, _: &mut dyn CryptoRng, pkcs1: &[u8], secret: &[u8; 32]) -> Option<Vec<u8>> {
        let spki = crate::key::PublicKey::rsa(pkcs1)?;
        let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(spki.spki()).ok()?).ok()?;
        let mut wrapped = vec![0; key.ciphertext_size()];
        let length = key.encrypt(&OAEP_SHA256_MGF1SHA256, secret, &mut wrapped, None).ok()?.len();
        wrapped.truncate(length);
        Some(wrapped)
    }

    fn private_rsa(&self, pkcs8: &[u8]) -> Result<Box<dyn PrivateRsa>, Error> {
        let signing = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| Error::KeyFile)?;
        let opening = PrivateDecryptingKey::from_pkcs8(pkcs8).and_then(|key| {
            OaepPrivateDecryptingKey::new(key)
                .map_err(|_| aws_lc_rs::error::KeyRejected::from(aws_lc_rs::error::Unspecified))
        });
        Ok(Box::new(Private { signing, opening: opening.map_err(|_| Error::KeyFile)? }))
    }

    fn generate_rsa(&self, _: &mut dyn CryptoRng) -> Result<Zeroizing<Vec<u8>>, Error> {
        let failed = |_| Error::Internal("RSA key generation");
        let key = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).map_err(failed)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }
}

fn gcm(key: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key).ok().map(LessSafeKey::new)
}

struct Private {
    signing: RsaKeyPair,
    opening: OaepPrivateDecryptingKey,
}

impl PrivateRsa for Private {
    fn public_pkcs1(&self) -> Vec<u8> {
        self.signing.public_key().as_ref().to_vec()
    }

    fn sign(&self, _: &mut dyn CryptoRng, message: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.signing.public_modulus_len()];
        self.signing.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
        Some(signature)
    }

    fn unwrap(&self, _: &mut dyn CryptoRng, wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        if wrapped.len() != self.opening.key_size_bytes() {
            return None;
        }
        [&OAEP_SHA256_MGF1SHA256, &OAEP_SHA1_MGF1SHA1].into_iter().find_map(|algorithm| {
            let mut plain = Zeroizing::new(vec![0; self.opening.min_output_size()]);
            let length = self.opening.decrypt(algorithm, wrapped, &mut plain, None).ok()?.len();
            plain.truncate(length);
            Some(plain)
        })
    }
}
