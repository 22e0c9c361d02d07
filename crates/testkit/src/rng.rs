//! Randomness that repeats: from a seed, or prescribed byte for byte.

use rand_chacha::ChaCha20Rng;
use rand_core::{Infallible, Rng as _, SeedableRng as _, TryCryptoRng, TryRng};
use std::{collections::VecDeque, fmt};

/// Randomness from a seed.
pub struct SimRng {
    key: [u8; 32],
    words: ChaCha20Rng,
}

impl SimRng {
    /// The randomness of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Self::from_key(key)
    }

    /// Randomness of its own for one consumer. It hangs on this one's seed and on `label` alone, not
    /// on what was drawn, so a further consumer or a further draw shifts nobody else.
    #[must_use]
    pub fn fork(&self, label: &str) -> Self {
        let mut words = ChaCha20Rng::from_seed(self.key);
        // Stream 0 is what this one draws from; no label may share it.
        words.set_stream(fnv(label.as_bytes()) | 1);
        let mut key = [0; 32];
        words.fill_bytes(&mut key);
        Self::from_key(key)
    }

    fn from_key(key: [u8; 32]) -> Self {
        Self { key, words: ChaCha20Rng::from_seed(key) }
    }
}

impl TryRng for SimRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.words.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.words.try_next_u64()
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        self.words.try_fill_bytes(dst)
    }
}

impl TryCryptoRng for SimRng {}

impl fmt::Debug for SimRng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimRng(..)")
    }
}

/// Prescribed bytes: for vectors that name the randomness a step draws. A draw takes the next bytes,
/// across the borders of the given strings.
#[derive(Clone, Debug, Default)]
pub struct FixedRng {
    left: VecDeque<u8>,
}

impl FixedRng {
    /// Hands out `strings`, one after the other.
    pub fn new<B: AsRef<[u8]>>(strings: impl IntoIterator<Item = B>) -> Self {
        let mut fixed = Self::default();
        strings.into_iter().for_each(|bytes| fixed.push(bytes));
        fixed
    }

    /// Adds bytes to be handed out after all others.
    pub fn push(&mut self, bytes: impl AsRef<[u8]>) {
        self.left.extend(bytes.as_ref());
    }

    /// How many bytes were not drawn yet.
    pub fn left(&self) -> usize {
        self.left.len()
    }

    /// Checks that everything was drawn.
    ///
    /// # Panics
    /// If bytes are left.
    pub fn assert_exhausted(&self) {
        assert!(self.left.is_empty(), "{} prescribed random bytes were not drawn", self.left.len());
    }
}

impl TryRng for FixedRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        let left = self.left.len();
        assert!(dst.len() <= left, "{} random bytes drawn, {left} prescribed ones left", dst.len());
        let length = dst.len();
        dst.iter_mut().zip(self.left.drain(..length)).for_each(|(to, from)| *to = from);
        Ok(())
    }
}

impl TryCryptoRng for FixedRng {}

/// FNV-1a, 64 bits: spreads labels; nothing secret hangs on it.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(rng: &mut impl rand_core::CryptoRng) -> u64 {
        rng.next_u64()
    }

    #[test]
    fn repeats_from_a_seed_and_differs_between_seeds() {
        assert_eq!(draw(&mut SimRng::new(7)), draw(&mut SimRng::new(7)));
        assert_ne!(draw(&mut SimRng::new(7)), draw(&mut SimRng::new(8)));
    }

    #[test]
    fn a_fork_hangs_on_seed_and_label_alone() {
        let mut rng = SimRng::new(7);
        let before = draw(&mut rng.fork("alice"));
        draw(&mut rng);
        assert_eq!(draw(&mut rng.fork("alice")), before);
        assert_ne!(draw(&mut rng.fork("bob")), before);
        assert_ne!(draw(&mut SimRng::new(8).fork("alice")), before);
        assert_ne!(draw(&mut rng.fork("alice").fork("alice")), before);
    }

    #[test]
    fn hands_out_what_is_prescribed() {
        let mut rng = FixedRng::new([vec![1, 2, 3], vec![4]]);
        let mut drawn = [0; 2];
        rng.fill_bytes(&mut drawn);
        assert_eq!(drawn, [1, 2]);
        rng.fill_bytes(&mut drawn);
        assert_eq!((drawn, rng.left()), ([3, 4], 0));
        rng.assert_exhausted();
    }

    #[test]
    #[should_panic(expected = "2 random bytes drawn, 1 prescribed ones left")]
    fn does_not_make_up_what_is_not_prescribed() {
        FixedRng::new([[1]]).fill_bytes(&mut [0; 2]);
    }
}
