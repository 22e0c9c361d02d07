//! Looks at what the public interface hides, for the test vectors only.

use crate::{
    Error, Ratchet,
    crypto::x25519::Secret,
    padding,
    ratchet::{ChainKey, MessageKey, RootKey},
};

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

/// The secret's bytes.
pub fn secret_bytes(secret: &Secret) -> [u8; 32] {
    *secret.to_bytes()
}
