//! libsodium's sealed box to an Ed25519 key, which cannot encrypt itself. Profile, Crypto: wrap to Ed25519.

use blake2::digest::consts::U24;
use blake2::{Blake2b, Digest};
use crypto_box::aead::Aead;
use crypto_box::{PublicKey, SalsaBox, SecretKey};
use curve25519_dalek::edwards::CompressedEdwardsY;
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

/// Bytes in front: the ephemeral key.
const EPHEMERAL_LEN: usize = 32;

/// Seals to the X25519 form of an Ed25519 key, from an ephemeral secret.
pub(crate) fn seal(ephemeral: &[u8; 32], recipient: &[u8; 32], plain: &[u8; 32]) -> Option<Vec<u8>> {
    let recipient = PublicKey::from(to_x25519(recipient)?);
    let secret = SecretKey::from(*ephemeral);
    let public = secret.public_key();
    let nonce = nonce(public.as_bytes(), recipient.as_bytes());
    let sealed = SalsaBox::new(&recipient, &secret).encrypt(&nonce.into(), plain.as_slice()).ok()?;
    Some([public.as_bytes(), sealed.as_slice()].concat())
}

/// Opens what was sealed to a key.
pub(crate) fn open(key: &SigningKey, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (ephemeral, sealed) = sealed.split_first_chunk::<EPHEMERAL_LEN>()?;
    let secret = SecretKey::from(key.to_scalar_bytes());
    let (own, ephemeral) = (secret.public_key(), PublicKey::from(*ephemeral));
    let nonce = nonce(ephemeral.as_bytes(), own.as_bytes());
    SalsaBox::new(&ephemeral, &secret).decrypt(&nonce.into(), sealed).ok().map(Zeroizing::new)
}

/// The birational map.
pub(crate) fn to_x25519(ed25519: &[u8; 32]) -> Option<[u8; 32]> {
    Some(CompressedEdwardsY(*ed25519).decompress()?.to_montgomery().to_bytes())
}

fn nonce(ephemeral: &[u8; 32], recipient: &[u8; 32]) -> [u8; 24] {
    Blake2b::<U24>::new().chain_update(ephemeral).chain_update(recipient).finalize().into()
}
