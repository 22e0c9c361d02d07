//! What each side puts into the block: a nonce, or X25519 and ML-KEM-768. Profile, Establishment.

use super::Secret;
use crate::{Fault, Mode};
use libcrux_ml_kem::mlkem768::{self, MlKem768Ciphertext, MlKem768PublicKey};
use rand_core::CryptoRng;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

const NONCE_LEN: usize = 32;
const X25519_LEN: usize = 32;
const KEM_KEY_LEN: usize = 1184;
const KEM_CIPHERTEXT_LEN: usize = 1088;

/// Bytes of M1 between preamble and mac1.
pub(super) const fn top_len(mode: Mode) -> usize {
    match mode {
        Mode::Hybrid => X25519_LEN + KEM_KEY_LEN,
        _ => NONCE_LEN,
    }
}

/// Bytes of M2 behind the preamble.
pub(super) const fn bottom_len(mode: Mode) -> usize {
    match mode {
        Mode::Hybrid => X25519_LEN + KEM_CIPHERTEXT_LEN,
        _ => NONCE_LEN,
    }
}

/// TOP's.
pub(super) enum TopShare {
    Psk { nonce: [u8; NONCE_LEN] },
    Hybrid { x25519: StaticSecret, seed: Zeroizing<[u8; 64]> },
}

impl TopShare {
    pub(super) fn generate(rng: &mut impl CryptoRng, mode: Mode) -> Result<Self, Fault> {
        match mode {
            Mode::Raw => Err(Fault::BadConfig),
            Mode::Psk => Ok(Self::Psk { nonce: *random(rng) }),
            Mode::Hybrid => Ok(Self::Hybrid { x25519: StaticSecret::from(*random(rng)), seed: random(rng) }),
        }
    }

    pub(super) fn public(&self) -> Vec<u8> {
        match self {
            Self::Psk { nonce } => nonce.to_vec(),
            Self::Hybrid { x25519, seed } => {
                let mut share = PublicKey::from(x25519).as_bytes().to_vec();
                share.extend_from_slice(mlkem768::generate_key_pair(**seed).pk());
                share
            }
        }
    }

    /// The secret that BOTTOM's share leads to. A changed ciphertext gives another one, not an error.
    pub(super) fn agree(&self, share: &[u8]) -> Result<Secret, Fault> {
        let Self::Hybrid { x25519, seed } = self else { return Ok(Secret::default()) };
        let (theirs, ciphertext) = share.split_first_chunk::<X25519_LEN>().ok_or(Fault::HsClosed)?;
        let ciphertext: &[u8; KEM_CIPHERTEXT_LEN] = ciphertext.try_into().map_err(|_| Fault::HsClosed)?;
        let exchanged = exchange(x25519, theirs)?;
        let (private, _) = mlkem768::generate_key_pair(**seed).into_parts();
        let private: Zeroizing<[u8; 2400]> = Zeroizing::new(private.into());
        let inner = mlkem768::decapsulate(&(&*private).into(), &MlKem768Ciphertext::from(ciphertext));
        Ok(join(&Zeroizing::new(inner), &exchanged))
    }
}

/// BOTTOM's, made in answer to TOP's.
pub(super) struct BottomShare {
    pub(super) public: Vec<u8>,
    pub(super) secret: Secret,
}

impl BottomShare {
    pub(super) fn answer(rng: &mut impl CryptoRng, mode: Mode, share: &[u8]) -> Result<Self, Fault> {
        if mode != Mode::Hybrid {
            return Ok(Self { public: random::<NONCE_LEN>(rng).to_vec(), secret: Secret::default() });
        }
        let (theirs, key) = share.split_first_chunk::<X25519_LEN>().ok_or(Fault::HsClosed)?;
        let key: &[u8; KEM_KEY_LEN] = key.try_into().map_err(|_| Fault::HsClosed)?;
        let (x25519, m) = (StaticSecret::from(*random(rng)), random::<32>(rng));
        let exchanged = exchange(&x25519, theirs)?;
        let key = MlKem768PublicKey::from(key);
        if !mlkem768::validate_public_key(&key) {
            return Err(Fault::BadShare);
        }
        let (ciphertext, inner) = mlkem768::encapsulate(&key, *m);
        let mut public = PublicKey::from(&x25519).as_bytes().to_vec();
        public.extend_from_slice(ciphertext.as_slice());
        Ok(Self { public, secret: join(&Zeroizing::new(inner), &exchanged) })
    }
}

/// An all-zero result tells nothing but a bad share.
fn exchange(ours: &StaticSecret, theirs: &[u8; X25519_LEN]) -> Result<Zeroizing<[u8; 32]>, Fault> {
    let shared = ours.diffie_hellman(&PublicKey::from(*theirs));
    if shared.was_contributory() { Ok(Zeroizing::new(shared.to_bytes())) } else { Err(Fault::BadShare) }
}

fn join(inner: &[u8; 32], exchanged: &[u8; 32]) -> Secret {
    // The room is asked for once, so that no copy of a secret is left behind by growing.
    let mut secret = Zeroizing::new(Vec::with_capacity(inner.len() + exchanged.len()));
    secret.extend_from_slice(inner);
    secret.extend_from_slice(exchanged);
    secret
}

fn random<const N: usize>(rng: &mut impl CryptoRng) -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    rng.fill_bytes(bytes.as_mut_slice());
    bytes
}
