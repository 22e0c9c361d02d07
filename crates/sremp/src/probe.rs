//! Looks at what the public interface hides, for the test vectors only.

use crate::{
    Error, Identity, KemSeed, Ratchet,
    crypto::x25519::Secret,
    message::{SignedBundle, SignedOneTime},
    padding,
    pqxdh::{initiate, seal_key},
    prekeys::VerifiedPrekeys,
    ratchet::{ChainKey, MessageKey, RootKey},
    vault,
};
use rand_core::CryptoRng;
use waypost_core::{Batch, Records, Wall};

/// Every value of a ratchet's state under its name in the profile; numbers as four bytes.
pub fn ratchet_values(ratchet: &Ratchet) -> Vec<(&'static str, Vec<u8>)> {
    ratchet.values()
}

/// How many skipped keys it keeps.
pub fn skipped_keys(ratchet: &Ratchet) -> usize {
    ratchet.skipped().len()
}

/// The ratchet after being kept as bytes.
pub fn through_bytes(ratchet: &Ratchet) -> Option<Ratchet> {
    let skipped = crate::ratchet::SkippedKeys::decode(&ratchet.skipped().encode())?;
    Ratchet::decode(&ratchet.encode(), skipped)
}

/// KDF_RK with the X25519 result given: RK, CK, NHK.
pub fn root_step(root_key: [u8; 32], dh: [u8; 32]) -> [[u8; 32]; 3] {
    let step = RootKey::from_bytes(root_key).step_with(&dh);
    [*step.root.as_bytes(), *step.chain.as_bytes(), step.next_header]
}

/// KDF_CK: next CK and MK.
pub fn chain_step(chain_key: [u8; 32]) -> [[u8; 32]; 2] {
    let mut chain = ChainKey::from_bytes(chain_key);
    let message = chain.step();
    [*chain.as_bytes(), *message.as_bytes()]
}

/// `expand`: key and nonce.
pub fn expand(message_key: [u8; 32]) -> [u8; 44] {
    *MessageKey::from_bytes(message_key).expand()
}

/// Pads content.
///
/// # Errors
/// Too long.
pub fn pad(content: &[u8]) -> Result<Vec<u8>, Error> {
    let mut buffer = content.to_vec();
    padding::pad(&mut buffer, 0)?;
    Ok(buffer)
}

/// The content of padded bytes.
///
/// # Errors
/// Not padded so.
pub fn unpad(padded: &[u8]) -> Result<Vec<u8>, Error> {
    let length = padding::unpadded_len(padded)?;
    Ok(padded.get(..length).unwrap_or_default().to_vec())
}

/// Every value on the way to a session and its first blobs, under its name in the vectors. Draws as the
/// vault does: e, the randomness of Encaps, T_A, the header's nonce, s.
///
/// # Errors
/// Those of the steps.
pub fn start_values(
    identity: &Identity,
    dr_secret: &Secret,
    prekeys: &VerifiedPrekeys,
    first: (u64, u64, &[u8]),
    rng: &mut impl CryptoRng,
) -> Result<Vec<(&'static str, Vec<u8>)>, Error> {
    let (epoch, message_id, content) = first;
    let mut begun = initiate(identity, dr_secret, prekeys, epoch, rng)?;
    let [dh1, dh2, dh3] = begun.shared.dh;
    let ratchet_blob = begun.ratchet.encrypt(message_id, content, rng)?;
    let initial_message = begun.opening.initial_message(ratchet_blob.clone());
    let encrypted_blob = begun.opening.seal(ratchet_blob.clone(), rng)?;
    let mut values = vec![
        ("dh1", dh1.to_vec()),
        ("dh2", dh2.to_vec()),
        ("dh3", dh3.to_vec()),
        ("kem_ct", begun.opening.kem_ct.as_bytes().to_vec()),
        ("kem_ss", begun.shared.kem.to_vec()),
        ("sk", begun.start.sk.to_vec()),
        ("hka", begun.start.hka.to_vec()),
        ("nhkb", begun.start.nhkb.to_vec()),
        ("ad", begun.start.ad.to_vec()),
        ("session_id", begun.id.0.to_vec()),
        ("ratchet_blob", ratchet_blob),
        ("initial_message", initial_message),
        ("encrypted_blob", encrypted_blob),
    ];
    values.extend(begun.shared.dh4.iter().map(|dh4| ("dh4", dh4.to_vec())));
    Ok(values)
}

/// The key that seals a type-1 blob made with `s`.
///
/// # Errors
/// A key of small order.
pub fn seal_key_of(s: &Secret, spk: &Secret) -> Result<[u8; 32], Error> {
    Ok(*seal_key(s.exchange(&spk.public())?.as_bytes(), &s.public(), &spk.public()))
}

/// Puts a bundle made elsewhere into the vault.
///
/// # Errors
/// The bundle is malformed.
pub fn put_bundle<R: Records + ?Sized>(
    batch: &mut Batch<'_, R>,
    bundle: &SignedBundle,
    spk: &Secret,
    lr_kem: &KemSeed,
    dr: &Secret,
) -> Result<(), Error> {
    vault::put_bundle(batch, &vault::own_bundle(bundle, spk, lr_kem, dr)?);
    Ok(())
}

/// Puts a one-time item made elsewhere into the vault.
pub fn put_one_time<R: Records + ?Sized>(
    batch: &mut Batch<'_, R>,
    id: u32,
    item: &SignedOneTime,
    opk: &Secret,
    kem: &KemSeed,
    expires: Wall,
) {
    let secrets = vault::OneTimeSecrets { opk: opk.clone(), kem: kem.clone() };
    vault::put_one_time(batch, id, item, &secrets, expires);
}

/// The ids of the one-time items the vault has secrets for.
///
/// # Errors
/// The records failed.
pub fn one_time_ids(records: &(impl Records + ?Sized)) -> Result<Vec<u32>, Error> {
    vault::one_time_ids(records)
}

/// The expanded decapsulation key of FIPS 203.
pub fn expanded_kem(seed: &KemSeed) -> Vec<u8> {
    seed.expanded().to_vec()
}
