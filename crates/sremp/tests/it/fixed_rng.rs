//! Randomness that gives fixed values in order.

use rand_core::{Infallible, TryCryptoRng, TryRng};
use std::collections::VecDeque;

/// Gives the values it was made of, one for each draw of the value's length.
pub(crate) struct FixedRng(VecDeque<Vec<u8>>);

impl FixedRng {
    pub(crate) fn new(values: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self(values.into_iter().collect())
    }

    /// Puts a value in front of the others.
    pub(crate) fn push_front(&mut self, value: Vec<u8>) {
        self.0.push_front(value);
    }

    pub(crate) fn left(&self) -> usize {
        self.0.len()
    }
}

impl TryRng for FixedRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        let value = self.0.pop_front().expect("a draw that the case does not foresee");
        assert_eq!(value.len(), bytes.len(), "a draw of another length than the case foresees");
        bytes.copy_from_slice(&value);
        Ok(())
    }
}

impl TryCryptoRng for FixedRng {}
