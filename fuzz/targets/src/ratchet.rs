//! Sealed messages of `waypost-sremp`, given to a ratchet in the middle of a conversation.

use crate::people::NOW;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::sync::OnceLock;
use waypost_sremp::{Ratchet, RatchetStart, probe, x25519::Secret};

/// Blobs with their message ids, as they arrived.
pub type Blobs = Vec<(u64, Vec<u8>)>;

/// The eight bytes of a message id, then a blob: what is refused leaves the ratchet as it was.
pub fn ratchet_blob(data: &[u8]) {
    static PEER: OnceLock<Option<Ratchet>> = OnceLock::new();

    let Some((id, blob)) = data.split_first_chunk() else { return };
    let before = PEER.get_or_init(|| conversation().map(|(peer, _)| peer));
    let Some(before) = before else { return };
    let mut ratchet = before.clone();
    let taken = ratchet.decrypt(NOW, u64::from_be_bytes(*id), blob, &mut ChaCha20Rng::from_seed([9; 32]));
    let changed = probe::ratchet_values(&ratchet) != probe::ratchet_values(before)
        || probe::skipped_keys(&ratchet) != probe::skipped_keys(before);
    assert_eq!(changed, taken.is_ok());
}

/// One who has sent, received, and misses two messages; and the blobs it will take, in any order.
///
/// Nothing if the ratchet refuses its own conversation; the tests look that it does not.
pub fn conversation() -> Option<(Ratchet, Blobs)> {
    let start = || RatchetStart { sk: [1; 32], hka: [2; 32], nhkb: [3; 32], ad: [4; 32] };
    let own = Secret::from_bytes([5; 32]);
    let mut rng = ChaCha20Rng::from_seed([8; 32]);
    let mut a = Ratchet::initiator(&start(), Secret::from_bytes([6; 32]), own.public()).ok()?;
    let mut b = Ratchet::responder(&start(), own);

    let mut blobs = Blobs::new();
    for id in 0..3 {
        blobs.push((id, a.encrypt(id, b"a message", &mut rng).ok()?));
    }
    let (id, last) = blobs.pop()?;
    b.decrypt(NOW, id, &last, &mut rng).ok()?;
    let answer = b.encrypt(3, b"an answer", &mut rng).ok()?;
    a.decrypt(NOW, 3, &answer, &mut rng).ok()?;
    blobs.push((4, a.encrypt(4, b"on a new chain", &mut rng).ok()?));
    blobs.push((5, a.encrypt(5, &[7; 300], &mut rng).ok()?));
    Some((b, blobs))
}

/// Padded content: what is taken was padded so and not otherwise.
pub fn padding(data: &[u8]) {
    if let Ok(content) = probe::unpad(data) {
        assert_eq!(probe::pad(&content).as_deref(), Ok(data));
    }
}
