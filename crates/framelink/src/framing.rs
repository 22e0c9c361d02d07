//! What both directions of a link agree on before the first frame.

use crate::{Align, Fault, block::Half, chain::Chain};

/// Where the hash chain starts. Profile FL-2.10.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MacInit {
    /// From the secret H0.
    #[default]
    Secret,
    /// From SHA-256's published state, for a literal peer. Who knows a frame's plaintext forges it.
    Standard,
}

/// How frames are laid on the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// Where frames begin in the keystream.
    pub align: Align,
    /// Where the hash chain starts; `raw` only.
    pub mac_init: MacInit,
    /// Whether SEQ goes on with 1 behind 0xFFFFFFFF, rather than 0; `raw` only. Profile FL-0.6.
    pub wraps_to_one: bool,
    /// SEQ of the first frame of each direction: 1, but for tests of the wrap.
    pub first_seq: u32,
}

impl Default for Framing {
    fn default() -> Self {
        Self { align: Align::Block, mac_init: MacInit::Secret, wraps_to_one: false, first_seq: 1 }
    }
}

impl Framing {
    pub(crate) fn chain(&self, half: &Half) -> Chain {
        match self.mac_init {
            MacInit::Secret => Chain::from_bytes(&half.chain),
            MacInit::Standard => Chain::standard(),
        }
    }

    pub(crate) const fn sequence(&self) -> crate::header::Sequence {
        crate::header::Sequence::new(self.first_seq, self.wraps_to_one as u32)
    }
}

/// Bytes a frame adds to its payload: header and tag.
pub const OVERHEAD: usize = crate::Header::LEN + crate::chain::TAG_LEN;

/// AES blocks that a frame uses, in both alignments. Profile, REKEY.
pub(crate) const fn blocks(length: u32) -> u64 {
    (length as u64 + OVERHEAD as u64).div_ceil(16)
}

/// How much one key has done. Profile, REKEY; Limits and errors.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeyUse {
    pub(crate) frames: u64,
    pub(crate) blocks: u64,
}

impl KeyUse {
    /// With one more frame.
    pub(crate) const fn with(self, length: u32) -> Self {
        Self { frames: self.frames + 1, blocks: self.blocks.saturating_add(blocks(length)) }
    }
}

/// Blocks a raw key seals at most: nothing renews it. Profile, Limits and errors.
pub(crate) const RAW_BLOCKS: u64 = 1 << 44;

/// Whether a key that can't be renewed may do this much.
pub(crate) const fn check_raw_life(used: KeyUse) -> Result<(), Fault> {
    if used.blocks > RAW_BLOCKS { Err(Fault::Exhausted) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_in_blocks_of_both_alignments() {
        assert_eq!([0, 8, 9, u32::MAX].map(blocks), [2, 2, 3, 268_435_458]);
    }

    #[test]
    fn a_raw_key_ends_at_two_to_the_44_blocks() {
        let used = |blocks| check_raw_life(KeyUse { frames: 1, blocks });
        assert_eq!((used(RAW_BLOCKS), used(RAW_BLOCKS + 1)), (Ok(()), Err(Fault::Exhausted)));
        let much = KeyUse { frames: 1, blocks: u64::MAX }.with(5);
        assert_eq!((much.frames, much.blocks), (2, u64::MAX));
    }
}
